"""Telling a collector of requests that were settled, without a request ever waiting for it.

The event loop puts a settled request into a queue that holds only so many; a thread of its own makes spans of them, and
OpenTelemetry's sends these in batches. A collector that is slow or gone costs spans, which ``/metrics`` counts, and nothing
else. OpenTelemetry is imported in that thread, and only where something is to be sent.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import Counter

from snapml_lab.errors import SnapmlError
from snapml_lab.gateway import collector
from snapml_lab.gateway.collector import Route
from snapml_lab.gateway.semconv import Settled
from snapml_lab.registry import deployments
from snapml_lab.workspace import Workspace

_MOST = 2048
"""OTEL_BSP_MAX_QUEUE_SIZE, where it is not set (OpenTelemetry specification, "Batch Span Processor")."""
_FLUSH_SECONDS = 2.0
"""A service is given five to end (:func:`snapml_lab.engines.services.stop`), and its books come first."""
_LONGEST_PARENT = (100, 512)
"""A ``traceparent`` has 55 characters, and of a ``tracestate`` at least 512 are passed on (W3C Trace Context, 3.2 and 3.3.1.5)."""

_log = logging.getLogger(__name__)


class Telemetry:
    """What one gateway tells. Methods are for the event loop's thread, but :meth:`close`.

    Args:
        ws: the workspace.
        spans: counts spans by what became of them: ``sent``, ``failed``, ``dropped``.
    """

    def __init__(self, ws: Workspace, spans: Counter) -> None:
        self.ws = ws
        self._spans = spans
        self._path = os.fspath(ws.root / "catalog" / f"{collector.KIND}.json")
        self._stamp: tuple[int, int, int] | None = (-1, -1, -1)
        self._route = Route()
        self._line: _Line | None = None

    @property
    def on(self) -> bool:
        """Whether anything is told."""
        return self._line is not None and not self._line.broken

    def look(self) -> None:
        """Begin, end or send elsewhere, as the declaration has become; it is read again when its file has changed."""
        try:
            found = os.stat(self._path)
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            stamp = None
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            route = collector.route(collector.get(self.ws), os.environ)
        except SnapmlError as error:
            _log.warning("telemetry goes on as before: %s", error)
            return
        if route == self._route:
            return
        before, self._route = self._line, route
        self._line = None if route.why is not None else _Line(self.ws, route, self._spans)
        if before is not None:
            threading.Thread(target=before.close, name="telemetry's end", daemon=True).start()

    def parent(self, headers: Mapping[str, str]) -> tuple[str, str] | None:
        """Return the caller's ``traceparent`` and ``tracestate``, where spans are made; whether they are good is seen later."""
        if not self.on:
            return None
        parent, state = headers.get("traceparent", ""), headers.get("tracestate", "")
        if not parent or len(parent) > _LONGEST_PARENT[0]:
            return None
        return parent, state if len(state) <= _LONGEST_PARENT[1] else ""

    def settled(self, settled: Settled) -> None:
        """Tell of a request; where too many wait, it is dropped."""
        if self._line is not None:
            self._line.put(settled)

    def close(self) -> None:
        """Send what waits, for as long as that may take; blocks."""
        line, self._line = self._line, None
        if line is not None:
            line.close()


class _Line:
    """A thread that sends to one collector.

    Attributes:
        broken: whether it ended by itself, for something it needs is not there.
    """

    def __init__(self, ws: Workspace, route: Route, spans: Counter) -> None:
        self.broken = False
        self._ws, self._route, self._spans = ws, route, spans
        self._most = collector.number_in("OTEL_BSP_MAX_QUEUE_SIZE", _MOST)
        # Each is written by one thread only: requests let in by the loop's, those that wait no more by two others.
        self._entered = 0
        self._unwanted = 0
        self._delivered = 0
        self._waiting: queue.SimpleQueue[Settled | None] = queue.SimpleQueue()
        self._give_up: Callable[[], None] | None = None
        for outcome in ("sent", "failed", "dropped"):
            spans.labels(outcome)
        self._thread = threading.Thread(target=self._work, name="telemetry", daemon=True)
        self._thread.start()

    def put(self, settled: Settled) -> None:
        if self.broken or self._entered - self._unwanted - self._delivered >= self._most:
            self._spans.labels("dropped").inc()
            return
        self._entered += 1
        self._waiting.put(settled)

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join(_FLUSH_SECONDS)
        if self._thread.is_alive():
            _log.warning("the collector did not take all that waited")
            if self._give_up is not None:
                self._give_up()

    def _work(self) -> None:
        try:
            from snapml_lab.gateway.otlp import Sender

            sender = Sender(self._route, self._most, self._gone, partial(deployments.socket_path, self._ws))
            self._give_up = sender.give_up
        except ImportError as error:
            self.broken = True
            _log.warning("nothing is told to a collector: %s. pip install 'snapml-lab[otel]'", error)
            return
        except Exception:
            self.broken = True
            _log.exception("nothing is told to a collector")
            return
        while (settled := self._waiting.get()) is not None:
            try:
                sender.send(settled)
            except Exception:
                self._gone(1, None)
                _log.exception("request %s has no span", settled.opening.id)
        sender.close()

    def _gone(self, number: int, outcome: str | None) -> None:
        if outcome is None:
            self._unwanted += number
        else:
            self._delivered += number
            self._spans.labels(outcome).inc(number)
