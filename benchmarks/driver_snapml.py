"""Drives our own tracking, as the rivals' are driven: ``python driver_snapml.py FOLDER [acknowledge NAME]``."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from driver import acknowledge, each_us, past_curve, past_runs, serve, timed_ms

os.environ["SNAPML_WORKSPACE"] = sys.argv[1]

import snapml_lab as snap

_open: dict[str, Any] = {}


def open_run(name: str) -> None:
    """Begin a run."""
    _open[name] = snap.run(name)


def log(name: str, number: int, start: int = 0) -> list[float]:
    """Time each of ``number`` metrics, in microseconds."""
    run = _open[name]
    return each_us(lambda step: run.log(loss=0.5, step=step), number, start)


def log_all(name: str, number: int) -> tuple[float, float]:
    """Log ``number`` metrics as fast as it goes and end the run; return when that began and ended."""
    run = _open.pop(name)
    begun = time.time()
    with run:
        for step in range(number):
            run.log(loss=0.5, step=step)
    return begun, time.time()


def count(names: list[str]) -> int:
    """Return how many points of the runs can be read, each as a point."""
    from snapml_lab.store import curve
    from snapml_lab.tracking import live, runs
    from snapml_lab.workspace import open_workspace

    ws = open_workspace()
    live.catch_up(ws)
    return sum(
        len(curve.points(ws.ledger.connection, runs.get(ws.ledger, name).id, "loss")) for name in names
    )


def listed(names: list[str]) -> int:
    """Return how many points of the runs the commands tell of."""
    return sum(next(m.number for m in snap.runs.show(name).figures if m.name == "loss") for name in names)


def run_cost() -> float:
    """Return how long a run takes that is begun, logs one metric and ends, in milliseconds."""

    def act() -> None:
        with snap.run("short") as run:
            run.log(loss=0.5)

    return timed_ms(act)[0]


def fill_runs(number: int) -> None:
    """Write runs into the ledger as if they had been."""
    from snapml_lab import ids
    from snapml_lab.store import curve
    from snapml_lab.store.ledger import bump
    from snapml_lab.tracking import record
    from snapml_lab.workspace import open_workspace

    now = time.time()
    with open_workspace().ledger.write() as connection:
        for index, (name, params, metrics) in enumerate(past_runs(number)):
            run, at = ids.new(), now - number + index
            record.create(
                connection, run, kind="run", name=name, job=None, at=at, origin=record.Origin(), revision=bump(connection),
                actor="bench", state="succeeded",
            )  # fmt: skip
            for key, value in params.items():
                record.log_param(connection, run, key, value)
            for key, figure in metrics.items():
                curve.append(connection, run, key, [(0, at, figure)])
    open_workspace().ledger.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def search(where: str, by: str | None, limit: int) -> tuple[float, float, list[str]]:
    """Search by the command; return its milliseconds, those of the search itself, and the names found."""
    from snapml_lab.tracking import search as searching
    from snapml_lab.workspace import open_workspace

    ws = open_workspace()
    raw, _ = timed_ms(
        lambda: searching.search(ws.ledger, where, by=by, ascending=by is not None, limit=limit)
    )
    whole, found = timed_ms(lambda: snap.runs.search(where, by=by, ascending=by is not None, limit=limit))
    return whole, raw, [run.name for run in found.runs]


def fill_curve(name: str, number: int) -> None:
    """Write a run with one long curve into the ledger, as its reader does."""
    from snapml_lab.store import curve
    from snapml_lab.tracking import runs
    from snapml_lab.workspace import open_workspace

    snap.run(name, system=False).end()
    ws = open_workspace()
    now = time.time()
    run = runs.get(ws.ledger, name).id
    with ws.ledger.write() as connection:
        curve.append(
            connection, run, "loss", [(step, now + step / 100, value) for step, value in past_curve(number)]
        )


def curve_ms(name: str) -> tuple[float, float]:
    """Return the milliseconds of the command, and of it with its picture as SVG."""
    command, found = timed_ms(lambda: snap.runs.curve("loss", run=[name]))
    drawn, _ = timed_ms(lambda: found.chart().svg())
    assert found.curves[0].number > 0
    return command, command + drawn


def size() -> int:
    """Return the bytes on disk."""
    return sum(path.stat().st_size for path in Path(sys.argv[1]).rglob("*") if path.is_file())


if __name__ == "__main__":
    if sys.argv[2:3] == ["acknowledge"]:
        open_run(sys.argv[3])
        acknowledge(lambda step: _open[sys.argv[3]].log(loss=0.5, step=step))
    serve({
        "open": open_run, "log": log, "log_all": log_all, "count": count, "listed": listed, "run_cost": run_cost,
        "fill_runs": fill_runs, "search": search, "fill_curve": fill_curve, "curve": curve_ms, "size": size,
        "version": lambda: snap.__version__,
    })  # fmt: skip
