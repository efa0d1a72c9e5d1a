"""The audit's head: which row is the last, kept outside the workspace, so that a cut tail shows. Standard library only.

Beside it the *trail*: the hash of each row in 32 bytes, so that rows which were computed anew are named. A row it lacks is
vouched for by the chain alone.

One small file for each workspace's path, in the account's data folder. It is written right after a row is committed, so it
may lag by rows that a kill came between, and never leads: rows newer than it are vouched for by the chain alone until the
next is written. It only moves to a row that follows the one it names, so what was cut or written anew stays visible until
a person adopts it. A cut of the power may lose committed rows that the head has seen (SQLite's ``synchronous=NORMAL``):
they are told as missing, which they are.

What moves with each row is in the file's first 512 bytes, one sector, and overwritten there: 2 µs where replacing a file
takes 100, and a full disk does not refuse it. Everything else replaces the file.
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from snapml_lab import clock
from snapml_lab.workspace import Workspace

VARIABLE = "SNAPML_AUDIT_HEADS"
_WAIT_SECONDS = 0.2
"""A head that cannot be had so long lags: no command waits for another one's."""
_FORMER = 10
_SECTOR = 512
_DIGEST = 32
_NOTHING = bytes(_DIGEST)
_MOVING = ("workspace", "seq", "sha256", "since", "at")


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
        former: heads that were given up: a person adopted what was found, or a workspace was made where one was removed.
    """

    workspace: str
    seq: int
    sha256: str
    since: int
    at: float
    path: str
    merged: dict[str, tuple[int, str]] = field(default_factory=dict)
    former: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Trail:
    """The hashes of rows as they were noted outside the workspace."""

    content: bytes = b""

    def at(self, seq: int) -> str | None:
        """Return the hash of row ``seq``; None where it was not noted."""
        found = self.content[seq * _DIGEST : (seq + 1) * _DIGEST]
        return None if seq < 1 or len(found) < _DIGEST or found == _NOTHING else found.hex()


class DamagedError(Exception):
    """The file is there, and is no head."""


def folder() -> Path:
    """Return where heads are kept: ``SNAPML_AUDIT_HEADS``, else the account's data folder.

    Raises:
        OSError: the account has no home.
    """
    return Path(_folder())


def place(ws: Workspace) -> Path:
    """Return the file of a workspace's head: by its path, for that is what a person knows it by."""
    return Path(_folder(), _file_of(ws.root))


@functools.lru_cache(64)
def _file_of(root: Path) -> str:
    return f"{hashlib.sha256(str(root).encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"


def _folder() -> str:
    if named := os.environ.get(VARIABLE):
        return named
    if (data := os.environ.get("XDG_DATA_HOME", "")).startswith("/"):
        return f"{data}/snapml/heads"
    home = os.path.expanduser("~")
    if home == "~":
        raise OSError(2, "the account has no home", VARIABLE)
    return f"{home}/.local/share/snapml/heads"


def read(ws: Workspace) -> Head | None:
    """Return a workspace's head; None where this account has not seen it at this path.

    Raises:
        DamagedError: what is there is no head.
        OSError: it cannot be read.
    """
    with _held():
        return _read(_place(ws))


def _read(path: str) -> Head | None:
    content = _content(path)
    if content is None:
        return None
    try:
        fields = {**json.loads(content[:_SECTOR]), **json.loads(content[_SECTOR:])}
        fields["merged"] = {name: (int(seq), str(sha256)) for name, (seq, sha256) in fields["merged"].items()}
        return Head(**{name: fields[name] for name in Head.__dataclass_fields__})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedError(f"{path} is no head of an audit") from error


def trail(ws: Workspace, head: Head | None) -> Trail:
    """Return the trail that goes with a head; an empty one where there is none, or it is of another ledger."""
    try:
        content = _content(_trail(_place(ws))) or b""
    except OSError:
        content = b""
    return Trail(content if head and content.startswith(_owner(head.workspace)) else b"")


def advance(ws: Workspace, workspace: str, seq: int, sha256: str) -> str | None:
    """Move the head to a row that was committed, if it follows what the head names; return why it could not be written.

    A workspace that was made anew, where one was removed, begins a head of its own; the one before stays among the former.
    Nothing is raised: what a command did is done, and :func:`~snapml_lab.governance.verification.verify` says how far the
    head is behind.
    """
    try:
        path = _place(ws)
        with _held():
            known = _read(path)
            if known is None or (known.workspace != workspace and ws.fresh.exists()):
                former = [] if known is None else _formerly(known)
                _replace(path, Head(workspace, seq, sha256, seq, clock.now(), str(ws.root), {}, former))
                _note(path, workspace, seq, sha256, anew=True)
                ws.fresh.unlink(missing_ok=True)
            elif known.workspace == workspace and known.seq < seq and _follows(ws, known):
                _overwrite(path, replace(known, seq=seq, sha256=sha256, at=clock.now()))
                _note(path, workspace, seq, sha256)
    except DamagedError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename or VARIABLE}: {error.strerror or error}"
    return None


