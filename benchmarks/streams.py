"""Two hundred streams at once for a minute: whether any is dropped or not billed, and whether memory stays flat."""

import contextlib
import statistics
import time
from dataclasses import dataclass
from typing import Any

from gateways import LITELLM, MLFLOW_GATEWAY, RELAY, Bill, Gateway, bill, gateways
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
    bill: Bill | None


def streams(
    at_once: int = 200, seconds: float = 60.0, tokens: int = 100, settled: float = 10.0, *, rivals: bool = True
) -> Outcomes:  # fmt: skip
    """Keep ``at_once`` streams of ``tokens`` going for ``seconds``; a gateway at a time, each left to end what is under way.

    Args:
        settled: the second from which memory is held to be flat.
    """
    kept: dict[str, _Kept] = {}
    with gateways(*(_ALL if rivals else _ALL[:2])) as (asker, found):
        for name, gateway in found.items():
            kept[name] = _keep(asker, gateway, at_once, seconds, tokens, settled)
    mine = kept[OURS]
    assert mine.bill is not None
    unbilled, grown = _unbilled(mine.bill, mine.told["begun"]), mine.late - mine.early
    return Outcomes(
        f"{at_once} streams at once for {seconds:g} s",
        ["gateway", "streams", "dropped", "not billed", "first token p50, p95", "whole stream, later than the provider p50, p95", f"memory at {settled:g} s, at the end", "of a core"],
        [_row(name, one, tokens) for name, one in kept.items()],
        f"none dropped, none unbilled, memory flat; {mine.told['broken']} dropped, {unbilled} unbilled, {grown:+.1f} MiB",
        mine.told["broken"] == 0 and unbilled == 0 and grown <= _FLAT_MIB, "python benchmarks/run.py streams",
        notes=(
            f"each stream has {tokens} tokens, one each {PACE_SECONDS:g} s: {at_once / PACE_SECONDS:,.0f} tokens a second; one that ended is followed by another until the time is over, and what is under way then is waited for. Dropped is what lacks a token or its end; not billed is what has no row in the ledger with tokens and a cost. A gateway at a time, so this is one sample each.",
            f"an amount was held before for {mine.bill.held:,} of ours. The rivals write no bill here: LiteLLM's needs its database, MLflow's gateway has none; the relay's row is two numbers.",
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
    found = None
    if rows is not None:

        def new() -> Bill:
            now = bill(gateway.kept)
            return Bill(now.rows - rows.rows, now.billed - rows.billed, now.held - rows.held)

        with contextlib.suppress(TimeoutError):  # what is missing is counted
            wait_until(lambda: new().billed >= told["begun"], "the bill", _SETTLE_SECONDS)
        found = new()
    return _Kept(told, early, late, gateway.cpu_seconds() - before, found)


def _row(name: str, one: _Kept, tokens: int) -> list[str]:
    told, own = one.told, (tokens - 1) * PACE_SECONDS * 1000
    late = [taken - own for taken in told["taken"]]
    unbilled = "-" if one.bill is None else f"{_unbilled(one.bill, told['begun'])}"
    return [
        name, f"{told['begun']:,}", f"{told['broken']}", unbilled, _pair(told["first"]), _pair(late),
        f"{one.early:.0f}, {one.late:.0f} MiB", f"{one.cpu / told['seconds']:.0%}",
    ]  # fmt: skip


def _unbilled(found: Bill, begun: int) -> int:
    """Return how many streams have no row with tokens and a cost; a row too many is one, too."""
    return abs(begun - found.rows) + found.rows - found.billed


def _pair(samples: list[float]) -> str:
    if len(samples) < 2:
        return "-"
    return f"{statistics.median(samples):.1f}, {high(samples):.1f} ms"
