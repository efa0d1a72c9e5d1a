"""Deployments: which models answer under which name, by which engine, and where their sockets are. Declared in the catalog."""

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from snapml_lab.errors import NotFoundError
from snapml_lab.store.ledger import bump
from snapml_lab.workspace import Workspace

KIND = "deployments"
FIRST = "r1"


@dataclass(frozen=True)
class Target:
    """One model behind a name.

    Attributes:
        id: ``r1``, ``r2``, …: counted up for each deployment, never used twice.
        model: what is served: a model version, or what a base model was named by.
        engine: one of :data:`snapml_lab.engines.base.NAMES`.
        source: folder or hub id (chat), the model's blob (classic), or the provider's name of the model (remote).
        share: its part of the requests, in percent.
        shadow: whether it gets a copy of each request instead, whose answer nobody sees.
        replicas: services of it that share its requests.
        gpus: GPUs each is admitted for.
        gpu_memory: MiB of each; None is the whole device.
        gives_way: whether it stops for work that needs its GPU, and comes back after.
        on: the deployment whose engine serves it, too: an adapter loaded into a running one.
        options: what else its engine takes.
    """

    id: str
    model: str
    engine: str
    source: str
    share: int = 100
    shadow: bool = False
    replicas: int = 1
    gpus: int = 0
    gpu_memory: int | None = None
    gives_way: bool = False
    on: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Deployment:
    """One name that answers.

    Attributes:
        task: ``chat``, or what a classic model predicts.
        targets: the models behind it; the first is the one that stands.
        fallbacks: deployments that are asked, in order, where no target of this one answers.
        guardrails: the policy that its requests and answers must pass; None is none.
        cache_seconds: how long an answer is given again to the very same request; None is never.
        idle_seconds: after so long without a request its services stop, until the next one; None is never.
        timeout_seconds: how long an answer may take.
    """

    name: str
    task: str
    targets: tuple[Target, ...]
    fallbacks: tuple[str, ...] = ()
    guardrails: str | None = None
    cache_seconds: float | None = None
    idle_seconds: float | None = None
    timeout_seconds: float = 600.0

    @property
    def target(self) -> Target:
        """The model that stands."""
        return self.targets[0]

    @property
    def model(self) -> str:
        """What is served, of the model that stands."""
        return self.target.model

    @property
    def engine(self) -> str:
        """The engine of the model that stands."""
        return self.target.engine


@dataclass(frozen=True)
class Course:
    """A deployment and the way it came.

    Attributes:
        now: as it is.
        earlier: what stood before each promotion, the newest first.
        last: the highest number a target of it ever had.
    """

    now: Deployment
    earlier: tuple[Deployment, ...] = ()
    last: int = 1


_TARGET = frozenset(item.name for item in fields(Target))
_EARLIER, _LAST = "earlier", "last"
_REMEMBERED = 10
"""So many steps one can go back."""


def single(name: str, model: str, engine: str, task: str, source: str, **target: Any) -> Deployment:
    """Return a deployment of one model; ``target`` are further fields of its :class:`Target`."""
    return Deployment(name, task, (Target(FIRST, model, engine, source, **target),))


def of(declared: Mapping[str, Any]) -> Deployment:
    """Read a declaration, also of a version that knew one model a name."""
    found = {name: value for name, value in declared.items() if name not in (_EARLIER, _LAST)}
    if "targets" not in found:
        only = {name: found.pop(name) for name in list(found) if name in _TARGET}
        return Deployment(targets=(Target(id=FIRST, **only),), **found)
    targets = tuple(Target(**target) for target in found.pop("targets"))
    return Deployment(targets=targets, fallbacks=tuple(found.pop("fallbacks", ())), **found)


def declare(ws: Workspace, deployment: Deployment) -> None:
    """Add or replace a deployment."""
    ws.catalog.change(KIND, deployment.name, lambda _: written(deployment))
    _tell(ws)


def written(deployment: Deployment) -> dict[str, Any]:
    """Return what the catalog keeps of it."""
    made = asdict(deployment)
    return {**made, "targets": list(made["targets"]), "fallbacks": list(deployment.fallbacks)}


def course(ws: Workspace, name: str) -> Course:
    """Return a deployment with the way it came.

    Raises:
        NotFoundError: there is none.
    """
    return _course(ws.catalog.get(KIND, name))


def change(ws: Workspace, name: str, step: Callable[[Course], Course]) -> Course:
    """Have a deployment take a step, in one locked reading and writing; return what it then is.

    Raises:
        NotFoundError: there is none.
    """
    ws.catalog.get(KIND, name)  # raises with near names

    def changing(declared: Mapping[str, Any] | None) -> dict[str, Any]:
        if declared is None:
            raise NotFoundError(f"{name!r} was undeployed at this very moment.", fix="Deploy it again.")
        return _kept(step(_course(declared)))

    made = _course(ws.catalog.change(KIND, name, changing))
    _tell(ws)
    return made


def _course(declared: Mapping[str, Any]) -> Course:
    now = of(declared)
    numbers = [int(target.id.removeprefix("r")) for target in now.targets]
    earlier = tuple(of(fields) for fields in declared.get(_EARLIER, ()))
    return Course(now, earlier, max(int(declared.get(_LAST, 1)), *numbers))


def _kept(course: Course) -> dict[str, Any]:
    """Return what the catalog keeps of a course; of one that was never changed, no more than the deployment."""
    made = written(course.now)
    if course.earlier:
        made[_EARLIER] = [written(item) for item in course.earlier[:_REMEMBERED]]
    if course.last > 1:
        made[_LAST] = course.last
    return made


def get(ws: Workspace, name: str) -> Deployment:
    """Return a deployment by name.

    Raises:
        NotFoundError: there is none.
    """
    return of(ws.catalog.get(KIND, name))


def every(ws: Workspace) -> list[Deployment]:
    """Return all deployments by name."""
    return [of(declared) for _, declared in sorted(ws.catalog.all(KIND).items())]


def withdraw(ws: Workspace, name: str) -> None:
    """Remove a deployment."""
    ws.catalog.remove(KIND, name)
    _tell(ws)


def _tell(ws: Workspace) -> None:
    """Move the ledger's revision, which is what a page watches; the catalog itself has none."""
    with ws.ledger.write() as connection:
        bump(connection)


def service_name(deployment: str, target: Target, replica: int = 1) -> str:
    """Return the name of the service behind a target: the deployment's own for the first of the first."""
    if (target.id, replica) == (FIRST, 1):
        return deployment
    return f"{deployment}/{target.id}" + (f"/{replica}" if replica > 1 else "")


def socket_path(ws: Workspace, service: str) -> Path:
    """Return where a service listens: in a folder only this account can enter, short enough for a Unix socket.

    It depends on the workspace alone, not on the environment: engine and gateway may be started from different ones.

    Raises:
        PermissionError: another account made the folder.
    """
    place = hashlib.sha256(str(ws.root).encode()).hexdigest()[:12]
    folder = Path("/tmp") / f"snapml-{os.getuid()}" / place  # noqa: S108 - checked to be ours alone
    for part in (folder.parent, folder):
        part.mkdir(mode=0o700, exist_ok=True)
        found = part.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(f"{part} belongs to another account")
        part.chmod(0o700)
    return folder / f"{hashlib.sha256(service.encode()).hexdigest()[:16]}.sock"
