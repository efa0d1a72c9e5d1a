"""Budgets: what may be spent in a period, by all or by one key, notebook, project or model. Declared in the catalog.

A request holds the most it can cost before it is sent, and what it did cost is settled once: many at once cannot overshoot.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from snapml_lab import money
from snapml_lab.costs.lines import SCOPES, start
from snapml_lab.errors import InvalidInputError
from snapml_lab.store.ledger import bump
from snapml_lab.workspace import Workspace

KIND = "budgets"
Period = Literal["day", "week", "month", "total"]
OF_KEY = "key:"
"""What the budget that is a key's own limit is named by, with the key's id after it."""


class Used(NamedTuple):
    """What a limit has seen, in pico-dollars: spent, and held for requests under way."""

    spent: int
    reserved: int


UNUSED = Used(0, 0)


@dataclass(frozen=True)
class Cover:
    """A budget that covers a request: its name, when its period began, and what may be spent in it (pico-dollars)."""

    budget: str
    start: float
    limit: int


def covering(
    declared: Mapping[str, Mapping[str, Any]], now: float, spender: Mapping[str, str | None], models: tuple[str, ...]
) -> Iterator[Cover]:  # fmt: skip
    """Return the budgets that cover a request.

    Args:
        declared: all budgets, by name.
        now: seconds since the epoch.
        spender: its ``key`` (name), ``notebook`` and ``project``.
        models: what its model is called: the deployment, and what that serves.
    """
    for name, fields in declared.items():
        scope = next((kind for kind in SCOPES if fields.get(kind)), None)
        if scope is not None:
            wanted = fields[scope]
            if (wanted not in models) if scope == "model" else (spender.get(scope) != wanted):
                continue
        yield Cover(name, start(str(fields.get("period", "total")), now), pico(fields))


def pico(fields: Mapping[str, Any]) -> int:
    """Return what a declared budget allows, in pico-dollars."""
    return money.to_pico(Decimal(str(fields["dollars"])))


def used_by_keys(ws: Workspace) -> dict[str, Used]:
    """Return what keys used of their own limits, by their ids; one that was never asked with is left out."""
    rows = ws.ledger.rows(
        "SELECT budget, spent_pico, reserved_pico FROM budget_spent WHERE budget GLOB ?", f"{OF_KEY}*"
    )
    return {row[0].removeprefix(OF_KEY): Used(int(row[1]), int(row[2])) for row in rows}


def declare(ws: Workspace, name: str, dollars: Decimal, period: Period, scope: Mapping[str, str]) -> None:
    """Add or replace a budget.

    Raises:
        InvalidInputError: the name is one of a key's own limit, or it is for more than one thing.
    """
    if name.startswith(OF_KEY) or not name.strip() or len(name) > 100:
        raise InvalidInputError.of("name", name, f"1 to 100 characters, not beginning with {OF_KEY}")
    if len(scope) > 1:
        raise InvalidInputError.of("scope", dict(scope), f"at most one of {', '.join(SCOPES)}")
    fields = {"dollars": str(dollars), "period": period, **scope}
    ws.catalog.change(KIND, name, lambda _: fields)
    _tell(ws)


def remove(ws: Workspace, name: str) -> None:
    """Remove a budget; what was spent under it stays known, should it come back.

    Raises:
        NotFoundError: there is none.
    """
    ws.catalog.remove(KIND, name)
    _tell(ws)


def _tell(ws: Workspace) -> None:
    """Move the ledger's revision, which is what a page watches."""
    with ws.ledger.write() as connection:
        bump(connection)
