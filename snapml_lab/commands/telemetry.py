"""Commands about telemetry: where the gateway sends a span for each request, and figures."""

import importlib.util
import os
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from snapml_lab.commands.core import command
from snapml_lab.errors import MissingExtraError
from snapml_lab.gateway import collector
from snapml_lab.gateway.collector import Collector
from snapml_lab.governance.roles import Effect
from snapml_lab.views.base import View
from snapml_lab.workspace import Workspace


class TelemetryView(View):
    """Where the gateway sends to.

    ``source`` is ``catalog`` where an address is declared, ``environment`` where OpenTelemetry's variables name it (here, as this
    process has them), else ``off``, and ``why`` says why. ``headers_env`` names the variable with the headers; they are never here.
    """

    source: str
    traces: str | None
    metrics: str | None
    headers_env: str | None
    why: str | None

    @classmethod
    def of(cls, ws: Workspace) -> "TelemetryView":
        """Read what is declared, and this process's variables."""
        found = collector.route(collector.get(ws), os.environ)
        source = "off" if found.why is not None else "catalog" if found.declared else "environment"
        return cls(
            source=source, traces=_shown(found.traces), metrics=_shown(found.metrics), headers_env=found.headers_env, why=found.why,
        )  # fmt: skip

    def text(self) -> str:
        """A line for each kind, and from when on it holds."""
        if self.why is not None:
            return f"Nothing is sent: {self.why}."
        lines = [f"spans to    {self.traces or 'nowhere'}", f"figures to  {self.metrics or 'nowhere'}"]
        if self.headers_env is not None:
            lines.append(f"headers     ${self.headers_env}, as the gateway was started with it")
        if self.source == "environment":
            lines.append("as this process's variables say; a gateway goes by those it was started with")
        return "\n".join(
            [*lines, "A running gateway follows within a second; no text of a prompt or an answer is sent."]
        )


@command("telemetry show", effect=Effect.READ)
def show(ws: Workspace) -> TelemetryView:
    """Show where the gateway sends a span for each request; what became of them is in its /metrics (snapml_telemetry_spans)."""
    return TelemetryView.of(ws)


@command("telemetry set", effect=Effect.ADMIN)
def set_telemetry(
    ws: Workspace,
    endpoint: Annotated[str, Field(min_length=1, max_length=500)] | None = None,
    *,
    headers_env: str | None = None,
    spans_only: bool = False,
) -> TelemetryView:
    """Send a span for each request, and figures, to an OpenTelemetry collector (OTLP over HTTP): tokens, cost, time, who asked.

    Args:
        endpoint: its address, as http://localhost:4318; default: what the gateway's OTEL_EXPORTER_OTLP_ENDPOINT says.
        headers_env: the environment variable that holds headers for it (name=value,name=value), where the gateway is started.
        spans_only: send no figures; some that take spans do not take these.
    """
    if not _installed():
        raise MissingExtraError.of("opentelemetry.exporter.otlp.proto.http", "otel")
    collector.declare(ws, Collector(endpoint, headers_env, metrics=not spans_only))
    return TelemetryView.of(ws)


@command("telemetry off", effect=Effect.ADMIN)
def turn_off(ws: Workspace) -> TelemetryView:
    """Send nothing, whatever the gateway's variables say; telemetry set turns it on again."""
    collector.declare(ws, Collector(on=False))
    return TelemetryView.of(ws)


def _shown(url: str | None) -> str | None:
    """Return an address without what may be secret in it: a variable's may hold a password, or a key as a query."""
    if url is None:
        return None
    try:
        found = urlsplit(url)
    except ValueError:
        return "…"
    return f"{found.scheme}://{found.netloc.rpartition('@')[2]}{found.path}"


def _installed() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ImportError:
        return False
