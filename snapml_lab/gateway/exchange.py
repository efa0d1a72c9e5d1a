"""One request on its way through the gateway: let in, opened in the books, sent, settled; once each, whatever happens."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from aiohttp import ClientOSError, ClientResponse, ClientTimeout, ServerDisconnectedError, web

from snapml_lab import clock, ids
from snapml_lab.costs import budgets
from snapml_lab.costs.budgets import Cover
from snapml_lab.costs.prices import Rate
from snapml_lab.costs.usage import Usage
from snapml_lab.engines import idle, services
from snapml_lab.errors import ConflictError, SnapmlError
from snapml_lab.gateway.books import Books, Opening, OverBudgetError, Settlement
from snapml_lab.gateway.cache import Answers
from snapml_lab.gateway.judging import Judges
from snapml_lab.gateway.known import Known
from snapml_lab.gateway.limits import Limits
from snapml_lab.gateway.metering import Meter
from snapml_lab.gateway.prometheus import Gauges
from snapml_lab.gateway.screen import Screen
from snapml_lab.gateway.semconv import Settled
from snapml_lab.gateway.telemetry import Telemetry
from snapml_lab.gateway.upstream import Upstream, Way
from snapml_lab.governance.keys import Key
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.workspace import Workspace

_NOTEBOOK, _CELL = "X-SnapML-Notebook", "X-SnapML-Cell"
REQUEST = "X-SnapML-Request"
_LONGEST_ORIGIN = 500
_BYTES_A_TOKEN = 4
"""English text in common tokenizers (OpenAI, "What are tokens and how to count them"); for what an engine does not tell."""
_WAKE_SECONDS = 180.0
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_HELD_SECONDS = (60.0, 10.0, 2.0)
"""Where time is what costs and a budget has no room for the longest answer, room for so many seconds is held, and the answer
cut there."""


@dataclass
class Desk:
    """What all requests of a gateway share."""

    ws: Workspace
    known: Known
    books: Books
    upstream: Upstream
    limits: Limits = field(default_factory=Limits)
    answers: Answers = field(default_factory=Answers)
    gauges: Gauges = field(default_factory=Gauges)
    judges: Judges = field(default_factory=Judges)
    under_way: "dict[str, Exchange]" = field(default_factory=dict)
    asked_at: dict[str, float] = field(default_factory=dict)
    telemetry: Telemetry = field(init=False)

    def __post_init__(self) -> None:
        self.telemetry = Telemetry(self.ws, self.gauges.spans)


@dataclass(frozen=True)
class Choice:
    """One that may answer: a deployment and the target of it."""

    deployment: Deployment
    target: Target


def pick(deployment: Deployment) -> Target:
    """Return the target that is to answer, by the targets' shares."""
    targets = [target for target in deployment.targets if not target.shadow and target.share > 0]
    if len(targets) < 2:
        return targets[0] if targets else deployment.target
    return random.choices(targets, [target.share for target in targets])[0]


