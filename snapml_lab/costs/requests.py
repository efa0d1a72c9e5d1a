"""Requests in the ledger: one row each, with what it used, how long it took and what it cost. Standard library only."""

import math
import sqlite3
from dataclasses import dataclass, fields

from snapml_lab.costs import days
from snapml_lab.store.ledger import Ledger, bump


@dataclass(frozen=True)
class Request:
    """One request to a deployment.

    Attributes:
        ended: ``complete``, ``hung_up`` (the caller left), ``failed``.
        usage: ``metered`` (the engine said), ``estimated`` (counted here), ``unknown``.
        first_token_ms: milliseconds to the first piece of the answer; None unless streamed.
        cost_pico: pico-dollars; None is unknown.
        price: where the price comes from, or why there is none.
        input_tokens: tokens read that no cache had; the buckets are disjoint.
        cached_tokens: tokens read from the engine's own cache of prompts.
        output_tokens: tokens written without those of reasoning.
        target: which of the deployment's models answered.
        project: what the key says its work belongs to.
        state: ``open`` until it is settled: a gateway that is killed settles it as estimated when it starts again.
        reserved_pico: what was held for it, the most it could cost; None where no budget covers it.
        cached: 1 where the gateway answered with what it had answered before.
        attempts: how often an engine was asked.
        machine_seconds: its share of the time the engine was at work, where the engine runs here.
        guard: what the guardrails did, a JSON list; None: no policy.
    """

    id: str
    at: float
    deployment: str
    model: str
    route: str
    api_key: str
    notebook: str | None
    cell_id: str | None
    streamed: int
    status: int
    ended: str
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    usage: str
    first_token_ms: float | None
    duration_ms: float
    cost_pico: int | None
    price: str
    target: str = "r1"
    project: str | None = None
    state: str = "settled"
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    reserved_pico: int | None = None
    cached: int = 0
    attempts: int = 1
    machine_seconds: float | None = None
    guard: str | None = None


@dataclass(frozen=True)
class Total:
    """What settled requests of one group add up to; ``unknown`` counts those without a known cost.

    Attributes:
        group: its name.
        hits: answered from the gateway's cache, at no cost.
        input_tokens: of the disjoint buckets, as all tokens are.
        machine_seconds: time of engines that run here.
        first_token_ms: mean over streamed requests.
        tokens_per_second: after the first token, over streamed requests.
        notebook: where they came from, by notebook or cell; None otherwise.
        cell_id: likewise.
    """

    group: str
    requests: int
    failed: int
    hits: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    machine_seconds: float
    pico: int
    unknown: int
    first_token_ms: float | None
    tokens_per_second: float | None
    notebook: str | None
    cell_id: str | None

    @property
    def cached_share(self) -> float | None:
        """The part of the tokens read that a prefix cache had; None where none were read."""
        read = self.input_tokens + self.cached_tokens + self.cache_write_tokens
        return self.cached_tokens / read if read else None


GROUPS = {
    "model": "model", "deployment": "deployment", "notebook": "coalesce(notebook, '(none)')",
    "cell": "CASE WHEN notebook IS NULL OR cell_id IS NULL THEN '(none)' ELSE notebook || ' ' || cell_id END",
    "key": "coalesce((SELECT name FROM api_keys WHERE id = api_key), api_key)",
    "project": "coalesce(project, '(none)')", "day": "date(day * 86400, 'unixepoch')",
}  # fmt: skip
"""What requests can be added up by, and the column it is."""
_COUNTED = (
    "requests", "failed", "hits", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
    "machine_seconds",
)  # fmt: skip


def add(ledger: Ledger, request: Request) -> None:
    """Record a request."""
    names = [field.name for field in fields(Request)]
    marks = ", ".join("?" * (len(names) + 1))
    with ledger.write() as connection:
        values = [getattr(request, name) for name in names]
        connection.execute(
            f"INSERT INTO requests ({', '.join(names)}, revision) VALUES ({marks})",
            (*values, bump(connection)),
        )


def get(ledger: Ledger, identifier: str) -> Request | None:
    """Return a request by its id, once it is settled."""
    row = ledger.row("SELECT * FROM requests WHERE id = ? AND state = 'settled'", identifier)
    return None if row is None else _of(row)


def latest(ledger: Ledger, limit: int) -> list[Request]:
    """Return the newest requests, newest first; also those that are open."""
    return [_of(row) for row in ledger.rows("SELECT * FROM requests ORDER BY id DESC LIMIT ?", limit)]


def totals(ledger: Ledger, group: str, *, since: float = 0.0, until: float = math.inf) -> list[Total]:
    """Add settled requests up by one of :data:`GROUPS`, dearest first."""
    origin = (
        "min(notebook), min(cell_id)"
        if group == "cell"
        else "min(notebook), NULL"
        if group == "notebook"
        else "NULL, NULL"
    )
    query, values = days.source(ledger, since) if until == math.inf else days.each(since, until)
    rows = ledger.rows(
        f"SELECT {GROUPS[group]} AS grouped, {', '.join(f'sum({name})' for name in _COUNTED)}, sum(whole), sum(rest),"
        " sum(unknown), sum(first_ms) / nullif(sum(firsts), 0), sum(spoken_tokens) * 1000.0 / nullif(sum(spoken_ms), 0),"
        f" {origin} FROM ({query}) GROUP BY grouped ORDER BY sum(whole) DESC, sum(requests) DESC, grouped",
        *values,
    )
    return [_total(row) for row in rows]


def _total(row: sqlite3.Row) -> Total:
    counted, (whole, rest, *others) = tuple(row)[:10], tuple(row)[10:]
    values = (str(counted[0]), *counted[1:], whole * days.UNIT + rest, *others)
    return Total(**dict(zip((field.name for field in fields(Total)), values, strict=True)))


def by_day(ledger: Ledger, *, since: float) -> dict[str, int]:
    """Return what requests are known to have cost, in pico-dollars, by day (UTC, ``2026-11-22``)."""
    query, values = days.source(ledger, since)
    rows = ledger.rows(f"SELECT {GROUPS['day']}, sum(whole), sum(rest) FROM ({query}) GROUP BY 1", *values)
    return {day: whole * days.UNIT + rest for day, whole, rest in rows}


def _of(row: sqlite3.Row) -> Request:
    return Request(**{field.name: row[field.name] for field in fields(Request)})
