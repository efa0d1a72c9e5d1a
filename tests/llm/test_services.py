"""Endpoints are jobs that are meant to stay: killed they come back, stopped they are gone, and the callers are told."""

import http.client
import json
import os
import signal
import socket
import sys
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from snapml_lab.engines import services
from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.model import Job, State, Work
from snapml_lab.jobs.tick import tick
from snapml_lab.registry import deployments
from snapml_lab.registry.signature import Signature
from snapml_lab.tracking.record import Origin

from . import classic
from .home import Home, Lab, free_port, until

ROWS = {"inputs": [
    {"name": "age", "shape": [1], "datatype": "INT64", "data": [40]}, {"name": "spent", "shape": [1], "datatype": "FP64", "data": [9.5]},
    {"name": "city", "shape": [1], "datatype": "BYTES", "data": ["Oslo"]},
]}  # fmt: skip


def infer(lab: Lab, name: str = "worth") -> tuple[int, Any]:
    place = urlsplit(lab.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    try:
        headers = {"Authorization": f"Bearer {lab.key}"}
        connection.request("POST", f"/v2/models/{name}/infer", json.dumps(ROWS), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def service(lab: Home, kind: str, name: str) -> Job:
    job = services.live(lab.ws, kind, name)
    assert job is not None
    return job


def payload(lab: Home, job: Job) -> int:
    """The process that serves: the oldest that bears the job's nonce."""
    return int(min(until(lambda: processes.bearing(lab.nonce(job.id)), what="the payload")))


def back(lab: Home, job: Job) -> Job:
    return services.wait_ready(lab.ws, lab.job(job.id))


def down(lab: Home, job: Job) -> Job:
    """Wait until the ledger says that a service fell."""
    return until(  # type: ignore[no-any-return]
        lambda: (now := lab.job(job.id)).restarts > job.restarts and now, what=f"{job.name} to be seen down"
    )


def test_an_engine_that_is_killed_comes_back_and_callers_are_told_meanwhile(alive: Lab) -> None:
    job = service(alive, "endpoint", "tuned")
    first = payload(alive, job)
    body: dict[str, Any] = {
        "model": "tuned",
        "messages": [{"role": "user", "content": "ann has 1"}],
        "max_tokens": 4,
    }
    with openai.OpenAI(base_url=f"{alive.url}/v1", api_key=alive.key, max_retries=0) as client:
        wanted = client.chat.completions.create(**body).choices[0].message.content
        os.kill(first, signal.SIGKILL)
        fallen = down(alive, job)
        assert fallen.state is State.STARTING
        assert "signal 9" in (fallen.message or "")
        for streamed in (True, False):
            with pytest.raises(openai.InternalServerError) as caught:
                client.chat.completions.create(**body, stream=streamed)
            assert (caught.value.status_code, caught.value.code) == (503, "engine_unavailable")
        assert client.chat.completions.create(**{**body, "model": "merged"}).choices
        shown = next(item for item in alive.do("endpoints", "list")["endpoints"] if item["name"] == "tuned")
        assert (shown["state"], shown["restarts"]) == ("starting", job.restarts + 1)
        assert shown["message"]
        up = back(alive, job)
        assert up.state is State.RUNNING
        assert client.chat.completions.create(**body).choices[0].message.content == wanted
    assert payload(alive, job) != first
    assert processes.state(first) in (None, "Z")


def test_an_engine_killed_in_the_middle_of_an_answer_breaks_it_off_and_leaves_a_row(alive: Lab) -> None:
    job = service(alive, "endpoint", "tuned")
    before = {row.id for row in alive.rows()}
    with openai.OpenAI(base_url=f"{alive.url}/v1", api_key=alive.key, max_retries=0) as client:
        body: dict[str, Any] = {
            "model": "tuned",
            "messages": [{"role": "user", "content": "ann has 1"}],
            "max_tokens": 400,
        }
        for seed in range(20):  # chance may end an answer before the engine is
            stream = client.chat.completions.create(**body, stream=True, temperature=2.0, seed=seed)
            next(iter(stream))
            os.kill(payload(alive, job), signal.SIGKILL)
            try:
                list(stream)
            except openai.APIError as error:
                assert "broke off" in error.message  # noqa: PT017 - the loop goes on where there was none
                break
            job = back(alive, down(alive, job))
    rows = until(lambda: [row for row in alive.rows() if row.id not in before][seed:], what="the row")
    assert [row.ended for row in rows] == ["failed"]
    down(alive, job)
    back(alive, job)


@pytest.mark.parametrize("kind", ["endpoint", "gateway"])
def test_a_killed_payload_comes_back_under_the_same_job(open_shop: Lab, kind: str) -> None:
    job = service(open_shop, kind, "worth" if kind == "endpoint" else "gateway")
    first = payload(open_shop, job)
    os.kill(first, signal.SIGKILL)
    fallen = down(open_shop, job)
    assert fallen.state is State.STARTING
    assert fallen.message == "ended with signal 9; starting again"
    up = back(open_shop, job)
    assert (up.id, up.state, up.message) == (job.id, State.RUNNING, "ready")
    assert infer(open_shop)[0] == 200
    assert payload(open_shop, job) != first


@pytest.mark.parametrize("kind", ["endpoint", "gateway"])
def test_a_service_whose_keeper_is_killed_is_brought_back_by_a_tick(open_shop: Lab, kind: str) -> None:
    job = service(open_shop, kind, "worth" if kind == "endpoint" else "gateway")
    first = payload(open_shop, job)
    assert processes.signal_exactly(job.shim_pid, job.shim_start, signal.SIGKILL)
    until(lambda: not processes.same(job.shim_pid, job.shim_start), what="the keeper to be gone")
    until(lambda: processes.state(first) in (None, "Z"), what="its payload to be gone")
    tick(open_shop.ws)
    down(open_shop, job)
    up = back(open_shop, job)
    assert (up.id, up.state) == (job.id, State.RUNNING)
    assert up.shim_pid != job.shim_pid
    assert infer(open_shop)[0] == 200
    assert len({pid for pid in processes.bearing(open_shop.nonce(job.id)) if _listens(pid)}) <= 1


def _listens(pid: int) -> bool:
    return processes.state(pid) not in (None, "Z")


def test_callers_of_v2_are_told_while_an_engine_is_down(open_shop: Lab) -> None:
    job = service(open_shop, "endpoint", "worth")
    os.kill(payload(open_shop, job), signal.SIGKILL)
    down(open_shop, job)
    status, told = infer(open_shop)
    assert status in {200, 503}  # it may be back already
    if status == 503:
        assert "does not answer at the moment" in told["error"]
    assert infer(open_shop, "stays")[0] == 200
    back(open_shop, job)


def restless(home: Home, source: str, **fields: Any) -> Job:
    work = Work("endpoint", "restless", [sys.executable, "-c", source], cpus=0, service=True, **fields)
    return queue.submit(home.ws, work, actor="tester", origin=Origin())


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "pass", "import os; os.abort()"])
def test_a_service_that_ends_by_itself_is_started_again_and_is_never_running(home: Home, source: str) -> None:
    job = restless(home, source)
    fallen = until(lambda: (now := home.job(job.id)).restarts >= 2 and now, what="two falls")
    assert fallen.state is State.STARTING
    assert "starting again" in fallen.message
    cancelled = queue.wait(home.ws, queue.cancel(home.ws, job.id, grace=1.0), timeout=60)
    assert (cancelled.state, cancelled.error_code) == (State.CANCELLED, None)
    again = home.job(job.id).restarts
    assert processes.bearing(home.nonce(job.id)) == []
    tick(home.ws)
    assert home.job(job.id).restarts == again


