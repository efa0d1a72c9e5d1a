"""The audit's hash chain: each row's hash covers the row and the hash of the row before. Pure, but for SQLite.

Source: Haber and Stornetta, "How to Time-Stamp a Digital Document", Journal of Cryptology 3 (1991).
"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

START = hashlib.sha256(b"snapml audit").hexdigest()
"""What stands before the first row."""

FIELDS = ("seq", "at", "actor", "role", "surface", "command", "arguments", "outcome", "of")


def link(before: str, row: Mapping[str, Any]) -> str:
    """Return the hash of a row that follows one with the hash ``before``."""
    return seal_of(before, [row[name] for name in FIELDS])


def seal_of(before: str, fields: Sequence[Any]) -> str:
    """Return the hash of a row given as the values of :data:`FIELDS`, in their order."""
    return hashlib.sha256(json.dumps([before, *fields], ensure_ascii=True).encode()).hexdigest()


def seal(connection: sqlite3.Connection) -> None:
    """Give the rows of a ledger that had no chain their hashes."""
    before = START
    rows = connection.execute(f"SELECT {', '.join(FIELDS)} FROM audit ORDER BY seq").fetchall()
    for row in rows:
        before = link(before, dict(zip(FIELDS, row, strict=True)))
        connection.execute("UPDATE audit SET sha256 = ? WHERE seq = ?", (before, row[0]))
