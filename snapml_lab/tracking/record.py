"""Writing runs, parameters and metrics inside a ledger transaction. Standard library only."""

import sqlite3
from dataclasses import dataclass, fields
from typing import Any

from snapml_lab.store import curve


@dataclass(frozen=True)
class Origin:
    """Where work was started from; None is unknown, never guessed.

    Attributes:
        notebook: path relative to the project.
        cell_id: the cell's id (nbformat 4.5).
        cell_sha256: SHA-256 of the cell's source, or of the script's where there is no cell; the text is in ``sources``.
        execution_count: the kernel's counter.
        git_commit: the commit checked out, ``-dirty`` appended where tracked files differ.
        environment: SHA-256 of the lock of installed packages.
        dataset: SHA-256 of the data.
        git_diff: SHA-256 of what the files differ by from that commit (a blob, see ``git``); None where they do not.
        session: SHA-256 of what this kernel had run so far (a blob: a JSON list of cells, see ``session``).
        out_of_order: whether a cell had been edited or run again since, or run in another order than they stand.
        out_of_order_why: what was out of order, in words.
        script: path, relative to the project, of the script that ran, where it is no kernel.
    """

    notebook: str | None = None
    cell_id: str | None = None
    cell_sha256: str | None = None
    execution_count: int | None = None
    git_commit: str | None = None
    environment: str | None = None
    dataset: str | None = None
    git_diff: str | None = None
    session: str | None = None
    out_of_order: bool | None = None
    out_of_order_why: str | None = None
    script: str | None = None


_ORIGIN = tuple(field.name for field in fields(Origin))


def create(
    connection: sqlite3.Connection, run: str, *, kind: str, name: str, job: str | None, at: float, origin: Origin,
    revision: int, actor: str, state: str | None = None, parent: str | None = None, note: str | None = None,
) -> None:  # fmt: skip
    """Insert a run; its ``state`` is None where it is its job's."""
    values = {
        "id": run, "kind": kind, "name": name, "job": job, "started_at": at, "revision": revision, "actor": actor,
        "state": state, "parent": parent, "note": note, **{name: getattr(origin, name) for name in _ORIGIN},
    }  # fmt: skip
    connection.execute(
        f"INSERT INTO runs ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
        tuple(values.values()),
    )


def end(connection: sqlite3.Connection, run: str, state: str, at: float, revision: int) -> None:
    """Say how a run of a kernel ended; the first word counts."""
    connection.execute(
        "UPDATE runs SET state = ?, ended_at = ?, revision = ? WHERE id = ? AND state = 'running'",
        (state, float(at), revision, run),
    )


def nested(connection: sqlite3.Connection, parent: str, event: dict[str, Any], revision: int) -> None:
    """Insert a whole run under ``parent``; its origin is the parent's."""
    origin = ", ".join(_ORIGIN)
    connection.execute(
        f"INSERT OR IGNORE INTO runs (id, kind, name, job, parent, started_at, ended_at, state, actor, revision, {origin})"
        f" SELECT ?, ?, ?, job, id, ?, ?, 'succeeded', actor, ?, {origin} FROM runs WHERE id = ?",
        (event["run"], event["kind"], event["name"], event["at"], event["at"], revision, parent),
    )
    for name, value in event.get("params", {}).items():
        log_param(connection, event["run"], name, value)
    for name, value in event.get("metrics", {}).items():
        number = None if value is None else float(value)
        curve.append(connection, event["run"], name, [(0, event["at"], number)])


def log_param(connection: sqlite3.Connection, run: str, name: str, value: object) -> None:
    """Set a parameter; a number, or the text of one, is kept as a number, too, for searching."""
    try:
        number = None if isinstance(value, bool) else float(value)  # type: ignore[arg-type]  # refused just below
    except (TypeError, ValueError, OverflowError):
        number = None
    connection.execute("INSERT OR REPLACE INTO params VALUES (?, ?, ?, ?)", (run, name, number, str(value)))


def log_tag(connection: sqlite3.Connection, run: str, name: str, value: object) -> None:
    """Set a tag."""
    connection.execute("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", (run, name, str(value)))


def log_artifact(
    connection: sqlite3.Connection, run: str, name: str, blob: str, size: int, at: float, *, folder: bool
) -> None:
    """Name a kept file or folder of a run; a later one of that name takes its place."""
    connection.execute(
        "INSERT OR REPLACE INTO artifacts VALUES (?, ?, ?, ?, ?, ?)", (run, name, blob, size, int(folder), at)
    )
