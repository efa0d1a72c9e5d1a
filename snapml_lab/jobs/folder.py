"""A job's folder: the names of the files in it, and the exit record whose space is reserved. Standard library only."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

RECORD_BYTES = 4096


class JobFolder(NamedTuple):
    """``.snapml/jobs/<id>/``."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the shim for as long as it lives."""
        return self.path / "lock"

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
