"""Where spans go, and what one says."""

import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from snapml_lab.commands import telemetry
from snapml_lab.errors import InvalidInputError, MissingExtraError
from snapml_lab.gateway import collector, semconv
from snapml_lab.gateway.books import Opening, Settlement
from snapml_lab.gateway.collector import Collector
from snapml_lab.gateway.semconv import Settled
from snapml_lab.gateway.telemetry import Telemetry
from snapml_lab.workspace import Workspace

HERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://here:4318/"}
DECLARED = Collector("https://api.example.com/otel/", "HEADERS")
ROUTES: dict[str, tuple[Collector | None, dict[str, str], str | None, str | None]] = {
    "nothing": (None, {}, None, None),
    "the variable": (None, HERE, "http://here:4318/v1/traces", "http://here:4318/v1/metrics"),
    "a signal's own": (
        None, {**HERE, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://there/x"}, "http://there/x", "http://here:4318/v1/metrics"),
    "traces alone": (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://there/x"}, "http://there/x", None),
    "figures not wanted": (None, {**HERE, "OTEL_METRICS_EXPORTER": "none"}, "http://here:4318/v1/traces", None),
    "spans not wanted": (None, {**HERE, "OTEL_TRACES_EXPORTER": "none"}, None, "http://here:4318/v1/metrics"),
    "another protocol": (None, {**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, None, None),
    "this protocol": (
        None, {**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http://here:4318/v1/traces",
        "http://here:4318/v1/metrics"),
    "declared": (
        DECLARED, {**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "https://api.example.com/otel/v1/traces",
        "https://api.example.com/otel/v1/metrics"),
    "declared without figures": (Collector("http://localhost:4318", metrics=False), {}, "http://localhost:4318/v1/traces", None),
    "declared as the variables say": (Collector(metrics=False), HERE, "http://here:4318/v1/traces", None),
    "disabled": (DECLARED, {"OTEL_SDK_DISABLED": "TRUE"}, None, None),
    "declared off": (Collector(on=False), HERE, None, None),
}  # fmt: skip


@pytest.mark.parametrize("what", ROUTES)
def test_what_is_declared_goes_before_the_variables(what: str) -> None:
    declared, environment, traces, metrics = ROUTES[what]
    found = collector.route(declared, environment)
    assert (found.traces, found.metrics) == (traces, metrics)
    assert (found.why is None) == (traces is not None or metrics is not None)
    assert found.headers_env == ("HEADERS" if what == "declared" else None)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:4318", "http://127.0.0.1:4318", "http://[::1]:4318", "http://10.0.0.7", "http://collector:4318",
        "http://otel.monitoring.svc:4318", "https://api.example.com/otel",
    ],
)  # fmt: skip
def test_an_address_of_ones_own_or_with_tls_is_taken(tmp_path: Path, url: str) -> None:
    ws = Workspace(tmp_path / ".snapml")
    collector.declare(ws, Collector(url))
    assert collector.get(ws) == Collector(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com", "http://8.8.8.8:4318", "ftp://localhost", "localhost:4318", "https://", "https://a.b/?key=x",
        "https://a.b/#x", "https://user:secret@a.b", "https://a.b:port", "https://a.b/ c", "https://a.b/\x1b", "https://" + "a" * 500,
    ],
)  # fmt: skip
def test_other_addresses_are_refused_and_no_password_repeated(tmp_path: Path, url: str) -> None:
    ws = Workspace(tmp_path / ".snapml")
    with pytest.raises(InvalidInputError) as caught:
        collector.declare(ws, Collector(url))
    assert "secret" not in str(caught.value)
    assert collector.get(ws) is None


def test_no_secret_of_a_variables_address_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://ann:secret@a.b:99/v1?key=secret")
    shown = telemetry.show(Workspace(tmp_path / ".snapml"))
    assert (shown.source, shown.traces) == ("environment", "https://a.b:99/v1")
    assert "secret" not in shown.text() + shown.html()


def test_without_the_packages_the_command_says_what_to_install_and_a_gateway_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = Workspace(tmp_path / ".snapml")
    monkeypatch.setitem(sys.modules, "snapml_lab.gateway.otlp", None)  # as if an import in it failed
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError) as caught:
        telemetry.set_telemetry(ws, "http://localhost:4318")
    assert "snapml-lab[otel]" in caught.value.fix
    assert collector.get(ws) is None

    collector.declare(ws, Collector("http://localhost:4318"))  # as a catalog that came by git
    told = Telemetry(ws, Counter("spans", "Spans", ["outcome"], registry=CollectorRegistry()))
    told.look()
    deadline = time.monotonic() + 60
    while told.on:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    told.settled(settled())
    assert told.parent({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}) is None
    told.close()


def test_headers_are_named_by_their_variable(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / ".snapml")
    for made in (Collector("https://a.b", "api-key=very-secret"), Collector(None, "HEADERS")):
        with pytest.raises(InvalidInputError) as caught:
            collector.declare(ws, made)
        assert "very-secret" not in str(caught.value)


def test_a_declaration_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / ".snapml")
    for fields in ({"address": "https://a.b"}, {"endpoint": "http://api.example.com"}):
        ws.catalog.change(collector.KIND, collector.NAME, lambda _, fields=fields: fields)
        with pytest.raises(InvalidInputError):
            collector.get(ws)


def settled(route: str = "/v1/chat/completions", **others: Any) -> Settled:
    opening = Opening(
        "id", 1000.5, "chat", "gpt", route, "key", None, "a\udcff.ipynb", None, 0, "r1", 7, None
    )
    settlement = Settlement(
        200, "complete", "r1", "gpt-4o", 4, 5, 2, 3, 1, "metered", 20.0, 1500.0, 10**9, "declared", 0, 1, None, None
    )  # fmt: skip
    fields = {
        "opening": opening, "settlement": settlement, "key": ("ann", "sk-snapml-abcd"), "engine": "openai", "provider": "far",
        "source": "gpt-4o-2024", "address": "https://api.openai.com/v1", "attempts": 1, "parent": None,
    }  # fmt: skip
    return Settled(**{**fields, **others})  # type: ignore[arg-type]


def test_tokens_that_the_books_have_apart_are_counted_as_the_conventions_do() -> None:
    told = semconv.span(settled()).attributes
    assert {name.removeprefix("gen_ai.usage."): value for name, value in told.items() if "usage." in name} == {
        "input_tokens": 11, "output_tokens": 4, "cache_read.input_tokens": 5, "cache_creation.input_tokens": 2,
        "reasoning.output_tokens": 1,
    }  # fmt: skip
    assert told["snapml.cost.usd"] == 0.001


def test_a_span_has_the_requests_own_times_and_a_text_that_can_be_written() -> None:
    told = semconv.span(settled())
    assert (told.begun, told.ended) == (1_000_500_000_000, 1_002_000_000_000)
    assert told.attributes["snapml.notebook"] == "a?.ipynb"


@pytest.mark.parametrize(
    ("address", "provider", "server"),
    [
        ("https://api.openai.com/v1", "openai", ("api.openai.com", 443)),
        ("https://mine.openai.azure.com/openai/v1", "azure.ai.openai", ("mine.openai.azure.com", 443)),
        ("http://10.0.0.7:8000/v1", "far", ("10.0.0.7", 8000)),
        (None, "far", (None, None)),
    ],
)
def test_a_provider_goes_by_the_conventions_name(
    address: str | None, provider: str, server: tuple[Any, Any]
) -> None:
    told = semconv.span(settled(address=address)).attributes
    assert told["gen_ai.provider.name"] == provider
    assert (told.get("server.address"), told.get("server.port")) == server
    assert told["gen_ai.response.model"] == "gpt-4o-2024"


@pytest.mark.parametrize(
    ("route", "name"),
    [
        ("/v1/chat/completions", "chat chat"), ("/v1/completions", "text_completion chat"), ("/v1/embeddings", "embeddings chat"),
        ("/v2/infer", "infer chat"), ("/v1/chat/completions (shadow)", "chat chat"),
    ],
)  # fmt: skip
def test_a_span_is_named_after_what_was_asked_for(route: str, name: str) -> None:
    told = semconv.span(settled(route))
    assert told.name == name
    assert told.attributes.get("snapml.shadow") == ("shadow" in route or None)


def test_a_cost_that_is_not_known_is_not_told_as_nothing() -> None:
    unknown = settled()
    told = semconv.span(unknown._replace(settlement=unknown.settlement._replace(cost_pico=None))).attributes
    assert "snapml.cost.usd" not in told