class Exchange:
    """One request.

    Args:
        desk: what all share.
        request: the caller's.
        key: the caller's.
        deployment: who is asked.
        route: as the ledger names it.
        streamed: whether the answer is to come bit by bit.
        judges: the request whose text it is to judge, for a guardrail.
    """

    def __init__(
        self,
        desk: Desk,
        request: web.Request,
        key: Key,
        deployment: Deployment,
        route: str,
        *,
        streamed: bool,
        judges: str | None = None,
    ) -> None:
        self.desk, self.key, self.deployment, self.route = desk, key, deployment, route
        self.meter = Meter(streamed=streamed)
        self.at = clock.now()
        self.notebook, self.cell = _header(request, _NOTEBOOK), _header(request, _CELL)
        self.choice = Choice(deployment, pick(deployment))
        self.screen: Screen | None = None
        self.judges = judges
        self.cached = False
        self.reserved: int | None = None
        self.seconds = deployment.timeout_seconds
        self.way: Way | None = None
        self._rates: dict[tuple[str, str], Rate] = {}
        self._mark: float | None = None
        self._machine: float | None = None
        self._opened = False
        self._asked: Way | None = None
        self._parent = desk.telemetry.parent(request.headers)
        desk.asked_at[deployment.name] = self.at

    def choices(self) -> list[Choice]:
        """Return who may answer, in order: the target picked, then the fallbacks that the key opens."""
        found = [self.choice]
        for name in self.deployment.fallbacks:
            with contextlib.suppress(SnapmlError):
                other = self.desk.known.deployment(name)
                if other.task == self.deployment.task and self.key.opens(name, self.route):
                    found.append(Choice(other, pick(other)))
        return found

    async def open(self, choices: list[Choice], bound: Callable[[Target], Usage | None]) -> None:
        """Write the row, and hold in the budgets the most that any of ``choices`` can cost.

        Raises:
            OverBudgetError: there is no room for it, or it cannot be said what it can cost.
        """
        rates = [self.desk.known.rate(item.deployment, item.target) for item in choices]
        self._rates = {
            (item.deployment.name, item.target.id): rate for item, rate in zip(choices, rates, strict=True)
        }  # fmt: skip
        covers = self._covers(choices)
        if not covers:
            self._begin(await self.desk.books.open(self._opening(None), []))
            return
        bounds = [bound(item.target) for item in choices]
        fault: OverBudgetError | None = None
        timed = any(rate.tokens is None for rate in rates)
        for seconds in (self.seconds, *(least for least in _HELD_SECONDS if least < self.seconds)):
            most = [_worst(rate, usage, seconds) for rate, usage in zip(rates, bounds, strict=True)]
            if None in most:
                raise self._unbounded(covers[0], rates[most.index(None)])
            try:
                self.reserved = max(item for item in most if item is not None)
                left = await self.desk.books.open(self._opening(self.reserved), covers)
            except OverBudgetError as error:
                fault = fault or error
                if not timed:
                    break
            else:
                self.seconds = seconds if timed else self.seconds
                self._begin(left)
                return
        assert fault is not None
        raise fault

    def send_begins(self, choice: Choice, way: Way) -> None:
        """An engine is asked: from here on its time is shared with this request."""
        self.choice, self.way, self._asked = choice, way, way
        self.meter.attempts += 1
        self._mark = way.clock.enter()

    def send_ends(self) -> None:
        """The engine has answered, or will not; once for each time it was asked."""
        if self.way is not None and self._mark is not None:
            share = self.way.clock.leave(self._mark)
            if self.way.local:
                self._machine = (self._machine or 0.0) + share
        self.way = self._mark = None

    def refuse(self, status: int, why: str) -> None:
        """Record a request that was never sent."""
        self.meter.fail(status)
        settlement = self._settlement(0, why)
        self.desk.books.whole(self._opening(None), settlement)
        self._tell(settlement)
        self._opened = False

    def settle(self) -> None:
        """Settle; nothing where it was never opened."""
        self.desk.under_way.pop(self.meter.id, None)
        self.send_ends()
        if self._asked is not None and self.meter.ended == "complete":
            self._asked.clock.answered += 1
        if not self._opened:
            return
        self._opened = False
        cost, price = self._cost()
        settlement = self._settlement(cost, price)
        self.desk.books.settle(self.meter.id, settlement)
        self.desk.gauges.settled(self.deployment.name, settlement)
        self._tell(settlement)
        self.desk.asked_at[self.deployment.name] = clock.now()

    def answered_before(self) -> None:
        """Record a request that was answered from memory."""
        self.cached = True
        self.meter.complete()
        settlement = self._settlement(0, "answered with what was answered before")
        self.desk.books.whole(self._opening(None), settlement)
        self.desk.gauges.settled(self.deployment.name, settlement)
        self._tell(settlement)

    def so_far(self) -> tuple[int | None, float, float | None, str]:
        """Return how far it is: tokens written, milliseconds, machine seconds, its id."""
        machine = self._machine
        if self.way is not None and self._mark is not None and self.way.local:
            machine = (machine or 0.0) + self.way.clock.since(self._mark)
        elapsed = (time.monotonic() - self.meter.begun) * 1000
        return self.meter.tokens_so_far(), elapsed, machine, self.meter.id

    def left(self) -> float:
        """Return the seconds it may still take."""
        return self.seconds - (time.monotonic() - self.meter.begun)

    def tokens(self) -> int:
        """Return the tokens it read and wrote."""
        return (self.meter.usage.read or 0) + (self.meter.usage.written or 0)

    def _tell(self, settlement: Settlement) -> None:
        """Tell a collector, where there is one."""
        if self.desk.telemetry.on:
            target, asked = self.choice.target, self._asked
            self.desk.telemetry.settled(
                Settled(
                    self._opening(None), settlement, (self.key.name, self.key.prefix), target.engine, target.options.get("provider"),
                    target.source, None if asked is None else asked.name if asked.local else asked.url, self.meter.attempts,
                    self._parent,
                )
            )  # fmt: skip

    def _begin(self, left: asyncio.CancelledError | None) -> None:
        """It is open; if the caller left meanwhile, it ends here and is settled as what was never sent."""
        self._opened = True
        self.desk.under_way[self.meter.id] = self
        if left is not None:
            raise left

    def _covers(self, choices: list[Choice]) -> list[Cover]:
        declared = self.desk.known.budgets()
        found: list[Cover] = []
        if declared:
            spender = {"key": self.key.name, "notebook": self.notebook, "project": self.key.terms.project}
            models = tuple(name for item in choices for name in (item.deployment.name, item.target.model))
            found += budgets.covering(declared, self.at, spender, models)
        if self.key.terms.limit_pico is not None:
            found.append(Cover(budgets.OF_KEY + self.key.id, 0.0, self.key.terms.limit_pico))
        return found

    def _unbounded(self, cover: Cover, rate: Rate) -> OverBudgetError:
        name = "its own limit" if cover.budget.startswith(budgets.OF_KEY) else f"the budget {cover.budget!r}"
        if rate.tokens is None and rate.worst_hour is None:
            return OverBudgetError(
                f"The request is under {name}, and what {self.deployment.name} costs is not known: {rate.source}.",
                fix="Declare it: snapml prices compute DOLLARS, or snapml prices set MODEL",
            )
        return OverBudgetError(
            f"The request is under {name}, and it cannot be said beforehand what it can cost.",
            fix="Give max_tokens, and text alone: images, audio and tools at the provider have no bound.",
        )

    def _opening(self, reserved: int | None) -> Opening:
        return Opening(
            self.meter.id, self.at, self.deployment.name, self.choice.target.model, self.route, self.key.id,
            self.key.terms.project, self.notebook, self.cell, int(self.meter.streamed), self.choice.target.id,
            self.meter.estimate, reserved,
        )  # fmt: skip

    def _cost(self) -> tuple[int | None, str]:
        rate = self._rates[self.choice.deployment.name, self.choice.target.id]
        priced = rate.cost(self.meter.usage, self._machine or 0.0)
        if priced.pico is None and not self.meter.attempts:
            return 0, "nothing was sent"
        if rate.tokens is None and priced.pico is not None and priced.pico > (self.reserved or priced.pico):
            # It was to be cut where its hold ends: that it came late to that is not the caller's to pay.
            return self.reserved, f"{priced.source}, no more than was held"
        return priced.pico, priced.source

    def _settlement(self, cost: int | None, price: str) -> Settlement:
        usage, meter = self.meter.usage, self.meter
        guard = self.screen.written() if self.screen is not None else None
        if self.judges is not None:
            guard = json.dumps([{"judges": self.judges}, *json.loads(guard or "[]")])
        elapsed = (time.monotonic() - meter.begun) * 1000
        target = self.choice.target
        return Settlement(
            meter.status, meter.ended, target.id, target.model, usage.input, usage.cached, usage.cache_write, usage.output,
            usage.reasoning, usage.source, meter.first_token_ms, elapsed, cost, price, int(self.cached), max(meter.attempts, 1),
            self._machine, guard,
        )  # fmt: skip


