"""Looking at and signalling processes through ``/proc``. Standard library only."""

import contextlib
import os
import signal
from collections.abc import Iterator

from snapml_lab.jobs.events import NONCE

SHIM = "SNAPML_SHIM"
"""Set in a shim's environment to its job's id: another job's shim is never swept away with a payload's tree."""


def start_ticks(pid: int) -> int | None:
    """Return when a process started (clock ticks since boot), or None if it is gone; with the pid it names one process."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def state(pid: int) -> str | None:
    """Return a process's state letter (``R``, ``S``, ``T`` stopped, ``Z`` zombie), or None if it is gone."""
    fields = _stat(pid)
    return fields[0] if fields else None


def same(pid: int | None, started: int | None) -> bool:
    """Say whether ``pid`` is still the process that started at ``started``, and has not ended."""
    if pid is None or started is None:
        return False
    return start_ticks(pid) == started and state(pid) not in (None, "Z")


def signal_exactly(pid: int | None, started: int | None, number: int) -> bool:
    """Send a signal to a process if it is still the one meant; say whether it was sent."""
    if pid is None or not same(pid, started):
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
        return True
    return False


def descendants(root: int) -> list[int]:
    """Return the living processes below ``root``, other jobs' shims and what is under them left out."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        fields = _stat(pid)
        if fields and fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(pid)
    found: list[int] = []
    pending = list(children.get(root, ()))
    while pending:
        pid = pending.pop()
        if _variable(pid, SHIM) is not None:
            continue
        found.append(pid)
        pending.extend(children.get(pid, ()))
    return found


def bearing(nonce: str) -> list[int]:
    """Return the living processes whose environment carries a job's nonce."""
    return [pid for pid in _pids() if _variable(pid, NONCE) == nonce and state(pid) not in (None, "Z")]


def kill_all(pids: list[int]) -> None:
    """SIGKILL each; those already gone are no error."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _stat(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/PID/stat`` after the command's name: state, ppid, … (proc(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].decode().split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _variable(pid: int, name: str) -> str | None:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            content = b"\0" + file.read()
    except OSError:
        return None
    _, found, rest = content.partition(f"\0{name}=".encode())
    return rest.partition(b"\0")[0].decode(errors="replace") if found else None
