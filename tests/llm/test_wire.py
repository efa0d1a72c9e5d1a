"""What the gateway makes of everything an engine may send and a caller may do: always one row, never a lie in it."""

import contextlib
import http.client
import json
import socket
import threading
from dataclasses import replace
from typing import Any

import openai
import pytest

from snapml_lab.gateway.books import Books
from snapml_lab.registry import deployments

from .home import until
from .wire import (
    ABORT,
    CLOSE,
    DONE,
    END,
    HANG,
    HEAD,
    NAME,
    Step,
    Wire,
    completion,
    delta,
    event,
    events,
    used,
    whole,
)


def text(told: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or ""
        for item in told
        if isinstance(item, dict)
        for choice in item.get("choices", ())
    )


def usages(told: list[Any]) -> list[Any]:
    return [item["usage"] for item in told if isinstance(item, dict) and item.get("usage")]


WORDS = [event(delta("one ")), event(delta("two ")), event(delta("three"))]
TOLD = {
    "with the reason": [*WORDS, event(delta(finish="stop", usage=used(9, 4, 5))), DONE, END],
    "alone after the reason": [
        *WORDS, event(delta(finish="stop")), event({"id": "x", "choices": [], "usage": used(9, 4, 5)}), DONE, END,
    ],
    "on every chunk": [
        event(delta("one ", usage=used(9, 1, 5))), event(delta("two ", usage=used(9, 2, 5))),
        event(delta("three", usage=used(9, 3, 5))), event(delta(finish="stop", usage=used(9, 4, 5))), DONE, END,
    ],
    "null elsewhere": [
        event({**delta("one two three"), "usage": None}), event({**delta(finish="stop"), "usage": None}),
        event({"id": "x", "choices": [], "usage": used(9, 4, 5)}), DONE, END,
    ],
    "without a word of the end": [*WORDS, event(delta(finish="stop", usage=used(9, 4, 5))), END],
    "in one packet": [b"".join([*WORDS, event(delta(finish="stop", usage=used(9, 4, 5))), DONE, END])],
    "cut into bytes": [
        bytes([byte]) for byte in b"".join([event(delta("one two three")), event(delta(finish="stop", usage=used(9, 4, 5))), END])
    ],
}  # fmt: skip


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("how", TOLD)
def test_a_stream_costs_what_the_whole_answer_does(wire: Wire, how: str, *, asked: bool) -> None:
    status, answer = wire.ask(whole(completion("one two three", used(9, 4, 5))))
    assert (status, answer["model"]) == (200, NAME)
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if asked else {}
    told = wire.stream([HEAD, *TOLD[how]], **options)
    assert told[-1] == "[DONE]"
    assert text(told) == "one two three"
    assert {item["model"] for item in told[:-1]} == {NAME}
    assert usages(told) == ([used(9, 4, 5)] if asked else [])
    if asked:
        assert told[-2]["choices"] == []

    wire.one_row(2)
    one, other = wire.rows()
    for row in (one, other):
        assert (row.usage, row.input_tokens, row.cached_tokens, row.output_tokens) == ("metered", 4, 5, 4)
        assert (row.ended, row.status) == ("complete", 200)
    assert one.cost_pico == other.cost_pico == 9 * 3_000_000 + 4 * 15_000_000
    assert one.price == other.price
    assert (one.first_token_ms is None, other.first_token_ms is None) == (True, False)


def test_without_the_engines_word_usage_is_estimated_and_billed_as_that(wire: Wire) -> None:
    told = wire.stream(
        [HEAD, *WORDS, event(delta(finish="length")), DONE, END], stream_options={"include_usage": True}
    )
    assert told[-1] == "[DONE]"
    assert usages(told) == []
    row = wire.one_row()
    assert (row.usage, row.output_tokens, row.ended) == ("estimated", 3, "complete")
    assert row.input_tokens is not None
    assert 10 < row.input_tokens < 60
    assert row.cost_pico == row.input_tokens * 3_000_000 + 3 * 15_000_000


@pytest.mark.parametrize(
    "usage",
    [None, {}, "many", {"completion_tokens": "4"}, {"completion_tokens": -1}, {"completion_tokens": True}],
)
def test_usage_that_is_no_usage_is_unknown_not_nothing(wire: Wire, usage: Any) -> None:
    assert wire.ask(whole(completion("one", usage)))[0] == 200
    row = wire.one_row()
    assert (row.usage, row.input_tokens, row.output_tokens, row.cost_pico) == ("unknown", None, None, None)


