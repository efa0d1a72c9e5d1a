"""The ledger: what happened, in SQLite (WAL). Standard library only, for the job shim uses it too.

One connection a thread; writes are short ``BEGIN IMMEDIATE`` transactions. Whatever a page may show live bumps
the ledger's revision in the same transaction, so that a watcher asks only for what is newer.
"""

import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from snapml_lab.errors import ConflictError, StorageError, StoreDamagedError
from snapml_lab.store.migrations import APPLICATION_ID, MIGRATIONS

_BUSY_SECONDS = 30.0
_LOOK_SECONDS = 2.0
"""After so long a wait, look whether who writes was stopped."""
_WRITE_LOCK = "120"
"""The byte of the -shm file that a writer locks (SQLite, "WAL-mode File Format", section 2.3)."""
_SHIM = b"\0SNAPML_SHIM="


class Ledger:
    """The ledger of one workspace.

    Args:
        path: the database file; made with its tables if missing.

    Raises:
        StoreDamagedError: the file is not a ledger, or comes from a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        with explained(path):
            self._migrate(self.connection)

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=_LOOK_SECONDS, isolation_level=None)
            connection.row_factory = sqlite3.Row
            _use_wal(connection)
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA foreign_keys=ON")
            self._local.connection = connection
        return connection

    def patience(self, seconds: float) -> None:
        """Set how long this thread waits for another's write to end before it gives up."""
        self._local.patience = seconds
        self.connection.execute(f"PRAGMA busy_timeout={int(min(seconds, _LOOK_SECONDS) * 1000)}")

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run a block as one transaction: all of it, or on any error none.

        Raises:
            StorageError: the disk is full or read-only.
            StoreDamagedError: the database is malformed.
        """
        with explained(self.path):
            connection = self.connection
            if connection.in_transaction:
                yield connection
                return
            self._begin(connection)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Begin to write, waiting for whoever does; one of our shims that was stopped while it did is let go on."""
        deadline = time.monotonic() + getattr(self._local, "patience", _BUSY_SECONDS)
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() >= deadline:
                    raise
                _wake_writer(self.path)
            else:
                return

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        with explained(self.path):
            return self.connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        with explained(self.path):
            row: sqlite3.Row | None = self.connection.execute(sql, values).fetchone()
            return row

    def revision(self) -> int:
        """Return the number of the latest change."""
        row = self.row("SELECT revision FROM meta")
        return int(row["revision"]) if row else 0

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version:
            _check_ours(connection, self.path)
        if version == len(MIGRATIONS):
            return
        if version > len(MIGRATIONS):
            raise StoreDamagedError(
                f"{self.path} was written by a newer SnapML Lab (schema {version}; this one knows {len(MIGRATIONS)}).",
                fix="Upgrade: pip install -U snapml-lab",
            )
        with self.write():
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                _check_ours(connection, self.path)
            for migrate in MIGRATIONS[version:]:
                migrate(connection)
            connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")


def _wake_writer(path: Path) -> None:
    """Let a stopped shim that holds the write lock go on: nobody could write before; it only makes its job's mark."""
    with contextlib.suppress(OSError, ValueError):
        inode = os.stat(f"{path}-shm").st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()  # 1: POSIX ADVISORY WRITE pid major:minor:inode start end
            if fields[5:6] and fields[5].endswith(f":{inode}") and fields[6] == _WRITE_LOCK:
                process = Path("/proc") / fields[4]
                if _SHIM in b"\0" + (process / "environ").read_bytes():
                    os.kill(int(fields[4]), signal.SIGCONT)


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise StoreDamagedError(
            f"{path} is a database, but not a ledger.", fix="Move it away: it is of another program."
        )


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL: the one step for which SQLite does not wait while another process does the same."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def bump(connection: sqlite3.Connection) -> int:
    """Advance the revision inside a transaction and return it; the caller stores it in the rows it changed."""
    row = connection.execute("UPDATE meta SET revision = revision + 1 RETURNING revision").fetchone()
    return int(row[0])


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says into errors of the family, with the fix."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text or "readonly" in text or "disk I/O" in text or "unable to open" in text:
            raise StorageError(
                f"The ledger {path} could not be written: {text}.",
                fix=f"Free space on its disk, or make {path.parent} writable, and try again.",
            ) from error
        if "locked" in text:
            raise ConflictError(
                f"The ledger {path} is busy: another process is writing to it.", fix="Try again in a moment."
            ) from error
        raise
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise
        raise StoreDamagedError(
            f"{path} is not a readable ledger: {error}.",
            fix=f"Move it away and restore a copy; the job folders beside it in {path.parent / 'jobs'} are whole.",
        ) from error
