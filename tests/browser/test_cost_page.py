"""The bill as a page: days with a forecast and a budget's line, groups, jobs, requests, and a file for a spreadsheet."""

import csv
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from browser.lab import DARK, LIGHT, SECONDS, Lab, Server, serving
from snapml_lab import clock, ids
from snapml_lab.costs import budgets, lines, prices, requests
from snapml_lab.governance import keys
from snapml_lab.workspace import Workspace

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

MARKUP = "<img src=x onerror=\"alert('cost')\"><b>bold</b>"
DAY = 86_400
DOLLAR = 10**12


def fill(ws: Workspace) -> None:
    """Record a fortnight of requests, a job, prices and budgets."""
    key, _ = keys.create(ws, "ann")
    prices.set_compute(ws, Decimal(4))
    now = clock.now()
    for day in range(14):
        for model, cents in (("tuned@2", 30 + 5 * (day % 4)), ("gpt-4o", 55), ("plain@1", 8)):
            requests.add(ws.ledger, requests.Request(
                id=ids.new(), at=now - day * DAY, deployment=model.split("@")[0], model=model, route="/v1/chat/completions",
                api_key=key.id, notebook="bill.ipynb" if model == "tuned@2" else None,
                cell_id="cell-1" if model == "tuned@2" else None, streamed=1, status=200, ended="complete", input_tokens=400,
                cached_tokens=1200, output_tokens=90, reasoning_tokens=60, usage="metered", first_token_ms=180.0, duration_ms=1400.0,
                cost_pico=cents * DOLLAR // 100, price="declared 2026-11-22", project="thesis", cached=int(model == "plain@1"),
            ))  # fmt: skip
    requests.add(ws.ledger, requests.Request(
        id=ids.new(), at=now, deployment=MARKUP, model=MARKUP, route="/v1", api_key=MARKUP, notebook=MARKUP, cell_id=MARKUP,
        streamed=0, status=500, ended="failed", input_tokens=None, cached_tokens=None, output_tokens=None, usage="unknown",
        first_token_ms=None, duration_ms=1.0, cost_pico=None, price=MARKUP, project=MARKUP,
    ))  # fmt: skip
    with ws.ledger.write() as connection:
        connection.execute(
            "INSERT INTO jobs (id, kind, name, state, actor, uid, cpus, submitted_at, started_at, ended_at, revision)"
            " VALUES (?, 'finetune', 'tuned', 'succeeded', 'a', 0, 1, ?, ?, ?, 1)",
            (ids.new(), now - 2 * DAY, now - 2 * DAY, now - 2 * DAY + 1800),
        )
    ws.catalog.change("budgets", "team", lambda _: {"dollars": "45", "period": "month"})
    with ws.ledger.write() as connection:
        connection.execute(
            "INSERT INTO budget_spent (budget, start, spent_pico, reserved_pico) VALUES ('team', ?, ?, ?)",
            (lines.start("month", now), 37 * DOLLAR, 2 * DOLLAR),
        )
    ws.catalog.change("budgets", MARKUP, lambda _: {"dollars": "2", "period": "day", "notebook": MARKUP})


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A project of its own, with a bill."""
    with serving(tmp_path_factory.mktemp("bill")) as running:
        fill(running.ws)
        yield running


def open_page(lab: Lab) -> Locator:
    """Open the page from the sidebar's section, as a person does."""
    lab.open()
    title = lab.page.locator(".snapml-Sidebar .lm-AccordionPanel-title", has_text="Cost")
    if title.get_attribute("aria-expanded") == "false":
        title.click()
    lab.page.get_by_test_id("snapml-cost-open").click()
    page = lab.page.get_by_test_id("snapml-cost-page")
    expect(page.get_by_test_id("snapml-cost-groups").locator("tbody tr").first).to_be_visible()
    return page


