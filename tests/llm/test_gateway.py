"""The gateway in front of real engines, asked by OpenAI's own client as anybody would."""

import contextlib
import http.client
import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from snapml_lab.costs.requests import Request
from snapml_lab.governance import keys

from .home import Lab, until

QUESTION = [{"role": "user", "content": "bob has 7"}]
GREEDY: dict[str, Any] = {"model": "tuned", "messages": QUESTION, "max_tokens": 24, "temperature": 0}


@pytest.fixture
def client(alive: Lab) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{alive.url}/v1", api_key=alive.key, max_retries=0, timeout=120) as made:
        yield made


def asked(lab: Lab, answer: Any) -> Request:
    """The row of a raw answer of the client."""
    return lab.row(answer.headers["x-snapml-request"])


def test_the_models_are_listed(client: openai.OpenAI, lab: Lab) -> None:
    assert sorted(model.id for model in client.models.list()) == ["merged", "tuned"]
    before = lab.rows()
    assert {model.object for model in client.models.list()} == {"model"}
    assert lab.rows() == before


def test_an_answer_names_the_deployment_and_tells_its_usage(client: openai.OpenAI, lab: Lab) -> None:
    raw = client.chat.completions.with_raw_response.create(**GREEDY)
    answer = raw.parse()
    assert answer.object == "chat.completion"
    assert answer.model == "tuned"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.usage is not None
    row = asked(lab, raw)
    assert (row.deployment, row.model, row.route) == ("tuned", "tuned@1", "/v1/chat/completions")
    assert (row.ended, row.status, row.usage, row.streamed) == ("complete", 200, "metered", 0)
    assert (row.input_tokens, row.output_tokens) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )
    assert row.first_token_ms is None
    assert row.duration_ms > 0
    assert (row.cost_pico, row.price) == (None, "no price of this machine is declared")


@pytest.mark.parametrize("with_usage", [True, False])
def test_streamed_and_whole_are_the_same_answer_and_the_same_usage(
    client: openai.OpenAI, lab: Lab, *, with_usage: bool
) -> None:
    whole = client.chat.completions.with_raw_response.create(**GREEDY)
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if with_usage else {}
    streamed = client.chat.completions.with_raw_response.create(**GREEDY, stream=True, **options)
    chunks = list(streamed.parse())
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.parse().choices[0].message.content
    assert {chunk.model for chunk in chunks} == {"tuned"}
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert reasons[-1] == whole.parse().choices[0].finish_reason
    assert set(reasons[:-1]) == {None}

    told = [chunk for chunk in chunks if chunk.usage]
    assert len(told) == (1 if with_usage else 0)
    if with_usage:
        assert chunks[-1] is told[0]
        assert told[0].choices == []
        assert told[0].usage == whole.parse().usage
    one, other = asked(lab, whole), asked(lab, streamed)
    same = (
        "usage",
        "input_tokens",
        "cached_tokens",
        "output_tokens",
        "ended",
        "status",
        "deployment",
        "price",
    )
    assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]
    assert (one.streamed, other.streamed) == (0, 1)
    assert other.first_token_ms is not None
    assert 0 < other.first_token_ms <= other.duration_ms


def test_a_completion_without_a_chat_works_too(client: openai.OpenAI, lab: Lab) -> None:
    raw = client.completions.with_raw_response.create(model="tuned", prompt="bob has", max_tokens=4)
    assert raw.parse().model == "tuned"
    row = asked(lab, raw)
    assert (row.route, row.output_tokens) == ("/v1/completions", raw.parse().usage.completion_tokens)
    chunks = client.completions.create(model="tuned", prompt="bob has", max_tokens=4, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == raw.parse().choices[0].text


def test_a_temperature_samples_and_a_seed_repeats_it(client: openai.OpenAI) -> None:
    def said(seed: int, temperature: float) -> str | None:
        body = {**GREEDY, "temperature": temperature, "seed": seed}
        return client.chat.completions.create(**body).choices[0].message.content

    assert len({said(seed, 1.5) for seed in range(5)}) > 1
    assert said(7, 1.5) == said(7, 1.5)
    assert len({said(seed, 0) for seed in range(3)}) == 1


def test_max_completion_tokens_is_understood(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="tuned", messages=QUESTION, max_completion_tokens=3)
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 3


def test_fields_that_change_nothing_are_taken(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        **GREEDY, n=1, user="someone", presence_penalty=0, logprobs=False, response_format={"type": "text"},
        metadata={"a": "b"}, store=False, parallel_tool_calls=True, tool_choice="auto", service_tier="auto",
    )  # fmt: skip
    assert answer.choices


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 3), ("logprobs", True), ("top_logprobs", 2), ("response_format", {"type": "json_object"}),
        ("presence_penalty", 1.0), ("logit_bias", {"5": 100}), ("tool_choice", "required"), ("modalities", ["audio"]),
    ],
)  # fmt: skip
def test_a_field_the_engine_cannot_honour_is_refused_by_name(
    client: openai.OpenAI, lab: Lab, name: str, value: object
) -> None:
    before = lab.rows()
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**GREEDY, **{name: value})
    assert caught.value.param == name
    assert name in caught.value.message
    assert caught.value.code == "unsupported_parameter"
    assert lab.rows() == before


