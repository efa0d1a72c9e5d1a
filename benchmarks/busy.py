"""The gateway's answers while eight processes log as fast as they can, beside eight that only take the processors. Needs an account that may raise priorities."""

import contextlib
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from gateways import DIRECT, gateways, worked
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
    """Time requests at a fixed rate through the gateway: nothing else at work, loggers at work, burners at work, in turns.

    Each time twice: with the asker and the provider out of the crowd, as on other machines, and in it. Out of it the provider is
    asked without the gateway, too.
    """
    works = (_IDLE, _LOGGING, _BURNT)
    apart: dict[str, list[list[float]]] = {name: [] for name in works}
    direct: dict[str, list[list[float]]] = {name: [] for name in works}
    among: dict[str, list[list[float]]] = {name: [] for name in works}
    logged = 0.0
    chance = random.Random(0)
    with gateways(OURS, DIRECT) as (asker, found):
        ws = found[OURS].kept

        def asked(name: str) -> list[float]:
            taken: list[float] = worked(asker, found[name], "due", seconds=seconds, a_second=_A_SECOND)[
                "taken"
            ]
            return taken

        asked(OURS)
        for index in range(rounds):
            for name in chance.sample(works, len(works)):
                with _at_work(ws, name, f"{index}"):
                    before, begun = _lines(ws), time.monotonic()
                    among[name].append(asked(OURS))
                    with _apart(asker.process.pid, found[DIRECT].pid):
                        apart[name].append(asked(OURS))
                        direct[name].append(asked(DIRECT))
                    if name == _LOGGING:
                        logged += (_lines(ws) - before) / (time.monotonic() - begun) / rounds
    half, worse = (_times(apart, of) for of in (statistics.median, high))
    told = "; ".join(
        f"{what} {'8 loggers' if name == _LOGGING else name}: p50 {statistics.median(every):.2f}, p95 {high(every):.2f}, the longest {max(every):.1f} ms"
        for what, samples in (
            ("out of the crowd,", apart),
            ("the provider alone,", direct),
            ("in the crowd,", among),
        )
        for name in works
        for every in [[taken for round_ in samples[name] for taken in round_]]
    )
    tails = {name: [high(taken) for taken in apart[name]] for name in works}
    return Entry(
        f"The gateway's p95 while {_LOGGERS} processes log as fast as they can", tails.pop(_LOGGING), tails,
        f"p50 and p95 no worse than 1.5× of idle; it is {half[_LOGGING]:.2f}× and {worse[_LOGGING]:.2f}×"
        f" (the processors taken, nothing logged: {half[_BURNT]:.2f}× and {worse[_BURNT]:.2f}×)",
        worse[_LOGGING] <= 1.5 and half[_LOGGING] <= 1.5, "python benchmarks/run.py gateway_busy",
        notes=(
            f"each sample is the p95 of {seconds:g} s of {_A_SECOND} requests a second. The asker and the provider stand for other machines: they are scheduled in real time, as the gateway is, so that what they wait for a processor does not count. With them in the crowd, it is {_said(among, _LOGGING)} (nothing logged: {_said(among, _BURNT)}); the provider without the gateway, out of the crowd: {_said(direct, _LOGGING)}. All requests: {told}. The {_LOGGERS} logged {logged:,.0f} metrics a second on {len(os.sched_getaffinity(0))} cores.",
        ),
    )  # fmt: skip


def _times(samples: dict[str, list[list[float]]], of: Callable[[list[float]], float]) -> dict[str, float]:
    """Return how many times the idle figure each is; of the medians of the rounds."""
    middle = {name: statistics.median(of(taken) for taken in rounds) for name, rounds in samples.items()}
    return {name: value / middle[_IDLE] for name, value in middle.items()}


def _said(samples: dict[str, list[list[float]]], name: str) -> str:
    return f"{_times(samples, statistics.median)[name]:.2f}× and {_times(samples, high)[name]:.2f}×"


@contextlib.contextmanager
def _apart(*pids: int) -> Iterator[None]:
    """Have processes scheduled in real time, as a gateway is, for the length of the block: they stand for other machines.

    Raises:
        PermissionError: this account may not.
    """
    for pid in pids:
        os.sched_setscheduler(pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:
        for pid in pids:
            os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


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
