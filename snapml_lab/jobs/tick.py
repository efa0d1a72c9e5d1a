"""The tick: reconcile what ended unseen, grant leases, start what may run. Short, under one lock, from anywhere.

Standard library only. It runs on every submit, when a shim ends, each second while a Jupyter server is alive, and from
any shim that has seen none for 15 s.
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snapml_lab import clock
from snapml_lab.errors import SnapmlError
from snapml_lab.jobs import leases, outcome, processes
from snapml_lab.jobs.containment import end_cgroup
from snapml_lab.jobs.executors import local
from snapml_lab.jobs.folder import JobFolder, read_exit
from snapml_lab.jobs.model import LIVE, Job, State
from snapml_lab.store.files import locked, read_json, try_lock
from snapml_lab.store.ledger import bump
from snapml_lab.workspace import Workspace

_STARTS = 3
_STUCK_SECONDS = 5.0
_SWEEP_SECONDS = 1.0

_log = logging.getLogger(__name__)


def tick(ws: Workspace) -> None:
    """Move the queue once. Waits for a tick that is under way: what was just submitted must be seen."""
    with locked(_lock_path(ws)):
        _move(ws)


def tick_if_free(ws: Workspace) -> None:
    """Move the queue once, unless somebody is at it: for a shim, which must not wait for another process."""
    lock = try_lock(_lock_path(ws))
    if lock is not None:
        try:
            _move(ws)
        finally:
            os.close(lock)


def last_tick(ws: Workspace) -> float:
    """Return when the last tick was, in seconds since the epoch; 0 if there was none."""
    try:
        return _lock_path(ws).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def pending(ws: Workspace, *, services: bool = True) -> bool:
    """Say whether a tick could have anything to do: one query; services, which never end, may be left out."""
    states = (State.QUEUED, *LIVE)
    marks = ",".join("?" * len(states))
    sql = f"SELECT 1 FROM jobs WHERE state IN ({marks}) AND (? OR NOT service) LIMIT 1"
    return ws.ledger.row(sql, *states, services) is not None


def _move(ws: Workspace) -> None:
    os.utime(_lock_path(ws))
    for job in _jobs(ws, LIVE):
        with _alone(job.id):
            _reconcile(ws, job)
    _start(ws)


@contextlib.contextmanager
def _alone(job: str) -> Iterator[None]:
    """Keep one job's trouble from the others: it is logged, and the next tick tries again."""
    try:
        yield
    except (SnapmlError, sqlite3.Error):
        raise  # the trouble of a store, which is everyone's
    except Exception:
        _log.exception("SnapML: job %s could not be moved", job)


def _lock_path(ws: Workspace) -> Path:
    return ws.root / "tick.lock"


def _jobs(ws: Workspace, states: tuple[State, ...]) -> list[Job]:
    marks = ",".join("?" * len(states))
    rows = ws.ledger.rows(
        f"SELECT * FROM jobs WHERE state IN ({marks}) AND uid = ? ORDER BY id", *states, os.getuid()
    )
    return [Job.of(row) for row in rows]


def _reconcile(ws: Workspace, job: Job) -> None:
    """Settle a job whose shim is gone; end a shim that does not obey a cancel."""
    folder = JobFolder(ws.jobs / job.id)
    if not folder.path.is_dir():
        if not processes.same(
            job.shim_pid, job.shim_start
        ):  # else it will see for itself, and end the payload
            outcome.settle(ws.ledger, ws.blobs, job.id, folder, None)
        return
    held = try_lock(folder.lock)
    if held is None:
        _unstick(job)
        return
    try:
        record = read_exit(folder)
        if record is None:
            never_began = job.state is State.STARTING and not folder.exit.exists()
            if never_began and job.starts < _STARTS:
                _set_state(ws, job.id, State.QUEUED, None)  # the shim never began, so neither did the payload
                return
            if not _swept(job.id, folder):
                return
            if job.service and job.state is not State.STOPPING and not never_began:
                _requeue_service(ws, job.id)
                return
            if never_began:
                record = _not_started(f"its shim did not begin, {job.starts} times{_last_words(folder)}")
            elif job.state is State.STOPPING:
                record = {"reason": "cancelled", "exit_code": None, "ended_at": clock.now()}
        outcome.settle(ws.ledger, ws.blobs, job.id, folder, record)
    finally:
        os.close(held)


def _requeue_service(ws: Workspace, job: str) -> None:
    """A service whose shim is gone is started anew: it is meant to run until somebody stops it."""
    with ws.ledger.write() as connection:
        connection.execute(
            "UPDATE jobs SET state = 'queued', message = 'its keeper was killed; starting again', starts = 0,"
            " restarts = restarts + 1, revision = ? WHERE id = ? AND state IN ('starting', 'running')",
            (bump(connection), job),
        )


def _unstick(job: Job) -> None:
    if job.state is State.STOPPING and job.cancel_by and clock.now() > job.cancel_by + _STUCK_SECONDS:
        processes.signal_exactly(job.shim_pid, job.shim_start, 9)


def _swept(job: str, folder: JobFolder) -> bool:
    """End what a dead shim left of its payload's tree; say whether all of it is gone."""
    emptied = end_cgroup(job, folder.cgroup)
    nonce = (read_json(folder.launch) or {}).get("nonce")
    deadline = time.monotonic() + _SWEEP_SECONDS
    while left := processes.bearing(nonce) if nonce else []:
        if time.monotonic() > deadline:
            return False
        processes.kill_all(left)
        time.sleep(0.01)
    return emptied


def _not_started(detail: str) -> dict[str, Any]:
    return {"reason": "not_started", "exit_code": None, "detail": detail, "ended_at": clock.now()}


def _last_words(folder: JobFolder) -> str:
    try:
        lines = folder.shim_log.read_text("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((f": {line.strip()[:300]}" for line in reversed(lines) if line.strip()), "")


def _start(ws: Workspace) -> None:
    queued = _jobs(ws, (State.QUEUED,))
    if not queued:
        return
    held = sum(job.cpus for job in _jobs(ws, LIVE))
    waiting = {job.id: job.waiting_for for job in queued}
    requests = [leases.Request(job.id, job.cpus) for job in queued]
    for decision in leases.admit(requests, held, leases.capacity()):
        if decision.waiting_for is not None:
            if waiting[decision.job] != decision.waiting_for:
                _set_state(ws, decision.job, State.QUEUED, decision.waiting_for)
            continue
        with _alone(decision.job):
            _start_one(ws, decision.job)


def _start_one(ws: Workspace, job: str) -> None:
    folder = JobFolder(ws.jobs / job)
    if not folder.path.is_dir():
        outcome.settle(ws.ledger, ws.blobs, job, folder, _not_started("its folder is gone"))
        return
    lock = try_lock(folder.lock)
    if lock is None:  # a shim of an earlier start is still letting go
        return
    try:
        if _set_state(ws, job, State.STARTING, None):
            local.start(ws, job, folder, lock)
    finally:
        os.close(lock)


def _set_state(ws: Workspace, job: str, state: State, waiting_for: str | None) -> bool:
    """Set the state of a job that has not begun; False if it was cancelled meanwhile."""
    with ws.ledger.write() as connection:
        changed = connection.execute(
            "UPDATE jobs SET state = ?, waiting_for = ?, starts = starts + ?, revision = ?"
            " WHERE id = ? AND state IN ('queued', 'starting')",
            (state, waiting_for, state is State.STARTING, bump(connection), job),
        )
        return changed.rowcount == 1
