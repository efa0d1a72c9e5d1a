"""Training as a job: it survives who started it, goes on exactly from a checkpoint, and leaves one model or none."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from snapml_lab.finetune import base as base_models
from snapml_lab.finetune.packing import collate, loss_sum, pack
from snapml_lab.finetune.records import read
from snapml_lab.finetune.tokens import encode
from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.model import Job, State
from snapml_lab.registry import versions
from snapml_lab.registry.versions import ModelVersion
from snapml_lab.tracking import runs

from .home import Home, Lab, people, until, write

SETTINGS = (
    "sample", "chats.jsonl", "--name", "clerk", "--rank", "4", "--lr", "0.01", "--epochs", "12", "--max-length", "96",
    "--rows", "1",
)  # fmt: skip
"""About 170 steps of some milliseconds each: long enough to be killed in the middle."""


def begin(home: Home, *, checkpoint_steps: int = 10) -> str:
    write(home.folder / "chats.jsonl", people(60))
    return str(home.do("finetune", *SETTINGS, "--checkpoint-steps", str(checkpoint_steps), "-b")["id"])


def steps_done(home: Home, job: str) -> int:
    return max(runs.curve(home.ws.ledger, job, "loss")[0], default=0)


def checkpoints(home: Home, job: str) -> list[str]:
    return sorted(path.name for path in (home.files(job).artifacts / "checkpoints").glob("step-*"))


def ended(home: Home, job: str) -> Job:
    return queue.wait(home.ws, home.job(job), timeout=200)


def payload(home: Home, job: str) -> int:
    return int(until(lambda: processes.bearing(home.nonce(job)), what="the payload")[0])


def curve(home: Home, job: str, name: str = "loss") -> dict[int, float]:
    return dict(zip(*runs.curve(home.ws.ledger, job, name), strict=True))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> dict[str, Any]:
    """The losses of a training that nobody disturbed."""
    home = Home(tmp_path_factory.mktemp("unbroken"), cache)
    job = begin(home)
    assert ended(home, job).state is State.SUCCEEDED
    found = {"loss": curve(home, job), "held_out_loss": curve(home, job, "held_out_loss")}
    assert found["loss"][max(found["loss"])] < found["loss"][1]
    found["evidence"] = versions.find(home.ws.ledger, "clerk").evidence
    return found


def test_a_killed_training_goes_on_as_if_nothing_had_happened(home: Home, unbroken: dict[str, Any]) -> None:
    job = begin(home)
    until(lambda: "step-00000030" in checkpoints(home, job), what="a checkpoint")
    os.kill(payload(home, job), signal.SIGKILL)
    killed = ended(home, job)
    assert (killed.state, killed.error_code) == (State.FAILED, "killed")
    assert versions.latest(home.ws.ledger, 10) == []
    assert steps_done(home, job) < max(unbroken["loss"])

    start = int(checkpoints(home, job)[-1].removeprefix("step-"))
    torn = home.files(job).artifacts / "checkpoints" / ".step-00000999"
    torn.mkdir()
    (torn / "adapter.safetensors").write_bytes(b"half of it")
    again = home.do("finetune", "--resume", job, "-b")["id"]
    assert ended(home, again).state is State.SUCCEEDED

    rest = {step: loss for step, loss in unbroken["loss"].items() if step > start}
    assert rest
    assert curve(home, again) == rest
    before = {step: loss for step, loss in unbroken["loss"].items() if step <= start}
    assert {step: loss for step, loss in curve(home, job).items() if step <= start} == before
    model = versions.find(home.ws.ledger, "clerk")
    assert model.run == again
    assert model.evidence["held_out_loss"] == unbroken["evidence"]["held_out_loss"]
    assert [item.reference for item in versions.latest(home.ws.ledger, 10)] == ["clerk@1"]
    assert runs.get(home.ws.ledger, again).params["resumed_at_step"] == str(start)


def test_a_training_killed_after_its_last_step_still_tells_its_held_out_loss(
    home: Home, unbroken: dict[str, Any]
) -> None:
    job = begin(home)
    assert ended(home, job).state is State.SUCCEEDED
    again = home.do("finetune", "--resume", job, "-b")["id"]
    assert ended(home, again).state is State.SUCCEEDED
    assert curve(home, again) == {}
    model = versions.find(home.ws.ledger, "clerk@2")
    assert model.evidence["held_out_loss"] == unbroken["evidence"]["held_out_loss"]


def test_killing_who_asked_for_it_does_not_touch_a_training(home: Home, unbroken: dict[str, Any]) -> None:
    write(home.folder / "chats.jsonl", people(60))
    asking = home.start("finetune", *SETTINGS, "--checkpoint-steps", "10")
    job = until(lambda: queue.latest(home.ws), what="the job")[0].id
    until(lambda: steps_done(home, job) > 2, what="the first steps")
    asking.kill()
    asking.communicate()
    assert ended(home, job).state is State.SUCCEEDED
    assert curve(home, job) == unbroken["loss"]


def test_a_cancelled_training_leaves_no_model_and_can_be_resumed(
    home: Home, unbroken: dict[str, Any]
) -> None:
    job = begin(home)
    until(lambda: checkpoints(home, job), what="a checkpoint")
    queue.cancel(home.ws, job)
    assert ended(home, job).state is State.CANCELLED
    assert versions.latest(home.ws.ledger, 10) == []
    assert processes.bearing(home.nonce(job)) == []
    again = home.do("finetune", "--resume", job, "-b")["id"]
    assert ended(home, again).state is State.SUCCEEDED
    assert curve(home, again)[max(unbroken["loss"])] == unbroken["loss"][max(unbroken["loss"])]


def test_resume_refuses_what_cannot_be_gone_on_from(home: Home) -> None:
    job = begin(home, checkpoint_steps=100_000)
    until(lambda: steps_done(home, job) > 0, what="the first step")
    training = payload(home, job)
    os.kill(training, signal.SIGSTOP)
    assert home.refused("finetune", "--resume", job)["code"] == "conflict"
    os.kill(training, signal.SIGKILL)
    ended(home, job)
    error = home.refused("finetune", "--resume", job)
    assert error["code"] == "conflict"
    assert "left no checkpoint" in error["message"]
    assert home.refused("finetune", "--resume", "nothing")["code"] == "not_found"
    (home.files(job).artifacts / "checkpoints").mkdir(exist_ok=True)
    torn = home.files(job).artifacts / "checkpoints" / ".step-00000010"
    torn.mkdir()
    assert "left no checkpoint" in home.refused("finetune", "--resume", job)["message"]
    assert queue.count(home.ws) == 1


def test_a_checkpoint_of_another_model_is_refused(home: Home) -> None:
    job = begin(home)
    until(lambda: checkpoints(home, job), what="a checkpoint")
    queue.wait(home.ws, queue.cancel(home.ws, job, grace=1.0), timeout=60)
    spec = home.files(job).spec
    told = json.loads(spec.read_bytes())
    spec.write_text(json.dumps({**told, "rank": 5}))
    error = home.refused("finetune", "--resume", job)
    assert error["code"] == "conflict"
    assert "another model or rank" in error["message"]
    assert versions.latest(home.ws.ledger, 10) == []


def test_the_adapter_says_where_it_comes_from(lab: Lab, adapter: ModelVersion) -> None:
    run = runs.get(lab.ws.ledger, adapter.run or "")
    assert (adapter.format, adapter.task) == ("peft", "chat")
    assert run.dataset == json.loads(lab.files(run.id).spec.read_bytes())["dataset"]
    assert adapter.signature["base"] == adapter.evidence["base"] == run.params["base"]
    assert adapter.evidence["records"] + int(run.params["held_out_records"]) == 60
    held = curve(lab, run.id, "held_out_loss")
    assert adapter.evidence["held_out_loss"] == held[max(held)]
    assert held[max(held)] < held[0]


def test_the_preview_of_a_training_shows_what_is_learnt(lab: Lab) -> None:
    told = lab.do("training")
    assert [piece["learnt"] for piece in told["preview"]] == [False, True]
    assert told["preview"][1]["content"].endswith("<|end|>")
    assert told["model"] == "tuned@1"
    assert told["loss_steps"] == list(range(1, told["steps"] + 1))
    assert told["tokens_per_second"] > 0


def test_the_loss_of_the_merged_model_is_that_of_the_adapter(lab: Lab, adapter: ModelVersion) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = base_models.laid_out(lab.ws, adapter)
    whole = base_models.laid_out(lab.ws, versions.find(lab.ws.ledger, "merged"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    made = [encode(record, tokenizer, 512) for record in read(lab.folder / "people.jsonl")[:20]]
    batch = collate(pack(made, 256), tokenizer.pad_token_id)

    def loss(model: Any) -> float:
        with torch.no_grad():
            return float(loss_sum(model, batch)) / batch.learnt

    base = AutoModelForCausalLM.from_pretrained(adapter.signature["base"], dtype=torch.float32)
    untuned = loss(base)
    tuned = loss(PeftModel.from_pretrained(base, folder).get_base_model())
    merged = loss(AutoModelForCausalLM.from_pretrained(whole, dtype=torch.float32))
    assert tuned < untuned - 0.5
    assert merged == pytest.approx(tuned, rel=1e-4)


def test_a_folder_laid_out_from_blobs_holds_what_was_kept(
    lab: Lab, adapter: ModelVersion, tmp_path: Path
) -> None:
    place = lab.ws.blobs.folder(adapter.blob, tmp_path / "laid")
    kept = lab.files(adapter.run or "").artifacts / "adapter"
    names = sorted(path.name for path in kept.iterdir())
    assert sorted(path.name for path in place.iterdir()) == names
    assert all((place / name).read_bytes() == (kept / name).read_bytes() for name in names)
    assert adapter.size == sum((kept / name).stat().st_size for name in names)
    shutil.rmtree(place)


@pytest.mark.parametrize("name", ["../outside", "/etc/snapml-outside", "a/../../outside"])
def test_a_manifest_that_names_a_path_outside_is_refused(home: Home, name: str) -> None:
    from snapml_lab.errors import StoreDamagedError

    content, _ = home.ws.blobs.put(b"bad")
    manifest, _ = home.ws.blobs.put(json.dumps({"files": {name: content}}).encode())
    with pytest.raises(StoreDamagedError):
        home.ws.blobs.folder(manifest, home.ws.cache / "models" / manifest)
    assert list((home.ws.cache / "models").iterdir()) == []
    assert not (home.ws.cache / "models" / "outside").exists()


def test_merge_refuses_what_is_no_adapter(lab: Lab) -> None:
    assert lab.refused("models", "merge", "merged")["code"] == "conflict"
    assert lab.refused("models", "merge", "nothing")["code"] == "not_found"
    error = lab.refused("finetune", "tuned", "people.jsonl")
    assert error["code"] == "conflict"
    assert "merge" in error["fix"]
