"""Submitting, finding, waiting for and cancelling jobs. Standard library only."""

import contextlib
import contextvars
import json
import os
import secrets
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from snapml_lab import clock, ids
from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError, SnapmlError, StorageError
from snapml_lab.jobs import events, gpus, leases, processes
from snapml_lab.jobs.folder import JobFolder, is_copy, reserve_lock
from snapml_lab.jobs.model import LIVE, Job, State, Work
from snapml_lab.jobs.tick import since_tick, tick
from snapml_lab.store.files import is_locked, replace_json, storage_errors
from snapml_lab.store.ledger import bump
from snapml_lab.tracking import record
from snapml_lab.workspace import MERGING, Workspace

_CARRIED = (
    "PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "LD_LIBRARY_PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ",
    "OMP_NUM_THREADS", "XDG_CACHE_HOME", "XDG_DATA_HOME", "SNAPML_AUDIT_HEADS", "SNAPML_BUDGET", "HF_HOME", "HF_HUB_OFFLINE", "SNAPML_BASE_MODEL",
)  # fmt: skip
"""Variables of the submitter that a payload gets even if another process starts it. Others, which may hold secrets,
are never written to disk."""

_DEFAULTS = {"OMP_WAIT_POLICY": "passive"}
"""Waiting threads sleep instead of spinning: on a machine that is shared, spinning made training ten times slower."""

_POLL_SECONDS = 0.1
_LEFT_SECONDS = 3600.0


def submit(ws: Workspace, work: Work, *, actor: str, origin: record.Origin) -> Job:
    """Queue ``work`` and move the queue; return the job. Its run has the same id.

    Work with a ``key`` that was submitted before is not queued again: that job is returned, whatever became of it.

    Raises:
        InvalidInputError: this machine can never give it what it asks for.
        NotFoundError: a job it is to run after does not exist.
        StorageError: the disk is full; no job is left behind.
        ConflictError: the job this process is part of is being cancelled.
    """
    key = work.key or _KEY.get()
    if (known := _by_key(ws, key)) is not None:
        return known
    _check_room(work)
    after = [get(ws, other).id for other in work.after]
    job = ids.new()
    folder = JobFolder(ws.jobs / job)
    launch = {
        "argv": work.argv,
        "cwd": str(work.cwd or ws.project),
        "env": {
            **_DEFAULTS,
            **{name: os.environ[name] for name in _CARRIED if name in os.environ},
            **work.env,
        },
        "nonce": secrets.token_hex(16),
        "service": work.service,
        "time_limit": work.time_limit,
        "memory": work.memory,
        "gpu_memory": work.gpu_memory,
        "foreign": work.foreign,
    }
    values = {
        "id": job, "kind": work.kind, "name": work.name, "state": State.QUEUED, "actor": actor, "uid": os.getuid(),
        "cpus": work.cpus, "memory": work.memory, "gpus": work.gpus, "gpu_memory": work.gpu_memory, "queue": work.queue,
        "priority": work.priority, "after": json.dumps(after) if after else None, "time_limit": work.time_limit,
        "retries": work.retries, "key": key, "max_hours": work.max_hours, "service": int(work.service),
        "gives_way": int(work.gives_way), "notebook": origin.notebook, "cell_id": origin.cell_id,
    }  # fmt: skip
    try:
        with storage_errors(folder.path):
            folder.artifacts.mkdir(parents=True, mode=0o700)
        replace_json(folder.spec, work.spec)
        replace_json(folder.launch, launch)
        with storage_errors(folder.lock):
            reserve_lock(folder)
        with ws.ledger.write() as connection:
            revision, now = bump(connection), clock.now()
            values |= {"parent": _parent(ws), "submitted_at": now, "revision": revision}
            connection.execute(
                f"INSERT INTO jobs ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
                tuple(values.values()),
            )
            record.create(
                connection, job, kind=work.kind, name=work.name, job=job, at=now, origin=origin, revision=revision,
                actor=actor,
            )  # fmt: skip
    except sqlite3.IntegrityError:
        shutil.rmtree(folder.path, ignore_errors=True)
        if (known := _by_key(ws, key)) is not None:  # another process submitted it meanwhile
            return known
        raise
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    with contextlib.suppress(SnapmlError, OSError):  # it is queued, and whoever ticks next will see it
        tick(ws)
    return get(ws, job)


_KEY: contextvars.ContextVar[str | None] = contextvars.ContextVar("key", default=None)


@contextlib.contextmanager
def keyed(key: str) -> Iterator[None]:
    """Give work that is submitted inside, and has no key of its own, this one."""
    token = _KEY.set(key)
    try:
        yield
    finally:
        _KEY.reset(token)


def _by_key(ws: Workspace, key: str | None) -> Job | None:
    row = ws.ledger.row("SELECT * FROM jobs WHERE key = ?", key) if key else None
    return None if row is None else Job.of(row)


