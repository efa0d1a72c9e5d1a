"""One bill: budgets that many at once cannot overshoot, keys and their terms, what a killed gateway leaves, memory, fallbacks, guardrails."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from snapml_lab import money
from snapml_lab.commands.budgets import CellBudget
from snapml_lab.costs import budgets, prices
from snapml_lab.gateway.books import Books
from snapml_lab.governance import keys
from snapml_lab.governance.keys import Terms
from snapml_lab.guardrails import capture, policies
from snapml_lab.guardrails.policies import Action, Policy, Rule, Where
from snapml_lab.registry import deployments, providers
from snapml_lab.registry.providers import Provider

from .home import free_port, until
from .wire import (
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


def spent(wire: Wire, budget: str) -> tuple[int, int]:
    row = wire.ws.ledger.row("SELECT spent_pico, reserved_pico FROM budget_spent WHERE budget = ?", budget)
    return (0, 0) if row is None else (row[0], row[1])


def change(wire: Wire, **fields: Any) -> None:
    """Change what is declared of the deployment."""
    deployments.declare(wire.ws, replace(deployments.get(wire.ws, NAME), **fields))


def ask_as(wire: Wire, key: str, path: str = "/v1/chat/completions", **body: Any) -> tuple[int, Any]:
    wire.key, kept = key, wire.key
    try:
        response = wire.begin(body, path)
        content = json.loads(response.read())
        response.hang_up()  # type: ignore[attr-defined]
        return response.status, content
    finally:
        wire.key = kept


# Budgets.


def test_a_thousand_calls_at_once_at_the_edge_of_a_budget_do_not_overshoot_it(wire: Wire) -> None:
    wire.script = whole(completion("one", used(9, 4)))
    body = {"model": NAME, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}
    wire.ask(wire.script, max_tokens=10)
    one = wire.one_row().cost_pico
    assert one == 9 * 3_000_000 + 4 * 15_000_000
    limit = Decimal("0.05")
    budgets.declare(wire.ws, "edge", limit, "total", {})

    async def all_at_once() -> list[int]:
        headers = {"Authorization": f"Bearer {wire.key}"}
        address = f"http://127.0.0.1:{wire.port}/v1/chat/completions"
        connector = aiohttp.TCPConnector(limit=200)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

            async def ask() -> int:
                async with session.post(address, json=body) as answer:
                    await answer.read()
                    return answer.status

            return await asyncio.gather(*(ask() for _ in range(1000)))

    statuses = asyncio.run(all_at_once())
    assert set(statuses) <= {200, 402}
    until(lambda: spent(wire, "edge")[1] == 0, what="all to be settled")
    rows = [row for row in wire.rows() if row.at]
    assert len(rows) == 1001
    known = sum(row.cost_pico or 0 for row in rows[1:])
    assert spent(wire, "edge") == (known, 0)
    assert known <= money.to_pico(limit)
    answered = statuses.count(200)
    assert sum(row.status == 200 for row in rows[1:]) == answered
    assert known == answered * one
    # What is left has no room for one more request at its worst, or all were answered.
    status, told = ask_as(wire, wire.key, max_tokens=10)
    assert answered == 1000 or status in (200, 402)
    assert status == 200 or told["error"]["code"] == "insufficient_quota"


def test_while_another_writes_to_the_ledger_requests_wait_and_who_leaves_then_owes_nothing(
    wire: Wire,
) -> None:
    budgets.declare(wire.ws, "all", Decimal(1), "total", {})
    budgets.declare(wire.ws, "mine", Decimal(1), "day", {"key": "wire"})
    wire.script = whole(completion("one", used(9, 4)))
    assert (
        ask_as(wire, wire.key, max_tokens=5)[0] == 200
    )  # the key and what is declared are known from here on
    cost = wire.one_row().cost_pico
    content = json.dumps({"model": NAME, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5})
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {wire.key}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    patient, leaving = (socket.create_connection(("127.0.0.1", wire.port), timeout=60) for _ in range(2))
    other = sqlite3.connect(wire.ws.ledger.path, isolation_level=None)
    with contextlib.closing(other), patient, leaving:
        other.execute("BEGIN IMMEDIATE")
        for caller in (patient, leaving):
            caller.sendall((head + content).encode())
        patient.settimeout(0.5)  # many times what the event loop tries for itself
        with pytest.raises(TimeoutError):
            patient.recv(1)
        leaving.close()
        until(lambda: wire.callers() == 1, what="the gateway to see who has left")
        assert len(wire.asked) == 1
        other.execute("ROLLBACK")
        patient.settimeout(60)
        assert patient.recv(100).startswith(b"HTTP/1.1 200")
    until(lambda: len(wire.rows()) == 3, what="all to be settled")
    assert len(wire.asked) == 2
    assert sorted((row.ended, row.cost_pico) for row in wire.rows()) == [
        ("complete", cost),
        ("complete", cost),
        ("hung_up", 0),
    ]
    assert spent(wire, "all") == spent(wire, "mine") == (2 * (cost or 0), 0)


def test_what_one_of_two_budgets_refuses_is_held_in_neither(wire: Wire) -> None:
    budgets.declare(wire.ws, "wide", Decimal(1), "total", {})
    budgets.declare(wire.ws, "narrow", Decimal(0), "total", {"model": NAME})
    assert ask_as(wire, wire.key, max_tokens=5)[0] == 402
    assert wire.one_row().cost_pico == 0
    assert spent(wire, "wide") == spent(wire, "narrow") == (0, 0)
    assert wire.ws.ledger.row("SELECT count(*) FROM holds")[0] == 0  # type: ignore[index]


def test_a_budget_refuses_what_has_no_bound_and_says_what_to_give(wire: Wire) -> None:
    budgets.declare(wire.ws, "small", Decimal(1), "day", {"model": NAME})
    status, told = ask_as(wire, wire.key)
    assert status == 402
    assert "max_tokens" in told["error"]["message"]
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]
    assert ask_as(wire, wire.key, max_tokens=5, messages=image)[0] == 402
    assert wire.asked == []
    assert [row.status for row in until(lambda: len(wire.rows()) == 2 and wire.rows())] == [402, 402]
    assert all(row.cost_pico == 0 for row in wire.rows())


def test_budgets_are_of_what_they_say(wire: Wire) -> None:
    wire.script = whole(completion("one", used(9, 4)))
    for scope in ({"key": "wire"}, {"model": NAME}, {"model": "fake@1"}, {}):
        budgets.declare(wire.ws, "b", Decimal(0), "month", scope)
        assert ask_as(wire, wire.key, max_tokens=5)[0] == 402, scope
    for scope in ({"key": "other"}, {"model": "x"}, {"notebook": "a.ipynb"}, {"project": "p"}):
        budgets.declare(wire.ws, "b", Decimal(0), "month", scope)
        assert ask_as(wire, wire.key, max_tokens=5)[0] == 200, scope


def test_where_time_is_what_costs_an_answer_is_cut_where_its_hold_ends(wire: Wire) -> None:
    prices.remove(wire.ws, NAME)
    prices.set_compute(wire.ws, Decimal(36))  # a cent a second
    budgets.declare(wire.ws, "seconds", Decimal("0.03"), "total", {})
    told = wire.stream([HEAD, event(delta("a")), HANG])
    assert told[-1]["error"]["code"] == "engine_failed"
    row = wire.one_row()
    assert 1.5 < (row.machine_seconds or 0) < 30
    assert row.cost_pico is not None
    assert spent(wire, "seconds") == (row.cost_pico, 0)
    assert row.cost_pico <= money.to_pico(Decimal("0.03"))


def test_who_is_cut_late_pays_no_more_than_was_held(wire: Wire) -> None:
    prices.remove(wire.ws, NAME)
    prices.set_compute(wire.ws, Decimal(36))  # a cent a second
    budgets.declare(wire.ws, "seconds", Decimal("0.03"), "total", {})

    async def stand_still() -> None:
        time.sleep(4)  # noqa: ASYNC251 - nothing else is to go on

    wire.script = [HEAD, event(delta("a")), HANG]
    response = wire.begin({"stream": True})
    next(events(response))
    wire.call(stand_still())
    row = wire.one_row()
    assert (row.machine_seconds or 0) > 3
    assert row.cost_pico == row.reserved_pico == money.to_pico(Decimal("0.02"))
    assert spent(wire, "seconds") == (row.cost_pico, 0)


def test_machine_time_is_shared_by_those_who_use_it(wire: Wire) -> None:
    prices.remove(wire.ws, NAME)
    prices.set_compute(wire.ws, Decimal(36))
    go = threading.Event()
    wire.script = [HEAD, event(delta("a")), go, event(delta("b", finish="stop", usage=used(1, 2))), DONE, END]
    begun = time.monotonic()
    answers = [wire.begin({"stream": True}) for _ in range(4)]
    time.sleep(0.6)
    go.set()
    for answer in answers:
        assert list(events(answer))[-1] == "[DONE]"
        answer.hang_up()  # type: ignore[attr-defined]
    whole_time = time.monotonic() - begun
    wire.one_row(4)
    shares = [row.machine_seconds or 0 for row in wire.rows()]
    assert 0.5 < sum(shares) <= whole_time
    assert sum(row.cost_pico or 0 for row in wire.rows()) <= money.to_pico(Decimal(36)) * whole_time / 3600


# The gateway killed.

_GATEWAY = """
import sys
from pathlib import Path
from snapml_lab.gateway import app
from snapml_lab.jobs.events import Reporter
app.run({"port": int(sys.argv[1])}, Reporter(Path(sys.argv[2])))
"""


def test_a_gateway_killed_in_the_middle_is_settled_as_estimated_by_the_next(
    wire: Wire, tmp_path: Path
) -> None:
    budgets.declare(wire.ws, "all", Decimal(1), "total", {})
    wire.call(wire.end_gateway())
    wire.port = free_port()
    variables = {**os.environ, "SNAPML_WORKSPACE": str(wire.ws.root)}
    argv = [sys.executable, "-c", _GATEWAY, str(wire.port), str(tmp_path / "events.jsonl")]
    with subprocess.Popen(argv, env=variables) as gateway:
        try:
            until(lambda: _open(wire.port), what="the gateway")
            wire.script = [HEAD, *[event(delta("word ")) for _ in range(7)], HANG]
            response = wire.begin({"stream": True, "max_tokens": 100})
            reading = events(response)
            for _ in range(7):
                next(reading)
            until(
                lambda: wire.ws.ledger.row(
                    "SELECT 1 FROM requests WHERE state = 'open' AND output_tokens = 7"
                ),
                what="how far it is to be noted",
            )
            held = spent(wire, "all")
            assert held[0] == 0
            assert held[1] > 0
        finally:
            gateway.send_signal(signal.SIGKILL)
    response.hang_up()  # type: ignore[attr-defined]
    assert wire.rows() == []
    for _ in range(2):  # the next one, and one after that
        Books(wire.ws).recover()
        (row,) = wire.rows()
        assert (row.usage, row.output_tokens, row.ended, row.status) == ("estimated", 7, "failed", 500)
        assert row.cost_pico == (row.input_tokens or 0) * 3_000_000 + 7 * 15_000_000
        assert spent(wire, "all") == (row.cost_pico, 0)
        assert not wire.ws.ledger.rows("SELECT * FROM holds")


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_full_disk_refuses_what_it_could_not_bill_and_loses_nothing_that_it_gave(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this account may not mount a file system")
    try:
        with wired(place) as wire:
            assert wire.ask(whole(completion("one", used(9, 4))))[0] == 200
            go = threading.Event()
            wire.script = [
                HEAD,
                event(delta("a")),
                go,
                event(delta("b", finish="stop", usage=used(9, 2))),
                DONE,
                END,
            ]
            response = wire.begin({"stream": True})
            reading = events(response)
            next(reading)
            ballast = place / "ballast"
            with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(b"x" * 4096):
                    pass
            statuses = []
            for _ in range(60):  # until what is left of the log's last pages is used up
                wire.script = whole(completion("one", used(9, 4)))
                status, told = ask_as(wire, wire.key)
                statuses.append(status)
                if status != 200:
                    break
            assert (statuses[-1], told["error"]["code"]) == (507, "storage")
            assert set(told["error"]) == {"message", "type", "param", "code"}
            go.set()
            assert list(reading)[-1] == "[DONE]"
            response.hang_up()  # type: ignore[attr-defined]
            ballast.unlink()
            assert ask_as(wire, wire.key)[0] == 200
            number = 1 + statuses.count(200) + 1 + 1
            until(lambda: len(wire.rows()) == number, what="all that was given to be billed")
            assert all(row.cost_pico and row.usage == "metered" for row in wire.rows())
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


# Keys.


def test_no_route_answers_without_a_key_that_is_good(wire: Wire) -> None:
    now = time.time()
    _, expired = keys.create(wire.ws, "old", terms=Terms(expires_at=now - 1))
    gone, revoked = keys.create(wire.ws, "gone")
    keys.revoke(wire.ws, gone.id)
    routes = [
        ("GET", "/metrics"), ("GET", "/v1/models"), ("GET", f"/v1/models/{NAME}"), ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"), ("POST", "/v1/embeddings"), ("GET", "/v2"), ("GET", "/v2/health/live"),
        ("GET", "/v2/health/ready"), ("GET", f"/v2/models/{NAME}"), ("GET", f"/v2/models/{NAME}/ready"),
        ("POST", f"/v2/models/{NAME}/infer"), ("POST", f"/v2/models/{NAME}/versions/1/infer"),
        ("GET", "/anything"), ("POST", "/invocations"), ("OPTIONS", "/v1/models"),
    ]  # fmt: skip

    async def statuses(key: str | None) -> set[int]:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            found = set()
            for method, path in routes:
                address = f"http://127.0.0.1:{wire.port}{path}"
                async with session.request(method, address, data=b"{}") as answer:
                    found.add(answer.status)
            return found

    for key in (None, "", "x", expired, revoked, wire.key[:-1], f"{wire.key} "[:-1] + "A"):
        assert asyncio.run(statuses(key)) == {401}, key
    assert 401 not in asyncio.run(statuses(wire.key))


def test_a_key_of_one_scope_opens_no_other(wire: Wire) -> None:
    wire.script = whole(completion("one", used(1, 1)))
    deployments.declare(wire.ws, deployments.single("other", "fake@2", "transformers", "chat", "inner"))
    _, mine = keys.create(wire.ws, "mine", terms=Terms(models=("fak*",), routes=("/v1/chat/*", "/v1/models")))
    assert ask_as(wire, mine)[0] == 200
    assert ask_as(wire, mine, model="other")[0] == 403
    assert ask_as(wire, mine, "/v1/completions", prompt="a")[0] == 403
    wire.key, kept = mine, wire.key
    response = wire.begin({}, "/v2/models/x/infer")
    assert (response.status, "error" in json.loads(response.read())) == (403, True)
    response.hang_up()  # type: ignore[attr-defined]
    wire.key = kept
    told = wire.ws.ledger.rows("SELECT * FROM audit WHERE surface = 'gateway'")
    assert len(told) >= 3


def test_limits_of_a_key_hold_and_say_when_to_come_again(wire: Wire) -> None:
    wire.script = whole(completion("one", used(50, 60)))
    _, few = keys.create(wire.ws, "few", terms=Terms(requests_per_minute=2))
    assert [ask_as(wire, few)[0] for _ in range(3)] == [200, 200, 429]
    _, short = keys.create(wire.ws, "short", terms=Terms(tokens_per_minute=100))
    assert ask_as(wire, short)[0] == 200
    status, told = ask_as(wire, short)
    assert (status, told["error"]["code"]) == (429, "rate_limit_exceeded")
    _, single = keys.create(wire.ws, "single", terms=Terms(concurrency=1))
    wire.key, kept = single, wire.key
    wire.script = [HEAD, event(delta("a")), HANG]
    response = wire.begin({"stream": True})
    next(events(response))
    wire.key = kept
    assert ask_as(wire, single)[0] == 429
    response.hang_up()  # type: ignore[attr-defined]
    wire.script = whole(completion("one", used(1, 1)))
    until(lambda: ask_as(wire, single)[0] == 200, what="room again")


def test_a_rotated_key_goes_on_for_its_time_and_the_new_one_has_its_terms(wire: Wire) -> None:
    wire.script = whole(completion("one", used(1, 1)))
    _, old = keys.create(wire.ws, "service", terms=Terms(models=("fake",), project="p"))
    made, new = keys.rotate(wire.ws, "service", overlap=5.0)
    assert (made.terms.models, made.terms.project, made.name) == (("fake",), "p", "service")
    assert ask_as(wire, old)[0] == ask_as(wire, new)[0] == 200
    until(lambda: ask_as(wire, old)[0] == 401, what="the old one to end")
    assert ask_as(wire, new)[0] == 200
    assert {row.project for row in wire.rows()} == {"p"}
    keys.rotate(wire.ws, "service", overlap=60)  # by its name: the newest of those that replace each other


def test_a_cells_budget_stops_what_asks_within_it(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    wire.script = whole(completion("one", used(9, 4)))
    monkeypatch.setenv("SNAPML_WORKSPACE", str(wire.ws.root))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with CellBudget("0.0021") as budget:
        inside = keys.notebook_key(wire.ws)
        assert inside == os.environ["OPENAI_API_KEY"]
        found = [ask_as(wire, inside, max_tokens=10)[0] for _ in range(6)]
    assert found[0] == 200
    assert 402 in found
    until(
        lambda: budget.spent() == found.count(200) * (9 * 3_000_000 + 4 * 15_000_000), what="the settlements"
    )
    assert budget.spent() <= money.to_pico(Decimal("0.0021"))
    assert "OPENAI_API_KEY" not in os.environ
    assert keys.notebook_key(wire.ws) != inside


# Memory, fallbacks, guardrails, capture, metrics.


def test_the_very_same_request_is_answered_from_memory_and_costs_nothing(wire: Wire) -> None:
    change(wire, cache_seconds=60.0)
    first = wire.ask(whole(completion("one two", used(9, 4))), temperature=0)
    assert wire.ask([CLOSE], temperature=0) == first
    told = wire.stream([CLOSE], temperature=0, stream_options={"include_usage": True})
    assert told[0]["choices"][0]["delta"]["content"] == "one two"
    assert told[-2]["usage"] == used(9, 4)
    assert len(wire.asked) == 1
    rows = until(lambda: len(wire.rows()) == 3 and wire.rows())
    assert [(row.cached, row.cost_pico) for row in rows][1:] == [(1, 0), (1, 0)]
    status, _ = wire.ask([CLOSE], temperature=0.5)
    assert status == 503
    wire.ask(whole(completion("other", used(9, 4))), temperature=0.25)
    change(wire, cache_seconds=None)
    assert wire.ask([CLOSE], temperature=0)[0] == 503


def test_a_streams_answer_is_remembered_whole(wire: Wire) -> None:
    change(wire, cache_seconds=60.0)
    script = [
        HEAD,
        event(delta("one ")),
        event(delta("two")),
        event(delta(finish="stop", usage=used(9, 2))),
        DONE,
        END,
    ]
    wire.stream(script)
    status, answer = wire.ask([CLOSE])
    assert (status, answer["choices"][0]["message"]["content"]) == (200, "one two")
    assert answer["usage"] == used(9, 2)


def test_a_fallback_is_asked_where_nothing_was_given_and_billed_once(wire: Wire, tmp_path: Path) -> None:
    with wired(tmp_path / "other") as other:
        # The other engine, as a provider would be: over the loopback, through its own gateway.
        os.environ["OTHER_KEY"] = other.key
        other.script = whole(completion("from there", used(5, 6)))
        providers.declare(
            wire.ws, Provider("near", f"http://127.0.0.1:{other.port}/v1", key_env="OTHER_KEY", private=True)
        )
        deployments.declare(
            wire.ws, deployments.single("second", NAME, "openai", "chat", NAME, options={"provider": "near"})
        )
        prices.set_tokens(wire.ws, "second", {"input": Decimal(1), "output": Decimal(2)})
        change(wire, fallbacks=("second",))
        for number, script in enumerate(
            ([CLOSE], whole({"detail": "busy"}, 500), whole({"error": "later"}, 429)), 1
        ):
            status, answer = wire.ask(script)
            assert (status, answer["choices"][0]["message"]["content"], answer["model"]) == (
                200,
                "from there",
                NAME,
            )
            row = wire.one_row(number)
            assert (row.model, row.attempts, row.cost_pico) == (NAME, 2, 5 * 1_000_000 + 6 * 2_000_000)
        assert wire.ask(whole({"detail": "no such field"}, 422))[0] == 422
        told = wire.stream([HEAD, event(delta("a")), CLOSE])
        assert told[-1]["error"]["code"] == "engine_failed"  # something was given: nobody else is asked
        assert len(other.rows()) == 3
        # The key of the provider is nowhere but in the request.
        written = b"".join(path.read_bytes() for path in wire.ws.root.rglob("*") if path.is_file())
        assert other.key.encode() not in written


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://169.254.169.254/latest", False), ("https://127.0.0.1/v1", False), ("https://[::1]/v1", False),
        ("https://2130706433/v1", False), ("https://10.0.0.1/v1", False), ("https://localhost/v1", False),
        ("https://user:hunter2@example.com/v1", False), ("http://example.com/v1", True), ("file:///etc/passwd", True),
    ],
)  # fmt: skip
def test_an_address_inside_is_refused_also_where_the_catalog_was_edited_by_hand(
    wire: Wire, url: str, *, private: bool
) -> None:
    wire.ws.catalog.change(
        "providers",
        "hostile",
        lambda _: {"base_url": url, "key_env": None, "keyring": None, "private": private},
    )
    deployments.declare(
        wire.ws, deployments.single("far", "x", "openai", "chat", "x", options={"provider": "hostile"})
    )
    status, told = ask_as(wire, wire.key, model="far")
    assert status == 503
    assert "hunter2" not in json.dumps(told)


def test_a_name_that_resolves_inside_is_refused_when_it_is_connected_to(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = []
    real = socket.getaddrinfo

    def rebound(host: Any, *rest: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host == "rebound.example.com" else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    with socket.socket() as inside:
        inside.bind(("127.0.0.1", 0))
        inside.listen()
        inside.settimeout(0.3)
        port = inside.getsockname()[1]
        providers.declare(wire.ws, Provider("sly", f"https://rebound.example.com:{port}/v1"))
        deployments.declare(
            wire.ws, deployments.single("far", "x", "openai", "chat", "x", options={"provider": "sly"})
        )
        assert ask_as(wire, wire.key, model="far")[0] == 503
        with pytest.raises(TimeoutError):
            reached.append(inside.accept())
    assert reached == []


SECRET = "4111 1111 1111 1111"
_STRICT = Policy("strict", (Rule("pii", Action.MASK, Where.BOTH), Rule("secrets", Action.BLOCK, Where.BOTH)))
_TOKEN = "ghp_" + "0123456789abcdefghijABCDEFGHIJ456789"


def test_guardrails_mask_what_is_asked_and_what_is_answered_also_across_chunks(wire: Wire) -> None:
    policies.declare(wire.ws, _STRICT)
    change(wire, guardrails="strict")
    asked = [{"role": "user", "content": f"my card is {SECRET}"}]
    status, answer = wire.ask(whole(completion(f"your card {SECRET}.", used(1, 1))), messages=asked)
    assert status == 200
    assert SECRET not in json.dumps(wire.asked)
    assert "redacted" in wire.asked[-1]["body"]["messages"][0]["content"]
    assert SECRET not in json.dumps(answer)
    for size in (1, 3, 7):
        said = f"your card {SECRET} is it"
        pieces = [event(delta(said[index : index + size])) for index in range(0, len(said), size)]
        told = wire.stream([HEAD, *pieces, event(delta(finish="stop", usage=used(1, 9))), DONE, END])
        text = "".join(
            item["choices"][0]["delta"].get("content") or "" for item in told[:-1] if item["choices"]
        )
        assert re.fullmatch(r"your card \[\w+ redacted\] is it", text), text
        assert "4111" not in json.dumps(told)
    row = wire.one_row(4)
    noted = json.loads(row.guard or "null")
    assert noted[0]["policy"] == "strict"
    assert noted[0]["scanned"]["output"]
    assert any(item.get("action") == "mask" for item in noted[1:])
    assert "4111" not in (row.guard or "")


def test_guardrails_block_before_the_call_and_in_the_middle_of_a_stream(wire: Wire) -> None:
    policies.declare(wire.ws, _STRICT)
    change(wire, guardrails="strict")
    status, told = ask_as(wire, wire.key, messages=[{"role": "user", "content": f"use {_TOKEN}"}])
    assert (status, told["error"]["code"]) == (422, "guardrail_blocked")
    assert wire.asked == []
    told_stream = wire.stream([HEAD, event(delta("here: ")), *[event(delta(c)) for c in f"{_TOKEN} "], HANG])
    assert told_stream[-1]["error"]["code"] == "guardrail_blocked"
    assert "ghp_" not in json.dumps(told_stream)
    row = wire.one_row(2)
    assert (row.ended, row.status) == ("failed", 422)
    assert wire.ask(whole(completion(f"it is {_TOKEN} now", used(1, 1))))[0] == 422
    status, told = ask_as(wire, wire.key, logprobs=True)
    assert (status, told["error"]["param"]) == (400, "logprobs")


def test_guardrails_that_cannot_be_read_let_nothing_pass(wire: Wire) -> None:
    change(wire, guardrails="nowhere")
    assert ask_as(wire, wire.key)[0] in (404, 503)
    wire.ws.catalog.change("guardrails", "torn", lambda _: {"rules": [{"detector": "nothing"}]})
    change(wire, guardrails="torn")
    assert ask_as(wire, wire.key)[0] == 503
    assert wire.asked == []


def test_capture_keeps_what_was_asked_for_and_redacts_it(wire: Wire) -> None:
    capture.declare(wire.ws, capture.Settings(NAME))
    wire.ask(
        whole(completion(f"your card {SECRET}", used(1, 1))),
        messages=[{"role": "user", "content": f"card {SECRET}"}],
    )
    (kept,) = until(lambda: capture.read(wire.ws, NAME), what="the capture")
    assert SECRET not in json.dumps([kept.request, kept.answer])
    wire.stream([HEAD, event(delta("a")), event(delta("b", finish="stop")), DONE, END])
    until(lambda: len(capture.read(wire.ws, NAME)) == 2, what="the stream's")
    capture.stop(wire.ws, NAME)
    wire.ask(whole(completion("no more", used(1, 1))))
    wire.one_row(3)
    assert len(capture.read(wire.ws, NAME)) == 2


def test_metrics_tell_what_the_ledger_tells(wire: Wire) -> None:
    wire.ask(whole(completion("one", used(9, 4, 5))))
    wire.one_row()

    async def scrape() -> str:
        headers = {"Authorization": f"Bearer {wire.key}"}
        address = f"http://127.0.0.1:{wire.port}/metrics"
        async with aiohttp.ClientSession(headers=headers) as session, session.get(address) as answer:
            return await answer.text()

    text = asyncio.run(scrape())
    assert 'snapml_requests_total{deployment="fake",ended="complete",status="200"} 1.0' in text
    assert 'snapml_tokens_total{bucket="cached",deployment="fake"} 5.0' in text
    assert 'snapml_tokens_total{bucket="input",deployment="fake"} 4.0' in text
    cost = Decimal(4 * 3 + 5 * 3 + 4 * 15) / 1_000_000
    assert f'snapml_cost_dollars_total{{deployment="fake"}} {float(cost)!r}' in text


def test_a_header_of_bytes_that_are_no_text_is_billed_all_the_same(wire: Wire) -> None:
    wire.script = whole(completion("one", used(9, 4)))
    content = json.dumps({"model": NAME, "messages": [{"role": "user", "content": "hello"}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {wire.key}\r\nContent-Length: {len(content)}\r\n"
    with socket.create_connection(("127.0.0.1", wire.port), timeout=60) as caller:
        caller.sendall(head.encode() + b"X-SnapML-Notebook: caf\xe9.ipynb\r\n\r\n" + content.encode())
        assert caller.recv(100).startswith(b"HTTP/1.1 200")
    assert wire.one_row().notebook == "caf?.ipynb"
