"""Runs in the sidebar and on their pages: made in a notebook, found, opened, compared, put away and brought back."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from browser.lab import SECONDS, Lab, Server, serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A project of its own, in which nothing is recorded yet."""
    with serving(tmp_path_factory.mktemp("record")) as running:
        yield running


MARKUP = "<img src=x onerror=\"alert('note')\"><b>bold</b>"
LOAD = """%load_ext snapml_lab
import math, time
import snapml_lab as snap"""
RUNS = """lr, depth, model = {lr}, {depth}, {model!r}
with snap.run({name!r}, params=dict(lr=lr, depth=depth, model=model), tags=dict(team='red')) as r:
    for step in range({steps}):
        r.log(loss=math.exp(-step * lr * 3) + 0.02 * math.sin(step), val_auc=1 - 0.5 * math.exp(-step * lr), step=step)
"""
NESTED = """with snap.run('search', note='three depths') as r:
    for depth in (2, 4, 8):
        with snap.run(f'depth {depth}', params=dict(depth=depth)) as one:
            one.log(accuracy=0.9 + depth / 100)
    r.log(best=0.98)
"""
LIVE = """with snap.run('long one') as r:
    for step in range(400):
        r.log(loss=1 / (1 + step), step=step)
        time.sleep(0.05)
"""


def section(lab: Lab, name: str) -> Locator:
    """Open a section of the sidebar."""
    title = lab.page.locator(f'.snapml-Sidebar .lm-AccordionPanel-title[aria-label="{name} Section"]')
    if title.get_attribute("aria-expanded") == "false":
        title.click()
    found = lab.page.get_by_test_id(f"snapml-{name.lower()}")
    expect(found).to_be_visible()
    return found


def close_others(lab: Lab, name: str) -> None:
    """Close the other sections of the sidebar."""
    for title in lab.page.locator(".snapml-Sidebar .lm-AccordionPanel-title").all():
        if (
            title.get_attribute("aria-label") != f"{name} Section"
            and title.get_attribute("aria-expanded") == "true"
        ):
            title.click()


def run_row(runs: Locator, name: str) -> Locator:
    return runs.get_by_test_id("snapml-run").filter(has_text=name)


def make_runs(lab: Lab) -> None:
    """Open a notebook in which four runs were made; make them where none has yet."""
    if (lab.server.project / "record.ipynb").exists():
        lab.open("record.ipynb")
        return
    cells = [
        RUNS.format(lr=0.05, depth=3, model="tree", name="baseline", steps=300),
        RUNS.format(lr=0.004, depth=6, model="forest", name="slow forest", steps=300),
        RUNS.format(lr=0.02, depth=9, model="forest", name="deep forest", steps=300),
        NESTED,
    ]
    lab.server.write("record.ipynb", LOAD, *cells, LIVE)
    lab.open("record.ipynb")
    for index in range(5):
        lab.run(index)
        lab.done(index)


def test_runs_are_found_opened_and_compared(lab: Lab) -> None:
    lab.open()
    close_others(lab, "Runs")
    runs = section(lab, "Runs")
    expect(runs.get_by_test_id("snapml-runs-none")).to_contain_text(
        "with snap.run('first') as r: r.log(loss=0.1)"
    )
    lab.shot("runs-none-light")

    make_runs(lab)
    close_others(lab, "Runs")
    runs = section(lab, "Runs")
    rows = runs.get_by_test_id("snapml-run")
    expect(rows).to_have_count(4)
    expect(rows.nth(0)).to_contain_text("search")
    expect(rows.nth(3)).to_contain_text("baseline")
    expect(rows.nth(3)).to_contain_text("val_auc")

    field = runs.get_by_test_id("snapml-runs-search")
    field.fill("metric.val_auc > 0.9 and param.lr <")
    expect(runs.get_by_test_id("snapml-runs-search-wrong")).to_contain_text("could not be read")
    expect(rows).to_have_count(4)
    field.fill("metric.val_auc > 0.9 and param.lr > 0.01")
    field.press("Enter")
    expect(rows).to_have_count(2)
    expect(runs.get_by_test_id("snapml-runs-search-wrong")).to_have_count(0)
    field.fill("depth 4")
    expect(rows).to_have_count(1)
    expect(rows.nth(0)).to_contain_text("nested")
    field.fill("nothing is called this")
    expect(runs.get_by_test_id("snapml-runs-none-found")).to_be_visible()
    field.press("Escape")
    expect(rows).to_have_count(4)

    for name in ("baseline", "slow forest", "deep forest"):
        run_row(runs, name).get_by_test_id("snapml-run-mark").check()
    field.fill("metric.val_auc >")
    expect(runs.get_by_test_id("snapml-runs-search-wrong")).to_be_visible()
    expect(rows).to_have_count(4)
    lab.portraits("runs")
    field.press("Escape")
    runs.get_by_test_id("snapml-runs-compare").click()
    page = lab.page.get_by_test_id("snapml-compare-page")
    expect(page.get_by_test_id("snapml-parallel")).to_be_visible()
    lines = page.get_by_test_id("snapml-parallel-run")
    expect(lines).to_have_count(3)
    expect(page.get_by_test_id("snapml-chart")).to_have_count(2)
    expect(page.get_by_test_id("snapml-differences")).to_contain_text("lr")
    diff = page.get_by_test_id("snapml-diff")
    expect(diff.locator('[data-kind="added"]').first).to_contain_text("0.004, 6, 'forest'")
    page.get_by_test_id("snapml-compared-run").nth(1).hover()
    expect(page.locator('.snapml-Parallel-line[data-active="true"]')).to_have_count(1)
    lab.portraits("compare")
    page.get_by_test_id("snapml-differences").scroll_into_view_if_needed()
    lab.shot("compare-below")