def _check_room(work: Work) -> None:
    """Refuse what this machine can never give; less than that is waited for."""
    memory = leases.memory_capacity()
    if work.memory is not None and work.memory > memory:
        raise InvalidInputError.of(
            "memory", f"{work.memory:,} MiB", f"at most {memory:,} MiB, all of this machine's"
        )
    if not work.gpus:
        return
    with contextlib.suppress(gpus.Unseen):
        devices = gpus.devices()
        large = [device for device in devices if device.total >= (work.gpu_memory or 0)]
        if len(large) < work.gpus:
            have = ", ".join(f"{device.name} ({device.total:,} MiB)" for device in devices) or "none"
            need = f"{work.gpus} with {work.gpu_memory:,} MiB" if work.gpu_memory else str(work.gpus)
            raise InvalidInputError.of("gpus", need, f"what this machine has: {have}")


def clear_leftovers(ws: Workspace) -> int:
    """Remove what a process killed while it began something left: folders without a job or run, an hour old; return how many."""
    removed = 0
    if is_locked(str(ws.root / MERGING)):  # the folders that are brought have no rows yet
        return removed
    for table, place in (("jobs", ws.jobs), ("runs", ws.runs)):
        for folder in place.iterdir() if place.is_dir() else ():
            with contextlib.suppress(OSError):
                old = clock.now() - folder.stat().st_mtime > _LEFT_SECONDS
                if old and ws.ledger.row(f"SELECT 1 FROM {table} WHERE id = ?", folder.name) is None:
                    shutil.rmtree(folder)
                    removed += 1
    return removed


def get(ws: Workspace, reference: str) -> Job:
    """Return a job by its id, the end of its id, its name, or ``last``.

    Raises:
        NotFoundError: none matches.
        InvalidInputError: the end of an id fits several.
    """
    row = ws.ledger.row("SELECT * FROM jobs WHERE id = ?", reference.lower())
    if row is None and reference == "last":
        row = ws.ledger.row("SELECT * FROM jobs ORDER BY id DESC LIMIT 1")
    if row is None and len(reference) >= 4 and reference.isalnum():
        found = ws.ledger.rows("SELECT * FROM jobs WHERE id LIKE ? LIMIT 2", f"%{reference.lower()}")
        if len(found) > 1:
            raise InvalidInputError.of("job", reference, "the end of one job's id", "Give more of the id.")
        row = found[0] if found else None
    if row is None:
        row = ws.ledger.row("SELECT * FROM jobs WHERE name = ? ORDER BY id DESC LIMIT 1", reference)
    if row is None:
        raise NotFoundError(f"There is no job {reference!r}.", fix="See the jobs there are: snapml jobs list")
    return Job.of(row)


def latest_of(ws: Workspace, reference: str, kind: str) -> Job:
    """Return a job that must be of a kind; ``last`` is the newest of that kind.

    Raises:
        NotFoundError: there is none.
        InvalidInputError: it is of another kind.
    """
    if reference == "last":
        row = ws.ledger.row("SELECT * FROM jobs WHERE kind = ? ORDER BY id DESC LIMIT 1", kind)
        if row is None:
            raise NotFoundError(
                f"There is no {kind} job yet.", fix="See the jobs there are: snapml jobs list"
            )
        return Job.of(row)
    job = get(ws, reference)
    if job.kind != kind:
        raise InvalidInputError.of("job", reference, f"a job of kind {kind}; {job.id[-6:]} is a {job.kind}")
    return job


def latest(ws: Workspace, *, state: State | None = None, limit: int = 100) -> list[Job]:
    """Return the newest jobs, newest first; those that are alive are among them however old they are."""
    where, values = ("WHERE state = ?", (state,)) if state else ("", ())
    rows = ws.ledger.rows(f"SELECT * FROM jobs {where} ORDER BY id DESC LIMIT ?", *values, limit)
    found = {row["id"]: Job.of(row) for row in rows}
    if state is None and len(found) == limit:
        marks = ",".join("?" * len(LIVE))
        old = ws.ledger.rows(
            f"SELECT * FROM jobs WHERE state IN ({marks}) ORDER BY id DESC LIMIT ?", *LIVE, limit
        )
        alive = {row["id"]: Job.of(row) for row in old}
        others = [job for job in found.values() if job.id not in alive]
        found = {job.id: job for job in [*alive.values(), *others[: limit - len(alive)]]}
    return sorted(found.values(), key=lambda job: job.id, reverse=True)


def changed(ws: Workspace, since: int) -> list[Job]:
    """Return the jobs that changed after a revision."""
    return [
        Job.of(row)
        for row in ws.ledger.rows("SELECT * FROM jobs WHERE revision > ? ORDER BY revision", since)
    ]


