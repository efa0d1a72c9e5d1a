"""An executed notebook as HTML: its charts show from a file, with no kernel and no network."""

from collections.abc import Callable
from pathlib import Path

import papermill
import pytest
from playwright.sync_api import Browser, Route, expect

from browser.lab import SCREENSHOTS
from snapml_lab.flows.notebook import write_html

pytestmark = pytest.mark.browser


def test_a_report_needs_nothing_but_its_file(
    browser: Browser, project: Path, flowers: Path, notebook: Callable[..., Path]
) -> None:
    search = f"%snapml automl {flowers.name} --target target --time 4"
    source = notebook("search.ipynb", "%load_ext snapml_lab", search, "%snapml jobs list")
    executed, report = project / "executed.ipynb", project / "report.html"
    papermill.execute_notebook(str(source), str(executed), cwd=str(project), progress_bar=False)
    write_html(executed, report)
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        if route.request.url == report.as_uri():
            route.continue_()
        else:
            route.abort()

    context = browser.new_context(viewport={"width": 1200, "height": 900}, offline=True)
    page = context.new_page()
    page.route("**/*", refuse)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(report.as_uri())
    picture = page.locator(".snapml").first
    expect(picture).to_contain_text("flowers-target@1")
    expect(picture.locator("svg")).to_have_count(2)
    for chart in picture.locator("svg").all():
        expect(chart).to_be_visible()
        box = chart.bounding_box()
        assert box is not None
        assert box["width"] > 300
        assert box["height"] > 60
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "report.png", full_page=True)
    assert asked == [report.as_uri()]
    assert complaints == []
    context.close()