def test_a_service_is_running_only_once_it_says_so(home: Home) -> None:
    quiet = "import time; time.sleep(600)"
    job = restless(home, quiet)
    until(lambda: home.job(job.id).shim_pid, what="the keeper")
    assert home.job(job.id).state is State.STARTING
    ready = restless(
        home,
        "import os, json, time; open(os.environ['SNAPML_JOB_DIR'] + '/events.jsonl', 'a').write('{\"type\": \"ready\"}\\n'); time.sleep(600)",
    )
    until(lambda: home.job(ready.id).state is State.RUNNING, what="ready")
    assert home.job(job.id).state is State.STARTING


def test_a_service_that_cannot_be_started_at_all_ends(home: Home) -> None:
    work = Work("endpoint", "nothing", ["/nowhere/to/be/found"], cpus=0, service=True)
    job = queue.wait(home.ws, queue.submit(home.ws, work, actor="tester", origin=Origin()), timeout=60)
    assert (job.state, job.error_code) == (State.FAILED, "not_started")


def test_a_service_cancelled_while_its_keeper_is_dead_stays_cancelled(home: Home) -> None:
    job = restless(home, "import time; time.sleep(600)")
    job = until(lambda: (now := home.job(job.id)).shim_pid and now, what="the keeper")
    first = payload(home, job)
    processes.signal_exactly(job.shim_pid, job.shim_start, signal.SIGKILL)
    until(lambda: not processes.same(job.shim_pid, job.shim_start), what="the keeper to be gone")
    ended = queue.wait(home.ws, queue.cancel(home.ws, job.id, grace=0.5), timeout=60)
    assert ended.state is State.CANCELLED
    assert processes.state(first) in (None, "Z")


