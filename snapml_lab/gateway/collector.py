"""Where the gateway's spans and figures go: a collector declared in the catalog, or named by OpenTelemetry's own variables.

Nothing of OpenTelemetry is imported here. Declared is the address, and the name of the variable that holds its headers; never
a header itself. Prompts and answers are not told to a collector at all: what is to be kept of them is captured
(:mod:`snapml_lab.guardrails.capture`).

Source of the variables: OpenTelemetry specification 1.56, "Environment Variable Specification" and "OTLP Exporter".
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from snapml_lab.errors import InvalidInputError
from snapml_lab.workspace import Workspace

KIND = "telemetry"
NAME = "collector"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_NEAR = (".localhost", ".local", ".internal", ".lan", ".svc", ".home.arpa")
_LONGEST = 500
_SPOKEN = ("", "http/protobuf")


@dataclass(frozen=True)
class Collector:
    """What is declared.

    Attributes:
        endpoint: what ``/v1/traces`` and ``/v1/metrics`` are put after; None is what the gateway's variables name.
        headers_env: the variable of the gateway that holds the headers for it, as ``name=value,name=value``.
        metrics: whether figures go there, beside spans.
        on: whether anything is sent.
    """

    endpoint: str | None = None
    headers_env: str | None = None
    metrics: bool = True
    on: bool = True


@dataclass(frozen=True)
class Route:
    """Where a gateway sends to.

    Attributes:
        traces: the address for spans; None where none are sent.
        metrics: the address for figures; None where none are sent.
        headers_env: the variable with the headers for a declared address.
        declared: whether the catalog names the address; otherwise OpenTelemetry's variables do, and say which headers.
        why: why nothing is sent, where that is so.
    """

    traces: str | None = None
    metrics: str | None = None
    headers_env: str | None = None
    declared: bool = False
    why: str | None = None


def declare(ws: Workspace, collector: Collector) -> Collector:
    """Set where the gateway sends to.

    Raises:
        InvalidInputError: it is no address to send to, or no variable's name.
    """
    if collector.headers_env is not None:
        if collector.endpoint is None:
            raise InvalidInputError.of(
                "headers_env", collector.headers_env, "an address that the headers are for",
                "Give the address, too; headers for the one in OTEL_EXPORTER_OTLP_ENDPOINT are in OTEL_EXPORTER_OTLP_HEADERS.",
            )  # fmt: skip
        if not _VARIABLE.fullmatch(collector.headers_env):
            raise InvalidInputError.of(
                "headers_env", "…", "the name of an environment variable, not the headers themselves",
                "Put them into a variable, as COLLECTOR_HEADERS=api-key=…, and name that.",
            )  # fmt: skip
    if collector.endpoint is not None:
        _check(collector.endpoint)
    ws.catalog.change(KIND, NAME, lambda _: asdict(collector))
    return collector


def get(ws: Workspace) -> Collector | None:
    """Return what is declared, None where nothing is.

    Raises:
        InvalidInputError: it cannot be read.
    """
    found = ws.catalog.find(KIND, NAME)
    if found is None:
        return None
    try:
        collector = Collector(**found)
        if collector.endpoint is not None:
            _check(collector.endpoint)
    except TypeError as error:
        raise InvalidInputError(
            f"The declaration of telemetry cannot be read: {error}.", fix="Set it again: snapml telemetry set"
        ) from error
    return collector


def route(collector: Collector | None, environment: Mapping[str, str]) -> Route:
    """Say where is sent to, by what is declared and a process's variables. What is declared goes before."""

    def told(name: str) -> str:
        return environment.get(name, "").strip()

    def exported(signal: str) -> bool:
        wanted = told(f"OTEL_{signal}_EXPORTER")
        return not wanted or "otlp" in wanted.split(",")

    def named(signal: str) -> str | None:
        own = told(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
        base = told("OTEL_EXPORTER_OTLP_ENDPOINT")
        return own or (f"{base.rstrip('/')}/v1/{signal.lower()}" if base else None)

    if collector is not None and not collector.on:
        return Route(why="it is turned off here: snapml telemetry set turns it on")
    if told("OTEL_SDK_DISABLED").lower() == "true":
        return Route(why="OTEL_SDK_DISABLED is set")
    figures = collector is None or collector.metrics
    if collector is not None and collector.endpoint is not None:
        base = collector.endpoint.rstrip("/")
        return Route(
            f"{base}/v1/traces",
            f"{base}/v1/metrics" if figures else None,
            collector.headers_env,
            declared=True,
        )
    spoken = told("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or told("OTEL_EXPORTER_OTLP_PROTOCOL")
    traces = named("TRACES") if exported("TRACES") else None
    metrics = named("METRICS") if figures and exported("METRICS") else None
    if (traces or metrics) and spoken not in _SPOKEN:
        return Route(why=f"its protocol is to be {spoken}, and here only http/protobuf is spoken")
    why = None if traces or metrics else "no address is declared, nor in OTEL_EXPORTER_OTLP_ENDPOINT"
    return Route(traces, metrics, why=why)


def number_in(variable: str, otherwise: int) -> int:
    """Return a variable of this process as a whole number of 1 or more; ``otherwise`` where it is none."""
    try:
        return max(int(os.environ.get(variable, otherwise)), 1)
    except ValueError:
        return otherwise


def _check(url: str) -> None:
    """Look at an address as it is written.

    Raises:
        InvalidInputError: it is not http or https, holds a password, a query or a fragment, or is http of another network.
    """
    shown = url if "@" not in url else "…"  # a password is not repeated
    try:
        found = urlsplit(url)
        host, _ = found.hostname or "", found.port
    except ValueError as error:
        raise InvalidInputError.of("endpoint", shown, f"an address ({error})") from error
    if len(url) > _LONGEST or any(c.isspace() or not c.isprintable() for c in url):
        raise InvalidInputError.of("endpoint", shown, f"an address of at most {_LONGEST} visible characters")
    if found.username is not None or found.password is not None:
        raise InvalidInputError.of(
            "endpoint", shown, "an address without a name or password in it", "Name a variable with the header: --headers-env",
        )  # fmt: skip
    if found.scheme not in ("http", "https") or not host or found.query or found.fragment:
        raise InvalidInputError.of("endpoint", shown, "an address as http://localhost:4318")
    if found.scheme == "http" and not _is_near(host):
        raise InvalidInputError.of(
            "endpoint", shown, "https; http only within this machine or its network", "Use https://…"
        )


def _is_near(host: str) -> bool:
    """Say whether a host is of this machine or its network, as far as its name tells."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.lower().rstrip(".").endswith(_NEAR)
