"""The local executor: a shim of its own session on this machine. After a restart of everything else: ``reattach``."""

import os
import subprocess
import sys
from pathlib import Path

from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.processes import SHIM
from snapml_lab.workspace import Workspace

AFTER_RESTART = "reattach"

_SHIM = Path(__file__).resolve().parents[1] / "shim.py"


def start(ws: Workspace, job: str, folder: JobFolder, lock: int) -> None:
    """Start the shim of a job and hand it the lock; it detaches, so nothing of ours is its parent."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("SNAPML_")}
    with folder.shim_log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SHIM), str(ws.root), job, str(lock)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(lock,), start_new_session=True, cwd="/",
            env={**own, SHIM: job},
        )  # fmt: skip
    process.wait()
