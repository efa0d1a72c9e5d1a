"""The same faults for ours and for jupyter-scheduler: what happens to a notebook's work, and what the list says of it.

The notebook's cell starts a child that forks twice and makes a session of its own, as daemons do; both beat into files.
"""

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import psutil
from measure import Outcomes
from rivals import SCHEDULER, Scheduler
from surroundings import JupyterServer, one_cell, scratch, wait_until

_CELL = """
import os, subprocess, sys, time
folder = {folder!r}
daemon = '''
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
open(sys.argv[1] + "/child.new", "w").write(str(os.getpid()))
os.rename(sys.argv[1] + "/child.new", sys.argv[1] + "/child.pid")
time.sleep(600)
'''
subprocess.run([sys.executable, "-c", daemon, folder], check=True)
open(folder + "/keeper.pid", "w").write(str(os.getppid()))
open(folder + "/kernel.pid", "w").write(str(os.getpid()))
end = time.time() + {seconds}
while time.time() < end:
    open(folder + "/beat", "w").write(repr(time.time()))
    time.sleep(0.1)
print("worked to", "its end")
"""
_SHORT, _LONG = 8.0, 300.0
_SETTLE_SECONDS = 12.0
_SUCCEEDED = ("succeeded", "COMPLETED")
_ENDED = (*_SUCCEEDED, "failed", "cancelled", "lost", "FAILED", "STOPPED")


class Outcome(NamedTuple):
    """What happened, and whether that is as it should be."""

    said: str
    good: bool


class Contender(Protocol):
    """Who runs notebooks, and can be asked about them."""

    server: JupyterServer

    def submit(self, notebook: Path) -> str:
        """Run a notebook; return the job's id."""

    def listed(self, job: str) -> str:
        """Return the state that the list shows."""

    def cancel(self, job: str) -> None:
        """Cancel a job as its page does."""

    def output(self, job: str) -> str:
        """Return the executed notebook, or nothing."""


class Ours:
    """Ours: the notebook is the only step of a pipeline."""

    def __init__(self, server: JupyterServer) -> None:
        self.server = server

    def submit(self, notebook: Path) -> str:
        """See :class:`Contender`."""
        flow = notebook.with_suffix(".yaml")
        flow.write_text(
            f"name: {notebook.stem}\nsteps:\n- name: only\n  notebook: {notebook.name}\n", "utf-8"
        )
        return str(self.server.command("pipeline run", file=flow.name, out="out")["id"])

    def listed(self, job: str) -> str:
        """See :class:`Contender`."""
        return next(str(one["state"]) for one in self.server.command("jobs list")["jobs"] if one["id"] == job)

    def cancel(self, job: str) -> None:
        """See :class:`Contender`."""
        self.server.command("jobs cancel", job=job, grace=2)

    def output(self, job: str) -> str:
        """See :class:`Contender`."""
        name = self.server.command("jobs show", job=job)["name"]
        return _text(self.server.root / "out" / name / "only.ipynb")


class Theirs:
    """jupyter-scheduler, as it comes."""

    def __init__(self, server: Scheduler) -> None:
        self.server: Scheduler = server

    def submit(self, notebook: Path) -> str:
        """See :class:`Contender`."""
        return self.server.submit(notebook)

    def listed(self, job: str) -> str:
        """See :class:`Contender`."""
        jobs = self.server.request("GET", "scheduler/jobs")["jobs"]
        return next(str(one["status"]) for one in jobs if one["job_id"] == job)

    def cancel(self, job: str) -> None:
        """See :class:`Contender`."""
        self.server.stop(job)

    def output(self, job: str) -> str:
        """See :class:`Contender`."""
        return "".join(_text(path) for path in (self.server.staging / job).glob("*-*.ipynb"))


