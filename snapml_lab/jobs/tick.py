"""The tick: reconcile what ended unseen, grant leases, start what may run. Short, under one lock, from anywhere.

Standard library only. It runs on every submit, when a shim ends, each second while a Jupyter server or ``snapml up`` is
alive, and from any shim that has seen none for 15 s.
"""

import contextlib
import json
import logging
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snapml_lab import clock
from snapml_lab.errors import SnapmlError
from snapml_lab.jobs import due, grants, leases, outcome, processes
from snapml_lab.jobs.containment import end_cgroup
from snapml_lab.jobs.executors import local
from snapml_lab.jobs.folder import (
    JobFolder,
    is_copy,
    keepers,
    pipes,
    read_exit,
    reserve_lock,
    set_aside_exit,
)
from snapml_lab.jobs.model import LIVE, Job, State
from snapml_lab.store.files import is_locked, read_json, replace_json, storage_errors, try_lock
from snapml_lab.store.ledger import bump
from snapml_lab.workspace import Workspace

_STARTS = 3
_STUCK_SECONDS = 5.0
_SWEEP_SECONDS = 1.0
_LOOKS = 100
_GIVE_WAY_GRACE = 10.0
_LOOKED_AT = 256
"""Queued jobs of one notebook (in one queue, of one priority) that one tick looks at."""

_log = logging.getLogger(__name__)


def tick(ws: Workspace) -> None:
    """Move the queue, or have whoever is at it look once more: nobody waits for another process's tick.

    The wish is left before the lock is tried, and looked for after it was let go: so one of the two sees it.

    Raises:
        StorageError: the workspace cannot be written.
    """
    wish = ws.root / "tick.wanted"
    with contextlib.suppress(OSError):  # a full disk: then only this one looks
        wish.touch()
    for _ in range(_LOOKS):
        with storage_errors(_lock_path(ws)):
            lock = try_lock(_lock_path(ws))
        if lock is None:
            return
        try:
            with contextlib.suppress(OSError):
                wish.unlink(missing_ok=True)
                os.pwrite(lock, f"{os.getpid()} {processes.namespace()}\n".ljust(40).encode(), 0)
            _move(ws)
        finally:
            os.close(lock)
        if not wish.exists():
            return


def held_up(ws: Workspace) -> str | None:
    """Say why the queue does not move, where a process was stopped in the middle of a tick; None where that is not so."""
    lock = try_lock(_lock_path(ws))
    if lock is not None:
        os.close(lock)
        return None
    try:
        pid, namespace = _lock_path(ws).read_text().split()
    except (OSError, ValueError):
        return None
    if namespace != str(processes.namespace()) or processes.state(int(pid)) != "T":
        return None
    return f"The queue is being moved by process {pid}, which is stopped. Let it go on: kill -CONT {pid}"


def since_tick(ws: Workspace) -> float:
    """Return how long ago the last tick was, in seconds; infinite if there was none.

    A clock that was set back does not make an old tick a new one.
    """
    try:
        return abs(clock.now() - _lock_path(ws).stat().st_mtime)
    except FileNotFoundError:
        return float("inf")


def pending(ws: Workspace, *, services: bool = True) -> bool:
    """Say whether a tick could have anything to do; services, which never end, may be left out."""
    states = (State.QUEUED, *LIVE)
    marks = ",".join("?" * len(states))
    sql = f"SELECT 1 FROM jobs WHERE state IN ({marks}) AND (? OR NOT service) LIMIT 1"
    return ws.ledger.row(sql, *states, services) is not None or due.is_due(ws) or grants.has_open(ws)


def keeps_awake(ws: Workspace) -> bool:
    """Say whether a job is queued or alive for whose sake a Hub is to leave this server alone: each is for its ``max_hours``."""
    states = (State.QUEUED, *LIVE)
    marks = ",".join("?" * len(states))
    sql = (
        f"SELECT 1 FROM jobs WHERE state IN ({marks}) AND ? < coalesce(started_at, submitted_at) + 3600 * max_hours"
        " LIMIT 1"
    )
    return ws.ledger.row(sql, *states, clock.now()) is not None


def _move(ws: Workspace) -> None:
    os.utime(_lock_path(ws))
    for job in _unattended(ws):
        with _alone(job.id):
            _reconcile(ws, job)
    _start(ws)
    due.fire(ws)


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


