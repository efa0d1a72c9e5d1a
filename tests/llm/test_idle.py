"""Scale to zero: what nobody asks for stops, what is asked for comes back, once, however many ask."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from snapml_lab import clock, ids
from snapml_lab.costs import requests
from snapml_lab.engines import idle, replicas, services
from snapml_lab.errors import NotFoundError
from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.model import Job, State
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Deployment

from . import classic
from .home import Home, free_port, until

DAY = 86_400.0


@pytest.mark.parametrize(
    ("idle_seconds", "last", "ready", "due"),
    [
        (None, None, 0.0, False), (60.0, 900.0, 0.0, True), (60.0, 941.0, 0.0, False), (60.0, 940.0, 0.0, True),
        (60.0, None, 0.0, True), (60.0, None, 950.0, False), (60.0, 900.0, 950.0, False), (60.0, 2000.0, 0.0, False),
    ],
)  # fmt: skip
def test_idle_is_so_long_without_a_request_and_since_it_was_ready(idle_seconds, last, ready, due):
    made = replace(deployments.single("a", "a@1", "predict", "binary", "/a"), idle_seconds=idle_seconds)
    assert idle.due(made, 1000.0, last, ready) is due


@pytest.fixture
def sleepy(home: Home) -> tuple[Home, Deployment, Job]:
    classic.register(home.ws, "worth", "worth", home.folder)
    told = home.do("deploy", "worth", "--port", str(free_port()), "--idle", "10m")
    assert told["state"] == "running"
    found = deployments.get(home.ws, "worth")
    assert found.idle_seconds == 600.0
    job = services.live(home.ws, "endpoint", "worth")
    assert job is not None
    return home, found, job


def ended(home: Home, job: Job) -> bool:
    return home.job(job.id).state is State.CANCELLED and not processes.bearing(home.nonce(job.id))


def test_it_stops_when_it_was_idle_and_not_before_and_one_request_brings_it_back(sleepy):
    home, found, job = sleepy
    now = clock.now()
    assert idle.stop_idle(home.ws, now + 300, {}) == []
    assert idle.stop_idle(home.ws, now + DAY, {"worth": now + DAY - 1}) == []
    assert not idle.asleep(home.ws, found, found.target)
    assert [item.id for item in idle.stop_idle(home.ws, now + DAY, {"worth": now, "other": now + DAY})] == [
        job.id
    ]
    until(lambda: ended(home, job), what="its end")
    assert idle.asleep(home.ws, found, found.target)
    shown = home.do("endpoints", "list")["endpoints"][0]
    assert shown["state"] == "asleep"
    assert "is deployed" in home.refused("deploy", "worth")["message"]

    woken = idle.wake(home.ws, found, found.target)
    assert services.wait_ready(home.ws, woken).state is State.RUNNING
    assert (woken.id != job.id, woken.actor) == (True, job.actor)
    assert not idle.asleep(home.ws, found, found.target)
    assert idle.stop_idle(home.ws, clock.now() + 1, {}) == [], "just awake, it has its time before it"


def test_many_who_ask_at_once_wake_it_once_also_while_it_is_on_its_way_out(sleepy):
    home, found, job = sleepy
    assert idle.stop_idle(home.ws, clock.now() + DAY, {})
    together = threading.Barrier(6)

    def ask(_: int) -> str:
        together.wait()
        return idle.wake(home.ws, found, found.target).id

    with ThreadPoolExecutor(6) as pool:
        woken = set(pool.map(ask, range(6)))
    assert len(woken) == 1
    assert woken != {job.id}
    assert ended(home, job)
    assert services.wait_ready(home.ws, home.job(woken.pop())).state is State.RUNNING
    assert len([it for it in queue.latest(home.ws) if it.kind == "endpoint"]) == 2


def test_one_that_is_answering_is_not_idle(sleepy):
    home, found, _job = sleepy
    fields = {
        "id": ids.new(), "at": 1.0, "deployment": "worth", "model": found.model, "route": "/v2/infer", "api_key": "k",
        "notebook": None, "cell_id": None, "streamed": 0, "status": 0, "ended": "", "input_tokens": None,
        "cached_tokens": None, "output_tokens": None, "usage": "unknown", "first_token_ms": None, "duration_ms": 0.0,
        "cost_pico": None, "price": "", "state": "open",
    }  # fmt: skip
    requests.add(home.ws.ledger, requests.Request(**fields))
    assert idle.stop_idle(home.ws, clock.now() + DAY, {}) == []
    with home.ws.ledger.write() as connection:
        connection.execute("UPDATE requests SET state = 'settled'")
    assert idle.stop_idle(home.ws, clock.now() + DAY, {}) != []


def test_what_was_withdrawn_is_not_woken_and_what_sleeps_can_be_withdrawn(sleepy):
    home, found, job = sleepy
    idle.stop_idle(home.ws, clock.now() + DAY, {})
    until(lambda: ended(home, job), what="its end")
    assert home.do("undeploy", "worth")["endpoints"] == []
    with pytest.raises(NotFoundError):
        idle.wake(home.ws, found, found.target)
    assert replicas.every(home.ws, "worth") == []
