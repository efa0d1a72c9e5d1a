"""A metric's points in chunks: none is lost however they come, and what is thinned tells no lies about the rest."""

import itertools
import math
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from snapml_lab.store import curve
from snapml_lab.store.curve import CHUNK, Point
from snapml_lab.store.ledger import Ledger
from snapml_lab.store.migrations import MIGRATIONS

numbers = some.one_of(some.none(), some.floats(allow_nan=True, allow_infinity=True), some.floats(-1, 1))
point = some.tuples(some.integers(-(2**63), 2**63 - 1), some.floats(0, 2e9), numbers)


def made() -> sqlite3.Connection:
    """Return a ledger in memory that has the run ``r``."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for migrate in MIGRATIONS:
        migrate(connection)
    connection.execute(
        "INSERT INTO runs (id, kind, name, started_at, revision) VALUES ('r', 'run', 'r', 0, 1)"
    )
    return connection


def climbing(number: int, start: int = 0) -> list[Point]:
    return [(start + index, float(index), math.sin(index / 50)) for index in range(number)]


def same(a: float | None, b: float | None) -> bool:
    """Say whether two values are the same, where None stands for NaN."""
    return ((a is None or math.isnan(a)) and (b is None or math.isnan(b))) or a == b


@given(some.lists(some.lists(point, max_size=40), max_size=30))
def test_every_point_comes_back_however_the_appends_were_cut(batches):
    connection = made()
    for batch in batches:
        curve.append(connection, "r", "m", batch)
    logged = sorted((p for batch in batches for p in batch), key=lambda p: p[0])
    found = curve.points(connection, "r", "m")
    assert len(found) == len(logged)
    for (step, at, value), (found_step, found_at, found_value) in zip(logged, found, strict=True):
        assert (step, at) == (found_step, found_at)
        assert same(value, found_value)


@given(some.lists(some.lists(point, min_size=1, max_size=40), min_size=1, max_size=12))
def test_the_latest_least_and_greatest_are_those_of_all_points(batches):
    connection = made()
    for batch in batches:
        curve.append(connection, "r", "m", batch)
    logged = [p for batch in batches for p in batch]
    row = connection.execute("SELECT step, value, low, high, number FROM latest_metrics").fetchone()
    finite = [p[2] for p in logged if p[2] is not None and math.isfinite(p[2])]
    last = max(enumerate(logged), key=lambda item: (item[1][0], item[0]))[1]
    assert row[0] == last[0]
    assert row[1] == (last[2] if last[2] is not None and math.isfinite(last[2]) else None)
    assert row[2:] == (min(finite, default=None), max(finite, default=None), len(logged))


@pytest.mark.parametrize("number", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 100_000])
@pytest.mark.parametrize("most", [2, 50, 400])
def test_a_thinned_curve_has_every_step_and_both_extremes_and_the_mean(number: int, most: int):
    connection = made()
    logged = climbing(number)
    curve.append(connection, "r", "m", logged)
    found = curve.pieces(connection, "r", "m", most=most)
    assert len(found) <= max(most, 1)
    assert sum(piece.number for piece in found) == number
    assert found[0].first == 0
    assert found[-1].last == number - 1
    assert all(a.last < b.first for a, b in itertools.pairwise(found))
    values = [p[2] for p in logged]
    assert min(piece.low for piece in found) == min(values)
    assert max(piece.high for piece in found) == max(values)
    mean = sum(piece.mean * piece.number for piece in found) / number
    assert mean == pytest.approx(sum(values) / number, abs=1e-9)
    for piece in found:
        assert logged[piece.low_step][2] == piece.low
        assert logged[piece.high_step][2] == piece.high


def test_part_of_a_long_curve_is_shown_in_its_own_detail():
    connection = made()
    curve.append(connection, "r", "m", climbing(200_000))
    found = curve.pieces(connection, "r", "m", most=400, start=70_000, stop=70_199)
    assert [piece.first for piece in found] == list(range(70_000, 70_200))


def test_steps_that_go_back_are_put_in_order():
    connection = made()
    curve.append(connection, "r", "m", climbing(600))
    curve.append(connection, "r", "m", climbing(300, start=100))
    found = curve.pieces(connection, "r", "m", most=100)
    assert [piece.first for piece in found] == sorted(piece.first for piece in found)
    assert sum(piece.number for piece in found) == 900


def test_values_that_are_no_numbers_leave_the_rest_as_it_is():
    connection = made()
    curve.append(connection, "r", "m", [(0, 0.0, 1.0), (1, 1.0, math.nan), (2, 2.0, None), (3, 3.0, 3.0)])
    (piece,) = curve.pieces(connection, "r", "m", most=1)
    assert (piece.number, piece.low, piece.high, piece.mean) == (4, 1.0, 3.0, 2.0)


def test_a_run_that_is_not_there_has_no_curve(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.db")
    with pytest.raises(sqlite3.IntegrityError), ledger.write() as connection:
        curve.append(connection, "nobody", "m", climbing(1))


def test_an_older_ledger_keeps_its_points_its_figures_and_a_chain_of_its_audit(tmp_path: Path):
    path = tmp_path / "ledger.db"
    old = sqlite3.connect(path, isolation_level=None)
    for migrate in MIGRATIONS[:3]:
        migrate(old)
    old.execute("PRAGMA user_version=3")
    old.execute("INSERT INTO jobs (id, kind, name, state, actor, uid, cpus, submitted_at, revision)"
                " VALUES ('r', 'k', 'n', 'succeeded', 'ann', 0, 1, 0, 1)")  # fmt: skip
    old.execute(
        "INSERT INTO runs (id, kind, name, job, started_at, revision) VALUES ('r', 'k', 'n', 'r', 0, 1)"
    )
    old.executemany("INSERT INTO metrics VALUES ('r', 'loss', ?, ?, ?)", climbing(1300))
    old.execute("INSERT INTO metrics VALUES ('r', 'one', 0, 0.0, NULL)")
    old.executemany("INSERT INTO audit (at, actor, role, surface, command, arguments, outcome) VALUES"
                    " (?, 'ann', 'admin', 'cli', 'run', '{}', 'begun')", [(1.5,), (2.5,)])  # fmt: skip
    old.close()
    ledger = Ledger(path)
    assert curve.points(ledger.connection, "r", "loss") == climbing(1300)
    assert ledger.row("SELECT actor FROM runs")["actor"] == "ann"
    assert {row["name"]: row["number"] for row in ledger.rows("SELECT * FROM latest_metrics")} == {
        "loss": 1300, "one": 1,
    }  # fmt: skip
    hashes = [row["sha256"] for row in ledger.rows("SELECT sha256 FROM audit ORDER BY seq")]
    assert len(set(hashes)) == 2
    assert all(len(sha256) == 64 for sha256 in hashes)


@pytest.mark.parametrize("grown", [0, 1, CHUNK - 10, CHUNK + 3])
def test_what_was_prepared_before_a_curve_grew_is_put_behind_what_came_meanwhile(grown: int) -> None:
    connection = made()
    curve.append(connection, "r", "loss", climbing(10))
    prepared = curve.prepare(connection, "r", "loss", climbing(700, 10_000))
    curve.append(connection, "r", "loss", climbing(grown, 10))
    curve.put(connection, prepared)
    expected = climbing(10) + climbing(grown, 10) + climbing(700, 10_000)
    assert curve.points(connection, "r", "loss") == expected
    (number,) = connection.execute("SELECT number FROM latest_metrics").fetchone()
    assert number == 710 + grown
