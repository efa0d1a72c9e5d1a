"""What JupyterLab says when jobs end, and its panel of all that runs."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from browser.lab import DARK, LIGHT, Lab, Server
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Job, Work
from snapml_lab.tracking.record import Origin

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=\"alert('name')\"><b>bold</b>"
WAIT = "import sys, time, pathlib\nprint('at work', flush=True)\nwhile not pathlib.Path({file!r}).exists(): time.sleep(0.05)\n"
DESKTOP = """
window.desktop = [];
window.asked = 0;
window.Notification = class {
  constructor(title, options) { window.desktop.push(options.body); this.close = () => {}; window.lastDesktop = this; }
  static permission = 'default';
  static async requestPermission() { window.asked += 1; return (this.permission = 'granted'); }
};
"""
HIDE = "hidden => Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden })"


@pytest.fixture(autouse=True)
def _emptied(server: Server) -> Iterator[None]:
    yield
    for job in queue.latest(server.ws, limit=1000):
        if not job.ended:
            queue.wait(server.ws, queue.cancel(server.ws, job.id, grace=0.2), timeout=20)


def submit(
    lab: Lab, name: str, done: Path, ending: str = "", origin: Origin | None = None, **fields: object
) -> Job:
    """Submit a job that ends once a file is there."""
    argv = [sys.executable, "-c", WAIT.format(file=str(done)) + ending]
    work = Work(**{"kind": "command", "name": name, "argv": argv, "cpus": 0} | fields)  # type: ignore[arg-type]
    return queue.submit(lab.server.ws, work, actor="tester", origin=origin or Origin())


def toasts(lab: Lab) -> Locator:
    return lab.page.locator(".Toastify__toast")


def test_an_end_is_told_once_with_the_way_to_log_and_notebook(lab: Lab, tmp_path: Path) -> None:
    lab.server.write("deep/report.ipynb", "1", "2")
    origin = Origin(notebook="deep/report.ipynb", cell_id="cell-1")
    lab.open()
    good = submit(lab, "long training", tmp_path / "good", "time.sleep(1.2)", origin)
    lab.expect_state(good.id, "running")
    (tmp_path / "good").touch()
    expect(toasts(lab)).to_have_count(1)
    expect(toasts(lab)).to_contain_text(re.compile(r"long training succeeded after \d+ s\."))
    lab.page.wait_for_timeout(1_000)
    lab.shot("notice-light")
    toasts(lab).get_by_role("button", name="Open notebook").click()
    expect(lab.page.locator(".jp-NotebookPanel .jp-Cell.jp-mod-active")).to_contain_text("2")
    lab.page.get_by_role("tab", name=re.compile("File Browser")).click()
    expect(lab.jobs).to_be_hidden()

    bad = submit(lab, "doomed", tmp_path / "bad", "sys.exit('no such column')")
    lab.expect_state(bad.id, "running")
    (tmp_path / "bad").touch()
    told = toasts(lab).filter(has_text="doomed failed.")
    expect(told).to_be_visible()
    lab.theme(DARK)
    lab.shot("notice-dark")
    lab.theme(LIGHT)
    told.get_by_role("button", name="Show log").click()
    expect(lab.jobs).to_be_visible()
    expect(lab.job(bad.id).get_by_role("log")).to_contain_text("no such column")
    assert lab.page.evaluate(
        "id => document.activeElement.closest('[data-job-id]')?.dataset.jobId === id", bad.id
    )

    lab.reload()
    lab.sidebar()
    lab.expect_state(bad.id, "failed")
    lab.page.wait_for_timeout(3_000)
    expect(toasts(lab)).to_have_count(0)


def test_what_ended_during_a_reload_is_told_after_it(lab: Lab, tmp_path: Path) -> None:
    lab.open()
    job = submit(lab, MARKUP, tmp_path / "done")
    lab.expect_state(job.id, "running")
    lab.page.wait_for_timeout(500)
    lab.page.goto("about:blank")
    (tmp_path / "done").touch()
    queue.wait(lab.server.ws, job, timeout=20)
    lab.page.goto(f"{lab.server.url}/lab?token={lab.server.token}")
    expect(toasts(lab)).to_contain_text(f"{MARKUP} succeeded")
    expect(lab.page.locator("img[src=x], .Toastify b")).to_have_count(0)
    assert lab.dialogs == []


def test_several_ends_are_summed_up_and_some_are_no_news(lab: Lab, tmp_path: Path) -> None:
    lab.open()
    jobs = [submit(lab, f"job {index}", tmp_path / "all") for index in range(2)]
    jobs.append(submit(lab, "doomed", tmp_path / "all", "sys.exit(3)"))
    cancelled = submit(lab, "cancelled here", tmp_path / "never")
    service = submit(lab, "service", tmp_path / "never", service=True)
    for job in (*jobs, cancelled):
        lab.expect_state(job.id, "running")
    lab.job(cancelled.id).get_by_test_id("snapml-job-cancel").click()
    lab.expect_state(cancelled.id, "cancelled")
    queue.cancel(lab.server.ws, service.id, grace=0.2)
    lab.expect_state(service.id, "cancelled")
    lab.page.wait_for_timeout(2_500)
    expect(toasts(lab)).to_have_count(0)
    (tmp_path / "all").touch()
    expect(toasts(lab)).to_have_count(1)
    expect(toasts(lab)).to_contain_text("3 jobs have ended: 2 succeeded, 1 failed.")
    lab.page.wait_for_timeout(2_000)
    lab.shot("notice-several-light")
    expect(toasts(lab)).to_have_count(1)


def test_the_desktop_tells_only_who_asked_for_it_and_only_while_nobody_looks(
    lab: Lab, tmp_path: Path
) -> None:
    lab.page.add_init_script(DESKTOP)
    lab.open()
    hidden = submit(lab, "before it was asked for", tmp_path / "first")
    lab.expect_state(hidden.id, "running")
    lab.page.evaluate(HIDE, True)
    (tmp_path / "first").touch()
    expect(toasts(lab)).to_have_count(1)
    assert lab.page.evaluate("[window.asked, window.desktop.length]") == [0, 0]

    lab.page.evaluate(HIDE, False)
    lab.execute("snapml:toggle-desktop-notices")
    lab.page.wait_for_function("() => window.jupyterapp.commands.isToggled('snapml:toggle-desktop-notices')")
    assert lab.page.evaluate("window.asked") == 1
    seen, unseen = submit(lab, "seen", tmp_path / "seen"), submit(lab, "unseen", tmp_path / "unseen")
    lab.expect_state(seen.id, "running")
    lab.expect_state(unseen.id, "running")
    (tmp_path / "seen").touch()
    expect(toasts(lab).filter(has_text="seen succeeded")).to_be_visible()
    assert lab.page.evaluate("window.desktop") == []
    lab.page.evaluate(HIDE, True)
    (tmp_path / "unseen").touch()
    lab.page.wait_for_function("() => window.desktop.length === 1")
    assert lab.page.evaluate("window.desktop[0]").startswith("unseen succeeded")
    lab.page.evaluate(HIDE, False)
    lab.page.get_by_role("tab", name=re.compile("File Browser")).click()
    lab.page.evaluate("window.lastDesktop.onclick()")
    expect(lab.job(unseen.id).get_by_role("log")).to_contain_text("at work")

    lab.execute("snapml:toggle-desktop-notices")
    lab.page.wait_for_function("() => !window.jupyterapp.commands.isToggled('snapml:toggle-desktop-notices')")


def test_the_notices_can_be_turned_off(lab: Lab, tmp_path: Path) -> None:
    lab.open()
    lab.execute("settingeditor:open", {"query": "SnapML notifications"})
    editor = lab.page.locator(".jp-SettingsPanel")
    box = editor.get_by_role("checkbox", name=re.compile("In JupyterLab"))
    expect(box).to_be_checked()
    lab.shot("settings-light")
    box.uncheck()
    lab.page.wait_for_timeout(2_000)
    job = submit(lab, "quiet", tmp_path / "done")
    lab.expect_state(job.id, "running")
    (tmp_path / "done").touch()
    lab.expect_state(job.id, "succeeded")
    lab.page.wait_for_timeout(2_500)
    expect(toasts(lab)).to_have_count(0)
    box.check()
    lab.page.wait_for_timeout(2_000)


def test_jobs_are_among_what_runs_and_are_shut_down_with_it(lab: Lab, tmp_path: Path) -> None:
    first, second = submit(lab, "first", tmp_path / "never"), submit(lab, MARKUP, tmp_path / "never")
    waiting = submit(lab, "waiting", tmp_path / "never", after=(first.id,))
    lab.open()
    lab.expect_state(second.id, "running")
    lab.page.get_by_role("tab", name=re.compile("Running")).click()
    section = lab.page.locator(".jp-RunningSessions-section", has_text="first")
    expect(section.locator("[data-context=snapml-job]")).to_have_count(3)
    expect(section).to_contain_text("running")
    expect(section).to_contain_text(MARKUP)
    for theme, name in ((LIGHT, "light"), (DARK, "dark")):
        lab.theme(theme)
        lab.shot(f"running-{name}")
    lab.theme(LIGHT)
    section.locator("[data-context=snapml-job]", has_text="first").locator(
        ".jp-RunningSessions-itemLabel"
    ).click()
    expect(lab.job(first.id).get_by_role("log")).to_contain_text("at work")

    lab.page.get_by_role("tab", name=re.compile("Running")).click()
    item = section.locator("[data-context=snapml-job]", has_text=MARKUP)
    item.hover()
    item.get_by_title("Cancel job").click()
    expect(section.locator("[data-context=snapml-job]")).to_have_count(2)
    lab.page.get_by_role("heading", name="SnapML jobs").hover()
    lab.page.locator(".jp-RunningSessions .lm-AccordionPanel-title", has_text="SnapML jobs").get_by_role(
        "button", name="Shut Down All"
    ).click()
    dialog = lab.page.locator(".jp-Dialog")
    expect(dialog).to_contain_text("cancel all SnapML jobs")
    lab.shot("shutdown-light")
    dialog.get_by_role("button", name="Shut Down All").click()
    expect(lab.page.locator("[data-context=snapml-job]")).to_have_count(0)
    for job in (first, second, waiting):
        queue.wait(lab.server.ws, lab.server.job(job.id), timeout=20)
        assert lab.server.job(job.id).state == "cancelled"
    assert lab.dialogs == []
