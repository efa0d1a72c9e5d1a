"""The local executor: a shim of its own session on this machine. After a restart of everything else: ``reattach``."""

import os
import subprocess
import sys
from pathlib import Path

from snapml_lab.jobs.events import ATTEMPT
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.gpus import binding
from snapml_lab.jobs.model import Job
from snapml_lab.jobs.processes import BINDING, DEVICES, SHIM
from snapml_lab.workspace import Workspace

AFTER_RESTART = "reattach"

_DETACH_SECONDS = 5.0
_SHIM = Path(__file__).resolve().parents[1] / "shim.py"


def start(ws: Workspace, job: Job, folder: JobFolder, lock: int, devices: tuple[str, ...] = ()) -> None:
    """Start the shim of a job and hand it the lock; it detaches, so nothing of ours is its parent."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("SNAPML_")}
    told = {
        SHIM: job.id, ATTEMPT: str(job.attempt), DEVICES: ",".join(devices), BINDING: binding() or "",
    }  # fmt: skip
    with folder.shim_log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SHIM), str(ws.root), job.id, str(lock)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(lock,), start_new_session=True, cwd="/",
            env={**own, **told},
        )  # fmt: skip
    try:
        process.wait(_DETACH_SECONDS)
    except subprocess.TimeoutExpired:  # stopped, or starved: it has not begun, and the next tick tries again
        process.kill()
        process.wait()
