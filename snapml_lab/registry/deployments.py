"""Deployments: which model answers under which name, by which engine, and where its socket is. Declared in the catalog."""

import hashlib
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from snapml_lab.store.ledger import bump
from snapml_lab.workspace import Workspace

KIND = "deployments"


@dataclass(frozen=True)
class Deployment:
    """One name that answers.

    Attributes:
        model: what is served: a model version, or what a base model was named by.
        engine: ``transformers`` or ``predict``.
        task: ``chat``, or what a classic model predicts.
        source: folder or hub id (chat), or the model's blob (classic).
        gpus: GPUs it is admitted for.
        gpu_memory: MiB of each; None is the whole device.
        gives_way: whether it stops for work that needs its GPU, and comes back after.
    """

    name: str
    model: str
    engine: str
    task: str
    source: str
    gpus: int = 0
    gpu_memory: int | None = None
    gives_way: bool = False


def declare(ws: Workspace, deployment: Deployment) -> None:
    """Add or replace a deployment."""
    ws.catalog.change(KIND, deployment.name, lambda _: asdict(deployment))
    _tell(ws)


def get(ws: Workspace, name: str) -> Deployment:
    """Return a deployment by name.

    Raises:
        NotFoundError: there is none.
    """
    return Deployment(**ws.catalog.get(KIND, name))


def every(ws: Workspace) -> list[Deployment]:
    """Return all deployments by name."""
    return [Deployment(**fields) for _, fields in sorted(ws.catalog.all(KIND).items())]


def withdraw(ws: Workspace, name: str) -> None:
    """Remove a deployment."""
    ws.catalog.remove(KIND, name)
    _tell(ws)


def _tell(ws: Workspace) -> None:
    """Move the ledger's revision, which is what a page watches; the catalog itself has none."""
    with ws.ledger.write() as connection:
        bump(connection)


def socket_path(ws: Workspace, name: str) -> Path:
    """Return where an engine listens: in a folder only this account can enter, short enough for a Unix socket.

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
    return folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.sock"
