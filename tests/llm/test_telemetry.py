"""What a collector is told of requests: one span for each row of the bill, with its figures, and never at a request's cost."""

import http.client
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from snapml_lab.costs import budgets
from snapml_lab.gateway import collector
from snapml_lab.gateway.collector import Collector
from snapml_lab.governance import keys
from snapml_lab.guardrails import policies
from snapml_lab.registry import deployments
from snapml_lab.workspace import Workspace

from .collecting import Collecting, Seen
from .home import until
from .wire import (
    ABORT,
    CLOSE,
    DONE,
    END,
    HANG,
    HEAD,
    NAME,
    Wire,
    completion,
    delta,
    event,
    events,
    used,
    whole,
    wired,
)

WORDS = [event(delta("one ")), event(delta("two ")), event(delta("three"))]
USAGE = used(9, 4, 5)
STREAM = [HEAD, *WORDS, event(delta(finish="stop", usage=USAGE)), DONE, END]
WHOLE = whole(completion("one two three", USAGE))
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")


@pytest.fixture
def got() -> Iterator[Collecting]:
    with Collecting() as made:
        yield made


@pytest.fixture
def traced(tmp_path: Path, got: Collecting) -> Iterator[Wire]:
    """A gateway that tells a collector."""
    made = wired(tmp_path)
    collector.declare(made.ws, Collector(got.url))
    with made:
        yield made


