"""The audit's head: which row is the last, kept outside the workspace, so that a cut tail shows. Standard library only.

One small file for each workspace's path, in the account's data folder. It is written right after a row is committed, so it
may lag by rows that a kill came between, and never leads; it only moves to a row that follows the one it names, so what
was cut or written anew stays visible until a person adopts it.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from snapml_lab import clock
from snapml_lab.workspace import Workspace

VARIABLE = "SNAPML_AUDIT_HEADS"
_WAIT_SECONDS = 0.2
"""A head that cannot be had so long lags: no command waits for another one's."""
_FORMER = 10


@dataclass(frozen=True)
class Head:
    """What is known outside of a workspace about its audit.

    Attributes:
        workspace: the ledger's id.
        seq: the number of the last row seen; 0 where there was none.
        sha256: its hash.
        since: the first row that this head was there for: what was cut before is not known.
        at: when it was written, in seconds since the epoch.
        path: the workspace's path, for people.
        merged: the same of workspaces merged into this one: id to number and hash.
        former: heads that a person gave up by adopting what was found.
    """

    workspace: str
    seq: int
    sha256: str
    since: int
    at: float
    path: str
    merged: dict[str, tuple[int, str]] = field(default_factory=dict)
    former: list[dict[str, Any]] = field(default_factory=list)


class DamagedError(Exception):
    """The file is there, and is no head."""


def folder() -> Path:
    """Return where heads are kept: ``SNAPML_AUDIT_HEADS``, else the account's data folder.

    Raises:
        OSError: the account has no home.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named)
    if (data := os.environ.get("XDG_DATA_HOME")) and os.path.isabs(data):
        return Path(data) / "snapml" / "heads"
    try:
        return Path.home() / ".local" / "share" / "snapml" / "heads"
    except RuntimeError as error:
        raise OSError(str(error)) from error


def place(ws: Workspace) -> Path:
    """Return the file of a workspace's head: by its path, for that is what a person knows it by."""
    return (
        folder() / f"{hashlib.sha256(str(ws.root).encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"
    )


def read(ws: Workspace) -> Head | None:
    """Return a workspace's head; None where this account has not seen it at this path.

    Raises:
        DamagedError: what is there is no head.
        OSError: it cannot be read.
    """
    try:
        content = place(ws).read_bytes()
    except FileNotFoundError:
        return None
    try:
        fields = json.loads(content)
        fields["merged"] = {name: (int(seq), str(sha256)) for name, (seq, sha256) in fields["merged"].items()}
        return Head(**{name: fields[name] for name in Head.__dataclass_fields__})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedError(f"{place(ws)} is no head of an audit") from error


def advance(ws: Workspace, workspace: str, seq: int, sha256: str) -> str | None:
    """Move the head to a row that was committed, if it follows what the head names; return why it could not be written.

    Nothing is raised: what a command did is done, and :func:`~snapml_lab.governance.verification.verify` says how far the
    head is behind.
    """
    try:
        with _held():
            known = read(ws)
            if known is None:
                _write(ws, Head(workspace, seq, sha256, seq, clock.now(), str(ws.root)))
            elif known.workspace == workspace and known.seq < seq and _follows(ws, known):
                _write(ws, Head(**{**vars(known), "seq": seq, "sha256": sha256, "at": clock.now()}))
    except DamagedError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename or VARIABLE}: {error.strerror or error}"
    return None


def note_merged(ws: Workspace, merged: dict[str, tuple[int, str]]) -> None:
    """Remember the ends of merged audits; called when they were found whole."""
    with contextlib.suppress(DamagedError, OSError), _held():
        known = read(ws)
        if known is not None and known.merged != merged:
            _write(ws, Head(**{**vars(known), "merged": merged}))


def adopt(ws: Workspace, workspace: str, seq: int, sha256: str) -> Head:
    """Take what the ledger has now as the head; the one before is kept among the former ones.

    Raises:
        OSError: it cannot be written.
    """
    with _held():
        try:
            known = read(ws)
        except DamagedError:
            known = None
        former = [] if known is None else known.former
        if known is not None:
            former = [
                *former,
                {"workspace": known.workspace, "seq": known.seq, "sha256": known.sha256, "at": known.at},
            ]
        head = Head(workspace, seq, sha256, seq, clock.now(), str(ws.root), {}, former[-_FORMER:])
        _write(ws, head)
    return head


def owe(ws: Workspace, line: dict[str, Any]) -> None:
    """Keep a row that could not be written to the ledger, until it can.

    Raises:
        OSError: this cannot be written, either.
    """
    with _held(), _owed(ws).open("ab") as file:
        file.write(json.dumps(line).encode() + b"\n")


def owed(ws: Workspace) -> list[dict[str, Any]]:
    """Return the rows that could not be written; a last line that is not whole is left out."""
    found = []
    try:
        content = _owed(ws).read_bytes()
    except OSError:
        return []
    for line in content.splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def settle(ws: Workspace, number: int) -> None:
    """Forget the first ``number`` rows that were owed: they are in the ledger."""
    with contextlib.suppress(OSError), _held():
        lines = _owed(ws).read_bytes().splitlines(keepends=True)
        if len(lines) <= number:
            _owed(ws).unlink()
        else:
            _owed(ws).write_bytes(b"".join(lines[number:]))


def _owed(ws: Workspace) -> Path:
    return place(ws).with_suffix(".owed")


def _follows(ws: Workspace, known: Head) -> bool:
    """Say whether the ledger still has the row that the head names, as it was."""
    row = ws.ledger.row("SELECT sha256 FROM audit WHERE seq = ?", known.seq)
    return known.seq == 0 or (row is not None and row["sha256"] == known.sha256)


def _write(ws: Workspace, head: Head) -> None:
    """Replace the file: not synced, for a head may lag; who reads it sees the old one or the new."""
    path = place(ws)
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        content = json.dumps(asdict(head)).encode()
        if os.write(descriptor, content) != len(content):
            raise OSError(28, "the disk is full", str(temporary))
    finally:
        os.close(descriptor)
    os.replace(temporary, path)


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Hold the lock on the folder of heads.

    Raises:
        OSError: the folder cannot be made or opened; TimeoutError: another process holds it.
    """
    place = folder()
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(11, "another process holds it", str(place)) from None
                time.sleep(0.001)
        yield
    finally:
        os.close(descriptor)
