"""An engine that listens, says it is well and gives nothing is found out by those who wait for it, and started anew."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapml_lab.commands.serving import list_endpoints
from snapml_lab.engines import pulse, services, socket_http
from snapml_lab.gateway import stalls
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job, Work
from snapml_lab.registry import deployments
from snapml_lab.tracking.record import Origin
from tests import fakes

from .home import Lab, until
from .wire import NAME, Wire


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(stalls, "QUIET_SECONDS", 1.0)
    monkeypatch.setattr(stalls, "CANARY_SECONDS", 5.0)


@pytest.fixture
def engine(wire: Wire, tmp_path: Path) -> Iterator[Job]:
    """An engine of two halves, as the service of the wire's deployment."""
    wire.call(wire.lay_engine_down())
    deployments.declare(wire.ws, deployments.single(NAME, "fake@1", "vllm", "chat", "inner"))
    argv = [
        sys.executable,
        str(Path(fakes.__file__).parent / "two_halves.py"),
        str(tmp_path),
        str(wire.engine_path),
    ]
    work = Work("endpoint", NAME, argv, cpus=0, service=True)
    job = services.wait_ready(wire.ws, queue.submit(wire.ws, work, actor="tester", origin=Origin()))
    yield job
    queue.wait(wire.ws, queue.cancel(wire.ws, job.id, grace=0.2), timeout=60)


def asked(wire: Wire, said: str = "who") -> tuple[int, str]:
    response = wire.begin({"messages": [{"role": "user", "content": said}]})
    answer = json.loads(response.read())
    response.hang_up()  # type: ignore[attr-defined]
    return response.status, answer["choices"][0]["message"]["content"] if "choices" in answer else answer["error"]["code"]  # fmt: skip


def test_an_engine_whose_core_stands_still_is_started_anew_and_says_why(wire: Wire, engine: Job) -> None:
    status, core = asked(wire)
    assert status == 200
    os.kill(int(core), signal.SIGSTOP)
    assert socket_http.ask(wire.engine_path, "GET", "/health")[0] == 200
    assert asked(wire) == (503, "engine_unavailable")  # it was killed while this one waited
    fallen = until(lambda: (now := queue.get(wire.ws, engine.id)).restarts == 1 and now, what="its fall")
    log = JobFolder(wire.ws.jobs / engine.id).stderr
    until(lambda: "gave nothing to a request for" in log.read_text(), what="the reason in its log")
    if fallen.state == "starting":  # it may be back by now
        assert "gave nothing to a request for" in list_endpoints(wire.ws).endpoints[0].text()
    services.wait_ready(wire.ws, queue.get(wire.ws, engine.id))
    status, other = asked(wire)
    assert (status, other != core) == (200, True)
    rows = until(lambda: len(found := wire.rows()) == 3 and found, what="three rows")
    assert [row.ended for row in rows] == ["complete", "failed", "complete"]


def test_an_engine_at_work_on_a_long_answer_is_let_be(wire: Wire, engine: Job, tmp_path: Path) -> None:
    found: list[tuple[int, str]] = []
    caller = threading.Thread(target=lambda: found.append(asked(wire, "slow")))
    caller.start()
    until(lambda: len(list(tmp_path.glob("hello-*"))) >= 2, what="two canaries")
    (tmp_path / "go").touch()
    caller.join(60)
    assert [status for status, _ in found] == [200]
    assert queue.get(wire.ws, engine.id).restarts == 0


def test_an_engine_that_gives_one_answer_after_the_other_has_as_long_as_an_answer_may_take(
    wire: Wire, engine: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del engine
    slow = deployments.single(NAME, "fake@1", "transformers", "chat", "inner")
    deployments.declare(wire.ws, slow)
    watch = stalls.Stalls(wire.gateway.desk)
    caller = threading.Thread(target=asked, args=(wire, "slow"))
    caller.start()
    until(lambda: wire.gateway.desk.under_way, what="the request")
    now = time.monotonic()

    async def looked(at: float) -> int:
        return len(watch.look(at))

    assert [wire.call(looked(now + late)) for late in (0, slow.timeout_seconds - 1, slow.timeout_seconds + 1)] == [
        0, 0, 1,
    ]  # fmt: skip
    (tmp_path / "go").touch()
    caller.join(60)


def test_a_classic_model_gives_a_row_as_a_sign_of_life_and_a_dead_one_none(
    open_shop: Lab, tmp_path: Path
) -> None:
    for name in ("stays", "worth"):
        assert pulse.row(deployments.socket_path(open_shop.ws, name), name, 60.0)
    assert not pulse.row(tmp_path / "nobody.sock", "x", 1.0)
    assert not pulse.token(tmp_path / "nobody.sock", "x", 1.0)
