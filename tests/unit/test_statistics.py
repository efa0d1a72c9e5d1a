"""Intervals and p-values against hand-computed values, their own laws, and small simulations."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.stats import bootstrap, corrected_resampled_t, holm

P_VALUES = st.lists(st.floats(min_value=0, max_value=1), max_size=12)
DIFFERENCES = st.lists(st.floats(min_value=-100, max_value=100), min_size=2, max_size=12)


def test_the_corrected_t_of_five_folds_is_what_a_hand_computes():
    # mean 0.03, variance 0.00025, error sqrt(0.00025 * (1/5 + 0.2/0.8)) = 0.0106066, t = 2.828427 with 4 degrees of
    # freedom: p = 0.0474207 and t(0.975, 4) = 2.7764451.
    found = corrected_resampled_t([0.01, 0.02, 0.03, 0.04, 0.05], test_fraction=0.2)
    assert found.difference == pytest.approx(0.03)
    assert found.p_value == pytest.approx(0.0474207, abs=1e-6)
    assert found.interval.low == pytest.approx(0.03 - 2.7764451 * 0.01060660, abs=1e-7)
    assert found.interval.high == pytest.approx(0.03 + 2.7764451 * 0.01060660, abs=1e-7)


def test_it_is_wider_than_the_naive_interval():
    values = [0.01, 0.02, 0.03, 0.04, 0.05]
    corrected = corrected_resampled_t(values, test_fraction=0.2).interval
    naive = 2.7764451 * statistics.stdev(values) / math.sqrt(5)
    assert corrected.high - corrected.low > 2 * naive * 1.4


@given(DIFFERENCES)
def test_turning_the_comparison_round_turns_the_answer_round(values: list[float]):
    one = corrected_resampled_t(values, test_fraction=0.2)
    other = corrected_resampled_t([-value for value in values], test_fraction=0.2)
    assert other.difference == -one.difference
    assert other.p_value == pytest.approx(one.p_value)
    assert other.interval.low == pytest.approx(-one.interval.high)


@given(DIFFERENCES)
def test_the_interval_leaves_out_zero_exactly_where_p_is_below_five_percent(values: list[float]):
    found = corrected_resampled_t(values, test_fraction=0.2)
    if abs(found.p_value - 0.05) > 1e-6:
        assert (found.interval.low > 0 or found.interval.high < 0) == (found.p_value < 0.05)


def test_no_difference_on_any_fold_is_no_evidence():
    assert corrected_resampled_t([0.0] * 5, test_fraction=0.2) == (0.0, (0.0, 0.0), 1.0)


def test_one_fold_is_refused():
    with pytest.raises(ValueError, match="two folds"):
        corrected_resampled_t([0.1], test_fraction=0.2)


def test_where_nothing_differs_it_says_so_about_nineteen_times_of_twenty():
    # Differences of folds correlate by n_test / n_train's share; drawn so, the test must hold its level.
    generator = np.random.default_rng(0)
    folds, shared = 10, 0.1
    alarms = 0
    for _ in range(2000):
        common = generator.normal(0, math.sqrt(shared))
        drawn = common + generator.normal(0, math.sqrt(1 - shared), folds)
        alarms += corrected_resampled_t(list(drawn), test_fraction=0.1).p_value < 0.05
    assert 0.02 < alarms / 2000 < 0.08


def test_holm_gives_the_values_of_the_worked_example():
    # Four p-values: 4 * 0.005, 3 * 0.01, 2 * 0.03, 1 * 0.04 held up to 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_of_nothing_is_nothing():
    assert holm([]) == []


@given(P_VALUES)
def test_holm_is_between_the_value_itself_and_bonferroni(values: list[float]):
    for value, adjusted in zip(values, holm(values), strict=True):
        assert value <= adjusted <= min(1.0, value * len(values)) + 1e-12


@given(P_VALUES)
def test_holm_keeps_the_order(values: list[float]):
    adjusted = holm(values)
    ranked = sorted(range(len(values)), key=values.__getitem__)
    assert [adjusted[index] for index in ranked] == sorted(adjusted)


@given(P_VALUES, st.randoms(use_true_random=False))
def test_holm_does_not_depend_on_the_order_given(values: list[float], chance):
    order = list(range(len(values)))
    chance.shuffle(order)
    assert sorted(holm([values[index] for index in order])) == pytest.approx(sorted(holm(values)))


def means(sample):
    return lambda rows: [float(sample[rows].mean())]


@given(st.lists(st.floats(min_value=-1000, max_value=1000), min_size=5, max_size=40))
def test_the_interval_of_a_mean_holds_the_mean_and_lies_within_the_sample(values: list[float]):
    [found] = bootstrap(means(np.array(values)), len(values), resamples=200)
    slack = 1e-9 * max(map(abs, values)) + 1e-12
    assert min(values) - slack <= found.interval.low <= found.value + slack
    assert found.value - slack <= found.interval.high <= max(values) + slack


def test_the_same_seed_gives_the_same_answer_and_another_seed_another():
    sample = np.random.default_rng(1).normal(size=50)
    one, again = (bootstrap(means(sample), 50, seed=3) for _ in range(2))
    assert one == again
    assert bootstrap(means(sample), 50, seed=4) != one


def test_more_confidence_is_a_wider_interval():
    sample = np.random.default_rng(1).normal(size=50)
    [narrow], [wide] = (bootstrap(means(sample), 50, confidence=level) for level in (0.8, 0.99))
    assert wide.interval.low < narrow.interval.low < narrow.interval.high < wide.interval.high


def test_figures_are_of_the_same_resamples():
    sample = np.random.default_rng(1).normal(size=30)
    first, negative = bootstrap(lambda rows: [float(sample[rows].mean()), -float(sample[rows].mean())], 30)
    assert first.interval == (-negative.interval.high, -negative.interval.low)


def test_its_intervals_hold_the_truth_about_as_often_as_they_say():
    generator = np.random.default_rng(2)
    held = 0
    for number in range(200):
        sample = generator.normal(3, 2, size=60)
        [found] = bootstrap(means(sample), 60, resamples=200, seed=number)
        held += found.interval.low <= 3 <= found.interval.high
    assert 0.88 <= held / 200 <= 0.99


def test_a_clear_difference_from_zero_has_the_smallest_p_it_can_say():
    sample = np.random.default_rng(1).normal(10, 1, size=50)
    [found] = bootstrap(means(sample), 50, resamples=500)
    assert found.p_value == 1 / 500


def test_a_figure_that_is_always_zero_has_p_one():
    [found] = bootstrap(lambda _: [0.0], 10, resamples=100)
    assert found == (0.0, (0.0, 0.0), 1.0)


def test_a_resample_without_an_answer_is_drawn_again():
    truth = np.array([0] * 6 + [1] * 2)

    def share(rows):
        if len(set(truth[rows])) < 2:
            raise ValueError
        return [float(truth[rows].mean())]

    [found] = bootstrap(share, 8, resamples=300)
    assert 0 < found.interval.low <= found.value <= found.interval.high < 1


def test_a_figure_that_is_hardly_ever_defined_is_an_error_and_no_endless_loop():
    def whole(rows):
        if list(rows) != list(range(30)):
            raise ValueError("undefined")
        return [1.0]

    with pytest.raises(ValueError, match="undefined"):
        bootstrap(whole, 30, resamples=50)