class Trace:
    """What a notebook of this benchmark left: its processes, and whether it still works."""

    def __init__(self, folder: Path, name: str, seconds: float) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.notebook = one_cell(
            folder / f"{name}.ipynb", _CELL.format(folder=str(self.folder), seconds=seconds)
        )

    def begun(self) -> None:
        """Wait until it works, and know its processes from then on."""
        names = ("keeper", "kernel", "child")
        wait_until(lambda: all(_text(self.folder / f"{name}.pid") for name in names), "its processes", 120)
        wait_until(self.working, "the notebook's work", 60)
        self.processes = {name: psutil.Process(int(_text(self.folder / f"{name}.pid"))) for name in names}

    def working(self) -> bool:
        """Say whether its cell still runs."""
        with contextlib.suppress(ValueError):
            return time.time() - float(_text(self.folder / "beat")) < 1.0
        return False

    def alive(self) -> list[str]:
        """Name those of the kernel and its daemon that are still there."""
        return [name for name in ("kernel", "child") if _alive(self.processes[name])]

    def end(self) -> None:
        """End what is left of them."""
        for process in getattr(self, "processes", {}).values():
            with contextlib.suppress(psutil.Error):
                process.kill()


def faults() -> Outcomes:
    """Run the script against both."""
    with scratch() as ws, JupyterServer(ws.project) as server:
        mine = _script(Ours(server), ws.project)
    with tempfile.TemporaryDirectory() as folder, Scheduler(Path(folder)) as scheduler:
        theirs = _script(Theirs(scheduler), Path(folder))
    rows = [[what, mine[what].said, theirs[what].said] for what in mine]
    met = all(outcome.good for outcome in mine.values())
    return Outcomes(
        "Faults: what happened", ["what was done", "ours", SCHEDULER], rows,
        "ours: work outlives its server, the list is right, and a cancel leaves no process", met,
        "python benchmarks/run.py faults",
        notes=("the same notebook for both, submitted and cancelled through each server's REST; killed is `kill -9`.",),
    )  # fmt: skip


def _script(one: Contender, folder: Path) -> dict[str, Outcome]:
    return {
        "the server killed while a notebook runs, and started again": _outlives(one, folder),
        "the same, then the job cancelled": _cancelled(one, folder, "after", restart=True),
        "a running job cancelled, nothing killed": _cancelled(one, folder, "plainly", restart=False),
        "the process that runs the notebook killed": _bereft(one, folder),
    }


def _outlives(one: Contender, folder: Path) -> Outcome:
    with _trace(folder, "outlives", _SHORT) as trace:
        job = one.submit(trace.notebook)
        trace.begun()
        one.server.kill()
        time.sleep(1.5)
        went_on = trace.working()
        one.server.start()
        first = one.listed(job)
        state = _settled(one, job, _SHORT + 20)
        kept = "worked to its end" in one.output(job)
    work = "the work went on" if went_on else "the work died with it"
    said = f"{work}; listed {first} after the restart and {state} in the end; the executed notebook is {'kept' if kept else 'not there'}"
    return Outcome(said, went_on and kept and state in _SUCCEEDED)


def _cancelled(one: Contender, folder: Path, name: str, *, restart: bool) -> Outcome:
    with _trace(folder, name, _LONG) as trace:
        job = one.submit(trace.notebook)
        trace.begun()
        if restart:
            one.server.kill()
            one.server.start()
        one.cancel(job)
        return _cleared(one, job, trace)


def _bereft(one: Contender, folder: Path) -> Outcome:
    with _trace(folder, "bereft", _LONG) as trace:
        job = one.submit(trace.notebook)
        trace.begun()
        os.kill(trace.processes["keeper"].pid, signal.SIGKILL)
        return _cleared(one, job, trace)


def _cleared(one: Contender, job: str, trace: Trace) -> Outcome:
    """Say what is listed of a job that should be over, and what is left of it."""
    state = _settled(one, job, _SETTLE_SECONDS)
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: not trace.alive(), "the tree's end", _SETTLE_SECONDS / 2)
    alive = trace.alive()
    names = {"kernel": "the kernel, still at work", "child": "the daemon it started"}
    left = (
        f"left alive: {' and '.join(names[name] for name in alive)}" if alive else "no process of it is left"
    )
    return Outcome(f"listed {state}; {left}", state in _ENDED and not alive)


def _settled(one: Contender, job: str, timeout: float) -> str:
    """Wait for an end to be listed, and return what is listed then."""
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: one.listed(job) in _ENDED, "an end", timeout, 0.2)
    state = one.listed(job)
    return state if state in _ENDED else f"{state} still, {timeout:.0f} s later"


@contextlib.contextmanager
def _trace(folder: Path, name: str, seconds: float) -> Iterator[Trace]:
    trace = Trace(folder, name, seconds)
    try:
        yield trace
    finally:
        trace.end()


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