# Deploying and undeploying.


@pytest.fixture
def classics(home: Home) -> Home:
    classic.register(home.ws, "stays", "stays", home.folder)
    return home


def spoil(home: Home) -> None:
    (home.folder / "bad.skops").write_bytes(b"no model at all")
    classic.keep(
        home.ws, "bad", home.folder / "bad.skops", Signature(["age"], [], [], {}, "x", []), "regression"
    )


def nothing_is_left(home: Home, jobs: list[Job]) -> None:
    for job in jobs:
        assert home.job(job.id).ended
        assert processes.bearing(home.nonce(job.id)) == []


def test_a_deployment_comes_up_is_listed_and_goes_without_a_trace(classics: Home) -> None:
    port = free_port()
    told = classics.do("deploy", "stays", "--name", "house", "--port", str(port))
    assert (told["name"], told["model"], told["engine"], told["state"]) == (
        "house",
        "stays@1",
        "predict",
        "running",
    )
    assert told["url"] == f"http://127.0.0.1:{port}"
    path = deployments.socket_path(classics.ws, "house")
    assert path.is_socket()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    jobs = [service(classics, "endpoint", "house"), service(classics, "gateway", "gateway")]
    assert [processes.bearing(classics.nonce(job.id)) for job in jobs].count([]) == 0

    left = classics.do("undeploy", "house")
    assert (left["endpoints"], left["gateway"]) == ([], "running")
    nothing_is_left(classics, jobs[:1])
    assert not path.exists()
    assert classics.refused("undeploy", "house")["code"] == "not_found"
    assert classics.do("undeploy", "--gateway")["gateway"] == "stopped"
    nothing_is_left(classics, jobs)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
    assert classics.refused("ask", "hello", "--model", "house")["code"] == "conflict"


def test_an_engine_that_cannot_start_says_why_and_leaves_nothing(classics: Home) -> None:
    spoil(classics)
    error = classics.refused("deploy", "bad", "--port", str(free_port()))
    assert error["code"] == "job_failed"
    assert "again and again" in error["message"]
    assert "is not a skops model" in error["message"]
    assert deployments.every(classics.ws) == []
    jobs = queue.latest(classics.ws)
    assert {job.kind for job in jobs} == {"endpoint", "gateway"}
    nothing_is_left(classics, jobs)


