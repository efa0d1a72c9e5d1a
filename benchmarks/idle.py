"""What the product costs while nothing happens, in processor time of all its processes."""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import websocket
from listing import fill
from measure import Entry
from rivals import RAY, SCHEDULER, Ray, Scheduler
from surroundings import JupyterServer, scratch, wait_until

_SERVICE = """
import os, time
from pathlib import Path
from snapml_lab.jobs.events import DIRECTORY, Reporter
Reporter(Path(os.environ[DIRECTORY]) / "events.jsonl").ready()
while True: time.sleep(3600)
"""


def idle_cpu(windows: int = 6, seconds: float = 10.0) -> Entry:
    """Sum the processor time of all that is ours over a minute, beside the rivals over the same minute."""
    from snapml_lab.jobs import queue
    from snapml_lab.jobs.model import State, Work
    from snapml_lab.tracking.record import Origin

    with contextlib.ExitStack() as stack:
        ws = stack.enter_context(scratch())
        fill(ws, 200)
        job = queue.submit(
            ws, Work("service", "idle", [sys.executable, "-c", _SERVICE], service=True), actor="bench", origin=Origin()
        )  # fmt: skip
        wait_until(lambda: queue.get(ws, job.id).state is State.RUNNING, "the service's readiness")
        server = stack.enter_context(JupyterServer(ws.project))
        plain = stack.enter_context(JupyterServer(_folder(stack), extensions={"snapml_server": False}))
        scheduler = stack.enter_context(Scheduler(_folder(stack)))
        ray = stack.enter_context(Ray())
        for one in (server, plain):
            stack.enter_context(contextlib.closing(_page(one)))
        keepers = _keepers(str(ws.root))
        assert keepers, "no keeper of the service was found"
        time.sleep(10)  # what starts settles
        samples: dict[str, list[float]] = {"ours": [], SCHEDULER: [], RAY: []}
        for _ in range(windows):
            begun = time.monotonic()
            groups = {
                "plain": [plain.process.pid], "ours": [server.process.pid, *keepers],
                SCHEDULER: [scheduler.process.pid], RAY: [process.pid for process in ray.processes()],
            }  # fmt: skip
            before = {name: cpu_seconds(pids) for name, pids in groups.items()}
            time.sleep(seconds)
            lasted = time.monotonic() - begun
            used = {name: (cpu_seconds(pids) - before[name]) / lasted * 100 for name, pids in groups.items()}
            samples["ours"].append(used["ours"] - used["plain"])
            samples[SCHEDULER].append(used[SCHEDULER] - used["plain"])
            samples[RAY].append(used[RAY])
        assert queue.get(ws, job.id).state is State.RUNNING
    ours = samples.pop("ours")
    mean = sum(ours) / len(ours)
    return Entry(
        "Idle: processor time, of one core", ours, samples,
        f"under 0.5 % over {windows * seconds:.0f} s; it is {mean:.2f} %", mean < 0.5, "python benchmarks/run.py idle_cpu",
        unit="%",
        notes=(
            f"ours: a Jupyter server with an open page's event socket and one idle service, with its {len(keepers)} keeping process(es), less a plain server beside it; jupyter-scheduler: its server less the same plain one, no job; Ray: its head, no job. All in the same minute.",
        ),
    )  # fmt: skip


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time of processes so far, to the nanosecond; of those gone, nothing."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(task.read_text().split()[0])
    return total / 1e9


def _keepers(root: str) -> list[int]:
    """Return the processes of ours that name a workspace on their command line: those that keep jobs."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if root in process.cmdline():
                found.append(process.pid)
    return found


def _page(server: JupyterServer) -> websocket.WebSocket:
    """Listen to events as an open page does; nobody reads them, and a minute's heartbeats fit the socket."""
    return websocket.create_connection(
        f"ws://127.0.0.1:{server.port}/api/events/subscribe", header=["Authorization: token benchmark"], timeout=10
    )  # fmt: skip


def _folder(stack: contextlib.ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory()))