@pytest.mark.parametrize(
    "hostile", ["generation_config", "trust_remote_code", "chat_template_kwargs", "continuous_batching"]
)
def test_what_reaches_into_the_engine_is_refused(client: openai.OpenAI, hostile: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**GREEDY, extra_body={hostile: {"a": 1}})
    assert caught.value.param == hostile


@pytest.mark.parametrize("key", ["sk-snapml-wrong", "q8-8q", "sk-snapml-" + "A" * 43])
def test_a_wrong_key_is_refused(alive: Lab, key: str) -> None:
    before = alive.rows()
    other = openai.OpenAI(base_url=f"{alive.url}/v1", api_key=key, max_retries=0)
    for act in (other.models.list, lambda: other.chat.completions.create(**GREEDY)):
        with pytest.raises(openai.AuthenticationError) as caught:
            act()
        assert caught.value.code == "invalid_api_key"
        assert key not in caught.value.message
    assert alive.rows() == before


def test_a_revoked_key_is_refused_at_once(alive: Lab) -> None:
    key, text = keys.create(alive.ws, "short-lived")
    other = openai.OpenAI(base_url=f"{alive.url}/v1", api_key=text, max_retries=0)
    assert other.models.list().data
    assert alive.do("keys", "revoke", key.id)["revoked_at"]
    with pytest.raises(openai.AuthenticationError):
        other.models.list()


@pytest.mark.parametrize(
    "name", ["nobody", "", "../tuned", "<script>alert(1)</script>", "tuned\x00", "t" * 5000]
)
def test_an_unknown_model_is_not_found(client: openai.OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**{**GREEDY, "model": name})
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_client_that_hangs_up_leaves_one_row_with_what_was_generated(
    client: openai.OpenAI, lab: Lab
) -> None:
    got = 0
    for seed in range(20):  # chance may end an answer early
        long = {**GREEDY, "max_tokens": 480, "temperature": 1.5, "seed": seed}
        streamed = client.chat.completions.with_raw_response.create(**long, stream=True)
        stream = streamed.parse()
        for chunk in stream:
            got += bool(chunk.choices and chunk.choices[0].delta.content)
            if got == 5:
                break
        stream.close()
        if got == 5:
            break
        got = 0
    row = asked(lab, streamed)
    assert (row.ended, row.status, row.usage) == ("hung_up", 499, "estimated")
    assert row.output_tokens is not None
    assert 5 <= row.output_tokens < 480
    assert row.first_token_ms is not None
    assert [item.id for item in lab.rows()].count(row.id) == 1
    # the engine stopped generating, and has time for others
    assert client.chat.completions.create(**GREEDY).choices


def test_requests_at_once_leave_a_row_each_and_are_not_mixed_up(client: openai.OpenAI, lab: Lab) -> None:
    def ask(index: int) -> tuple[int, str, str]:
        body = {**GREEDY, "messages": [{"role": "user", "content": f"carol has {index}"}]}
        if index % 2:
            streamed = client.chat.completions.with_raw_response.create(**body, stream=True)
            text = "".join(
                chunk.choices[0].delta.content or "" for chunk in streamed.parse() if chunk.choices
            )
            return index, text, streamed.headers["x-snapml-request"]
        whole = client.chat.completions.with_raw_response.create(**body)
        return index, whole.parse().choices[0].message.content or "", whole.headers["x-snapml-request"]

    before = {row.id for row in lab.rows()}
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, range(8)))
    until(
        lambda: len(lab.rows()) >= len(before) + 8,
        what="a row each; a stream's is written right after its end",
    )
    rows = [row for row in lab.rows() if row.id not in before]
    assert sorted(row.id for row in rows) == sorted(identifier for _, _, identifier in together)
    assert {row.ended for row in rows} == {"complete"}
    assert {row.usage for row in rows} == {"metered"}
    for index, text, _ in together:
        assert ask(index)[1] == text


