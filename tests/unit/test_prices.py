"""Prices are exact, each has a source, and nothing costs more than was reserved for it."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from snapml_lab import clock, money
from snapml_lab.costs import prices
from snapml_lab.costs.prices import Machine, Priced, Rate, Steps, Tokens, rate
from snapml_lab.costs.usage import Usage
from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.jobs import gpus as devices
from snapml_lab.jobs.gpus import Power
from snapml_lab.jobs.leases import capacity
from snapml_lab.workspace import Workspace


def today() -> str:
    return clock.iso(clock.now())[:10]


def used(given: int = 1000, cached: int = 0, write: int = 0, output: int = 100, reasoning: int = 0) -> Usage:
    return Usage(given, cached, write, output, reasoning, "metered")


def declare(ws: Workspace, name: str, **per_million: str) -> Rate:
    prices.set_tokens(ws, name, {bucket: Decimal(price) for bucket, price in per_million.items()})
    return rate(ws, name, None, True, 0)


def test_each_bucket_has_its_own_price(ws: Workspace) -> None:
    found = declare(ws, "m", input="3", cached="0.30", cache_write="3.75", output="15", reasoning="16")
    assert found.cost(used(3, 0, 12_304, 550), 1.0) == Priced(
        3 * 3_000_000 + 12_304 * 3_750_000 + 550 * 15_000_000, f"declared {today()}"
    )
    assert found.cost(used(0, 1000, 0, 0, 10), 1.0).pico == 1000 * 300_000 + 10 * 16_000_000


def test_a_bucket_without_a_price_costs_what_it_is_part_of(ws: Workspace) -> None:
    found = declare(ws, "m", input="1", output="2")
    assert found.cost(used(1, 10, 100, 1000, 10_000), 1.0).pico == 111 * 1_000_000 + 11_000 * 2_000_000
    assert found.cost(Usage(111, None, None, 11_000, None), 1.0) == found.cost(
        used(1, 10, 100, 1000, 10_000), 1.0
    )


def test_what_has_no_price_is_unknown_and_what_is_not_used_needs_none(ws: Workspace) -> None:
    found = declare(ws, "embedder", input="0.02")
    assert found.cost(used(1000, output=0), 1.0).pico == 1000 * 20_000
    assert found.cost(used(1000, output=1), 1.0).pico is None
    assert found.worst(used(1000, output=0), 1.0) == 1000 * 20_000
    assert found.worst(used(1000, output=1), 1.0) is None


@pytest.mark.parametrize("usage", [Usage(), Usage(None, 1, 1, 5, 1), Usage(5, 1, 1, None, 1)])
def test_tokens_that_are_not_known_have_no_price(ws: Workspace, usage: Usage) -> None:
    found = declare(ws, "m", input="1", output="1")
    assert found.cost(usage, 9.0) == Priced(None, "tokens unknown")
    assert found.worst(usage, 9.0) is None


def test_prices_of_eighteen_digits_are_exact_and_longer_ones_are_refused(ws: Workspace) -> None:
    found = declare(ws, "m", input="0.041666666666666664", output="0")
    exact = Fraction("0.041666666666666664") * 999_999_937 * 10**12 / 10**6
    assert found.cost(used(999_999_937, output=0), 0.0).pico == round(exact)
    with pytest.raises(InvalidInputError, match="18 digits"):
        declare(ws, "n", input="0.0416666666666666645", output="0")
    assert ws.catalog.find("prices", "n") is None


def test_an_amount_the_ledger_cannot_hold_is_unknown(ws: Workspace) -> None:
    found = declare(ws, "m", input="1000000", output="0")
    assert found.cost(used(10**9, output=0), 0.0).pico is None
    assert found.worst(used(10**9, output=0), 0.0) is None


def test_the_deployments_own_price_goes_before_its_models_and_that_before_the_list(ws: Workspace) -> None:
    listed = rate(ws, "helper", "gpt-4o", False, 0)
    assert listed.source == f"genai-prices {genai_prices.__version__}, OpenAI"
    prices.set_tokens(ws, "gpt-4o", {"input": Decimal(7), "output": Decimal(7)}, source="our contract")
    assert rate(ws, "helper", "gpt-4o", False, 0).source == f"our contract {today()}"
    assert declare(ws, "helper", input="1", output="1").cost(used(), 0.0).pico == 1100 * 1_000_000


def test_a_price_is_taken_back(ws: Workspace) -> None:
    declare(ws, "gpt-4o", input="1", output="1")
    assert prices.remove(ws, "gpt-4o")["dollars_per_million_input"] == "1"
    assert rate(ws, "gpt-4o", "gpt-4o", False, 0).source.startswith("genai-prices")
    with pytest.raises(NotFoundError, match="gpt-4o"):
        prices.remove(ws, "gpt-4o")


def test_a_server_at_an_address_nobody_knows_has_no_listed_price(ws: Workspace) -> None:
    assert rate(ws, "x", "gpt-4o", False, 0, api="http://10.0.0.5/v1").cost(used(), 0.0) == Priced(
        None, "no listed price"
    )
    assert rate(ws, "x", "gpt-4o", False, 0, api="https://api.openai.com/v1").cost(used(), 0.0).pico
    named = rate(ws, "x", "groq/llama-3.3-70b-versatile", False, 0)
    assert "Groq" in named.source
    assert rate(ws, "x", "no-such-model-anywhere", False, 0).cost(used(), 0.0).pico is None
    assert rate(ws, "x", None, False, 0).cost(used(), 0.0) == Priced(None, "no price is declared")


def test_looking_a_price_up_asks_no_network(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("it asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert rate(ws, "helper", "gpt-4o", False, 0).cost(used(), 0.0).pico


def test_the_machines_own_name_is_no_models(ws: Workspace) -> None:
    prices.set_compute(ws, Decimal(2))
    with pytest.raises(InvalidInputError):
        declare(ws, prices.COMPUTE, input="1", output="1")
    assert rate(ws, prices.COMPUTE, None, True, 0).cost(used(), 1.8).pico == 10**9


MODELS = [(provider.id, model.id) for provider in get_snapshot().providers for model in provider.models]


@pytest.mark.parametrize("size", [1, 100, 64_001, 199_000, 200_001, 600_000])
def test_all_listed_prices_are_those_of_the_list_to_the_pico_dollar(size: int) -> None:
    """The list counts caches inside of the input, and reasoning inside of the output."""
    snapshot, compared = get_snapshot(), 0
    usage = used(size, size // 3, size // 5, size // 7, size // 11)
    theirs = genai_prices.Usage(
        input_tokens=usage.read, cache_read_tokens=usage.cached, cache_write_tokens=usage.cache_write,
        output_tokens=usage.written, output_reasoning_tokens=usage.reasoning,
    )  # fmt: skip
    for provider, model in MODELS:
        try:
            maker, found = snapshot.find_provider_model(model, None, provider, None)
        except LookupError:
            continue
        listed = found.get_prices(clock_now := _now()).__dict__
        if listed.get("input_mtok") is None or listed.get("output_mtok") is None:
            continue
        ours = prices._listed(f"{provider}/{model}", None)
        wanted = found.calc_price(theirs, maker, genai_request_timestamp=clock_now).total_price
        assert ours.cost(usage, 0.0).pico == money.to_pico(wanted), (provider, model)
        assert (ours.worst(usage, 0.0) or 0) >= money.to_pico(wanted)
        compared += 1
    assert compared > 800


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


AMOUNT = st.integers(0, 10**22)
TIERED = st.builds(
    Steps,
    AMOUNT,
    st.lists(st.tuples(st.integers(0, 10**6), AMOUNT), max_size=3).map(lambda tiers: tuple(sorted(tiers))),
)
RATES = st.builds(Tokens, *[st.none() | TIERED] * 5, st.integers(0, 10**22))
COUNTS = st.integers(0, 10**6)


@given(RATES, COUNTS, COUNTS, st.data())
@settings(max_examples=500)
def test_no_use_within_the_bound_costs_more_than_the_worst(
    tokens: Tokens, most_read: int, most_written: int, data: st.DataObject
) -> None:
    found = Rate(tokens, None, None, "declared")
    worst = found.worst(Usage(most_read, 0, 0, most_written, 0, "estimated"), 0.0)
    read, written = data.draw(st.integers(0, most_read)), data.draw(st.integers(0, most_written))
    cached = data.draw(st.integers(0, read))
    write = data.draw(st.integers(0, read - cached))
    reasoning = data.draw(st.integers(0, written))
    cost = found.cost(used(read - cached - write, cached, write, written - reasoning, reasoning), 0.0)
    if worst is not None:
        assert cost.pico is not None
        assert cost.pico <= worst


@given(
    st.fractions(0, 10_000, max_denominator=10**6), st.fractions(0, 100, max_denominator=1000), st.floats(0, 1e6), st.floats(0, 1)
)  # fmt: skip
def test_no_machine_time_within_the_bound_costs_more_than_the_worst(
    hour: Fraction, more: Fraction, seconds: float, share: float
) -> None:
    found = Rate(None, hour, hour + more, "this machine")
    worst, cost = found.worst(Usage(), seconds), found.cost(Usage(), seconds * share).pico
    assert worst is not None
    assert cost is not None
    assert cost <= worst
    exact = hour * Fraction(seconds * share) * 10**12 / 3600
    assert abs(cost - exact) <= Fraction(1, 2)


def test_a_local_engine_costs_the_machines_time(ws: Workspace) -> None:
    assert rate(ws, "m", None, True, 0).cost(used(), 1.8) == Priced(
        None, "no price of this machine is declared"
    )
    prices.set_compute(ws, Decimal(2))
    assert rate(ws, "m", None, True, 0).cost(Usage(), 1.8) == Priced(
        1_000_000_000, f"1.800 s of this machine, declared {today()}"
    )
    assert rate(ws, "m", None, True, 2).cost(Usage(), 1.8).pico == 1_000_000_000


def test_an_engine_with_gpus_costs_their_hours(ws: Workspace) -> None:
    prices.set_compute(ws, gpu_hour=Decimal("3.60"))
    assert rate(ws, "m", None, True, 2).cost(Usage(), 5.0) == Priced(
        10**10, f"5.000 s of 2 GPUs, declared {today()}"
    )
    assert rate(ws, "m", None, True, 0).cost(Usage(), 5.0).pico is None


def test_what_is_declared_later_adds_to_what_was_before(ws: Workspace) -> None:
    prices.set_compute(ws, Decimal(2))
    prices.set_compute(ws, gpu_hour=Decimal(3), source="rack invoice")
    fields = ws.catalog.get("prices", prices.COMPUTE)
    assert (fields["dollars_per_hour"], fields["dollars_per_gpu_hour"], fields["source"]) == (
        "2",
        "3",
        "rack invoice",
    )


def test_energy_is_the_machines_draw_at_the_users_price(ws: Workspace) -> None:
    prices.set_compute(ws, kwh=Decimal("0.36"), watts=Decimal(100))
    assert rate(ws, "m", None, True, 0).cost(Usage(), 3600.0).pico == 36 * 10**9
    prices.set_compute(ws, Decimal(1))
    assert rate(ws, "m", None, True, 0).cost(Usage(), 3600.0).pico == 1_036 * 10**9


def test_energy_of_a_gpu_is_what_it_draws_and_at_worst_what_it_may(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "power", lambda: [Power(120.0, 700.0), Power(80.0, 700.0)])
    prices.set_compute(ws, gpu_hour=Decimal(2), kwh=Decimal("0.50"))
    found = rate(ws, "m", None, True, 1)
    assert found.cost(Usage(), 3600.0).pico == 2_050 * 10**9
    assert found.worst(Usage(), 3600.0) == 2_350 * 10**9


def test_energy_without_anything_that_tells_the_power_is_refused_and_never_nothing(ws: Workspace) -> None:
    if devices.power():
        pytest.skip("this machine's GPUs tell their power")
    with pytest.raises(InvalidInputError, match="watts"):
        prices.set_compute(ws, kwh=Decimal("0.3"))
    ws.catalog.change("prices", prices.COMPUTE, lambda _: {"dollars_per_kwh": "0.3", "date": today()})
    assert rate(ws, "m", None, True, 1).cost(Usage(), 1.0).pico is None


def test_nothing_said_of_the_machine_is_refused(ws: Workspace) -> None:
    with pytest.raises(InvalidInputError):
        prices.set_compute(ws)


@pytest.mark.parametrize(
    ("machine", "cpu", "gpu", "hours", "pico"),
    [
        (Machine(Fraction(8), None, None, 4, ""), 3, 0, 1.5, 6 * 10**12), (Machine(None, None, None, 4, ""), 3, 0, 1.5, None),
        (Machine(Fraction(8), Fraction(5), Fraction(5), 4, ""), 3, 2, 1.5, 16 * 10**12),
        (Machine(Fraction(8), None, None, 4, ""), 3, 2, 1.5, 12 * 10**12), (Machine(None, Fraction(5), Fraction(5), 4, ""), 3, 2, 1.5, 10**13),
        (Machine(None, Fraction(5), Fraction(5), 4, ""), 3, 0, 1.5, None),
    ],
)  # fmt: skip
def test_a_job_costs_its_hours(
    machine: Machine, cpu: float, gpu: float, hours: float, pico: int | None
) -> None:
    assert machine.work(cpu, gpu, hours) == pico


def test_the_machine_has_as_many_processors_as_this_process_may_use(ws: Workspace) -> None:
    assert prices.machine(ws).processors == capacity()
