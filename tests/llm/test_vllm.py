"""A model and two adapters tuned here, served by real vLLM and by ``transformers serve``, asked by OpenAI's own client."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest

from snapml_lab.engines import replicas, services, vllm
from snapml_lab.envs import engines as environments
from snapml_lab.errors import ConflictError
from snapml_lab.finetune import base
from snapml_lab.governance import keys
from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.model import Job, State, Work
from snapml_lab.registry import deployments, versions
from snapml_lab.registry.deployments import Deployment
from snapml_lab.serving.candidates import AS_IT_IS
from snapml_lab.tracking.record import Origin

from .home import Lab, free_port, people, record, until, write
from .sweep import check, stands

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

QUESTION = [{"role": "user", "content": "bob has 7"}]
GREEDY: dict[str, Any] = {"messages": QUESTION, "max_tokens": 24, "temperature": 0}
BASE, TUNED, OTHER = NAMES = ("small", "people", "animals")
SMALL = {
    "max_model_len": 256,
    "adapters": True,
    "max_lora_rank": 8,
    "dtype": "float32",
    "kv_cache_memory": 1024,
}


@dataclass
class Served:
    """A lab where three names are served by one engine: a base model and two adapters of it."""

    lab: Lab
    engine: str

    @property
    def socket(self) -> Path:
        return deployments.socket_path(self.lab.ws, BASE)

    def service(self) -> Job:
        job = services.live(self.lab.ws, services.ENDPOINT, BASE)
        assert job is not None
        return job


def start(lab: Lab, deployment: Deployment) -> Job:
    deployments.declare(lab.ws, deployment)
    job = services.start(lab.ws, deployment, actor="tests", origin=Origin())
    return services.wait_ready(lab.ws, job)


def withdraw(lab: Lab) -> None:
    for name in NAMES:
        if job := services.live(lab.ws, services.ENDPOINT, name):
            services.stop(lab.ws, job)
        deployments.withdraw(lab.ws, name)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A gateway, and a small base model made on the spot."""
    made = Lab(tmp_path_factory.mktemp("vllm"), tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(made.cache))
        work = Work("sample", "sample-llm", queue.python("snapml_lab.finetune.sample:run"), {"steps": 40})
        job = queue.submit(made.ws, work, actor="tests", origin=Origin())
        assert queue.wait(made.ws, job, timeout=200).state is State.SUCCEEDED
        port = free_port()
        services.wait_ready(made.ws, services.start_gateway(made.ws, port, actor="tests", origin=Origin()))
        made.url = f"http://127.0.0.1:{port}"
        _, made.key = keys.create(made.ws, "tests")
        yield made
        made.stop()


@pytest.fixture(scope="module")
def tuned(lab: Lab) -> dict[str, str]:
    """Folders of what is served: the base, and two adapters that were tuned to answer each in its own way."""
    names, counts = ("ann", "bob", "carol"), range(0, 60, 3)
    said = {
        TUNED: [record(f"{name} has {n}", json.dumps({"name": name})) for name in names for n in counts],
        OTHER: [record(f"{name} has {n}", f"<{n}>") for name in names for n in counts],
    }
    folders = {BASE: str(base.sample_folder())}
    for name, lines in said.items():
        write(lab.folder / f"{name}.jsonl", lines)
        lab.do(
            "finetune", "sample", f"{name}.jsonl", "--rank", "8", "--lr", "0.005", "--epochs", "6", "--max-length", "128",
            "--rows", "1", "--checkpoint-steps", "1000",
        )  # fmt: skip
        folders[name] = str(base.laid_out(lab.ws, versions.find(lab.ws.ledger, name)))
    return folders


def by_transformers(lab: Lab, tuned: dict[str, str]) -> None:
    for name in NAMES:
        start(lab, deployments.single(name, name, "transformers", "chat", tuned[name]))


def by_vllm(lab: Lab, tuned: dict[str, str]) -> None:
    start(lab, deployments.single(BASE, BASE, "vllm", "chat", tuned[BASE], options=SMALL))
    for name in (TUNED, OTHER):
        deployment = deployments.single(name, name, "vllm", "chat", tuned[name], on=BASE)
        deployments.declare(lab.ws, deployment)
        place = deployments.socket_path(lab.ws, BASE)
        vllm.load_adapter(place, vllm.served_name(deployment.target), deployment.target.source)


