"""How an endpoint does of late: figures from rows, windows that stay small, and snippets that are only text."""

import ast
import json
import shlex
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab import ids
from snapml_lab.commands.endpoints import Stretch
from snapml_lab.costs import live, requests
from snapml_lab.costs.live import Seen
from snapml_lab.registry import snippets
from snapml_lab.store.ledger import Ledger

REQUEST = requests.Request(
    id="", at=0.0, deployment="story", model="story@1", route="/v1/chat/completions", api_key="k", notebook=None,
    cell_id=None, streamed=1, status=200, ended="complete", input_tokens=10, cached_tokens=0, output_tokens=5,
    usage="metered", first_token_ms=100.0, duration_ms=500.0, cost_pico=7, price="declared",
)  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def add(ledger: Ledger, **changes: object) -> None:
    requests.add(ledger, replace(REQUEST, id=ids.new(), **changes))


def seen(**changes: object) -> Seen:
    row = replace(REQUEST, **changes)
    return Seen(*(getattr(row, name) for name in Seen._fields))


@pytest.mark.parametrize(
    ("ended", "status", "guard", "kind"),
    [
        ("complete", 200, None, None),
        ("hung_up", 499, None, "hung_up"),
        ("failed", 200, None, "broke_off"),
        ("failed", 400, None, "refused"),
        ("failed", 400, '[{"action": "block"}]', "guarded"),
        ("failed", 400, '[{"action": "mask"}]', "refused"),
        ("failed", 402, None, "budget"),
        ("failed", 429, None, "limited"),
        ("failed", 500, None, "engine"),
        ("failed", 502, None, "engine"),
        ("failed", 503, None, "unavailable"),
        ("failed", 504, None, "timeout"),
    ],
)
def test_a_failure_has_the_name_of_what_happened(
    ended: str, status: int, guard: str | None, kind: str | None
):
    assert live.kind(ended, status, guard) == kind


def test_of_no_requests_nothing_is_claimed():
    found = live.figures([])
    assert (found.requests, found.failures, found.pico, found.unknown) == (0, {}, 0, 0)
    assert found.tokens_per_second is None
    assert found.first_token_ms is None
    assert found.duration_ms is None
    assert found.engine_cache is None


def test_speed_is_that_of_the_tokens_after_the_first():
    fast, slow = (
        seen(output_tokens=11, first_token_ms=100.0, duration_ms=1100.0),
        seen(output_tokens=1, reasoning_tokens=10, first_token_ms=500.0, duration_ms=3500.0),
    )
    assert live.figures([fast]).tokens_per_second == pytest.approx(10)
    assert live.figures([fast, slow]).tokens_per_second == pytest.approx(20 / 4)


def test_one_token_has_no_speed():
    assert live.figures([seen(output_tokens=1)]).tokens_per_second is None


def test_an_answer_given_again_says_nothing_of_the_engine():
    again = seen(cached=1, first_token_ms=0.1, duration_ms=0.2, output_tokens=500, cost_pico=0)
    alone, both = live.figures([seen()]), live.figures([seen(), again])
    assert both.answered_before == 1
    assert both.requests == 2
    for name in ("tokens_per_second", "first_token_ms", "duration_ms", "engine_cache", "written_tokens"):
        assert getattr(both, name) == getattr(alone, name)


def test_the_engine_cache_is_a_share_of_all_tokens_read():
    rows = [
        seen(input_tokens=10, cached_tokens=80, cache_write_tokens=10),
        seen(input_tokens=100, cached_tokens=None),
    ]
    found = live.figures(rows)
    assert found.engine_cache == pytest.approx(80 / 200)
    assert found.read_tokens == 200


def test_an_unknown_cost_is_counted_not_taken_for_nothing():
    found = live.figures([seen(cost_pico=None), seen(cost_pico=5)])
    assert (found.pico, found.unknown) == (5, 1)


def test_what_broke_has_no_say_in_how_long_an_answer_takes():
    found = live.figures([seen(), seen(ended="failed", status=503, duration_ms=9.0, first_token_ms=None)])
    assert found.duration_ms == live.Spread(500.0, 500.0)
    assert found.failures == {"unavailable": 1}


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=50))
def test_quantiles_are_those_of_the_standard_library(values: list[float]):
    ordered = sorted(values)
    theirs = statistics.quantiles(ordered, n=20, method="inclusive")
    assert live.quantile(ordered, 0.5) == pytest.approx(statistics.median(ordered), abs=1e-5)
    assert live.quantile(ordered, 0.95) == pytest.approx(theirs[18], abs=1e-5)


def test_a_window_holds_what_came_in_it_of_that_deployment_and_is_settled(ledger: Ledger):
    add(ledger, at=99.0)
    add(ledger, at=100.0, output_tokens=1)
    add(ledger, at=150.0, output_tokens=2)
    add(ledger, at=160.0, state="open")
    add(ledger, at=170.0, deployment="other")
    add(ledger, at=201.0)
    found = live.window(ledger, "story", 100.0, 200.0)
    assert [row.output_tokens for row in found.rows] == [1, 2]
    assert found.whole
    assert found.seconds == 100.0


