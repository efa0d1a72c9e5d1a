"""The gateway's answers while eight processes log as fast as they can, beside eight that only take the processors."""

import asyncio
import contextlib
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import Entry, high
from rivals import OURS
from surroundings import scratch, wait_until

_NAME = "mock"
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
_GATEWAY = """
import sys
from pathlib import Path
from snapml_lab.gateway import app
from snapml_lab.jobs.events import Reporter
app.run({"port": int(sys.argv[1])}, Reporter(Path(sys.argv[2])))
"""
_IDLE, _BURNT = "idle", "8 processes that take the processors and log nothing"
_LOGGING = OURS


def gateway_busy(rounds: int = 6, seconds: float = 5.0) -> Entry:
    """Time requests at a fixed rate through the gateway: nothing else at work, loggers at work, burners at work, in turns."""
    samples: dict[str, list[float]] = {_IDLE: [], _LOGGING: [], _BURNT: []}
    every: dict[str, list[float]] = {name: [] for name in samples}
    logged = 0.0
    chance = random.Random(0)
    with _gateway() as (ws, port, key):
        _asked(port, key, 1.0)
        for index in range(rounds):
            for name in chance.sample(list(samples), len(samples)):
                with _at_work(ws, name, f"{index}"):
                    before = _lines(ws)
                    taken = _asked(port, key, seconds)
                    if name == _LOGGING:
                        logged += (_lines(ws) - before) / seconds / rounds
                samples[name].append(high(taken))
                every[name] += taken
    idle, logging, burning = (statistics.median(samples[name]) for name in (_IDLE, _LOGGING, _BURNT))
    worse, control = logging / idle, burning / idle
    told = "; ".join(
        f"{'8 loggers' if name == _LOGGING else name}: p50 {statistics.median(found):.2f}, p95 {high(found):.2f}, the longest {max(found):.1f} ms"
        for name, found in every.items()
    )
    return Entry(
        f"The gateway's p95 while {_LOGGERS} processes log as fast as they can", samples.pop(_LOGGING), samples,
        f"no worse than 1.5× of idle; it is {worse:.2f}× (the processors taken, nothing logged: {control:.2f}×)",
        worse <= 1.5, "python benchmarks/run.py gateway_busy",
        notes=(
            f"each sample is the p95 of {seconds:g} s of {_A_SECOND} requests a second, an engine that answers at once behind it; a request counts from when it was due, so that its asker and the engine waiting for a processor count, too. All requests: {told}. The {_LOGGERS} logged {logged:,.0f} metrics a second on {len(os.sched_getaffinity(0))} cores. What the burners cost, the processors cost; what the loggers cost more than they, the ledger does: {logging / burning:.2f}×.",
        ),
    )  # fmt: skip


@contextlib.contextmanager
def _gateway() -> Iterator[tuple[Any, int, str]]:
    """Give a workspace, the port of its gateway with one model behind it, and a key."""
    from snapml_lab.governance import keys
    from snapml_lab.registry import deployments

    with scratch() as ws, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        deployments.declare(ws, deployments.single(_NAME, f"{_NAME}@1", "transformers", "chat", "inner"))
        _, key = keys.create(ws, "bench")
        place = deployments.socket_path(ws, _NAME)
        place.unlink(missing_ok=True)
        here = Path(__file__).with_name("engine.py")
        variables = {**os.environ, "SNAPML_WORKSPACE": str(ws.project)}
        with _process([sys.executable, str(here), str(place)], variables) as engine:
            assert engine.stdout is not None
            assert engine.stdout.readline() == "up\n"
            events = ws.project / "gateway.jsonl"
            with _process([sys.executable, "-c", _GATEWAY, str(port), str(events)], variables):
                wait_until(lambda: events.exists() and "ready" in events.read_text(), "the gateway")
                yield ws, port, key


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


def _asked(port: int, key: str, seconds: float) -> list[float]:
    """Return how long each request took from when it was due, in milliseconds; one that is slow keeps no other waiting."""
    return asyncio.run(_ask(port, key, seconds))


async def _ask(port: int, key: str, seconds: float) -> list[float]:
    from aiohttp import ClientSession, TCPConnector

    body = {"model": _NAME, "messages": [{"role": "user", "content": "well?"}]}
    headers = {"Authorization": f"Bearer {key}"}
    begun = time.perf_counter() + 0.1

    async def one(number: int) -> float:
        due = begun + number / _A_SECOND
        await asyncio.sleep(due - time.perf_counter())
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        async with session.post(url, json=body, headers=headers) as answer:
            content = await answer.read()
            assert answer.status == 200, content
        return (time.perf_counter() - due) * 1000

    async with ClientSession(connector=TCPConnector(limit=0)) as session:
        return list(await asyncio.gather(*map(one, range(int(seconds * _A_SECOND)))))


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