def test_a_run_has_a_page(lab: Lab) -> None:
    make_runs(lab)
    close_others(lab, "Runs")
    runs = section(lab, "Runs")
    run_row(runs, "baseline").get_by_test_id("snapml-run-open").click()
    page = lab.page.get_by_test_id("snapml-run-page")
    expect(page.get_by_role("heading", name="baseline")).to_be_visible()
    expect(page.get_by_test_id("snapml-chart")).to_have_count(2)
    expect(page.get_by_test_id("snapml-run-figures")).to_contain_text("val_auc")
    expect(page.get_by_test_id("snapml-run-params")).to_contain_text("0.05")
    expect(page.get_by_test_id("snapml-run-source")).to_contain_text("lr, depth, model = 0.05")
    lab.portraits("run")

    asked: list[str] = []
    lab.page.on(
        "request",
        lambda request: asked.append(request.post_data or "") if "runs/curve" in request.url else None,
    )
    chart = page.get_by_test_id("snapml-chart").first
    box = chart.bounding_box()
    assert box is not None
    lab.page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 60)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=4)
    lab.shot("run-dragging")
    lab.page.mouse.up()
    expect(page.get_by_test_id("snapml-chart-all")).to_be_visible()
    expect(chart).to_have_attribute("aria-label", re.compile(r"steps (9|1[0-2])\d to 1[6-9]\d"))
    page.get_by_test_id("snapml-smooth").fill("12")
    expect(page.locator(".snapml-Smooth output")).to_have_text("0.84")
    lab.until(lambda: any('"start":1' in body or '"start":9' in body for body in asked))
    lab.shot("run-zoomed")
    chart.focus()
    lab.page.keyboard.press("Escape")
    expect(page.get_by_test_id("snapml-chart-all")).to_have_count(0)

    page.get_by_test_id("snapml-note-edit").click()
    page.get_by_test_id("snapml-note-text").fill(MARKUP)
    page.get_by_test_id("snapml-note-save").click()
    expect(page.get_by_test_id("snapml-run-note")).to_have_text(MARKUP)
    page.get_by_test_id("snapml-tag-name").fill("checked")
    page.get_by_test_id("snapml-tag-value").fill("by eye")
    page.get_by_test_id("snapml-tag-value").press("Enter")
    expect(page.get_by_test_id("snapml-run-notes")).to_contain_text("checked: by eye")
    page.get_by_role("button", name="Remove tag team").click()
    expect(page.get_by_test_id("snapml-run-notes")).not_to_contain_text("team")
    page.get_by_test_id("snapml-run-notes").scroll_into_view_if_needed()
    lab.shot("run-notes")

    page.get_by_test_id("snapml-run-delete").click()
    expect(page.get_by_test_id("snapml-run-away")).to_be_visible()
    expect(run_row(runs, "baseline")).to_have_count(0)
    page.get_by_test_id("snapml-run-restore").click()
    expect(run_row(runs, "baseline")).to_have_count(1)
    expect(page.get_by_test_id("snapml-run-away")).to_have_count(0)

    page.get_by_test_id("snapml-go-to-cell").click()
    expect(lab.cell(1)).to_have_class(re.compile("jp-mod-active"))
    assert lab.dialogs == []


