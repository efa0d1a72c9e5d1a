"""Money is exact, a price has a source, and what is not known is never nothing."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab import clock, ids, money
from snapml_lab.costs import prices, requests
from snapml_lab.costs.prices import price
from snapml_lab.costs.requests import Request
from snapml_lab.errors import InvalidInputError
from snapml_lab.governance import keys
from snapml_lab.workspace import Workspace

from .home import Home

PRICES = st.decimals(min_value=0, max_value=1_000_000, places=6)
TOKENS = st.integers(0, 10**9)


@given(TOKENS, PRICES)
def test_tokens_cost_exactly_what_the_price_says(tokens: int, per_million: Decimal) -> None:
    exact = Fraction(per_million) * tokens * money.PICO / 1_000_000
    found = money.tokens_cost(tokens, per_million)
    assert exact == found  # six places of dollars a million are whole pico-dollars a token


@given(st.lists(TOKENS, min_size=1, max_size=20), PRICES)
def test_the_parts_add_up_to_the_whole(parts: list[int], per_million: Decimal) -> None:
    assert sum(money.tokens_cost(part, per_million) for part in parts) == money.tokens_cost(
        sum(parts), per_million
    )


@given(st.floats(0, 1e6, allow_nan=False), PRICES)
def test_time_costs_what_the_price_says_to_half_a_pico_dollar(seconds: float, per_hour: Decimal) -> None:
    exact = Fraction(per_hour) * Fraction(Decimal(repr(seconds))) * money.PICO / 3600
    assert abs(exact - money.seconds_cost(seconds, per_hour)) <= Fraction(1, 2) + exact / 10**27


@pytest.mark.parametrize(
    ("dollars", "pico"), [("0.0000000000005", 0), ("0.0000000000015", 2), ("1.5", 1_500_000_000_000)]
)
def test_halves_go_to_even(dollars: str, pico: int) -> None:
    assert money.to_pico(Decimal(dollars)) == pico


@pytest.mark.parametrize(
    ("pico", "shown"),
    [
        (None, "unknown"), (0, "$0.00"), (1, "$0.0000000000010"), (10**12, "$1.00"), (1_234_567_000_000, "$1.23"),
        (12_300_000_000, "$0.012"), (450_000_000_000, "$0.45"), (999 * 10**15, "$999000.00"), (5_000_000, "$0.0000050"),
    ],
)  # fmt: skip
def test_an_amount_is_shown_with_enough_digits(pico: int | None, shown: str) -> None:
    assert money.show(pico) == shown


@given(st.integers(1, 10**18))
def test_no_amount_looks_like_nothing(pico: int) -> None:
    shown = money.show(pico)
    assert Decimal(shown.removeprefix("$")) > 0
    assert "E" not in shown
    assert abs(Decimal(shown.removeprefix("$")) * money.PICO / pico - 1) < Decimal("0.06")


def of(
    ws: Workspace, *, model: str = "m", given: int | None = 1000, said: int | None = 100, local: bool = True
) -> prices.Priced:
    return price(ws, model, input_tokens=given, output_tokens=said, seconds=1.8, local=local)


def test_a_declared_price_of_tokens_goes_before_machine_time_and_that_before_nothing(ws: Workspace) -> None:
    assert of(ws) == prices.Priced(None, "no price of this machine is declared")
    prices.set_compute(ws, Decimal(2))
    today = clock.iso(clock.now())[:10]
    assert of(ws) == prices.Priced(1_000_000_000, f"1.800 s of this machine, declared {today}")
    prices.set_tokens(ws, "m", Decimal("0.15"), Decimal("0.60"))
    assert of(ws) == prices.Priced(1000 * 150_000 + 100 * 600_000, f"declared {today}")
    assert of(ws, model="other").pico == 1_000_000_000


@pytest.mark.parametrize(("given_tokens", "said"), [(None, 100), (1000, None), (None, None)])
def test_tokens_that_are_not_known_have_no_price(
    ws: Workspace, given_tokens: int | None, said: int | None
) -> None:
    prices.set_compute(ws, Decimal(2))
    prices.set_tokens(ws, "m", Decimal(1), Decimal(1))
    assert of(ws, given=given_tokens, said=said) == prices.Priced(None, "tokens unknown")
    assert of(ws, model="gpt-4o", given=given_tokens, said=said, local=False) == prices.Priced(
        None, "tokens unknown"
    )


def test_nothing_used_costs_nothing_which_is_known(ws: Workspace) -> None:
    prices.set_tokens(ws, "m", Decimal(1), Decimal(1))
    assert of(ws, given=0, said=0).pico == 0


def test_the_machines_own_name_is_no_models(ws: Workspace) -> None:
    prices.set_compute(ws, Decimal(2))
    with pytest.raises(InvalidInputError):
        prices.set_tokens(ws, prices.COMPUTE, Decimal(1), Decimal(1))
    assert of(ws).pico == 1_000_000_000


def test_a_providers_model_is_looked_up_without_a_network(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("it asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    listed = of(ws, model="gpt-4o", local=False)
    assert listed.pico is not None
    assert listed.pico > 0
    assert listed.source == "genai-prices, OpenAI"
    twice = of(ws, model="gpt-4o", given=2000, said=200, local=False)
    assert twice.pico == 2 * listed.pico
    assert of(ws, model="no-such-model-anywhere", local=False) == prices.Priced(None, "no listed price")
    prices.set_tokens(ws, "gpt-4o", Decimal(1), Decimal(1))
    assert of(ws, model="gpt-4o", local=False).pico == 1100 * 1_000_000


def add(ws: Workspace, **fields: object) -> None:
    known: dict[str, object] = {
        "id": ids.new(), "at": clock.now(), "deployment": "d", "model": "m@1", "route": "/v1/chat/completions", "api_key": "k",
        "notebook": None, "cell_id": None, "streamed": 0, "status": 200, "ended": "complete", "input_tokens": 10, "cached_tokens": None,
        "output_tokens": 5, "usage": "metered", "first_token_ms": None, "duration_ms": 100.0, "cost_pico": 7, "price": "declared",
    }  # fmt: skip
    requests.add(ws.ledger, Request(**{**known, **fields}))  # type: ignore[arg-type]


@pytest.fixture
def used(home: Home) -> Home:
    key, _ = keys.create(home.ws, "ann's <key>")
    add(home.ws, notebook="a.ipynb", api_key=key.id, cost_pico=10**12)
    add(home.ws, notebook="a.ipynb", model="n@1", deployment="e", cost_pico=None, ended="failed", usage="unknown", input_tokens=None,
        output_tokens=None)  # fmt: skip
    add(
        home.ws,
        notebook="<b>.ipynb",
        api_key=key.id,
        cost_pico=3,
        streamed=1,
        first_token_ms=40.0,
        duration_ms=140.0,
        output_tokens=11,
    )
    add(home.ws, at=clock.now() - 40 * 86_400, cost_pico=5)
    return home


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ("model", {"m@1": (2, 10**12 + 3, 0), "n@1": (1, 0, 1)}), ("deployment", {"d": (2, 10**12 + 3, 0), "e": (1, 0, 1)}),
        ("notebook", {"a.ipynb": (2, 10**12, 1), "<b>.ipynb": (1, 3, 0)}), ("key", {"ann's <key>": (2, 10**12 + 3, 0), "k": (1, 0, 1)}),
    ],
)  # fmt: skip
def test_costs_add_up_by_each_group(used: Home, by: str, wanted: dict[str, tuple[int, int, int]]) -> None:
    told = used.do("cost", "--by", by)
    assert {
        row["group"]: (row["requests"], int(row["cost_pico"]), row["unknown"]) for row in told["rows"]
    } == wanted
    assert sum(int(row["cost_pico"]) for row in told["rows"]) == 10**12 + 3


def test_costs_add_up_by_day_and_as_far_back_as_asked(used: Home) -> None:
    assert [row["requests"] for row in used.do("cost", "--by", "day")["rows"]] == [3]
    told = used.do("cost", "--by", "day", "--days", "60")["rows"]
    assert sorted(row["requests"] for row in told) == [1, 3]
    assert used.do("cost", "--days", "0.000001")["rows"] == []


def test_speeds_are_those_of_streamed_requests(used: Home) -> None:
    row = next(row for row in used.do("cost")["rows"] if row["group"] == "m@1")
    assert row["first_token_ms"] == 40.0
    assert row["tokens_per_second"] == pytest.approx(100.0)
    assert row["failed"] == 0


def test_a_cost_that_is_not_known_is_never_shown_as_nothing(used: Home) -> None:
    lines = used.run("cost").stdout.splitlines()
    unknown = next(line for line in lines if line.startswith("n@1"))
    assert unknown.rstrip().endswith("unknown")
    assert "$0.00" not in unknown
    mixed = next(
        line
        for line in used.run("cost", "--by", "notebook").stdout.splitlines()
        if line.startswith("a.ipynb")
    )
    assert mixed.rstrip().endswith("$1.00 + 1 unknown")
    listed = used.run("requests", "list").stdout
    assert "unknown" in listed
    assert "? + ?" in listed


def test_a_hostile_group_is_shown_as_text(used: Home) -> None:
    from snapml_lab.commands.costs import cost

    for by in ("notebook", "key"):
        html = cost(used.ws, by=by).html()  # type: ignore[arg-type]
        assert "<b>.ipynb" not in html
        assert "<key>" not in html


def test_prices_are_declared_by_command_and_kept_exactly(home: Home) -> None:
    assert home.do("prices", "compute", "0.37")["fields"]["dollars_per_hour"] == "0.37"
    home.do("prices", "tokens", "m", "--input", "0.075", "--output", "0.3")
    assert of(home.ws).pico == 1000 * 75_000 + 100 * 300_000
    for words in (
        ("compute", "-1"),
        ("compute", "NaN"),
        ("compute", "much"),
        ("tokens", "m", "--input", "1"),
    ):
        assert home.refused("prices", *words)["code"] == "invalid_input"
    assert (
        home.refused("prices", "tokens", "compute", "--input", "1", "--output", "1")["code"]
        == "invalid_input"
    )


def test_keys_that_share_a_name_are_not_revoked_by_it(ws: Workspace) -> None:
    first, _ = keys.create(ws, "twin")
    second, text = keys.create(ws, "twin")
    with pytest.raises(InvalidInputError, match=second.id):
        keys.revoke(ws, "twin")
    assert keys.find(ws, text) is not None
    assert keys.revoke(ws, second.id).revoked_at
    assert keys.find(ws, text) is None
    assert keys.revoke(ws, "twin").id == first.id


def test_the_notebooks_key_is_made_once_and_anew_when_revoked(ws: Workspace) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: keys.notebook_key(ws), range(16)))
    assert len(made) == 1
    assert len(keys.every(ws)) == 1
    keys.revoke(ws, keys.NOTEBOOK)
    assert keys.notebook_key(ws) not in made
