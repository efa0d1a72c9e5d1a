"""Ids that sort by the time they were made: ULIDs, 26 characters of Crockford base 32.

Own code (12 lines) because the job shim may import nothing but the standard library.
Format: https://github.com/ulid/spec (48 bits of milliseconds, 80 random bits).
"""

import hashlib
import os
import re
import threading

from snapml_lab import clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PATTERN = re.compile(f"[0-7][{_ALPHABET}]{{25}}")

_lock = threading.Lock()
_last = 0


def new() -> str:
    """Return a new id, greater than every id this process made before."""
    global _last  # noqa: PLW0603 - monotonic within a process, as the ULID spec asks
    value = (clock.now_ms() << 80) | int.from_bytes(os.urandom(10), "big")
    with _lock:
        _last = max(value, _last + 1)
        value = _last
    return _written(value)


def of(milliseconds: int, name: str) -> str:
    """Return the id of a thing that began at a moment and has a name elsewhere: always the same, and it sorts with ours."""
    moment = min(max(milliseconds, 0), (1 << 48) - 1)
    return _written((moment << 80) | int.from_bytes(hashlib.sha256(name.encode()).digest()[:10], "big"))


def is_id(text: str) -> bool:
    """Say whether ``text`` has the form of an id."""
    return _PATTERN.fullmatch(text) is not None


def _written(value: int) -> str:
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -5, -5))


def short(identifier: str) -> str:
    """Return the last six characters: the random part, which tells neighbours apart."""
    return identifier[-6:]