def _unattended(ws: Workspace) -> list[Job]:
    """Return the live jobs to look at: whose lock nobody holds, and who are to stop. A thousand cost some milliseconds."""
    marks = ",".join("?" * len(LIVE))
    rows = ws.ledger.rows(
        f"SELECT id, state FROM jobs WHERE state IN ({marks}) AND uid = ?", *LIVE, os.getuid()
    )
    root = f"{ws.jobs}/"
    wanted = [
        row["id"]
        for row in rows
        if row["state"] == State.STOPPING or not is_locked(f"{root}{row['id']}/lock")
    ]
    found = [ws.ledger.row("SELECT * FROM jobs WHERE id = ?", job) for job in sorted(wanted)]
    return [Job.of(row) for row in found if row is not None]


def _reconcile(ws: Workspace, job: Job) -> None:
    """Settle a job whose shim is gone; end a shim that does not obey a cancel."""
    folder = JobFolder(ws.jobs / job.id)
    here = job.pid_ns in (None, processes.namespace())
    if not folder.path.is_dir():
        # Else its shim will see for itself, and end the payload.
        if not here or not processes.same(job.shim_pid, job.shim_start):
            outcome.settle(ws.ledger, ws.blobs, job.id, folder, None)
        return
    held = try_lock(folder.lock)
    if held is None:
        if here:
            _unstick(job, folder)
        return
    try:
        record = read_exit(folder)
        if record is None and is_copy(folder):
            outcome.settle(ws.ledger, ws.blobs, job.id, folder, outcome.copied())
        elif record is None:
            _end_unseen(ws, job, folder, here=here)
        else:
            outcome.settle(ws.ledger, ws.blobs, job.id, folder, record)
    finally:
        os.close(held)


def _end_unseen(ws: Workspace, job: Job, folder: JobFolder, *, here: bool) -> None:
    """Deal with a job whose shim is gone without an exit record: put it back if its payload never began, else sweep."""
    never_began = job.state is State.STARTING and not folder.exit.exists()
    if never_began and job.starts < _STARTS:
        _requeue(ws, job)
        return
    if not (_swept(job.id, folder) if here else _emptied(ws, job, folder)):
        return
    record = None
    if never_began:
        record = _not_started(f"its shim did not begin, {job.starts} times{_last_words(folder)}")
    elif job.state is State.STOPPING:
        reason = "cancelled" if job.gave_way_to is None else outcome.GAVE_WAY
        record = {"reason": reason, "exit_code": None, "ended_at": clock.now()}
    elif job.service:
        _requeue_service(ws, job.id)
        return
    outcome.settle(ws.ledger, ws.blobs, job.id, folder, record)


def _requeue(ws: Workspace, job: Job) -> None:
    """Put a job back whose shim never began: neither did its payload."""
    with ws.ledger.write() as connection:
        connection.execute(
            "UPDATE jobs SET state = 'queued', waiting_for = NULL, revision = ? WHERE id = ? AND state = 'starting'",
            (bump(connection), job.id),
        )


def _requeue_service(ws: Workspace, job: str) -> None:
    """A service whose shim is gone is started anew: it is meant to run until somebody stops it."""
    with ws.ledger.write() as connection:
        connection.execute(
            "UPDATE jobs SET state = 'queued', message = 'its keeper was killed; starting again', starts = 0,"
            " restarts = restarts + 1, revision = ? WHERE id = ? AND state IN ('starting', 'running')",
            (bump(connection), job),
        )


def _unstick(job: Job, folder: JobFolder) -> None:
    """End a shim that is stopped and so obeys no cancel, and the guard above it if that is stopped, too.

    They are found by the lock's file, for one that was stopped early is not in the ledger.
    """
    if job.state is not State.STOPPING or not job.cancel_by or clock.boot() < job.cancel_by + _STUCK_SECONDS:
        return
    guard, shim = keepers(folder)
    for keeper in (shim, guard):
        if keeper is None or processes.variable(keeper.pid, processes.SHIM) != job.id:
            continue
        if keeper is shim or processes.state(keeper.pid) == "T":
            processes.signal_exactly(keeper.pid, keeper.started, signal.SIGKILL)


