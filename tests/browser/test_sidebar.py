"""The sidebar: back to the cell, logs, the keyboard alone, and text that would rather be markup."""

import json
import re
import sys

import pytest
from playwright.sync_api import expect

from browser.lab import Lab
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Job, Work
from snapml_lab.tracking.record import Origin

pytestmark = pytest.mark.browser

TELL = "import json, os, time\ndef tell(**event):\n    with open(os.environ['SNAPML_JOB_DIR'] + '/events.jsonl', 'a') as f:\n        f.write(json.dumps({'at': time.time(), **event}) + '\\n')\n"
COUNT = "import time\nfor i in range(3000):\n    print('line', i, flush=True)\n    time.sleep(0.1)\n"
MARKUP = "<img src=x onerror=\"alert('name')\"><b>bold</b>"


def submit(
    lab: Lab, source: str, *, name: str = "counting", kind: str = "command", origin: Origin | None = None
) -> Job:
    work = Work(kind=kind, name=name, argv=[sys.executable, "-c", source])
    return queue.submit(lab.server.ws, work, actor="tester", origin=origin or Origin())


@pytest.fixture
def many(lab: Lab) -> str:
    """A notebook of 40 cells in a folder, none of them in view at once."""
    lab.server.write("deep/many.ipynb", *(f"number = {index}\n\n\n\n" for index in range(40)))
    return "deep/many.ipynb"


def test_go_to_cell_opens_the_notebook_at_the_cell(lab: Lab, many: str) -> None:
    job = submit(lab, "", origin=Origin(notebook=many, cell_id="cell-23"))
    gone = submit(lab, "", origin=Origin(notebook=many, cell_id="not-there"))
    outside = submit(lab, "", origin=Origin(notebook="/elsewhere/other.ipynb", cell_id="cell-0"))
    lab.open()
    expect(lab.page.locator(".jp-NotebookPanel")).to_have_count(0)
    go = lab.job(job.id).get_by_role("button", name=re.compile("Go to cell in many.ipynb"))
    active = lab.page.locator(".jp-NotebookPanel .jp-Cell.jp-mod-active")

    go.click()
    expect(active).to_contain_text("number = 23")
    expect(active).to_be_in_viewport()
    lab.shot("cell-light")

    lab.page.locator(".jp-NotebookPanel .jp-Cell", has_text="number = 21").locator(".cm-content").click()
    expect(active).to_contain_text("number = 21")
    go.click()
    expect(active).to_contain_text("number = 23")
    expect(active).to_have_count(1)
    expect(active).to_be_in_viewport()

    lab.job(gone.id).get_by_test_id("snapml-job-cell").click()
    expect(lab.page.get_by_text("The cell is no longer in many.ipynb.")).to_be_visible()
    button = lab.job(outside.id).get_by_test_id("snapml-job-cell")
    expect(button).to_have_attribute("aria-disabled", "true")


def test_the_log_expands_follows_and_stays_where_it_is_read(lab: Lab) -> None:
    job = submit(lab, COUNT)
    lab.open()
    lab.job(job.id).get_by_role("button", name="Log of counting").click()
    log = lab.page.get_by_role("log", name="Log of counting")
    expect(log).to_contain_text("line 30\n")
    at_end = "node => node.scrollHeight - node.scrollTop - node.clientHeight < 12"
    assert log.evaluate(at_end)
    lab.portraits("log")
    assert log.evaluate(at_end)

    log.evaluate("node => { node.scrollTop = 0; }")
    last = int(re.findall(r"line (\d+)", log.inner_text())[-1])
    expect(log).to_contain_text(f"line {last + 15}\n")
    assert log.evaluate("node => node.scrollTop") == 0
    lines = [int(number) for number in re.findall(r"line (\d+)", log.inner_text())]
    assert lines == list(range(len(lines)))

    lab.job(job.id).get_by_role("button", name="Hide log of counting").click()
    expect(log).to_have_count(0)
    queue.cancel(lab.server.ws, job.id, grace=0.5)
    lab.expect_state(job.id, "cancelled")


def test_a_long_log_opens_at_its_end(lab: Lab) -> None:
    job = submit(lab, "for i in range(40_000): print('row', i, 'of a long log')", name="long")
    queue.wait(lab.server.ws, job, timeout=20)
    lab.open()
    asked: list[dict[str, int]] = []
    lab.page.on(
        "request",
        lambda request: (
            asked.append(json.loads(request.post_data or "{}"))
            if "/snapml/api/jobs/logs" in request.url
            else None
        ),
    )
    lab.job(job.id).get_by_role("button", name="Log of long").click()
    log = lab.page.get_by_role("log", name="Log of long")
    expect(log).to_contain_text("row 39999 of a long log")
    expect(log).to_contain_text("Older output is not shown.")
    text = log.locator("pre").inner_text()
    assert re.match(r"row \d+ of a long log\n", text)
    assert asked
    assert asked[0]["offset"] < 0
    assert len(asked) <= 2


