"""Policies, checks of whole texts, measurement and capture."""

import json
import os

import pytest

from snapml_lab.errors import BlockedError, InvalidInputError, NotFoundError
from snapml_lab.finetune import records
from snapml_lab.guardrails import capture, measure, policies
from snapml_lab.guardrails.guard import Guard
from snapml_lab.guardrails.language import language_of
from snapml_lab.guardrails.policies import Action, Policy, Rule, Where
from snapml_lab.guardrails.schema import Schema

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0}},
    "required": ["n"],
    "additionalProperties": False,
}


def guarded(detector, options, ask=None, action=Action.BLOCK):
    return Guard(Policy("p", (Rule(detector, action, Where.OUTPUT, options),)), ask)


def test_a_policy_is_read_as_it_was_declared(ws):
    made = Policy("shop", (Rule("deny", Action.BLOCK, Where.BOTH, {"words": ["heron"]}), *policies.USUAL))
    policies.declare(ws, made)
    assert policies.get(ws, "shop") == made
    assert policies.names(ws) == ["default", "shop"]
    assert policies.remove(ws, "shop") == made
    with pytest.raises(NotFoundError):
        policies.get(ws, "shop")
    assert policies.get(ws, "default").rules == policies.USUAL


@pytest.mark.parametrize(
    "rule",
    [
        {"detector": "nobody", "action": "block"}, {"detector": "pii", "action": "burn"}, {"detector": "pii"},
        {"detector": "pii", "action": "mask", "where": "elsewhere"}, {"detector": "length", "action": "mask", "options": {"max": 3}},
        {"detector": "pii", "action": "mask", "options": {"x": 1}}, {"detector": "deny", "action": "mask"},
        {"detector": "deny", "action": "mask", "options": {"expressions": ["(?=a)"]}}, {"detector": "length", "action": "block"},
        {"detector": "schema", "action": "block", "options": {"schema": {"if": {}}}}, {"detector": "judge", "action": "block"},
        {"detector": "language", "action": "block", "options": {"allow": ["xx"]}}, {"detector": "pii", "action": "mask", "more": 1}, 3,
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_kept_is_refused(rule):
    with pytest.raises(InvalidInputError):
        policies.read([rule])


@pytest.mark.parametrize(("text", "fits"), [('{"n": 3}', True), (' {"n": 0}\n', True), ('{"n": -1}', False), ('{"n": 1.5}', False), ("{}", False), ('{"n": 1, "m": 2}', False), ("Sure: {}", False), ('{"n": NaN}', False), ("[]", False)])  # fmt: skip
def test_an_answer_that_does_not_fit_its_schema_is_never_let_go(text, fits):
    guard = guarded("schema", {"schema": SCHEMA})
    assert guard.output(text).blocked is not fits
    stream, sent = guard.stream(), ""
    if fits:
        assert [stream.feed(c) for c in text] == [""] * len(text)
        assert stream.end() == text
    else:
        with pytest.raises(BlockedError):  # noqa: PT012
            for c in text:
                sent += stream.feed(c)
            stream.end()
        assert sent == ""


def test_a_reference_and_a_pattern_are_followed():
    schema = Schema(
        {
            "$defs": {"id": {"type": "string", "pattern": "^[a-z]{2,4}$"}},
            "items": {"$ref": "#/$defs/id"},
            "type": "array",
        }
    )
    assert schema.passes('["ab", "abcd"]')
    assert not schema.passes('["ab", "abcde"]')


def test_a_length_is_told_as_soon_as_it_is_passed():
    stream = guarded("length", {"max": 5}).stream()
    assert stream.feed("12345") == "12345"
    with pytest.raises(BlockedError):
        stream.feed("6")
    short = guarded("length", {"min": 3}).stream()
    assert (short.feed("12"), short.feed("3"), short.feed("4")) == ("", "123", "4")


@pytest.mark.parametrize(("text", "code"), [("The train is late and we wait for it.", "en"), ("Der Zug ist spät und wir warten auf ihn.", "de"), ("Я не знаю, что это было, но мы идём.", "ru"), ("電車は遅れています。", "ja"), ("Zug", "unknown"), ("42", "unknown")])  # fmt: skip
def test_a_language_is_told_where_it_can_be(text, code):
    assert language_of(text) == code


def test_a_judge_that_cannot_be_asked_or_says_neither_blocks():
    options = {"deployment": "d", "rule": "no recipes"}
    assert guarded("judge", options).output("x").blocked
    assert guarded("judge", options, lambda *_: "maybe").output("x").findings[0].fault == "ConflictError"
    assert guarded("judge", options, lambda *_: "Yes.").output("x").blocked
    asked = []
    passed = guarded("judge", options, lambda name, prompt: asked.append((name, prompt)) or "No").output(
        "soup"
    )
    assert (passed.blocked, passed.texts) == (False, ["soup"])
    assert asked[0][0] == "d"
    assert "soup" in asked[0][1]


def test_the_set_of_our_own_is_as_large_as_its_page_says():
    texts = measure.own()
    counts = {item.detector: sum(other.detector == item.detector for other in texts) for item in texts}
    assert (len(texts), min(counts.values()), max(counts.values())) == (544, 48, 73)


def test_precision_and_recall_are_of_what_was_found(tmp_path):
    path = tmp_path / "set.jsonl"
    lines = [("a@example.org", True), ("nothing", True), ("b@example.org", False), ("nothing", False)]
    path.write_text("\n".join(json.dumps({"text": text, "label": label}) for text, label in lines))
    (found,) = measure.measure([Rule("email", Action.FLAG)], measure.read(path))
    assert (found.found, found.missed, found.wrong) == (1, 1, 1)
    assert found.precision.value == found.recall.value == 0.5
    assert found.recall.low < 0.5 < found.recall.high
    path.write_text("{}\n")
    with pytest.raises(InvalidInputError, match="line 1"):
        measure.read(path)


def ask(text):
    return {"messages": [{"role": "user", "content": text}]}


def record(ws, deployment, *rest):
    return capture.Capturer(ws, capture.get(ws, deployment)).record(*rest)


def test_what_is_captured_is_redacted_and_for_this_account_alone(ws):
    capture.declare(ws, capture.Settings("a/../b"))
    assert record(
        ws,
        "a/../b",
        "r1",
        1e9,
        ask("I am jane@example.org"),
        {"choices": [{"message": {"content": "4111111111111111"}}]},
    )
    (kept,) = capture.read(ws, "a/../b")
    assert "jane" not in json.dumps(kept.request)
    assert "4111" not in json.dumps(kept.answer)
    assert kept.masked == 2
    folder = capture.place(ws, "a/../b")
    assert folder.parent == ws.root / "captures"
    assert [path.stat().st_mode & 0o777 for path in folder.glob("*.jsonl")] == [0o600]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(capture.place(ws, "other").glob("*"))


def test_a_line_that_a_kill_has_torn_is_passed_over_and_the_next_one_stands_alone(ws):
    capture.declare(ws, capture.Settings("d"))
    record(ws, "d", "r1", 1e9, ask("one"), "1")
    (path,) = capture.place(ws, "d").glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"id": "torn", "at"')
    record(ws, "d", "r2", 1e9, ask("two"), "2")
    assert [item.id for item in capture.read(ws, "d")] == ["r2", "r1"]


def test_the_sample_is_the_same_each_time_and_of_the_share_that_was_asked():
    first = [capture.sampled(str(number), 0.3) for number in range(4000)]
    assert first == [capture.sampled(str(number), 0.3) for number in range(4000)]
    assert 0.27 < sum(first) / 4000 < 0.33


def test_what_is_older_than_its_days_goes_and_what_is_off_stays_for_its_days(ws):
    capture.declare(ws, capture.Settings("d", days=2))
    day = 86_400.0
    for number in range(5):
        record(ws, "d", f"r{number}", 1e9 + number * day, ask("x"), "y")
    capture.stop(ws, "d")
    assert not record(ws, "d", "more", 1e9 + 4 * day, ask("x"), "y")
    capture.sweep(ws, 1e9 + 4 * day)
    assert [item.id for item in capture.read(ws, "d")] == ["r4", "r3", "r2"]


def test_a_captured_conversation_is_a_chat_record(ws):
    capture.declare(ws, capture.Settings("d", redact=()))
    record(
        ws,
        "d",
        "r",
        1e9,
        ask([{"type": "text", "text": "hi"}][0]["text"]),
        {"choices": [{"message": {"content": "ho"}}]},
    )
    (kept,) = capture.read(ws, "d")
    line = json.dumps(capture.chat(kept))
    assert [turn.content for turn in records.parse(line, 1, "x").messages] == ["hi", "ho"]
    assert os.path.exists(capture.place(ws, "d"))
