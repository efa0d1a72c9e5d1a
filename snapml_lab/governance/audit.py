"""The audit: a row for every attempt to change something, and one for how it ended, each sealed to the one before.

A command that could not be recorded does not begin. One that has ended has ended: where its last row cannot be written (a
full disk), the row is owed, and written before the next.
"""

import json
import sqlite3
import warnings
from pathlib import Path
from typing import Any

from snapml_lab import clock
from snapml_lab.errors import SnapmlError
from snapml_lab.governance import heads
from snapml_lab.store import chain
from snapml_lab.workspace import Workspace

_LONGEST = 500
_LONGEST_OF_ALL = 4000

_owed: dict[Path, list[dict[str, Any]]] = {}
"""Rows owed that could not be kept outside the workspace, either: this process writes them with its next."""


def begin(
    ws: Workspace, *, actor: str, role: str, surface: str, command: str, arguments: dict[str, Any]
) -> int:
    """Record an attempt before it runs, and return its number. Long values are cut, for the audit is read by people.

    Raises:
        StorageError: it cannot be recorded.
    """
    return _append(ws, actor, role, surface, command, _told(arguments), "begun")


def end(ws: Workspace, of: int, outcome: str) -> None:
    """Record how attempt ``of`` ended: ``done``, or the code of its error.

    Where that cannot be written, nothing is raised: the command has ended as it did. The row is owed, and a warning says so.
    """
    owed = {"of": of, "outcome": outcome, "at": clock.now()}
    try:
        with ws.ledger.write() as connection:
            sealed = _seal(connection, [owed])
    except (SnapmlError, sqlite3.Error, OSError) as error:
        _owe(ws, owed)
        warnings.warn(
            f"The audit could not record how row {of} ended ({outcome}): {error} It will with the next row.",
            RuntimeWarning, stacklevel=2,
        )  # fmt: skip
    else:
        _after(ws, sealed)


def refused(
    ws: Workspace, *, actor: str, role: str, surface: str, command: str, arguments: dict[str, Any], code: str
) -> None:
    """Record an attempt that was not allowed to begin."""
    _append(ws, actor, role, surface, command, _told(arguments), code)


def _append(
    ws: Workspace, actor: str, role: str, surface: str, command: str, arguments: str, outcome: str
) -> int:
    fields = {
        "actor": _clean(actor), "role": role, "surface": surface, "command": command, "arguments": arguments,
        "outcome": outcome, "of": None, "at": clock.now(),
    }  # fmt: skip
    kept = heads.owed(ws)
    own = _owed.pop(ws.root, [])
    try:
        with ws.ledger.write() as connection:
            sealed = _seal(connection, [*kept.values(), *own, fields])
    except BaseException:
        if own:
            _owed[ws.root] = own
        raise
    if kept:
        heads.settle(ws, kept.keys())
    _after(ws, sealed)
    return sealed[1]


def _seal(connection: sqlite3.Connection, rows: list[dict[str, Any]]) -> tuple[str, int, str]:
    """Add rows at the chain's end; one with ``of`` takes what it does not say from that row. Return the new head."""
    last = connection.execute("SELECT seq, sha256 FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, before = (last["seq"], last["sha256"]) if last else (0, chain.START)
    for fields in rows:
        row = fields
        if fields["of"] is not None:
            row = _ending(connection, fields, again=len(rows) > 1)
        if not row:
            continue
        seq += 1
        row = {**row, "seq": seq}
        before = chain.link(before, row)
        connection.execute(_INSERT, [*(row[name] for name in chain.FIELDS), before])
    (workspace,) = connection.execute("SELECT workspace FROM meta").fetchone()
    return str(workspace), seq, before


_INSERT = f"INSERT INTO audit ({', '.join(chain.FIELDS)}, sha256) VALUES ({', '.join('?' * (len(chain.FIELDS) + 1))})"


def _ending(connection: sqlite3.Connection, fields: dict[str, Any], *, again: bool) -> dict[str, Any]:
    """Return the row that ends an attempt; nothing where there is none to end, or one owed that is there by now."""
    begun = connection.execute(
        "SELECT actor, role, surface, command FROM audit WHERE seq = ?", (fields["of"],)
    ).fetchone()
    ended = again and connection.execute("SELECT 1 FROM audit WHERE of = ?", (fields["of"],)).fetchone()
    return {} if begun is None or ended else {**dict(begun), **fields, "arguments": ""}


def _after(ws: Workspace, sealed: tuple[str, int, str]) -> None:
    """Move the head, once what it names is committed; inside a larger transaction it is left behind."""
    if not ws.ledger.connection.in_transaction:
        heads.advance(ws, *sealed)


def _owe(ws: Workspace, row: dict[str, Any]) -> None:
    try:
        heads.owe(ws, row)
    except OSError:
        _owed.setdefault(ws.root, []).append(row)


def _told(arguments: dict[str, Any]) -> str:
    """Write arguments for the record; what is no text or number is named by its type."""
    try:
        text = json.dumps(_cut(arguments), default=_name)
    except (ValueError, RecursionError):
        text = json.dumps({name[:_LONGEST]: _name(value) for name, value in arguments.items()})
    return text if len(text) <= _LONGEST_OF_ALL else json.dumps({"cut": text[:_LONGEST_OF_ALL] + "…"})


def _name(value: object) -> str:
    return f"<{type(value).__name__}>"


def _clean(text: str) -> str:
    """Return text that SQLite can hold: half a surrogate pair cannot be written."""
    return text.encode("utf-8", "replace").decode()


def _cut(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        name[:_LONGEST]: value
        if not isinstance(value, str) or len(value) <= _LONGEST
        else value[:_LONGEST] + "…"
        for name, value in arguments.items()
    }
