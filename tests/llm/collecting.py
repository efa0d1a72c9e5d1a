"""A collector that takes what OpenTelemetry sends over HTTP, as protocol buffers, and keeps it."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .home import until


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes of a message as a dictionary."""
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


class Collecting:
    """A collector on the loopback.

    Attributes:
        headers: of each request.
        bodies: each request's bytes.
        hold: while it is clear, requests are not answered.
    """

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.hold = threading.Event()
        self.hold.set()
        self._got: dict[str, list[bytes]] = {"/v1/traces": [], "/v1/metrics": []}
        ours = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                ours.headers.append({name.lower(): value for name, value in self.headers.items()})
                ours.bodies.append(body)
                ours._got[self.path].append(body)
                ours.hold.wait(60)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def spans(self) -> list[Any]:
        """All spans, in the order in which they came; each with ``told``, its attributes, and whence it came."""
        found = []
        for body in list(self._got["/v1/traces"]):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    found += [
                        Seen(span, plain(resource.resource.attributes), scope.schema_url)
                        for span in scope.spans
                    ]
        return found

    def wait(self, number: int) -> "list[Seen]":
        """Wait for so many spans; there must not be more."""
        found: list[Seen] = until(
            lambda: (now := self.spans()) and len(now) >= number and now, what=f"{number} spans"
        )
        assert len(found) == number
        return found

    def points(self, metric: str) -> list[Any]:
        """The newest points of a histogram, each with its attributes."""
        for body in reversed(self._got["/v1/metrics"]):
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    for found in scope.metrics:
                        if found.name == metric:
                            return [(point, plain(point.attributes)) for point in found.histogram.data_points]
        return []


class Seen:
    """A span as it came."""

    def __init__(self, span: Any, resource: dict[str, Any], schema: str) -> None:
        self.span, self.resource, self.schema = span, resource, schema
        self.told = plain(span.attributes)
        self.name: str = span.name
        self.failed: bool = span.status.code == 2