SERVERS = {"transformers": by_transformers, "vllm": by_vllm}


@pytest.fixture(scope="module", params=SERVERS)
def served(
    request: pytest.FixtureRequest, lab: Lab, tuned: dict[str, str], vllm_home: Path
) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(vllm_home))
        if request.param == "vllm":
            lab.do("env", "create", "vllm", timeout=800)
        SERVERS[request.param](lab, tuned)
        yield Served(lab, request.param)
        withdraw(lab)


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    url, key = f"{served.lab.url}/v1", served.lab.key
    with openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=120) as made:
        yield made


def text(client: openai.OpenAI, name: str) -> str:
    return client.chat.completions.create(model=name, **GREEDY).choices[0].message.content or ""


def test_each_answers_in_its_own_way(client: openai.OpenAI) -> None:
    answers = {name: text(client, name) for name in NAMES}
    assert len(set(answers.values())) == 3, answers
    assert answers[TUNED].startswith('{"name"')
    assert answers[OTHER].startswith("<")


@pytest.mark.parametrize("name", NAMES)
def test_streamed_and_whole_are_the_same_answer_and_the_same_bill(
    client: openai.OpenAI, served: Served, name: str
) -> None:
    whole = client.chat.completions.with_raw_response.create(model=name, **GREEDY)
    streamed = client.chat.completions.with_raw_response.create(
        model=name, **GREEDY, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(streamed.parse())
    answer = whole.parse()
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == answer.choices[0].message.content
    assert {answer.model, *(chunk.model for chunk in chunks)} == {name}
    assert len([chunk for chunk in chunks if chunk.choices]) > 1
    usage = chunks[-1].usage
    assert usage is not None
    assert answer.usage is not None
    bill = (usage.prompt_tokens, usage.completion_tokens)
    assert bill == (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    for raw in (whole, streamed):
        row = served.lab.row(raw.headers["x-snapml-request"])
        assert (row.deployment, row.ended, row.usage) == (name, "complete", "metered")
        assert (row.input_tokens + (row.cached_tokens or 0), row.output_tokens) == bill


def test_who_hangs_up_is_billed_for_what_was_generated(client: openai.OpenAI, served: Served) -> None:
    for seed in range(20):  # an answer may be short, and over before anybody hangs up
        stream = client.chat.completions.with_raw_response.create(
            model=BASE, messages=QUESTION, max_tokens=100, stream=True, temperature=1, seed=seed
        )  # fmt: skip
        with stream.parse() as chunks:
            for number, _ in enumerate(chunks):
                if number == 3:
                    break
        row = served.lab.row(stream.headers["x-snapml-request"])
        if row.ended == "hung_up":
            break
    assert row.ended == "hung_up"
    assert row.output_tokens
    assert row.output_tokens < 100


def test_a_text_is_gone_on_with(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=BASE, prompt="Return a", max_tokens=4, temperature=0)
    assert answer.choices[0].text
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 4


def test_a_field_it_cannot_honour_is_refused_by_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=TUNED, **GREEDY, extra_body={"web_search_options": {}})
    assert refused.value.param == "web_search_options"


class Listener(NamedTuple):
    """A process that takes connections over TCP, and whether only from this machine."""

    pid: int
    local: bool


def listening() -> list[Listener]:
    local = {}
    for table in filter(Path.exists, (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))):
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                host = fields[1].partition(":")[0]
                local[fields[9]] = host.endswith("7F") or host == "00000000000000000000000001000000"
    found = []
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        with contextlib.suppress(OSError):
            for path in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    inode = os.readlink(path).removeprefix("socket:[").removesuffix("]")
                    found += [Listener(pid, local[inode])] if inode in local else []
    return found


@pytest.fixture
def real(served: Served) -> Served:
    if served.engine != "vllm":
        pytest.skip("only vLLM loads adapters while it runs")
    return served


def test_an_adapter_is_taken_out_and_loaded_again_while_others_are_served(
    client: openai.OpenAI, real: Served, tuned: dict[str, str]
) -> None:
    before = text(client, OTHER)
    vllm.unload_adapter(real.socket, OTHER)
    vllm.unload_adapter(real.socket, OTHER)
    with pytest.raises(openai.APIStatusError):
        text(client, OTHER)
    assert text(client, TUNED)
    vllm.load_adapter(real.socket, OTHER, tuned[OTHER])
    vllm.load_adapter(real.socket, OTHER, tuned[OTHER])
    assert text(client, OTHER) == before


