"""A search started from a cell: live in the notebook and in the sidebar, stopped from either, and what stays of it."""

import json
import re

import pytest
from playwright.sync_api import Locator, expect

from browser.lab import SECONDS, Lab

pytestmark = pytest.mark.browser

LOAD = "%load_ext snapml_lab"
SEARCH = "%snapml automl flowers.csv --target target --time {}"
ERROR = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]'
MODEL = re.compile(r"flowers-target@\d+: \w+, accuracy [01]\.")
DEAD = re.compile("model not found|loading widget", re.IGNORECASE)


def begin(lab: Lab, notebook: str, seconds: int) -> tuple[str, Locator]:
    """Start a search from a new notebook; return its job as the sidebar shows it, and its cell."""
    lab.server.write(notebook, LOAD, SEARCH.format(seconds))
    lab.open(notebook)
    seen = lab.seen()
    lab.run(0)
    lab.done(0)
    lab.run(1)
    return lab.new_job(seen), lab.cell(1)


def expect_no_panel(cell: Locator) -> None:
    expect(cell.locator(".snapml-panel, .snapml-curve, .js-plotly-plot")).to_have_count(0)
    expect(cell).not_to_contain_text(DEAD)


def test_a_search_is_live_in_cell_and_sidebar_and_is_cancelled_there(lab: Lab) -> None:
    job, cell = begin(lab, "live.ipynb", 120)
    lab.page.evaluate("window.notReloaded = true")
    expect(lab.job(job)).to_contain_text("flowers-target")
    lab.expect_state(job, "running")

    expect(cell.locator(".snapml svg")).to_have_count(2)
    expect(cell.locator(".snapml")).to_contain_text("AutoML running")
    expect(cell.locator(".snapml tbody tr")).not_to_have_count(0)
    expect(cell.get_by_role("progressbar", name="progress")).to_be_visible()
    expect(cell.get_by_role("button", name="Stop")).to_be_enabled()
    expect(cell.locator(".js-plotly-plot .scatterlayer .trace")).to_have_count(2)

    at_first = lab.percent(job)
    lab.portraits("running")
    cell.locator(".js-plotly-plot").scroll_into_view_if_needed()
    lab.shot("running-curve-light")
    expect(cell.locator(".jp-InputPrompt")).to_have_text("[*]:")
    lab.page.wait_for_function(
        "([job, before]) => +document.querySelector(`[data-job-id='${job}'] [role=progressbar]`)?.ariaValueNow > before",
        arg=[job, max(at_first, 0)],
    )

    lab.job(job).get_by_role("button", name=re.compile("^Cancel ")).click()
    lab.expect_state(job, "cancelled")
    lab.done(1)
    expect(cell.locator(ERROR)).to_contain_text("JobFailedError")
    expect(cell.locator(ERROR)).to_contain_text("was cancelled")
    expect_no_panel(cell)
    expect(cell.locator(".snapml")).to_contain_text("AutoML cancelled")
    expect(cell.locator(".snapml svg")).to_have_count(2)
    lab.shot("cancelled-light")

    assert lab.page.evaluate("window.notReloaded")
    found = lab.server.job(job)
    assert (found.state, found.notebook, found.cell_id) == ("cancelled", "live.ipynb", "cell-1")


def test_the_picture_of_a_search_stays(lab: Lab) -> None:
    job, cell = begin(lab, "stays.ipynb", 8)
    lab.expect_state(job, "succeeded", timeout=60)
    lab.done(1)

    def expect_picture() -> None:
        picture = cell.locator(".snapml")
        expect(picture).to_contain_text(MODEL)
        expect(picture).to_contain_text("not chance")
        expect(picture.locator("svg")).to_have_count(2)
        expect(picture.locator("tbody tr").first).to_contain_text("leader")
        expect_no_panel(cell)
        expect(cell.locator(ERROR)).to_have_count(0)

    expect_picture()
    cell.scroll_into_view_if_needed()
    lab.portraits("ended")

    lab.save()
    saved = json.loads((lab.server.project / "stays.ipynb").read_text())
    bundles = [output["data"] for output in saved["cells"][1]["outputs"]]
    pictures = [bundle for bundle in bundles if "<svg" in "".join(bundle.get("text/html", ""))]
    assert len(pictures) == 1
    assert MODEL.search("".join(pictures[0]["text/plain"]))
    assert not any("application/vnd.jupyter.widget-view+json" in bundle for bundle in bundles)

    lab.server.shut_kernels()
    lab.open("stays.ipynb")
    expect_picture()


def test_stop_in_the_panel_stops_the_job_while_the_kernel_is_busy(lab: Lab) -> None:
    job, cell = begin(lab, "stop.ipynb", 25)
    asked: list[str] = []
    lab.page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    stop = cell.get_by_role("button", name="Stop")
    expect(stop).to_be_enabled()
    expect(cell.locator(".jp-InputPrompt")).to_have_text("[*]:")
    stop.click()
    lab.expect_state(job, "cancelled")
    lab.done(1, timeout=10)
    expect(cell.locator(ERROR)).to_contain_text("was cancelled")
    expect_no_panel(cell)
    assert any(url.endswith("/snapml/api/jobs/cancel") for url in asked)
    assert lab.server.job(job).state == "cancelled"


def test_a_search_that_cannot_start_fails_the_cell_with_the_fix(lab: Lab) -> None:
    lab.server.write("wrong.ipynb", LOAD, "%snapml automl flowers.csv --target nothing")
    lab.open("wrong.ipynb")
    lab.run(0)
    lab.done(0)
    lab.run(1)
    lab.done(1)
    error = lab.cell(1).locator(ERROR)
    expect(error).to_contain_text("nothing")
    expect(error).to_contain_text("Fix:")
    expect_no_panel(lab.cell(1))
    lab.page.wait_for_timeout(0.2 * SECONDS)
    lab.shot("refused-light")
