"""Deploying: the plan first, then its doing with progress, and what to paste to ask what came of it."""

import contextlib
import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from pydantic import Field

from snapml_lab import clock
from snapml_lab.commands.core import Call, command
from snapml_lab.commands.serving import DeploymentName, Endpoint, endpoint, stop_gateway, withdraw
from snapml_lab.commands.types import Completes, Duration, FilePath, GpuMemory, ModelRef
from snapml_lab.engines import adapters as adapter_services
from snapml_lab.engines import replicas, services
from snapml_lab.errors import ConflictError, InvalidInputError, MissingExtraError, NotFoundError
from snapml_lab.finetune import base as models
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs.model import Job
from snapml_lab.registry import deployments, model_file, snippets, versions
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.serving import export as exporting
from snapml_lab.serving import plan as plans
from snapml_lab.serving import rollout, tuning
from snapml_lab.serving.plan import Found, Place, Plan, Wish
from snapml_lab.store.files import locked
from snapml_lab.tracking import provenance
from snapml_lab.tracking.record import Origin
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed
from snapml_lab.workspace import Workspace

Port = Annotated[int, Field(ge=1, le=65_535)]
EngineOptions = Annotated[
    list[str] | None,
    Parameter(name=["--option"]),
    Field(max_length=50, description="NAME=VALUE of the engine"),
]
Share = Annotated[int, Field(ge=1, le=99, description="percent of the requests")]
EngineName = Literal["transformers", "vllm", "predict", "openai"]
ProviderName = Annotated[str, Completes("providers"), Field(min_length=1, description="a provider's name")]


_PLACES = {
    "GPU": "on a GPU", "CPU": "on the CPU", "remote": "elsewhere", "shared": "in an engine that runs already",
}  # fmt: skip


class PlanView(View):
    """What will be done; memory in MiB, of one replica. ``fits`` None: not known; ``free`` None: it runs elsewhere."""

    name: str
    model: str
    engine: str
    because: str
    place: Place
    replicas: int
    memory: int | None
    free: int | None
    fits: bool | None
    quantization: str | None
    quantizations: list[str]
    notes: list[str]

    @classmethod
    def of(cls, plan: Plan) -> "PlanView":
        """Read a plan."""
        target = plan.target
        return cls(
            name=plan.deployment.name, model=target.model, engine=target.engine, because=plan.because,
            place=plan.place, replicas=target.replicas, memory=plan.memory, free=plan.free, fits=plan.fits,
            quantization=target.options.get("quantization"), quantizations=list(plan.quantizations),
            notes=list(plan.notes),
        )  # fmt: skip

    def text(self) -> str:
        """Some lines."""
        return "\n".join(["plan:", *(f"  {line}" for line in self.lines())])

    def html(self) -> str:
        """Some lines."""
        return framed(*(f"<div>{escape(line)}</div>" for line in self.lines()))

    def lines(self) -> list[str]:
        """What will be done, line by line."""
        where = _PLACES[self.place]
        times = f", {self.replicas} replicas" if self.replicas > 1 else ""
        lines = [f"{self.name}: {self.model} by {self.engine} {where}{times} ({self.because})"]
        if self.free is not None:
            need = "not known" if self.memory is None else f"about {self.memory:,} MiB"
            each = " each" if self.replicas > 1 else ""
            verdict = {True: ": fits", False: ": does not fit now", None: ""}[self.fits]
            lines.append(f"memory: {need}{each}, {self.free:,} MiB free{verdict}")
        if self.quantization or self.quantizations:
            others = f"; it could be {', '.join(['none', *self.quantizations])}" if self.quantizations else ""
            lines.append(f"quantization: {self.quantization or 'none'}{others}")
        return [*lines, *self.notes]


class Deploying(View):
    """A deployment on its way: the plan, and what happened since, line by line."""

    plan: PlanView
    happened: list[str]

    def text(self) -> str:
        """The plan, and lines."""
        return "\n".join([self.plan.text(), *self.happened])

    def html(self) -> str:
        """The plan, and the last line."""
        last = escape(self.happened[-1]) if self.happened else "…"
        return framed(
            *(f"<div>{escape(line)}</div>" for line in self.plan.lines()), f"<div class=dim>{last}</div>"
        )


