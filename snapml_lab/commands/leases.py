"""Commands about what this machine has, who holds it, and freeing it."""

import os
import signal
import time
from typing import Annotated

from pydantic import Field

from snapml_lab.commands.core import command
from snapml_lab.errors import ConflictError, NotAllowedError, NotFoundError
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import grants, holdings, processes, queue
from snapml_lab.jobs.holdings import LeasesView
from snapml_lab.jobs.tick import tick
from snapml_lab.workspace import Workspace

_FREED_SECONDS = 5.0


@command("leases show", effect=Effect.READ)
def show(ws: Workspace) -> LeasesView:
    """Show processors, memory and GPUs: what jobs have leased, what is used, and by whom."""
    return holdings.holdings(ws)


@command("leases free", effect=Effect.EXECUTE)
def free(
    ws: Workspace, process: Annotated[int, Field(ge=2)], *, grace: Annotated[float, Field(ge=0, le=600)] = 10.0
) -> LeasesView:  # fmt: skip
    """Free the GPU memory that a process holds: a job is cancelled, a notebook's kernel ends (Jupyter starts it anew).

    Args:
        process: its number, as leases show tells it.
        grace: seconds between asking (SIGTERM) and killing (SIGKILL).
    """
    started = processes.start_ticks(process)
    found = grants.look(ws)
    use = next((use for use in found.uses if use.holder.pid == process), None)
    if use is None:
        raise NotFoundError(
            f"Process {process} holds no memory of a GPU.", fix="See who does: snapml leases show"
        )
    try:
        job = queue.get(ws, use.holder.job) if use.holder.job else None
    except NotFoundError:  # of another workspace
        job = None
    if job is not None and not job.ended:
        queue.cancel(ws, job.id, grace=grace)
        queue.wait(ws, job, timeout=grace + 30)
    else:
        _end(process, started, grace)
    deadline = time.monotonic() + _FREED_SECONDS
    while time.monotonic() < deadline and _holds(ws, process):
        time.sleep(0.1)
    tick(ws)
    return holdings.holdings(ws)


def _holds(ws: Workspace, process: int) -> bool:
    return any(use.holder.pid == process for use in grants.look(ws).uses)


def _end(pid: int, started: int | None, grace: float) -> None:
    """Ask a process to end, then kill it.

    Raises:
        NotAllowedError: it is another account's.
        ConflictError: it is in another container, or already gone, though the driver still counts its memory.
    """
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
    except FileNotFoundError as error:
        raise ConflictError(
            f"Process {pid} cannot be seen from here: it is in another container, or gone.",
            fix="Free it where it runs; memory of a process that is gone comes back when the driver lets go of it.",
        ) from error
    if os.getuid() not in (0, owner):
        raise NotAllowedError(f"Process {pid} belongs to another account.", fix="Ask its owner to free it.")
    processes.signal_exactly(pid, started, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while processes.same(pid, started):
        if time.monotonic() > deadline:
            processes.signal_exactly(pid, started, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(0.05)