def test_adapter_and_merged_model_answer_alike(client: openai.OpenAI) -> None:
    for question in ("ann has 12", "bob has 7", "carol has 99", "who has 3", "what is this?", "x"):
        body = {**GREEDY, "messages": [{"role": "user", "content": question}]}
        tuned, merged = (
            client.chat.completions.create(**{**body, "model": name}) for name in ("tuned", "merged")
        )
        assert tuned.choices[0].message.content == merged.choices[0].message.content
        assert tuned.usage == merged.usage


# What follows is asked by hand, for no client would.


def answer(
    lab: Lab, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, Any, dict[str, str]]:
    place = urlsplit(lab.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    try:
        own = {"Authorization": f"Bearer {lab.key}", "Content-Type": "application/json", **headers}
        connection.request(method, path, body, {name: value for name, value in own.items() if value})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    return (
        response.status,
        json.loads(content),
        {name.lower(): value for name, value in response.getheaders()},
    )


def check_shape(told: Any) -> dict[str, Any]:
    assert set(told) == {"error"}
    assert set(told["error"]) == {"message", "type", "param", "code"}
    assert isinstance(told["error"]["message"], str)
    assert told["error"]["message"]
    fields: dict[str, Any] = told["error"]
    return fields


CHAT = "/v1/chat/completions"
NO_KEY = "The API key is missing, unknown, revoked or expired. Make one: snapml keys create NAME"
BAD = {
    "no such route": ("GET", "/v1/nothing", b"", 404),
    "no such method": ("DELETE", CHAT, b"", 405),
    "not JSON": ("POST", CHAT, b"{", 400),
    "not UTF-8": ("POST", CHAT, b'{"model": "\xff"}', 400),
    "a list": ("POST", CHAT, b"[]", 400),
    "nothing": ("POST", CHAT, b"", 400),
    "nested too deep": ("POST", CHAT, b"[" * 200_000, 400),
    "no model": ("POST", CHAT, b"{}", 404),
    "a model that is a number": ("POST", CHAT, b'{"model": 3}', 404),
    "no messages": ("POST", CHAT, b'{"model": "tuned"}', None),
    "messages that are text": ("POST", CHAT, b'{"model": "tuned", "messages": "hello"}', None),
    "options that are text": (
        "POST", CHAT, b'{"model": "tuned", "messages": [], "stream": true, "stream_options": "yes", "n": 2}', 400,
    ),
    "max_tokens that is text": (
        "POST", CHAT, b'{"model": "tuned", "messages": [{"role": "user", "content": "a"}], "max_tokens": "many"}', None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_every_failure_has_openais_form(alive: Lab, what: str) -> None:
    method, path, body, status = BAD[what]
    got, told, _ = answer(alive, method, path, body)
    check_shape(told)
    assert got == status if status else 400 <= got < 600
    assert "Traceback" not in json.dumps(told)
    assert got != 500


V2: dict[str, tuple[str, str, bytes, str, int]] = {
    "a chat model": ("POST", "/v2/models/tuned/infer", b"{}", "is a chat model", 404),
    "no model": ("GET", "/v2/models/nobody", b"", "nobody", 404),
    "a path that leads out": ("GET", "/v2/models/..%2f..%2fhealth", b"", "health", 404),
    "no such route": ("POST", "/v2/repository/index", b"{}", "Not Found", 404),
    "no such method": ("GET", "/v2/models/tuned/infer", b"", "Method Not Allowed", 405),
}  # fmt: skip


@pytest.mark.parametrize("what", V2)
def test_every_failure_under_v2_has_its_form(alive: Lab, what: str) -> None:
    method, path, body, word, status = V2[what]
    got, told, _ = answer(alive, method, path, body)
    assert (got, list(told)) == (status, ["error"])
    assert word in told["error"]
    assert answer(alive, method, path, body, Authorization="")[:2] == (401, {"error": NO_KEY})


def test_a_body_beyond_the_limit_is_refused_in_openais_form(alive: Lab) -> None:
    got, told, _ = answer(alive, "POST", CHAT, b'{"model": "' + b"a" * (17 << 20) + b'"}')
    assert got == 413
    check_shape(told)


@pytest.mark.parametrize(
    "path", ["/", "/v1/models", CHAT, "/v1/nothing", "/v2models", "/health/", "/metrics"]
)
@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer \xff\xfe", "sk-snapml-x"])
def test_nothing_but_health_answers_without_a_key(alive: Lab, path: str, given: str) -> None:
    got, told, _ = answer(alive, "POST" if path == CHAT else "GET", path, Authorization=given)
    assert got == 401
    assert check_shape(told)["code"] == "invalid_api_key"


def test_health_answers_without_a_key_and_tells_nothing(alive: Lab) -> None:
    got, told, headers = answer(alive, "GET", "/health", Authorization="")
    assert (got, told) == (200, {"status": "ok"})
    assert "snapml" not in json.dumps(headers).lower()


def test_the_gateway_listens_on_the_loopback_alone(alive: Lab) -> None:
    port = urlsplit(alive.url).port
    listening = [
        line.split()[1]
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].rpartition(":")[2], 16) == port
    ]
    assert [place.partition(":")[0] for place in listening] == ["0100007F"]


def test_who_asked_from_where_is_in_the_row_whatever_its_name(alive: Lab) -> None:
    from snapml_lab.registry.asking import Client
    from snapml_lab.tracking.record import Origin

    hostile = "нотатник/<b>\r\nX-Evil: 1\x00.ipynb"
    asking = Client(alive.url, alive.key, Origin(notebook=hostile, cell_id="c\u2028\n1"))
    identifier, told = asking.chat({"model": "tuned", "messages": QUESTION, "max_tokens": 1})
    assert told["model"] == "tuned"
    row = alive.row(identifier)
    assert (row.notebook, row.cell_id) == (hostile, "c\u2028\n1")
    assert row.api_key == next(key.id for key in keys.every(alive.ws) if key.name == "tests")


def test_the_text_of_a_key_is_nowhere(alive: Lab, client: openai.OpenAI) -> None:
    key, text = keys.create(alive.ws, "secret")
    with openai.OpenAI(base_url=f"{alive.url}/v1", api_key=text, max_retries=0) as other:
        other.chat.completions.create(**GREEDY)
    made = alive.do("keys", "create", "told-once")["secret"]
    assert made not in alive.run("keys", "list").stdout
    for secret in (text, made, alive.key):
        assert _holding(alive.ws.root, secret.encode()) == []
        assert _argued(secret.encode()) == []
    own = keys.notebook_key(alive.ws)
    assert [path.name for path in _holding(alive.ws.root, own.encode())] == ["notebook.key"]
    assert (alive.ws.root / "notebook.key").stat().st_mode & 0o077 == 0
    with sqlite3.connect(alive.ws.ledger.path) as connection:
        kept = connection.execute("SELECT * FROM api_keys WHERE id = ?", (key.id,)).fetchone()
    assert text not in map(str, kept)


def _holding(folder: Path, secret: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]


def _argued(secret: bytes) -> list[str]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        for part in ("cmdline", "environ"):
            try:
                content = Path("/proc", name, part).read_bytes()
            except OSError:
                continue
            if secret in content and int(name) != os.getpid():
                found.append(f"{name}/{part}")
    return found


def test_a_ledger_that_is_held_does_not_keep_other_callers_waiting(alive: Lab) -> None:
    holding = sqlite3.connect(alive.ws.ledger.path, isolation_level=None, timeout=30)
    try:
        with ThreadPoolExecutor(1) as pool:
            holding.execute("BEGIN IMMEDIATE")
            body = json.dumps({**GREEDY, "max_tokens": 1}).encode()
            slow = pool.submit(answer, alive, "POST", CHAT, body)
            for _ in range(20):
                assert answer(alive, "GET", "/v1/models")[0] == 200
                assert answer(alive, "GET", "/health", Authorization="")[0] == 200
            holding.execute("ROLLBACK")
            got, _, headers = slow.result()
        assert got == 200
        assert alive.row(headers["x-snapml-request"]).ended == "complete"
    finally:
        holding.close()


def test_a_request_that_is_cut_off_leaves_the_gateway_well(alive: Lab) -> None:
    place = urlsplit(alive.url)
    for piece in (
        b"POST /v1/chat/completions HT",
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 99\r\n\r\n{",
    ):
        with socket.create_connection((place.hostname, place.port)) as wire:
            wire.sendall(piece)
    with socket.create_connection((place.hostname, place.port)) as wire:
        wire.sendall(b"\x16\x03\x01\x00nonsense\r\n\r\n")
        assert b"400" in wire.recv(4096)
    assert answer(alive, "GET", "/v1/models")[0] == 200


def test_no_key_stands_in_a_command_line_a_log_or_a_file_that_others_read(
    alive: Lab, client: openai.OpenAI
) -> None:
    client.chat.completions.create(**GREEDY)
    texts = [alive.key.encode(), keys.notebook_key(alive.ws).encode()]
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            content = line.read_bytes()
            assert not any(text in content for text in texts), line
    held = [path for path in alive.folder.rglob("*") if path.is_file()]
    assert len(held) > 20
    with_key = [path for path in held if any(text in path.read_bytes() for text in texts)]
    assert [path.name for path in with_key] == ["notebook.key"]
    assert with_key[0].stat().st_mode & 0o077 == 0
