"""How a shim holds its payload's whole tree, so that all of it can be ended. Standard library only.

Best first: a cgroup v2 of its own (``cgroup.kill``: nothing escapes), else this process as subreaper and a sweep of its
descendants (a fork storm may outrun it), else only the process group.
"""

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

from snapml_lab.jobs import processes

_PR_SET_CHILD_SUBREAPER = 36
_PREFIX = "snapml-"
_SWEEP_SECONDS = 5.0
_LEFT_SECONDS = 1.0
EMPTY_LOOKS = 4
"""How often ``/proc`` must show nothing where there is no proof: one look misses what is forked while it looks."""


class Containment:
    """Holds one payload's tree.

    Args:
        job: the job's id; names the cgroup.
        note: file to write the cgroup's path to, for :func:`end_cgroup`.

    Attributes:
        reached: ``cgroup``, ``subreaper`` or ``group``.
    """

    def __init__(self, job: str, note: Path) -> None:
        self.reached = "subreaper" if adopt() else "group"
        self._without = self.reached
        self._cgroup = _make_cgroup(job, note)
        if self._cgroup is not None:
            self.reached = "cgroup"

    def limit_memory(self, mib: int) -> bool:
        """Have the kernel hold the tree to a limit (MiB); False where the cgroup has no memory controller."""
        if self._cgroup is None:
            return False
        try:
            (self._cgroup / "memory.max").write_text(str(mib << 20))
        except OSError:
            return False
        for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
            with contextlib.suppress(OSError):
                (self._cgroup / name).write_text(value)
        return True

    def out_of_memory(self) -> bool:
        """Say whether the kernel killed something of the tree at its memory limit."""
        if self._cgroup is None:
            return False
        try:
            lines = (self._cgroup / "memory.events").read_text().splitlines()
        except OSError:
            return False
        return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines)

    def resident(self, payload: int) -> int:
        """Return the memory (MiB) the tree holds."""
        if self._cgroup is not None:
            with contextlib.suppress(OSError, ValueError):
                return int((self._cgroup / "memory.current").read_text()) >> 20
        return processes.resident(self.members(payload))

    def forgo_cgroup(self) -> None:
        """Go on with the next best: the cgroup could be made, but not entered."""
        self.close()
        self._cgroup, self.reached = None, self._without

    def enter(self) -> None:
        """Put the calling process in; runs in the payload between fork and exec."""
        if self._cgroup is not None:
            with open(self._cgroup / "cgroup.procs", "w") as file:
                file.write("0")

    def members(self, payload: int) -> list[int]:
        """Return the living processes of the tree (``payload`` is its first process, and its group's leader)."""
        if self._cgroup is not None:
            with contextlib.suppress(OSError):
                return [int(line) for line in (self._cgroup / "cgroup.procs").read_text().split()]
        found = processes.descendants(os.getpid())
        if payload not in found and processes.state(payload) not in (None, "Z"):
            found.append(payload)
        return found

    def ask(self, payload: int) -> None:
        """SIGTERM to all of the tree."""
        for pid in self.members(payload):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGTERM)

    def end(self, payload: int, nonce: str, pipes: tuple[int, ...] = ()) -> list[int]:
        """Kill all of the tree, and return the processes that could not be ended."""
        deadline = time.monotonic() + _SWEEP_SECONDS
        left: list[int] = []
        empty = 0
        while empty < EMPTY_LOOKS and time.monotonic() < deadline:
            self._kill_cgroup()
            processes.kill_all(left)
            reap(except_for=payload)
            left = self._left(payload, nonce, pipes)
            if not left and childless():
                return []
            empty = 0 if left else empty + 1
            time.sleep(0.01)
        return left

    def close(self) -> None:
        """Remove the cgroup once it is empty: threads may leave it a moment after their process has ended."""
        deadline = time.monotonic() + _LEFT_SECONDS
        while self._cgroup is not None and not _removed(self._cgroup) and time.monotonic() < deadline:
            time.sleep(0.01)

    def _kill_cgroup(self) -> None:
        """Kill all in the cgroup and in those the payload made below it, which ``members`` does not see."""
        if self._cgroup is not None:
            with contextlib.suppress(OSError):
                (self._cgroup / "cgroup.kill").write_text("1")

    def _left(self, payload: int, nonce: str, pipes: tuple[int, ...]) -> list[int]:
        left = {*self.members(payload), *processes.bearing(nonce, pipes)}
        return [pid for pid in left if processes.state(pid) not in (None, "Z")]


def adopt() -> bool:
    """Become the subreaper: whatever is orphaned below this process becomes its child. Say whether that worked."""
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def leave() -> Path:
    """Take this process out of the cgroup of another job, in which it was started; return the cgroup it is in then.

    Raises:
        OSError: there is no cgroup v2, or it may not be left.
    """
    try:
        mount = next(
            Path(line.split()[1])
            for line in Path("/proc/mounts").read_text().splitlines()
            if line.split()[2] == "cgroup2"
        )
        line = next(
            line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")
        )
    except StopIteration as error:
        raise OSError("there is no cgroup v2") from error
    parts = line[3:].strip("/").split("/")
    outside = [part for part in parts if not part.startswith(_PREFIX)]
    home = mount.joinpath(*outside)
    if outside != parts:
        (home / "cgroup.procs").write_text(str(os.getpid()))
    return home


def end_cgroup(job: str, note: Path) -> bool:
    """Kill whatever is left in the cgroup of a job whose shim is gone, and remove it; say whether nothing is left."""
    try:
        group = Path(note.read_text())
    except (OSError, ValueError):
        return True
    if group.name != f"{_PREFIX}{job}" or not group.is_dir():
        return True
    deadline = time.monotonic() + _LEFT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            (group / "cgroup.kill").write_text("1")
        if _removed(group):
            return True
        time.sleep(0.01)
    return False


def _removed(group: Path) -> bool:
    """Remove a cgroup with those below it as far as they are empty; say whether it is gone."""
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not group.is_dir()


def childless() -> bool:
    """Say whether this process has no child at all: for a subreaper, the proof that nothing below it is left."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def reap(except_for: int) -> None:
    """Collect adopted children that have ended; the payload's own end is read by the shim."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid == except_for:
            return
        with contextlib.suppress(ChildProcessError):
            os.waitpid(found.si_pid, os.WNOHANG)


def _make_cgroup(job: str, note: Path) -> Path | None:
    """Make a cgroup for the payload beside where this process is, leaving any other job's first; None if not allowed."""
    with contextlib.suppress(OSError, ValueError):
        made = leave() / f"{_PREFIX}{job}"
        note.write_text(str(made))
        made.mkdir(exist_ok=True)
        if (made / "cgroup.kill").exists() and os.access(made / "cgroup.procs", os.W_OK):
            return made
        made.rmdir()
    return None
