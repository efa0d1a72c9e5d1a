"""Scores with intervals and paired comparisons, and what an evaluation says of what it could not ask."""

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from snapml_lab.engines import services
from snapml_lab.evals import exact
from snapml_lab.evals.exact import sign_test
from snapml_lab.evals.picture import Case, Evaluation, Score, newest, picture
from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.model import State, Work
from snapml_lab.stats import share
from snapml_lab.store.files import replace_json
from snapml_lab.tracking import runs
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

from .home import Lab, people, record, until, write

COUNTS = st.integers(1, 400).flatmap(lambda number: st.tuples(st.integers(0, number), st.just(number)))


@pytest.mark.parametrize(
    ("hits", "number", "low", "high"),
    # Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17 (1998), table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_the_published_one(hits: int, number: int, low: float, high: float) -> None:
    found = share(hits, number)
    assert found.value == hits / number
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(COUNTS)
def test_the_interval_is_scipys_and_holds_the_share(counts: tuple[int, int]) -> None:
    hits, number = counts
    found = share(hits, number)
    wanted = stats.binomtest(hits, number).proportion_ci(method="wilson")
    assert found.low == pytest.approx(wanted.low, abs=1e-6)
    assert found.high == pytest.approx(wanted.high, abs=1e-6)
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value <= found.high + 1e-12 <= 1 + 1e-9
    other = share(number - hits, number)
    assert (other.low, other.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-9)
    more = share(hits * 4, number * 4)
    assert more.high - more.low <= found.high - found.low


def test_of_nothing_nothing_is_known() -> None:
    found = share(0, 0)
    assert math.isnan(found.value)
    assert (found.low, found.high) == (0.0, 1.0)


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_sign_test_is_the_exact_binomial_one(better: int, worse: int) -> None:
    found = sign_test(better, worse)
    assert found == sign_test(worse, better)
    wanted = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert found == pytest.approx(wanted, rel=1e-9)
    assert 0 < found <= 1


def test_the_sign_test_bears_many_records() -> None:
    assert sign_test(50_000, 50_000) == 1.0
    assert 0 < sign_test(49_000, 51_000) < 1e-9
    assert sign_test(0, 5000) == 0.0 or sign_test(0, 5000) < 1e-300


# Pictures from what evaluations left.


def case(number: int, *, hit: bool, error: str | None = None) -> dict[str, Any]:
    return {"asked": f"q{number}", "wanted": "w", "said": "w" if hit else "", "error": error, "hit": hit}


def left(ws: Workspace, deployment: str, cases: list[dict[str, Any]], *, against: str | None = None) -> Any:
    """Leave what an evaluation leaves, and return its job."""
    spec = {"deployment": deployment, "data": "/data", "against": against}
    import sys

    work = Work("eval", f"{deployment}-x", [sys.executable, "-c", "pass"], spec, cpus=0)
    job = queue.wait(ws, queue.submit(ws, work, actor="tester", origin=Origin()), timeout=60)
    replace_json(ws.jobs / job.id / exact.CASES, cases)
    return job


def test_a_clear_difference_is_not_chance(ws: Workspace) -> None:
    before = left(ws, "old", [case(n, hit=False) for n in range(20)])
    after = picture(ws, left(ws, "new", [case(n, hit=n != 3) for n in range(20)], against=before.id))
    assert after.score == Score(deployment="new", records=20, **share(19, 20)._asdict())
    assert after.against is not None
    assert after.against.deployment == "old"
    assert after.difference == 19 / 20
    assert after.p_value == sign_test(19, 0)
    assert (after.verdict() or "").endswith("not chance.")
    assert [item.asked for item in after.failures] == ["q3"]


def test_a_small_difference_could_be_chance(ws: Workspace) -> None:
    before = left(ws, "old", [case(n, hit=n < 10) for n in range(20)])
    after = picture(ws, left(ws, "new", [case(n, hit=n < 12) for n in range(20)], against=before.id))
    assert after.difference == pytest.approx(0.1)
    assert after.p_value == sign_test(2, 0)
    assert (after.verdict() or "").endswith("could be chance.")


def test_what_was_not_answered_counts_neither_as_a_miss_nor_in_a_comparison(ws: Workspace) -> None:
    before = left(ws, "old", [case(n, hit=True) for n in range(10)])
    dead = [case(n, hit=n < 5, error=None if n < 5 else "the engine is gone") for n in range(10)]
    after = picture(ws, left(ws, "new", dead, against=before.id))
    assert after.score is not None
    assert (after.score.records, after.score.value, after.errors) == (5, 1.0, 5)
    assert (after.difference, after.p_value) == (0.0, 1.0)
    assert "5 not answered" in after.text()
    assert "the engine is gone" in after.text()
    assert "not answered" in after.html()


def test_only_the_same_records_are_compared(ws: Workspace) -> None:
    before = left(ws, "old", [case(n, hit=True) for n in range(4)])
    other = [case(n + 100, hit=False) for n in range(4)]
    after = picture(ws, left(ws, "new", other, against=before.id))
    assert (after.against, after.verdict()) == (None, None)


def test_only_an_evaluation_that_succeeded_is_compared_with(ws: Workspace) -> None:
    import sys

    good = left(ws, "m", [case(0, hit=True)])
    bad = Work(
        "eval",
        "m-x",
        [sys.executable, "-c", "raise SystemExit(1)"],
        {"deployment": "m", "data": "/data"},
        cpus=0,
    )
    assert queue.wait(ws, queue.submit(ws, bad, actor="t", origin=Origin()), timeout=60).state is State.FAILED
    assert newest(ws, "m", "/data") == good.id
    assert newest(ws, "m", "/elsewhere") is None


def test_a_hostile_answer_is_shown_as_text() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    view = Evaluation(
        job="0" * 26, state=State.SUCCEEDED, message=None, data=hostile,
        score=Score(deployment=hostile, records=1, value=0.0, low=0.0, high=0.8), against=None, difference=None, p_value=None,
        failures=[Case(asked=hostile, wanted=hostile, said=hostile, error=None, hit=False)], errors=0, error=None,
    )  # fmt: skip
    assert "<img" not in view.html()
    assert "&lt;img" in view.html()


# Against a real engine.


def test_an_evaluation_scores_what_the_engine_says(alive: Lab) -> None:
    write(alive.folder / "held.jsonl", [record("say nothing", "surely not this"), *people(7, seed=5)])
    before = {row.id for row in alive.rows()}
    told = alive.do("eval", "tuned", "held.jsonl", "--max-tokens", "4")
    assert told["score"]["records"] == 8
    assert (told["errors"], told["data"]) == (0, "held.jsonl")
    assert told["score"]["low"] <= told["score"]["value"] <= told["score"]["high"]
    rows = [row for row in alive.rows() if row.id not in before]
    assert len(rows) == 8
    assert {row.ended for row in rows} == {"complete"}
    against = alive.do("eval", "merged", "held.jsonl", "--max-tokens", "4", "--against", "tuned")
    assert against["against"]["deployment"] == "tuned"
    assert (against["difference"], against["p_value"]) == (0.0, 1.0)
    run = runs.get(alive.ws.ledger, told["job"])
    assert run.metrics["exact_match"] == told["score"]["value"]
    assert run.metrics["errors"] == 0
    assert run.dataset


def test_an_evaluation_finds_what_is_exact(alive: Lab) -> None:
    from snapml_lab.governance import keys
    from snapml_lab.registry.asking import Client

    asking = Client(alive.url, keys.notebook_key(alive.ws))
    _, answer = asking.chat(
        {"model": "tuned", "messages": [{"role": "user", "content": "ann has 5"}], "max_tokens": 8}
    )
    said = answer["choices"][0]["message"]["content"]
    assert said.strip()
    write(alive.folder / "one.jsonl", [record("ann has 5", f" {said}\n"), record("ann has 5", said + "!")])
    told = alive.do("eval", "tuned", "one.jsonl", "--max-tokens", "8")
    assert (told["score"]["value"], told["score"]["records"]) == (0.5, 2)
    assert [item["wanted"] for item in told["failures"]] == [said + "!"]


def test_an_engine_that_dies_midway_is_reported_not_scored_as_misses(alive: Lab) -> None:
    write(alive.folder / "many.jsonl", people(300, seed=6))
    job = alive.do("eval", "tuned", "many.jsonl", "--max-tokens", "4", "-b")["id"]
    until(lambda: (alive.job(job).progress or 0) > 0.05, what="the first answers")
    engine = services.live(alive.ws, "endpoint", "tuned")
    assert engine is not None
    os.kill(min(processes.bearing(alive.nonce(engine.id))), signal.SIGKILL)
    ended = queue.wait(alive.ws, alive.job(job), timeout=200)
    assert ended.state is State.SUCCEEDED
    told = alive.do("evaluation", job)
    assert told["errors"] > 0
    assert told["score"]["records"] == 300 - told["errors"]
    assert runs.get(alive.ws.ledger, job).metrics["errors"] == told["errors"]
    assert f"{told['errors']} not answered" in alive.run("evaluation", job).stdout


def test_an_evaluation_nobody_answers_fails(alive: Lab) -> None:
    write(alive.folder / "two.jsonl", people(2))
    long = [record("word " * 3000, "x")] * 2
    write(alive.folder / "long.jsonl", long)
    error = alive.refused("eval", "nobody", "two.jsonl")
    assert error["code"] == "not_found"
    jobs = queue.count(alive.ws)
    assert alive.refused("eval", "tuned", "missing.jsonl")["code"] == "not_found"
    assert alive.refused("eval", "tuned", "two.jsonl", "--against", "merged")["code"] == "not_found"
    (alive.folder / "bad.jsonl").write_text("{\n")
    assert "bad.jsonl, line 1" in alive.refused("eval", "tuned", "bad.jsonl")["message"]
    assert queue.count(alive.ws) == jobs


def test_without_a_gateway_an_evaluation_is_refused(tmp_path: Path, alive: Lab) -> None:
    from .home import Home

    other = Home(tmp_path / "other", alive.cache)
    write(other.folder / "two.jsonl", people(2))
    assert other.refused("eval", "tuned", "two.jsonl")["code"] == "not_found"
    assert json.loads(other.run("endpoints", "list", "--json").stdout)["gateway"] == "stopped"
