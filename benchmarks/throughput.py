"""Requests a second of a gateway's own processor time, many at once: so that who asks and who answers, on the same processors, do not count."""

import random
import statistics

from gateways import LITELLM, MLFLOW_GATEWAY, RELAY, WITHOUT, gateways, worked
from measure import Entry
from rivals import OURS

_ALL = (OURS, RELAY, LITELLM, MLFLOW_GATEWAY)


def requests_16(rounds: int = 6, ours: int = 3000, theirs: int = 300) -> Entry:
    """Measure with 16 at once."""
    return _requests(16, rounds, ours, theirs)


def requests_64(rounds: int = 6, ours: int = 3000, theirs: int = 300) -> Entry:
    """Measure with 64 at once."""
    return _requests(64, rounds, ours, theirs)


def _requests(at_once: int, rounds: int, ours: int, theirs: int) -> Entry:
    """Ask ``ours`` times a round, LiteLLM ``theirs``, for it takes so long."""
    a_core: dict[str, list[float]] = {name: [] for name in _ALL}
    a_second: dict[str, list[float]] = {name: [] for name in _ALL}
    waited: dict[str, list[float]] = {name: [] for name in _ALL}
    chance = random.Random(0)
    with gateways(*_ALL) as (asker, found):
        for index in range(rounds + 1):
            for name in chance.sample(_ALL, len(_ALL)):
                gateway = found[name]
                before = gateway.cpu_seconds()
                told = worked(asker, gateway, number=theirs if name == LITELLM else ours, at_once=at_once)
                used = gateway.cpu_seconds() - before
                if index:  # the first is not counted
                    a_core[name].append(told["begun"] / used)
                    a_second[name].append(told["begun"] / told["seconds"])
                    waited[name].append(statistics.median(told["taken"]))
    middle = {name: statistics.median(samples) for name, samples in a_core.items()}
    times = middle[OURS] / middle[LITELLM]
    by_clock = ", ".join(
        f"{name} {statistics.median(samples):,.0f} ({statistics.median(waited[name]):.0f} ms each)"
        for name, samples in a_second.items()
    )
    return Entry(
        f"The gateway: requests per second and core, {at_once} at once (more is better)", a_core.pop(OURS), a_core,
        f"1,000, and 10× LiteLLM; it is {middle[OURS]:,.0f} and {times:.1f}×", middle[OURS] >= 1000 and times >= 10,
        f"python benchmarks/run.py requests_{at_once}", "requests/s",
        notes=(
            f"requests by the processor time of the gateway's process and its children, from `/proc`; {ours:,} a round, LiteLLM {theirs}. By the clock, with the asker and the provider on the same cores: {by_clock}. Ours is at {middle[OURS] / middle[RELAY]:.0%} of the bare relay.",
            *WITHOUT[1:],
        ),
    )  # fmt: skip
