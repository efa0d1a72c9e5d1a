"""Two hundred streams at once for a minute: whether any is dropped or not billed, and whether memory stays flat."""

import contextlib
import statistics
import time
from dataclasses import dataclass
from typing import Any

from gateways import LITELLM, MLFLOW_GATEWAY, RELAY, Gateway, bill, gateways
from measure import Outcomes, high
from rivals import OURS, Driver
from surroundings import wait_until
from upstream import PACE_SECONDS, PACED

_ALL = (OURS, RELAY, LITELLM, MLFLOW_GATEWAY)
_FLAT_MIB = 10.0
"""More than this between the tenth second and the end is growth."""
_SETTLE_SECONDS = 10.0


@dataclass
class _Kept:
    told: dict[str, Any]
    early: float
    late: float
    cpu: float
    billed: tuple[int, int] | None


def streams(at_once: int = 200, seconds: float = 60.0, tokens: int = 100, settled: float = 10.0) -> Outcomes:
    """Keep ``at_once`` streams of ``tokens`` going for ``seconds``; a gateway at a time, each left to end what is under way.

    Args:
        settled: the second from which memory is held to be flat.
    """
    kept: dict[str, _Kept] = {}
    with gateways(*_ALL) as (asker, found):
        for name, gateway in found.items():
            kept[name] = _keep(asker, gateway, at_once, seconds, tokens, settled)
    mine = kept[OURS]
    assert mine.billed is not None
    billed, rows = mine.billed
    unbilled, grown = rows - billed + abs(mine.told["begun"] - rows), mine.late - mine.early
    return Outcomes(
        f"{at_once} streams at once for {seconds:g} s",
        ["gateway", "streams", "dropped", "not billed", "first token p50, p95", "whole stream, later than the provider p50, p95", "memory at 10 s, at the end", "of a core"],
        [_row(name, one, tokens) for name, one in kept.items()],
        f"none dropped, none unbilled, memory flat; {mine.told['broken']} dropped, {unbilled} unbilled, {grown:+.1f} MiB",
        mine.told["broken"] == 0 and unbilled == 0 and grown <= _FLAT_MIB, "python benchmarks/run.py streams",
        notes=(
            f"each stream has {tokens} tokens, one each {PACE_SECONDS:g} s: {at_once / PACE_SECONDS:,.0f} tokens a second; one that ended is followed by another until the time is over, and what is under way then is waited for. Dropped is what lacks a token or its end; not billed is what has no row in the ledger with tokens and a cost. A gateway at a time, so this is one sample each.",
            "the rivals write no bill here: LiteLLM's needs its database, MLflow's gateway has none; the relay's row is two numbers.",
            *(f"{name}, what broke: {'; '.join(one.told['why'])[:300]}" for name, one in kept.items() if one.told["broken"]),
        ),
    )  # fmt: skip


def _keep(
    asker: Driver, gateway: Gateway, at_once: int, seconds: float, tokens: int, settled: float
) -> _Kept:
    before, rows = gateway.cpu_seconds(), bill(gateway.kept) if gateway.kept else None
    shape = gateway.asked(model=PACED, stream=True, tokens=tokens)
    asker.begin("keep", **shape, seconds=seconds, at_once=at_once)
    time.sleep(settled)
    early = gateway.memory()
    time.sleep(max(0.0, seconds - settled))
    late = gateway.memory()
    told = asker.answer()
    billed = None
    if rows is not None:

        def new() -> tuple[int, int]:
            billed, every = bill(gateway.kept)
            return billed - rows[0], every - rows[1]

        with contextlib.suppress(TimeoutError):  # what is missing is counted
            wait_until(lambda: new()[0] >= told["begun"], "the bill", _SETTLE_SECONDS)
        billed = new()
    return _Kept(told, early, late, gateway.cpu_seconds() - before, billed)


def _row(name: str, one: _Kept, tokens: int) -> list[str]:
    told, own = one.told, (tokens - 1) * PACE_SECONDS * 1000
    late = [taken - own for taken in told["taken"]]
    unbilled = (
        "-" if one.billed is None else f"{one.billed[1] - one.billed[0] + abs(told['begun'] - one.billed[1])}"
    )
    return [
        name, f"{told['begun']:,}", f"{told['broken']}", unbilled, _pair(told["first"]), _pair(late),
        f"{one.early:.0f}, {one.late:.0f} MiB", f"{one.cpu / told['seconds']:.0%}",
    ]  # fmt: skip


def _pair(samples: list[float]) -> str:
    if len(samples) < 2:
        return "-"
    return f"{statistics.median(samples):.1f}, {high(samples):.1f} ms"
