"""From a job's ``events.jsonl`` into the ledger, in batches. Standard library only.

The offset reached is kept in the ledger and moves in the same transaction as what was read, so each line counts
exactly once whoever reads it: the shim, or the tick that finds a dead one.
"""

import json
import os
import sqlite3
from typing import Any

from snapml_lab.errors import StorageError
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.registry import versions
from snapml_lab.store.blobs import Blobs
from snapml_lab.store.ledger import Ledger, bump
from snapml_lab.tracking import record

_BATCH_BYTES = 4 << 20
_UNREADABLE = (
    ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
    sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError,
)  # fmt: skip
"""What a line that is not an event can raise: a payload may write anything, and it must cost only that line."""


def ingest(ledger: Ledger, blobs: Blobs, job: str, folder: JobFolder) -> int:
    """Bring all whole new lines of a job into the ledger; return how many there were."""
    total = 0
    while True:
        count, more = _batch(ledger, blobs, job, folder)
        total += count
        if not more:
            return total


def _batch(ledger: Ledger, blobs: Blobs, job: str, folder: JobFolder) -> tuple[int, bool]:
    try:
        size = folder.events.stat().st_size
    except FileNotFoundError:
        return 0, False
    row = ledger.row("SELECT ingested FROM jobs WHERE id = ?", job)
    if row is None or row["ingested"] >= size:
        return 0, False
    offset = int(row["ingested"])
    with folder.events.open("rb") as file:
        file.seek(offset)
        content = file.read(_BATCH_BYTES)
    whole, newline, _ = content.rpartition(b"\n")
    if not newline:
        if len(content) < _BATCH_BYTES:
            return 0, False
        whole = content  # a line longer than a batch is no event: it is passed over, a batch at a time
    lines = whole.split(b"\n")
    events = [_parsed(line, folder, blobs) for line in lines]
    with ledger.write() as connection:
        (reached,) = connection.execute("SELECT ingested FROM jobs WHERE id = ?", (job,)).fetchone()
        if reached != offset:  # another reader was faster
            return 0, True
        revision = bump(connection)
        for line, event in zip(lines, events, strict=True):
            connection.execute("SAVEPOINT event")
            try:
                _apply(connection, job, event, revision)
            except _UNREADABLE as error:
                connection.execute("ROLLBACK TO event")
                record.log_param(connection, job, "snapml.unread_event", f"{error!r}: {line[:200]!r}")
            connection.execute("RELEASE event")
        offset += len(whole) + len(newline)
        connection.execute("UPDATE jobs SET ingested = ?, revision = ? WHERE id = ?", (offset, revision, job))
        connection.execute("UPDATE runs SET revision = ? WHERE id = ?", (revision, job))
    return len(lines), len(content) == _BATCH_BYTES


def _parsed(line: bytes, folder: JobFolder, blobs: Blobs) -> dict[str, Any]:
    """Read one line; a model's file is copied here, before the transaction, for it may be large."""
    try:
        event = json.loads(line)
        if event["type"] == "model":
            path = (folder.path / event["path"]).resolve()
            if not path.is_relative_to(folder.path.resolve()):
                raise ValueError(f"{event['path']} is outside the job's folder")
            if not (path.is_file() or path.is_dir()) or not os.access(path, os.R_OK):
                raise ValueError(f"{event['path']} is not a file or folder that can be read")
            event["blob"], event["size"] = blobs.put_folder(path) if path.is_dir() else blobs.put(path)
    except StorageError:
        raise
    except (*_UNREADABLE, OSError) as error:
        return {"type": repr(error)}
    fields: dict[str, Any] = event
    return fields


def _apply(connection: sqlite3.Connection, job: str, event: dict[str, Any], revision: int) -> None:
    run = event.get("run", job)
    match event["type"]:
        case "metric":
            record.log_metric(
                connection, run, event["name"], event.get("value"), event.get("step", 0), event["at"]
            )
        case "param":
            record.log_param(connection, run, event["name"], event["value"])
        case "progress":
            connection.execute(
                "UPDATE jobs SET progress = ?, message = coalesce(nullif(?, ''), message) WHERE id = ?",
                (float(event["value"]), str(event.get("message", "")), job),
            )
        case "ready":
            connection.execute(
                "UPDATE jobs SET state = 'running', message = 'ready' WHERE id = ? AND state = 'starting'",
                (job,),
            )
        case "message":
            connection.execute("UPDATE jobs SET message = ? WHERE id = ?", (str(event["text"]), job))
        case "run":
            record.nested(connection, job, event, revision)
        case "model":
            versions.register(
                connection, name=event["name"], run=job, blob=event["blob"], size=event["size"], format=event["format"],
                task=event["task"], signature=event["signature"], evidence=event["evidence"], at=event["at"],
            )  # fmt: skip
        case "artifact" | "usage":
            record.log_param(
                connection, run, f"{event['type']}.{event['name']}", event.get("value", event.get("path"))
            )
        case other:
            raise ValueError(f"no event of type {other!r}")
