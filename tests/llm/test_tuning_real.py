"""A sweep over real engines: what it tries is all measured, what it chooses is what the rule says, and what it applies runs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapml_lab.engines import replicas
from snapml_lab.registry import deployments
from snapml_lab.serving.candidates import AS_IT_IS

from .home import Lab, people, write
from .sweep import check, stands

QUANTIZED = "quantization int8"


@pytest.fixture(scope="module")
def held_out(lab: Lab) -> Path:
    """Records as those that were learnt from, and none of them."""
    return write(lab.folder / "held.jsonl", people(8, seed=9))


@pytest.fixture
def own(alive: Lab) -> Iterator[str]:
    """A deployment of the merged model under a name of its own, which is declared and not started."""
    found = deployments.get(alive.ws, "merged")
    deployments.declare(
        alive.ws, deployments.single("own", found.model, "transformers", "chat", found.target.source)
    )
    yield "own"
    replicas.stop_every(alive.ws, "own")
    deployments.withdraw(alive.ws, "own")


def test_a_sweep_over_the_embedded_engine_measures_eight_bits_with_the_change_in_quality(
    alive: Lab, own: str, held_out: Path
) -> None:
    plan = alive.do("tune-endpoint", "plan", own, "--prompts", held_out.name)
    assert plan["settings"] == [AS_IT_IS, QUANTIZED]
    assert (plan["prompts"], plan["wanted"], plan["requests"]) == (8, 8, 2 * (3 * 8 + 8))
    before = alive.do("deploy", "merged", "--name", "other", "--plan")["plan"]
    assert any("int8 is not measured" in note for note in before["notes"])
    told = alive.do(
        "tune-endpoint", own, "--prompts", held_out.name, "--max-tokens", "24", "--concurrency", "2", "--apply"
    )  # fmt: skip
    check(told, AS_IT_IS, QUANTIZED)
    for item in told["settings"]:
        assert item["right_interval"][0] <= item["right"] <= item["right_interval"][1]
    change = told["settings"][1]["right_change"]
    assert change == pytest.approx(told["settings"][1]["right"] - told["settings"][0]["right"])
    assert (
        told["settings"][1]["right_change_interval"][0]
        <= change
        <= told["settings"][1]["right_change_interval"][1]
    )
    stands(alive, own, told)
    after = alive.do("deploy", "merged", "--name", "other", "--plan")["plan"]
    assert any(
        note.startswith(f"int8, measured on {own}") and "right answers" in note for note in after["notes"]
    )


def test_what_eight_bits_are_served_with_is_eight_bits(alive: Lab) -> None:
    told = alive.do("deploy", "merged", "--name", "eight", "--quantization", "int8")
    assert told["plan"]["quantization"] == "int8"
    (job,) = replicas.every(alive.ws, "eight")
    events = [json.loads(line) for line in alive.files(job.id).events.read_text().splitlines()]
    assert any("21 layers quantized to int8" in str(event) for event in events), events
    answer = alive.do("ask", "bob has 7", "--model", "eight", "--max-tokens", "24")
    assert answer["content"].startswith('{"name"')
    alive.do("undeploy", "eight")


def test_a_sweep_whose_time_is_over_says_what_it_did_not_measure_and_leaves_nothing(
    alive: Lab, own: str, held_out: Path
) -> None:
    told = alive.do("tune-endpoint", own, "--prompts", held_out.name, "--time", "0.5s")
    assert [item["name"] for item in told["settings"]] == [AS_IT_IS, QUANTIZED]
    assert all(item["error"] for item in told["settings"])
    assert "time was over" in told["settings"][1]["error"]
    assert not told["applied"]
    assert replicas.every(alive.ws, own) == []


def test_what_cannot_be_applied_is_refused_before_anything_is_measured(
    alive: Lab, own: str, held_out: Path
) -> None:
    guest = deployments.single("guest", "tuned@1", "transformers", "chat", "/nowhere", on=own)
    deployments.declare(alive.ws, guest)
    try:
        said = alive.refused("tune-endpoint", own, "--prompts", held_out.name, "--apply")
    finally:
        deployments.withdraw(alive.ws, "guest")
    assert "guest" in said["message"]
    said = alive.refused("tune-endpoint", own, "--prompts", held_out.name, "--setting", "quantization fp8")
    assert QUANTIZED in said["message"] + said["fix"]
