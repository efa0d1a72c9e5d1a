"""All services behind a deployment: those of each of its models, each replica. Started, found, stopped."""

import contextlib

from snapml_lab import errors
from snapml_lab.engines import base, services
from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.store.files import read_json
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace


def has_own(target: Target) -> bool:
    """Say whether a target has services of its own: a provider's model has none, nor what another engine serves, too."""
    return target.on is None and base.of(target.engine).local


def named(deployment: Deployment, target: Target) -> list[str]:
    """Return the names of a target's services."""
    if not has_own(target):
        return []
    return [
        deployments.service_name(deployment.name, target, number)
        for number in range(1, target.replicas + 1)
    ]  # fmt: skip


def alive(ws: Workspace, deployment: Deployment, target: Target) -> list[Job]:
    """Return the living services of a target."""
    found = (services.live(ws, services.ENDPOINT, name) for name in named(deployment, target))
    return [job for job in found if job is not None]


def every(ws: Workspace, name: str) -> list[Job]:
    """Return all living services behind a name, also those that are not declared (any more)."""
    rows = ws.ledger.rows(
        "SELECT * FROM jobs WHERE kind = ? AND (name = ? OR substr(name, 1, ?) = ?)"
        " AND state IN ('queued', 'starting', 'running', 'stopping') ORDER BY id",
        services.ENDPOINT, name, len(name) + 1, f"{name}/",
    )  # fmt: skip
    return [Job.of(row) for row in rows]


def start(ws: Workspace, deployment: Deployment, target: Target, *, actor: str, origin: Origin) -> list[Job]:
    """Start those of a target's services that are not alive; return all of them."""
    found = []
    for number, name in enumerate(named(deployment, target), 1):
        job = services.live(ws, services.ENDPOINT, name)
        found.append(job or services.start(ws, deployment, target, number, actor=actor, origin=origin))
    return found


def stop(ws: Workspace, deployment: Deployment, target: Target) -> None:
    """Stop a target's services and see their processes gone."""
    for name in named(deployment, target):
        if job := services.live(ws, services.ENDPOINT, name):
            end(ws, job)
        with contextlib.suppress(OSError):
            deployments.socket_path(ws, name).unlink(missing_ok=True)


def stop_every(ws: Workspace, name: str) -> None:
    """Stop all services behind a name."""
    for job in every(ws, name):
        end(ws, job)
        with contextlib.suppress(OSError):
            deployments.socket_path(ws, job.name).unlink(missing_ok=True)


def end(ws: Workspace, job: Job) -> None:
    """Stop a service.

    Raises:
        ConflictError: a process of it is still there.
    """
    services.stop(ws, job)
    launch = read_json(JobFolder(ws.jobs / job.id).launch) or {}
    if left := processes.bearing(str(launch.get("nonce"))):
        raise errors.ConflictError(
            f"{job.name} left processes: {left}.", fix="Look at them with ps, and end them by hand."
        )
    assert queue.get(ws, job.id).ended
