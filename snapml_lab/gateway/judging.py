"""A guardrail's judge: a deployment that is asked through this gateway's own door, for who is judged, in bounded time.

The judge's request has the key, the notebook and the cell of the request it judges, so that who caused it is billed for it. It
comes by a secret that holds for that one request alone: it is asked for no scope and counts in no rate, and its own
guardrails ask no judge, so that none can judge itself.
"""

import asyncio
import contextvars
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from snapml_lab.errors import ConflictError, SnapmlError
from snapml_lab.governance.keys import Key
from snapml_lab.guardrails import whole
from snapml_lab.registry.asking import Client
from snapml_lab.tracking.record import Origin

SECONDS = 30.0
"""All judges of one text together; what they have not said until then blocks it."""
_AT_ONCE = 32

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Judged:
    """A request whose texts are judged.

    Attributes:
        id: of the request.
        key: of its caller.
        origin: the notebook and the cell it came from.
        door: address and port at which the caller reached this gateway.
        by: ids of the judges' own requests.
    """

    id: str
    key: Key
    origin: Origin
    door: tuple[str, int]
    by: list[str] = field(default_factory=list)


_NOW: ContextVar[tuple[Judged, float]] = ContextVar("judged")
"""What is being judged in this thread, and when the judges' time is over."""


class Judges:
    """All judges of one gateway."""

    def __init__(self) -> None:
        self._open: dict[str, Judged] = {}
        # Threads of their own: those that wake a judge that sleeps must not wait for those that wait for it.
        self._pool = ThreadPoolExecutor(_AT_ONCE, "judge")

    async def run(self, judged: Judged, work: Callable[[], T]) -> T:
        """Do work that may ask judges about a request."""
        context = contextvars.copy_context()
        context.run(_NOW.set, (judged, time.monotonic() + SECONDS))
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, work)

    def asks(self, secret: str) -> Judged | None:
        """Return the request that a secret's bearer judges."""
        return self._open.get(secret)

    def ask(self, deployment: str, prompt: str) -> str:
        """Ask a deployment; in a thread of :meth:`run`.

        Raises:
            ConflictError: the time is over.
            SnapmlError: it does not answer, or not in time.
        """
        judged, until = _NOW.get()
        left = until - time.monotonic()
        if left <= 0:
            raise ConflictError(f"There was no time left to ask {deployment!r}.", fix="Ask again.")
        host, port = judged.door
        secret = secrets.token_urlsafe(24)
        client = Client(
            f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}", secret, judged.origin, left
        )
        self._open[secret] = judged
        try:
            identifier, answer = client.chat(whole.asked(deployment, prompt))
        except SnapmlError as error:
            _log.warning("the judge %s of request %s: %s", deployment, judged.id, error)
            raise
        finally:
            del self._open[secret]
        judged.by.append(identifier)
        return whole.said(answer)

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
