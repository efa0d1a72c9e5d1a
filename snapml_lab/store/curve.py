"""A metric's points in the ledger: packed in chunks with a summary each, so that a million draw as fast as a thousand.

A chunk holds up to 512 points, in the order they were logged, as three packed arrays (steps int64, times and values
float64, native byte order of x86-64 and ARM: little-endian) beside its least and greatest value, so that a curve is
thinned by reading summaries alone. ``latest_metrics`` keeps the last, least and greatest value of each metric, typed
and indexed, for searching. Standard library only.
"""

import bisect
import math
import sqlite3
import sys
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

CHUNK = 512
"""Points of a full chunk: 12 KiB, which an append to the last one writes again."""

Point = tuple[int, float, float | None]
"""Step, time in seconds since the epoch, value (None or NaN: it was no number)."""


class Piece(NamedTuple):
    """One stretch of a thinned curve: ``number`` points from ``first`` to ``last`` step.

    ``low`` and ``high`` are its extremes with their steps, ``mean`` its mean; all NaN where it holds no number.
    """

    first: int
    last: int
    number: int
    low: float
    low_step: int
    high: float
    high_step: int
    mean: float


class Prepared(NamedTuple):
    """Points packed as the rows of their chunks, to be put down in a moment; ``end`` is where the curve ended then."""

    run: str
    name: str
    points: Sequence[Point]
    end: tuple[int, int] | None
    chunks: list[tuple[Any, ...]]
    latest: tuple[Any, ...]


def append(connection: sqlite3.Connection, run: str, name: str, points: Sequence[Point]) -> None:
    """Add points to a metric's curve, inside a transaction.

    Raises:
        sqlite3.IntegrityError: there is no such run.
    """
    if points:
        put(connection, prepare(connection, run, name, points))


def prepare(connection: sqlite3.Connection, run: str, name: str, points: Sequence[Point]) -> Prepared:
    """Pack points (one at least) behind those there are: what takes time, done before a transaction holds others up."""
    last = connection.execute(f"{_LAST} steps, ats, numbers {_OF_LAST}", (run, name)).fetchone()
    steps, ats, values = array("q"), array("d"), array("d")
    index, end = 0, None
    if last is not None:
        index, end = last[0], (last[0], last[1])
        if last[1] < CHUNK:
            _unpack(steps, last[2])
            _unpack(ats, last[3])
            _unpack(values, last[4])
        else:
            index += 1
    steps.extend(point[0] for point in points)
    ats.extend(point[1] for point in points)
    values.extend(_number(point[2]) for point in points)
    chunks = []
    for start in range(0, len(steps), CHUNK):
        stop = start + CHUNK
        chunks.append(_chunk(run, name, index, steps[start:stop], ats[start:stop], values[start:stop]))
        index += 1
    return Prepared(run, name, points, end, chunks, _latest(run, name, points))


def put(connection: sqlite3.Connection, prepared: Prepared) -> None:
    """Write what was prepared, inside a transaction; where the curve has grown since, prepare it again.

    Raises:
        sqlite3.IntegrityError: there is no such run.
    """
    run, name = prepared.run, prepared.name
    last = connection.execute(f"{_LAST} 0 {_OF_LAST}", (run, name)).fetchone()
    if prepared.end != (None if last is None else (last[0], last[1])):
        prepared = prepare(connection, run, name, prepared.points)
    connection.executemany(_PUT, prepared.chunks)
    connection.execute(_REMEMBER, prepared.latest)


_LAST = "SELECT chunk, number,"
_OF_LAST = "FROM metric_chunks WHERE run = ? AND name = ? ORDER BY chunk DESC LIMIT 1"
_PUT = (
    "INSERT INTO metric_chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (run, name, chunk) DO UPDATE SET number = excluded.number, first_step = excluded.first_step,"
    " last_step = excluded.last_step, in_order = excluded.in_order, low = excluded.low, low_step = excluded.low_step,"
    " high = excluded.high, high_step = excluded.high_step, total = excluded.total, steps = excluded.steps,"
    " ats = excluded.ats, numbers = excluded.numbers"
)
_REMEMBER = (
    "INSERT INTO latest_metrics (run, name, step, value, at, low, high, number) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (run, name) DO UPDATE SET"
    " value = CASE WHEN excluded.step >= step THEN excluded.value ELSE value END,"
    " at = CASE WHEN excluded.step >= step THEN excluded.at ELSE at END,"
    " step = max(step, excluded.step), low = min(coalesce(low, excluded.low), coalesce(excluded.low, low)),"
    " high = max(coalesce(high, excluded.high), coalesce(excluded.high, high)), number = number + excluded.number"
)


def points(connection: sqlite3.Connection, run: str, name: str) -> list[Point]:
    """Return every point of a metric in order of step, those of one step in the order they were logged."""
    steps, ats, values = array("q"), array("d"), array("d")
    for row in connection.execute(
        "SELECT steps, ats, numbers FROM metric_chunks WHERE run = ? AND name = ? ORDER BY chunk", (run, name)
    ):
        _unpack(steps, row[0])
        _unpack(ats, row[1])
        _unpack(values, row[2])
    found: list[Point] = list(zip(steps, ats, values, strict=True))
    if any(found[i][0] > found[i + 1][0] for i in range(len(found) - 1)):
        found.sort(key=lambda point: point[0])
    return found