def _emptied(ws: Workspace, job: Job, folder: JobFolder) -> bool:
    """Say whether nothing is left of a job whose shim lived in another PID namespace, where nobody here can look.

    Its payload holds a lock as long as it lives. What is left is told, and is for a tick over there to end.
    """
    end_cgroup(job.id, folder.cgroup)  # which has one name in every namespace
    tree = try_lock(folder.tree)
    if tree is not None:
        os.close(tree)
        return True
    told = "its keeper is gone, its processes live on in another container: run snapml jobs list there"
    if job.message != told:
        with ws.ledger.write() as connection:
            connection.execute(
                "UPDATE jobs SET message = ?, revision = ? WHERE id = ?", (told, bump(connection), job.id)
            )
    return False


def _swept(job: str, folder: JobFolder) -> bool:
    """End what a dead shim left of its payload's tree; say whether all of it is gone."""
    emptied = end_cgroup(job, folder.cgroup)
    nonce, written = (read_json(folder.launch) or {}).get("nonce"), pipes(folder)
    deadline = time.monotonic() + _SWEEP_SECONDS
    while left := processes.bearing(nonce, written):
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
    queued = _queued(ws)
    found = None
    if any(job.gpus for job in queued) or grants.has_open(ws):
        found = grants.refresh(ws, grants.look(ws))
    if not queued:
        return
    live = _jobs(ws, LIVE)
    by_id = {job.id: job for job in queued}
    ends = _ends_of(ws, queued)
    processors = grants.processors(live)
    claims = [claim for job in queued if (claim := _claim(ws, job, ends, processors)) is not None]
    decisions = leases.admit(
        claims, grants.room(live, processors, found), _queues(ws, live), _turns(ws, live)
    )
    _tell(ws, [(by_id[item.job], item) for item in decisions if item.waiting_for is not None])
    for decision in decisions:
        with _alone(decision.job):
            if decision.waiting_for is None:
                _start_one(ws, by_id[decision.job], decision.devices, found)
            for service in decision.displaces:
                _ask_to_give_way(ws, service, by_id[decision.job])


def _queued(ws: Workspace) -> list[Job]:
    """Return the queued jobs a tick may start: of each notebook the oldest, so that a flood costs the same as a few."""
    rows = ws.ledger.rows(
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY priority, queue, after IS NULL,"
        " coalesce(notebook, actor) ORDER BY id) AS place FROM jobs WHERE state = 'queued' AND uid = ?)"
        " WHERE place <= ? ORDER BY id",
        os.getuid(), _LOOKED_AT,
    )  # fmt: skip
    return [Job.of(row) for row in rows]


def _turns(ws: Workspace, live: list[Job]) -> dict[str, leases.Turn]:
    """Return what each notebook, or person, has had lately."""
    rows = ws.ledger.rows(
        "SELECT coalesce(notebook, actor) AS who, max(started_at) AS at FROM"
        " (SELECT notebook, actor, started_at FROM jobs ORDER BY id DESC LIMIT ?) WHERE started_at IS NOT NULL"
        " GROUP BY who",
        _LOOKED_AT,
    )
    running = Counter(_group(job) for job in live)
    served = {row["who"]: row["at"] for row in rows}
    return {who: leases.Turn(running[who], served.get(who, 0.0)) for who in {*running, *served}}


def _group(job: Job) -> str:
    """Name whose turn a job takes: its notebook's, else its person's."""
    return job.notebook or job.actor


def _claim(
    ws: Workspace, job: Job, ends: dict[str, tuple[str, State]], processors: leases.Processors
) -> leases.Claim | None:
    """Return a queued job's claim; None if what it was to run after has failed, and it with it."""
    held_back = None
    for other in json.loads(job.after or "[]"):
        name, state = ends.get(other, ("a job that is not there", State.LOST))
        if state.ended and state is not State.SUCCEEDED:
            _give_up(ws, job, f"It was to run after {name} ({other[-6:]}), which {_past(state)}.")
            return None
        if not state.ended:
            held_back = f"{name} ({other[-6:]}) to succeed"
    if job.not_before is not None and clock.now() < job.not_before:
        held_back = f"{clock.iso(job.not_before)}, to be tried again"
    if job.gave_way_to is not None and not ends.get(job.gave_way_to, ("", State.LOST))[1].ended:
        held_back = f"{ends[job.gave_way_to][0]} ({job.gave_way_to[-6:]}), to which it gives way"
    return leases.Claim(
        job.id, max(job.cpus - processors.lent(job.parent), 0.0), job.memory or 0, job.gpus, job.gpu_memory, job.queue, job.priority, _group(job),
        bool(job.gives_way), held_back, job.name,
    )  # fmt: skip


