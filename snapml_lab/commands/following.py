"""Waiting for the job a command submitted, with its picture, and what an interrupt or a failure then means."""

from collections.abc import Callable

from snapml_lab.commands.core import Command
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Job, State
from snapml_lab.jobs.results import detached, failure
from snapml_lab.views.base import View
from snapml_lab.workspace import Workspace


def follow(
    ws: Workspace, command: Command, job_id: str, show: Callable[[View, Job], None] | None = None
) -> View:
    """Wait for a job, showing its picture at each change, and return the final one.

    Raises:
        DetachedError: the wait was interrupted; the job goes on.
        SnapmlError: the job did not succeed; the error is the job's own.
    """
    picture = command.picture
    assert picture is not None

    def on_change(job: Job) -> None:
        if show is not None:
            show(picture(ws, job), job)

    job = queue.get(ws, job_id)
    try:
        job = queue.wait(ws, job, on_change)
    except KeyboardInterrupt:
        raise detached(job) from None
    if job.state is not State.SUCCEEDED:
        raise failure(job)
    return picture(ws, job)
