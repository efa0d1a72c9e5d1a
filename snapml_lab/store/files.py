"""Files that are whole or not there: atomic replacement and cross-process locks. Standard library only."""

import contextlib
import errno
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snapml_lab.errors import StorageError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_IN_THE_WAY = frozenset({errno.ENOTDIR, errno.EEXIST, errno.EISDIR})


@contextlib.contextmanager
def storage_errors(path: Path | str) -> Iterator[None]:
    """Turn "the disk is full" and its kin into a :class:`StorageError` that names the place."""
    try:
        yield
    except OSError as error:
        folder = Path(path).parent
        if error.errno in _FULL:
            fix = f"Free space (or quota) on the disk that holds {folder} and try again."
        elif error.errno in _REFUSED:
            fix = f"Make {folder} writable, or name another folder: export SNAPML_WORKSPACE=/a/folder"
        elif error.errno in _IN_THE_WAY:
            fix = "Something else has that name: move it away, or name another folder."
        else:
            raise
        raise StorageError(
            f"Could not write {path}: {error.strerror}; nothing was changed.", fix=fix
        ) from error


def replace(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader, or a crash, sees the old file or the new, never a part.

    Raises:
        StorageError: the disk is full or refuses to write; the old file is untouched.
    """
    with storage_errors(path):
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def replace_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON to ``path``, whole or not at all; see :func:`replace`."""
    replace(path, json.dumps(value, ensure_ascii=False, sort_keys=True).encode())


def read_json(path: Path) -> Any | None:
    """Return the JSON in ``path``; None if the file is missing, empty or not whole."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes and threads (``flock`` on ``path``, made if missing)."""
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """Take the lock on ``path`` without waiting; return its descriptor (close it to let go), or None if held."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_locked(path: str) -> bool:
    """Say whether somebody holds the lock on ``path``; a file that is not there is held by nobody."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
