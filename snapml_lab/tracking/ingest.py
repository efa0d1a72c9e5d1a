"""From an ``events.jsonl`` into the ledger, in batches: a job's, or that of a run of a kernel. Standard library only.

The offset reached is kept in the ledger and moves in the same transaction as what was read, so each line counts
exactly once whoever reads it: the shim, the writer itself, or whoever finds that it died.
"""

import contextlib
import json
import math
import os
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from snapml_lab.errors import StorageError
from snapml_lab.registry import versions
from snapml_lab.store import curve
from snapml_lab.store.blobs import Blobs
from snapml_lab.store.ledger import Ledger, bump
from snapml_lab.tracking import record

_BATCH_BYTES = 1 << 19
"""Some 5,000 metrics: read and parsed before the transaction, which then takes a few milliseconds."""
_TURN_SECONDS = 5e-5
_UNREADABLE = (
    ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
    sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError,
)  # fmt: skip
"""What a line that is not an event can raise: a payload may write anything, and it must cost only that line."""

_Curves = dict[tuple[str, str], list[curve.Point]]


@dataclass(frozen=True)
class Source:
    """Whose events: ``table`` holds the offset reached, ``folder`` is that of the job or the run called ``id``."""

    table: Literal["jobs", "runs"]
    id: str
    folder: Path

    @property
    def events(self) -> Path:
        """The file that is read."""
        return self.folder / "events.jsonl"


@dataclass
class _Batch:
    """Lines read: points of curves apart from all else; ``unread`` are lines that are no events, with the reason."""

    curves: _Curves = field(default_factory=dict)
    events: list[tuple[bytes, dict[str, Any]]] = field(default_factory=list)
    unread: list[tuple[bytes, str]] = field(default_factory=list)


def ingest(ledger: Ledger, blobs: Blobs, source: Source) -> int:
    """Bring all whole new lines into the ledger; return how many there were."""
    total = 0
    while True:
        count, more = _batch(ledger, blobs, source)
        total += count
        if not more:
            return total


def _batch(ledger: Ledger, blobs: Blobs, source: Source) -> tuple[int, bool]:
    try:
        size = source.events.stat().st_size
    except FileNotFoundError:
        return 0, False
    row = ledger.row(f"SELECT ingested FROM {source.table} WHERE id = ?", source.id)
    if row is None or row["ingested"] >= size:
        return 0, False
    offset = int(row["ingested"])
    with source.events.open("rb") as file:
        file.seek(offset)
        content = file.read(_BATCH_BYTES)
    whole, newline, _ = content.rpartition(b"\n")
    if not newline:
        if len(content) < _BATCH_BYTES:
            return 0, False
        whole = content  # a line longer than a batch is no event: it is passed over, a batch at a time
    lines = whole.split(b"\n")
    batch = _read(lines, source, blobs)
    curves = [
        curve.prepare(ledger.connection, run, name, points) for (run, name), points in batch.curves.items()
    ]
    with _briefly(), ledger.write() as connection:
        (reached,) = connection.execute(
            f"SELECT ingested FROM {source.table} WHERE id = ?", (source.id,)
        ).fetchone()
        if reached != offset:  # another reader was faster
            return 0, True
        revision = bump(connection)
        _write(connection, source, batch, curves, revision)
        offset += len(whole) + len(newline)
        connection.execute(
            f"UPDATE {source.table} SET ingested = ?, revision = ? WHERE id = ?",
            (offset, revision, source.id),
        )
        connection.execute("UPDATE runs SET revision = ? WHERE id = ?", (revision, source.id))
    return len(lines), len(content) == _BATCH_BYTES


