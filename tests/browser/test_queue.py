"""The queue in the sidebar: in what order, what each job waits for, and pausing it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from browser.lab import NARROW, Lab, Server
from snapml_lab.jobs import queue
from snapml_lab.jobs.leases import capacity
from snapml_lab.jobs.model import Job, Work
from snapml_lab.tracking.record import Origin

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _emptied(server: Server) -> Iterator[None]:
    """No job and no rest is left to the next test."""
    yield
    for name in ("default", "night"):
        with server.ws.ledger.write() as connection:
            connection.execute("DELETE FROM queues WHERE name = ?", (name,))
    for job in queue.latest(server.ws, limit=1000):
        if not job.ended:
            queue.wait(server.ws, queue.cancel(server.ws, job.id, grace=0.2), timeout=20)


def submit(lab: Lab, name: str, **fields: object) -> Job:
    work = Work(**{"kind": "command", "name": name, "argv": ["sleep", "1000"], "cpus": 0} | fields)  # type: ignore[arg-type]
    return queue.submit(lab.server.ws, work, actor="tester", origin=Origin())


def line(lab: Lab, name: str) -> Locator:
    return lab.jobs.locator(f'[data-testid="snapml-queue"][data-queue="{name}"]')


def shown(lab: Lab) -> list[str]:
    """Return the names of the live jobs as they stand."""
    found: list[str] = lab.jobs.get_by_test_id("snapml-job").evaluate_all(
        "rows => rows.filter(row => ['queued', 'starting', 'running'].includes(row.dataset.state))"
        ".map(row => row.querySelector('.snapml-Row-name').textContent)"
    )
    return found


def test_a_paused_queue_shows_who_waits_in_which_order_and_why(lab: Lab) -> None:
    lab.open(width=NARROW)
    running = submit(lab, "goes on", cpus=1)
    lab.expect_state(running.id, "running")
    expect(lab.jobs.get_by_test_id("snapml-queues")).to_have_count(0)
    blocker = submit(lab, "needs more than is free", cpus=capacity())
    expect(lab.job(blocker.id)).to_contain_text(re.compile(r"Waiting for \d+ of \d+ CPUs"))
    expect(line(lab, "default")).to_contain_text("Queue1 running, 1 waiting")

    line(lab, "default").get_by_role("button", name="Pause queue default").click()
    expect(line(lab, "default")).to_contain_text("Paused")
    usual = submit(lab, "usual")
    after = submit(lab, "after the usual", after=(usual.id,))
    urgent = submit(lab, "urgent", priority=5)
    expect(lab.job(usual.id)).to_contain_text("Waiting for queue 'default', which is paused")
    expect(lab.job(after.id)).to_contain_text(f"Waiting for usual ({usual.id[-6:]}) to succeed")
    expect(lab.job(urgent.id)).to_contain_text("Priority 5")
    expect(lab.jobs).to_contain_text("Waiting, next one first")
    assert shown(lab) == ["goes on", "urgent", "needs more than is free", "usual", "after the usual"]
    lab.portraits("queue")
    for job in (usual, after, urgent):
        reason = lab.job(job.id).get_by_text(re.compile("^Waiting for"))
        reason.scroll_into_view_if_needed()
        box, panel = reason.bounding_box(), lab.jobs.bounding_box()
        assert box is not None
        assert panel is not None
        assert box["x"] + box["width"] <= panel["x"] + panel["width"]

    line(lab, "default").get_by_role("button", name="Resume queue default").click()
    lab.expect_state(usual.id, "running")
    lab.expect_state(urgent.id, "running")
    expect(line(lab, "default")).not_to_contain_text("Paused")


def test_a_queue_is_limited_and_the_limit_is_lifted(lab: Lab) -> None:
    lab.open()
    first, second = submit(lab, "first", queue="night"), submit(lab, "second", queue="night")
    lab.expect_state(second.id, "running")
    expect(line(lab, "night")).to_contain_text("2 running, 0 waiting")
    line(lab, "night").get_by_role("button", name="Limit queue night").click()
    dialog = lab.page.locator(".jp-Dialog")
    expect(dialog).to_contain_text("How many of its jobs may run at once?")
    dialog.locator("input").fill("2")
    lab.shot("limit-light")
    dialog.get_by_role("button", name="Set limit").click()
    expect(line(lab, "night")).to_contain_text("at most 2 at once")
    third = submit(lab, "third", queue="night")
    expect(lab.job(third.id)).to_contain_text("Waiting for its turn in queue 'night': 2 of 2 run")
    expect(lab.job(third.id)).to_contain_text("Queue night")
    queue.cancel(lab.server.ws, first.id, grace=0.2)
    lab.expect_state(third.id, "running")

    line(lab, "night").get_by_role("button", name="Change the limit of queue night").click()
    dialog.locator("input").fill("0")
    dialog.get_by_role("button", name="Set limit").click()
    expect(line(lab, "night")).not_to_contain_text("at most")


def test_attempts_are_counted(lab: Lab, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = f"[ -e {seen} ] && exec sleep 1000; touch {seen}; echo out of luck >&2; exit 1"
    job = submit(lab, "tries again", argv=["sh", "-c", script], retries=3)
    lab.open()
    expect(lab.job(job.id)).to_contain_text("Attempt 2 of 4")
    lab.expect_state(job.id, "running")
    expect(lab.job(job.id)).to_contain_text("Attempt 2 of 4")
