"""The tick: reconcile what ended unseen, grant leases, start what may run. Short, under one lock, from anywhere.

Standard library only. It runs on every submit, when a shim ends, each second while a Jupyter server is alive, and from
any shim that has seen none for 15 s.
"""

import os
from pathlib import Path

from snapml_lab import clock
from snapml_lab.jobs import leases, outcome, processes
from snapml_lab.jobs.executors import local
from snapml_lab.jobs.folder import JobFolder, read_exit
from snapml_lab.jobs.model import LIVE, Job, State
from snapml_lab.store.files import locked, read_json, try_lock
from snapml_lab.store.ledger import bump
from snapml_lab.workspace import Workspace

_STARTS = 3
_STUCK_SECONDS = 5.0


def tick(ws: Workspace) -> None:
    """Move the queue once. Waits for a tick that is under way: what was just submitted must be seen."""
    with locked(_lock_path(ws)):
        os.utime(_lock_path(ws))
        for job in _jobs(ws, LIVE):
            _reconcile(ws, job)
        _start(ws)


def last_tick(ws: Workspace) -> float:
    """Return when the last tick was, in seconds since the epoch; 0 if there was none."""
    try:
        return _lock_path(ws).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def pending(ws: Workspace) -> bool:
    """Say whether a tick could have anything to do: one query."""
    states = (State.QUEUED, *LIVE)
    marks = ",".join("?" * len(states))
    return ws.ledger.row(f"SELECT 1 FROM jobs WHERE state IN ({marks}) LIMIT 1", *states) is not None


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
    held = try_lock(folder.lock) if folder.path.is_dir() else -1
    if held is None:
        _unstick(job)
        return
    try:
        record = read_exit(folder)
        if record is None:
            if job.state is State.STARTING and not folder.exit.exists() and job.starts < _STARTS:
                _set_state(ws, job.id, State.QUEUED, None)  # the shim never began, so neither did the payload
                return
            launch = read_json(folder.launch) or {}
            if nonce := launch.get("nonce"):
                _sweep(nonce)
            if job.state is State.STOPPING:
                record = {"reason": "cancelled", "exit_code": None, "ended_at": clock.now()}
        outcome.settle(ws.ledger, ws.blobs, job.id, folder, record)
    finally:
        if held >= 0:
            os.close(held)


def _unstick(job: Job) -> None:
    if job.state is State.STOPPING and job.cancel_by and clock.now() > job.cancel_by + _STUCK_SECONDS:
        processes.signal_exactly(job.shim_pid, job.shim_start, 9)


def _sweep(nonce: str) -> None:
    for _ in range(50):
        left = processes.bearing(nonce)
        if not left:
            return
        processes.kill_all(left)


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
        folder = JobFolder(ws.jobs / decision.job)
        lock = try_lock(folder.lock)
        if lock is None:  # a shim of an earlier start is still letting go
            continue
        try:
            _set_state(ws, decision.job, State.STARTING, None)
            local.start(ws, decision.job, folder, lock)
        finally:
            os.close(lock)


def _set_state(ws: Workspace, job: str, state: State, waiting_for: str | None) -> None:
    with ws.ledger.write() as connection:
        connection.execute(
            "UPDATE jobs SET state = ?, waiting_for = ?, starts = starts + ?, revision = ?"
            " WHERE id = ? AND state IN ('queued', 'starting')",
            (state, waiting_for, state is State.STARTING, bump(connection), job),
        )