def pieces(
    connection: sqlite3.Connection,
    run: str,
    name: str,
    *,
    most: int,
    start: int | None = None,
    stop: int | None = None,
) -> list[Piece]:
    """Return a metric's curve in at most about ``most`` pieces, in order of step; few points are a piece each.

    Args:
        connection: of the ledger.
        run: id of the run.
        name: the metric.
        most: how many pieces a chart can show.
        start: first step wanted; default: the first there is.
        stop: last step wanted; default: the last there is.
    """
    low = -(2**63) if start is None else start
    high = 2**63 - 1 if stop is None else stop
    rows = connection.execute(
        "SELECT chunk, number, first_step, last_step, in_order, low, low_step, high, high_step, total"
        " FROM metric_chunks WHERE run = ? AND name = ? ORDER BY chunk",
        (run, name),
    ).fetchall()
    straight = all(row[4] for row in rows) and all(rows[i][3] <= rows[i + 1][2] for i in range(len(rows) - 1))
    if not straight:
        found = [p for p in points(connection, run, name) if low <= p[0] <= high]
        return _thin(array("q", (p[0] for p in found)), array("d", (_number(p[2]) for p in found)), most)
    rows = [row for row in rows if row[3] >= low and row[2] <= high]
    whole = sum(row[1] for row in rows)
    if not rows or whole <= most or len(rows) < most // 4:
        return _thin(*_some(connection, run, name, rows, low, high), most)
    size = -(-len(rows) // most)
    return [_joined(rows[i : i + size]) for i in range(0, len(rows), size)]


def _some(
    connection: sqlite3.Connection, run: str, name: str, rows: Sequence[sqlite3.Row], low: int, high: int
) -> "tuple[array[int], array[float]]":
    """Return steps and values of a stretch of chunks, which are in order, between two steps."""
    steps, values = array("q"), array("d")
    if rows:
        for row in connection.execute(
            "SELECT steps, numbers FROM metric_chunks WHERE run = ? AND name = ? AND chunk BETWEEN ? AND ?"
            " ORDER BY chunk",
            (run, name, rows[0][0], rows[-1][0]),
        ):
            _unpack(steps, row[0])
            _unpack(values, row[1])
    first, last = bisect.bisect_left(steps, low), bisect.bisect_right(steps, high)
    return steps[first:last], values[first:last]


def _thin(steps: "array[int]", values: "array[float]", most: int) -> list[Piece]:
    size = max(1, -(-len(steps) // most))
    return [_summed(steps[i : i + size], values[i : i + size]) for i in range(0, len(steps), size)]


def _summed(steps: "array[int]", values: "array[float]") -> Piece:
    """Sum points up; where all are numbers, which is nearly always, without looking at each."""
    number, total = len(steps), sum(values)
    if math.isfinite(total):
        low, high = min(values), max(values)
        at_low, at_high = steps[values.index(low)], steps[values.index(high)]
        return Piece(steps[0], steps[-1], number, low, at_low, high, at_high, total / number)
    known = [(value, step) for value, step in zip(values, steps, strict=True) if math.isfinite(value)]
    if not known:
        return Piece(steps[0], steps[-1], number, math.nan, steps[0], math.nan, steps[0], math.nan)
    (low, at_low), (high, at_high) = min(known), max(known)
    mean = sum(value for value, _ in known) / len(known)
    return Piece(steps[0], steps[-1], number, low, at_low, high, at_high, mean)


def _joined(rows: Sequence[sqlite3.Row]) -> Piece:
    known = [row for row in rows if row[5] is not None]
    number = sum(row[1] for row in rows)
    if not known:
        first = rows[0][2]
        return Piece(first, rows[-1][3], number, math.nan, first, math.nan, first, math.nan)
    low = min(known, key=lambda row: row[5])
    high = max(known, key=lambda row: row[7])
    mean = sum(row[9] for row in known) / sum(row[1] for row in known)
    return Piece(rows[0][2], rows[-1][3], number, low[5], low[6], high[7], high[8], mean)


def _chunk(
    run: str, name: str, chunk: int, steps: "array[int]", ats: "array[float]", values: "array[float]"
) -> tuple[Any, ...]:
    """Return a chunk's row: its points packed, and their summary."""
    known = [(value, step) for value, step in zip(values, steps, strict=True) if math.isfinite(value)]
    low, low_step = min(known, default=(None, None))
    high, high_step = max(known, default=(None, None))
    in_order = all(steps[i] <= steps[i + 1] for i in range(len(steps) - 1))
    # Without a number among them the mean of the others counts: the sum is taken as if each had it.
    total = sum(value for value, _ in known) * len(steps) / max(len(known), 1)
    return (
        run, name, chunk, len(steps), min(steps), max(steps), int(in_order), low, low_step, high, high_step, total,
        _packed(steps), _packed(ats), _packed(values),
    )  # fmt: skip


def _latest(run: str, name: str, found: Sequence[Point]) -> tuple[Any, ...]:
    """Return the value of the latest step, and the least and greatest of all, which can be searched."""
    step, at, value = max(enumerate(found), key=lambda item: (item[1][0], item[0]))[1]
    known = [p[2] for p in found if p[2] is not None and math.isfinite(p[2])]
    return (
        run, name, step, _finite(value), at, min(known, default=None), max(known, default=None), len(found),
    )  # fmt: skip


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _packed(numbers: "array[int] | array[float]") -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def _unpack(into: "array[int] | array[float]", content: bytes) -> None:
    found = array(into.typecode)
    found.frombytes(content)
    if sys.byteorder == "big":
        found.byteswap()
    into.extend(found)
