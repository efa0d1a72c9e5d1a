"""Commands about what work costs."""

from decimal import Decimal
from html import escape
from typing import Annotated, Literal

from pydantic import Field

from snapml_lab import clock, money
from snapml_lab.commands.core import command
from snapml_lab.commands.types import Limit
from snapml_lab.costs import prices, requests
from snapml_lab.governance.roles import Effect
from snapml_lab.views.base import View
from snapml_lab.views.charts import Amount, Amounts
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, description="dollars")]
_DAY = 86_400.0


class CostRow(View):
    """What one group adds up to. ``cost_pico`` is pico-dollars as text; ``unknown`` requests have no known cost."""

    group: str
    requests: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost_pico: str
    unknown: int
    first_token_ms: float | None
    tokens_per_second: float | None

    def amount(self) -> str:
        """What is known of the cost, and of how many requests it is not."""
        if self.unknown == self.requests:
            return money.show(None)
        return money.show(int(self.cost_pico)) + (f" + {self.unknown} unknown" if self.unknown else "")

    def cells(self) -> list[str]:
        """The cells of one line of a table."""
        first = "" if self.first_token_ms is None else f"{self.first_token_ms:.0f} ms"
        speed = "" if self.tokens_per_second is None else f"{self.tokens_per_second:.0f}"
        tokens = f"{self.input_tokens:,} + {self.output_tokens:,}"
        return [self.group, str(self.requests), str(self.failed), tokens, first, speed, self.amount()]


class Costs(View):
    """Requests added up, dearest first."""

    by: str
    days: float
    rows: list[CostRow]

    def chart(self) -> Amounts:
        """Cost of each group."""
        return Amounts(
            f"Cost by {self.by}",
            [Amount(row.group, int(row.cost_pico) / money.PICO, row.amount()) for row in self.rows[:12]],
        )

    def text(self) -> str:
        """A table."""
        if not self.rows:
            return f"No requests in the last {self.days:g} days."
        return text_table(self._header(), [row.cells() for row in self.rows], right=_RIGHT)

    def html(self) -> str:
        """A chart and a table."""
        if not self.rows:
            return framed(f"<div class=dim>{escape(self.text())}</div>")
        table = html_table(self._header(), [row.cells() for row in self.rows], right=_RIGHT)
        return framed(self.chart().svg(), table)

    def _header(self) -> list[str]:
        return [self.by, "requests", "failed", "tokens in + out", "first token", "tokens/s", "cost"]


_RIGHT = frozenset({1, 2, 3, 4, 5, 6})


@command("cost", effect=Effect.READ)
def cost(
    ws: Workspace, *, by: Literal["model", "deployment", "notebook", "key", "day"] = "model",
    days: Annotated[float, Field(gt=0, le=36_500)] = 30.0,
) -> Costs:  # fmt: skip
    """Show what requests used and cost, as a chart and a table.

    Args:
        by: what to add up by.
        days: how far back.
    """
    found = requests.totals(ws.ledger, by, since=clock.now() - days * _DAY)
    rows = [
        CostRow(
            group=total.group, requests=total.requests, failed=total.failed, input_tokens=total.input_tokens,
            output_tokens=total.output_tokens, cost_pico=str(total.pico), unknown=total.unknown,
            first_token_ms=total.first_token_ms, tokens_per_second=total.tokens_per_second,
        )
        for total in found
    ]  # fmt: skip
    return Costs(by=by, days=days, rows=rows)


class RequestView(View):
    """One request; see ``costs.requests.Request``. ``cost_pico`` is pico-dollars as text."""

    id: str
    at: str
    deployment: str
    model: str
    route: str
    notebook: str | None
    streamed: bool
    status: int
    ended: str
    input_tokens: int | None
    output_tokens: int | None
    usage: str
    first_token_ms: float | None
    duration_ms: float
    cost_pico: str | None
    price: str

    @classmethod
    def of(cls, row: requests.Request) -> "RequestView":
        """Read a request of the ledger."""
        fields = {name: getattr(row, name) for name in cls.model_fields}
        pico = None if row.cost_pico is None else str(row.cost_pico)
        return cls(**{**fields, "at": clock.iso(row.at), "streamed": bool(row.streamed), "cost_pico": pico})

    def cells(self) -> list[str]:
        """The cells of one line of a list."""
        tokens = f"{'?' if self.input_tokens is None else self.input_tokens} + {'?' if self.output_tokens is None else self.output_tokens}"
        amount = money.show(None if self.cost_pico is None else int(self.cost_pico))
        return [
            self.at[:19],
            self.deployment,
            self.ended,
            tokens,
            self.usage,
            f"{self.duration_ms:.0f} ms",
            amount,
            self.notebook or "",
        ]


class RequestList(View):
    """Requests, newest first."""

    requests: list[RequestView]

    def text(self) -> str:
        """A table."""
        return (
            text_table(_REQUESTS, [row.cells() for row in self.requests])
            if self.requests
            else "No requests yet."
        )

    def html(self) -> str:
        """A table."""
        return (
            framed(html_table(_REQUESTS, [row.cells() for row in self.requests]))
            if self.requests
            else super().html()
        )


_REQUESTS = ["at", "deployment", "ended", "tokens", "usage", "took", "cost", "notebook"]


@command("requests list", effect=Effect.READ)
def list_requests(ws: Workspace, *, limit: Limit = 50) -> RequestList:
    """List requests to the gateway, newest first.

    Args:
        limit: how many at most.
    """
    return RequestList(requests=[RequestView.of(row) for row in requests.latest(ws.ledger, limit)])


class Price(View):
    """A declared price; dollars an hour, or dollars a million tokens."""

    name: str
    fields: dict[str, str]

    def text(self) -> str:
        """One line."""
        return f"{self.name}: " + ", ".join(
            f"{key.replace('_', ' ')} {value}" for key, value in sorted(self.fields.items())
        )


@command("prices compute", effect=Effect.WRITE)
def compute(ws: Workspace, dollars: Dollars) -> Price:
    """Declare what an hour of this machine costs; local models are billed by the time they work.

    Args:
        dollars: dollars an hour.
    """
    prices.set_compute(ws, dollars)
    return Price(name=prices.COMPUTE, fields=ws.catalog.get("prices", prices.COMPUTE))


@command("prices tokens", effect=Effect.WRITE)
def tokens(ws: Workspace, model: str, *, input: Dollars, output: Dollars) -> Price:  # noqa: A002 - OpenAI's own words
    """Declare what a deployment's tokens cost; it goes before every other price.

    Args:
        model: the deployment.
        input: dollars a million tokens read.
        output: dollars a million tokens written.
    """
    prices.set_tokens(ws, model, input, output)
    return Price(name=model, fields=ws.catalog.get("prices", model))
