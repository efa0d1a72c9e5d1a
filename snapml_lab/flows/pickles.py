"""Variables as files: each is pickled by value into one of its own; those that share an object go into one together.

A model and the optimizer that trains it stay one thing so. Functions and classes of a notebook go by value, too.
"""

import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import cloudpickle

from snapml_lab.errors import InvalidInputError
from snapml_lab.store.files import storage_errors

PROTOCOL = 5
_ALIKE = (
    str, bytes, int, float, complex, bool, tuple, frozenset, type, FunctionType, BuiltinFunctionType, ModuleType, CodeType,
    type(None),
)  # fmt: skip
"""What may be shared without anybody noticing."""
_ALIKE_BY_NAME = frozenset({"numpy.dtype", "torch.dtype", "torch.device", "torch.Size", "logging.Logger"})


class Pickled(NamedTuple):
    """One file: a dict of these variables."""

    names: list[str]
    path: Path
    size: int


class Packed(NamedTuple):
    """Variables as files; ``refused`` says of each that could not be pickled why, ``needs`` what its functions use."""

    files: list[Pickled]
    refused: dict[str, str]
    needs: dict[str, set[str]]


@contextlib.contextmanager
def room(parent: Path) -> Iterator[Path]:
    """Give a folder to pickle into; it is removed at the end."""
    with storage_errors(parent / "pickles"):
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = tempfile.TemporaryDirectory(dir=parent, prefix=".pickles.")
    with folder as path:
        yield Path(path)


def pack(
    values: Mapping[str, Any], folder: Path, *, home: Mapping[str, Any] | None = None, most: int | None = None
) -> Packed:
    """Write variables to files in ``folder``.

    Args:
        values: the variables.
        folder: where the files go; named after their first variable.
        home: the notebook's namespace: its functions are taken without the variables they use, which are told in
            ``needs``, and find them where they are brought back. None: each function takes along what it uses.
        most: bytes all files may have.

    Raises:
        InvalidInputError: they have more.
        StorageError: the disk is full.
    """
    refused: dict[str, str] = {}
    needs: dict[str, set[str]] = {}
    single: dict[str, tuple[Pickled, _Pickler]] = {}
    total = 0
    for name, value in values.items():
        left = None if most is None else most - total
        try:
            pickled, pickler = _write({name: value}, folder / f"{name}.pkl", home, left)
        except _TooLargeError:
            raise InvalidInputError(
                f"inputs: with {name!r} (a {kind(value)}) there are more than {human(most or 0)} to send along.",
                fix="Write it to a file and read that in the cell, or leave it out: --inputs NAME,…",
            ) from None
        except _NotPickledError as error:
            refused[name] = str(error)
            continue
        total += pickled.size
        single[name] = pickled, pickler
        needs[name] = pickler.needs
    files = []
    for group in _sharing({name: pickler.held() for name, (_, pickler) in single.items()}):
        if len(group) == 1:
            files.append(single[group[0]][0])
            continue
        for name in group:
            single[name][0].path.unlink()
        together = {name: values[name] for name in group}
        files.append(_write(together, folder / f"{group[0]}.pkl", home, None)[0])
    return Packed(files, refused, needs)


def kind(value: object) -> str:
    """Name a value's type, as ``pandas.core.frame.DataFrame``; of what is Python's own or the notebook's the name alone."""
    cls = type(value)
    plain = cls.__module__ in ("builtins", "__main__")
    return cls.__qualname__ if plain else f"{cls.__module__}.{cls.__qualname__}"


def human(size: int) -> str:
    """Write a number of bytes for people."""
    for unit, of in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= of:
            return f"{size / of:.3g} {unit}" if size < 1000 * of else f"{size / of:,.0f} {unit}"
    return f"{size} B"


class _NotPickledError(Exception):
    """A value could not be pickled."""


class _TooLargeError(Exception):
    """A file grew over its limit."""


class _Home:
    """Stands for the namespace of the notebook: brought back, it is that of the program then running."""

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return _running, ()


def _running() -> dict[str, Any]:
    return sys.modules["__main__"].__dict__


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def __init__(self, file: io.BufferedIOBase, home: Mapping[str, Any] | None) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self.home = home
        self.needs: set[str] = set()
        if home is not None:
            self.globals_ref[id(home)] = _Home()

    def reducer_override(self, obj: Any) -> Any:
        """Take a function of the notebook without the variables it uses, and note their names."""
        reduced = super().reducer_override(obj)
        own = isinstance(obj, FunctionType) and obj.__globals__ is self.home
        if own and isinstance(reduced, tuple):
            slots = reduced[2][1]
            self.needs |= set(slots["__globals__"])
            slots["__globals__"] = {}
        return reduced

    def held(self) -> set[int]:
        """Return the ids of the objects it wrote that another variable may share; they live as long as this does."""
        return {
            identity for identity, (_, item) in self.memo.copy().items()
            if not isinstance(item, _ALIKE) and not isinstance(item, _Home) and _ALIKE_BY_NAME.isdisjoint(_names(type(item)))
        }  # fmt: skip


def _names(cls: type) -> list[str]:
    return [f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__]


class _Counted(io.RawIOBase):
    """A file that ends the writing where it grows over a limit."""

    def __init__(self, path: Path, most: int | None) -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self._left = most
        self.size = 0

    def write(self, data: Any, /) -> int:
        length = memoryview(data).nbytes
        self.size += length
        if self._left is not None and self.size > self._left:
            raise _TooLargeError
        self._file.write(data)
        return length

    def close(self) -> None:
        self._file.close()
        super().close()


def _write(
    values: dict[str, Any], path: Path, home: Mapping[str, Any] | None, most: int | None
) -> tuple[Pickled, _Pickler]:
    with storage_errors(path), contextlib.closing(_Counted(path, most)) as file:
        pickler = _Pickler(file, home)  # type: ignore[arg-type]
        try:
            pickler.dump(values)
        except (OSError, _TooLargeError, MemoryError):
            raise
        except Exception as error:  # whatever a value's own code raises
            path.unlink(missing_ok=True)
            raise _NotPickledError(f"{type(error).__name__}: {error}"[:300]) from error
    return Pickled(list(values), path, file.size), pickler


def _sharing(held: dict[str, set[int]]) -> list[list[str]]:
    """Put names together whose sets meet, directly or through others."""
    groups: list[tuple[list[str], set[int]]] = []
    for name, mine in held.items():
        names, objects, apart = [name], set(mine), []
        for other in groups:
            if objects.isdisjoint(other[1]):
                apart.append(other)
            else:
                names, objects = [*other[0], *names], objects | other[1]
        groups = [*apart, (names, objects)]
    return [names for names, _ in groups]
