"""Aliases: which version of a thing stands under a name such as ``champion``. Standard library only.

Only the gate moves them (``governance/promotions.py``).
"""

import re
import sqlite3

from snapml_lab.errors import InvalidInputError
from snapml_lab.store.ledger import Ledger

_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,49}")
_TAKEN = frozenset({"latest", "last"})


def check(alias: str) -> str:
    """Return ``alias`` if it can be one: no number, for ``NAME@3`` is a version.

    Raises:
        InvalidInputError: it cannot.
    """
    if not _ALIAS.fullmatch(alias) or alias in _TAKEN:
        raise InvalidInputError.of(
            "to", alias, "small letters, digits, '-' and '_', at most 50, a letter first, such as champion"
        )
    return alias


def version(ledger: Ledger, kind: str, name: str, alias: str) -> str | None:
    """Return the version that stands under ``alias``; None where nothing does."""
    row = ledger.row(
        "SELECT version FROM aliases WHERE kind = ? AND name = ? AND alias = ?", kind, name, alias
    )
    return None if row is None else str(row["version"])


def of(ledger: Ledger, kind: str, name: str | None = None) -> list[sqlite3.Row]:
    """Return the aliases of one thing, or of all of a kind: rows of ``name``, ``alias``, ``version``, ``promotion``, ``at``."""
    return ledger.rows(
        "SELECT name, alias, version, promotion, at FROM aliases WHERE kind = ? AND (?2 IS NULL OR name = ?2)"
        " ORDER BY name, alias",
        kind, name,
    )  # fmt: skip


def move(
    connection: sqlite3.Connection,
    kind: str,
    name: str,
    alias: str,
    *,
    version: str,
    promotion: str,
    at: float,
) -> None:
    """Have ``alias`` stand for ``version``, by a promotion."""
    connection.execute(
        "INSERT OR REPLACE INTO aliases VALUES (?, ?, ?, ?, ?, ?)",
        (kind, name, alias, version, promotion, at),
    )