def count(ws: Workspace) -> int:
    """Return how many jobs there are."""
    row = ws.ledger.row("SELECT count(*) AS number FROM jobs")
    return int(row["number"]) if row else 0


def cancel(ws: Workspace, reference: str, *, grace: float = 10.0) -> Job:
    """Stop a job and the jobs it submitted: SIGTERM to the whole tree, SIGKILL after ``grace`` seconds.

    A queued job never starts; one that has ended stays as it is; asked again, the shorter grace counts. Returns at
    once, mostly in the state ``stopping``.
    """
    job = get(ws, reference)
    folder = JobFolder(ws.jobs / job.id)
    with ws.ledger.write() as connection:
        now = clock.now()
        connection.execute(
            "UPDATE jobs SET state = 'cancelled', reason = 'cancelled', ended_at = ?, waiting_for = NULL, revision = ?"
            " WHERE id = ? AND state = 'queued'",
            (now, bump(connection), job.id),
        )
        connection.execute(
            "UPDATE jobs SET state = 'stopping', cancel_by = min(coalesce(cancel_by, ?1), ?1), revision = ?2"
            " WHERE id = ?3 AND state IN ('starting', 'running', 'stopping')",
            (clock.boot() + grace, bump(connection), job.id),
        )
    job = get(ws, job.id)
    if job.state is State.STOPPING:
        with contextlib.suppress(StorageError):  # a full disk: the shim is told by its row, a little later
            replace_json(folder.cancel, {"grace": grace})
        if is_copy(folder):
            tick(ws)
        elif job.shim_pid is not None and processes.variable(job.shim_pid, processes.SHIM) == job.id:
            processes.signal_exactly(job.shim_pid, job.shim_start, signal.SIGUSR1)
    for row in ws.ledger.rows("SELECT id FROM jobs WHERE parent = ?", job.id):
        child = get(ws, row["id"])
        if not child.ended:
            cancel(ws, child.id, grace=grace)
    return job


def restart(ws: Workspace, job: Job, why: str) -> None:
    """Have a running service killed and started anew, after the pause that its falls have earned it.

    Raises:
        StorageError: the disk is full.
    """
    replace_json(JobFolder(ws.jobs / job.id).again, {"why": why})


def prioritise(ws: Workspace, reference: str, priority: int) -> Job:
    """Change the priority of a queued job.

    Raises:
        ConflictError: it has begun, or ended.
    """
    job = get(ws, reference)
    with ws.ledger.write() as connection:
        changed = connection.execute(
            "UPDATE jobs SET priority = ?, revision = ? WHERE id = ? AND state = 'queued'",
            (priority, bump(connection), job.id),
        )
    if not changed.rowcount:
        raise ConflictError(f"Job {job.id} is {job.state}.", fix="Only a queued job can be moved.")
    tick(ws)
    return get(ws, job.id)


def wait(
    ws: Workspace, job: Job, on_change: Callable[[Job], None] | None = None, *, timeout: float | None = None
) -> Job:
    """Wait until a job ends, telling ``on_change`` of each change, and moving the queue where nothing else does.

    Raises:
        TimeoutError: it had not ended after ``timeout`` seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    seen = -1
    while True:
        job = get(ws, job.id)
        if job.revision != seen:
            seen = job.revision
            if on_change:
                on_change(job)
        if job.ended:
            return job
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError(f"job {job.id} is {job.state} after {timeout:g} s")
        if since_tick(ws) > 1.0:
            tick(ws)
        time.sleep(_POLL_SECONDS)


def result(ws: Workspace, job: Job) -> Any:
    """Return what a job's payload left as its value; None if it left nothing."""
    try:
        return json.loads(JobFolder(ws.jobs / job.id).result.read_bytes()).get("value")
    except (FileNotFoundError, ValueError):
        return None


def python(module_function: str) -> list[str]:
    """Return the argv that runs one of our payloads: ``module:function`` in this interpreter."""
    import sys

    return [sys.executable, "-P", "-m", "snapml_lab.jobs.payload", module_function]


def payload_folder() -> JobFolder:
    """Return the folder of the job this process is the payload of."""
    return JobFolder(Path(os.environ[events.DIRECTORY]))


def _parent(ws: Workspace) -> str | None:
    """Return the job this process is part of, if it is one of this workspace.

    Raises:
        ConflictError: it is being cancelled, and all it submitted with it: nothing may slip in behind.
    """
    parent = os.environ.get(events.JOB)
    row = ws.ledger.row("SELECT state FROM jobs WHERE id = ?", parent) if parent else None
    if row is None:
        return None
    if row["state"] == State.STOPPING:
        raise ConflictError(f"Job {parent} is being cancelled.", fix="Submit again from outside of it.")
    return parent