def test_a_run_is_live_and_its_page_comes_back(lab: Lab) -> None:
    make_runs(lab)
    lab.run(0)
    lab.done(0)
    close_others(lab, "Runs")
    runs = section(lab, "Runs")
    lab.run(5)
    row = run_row(runs, "long one")
    expect(row).to_have_attribute("data-state", "running")
    row.get_by_test_id("snapml-run-open").click()
    page = lab.page.get_by_test_id("snapml-run-page")
    points = page.locator('[data-testid="snapml-run-figures"] tbody tr').first.locator("td").last
    expect(points).to_have_text(re.compile(r"^\d+$"))
    before = int(points.inner_text())
    lab.page.wait_for_function(
        "before => +document.querySelector('[data-testid=snapml-run-figures] tbody tr td:last-child').innerText > before + 20",
        arg=before,
    )
    lab.shot("run-live")
    expect(page.locator("header")).to_have_attribute("data-state", "succeeded", timeout=60 * SECONDS)
    lab.page.wait_for_timeout(1.5 * SECONDS)
    lab.reload()
    expect(page.get_by_role("heading", name="long one")).to_be_visible()


def test_all_of_it_works_by_keys(lab: Lab) -> None:
    make_runs(lab)
    close_others(lab, "Runs")
    runs = section(lab, "Runs")
    expect(run_row(runs, "baseline")).to_have_count(1)
    runs.get_by_test_id("snapml-runs-search").focus()
    lab.page.keyboard.type("forest")
    lab.page.keyboard.press("Enter")
    expect(runs.get_by_test_id("snapml-run")).to_have_count(2)
    for _ in range(2):
        lab.press_until("[data-testid=snapml-run-mark]")
        lab.page.keyboard.press("Space")
    lab.press_until("[data-testid=snapml-runs-compare]", "Shift+Tab")
    lab.page.keyboard.press("Enter")
    expect(lab.page.get_by_test_id("snapml-compare-page")).to_contain_text("2 runs compared")

    runs.get_by_test_id("snapml-runs-search").focus()
    lab.press_until("[data-testid=snapml-run-open]")
    lab.page.keyboard.press("Enter")
    page = lab.page.get_by_test_id("snapml-run-page")
    chart = page.get_by_test_id("snapml-chart").first
    expect(chart).to_be_visible()
    lab.press_until("[data-testid=snapml-chart]")
    lab.page.keyboard.press("PageDown")
    for _ in range(3):
        lab.page.keyboard.press("Shift+PageDown")
    lab.page.keyboard.press("Enter")
    expect(page.get_by_test_id("snapml-chart-all").first).to_be_visible()
    lab.page.keyboard.press("Escape")
    expect(page.get_by_test_id("snapml-chart-all")).to_have_count(0)


def test_a_run_says_what_became_of_its_cell(lab: Lab) -> None:
    make_runs(lab)
    made = RUNS.format(lr=0.5, depth=1, model="tree", name="edited", steps=3)
    lab.server.write("edited.ipynb", LOAD, "a = 1", "b = 2", made)
    lab.open("edited.ipynb")
    for index in (0, 2, 1, 3):
        lab.run(index)
        lab.done(index)
    lab.cell(3).locator(".cm-content").click()
    lab.page.keyboard.press("Control+End")
    lab.page.keyboard.type("# and more")
    lab.save()
    close_others(lab, "Runs")
    runs = section(lab, "Runs")
    run_row(runs, "edited").get_by_test_id("snapml-run-open").click()
    page = lab.page.get_by_test_id("snapml-run-page")
    expect(page.get_by_test_id("snapml-run-since")).to_be_visible()
    expect(page.get_by_test_id("snapml-run-order")).to_contain_text("out of order")
    lab.portraits("run-edited")
    run_row(runs, "search").get_by_test_id("snapml-run-open").click()
    expect(page.get_by_test_id("snapml-run-nested").get_by_role("row")).to_have_count(4)
    lab.shot("run-nested")
    page.get_by_test_id("snapml-nested-compare").click()
    expect(lab.page.get_by_test_id("snapml-compare-page")).to_contain_text("3 runs compared")