def estimate(size: int) -> int:
    """Return about how many tokens a request of so many bytes holds."""
    return -(-size // _BYTES_A_TOKEN)


async def ask(
    exchange: Exchange, choice: Choice, route: str, content: bytes
) -> ClientResponse:  # fmt: skip
    """Ask an engine and return the head of its answer; the caller reads the rest, releases it, and calls ``send_ends``.

    A connection that was kept and turns out to be closed is no answer: a local engine is asked once more. One that sleeps for
    want of requests is woken.

    Raises:
        ClientError, OSError, TimeoutError: it does not answer.
        SnapmlError: it cannot be asked.
    """
    woken = False
    while True:
        way = exchange.desk.upstream.way(choice.deployment, choice.target)
        context = SimpleNamespace(reused=False)
        exchange.send_begins(choice, way)
        try:
            return await way.session.post(
                way.at(route), data=content, headers={**way.headers, "Content-Type": "application/json"},
                allow_redirects=False, timeout=ClientTimeout(total=max(exchange.left(), 0.01), sock_connect=2.0 if way.local else 10.0),
                trace_request_ctx=context,
            )  # fmt: skip
        except BaseException as error:
            exchange.send_ends()
            if isinstance(error, ServerDisconnectedError | ClientOSError) and context.reused and way.local:
                exchange.meter.attempts -= 1
                continue
            sleeps = choice.deployment.idle_seconds is not None and way.local and not woken
            if not (sleeps and isinstance(error, OSError)):
                raise
            woken = True
        await _wake(exchange, choice)


async def _wake(exchange: Exchange, choice: Choice) -> None:
    """Start a service that was stopped for want of requests, and wait until it is ready."""
    ws = exchange.desk.ws

    def started() -> None:
        try:
            job = idle.wake(ws, choice.deployment, choice.target)
            services.wait_ready(ws, job, timeout=_WAKE_SECONDS)
        finally:
            ws.ledger.close()

    asked = time.monotonic()
    try:
        await asyncio.to_thread(started)
    except SnapmlError as error:
        raise ConflictError(
            f"{choice.deployment.name} was asleep and did not wake: {error.message}", fix=error.fix
        ) from error
    exchange.seconds += time.monotonic() - asked


def _worst(rate: Rate, usage: Usage | None, seconds: float) -> int | None:
    if rate.tokens is not None and usage is None:
        return None
    return rate.worst(usage or Usage(0, 0, 0, 0, 0, "estimated"), seconds)


def _header(request: web.Request, name: str) -> str | None:
    """Read one of our own headers, percent-encoded because a notebook's name may hold any character."""
    value = request.headers.get(name)
    if value is None:
        return None
    return (
        unquote(value)[:_LONGEST_ORIGIN].encode("utf-8", "replace").decode()
    )  # raw bytes come as lone surrogates


def limited(desk: Desk, request: web.Request, key: Key, deployment: Deployment, route: str) -> None:
    """Tell a collector, where there is one, that a limit kept a request out; the books do not have it."""
    if desk.telemetry.on:
        target = deployment.target
        opening = Opening(
            ids.new(), clock.now(), deployment.name, target.model, route, key.id, key.terms.project, _header(request, _NOTEBOOK),
            _header(request, _CELL), 0, target.id, None, None,
        )  # fmt: skip
        settlement = Settlement(
            429, "failed", target.id, target.model, None, None, None, None, None, "unknown", None, 0.0, 0,
            "over a limit: nothing was sent", 0, 0, None, None,
        )  # fmt: skip
        desk.telemetry.settled(
            Settled(
                opening, settlement, (key.name, key.prefix), target.engine, target.options.get("provider"), target.source, None, 0,
                desk.telemetry.parent(request.headers),
            )
        )  # fmt: skip


def as_json(fields: Any) -> bytes:
    """Write JSON as it goes over the wire."""
    return _ENCODER.encode(fields).encode("utf-8", "surrogatepass")
