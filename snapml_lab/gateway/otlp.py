"""Spans and figures of settled requests to a collector, by OTLP over HTTP. Needs opentelemetry-sdk; for one thread of its own.

What leaves is bounded: the processor's queue never holds more than its maker lets in, and what the exporter could not deliver
is counted, not kept.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.re import parse_env_headers

from snapml_lab import __version__
from snapml_lab.gateway import semconv
from snapml_lab.gateway.collector import Route, number_in
from snapml_lab.gateway.semconv import Settled

_SCOPE = "snapml_lab.gateway"
_SERVICE = "snapml-gateway"
_BATCH = 512
"""OTEL_BSP_MAX_EXPORT_BATCH_SIZE, where it is not set; more than may wait is refused by the processor."""
_HEADERS = (
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
)

_log = logging.getLogger(__name__)

Gone = Callable[[int, str | None], None]
"""Told how many requests wait no more, and what became of their spans: ``sent``, ``failed``, None where none was wanted."""


class Sender:
    """A line to one collector.

    Args:
        route: where to.
        most: spans that may wait at once; whoever sends sees to it.
        gone: told of requests that wait no more; from the processor's thread, too.
        named: finds the socket of a service here by its name.
    """

    def __init__(self, route: Route, most: int, gone: Gone, named: Callable[[str], Path]) -> None:
        resource = _resource()
        headers = _headers(route)
        self._socket = cache(named)
        self._gone = gone
        self._spans: TracerProvider | None = None
        self._exporter: _Counting | None = None
        self._figures: OTLPMetricExporter | None = None
        self._meters: MeterProvider | None = None
        self._parents = TraceContextTextMapPropagator()
        self._histograms: dict[str, Any] = {}
        if route.traces is not None:
            self._exporter = _Counting(OTLPSpanExporter(route.traces, headers=headers), gone)
            self._spans = TracerProvider(resource=resource, shutdown_on_exit=False)
            batch = min(number_in("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", _BATCH), most)
            self._spans.add_span_processor(
                BatchSpanProcessor(self._exporter, most, max_export_batch_size=batch)
            )
            self._tracer = self._spans.get_tracer(_SCOPE, __version__, semconv.SCHEMA_URL)
        if route.metrics is not None:
            self._figures = OTLPMetricExporter(route.metrics, headers=headers)
            reader = PeriodicExportingMetricReader(self._figures)
            self._meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
            meter = self._meters.get_meter(_SCOPE, __version__, semconv.SCHEMA_URL)
            self._histograms = {
                semconv.TOKENS: meter.create_histogram(
                    semconv.TOKENS, "{token}", "Number of input and output tokens used.",
                    explicit_bucket_boundaries_advisory=semconv.TOKENS_BOUNDS,
                ),
                semconv.DURATION: meter.create_histogram(
                    semconv.DURATION, "s", "GenAI operation duration.",
                    explicit_bucket_boundaries_advisory=semconv.DURATION_BOUNDS,
                ),
            }  # fmt: skip

    def send(self, settled: Settled) -> None:
        """Make a request's span, and have it sent with others; a caller that does not sample its trace has none."""
        if settled.address is not None and "://" not in settled.address:
            settled = settled._replace(address=str(self._socket(settled.address)))
        if self._histograms:
            for figure in semconv.figures(settled):
                self._histograms[figure.name].record(figure.value, figure.attributes, context=Context())
        if self._spans is None or not self._made(settled):
            self._gone(1, None)

    def close(self) -> None:
        """Send what waits, and end; as long as the collector lets it take."""
        if self._spans is not None:
            self._spans.shutdown()
        if self._meters is not None:
            self._meters.shutdown()

    def give_up(self) -> None:
        """Have :meth:`close`, which another thread is in, try nothing more."""
        if self._exporter is not None:
            self._exporter.shutdown()
        if self._figures is not None:
            self._figures.shutdown()

    def _made(self, settled: Settled) -> bool:
        """Make the span; say whether it is on its way."""
        context = Context()
        if settled.parent is not None:
            carried = {"traceparent": settled.parent[0], "tracestate": settled.parent[1]}
            context = self._parents.extract(carried, context)
        told = semconv.span(settled)
        made = self._tracer.start_span(
            told.name, context, SpanKind.CLIENT, attributes=told.attributes, start_time=told.begun
        )  # fmt: skip
        on_its_way = made.get_span_context().trace_flags.sampled
        if told.failed:
            made.set_status(StatusCode.ERROR)
        made.end(told.ended)
        return on_its_way


class _Counting(SpanExporter):
    """An exporter that tells what became of what it was given."""

    def __init__(self, exporter: SpanExporter, gone: Gone) -> None:
        self._exporter = exporter
        self._gone = gone
        self._ended = threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; blocks for as long as the collector takes, and retries may."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._gone(len(spans), "sent" if result is SpanExportResult.SUCCESS else "failed")
        return result

    def shutdown(self) -> None:
        """Retry no more; once."""
        if self._ended.acquire(blocking=False):
            self._exporter.shutdown()


def _resource() -> Resource:
    """Return who sends: this product's gateway, unless OpenTelemetry's variables name it otherwise."""
    attributes = {"service.version": __version__}
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    if not named:
        attributes["service.name"] = _SERVICE
    return Resource.create(attributes)


def _headers(route: Route) -> dict[str, Any] | None:
    """Return the headers for a declared address: those of its variable alone.

    OpenTelemetry's own variables hold what is for another address, maybe a secret: None has ``requests`` leave a header out.
    """
    if not route.declared:
        return None
    found: dict[str, Any] = dict.fromkeys(
        name for variable in _HEADERS for name in parse_env_headers(os.environ.get(variable, ""), liberal=True)
    )  # fmt: skip
    if route.headers_env is not None:
        if route.headers_env not in os.environ:
            _log.warning(
                "the gateway has no variable %s, where the collector's headers are to be", route.headers_env
            )
        found |= parse_env_headers(os.environ.get(route.headers_env, ""), liberal=True)
    return found
