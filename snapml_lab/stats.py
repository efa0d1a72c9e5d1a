"""Statistics that every comparison shown to a person goes through: intervals, and whether it could be chance."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """A two-sided confidence interval; both ends in the unit of the estimate."""

    low: float
    high: float


class Comparison(NamedTuple):
    """A difference between two things measured on the same samples."""

    difference: float
    interval: Interval
    p_value: float


class Estimate(NamedTuple):
    """A figure with its interval, and the two-sided p-value of "it is 0"."""

    value: float
    interval: Interval
    p_value: float


def corrected_resampled_t(
    differences: Sequence[float], *, test_fraction: float, confidence: float = 0.95
) -> Comparison:
    """Compare two models from the fold-by-fold differences of their cross-validation scores.

    Folds share training rows, so the naive variance is too small; Nadeau and Bengio's correction widens it
    by ``1/k + n_test/n_train``.

    Args:
        differences: one difference of scores a fold, length k >= 2.
        test_fraction: share of the rows in a fold's test part, in (0, 1).
        confidence: level of the interval.

    Returns:
        Mean difference, its interval, and the two-sided p-value.

    Raises:
        ValueError: fewer than two folds.

    Source: Nadeau & Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003), eq. 9.
    """
    folds = len(differences)
    if folds < 2:
        raise ValueError("two folds at least are needed for an interval")
    mean = math.fsum(differences) / folds
    variance = math.fsum((value - mean) ** 2 for value in differences) / (folds - 1)
    error = math.sqrt(variance * (1 / folds + test_fraction / (1 - test_fraction)))
    if error == 0:
        return Comparison(mean, Interval(mean, mean), 1.0 if mean == 0 else 0.0)
    reach = student_reach(confidence, folds - 1) * error
    p_value = student_p_value(mean / error, folds - 1)
    return Comparison(mean, Interval(mean - reach, mean + reach), p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for many comparisons (family-wise error), in the order given.

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scand. J. Stat. 6 (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def bootstrap(
    statistics: Callable[[Any], Sequence[float]],
    rows: int,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Estimate]:
    """Percentile bootstrap of one or more figures over ``rows`` samples; all figures see the same resamples.

    Args:
        statistics: takes row indices (an integer array, with repeats) and returns the figures; may raise ValueError
            for a resample on which one is undefined (one class only), which is drawn again.
        rows: number of samples, at least 2.
        confidence: level of the intervals.
        resamples: number of resamples.
        seed: makes the answer repeatable.

    Returns:
        For each figure its value on all rows, its interval, and a two-sided p-value for "it is 0" (the share of
        resamples on the far side of 0, doubled, never below 1/resamples).

    Raises:
        ValueError: a figure is undefined on all rows, or on nearly every resample.

    Source: Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), ch. 13 and 15.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    values = statistics(np.arange(rows))
    draws: list[Sequence[float]] = []
    failures = 0
    while len(draws) < resamples:
        try:
            draws.append(statistics(generator.integers(0, rows, rows)))
        except ValueError:
            failures += 1
            if failures > resamples:
                raise
    tail = (1 - confidence) / 2
    found: list[Estimate] = []
    for value, column in zip(values, zip(*draws, strict=True), strict=True):
        ordered = sorted(column)
        low, high = (
            ordered[math.floor(tail * (resamples - 1))],
            ordered[math.ceil((1 - tail) * (resamples - 1))],
        )
        below = sum(drawn <= 0 for drawn in ordered) / resamples
        above = sum(drawn >= 0 for drawn in ordered) / resamples
        p_value = min(1.0, max(2 * min(below, above), 1 / resamples))
        found.append(Estimate(value, Interval(low, high), p_value))
    return found


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """Return the exponential moving average of a curve; what is no number stays so and is passed over.

    Args:
        values: of a curve, in order.
        weight: of what came before, in [0, 1); 0 leaves all as it is.

    The start is corrected for the average's beginning at 0, as in Kingma & Ba, "Adam", 2015, section 3.
    """
    found: list[float] = []
    mean, seen = 0.0, 0
    for value in values:
        if not math.isfinite(value):
            found.append(value)
            continue
        seen += 1
        mean = weight * mean + (1 - weight) * value
        found.append(mean / (1 - weight**seen))
    return found


