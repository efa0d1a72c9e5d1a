"""The audit: a row for every attempt to change something, and one for how it ended."""

import json
from typing import Any

from snapml_lab import clock
from snapml_lab.workspace import Workspace

_LONGEST = 500


def begin(
    ws: Workspace, *, actor: str, role: str, surface: str, command: str, arguments: dict[str, Any]
) -> int:
    """Record an attempt before it runs, and return its number. Long values are cut, for the audit is read by people."""
    return _append(
        ws, actor, role, surface, command, json.dumps(_cut(arguments), default=_name), "begun", None
    )


def end(ws: Workspace, of: int, outcome: str) -> None:
    """Record how attempt ``of`` ended: ``done``, or the code of its error."""
    with ws.ledger.write() as connection:
        connection.execute(
            "INSERT INTO audit (at, actor, role, surface, command, arguments, outcome, of)"
            " SELECT ?, actor, role, surface, command, '', ?, seq FROM audit WHERE seq = ?",
            (clock.now(), outcome, of),
        )


def refused(
    ws: Workspace, *, actor: str, role: str, surface: str, command: str, arguments: dict[str, Any], code: str
) -> None:
    """Record an attempt that was not allowed to begin."""
    _append(ws, actor, role, surface, command, json.dumps(_cut(arguments), default=_name), code, None)


def _append(
    ws: Workspace,
    actor: str,
    role: str,
    surface: str,
    command: str,
    arguments: str,
    outcome: str,
    of: int | None,
) -> int:
    with ws.ledger.write() as connection:
        row = connection.execute(
            "INSERT INTO audit (at, actor, role, surface, command, arguments, outcome, of)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq",
            (clock.now(), actor, role, surface, command, arguments, outcome, of),
        ).fetchone()
        return int(row[0])


def _name(value: object) -> str:
    return f"<{type(value).__name__}>"


def _cut(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if not isinstance(value, str) or len(value) <= _LONGEST else value[:_LONGEST] + "…"
        for name, value in arguments.items()
    }
