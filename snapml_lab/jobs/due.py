"""Schedules that are due: the tick only sees that they are, and starts the command that submits their jobs.

Standard library only; when a schedule is due next is worked out by that command, which may import what it needs.
"""

import os
import subprocess
import sys
from pathlib import Path

from snapml_lab import clock
from snapml_lab.jobs.processes import BINDING
from snapml_lab.workspace import VARIABLE, Workspace

_CLAIMED_SECONDS = 60.0
_DECLARED = "schedules.json"
_SEEN = "schedules.seen"
"""Has the time of the catalog's file as it was when schedules were last looked at."""
_children: list["subprocess.Popen[bytes]"] = []


def is_due(ws: Workspace) -> bool:
    """Say whether a schedule is due that nobody is submitting, or the catalog's file has changed: a copy, a pull."""
    now = clock.now()
    sql = (
        "SELECT 1 FROM schedules WHERE due_at <= ? AND (firing_at IS NULL OR abs(? - firing_at) > ?) LIMIT 1"
    )
    return _changed(ws) != _seen(ws) or ws.ledger.row(sql, now, now, _CLAIMED_SECONDS) is not None


def fire(ws: Workspace) -> None:
    """Start ``snapml jobs fire`` if a schedule is due; a job has the due time in its key, so that none comes twice."""
    _children[:] = [child for child in _children if child.poll() is None]
    if not is_due(ws):
        return
    now = clock.now()
    with ws.ledger.write() as connection:
        connection.execute("UPDATE schedules SET firing_at = ? WHERE due_at <= ?", (now, now))
    look(ws)
    # A tick may happen inside a job: what it starts is no part of that job.
    own = {key: value for key, value in os.environ.items() if not key.startswith("SNAPML_") or key == BINDING}
    with open(ws.root / "schedules.log", "wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "snapml_lab.cli", "jobs", "fire"], cwd=ws.project, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True, env={**own, VARIABLE: str(ws.root)},
        )  # fmt: skip
    _children.append(child)


def look(ws: Workspace) -> None:
    """Note that the schedules of the catalog are looked at as they are now."""
    changed = _changed(ws)
    if changed != _seen(ws):
        path = ws.root / _SEEN
        path.touch()
        os.utime(path, ns=(changed, changed))


def _changed(ws: Workspace) -> int:
    return _time(ws.root / "catalog" / _DECLARED)


def _seen(ws: Workspace) -> int:
    return _time(ws.root / _SEEN)


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