def test_usage_without_the_prompts_tokens_leaves_the_price_unknown(wire: Wire) -> None:
    wire.ask(
        whole(
            completion("one", {"completion_tokens": 4, "prompt_tokens": "nine", "prompt_tokens_details": 5})
        )
    )
    row = wire.one_row()
    assert (row.usage, row.input_tokens, row.output_tokens) == ("metered", None, 4)
    assert (row.cost_pico, row.price) == (None, "tokens unknown")


BROKEN: dict[str, tuple[list[Step], str, int | None]] = {
    "cut after two pieces": ([HEAD, *WORDS[:2], CLOSE], "estimated", 2),
    "torn after two pieces": ([HEAD, *WORDS[:2], ABORT], "estimated", 2),
    "ended without a reason": ([HEAD, *WORDS, DONE, END], "estimated", 3),
    "ended with nothing": ([HEAD, END], "unknown", None),
    "closed with the head": ([HEAD, CLOSE], "unknown", None),
    "cut inside a piece": ([HEAD, WORDS[0], WORDS[1][:20], CLOSE], "estimated", 1),
    "cut after telling usage": ([HEAD, event(delta("one ", usage=used(9, 1))), CLOSE], "metered", 1),
    "not JSON": ([HEAD, WORDS[0], b"10\r\ndata: {garbage}\n\r\n", END], "estimated", 1),
    "JSON that is no object": ([HEAD, WORDS[0], event(5), END], "estimated", 1),
    "not UTF-8": ([HEAD, WORDS[0], b'0d\r\ndata: "\xff\xfe"\n\n\n\r\n', END], "estimated", 1),
    "an error said": ([HEAD, WORDS[0], event({"error": "out of memory"}), END], "estimated", 1),
    "an error in OpenAI's form": (
        [HEAD, WORDS[0], event({"error": {"message": "out of memory"}}), END],
        "estimated",
        1,
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_stream_that_breaks_off_says_so_and_counts_what_there_was(wire: Wire, what: str) -> None:
    script, usage, output = BROKEN[what]
    told = wire.stream(script)
    error = told[-1]["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == "engine_failed"
    assert error["message"].startswith("The answer broke off: ")
    if "error" in what:
        assert "out of memory" in error["message"]
    assert "[DONE]" not in told
    row = wire.one_row()
    assert (row.ended, row.status, row.usage, row.output_tokens) == ("failed", 200, usage, output)


def test_odd_shapes_in_a_stream_do_no_harm(wire: Wire) -> None:
    odd = [
        {"choices": None}, {"choices": "x"}, {"choices": [None, 3]}, {"choices": [{"delta": None}]}, {"choices": [{"delta": "x"}]},
        {"usage": 5}, {}, {"choices": [{"delta": {"content": ""}}]}, {"choices": [{"text": "t", "delta": {}}]},
    ]  # fmt: skip
    comments = [b"f\r\n: keep-alive\n\n\n\r\n", b"e\r\nevent: ping\n\n\n\r\n"]
    told = wire.stream(
        [HEAD, *map(event, odd), *comments, event(delta("a", finish="stop", usage=used(1, 2))), DONE, END]
    )
    assert told[-1] == "[DONE]"
    row = wire.one_row()
    assert (row.ended, row.usage, row.output_tokens) == ("complete", "metered", 2)


REFUSED: dict[str, tuple[list[Step], int, str]] = {
    "closed at once": ([CLOSE], 503, "engine_unavailable"),
    "torn at once": ([ABORT], 503, "engine_unavailable"),
    "not HTTP": ([b"hello\r\n\r\n", CLOSE], 503, "engine_unavailable"),
    "half a head": ([b"HTTP/1.1 200 OK\r\nConte", CLOSE], 503, "engine_unavailable"),
    "a fault": (whole({"detail": "out of memory"}, 500), 502, "engine_error"),
    "a fault in plain text": (whole(b"Internal Server Error", 500), 502, "engine_error"),
    "too busy": (whole({"error": {"message": "later"}}, 429), 429, "engine_error"),
    "a refusal": (whole({"detail": [{"loc": ["x"], "msg": "bad"}]}, 422), 422, "engine_error"),
    "a redirection": (
        [b"HTTP/1.1 307 X\r\nLocation: http://engine/elsewhere\r\nContent-Length: 0\r\n\r\n", CLOSE],
        502,
        "engine_error",
    ),
}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("what", REFUSED)
def test_an_engine_that_fails_is_told_of_in_openais_form(wire: Wire, what: str, *, streamed: bool) -> None:
    script, status, code = REFUSED[what]
    got, told = wire.ask(script, stream=streamed)
    assert (got, told["error"]["code"]) == (status, code)
    assert set(told["error"]) == {"message", "type", "param", "code"}
    if what == "a fault":
        assert told["error"]["message"] == "out of memory"
    row = wire.one_row()
    assert (row.ended, row.usage, row.output_tokens) == ("failed", "unknown", None)
    assert row.cost_pico is None
    assert row.status >= 400 or what == "a redirection"


@pytest.mark.parametrize("content", [b"not JSON", b"[]", b"5", b"", b"\xff"])
def test_an_answer_that_is_no_answer_is_the_engines_fault(wire: Wire, content: bytes) -> None:
    got, told = wire.ask(whole(content))
    assert (got, told["error"]["code"]) == (502, "engine_error")
    assert (wire.one_row().ended, wire.one_row().status) == ("failed", 502)


def test_an_answer_cut_short_is_the_engines_fault(wire: Wire) -> None:
    got, told = wire.ask([b"HTTP/1.1 200 X\r\nContent-Length: 900\r\n\r\n{", CLOSE])
    assert (got, told["error"]["code"]) == (503, "engine_unavailable")
    assert wire.one_row().ended == "failed"


def test_no_engine_at_all_is_told_of(wire: Wire) -> None:
    wire.call(wire.lay_engine_down())
    got, told = wire.ask([])
    assert (got, told["error"]["code"]) == (503, "engine_unavailable")
    assert "Try once more" in told["error"]["message"]
    assert (wire.one_row().ended, wire.one_row().status) == ("failed", 503)
    wire.call(wire.raise_engine())
    assert wire.ask(whole(completion("back", used(1, 1))))[0] == 200


def give_up_after(wire: Wire, seconds: float) -> None:
    deployments.declare(wire.ws, replace(deployments.get(wire.ws, NAME), timeout_seconds=seconds))


def test_a_socket_nobody_accepts_on_is_told_of(wire: Wire) -> None:
    give_up_after(wire, 1.0)
    wire.call(wire.lay_engine_down())
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket(socket.AF_UNIX))
        deaf.bind(str(wire.engine_path))
        deaf.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                other = stack.enter_context(socket.socket(socket.AF_UNIX))
                other.setblocking(False)
                other.connect(str(wire.engine_path))
        got, told = wire.ask([])
        assert (got, told["error"]["code"]) == (503, "engine_unavailable")
        assert wire.one_row().ended == "failed"


@pytest.mark.parametrize("script", [[HANG], [HEAD, HANG], [HEAD, WORDS[0], HANG]])
def test_an_engine_that_hangs_is_given_up_on(wire: Wire, script: list[Step]) -> None:
    give_up_after(wire, 2.0)
    if script[0] is HEAD:
        assert wire.stream(script)[-1]["error"]["code"] == "engine_failed"
    else:
        assert wire.ask(script)[0] == 503
    row = wire.one_row()
    assert row.ended == "failed"
    assert row.output_tokens == (1 if len(script) == 3 else None)


@pytest.mark.parametrize(("seen", "output"), [(0, None), (1, 1), (2, 2), (3, 3)])
def test_a_caller_that_leaves_in_the_middle_is_billed_what_was_generated(
    wire: Wire, seen: int, output: int | None
) -> None:
    wire.script = [HEAD, *WORDS[:seen], HANG]
    response = wire.begin({"stream": True})
    reading = events(response)
    assert len([next(reading) for _ in range(seen)]) == seen
    response.hang_up()  # type: ignore[attr-defined]
    row = wire.one_row()
    assert (row.ended, row.status, row.output_tokens) == ("hung_up", 499, output)
    assert (row.first_token_ms is None) == (seen == 0)


def test_a_caller_that_leaves_while_the_engine_talks_on_stops_it(wire: Wire) -> None:
    wire.script = [HEAD, *[event(delta("word " * 1000)) for _ in range(20_000)], HANG]
    response = wire.begin({"stream": True})
    next(events(response))
    response.hang_up()  # type: ignore[attr-defined]
    row = wire.one_row()
    assert row.ended == "hung_up"
    assert row.output_tokens is not None
    assert row.output_tokens < 20_000


def test_a_caller_that_leaves_before_anything_came_leaves_a_row(wire: Wire) -> None:
    wire.script = [HANG]
    for streamed in (True, False):
        with socket.create_connection(("127.0.0.1", wire.port)) as caller:
            body = json.dumps({"model": NAME, "messages": [], "stream": streamed}).encode()
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {wire.key}\r\nContent-Length: {len(body)}\r\n\r\n"
            caller.sendall(head.encode() + body)
            until(lambda: wire.open, what="the engine to be asked")
        row = wire.one_row(1 if streamed else 2)
        assert (row.ended, row.status, row.output_tokens, row.cost_pico) == ("hung_up", 499, None, None)


def test_a_caller_that_leaves_before_the_reason_has_hung_up_and_after_it_is_done_has_not(wire: Wire) -> None:
    go = threading.Event()
    wire.script = [HEAD, *WORDS, event(delta(finish="stop", usage=used(9, 4))), go, DONE, END]
    response = wire.begin({"stream": True})
    reading = events(response)
    while not next(reading)["choices"][0]["finish_reason"]:
        pass
    response.hang_up()  # type: ignore[attr-defined]
    row = until(wire.rows, what="the row")[-1]
    assert (row.ended, row.usage, row.output_tokens) == ("hung_up", "metered", 4)
    go.set()
    wire.one_row(1)

    wire.script = [HEAD, *WORDS, event(delta(finish="stop", usage=used(9, 4))), DONE, END]
    for number in range(20):  # whoever is faster: the caller who leaves, or the gateway that ends its answer
        response = wire.begin({"stream": True})
        for item in events(response):
            if item == "[DONE]":
                break
        response.hang_up()  # type: ignore[attr-defined]
        assert wire.one_row(number + 2).ended == "complete"


def test_a_gateway_that_is_stopped_leaves_one_row_of_what_was_under_way(wire: Wire) -> None:
    wire.script = [HEAD, *WORDS[:2], HANG]
    response = wire.begin({"stream": True})
    reading = events(response)
    assert len([next(reading), next(reading)]) == 2
    wire.call(wire.end_gateway())
    with contextlib.suppress(http.client.HTTPException, ConnectionError):
        assert list(reading) == []
    response.hang_up()  # type: ignore[attr-defined]
    row = wire.one_row()
    assert (row.ended, row.output_tokens) == ("hung_up", 2)


def test_many_at_once_with_every_end_leave_a_row_each(wire: Wire) -> None:
    wire.script = [HEAD, *WORDS, event(delta(finish="stop", usage=used(9, 4))), DONE, END]

    def ask(index: int) -> None:
        response = wire.begin({"stream": True})
        reading = events(response)
        if index % 3 == 0:
            next(reading)
        elif index % 3 == 1:
            list(reading)
        response.hang_up()  # type: ignore[attr-defined]

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wire.one_row(30)
    ends = [row.ended for row in wire.rows()]
    assert ends.count("complete") >= 10
    assert set(ends) <= {"complete", "hung_up"}


def test_only_what_the_engine_takes_reaches_it(wire: Wire) -> None:
    wire.ask(
        whole(completion("a", used(1, 1))), user="me", metadata={"a": "b"}, n=1, max_completion_tokens=7, temperature=None,
        store=True, logprobs=False, top_p=0.5,
    )  # fmt: skip
    assert wire.asked[-1]["body"] == {
        "model": "inner", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 7, "top_p": 0.5,
    }  # fmt: skip
    wire.stream([HEAD, event(delta("a", finish="stop")), END], stream_options={"include_usage": True})
    assert set(wire.asked[-1]["body"]) == {"model", "messages", "stream"}
    assert wire.asked[-1]["line"] == "POST /v1/chat/completions HTTP/1.1"


def test_a_hostile_answer_stays_text(wire: Wire) -> None:
    hostile = '</script><img src=x onerror=alert(1)>\r\ndata: {"choices": []}\n\n'
    told = wire.stream([HEAD, event(delta(hostile)), event(delta(finish="stop")), DONE, END])
    assert text(told) == hostile
    assert [item for item in told if item != "[DONE]" and not item["choices"]] == []


def test_the_official_client_sees_the_errors_it_knows(wire: Wire) -> None:
    made: dict[str, Any] = {
        "base_url": f"http://127.0.0.1:{wire.port}/v1",
        "api_key": wire.key,
        "max_retries": 0,
    }
    body: dict[str, Any] = {"model": NAME, "messages": [{"role": "user", "content": "hello"}]}
    with openai.OpenAI(**made) as client:
        wire.script = [CLOSE]
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(**body)
        assert caught.value.code == "engine_unavailable"
        assert caught.value.response.headers["retry-after"] == "2"
        wire.script = [HEAD, *WORDS[:2], CLOSE]
        with pytest.raises(openai.APIError, match="broke off"):
            list(client.chat.completions.create(**body, stream=True))
        wire.script = [HANG]
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(**body, timeout=2.0)
        row = wire.one_row(3)
        assert (row.ended, row.status) == ("hung_up", 499)
    with openai.OpenAI(**{**made, "max_retries": 2}) as client:
        wire.script = [CLOSE]
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**body)
        wire.one_row(6)


def test_what_cannot_be_opened_in_the_books_is_not_sent(wire: Wire) -> None:
    with wire.ws.ledger.write() as connection:
        connection.execute("ALTER TABLE requests RENAME TO elsewhere")
    status, told = wire.ask(whole(completion("a", used(1, 1))))
    assert (status, told["error"]["code"]) == (500, "internal_error")
    assert wire.asked == []
    with wire.ws.ledger.write() as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO requests")
    assert wire.ask(whole(completion("a", used(1, 1))))[0] == 200
    wire.one_row(1)


def test_a_settlement_that_cannot_be_written_does_not_take_the_answer_away_and_is_made_up_for(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    go = threading.Event()
    wire.script = [HEAD, event(delta("a")), go, event(delta("b", finish="stop")), DONE, END]
    response = wire.begin({"stream": True})
    reading = events(response)
    next(reading)
    with wire.ws.ledger.write() as connection:
        connection.execute("ALTER TABLE requests RENAME TO elsewhere")
    go.set()
    assert list(reading)[-1] == "[DONE]"
    until(lambda: "could not be recorded" in caplog.text, what="it in the log")
    with wire.ws.ledger.write() as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO requests")
    assert wire.rows() == []
    Books(wire.ws).recover()  # as the next gateway does
    row = wire.one_row(1)
    assert (row.ended, row.usage, row.state) == ("failed", "estimated", "settled")


def test_a_fault_of_ours_is_told_by_a_number_that_is_in_the_log(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    (wire.ws.root / "catalog" / "deployments.json").write_text("{torn")
    got, told = wire.ask([])
    assert (got, told["error"]["code"], told["error"]["type"]) == (500, "internal_error", "server_error")
    number = told["error"]["message"].split()[-1].rstrip(".")
    assert number in caplog.text
    assert "torn" not in told["error"]["message"]


def test_what_goes_wrong_under_v2_leaves_one_row_too(wire: Wire) -> None:
    deployments.declare(wire.ws, deployments.single(NAME, "fake@1", "predict", "binary", "inner"))
    path = f"/v2/models/{NAME}/infer"
    for number, (script, status, ended) in enumerate(
        [
            (whole({"model_name": NAME, "outputs": []}), 200, "complete"), (whole({"error": "no column 'a'"}, 400), 400, "failed"),
            ([CLOSE], 503, "failed"),
        ],
        1,
    ):  # fmt: skip
        wire.script = script
        response = wire.begin({}, path)
        content = json.loads(response.read())
        response.hang_up()  # type: ignore[attr-defined]
        assert response.status == status
        assert status == 200 or isinstance(content["error"], str)
        row = wire.one_row(number)
        assert (row.ended, row.status, row.usage, row.route) == (ended, status, "unknown", "/v2/infer")
    wire.script = [HANG]
    with socket.create_connection(("127.0.0.1", wire.port)) as caller:
        caller.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {wire.key}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
        )
        until(lambda: wire.open, what="the engine to be asked")
    assert wire.one_row(4).ended == "hung_up"


def test_a_body_too_large_under_v2_is_refused_without_a_row(wire: Wire) -> None:
    deployments.declare(wire.ws, deployments.single(NAME, "fake@1", "predict", "binary", "inner"))
    response = wire.begin({"inputs": "a" * (17 << 20)}, f"/v2/models/{NAME}/infer")
    assert response.status == 413
    assert json.loads(response.read()) == {"error": "Request Entity Too Large"}
    response.hang_up()  # type: ignore[attr-defined]
    assert wire.rows() == []