def portraits(lab: Lab, name: str) -> None:
    """Take screenshots of the page in both themes, narrow and wide."""
    complaints = []
    for width, looks in ((760, "narrow"), (1600, "wide")):
        lab.page.set_viewport_size({"width": width, "height": 1300})
        for theme, shade in ((LIGHT, "light"), (DARK, "dark")):
            lab.theme(theme)
            lab.page.wait_for_timeout(400)
            lab.shot(f"{name}-{shade}-{looks}")
            complaints += [f"{shade}, {looks}: {complaint}" for complaint in lab.complaints()]
    lab.theme(LIGHT)
    assert complaints == []


def test_the_page_shows_days_groups_jobs_and_requests(lab: Lab) -> None:
    lab.server.write("bill.ipynb", "1", "2")
    page = open_page(lab)
    expect(page.get_by_test_id("snapml-cost-page-total")).to_have_text("$13.97")
    expect(page.get_by_test_id("snapml-cost-forecast")).to_contain_text("9 times in 10 between")
    assert page.locator(".snapml-Days-column").count() >= 14
    expect(page.locator(".snapml-Days-line")).to_contain_text("team: $45.00 / month")
    expect(page.get_by_test_id("snapml-cost-jobs")).to_contain_text("finetune")
    groups = page.get_by_test_id("snapml-cost-groups")
    expect(groups.locator("tbody tr").first).to_contain_text("gpt-4o")
    expect(groups.locator("tbody tr").first).to_contain_text("75%")
    for by, first in (
        ("Deployment", "gpt-4o"), ("Key", "ann"), ("Notebook", "Not from a notebook"), ("Project", "thesis"), ("Cell", "Not from a cell"),
    ):  # fmt: skip
        groups.get_by_role("button", name=by, exact=True).click()
        expect(groups.locator("tbody tr").first).to_contain_text(first)
    expect(page.get_by_test_id("snapml-cost-requests")).to_contain_text("declared 2026-11-22")
    expect(page.get_by_test_id("snapml-cost-requests").locator("tbody tr")).to_have_count(43)
    assert page.locator("img, b, script").count() == 0
    assert lab.dialogs == []
    portraits(lab, "cost-page")


def test_budgets_are_bars_and_set_changed_and_removed_by_keyboard_alone(lab: Lab) -> None:
    ws = lab.server.ws
    page = open_page(lab)
    part = page.get_by_test_id("snapml-budgets")
    rows = part.get_by_test_id("snapml-budget")
    expect(rows).to_have_count(2)
    team = rows.filter(has_text="all requests")
    expect(team.get_by_test_id("snapml-spent")).to_have_attribute("data-level", "near")
    for words in (
        "this month",
        "$37.00 of $45.00 spent",
        "$2.00 held",
        "$6.00 left",
        "86% used",
        "begins anew",
    ):
        expect(team).to_contain_text(words)
    expect(rows.filter(has_text="today")).to_contain_text(f"requests of the notebook {MARKUP}")

    part.get_by_test_id("snapml-budget-new").focus()
    lab.page.keyboard.press("Enter")
    lab.page.keyboard.type("ann")
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.type("1.10")
    part.get_by_test_id("snapml-budget-period").select_option("day")
    part.get_by_test_id("snapml-budget-kind").select_option("key")
    part.get_by_test_id("snapml-budget-subject").focus()
    lab.page.keyboard.press("Enter")
    expect(part.get_by_test_id("snapml-budget-subject-fault")).to_have_text("Say which.")
    portraits(lab, "cost-page-budgets")
    part.get_by_test_id("snapml-budget-kind").select_option("")
    part.get_by_test_id("snapml-budget-dollars").focus()
    lab.page.keyboard.press("Enter")
    expect(rows).to_have_count(3)
    assert ws.catalog.get(budgets.KIND, "ann") == {"dollars": "1.10", "period": "day"}
    across = page.locator(".snapml-Days-line text")
    expect(across).to_have_count(2)
    expect(across.first).to_have_text("ann: $1.10 / day")

    mine = rows.filter(has_text="$1.10")
    mine.get_by_test_id("snapml-budget-change").focus()
    lab.page.keyboard.press("Enter")
    expect(part.get_by_test_id("snapml-budget-dollars")).to_have_value("1.1")
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.type("1.20")
    lab.page.keyboard.press("Enter")
    mine = rows.filter(has_text="$1.20")
    expect(mine).to_have_count(1)
    mine.get_by_test_id("snapml-budget-remove").focus()
    lab.page.keyboard.press("Enter")
    expect(lab.page.get_by_role("dialog")).to_contain_text("ann will no longer hold anything back.")
    lab.press_until(".jp-Dialog-button.jp-mod-warn")
    lab.page.keyboard.press("Enter")
    expect(rows).to_have_count(2)
    assert page.locator("img, b, script").count() == 0
    assert lab.dialogs == []


