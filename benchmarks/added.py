"""What a gateway adds to a request and to a stream's first token: through it less the provider itself, one request at a time."""

import contextlib
import random
import statistics
from typing import Any

from gateways import DIRECT, LITELLM, MLFLOW_GATEWAY, RELAY, TOKENS, WITHOUT, Bill, bill, gateways, worked
from measure import Entry, high
from rivals import OURS
from surroundings import wait_until
from upstream import REST_SECONDS

_ALL = (DIRECT, OURS, RELAY, LITELLM, MLFLOW_GATEWAY)


def added_latency(rounds: int = 10, requests: int = 300) -> Entry:
    """Time whole answers."""
    middle, worst, direct, found = _added("taken", rounds, requests, stream=False)
    p50, times, limit = _figures(middle)
    return Entry(
        "The gateway: added to a request, p50", middle.pop(OURS), middle,
        f"1 ms, and 5× less than LiteLLM; it is {p50:.2f} ms and {times:.1f}× less",
        p50 <= 1 and times >= 5, "python benchmarks/run.py added_latency",
        notes=(
            *WITHOUT,
            f"one request at a time over a kept connection, {requests} a round, less the median of the provider asked directly in the same round ({direct:.2f} ms). p95, added in the same way: {_told(worst)}. Ours has {p50 - limit:.2f} ms to go to the bare relay. Of its {found.rows:,} rows, {found.billed:,} have tokens and a cost, and for {found.held:,} an amount was held before.",
        ),
    )  # fmt: skip


def added_first_token(rounds: int = 10, requests: int = 200) -> Entry:
    """Time first tokens of streams."""
    middle, worst, direct, _ = _added("first", rounds, requests, stream=True)
    p50, times, limit = _figures(middle)
    return Entry(
        "The gateway: added to the first token of a stream, p50", middle.pop(OURS), middle,
        f"2 ms; it is {p50:.2f} ms, {times:.1f}× less than LiteLLM", p50 <= 2,
        "python benchmarks/run.py added_first_token",
        notes=(
            f"as above, {requests} streams a round; the provider's first token comes alone, in {direct:.2f} ms, the other {TOKENS - 1} {REST_SECONDS * 1000:g} ms later. p95, added in the same way: {_told(worst)}. Ours has {p50 - limit:.2f} ms to go to the bare relay.",
        ),
    )  # fmt: skip


def _added(
    figure: str, rounds: int, requests: int, **shape: Any
) -> tuple[dict[str, list[float]], dict[str, list[float]], float, Bill]:
    """Return what each adds at p50 and at p95, a sample a round after one not counted; the provider's own median; our bill."""
    middle: dict[str, list[float]] = {name: [] for name in _ALL}
    worst: dict[str, list[float]] = {name: [] for name in _ALL}
    chance = random.Random(0)
    with gateways(*_ALL) as (asker, found):
        for gateway in found.values():
            worked(asker, gateway, number=requests, **shape)
        for _ in range(rounds):
            for name in chance.sample(_ALL, len(_ALL)):
                taken = worked(asker, found[name], number=requests, **shape)[figure]
                middle[name].append(statistics.median(taken))
                worst[name].append(high(taken))
        asked = (rounds + 1) * requests
        with contextlib.suppress(TimeoutError):  # what is missing is told
            wait_until(lambda: bill(found[OURS].kept).billed >= asked, "the bill", 10)
        written = bill(found[OURS].kept)
    direct, directly = middle.pop(DIRECT), worst.pop(DIRECT)
    for samples, base in ((middle, direct), (worst, directly)):
        for taken in samples.values():
            taken[:] = [one - own for one, own in zip(taken, base, strict=True)]
    return middle, worst, statistics.median(direct), written


def _figures(middle: dict[str, list[float]]) -> tuple[float, float, float]:
    """Return our median, how many times it LiteLLM's is, and the relay's."""
    ours = statistics.median(middle[OURS])
    return ours, statistics.median(middle[LITELLM]) / ours, statistics.median(middle[RELAY])


def _told(worst: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {statistics.median(taken):.2f} ms" for name, taken in worst.items())
