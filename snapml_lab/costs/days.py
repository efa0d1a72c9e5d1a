"""Requests of days that are over, added up once: what a bill of a month reads is thousands of rows, not millions.

Each day (UTC) before today is summed in a transaction of its own, so that no writer waits for long. What is settled or
merged in later carries a revision above the one the sums were made at: its day is summed again. Standard library only.
"""

import math
import sqlite3

from snapml_lab import clock
from snapml_lab.store.ledger import Ledger

_DAY = 86_400
UNIT = 10**6
"""Amounts are added up in millions and rests: SQLite's sum of whole ones fails beyond 9 million dollars."""
_WRITTEN = "(output_tokens + coalesce(reasoning_tokens, 0))"
_SPOKEN = f"first_token_ms IS NOT NULL AND coalesce({_WRITTEN}, 0) > 1"
DIMENSIONS = ("deployment", "model", "api_key", "notebook", "cell_id", "project")
SUMS = {
    "requests": "1", "failed": "ended = 'failed'", "hits": "cached != 0", "input_tokens": "coalesce(input_tokens, 0)",
    "cached_tokens": "coalesce(cached_tokens, 0)", "cache_write_tokens": "coalesce(cache_write_tokens, 0)",
    "output_tokens": "coalesce(output_tokens, 0)", "reasoning_tokens": "coalesce(reasoning_tokens, 0)",
    "machine_seconds": "coalesce(machine_seconds, 0.0)", "whole": f"coalesce(cost_pico / {UNIT}, 0)",
    "rest": f"coalesce(cost_pico % {UNIT}, 0)", "unknown": "cost_pico IS NULL", "first_ms": "coalesce(first_token_ms, 0.0)",
    "firsts": "first_token_ms IS NOT NULL", "spoken_tokens": f"CASE WHEN {_SPOKEN} THEN {_WRITTEN} - 1 ELSE 0 END",
    "spoken_ms": f"CASE WHEN {_SPOKEN} THEN duration_ms - first_token_ms ELSE 0.0 END",
}  # fmt: skip
"""What is added up, and what a request has of it."""
_ROW = f"CAST(at / {_DAY} AS INTEGER) AS day, {', '.join(DIMENSIONS)}, " + ", ".join(
    f"{value} AS {name}" for name, value in SUMS.items()
)
_EACH = f"SELECT {_ROW} FROM requests WHERE at >= ? AND at < ? AND state = 'settled'"
_SUMMED = (
    f"INSERT INTO request_days SELECT CAST(at / {_DAY} AS INTEGER), {', '.join(DIMENSIONS)},"
    f" {', '.join(f'sum({value})' for value in SUMS.values())} FROM requests"
    f" WHERE at >= ? AND at < ? AND state = 'settled' GROUP BY {', '.join(DIMENSIONS)}"
)


def source(ledger: Ledger, since: float) -> tuple[str, list[float]]:
    """Return a query, with its values, of what settled requests since a moment come to: summed where their day is over.

    Its columns are ``day`` (days since the epoch), :data:`DIMENSIONS` and :data:`SUMS`.
    """
    until = catch_up(ledger)
    first = -int(-max(since, 0.0) // _DAY)
    if first >= until:
        return each(since, math.inf)
    query = f"SELECT * FROM request_days WHERE day >= ? AND day < ? UNION ALL {_EACH} UNION ALL {_EACH}"
    return query, [first, until, since, first * _DAY, until * _DAY, math.inf]


def each(since: float, until: float) -> tuple[str, list[float]]:
    """Return the same of a stretch of time, from its requests."""
    return _EACH, [since, until]


def catch_up(ledger: Ledger) -> int:
    """Sum up what is over and not yet summed; return the first day that is not."""
    today = int(clock.now() // _DAY)
    while True:
        state = ledger.row("SELECT day, revision FROM request_days_until")
        if state is not None and state["day"] >= today and not _late(ledger, state):
            return int(state["day"])
        with ledger.write() as connection:
            if _advance(connection, today):
                return today


def _late(ledger: Ledger, state: sqlite3.Row) -> bool:
    """Say whether anything of a day that was summed came after."""
    return ledger.row(f"{_LATE} GROUP BY 1 LIMIT 1", state["revision"], state["day"] * _DAY) is not None


_LATE = (
    f"SELECT CAST(at / {_DAY} AS INTEGER) AS day, max(revision) FROM requests INDEXED BY requests_revision"
    " WHERE revision > ? AND +at < ? AND state = 'settled'"
)


def _advance(connection: sqlite3.Connection, today: int) -> bool:
    """Sum up late days again, or else one day more; say whether nothing is left to do."""
    (revision,) = connection.execute("SELECT revision FROM meta").fetchone()
    state = connection.execute("SELECT day, revision FROM request_days_until").fetchone()
    if state is None:
        (first,) = connection.execute("SELECT min(at) FROM requests").fetchone()
        state = (today if first is None else min(int(first // _DAY), today), revision)
        connection.execute("INSERT INTO request_days_until VALUES (?, ?)", state)
    day = state[0]
    late = connection.execute(f"{_LATE} GROUP BY 1", (state[1], day * _DAY)).fetchall()
    for again, told in late:
        connection.execute("DELETE FROM request_days WHERE day = ?", (again,))
        connection.execute(_SUMMED, (again * _DAY, (again + 1) * _DAY))
        revision = max(revision, told)
    if not late and day < today:
        connection.execute(_SUMMED, (day * _DAY, (day + 1) * _DAY))
        day += 1
    connection.execute("UPDATE request_days_until SET day = ?, revision = ?", (day, revision))
    return bool(day >= today)
