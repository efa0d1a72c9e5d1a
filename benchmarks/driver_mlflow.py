"""Drives MLflow on SQLite in an environment of its own: ``python driver_mlflow.py FOLDER [acknowledge NAME]``."""

import sqlite3
import sys
import time
import uuid
import warnings
from pathlib import Path
from typing import Any

from driver import acknowledge, each_us, past_curve, past_runs, serve, timed_ms

warnings.simplefilter("ignore")

import mlflow  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric  # noqa: E402

_DATABASE = Path(sys.argv[1]) / "mlflow.db"
_client = MlflowClient(f"sqlite:///{_DATABASE}")
_open: dict[str, str] = {}


def unsynced() -> None:
    """From now on leave the disk to the operating system, as ours does: what is logged survives a killed process only."""
    import sqlalchemy

    @sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "connect")
    def _(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    store = mlflow.tracking._tracking_service.utils._get_store(str(_client.tracking_uri))
    store.engine.dispose()  # its connections are made anew


def version() -> str:
    """Return its version; its tables are made by then."""
    _client.search_experiments()
    return str(mlflow.__version__)


def open_run(name: str) -> None:
    """Begin a run."""
    _open[name] = _client.create_run("0", run_name=name).info.run_id


def log(name: str, number: int, start: int = 0) -> list[float]:
    """Time each of ``number`` metrics, in microseconds."""
    run = _open[name]
    return each_us(lambda step: _client.log_metric(run, "loss", 0.5, step=step), number, start)


def log_all(name: str, number: int, at_once: int = 1) -> tuple[float, float]:
    """Log ``number`` metrics as fast as it goes and end the run; return when that began and ended."""
    run = _open.pop(name)
    begun = time.time()
    for step in range(0, number, at_once):
        if at_once == 1:
            _client.log_metric(run, "loss", 0.5, step=step)
        else:
            now = int(time.time() * 1000)
            _client.log_batch(
                run, [Metric("loss", 0.5, now, s) for s in range(step, min(step + at_once, number))]
            )
    _client.set_terminated(run)
    return begun, time.time()


def count(names: list[str]) -> int:
    """Return how many points of the runs can be read, each as a point."""
    return sum(len(_client.get_metric_history(_run(name), "loss")) for name in names)


def run_cost() -> float:
    """Return how long a run takes that is begun, logs one metric and ends, in milliseconds."""
    mlflow.set_tracking_uri(str(_client.tracking_uri))

    def act() -> None:
        with mlflow.start_run(run_name="short"):
            mlflow.log_metric("loss", 0.5)

    return timed_ms(act)[0]


def fill_runs(number: int) -> None:
    """Write runs into its tables as if they had been; it made the tables and their indexes."""
    _client.search_experiments()
    now = int(time.time() * 1000)
    runs, params, metrics, tags = [], [], [], []
    for index, (name, given, figures) in enumerate(past_runs(number)):
        run, at = uuid.uuid4().hex, now - (number - index) * 1000
        runs.append(
            (
                run,
                name,
                "LOCAL",
                "",
                "",
                "bench",
                "FINISHED",
                at,
                at + 500,
                "active",
                f"/tmp/{run}/artifacts",
                0,
            )
        )
        params += [(key, str(value), run) for key, value in given.items()]
        metrics += [(key, value, at, 0, 0, run) for key, value in figures.items()]
        tags += [
            ("mlflow.runName", name, run),
            ("mlflow.user", "bench", run),
            ("mlflow.source.type", "LOCAL", run),
        ]
    with sqlite3.connect(_DATABASE, timeout=60) as connection:
        connection.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,"
            " end_time, lifecycle_stage, artifact_uri, experiment_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            runs,
        )
        connection.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", params)
        for table in ("metrics", "latest_metrics"):
            connection.executemany(
                f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?)", metrics
            )  # fmt: skip
        connection.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", tags)
    connection.close()


def search(where: str, by: str | None, limit: int) -> tuple[float, list[str]]:
    """Search; return the milliseconds and the names found."""
    order = [by] if by else None
    taken, found = timed_ms(
        lambda: _client.search_runs(["0"], filter_string=where, order_by=order, max_results=limit)
    )
    return taken, [run.info.run_name for run in found]


def fill_curve(name: str, number: int) -> str:
    """Write a run with one long curve into its tables; return the run's id."""
    open_run(name)
    run, now = _open[name], int(time.time() * 1000)
    _client.log_metric(run, "loss", 0.5, timestamp=now + number * 10, step=number)
    _client.set_terminated(run)
    with sqlite3.connect(_DATABASE, timeout=60) as connection:
        connection.executemany(
            "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES ('loss', ?, ?, ?, 0, ?)",
            ((value, now + step * 10, step, run) for step, value in past_curve(number)),
        )
    connection.close()
    return run


def size() -> int:
    """Return the bytes on disk."""
    return sum(path.stat().st_size for path in Path(sys.argv[1]).rglob("*") if path.is_file())


def _run(name: str) -> str:
    return str(_client.search_runs(["0"], filter_string=f"attributes.run_name = '{name}'")[0].info.run_id)


if __name__ == "__main__":
    if sys.argv[2:3] == ["acknowledge"]:
        open_run(sys.argv[3])
        acknowledge(lambda step: _client.log_metric(_open[sys.argv[3]], "loss", 0.5, step=step))
    serve({
        "open": open_run, "log": log, "log_all": log_all, "count": count, "run_cost": run_cost, "fill_runs": fill_runs,
        "search": search, "fill_curve": fill_curve, "size": size, "unsynced": unsynced,
        "version": version,
    })  # fmt: skip
