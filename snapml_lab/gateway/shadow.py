"""Copies of requests to models that are tried out unseen: asked, recorded, billed, and their answers thrown away."""

import asyncio
import logging
from collections.abc import Callable

from aiohttp import ClientError, web

from snapml_lab.costs.usage import Usage
from snapml_lab.errors import SnapmlError
from snapml_lab.gateway.exchange import Choice, Desk, Exchange, ask
from snapml_lab.gateway.metering import Meter
from snapml_lab.registry.deployments import Target

_MOST_AT_ONCE = 16
"""Copies under way at once; beyond that requests have none."""

_log = logging.getLogger(__name__)


class Shadows:
    """The copies of one gateway."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._tasks: set[asyncio.Task[None]] = set()

    def send(
        self, request: web.Request, exchange: Exchange, path: str, *, asked: Callable[[Target], bytes],
        bound: Callable[[Target], Usage | None], read: Callable[[Meter, bytes], None],
    ) -> None:  # fmt: skip
        """Send a copy of a request to each shadow of its deployment.

        Args:
            request: the caller's.
            exchange: the request that is copied.
            path: the engine's route.
            asked: what a target is sent.
            bound: the most that can use.
            read: reads the usage of an answer.
        """
        for target in exchange.deployment.targets:
            if target.shadow and len(self._tasks) < _MOST_AT_ONCE:
                copy = Exchange(
                    self.desk, request, exchange.key, exchange.deployment, f"{exchange.route} (shadow)", streamed=False
                )  # fmt: skip
                copy.choice = Choice(exchange.deployment, target)
                copy.meter.estimate = exchange.meter.estimate
                task = asyncio.create_task(self._sent(copy, path, asked, bound, read))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _sent(
        self, copy: Exchange, path: str, asked: Callable[[Target], bytes], bound: Callable[[Target], Usage | None],
        read: Callable[[Meter, bytes], None],
    ) -> None:  # fmt: skip
        try:
            content = asked(copy.choice.target)
            await copy.open([copy.choice], bound)
            answer = await ask(copy, copy.choice, path, content)
            try:
                said = await answer.read()
                if answer.status == 200:
                    read(copy.meter, said)
                    copy.meter.complete()
                else:
                    copy.meter.fail(answer.status)
            finally:
                answer.release()
        except (ClientError, OSError, TimeoutError, SnapmlError, ValueError):
            copy.meter.fail(503)
        except asyncio.CancelledError:
            copy.meter.hang_up()
            raise
        except Exception:
            _log.exception("the shadow of a request to %s", copy.deployment.name)
        finally:
            copy.settle()

    async def close(self) -> None:
        """End the copies that are under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
