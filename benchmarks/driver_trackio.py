"""Drives trackio, local, in an environment of its own: ``python driver_trackio.py FOLDER [acknowledge NAME]``."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from driver import acknowledge, each_us, past_curve, serve, timed_ms

os.environ |= {"TRACKIO_DIR": sys.argv[1], "TRACKIO_CONFIG_PATH": str(Path(sys.argv[1]) / "config")}

import trackio
from trackio.sqlite_storage import SQLiteStorage

_PROJECT = "bench"
_open: dict[str, Any] = {}


def open_run(name: str) -> None:
    """Begin a run; what it samples of the machine is switched off."""
    _open[name] = trackio.init(_PROJECT, name=name, embed=False, auto_log_gpu=False, auto_log_cpu=False)


def log(name: str, number: int, start: int = 0) -> list[float]:
    """Time each of ``number`` metrics, in microseconds: they are in memory when a call returns."""
    run = _open[name]
    return each_us(lambda step: run.log({"loss": 0.5}, step=step), number, start)


def log_all(name: str, number: int) -> tuple[float, float]:
    """Log ``number`` metrics as fast as it goes and end the run; return when that began and ended."""
    run = _open.pop(name)
    begun = time.time()
    for step in range(number):
        run.log({"loss": 0.5}, step=step)
    trackio.finish()
    return begun, time.time()


def count(names: list[str]) -> int:
    """Return how many points of the runs can be read, each as a point."""
    return sum(len(SQLiteStorage.get_logs(_PROJECT, name)) for name in names)


def run_cost() -> float:
    """Return how long a run takes that is begun, logs one metric and ends, in milliseconds."""

    def act() -> None:
        trackio.init(
            _PROJECT, name=f"short-{time.time_ns()}", embed=False, auto_log_gpu=False, auto_log_cpu=False
        )
        trackio.log({"loss": 0.5})
        trackio.finish()

    return timed_ms(act)[0]


def fill_curve(name: str, number: int) -> None:
    """Write a run with one long curve, as its own writer does."""
    points = list(past_curve(number))
    for start in range(0, number, 50_000):
        some = points[start : start + 50_000]
        SQLiteStorage.bulk_log(
            _PROJECT, name, [{"loss": value} for _, value in some], [step for step, _ in some]
        )


def curve_ms(name: str) -> tuple[float, int]:
    """Return the milliseconds of what its page asks the store for (3,000 points), and how many came."""
    taken, found = timed_ms(lambda: SQLiteStorage.get_logs(_PROJECT, name, max_points=3000, scalar_only=True))
    return taken, len(found)


def size() -> int:
    """Return the bytes on disk."""
    return sum(path.stat().st_size for path in Path(sys.argv[1]).rglob("*") if path.is_file())


if __name__ == "__main__":
    if sys.argv[2:3] == ["acknowledge"]:
        open_run(sys.argv[3])
        acknowledge(lambda step: _open[sys.argv[3]].log({"loss": 0.5}, step=step))
    serve({
        "open": open_run, "log": log, "log_all": log_all, "count": count, "run_cost": run_cost, "fill_curve": fill_curve,
        "curve": curve_ms, "size": size, "version": lambda: trackio.__version__,
    })  # fmt: skip