@contextlib.contextmanager
def _briefly() -> Iterator[None]:
    """Have threads of this process take turns more often while the ledger is held.

    Each statement lets go of the interpreter, and a thread that computes keeps it for 5 ms then: with one at work, a
    transaction of twenty statements held the ledger for 50 to 200 ms, for which every other process waited.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _write(
    connection: sqlite3.Connection, source: Source, batch: _Batch, curves: list[curve.Prepared], revision: int
) -> None:
    for line, event in batch.events:
        connection.execute("SAVEPOINT event")
        try:
            _apply(connection, source, event, revision)
        except _UNREADABLE as error:
            connection.execute("ROLLBACK TO event")
            batch.unread.append((line, repr(error)))
        connection.execute("RELEASE event")
    for prepared in curves:
        try:
            curve.put(connection, prepared)
        except sqlite3.IntegrityError as error:  # of a run that is not there
            batch.unread.append((f"{prepared.run} {prepared.name}".encode(), repr(error)))
    for line, reason in batch.unread[-1:]:
        record.log_param(connection, source.id, "snapml.unread_event", f"{reason}: {line[:200]!r}")


def _read(lines: list[bytes], source: Source, blobs: Blobs) -> _Batch:
    """Parse lines; files they name are copied here, before the transaction, for they may be large."""
    batch = _Batch()
    for line in lines:
        try:
            event = json.loads(line)
            match event["type"]:
                case "metric":
                    _point(batch.curves, event, str(event["name"]), event.get("value"), source.id)
                case "metrics":
                    for name, value in event["values"].items():
                        _point(batch.curves, event, name, value, source.id)
                case kind:
                    if kind == "model" or (kind == "artifact" and "path" in event):
                        _keep(event, source.folder, blobs)
                    batch.events.append((line, event))
        except StorageError:
            raise
        except (*_UNREADABLE, OSError) as error:
            batch.unread.append((line, repr(error)))
    return batch


def _point(curves: _Curves, event: dict[str, Any], name: str, value: Any, run: str) -> None:
    number = None if value is None else float(value)
    step = event.get("step", 0)
    if type(step) is not int:
        step = int(step)
    at = float(event["at"])
    if not -(2**63) <= step < 2**63 or not math.isfinite(at):
        raise ValueError("a step or time out of range")
    curves.setdefault((str(event.get("run", run)), name), []).append((step, at, number))


def _keep(event: dict[str, Any], folder: Path, blobs: Blobs) -> None:
    """Copy the file or folder an event names into the blobs; it must lie inside the folder."""
    path = (folder / event["path"]).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{event['path']} is outside the job's folder")
    if not (path.is_file() or path.is_dir()) or not os.access(path, os.R_OK):
        raise ValueError(f"{event['path']} is not a file or folder that can be read")
    event["folder"] = path.is_dir()
    event["blob"], event["size"] = blobs.put_folder(path) if path.is_dir() else blobs.put(path)


def _apply(connection: sqlite3.Connection, source: Source, event: dict[str, Any], revision: int) -> None:
    run = event.get("run", source.id)
    match event["type"]:
        case "param":
            record.log_param(connection, run, event["name"], event["value"])
        case "tag":
            record.log_tag(connection, run, event["name"], event["value"])
        case "run":
            record.nested(connection, source.id, event, revision)
        case "artifact" if "blob" in event:
            record.log_artifact(
                connection,
                run,
                event["name"],
                event["blob"],
                event["size"],
                event["at"],
                folder=bool(event.get("folder")),
            )
        case "artifact" | "usage":
            record.log_param(
                connection, run, f"{event['type']}.{event['name']}", event.get("value", event.get("path"))
            )
        case "model":
            versions.register(
                connection, name=event["name"], run=source.id, blob=event["blob"], size=event["size"],
                format=event["format"], task=event["task"], signature=event["signature"], evidence=event["evidence"],
                at=event["at"], base=event.get("base"), example=event.get("example"),
            )  # fmt: skip
        case _ if source.table == "jobs":
            _apply_to_job(connection, source.id, event)
        case "end":
            record.end(connection, source.id, event["state"], event["at"], revision)
        case other:
            raise ValueError(f"no event of type {other!r}")


def _apply_to_job(connection: sqlite3.Connection, job: str, event: dict[str, Any]) -> None:
    match event["type"]:
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
        case other:
            raise ValueError(f"no event of type {other!r}")
