"""What `endpoints show` tells of an endpoint that answers, fails, dies and comes back, behind a real gateway."""

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fakes import engine
from fakes.gpus import FakeGpus, training

from snapml_lab.commands import endpoints
from snapml_lab.costs import prices
from snapml_lab.engines import services
from snapml_lab.errors import NotFoundError
from snapml_lab.governance import keys
from snapml_lab.jobs import gpus, queue
from snapml_lab.jobs.model import Work
from snapml_lab.registry import deployments
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace
from tests.llm.home import free_port

NAME = "story"
PATIENCE = 30.0
READY = 60.0


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {PATIENCE} s"
        time.sleep(0.1)
    return found


class Story:
    """A project with one chat deployment, its scripted engine and the gateway."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        deployments.declare(ws, deployments.single(NAME, "story@1", "transformers", "chat", "inner"))
        spec = {"socket": str(deployments.socket_path(ws, NAME))}
        work = Work(services.ENDPOINT, NAME, [sys.executable, engine.__file__], spec, cpus=0, service=True)
        self.job = queue.submit(ws, work, actor="tester", origin=Origin())
        # A port of its own: the usual one may be another test's in a moment.
        gateway = services.start_gateway(ws, free_port(), actor="tester", origin=Origin())
        for job in (self.job, gateway):
            services.wait_ready(ws, job, timeout=READY)
        self.port = services.gateway_port(ws, gateway)
        _, self.key = keys.create(ws, "a caller")

    def ask(self, content: str, *, stream: bool = True) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = {"model": NAME, "messages": [{"role": "user", "content": content}], "stream": stream}
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status

    def shown(self) -> endpoints.EndpointView:
        return endpoints.show(self.ws, NAME)

    def after(self, requests: int) -> endpoints.EndpointView:
        """Look once so many requests are settled."""
        return until(lambda: (found := self.shown()).doing.requests >= requests and found)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("story")
    made = Story(Workspace(folder / ".snapml"))
    yield made
    for job in queue.latest(made.ws, limit=100):
        if not job.ended:
            services.stop(made.ws, job)


def test_an_endpoint_that_answers_is_told_with_its_figures(story: Story):
    prices.set_tokens(story.ws, NAME, {"input": Decimal(3), "output": Decimal(15)})
    assert [story.ask("hello") for _ in range(3)] == [200] * 3
    found = story.after(3)
    (target,) = found.targets
    (service,) = target.services
    assert (found.state, service.state, service.restarts, service.last_words) == ("running", "running", 0, [])
    assert service.memory is not None
    assert 1 <= service.memory < 1000
    doing = found.doing
    assert (doing.requests, doing.failures, doing.unknown) == (3, [], 0)
    assert doing.written_tokens == 3 * len(engine.WORDS)
    assert doing.first_token_ms is not None
    assert doing.duration_ms is not None
    assert 0 < doing.first_token_ms.p50 <= doing.duration_ms.p50
    assert doing.tokens_per_second is not None
    assert 0 < doing.tokens_per_second < 3 / engine.PACE_SECONDS
    assert int(doing.cost_pico) > 0
    assert found.spent_pico == doing.cost_pico
    assert sum(stretch.requests for stretch in found.series) == 3
    assert target.doing == doing
    assert [snippet.name for snippet in found.snippets] == ["openai", "curl", "Python"]
    assert all(story.key not in snippet.code for snippet in found.snippets)


def test_the_lines_for_python_alone_get_an_answer(story: Story, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    code = next(snippet.code for snippet in story.shown().snippets if snippet.name == "Python")
    monkeypatch.setenv("SNAPML_API_KEY", story.key)
    exec(compile(code, "snippet", "exec"), {})
    assert capsys.readouterr().out == " ".join(engine.WORDS) + "\n"


def test_what_goes_wrong_is_told_by_kind_and_one_by_one(story: Story):
    story.ask("fail")
    story.ask("break")
    found = until(lambda: (one := story.shown()).doing.failed >= 2 and one)
    kinds = {item.kind: item.requests for item in found.doing.failures}
    assert kinds == {"engine": 1, "broke_off": 1}
    assert [(item.kind, item.key) for item in found.broken] == [
        ("broke_off", "a caller"),
        ("engine", "a caller"),
    ]
    assert sum(stretch.failed for stretch in found.series) == 2


def test_an_engine_that_died_is_told_to_be_back(story: Story):
    story.ask("die")
    back = until(
        lambda: (one := story.shown().targets[0].services[0]).restarts and one.state == "running" and one
    )
    assert (back.restarts, back.last_words) == (1, [])
    assert story.ask("hello") == 200


def test_the_last_words_of_an_engine_that_does_not_come_up_are_told(story: Story):
    deployments.declare(story.ws, deployments.single("dying", "story@1", "transformers", "chat", "inner"))
    payload = f"import sys; sys.stdout.write('loading\\r'); sys.exit({engine.LAST_WORDS!r})"
    work = Work(services.ENDPOINT, "dying", [sys.executable, "-c", payload], {}, cpus=0, service=True)
    job = queue.submit(story.ws, work, actor="tester", origin=Origin())
    found = until(
        lambda: engine.LAST_WORDS in (one := endpoints.show(story.ws, "dying")).targets[0].services[0].last_words and one
    )  # fmt: skip
    (service,) = found.targets[0].services
    assert found.state in ("starting", "queued")
    assert len(set(service.last_words)) == len(service.last_words)  # each start says the same
    assert engine.LAST_WORDS in found.text()
    assert "<b>" not in found.html()
    services.stop(story.ws, job)
    assert endpoints.show(story.ws, "dying").state == "stopped"


def test_the_memory_of_a_gpu_is_told_beside_that_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    card = FakeGpus(tmp_path / "gpus.json", 24_000)
    for name, value in card.environment.items():
        monkeypatch.setenv(name, value)
    gpus._nvml.cache_clear()
    ws = Workspace(tmp_path / ".snapml")
    deployments.declare(ws, deployments.single("big", "big@1", "transformers", "chat", "inner", gpus=1))
    work = Work(
        services.ENDPOINT, "big", [*training(9_000, 600), "--ready"], {}, cpus=0, service=True, gpus=1, gpu_memory=10_000
    )  # fmt: skip
    job = queue.submit(ws, work, actor="tester", origin=Origin())
    try:
        services.wait_ready(ws, job, timeout=READY)
        service = until(lambda: (one := endpoints.show(ws, "big").targets[0].services[0]).gpu_memory and one)
        assert service.gpu_memory == 9_000
        assert service.memory is not None
    finally:
        services.stop(ws, job)
        gpus._nvml.cache_clear()
    assert endpoints.show(ws, "big").targets[0].services[0].gpu_memory is None


def test_a_window_without_requests_claims_nothing(tmp_path: Path):
    ws = Workspace(tmp_path / ".snapml")
    deployments.declare(ws, deployments.single("quiet", "quiet@1", "of tomorrow", "chat", "inner"))
    found = endpoints.show(ws, "quiet", minutes=1440)
    assert (found.state, found.gateway, found.url, found.snippets) == ("stopped", "stopped", None, [])
    assert found.doing.requests == 0
    assert found.doing.first_token_ms is None
    assert len(found.series) in (60, 61)
    assert found.targets[0].services[0].job is None
    with pytest.raises(NotFoundError):
        endpoints.show(ws, "nobody")
