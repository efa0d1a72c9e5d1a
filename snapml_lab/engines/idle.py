"""Scale to zero: services that nobody asks for are stopped, and started again by the next request.

The gateway knows when each deployment was last asked; what to do about it is decided here. Nothing blocks but
:func:`wake`, which holds a lock while it starts what is missing.
"""

from collections.abc import Iterator, Mapping

from snapml_lab.engines import replicas, services
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job, State
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.store.files import locked
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

_GRACE_SECONDS = 5.0
_STOPPING_SECONDS = 60.0


def due(deployment: Deployment, now: float, last_request: float | None, ready_since: float) -> bool:
    """Say whether a deployment has been idle for as long as it may be.

    Args:
        deployment: the deployment.
        now: seconds since the epoch.
        last_request: when it was last asked, or last answered where that was later; None: not since one knows.
        ready_since: when its youngest service became what it is: one just started has its whole time before it.
    """
    if deployment.idle_seconds is None:
        return False
    return now - max(last_request or 0.0, ready_since) >= deployment.idle_seconds


def stop_idle(ws: Workspace, now: float, last_request: Mapping[str, float]) -> list[Job]:
    """Ask the services of idle deployments to stop, and return them; does not wait for their end.

    Args:
        ws: the workspace.
        now: seconds since the epoch.
        last_request: by deployment, when it was last asked. One with a request that is not settled is not idle; nor one
            whose service is not ready yet, or serves adapters under other names that were asked.
    """
    found = []
    declared = deployments.every(ws)
    for deployment in declared:
        jobs = [job for target in deployment.targets for job in replicas.alive(ws, deployment, target)]
        if not jobs or any(job.state is not State.RUNNING for job in jobs):
            continue
        names = [deployment.name, *_guests(declared, deployment.name)]
        last = max((last_request[name] for name in names if name in last_request), default=None)
        since = max(_ready_since(ws, job) for job in jobs)
        if due(deployment, now, last, since) and not _asked_now(ws, names):
            found += [queue.cancel(ws, job.id, grace=_GRACE_SECONDS) for job in jobs]
    return found


def asleep(ws: Workspace, deployment: Deployment, target: Target) -> bool:
    """Say whether a target was stopped for want of requests: then :func:`wake` brings it back."""
    if deployment.idle_seconds is None or not replicas.has_own(target):
        return False
    jobs = replicas.alive(ws, deployment, target)
    return all(job.state is State.STOPPING for job in jobs)


def wake(ws: Workspace, deployment: Deployment, target: Target) -> Job:
    """Start a target's services again, and return the first; of several who ask at once one starts it, and all get that.

    Does not wait until it is ready. What is on its way out is waited for first, for the new one needs its socket and memory.

    Raises:
        NotFoundError: the deployment was withdrawn meanwhile.
    """
    with locked(ws.root / "wake.lock"):
        deployments.get(ws, deployment.name)
        for job in replicas.alive(ws, deployment, target):
            if job.state is State.STOPPING:
                queue.wait(ws, job, timeout=_STOPPING_SECONDS)
        actor, origin = _before(ws, deployment, target)
        return replicas.start(ws, deployment, target, actor=actor, origin=origin)[0]


def _guests(declared: list[Deployment], name: str) -> Iterator[str]:
    """Return the deployments that another one's engine serves, too."""
    for item in declared:
        if any(target.on == name for target in item.targets):
            yield item.name


def _ready_since(ws: Workspace, job: Job) -> float:
    """Return when a running service last spoke, which is when it said that it was ready."""
    try:
        return JobFolder(ws.jobs / job.id).events.stat().st_mtime
    except OSError:
        return job.started_at or job.submitted_at


def _asked_now(ws: Workspace, names: list[str]) -> bool:
    marks = ", ".join("?" * len(names))
    row = ws.ledger.row(
        f"SELECT 1 FROM requests WHERE state = 'open' AND deployment IN ({marks}) LIMIT 1", *names
    )
    return row is not None


def _before(ws: Workspace, deployment: Deployment, target: Target) -> tuple[str, Origin]:
    """Return who started its service last, and from where: who asks it now did not deploy it."""
    row = ws.ledger.row(
        "SELECT actor, notebook, cell_id FROM jobs WHERE kind = ? AND name = ? ORDER BY id DESC LIMIT 1",
        services.ENDPOINT, replicas.named(deployment, target)[0],
    )  # fmt: skip
    if row is None:
        return "", Origin()
    return str(row["actor"]), Origin(notebook=row["notebook"], cell_id=row["cell_id"])
