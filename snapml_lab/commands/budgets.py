"""Commands about budgets: what may be spent in a period, and around a cell."""

import contextlib
import os
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field

from snapml_lab import money
from snapml_lab.commands.core import command
from snapml_lab.commands.costs import BudgetLine, Dollars
from snapml_lab.commands.serving import DeploymentName
from snapml_lab.commands.types import Completes
from snapml_lab.costs import budgets, lines
from snapml_lab.engines import services
from snapml_lab.errors import ConflictError
from snapml_lab.governance import keys
from snapml_lab.governance.roles import Effect
from snapml_lab.registry import deployments
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace, open_workspace

_CELL_SECONDS = 86_400.0
BudgetName = Annotated[
    str, Completes("budgets"), Field(min_length=1, max_length=100, description="a budget's name")
]


class BudgetList(View):
    """All budgets with what their current period has seen."""

    budgets: list[BudgetLine]

    def text(self) -> str:
        """A table."""
        if not self.budgets:
            return "No budgets. Make one: snapml budgets set NAME DOLLARS --period month"
        return text_table(_HEADER, [line.cells() for line in self.budgets], right=_AMOUNTS)

    def html(self) -> str:
        """A table."""
        if not self.budgets:
            return super().html()
        return framed(html_table(_HEADER, [line.cells() for line in self.budgets], right=_AMOUNTS))


_HEADER = ["budget", "period", "for", "limit", "spent", "held", "left"]
_AMOUNTS = frozenset({3, 4, 5, 6})


@command("budgets set", effect=Effect.ADMIN)
def set_budget(
    ws: Workspace, name: BudgetName, dollars: Dollars, *, period: budgets.Period = "month", key: str | None = None,
    notebook: str | None = None, project: str | None = None, model: str | None = None,
) -> BudgetList:  # fmt: skip
    """Set what may be spent in a period (UTC): a request that could go over it is not sent.

    What a request can cost at most is held before it is sent, so that many at once cannot go over it either.

    Args:
        name: the budget.
        dollars: what may be spent in each period.
        period: day, week (from Monday), month or total.
        key: only what is spent by the key of this name.
        notebook: only by this notebook.
        project: only by keys of this project.
        model: only on this deployment or model.
    """
    scope = {"key": key, "notebook": notebook, "project": project, "model": model}
    budgets.declare(
        ws, name, dollars, period, {kind: value for kind, value in scope.items() if value is not None}
    )
    return list_budgets(ws)


@command("budgets list", effect=Effect.READ)
def list_budgets(ws: Workspace, *, deployment: DeploymentName | None = None) -> BudgetList:
    """List budgets with what is spent, held for requests under way, and left.

    Args:
        deployment: only those that every request to it counts in: for all that is spent, for it, for a model it serves.
    """
    found = lines.lines(ws)
    if deployment is not None:
        served = deployments.get(ws, deployment)
        names = {served.name, *(target.model for target in served.targets)}
        found = [line for line in found if not line.kind or (line.kind == "model" and line.subject in names)]
    return BudgetList(budgets=[BudgetLine.of(line) for line in found])


@command("budgets remove", effect=Effect.ADMIN)
def remove(ws: Workspace, name: BudgetName) -> BudgetList:
    """Remove a budget; what was spent under it stays known.

    Args:
        name: the budget.
    """
    budgets.remove(ws, name)
    return list_budgets(ws)


class CellBudget:
    """A budget around work of this kernel: what it asks of the gateway spends no more, whoever of it asks.

    Our own asking, evaluations and jobs that are started within take its key; clients of OpenAI that are made within find
    it, and the gateway's address, in ``OPENAI_API_KEY`` and ``OPENAI_BASE_URL``. Jobs go on under it for a day.

    Args:
        dollars: what may be spent.
    """

    def __init__(self, dollars: Decimal | float | str) -> None:
        self.ws = open_workspace()
        self.limit = money.to_pico(Decimal(str(dollars)))
        if self.limit < 0:
            raise ConflictError(f"A budget of {dollars} dollars is none.", fix="Give 0 or more.")
        self._before: dict[str, str | None] = {}
        self.key: keys.Key | None = None

    def __enter__(self) -> Self:
        name = f"cell of {money.show(self.limit)}"
        self.key, text = keys.allowance(self.ws, limit_pico=self.limit, seconds=_CELL_SECONDS, name=name)
        variables = {keys.ALLOWANCE: self.key.id, "OPENAI_API_KEY": text}
        with contextlib.suppress(ConflictError):  # nothing is deployed yet
            variables["OPENAI_BASE_URL"] = f"{services.base_url(self.ws)}/v1"
        self._before = {variable: os.environ.get(variable) for variable in variables}
        os.environ.update(variables)
        return self

    def __exit__(self, *_: object) -> None:
        for variable, value in self._before.items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value

    def spent(self) -> int:
        """Return what is spent so far, in pico-dollars; what is under way is held, and not in it."""
        return _spent(self.ws, self.key)[0]

    def sentence(self) -> str:
        """Say what was spent of it."""
        spent, held = _spent(self.ws, self.key)
        under_way = f", {money.show(held)} held for requests under way" if held else ""
        return f"spent {money.show(spent)} of the budget of {money.show(self.limit)}{under_way}"


def _spent(ws: Workspace, key: keys.Key | None) -> tuple[int, int]:
    if key is None:
        return 0, 0
    row = ws.ledger.row(
        "SELECT spent_pico, reserved_pico FROM budget_spent WHERE budget = ?", budgets.OF_KEY + key.id
    )
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


@contextlib.contextmanager
def budget(dollars: Decimal | float | str) -> Iterator[CellBudget]:
    """Stop what a block spends at an amount: ``with snap.budget(0.50): …``."""
    with CellBudget(dollars) as made:
        yield made
