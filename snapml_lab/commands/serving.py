"""Commands about deployments and their endpoints."""

import contextlib
from dataclasses import replace
from html import escape
from typing import Annotated, Literal

from pydantic import Field

from snapml_lab.commands.core import Call, command
from snapml_lab.commands.types import Completes, GpuMemory, ModelRef
from snapml_lab.engines import services
from snapml_lab.errors import ConflictError, InvalidInputError, MissingExtraError, NotFoundError
from snapml_lab.finetune import base
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import gpus as devices
from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job, State
from snapml_lab.registry import deployments, footprint, model_file, versions
from snapml_lab.registry.deployments import Deployment
from snapml_lab.store.files import locked, read_json
from snapml_lab.tracking import provenance
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

DeploymentName = Annotated[
    str, Completes("deployments"), Field(min_length=1, description="a deployment's name")
]
Port = Annotated[int, Field(ge=1, le=65_535)]


class Endpoint(View):
    """A deployment and how it is: ``state`` is its service's (``stopped`` where it has none)."""

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
        """One line, and how to ask it."""
        again = f", started again {self.restarts}×" if self.restarts else ""
        lines = [f"{self.name}: {self.model} by {self.engine}, {self.state}{again}"]
        if self.message and self.state != "running":
            lines.append(f"  {self.message}")
        return "\n".join([*lines, *self._snippet()])

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

    def _snippet(self) -> list[str]:
        if self.url is None or self.state != "running":
            return []
        if self.task != "chat":
            return [f"  POST {self.url}/v2/models/{self.name}/infer   key: snapml keys create NAME"]
        return [
            f"  %%snapml ask --model {self.name}",
            f'  OpenAI(base_url="{self.url}/v1", api_key=…)   key: snapml keys create NAME',
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


@command("deploy", effect=Effect.EXECUTE)
def deploy(
    ws: Workspace,
    model: ModelRef,
    *,
    name: str | None = None,
    port: Port | None = None,
    gpus: Annotated[int, Field(ge=0, le=1)] | None = None,
    gpu_memory: GpuMemory | None = None,
    give_way: bool = False,
    wait: bool = True,
    call: Call,
) -> Endpoint:
    """Serve a model, classic or LLM, behind the gateway; ready once a real request has come back.

    Args:
        model: a model version, sample, a folder, or a hub's id.
        name: what callers name it by; default: the model's name.
        port: the gateway's port on this machine, where it is not alive yet; default: 8765, or a free one.
        gpus: GPUs it waits for; default: one where there is one, for an LLM.
        gpu_memory: MiB of it, as 8000 or 8GiB; default: as predicted, the whole device where that cannot be.
        give_way: stop for training that needs its GPU, and come back after.
        wait: wait until it is ready, or is seen to wait for room; --no-wait returns at once.
    """
    _need("aiohttp")
    deployment = _placed(_plan(ws, model, name), gpus, gpu_memory, give_way=give_way)
    origin = provenance.complete(ws, call.origin)
    with locked(ws.root / "deploy.lock"):  # of two that deploy the same name at once, one is told
        if services.live(ws, services.ENDPOINT, deployment.name):
            raise ConflictError(
                f"{deployment.name!r} is deployed.",
                fix=f"Choose --name, or stop it: snapml undeploy {deployment.name}",
            )
        fresh = services.live(ws, services.GATEWAY, services.GATEWAY) is None
        gateway = services.start_gateway(ws, port, actor=call.actor, origin=origin)
        deployments.declare(ws, deployment)
        try:
            job = services.start(ws, deployment, actor=call.actor, origin=origin)
        except Exception:
            _undo(ws, deployment, gateway=fresh)
            raise
    if wait:
        try:
            services.wait_ready(ws, gateway)
            services.wait_ready(ws, job)
        except Exception:
            _undo(ws, deployment, gateway=fresh)
            raise
    return _endpoint(ws, deployment)


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
        deployments.get(ws, name)
        _withdraw(ws, name)
    if gateway:
        _stop(ws, services.GATEWAY, services.GATEWAY)
    return list_endpoints(ws)


@command("endpoints list", effect=Effect.READ)
def list_endpoints(ws: Workspace) -> EndpointList:
    """List deployments and how each is."""
    job = services.live(ws, services.GATEWAY, services.GATEWAY)
    return EndpointList(
        endpoints=[_endpoint(ws, deployment) for deployment in deployments.every(ws)],
        gateway=job.state if job else "stopped", url=services.base_url(ws) if job else None,
    )  # fmt: skip


def _plan(ws: Workspace, model: str, name: str | None) -> Deployment:
    """Decide what is served by which engine; raises where the model does not exist."""
    try:
        found = versions.find(ws.ledger, model)
    except (NotFoundError, InvalidInputError):
        _need("transformers", "uvicorn", "fastapi")
        source = base.resolve(ws, model)
        own = versions.check_name(name or model.rpartition("/")[2])
        return deployments.single(own, model, "transformers", "chat", source)
    own = versions.check_name(name or found.name)
    if found.format in model_file.FORMATS:
        return deployments.single(own, found.reference, "predict", found.task, str(ws.blobs.path(found.blob)))
    if found.task != "chat":
        raise ConflictError(
            f"{found.reference} is no model to chat with.", fix="Name one that predicts or chats."
        )
    _need("transformers", "uvicorn", "fastapi")
    return deployments.single(own, found.reference, "transformers", "chat", str(base.laid_out(ws, found)))


def _placed(plan: Deployment, gpus: int | None, gpu_memory: int | None, *, give_way: bool) -> Deployment:
    """Say what a deployment holds of a GPU: as asked, else as predicted."""
    target = plan.target
    count = int(target.engine != "predict" and devices.present()) if gpus is None else gpus
    memory = (gpu_memory or footprint.serving(target.source)) if count else None
    return replace(plan, targets=(replace(target, gpus=count, gpu_memory=memory, gives_way=give_way),))


def _endpoint(ws: Workspace, deployment: Deployment) -> Endpoint:
    job = services.live(ws, services.ENDPOINT, deployment.name)
    gateway = services.live(ws, services.GATEWAY, services.GATEWAY)
    state: Literal["stopped"] | str = job.state if job else "stopped"  # noqa: PYI051 - says what else it can be
    return Endpoint(
        name=deployment.name, model=deployment.model, engine=deployment.engine, task=deployment.task, state=state,
        message=_doing(job), restarts=job.restarts if job else 0,
        url=services.base_url(ws) if gateway else None, job=job.id if job else None,
    )  # fmt: skip


def _doing(job: Job | None) -> str | None:
    if job is not None and job.state is State.QUEUED and job.waiting_for:
        return f"waits for {job.waiting_for}"
    return job.message if job else None


def _withdraw(ws: Workspace, name: str) -> None:
    _stop(ws, services.ENDPOINT, name)
    deployments.withdraw(ws, name)
    deployments.socket_path(ws, name).unlink(missing_ok=True)


def _undo(ws: Workspace, deployment: Deployment, *, gateway: bool) -> None:
    """Leave nothing of a deployment that did not get ready; nor a gateway that was started for it alone."""
    with contextlib.suppress(NotFoundError):  # somebody was faster
        _withdraw(ws, deployment.name)
    if gateway and not deployments.every(ws):
        _stop(ws, services.GATEWAY, services.GATEWAY)


def _stop(ws: Workspace, kind: str, name: str) -> None:
    job = services.live(ws, kind, name)
    if job is None:
        return
    services.stop(ws, job)
    launch = read_json(JobFolder(ws.jobs / job.id).launch) or {}
    if left := processes.bearing(str(launch.get("nonce"))):
        raise ConflictError(
            f"{name} left processes: {left}.", fix="Look at them with ps, and end them by hand."
        )
    assert queue.get(ws, job.id).ended


def _need(*modules: str) -> None:
    import importlib.util

    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError.of(module, "serve")
