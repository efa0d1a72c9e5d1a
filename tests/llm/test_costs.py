"""Money is exact, a price has a source, and what is not known is never nothing."""

import csv
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab import clock, ids, money
from snapml_lab.commands.core import Call, Surface
from snapml_lab.commands.costs import cost
from snapml_lab.costs import prices, requests
from snapml_lab.costs.requests import Request
from snapml_lab.costs.usage import Usage
from snapml_lab.errors import InvalidInputError, NotAllowedError
from snapml_lab.governance import keys
from snapml_lab.jobs.leases import capacity
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


def of(ws: Workspace, *, model: str = "m") -> prices.Priced:
    used = Usage(1000, None, None, 100, None, "metered")
    return prices.rate(ws, model, None, local=True, gpus=0).cost(used, 1.8)


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
    for by in ("notebook", "key", "cell"):
        html = cost(used.ws, by=by, call=Call(Surface.PYTHON)).html()  # type: ignore[arg-type]
        assert "<b>.ipynb" not in html
        assert "<key>" not in html


def test_a_request_that_is_open_is_not_yet_in_the_bill(used: Home) -> None:
    add(used.ws, state="open", cost_pico=None, reserved_pico=10**12)
    assert sum(row["requests"] for row in used.do("cost")["rows"]) == 3
    assert "open" in used.run("requests", "list").stdout


def test_buckets_cache_hits_and_the_cached_share_are_told_apart(home: Home) -> None:
    add(
        home.ws,
        input_tokens=100,
        cached_tokens=300,
        cache_write_tokens=100,
        output_tokens=10,
        reasoning_tokens=40,
    )
    add(home.ws, input_tokens=0, output_tokens=0, cached=1, cost_pico=0)
    (row,) = home.do("cost", "--by", "project")["rows"]
    assert (row["group"], row["requests"], row["hits"]) == ("(none)", 2, 1)
    assert (row["input_tokens"], row["cached_tokens"], row["cache_write_tokens"]) == (100, 300, 100)
    assert (row["output_tokens"], row["reasoning_tokens"], row["cached_share"]) == (10, 40, 0.6)
    assert "500 + 50" in home.run("cost").stdout
    assert "60%" in home.run("cost").stdout


def test_costs_add_up_by_cell_and_project(home: Home) -> None:
    add(home.ws, notebook="a.ipynb", cell_id="c1", project="x", cost_pico=1)
    add(home.ws, notebook="a.ipynb", cell_id="c2", project="y", cost_pico=2)
    add(home.ws, notebook="a.ipynb", project="x", cost_pico=4)
    rows = home.do("cost", "--by", "cell")["rows"]
    cells = {row["group"]: (row["cost_pico"], row["notebook"], row["cell_id"]) for row in rows}
    assert cells == {
        "a.ipynb c1": ("1", "a.ipynb", "c1"), "a.ipynb c2": ("2", "a.ipynb", "c2"), "(none)": ("4", "a.ipynb", None)
    }  # fmt: skip
    projects = home.do("cost", "--by", "project")["rows"]
    assert {row["group"]: row["cost_pico"] for row in projects} == {"x": "5", "y": "2"}


def test_amounts_beyond_what_sqlite_adds_up_are_added_up(home: Home) -> None:
    for _ in range(3):
        add(home.ws, cost_pico=2**63 - 1)
    assert home.do("cost")["rows"][0]["cost_pico"] == str(3 * (2**63 - 1))


def test_csv_has_exact_amounts_and_nothing_that_a_spreadsheet_runs(home: Home) -> None:
    for name in ("=cmd()", "+1", "-1", "@sum", "plain", 'a "quoted", name'):
        add(home.ws, model=name, cost_pico=1)
    home.run("cost", "--csv", "bill.csv")
    rows = list(csv.DictReader((home.ws.project / "bill.csv").open()))
    assert {row["model"] for row in rows} == {"'=cmd()", "'+1", "'-1", "'@sum", "plain", 'a "quoted", name'}
    assert {row["dollars"] for row in rows} == {"0.000000000001"}
    assert home.refused("cost", "--csv", "nowhere/bill.csv")["code"] == "invalid_input"
    with pytest.raises(NotAllowedError):
        cost(home.ws, csv="other.csv", call=Call(Surface.REST))
    assert not (home.ws.project / "other.csv").exists()