def test_an_adapter_that_does_not_fit_is_refused_with_the_reason(
    real: Served, tuned: dict[str, str], tmp_path: Path
) -> None:
    config = json.loads((Path(tuned[OTHER]) / "adapter_config.json").read_text())
    for path in Path(tuned[OTHER]).iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "adapter_config.json").unlink()
    (tmp_path / "adapter_config.json").write_text(json.dumps({**config, "r": 256}))
    with pytest.raises(ConflictError, match="rank"):
        vllm.load_adapter(real.socket, "large", tmp_path)


def test_nobody_but_this_account_can_reach_it(real: Served) -> None:
    assert real.socket.parent.stat().st_mode & 0o077 == 0
    assert real.socket.stat().st_mode & 0o077 == 0
    payload = min(processes.bearing(real.lab.nonce(real.service().id)))
    below = {payload, *processes.descendants(payload)}
    assert below
    assert [found for found in listening() if found.pid in below and not found.local] == []


def test_a_sweep_over_it_chooses_by_the_rule_and_what_it_applies_is_what_runs(
    real: Served, tuned: dict[str, str]
) -> None:
    lab, wider = real.lab, "at most 4 at a time"
    options = {"max_model_len": 256, "max_num_seqs": 1, "quantization": "int8"}
    deployments.declare(
        lab.ws, deployments.single("swept", "sample", "vllm", "chat", tuned[BASE], options=options)
    )
    write(lab.folder / "asked.jsonl", people(8, seed=9))
    sweep = ("tune-endpoint", "swept", "--prompts", "asked.jsonl", "--setting", wider, "--concurrency", "4")
    told = lab.do(*sweep, "--max-tokens", "16", "--apply", timeout=600)
    check(told, AS_IT_IS, wider)
    assert told["settings"][1]["options"] == {**options, "max_num_seqs": 4}
    assert stands(lab, "swept", told)["quantization"] == "int8"
    if told["applied"]:
        (job,) = replicas.every(lab.ws, "swept")
        payload = min(processes.bearing(lab.nonce(job.id)))
        lines = [processes.command_line(pid) for pid in processes.descendants(payload)]
        (line,) = (line for line in lines if any("vllm.entrypoints" in word for word in line))
        assert "--max-num-seqs=4" in line
        assert any(word.startswith("--model=") and "/int8/" in word for word in line)
    replicas.stop_every(lab.ws, "swept")
    deployments.withdraw(lab.ws, "swept")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_an_engine_whose_core_falls_or_stands_still_comes_back_with_its_adapters(
    client: openai.OpenAI, real: Served, how: signal.Signals
) -> None:
    before, job = text(client, TUNED), real.service()
    payload = min(processes.bearing(real.lab.nonce(job.id)))
    cores = [
        pid for pid in processes.descendants(payload) if "EngineCore" in "".join(processes.command_line(pid))
    ]
    assert cores
    os.kill(cores[0], how)
    if how is signal.SIGSTOP:  # found out by who waits for a minute and then by a canary
        with pytest.raises(openai.InternalServerError) as told:
            text(client.with_options(timeout=300), TUNED)
        assert (told.value.status_code, told.value.code) == (503, "engine_unavailable")
    until(lambda: real.lab.job(job.id).restarts > job.restarts, what="the fall")
    services.wait_ready(real.lab.ws, real.lab.job(job.id))
    assert text(client, TUNED) == before


def test_one_that_is_stopped_leaves_no_process_and_lets_go_of_its_environment(real: Served) -> None:
    environment = environments.find("vllm", gpu=False)
    job = real.service()
    payload = min(processes.bearing(real.lab.nonce(job.id)))
    below = {pid: processes.start_ticks(pid) for pid in processes.descendants(payload)}
    assert len(below) > 1
    assert payload in environments.users(environment)
    with pytest.raises(ConflictError, match="in use"):
        environments.remove(environment)
    assert services.stop(real.lab.ws, job).state is State.CANCELLED
    assert [pid for pid, started in below.items() if processes.same(pid, started)] == []
    assert environments.users(environment) == []
    assert not real.socket.exists()
