"""Engines that hang: they listen, say that they are well, and give nothing to those who wait. Found out, and started anew.

An engine is suspect once requests have been with it for a minute and none of them got a token nor an end; one that makes one
answer after the other, only after as long as an answer may take. It is then asked for one token, or one row, itself. Only
where that does not come either is its service killed and started again, with a pause that grows as for any other fall.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from functools import partial

from snapml_lab.engines import base, services
from snapml_lab.errors import SnapmlError
from snapml_lab.gateway.exchange import Desk, Exchange
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import State
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Target
from snapml_lab.workspace import Workspace

LOOK_SECONDS = 2.0
QUIET_SECONDS = 60.0
CANARY_SECONDS = 30.0

_log = logging.getLogger(__name__)


@dataclass
class _Quiet:
    """How far the requests of an engine were when it last gave something: ``since`` on the monotonic clock."""

    since: float
    answered: int
    tokens: dict[str, int]


@dataclass(frozen=True)
class Suspect:
    """An engine that may hang: its service's name, one of those who wait for it, how many do, and for how many seconds."""

    service: str
    target: Target
    waiting: int
    seconds: float


class Stalls:
    """The watch over the engines of one gateway. For the event loop's thread."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._quiet: dict[str, _Quiet] = {}

    async def watch(self) -> None:
        """Look now and then, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.gather(*(self._examine(suspect) for suspect in self.look(time.monotonic())))

    def look(self, now: float) -> list[Suspect]:
        """Return the engines whose requests have got nothing for too long."""
        waiting: dict[str, list[Exchange]] = {}
        for exchange in self._desk.under_way.values():
            if exchange.way is not None and exchange.way.local:
                waiting.setdefault(exchange.way.name, []).append(exchange)
        self._quiet = {name: quiet for name, quiet in self._quiet.items() if name in waiting}
        found = []
        for name, exchanges in waiting.items():
            answered = self._desk.upstream.clock(name).answered
            tokens = {item.meter.id: item.meter.tokens_so_far() or 0 for item in exchanges}
            quiet = self._quiet.get(name)
            if quiet is None or quiet.answered != answered or _more(tokens, quiet.tokens):
                self._quiet[name] = _Quiet(now, answered, tokens)
                continue
            quiet.tokens = tokens
            if now - quiet.since >= max(map(_patience, exchanges)):
                target = exchanges[0].choice.target
                found.append(Suspect(name, target, len(exchanges), now - quiet.since))
        return found

    async def _examine(self, suspect: Suspect) -> None:
        try:
            await asyncio.to_thread(partial(mend, self._desk.ws, suspect))
        except Exception:
            _log.exception("a look at %s, which gives nothing", suspect.service)
        self._quiet.pop(suspect.service, None)


def _more(tokens: dict[str, int], before: dict[str, int]) -> bool:
    return any(number > before.get(identifier, 0) for identifier, number in tokens.items())


def _patience(exchange: Exchange) -> float:
    engine = base.of(exchange.choice.target.engine)
    return QUIET_SECONDS if engine.at_once else max(QUIET_SECONDS, exchange.choice.deployment.timeout_seconds)


def mend(ws: Workspace, suspect: Suspect) -> bool:
    """Ask an engine for a sign of life, and have it started anew where none comes; say whether that was done. It blocks."""
    try:
        job = services.live(ws, services.ENDPOINT, suspect.service)
        answers = base.of(suspect.target.engine).answers
        if job is None or job.state is not State.RUNNING or answers is None:
            return False  # it is being started, or is somebody else's
        name = suspect.service.partition("/")[0]
        if answers(deployments.socket_path(ws, suspect.service), name, suspect.target, CANARY_SECONDS):
            return False
        many = "a request" if suspect.waiting == 1 else f"{suspect.waiting} requests"
        why = (
            f"gave nothing to {many} for {suspect.seconds:.0f} s, nor to a canary for {CANARY_SECONDS:.0f} s"
        )
        _log.warning("%s %s: it is started anew", suspect.service, why)
        queue.restart(ws, job, why)
    except SnapmlError as error:
        _log.warning("%s: %s", suspect.service, error)
        return False
    finally:
        ws.ledger.close()
    return True
