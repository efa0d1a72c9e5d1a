"""How one deployment does of late: figures from the ledger's requests of a window of time. Standard library only.

What is read is bounded: by the window, and within it by the newest :data:`MOST` requests; a busier window gets shorter,
and :class:`Window` says from when on it counts.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from snapml_lab.store.ledger import Ledger

MOST = 10_000
"""Requests looked at."""

Kind = Literal[
    "hung_up", "broke_off", "limited", "budget", "guarded", "refused", "unavailable", "timeout", "engine"
]

KINDS: dict[Kind, str] = {
    "hung_up": "caller hung up",
    "broke_off": "answer broke off",
    "limited": "over a rate limit",
    "budget": "over a budget",
    "guarded": "stopped by guardrails",
    "refused": "request refused",
    "unavailable": "engine not there",
    "timeout": "engine too slow",
    "engine": "engine failed",
}
"""The ways in which a request does not end well, in words."""


class Seen(NamedTuple):
    """What is looked at of a settled request; the fields are those of :class:`snapml_lab.costs.requests.Request`."""

    at: float
    target: str
    status: int
    ended: str
    input_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cached: int
    first_token_ms: float | None
    duration_ms: float
    cost_pico: int | None
    guard: str | None

    @property
    def kind(self) -> Kind | None:
        """How it went wrong; None where it did not."""
        return kind(self.ended, self.status, self.guard)

    @property
    def written(self) -> int | None:
        """All tokens written."""
        return None if self.output_tokens is None else self.output_tokens + (self.reasoning_tokens or 0)


@dataclass(frozen=True)
class Window:
    """The requests of a deployment since an instant, oldest first; ``whole``: whether none before them was left out."""

    since: float
    until: float
    rows: Sequence[Seen]
    whole: bool

    @property
    def seconds(self) -> float:
        """How long it is."""
        return max(self.until - self.since, 1e-9)


class Spread(NamedTuple):
    """The median and the 95th percentile, in the unit of the values."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Figures:
    """What requests come to.

    Attributes:
        requests: how many were settled.
        failures: how many of them went wrong, by how.
        read_tokens: tokens read, whatever cache had them.
        written_tokens: tokens written, reasoning included.
        tokens_per_second: speed of one answer between its first token and its last; of streamed answers of the engine.
        first_token_ms: to the first piece of a streamed answer of the engine.
        duration_ms: of complete answers of the engine.
        engine_cache: share of the tokens read that the engine's cache of prompts had, in [0, 1]; None: none were counted.
        answered_before: answers given again from the gateway's cache.
        pico: what they cost, in pico-dollars, as far as it is known.
        unknown: requests of unknown cost.
    """

    requests: int
    failures: dict[Kind, int]
    read_tokens: int
    written_tokens: int
    tokens_per_second: float | None
    first_token_ms: Spread | None
    duration_ms: Spread | None
    engine_cache: float | None
    answered_before: int
    pico: int
    unknown: int


@dataclass(frozen=True)
class Spent:
    """What a deployment's requests have cost in all; ``unknown`` are those of unknown cost, ``open`` those under way."""

    requests: int
    pico: int
    unknown: int
    open: int


@dataclass(frozen=True)
class Broken:
    """A request that went wrong; ``key`` is its API key's name, or its id where the key is gone."""

    id: str
    at: float
    target: str
    route: str
    key: str
    status: int
    ended: str
    attempts: int
    duration_ms: float
    guard: str | None

    @property
    def kind(self) -> Kind | None:
        """How it went wrong."""
        return kind(self.ended, self.status, self.guard)


def kind(ended: str, status: int, guard: str | None = None) -> Kind | None:
    """Say how a request went wrong by how it ended and the HTTP status its caller got; None where it did not."""
    if ended == "hung_up":
        return "hung_up"
    if ended != "failed":
        return None
    if status < 400:
        return "broke_off"
    if status < 500 and guard is not None and '"block' in guard:
        return "guarded"
    return _STATUS.get(status, "refused" if status < 500 else "engine")


_STATUS: dict[int, Kind] = {402: "budget", 408: "timeout", 429: "limited", 503: "unavailable", 504: "timeout"}