def test_the_keyboard_alone_reaches_the_log_and_cancels(lab: Lab) -> None:
    job = submit(lab, COUNT)
    lab.open()
    lab.expect_state(job.id, "running")
    lab.page.locator("body").evaluate("() => document.activeElement.blur()")
    row = f'[data-job-id="{job.id}"]'

    def expect_ring() -> None:
        style = lab.page.evaluate(
            "() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]; }"
        )
        assert style[0] != "none"
        assert float(style[1].removesuffix("px")) >= 2

    lab.press_until(".snapml-Sidebar *")
    lab.press_until(f"{row} [data-testid=snapml-job-log]")
    expect_ring()
    lab.shot("keyboard-light")
    lab.page.keyboard.press("Enter")
    log = lab.page.get_by_role("log", name="Log of counting")
    expect(log).to_contain_text("line 1\n")
    lab.press_until(f"{row} [role=log]")
    expect_ring()

    lab.press_until(f"{row} [data-testid=snapml-job-cancel]", "Shift+Tab")
    expect_ring()
    lab.page.keyboard.press("Enter")
    lab.expect_state(job.id, "cancelled")


def test_the_filter_shows_live_or_ended_jobs(lab: Lab) -> None:
    live, ended = submit(lab, COUNT, name="still counting"), submit(lab, "", name="done at once")
    lab.open()
    lab.expect_state(live.id, "running")
    lab.expect_state(ended.id, "succeeded")
    lab.page.get_by_role("button", name="Live", exact=True).click()
    expect(lab.job(ended.id)).to_have_count(0)
    expect(lab.job(live.id)).to_be_visible()
    lab.page.get_by_role("button", name="Ended", exact=True).click()
    expect(lab.job(live.id)).to_have_count(0)
    expect(lab.job(ended.id)).to_be_visible()
    lab.page.get_by_role("button", name="All", exact=True).click()
    expect(lab.job(live.id)).to_be_visible()
    queue.cancel(lab.server.ws, live.id, grace=0.5)
    lab.expect_state(live.id, "cancelled")


def test_a_failure_says_why(lab: Lab) -> None:
    long = "a reason that takes many words to tell, for much went wrong before this; " * 6
    job = submit(
        lab,
        f"import sys; print('about to fail'); sys.exit({long!r})",
        name="a job with a rather long name that fails",
    )
    missing = submit(lab, "raise SystemExit(3)", name="exit 3")
    lab.open()
    lab.expect_state(job.id, "failed")
    lab.expect_state(missing.id, "failed")
    lab.job(job.id).get_by_test_id("snapml-job-log").click()
    expect(lab.page.get_by_role("log")).to_contain_text("about to fail")
    lab.portraits("failed")


def test_text_from_outside_is_text(lab: Lab) -> None:
    source = (
        f"{TELL}"
        f"tell(type='message', text={MARKUP!r})\n"
        f"tell(type='progress', value=0.5, message={MARKUP!r})\n"
        f"print({MARKUP!r})\n"
        "print('<script>alert(1)</script> \\x1b]0;title\\x07 \\u202e evil', flush=True)\n"
        "time.sleep(600)\n"
    )
    job = submit(lab, source, name=MARKUP, kind="<i>kind</i>")
    lab.server.write(
        "hostile.ipynb", "%load_ext snapml_lab", "%snapml jobs list", f"%snapml jobs show {job.id}"
    )
    lab.open("hostile.ipynb")
    row = lab.job(job.id)
    expect(row.locator(".snapml-Row-name")).to_have_text(MARKUP)
    expect(row.locator(".snapml-Row-kind")).to_have_text("<i>kind</i>")
    expect(row.locator(".snapml-Row-message")).to_have_text(MARKUP)
    row.get_by_test_id("snapml-job-log").click()
    log = row.get_by_role("log")
    expect(log).to_contain_text(MARKUP)
    expect(log).to_contain_text("<script>alert(1)</script>")

    for index in range(3):
        lab.run(index)
        lab.done(index)
    expect(lab.cell(1).locator(".snapml table")).to_contain_text(MARKUP)
    expect(lab.cell(2).locator(".jp-OutputArea-output").first).to_contain_text(MARKUP)
    lab.portraits("hostile")
    row.get_by_test_id("snapml-job-cancel").click()
    lab.expect_state(job.id, "cancelled")

    strange = lab.page.locator(
        "img[src=x], .snapml-Sidebar :is(img, script, b, i), .snapml :is(img, script, b, i)"
    )
    expect(strange).to_have_count(0)
    assert lab.dialogs == []