def test_a_failed_deployment_leaves_the_gateway_to_others(classics: Home) -> None:
    spoil(classics)
    classics.do("deploy", "stays", "--port", str(free_port()))
    gateway = service(classics, "gateway", "gateway")
    assert classics.refused("deploy", "bad")["code"] == "job_failed"
    assert [item.name for item in deployments.every(classics.ws)] == ["stays"]
    assert classics.job(gateway.id).state is State.RUNNING


def test_a_gateway_that_once_fell_often_does_not_hinder_a_new_deployment(classics: Home) -> None:
    classics.do("deploy", "stays", "--port", str(free_port()))
    gateway = service(classics, "gateway", "gateway")
    with classics.ws.ledger.write() as connection:
        connection.execute("UPDATE jobs SET restarts = 7 WHERE id = ?", (gateway.id,))
    os.kill(payload(classics, gateway), signal.SIGKILL)
    assert classics.do("deploy", "stays", "--name", "again")["state"] == "running"
    assert back(classics, gateway).state is State.RUNNING


def test_a_port_in_use_is_refused_before_anything_is_made(classics: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = classics.refused("deploy", "stays", "--port", str(port))
        assert error["code"] == "conflict"
        assert str(port) in error["message"]
    assert deployments.every(classics.ws) == []
    assert queue.count(classics.ws) == 0


def test_a_port_that_another_takes_before_the_gateway_does_is_left_to_it(
    classics: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(services, "_free", lambda _: taken.getsockname()[1])
        job = services.start_gateway(classics.ws, None, actor="tester", origin=Origin())
        job = services.wait_ready(classics.ws, job, timeout=60)
        port = services.gateway_port(classics.ws, job)
        assert port != taken.getsockname()[1]
    os.kill(payload(classics, job), signal.SIGKILL)
    assert back(classics, down(classics, job)).state is State.RUNNING
    assert services.base_url(classics.ws) == f"http://127.0.0.1:{port}"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("nothing",), "not_found"), (("stays@9",), "not_found"), (("stays", "--name", "a/b"), "invalid_input"),
        (("stays", "--name", "<script>"), "invalid_input"), (("stays", "--port", "0"), "invalid_input"),
        (("stays", "--port", "99999"), "invalid_input"),
    ],
)  # fmt: skip
def test_what_cannot_be_deployed_is_refused_and_nothing_made(
    classics: Home, words: tuple[str, ...], code: str
) -> None:
    assert classics.refused("deploy", *words)["code"] == code
    assert deployments.every(classics.ws) == []
    assert queue.count(classics.ws) == 0


def test_of_two_who_deploy_the_same_name_at_once_one_is_told(classics: Home) -> None:
    port = str(free_port())
    both = [classics.start("deploy", "stays", "--port", port) for _ in range(2)]
    done = [process.communicate(timeout=200) for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], done
    refused = next(told for process, told in zip(both, done, strict=True) if process.returncode == 2)
    assert "is deployed" in refused[1]
    assert [job.kind for job in queue.latest(classics.ws)].count("endpoint") == 1
    assert [job.kind for job in queue.latest(classics.ws)].count("gateway") == 1
    assert "is deployed" in classics.refused("deploy", "stays")["message"]
    other = classics.refused("deploy", "stays", "--name", "b", "--port", str(free_port()))
    assert "alive on port" in other["message"]


@pytest.mark.slow
def test_an_llm_that_cannot_be_loaded_says_why_and_leaves_nothing(home: Home) -> None:
    folder = home.folder / "broken"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(b"\0" * 64)
    error = home.refused("deploy", "broken", "--port", str(free_port()))
    assert error["code"] == "job_failed"
    assert "again and again" in error["message"]
    assert deployments.every(home.ws) == []
    nothing_is_left(home, queue.latest(home.ws))
