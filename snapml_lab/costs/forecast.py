"""What the month will have cost, from the days seen so far. Pure.

An estimate, not an amount that is owed: it goes by the mean of past days, and its interval by how much they differ.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

LEAST_DAYS = 3
"""Fewer complete days tell nothing."""
MOST_DAYS = 28
"""Days that count: four weeks, each weekday as often as the others."""
_BY_WEEKDAY = 14
"""From so many days on, working days and weekends are told apart."""
CONFIDENCE = 0.9
_T = (
    6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753, 1.746,
    1.740, 1.734, 1.729, 1.725, 1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703,
)  # fmt: skip
"""95th percentiles of Student's t with 1 to 27 degrees of freedom."""
_DAY = 86_400.0


@dataclass(frozen=True)
class Forecast:
    """What a month will have cost at its end, in pico-dollars.

    Attributes:
        until: its last day.
        pico: spent so far and what is to be expected.
        low: lower end of the 90% prediction interval; never less than what is spent.
        high: its upper end.
        daily: what a day to come is expected to cost.
        days: complete days it stands on.
        by_weekday: whether working days and weekends were told apart.
    """

    until: date
    pico: int
    low: int
    high: int
    daily: int
    days: int
    by_weekday: bool


def forecast(spent: Mapping[str, int], now: float) -> Forecast | None:
    """Forecast the end of this month (UTC).

    The days to come are taken to be like those of the last four weeks, from the first one on which anything was spent.
    With two weeks or more, working days and weekends have a mean each. The interval is that of a sum of future
    observations, which holds the error of the mean, too (Hahn & Meeker, "Statistical Intervals", 1991, ch. 4): with m days
    to come, n seen and their deviation s, t(n - 1) * s * sqrt(m + m * m / n). It supposes days that are alike and do not
    depend on each other; it cannot know of what is planned.

    Args:
        spent: pico-dollars by day (``2026-11-22``); days that are not in it cost nothing.
        now: seconds since the epoch.

    Returns:
        The forecast; None below three complete days.
    """
    moment = datetime.fromtimestamp(now, UTC)
    today = moment.date()
    past = _complete(spent, today)
    if len(past) < LEAST_DAYS:
        return None
    end = _last_day(today)
    gone = (now % _DAY) / _DAY
    ahead = [(today, 1 - gone)]
    ahead += [(today + timedelta(days=number), 1.0) for number in range(1, (end - today).days + 1)]
    by_weekday = len(past) >= _BY_WEEKDAY
    strata = [True, False] if by_weekday else [None]
    expected = variance = 0.0
    for stratum in strata:
        seen = [amount for day, amount in past if stratum is None or _works(day) is stratum]
        coming = math.fsum(share for day, share in ahead if stratum is None or _works(day) is stratum)
        mean = math.fsum(seen) / len(seen)
        spread = math.fsum((amount - mean) ** 2 for amount in seen) / max(len(seen) - 1, 1)
        expected += coming * mean
        variance += spread * (coming + coming * coming / len(seen))
    month = today.isoformat()[:8]
    known = sum(amount for day, amount in spent.items() if day.startswith(month))
    reach = _T[min(len(past) - len(strata), len(_T)) - 1] * math.sqrt(variance)
    length = math.fsum(share for _, share in ahead)
    return Forecast(
        until=end, pico=known + round(expected), low=known + round(max(expected - reach, 0.0)),
        high=known + round(expected + reach), daily=round(expected / length) if length else 0, days=len(past),
        by_weekday=by_weekday,
    )  # fmt: skip


def _complete(spent: Mapping[str, int], today: date) -> Sequence[tuple[date, int]]:
    """Return the days before today that count, with what each cost."""
    first = min((date.fromisoformat(day) for day, amount in spent.items() if amount), default=today)
    first = max(first, today - timedelta(days=MOST_DAYS))
    days = [first + timedelta(days=number) for number in range((today - first).days)]
    return [(day, spent.get(day.isoformat(), 0)) for day in days]


def _works(day: date) -> bool:
    return day.weekday() < 5


def _last_day(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
