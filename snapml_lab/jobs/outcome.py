"""How a job ended: from the exit record to the ledger. Standard library only; the shim and the tick both settle."""

import signal
from typing import Any

from snapml_lab import clock
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.ingest import ingest
from snapml_lab.jobs.model import ENDED, State
from snapml_lab.store.blobs import Blobs
from snapml_lab.store.files import read_json
from snapml_lab.store.ledger import Ledger, bump

_TAIL_BYTES = 2000


def settle(ledger: Ledger, blobs: Blobs, job: str, folder: JobFolder, record: dict[str, Any] | None) -> State:
    """Bring in what the payload left and write its final state; a job that has ended stays as it is.

    Args:
        ledger: the workspace's ledger.
        blobs: the workspace's blobs.
        job: its id.
        folder: its folder.
        record: the exit record; None if the end was not seen, which makes the job ``lost``.
    """
    ingest(ledger, blobs, job, folder)
    reason = "unseen" if record is None else str(record["reason"])
    state = {"unseen": State.LOST, "cancelled": State.CANCELLED}.get(reason, State.FAILED)
    if reason == "exited" and record is not None and record["exit_code"] == 0:
        state = State.SUCCEEDED
    error = _error(job, folder, record, reason) if state in (State.FAILED, State.LOST) else {}
    record = record or {}
    with ledger.write() as connection:
        connection.execute(
            "UPDATE jobs SET state = ?, ended_at = ?, exit_code = ?, reason = ?, error_code = ?, error_message = ?,"
            " error_fix = ?, waiting_for = NULL, progress = CASE WHEN ? THEN 1.0 ELSE progress END, revision = ?"
            f" WHERE id = ? AND state NOT IN ({','.join('?' * len(ENDED))})",
            (state, record.get("ended_at", clock.now()), record.get("exit_code"), reason, error.get("code"),
             error.get("message"), error.get("fix"), state is State.SUCCEEDED, bump(connection), job, *ENDED),
        )  # fmt: skip
    return state


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
    left = read_json(folder.result)
    if isinstance(left, dict) and isinstance(left.get("error"), dict):
        told = {key: str(value) for key, value in left["error"].items()}
        return {"code": "error", "message": "It failed and did not say why.", "fix": logs, **told}
    if reason == "time_limit":
        return {
            "code": "time_limit",
            "message": "It was stopped at its time limit.",
            "fix": "Give it more time.",
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


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals between the first and the last have no name
        return f"signal {number}"


def _last_words(folder: JobFolder) -> str:
    try:
        content = folder.stderr.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").strip()
    except FileNotFoundError:
        content = ""
    return f": {content.splitlines()[-1][:300]}" if content else "."