def _past(state: State) -> str:
    return {State.CANCELLED: "was cancelled", State.LOST: "was lost"}.get(state, "failed")


def _ends_of(ws: Workspace, queued: list[Job]) -> dict[str, tuple[str, State]]:
    """Return name and state of the jobs that queued ones wait for."""
    wanted = {other for job in queued if job.after for other in json.loads(job.after)}
    wanted |= {job.gave_way_to for job in queued if job.gave_way_to}
    rows = [
        row
        for other in wanted
        if (row := ws.ledger.row("SELECT id, name, state FROM jobs WHERE id = ?", other))
    ]
    return {row["id"]: (row["name"], State(row["state"])) for row in rows}


def _queues(ws: Workspace, live: list[Job]) -> dict[str, leases.QueueState]:
    running = Counter(job.queue for job in live)
    return {
        row["name"]: leases.QueueState(row["at_most"], bool(row["paused"]), running[row["name"]])
        for row in ws.ledger.rows("SELECT * FROM queues")
    }


def _give_up(ws: Workspace, job: Job, why: str) -> None:
    with ws.ledger.write() as connection:
        connection.execute(
            "UPDATE jobs SET state = 'cancelled', reason = 'dependency', ended_at = ?, waiting_for = NULL,"
            " error_code = 'dependency', error_message = ?, error_fix = 'Mend that one, and submit both again.',"
            " revision = ? WHERE id = ? AND state = 'queued'",
            (clock.now(), why, bump(connection), job.id),
        )


def _tell(ws: Workspace, waiting: list[tuple[Job, leases.Decision]]) -> None:
    """Write what each job waits for, where that is news."""
    news = [(item.waiting_for, job.id) for job, item in waiting if job.waiting_for != item.waiting_for]
    if not news:
        return
    with ws.ledger.write() as connection:
        revision = bump(connection)
        connection.executemany(
            "UPDATE jobs SET waiting_for = ?, revision = ? WHERE id = ? AND state = 'queued'",
            [(text, revision, job) for text, job in news],
        )


def _start_one(ws: Workspace, job: Job, devices: tuple[str, ...], found: grants.Gpus | None) -> None:
    folder = JobFolder(ws.jobs / job.id)
    if not folder.path.is_dir():
        record = _not_started("its folder is gone")
        outcome.settle(ws.ledger, ws.blobs, job.id, folder, record, of=(State.QUEUED,))
        return
    lock = try_lock(folder.lock)
    if lock is None:  # a shim of an earlier start is still letting go
        return
    try:
        if is_copy(folder):
            outcome.settle(ws.ledger, ws.blobs, job.id, folder, outcome.copied(), of=(State.QUEUED,))
            return
        set_aside_exit(folder)
        with contextlib.suppress(FileNotFoundError):
            folder.cancel.unlink()
        with ws.ledger.write() as connection:
            changed = connection.execute(
                "UPDATE jobs SET state = 'starting', waiting_for = NULL, not_before = NULL, gave_way_to = NULL,"
                " starts = starts + 1, pid_ns = ?, revision = ? WHERE id = ? AND state = 'queued'",
                (processes.namespace(), bump(connection), job.id),
            )
            if changed.rowcount and found is not None:
                grants.grant(connection, job, [item for item in found.devices if item.uuid in devices])
        if changed.rowcount:
            with contextlib.suppress(OSError):
                reserve_lock(folder)
            local.start(ws, job, folder, lock, devices)
    finally:
        os.close(lock)


def _ask_to_give_way(ws: Workspace, service: str, to: Job) -> None:
    """Stop a service that said it may be; it is queued again, behind the work it gave way to."""
    with ws.ledger.write() as connection:
        changed = connection.execute(
            "UPDATE jobs SET state = 'stopping', gave_way_to = ?, message = ?, revision = ?"
            " WHERE id = ? AND gives_way AND state IN ('starting', 'running')",
            (to.id, f"giving way to {to.name}", bump(connection), service),
        )
    if changed.rowcount:
        replace_json(
            JobFolder(ws.jobs / service).cancel, {"grace": _GIVE_WAY_GRACE, "reason": outcome.GAVE_WAY}
        )
