"""A notebook's file, as far as provenance asks: which cells it has, where they stand, and their sources' hashes."""

import functools
import json
from pathlib import Path
from typing import NamedTuple

from snapml_lab.tracking.session import digest

_LARGEST = 64 << 20
"""Bytes; a larger file (half a second to read) is taken as one that cannot be read."""


class Notebook(NamedTuple):
    """A notebook's file. ``places`` and ``hashes`` are by cell id; ``every`` has the hashes of cells without one, too.

    ``saved`` is when it was written, in seconds since the epoch.
    """

    places: dict[str, int]
    hashes: dict[str, str]
    every: frozenset[str]
    saved: float

    def id_of(self, sha256: str) -> str | None:
        """Return the only cell that has a source."""
        fits = [cell for cell, source in self.hashes.items() if source == sha256]
        return fits[0] if len(fits) == 1 else None


def read(path: Path) -> Notebook | None:
    """Read a notebook (once for each time it is saved); None where it is no notebook or cannot be read."""
    try:
        seen = path.stat()
    except (OSError, ValueError):
        return None
    if path.suffix != ".ipynb" or seen.st_size > _LARGEST:
        return None
    return _read(path, seen.st_mtime_ns, seen.st_size)


@functools.lru_cache(maxsize=8)
def _read(path: Path, modified: int, size: int) -> Notebook | None:
    del size  # part of the key
    try:
        cells = [cell for cell in json.loads(path.read_bytes())["cells"] if isinstance(cell, dict)]
        sources = [_source(cell.get("source", "")) for cell in cells]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    code = [cell.get("cell_type") == "code" for cell in cells]
    names = [cell.get("id") if isinstance(cell.get("id"), str) else None for cell in cells]
    hashes = {
        name: digest(source)
        for name, source, is_code in zip(names, sources, code, strict=True)
        if name is not None and is_code
    }
    every = frozenset(digest(source) for source, is_code in zip(sources, code, strict=True) if is_code)
    places = {name: index for index, name in enumerate(names) if name is not None}
    return Notebook(places, hashes, every, modified / 1e9)


def _source(value: object) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value)
