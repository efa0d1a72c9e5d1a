"""A workspace: the ``.snapml/`` folder of a project, where both stores, the blobs and the jobs live.

Standard library only, for the job shim opens one too; the catalog (TinyDB) is imported on first use.
"""

import contextlib
import os
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from snapml_lab.errors import InvalidInputError
from snapml_lab.store.blobs import Blobs
from snapml_lab.store.files import replace, storage_errors
from snapml_lab.store.ledger import Ledger

if TYPE_CHECKING:
    from snapml_lab.store.catalog import Catalog

FOLDER = ".snapml"
VARIABLE = "SNAPML_WORKSPACE"
MERGING = "merge.lock"
"""Is held while another workspace is merged into this one."""

_GITIGNORE = b"# Only what a person declares goes into git.\n*\n!.gitignore\n!catalog/\n!catalog/*.json\n"
_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "fuse.sshfs",
    "lustre",
    "glusterfs",
    "ceph",
    "beegfs",
    "9p",
    "afs",
}


class Workspace:
    """One project's ``.snapml/`` folder.

    Args:
        root: the ``.snapml`` folder itself; made if missing.

    Raises:
        InvalidInputError: it lies on a network file system.
        StorageError: it cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        _refuse_network(self.root)
        if not (self.root / ".gitignore").exists():
            with storage_errors(self.root):
                for folder in (self.root, self.root / "catalog", self.jobs, self.root / "artifacts"):
                    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.fresh.touch()
            replace(self.root / ".gitignore", _GITIGNORE)

    @property
    def project(self) -> Path:
        """The project's folder: the one that holds ``.snapml/``."""
        return self.root.parent

    @property
    def fresh(self) -> Path:
        """There from when the folder was made until its audit has begun."""
        return self.root / "fresh"

    @property
    def jobs(self) -> Path:
        """Where each job has its folder."""
        return self.root / "jobs"

    @property
    def runs(self) -> Path:
        """Where each run that is no job's has its folder."""
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """What can be made again, such as model folders laid out from the blobs."""
        return self.root / "cache"

    @cached_property
    def ledger(self) -> Ledger:
        """What happened."""
        return Ledger(self.root / "ledger.db")

    @cached_property
    def catalog(self) -> "Catalog":
        """What a person declared."""
        from snapml_lab.store.catalog import Catalog

        return Catalog(self.root / "catalog")

    @cached_property
    def blobs(self) -> Blobs:
        """Large things by their SHA-256."""
        return Blobs(self.root / "artifacts")

    def relative(self, path: str | Path) -> str:
        """Write a path relative to the project where it lies inside, else absolute."""
        resolved = (self.project / path).resolve()
        return str(resolved.relative_to(self.project) if resolved.is_relative_to(self.project) else resolved)


def locate(start: Path | None = None) -> Path:
    """Return the ``.snapml`` folder to use.

    ``SNAPML_WORKSPACE`` (a project folder or a ``.snapml`` folder) overrides; else the nearest ancestor of ``start``
    (default: the current folder) that has one; else one in the folder where Jupyter was started
    (``JUPYTER_SERVER_ROOT``), or in ``start``.
    """
    if value := os.environ.get(VARIABLE):
        named = Path(value)
        return named if named.name == FOLDER else named / FOLDER
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / FOLDER / ".gitignore").is_file():
            return folder / FOLDER
    server = os.environ.get("JUPYTER_SERVER_ROOT")
    if server and here.is_relative_to(Path(server).resolve()):
        here = Path(server).resolve()
    return here / FOLDER


def open_workspace(start: Path | None = None) -> Workspace:
    """Open the workspace that :func:`locate` finds, making it where there is none."""
    return Workspace(locate(start))


def _refuse_network(root: Path) -> None:
    at = next((folder for folder in (root, *root.parents) if folder.exists()), root)
    kind = _file_system(root, at.stat().st_dev)
    if kind in _NETWORK:
        raise InvalidInputError(
            f"workspace: {root} is on a network file system ({kind}), whose locks SQLite cannot trust.",
            fix=f"Put it on a local disk: export {VARIABLE}=/a/local/folder",
        )


@lru_cache(maxsize=8)
def _file_system(path: Path, _device: int) -> str:
    """Return the type of the file system that holds ``path`` (Linux: the longest mount point above it).

    Remembered while the path is on the same device: the list of mounts may be long.
    """
    best, kind = "", ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/mounts").read_text("utf-8", "replace").splitlines():
            _, mount, name, *_ = line.split()
            mount = mount.replace("\\040", " ")
            if path.is_relative_to(mount) and len(mount) >= len(best):
                best, kind = mount, name
    return kind
