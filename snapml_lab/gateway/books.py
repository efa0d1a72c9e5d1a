"""The books: a row for each request before it is sent, what it can cost held in its budgets, both settled once.

Requests are opened on the event loop, which never waits: where another process is writing, the thread does it. What ended is
gathered for a moment and settled in one transaction there. A gateway that is killed leaves open rows; the next one settles
them as estimated, by what was last known of them.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from snapml_lab import clock, money
from snapml_lab.costs.budgets import OF_KEY, Cover
from snapml_lab.costs.prices import rate
from snapml_lab.costs.usage import Usage
from snapml_lab.engines import base
from snapml_lab.errors import ConflictError, NotFoundError, SnapmlError, StorageError
from snapml_lab.registry import deployments, providers
from snapml_lab.store.ledger import Ledger, bump, explained
from snapml_lab.workspace import Workspace

_GATHER_SECONDS = 0.01
_CHECKPOINT_SECONDS = 1.0
_AGAIN_SECONDS = 0.5
_TRIES = 15
_MOST_AT_ONCE = 500
"""Rows of one transaction, so that other writers need not wait long."""

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


@dataclass
class Books:
    """The books of one gateway. Methods are for the event loop's thread, but those named ``_…``.

    Args:
        ws: the workspace.
    """

    ws: Workspace
    _settled: "queue.SimpleQueue[_Item | None]" = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None
    _connection: sqlite3.Connection | None = None
    _closing: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Settle what a gateway before this one left open, and begin."""
        self._recover()
        self._thread = threading.Thread(target=self._work, name="books", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Settle what is waiting, and end; blocks until that is done."""
        if self._thread is not None:
            self._closing.set()
            self._settled.put(None)
            self._thread.join()
            self._thread = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def open(self, opening: Opening, covers: list[Cover]) -> None:
        """Write a request's row, and hold what it can cost in each budget that covers it: all of it, or nothing.

        Raises:
            OverBudgetError: a budget has no room for it.
            SnapmlError: the ledger cannot be written.
        """
        try:
            self._open(self._own(), opening, covers)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) and "busy" not in str(error):
                with explained(self.ws.ledger.path):
                    raise
            done = asyncio.get_running_loop().create_future()
            self._settled.put(_Open(opening, covers, done, asyncio.get_running_loop()))
            await asyncio.shield(done)

    def settle(self, identifier: str, settlement: Settlement) -> None:
        """Settle a request for good; done within moments, whatever becomes of the caller."""
        self._settled.put(_Settle(identifier, settlement))

    def whole(self, opening: Opening, settlement: Settlement) -> None:
        """Record a request that was never sent to an engine."""
        self._settled.put(_Whole(opening, settlement))

    def note(self, progress: list[tuple[int | None, float, float | None, str]]) -> None:
        """Note how far open requests are: (output tokens, milliseconds, machine seconds, id), for who comes after a kill."""
        self._settled.put(_Note(progress))

    def used(self, key: str, at: float) -> None:
        """Note when a key was used."""
        self._settled.put(_Used(key, at))

    def soon(self, work: Callable[[], object]) -> None:
        """Have something done in the books' thread, after what is before it."""
        self._settled.put(_Work(work))

    def _own(self) -> sqlite3.Connection:
        """Return the event loop's connection: it waits for nobody, and leaves checkpoints, which sync, to the thread."""
        if self._connection is None:
            connection = sqlite3.connect(
                self.ws.ledger.path, timeout=0, isolation_level=None, check_same_thread=False
            )
            for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "wal_autocheckpoint=0"):
                connection.execute(f"PRAGMA {pragma}")
            self._connection = connection
        return self._connection

    @staticmethod
    def _open(connection: sqlite3.Connection, opening: Opening, covers: list[Cover]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(_OPEN, opening)
            for cover in covers:
                pico = opening.reserved_pico
                assert pico is not None
                at = {"budget": cover.budget, "start": cover.start, "pico": pico, "limit": cover.limit}
                connection.execute(_BEGIN_PERIOD, (cover.budget, cover.start))
                if not connection.execute(_HOLD, at).rowcount:
                    raise _over(connection, cover, pico)
                connection.execute(
                    "INSERT INTO holds VALUES (?, ?, ?, ?)", (opening.id, cover.budget, cover.start, pico)
                )
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _work(self) -> None:
        """Settle, until told to end."""
        ledger, checked = self.ws.ledger, 0.0
        waiting: list[_Item] = []
        going = True
        while going:
            item = self._settled.get()
            deadline = clock.boot() + _GATHER_SECONDS
            while item is not None:
                waiting.append(item)
                left = deadline - clock.boot()
                if len(waiting) >= _MOST_AT_ONCE or isinstance(item, _Open):
                    break
                try:
                    item = (
                        self._settled.get(timeout=max(left, 0.0)) if left > 0 else self._settled.get_nowait()
                    )
                except queue.Empty:
                    break
            going = item is not None
            self._write(ledger, waiting)
            waiting = []
            if clock.boot() - checked > _CHECKPOINT_SECONDS:
                checked = clock.boot()
                with contextlib.suppress(sqlite3.Error):
                    ledger.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        ledger.close()

    def _write(self, ledger: Ledger, items: "list[_Item]") -> None:
        """Write what is waiting; where the disk is full or another holds the ledger, once more until it can be written."""
        while True:
            try:
                self._record(ledger, items)
            except (StorageError, ConflictError) as error:
                _log.warning("settlements wait: %s", error.message)
                if not self._closing.wait(_AGAIN_SECONDS):
                    continue
            break
        for item in items:
            if isinstance(item, _Open):
                self._opened(ledger, item)
            elif isinstance(item, _Work):
                try:
                    item.work()
                except Exception:
                    _log.exception("work of the books' thread")

    @staticmethod
    def _record(ledger: Ledger, items: "list[_Item]") -> None:
        try:
            with ledger.write() as connection:
                shown = any(isinstance(item, _Settle | _Whole) for item in items)
                revision = bump(connection) if shown else 0
                for item in items:
                    _put_down(connection, item, revision)
        except (StorageError, ConflictError):
            raise
        except Exception:
            ids = [item.id for item in items if isinstance(item, _Settle)]
            _log.exception("request %s could not be recorded", ", ".join(ids))

    def _opened(self, ledger: Ledger, item: "_Open") -> None:
        """Open a request for the event loop, waiting for who writes."""
        fault: BaseException | None = None
        try:
            with ledger.write():
                pass  # waits for its turn, and wakes a writer that was stopped
            for _ in range(_TRIES):
                try:
                    self._open(ledger.connection, item.opening, item.covers)
                except sqlite3.OperationalError as error:
                    if "locked" not in str(error):
                        raise
                else:
                    break
            else:
                raise ConflictError("The ledger is busy.", fix="Try again in a moment.")
        except BaseException as error:
            fault = error
        item.loop.call_soon_threadsafe(_tell, item.done, fault)

    def _recover(self) -> None:
        """Settle, as estimated, what was open when the gateway before this one ended."""
        rows = self.ws.ledger.rows("SELECT * FROM requests WHERE state = 'open'")
        for start in range(0, len(rows), _MOST_AT_ONCE):
            with self.ws.ledger.write() as connection:
                revision = bump(connection)
                for row in rows[start : start + _MOST_AT_ONCE]:
                    _settle(connection, row["id"], self._estimate(row), revision)

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


@dataclass(frozen=True)
class _Settle:
    id: str
    settlement: Settlement


@dataclass(frozen=True)
class _Open:
    opening: Opening
    covers: list[Cover]
    done: "asyncio.Future[None]"
    loop: asyncio.AbstractEventLoop


@dataclass(frozen=True)
class _Whole:
    opening: Opening
    settlement: Settlement


@dataclass(frozen=True)
class _Note:
    progress: list[tuple[int | None, float, float | None, str]]


@dataclass(frozen=True)
class _Used:
    key: str
    at: float


@dataclass(frozen=True)
class _Work:
    work: Callable[[], object]


_Item = _Settle | _Whole | _Open | _Note | _Used | _Work


def _put_down(connection: sqlite3.Connection, item: _Item, revision: int) -> None:
    match item:
        case _Settle():
            _settle(connection, item.id, item.settlement, revision)
        case _Whole():
            connection.execute(_OPEN, item.opening)
            _settle(connection, item.opening.id, item.settlement, revision)
        case _Note():
            connection.executemany(
                "UPDATE requests SET output_tokens = ?, duration_ms = ?, machine_seconds = ? WHERE id = ? AND state = 'open'",
                item.progress,
            )
        case _Used():
            connection.execute("UPDATE api_keys SET last_used_at = ? WHERE id = ?", (item.at, item.key))


def _settle(connection: sqlite3.Connection, identifier: str, settlement: Settlement, revision: int) -> None:
    """Settle a request that is open: one that was settled is left as it is. An unknown cost takes all that was held."""
    if connection.execute(_SETTLE, (*settlement, revision, identifier)).rowcount:
        at: dict[str, Any] = {"id": identifier, "cost": settlement.cost_pico}
        if connection.execute(_SPEND, at).rowcount:
            connection.execute("DELETE FROM holds WHERE request = ?", (identifier,))


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


def _tell(done: "asyncio.Future[None]", fault: BaseException | None) -> None:
    if done.done():
        return
    if fault is None:
        done.set_result(None)
    else:
        done.set_exception(fault)
