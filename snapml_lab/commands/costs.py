"""Commands about what requests and jobs cost."""

import csv
import io
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from snapml_lab import clock, money
from snapml_lab.commands.core import Call, Surface, command
from snapml_lab.commands.types import FilePath, Limit
from snapml_lab.costs import forecast, lines, prices, requests, work
from snapml_lab.costs.requests import Total
from snapml_lab.errors import InvalidInputError, NotAllowedError
from snapml_lab.governance.roles import Effect
from snapml_lab.store.files import replace
from snapml_lab.views import charts
from snapml_lab.views.base import View
from snapml_lab.views.charts import Amount, Amounts
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, max_digits=40, description="dollars")]
Days = Annotated[float, Field(gt=0, le=36_500)]
Source = Annotated[
    str, Field(min_length=1, max_length=200, description="where a price comes from: a link, a contract")
]
On = Annotated[date | None, Field(description="the day it was looked up; default today")]
_DAY = 86_400.0


class CostRow(View):
    """What one group adds up to; see ``costs.requests.Total``. ``cost_pico`` is pico-dollars as text."""

    group: str
    requests: int
    failed: int
    hits: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cached_share: float | None
    machine_seconds: float
    cost_pico: str
    unknown: int
    first_token_ms: float | None
    tokens_per_second: float | None
    notebook: str | None
    cell_id: str | None

    @classmethod
    def of(cls, total: Total) -> "CostRow":
        """Read a group's total."""
        fields = {name: getattr(total, name) for name in cls.model_fields if name != "cost_pico"}
        return cls(**fields, cost_pico=str(total.pico))

    @property
    def read(self) -> int:
        """All tokens read."""
        return self.input_tokens + self.cached_tokens + self.cache_write_tokens

    @property
    def written(self) -> int:
        """All tokens written."""
        return self.output_tokens + self.reasoning_tokens

    def amount(self) -> str:
        """What is known of the cost, and of how many requests it is not."""
        if self.unknown == self.requests:
            return money.show(None)
        return money.show(int(self.cost_pico)) + (f" + {self.unknown} unknown" if self.unknown else "")

    def cells(self) -> list[str]:
        """The cells of one line of a table."""
        first = "" if self.first_token_ms is None else f"{self.first_token_ms:.0f} ms"
        speed = "" if self.tokens_per_second is None else f"{self.tokens_per_second:.0f}"
        cached = (
            "" if not self.cached_tokens or self.cached_share is None else f"{100 * self.cached_share:.0f}%"
        )
        return [
            self.group, str(self.requests), str(self.failed), str(self.hits), f"{self.read:,} + {self.written:,}", cached, first,
            speed, self.amount(),
        ]  # fmt: skip


class DaySpent(View):
    """What one day (UTC) is known to have cost, in pico-dollars as text."""

    day: str
    requests_pico: str
    jobs_pico: str


class ForecastView(View):
    """What the month will have cost at its end, in pico-dollars as text; see ``costs.forecast.Forecast``."""

    until: str
    cost_pico: str
    low_pico: str
    high_pico: str
    daily_pico: str
    days: int
    by_weekday: bool

    def text(self) -> str:
        """One sentence, with its interval and what it stands on."""
        told = ", working days and weekends told apart" if self.by_weekday else ""
        return (
            f"By {self.until}, the end of the month: about {_show(self.cost_pico)}"
            f" (9 times in 10 between {_show(self.low_pico)} and {_show(self.high_pico)}), if the days to come are like the last"
            f" {self.days}{told}."
        )


class BudgetLine(View):
    """A budget and what its current period has seen, in pico-dollars as text; ``ends_at``: when the next period begins.

    ``scope`` is what it is for in words, ``kind`` (key, notebook, project, model) and ``subject`` the same in parts; empty: all.
    """

    name: str
    period: str
    scope: str
    kind: str
    subject: str
    ends_at: str | None
    limit_pico: str
    spent_pico: str
    reserved_pico: str
    daily_pico: str | None

    @classmethod
    def of(cls, line: lines.Line, now: float | None = None) -> "BudgetLine":
        """Read a budget."""
        now = clock.now() if now is None else now
        daily, ends = line.a_day(now), lines.end(line.period, now)
        return cls(
            name=line.name, period=line.period, scope=line.scope, kind=line.kind, subject=line.subject,
            ends_at=None if ends is None else clock.iso(ends), limit_pico=str(line.limit), spent_pico=str(line.spent),
            reserved_pico=str(line.reserved), daily_pico=None if daily is None else str(daily),
        )  # fmt: skip

    def cells(self) -> list[str]:
        """The cells of one line of a table."""
        left = max(int(self.limit_pico) - int(self.spent_pico) - int(self.reserved_pico), 0)
        amounts = [
            _show(self.limit_pico),
            _show(self.spent_pico),
            _show(self.reserved_pico),
            money.show(left),
        ]
        return [self.name, self.period, self.scope or "all", *amounts]


