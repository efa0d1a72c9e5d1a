"""Who holds a GPU's memory: a job, an endpoint, a notebook's kernel, or another program. Standard library only."""

import os
import pwd
from typing import Literal, NamedTuple

from snapml_lab.jobs import processes
from snapml_lab.jobs.events import JOB

_SESSION = "JPY_SESSION_NAME"
"""Set by Jupyter for a kernel: the path of its notebook."""


class Holder(NamedTuple):
    """A process that holds memory: ``kernel`` with its id and notebook, ``job`` with its id, else ``process``."""

    pid: int
    kind: Literal["job", "kernel", "process"]
    job: str | None
    kernel: str | None
    notebook: str | None
    account: str | None
    command: str


def holder(pid: int) -> Holder:
    """Say whose a process is; a process of another account, or of another PID namespace, shows little of itself."""
    job = processes.variable(pid, JOB)
    words = processes.command_line(pid)
    kernel = None if job else _kernel(words)
    return Holder(
        pid=pid, kind="job" if job else "kernel" if kernel else "process", job=job, kernel=kernel,
        notebook=processes.variable(pid, _SESSION) if kernel else None, account=_account(pid),
        command=" ".join(words)[:200] or "a process that cannot be seen from here",
    )  # fmt: skip


def _kernel(words: list[str]) -> str | None:
    """Return the id of the Jupyter kernel that a command line starts (``-f …/kernel-ID.json``)."""
    for word in words:
        name = word.removeprefix("--f=").rpartition("/")[2]
        if name.startswith("kernel-") and name.endswith(".json"):
            return name.removeprefix("kernel-").removesuffix(".json")
    return None


def _account(pid: int) -> str | None:
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
