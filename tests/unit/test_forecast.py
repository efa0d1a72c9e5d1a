"""The forecast of a month stands on the days seen, and its interval holds as often as it says."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.costs.forecast import _T, CONFIDENCE, MOST_DAYS, forecast

DOLLAR = 10**12
NOON = 43_200.0


def at(day: str, seconds: float = NOON) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() + seconds


def days(last: str, amounts: list[int]) -> dict[str, int]:
    """Amounts of the days up to the one before ``last``."""
    end = date.fromisoformat(last)
    first = end - timedelta(days=len(amounts))
    return {(first + timedelta(days=number)).isoformat(): amount for number, amount in enumerate(amounts)}


@pytest.mark.parametrize("amounts", [[], [DOLLAR], [DOLLAR] * 2, [0, 0, 0, DOLLAR, DOLLAR]])
def test_below_three_days_of_spending_there_is_none(amounts: list[int]) -> None:
    assert forecast(days("2026-11-10", amounts), at("2026-11-10")) is None


def test_days_that_are_alike_go_on_alike_with_no_doubt() -> None:
    found = forecast(days("2026-11-11", [DOLLAR] * 10), at("2026-11-11"))
    assert found is not None
    assert (found.until, found.days, found.by_weekday) == (date(2026, 11, 30), 10, False)
    assert found.low == found.pico == found.high == 10 * DOLLAR + 19 * DOLLAR + DOLLAR // 2


def test_what_today_cost_already_is_in_it_and_of_today_only_the_rest_is_expected() -> None:
    spent = {**days("2026-11-30", [DOLLAR] * 10), "2026-11-30": 5 * DOLLAR}
    found = forecast(spent, at("2026-11-30", 64_800.0))
    assert found is not None
    assert found.pico == 15 * DOLLAR + DOLLAR // 4


def test_days_of_the_month_before_tell_what_a_day_costs_but_are_not_in_the_sum() -> None:
    found = forecast(days("2026-12-01", [2 * DOLLAR] * 8), at("2026-12-01", 0.0))
    assert found is not None
    assert found.pico == 31 * 2 * DOLLAR


def test_only_four_weeks_count_and_days_without_spending_among_them() -> None:
    found = forecast(days("2026-11-30", [900 * DOLLAR] * 10 + [DOLLAR, 0] * 14), at("2026-11-30", 0.0))
    assert found is not None
    assert (found.days, found.by_weekday) == (MOST_DAYS, True)
    assert found.daily == pytest.approx(DOLLAR / 2, rel=0.2)


def test_from_two_weeks_on_weekends_have_a_mean_of_their_own() -> None:
    amounts = [
        10 * DOLLAR if (date(2026, 11, 2) + timedelta(days=n)).weekday() < 5 else DOLLAR for n in range(14)
    ]
    found = forecast(days("2026-11-16", amounts), at("2026-11-16", 0.0))
    assert found is not None
    assert found.by_weekday
    working, free = 11, 4
    assert found.low == found.pico == found.high == sum(amounts) + working * 10 * DOLLAR + free * DOLLAR


def test_the_interval_widens_with_fewer_days_and_never_falls_below_what_is_spent() -> None:
    wide, narrow = (
        forecast(days("2026-11-10", [DOLLAR, 3 * DOLLAR, 2 * DOLLAR, 6 * DOLLAR] * times), at("2026-11-10"))
        for times in (1, 3)
    )
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.pico > narrow.high - narrow.pico
    assert wide.low >= 12 * DOLLAR


@given(st.lists(st.integers(0, 10**18), max_size=60), st.integers(0, 400), st.floats(0, 86_399))
def test_whatever_was_spent_the_ends_are_in_order(amounts: list[int], number: int, seconds: float) -> None:
    today = (date(2026, 1, 1) + timedelta(days=number)).isoformat()
    spent = days(today, amounts)
    found = forecast(spent, at(today, seconds))
    if found is not None:
        known = sum(amount for day, amount in spent.items() if day.startswith(today[:8]))
        assert known <= found.low <= found.pico <= found.high
        assert 3 <= found.days <= MOST_DAYS


def test_the_quantiles_are_students() -> None:
    from scipy import stats

    wanted = [stats.t.ppf((1 + CONFIDENCE) / 2, degrees) for degrees in range(1, len(_T) + 1)]
    assert pytest.approx(wanted, abs=6e-4) == list(_T)


@pytest.mark.parametrize(("seen", "least"), [(3, 0.86), (9, 0.86), (20, 0.86)])
def test_the_interval_holds_what_comes_nine_times_in_ten(seen: int, least: float) -> None:
    """Of 1,500 months of days that are alike but differ (normal, deviation a third of the mean)."""
    chance = random.Random(7)
    held = 0
    for _ in range(1500):
        amounts = [max(1, round(chance.gauss(3, 1) * DOLLAR)) for _ in range(seen)]
        found = forecast(days("2026-11-21", amounts), at("2026-11-21", 0.0))
        assert found is not None
        known = sum(
            amount for day, amount in days("2026-11-21", amounts).items() if day.startswith("2026-11")
        )
        came = known + sum(max(1, round(chance.gauss(3, 1) * DOLLAR)) for _ in range(10))
        held += found.low <= came <= found.high
    assert held / 1500 >= least
    assert held / 1500 <= 0.95