def worked(ws: Workspace, start: float, end: float | None, **fields: object) -> None:
    known: dict[str, object] = {
        "id": ids.new(), "kind": "automl", "name": "n", "state": "succeeded", "actor": "a", "uid": 0, "cpus": 1.0,
        "submitted_at": start, "started_at": start, "ended_at": end, "revision": 1, **fields,
    }  # fmt: skip
    with ws.ledger.write() as connection:
        marks = ", ".join("?" * len(known))
        connection.execute(f"INSERT INTO jobs ({', '.join(known)}) VALUES ({marks})", list(known.values()))


def test_by_day_there_are_jobs_a_forecast_and_the_budgets_lines(home: Home) -> None:
    prices.set_compute(home.ws, Decimal(4))
    now = clock.now()
    for day in range(1, 6):
        add(home.ws, at=now - day * 86_400, cost_pico=10**12)
    worked(home.ws, now - 7200 - 86_400, now - 3600 - 86_400, cpus=capacity())
    worked(home.ws, now - 7200 - 86_400, None, service=1)
    home.ws.catalog.change("budgets", "team", lambda _: {"dollars": "0.5", "period": "day"})
    home.ws.catalog.change(
        "budgets", "nb", lambda _: {"dollars": "9", "period": "month", "notebook": "a.ipynb"}
    )
    with home.ws.ledger.write() as connection:
        connection.execute("INSERT INTO budget_spent VALUES ('team', ?, 7, 5)", (now // 86_400 * 86_400,))
        connection.execute("INSERT INTO budget_spent VALUES ('nb', 0, 7, 5)")
    view = cost(home.ws, by="day", call=Call(Surface.PYTHON))
    assert sum(int(day.requests_pico) for day in view.spent) == 5 * 10**12
    assert sum(int(day.jobs_pico) for day in view.spent) == 4 * 10**12
    assert view.forecast is not None
    assert view.forecast.days == 5
    assert int(view.forecast.low_pico) <= int(view.forecast.cost_pico) <= int(view.forecast.high_pico)
    told = {line.name: (line.spent_pico, line.scope, line.daily_pico) for line in view.budgets}
    assert told["team"] == ("7", "", str(5 * 10**11))
    assert told["nb"][:2] == ("0", "notebook a.ipynb")
    assert "team: $0.50 a day" in view.html()
    assert "9 times in 10" in view.text()
    (job,) = home.do("jobs", "cost")["rows"]
    assert (job["group"], job["jobs"]) == ("automl", 1)
    assert int(job["cost_pico"]) == pytest.approx(4 * 10**12)


def test_jobs_without_a_price_are_unknown_and_say_how_to_mend_it(home: Home) -> None:
    worked(home.ws, clock.now() - 3600, None, name="<n>", cpus=2.0, gpus=1, notebook="=x")
    told = home.run("jobs", "cost", "--by", "name").stdout
    assert "unknown" in told
    assert "prices compute" in told
    for by in ("notebook", "run", "name"):
        (row,) = home.do("jobs", "cost", "--by", by)["rows"]
        assert (round(row["cpu_hours"]), round(row["gpu_hours"]), row["cost_pico"]) == (2, 1, None)


def test_prices_are_declared_by_command_and_kept_exactly(home: Home) -> None:
    assert home.do("prices", "compute", "0.37")["fields"]["dollars_per_hour"] == "0.37"
    contract = ("--source", "a contract", "--date", "2026-11-01")
    home.do("prices", "set", "m", "--input", "0.075", "--output", "0.3", *contract)
    assert of(home.ws) == prices.Priced(1000 * 75_000 + 100 * 300_000, "a contract 2026-11-01")
    listed = {price["name"]: price["fields"] for price in home.do("prices", "list")["prices"]}
    assert listed["m"]["dollars_per_million_input"] == "0.075"
    assert listed["m"]["source"] == "a contract"
    assert "0.075 a million input" in home.run("prices", "list").stdout
    home.do("prices", "remove", "m")
    assert home.refused("prices", "remove", "m")["code"] == "not_found"
    for words in (
        ("compute", "-1"),
        ("compute", "NaN"),
        ("compute", "much"),
        ("compute",),
        ("set", "m", "--output", "1"),
        ("set", "m", "--input", "1", "--date", "yesterday"),
        ("set", "compute", "--input", "1", "--output", "1"),
    ):
        assert home.refused("prices", *words)["code"] == "invalid_input"


def test_a_price_that_counts_is_shown_with_its_source_and_its_tiers(home: Home) -> None:
    shown = home.do("prices", "show", "google/gemini-2.5-pro")
    assert shown["source"].startswith("genai-prices")
    assert shown["above"]["input"]
    assert home.do("prices", "show", "no-such-model")["buckets"]["input"] is None
    assert "unknown" in home.run("prices", "show", "no-such-model").stdout


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