class Deployed(Endpoint):
    """A deployment with its plan and what to paste to ask it, by kind; ``state`` is ``planned`` where it was only planned."""

    plan: PlanView
    snippets: dict[str, str]

    def text(self) -> str:
        """How it is and how to ask it; of one that was only planned, the plan."""
        if self.state == "planned":
            return self.plan.text()
        lines = [super().text()]
        if self.snippets and self.state == "running":
            if self.task == "chat":
                lines.append(f"  in a notebook: %%snapml ask --model {self.name}")
            lines.append(f"  the key: snapml keys create NAME, then export {snippets.KEY}=…")
            lines += [f"\n# {kind}\n{code}" for kind, code in self.snippets.items()]
        return "\n".join(lines)

    def html(self) -> str:
        """How it is, and each snippet to unfold."""
        if self.state == "planned":
            return self.plan.html()
        folded = "".join(
            f"<details{' open' if number == 0 else ''}><summary>{escape(kind)}</summary>"
            f'<pre class="wrap">{escape(code)}</pre></details>'
            for number, (kind, code) in enumerate(self.snippets.items())
        )
        plan = "".join(f"<div class=dim>{escape(line)}</div>" for line in self.plan.lines())
        key = f"<div class=dim>The key: snapml keys create NAME, then set {snippets.KEY}.</div>"
        return framed(f"<pre class=wrap>{escape(super().text())}</pre>", plan, key if folded else "", folded)


@command("deploy", effect=Effect.EXECUTE)
def deploy(
    ws: Workspace,
    model: ModelRef,
    *,
    name: str | None = None,
    engine: EngineName | None = None,
    provider: ProviderName | None = None,
    quantization: str | None = None,
    replicas: Annotated[int, Field(ge=1, le=plans.REPLICAS)] = 1,
    gpus: Annotated[int, Field(ge=0, le=8)] | None = None,
    gpu_memory: GpuMemory | None = None,
    give_way: bool = False,
    idle: Duration | None = None,
    on: DeploymentName | None = None,
    adapters: bool = False,
    option: EngineOptions = None,
    canary: Share | None = None,
    shadow: bool = False,
    port: Port | None = None,
    plan: bool = False,
    wait: bool = True,
    call: Call,
) -> Deployed:
    """Serve a model, classic or LLM, behind the gateway; ready once a real request has come back.

    The plan is shown first: the engine, what memory it needs and what is free.

    Args:
        model: a model version, sample, a folder, or a hub's id; with --provider, the provider's name of it.
        name: what callers name it by; default: the model's name.
        engine: transformers, vllm, predict or openai; default: by the model and what there is.
        provider: who serves it, for a remote model: snapml providers set.
        quantization: hold the weights in fewer bits; none, or what the plan offers.
        replicas: services that share its requests.
        gpus: GPUs each waits for; default: one where there is one, for an LLM.
        gpu_memory: MiB of it, as 8000 or 8GiB; default: as predicted, the whole device where that cannot be.
        give_way: stop for training that needs its GPU, and come back after.
        idle: stop after so long without a request, as 10m; the next request starts it again.
        on: for an adapter: the deployment of its base, by vLLM, whose engine serves it, too; default: one of its base.
        adapters: let adapters be loaded while it runs, by vLLM.
        option: NAME=VALUE of the engine's own, as max_model_len=4096; may be given several times.
        canary: answer so many percent of a deployment's requests with it, beside the model that stands: see rollout.
        shadow: send it a copy of each request of a deployment, whose answer nobody sees.
        port: the gateway's port on this machine, where it is not alive yet; default: 8765, or a free one.
        plan: only show the plan.
        wait: wait until it is ready, or is seen to wait for room; --no-wait returns at once.
    """
    _need("aiohttp")
    wish = Wish(
        model, name=name, engine=engine, provider=provider, gpus=gpus, gpu_memory=gpu_memory,
        quantization=quantization, replicas=replicas, gives_way=give_way, on=on,
        options={**_options(option or []), **({"adapters": True} if adapters else {})},
    )  # fmt: skip
    trial = canary is not None or shadow
    if trial:
        _check_trial(ws, name, canary, shadow=shadow)
    made = planned(ws, wish)
    if plan:
        return _deployed(ws, made, made.deployment, state="planned")
    if trial:
        return _beside(ws, made, canary, call)
    deployment = replace(made.deployment, idle_seconds=idle)
    telling = Telling(made, call)
    origin = provenance.complete(ws, call.origin)
    gateway, jobs, fresh = _begin(ws, deployment, port, call.actor, origin)
    if wait:
        try:
            for job in (gateway, *jobs):
                services.wait_ready(ws, job, on_change=telling.changed)
            load_adapter(ws, deployment.target)
        except Exception:
            _undo(ws, deployment, gateway=fresh)
            raise
    return _deployed(ws, made, deployment)


