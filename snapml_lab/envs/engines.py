"""The environments of heavy engines: kept in the user's data folder, shared between projects, locked, whole or not ready.

An environment is made where it stays, for its scripts name their interpreter by path; ``.ready`` is written last and holds
the hash of ``lock.txt``. Beside it lie its recipe (``.json``), the lock its maker holds (``.making``) and the lock each of
its users holds a share of (``.using``). Standard library only.
"""

import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from snapml_lab.envs import installing
from snapml_lab.envs.recipes import EITHER, RECIPES, Recipe, known
from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError, StorageError
from snapml_lab.store.files import is_locked, read_json, replace, replace_json, storage_errors

READY = ".ready"
LOCK = "lock.txt"
_SHOWN = 5
_MIB = 1 << 20


class State(StrEnum):
    """How an environment is."""

    READY = "ready"
    MAKING = "being made"
    HALF = "half made"
    """Its maker was killed."""
    BROKEN = "broken"
    """It was ready, and is not as its lock says."""
    ABSENT = "not made"


class Reports(Protocol):
    """What a job's payload says how far it is with."""

    def progress(self, value: float, message: str = "") -> None:
        """Say how far the work is, in [0, 1]."""


@dataclass(frozen=True)
class Environment:
    """One environment, made or not.

    Attributes:
        recipe: what it is made by.
        python: the Python it is for, as ``3.11``.
        made: its folder's name, where it was made by what the recipe said then.
    """

    recipe: Recipe
    python: str
    made: str | None = None

    @property
    def id(self) -> str:
        """Its folder's name: the recipe's, and a hash of what is in the recipe, the Python and the kind of machine."""
        if self.made is not None:
            return self.made
        said = f"{self.recipe.fingerprint()} {self.python} {platform.machine()}"
        return f"{self.recipe.name}-{hashlib.sha256(said.encode()).hexdigest()[:12]}"

    @property
    def place(self) -> Path:
        """Its folder."""
        return root() / self.id

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return self.place / "bin" / "python"

    @property
    def ready(self) -> dict[str, Any] | None:
        """What its maker wrote at the end: ``lock``, ``bytes``, ``made``; None where it did not come to that."""
        found = read_json(self.place / READY)
        return found if isinstance(found, dict) and "lock" in found else None

    def beside(self, suffix: str) -> Path:
        """Return a file that is kept beside the folder."""
        return root() / f"{self.id}.{suffix}"


@dataclass(frozen=True)
class Look:
    """How an environment is, and why it is not ready."""

    state: State
    reason: str = ""


def root() -> Path:
    """Return where the environments are: ``$XDG_DATA_HOME/snapml/envs``."""
    data = os.environ.get("XDG_DATA_HOME", "")
    return Path(data if data.startswith("/") else os.path.expanduser("~/.local/share")) / "snapml" / "envs"


def planned(recipe: Recipe) -> Environment:
    """Return the environment that a recipe makes with the Python it would take here."""
    return Environment(recipe, _version(installing.interpreter(recipe)))


def every() -> list[Environment]:
    """Return the environments that are, wholly or not."""
    found = []
    for path in sorted(root().glob("*.json")):
        said = read_json(path) or {}
        with contextlib.suppress(KeyError, TypeError, OSError):
            found.append(Environment(Recipe.of(said["recipe"]), said["python"], path.stem))
    return found


def find(reference: str, *, gpu: bool) -> Environment:
    """Return an environment by its recipe's name or its folder's, made or not.

    Args:
        reference: ``vllm``, a recipe's name, or a folder's.
        gpu: whether this machine has a GPU: ``vllm`` is another recipe then.

    Raises:
        NotFoundError: there is neither such a recipe nor such an environment.
        InvalidInputError: several of one's own have that name.
    """
    with contextlib.suppress(NotFoundError):
        return planned(known(reference, gpu=gpu))
    found = [item for item in every() if reference in (item.id, item.recipe.name)]
    if len(found) > 1:
        raise InvalidInputError.of("name", reference, f"one of {', '.join(item.id for item in found)}")
    if not found:
        names = ", ".join([*EITHER, *RECIPES])
        raise NotFoundError(
            f"There is no environment {reference!r}.",
            fix=f"Recipes: {names}; or make one of your own: snapml env create NAME --requirements FILE",
        )
    return found[0]