def note_merged(ws: Workspace, merged: dict[str, tuple[int, str]]) -> None:
    """Remember the ends of merged audits; called when they were found whole."""
    with contextlib.suppress(DamagedError, OSError), _held():
        path = _place(ws)
        known = _read(path)
        if known is not None and known.merged != merged:
            _replace(path, replace(known, merged=merged))


def adopt(ws: Workspace, workspace: str, seq: int, sha256: str) -> Head:
    """Take what the ledger has now as the head; the one before is kept among the former ones.

    Raises:
        OSError: it cannot be written.
    """
    path = _place(ws)
    with _held():
        try:
            known = _read(path)
        except DamagedError:
            known = None
        former = [] if known is None else _formerly(known)
        head = Head(workspace, seq, sha256, seq, clock.now(), str(ws.root), {}, former)
        _replace(path, head)
        if seq:
            _note(path, workspace, seq, sha256, anew=True)
    return head


def _formerly(known: Head) -> list[dict[str, Any]]:
    """Return the former heads with the one that becomes one of them."""
    return [*known.former, {name: getattr(known, name) for name in _MOVING}][-_FORMER:]


def owe(ws: Workspace, line: dict[str, Any]) -> None:
    """Keep a row that could not be written to the ledger, until it can.

    Raises:
        OSError: this cannot be written, either.
    """
    with _held(), open(_owed(ws), "ab") as file:
        file.write(json.dumps(line).encode() + b"\n")


def owed(ws: Workspace) -> dict[bytes, dict[str, Any]]:
    """Return the rows that could not be written, by their lines; a line that is not whole is a row that ends nothing."""
    try:
        content = _content(_owed(ws))
    except OSError:
        return {}
    found = {}
    for line in (content or b"").splitlines():
        try:
            row = json.loads(line)
            found[line] = {"of": int(row["of"]), "outcome": str(row["outcome"]), "at": float(row["at"])}
        except (ValueError, TypeError, KeyError):
            found[line] = {"of": 0, "outcome": "", "at": 0.0}
    return found


def settle(ws: Workspace, lines: Collection[bytes]) -> None:
    """Forget rows that were owed: they are in the ledger."""
    with contextlib.suppress(OSError), _held():
        left = [line for line in (_content(_owed(ws)) or b"").splitlines() if line not in lines]
        if left:
            with open(_owed(ws), "wb") as file:
                file.write(b"\n".join([*left, b""]))
        else:
            os.unlink(_owed(ws))


def _note(path: str, workspace: str, seq: int, sha256: str, *, anew: bool = False) -> None:
    """Write a row's hash into the trail, at its own place; the first place has whose it is."""
    with contextlib.suppress(OSError):  # what is not noted is vouched for by the chain
        if anew or not os.path.exists(_trail(path)):
            with open(_trail(path), "wb") as file:
                file.write(_owner(workspace))
        descriptor = os.open(_trail(path), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, bytes.fromhex(sha256), seq * _DIGEST)
        finally:
            os.close(descriptor)


def _owner(workspace: str) -> bytes:
    return workspace.encode("utf-8", "replace")[:_DIGEST].ljust(_DIGEST)


def _trail(path: str) -> str:
    return f"{path.removesuffix('.json')}.trail"


def _place(ws: Workspace) -> str:
    return f"{_folder()}/{_file_of(ws.root)}"


def _owed(ws: Workspace) -> str:
    return f"{_place(ws).removesuffix('.json')}.owed"


def _content(path: str) -> bytes | None:
    """Return what is in a file; None where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        pieces = []
        while piece := os.read(descriptor, 1 << 16):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def _follows(ws: Workspace, known: Head) -> bool:
    """Say whether the ledger still has the row that the head names, as it was."""
    row = ws.ledger.row("SELECT sha256 FROM audit WHERE seq = ?", known.seq)
    return known.seq == 0 or (row is not None and row["sha256"] == known.sha256)


def _first(head: Head) -> bytes:
    """Write what moves with each row, as long as a sector."""
    return json.dumps({name: getattr(head, name) for name in _MOVING}).encode().ljust(_SECTOR - 1) + b"\n"


def _overwrite(path: str, head: Head) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, _first(head), 0)
    finally:
        os.close(descriptor)


def _replace(path: str, head: Head) -> None:
    """Replace the file whole; what is left where the disk is full is the old one."""
    rest = {name: getattr(head, name) for name in ("path", "merged", "former")}
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(_first(head) + json.dumps(rest).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Hold the lock on the folder of heads.

    Raises:
        OSError: the folder cannot be made or opened; TimeoutError: another process holds it.
    """
    place = _folder()
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        os.makedirs(place, mode=0o700, exist_ok=True)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(11, "another process holds it", place) from None
                time.sleep(0.001)
        yield
    finally:
        os.close(descriptor)