def load_adapter(ws: Workspace, target: Target) -> None:
    """Load an adapter into the engine it is to be served by, where that is another deployment's."""
    if target.on is not None:
        adapter_services.load(ws, deployments.get(ws, target.on), target)


class Telling:
    """Tells a person of the plan, and then of each change."""

    def __init__(self, plan: Plan, call: Call) -> None:
        self._plan = PlanView.of(plan)
        self._tell: Callable[[View], None] = call.tell
        self._happened: list[str] = []
        self._tell(Deploying(plan=self._plan, happened=[]))

    def changed(self, job: Job) -> None:
        """Tell of a service's new state."""
        self.say(f"{job.name}: {job.state}" + (f", {job.message}" if job.message else ""))

    def say(self, line: str) -> None:
        """Tell of anything."""
        self._happened.append(line)
        self._tell(Deploying(plan=self._plan, happened=list(self._happened)))


def planned(ws: Workspace, wish: Wish) -> Plan:
    """Find the model a person named, and plan.

    Raises:
        NotFoundError: there is no such model.
        ConflictError: it can neither predict nor chat, or is larger than the machine.
        InvalidInputError: a wish cannot be had.
        MissingExtraError: its engine is not installed.
    """
    if wish.provider is not None or wish.engine == "openai":
        return plans.remote(ws, wish)
    own, found = _find(ws, wish)
    if (host := _host(ws, wish, found)) is not None:
        return plans.beside(own, found, host)
    made = plans.plan(own, found, wish, plans.machine())
    if made.target.engine == "transformers":
        _need("transformers", "uvicorn", "fastapi")
    return replace(made, notes=(*made.notes, *_measured(ws, made)))


def _measured(ws: Workspace, made: Plan) -> list[str]:
    """Say of each quantization there could be what was measured of it with this model."""
    known = tuning.before(ws, made.target.model, made.target.engine) if made.quantizations else {}
    lines = []
    for name in made.quantizations:
        if name not in known:
            lines.append(
                f"{name} is not measured with {made.target.model}: snapml tune-endpoint does, once it is deployed"
            )
            continue
        where, at, found = known[name]
        lines.append(f"{name}, measured on {where} {clock.iso(at)[:10]}: {_figures(found)}")
    return lines


def _figures(found: tuning.Found) -> str:
    """Say what a quantization changed, each figure with its interval."""
    said = []
    if found.gain is not None and found.gain_interval is not None:
        said.append(
            f"{found.gain:+.3g} ({found.gain_interval[0]:+.3g} to {found.gain_interval[1]:+.3g}) tokens/s"
        )
    if found.right_change is not None and found.right_change_interval is not None:
        low, high = found.right_change_interval
        said.append(
            f"{100 * found.right_change:+.3g} ({100 * low:+.3g} to {100 * high:+.3g}) % right answers"
        )
    elif found.agreement is not None and found.agreement_interval is not None:
        low, high = found.agreement_interval
        said.append(f"{100 * found.agreement:.3g} ({100 * low:.3g} to {100 * high:.3g}) % the same answers")
    return ", ".join(said)


def _host(ws: Workspace, wish: Wish, found: Found) -> Deployment | None:
    """Return the deployment whose running engine serves an adapter, too, unless services of its own are asked for."""
    own = (
        wish.engine not in (None, "vllm")
        or wish.quantization
        or wish.replicas > 1
        or wish.gpus
        or wish.options
    )
    if found.task != "chat" or (own and wish.on is None):
        return None
    return adapter_services.host_for(ws, found.source, wish.on)


