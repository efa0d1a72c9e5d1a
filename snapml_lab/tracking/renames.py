"""Notebooks that were renamed while their kernels lived: a kernel is told its notebook's name once, when it starts.

The server writes what was renamed into the workspace's cache, and a kernel whose notebook is not there any more looks it up.
"""

import contextlib
import json
from pathlib import Path

from snapml_lab import clock
from snapml_lab.workspace import Workspace

_LARGEST = 1 << 20


def note(ws: Workspace, before: Path, after: Path) -> None:
    """Write down that a file or folder has another name now."""
    path = _path(ws)
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _LARGEST:
            path.unlink()
    line = json.dumps({"from": str(before), "to": str(after), "at": clock.now()}) + "\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(line)


def follow(ws: Workspace, told: str) -> str:
    """Return where a notebook is now that was at ``told``; as told where it is there, or nothing is known of it."""
    found = Path(told)
    if not found.is_absolute() or found.exists():
        return told
    try:
        lines = _path(ws).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return told
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            item = json.loads(line)
            before = Path(item["from"])
            if found.is_relative_to(before):
                found = Path(item["to"]) / found.relative_to(before)
    return str(found)


def _path(ws: Workspace) -> Path:
    return ws.cache / "renamed.jsonl"
