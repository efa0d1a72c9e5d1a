"""Writing runs, parameters and metrics inside a ledger transaction. Standard library only."""

import sqlite3
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Origin:
    """Where work was started from; None is unknown, never guessed.

    Attributes:
        notebook: path relative to the project.
        cell_id: the cell's id (nbformat 4.5).
        cell_sha256: SHA-256 of the cell's source.
        execution_count: the kernel's counter.
        git_commit: the commit checked out, ``-dirty`` appended where tracked files differ.
        environment: SHA-256 of the lock of installed packages.
        dataset: SHA-256 of the data.
    """

    notebook: str | None = None
    cell_id: str | None = None
    cell_sha256: str | None = None
    execution_count: int | None = None
    git_commit: str | None = None
    environment: str | None = None
    dataset: str | None = None


def create(
    connection: sqlite3.Connection, run: str, *, kind: str, name: str, job: str | None, at: float, origin: Origin,
    revision: int,
) -> None:  # fmt: skip
    """Insert a run."""
    connection.execute(
        "INSERT INTO runs (id, kind, name, job, started_at, notebook, cell_id, cell_sha256, execution_count, git_commit,"
        " environment, dataset, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (run, kind, name, job, at, origin.notebook, origin.cell_id, origin.cell_sha256, origin.execution_count,
         origin.git_commit, origin.environment, origin.dataset, revision),
    )  # fmt: skip


def nested(connection: sqlite3.Connection, parent: str, event: dict[str, Any], revision: int) -> None:
    """Insert a whole run under ``parent``; its origin is the parent's."""
    connection.execute(
        "INSERT OR IGNORE INTO runs (id, kind, name, job, parent, started_at, notebook, cell_id, cell_sha256,"
        " execution_count, git_commit, environment, dataset, revision)"
        " SELECT ?, ?, ?, job, id, ?, notebook, cell_id, cell_sha256, execution_count, git_commit, environment,"
        " dataset, ? FROM runs WHERE id = ?",
        (event["run"], event["kind"], event["name"], event["at"], revision, parent),
    )
    for name, value in event.get("params", {}).items():
        log_param(connection, event["run"], name, value)
    for name, value in event.get("metrics", {}).items():
        log_metric(connection, event["run"], name, value, 0, event["at"])


def log_param(connection: sqlite3.Connection, run: str, name: str, value: object) -> None:
    """Set a parameter; a number is kept as one, too, for searching."""
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    connection.execute("INSERT OR REPLACE INTO params VALUES (?, ?, ?, ?)", (run, name, number, str(value)))


def log_metric(
    connection: sqlite3.Connection, run: str, name: str, value: float | None, step: int, at: float
) -> None:
    """Add a point to a metric's curve and keep the latest value beside it."""
    connection.execute(
        "INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?, ?)", (run, name, int(step), float(at), value)
    )
    connection.execute(
        "INSERT INTO latest_metrics VALUES (?, ?, ?, ?) ON CONFLICT (run, name) DO UPDATE SET"
        " step = excluded.step, value = excluded.value WHERE excluded.step >= step",
        (run, name, int(step), value),
    )
