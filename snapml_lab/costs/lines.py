"""Declared budgets beside what they have left: the lines that a chart of costs shows.

A budget is a document of the catalog: dollars, a period (UTC: day, week from Monday, month, total), and at most one of
key, notebook, project or model that it is for.
"""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from snapml_lab import clock, money
from snapml_lab.workspace import Workspace

SCOPES = ("key", "notebook", "project", "model")


@dataclass(frozen=True)
class Line:
    """One budget; amounts in pico-dollars of its current period.

    ``kind`` is what it is for, one of :data:`SCOPES`, and ``subject`` which of them: both ``""`` for all that is spent.
    """

    name: str
    period: str
    kind: str
    subject: str
    limit: int
    spent: int
    reserved: int

    @property
    def scope(self) -> str:
        """What it is for, in words; ``""`` for all."""
        return f"{self.kind} {self.subject}".strip()

    def a_day(self, now: float) -> int | None:
        """Return what it comes to a day; None for one without a period."""
        month = datetime.fromtimestamp(now, UTC)
        days = {"day": 1, "week": 7, "month": monthrange(month.year, month.month)[1]}.get(self.period)
        return None if days is None else self.limit // days


def lines(ws: Workspace) -> list[Line]:
    """Return all budgets by name, with what their current period has seen."""
    now = clock.now()
    return [_line(ws, name, fields, now) for name, fields in sorted(ws.catalog.all("budgets").items())]


def _line(ws: Workspace, name: str, fields: Mapping[str, Any], now: float) -> Line:
    period = str(fields.get("period", "total"))
    row = ws.ledger.row(
        "SELECT spent_pico, reserved_pico FROM budget_spent WHERE budget = ? AND start >= ? ORDER BY start DESC LIMIT 1",
        name,
        start(period, now),
    )
    kind, subject = next(((kind, str(fields[kind])) for kind in SCOPES if fields.get(kind)), ("", ""))
    spent, reserved = (0, 0) if row is None else row
    return Line(name, period, kind, subject, money.to_pico(Decimal(str(fields["dollars"]))), spent, reserved)


def end(period: str, now: float) -> float | None:
    """Return when the current period ends and the next begins; None for one without an end."""
    began = datetime.fromtimestamp(start(period, now), UTC)
    days = {"day": 1, "week": 7, "month": monthrange(began.year, began.month)[1]}.get(period)
    return None if days is None else (began + timedelta(days=days)).timestamp()


def start(period: str, now: float) -> float:
    """Return when the current period began."""
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {"day": today, "week": today - timedelta(days=today.weekday()), "month": today.replace(day=1)}
    return starts[period].timestamp() if period in starts else 0.0
