"""The files of another workspace into this one: blobs, and the folders of runs and jobs; all durable before a row names them."""

import ctypes
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from snapml_lab.errors import StorageError
from snapml_lab.store.blobs import Blobs
from snapml_lab.store.files import read_json, replace_json, storage_errors

Say = Callable[[float, str], None]
"""Is told how much is done, in [0, 1], and what is being done."""

_CHUNK = 1 << 20
_AT_ONCE = 1000
_AT_ONCE_BYTES = 1 << 30
"""Files are made durable together: one wait for the disk instead of one for each."""
_INCOMING = ".incoming.merge."
_FIRST = re.compile(r"[0-9a-f]{2}")
_REST = re.compile(r"[0-9a-f]{62}")
_OF_A_PLACE = frozenset({"lock", "tree", "cgroup", "cancel.json"})
"""Files that mean something only where the job ran."""


class Blob(NamedTuple):
    """A blob that is not here: its SHA-256, where it is, its bytes."""

    sha256: str
    path: Path
    size: int


def missing(blobs: Blobs, *others: Path) -> list[Blob]:
    """Return what other folders of blobs have and ``blobs`` has not."""
    found: dict[str, Blob] = {}
    for root in others:
        for sha256, entry in _listed(root):
            if sha256 not in found and not _place(blobs, sha256).exists():
                found[sha256] = Blob(sha256, Path(entry.path), entry.stat().st_size)
    return list(found.values())


def bring_blobs(blobs: Blobs, wanted: list[Blob], say: Say) -> list[str]:
    """Copy blobs, checking each against its name; return those that were not what they are called, or unreadable.

    Raises:
        StorageError: the disk is full; what was copied before is whole.
    """
    damaged: list[str] = []
    with storage_errors(blobs.root):
        blobs.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in blobs.root.glob(f"{_INCOMING}*"):
            left.unlink()
    total, copied = sum(blob.size for blob in wanted) or 1, 0
    for some in _portions(wanted):
        whole: list[tuple[Path, Path]] = []
        with storage_errors(blobs.root):
            for blob in some:
                incoming = blobs.root / f"{_INCOMING}{blob.sha256}"
                if _copied(blob, incoming):
                    whole.append((incoming, _place(blobs, blob.sha256)))
                else:
                    incoming.unlink(missing_ok=True)
                    damaged.append(blob.sha256)
                copied += blob.size
                say(copied / total, f"{copied / 2**20:,.0f} of {total / 2**20:,.0f} MiB of files")
            make_durable(blobs.root)
            for incoming, place in whole:
                place.parent.mkdir(exist_ok=True)
                incoming.replace(place)
    make_durable(blobs.root)
    return damaged


def bring_folder(source: Path, target: Path, *, leave: frozenset[str] = _OF_A_PLACE) -> None:
    """Copy a job's or run's folder, whole or not at all; one that is here is replaced. Links and sockets are left out.

    What starts the job there loses the word its processes are found by.

    Raises:
        StorageError: the disk is full.
    """
    staged, before = target.parent / f".incoming.{target.name}", target.parent / f".before.{target.name}"
    with storage_errors(target):
        for left in (staged, before):
            shutil.rmtree(left, ignore_errors=True)
        staged.mkdir(parents=True, mode=0o700)
        _copy_tree(source, staged, leave)
        launch = read_json(staged / "launch.json")
        if isinstance(launch, dict) and launch.pop("nonce", None):
            replace_json(staged / "launch.json", launch)
        if target.exists():
            target.rename(before)
        staged.rename(target)
        shutil.rmtree(before, ignore_errors=True)


def link_lock(source: Path, target: Path) -> None:
    """Have a run's folder say that it is alive for as long as the one it comes from does: its lock is that one's."""
    with storage_errors(target):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True, mode=0o700)
        (target / "lock").symlink_to(source / "lock")


def size_of(folders: Iterable[Path]) -> int:
    """Return the bytes of all files in some folders."""
    return sum(
        os.lstat(os.path.join(place, name)).st_size
        for folder in folders
        for place, _, names in os.walk(folder)
        for name in names
    )


def check_room(root: Path, needed: int) -> None:
    """Refuse to begin what there is no room for (bytes).

    Raises:
        StorageError: the disk has less.
    """
    free = shutil.disk_usage(root).free
    if free < needed:
        raise StorageError(
            f"This needs {needed / 2**20:,.1f} MiB, and the disk of {root} has {free / 2**20:,.1f} MiB left; nothing was"
            " changed.",
            fix=f"Free space on the disk that holds {root} and try again.",
        )


def unreadable(path: Path) -> StorageError:
    """Return the error of something of the other workspace that this account may not read."""
    return StorageError(
        f"{path} cannot be read by this account; nothing was merged.",
        fix=f"Merge as the account that owns it, or make it readable: chmod -R a+rX {path}",
    )


def make_durable(root: Path) -> None:
    """Wait until all that was written to the file system of ``root`` is on the disk (syncfs(2))."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)


def _listed(root: Path) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    if not root.is_dir():
        return
    for first in sorted(
        path.name for path in root.iterdir() if _FIRST.fullmatch(path.name) and path.is_dir()
    ):
        with os.scandir(root / first) as entries:
            for entry in entries:
                if _REST.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    yield first + entry.name, entry


def _place(blobs: Blobs, sha256: str) -> Path:
    return blobs.root / sha256[:2] / sha256[2:]


def _portions(wanted: list[Blob]) -> Iterator[list[Blob]]:
    some: list[Blob] = []
    size = 0
    for blob in wanted:
        some.append(blob)
        size += blob.size
        if len(some) >= _AT_ONCE or size >= _AT_ONCE_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _copied(blob: Blob, target: Path) -> bool:
    """Copy a blob; say whether it is what its name says."""
    digest = hashlib.sha256()
    try:
        source = blob.path.open("rb")
    except OSError:
        return False
    with source, target.open("wb") as file:
        os.fchmod(file.fileno(), 0o444)
        while chunk := _read(source):
            digest.update(chunk)
            file.write(chunk)
        if chunk is None:
            return False
    return digest.hexdigest() == blob.sha256


def _read(source: IO[bytes]) -> bytes | None:
    """Return the next piece; None where the disk it is on cannot read it."""
    try:
        return source.read(_CHUNK)
    except OSError:
        return None


def _copy_tree(source: Path, target: Path, leave: frozenset[str]) -> None:
    if not os.access(source, os.R_OK | os.X_OK):
        raise unreadable(source)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.name in leave or entry.is_symlink():
                continue
            if entry.is_dir():
                (target / entry.name).mkdir(mode=0o700)
                _copy_tree(Path(entry.path), target / entry.name, frozenset())
            elif entry.is_file():
                if not os.access(entry.path, os.R_OK):
                    raise unreadable(Path(entry.path))
                shutil.copy2(entry.path, target / entry.name)