def test_a_busy_window_gets_shorter_and_says_so(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "MOST", 3)
    for at in range(100, 106):
        add(ledger, at=float(at))
    found = live.window(ledger, "story", 0.0, 110.0)
    assert [row.at for row in found.rows] == [103.0, 104.0, 105.0]
    assert not found.whole
    assert found.since == 103.0


def test_what_is_read_is_found_by_an_index_whatever_else_the_ledger_holds(ledger: Ledger):
    asked: list[str] = []
    ledger.connection.set_trace_callback(asked.append)
    live.window(ledger, "story", 0.0, 1.0)
    live.spent(ledger, "story")
    live.broken(ledger, "story", 10)
    ledger.connection.set_trace_callback(None)
    selects = [sql for sql in asked if sql.startswith("SELECT")]
    assert len(selects) == 4
    plans = [" ".join(row[3] for row in ledger.rows(f"EXPLAIN QUERY PLAN {sql}")) for sql in selects]
    found = [next(part for part in plan.split() if part.startswith("requests_")) for plan in plans]
    assert found == ["requests_deployment", "requests_deployment", "requests_open", "requests_broken"]
    assert "COVERING" in plans[1]
    assert not any("SCAN requests" in plan and "requests_open" not in plan for plan in plans)
    assert not any("TEMP B-TREE" in plan for plan in plans)


def test_all_that_was_spent_leaves_out_what_is_under_way(ledger: Ledger):
    add(ledger, cost_pico=5)
    add(ledger, cost_pico=None)
    add(ledger, cost_pico=None, state="open")
    add(ledger, cost_pico=100, deployment="other")
    assert live.spent(ledger, "story") == live.Spent(requests=2, pico=5, unknown=1, open=1)


def test_the_latest_that_broke_come_first(ledger: Ledger):
    add(ledger, at=1.0, ended="failed", status=503)
    add(ledger, at=2.0)
    add(ledger, at=3.0, ended="hung_up", status=499)
    add(ledger, at=4.0, ended="failed", status=503, deployment="other")
    assert [(item.at, item.kind) for item in live.broken(ledger, "story", 10)] == [
        (3.0, "hung_up"),
        (1.0, "unavailable"),
    ]
    assert len(live.broken(ledger, "story", 1)) == 1


def test_buckets_keep_their_beginnings_from_one_look_to_the_next():
    rows = [seen(at=at) for at in (130.0, 179.9, 180.0, 301.0)]
    found = live.buckets(live.Window(125.0, 310.0, rows, whole=True), 60.0)
    assert [(at, len(inside)) for at, inside in found] == [(120.0, 2), (180.0, 1), (240.0, 0), (300.0, 1)]
    later = live.buckets(live.Window(126.0, 311.0, rows, whole=True), 60.0)
    assert [at for at, _ in later] == [at for at, _ in found]


@pytest.mark.parametrize(
    ("requests_", "unknown", "dollars"), [(0, 0, 0.0), (2, 0, 0.5), (2, 1, 0.5), (2, 2, None)]
)
def test_a_stretch_of_unknown_cost_has_no_place_on_a_line(
    requests_: int, unknown: int, dollars: float | None
):
    cost = "500000000000" if requests_ and dollars else "0"
    stretch = Stretch(
        at="2026-11-22T12:00:00Z", partial=False, requests=requests_, failed=0, written_tokens=0,
        tokens_per_second=None, first_token_ms=None, duration_ms=None, engine_cache=None, cost_pico=cost,
        unknown=unknown,
    )  # fmt: skip
    assert stretch.dollars() == dollars


HOSTILE = "a\"; import os #'$(touch /tmp/x)`id`\\\n\x7f\u202e</pre>"


def test_snippets_ask_for_the_name_as_it_is_whatever_is_in_it():
    client, curl, alone = snippets.chat("http://127.0.0.1:1", HOSTILE)
    for snippet in (client, alone):
        texts = {node.value for node in ast.walk(ast.parse(snippet.text)) if isinstance(node, ast.Constant)}
        assert HOSTILE in texts
        assert snippet.text.replace("\n", "").isprintable()
    words = shlex.split(curl.text)
    assert json.loads(words[words.index("-d") + 1])["model"] == HOSTILE
    assert words[1] == "http://127.0.0.1:1/v1/chat/completions"
    assert curl.text.replace("\n", "").isprintable()


def test_no_snippet_holds_a_key():
    for snippet in [*snippets.chat("http://h:1", "a"), *snippets.classic("http://h:1", "a", [])]:
        assert snippets.KEY in snippet.text
        assert "sk-" not in snippet.text


def test_a_classic_model_is_asked_by_its_columns():
    curl, alone = snippets.classic("http://h:1", "a/b c", [("age", "FP64"), ("Łódź", "BYTES")])
    words = shlex.split(curl.text)
    assert words[1] == "http://h:1/v2/models/a%2Fb%20c/infer"
    inputs = json.loads(words[words.index("-d") + 1])["inputs"]
    assert [(item["name"], item["datatype"], item["data"]) for item in inputs] == [
        ("age", "FP64", [0.0]),
        ("Łódź", "BYTES", ["text"]),
    ]
    ast.parse(alone.text)