class Costs(View):
    """Requests added up, dearest first; by day the latest first, with jobs, budgets, and a forecast (None: too few days)."""

    by: str
    days: float
    rows: list[CostRow]
    spent: list[DaySpent] = Field(default_factory=list)
    forecast: ForecastView | None = None
    budgets: list[BudgetLine] = Field(default_factory=list)
    path: str | None = None

    def chart(self) -> Amounts | charts.Days:
        """Cost of each group, or of each day."""
        if self.by == "day":
            return self._by_day()
        return Amounts(
            f"Cost by {self.by}",
            [Amount(row.group, int(row.cost_pico) / money.PICO, row.amount()) for row in self.rows[:12]],
        )

    def figure(self) -> dict[str, Any] | None:
        """The same chart for the pointer, as Plotly's JSON; None where there is nothing to draw."""
        return self.chart().plotly() if self.rows or self.spent else None

    def _by_day(self) -> charts.Days:
        days = [
            charts.Day(
                spent.day[5:], [int(spent.requests_pico) / money.PICO, int(spent.jobs_pico) / money.PICO]
            )
            for spent in self.spent
        ]
        ahead: list[str] = []
        if self.forecast is not None and self.spent:
            last, until = date.fromisoformat(self.spent[-1].day), date.fromisoformat(self.forecast.until)
            ahead = [(last + timedelta(days=n + 1)).isoformat()[5:] for n in range((until - last).days)]
        limits = [
            charts.Limit(
                f"{line.name}: {_show(line.limit_pico)} a {line.period}", int(line.daily_pico) / money.PICO
            )
            for line in self.budgets
            if line.daily_pico is not None and not line.scope
        ]
        expected = None if self.forecast is None else int(self.forecast.daily_pico) / money.PICO
        return charts.Days("Cost by day", "dollars", ["requests", "jobs"], days, ahead, expected, limits)

    def text(self) -> str:
        """A table; by day with the forecast and the budgets."""
        parts = []
        if self.rows:
            parts.append(text_table(self._header(), [row.cells() for row in self.rows], right=_RIGHT))
        else:
            parts.append(f"No requests in the last {self.days:g} days.")
        parts += self._said()
        if self.budgets:
            parts.append(text_table(_BUDGETS, [line.cells() for line in self.budgets], right=_AMOUNTS))
        return "\n\n".join(parts)

    def html(self) -> str:
        """A chart and tables."""
        parts = []
        if self.rows or self.spent:
            parts.append(self.chart().svg())
        if self.rows:
            parts.append(html_table(self._header(), [row.cells() for row in self.rows], right=_RIGHT))
        else:
            parts.append(f"<div class=dim>No requests in the last {self.days:g} days.</div>")
        parts += [f"<div>{escape(said)}</div>" for said in self._said()]
        if self.budgets:
            parts.append(html_table(_BUDGETS, [line.cells() for line in self.budgets], right=_AMOUNTS))
        return framed(*parts)

    def csv(self) -> str:
        """All groups as CSV: exact dollars, and no cell that a spreadsheet would run."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([self.by, *_COLUMNS, "dollars", "unknown"])
        for row in self.rows:
            told = [getattr(row, name) for name in _COLUMNS]
            dollars = f"{Decimal(row.cost_pico) / money.PICO:f}"
            writer.writerow([_harmless(row.group), *told, dollars, row.unknown])
        return out.getvalue()

    def _said(self) -> list[str]:
        said = [] if self.forecast is None else [self.forecast.text()]
        return said + ([] if self.path is None else [f"Written to {self.path}."])

    def _header(self) -> list[str]:
        return [
            self.by,
            "requests",
            "failed",
            "hits",
            "tokens in + out",
            "cached",
            "first token",
            "tokens/s",
            "cost",
        ]


_RIGHT = frozenset(range(1, 9))
_BUDGETS = ["budget", "period", "for", "limit", "spent", "held", "left"]
_AMOUNTS = frozenset(range(3, 7))
_COLUMNS = (
    "requests", "failed", "hits", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
    "machine_seconds",
)  # fmt: skip


def _harmless(cell: str) -> str:
    """Keep a spreadsheet from reading a name as a formula.

    Source: OWASP, "CSV Injection".
    """
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _show(pico: str) -> str:
    return money.show(int(pico))


@command("cost", effect=Effect.READ)
def cost(
    ws: Workspace, *, by: Literal["model", "deployment", "key", "notebook", "cell", "project", "day"] = "model",
    days: Days = 30.0, csv: FilePath | None = None, call: Call,
) -> Costs:  # fmt: skip
    """Show what requests used and cost, as a chart and a table; by day with jobs, budgets and a forecast of the month.

    Args:
        by: what to add up by.
        days: how far back.
        csv: file to write the table to, with exact amounts.
    """
    if csv is not None and call.surface is Surface.REST:
        raise NotAllowedError(
            "Over REST no file is written.", fix="Write what came to a file where it came to."
        )
    if csv is not None and (not Path(csv).parent.is_dir() or Path(csv).is_dir()):
        raise InvalidInputError.of("csv", csv, "a file in a folder that exists")
    since = clock.now() - days * _DAY
    rows = [CostRow.of(total) for total in requests.totals(ws.ledger, by, since=since)]
    if by == "day":
        rows.sort(key=lambda row: row.group, reverse=True)
    view = Costs(by=by, days=days, rows=rows, path=csv, **(_daily(ws, days) if by == "day" else {}))
    if csv is not None:
        replace(Path(csv), view.csv().encode())
    return view


def _daily(ws: Workspace, days: float) -> dict[str, Any]:
    """Return what costs by day have besides: each day with its jobs, the forecast, the budgets."""
    now = clock.now()
    today = datetime.fromtimestamp(now, UTC).date()
    shown = math.ceil(days)
    first = today - timedelta(days=max(shown - 1, forecast.MOST_DAYS, today.day - 1))
    since = datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp()
    asked, worked = (
        requests.by_day(ws.ledger, since=since),
        work.by_day(ws.ledger, prices.machine(ws), since=since),
    )
    both = {day: asked.get(day, 0) + worked.get(day, 0) for day in asked.keys() | worked.keys()}
    found = forecast.forecast(both, now)
    names = [(today - timedelta(days=number)).isoformat() for number in range(shown)][::-1]
    start = next((index for index, day in enumerate(names) if both.get(day)), len(names))
    return {
        "spent": [
            DaySpent(day=day, requests_pico=str(asked.get(day, 0)), jobs_pico=str(worked.get(day, 0)))
            for day in names[start:]
        ],
        "forecast": None if found is None else ForecastView(
            until=found.until.isoformat(), cost_pico=str(found.pico), low_pico=str(found.low), high_pico=str(found.high),
            daily_pico=str(found.daily), days=found.days, by_weekday=found.by_weekday,
        ),
        "budgets": [
            BudgetLine.of(line, now) for line in lines.lines(ws)
        ],
    }  # fmt: skip


class JobCost(View):
    """What jobs of one group held and cost; ``cost_pico`` is pico-dollars as text, None where there is no price."""

    group: str
    jobs: int
    cpu_hours: float
    gpu_hours: float
    cost_pico: str | None


class JobCosts(View):
    """Jobs added up, dearest first; ``lacks`` says why there is no price."""

    by: str
    days: float
    rows: list[JobCost]
    lacks: str

    def text(self) -> str:
        """A table."""
        if not self.rows:
            return f"No jobs in the last {self.days:g} days."
        table = text_table(self._header(), self._cells(), right=_HOURS)
        return f"{table}\n\n{self.lacks}" if self.lacks else table

    def html(self) -> str:
        """A table."""
        if not self.rows:
            return super().html()
        lacks = f"<div class=dim>{escape(self.lacks)}</div>" if self.lacks else ""
        return framed(html_table(self._header(), self._cells(), right=_HOURS), lacks)

    def _header(self) -> list[str]:
        return [self.by, "jobs", "CPU hours", "GPU hours", "cost"]

    def _cells(self) -> list[list[str]]:
        return [
            [row.group, str(row.jobs), f"{row.cpu_hours:.2f}", f"{row.gpu_hours:.2f}",
             money.show(None if row.cost_pico is None else int(row.cost_pico))]
            for row in self.rows
        ]  # fmt: skip


_HOURS = frozenset({1, 2, 3, 4})
_NO_PRICE = "No price of this machine is declared: prices compute DOLLARS says what an hour of it costs."


@command("jobs cost", effect=Effect.READ)
def jobs_cost(
    ws: Workspace, *, by: Literal["kind", "name", "run", "notebook"] = "kind", days: Days = 30.0
) -> JobCosts:
    """Show what jobs cost: the hours of processors and GPUs they held, at the machine's price.

    Services are not in it: what an engine costs while it answers is in its requests.

    Args:
        by: what to add up by.
        days: how far back.
    """
    machine = prices.machine(ws)
    found = work.totals(ws.ledger, machine, by, since=clock.now() - days * _DAY)
    rows = [
        JobCost(
            group=spent.group, jobs=spent.jobs, cpu_hours=spent.cpu_hours, gpu_hours=spent.gpu_hours,
            cost_pico=None if spent.pico is None else str(spent.pico),
        )
        for spent in found
    ]  # fmt: skip
    unpriced = any(row.cost_pico is None for row in rows)
    return JobCosts(by=by, days=days, rows=rows, lacks=(machine.lacks and _NO_PRICE) if unpriced else "")


class RequestView(View):
    """One request; see ``costs.requests.Request``. ``cost_pico`` is pico-dollars as text, ``hit`` the gateway's own cache."""

    id: str
    at: str
    deployment: str
    target: str
    model: str
    route: str
    project: str | None
    notebook: str | None
    cell_id: str | None
    streamed: bool
    status: int
    ended: str
    state: str
    hit: bool
    attempts: int
    input_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    usage: str
    first_token_ms: float | None
    duration_ms: float
    machine_seconds: float | None
    cost_pico: str | None
    price: str

    @classmethod
    def of(cls, row: requests.Request) -> "RequestView":
        """Read a request of the ledger."""
        fields = {name: getattr(row, name) for name in cls.model_fields if name != "hit"}
        pico = None if row.cost_pico is None else str(row.cost_pico)
        told = {
            "at": clock.iso(row.at),
            "streamed": bool(row.streamed),
            "cost_pico": pico,
            "hit": bool(row.cached),
        }
        return cls(**{**fields, **told})

    def cells(self) -> list[str]:
        """The cells of one line of a list."""
        given, said = self.input_tokens, self.output_tokens
        read = (
            "?" if given is None else str(given + (self.cached_tokens or 0) + (self.cache_write_tokens or 0))
        )
        written = "?" if said is None else str(said + (self.reasoning_tokens or 0))
        return [
            self.at[:19],
            self.deployment,
            self.ended if self.state == "settled" else self.state,
            f"{read} + {written}",
            "hit" if self.hit else self.usage,
            f"{self.duration_ms:.0f} ms",
            money.show(None if self.cost_pico is None else int(self.cost_pico)),
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
    """A declared price; dollars an hour, or dollars a million tokens of a bucket, with where and when it was found."""

    name: str
    fields: dict[str, str]

    def text(self) -> str:
        """One line."""
        return f"{self.name}: " + ", ".join(
            f"{key.replace('_', ' ')} {value}" for key, value in sorted(self.fields.items())
        )


class PriceList(View):
    """Declared prices by name."""

    prices: list[Price]

    def text(self) -> str:
        """A table."""
        return text_table(_PRICES, self._cells()) if self.prices else _NONE

    def html(self) -> str:
        """A table."""
        return framed(html_table(_PRICES, self._cells())) if self.prices else super().html()

    def _cells(self) -> list[list[str]]:
        return [
            [price.name, _words(price.fields), price.fields.get("source", ""), price.fields.get("date", "")]
            for price in self.prices
        ]


_PRICES = ["name", "dollars", "source", "date"]
_NONE = "No prices are declared: prices compute DOLLARS says what an hour of this machine costs, prices set MODEL what tokens cost."


def _words(fields: dict[str, str]) -> str:
    """Write the amounts of a declared price."""
    told = []
    for key, value in sorted(fields.items()):
        if key.startswith("dollars_per_million_"):
            told.append(f"{value} a million {key.removeprefix('dollars_per_million_')}")
        elif key.startswith("dollars_per_"):
            told.append(f"{value} a {key.removeprefix('dollars_per_').replace('_', ' ')}")
        elif key == "watts":
            told.append(f"at {value} W")
    return ", ".join(told)


def _price(ws: Workspace, name: str) -> Price:
    return Price(name=name, fields=ws.catalog.get("prices", name))


@command("prices list", effect=Effect.READ)
def list_prices(ws: Workspace) -> PriceList:
    """List declared prices, each with its source and date; what is not declared is looked up in genai-prices' list."""
    return PriceList(
        prices=[Price(name=name, fields=fields) for name, fields in sorted(ws.catalog.all("prices").items())]
    )


class PriceShown(View):
    """What a model's tokens cost, in dollars a million; None where there is no price; ``above``: from so many tokens read on."""

    model: str
    source: str
    buckets: dict[str, str | None]
    above: dict[str, dict[str, str]]

    def text(self) -> str:
        """A line a bucket."""
        told = [f"{self.model}: {self.source}"]
        for bucket, price in self.buckets.items():
            more = "".join(
                f", {dollars} above {start} tokens read"
                for start, dollars in self.above.get(bucket, {}).items()
            )
            told.append(f"  {bucket.replace('_', ' '):<12}{'unknown' if price is None else price}{more}")
        return "\n".join(told)


@command("prices show", effect=Effect.READ)
def show_price(ws: Workspace, model: str) -> PriceShown:
    """Show what a provider's model costs here, in dollars a million tokens: as declared, or as genai-prices lists it.

    Args:
        model: a deployment or a provider's model, as NAME or PROVIDER/NAME.
    """
    found = prices.rate(ws, model, model, False, 0)
    buckets = {name: getattr(found.tokens, name) if found.tokens else None for name in prices.BUCKETS}
    return PriceShown(
        model=model, source=found.source,
        buckets={name: None if steps is None else prices.per_million(steps.base) for name, steps in buckets.items()},
        above={
            name: {str(start): prices.per_million(price) for start, price in steps.above}
            for name, steps in buckets.items()
            if steps is not None and steps.above
        },
    )  # fmt: skip


@command("prices set", effect=Effect.WRITE)
def set_price(
    ws: Workspace, model: str, *, input: Dollars, output: Dollars | None = None, cached: Dollars | None = None,  # noqa: A002 - OpenAI's own words
    cache_write: Dollars | None = None, reasoning: Dollars | None = None, source: Source = "declared", date: On = None,
) -> Price:  # fmt: skip
    """Declare what a deployment's or a provider's model's tokens cost; it goes before every other price.

    What is left out has the price of what it is part of: reads from and writes to a cache that of input, reasoning that of
    output.

    Args:
        model: the deployment, or the name of a model at its provider.
        input: dollars a million tokens read.
        output: dollars a million tokens written; none for a model that writes none.
        cached: dollars a million tokens read from the engine's cache.
        cache_write: dollars a million tokens read and written to that cache.
        reasoning: dollars a million tokens of reasoning.
        source: where the price comes from.
        date: the day it was looked up.
    """
    told = {
        "input": input,
        "output": output,
        "cached": cached,
        "cache_write": cache_write,
        "reasoning": reasoning,
    }
    prices.set_tokens(ws, model, told, source=source, on=date)
    return _price(ws, model)


@command("prices compute", effect=Effect.WRITE)
def compute(
    ws: Workspace, dollars: Dollars | None = None, *, gpu_hour: Dollars | None = None, kwh: Dollars | None = None,
    watts: Annotated[Decimal | None, Field(gt=0, le=1_000_000, description="watts")] = None, source: Source = "declared",
    date: On = None,
) -> Price:  # fmt: skip
    """Declare what this machine costs: local models and jobs are billed by the time they work.

    A CPU hour is an hour of the machine over its processors. Where GPUs have a price, an engine or a job with GPUs costs
    their hours. What is left out keeps what was declared before.

    Args:
        dollars: dollars an hour of the machine.
        gpu_hour: dollars an hour of one GPU.
        kwh: dollars a kilowatt hour; the power of GPUs is read, that of the machine is what watts says.
        watts: what the machine draws at work.
        source: where the price comes from.
        date: the day it was looked up.
    """
    prices.set_compute(ws, dollars, gpu_hour=gpu_hour, kwh=kwh, watts=watts, source=source, on=date)
    return _price(ws, prices.COMPUTE)


@command("prices remove", effect=Effect.WRITE)
def remove_price(ws: Workspace, name: str) -> Price:
    """Take a declared price back: from then on the next one counts.

    Args:
        name: what `prices list` calls it; compute is this machine.
    """
    return Price(name=name, fields=prices.remove(ws, name))
