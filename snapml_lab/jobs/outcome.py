"""How a job ended: from the exit record to the ledger. Standard library only; the shim and the tick both settle."""

import signal
import sqlite3
from typing import Any

from snapml_lab import clock
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.logs import STDERR, tail
from snapml_lab.jobs.model import LIVE, State
from snapml_lab.jobs.terminal import collapse
from snapml_lab.store.blobs import Blobs
from snapml_lab.store.files import read_json
from snapml_lab.store.ledger import Ledger, bump
from snapml_lab.tracking.ingest import Source, ingest

_TAIL_BYTES = 2000


GAVE_WAY = "gave_way"
"""The reason of a service that stopped for other work, and is to come back."""

COPIED = "copied"
"""The reason of a job that had not ended when its workspace was copied: it is the original's, and not for here to go on with."""

_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 300.0


def settle(
    ledger: Ledger, blobs: Blobs, job: str, folder: JobFolder, record: dict[str, Any] | None,
    *, of: tuple[State, ...] = LIVE,
) -> State:  # fmt: skip
    """Bring in what the payload left and write how the job goes on: ended, or queued again where it may be.

    Args:
        ledger: the workspace's ledger.
        blobs: the workspace's blobs.
        job: its id.
        folder: its folder.
        record: the exit record; None if the end was not seen, which makes the job ``lost``.
        of: the states it may be in; in any other it stays as it is.
    """
    ingest(ledger, blobs, Source("jobs", job, folder.path))
    reason = "unseen" if record is None else str(record["reason"])
    state = {"unseen": State.LOST, COPIED: State.LOST, "cancelled": State.CANCELLED}.get(reason, State.FAILED)
    if reason == "exited" and record is not None and record["exit_code"] == 0:
        state = State.SUCCEEDED
    error = _error(job, folder, record, reason) if state in (State.FAILED, State.LOST) else {}
    record = record or {}
    with ledger.write() as connection:
        row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
        if row["state"] not in of:
            return State(row["state"])
        revision = bump(connection)
        if reason == GAVE_WAY and row["cancel_by"] is not None:
            state, reason, error = State.CANCELLED, "cancelled", {}
        elif reason == GAVE_WAY:
            _again(connection, job, "stopped, to give way", revision)
            return State.QUEUED
        elif (
            state in (State.FAILED, State.LOST) and row["attempt"] <= row["retries"] and folder.path.is_dir()
            and reason != COPIED
        ):  # fmt: skip
            pause = min(_FIRST_PAUSE_SECONDS ** row["attempt"], _LONGEST_PAUSE_SECONDS)
            told = f"attempt {row['attempt']} {state}: {error['message']}"
            _again(connection, job, told, revision, not_before=clock.now() + pause)
            connection.execute("UPDATE jobs SET attempt = attempt + 1 WHERE id = ?", (job,))
            return State.QUEUED
        connection.execute(
            "UPDATE jobs SET state = ?, ended_at = ?, exit_code = ?, reason = ?, error_code = ?, error_message = ?,"
            " error_fix = ?, waiting_for = NULL, progress = CASE WHEN ? THEN 1.0 ELSE progress END, revision = ?,"
            " peak_memory = nullif(max(coalesce(peak_memory, 0), ?), 0) WHERE id = ?",
            (state, record.get("ended_at", clock.now()), record.get("exit_code"), reason, error.get("code"),
             error.get("message"), error.get("fix"), state is State.SUCCEEDED, revision, record.get("peak_memory") or 0, job),
        )  # fmt: skip
    return state


def copied() -> dict[str, Any]:
    """Return the record of a job that is found, not ended, in a copy of its workspace."""
    return {"reason": COPIED, "exit_code": None, "ended_at": clock.now()}


def _again(
    connection: sqlite3.Connection, job: str, message: str, revision: int, not_before: float | None = None
) -> None:
    """Queue a job anew; its next start sets the exit record aside."""
    connection.execute(
        "UPDATE jobs SET state = 'queued', message = ?, not_before = ?, starts = 0, progress = NULL, shim_pid = NULL,"
        " guard_pid = NULL, revision = ? WHERE id = ?",
        (message, not_before, revision, job),
    )


def _error(job: str, folder: JobFolder, record: dict[str, Any] | None, reason: str) -> dict[str, str]:
    logs = f"See what it printed: snapml jobs logs {job}"
    if not folder.path.is_dir():
        return {
            "code": "lost",
            "message": "Its folder was removed, and with it what it printed and how it ended.",
            "fix": "Run it again.",
        }
    if record is None:
        return {
            "code": "lost",
            "message": "Its end was not seen: the process that watched it is gone.",
            "fix": f"What it had recorded is kept. {logs}",
        }
    if reason == COPIED:
        return {
            "code": "lost",
            "message": "It had not ended when this workspace was copied: it is the original's, which goes on with it.",
            "fix": "Run it again here; or, once it has ended there, bring it over: snapml merge ORIGINAL",
        }
    left = read_json(folder.result)
    if isinstance(left, dict) and isinstance(left.get("error"), dict):
        told = {key: str(value) for key, value in left["error"].items()}
        return {"code": "error", "message": "It failed and did not say why.", "fix": logs, **told}
    if reason == "time_limit":
        return {
            "code": "time_limit",
            "message": "It was stopped at its time limit.",
            "fix": "Give it more time: --time-limit SECONDS",
        }
    if reason == "memory_limit":
        return {
            "code": "memory_limit",
            "message": f"It was stopped at its memory limit{_reached(record)}.",
            "fix": "Give it more: --memory MIB",
        }
    if reason == "terminated":
        return {
            "code": "terminated",
            "message": "Its keeper was told to end (SIGTERM), as when a machine goes down.",
            "fix": "Run it again.",
        }
    if reason == "not_started":
        return {
            "code": "not_started",
            "message": f"It could not be started: {record.get('detail', '')}.",
            "fix": logs,
        }
    if number := record.get("signal"):
        return {"code": "killed", "message": f"It was killed by {_signal_name(number)}.", "fix": logs}
    message = f"It exited with code {record.get('exit_code')}{_last_words(folder)}"
    return {"code": "exit_code", "message": message, "fix": logs}


def _reached(record: dict[str, Any]) -> str:
    peak = record.get("peak_memory")
    return f", having used {peak:,} MiB" if peak else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals between the first and the last have no name
        return f"signal {number}"


def _last_words(folder: JobFolder) -> str:
    lines = collapse(tail(folder, STDERR, _TAIL_BYTES)).split("\n")
    return next((f": {line.strip()[:300]}" for line in reversed(lines) if line.strip()), ".")
