"""Adapters on a running engine: declared once, loaded by deploying, and loaded again whenever the engine comes back.

The payload and its watch are the real ones; in vLLM's place is a server that keeps adapters as vLLM does.
"""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from snapml_lab.engines import adapters, services
from snapml_lab.errors import ConflictError
from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job, State, Work
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Target
from snapml_lab.store.files import read_json
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

from .conftest import stop_jobs

REPO = Path(__file__).resolve().parents[2]
FAKE = REPO / "tests" / "fakes" / "vllm_server.py"
PAYLOAD = """
import json, os, sys
from functools import partial
from pathlib import Path
from snapml_lab.engines import vllm
from snapml_lab.jobs.events import Reporter
fake, socket, kept = sys.argv[1:]
report = Reporter(Path(os.environ["SNAPML_JOB_DIR"], "events.jsonl"))
argv = [sys.executable, fake, socket, kept]
loading = partial(vllm._load_declared, "base", Path(socket))
vllm._Watch(argv, dict(os.environ), (), Path(socket), "base@1", report, loading).until_it_ends()
"""


@dataclass
class Shop:
    """A workspace whose deployment ``base`` is served by the stand-in, and what the engine has."""

    ws: Workspace
    folder: Path
    job: Job

    @property
    def has(self) -> list[str]:
        return list(json.loads((self.folder / "kept.json").read_text()))

    def adapter(self, name: str, *, whole: bool = True, base: str | None = None) -> Target:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        said = {"base_model_name_or_path": base or str(self.folder / "model"), "r": 8}
        (folder / "adapter_config.json").write_text(json.dumps(said))
        if whole:
            (folder / "adapter_model.safetensors").touch()
        return Target("r1", f"{name}@1", "vllm", str(folder), on="base")

    def declare(self, name: str, target: Target) -> None:
        deployments.declare(self.ws, deployments.Deployment(name, "chat", (target,)))

    def kill(self) -> None:
        """Kill the payload and all it started, as out of memory would, and wait until it is back."""
        before = queue.get(self.ws, self.job.id).restarts
        nonce = str((read_json(JobFolder(self.ws.jobs / self.job.id).launch) or {})["nonce"])
        for pid in processes.bearing(nonce):
            with contextlib.suppress(ProcessLookupError):  # it went with its parent
                os.kill(pid, signal.SIGKILL)
        while queue.get(self.ws, self.job.id).restarts == before:
            pass
        services.wait_ready(self.ws, queue.get(self.ws, self.job.id))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    folder = tmp_path / "project"
    (folder / "model").mkdir(parents=True)
    ws = Workspace(folder / ".snapml")
    monkeypatch.setenv("SNAPML_WORKSPACE", str(folder))
    base = Target("r1", "base@1", "vllm", str(folder / "model"), options={"adapters": True})
    deployments.declare(ws, deployments.Deployment("base", "chat", (base,)))
    socket = deployments.socket_path(ws, "base")
    argv = [sys.executable, "-c", PAYLOAD, str(FAKE), str(socket), str(folder / "kept.json")]
    env = {"SNAPML_WORKSPACE": str(folder), "PYTHONPATH": os.environ.get("PYTHONPATH", str(REPO))}
    work = Work("endpoint", "base", argv, cpus=0, service=True, env=env)
    job = queue.submit(ws, work, actor="tester", origin=Origin())
    made = Shop(ws, folder, services.wait_ready(ws, job))
    yield made
    stop_jobs(folder)


def host(shop: Shop) -> deployments.Deployment:
    return deployments.get(shop.ws, "base")


def test_an_adapter_is_loaded_into_the_running_engine_and_again_after_it_was_killed(shop: Shop):
    assert shop.has == []
    for name in ("tuned", "other"):
        target = shop.adapter(name)
        shop.declare(name, target)
        adapters.load(shop.ws, host(shop), target)
    assert shop.has == ["tuned@1", "other@1"]
    shop.kill()
    assert sorted(shop.has) == ["other@1", "tuned@1"]
    assert queue.get(shop.ws, shop.job.id).state is State.RUNNING


def test_loading_twice_is_no_error(shop: Shop):
    target = shop.adapter("tuned")
    shop.declare("tuned", target)
    adapters.load(shop.ws, host(shop), target)
    adapters.load(shop.ws, host(shop), target)
    assert shop.has == ["tuned@1"]


def test_one_that_cannot_be_loaded_is_told_and_does_not_keep_the_engine_from_coming_back(shop: Shop):
    bad, good = shop.adapter("bad", whole=False), shop.adapter("good")
    with pytest.raises(ConflictError, match="no weights"):
        adapters.load(shop.ws, host(shop), bad)
    shop.declare("bad", bad)
    shop.declare("good", good)
    shop.kill()
    assert shop.has == ["good@1"]
    log = JobFolder(shop.ws.jobs / shop.job.id).stderr.read_text()
    assert "adapter bad@1" in log
    assert "no weights" in log


def test_it_is_let_go_when_the_last_deployment_that_has_it_goes(shop: Shop):
    target = shop.adapter("tuned")
    for name in ("one", "two"):
        shop.declare(name, target)
    adapters.load(shop.ws, host(shop), target)
    deployments.withdraw(shop.ws, "one")
    adapters.let_go(shop.ws, target)
    assert shop.has == ["tuned@1"]
    deployments.withdraw(shop.ws, "two")
    adapters.let_go(shop.ws, target)
    assert shop.has == []


def test_the_engine_of_its_base_is_found_and_no_other_takes_it(shop: Shop):
    tuned = shop.adapter("tuned").source
    found = adapters.host_for(shop.ws, tuned, None)
    assert found is not None
    assert found.name == "base"
    assert adapters.host_for(shop.ws, str(shop.folder / "model"), None) is None
    strange = shop.adapter("strange", base="/another/model").source
    assert adapters.host_for(shop.ws, strange, None) is None
    with pytest.raises(ConflictError, match="the adapter is of /another/model"):
        adapters.host_for(shop.ws, strange, "base")
    with pytest.raises(ConflictError, match="is no adapter"):
        adapters.host_for(shop.ws, str(shop.folder / "model"), "base")
    closed = replace(host(shop), targets=(replace(host(shop).target, options={}),))
    deployments.declare(shop.ws, closed)
    with pytest.raises(ConflictError) as refused:
        adapters.host_for(shop.ws, tuned, "base")
    assert "--adapters" in refused.value.fix
