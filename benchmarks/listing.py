"""The list of jobs over a long past: the command, its REST route, and jupyter-scheduler's route over as many rows."""

import os
import sqlite3
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from measure import Entry, high, interleaved
from rivals import SCHEDULER, Scheduler
from surroundings import JupyterServer, scratch

_PAGE = 100


def jobs_list(repeats: int = 60, past: int = 100_000) -> Entry:
    """Time a page of 100 jobs out of ``past``: ours as a command and through REST, theirs through REST."""
    from snapml_lab.commands.core import Call, Surface
    from snapml_lab.commands.dispatch import dispatch

    with scratch() as ws, tempfile.TemporaryDirectory() as folder:
        fill(ws, past)
        with JupyterServer(ws.project) as server, Scheduler(Path(folder)) as scheduler:
            _fill_rival(scheduler.database, past)
            call = Call(Surface.REST)
            assert server.command("jobs list")["total"] == past
            answer = scheduler.request("GET", f"scheduler/jobs?max_items={_PAGE}")
            assert (answer["total_count"], len(answer["jobs"])) == (past, _PAGE)
            samples = interleaved(
                {
                    "ours": _timed(lambda: dispatch(ws, "jobs list", {"limit": _PAGE}, call)),
                    "rest": _timed(lambda: server.command("jobs list", limit=_PAGE)),
                    SCHEDULER: _timed(lambda: scheduler.request("GET", f"scheduler/jobs?max_items={_PAGE}")),
                },
                repeats,
            )
    command, rest = samples.pop("ours"), samples.pop("rest")
    middle = sorted(command)[len(command) // 2]
    return Entry(
        f"`jobs list` over {past:,} past jobs, a page of {_PAGE}, through REST", rest, samples,
        f"the command p50 within 20 ms; it is {middle:.1f} ms", middle <= 20, "python benchmarks/run.py jobs_list",
        notes=(
            f"the command alone, without HTTP: p50 {middle:.1f} ms, p95 {high(command):.1f} ms; through REST p95 {high(rest):.1f} ms, the rival's p95 {high(samples[SCHEDULER]):.1f} ms.",
        ),
    )  # fmt: skip


def fill(ws: Any, number: int, state: str = "succeeded", **more: object) -> list[str]:
    """Write jobs into the ledger as if they had been; return their ids. They have no folders."""
    from snapml_lab import ids
    from snapml_lab.governance.roles import account

    made = [ids.new() for _ in range(number)]
    now = time.time()
    columns = [
        "id",
        "kind",
        "name",
        "state",
        "actor",
        "uid",
        "cpus",
        "submitted_at",
        "started_at",
        "revision",
        *more,
    ]
    with ws.ledger.write() as connection:
        (first,) = connection.execute("SELECT revision FROM meta").fetchone()
        connection.executemany(
            f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            (
                (job, "command", f"past-{index}", state, account(), os.getuid(), 0.0, now - number + index,
                 now - number + index, first + index + 1, *more.values())
                for index, job in enumerate(made)
            ),
        )  # fmt: skip
        connection.execute("UPDATE meta SET revision = ?", (first + number,))
    if state == "succeeded":
        with ws.ledger.write() as connection:
            connection.execute(
                "UPDATE jobs SET ended_at = submitted_at + 60, exit_code = 0, reason = 'exited'"
                " WHERE state = 'succeeded' AND ended_at IS NULL"
            )
    return made


def _fill_rival(database: Path, number: int) -> None:
    now = int(time.time() * 1000)
    rows = []
    for index in range(number):
        job, at = str(uuid.uuid4()), now - (number - index) * 1000
        rows.append((job, f"past-{index}", at, at, at, at + 60_000, f"/jobs/{job}"))
    with sqlite3.connect(database, timeout=30) as connection:
        connection.executemany(
            "INSERT INTO jobs (job_id, name, create_time, update_time, start_time, end_time, url, status,"
            " runtime_environment_name, input_filename, output_formats, packaged_files, package_input_folder)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'COMPLETED', 'python', 'past.ipynb', '[\"ipynb\"]', '[]', 0)",
            rows,
        )
    connection.close()


def _timed(act: Any) -> Any:
    def take() -> float:
        begun = time.perf_counter()
        act()
        return (time.perf_counter() - begun) * 1000

    return take
