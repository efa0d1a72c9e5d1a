"""Reading runs: their parameters, latest metrics and origin. Standard library only."""

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.store import curve as curves
from snapml_lab.store.ledger import Ledger

STATE = "coalesce(runs.state, (SELECT state FROM jobs WHERE jobs.id = runs.job))"
"""A run's state is its job's where it is the run of a job."""
_SELECT = (
    f"SELECT runs.*, {STATE} AS shown,"
    " coalesce(runs.ended_at, (SELECT ended_at FROM jobs WHERE jobs.id = runs.job)) AS over FROM runs"
)
_SOME = 500


@dataclass(frozen=True)
class Artifact:
    """A file or folder kept with a run: its name, SHA-256 among the blobs, and bytes."""

    name: str
    blob: str
    size: int
    folder: bool


@dataclass(frozen=True)
class Run:
    """A run. ``params`` are text; ``metrics`` the value of each at its latest step; times are seconds since the epoch.

    ``state`` is a job's: ``running``, ``succeeded``, ``failed``, ``cancelled`` or ``lost`` for the run of a kernel.
    """

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
    git_diff: str | None
    session: str | None
    out_of_order: bool | None
    out_of_order_why: str | None
    script: str | None
    actor: str
    state: str
    ended_at: float | None
    deleted_at: float | None
    note: str | None
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)


_COLUMNS = tuple(
    name
    for name in Run.__dataclass_fields__
    if name not in ("params", "metrics", "tags", "artifacts", "state", "ended_at", "out_of_order")
)


def get(ledger: Ledger, reference: str, *, deleted: bool = False) -> Run:
    """Return a run by its id, the end of its id, its name (the latest; with ``deleted`` of those deleted), or ``last``.

    Raises:
        NotFoundError: none matches.
        InvalidInputError: the end of an id fits several.
    """
    found = ledger.rows(f"{_SELECT} WHERE id = ?", reference.lower())
    if not found and reference == "last":
        found = ledger.rows(f"{_SELECT} WHERE parent IS NULL AND deleted_at IS NULL ORDER BY id DESC LIMIT 1")
    if not found and len(reference) >= 4 and reference.isalnum():
        found = ledger.rows(f"{_SELECT} WHERE id LIKE ? LIMIT 2", f"%{reference.lower()}")
        if len(found) > 1:
            raise InvalidInputError.of("run", reference, "the end of one run's id", "Give more of the id.")
    if not found:
        found = ledger.rows(
            f"{_SELECT} WHERE name = ? AND (deleted_at IS NOT NULL) = ? ORDER BY id DESC LIMIT 1",
            reference,
            deleted,
        )
    if not found:
        raise NotFoundError(f"There is no run {reference!r}.", fix="See the runs there are: snapml runs list")
    return _with_values(ledger, found)[0]


def latest(ledger: Ledger, *, kind: str | None, limit: int) -> list[Run]:
    """Return the newest runs that are not nested, newest first; with a ``kind``, those of that kind, nested or not."""
    where, values = ("parent IS NULL", ()) if kind is None else ("kind = ?", (kind,))
    rows = ledger.rows(
        f"{_SELECT} WHERE {where} AND deleted_at IS NULL ORDER BY id DESC LIMIT ?", *values, limit
    )
    return _with_values(ledger, rows)


def of_ids(ledger: Ledger, ids: Sequence[str]) -> list[Run]:
    """Return runs by their ids, in that order; one that is not there is left out."""
    found: dict[str, Run] = {}
    for start in range(0, len(ids), _SOME):
        some = ids[start : start + _SOME]
        rows = ledger.rows(f"{_SELECT} WHERE id IN ({','.join('?' * len(some))})", *some)
        found |= {run.id: run for run in _with_values(ledger, rows)}
    return [found[run] for run in ids if run in found]


def children(ledger: Ledger, parent: str) -> list[Run]:
    """Return the runs nested in one, oldest first."""
    return _with_values(ledger, ledger.rows(f"{_SELECT} WHERE parent = ? ORDER BY id", parent))


def curve(ledger: Ledger, run: str, name: str, *, points: int = 400) -> tuple[list[int], list[float]]:
    """Return a metric's steps and values, thinned to about ``points`` means; the last value is always there."""
    pieces = curves.pieces(ledger.connection, run, name, most=points)
    found = [(piece.last, piece.mean) for piece in pieces if math.isfinite(piece.mean)]
    latest = ledger.row("SELECT step, value FROM latest_metrics WHERE run = ? AND name = ?", run, name)
    if found and latest is not None and latest["value"] is not None:
        found[-1] = (latest["step"], latest["value"])
    return [step for step, _ in found], [value for _, value in found]


def _with_values(ledger: Ledger, rows: Sequence[sqlite3.Row]) -> list[Run]:
    found: dict[str, Run] = {}
    for row in rows:
        ordered = row["out_of_order"]
        found[row["id"]] = Run(
            **{name: row[name] for name in _COLUMNS}, state=row["shown"] or "succeeded", ended_at=row["over"],
            out_of_order=None if ordered is None else bool(ordered),
        )  # fmt: skip
    ids = list(found)
    for start in range(0, len(ids), _SOME):
        some = ids[start : start + _SOME]
        marks = ",".join("?" * len(some))
        for row in ledger.rows(f"SELECT run, name, text FROM params WHERE run IN ({marks})", *some):
            found[row["run"]].params[row["name"]] = row["text"]
        for row in ledger.rows(f"SELECT run, name, value FROM latest_metrics WHERE run IN ({marks})", *some):
            if row["value"] is not None:
                found[row["run"]].metrics[row["name"]] = row["value"]
        for row in ledger.rows(f"SELECT run, name, text FROM tags WHERE run IN ({marks})", *some):
            found[row["run"]].tags[row["name"]] = row["text"]
        for row in ledger.rows(
            f"SELECT run, name, blob, size, folder FROM artifacts WHERE run IN ({marks}) ORDER BY name", *some
        ):
            found[row["run"]].artifacts.append(
                Artifact(row["name"], row["blob"], row["size"], bool(row["folder"]))
            )
    return list(found.values())
