"""A folder where a run is run again: the project with its code as it was, beside the project, which is not touched.

In git it is a worktree of the recorded commit with the recorded difference applied; elsewhere a copy of the project as it
is now. What git does not hold (data, other notebooks) is brought along as it is now: copied, and linked where it is large.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from snapml_lab.errors import ConflictError, SnapmlError
from snapml_lab.tracking import git
from snapml_lab.workspace import FOLDER, Workspace

_COPIED = 256 << 20
"""Bytes of a file or folder that are copied; what is larger is linked."""
_LINKED = frozenset({".venv", "venv", "node_modules", ".tox", ".conda"})
_LEFT = frozenset({FOLDER, ".git", "__pycache__", ".ipynb_checkpoints"})
_SHOWN = 6
_DIRTY = "-dirty"


@dataclass
class Scratch:
    """The folder.

    Attributes:
        top: all of it, to be removed.
        project: where the project is in it.
        of: the project it stands for.
        commit: the commit that is checked out; None where the code is as it is now.
        notes: what is not as it was then, for people.
    """

    top: Path
    project: Path
    of: Path
    commit: str | None = None
    notes: list[str] = field(default_factory=list)

    def there(self, path: str | Path) -> Path:
        """Return where a path of the project is in here; one outside of it stays as it is."""
        found = moved(self.of, path)
        if not found.is_relative_to(self.of) or found.is_relative_to(self.of / FOLDER):
            return found
        return self.project / found.relative_to(self.of)

    def remove(self) -> None:
        """Remove it, and what git knows of it."""
        if self.commit is not None:
            git.run(self.of, "worktree", "remove", "--force", str(self.top))
        shutil.rmtree(self.top, ignore_errors=True)
        if self.commit is not None:
            git.run(self.of, "worktree", "prune")


def moved(project: Path, path: str | Path) -> Path:
    """Return where a path is that was written down when the project, or its workspace, may have been elsewhere."""
    found = Path(os.path.normpath(project / path))
    if found.is_relative_to(project) or os.path.lexists(found):
        return found
    parts = found.parts
    ends = (project.joinpath(*parts[start:]) for start in range(1, len(parts)))
    return next((end for end in ends if os.path.lexists(end)), found)


def commit_of(recorded: str | None) -> str | None:
    """Return the commit of what a run recorded, without the word that files differed."""
    return None if recorded is None else recorded.removesuffix(_DIRTY)


def has_commit(folder: Path, commit: str) -> bool:
    """Say whether a repository has a commit."""
    return git.top_of(folder) is not None and git.run(folder, "cat-file", "-e", f"{commit}^{{commit}}")[0]


def lay_out(ws: Workspace, target: Path, recorded: str | None, difference: str | None) -> Scratch:
    """Make the folder.

    Args:
        ws: the workspace; its project is what is laid out.
        target: where; it must not exist.
        recorded: the commit as the run has it; None where the project was in no repository.
        difference: SHA-256 of what the files differed by from it.

    Raises:
        ConflictError: the commit cannot be checked out, or the difference does not apply.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    commit, top = commit_of(recorded), git.top_of(ws.project)
    if commit is None or top is None:
        made = Scratch(target, target, ws.project)
        target.mkdir()
        _bring(made, ws.project, target, [path.name for path in ws.project.iterdir()])
        return made
    made = Scratch(target, target / ws.project.relative_to(top), ws.project, commit)
    done, said = git.run(ws.project, "worktree", "add", "--quiet", "--detach", str(target), commit)
    if not done:
        raise ConflictError(
            f"The commit {commit[:12]} cannot be checked out: {said[-300:]}", fix="Fetch it: git fetch --all"
        )
    try:
        _apply(ws, made, recorded or "", difference)
        _bring(made, top, target, list(_outside(top)))
    except BaseException:
        made.remove()
        raise
    made.project.mkdir(parents=True, exist_ok=True)
    return made


def _apply(ws: Workspace, made: Scratch, recorded: str, difference: str | None) -> None:
    if difference is None:
        if recorded.endswith(_DIRTY):
            made.notes.append("files differed from the commit then, and how was not kept")
        return
    try:
        content = ws.blobs.verified(difference)
    except SnapmlError as error:
        raise ConflictError(
            f"What the files differed by from the commit cannot be read: {error.message}", fix=error.fix
        ) from error
    made.notes += _told(git.notes_of(content))
    if b"diff --git " in content:
        done, said = git.run(made.top, "apply", "--binary", "--whitespace=nowarn", "-", given=content)
        if not done:
            raise ConflictError(
                f"What the files differed by from the commit does not apply: {said[-300:]}",
                fix="It was changed since it was kept, or a secret was taken out of it.",
            )


def _told(notes: list[str]) -> list[str]:
    """Put what a kept difference leaves out into few words."""
    missing = [note.partition(": ")[2] for note in notes if note.startswith("not in git, not kept")]
    other = [note for note in notes if note.startswith("Left out")]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        other.append(f"as they are now, for git did not have them: {', '.join(missing[:_SHOWN])}{more}")
    return other


def _outside(top: Path) -> Iterator[str]:
    """Yield what lies in a repository's folder and git does not hold, folders as a whole."""
    done, said = git.run(
        top,
        "-c",
        "core.quotePath=false",
        "status",
        "--porcelain",
        "-z",
        "--ignored",
        "--untracked-files=normal",
    )
    for item in said.split("\0") if done else []:
        if item[:3] in ("?? ", "!! "):
            yield item[3:].rstrip("/")


def _bring(made: Scratch, source: Path, target: Path, names: list[str]) -> None:
    linked = []
    for name in sorted(names):
        path, place = source / name, target / name
        if not _LEFT.isdisjoint(Path(name).parts) or os.path.lexists(place) or not path.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.name in _LINKED or _size(path) > _COPIED:
            place.symlink_to(path, target_is_directory=path.is_dir())
            linked += [] if path.name in _LINKED else [name]
        elif path.is_dir():
            shutil.copytree(path, place, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT))
        else:
            shutil.copy2(path, place, follow_symlinks=True)
    if linked:
        made.notes.append(f"linked, not copied, for it is large: {', '.join(linked[:_SHOWN])}")


def _size(path: Path) -> int:
    """Return the bytes of a file or folder, counted until they are too many to be copied."""
    if not path.is_dir():
        return path.stat().st_size
    total = 0
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if name not in _LEFT]
        for name in files:
            total += os.lstat(os.path.join(folder, name)).st_size
        if total > _COPIED:
            break
    return total