def python_for(name: str, *, gpu: bool) -> tuple[Path, Environment | None]:
    """Return the interpreter an engine runs in: this one where it imports, else that of its environment.

    Raises:
        NotFoundError: it is in neither, or its environment is not whole.
    """
    recipe = known(name, gpu=gpu)
    if recipe.module and importlib.util.find_spec(recipe.module) is not None:
        return Path(sys.executable), None
    environment = planned(recipe)
    seen = look(environment)
    if seen.state is not State.READY:
        why = f"{seen.state}{': ' + seen.reason if seen.reason else ''}"
        raise NotFoundError(
            f"{recipe.module or name} is not installed here, and its environment is {why}.",
            fix=f"Make it: snapml env create {name}",
        )
    return environment.interpreter, environment


def look(environment: Environment, *, files: bool = False) -> Look:
    """Say how an environment is.

    Args:
        environment: which.
        files: look for each file of its packages, too, not only for the packages.
    """
    if is_locked(str(environment.beside("making"))):
        return Look(State.MAKING)
    return _look(environment, files=files)


def _look(environment: Environment, *, files: bool) -> Look:
    """Say how an environment is that nobody else makes."""
    place = environment.place
    if not place.is_dir():
        return Look(State.ABSENT)
    ready = environment.ready
    if ready is None:
        return Look(State.HALF, "its making was cut short")
    if not os.access(environment.interpreter, os.X_OK):
        return Look(State.BROKEN, f"its interpreter is gone: {os.path.realpath(environment.interpreter)}")
    try:
        lock = (place / LOCK).read_bytes()
    except OSError:
        return Look(State.BROKEN, f"{LOCK} is gone")
    if hashlib.sha256(lock).hexdigest() != ready["lock"]:
        return Look(State.BROKEN, f"{LOCK} was changed")
    wanted, there = set(lock.decode().splitlines()), set(_packages(place))
    if missing := sorted(wanted - there):
        return Look(State.BROKEN, f"not as its lock says: {_some(missing)}")
    if files and (gone := _files_gone(place)):
        return Look(State.BROKEN, f"files are gone: {_some(gone)}")
    return Look(State.READY)


def packages(environment: Environment) -> list[str]:
    """Return what its lock names, as ``name==version``."""
    try:
        return (environment.place / LOCK).read_text("utf-8").splitlines()
    except OSError:
        return []


def size(environment: Environment) -> int:
    """Return the bytes it takes on the disk."""
    total = 0
    for folder, _, names in os.walk(environment.place):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return total


@contextlib.contextmanager
def using(environment: Environment) -> Iterator[int]:
    """Hold a share of an environment, so that it is not removed; give the descriptor to whoever runs in it.

    Raises:
        NotFoundError: it is not ready (any more).
    """
    with _held(environment.beside("using"), fcntl.LOCK_SH) as descriptor:
        if environment.ready is None:
            raise NotFoundError(
                f"{environment.id} is not ready.", fix=f"Make it: snapml env create {environment.recipe.name}"
            )
        yield descriptor


def users(environment: Environment) -> list[int]:
    """Return the processes of this account that use it."""
    with contextlib.suppress(OSError):
        wanted = os.stat(environment.beside("using"))
        return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _has_open(pid, wanted)]
    return []


def create(environment: Environment, say: installing.Say) -> dict[str, Any]:
    """Make an environment unless it is ready; one that is half made or broken is made anew.

    Args:
        environment: which.
        say: told of progress.

    Returns:
        What was written at its end.

    Raises:
        StorageError: the disk is full; nothing is left.
        ConflictError: a package cannot be had, or what was installed does not import.
        UnsafeFileError: a package is not the one of the lock.
    """
    with storage_errors(environment.place):
        root().mkdir(parents=True, exist_ok=True, mode=0o700)
    waits = functools.partial(say, 0.0, "another process makes it; waiting")
    with _held(environment.beside("making"), fcntl.LOCK_EX, waits) as held:
        ready = environment.ready
        if ready is not None and _look(environment, files=True).state is State.READY:
            say(1.0, f"{environment.id} is there")
            return ready
        return _make(environment, say, held, _pins(environment, ready))


def remove(environment: Environment, *, force: bool = False) -> int:
    """Remove an environment, also a half made one; return the bytes it took.

    Args:
        environment: which.
        force: even while something runs in it.

    Raises:
        NotFoundError: it is not there.
        ConflictError: it is being made, or something runs in it.
    """
    if not environment.place.exists() and not environment.beside("json").exists():
        raise NotFoundError(f"{environment.recipe.name} is not made.", fix="See: snapml env list")
    making = _ours(environment.beside("making"))
    if making is None:
        raise ConflictError(f"{environment.id} is being made.", fix="Cancel that job first: snapml jobs list")
    try:
        using_ = _ours(environment.beside("using"))
        if using_ is None and not force:
            raise ConflictError(
                f"{environment.id} is in use.",
                fix="Stop what runs in it (snapml env show names it), or: --force",
            )
        taken = size(environment)
        _clear(environment)
        for suffix in ("json", "using", "making"):
            environment.beside(suffix).unlink(missing_ok=True)
        if using_ is not None:
            os.close(using_)
    finally:
        os.close(making)
    return taken


