"""Merging another workspace into this one, by id: offline and cluster work comes home.

In this order, so that whatever is killed leaves nothing half seen: files, made durable; versions of datasets, by content;
all rows of the ledger in one transaction; what was declared. Done again, nothing is done twice. The other workspace is
only read.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from snapml_lab.errors import ConflictError
from snapml_lab.flows import merge_catalog, merge_files, merge_ledger
from snapml_lab.flows.merge_files import Blob, Say
from snapml_lab.flows.merge_ledger import Brought
from snapml_lab.flows.merge_source import Other, opened
from snapml_lab.governance import verification
from snapml_lab.jobs.model import ENDED
from snapml_lab.store.files import storage_errors, try_lock
from snapml_lab.store.ledger import bump
from snapml_lab.tracking import live
from snapml_lab.workspace import MERGING, Workspace

_OVER = ", ".join(f"'{state}'" for state in sorted(ENDED))
_TRIES = 5
_PAUSE_SECONDS = 0.05
_LONG_LOG_BYTES = 64 << 20
_LEDGER_ROOM = 2
"""The rows are written to the log first, then to the ledger."""


@dataclass(frozen=True)
class Merged:
    """What came of a merge, or would.

    Attributes:
        other: the other workspace's folder.
        workspace: its id.
        came: how many came, by what they are.
        here: how many were here already.
        collided: what had a name or number that is taken here, and what was done about it.
        left: what stays there, and why.
        stand: aliases that came, and what stands under them.
        files: how many blobs came.
        size: their bytes.
        damaged: blobs there that are not what they are called.
    """

    other: Path
    workspace: str
    came: dict[str, int]
    here: dict[str, int]
    collided: list[tuple[str, str]]
    left: list[str]
    stand: list[str]
    files: int
    size: int
    damaged: list[str]


class _Dry(Exception):  # noqa: N818 - raised to take back what was only tried
    """Ends a transaction whose result alone is wanted."""


class _Folders(NamedTuple):
    """Folders to copy (from, to), and runs that are alive there, whose lock is to be linked."""

    whole: list[tuple[Path, Path]]
    alive: list[tuple[Path, Path]]


def merge(ws: Workspace, other: str, say: Say) -> Merged:
    """Merge another workspace into ``ws``.

    Args:
        ws: this workspace.
        other: the other project's folder, or its ``.snapml``.
        say: is told how far it is.

    Raises:
        NotFoundError: there is no workspace.
        InvalidInputError: it is this one.
        StoreDamagedError: the other one is damaged or newer.
        StorageError: the disk is full; what has come is whole, and doing it again goes on.
        ConflictError: another merge into this one is at work.
    """
    with _alone(ws), opened(ws, other) as there:
        live.catch_up(ws)
        say(0.0, "comparing")
        theirs = merge_catalog.read(there.root)
        folders, blobs = _folders(ws, there), _missing(ws, there)
        needed = sum(blob.size for blob in blobs) + merge_files.size_of(source for source, _ in folders.whole)
        rows = there.ledger.stat().st_size * _LEDGER_ROOM if _is_news(ws, there) else 0
        merge_files.check_room(ws.root, needed + rows)
        damaged = merge_files.bring_blobs(ws.blobs, blobs, lambda done, text: say(0.6 * done, text))
        _bring_folders(ws, folders, lambda done, text: say(0.6 + 0.2 * done, text))
        joined = merge_catalog.bring_versions(ws, theirs, dry=False)
        say(0.8, "writing the ledger")
        brought = _bring(ws, there, joined, dry=False)
        _shorten_log(ws)
        declared = merge_catalog.bring_declared(ws, theirs, brought, dry=False)
        if declared[0] or any(item.came for item in joined.values()):
            with ws.ledger.write() as connection:
                bump(connection)
        verification.verify(
            ws
        )  # notes outside where the audits that came end, so that a cut of them shows, too
        say(1.0, "done")
        return _merged(there, brought, joined, declared, blobs, damaged)


def plan(ws: Workspace, other: str, say: Say) -> Merged:
    """Say what :func:`merge` would do: it is done in a transaction that is taken back.

    Raises:
        SnapmlError: as :func:`merge`.
    """
    with _alone(ws), opened(ws, other) as there:
        say(0.0, "comparing")
        theirs = merge_catalog.read(there.root)
        joined = merge_catalog.bring_versions(ws, theirs, dry=True)
        brought = _bring(ws, there, joined, dry=True)
        declared = merge_catalog.bring_declared(ws, theirs, brought, dry=True)
        return _merged(there, brought, joined, declared, _missing(ws, there), [])


@contextlib.contextmanager
def _alone(ws: Workspace) -> Iterator[None]:
    for _ in range(_TRIES):
        with storage_errors(ws.root / MERGING):
            lock = try_lock(ws.root / MERGING)
        if lock is not None:
            break
        time.sleep(_PAUSE_SECONDS)  # somebody may only have looked whether it is held
    else:
        raise ConflictError("Another merge into this workspace is at work.", fix="Wait until it is done.")
    try:
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _attached(ws: Workspace, there: Other) -> Iterator[sqlite3.Connection]:
    connection = ws.ledger.connection
    connection.execute("ATTACH DATABASE ? AS other", (str(there.ledger),))
    try:
        yield connection
    finally:
        connection.execute("DETACH DATABASE other")


def _bring(ws: Workspace, there: Other, joined: dict[str, merge_catalog.Joined], *, dry: bool) -> Brought:
    brought = Brought()
    with _attached(ws, there), contextlib.suppress(_Dry), ws.ledger.write() as connection:
        home = {
            row[0]
            for row in connection.execute("SELECT id FROM main.runs WHERE state = 'running'")
            if not (live.folder(ws, row[0]) / "lock").is_symlink()
        }
        brought = merge_ledger.bring(connection, there.id, home=home, datasets=joined["datasets"].numbers)
        if dry:
            raise _Dry
    return brought


def _shorten_log(ws: Workspace) -> None:
    """Give the disk back what a large transaction took of it for SQLite's log; where somebody reads it, it stays."""
    log = ws.root / "ledger.db-wal"
    if log.exists() and log.stat().st_size > _LONG_LOG_BYTES:
        with contextlib.suppress(sqlite3.OperationalError):
            ws.ledger.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _missing(ws: Workspace, there: Other) -> list[Blob]:
    return merge_files.missing(ws.blobs, there.root / "artifacts", there.seen.root / "artifacts")


