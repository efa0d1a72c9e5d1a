"""Commands about deployments and their endpoints."""

from html import escape
from typing import Annotated

from pydantic import Field

from snapml_lab.commands.core import command
from snapml_lab.commands.types import Completes
from snapml_lab.engines import adapters, idle, replicas, services
from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs.model import Job, State
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Deployment
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

DeploymentName = Annotated[
    str, Completes("deployments"), Field(min_length=1, description="a deployment's name")
]


class Endpoint(View):
    """A deployment and how it is: ``state`` is its service's; ``stopped`` where it has none, ``asleep`` where it has none until it is asked."""

    name: str
    model: str
    engine: str
    task: str
    state: str
    message: str | None
    restarts: int
    url: str | None
    job: str | None

    def text(self) -> str:
        """One line, and where it is asked."""
        again = f", started again {self.restarts}×" if self.restarts else ""
        lines = [f"{self.name}: {self.model} by {self.engine}, {self.state}{again}"]
        if self.message and self.state != "running":
            lines.append(f"  {self.message}")
        if self.url is not None and self.state == "running":
            lines.append(f"  behind {self.url}")
        return "\n".join(lines)

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        return [
            self.name,
            self.model,
            self.engine,
            self.state,
            self.message or "",
            str(self.restarts),
            self.url or "",
        ]


class EndpointList(View):
    """All deployments, and the gateway's state."""

    endpoints: list[Endpoint]
    gateway: str
    url: str | None

    def text(self) -> str:
        """A table."""
        if not self.endpoints:
            return "Nothing is deployed. Deploy a model: snapml deploy MODEL"
        return "\n".join([text_table(_HEADER, [item.row() for item in self.endpoints]), self._gateway()])

    def html(self) -> str:
        """A table."""
        if not self.endpoints:
            return super().html()
        return framed(
            html_table(_HEADER, [item.row() for item in self.endpoints]),
            f"<div class=dim>{escape(self._gateway())}</div>",
        )

    def _gateway(self) -> str:
        return f"gateway: {self.gateway}" + (f" at {self.url}" if self.url else "")


_HEADER = ["name", "model", "engine", "state", "", "restarts", "gateway"]


@command("undeploy", effect=Effect.EXECUTE)
def undeploy(ws: Workspace, name: DeploymentName | None = None, *, gateway: bool = False) -> EndpointList:
    """Stop a deployment and see its processes gone; with --gateway the gateway, too.

    Args:
        name: the deployment.
        gateway: stop the gateway.
    """
    if name is None and not gateway:
        raise InvalidInputError.of("name", name, "a deployment's name, or --gateway")
    if name is not None:
        withdraw(ws, name)
    if gateway:
        stop_gateway(ws)
    return list_endpoints(ws)


@command("endpoints list", effect=Effect.READ)
def list_endpoints(ws: Workspace) -> EndpointList:
    """List deployments and how each is."""
    job = services.live(ws, services.GATEWAY, services.GATEWAY)
    return EndpointList(
        endpoints=[endpoint(ws, deployment) for deployment in deployments.every(ws)],
        gateway=job.state if job else "stopped", url=services.base_url(ws) if job else None,
    )  # fmt: skip


def endpoint(ws: Workspace, deployment: Deployment) -> Endpoint:
    """Return a deployment and how it is: how its standing model's services are."""
    job = _worst(ws, deployment)
    gateway = services.live(ws, services.GATEWAY, services.GATEWAY)
    return Endpoint(
        name=deployment.name, model=deployment.model, engine=deployment.engine, task=deployment.task,
        state=_state(ws, deployment, job, gateway), message=_doing(job), restarts=job.restarts if job else 0,
        url=services.base_url(ws) if gateway else None, job=job.id if job else None,
    )  # fmt: skip


_ORDER = (State.STARTING, State.QUEUED, State.STOPPING, State.RUNNING)


def _worst(ws: Workspace, deployment: Deployment) -> Job | None:
    """Return the job of the standing model that is furthest from answering; of an adapter, its base's."""
    target = deployment.target
    if target.on is not None:
        try:
            return _worst(ws, deployments.get(ws, target.on))
        except NotFoundError:
            return None
    return min(replicas.alive(ws, deployment, target), key=lambda job: _ORDER.index(job.state), default=None)


def _state(ws: Workspace, deployment: Deployment, job: Job | None, gateway: Job | None) -> str:
    if job is not None:
        return job.state
    if deployment.target.on is None and not replicas.has_own(deployment.target):
        return gateway.state if gateway else "stopped"
    return "asleep" if idle.asleep(ws, deployment, deployment.target) else "stopped"


def _doing(job: Job | None) -> str | None:
    if job is not None and job.state is State.QUEUED and job.waiting_for:
        return f"waits for {job.waiting_for}"
    return job.message if job else None


def withdraw(ws: Workspace, name: str) -> None:
    """Take a deployment out of the catalog, so that nothing more is sent to it, and stop its services.

    Raises:
        NotFoundError: there is none.
        ConflictError: its engine serves other deployments, too.
    """
    guests = [
        item.name for item in deployments.every(ws) if any(target.on == name for target in item.targets)
    ]
    if guests:
        raise ConflictError(
            f"The engine of {name!r} serves {', '.join(guests)}, too.",
            fix=f"First: snapml undeploy {guests[0]}",
        )
    known = deployments.get(ws, name)
    deployments.withdraw(ws, name)
    replicas.stop_every(ws, name)
    for target in known.targets:
        adapters.let_go(ws, target)


def stop_gateway(ws: Workspace) -> None:
    """Stop the gateway, if it is alive."""
    if job := services.live(ws, services.GATEWAY, services.GATEWAY):
        replicas.end(ws, job)
