"""Waiting for the job a command submitted, with its picture, and what an interrupt or a failure then means."""

from collections.abc import Callable

from snapml_lab import errors
from snapml_lab.commands.core import Command
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Job, State
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
        raise errors.DetachedError(
            f"detached from job {job.id}, which goes on.",
            fix=f"See it: %snapml jobs show {job.id[-6:]}   Stop it: %snapml jobs cancel {job.id[-6:]}",
        ) from None
    if job.state is not State.SUCCEEDED:
        raise failure(job)
    return picture(ws, job)


def failure(job: Job) -> errors.SnapmlError:
    """Return the error that says why a job did not succeed."""
    if job.error_code in errors.FAMILY:
        fields = {"code": job.error_code, "message": job.error_message or "", "fix": job.error_fix or ""}
        return errors.from_dict(fields)
    if job.state is State.CANCELLED:
        return errors.JobFailedError(
            f"Job {job.id} was cancelled.", fix="Run the command again to start anew."
        )
    return errors.JobFailedError(
        f"Job {job.id} ({job.name}) {job.state}: {job.error_message}", fix=job.error_fix or ""
    )
