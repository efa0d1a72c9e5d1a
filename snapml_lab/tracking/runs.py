"""Reading runs: their parameters, latest metrics and origin. Standard library only."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.store.ledger import Ledger


@dataclass(frozen=True)
class Run:
    """A run. ``params`` are text; ``metrics`` the latest value of each; times are seconds since the epoch."""

    id: str
    kind: str
    name: str
    job: str | None
    parent: str | None
    started_at: float
    notebook: str | None
    cell_id: str | None
    cell_sha256: str | None
    execution_count: int | None
    git_commit: str | None
    environment: str | None
    dataset: str | None
    params: dict[str, str]
    metrics: dict[str, float]


def get(ledger: Ledger, reference: str) -> Run:
    """Return a run by its id, the end of its id, its name (the latest), or ``last``.

    Raises:
        NotFoundError: none matches.
        InvalidInputError: the end of an id fits several.
    """
    found = ledger.rows("SELECT * FROM runs WHERE id = ?", reference.lower())
    if not found and reference == "last":
        found = ledger.rows("SELECT * FROM runs WHERE parent IS NULL ORDER BY id DESC LIMIT 1")
    if not found and len(reference) >= 4 and reference.isalnum():
        found = ledger.rows("SELECT * FROM runs WHERE id LIKE ? LIMIT 2", f"%{reference.lower()}")
        if len(found) > 1:
            raise InvalidInputError.of("run", reference, "the end of one run's id", "Give more of the id.")
    if not found:
        found = ledger.rows("SELECT * FROM runs WHERE name = ? ORDER BY id DESC LIMIT 1", reference)
    if not found:
        raise NotFoundError(f"There is no run {reference!r}.", fix="See the runs there are: snapml runs list")
    return _with_values(ledger, found)[0]


def latest(ledger: Ledger, *, kind: str | None, limit: int) -> list[Run]:
    """Return the newest runs that are not nested, newest first; with a ``kind``, those of that kind, nested or not."""
    rows = ledger.rows(
        "SELECT * FROM runs WHERE CASE WHEN ? IS NULL THEN parent IS NULL ELSE kind = ? END ORDER BY id DESC LIMIT ?",
        kind, kind, limit,
    )  # fmt: skip
    return _with_values(ledger, rows)


def curve(ledger: Ledger, run: str, name: str, *, points: int = 400) -> tuple[list[int], list[float]]:
    """Return a metric's steps and values, thinned to about ``points`` evenly spaced ones; the last is always there."""
    rows = ledger.rows(
        "SELECT step, value FROM (SELECT step, value, row_number() OVER (ORDER BY step DESC) - 1 AS back,"
        " count(*) OVER () AS number FROM metrics WHERE run = ? AND name = ? AND value IS NOT NULL)"
        " WHERE back % max(1, number / ?) = 0 ORDER BY step",
        run, name, points,
    )  # fmt: skip
    return [row["step"] for row in rows], [row["value"] for row in rows]


def children(ledger: Ledger, parent: str) -> list[Run]:
    """Return the runs nested in one, oldest first."""
    return _with_values(ledger, ledger.rows("SELECT * FROM runs WHERE parent = ? ORDER BY id", parent))


def _with_values(ledger: Ledger, rows: Sequence[sqlite3.Row]) -> list[Run]:
    ids = [row["id"] for row in rows]
    params: dict[str, dict[str, str]] = {run: {} for run in ids}
    metrics: dict[str, dict[str, float]] = {run: {} for run in ids}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        marks = ",".join("?" * len(some))
        for row in ledger.rows(f"SELECT run, name, text FROM params WHERE run IN ({marks})", *some):
            params[row["run"]][row["name"]] = row["text"]
        for row in ledger.rows(f"SELECT run, name, value FROM latest_metrics WHERE run IN ({marks})", *some):
            if row["value"] is not None:
                metrics[row["run"]][row["name"]] = row["value"]
    columns = [name for name in Run.__dataclass_fields__ if name not in ("params", "metrics")]
    return [
        Run(**{name: row[name] for name in columns}, params=params[row["id"]], metrics=metrics[row["id"]])
        for row in rows
    ]
