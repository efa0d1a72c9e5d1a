"""Requests in the ledger: one row each, with what it used, how long it took and what it cost. Standard library only."""

import math
import sqlite3
from dataclasses import dataclass, fields

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
    """What requests of one group add up to; ``unknown`` counts those without a known cost."""

    group: str
    requests: int
    failed: int
    input_tokens: int
    output_tokens: int
    pico: int
    unknown: int
    first_token_ms: float | None
    tokens_per_second: float | None


GROUPS = {
    "model": "model", "deployment": "deployment", "notebook": "coalesce(notebook, '(none)')",
    "key": "coalesce((SELECT name FROM api_keys WHERE id = api_key), api_key)", "day": "date(at, 'unixepoch')",
}  # fmt: skip
"""What requests can be added up by, and the column it is."""


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
    """Return a request by its id."""
    row = ledger.row("SELECT * FROM requests WHERE id = ?", identifier)
    return None if row is None else _of(row)


def latest(ledger: Ledger, limit: int) -> list[Request]:
    """Return the newest requests, newest first."""
    return [_of(row) for row in ledger.rows("SELECT * FROM requests ORDER BY id DESC LIMIT ?", limit)]


def totals(ledger: Ledger, group: str, *, since: float = 0.0, until: float = math.inf) -> list[Total]:
    """Add requests up by one of :data:`GROUPS`, dearest first; times are means over streamed requests."""
    column = GROUPS[group]
    rows = ledger.rows(
        f"SELECT {column} AS grouped, count(*) AS requests, sum(ended = 'failed') AS failed,"
        " coalesce(sum(input_tokens), 0) AS input, coalesce(sum(output_tokens), 0) AS output,"
        " coalesce(sum(cost_pico), 0) AS pico, sum(cost_pico IS NULL) AS unknown,"
        " avg(first_token_ms) AS first, sum(CASE WHEN first_token_ms IS NOT NULL AND output_tokens > 1 THEN"
        " output_tokens - 1 END) * 1000.0 / nullif(sum(CASE WHEN first_token_ms IS NOT NULL AND output_tokens > 1 THEN"
        " duration_ms - first_token_ms END), 0) AS speed"
        " FROM requests WHERE at >= ? AND at <= ? GROUP BY grouped ORDER BY pico DESC, requests DESC",
        since,
        until,
    )
    return [
        Total(
            str(row["grouped"]), row["requests"], row["failed"], row["input"], row["output"], row["pico"],
            row["unknown"], row["first"], row["speed"],
        )
        for row in rows
    ]  # fmt: skip


def _of(row: sqlite3.Row) -> Request:
    return Request(**{field.name: row[field.name] for field in fields(Request)})
