"""A model is rolled out under steady requests: canary, promote, back, and not one request is dropped on the way."""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from snapml_lab.engines import replicas, services
from snapml_lab.governance import keys
from snapml_lab.jobs import processes
from snapml_lab.registry import deployments

from . import classic
from .home import Home, Lab, free_port, until
from .test_services import ROWS, spoil

CALLERS = 3


@dataclass
class Asked:
    """What steady callers were answered: the status of each, and the first few that were not 200."""

    statuses: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def more(self, number: int) -> None:
        """Wait until so many more were answered."""
        wanted = len(self.statuses) + number
        until(lambda: len(self.statuses) >= wanted or self.wrong, what="answers")


@contextlib.contextmanager
def steady(lab: Lab, name: str) -> Iterator[Asked]:
    """Ask without a pause, from several callers, each request on a connection of its own."""
    asked, stop = Asked(), threading.Event()
    place = urlsplit(lab.url)

    def call() -> None:
        while not stop.is_set():
            connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
            try:
                headers = {"Authorization": f"Bearer {lab.key}"}
                connection.request("POST", f"/v2/models/{name}/infer", json.dumps(ROWS), headers)
                response = connection.getresponse()
                content = response.read()
                asked.statuses.append(response.status)
                if response.status != 200:
                    asked.wrong.append(f"{response.status}: {content[:300]!r}")
            except OSError as error:
                asked.wrong.append(repr(error))
            finally:
                connection.close()
            time.sleep(0.01)

    callers = [threading.Thread(target=call) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        yield asked
    finally:
        stop.set()
        for caller in callers:
            caller.join()


@pytest.fixture
def house(home: Home) -> Lab:
    """``house`` serves the first of two versions."""
    lab = Lab(home.folder, home.cache)
    for _ in range(2):
        classic.register(lab.ws, "worth", "worth", lab.folder)
    told = lab.do("deploy", "worth@1", "--name", "house", "--port", str(free_port()))
    lab.url = told["url"]
    _, lab.key = keys.create(lab.ws, "tests")
    return lab


def alive(lab: Lab) -> list[str]:
    return [job.name for job in replicas.every(lab.ws, "house")]


def answered_by(lab: Lab) -> set[str]:
    return {row.target for row in lab.rows()}


def test_no_request_is_dropped_while_a_canary_comes_stands_and_goes_again(house: Lab):
    with steady(house, "house") as asked:
        asked.more(20)
        told = house.do("deploy", "worth@2", "--name", "house", "--canary", "40")
        assert told["state"] == "running"
        asked.more(60)
        shown = house.do("rollout", "show", "house")
        assert [(it["role"], it["model"], it["share"]) for it in shown["targets"]] == [
            ("stands", "worth@1", 60), ("canary", "worth@2", 40)]  # fmt: skip
        assert all(target["requests"] > 0 for target in shown["targets"])
        asked.more(10)
        house.do("rollout", "promote", "house")
        assert alive(house) == ["house/r2"]
        asked.more(30)
        back = house.do("rollout", "back", "house")
        assert [(it["role"], it["model"], it["share"]) for it in back["targets"]] == [
            ("stands", "worth@1", 100)
        ]
        assert alive(house) == ["house"]
        asked.more(30)
    assert asked.wrong == []
    rows = house.rows()
    assert len(rows) == len(asked.statuses)
    assert {row.target for row in rows} == {"r1", "r2"}
    assert {row.model for row in rows if row.target == "r2"} == {"worth@2"}


def test_a_canary_is_taken_back_without_a_request_dropped(house: Lab):
    with steady(house, "house") as asked:
        house.do("deploy", "worth@2", "--name", "house", "--canary", "50")
        asked.more(40)
        assert "r2" in answered_by(house)
        house.do("rollout", "share", "house", "90")
        asked.more(20)
        house.do("rollout", "back", "house")
        assert alive(house) == ["house"]
        asked.more(20)
    assert asked.wrong == []


def test_a_shadow_gets_copies_and_callers_see_none_of_it(house: Lab):
    house.do("deploy", "worth@2", "--name", "house", "--shadow")
    with steady(house, "house") as asked:
        asked.more(30)
    assert asked.wrong == []
    shown = house.do("rollout", "show", "house")
    assert [(it["role"], it["share"]) for it in shown["targets"]] == [("stands", 100), ("shadow", 0)]
    until(lambda: "r2" in answered_by(house), what="a copy at the shadow")
    assert "has a shadow" in house.refused("deploy", "worth@2", "--name", "house", "--shadow")["message"]
    house.do("rollout", "back", "house")
    assert alive(house) == ["house"]


def test_a_canary_that_does_not_start_changes_nothing_and_leaves_nothing(house: Lab):
    spoil(house)
    before = house.ws.catalog.get("deployments", "house")
    error = house.refused("deploy", "bad", "--name", "house", "--canary", "10")
    assert error["code"] == "job_failed"
    assert house.ws.catalog.get("deployments", "house") == before
    assert alive(house) == ["house"]
    told = house.do("deploy", "worth@2", "--name", "house", "--canary", "10")
    assert told["state"] == "running"
    assert alive(house) == ["house", "house/r2"]
    house.do("undeploy", "house")
    assert alive(house) == []


def test_replicas_share_the_requests_and_one_that_is_killed_is_not_missed(house: Lab):
    told = house.do("deploy", "worth@2", "--name", "pair", "--replicas", "2")
    assert told["state"] == "running"
    jobs = replicas.every(house.ws, "pair")
    assert [job.name for job in jobs] == ["pair", "pair/r1/2"]
    target = deployments.get(house.ws, "pair").target
    assert [deployments.socket_path(house.ws, deployments.service_name("pair", target, n)).exists() for n in (1, 2)] == [
        True, True]  # fmt: skip
    with steady(house, "pair") as asked:
        asked.more(40)
    assert asked.wrong == []
    house.do("undeploy", "pair")
    for job in jobs:
        assert processes.bearing(house.nonce(job.id)) == []


def test_what_stood_is_stopped_only_after_what_was_sent_to_it_is_answered(house: Lab):
    """A request that is open on record is waited for; its end lets the old service go."""
    from snapml_lab import clock, ids
    from snapml_lab.costs import requests

    house.do("deploy", "worth@2", "--name", "house", "--canary", "10")
    fields = {
        "id": ids.new(), "at": clock.now(), "deployment": "house", "model": "worth@1", "route": "/v2/infer", "api_key": "k",
        "notebook": None, "cell_id": None, "streamed": 0, "status": 0, "ended": "", "input_tokens": None,
        "cached_tokens": None, "output_tokens": None, "usage": "unknown", "first_token_ms": None, "duration_ms": 0.0,
        "cost_pico": None, "price": "", "state": "open", "target": "r1",
    }  # fmt: skip
    requests.add(house.ws.ledger, requests.Request(**fields))
    promoting = house.start("rollout", "promote", "house")
    until(lambda: deployments.get(house.ws, "house").target.id == "r2", what="the promotion")
    time.sleep(3)
    assert promoting.poll() is None
    assert alive(house) == ["house", "house/r2"]
    with house.ws.ledger.write() as connection:
        connection.execute("UPDATE requests SET state = 'settled' WHERE id = ?", (fields["id"],))
    assert promoting.wait(60) == 0
    assert alive(house) == ["house/r2"]
    assert services.live(house.ws, "endpoint", "house") is None