def _options(given: list[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE``: a value is JSON where it is that, else text."""
    found: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise InvalidInputError.of("option", item, "NAME=VALUE, as max_model_len=4096")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _find(ws: Workspace, wish: Wish) -> tuple[str, Found]:
    try:
        found = versions.find(ws.ledger, wish.model)
    except (NotFoundError, InvalidInputError):
        if wish.engine != "vllm":
            _need("transformers", "uvicorn", "fastapi")
        source = models.resolve(ws, wish.model)
        own = versions.check_name(wish.name or wish.model.rpartition("/")[2])
        return own, Found(wish.model, source, "chat")
    own = versions.check_name(wish.name or found.name)
    if found.format in model_file.FORMATS:
        return own, Found(found.reference, str(ws.blobs.path(found.blob)), found.task)
    if found.task != "chat":
        raise ConflictError(
            f"{found.reference} is no model to chat with.", fix="Name one that predicts or chats."
        )
    return own, Found(found.reference, str(models.laid_out(ws, found)), "chat")


def _check_trial(ws: Workspace, name: str | None, canary: int | None, *, shadow: bool) -> None:
    if canary is not None and shadow:
        raise InvalidInputError.of("shadow", shadow, "--canary or --shadow, one of them")
    if name is None:
        raise InvalidInputError.of("name", None, "the deployment that it is beside", "Give --name.")
    deployments.get(ws, name)


def _beside(ws: Workspace, made: Plan, canary: int | None, call: Call) -> Deployed:
    """Start a model beside the one that stands, and send it requests once it is ready."""
    name = made.deployment.name
    stands = deployments.get(ws, name)
    if (stands.task == "chat") != (made.deployment.task == "chat"):
        raise ConflictError(
            f"{name} is a {stands.task} model, and {made.target.model} a {made.deployment.task} model.",
            fix="Deploy it under a name of its own.",
        )
    telling = Telling(made, call)
    origin = provenance.complete(ws, call.origin)
    with locked(ws.root / "deploy.lock"):
        rollout.begin(ws, name, made.target, canary, actor=call.actor, origin=origin, heard=telling.changed)
    return _deployed(ws, made, deployments.get(ws, name))


def _begin(
    ws: Workspace, deployment: Deployment, port: int | None, actor: str, origin: Origin
) -> tuple[Job, list[Job], bool]:
    """Start the gateway, declare, and start the services; return them, and whether the gateway was started for this.

    Raises:
        ConflictError: it is deployed already; of two that deploy the same name at once, one is told.
    """
    with locked(ws.root / "deploy.lock"):
        if replicas.every(ws, deployment.name) or _stands(ws, deployment):
            raise ConflictError(
                f"{deployment.name!r} is deployed.",
                fix=f"Choose --name, or stop it: snapml undeploy {deployment.name}",
            )
        fresh = services.live(ws, services.GATEWAY, services.GATEWAY) is None
        gateway = services.start_gateway(ws, port, actor=actor, origin=origin)
        deployments.declare(ws, deployment)
        try:
            return (
                gateway,
                replicas.start(ws, deployment, deployment.target, actor=actor, origin=origin),
                fresh,
            )
        except Exception:
            _undo(ws, deployment, gateway=fresh)
            raise


def _stands(ws: Workspace, deployment: Deployment) -> bool:
    """Say whether a declared deployment of that name answers without a service of its own, or sleeps until it is asked."""
    with contextlib.suppress(NotFoundError):
        known = deployments.get(ws, deployment.name)
        return known.idle_seconds is not None or not replicas.has_own(known.target)
    return False


def _undo(ws: Workspace, deployment: Deployment, *, gateway: bool) -> None:
    """Leave nothing of a deployment that did not get ready; nor a gateway that was started for it alone."""
    with contextlib.suppress(NotFoundError):  # somebody was faster
        withdraw(ws, deployment.name)
    if gateway and not deployments.every(ws):
        stop_gateway(ws)


def _deployed(ws: Workspace, made: Plan, deployment: Deployment, **instead: str) -> Deployed:
    shown = endpoint(ws, deployment)
    found = [] if shown.url is None or instead else snippets.of(ws, deployment, shown.url)
    return Deployed(
        **{**shown.model_dump(), **instead},
        plan=PlanView.of(made),
        snippets={item.name: item.text for item in found},
    )


def _need(*modules: str) -> None:
    import importlib.util

    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError.of(module, "serve")


class Exported(View):
    """A folder that a container is built from, and what is in it."""

    name: str
    folder: str
    files: list[str]

    def text(self) -> str:
        """What there is, and what to do with it."""
        return (
            f"{self.name} in {self.folder}: {', '.join(self.files)}\n"
            f"  docker build -t {self.name.lower()} {shlex.quote(self.folder)}   or without: python {shlex.quote(self.folder)}/start.py"
        )


@command("deploy export", effect=Effect.WRITE, heavy=True)
def export_deployment(ws: Workspace, name: DeploymentName, folder: FilePath) -> Exported:
    """Write a folder that a container is built from: the same gateway and engine, the model's files, pinned packages.

    Args:
        name: the deployment.
        folder: where to; empty, or not there yet.
    """
    files = exporting.export(ws, name, Path(folder))
    return Exported(name=name, folder=folder, files=files)