def _is_news(ws: Workspace, there: Other) -> bool:
    """Say whether there is a run there that is not here: what else there may be is small."""
    with _attached(ws, there) as connection:
        sql = "SELECT 1 FROM other.runs WHERE id NOT IN (SELECT id FROM main.runs) LIMIT 1"
        return connection.execute(sql).fetchone() is not None


def _folders(ws: Workspace, there: Other) -> _Folders:
    """Return the folders of jobs and runs that come, or that say more there than here."""
    with _attached(ws, there) as connection:
        jobs = connection.execute(
            "SELECT theirs.id, ours.id IS NOT NULL FROM other.jobs AS theirs LEFT JOIN main.jobs AS ours USING (id)"
            f" WHERE theirs.state IN ({_OVER}) AND (ours.id IS NULL OR {merge_ledger.FOUND})"
        ).fetchall()
        runs = connection.execute(
            "SELECT theirs.id, ours.id IS NOT NULL, theirs.state FROM other.runs AS theirs"
            " LEFT JOIN main.runs AS ours USING (id)"
            f" WHERE theirs.state IS NOT NULL AND (ours.id IS NULL OR {merge_ledger.FURTHER})"
        ).fetchall()
    whole = [
        (there.root / "jobs" / job, ws.jobs / job)
        for job, known in jobs
        if _is_folder(there.root / "jobs" / job) and (known or not (ws.jobs / job).exists())
    ]
    alive = []
    for run, known, state in runs:
        source, target = there.root / "runs" / run, live.folder(ws, run)
        if known and not (target / "lock").is_symlink() and live.alive(target):
            continue
        if state == "running":
            alive.append((source, target))
        elif _is_folder(source) and (known or not target.exists()):
            whole.append((source, target))
    return _Folders(whole, alive)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _bring_folders(ws: Workspace, folders: _Folders, say: Say) -> None:
    for number, (source, target) in enumerate(folders.whole, 1):
        merge_files.bring_folder(source, target)
        say(number / len(folders.whole), f"{number:,} of {len(folders.whole):,} folders of runs and jobs")
    for source, target in folders.alive:
        merge_files.link_lock(source, target)
    if folders.whole:
        with storage_errors(ws.root):
            merge_files.make_durable(ws.root)


def _merged(
    there: Other, brought: Brought, joined: dict[str, merge_catalog.Joined], declared: tuple[int, int],
    blobs: list[Blob], damaged: list[str],
) -> Merged:  # fmt: skip
    came, here = dict(brought.came), dict(brought.here)
    for kind, found in joined.items():
        came[kind], here[kind] = found.came, found.here
        brought.collided += found.collided
    came["declared"], here["declared"] = declared
    size = sum(blob.size for blob in blobs if blob.sha256 not in set(damaged))
    return Merged(
        other=there.root, workspace=there.id, came=came, here=here, collided=brought.collided, left=brought.left,
        stand=brought.stand, files=len(blobs) - len(damaged), size=size, damaged=damaged,
    )  # fmt: skip