def ask(
    wire: Wire, body: dict[str, Any] | None = None, path: str = "/v1/chat/completions", **headers: str
) -> int:
    """Ask with further headers, underscores as hyphens; return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", wire.port, timeout=60)
    asked = body if body is not None else {"model": NAME, "messages": [{"role": "user", "content": "hello"}]}
    told = {
        "Authorization": f"Bearer {wire.key}",
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    connection.request("POST", path, json.dumps(asked), told)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def agrees(seen: Seen, row: Any) -> None:
    """A span says what the row of the bill says."""
    told = seen.told
    read = None if row.input_tokens is None else row.input_tokens + (row.cached_tokens or 0)
    assert told["snapml.request.id"] == row.id
    assert (told.get("gen_ai.usage.input_tokens"), told.get("gen_ai.usage.output_tokens")) == (
        read,
        row.output_tokens,
    )
    assert told.get("gen_ai.usage.cache_read.input_tokens") == row.cached_tokens
    cost = told.get("snapml.cost.usd")
    assert (None if cost is None else round(cost * 10**12)) == row.cost_pico
    assert (told["snapml.usage"], told["snapml.ended"]) == (row.usage, row.ended)
    assert abs(seen.span.start_time_unix_nano / 1e9 - row.at) < 1e-3
    assert abs((seen.span.end_time_unix_nano - seen.span.start_time_unix_nano) / 1e6 - row.duration_ms) < 1e-2


def test_a_stream_and_a_whole_answer_are_a_span_each_that_says_what_the_bill_says(
    traced: Wire, got: Collecting
) -> None:
    assert traced.ask(WHOLE)[0] == 200
    assert traced.stream(STREAM)[-1] == "[DONE]"
    traced.one_row(2)
    one, other = got.wait(2)
    for seen, row in zip((one, other), traced.rows(), strict=True):
        agrees(seen, row)
        assert seen.told["gen_ai.usage.input_tokens"] == 9
        assert (seen.name, seen.span.kind, seen.failed) == (f"chat {NAME}", 3, False)
        assert seen.schema == "https://opentelemetry.io/schemas/1.41.0"
        assert seen.resource["service.name"] == "snapml-gateway"
        told = seen.told
        assert (told["gen_ai.operation.name"], told["gen_ai.provider.name"]) == ("chat", "transformers")
        assert (told["gen_ai.request.model"], told["gen_ai.response.model"]) == (NAME, "fake@1")
        assert told["server.address"] == str(traced.engine_path)
        assert (told["snapml.deployment"], told["snapml.target"]) == (NAME, "r1")
        assert told["snapml.key.name"] == "wire"
        assert traced.key.startswith(told["snapml.key.prefix"])
        assert "error.type" not in told
    assert "gen_ai.request.stream" not in one.told
    assert other.told["gen_ai.request.stream"] is True
    assert other.told["gen_ai.response.time_to_first_chunk"] == traced.rows()[1].first_token_ms / 1000
    assert one.span.trace_id != other.span.trace_id
    assert not one.span.parent_span_id


def test_figures_add_up_what_requests_used(traced: Wire, got: Collecting) -> None:
    assert traced.ask(WHOLE)[0] == 200
    assert traced.stream(STREAM)[-1] == "[DONE]"
    assert traced.ask(whole(b"no", 500))[0] == 502

    def seconds() -> dict[str | None, int]:
        points = got.points("gen_ai.client.operation.duration")
        return {told.get("error.type"): point.count for point, told in points}

    until(lambda: sum(seconds().values()) == 3, what="the figures of three requests")
    assert seconds() == {None: 2, "500": 1}
    tokens = {
        told["gen_ai.token.type"]: (point.count, point.sum)
        for point, told in got.points("gen_ai.client.token.usage")
    }
    assert tokens == {"input": (2, 18), "output": (2, 8)}
    (_, told), *_ = got.points("gen_ai.client.token.usage")
    assert set(told) == {
        "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "gen_ai.token.type",
        "server.address",
    }  # fmt: skip


BROKEN = {
    "an error after the first piece": (
        [HEAD, WORDS[0], event({"error": "out of memory"}), END],
        True,
        "engine_failed",
        200,
        1,
    ),
    "cut after two pieces": ([HEAD, *WORDS[:2], CLOSE], True, "engine_failed", 200, 2),
    "a fault": (whole({"detail": "out of memory"}, 500), False, "500", 500, None),
    "no JSON": (whole(b"[]"), False, "engine_error", 502, None),
    "nobody there": ([ABORT], False, "engine_unavailable", 503, None),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_goes_wrong_is_a_span_that_failed(traced: Wire, got: Collecting, what: str) -> None:
    script, streamed, code, status, output = BROKEN[what]
    if streamed:
        assert "error" in traced.stream(script)[-1]
    else:
        assert traced.ask(script)[0] >= 500
    (seen,) = got.wait(1)
    agrees(seen, traced.one_row())
    assert (seen.told["error.type"], seen.failed) == (code, True)
    assert seen.told["http.response.status_code"] == status
    assert seen.told.get("gen_ai.usage.output_tokens") == output
    assert seen.span.status.message == ""
    assert b"out of memory" not in b"".join(got.bodies)


def test_a_caller_that_leaves_has_a_span_with_what_was_generated(traced: Wire, got: Collecting) -> None:
    traced.script = [HEAD, *WORDS[:2], HANG]
    response = traced.begin({"stream": True})
    reading = events(response)
    assert len([next(reading) for _ in range(2)]) == 2
    response.hang_up()  # type: ignore[attr-defined]
    (seen,) = got.wait(1)
    agrees(seen, traced.one_row())
    assert (seen.told["error.type"], seen.failed, seen.told["snapml.ended"]) == ("cancelled", True, "hung_up")
    assert seen.told["gen_ai.usage.output_tokens"] == 2


def test_what_was_not_let_in_has_a_span_and_an_unknown_key_none(traced: Wire, got: Collecting) -> None:
    ws, own = traced.ws, traced.key
    traced.script = WHOLE
    budgets.declare(ws, "none", Decimal(0), "total", {})
    assert ask(traced, {"model": NAME, "messages": [], "max_tokens": 5}) == 402
    budgets.remove(ws, "none")
    policies.declare(
        ws,
        policies.Policy("strict", (policies.Rule("secrets", policies.Action.BLOCK, policies.Where.INPUT),)),
    )
    deployments.declare(ws, replace(deployments.get(ws, NAME), guardrails="strict"))
    secret = "sk-proj-" + "Ab3" * 16
    assert (
        ask(traced, {"model": NAME, "messages": [{"role": "user", "content": f"my key is {secret}"}]}) == 422
    )
    deployments.declare(ws, replace(deployments.get(ws, NAME), guardrails=None))
    traced.key = "sk-snapml-nobody"
    assert ask(traced) == 401
    _, traced.key = keys.create(ws, "slow", terms=keys.Terms(requests_per_minute=1))
    assert [ask(traced), ask(traced)] == [200, 429]
    traced.key = own

    over, blocked, let_in, kept_out = got.wait(4)
    assert [seen.told.get("error.type") for seen in (over, blocked, let_in, kept_out)] == [
        "insufficient_quota", "guardrail_blocked", None, "rate_limit_exceeded",
    ]  # fmt: skip
    for seen, row in zip((over, blocked, let_in), traced.rows(), strict=True):
        agrees(seen, row)
    for seen in (over, blocked, kept_out):
        assert (seen.failed, seen.told["snapml.attempts"], seen.told["snapml.cost.usd"]) == (True, 0, 0)
        assert not [
            name
            for name in seen.told
            if "tokens" in name or name in ("server.address", "gen_ai.response.model")
        ]
    assert kept_out.told["snapml.key.name"] == "slow"
    assert secret.encode() not in b"".join(got.bodies)


def test_an_answer_from_memory_is_a_span_without_tokens(traced: Wire, got: Collecting) -> None:
    deployments.declare(traced.ws, replace(deployments.get(traced.ws, NAME), cache_seconds=60.0))
    assert [traced.ask(WHOLE)[0], traced.ask([])[0]] == [200, 200]
    fresh, again = got.wait(2)
    assert ("snapml.cache.hit" in fresh.told, again.told["snapml.cache.hit"]) == (False, True)
    assert (again.told["snapml.cost.usd"], again.failed) == (0, False)
    assert "gen_ai.usage.input_tokens" not in again.told
    until(lambda: got.points("gen_ai.client.operation.duration"), what="figures")
    assert [point.count for point, _ in got.points("gen_ai.client.operation.duration")] == [1]


def test_an_inference_of_a_classic_model_is_a_span_of_our_own(traced: Wire, got: Collecting) -> None:
    deployments.declare(traced.ws, deployments.single(NAME, "stays@2", "predict", "binary", "blob"))
    traced.script = whole({"model_name": NAME, "outputs": []})
    assert ask(traced, {"inputs": []}, f"/v2/models/{NAME}/infer") == 200
    (seen,) = got.wait(1)
    assert (seen.name, seen.told["snapml.model"], seen.told["snapml.engine"]) == (
        f"infer {NAME}",
        "stays@2",
        "predict",
    )
    assert not [name for name in seen.told if name.startswith("gen_ai.")]


def test_a_span_is_its_callers_child_and_says_where_it_came_from(traced: Wire, got: Collecting) -> None:
    traced.script = WHOLE
    own = {"X_SnapML_Notebook": "caf%C3%A9.ipynb", "X_SnapML_Cell": "c1"}
    assert ask(traced, traceparent=f"00-{TRACE}-{PARENT}-01", tracestate="rojo=1", **own) == 200
    assert ask(traced, traceparent=f"00-{TRACE}-{PARENT}-00") == 200  # its caller does not sample it
    assert ask(traced, traceparent="00-nonsense-01", tracestate="x" * 2000) == 200
    assert ask(traced, traceparent="0" * 4000) == 200
    child, bad, long = got.wait(3)
    assert (child.span.trace_id.hex(), child.span.parent_span_id.hex()) == (TRACE, PARENT)
    assert child.span.trace_state == "rojo=1"
    assert (child.told["snapml.notebook"], child.told["snapml.cell"]) == ("café.ipynb", "c1")
    for seen in (bad, long):
        assert (seen.span.parent_span_id, seen.span.trace_state) == (b"", "")
        assert seen.span.trace_id.hex() != TRACE
    assert len(traced.rows()) == 4


def test_no_key_and_no_text_is_ever_told(
    tmp_path: Path, got: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLECTOR_HEADERS", "api-key=for-this-one,x-team=blue")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "other-key=for-another")
    made = wired(tmp_path)
    collector.declare(made.ws, Collector(got.url, "COLLECTOR_HEADERS"))
    with made as wire:
        asked = [{"role": "user", "content": "a question nobody else may read"}]
        assert wire.ask(whole(completion("an answer nobody else may read", USAGE)), messages=asked)[0] == 200
        assert wire.stream(STREAM, messages=asked)[-1] == "[DONE]"
        got.wait(2)
        until(lambda: got.points("gen_ai.client.token.usage"), what="figures")
        secret = wire.key
    seen = b"".join(got.bodies)
    for text in (secret, secret[14:], "nobody else may read", "for-this-one", "for-another"):
        assert text.encode() not in seen
    assert all(told["api-key"] == "for-this-one" and told["x-team"] == "blue" for told in got.headers)
    assert not [told for told in got.headers if "other-key" in told]
    assert "for-this-one" not in (made.ws.root / "catalog" / "telemetry.json").read_text()


def test_opentelemetrys_own_variables_are_enough(
    tmp_path: Path, got: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", got.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=theirs")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "the-shop")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    with wired(tmp_path) as wire:
        assert wire.ask(WHOLE)[0] == 200
        (seen,) = got.wait(1)
    assert seen.resource["service.name"] == "the-shop"
    assert [told["api-key"] for told in got.headers] == ["theirs"]
    assert got.points("gen_ai.client.token.usage") == []


def test_a_running_gateway_follows_what_is_declared(wire: Wire, got: Collecting) -> None:
    assert wire.ask(WHOLE)[0] == 200
    collector.declare(wire.ws, Collector(got.url))
    wire.script = WHOLE
    until(lambda: ask(wire) == 200 and got.spans(), what="a span")
    collector.declare(wire.ws, Collector(on=False))

    def told() -> int:
        return len(got.spans())

    def silent() -> bool:
        before = len(wire.rows()), told()
        assert ask(wire) == 200
        until(lambda: len(wire.rows()) > before[0], what="the row")
        time.sleep(0.3)  # longer than spans wait
        return told() == before[1]

    until(silent, what="an end of the spans")
    assert 0 < told() < len(wire.rows())


def counted(wire: Wire) -> dict[str, int]:
    """What became of spans, as /metrics tells."""
    connection = http.client.HTTPConnection("127.0.0.1", wire.port, timeout=60)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {wire.key}"})
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    found = [line for line in lines if line.startswith("snapml_telemetry_spans_total{")]
    return {line.split('"')[1]: int(float(line.rpartition(" ")[2])) for line in found}


@pytest.mark.parametrize("how", ["refuses", "hangs"])
def test_a_collector_that_is_down_costs_spans_and_nothing_else(
    tmp_path: Path, got: Collecting, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "50")
    got.hold.clear()
    made = wired(tmp_path)
    url = got.url if how == "hangs" else "http://127.0.0.1:9"
    collector.declare(made.ws, Collector(url, metrics=False))
    with made as wire:
        wire.script = WHOLE
        assert [ask(wire) for _ in range(30)] == [200] * 30
        wire.one_row(30)
        spans = counted(wire)
        assert spans["sent"] == 0
        assert spans["dropped"] > 0
        assert 30 - 8 <= spans["dropped"] + spans["failed"] <= 30, "no more than eight wait"
        begun = time.monotonic()
        wire.call(wire.end_gateway())
        assert time.monotonic() - begun < 25, "the collector is not waited for until its time is up"


def test_what_waits_is_sent_when_the_gateway_ends(
    tmp_path: Path, got: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "3600000")
    made = wired(tmp_path)
    collector.declare(made.ws, Collector(got.url))
    with made as wire:
        assert wire.ask(WHOLE)[0] == 200
        wire.one_row()
    assert len(got.spans()) == 1
    assert len(got.points("gen_ai.client.operation.duration")) == 1


SCRIPT = """
    import sys
    from pathlib import Path
    from tests.llm.home import until
    from tests.llm.wire import completion, used, whole, wired

    with wired(Path(sys.argv[1])) as wire:
        assert wire.ask(whole(completion("one", used(9, 4))))[0] == 200
        wire.one_row()
        wanted = sys.argv[2] == "on"
        if wanted:
            until(lambda: "opentelemetry.sdk.trace" in sys.modules)
        else:
            assert not [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]
"""


@pytest.mark.parametrize("how", ["on", "off", "disabled", "declared off"])
def test_opentelemetry_is_imported_only_where_it_is_asked_for(tmp_path: Path, how: str) -> None:
    told = {} if how == "off" else {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    if how == "disabled":
        told["OTEL_SDK_DISABLED"] = "true"
    if how == "declared off":
        collector.declare(Workspace(tmp_path / ".snapml"), Collector(on=False))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path), how],
        env={**os.environ, **told}, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