def run(spec: dict[str, Any], report: Reports) -> dict[str, Any]:
    """Make the environment of ``spec["recipe"]`` for ``spec["python"]``: a job's payload."""

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)  # so that what is half made is cleared away

    signal.signal(signal.SIGTERM, end)
    environment = Environment(Recipe.of(spec["recipe"]), spec["python"])
    said = [""]

    def say(value: float, message: str) -> None:
        if (shown := f"{value:.2f} {message}") != said[0]:
            said[0] = shown
            report.progress(value, message)

    ready = create(environment, say)
    return {"environment": environment.id, "path": str(environment.place), **ready}


def _pins(environment: Environment, ready: dict[str, Any] | None) -> str | None:
    """Return the lock of the environment that is made anew, where it is what its maker wrote."""
    with contextlib.suppress(OSError):
        lock = (environment.place / LOCK).read_bytes()
        if ready is not None and hashlib.sha256(lock).hexdigest() == ready["lock"]:
            return lock.decode()
    return None


def _make(environment: Environment, say: installing.Say, held: int, pins: str | None) -> dict[str, Any]:
    place, recipe = environment.place, environment.recipe
    _clear(environment)
    free = shutil.disk_usage(root()).free // _MIB
    if free < recipe.disk:
        raise StorageError(
            f"{recipe.name} takes {recipe.disk:,} MiB, and the disk of {root()} has {free:,} MiB free.",
            fix="Free space there, or name another disk: export XDG_DATA_HOME=/a/folder",
        )
    replace_json(environment.beside("json"), {"recipe": recipe.written(), "python": environment.python})
    try:
        with storage_errors(place):
            installing.build(recipe, place, say, keep=held, pins=pins)
            if recipe.module:
                say(0.97, f"trying: import {recipe.module}")
                installing.attempt(place, recipe.module, held)
            lock = "\n".join(_packages(place)).encode()
            replace(place / LOCK, lock)
            ready = {
                "lock": hashlib.sha256(lock).hexdigest(),
                "bytes": size(environment),
                "python": environment.python,
            }
            replace_json(place / READY, ready)
    except BaseException:
        _clear(environment)
        environment.beside("json").unlink(missing_ok=True)
        raise
    say(1.0, f"{environment.id} is ready")
    return ready


def _clear(environment: Environment) -> None:
    """Remove its folder: first the mark, so that a half removed one is never taken for whole."""
    (environment.place / READY).unlink(missing_ok=True)
    shutil.rmtree(environment.place, ignore_errors=True)


@contextlib.contextmanager
def _held(path: Path, how: int, waits: Callable[[], None] | None = None) -> Iterator[int]:
    """Hold a lock on a file that may be removed and made anew by whoever held it before."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if waits is not None:
                waits()
            fcntl.flock(descriptor, how)
        if _is_still(path, descriptor):
            break
        os.close(descriptor)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _ours(path: Path) -> int | None:
    """Take the lock on a file without waiting; None where somebody holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    return False


def _has_open(pid: str, wanted: os.stat_result) -> bool:
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{name}"), wanted):
                    return True
    return False


def _packages(place: Path) -> list[str]:
    """Return what is installed, as ``name==version``, by the names of the metadata's folders."""
    found = []
    for folder in installing.distributions(place):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        if (folder / "METADATA").is_file():
            found.append(f"{name.lower().replace('_', '-').replace('.', '-')}=={version}")
    return sorted(found)


def _files_gone(place: Path) -> list[str]:
    """Return files that the packages' records name and that are not there; what Python compiles by itself is left out."""
    gone = []
    for folder in installing.distributions(place):
        there = folder.parent
        try:
            lines = (folder / "RECORD").read_text("utf-8").splitlines()
        except OSError:
            gone.append(f"{folder.name}/RECORD")
            continue
        for line in lines:
            name = line.rsplit(",", 2)[0].strip('"')
            if name and not name.endswith(".pyc") and not os.path.lexists(os.path.join(there, name)):
                gone.append(name)
                break
    return gone


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


@functools.cache
def _version(interpreter: str) -> str:
    """Return which Python an interpreter is; a bare number is one that uv will bring."""
    if interpreter == sys.executable:
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not os.path.isabs(interpreter):
        return interpreter
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run(
        [interpreter, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()
