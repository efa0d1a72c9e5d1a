"""A job's folder: the names of the files in it, and the exit record whose space is reserved. Standard library only."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

RECORD_BYTES = 4096
_KEEPER_BYTES = 64
"""Room for a line in the lock's file: the guard's first, the shim's, the payload's pipes; after that, the folder's path."""


class JobFolder(NamedTuple):
    """``.snapml/jobs/<id>/``."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the shim for as long as it lives."""
        return self.path / "lock"

    @property
    def tree(self) -> Path:
        """Locked through a descriptor that the payload inherits: where nobody can see its processes, this tells of them."""
        return self.path / "tree"

    @property
    def launch(self) -> Path:
        """What the shim starts (argv, cwd, environment, nonce, limits)."""
        return self.path / "launch.json"

    @property
    def spec(self) -> Path:
        """What the payload is asked to do."""
        return self.path / "spec.json"

    @property
    def events(self) -> Path:
        """What the payload reports, a JSON object a line."""
        return self.path / "events.jsonl"

    @property
    def result(self) -> Path:
        """What the payload leaves: ``{"value": …}`` or ``{"error": {code, message, fix}}``."""
        return self.path / "result.json"

    @property
    def artifacts(self) -> Path:
        """Files the payload made."""
        return self.path / "artifacts"

    @property
    def cancel(self) -> Path:
        """Its presence asks the shim to stop the payload."""
        return self.path / "cancel.json"

    @property
    def again(self) -> Path:
        """Asks the shim of a service to end what runs and start it anew; says why."""
        return self.path / "again.json"

    @property
    def stdout(self) -> Path:
        """The payload's standard output, untouched."""
        return self.path / "stdout.log"

    @property
    def stderr(self) -> Path:
        """The payload's standard error, untouched."""
        return self.path / "stderr.log"

    @property
    def cgroup(self) -> Path:
        """Names the payload's cgroup, so that a tick can end it where the shim is gone."""
        return self.path / "cgroup"

    @property
    def shim_log(self) -> Path:
        """The shim's own diary."""
        return self.path / "shim.log"

    @property
    def log_index(self) -> Path:
        """Which piece of which stream came when; see ``logs``."""
        return self.path / "log.idx"

    @property
    def exit(self) -> Path:
        """How the payload ended; the space is reserved before it starts, so that a full disk cannot lose it."""
        return self.path / "exit.json"


class Keeper(NamedTuple):
    """A process that keeps a job: its id, and when it started (clock ticks), which together name one process."""

    pid: int
    started: int


def reserve_lock(folder: JobFolder) -> None:
    """Make the lock's file, or blank it, with room for who holds it: for that is written when the disk may be full."""
    descriptor = os.open(folder.lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        place = os.fsencode(folder.path) + b"\n"
        os.pwrite(descriptor, b"\n".rjust(_KEEPER_BYTES) * 3 + place, 0)
    finally:
        os.close(descriptor)


def is_copy(folder: JobFolder) -> bool:
    """Say whether a folder was copied, and the one it was copied from is still there: then that one's work is not ours.

    The processes, pipes and cgroup that the files in it name are the other's, and so is what waits to begin. Where the
    other one is gone, the folder was moved, and its work with it.
    """
    try:
        with folder.lock.open("rb") as file:
            here = os.fstat(file.fileno())
            written = os.fsdecode(file.read()[3 * _KEEPER_BYTES :].partition(b"\n")[0])
        if not written or written == str(folder.path):
            return False
        return not os.path.samestat(os.stat(JobFolder(Path(written)).lock), here)
    except (OSError, ValueError):
        return False


def note_shim(lock: int, shim: int) -> None:
    """Write the job's shim into the lock's file; its guard does so, and it itself: whoever is first.

    The guard is in the file from before it ran.
    """
    with contextlib.suppress(OSError):
        with open(f"/proc/{shim}/stat", "rb") as file:
            started = file.read().rpartition(b")")[2].split()[19]
        os.pwrite(lock, b"%d %b\n" % (shim, started), _KEEPER_BYTES)


def note_pipes(lock: int, pipes: tuple[int, int]) -> None:
    """Write the inodes of the pipes a payload is about to write to: whoever has one as its output is of its tree."""
    with contextlib.suppress(OSError):
        os.pwrite(lock, b"%d %d\n" % pipes, 2 * _KEEPER_BYTES)


def pipes(folder: JobFolder) -> tuple[int, ...]:
    """Return the inodes of the pipes of the latest payload; none where it did not come so far."""
    try:
        content = folder.lock.read_bytes()[2 * _KEEPER_BYTES : 3 * _KEEPER_BYTES]
        return tuple(int(word) for word in content.split(b"\n")[0].split())
    except (OSError, ValueError):
        return ()


def keepers(folder: JobFolder) -> tuple[Keeper | None, Keeper | None]:
    """Return the guard and the shim that the lock's file names, as far as they got to be."""
    try:
        content = folder.lock.read_bytes()
    except OSError:
        return None, None
    return _keeper(content[:_KEEPER_BYTES]), _keeper(content[_KEEPER_BYTES : 2 * _KEEPER_BYTES])


def _keeper(content: bytes) -> Keeper | None:
    try:
        pid, started = content.split(b"\n")[0].split()
        return Keeper(int(pid), int(started))
    except ValueError:
        return None


def reserve_exit(folder: JobFolder) -> int:
    """Make the exit record's file with its space allocated; return its descriptor."""
    descriptor = os.open(folder.exit, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, RECORD_BYTES)
    except OSError:
        os.close(descriptor)
        os.unlink(folder.exit)
        raise
    return descriptor


def write_exit(descriptor: int, record: dict[str, Any]) -> None:
    """Write the exit record into its reserved space, once, and make it durable."""
    os.pwrite(descriptor, json.dumps(record).encode() + b"\n", 0)
    os.fsync(descriptor)


def set_aside_exit(folder: JobFolder) -> None:
    """Put the exit record of an earlier start out of the way, before another one: it must not speak for that."""
    if folder.exit.exists():
        os.replace(folder.exit, folder.path / "exit.before.json")


def read_exit(folder: JobFolder) -> dict[str, Any] | None:
    """Return the exit record, or None where the end was not recorded."""
    try:
        content = folder.exit.read_bytes()
    except FileNotFoundError:
        return None
    line, newline, _ = content.partition(b"\n")
    if not newline:
        return None
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return record
