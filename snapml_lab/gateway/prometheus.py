"""What the gateway tells Prometheus: counts and times by deployment. The names of its own; those of engines stay theirs."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from snapml_lab import money
from snapml_lab.gateway.books import Settlement

CONTENT_TYPE = CONTENT_TYPE_LATEST
_FIRST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WHOLE = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Gauges:
    """The metrics of one gateway."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self._registry}
        by = ["deployment"]
        self.open = Gauge("snapml_requests_open", "Requests under way", by, **made)
        self._requests = Counter("snapml_requests", "Requests that ended", [*by, "ended", "status"], **made)
        self._tokens = Counter("snapml_tokens", "Tokens, in disjoint buckets", [*by, "bucket"], **made)
        self._dollars = Counter("snapml_cost_dollars", "Known cost", by, **made)
        self._unknown = Counter("snapml_cost_unknown", "Requests without a known cost", by, **made)
        self._cached = Counter(
            "snapml_cache_hits", "Requests answered with what was answered before", by, **made
        )
        self._first = Histogram(
            "snapml_first_token_seconds", "Time to the first token", by, buckets=_FIRST, **made
        )
        self._whole = Histogram(
            "snapml_request_seconds", "Time of whole requests", by, buckets=_WHOLE, **made
        )
        self.refused = Counter("snapml_refused", "Requests that were not let in", ["code"], **made)
        self.spans = Counter(
            "snapml_telemetry_spans", "Spans for a collector, by what became of them", ["outcome"], **made
        )
        self._children: dict[tuple[str, ...], Any] = {}

    def settled(self, deployment: str, settlement: Settlement) -> None:
        """Count a request that has ended."""
        self._of(self._requests, deployment, settlement.ended, str(settlement.status)).inc()
        self._of(self._whole, deployment).observe(settlement.duration_ms / 1000)
        if settlement.first_token_ms is not None:
            self._of(self._first, deployment).observe(settlement.first_token_ms / 1000)
        for bucket in ("input", "cached", "cache_write", "output", "reasoning"):
            if count := getattr(settlement, f"{bucket}_tokens"):
                self._of(self._tokens, deployment, bucket).inc(count)
        if settlement.cost_pico is None:
            self._of(self._unknown, deployment).inc()
        elif settlement.cost_pico:
            self._of(self._dollars, deployment).inc(settlement.cost_pico / money.PICO)
        if settlement.cached:
            self._of(self._cached, deployment).inc()

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)

    def _of(self, metric: Any, *labels: str) -> Any:
        """Return a metric with its labels; looked up once, for that costs most of counting."""
        key = (metric._name, *labels)  # noqa: SLF001 - its name, which it has no other way to tell
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = metric.labels(*labels)
        return found
