"""Commands about jobs."""

import time
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from snapml_lab.commands.core import Surface, command
from snapml_lab.commands.types import JobId, Limit, Seconds
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import logs as log_files
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import State
from snapml_lab.jobs.tick import held_up, since_tick
from snapml_lab.jobs.view import JobList, JobView, LogPage
from snapml_lab.workspace import Workspace

_FOLLOW_SECONDS = 0.2
_STILL_SECONDS = 20.0


@command("jobs list", effect=Effect.READ)
def list_jobs(ws: Workspace, *, limit: Limit = 100, state: State | None = None) -> JobList:
    """List jobs, newest first.

    Args:
        limit: how many at most.
        state: only those in this state.
    """
    revision = ws.ledger.revision()
    found = queue.latest(ws, state=state, limit=limit)
    note = None
    if any(job.state is State.QUEUED for job in found) and since_tick(ws) > _STILL_SECONDS:
        note = held_up(ws) or "Nothing is alive to move the queue: open JupyterLab, or run: snapml up"
    return JobList(
        jobs=[JobView.of(job) for job in found], total=queue.count(ws), revision=revision, note=note
    )


@command("jobs show", effect=Effect.READ)
def show(ws: Workspace, job: JobId) -> JobView:
    """Show one job.

    Args:
        job: its id, the end of it, its name, or last.
    """
    return JobView.of(queue.get(ws, job))


@command("jobs cancel", effect=Effect.EXECUTE)
def cancel(ws: Workspace, job: JobId, *, grace: Annotated[float, Field(ge=0, le=3600)] = 10.0) -> JobView:
    """Stop a job with all its processes, and the jobs it submitted.

    Args:
        job: its id, the end of it, its name, or last.
        grace: seconds between asking (SIGTERM) and killing (SIGKILL).
    """
    return JobView.of(queue.cancel(ws, job, grace=grace))


@command("jobs priority", effect=Effect.EXECUTE)
def priority(ws: Workspace, job: JobId, priority: Annotated[int, Field(ge=-1000, le=1000)]) -> JobView:
    """Let a queued job go before, or after, others.

    Args:
        job: its id, the end of it, its name, or last.
        priority: higher goes first; 0 is usual.
    """
    return JobView.of(queue.prioritise(ws, job, priority))


@command("jobs wait", effect=Effect.READ, surfaces=frozenset({Surface.MAGIC, Surface.CLI, Surface.PYTHON}))
def wait(ws: Workspace, job: JobId, *, timeout: Seconds = 86_400.0) -> JobView:
    """Wait until a job ends.

    Args:
        job: its id, the end of it, its name, or last.
        timeout: seconds to wait at most; the job goes on.
    """
    found = queue.get(ws, job)
    try:
        return JobView.of(queue.wait(ws, found, timeout=timeout))
    except TimeoutError:
        return JobView.of(queue.get(ws, found.id))


@command("jobs logs", effect=Effect.READ)
def logs(
    ws: Workspace, job: JobId, *, offset: int = 0, limit: Annotated[int, Field(ge=1, le=1 << 24)] = 1 << 20
) -> LogPage:
    """Show what a job printed, both streams as they came.

    Args:
        job: its id, the end of it, its name, or last.
        offset: byte to start at; negative counts from the end.
        limit: bytes at most.
    """
    found = queue.get(ws, job)
    page = log_files.read(JobFolder(ws.jobs / found.id), offset, limit, final=found.ended)
    ended = found.ended and page.next_offset >= page.total
    return LogPage(
        job=found.id, content=page.text, offset=page.offset, next_offset=page.next_offset, ended=ended
    )


@command("jobs follow", effect=Effect.READ, surfaces=frozenset({Surface.MAGIC, Surface.CLI, Surface.PYTHON}))
def follow(ws: Workspace, job: JobId) -> Iterator[str]:
    """Print what a job prints, as it comes, until it ends.

    Args:
        job: its id, the end of it, its name, or last.
    """
    found = queue.get(ws, job)
    offset = 0
    while True:
        page = logs(ws, found.id, offset=offset)
        offset = page.next_offset
        if page.content:
            yield page.content
        if page.ended:
            return
        if page.next_offset == page.offset:
            time.sleep(_FOLLOW_SECONDS)
