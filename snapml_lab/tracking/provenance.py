"""Finding out where work is started from: environment lock and git commit of this process. Standard library only."""

import functools
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from snapml_lab.envs import current
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace


def complete(ws: Workspace, origin: Origin, dataset: str | None = None) -> Origin:
    """Add what this process knows to what its front end told: git commit, environment, and the data used."""
    lock = current.lock()
    with ws.ledger.write() as connection:
        connection.execute("INSERT OR IGNORE INTO environments VALUES (?, ?, ?)", lock)
    return replace(origin, git_commit=_commit(ws.project), environment=lock.sha256, dataset=dataset)


def _commit(folder: Path) -> str | None:
    """Return the commit checked out in ``folder``, with ``-dirty`` where tracked files differ; None outside git."""
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)) or _git() is None:
        return None
    head = _run(folder, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = _run(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{head}-dirty" if changed else head


def _run(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            [_git() or "git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@functools.cache
def _git() -> str | None:
    return shutil.which("git")


_front_end: Callable[[], Origin] = Origin


def tell(front_end: Callable[[], Origin]) -> None:
    """Set who knows which notebook and cell this process is running; the magics do when they are loaded."""
    global _front_end  # noqa: PLW0603 - one kernel has one front end
    _front_end = front_end


def here() -> Origin:
    """Return the notebook and cell being run, as far as the front end tells; empty elsewhere."""
    return _front_end()
