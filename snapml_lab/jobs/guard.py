"""The guard: the process above a shim. It does nothing but wait, and sweep if the shim is killed. Standard library only.

A killed process's orphans go to the nearest subreaper above it: so even what shed its environment and its session is
found here, and the job's lock is held until it is gone.
"""

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path

from snapml_lab.jobs import processes
from snapml_lab.jobs.containment import EMPTY_LOOKS, childless, end_cgroup, reap
from snapml_lab.jobs.folder import JobFolder, pipes, read_exit
from snapml_lab.store.files import read_json

_SWEEP_SECONDS = 10.0


def guard(root: Path, job: str, lock: int, shim: int) -> None:
    """Wait for ``shim`` to end; where it left no exit record, end its payload's tree, let go of the job, and tick."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        try:
            ended, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return
        if ended == shim:
            break
    folder = JobFolder(root / "jobs" / job)
    if status == 0 and read_exit(folder) is not None:
        return
    sweep(job, folder)
    fcntl.flock(lock, fcntl.LOCK_UN)
    from snapml_lab.jobs.tick import tick
    from snapml_lab.workspace import Workspace

    if root.is_dir():  # else it was moved or removed meanwhile, and is not made anew here
        with contextlib.suppress(Exception):  # the next tick, from wherever it comes, settles the job as well
            tick(Workspace(root))


def sweep(job: str, folder: JobFolder) -> None:
    """End all that is left of a payload's tree below this process, in its cgroup, or bearing its nonce."""
    nonce, written = (read_json(folder.launch) or {}).get("nonce"), pipes(folder)
    deadline = time.monotonic() + _SWEEP_SECONDS
    empty = 0
    while empty < EMPTY_LOOKS and time.monotonic() < deadline:
        end_cgroup(job, folder.cgroup)
        left = {*processes.descendants(os.getpid()), *processes.bearing(nonce, written)}
        processes.kill_all(list(left))
        reap(except_for=0)
        if not left and childless():
            return
        empty = 0 if left else empty + 1
        time.sleep(0.01)
