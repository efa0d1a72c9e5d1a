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
        time_limit: seconds after which it is stopped, or None.
        service: it is meant to run until it is cancelled: it is ``running`` once it reports ready, and is started again
            when it ends by itself.
    """

    kind: str
    name: str
    argv: list[str]
    spec: dict[str, Any] = field(default_factory=dict)
    cwd: Path | None = None
    env: dict[str, str] = field(default_factory=dict)
    cpus: float = 1.0
    time_limit: float | None = None
    service: bool = False


@dataclass(frozen=True)
class Job:
    """A job as the ledger has it. Times are seconds since the epoch; ``progress`` is in [0, 1]."""

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
