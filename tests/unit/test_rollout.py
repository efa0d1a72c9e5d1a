"""The steps of a rollout, and what the record of two models says of them: pure, but for a catalog and a ledger."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from snapml_lab import ids, stats
from snapml_lab.costs import requests
from snapml_lab.errors import ConflictError, InvalidInputError
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Course, Target
from snapml_lab.serving import record, rollout
from snapml_lab.stats import Sample
from snapml_lab.workspace import Workspace

HOUSE = deployments.single("house", "a@1", "predict", "binary", "/a")
NEW = Target("r1", "b@1", "predict", "/b")


def shares(course: Course) -> list[tuple[str, str, int, bool]]:
    return [(item.id, item.model, item.share, item.shadow) for item in course.now.targets]


def test_a_canary_gets_its_share_and_the_other_keeps_the_rest():
    course = rollout.with_canary(Course(HOUSE), NEW, 10)
    assert shares(course) == [("r1", "a@1", 90, False), ("r2", "b@1", 10, False)]
    assert shares(rollout.shared(course, 25)) == [("r1", "a@1", 75, False), ("r2", "b@1", 25, False)]


def test_promoted_it_stands_for_all_and_what_stood_is_remembered():
    course = rollout.promoted(rollout.with_canary(Course(HOUSE), NEW, 10))
    assert shares(course) == [("r2", "b@1", 100, False)]
    assert course.earlier == (HOUSE,)
    assert rollout.turned_back(course).now == HOUSE


def test_a_shadow_has_no_share_stays_through_a_promotion_and_becomes_a_canary_by_a_share():
    course = rollout.with_shadow(Course(HOUSE), replace(NEW, model="c@1"))
    assert shares(course)[1] == ("r2", "c@1", 0, True)
    assert shares(rollout.shared(course, 5)) == [("r1", "a@1", 95, False), ("r2", "c@1", 5, False)]
    both = rollout.with_canary(course, NEW, 10)
    assert shares(both) == [("r1", "a@1", 90, False), ("r2", "c@1", 0, True), ("r3", "b@1", 10, False)]
    assert shares(rollout.promoted(both)) == [("r3", "b@1", 100, False), ("r2", "c@1", 0, True)]


def test_what_is_on_trial_is_taken_away_the_newest_first():
    both = rollout.with_canary(rollout.with_shadow(Course(HOUSE), NEW), NEW, 10)
    one, gone = rollout.without_trial(both)
    assert (gone.id, shares(one)) == ("r3", [("r1", "a@1", 100, False), ("r2", "b@1", 0, True)])
    none, gone = rollout.without_trial(one)
    assert (gone.id, none.now) == ("r2", HOUSE)
    with pytest.raises(ConflictError):
        rollout.without_trial(none)


def test_an_id_is_never_used_twice():
    course = Course(HOUSE)
    seen = []
    for _ in range(3):
        course = rollout.with_canary(course, NEW, 10)
        seen.append(course.now.targets[-1].id)
        course, _gone = rollout.without_trial(course)
    assert seen == ["r2", "r3", "r4"]


@pytest.mark.parametrize(
    "step",
    [rollout.promoted, rollout.turned_back, lambda course: rollout.shared(course, 10), rollout.without_trial],
)
def test_without_a_trial_or_a_past_there_is_nothing_to_do(step: Any):
    with pytest.raises(ConflictError) as refused:
        step(Course(HOUSE))
    assert "--canary" in refused.value.fix


def test_a_second_of_a_kind_and_a_share_of_none_or_all_are_refused():
    with pytest.raises(ConflictError, match="has a canary"):
        rollout.with_canary(rollout.with_canary(Course(HOUSE), NEW, 10), NEW, 10)
    with pytest.raises(ConflictError, match="has a shadow"):
        rollout.with_shadow(rollout.with_shadow(Course(HOUSE), NEW), NEW)
    for percent in (0, 100):
        with pytest.raises(InvalidInputError):
            rollout.with_canary(Course(HOUSE), NEW, percent)


STEPS = some.lists(some.sampled_from(["canary", "shadow", "share", "promote", "back"]), max_size=25)


def step(course: Course, word: str) -> Course:
    if word == "back":
        return rollout.without_trial(course)[0] if course.now.targets[1:] else rollout.turned_back(course)
    return {
        "canary": lambda: rollout.with_canary(course, NEW, 10),
        "shadow": lambda: rollout.with_shadow(course, NEW),
        "share": lambda: rollout.shared(course, 30), "promote": lambda: rollout.promoted(course),
    }[word]()  # fmt: skip


@given(STEPS)
def test_whatever_is_done_the_shares_are_a_hundred_and_ids_are_one_s_own(words: list[str]):
    course = Course(HOUSE)
    for word in words:
        try:
            course = step(course, word)
        except ConflictError:
            continue
        targets = course.now.targets
        assert sum(item.share for item in targets if not item.shadow) == 100
        assert not targets[0].shadow
        assert len({item.id for item in targets}) == len(targets) <= 3
        assert max(int(item.id[1:]) for item in targets) <= course.last


def test_the_way_it_came_is_kept_in_the_catalog_and_costs_nothing_where_there_is_none(tmp_path: Path):
    ws = Workspace(tmp_path / ".snapml")
    deployments.declare(ws, HOUSE)
    plain = ws.catalog.get("deployments", "house")
    assert not {"earlier", "last"} & set(plain)
    deployments.change(ws, "house", lambda course: rollout.with_canary(course, NEW, 10))
    deployments.change(ws, "house", rollout.promoted)
    course = deployments.course(Workspace(tmp_path / ".snapml"), "house")
    assert (course.now.model, course.earlier, course.last) == ("b@1", (HOUSE,), 2)
    assert deployments.get(ws, "house") == course.now
    assert json.loads(json.dumps(ws.catalog.get("deployments", "house")))["last"] == 2


def test_a_step_that_is_refused_changes_nothing(tmp_path: Path):
    ws = Workspace(tmp_path / ".snapml")
    deployments.declare(ws, HOUSE)
    before = ws.catalog.get("deployments", "house")
    with pytest.raises(ConflictError):
        deployments.change(ws, "house", rollout.promoted)
    assert ws.catalog.get("deployments", "house") == before


# The record.


def ask(
    ws: Workspace, target: str, model: str, number: int, *, failed: int = 0, ms: float = 100.0, **more: Any
) -> None:
    for index in range(number):
        ended = "failed" if index < failed else "complete"
        fields = {
            "id": ids.new(), "at": 1000.0 + index, "deployment": "house", "model": model, "route": "/v2/infer", "api_key": "k",
            "notebook": None, "cell_id": None, "streamed": 1, "status": 200, "ended": ended, "input_tokens": 1,
            "cached_tokens": None, "output_tokens": 1, "usage": "metered", "first_token_ms": ms / 10 + index % 5,
            "duration_ms": ms + index % 7, "cost_pico": 1000 + index % 3, "price": "declared", "target": target,
        }  # fmt: skip
        requests.add(ws.ledger, requests.Request(**{**fields, **more}))


@pytest.fixture
def trial(tmp_path: Path) -> Workspace:
    ws = Workspace(tmp_path / ".snapml")
    deployments.declare(ws, rollout.with_canary(Course(HOUSE), NEW, 10).now)
    return ws


def verdicts(ws: Workspace) -> dict[str, bool]:
    found = record.compared(ws.ledger, deployments.get(ws, "house"))
    assert {item.target for item in found} <= {"r2"}
    return {item.figure: item.chance for item in found}


def test_a_difference_that_could_be_chance_says_so_and_one_that_cannot_too(trial: Workspace):
    ask(trial, "r1", "a@1", 200, failed=2)
    ask(trial, "r2", "b@1", 60, failed=30, ms=150.0)
    assert verdicts(trial) == {"failures": False, "first token": False, "duration": False, "cost": True}


def test_two_alike_differ_by_chance(trial: Workspace):
    ask(trial, "r1", "a@1", 100, failed=1)
    ask(trial, "r2", "b@1", 20)
    assert set(verdicts(trial).values()) == {True}


def test_with_too_few_requests_nothing_is_said(trial: Workspace):
    ask(trial, "r1", "a@1", 100)
    assert verdicts(trial) == {}
    (stands, canary) = record.records(trial.ledger, deployments.get(trial, "house"))
    assert (stands.requests, canary.requests) == (100, 0)
    assert canary.figures["duration"].value is None
    assert canary.figures["failures"].interval is None


def test_only_the_time_in_which_both_were_asked_is_compared_and_not_what_the_cache_answered(trial: Workspace):
    ask(trial, "r1", "a@1", 50, ms=5000.0, at=500.0)  # long before, on a cold machine
    ask(trial, "r1", "a@1", 30)
    ask(trial, "r1", "a@1", 30, ms=0.1, cached=1)
    ask(trial, "r1", "an older one@1", 30, ms=9000.0)
    ask(trial, "r1", "a@1", 5, state="open")
    ask(trial, "r2", "b@1", 30)
    stands, canary = record.records(trial.ledger, deployments.get(trial, "house"))
    assert (stands.requests, canary.requests) == (30, 30)
    assert stands.figures["duration"].value == canary.figures["duration"].value


def test_intervals_are_those_of_the_books():
    low, high = stats.wilson(10, 100)
    assert (round(low, 4), round(high, 4)) == (0.0552, 0.1744)
    assert stats.wilson(0, 10).low == 0.0
    assert stats.wilson(10, 10).high == 1.0
    difference, interval, p_value = stats.proportions(56, 70, 48, 80)  # Newcombe 1998, table II, example (a)
    assert (round(difference, 4), round(interval.low, 4), round(interval.high, 4)) == (0.2, 0.0524, 0.3339)
    assert 0.005 < p_value < 0.02


def test_a_difference_on_the_same_things_is_surer_the_more_they_go_together():
    pairs = [(True, True)] * 60 + [(True, False)] * 12 + [(False, True)] * 2 + [(False, False)] * 26
    difference, interval, p_value = stats.paired_proportions(pairs)
    apart = stats.proportions(72, 100, 62, 100)
    assert difference == pytest.approx(0.10)
    assert apart.interval.low < interval.low < 0.10 < interval.high < apart.interval.high
    assert p_value == pytest.approx(2 * sum(math.comb(14, k) for k in range(3)) / 2**14)
    swapped = stats.paired_proportions([(other, one) for one, other in pairs])
    assert swapped.interval == pytest.approx((-interval.high, -interval.low))
    same = stats.paired_proportions([(True, True)] * 50)
    assert same.interval.low < same.difference == 0.0 < same.interval.high
    with pytest.raises(ValueError, match="pairs"):
        stats.paired_proportions([])


def test_the_interval_of_paired_shares_holds_the_truth_as_often_as_it_says():
    chance, hits = random.Random(1), 0
    for _ in range(400):
        pairs = []
        for _ in range(60):
            one = chance.random() < 0.8
            pairs.append((one, one if chance.random() < 0.8 else not one))
        # The first is right in 0.8; the second in 0.8 * 0.8 + 0.2 * 0.2 = 0.68.
        interval = stats.paired_proportions(pairs).interval
        hits += interval.low <= 0.12 <= interval.high
    assert 0.92 <= hits / 400 <= 0.99


def test_the_means_compare_as_scipy_s_do():
    from scipy import stats as scipy_stats

    one, other = [3.1, 4.7, 5.2, 6.6, 4.9], [2.2, 3.9, 3.1, 2.8, 3.0, 2.5]

    def sample(values: list[float]) -> Sample:
        mean = sum(values) / len(values)
        return Sample(len(values), mean, sum((v - mean) ** 2 for v in values) / (len(values) - 1))

    found = stats.welch(sample(one), sample(other))
    wanted = scipy_stats.ttest_ind(one, other, equal_var=False)
    assert found is not None
    assert found.p_value == pytest.approx(wanted.pvalue)
    interval = wanted.confidence_interval()
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert stats.welch(Sample(1, 1.0, 0.0), sample(one)) is None


@given(
    some.integers(1, 200), some.integers(1, 200), some.floats(0, 1), some.floats(0, 1), some.floats(0.7, 1e5), some.floats(0, 60)
)  # fmt: skip
def test_student_s_and_fisher_s_p_values_are_scipy_s(
    trials: int, other: int, share: float, other_share: float, freedom: float, t: float
):
    from scipy import stats as scipy_stats

    hits, other_hits = round(share * trials), round(other_share * other)
    table = [[hits, trials - hits], [other_hits, other - other_hits]]
    assert stats.fisher_p_value(hits, trials, other_hits, other) == pytest.approx(
        scipy_stats.fisher_exact(table).pvalue, rel=1e-6, abs=1e-12
    )
    assert stats.student_p_value(t, freedom) == pytest.approx(2 * scipy_stats.t.sf(t, freedom), rel=1e-7)
    assert stats.student_reach(0.95, freedom) == pytest.approx(scipy_stats.t.ppf(0.975, freedom), rel=1e-7)
