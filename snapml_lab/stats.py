"""Statistics that every comparison shown to a person goes through: intervals, and whether it could be chance."""

import math
from collections.abc import Callable, Sequence
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
    from scipy import stats as scipy_stats

    folds = len(differences)
    if folds < 2:
        raise ValueError("two folds at least are needed for an interval")
    mean = math.fsum(differences) / folds
    variance = math.fsum((value - mean) ** 2 for value in differences) / (folds - 1)
    error = math.sqrt(variance * (1 / folds + test_fraction / (1 - test_fraction)))
    if error == 0:
        return Comparison(mean, Interval(mean, mean), 1.0 if mean == 0 else 0.0)
    reach = float(scipy_stats.t.ppf((1 + confidence) / 2, folds - 1)) * error
    p_value = float(2 * scipy_stats.t.sf(abs(mean) / error, folds - 1))
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


class Share(NamedTuple):
    """A share with its 95% interval."""

    value: float
    low: float
    high: float


def wilson(hits: int, number: int, *, z: float = 1.959964) -> Share:
    """Return a share and its score interval; right near 0 and 1, too.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).
    """
    if number == 0:
        return Share(math.nan, 0.0, 1.0)
    share = hits / number
    middle = (share + z * z / (2 * number)) / (1 + z * z / number)
    reach = z * math.sqrt(share * (1 - share) / number + z * z / (4 * number * number)) / (1 + z * z / number)
    return Share(share, max(middle - reach, 0.0), min(middle + reach, 1.0))