def test_the_chart_is_read_by_keys(lab: Lab) -> None:
    page = open_page(lab)
    chart = page.get_by_test_id("snapml-cost-days")
    chart.focus()
    chart.press("ArrowRight")
    expect(page.locator(".snapml-Days-legend")).to_contain_text(clock.iso(clock.now() - 13 * DAY)[:10])
    for _ in range(40):
        chart.press("ArrowRight")
    told = page.locator(".snapml-Days-legend")
    last = clock.iso(clock.now())[:10]
    if last[:7] == clock.iso(clock.now() + DAY)[:7]:
        expect(told).to_contain_text("expected")
    else:
        expect(told).to_contain_text(last)


def test_a_group_leads_to_its_cell_and_the_table_to_a_file(lab: Lab, tmp_path: Path) -> None:
    lab.server.write("bill.ipynb", "1", "2")
    page = open_page(lab)
    groups = page.get_by_test_id("snapml-cost-groups")
    groups.get_by_role("button", name="Cell", exact=True).click()
    expect(groups.get_by_test_id("snapml-cost-go").first).to_have_text("bill.ipynb cell-1")
    with lab.page.expect_download() as download:
        groups.get_by_test_id("snapml-cost-csv").click()
    path = tmp_path / "bill.csv"
    download.value.save_as(path)
    rows = {row["cell"]: row for row in csv.DictReader(path.open())}
    assert Decimal(rows["bill.ipynb cell-1"]["dollars"]) == Decimal("5.15")
    assert download.value.suggested_filename == "cost-by-cell.csv"
    groups.get_by_test_id("snapml-cost-go").first.click()
    expect(lab.page.locator(".jp-NotebookPanel")).to_be_visible(timeout=30 * SECONDS)


def test_the_page_comes_back_after_a_reload(lab: Lab) -> None:
    with lab.keeps("snapml-costs"):
        open_page(lab)
    lab.reload()
    expect(lab.page.get_by_test_id("snapml-cost-page")).to_be_visible()


def test_a_cell_shows_the_chart_as_a_picture_and_for_the_pointer(lab: Lab) -> None:
    lab.server.write("shown.ipynb", "%load_ext snapml_lab", "%snapml cost --by day", "bill = %snapml cost")
    lab.open("shown.ipynb")
    for index in range(3):
        lab.run(index)
        lab.done(index)
    outputs = lab.cell(1).locator(".jp-OutputArea-child")
    expect(outputs.nth(0).locator("svg[role=img]")).to_be_visible()
    expect(outputs.nth(0)).to_contain_text("9 times in 10 between $")
    assert outputs.nth(0).locator("mjx-container").count() == 0  # dollars, not formulas
    expect(outputs.nth(1).locator(".js-plotly-plot")).to_be_visible()
    expect(outputs.nth(1).locator(".xtick").first).to_have_text(clock.iso(clock.now() - 13 * DAY)[5:10])
    expect(lab.cell(2).locator(".jp-OutputArea-child")).to_have_count(0)
    lab.page.wait_for_timeout(500)
    lab.shot("cost-cell-light")
    lab.theme(DARK)
    lab.shot("cost-cell-dark")
