"""The books: a row for each request before it is sent, what it can cost held in its budgets, both settled once.

The event loop writes them itself and waits for nobody: what is to be opened and what has ended meanwhile goes into one
transaction a turn. Where another process is writing it tries again in a moment, and at last has a thread wait. A gateway that
is killed leaves open rows; the next one settles them as estimated, by what was last known of them.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from snapml_lab import clock, money
from snapml_lab.costs.budgets import OF_KEY, Cover
from snapml_lab.costs.prices import rate
from snapml_lab.costs.usage import Usage
from snapml_lab.engines import base
from snapml_lab.errors import ConflictError, NotFoundError, SnapmlError, StorageError
from snapml_lab.registry import deployments, providers
from snapml_lab.store.ledger import bump, explained
from snapml_lab.workspace import Workspace

_GATHER_SECONDS = 0.01
"""What has ended waits so long for a request that is to be opened, whose transaction it then shares."""
_CHECKPOINT_SECONDS = 1.0
_AGAIN_SECONDS = 0.5
_TURN_SECONDS = 0.001
_TURNS = 50
"""So often the event loop tries to write while another process does, before a thread waits for that."""
_MOST_AT_ONCE = 100
"""Rows of one transaction, so that neither other writers nor the event loop wait long."""

_log = logging.getLogger(__name__)

_OPENED = (
    "id", "at", "deployment", "model", "route", "api_key", "project", "notebook", "cell_id", "streamed", "target",
    "input_tokens", "reserved_pico",
)  # fmt: skip
_OPEN = (
    f"INSERT INTO requests ({', '.join(_OPENED)}, status, ended, usage, duration_ms, price, state, attempts, revision)"
    f" VALUES ({', '.join('?' * len(_OPENED))}, 0, 'open', 'estimated', 0, 'not settled', 'open', 0, 0)"
)
_BEGIN_PERIOD = "INSERT INTO budget_spent (budget, start) VALUES (?, ?) ON CONFLICT DO NOTHING"
_HOLD = (
    "UPDATE budget_spent SET reserved_pico = reserved_pico + :pico WHERE budget = :budget AND start = :start"
    " AND spent_pico + reserved_pico + :pico <= :limit"
)
_SETTLED = (
    "status", "ended", "target", "model", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens",
    "reasoning_tokens", "usage", "first_token_ms", "duration_ms", "cost_pico", "price", "cached", "attempts",
    "machine_seconds", "guard",
)  # fmt: skip
_SETTLE = (
    f"UPDATE requests SET {', '.join(f'{name} = ?' for name in _SETTLED)}, state = 'settled', revision = ?"
    " WHERE id = ? AND state = 'open'"
)
_SPEND = (
    "UPDATE budget_spent SET reserved_pico = reserved_pico - held.pico, spent_pico = spent_pico + coalesce(:cost, held.pico)"
    " FROM holds AS held WHERE held.request = :id AND budget_spent.budget = held.budget AND budget_spent.start = held.start"
)
_NOTE = "UPDATE requests SET output_tokens = ?, duration_ms = ?, machine_seconds = ? WHERE id = ? AND state = 'open'"
_USED = "UPDATE api_keys SET last_used_at = ? WHERE id = ?"


class Opening(NamedTuple):
    """What is known of a request before it is sent; ``input_tokens`` is an estimate, ``reserved_pico`` the most it can cost."""

    id: str
    at: float
    deployment: str
    model: str
    route: str
    api_key: str
    project: str | None
    notebook: str | None
    cell_id: str | None
    streamed: int
    target: str
    input_tokens: int | None
    reserved_pico: int | None


class Settlement(NamedTuple):
    """What a request came to; see :class:`snapml_lab.costs.requests.Request`."""

    status: int
    ended: str
    target: str
    model: str
    input_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    usage: str
    first_token_ms: float | None
    duration_ms: float
    cost_pico: int | None
    price: str
    cached: int
    attempts: int
    machine_seconds: float | None
    guard: str | None


class OverBudgetError(SnapmlError):
    """A budget has no room for what a request can cost."""

    code = "insufficient_quota"


class Books:
    """The books of one gateway. For the event loop's thread, but what is said of :meth:`soon`.

    Args:
        ws: the workspace.
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self._arriving: list[_Arrival] = []
        self._ended: list[_Ended] = []
        self._next: asyncio.Handle | None = None
        self._in_haste = False
        self._turns = 0
        self._unsure = 0
        self._checked = 0.0
        self._connection: sqlite3.Connection | None = None
        self._work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._worked, name="books", daemon=True)
        self._closing = threading.Event()

    def start(self) -> None:
        """Settle what a gateway before this one left open, and begin."""
        self.recover()
        self._thread.start()

    async def close(self) -> None:
        """Settle what is waiting, and end."""
        if self._next is not None:
            self._next.cancel()
        self._hand(self._arriving, self._ended)
        self._closing.set()
        self._work.put(None)
        if self._thread.ident is not None:  # it was begun
            await asyncio.to_thread(self._thread.join)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def changes(self) -> int:
        """Return a number that is another one as soon as anyone else has written to the ledger."""
        try:
            (found,) = self._own().execute("PRAGMA data_version").fetchone()
        except sqlite3.OperationalError:  # busy for a moment, for which this connection does not wait
            self._unsure -= 1
            return self._unsure
        return int(found)

    async def open(self, opening: Opening, covers: list[Cover]) -> asyncio.CancelledError | None:
        """Write a request's row, and hold what it can cost in each budget that covers it: all of it, or nothing.

        A caller who leaves meanwhile leaves when that is decided.

        Returns:
            What is to be raised then, the row being open.

        Raises:
            OverBudgetError: a budget has no room for it.
            SnapmlError: the ledger cannot be written.
        """
        arrival, left = _Arrival(opening, covers), None
        self._arriving.append(arrival)
        if not self._in_haste:
            self._in_haste = True
            self._call(0)
        while not arrival.decided:
            try:
                await arrival.decision()
            except asyncio.CancelledError as error:
                left = error
        if arrival.fault is not None:
            raise left or arrival.fault
        return left

    def settle(self, identifier: str, settlement: Settlement) -> None:
        """Settle a request for good; done within moments, whatever becomes of the caller."""
        self._end(_Ended(identifier, None, settlement))

    def whole(self, opening: Opening, settlement: Settlement) -> None:
        """Record a request that was never sent to an engine."""
        self._end(_Ended(opening.id, opening, settlement))

    def note(self, progress: list[tuple[int | None, float, float | None, str]]) -> None:
        """Note how far open requests are: (output tokens, milliseconds, machine seconds, id), for who comes after a kill."""
        self.soon(lambda: self._write(_NOTE, progress))

    def used(self, key: str, at: float) -> None:
        """Note when a key was used."""
        self.soon(lambda: self._write(_USED, [(at, key)]))

    def soon(self, work: Callable[[], object]) -> None:
        """Have something done in the books' thread, after what is before it."""
        self._work.put(work)

    def _own(self) -> sqlite3.Connection:
        """Return the event loop's connection: it waits for nobody, and leaves checkpoints, which sync, to the thread."""
        if self._connection is None:
            connection = sqlite3.connect(self.ws.ledger.path, timeout=0, isolation_level=None)
            for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "wal_autocheckpoint=0"):
                connection.execute(f"PRAGMA {pragma}")
            self._connection = connection
        return self._connection

    def _end(self, ended: "_Ended") -> None:
        self._ended.append(ended)
        if self._next is None:
            self._call(_GATHER_SECONDS)

    def _call(self, seconds: float) -> None:
        if self._next is not None:
            self._next.cancel()
        loop = asyncio.get_running_loop()
        self._next = loop.call_later(seconds, self._turn) if seconds else loop.call_soon(self._turn)

    def _taken(self) -> "tuple[list[_Arrival], list[_Ended]]":
        """Take what is to be written next."""
        arriving, self._arriving = self._arriving, []
        ended, self._ended = self._ended[:_MOST_AT_ONCE], self._ended[_MOST_AT_ONCE:]
        return arriving, ended

    def _turn(self) -> None:
        """Write what has come together."""
        self._next, self._in_haste = None, False
        arriving, ended = self._taken()
        faults: Sequence[Exception | None]
        try:
            with explained(self.ws.ledger.path):
                faults = _entered(self._own(), arriving, ended)
        except ConflictError:
            self._turns += 1
            if self._turns < _TURNS:
                self._arriving, self._ended, self._in_haste = arriving, ended + self._ended, True
                self._call(_TURN_SECONDS)
                return
            self._hand(arriving, ended)
            arriving, faults = [], []
        except Exception as error:
            self._hand([], ended)
            faults = [error] * len(arriving)
        for arrival, fault in zip(arriving, faults, strict=True):
            arrival.decide(fault)
        self._turns = 0
        if self._ended and self._next is None:
            self._call(_TURN_SECONDS)
        if (now := clock.boot()) - self._checked > _CHECKPOINT_SECONDS:
            self._checked = now
            self.soon(self._checkpoint)

    def _hand(self, arriving: "list[_Arrival]", ended: "list[_Ended]") -> None:
        """Have the thread write, which waits for its turn."""
        loop = asyncio.get_running_loop()
        if arriving:
            self.soon(lambda: self._open(loop, arriving))
        if ended:
            self.soon(lambda: self._settle(ended))

    def _worked(self) -> None:
        """Do what is to be done in the thread, until told to end."""
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                _log.exception("work of the books' thread")
        self.ws.ledger.close()

    def _open(self, loop: asyncio.AbstractEventLoop, arriving: "list[_Arrival]") -> None:
        faults: Sequence[Exception | None]
        try:
            with self.ws.ledger.write() as connection:
                faults = [_opened(connection, arrival) for arrival in arriving]
        except Exception as error:
            faults = [error] * len(arriving)
        for arrival, fault in zip(arriving, faults, strict=True):
            loop.call_soon_threadsafe(arrival.decide, fault)

    def _settle(self, ended: "list[_Ended]") -> None:
        """Settle; where the disk is full or another holds the ledger, once more until it can be written."""
        try:
            with self.ws.ledger.write() as connection:
                _settled(connection, ended)
        except (StorageError, ConflictError) as error:
            _log.warning("settlements wait: %s", error.message)
            if not self._closing.wait(_AGAIN_SECONDS):
                self.soon(lambda: self._settle(ended))  # behind what was asked meanwhile
        except Exception:
            _log.exception("request %s could not be recorded", ", ".join(item.id for item in ended))

    def _write(self, statement: str, rows: list[Any]) -> None:
        with self.ws.ledger.write() as connection:
            connection.executemany(statement, rows)

    def _checkpoint(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.ws.ledger.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def recover(self) -> None:
        """Settle, as estimated, what was open when the gateway before this one ended."""
        rows = self.ws.ledger.rows("SELECT * FROM requests WHERE state = 'open'")
        for start in range(0, len(rows), _MOST_AT_ONCE):
            with self.ws.ledger.write() as connection:
                revision = bump(connection)
                for row in rows[start : start + _MOST_AT_ONCE]:
                    _put_down(connection, _Ended(row["id"], None, self._estimate(row)), revision)

    def _estimate(self, row: sqlite3.Row) -> Settlement:
        """Say what a request came to whose end nobody saw: what it had written when that was last noted, and all it read."""
        usage = Usage(row["input_tokens"], None, None, row["output_tokens"], None, "estimated")
        seconds = row["machine_seconds"] or 0.0
        cost, price = None, "its deployment is gone"
        with contextlib.suppress(NotFoundError):
            found = deployments.get(self.ws, row["deployment"])
            target = next((item for item in found.targets if item.id == row["target"]), found.target)
            local = base.of(target.engine).local
            api = None if local else providers.get(self.ws, str(target.options.get("provider"))).base_url
            priced = rate(
                self.ws, found.name, None if local else target.source, local, target.gpus, api=api
            ).cost(Usage(usage.input, None, None, usage.output or 0, None, "estimated"), seconds)
            cost, price = priced.pico, f"{priced.source}; estimated, for the gateway was ended in the middle"
        if cost is not None and row["reserved_pico"] is not None:
            cost = min(cost, row["reserved_pico"])
        return Settlement(
            500, "failed", row["target"], row["model"], usage.input, None, None, usage.output, None, "estimated",
            row["first_token_ms"], row["duration_ms"], cost, price, 0, max(row["attempts"], 1), row["machine_seconds"], None,
        )  # fmt: skip


class _Arrival:
    """A request that is to be opened; ``fault`` says why it was not, once that is decided."""

    def __init__(self, opening: Opening, covers: list[Cover]) -> None:
        self.opening, self.covers = opening, covers
        self.decided = False
        self.fault: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def decision(self) -> "asyncio.Future[None]":
        """Return what to wait for; anew after each interruption."""
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def decide(self, fault: Exception | None) -> None:
        """Let it go on, or not."""
        self.decided, self.fault = True, fault
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Ended(NamedTuple):
    """A request that has ended; ``opening`` where its row is not written yet."""

    id: str
    opening: Opening | None
    settlement: Settlement


def _entered(
    connection: sqlite3.Connection, arriving: list[_Arrival], ended: list[_Ended]
) -> list[OverBudgetError | None]:
    """Write a turn: all of it, or on any error none. Return why each of those that arrive may not be opened."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _settled(connection, ended)
        faults = [_opened(connection, arrival) for arrival in arriving]
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    return faults


def _opened(connection: sqlite3.Connection, arrival: _Arrival) -> OverBudgetError | None:
    """Open a request inside a transaction, or say why not and leave nothing of it."""
    opening, covers = arrival.opening, arrival.covers
    if len(covers) > 1:
        connection.execute("SAVEPOINT arrival")
    for cover in covers:
        at = {
            "budget": cover.budget,
            "start": cover.start,
            "pico": opening.reserved_pico,
            "limit": cover.limit,
        }
        if not connection.execute(_HOLD, at).rowcount:
            connection.execute(_BEGIN_PERIOD, (cover.budget, cover.start))
            if not connection.execute(_HOLD, at).rowcount:
                fault = _over(connection, cover, opening.reserved_pico or 0)
                if len(covers) > 1:
                    connection.execute("ROLLBACK TO arrival")
                    connection.execute("RELEASE arrival")
                return fault
    connection.execute(_OPEN, opening)
    for cover in covers:
        connection.execute(
            "INSERT INTO holds VALUES (?, ?, ?, ?)",
            (opening.id, cover.budget, cover.start, opening.reserved_pico),
        )
    if len(covers) > 1:
        connection.execute("RELEASE arrival")
    return None


def _settled(connection: sqlite3.Connection, ended: list[_Ended]) -> None:
    if ended:
        revision = bump(connection)
        for item in ended:
            _put_down(connection, item, revision)


def _put_down(connection: sqlite3.Connection, item: _Ended, revision: int) -> None:
    """Settle a request that is open: one that was settled is left as it is. An unknown cost takes all that was held."""
    if item.opening is not None:
        connection.execute(_OPEN, item.opening)
    settlement = item.settlement
    if connection.execute(_SETTLE, (*settlement, revision, item.id)).rowcount:
        at: dict[str, Any] = {"id": item.id, "cost": settlement.cost_pico}
        if connection.execute(_SPEND, at).rowcount:
            connection.execute("DELETE FROM holds WHERE request = ?", (item.id,))


def _over(connection: sqlite3.Connection, cover: Cover, pico: int) -> OverBudgetError:
    row = connection.execute(
        "SELECT spent_pico, reserved_pico FROM budget_spent WHERE budget = ? AND start = ?",
        (cover.budget, cover.start),
    ).fetchone()
    spent, held = row or (0, 0)
    name = "The key's own limit" if cover.budget.startswith(OF_KEY) else f"The budget {cover.budget!r}"
    return OverBudgetError(
        f"{name} of {money.show(cover.limit)} has no room for a request that may cost {money.show(pico)}:"
        f" {money.show(spent)} is spent and {money.show(held)} held for requests under way.",
        fix="Ask for less (max_tokens), wait for the next period, or raise it: snapml budgets set",
    )
