"""Runs of kernels and scripts that are open: their folders, whether their writer lives, and reading what they logged.

A run's folder holds ``events.jsonl``, which its writer appends to, and ``lock``, which it holds for as long as it lives:
held is alive. A reader first reads what nobody has, and says ``lost`` of a run whose writer is dead. Standard library only.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from snapml_lab import clock
from snapml_lab.errors import SnapmlError
from snapml_lab.store.ledger import bump
from snapml_lab.tracking import record
from snapml_lab.tracking.ingest import Source, ingest
from snapml_lab.workspace import Workspace

_TURN_SECONDS = 10.0
_POLL_SECONDS = 0.02


def folder(ws: Workspace, run: str) -> Path:
    """Return the folder of a run that is no job's."""
    return ws.runs / run


def hold(place: Path) -> int:
    """Take the lock of a run's folder, which is made; return its descriptor. Closing that gives the lock up."""
    place.mkdir(parents=True, mode=0o700)
    lock = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def alive(place: Path) -> bool:
    """Say whether the writer of a run's folder lives."""
    try:
        lock = os.open(place / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def read(ws: Workspace, run: str) -> int:
    """Bring what a run has logged into the ledger; return how many lines were new."""
    return ingest(ws.ledger, ws.blobs, Source("runs", run, folder(ws, run)))


@contextlib.contextmanager
def turn(ws: Workspace, *, wait: float = 0.0) -> Iterator[bool]:
    """Take turns at reading: whether it is ours, for one process at a time reads, so that others get at the ledger."""
    with open(ws.root / "ingest.lock", "ab") as lock:
        yield _locked(lock.fileno(), time.monotonic() + wait)


def _locked(descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True


def finish(ws: Workspace, run: str) -> None:
    """Read the rest of a run whose last line is written; where the ledger is busy, the next reader does."""
    with contextlib.suppress(SnapmlError, OSError), turn(ws, wait=_TURN_SECONDS) as ours:
        if ours:
            read(ws, run)


def catch_up(ws: Workspace) -> int:
    """Read what open runs have logged and nobody has read yet, and say ``lost`` of those whose writer is dead.

    Returns:
        How many lines were new.
    """
    total = 0
    for row in ws.ledger.rows("SELECT id FROM runs WHERE state = 'running'"):
        run = row["id"]
        dead = not alive(folder(ws, run))  # looked at first: what it wrote is then all there
        total += read(ws, run)
        if dead:
            with ws.ledger.write() as connection:
                record.end(connection, run, "lost", _last_sign(folder(ws, run)), bump(connection))
    return total


def _last_sign(place: Path) -> float:
    try:
        return (place / "events.jsonl").stat().st_mtime
    except OSError:
        return clock.now()
