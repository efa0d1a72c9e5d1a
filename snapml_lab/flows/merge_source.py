"""The workspace that is merged in, as it is at one moment: a private copy of its ledger. Nothing in it is written.

The copy is brought to this schema, reads what open runs have logged, and settles what has ended, as the other workspace
itself would at its next look.
"""

import contextlib
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from snapml_lab.errors import InvalidInputError, NotFoundError, StoreDamagedError
from snapml_lab.flows import merge_files
from snapml_lab.jobs import outcome
from snapml_lab.jobs.folder import JobFolder, read_exit
from snapml_lab.jobs.model import LIVE
from snapml_lab.store import chain
from snapml_lab.store.files import is_locked, storage_errors
from snapml_lab.store.ledger import Ledger
from snapml_lab.store.migrations import APPLICATION_ID, MIGRATIONS
from snapml_lab.tracking import live
from snapml_lab.workspace import FOLDER, VARIABLE, Workspace

_TRIES = 5
_STILL_SECONDS = 0.05
"""A file that was written so lately could be written again without its time telling (the kernel's clock ticks each 4 ms)."""
_PLAIN = re.compile(r"[0-9A-Za-z_-]{1,64}")
_NAMED = 4
"""The schema since which a ledger has an id."""


@dataclass(frozen=True)
class Other:
    """The other workspace.

    Attributes:
        root: its ``.snapml`` folder, which is only read.
        id: its id.
        seen: what it is seen by: the copy of its ledger, what its open runs kept and it has not looked at yet, and links to
            the folders of its runs and jobs.
    """

    root: Path
    id: str
    seen: Workspace

    @property
    def ledger(self) -> Path:
        """The copy of its ledger."""
        return self.seen.root / "ledger.db"


def locate(place: str, ws: Workspace) -> Path:
    """Return the ``.snapml`` folder that a person names by it or by its project, from the current folder or ``ws``'s project.

    Raises:
        NotFoundError: there is no workspace.
        InvalidInputError: it is the one to merge into.
        StorageError: this account may not read it.
    """
    named = Path(place).expanduser()
    if not named.exists() and (ws.project / named).exists():
        named = ws.project / named
    root = (named if named.name == FOLDER else named / FOLDER).resolve()
    if not ((root / "ledger.db").is_file() or (root / "catalog").is_dir()):
        raise NotFoundError(
            f"There is no workspace in {named}.",
            fix="Give a project's folder that has .snapml in it, or that one.",
        )
    if not all(os.access(path, os.R_OK) for path in (root, root / "ledger.db") if path.exists()):
        raise merge_files.unreadable(root)
    if root == ws.root or (ws.root.exists() and root.samefile(ws.root)):
        raise InvalidInputError.of("other", place, "another workspace than this one")
    return root