def wilson(hits: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Return the score interval of a proportion; of no trials it is all of [0, 1].

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).
    """
    if trials == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = hits / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low, high = max(0.0, middle - reach), min(1.0, middle + reach)
    return Interval(low if hits else 0.0, high if hits < trials else 1.0)


def proportions(
    hits: int, trials: int, other_hits: int, other_trials: int, *, confidence: float = 0.95
) -> Comparison:
    """Compare two independent proportions: the first less the other, its interval, and Fisher's exact p-value.

    Raises:
        ValueError: one has no trials.

    Source of the interval: Newcombe, "Interval estimation for the difference between independent proportions",
    Statistics in Medicine 17 (1998), method 10.
    """
    if not trials or not other_trials:
        raise ValueError("trials of both are needed")
    one, other = hits / trials, other_hits / other_trials
    first = wilson(hits, trials, confidence=confidence)
    second = wilson(other_hits, other_trials, confidence=confidence)
    low = one - other - math.hypot(one - first.low, second.high - other)
    high = one - other + math.hypot(first.high - one, other - second.low)
    return Comparison(
        one - other, Interval(low, high), fisher_p_value(hits, trials, other_hits, other_trials)
    )


def fisher_p_value(hits: int, trials: int, other_hits: int, other_trials: int) -> float:
    """Return the two-sided p-value of "both proportions are the same", given how many hits there are in all.

    Source: Fisher, "The Logic of Inductive Inference", J. Royal Stat. Soc. 98 (1935): the sum over all tables that are
    no likelier than the one seen.
    """

    def ways(chosen: int, of: int) -> float:
        return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)

    all_hits = hits + other_hits
    tables = range(max(0, all_hits - other_trials), min(all_hits, trials) + 1)
    logs = [ways(count, trials) + ways(all_hits - count, other_trials) for count in tables]
    whole = ways(all_hits, trials + other_trials)
    seen = logs[hits - tables.start] + _ALIKE
    return min(1.0, math.fsum(math.exp(log - whole) for log in logs if log <= seen))


def student_p_value(t: float, freedom: float) -> float:
    """Return the two-sided p-value of Student's t, by so many degrees of freedom."""
    from scipy import special  # a fifth of a second less than scipy.stats to import

    return float(2 * special.stdtr(freedom, -abs(t)))


def student_reach(confidence: float, freedom: float) -> float:
    """Return the t within which so much of Student's distribution lies, about 0.

    Args:
        confidence: in (0, 1).
        freedom: degrees of freedom, more than 0.
    """
    from scipy import special

    return float(special.stdtrit(freedom, (1 + confidence) / 2))


_ALIKE = 1e-7
"""Logarithms of likelihoods that are this near are of tables as likely, but for rounding."""


def paired_proportions(pairs: Sequence[tuple[bool, bool]], *, confidence: float = 0.95) -> Comparison:
    """Compare two proportions of the same things: the first less the other, its interval, and McNemar's exact p-value.

    Raises:
        ValueError: there are none.

    Source of the interval: Newcombe, "Improved confidence intervals for the difference between binomial proportions based
    on paired data", Statistics in Medicine 17 (1998), method 10.
    """
    from scipy import stats as scipy_stats

    if not pairs:
        raise ValueError("pairs are needed")
    number = len(pairs)
    both = sum(one and other for one, other in pairs)
    only, only_other = (sum(pair == kind for pair in pairs) for kind in ((True, False), (False, True)))
    neither = number - both - only - only_other
    one, other = both + only, both + only_other
    first, second = wilson(one, number, confidence=confidence), wilson(other, number, confidence=confidence)
    spread = one * (number - one) * other * (number - other)
    together = both * neither - only * only_other
    tied = max(together - number / 2, 0.0) if together > 0 else float(together)
    tie = tied / math.sqrt(spread) if spread else 0.0

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(a * a - 2 * tie * a * b + b * b, 0.0))

    difference = (one - other) / number
    low = difference - reach(one / number - first.low, second.high - other / number)
    high = difference + reach(first.high - one / number, other / number - second.low)
    apart = only + only_other
    p_value = float(scipy_stats.binomtest(only, apart).pvalue) if apart else 1.0
    return Comparison(difference, Interval(low, high), p_value)


class Sample(NamedTuple):
    """What is to be known of numbers to compare their mean: how many, their mean, their variance (of a sample)."""

    size: int
    mean: float
    variance: float


def mean_interval(sample: Sample, *, confidence: float = 0.95) -> Interval | None:
    """Return Student's interval of a mean; None where there are fewer than two numbers."""
    if sample.size < 2:
        return None
    reach = student_reach(confidence, sample.size - 1)
    reach *= math.sqrt(sample.variance / sample.size)
    return Interval(sample.mean - reach, sample.mean + reach)


def welch(one: Sample, other: Sample, *, confidence: float = 0.95) -> Comparison | None:
    """Compare two means whose variances may differ: the first less the other; None where either has fewer than two numbers.

    Source: Welch, "The generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 34 (1947), with Satterthwaite's degrees of freedom.
    """
    if one.size < 2 or other.size < 2:
        return None
    difference = one.mean - other.mean
    parts = (one.variance / one.size, other.variance / other.size)
    error = math.sqrt(sum(parts))
    if error == 0:
        return Comparison(difference, Interval(difference, difference), 1.0 if difference == 0 else 0.0)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (one.size - 1) + parts[1] ** 2 / (other.size - 1))
    reach = student_reach(confidence, freedom) * error
    p_value = student_p_value(difference / error, freedom)
    return Comparison(difference, Interval(difference - reach, difference + reach), p_value)


class Share(NamedTuple):
    """A share with its 95% interval."""

    value: float
    low: float
    high: float


def share(hits: int, trials: int) -> Share:
    """Return a share and its 95 % score interval; of no trials it is not a number."""
    return Share(hits / trials if trials else math.nan, *wilson(hits, trials))