def window(ledger: Ledger, deployment: str, since: float, until: float) -> Window:
    """Read the requests of a deployment that came in a window of time."""
    rows = ledger.rows(
        f"SELECT {', '.join(Seen._fields)} FROM requests WHERE deployment = ? AND at >= ? AND at <= ? AND +state = 'settled'"
        " ORDER BY at DESC LIMIT ?",
        deployment, since, until, MOST + 1,
    )  # fmt: skip
    found = [Seen(*row) for row in reversed(rows[:MOST])]
    whole = len(rows) <= MOST
    return Window(since if whole else found[0].at, until, found, whole)


def spent(ledger: Ledger, deployment: str) -> Spent:
    """Add up all requests of a deployment, from the index alone: 35 ms for 300,000 of them."""
    row = ledger.row(
        "SELECT count(*), coalesce(sum(cost_pico), 0), coalesce(sum(cost_pico IS NULL), 0) FROM requests WHERE deployment = ?",
        deployment,
    )
    under_way = ledger.row(
        "SELECT count(*) FROM requests WHERE state = 'open' AND +deployment = ?", deployment
    )
    assert row is not None
    assert under_way is not None
    return Spent(row[0] - under_way[0], row[1], max(row[2] - under_way[0], 0), under_way[0])


def broken(ledger: Ledger, deployment: str, limit: int) -> list[Broken]:
    """Return a deployment's latest requests that went wrong, newest first."""
    rows = ledger.rows(
        "SELECT id, at, target, route, coalesce((SELECT name FROM api_keys WHERE id = api_key), api_key), status, ended,"
        " attempts, duration_ms, guard FROM requests WHERE deployment = ? AND ended IN ('failed', 'hung_up')"
        " ORDER BY at DESC LIMIT ?",
        deployment, limit,
    )  # fmt: skip
    return [Broken(*row) for row in rows]


def figures(rows: Iterable[Seen]) -> Figures:
    """Bring requests down to figures. What the gateway answered from its own cache says nothing of the engine's speed."""
    rows = list(rows)
    engine = [row for row in rows if not row.cached]
    streamed = [row for row in engine if row.first_token_ms is not None]
    said = [
        (row.written - 1, row.duration_ms - row.first_token_ms)
        for row in streamed
        if row.first_token_ms is not None and row.written is not None and row.written > 1
    ]
    seconds = math.fsum(ms for _, ms in said) / 1000
    fresh = sum((row.input_tokens or 0) + (row.cache_write_tokens or 0) for row in engine)
    had = sum(row.cached_tokens or 0 for row in engine)
    return Figures(
        requests=len(rows),
        failures=dict(Counter(found for row in rows if (found := row.kind) is not None).most_common()),
        read_tokens=fresh + had,
        written_tokens=sum(row.written or 0 for row in engine),
        tokens_per_second=sum(tokens for tokens, _ in said) / seconds if seconds > 0 else None,
        first_token_ms=spread([row.first_token_ms for row in streamed if row.first_token_ms is not None]),
        duration_ms=spread([row.duration_ms for row in engine if row.ended == "complete"]),
        engine_cache=had / (fresh + had) if fresh + had else None,
        answered_before=len(rows) - len(engine),
        pico=sum(row.cost_pico or 0 for row in rows),
        unknown=sum(row.cost_pico is None for row in rows),
    )


def buckets(found: Window, step: float) -> list[tuple[float, list[Seen]]]:
    """Sort requests into stretches of ``step`` seconds, each with its beginning, empty ones too.

    They begin at multiples of the step, so that they stay the same from one look to the next; the first and the last may
    be seen in part.
    """
    first, last = math.floor(found.since / step), math.floor(found.until / step)
    made: list[tuple[float, list[Seen]]] = [(number * step, []) for number in range(first, last + 1)]
    for row in found.rows:
        made[min(max(math.floor(row.at / step), first), last) - first][1].append(row)
    return made


def spread(values: Sequence[float]) -> Spread | None:
    """Return the median and the 95th percentile; None of nothing."""
    ordered = sorted(values)
    return Spread(quantile(ordered, 0.5), quantile(ordered, 0.95)) if ordered else None


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of values in ascending order, at least one, linear between neighbours.

    Source: Hyndman & Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50 (1996), definition 7.
    """
    place = (len(ordered) - 1) * share
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
