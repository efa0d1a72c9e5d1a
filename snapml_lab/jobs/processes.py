"""Looking at and signalling processes through ``/proc``. Standard library only."""

import contextlib
import os
import signal
from collections.abc import Collection, Iterator

from snapml_lab.jobs.events import NONCE

SHIM = "SNAPML_SHIM"
"""Set in a shim's environment to its job's id: another job's shim is never swept away with a payload's tree."""
DEVICES = "SNAPML_DEVICES"
"""Tells a shim the UUIDs of the GPUs its job was granted."""
LEASED = "SNAPML_GPU_MEMORY"
"""Tells a payload the MiB of each GPU it was granted, where it does not have the whole device."""
BINDING = "SNAPML_NVML"
"""Tells a shim where the NVML binding lies, for it runs without site-packages."""


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
    """Send a signal to a process if it is still the one meant; say whether it was sent.

    The descriptor is opened before the look, so that it cannot come to name another process in between.
    """
    if pid is None:
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not same(pid, started):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(descriptor)
    return True


def namespace() -> int:
    """Return the number of this process's PID namespace: process ids mean something only within one."""
    return os.stat("/proc/self/ns/pid").st_ino


def resident(pids: list[int]) -> int:
    """Return the memory (MiB) that processes hold: the sum of their resident sets, shared pages counted in each."""
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/statm", "rb") as file:
            pages += int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


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
        if variable(pid, SHIM) is not None:
            continue
        found.append(pid)
        pending.extend(children.get(pid, ()))
    return found


def bearing(nonce: str | None, pipes: Collection[int] = ()) -> list[int]:
    """Return the living processes of a job: whose environment carries its nonce, or whose output goes into its pipes.

    The pipes (inodes) tell those that shed their environment and session and outlived who could have adopted them.
    """
    links = {f"pipe:[{inode}]" for inode in pipes}
    return [
        pid
        for pid in _pids()
        if ((nonce and variable(pid, NONCE) == nonce) or (links and _writes_to(pid, links)))
        and state(pid) not in (None, "Z")
    ]


def _writes_to(pid: int, links: Collection[str]) -> bool:
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/fd/{descriptor}") in links:
                return True
    return False


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


def command_line(pid: int) -> list[str]:
    """Return a process's arguments; empty if it is gone or not to be seen."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def variable(pid: int, name: str) -> str | None:
    """Return a variable of a process's environment as it was started; None if it has none, or may not be seen."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            content = b"\0" + file.read()
    except OSError:
        return None
    _, found, rest = content.partition(f"\0{name}=".encode())
    return rest.partition(b"\0")[0].decode(errors="replace") if found else None
