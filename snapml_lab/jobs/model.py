"""What a job is: its states and its row in the ledger. Standard library only."""

import sqlite3
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class State(StrEnum):
    """Where a job is. ``queued → starting → running → succeeded | failed | cancelled | lost``."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    """Asked to stop; its processes are still there."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    """Its end was not seen: never a success."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in ENDED


ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.LOST})
DEFAULT_QUEUE = "default"
LIVE = (State.STARTING, State.RUNNING, State.STOPPING)


@dataclass(frozen=True)
class Work:
    """What to run: everything a shim needs to start a payload, and what the payload is told.

    Attributes:
        kind: word for what it is (``automl``, ``notebook``, ``pipeline``, ``command``).
        name: what a person sees.
        argv: the program and its arguments; never a shell line.
        spec: what the payload finds in ``spec.json``.
        cwd: folder to run in; default the project's.
        env: variables added to the environment.
        cpus: processors it is admitted for; 0 for work that only waits for other jobs.
        memory: MiB it is admitted for and limited to (its whole tree); None is neither.
        gpus: GPUs it is admitted for, each by its UUID in ``CUDA_VISIBLE_DEVICES``.
        gpu_memory: MiB of each GPU it is admitted for; None is the whole device, shared with nobody.
        queue: name of the queue it stands in.
        priority: higher goes first; 0 is usual.
        after: ids of jobs that must have succeeded before.
        time_limit: seconds after which it is stopped, or None.
        retries: how often it is started again after it failed or was lost; 0 is at most once.
        key: idempotency key: submitting the same key again gives the same job.
        max_hours: for how long, from its start, it keeps a Hub from culling the server.
        service: it is meant to run until it is cancelled: it is ``running`` once it reports ready, and is started again
            when it ends by itself.
        gives_way: a service that stops for work that needs its GPU, and comes back after it.
        foreign: its payload is not ours: progress bars and logged metrics are read off its output.
    """

    kind: str
    name: str
    argv: list[str]
    spec: dict[str, Any] = field(default_factory=dict)
    cwd: Path | None = None
    env: dict[str, str] = field(default_factory=dict)
    cpus: float = 1.0
    memory: int | None = None
    gpus: int = 0
    gpu_memory: int | None = None
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    after: tuple[str, ...] = ()
    time_limit: float | None = None
    retries: int = 0
    key: str | None = None
    max_hours: float = 24.0
    service: bool = False
    gives_way: bool = False
    foreign: bool = False


@dataclass(frozen=True)
class Job:
    """A job as the ledger has it.

    Times are seconds since the epoch, but ``cancel_by``, which is on the clock that nobody sets (:func:`clock.boot`);
    memory is in MiB; ``progress`` is in [0, 1]; ``after`` is a JSON list of ids.
    """

    id: str
    kind: str
    name: str
    state: State
    parent: str | None
    actor: str
    cpus: float
    notebook: str | None
    cell_id: str | None
    submitted_at: float
    started_at: float | None
    ended_at: float | None
    progress: float | None
    message: str | None
    waiting_for: str | None
    containment: str | None
    shim_pid: int | None
    shim_start: int | None
    cancel_by: float | None
    starts: int
    exit_code: int | None
    reason: str | None
    error_code: str | None
    error_message: str | None
    error_fix: str | None
    service: int
    restarts: int
    queue: str
    priority: int
    key: str | None
    after: str | None
    memory: int | None
    peak_memory: int | None
    gpus: int
    gpu_memory: int | None
    gpu_peak: int | None
    time_limit: float | None
    max_hours: float
    retries: int
    attempt: int
    not_before: float | None
    gives_way: int
    gave_way_to: str | None
    pid_ns: int | None
    guard_pid: int | None
    guard_start: int | None
    revision: int

    @classmethod
    def of(cls, row: sqlite3.Row) -> "Job":
        """Read a row of the table ``jobs``."""
        fields = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**{**fields, "state": State(row["state"])})

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state.ended
