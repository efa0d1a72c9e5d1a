"""Money: whole pico-dollars, computed exactly, never a float; an amount that is not known is None, never 0."""

from decimal import ROUND_HALF_EVEN, Decimal

PICO = 10**12


def to_pico(dollars: Decimal) -> int:
    """Return whole pico-dollars, halves to even."""
    return int((dollars * PICO).to_integral_value(ROUND_HALF_EVEN))


def tokens_cost(tokens: int, per_million: Decimal) -> int:
    """Return what tokens cost, in pico-dollars, at a price in dollars a million."""
    return to_pico(per_million * tokens / 1_000_000)


def seconds_cost(seconds: float, per_hour: Decimal) -> int:
    """Return what machine time costs, in pico-dollars, at a price in dollars an hour."""
    return to_pico(per_hour * Decimal(repr(seconds)) / 3600)


def show(pico: int | None) -> str:
    """Write an amount in dollars, with enough digits to tell it from nothing; ``unknown`` for None."""
    if pico is None:
        return "unknown"
    amount = Decimal(pico) / PICO
    if pico == 0 or amount >= 1:
        return f"${amount:.2f}"
    digits = max(2, 1 - amount.adjusted())
    return f"${amount:.{digits}f}"