@contextlib.contextmanager
def opened(ws: Workspace, place: str) -> Iterator[Other]:
    """Look at another workspace; the caller holds the lock that keeps merges into ``ws`` apart.

    Raises:
        NotFoundError: there is no workspace.
        InvalidInputError: it is the one to merge into.
        StoreDamagedError: its ledger is damaged, is none, or is of a newer version; or its audit does not hold.
        StorageError: there is no room for the copy.
    """
    root = locate(place, ws)
    scratch = ws.cache / "merge"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with storage_errors(scratch):
            (scratch / "artifacts").mkdir(parents=True, mode=0o700)
            (scratch / ".gitignore").touch()
            for name in ("runs", "jobs"):
                (scratch / name).symlink_to(root / name)
            _copy(root / "ledger.db", scratch / "ledger.db")
        with _told_of(root, scratch):
            version = _checked(root, scratch / "ledger.db")
            seen = Workspace(scratch)
            workspace = _named(seen.ledger, version)
            _check_places(seen.ledger, root)
            _settle(seen)
            live.catch_up(seen)
            _verify(seen.ledger, root)
            seen.ledger.close()
        yield Other(root, workspace, seen)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """Copy a ledger as it is at one moment; where somebody writes to it all the time, through SQLite."""
    if not source.is_file():
        return
    log, copied = source.with_name("ledger.db-wal"), target.with_name("ledger.db-wal")
    for _ in range(_TRIES):
        before = _marks(source, log)
        if any(abs(time.time_ns() - mark[0]) < _STILL_SECONDS * 1e9 for mark in before):
            time.sleep(_STILL_SECONDS)
            continue
        copied.unlink(missing_ok=True)
        shutil.copyfile(source, target)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(log, copied)
        if _marks(source, log) == before:
            return
    for path in (target, copied):
        path.unlink(missing_ok=True)
    address = f"file:{quote(str(source))}?mode=ro"
    with (
        contextlib.closing(sqlite3.connect(address, uri=True)) as written,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        written.backup(copy)


def _marks(*paths: Path) -> list[tuple[int, int, int]]:
    found = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            stat = path.stat()
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return found


@contextlib.contextmanager
def _told_of(root: Path, scratch: Path) -> Iterator[None]:
    """Name the other workspace's ledger in an error, not its copy."""
    try:
        yield
    except StoreDamagedError as error:
        if str(scratch) not in error.message:
            raise
        raise _damaged(root, error.message.rpartition(": ")[2].rstrip(".")) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(root, str(error)) from error


def _damaged(root: Path, why: str) -> StoreDamagedError:
    return StoreDamagedError(
        f"{root / 'ledger.db'} is not a whole ledger: {why}.",
        fix=f"Copy {root} anew from where it was made, or restore it from a backup. Nothing was merged.",
    )


def _checked(root: Path, copy: Path) -> int:
    """Return the schema of a ledger that is whole and not newer than this version."""
    if not copy.exists():
        return len(MIGRATIONS)
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and application != APPLICATION_ID:
            raise _damaged(root, "it is a database of another program")
        if version > len(MIGRATIONS):
            raise StoreDamagedError(
                f"{root / 'ledger.db'} was written by a newer SnapML Lab (schema {version}; this one knows"
                f" {len(MIGRATIONS)}).",
                fix="Upgrade this one first: pip install -U snapml-lab",
            )
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise _damaged(root, found.replace("\n", " "))
    return int(version)


def _named(ledger: Ledger, version: int) -> str:
    """Return the workspace's id; one from before there were ids is named by what it began with, each time the same."""
    if 0 < version < _NAMED:
        with ledger.write() as connection:
            connection.execute(
                "UPDATE meta SET workspace = coalesce((SELECT substr(sha256, 1, 26) FROM audit ORDER BY seq LIMIT 1),"
                " (SELECT min(id) FROM runs), 'empty')"
            )
    row = ledger.row("SELECT workspace FROM meta")
    assert row is not None
    return str(row["workspace"])


def _check_places(ledger: Ledger, root: Path) -> None:
    """Refuse ids that are no names of folders, and folders that are links: what is read must lie inside."""
    rows = ledger.rows(
        "SELECT 'jobs' AS place, id, state FROM jobs UNION ALL SELECT 'runs', id, state FROM runs WHERE state IS NOT NULL"
    )
    for row in rows:
        if not _PLAIN.fullmatch(row["id"]):
            raise _damaged(root, f"{row['id'][:80]!r} is no id")
        if row["state"] in (*LIVE, "queued") and (root / row["place"] / row["id"]).is_symlink():
            raise _damaged(root, f"the folder of {row['id']} is a link")


def _settle(seen: Workspace) -> None:
    """Settle, in the copy, what left a record of its end and was not looked at since."""
    states = ", ".join(f"'{state}'" for state in LIVE)
    for row in seen.ledger.rows(f"SELECT id FROM jobs WHERE state IN ({states})"):
        folder = JobFolder(seen.jobs / row["id"])
        with contextlib.suppress(OSError):
            if not is_locked(str(folder.lock)) and (record := read_exit(folder)) is not None:
                outcome.settle(seen.ledger, seen.blobs, row["id"], folder, record)


def _verify(ledger: Ledger, root: Path) -> None:
    """Refuse an audit that does not hold: it could not be told from one that was changed here."""
    fields = ", ".join(chain.FIELDS)
    cursor = ledger.connection.cursor()
    cursor.row_factory = None
    before, last, workspace = chain.START, 0, None
    for row in cursor.execute(
        f"SELECT NULL, {fields}, sha256 FROM audit UNION ALL SELECT workspace, {fields}, sha256 FROM merged_audit"
        " ORDER BY 1, 2"
    ):
        if row[0] != workspace:
            before, last, workspace = chain.START, 0, row[0]
        if row[1] != last + 1 or chain.seal_of(before, row[1:-1]) != row[-1]:
            of = f" of {workspace}" if workspace else ""
            raise StoreDamagedError(
                f"The audit{of} in {root} does not hold: row {row[1]} is not what was sealed after row {last}.",
                fix=f"See what is wrong: {VARIABLE}={root} snapml audit verify. Nothing was merged.",
            )
        before, last = row[-1], row[1]
