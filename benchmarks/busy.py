"""The gateway's answers while eight processes log as fast as they can, beside eight that only take the processors."""

import contextlib
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from gateways import gateways, worked
from measure import Entry, high
from rivals import OURS

_LOGGERS = 8
_A_SECOND = 10
_LINE = len('{"type":"metrics","at":1795377600.1234567,"step":123456,"values":{"loss":0.5}}\n')
"""About as long is a line of a metric."""
_BURN = """
import sys
print("open", flush=True)
sys.stdin.readline()
while True:
    pass
"""
_LOG = """
import sys
import snapml_lab as snap
with snap.run(sys.argv[1]) as run:
    print("open", flush=True)
    sys.stdin.readline()
    while True:
        run.log(loss=0.5)
"""
_IDLE, _BURNT = "idle", "8 processes that take the processors and log nothing"
_LOGGING = OURS


def gateway_busy(rounds: int = 6, seconds: float = 5.0) -> Entry:
    """Time requests at a fixed rate through the gateway: nothing else at work, loggers at work, burners at work, in turns."""
    samples: dict[str, list[float]] = {_IDLE: [], _LOGGING: [], _BURNT: []}
    middle: dict[str, list[float]] = {name: [] for name in samples}
    every: dict[str, list[float]] = {name: [] for name in samples}
    logged = 0.0
    chance = random.Random(0)
    with gateways(OURS) as (asker, found):
        ws = found[OURS].kept

        def asked(seconds: float) -> list[float]:
            taken: list[float] = worked(asker, found[OURS], "due", seconds=seconds, a_second=_A_SECOND)[
                "taken"
            ]
            return taken

        asked(1.0)
        for index in range(rounds):
            for name in chance.sample(list(samples), len(samples)):
                with _at_work(ws, name, f"{index}"):
                    before = _lines(ws)
                    taken = asked(seconds)
                    if name == _LOGGING:
                        logged += (_lines(ws) - before) / seconds / rounds
                samples[name].append(high(taken))
                middle[name].append(statistics.median(taken))
                every[name] += taken
    idle, logging, burning = (statistics.median(samples[name]) for name in (_IDLE, _LOGGING, _BURNT))
    worse, control = logging / idle, burning / idle
    half = statistics.median(middle[_LOGGING]) / statistics.median(middle[_IDLE])
    half_control = statistics.median(middle[_BURNT]) / statistics.median(middle[_IDLE])
    told = "; ".join(
        f"{'8 loggers' if name == _LOGGING else name}: p50 {statistics.median(found):.2f}, p95 {high(found):.2f}, the longest {max(found):.1f} ms"
        for name, found in every.items()
    )
    return Entry(
        f"The gateway's p95 while {_LOGGERS} processes log as fast as they can", samples.pop(_LOGGING), samples,
        f"p50 and p95 no worse than 1.5× of idle; it is {half:.2f}× and {worse:.2f}× (the processors taken, nothing logged: {half_control:.2f}× and {control:.2f}×)",
        worse <= 1.5 and half <= 1.5, "python benchmarks/run.py gateway_busy",
        notes=(
            f"each sample is the p95 of {seconds:g} s of {_A_SECOND} requests a second; a request counts from when it was due, so that its asker and the provider waiting for a processor count, too. All requests: {told}. The {_LOGGERS} logged {logged:,.0f} metrics a second on {len(os.sched_getaffinity(0))} cores. What the burners cost, the processors cost; what the loggers cost more than they, the ledger does: {logging / burning:.2f}× at p95.",
        ),
    )  # fmt: skip


@contextlib.contextmanager
def _at_work(ws: Any, name: str, label: str) -> Iterator[None]:
    """Have eight processes log, or burn, for the length of the block, after a second of it; or nothing. They are killed.

    What they logged and nobody has read stays in their files, which no later round looks at.
    """
    variables = {**os.environ, "SNAPML_WORKSPACE": str(ws.project)}
    sources = {_LOGGING: _LOG, _BURNT: _BURN}
    with contextlib.ExitStack() as stack:
        at_work = [
            stack.enter_context(_process([sys.executable, "-c", sources[name], f"busy-{label}-{index}"], variables))
            for index in range(_LOGGERS if name in sources else 0)
        ]  # fmt: skip
        for process in at_work:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
        for process in at_work:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        time.sleep(1.0)
        yield


@contextlib.contextmanager
def _process(argv: list[str], variables: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Give a process that is killed at the end."""
    process = subprocess.Popen(
        argv, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,  # as a kernel and a job have one of their own
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _lines(ws: Any) -> int:
    """Return how many metrics have been logged, by the bytes of their files."""
    sizes = [path.stat().st_size for path in ws.runs.glob("*/events.jsonl")]
    return sum(sizes) // _LINE
