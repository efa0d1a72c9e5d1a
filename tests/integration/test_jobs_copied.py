"""A workspace that is copied or moved while work is alive in it: a copy leaves the original's work alone, a move takes it along."""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.folder import JobFolder, is_copy
from snapml_lab.jobs.model import Work
from snapml_lab.jobs.tick import tick
from snapml_lab.store.ledger import Ledger
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

SLEEPER = """
import subprocess, sys, time
s = [sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]]
subprocess.Popen(s, start_new_session=True)
subprocess.Popen(s, start_new_session=True, env={})
open("ready", "w").close()
time.sleep(600)
"""


@pytest.fixture
def busy(ws, project, submit, marked, watch, until):
    """A job that runs (three processes, one of which shed its environment), one that waits for it, and a service."""
    with ws.ledger.write() as connection:
        connection.execute("INSERT INTO queues VALUES ('resting', NULL, 1, 0)")
    running = submit([sys.executable, "-c", SLEEPER, marked.word], name="running", retries=2)
    until((project / "ready").exists)
    watch(running, "running")
    until(lambda: len(marked.alive()) == 3)
    waiting = submit("open('ran', 'a').write('once')", name="waiting", after=(running.id,), retries=2)
    later = submit("open('ran', 'a').write('once')", name="later", queue="resting")
    service = queue.submit(
        ws,
        Work("endpoint", "service", [sys.executable, "-c", "import time; time.sleep(600)", marked.word], service=True),
        actor="tester", origin=Origin(),
    )  # fmt: skip
    until(lambda: len(marked.alive()) == 4)
    return {"running": running, "waiting": waiting, "later": later, "service": service}


@pytest.fixture
def copy(project: Path, tmp_path: Path, busy):
    place = tmp_path / "copy"
    shutil.copytree(project, place)
    return Workspace(place / ".snapml")


def test_a_tick_in_a_copy_ends_nothing_of_the_original_and_starts_nothing_of_it(
    ws, copy, busy, marked, project
):
    with copy.ledger.write() as connection:
        connection.execute("UPDATE queues SET paused = 0")
    for _ in range(5):
        tick(copy)
        time.sleep(0.05)
    assert len(marked.alive()) == 4
    found = {name: queue.get(copy, job.id) for name, job in busy.items()}
    assert {name: job.state for name, job in found.items()} == {
        "running": "lost", "waiting": "cancelled", "later": "lost", "service": "lost",
    }  # fmt: skip
    assert found["running"].reason == "copied"
    assert "copied" in found["running"].error_message
    assert not (copy.project / "ran").exists()
    assert {name: queue.get(ws, job.id).state for name, job in busy.items()} == {
        "running": "running", "waiting": "queued", "later": "queued", "service": "starting",
    }  # fmt: skip


def test_a_cancel_in_a_copy_does_not_reach_the_original(ws, copy, busy, marked):
    for job in busy.values():
        queue.cancel(copy, job.id, grace=0)
    tick(copy)
    assert all(queue.get(copy, job.id).ended for job in busy.values())
    time.sleep(0.5)
    assert len(marked.alive()) == 4
    assert queue.get(ws, busy["running"].id).state == "running"


def test_a_copy_of_a_job_whose_keepers_were_killed_does_not_end_what_they_left(
    ws, submit, tmp_path, marked, watch, until
):
    job = submit([sys.executable, "-c", SLEEPER, marked.word])
    until(lambda: len(marked.alive()) == 3)
    job = watch(job, "running")
    until(lambda: queue.get(ws, job.id).guard_pid is not None)
    shutil.copytree(ws.project, tmp_path / "copy")
    copy = Workspace(tmp_path / "copy" / ".snapml")
    found = queue.get(ws, job.id)
    os.kill(found.shim_pid, signal.SIGSTOP)  # so that it cannot see to its payload
    tick(copy)
    assert len(marked.alive()) == 3
    os.kill(found.shim_pid, signal.SIGCONT)
    assert queue.get(copy, job.id).state == "lost"


def test_a_workspace_that_was_moved_takes_its_queue_along(ws, submit, tmp_path, until):
    with ws.ledger.write() as connection:
        connection.execute("INSERT INTO queues VALUES ('resting', NULL, 1, 0)")
    job = submit("print('ran')", queue="resting", cwd=tmp_path)
    ws.ledger.close()
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(ws.root, tmp_path / "elsewhere" / ".snapml")  # as a move to another disk is
    shutil.rmtree(ws.root)
    moved = Workspace(tmp_path / "elsewhere" / ".snapml")
    assert not is_copy(JobFolder(moved.jobs / job.id))
    with moved.ledger.write() as connection:
        connection.execute("UPDATE queues SET paused = 0")
    tick(moved)
    assert queue.wait(moved, queue.get(moved, job.id), timeout=30).state == "succeeded"
    Ledger(Workspace(ws.root).root / "ledger.db")  # for the fixture that ends what is left in it


def test_what_runs_in_a_workspace_that_is_renamed_goes_on_and_is_seen_to_its_end(
    ws, project, tmp_path, until, marked, watch
):
    job = queue.submit(
        ws,
        Work("command", "x", [sys.executable, "-c", SLEEPER, marked.word]),
        actor="tester",
        origin=Origin(),
    )
    until(lambda: len(marked.alive()) == 3)
    job = watch(job, "running")
    ws.ledger.close()
    project.rename(tmp_path / "renamed")
    moved = Workspace(tmp_path / "renamed" / ".snapml")
    assert not is_copy(JobFolder(moved.jobs / job.id))
    tick(moved)
    found = queue.get(moved, job.id)
    for pid, started in ((found.guard_pid, found.guard_start), (found.shim_pid, found.shim_start)):
        with contextlib.suppress(ProcessLookupError):
            processes.signal_exactly(pid, started, signal.SIGKILL)
    until(lambda: (tick(moved), queue.get(moved, job.id).ended)[1])
    assert not marked.alive()
    project.mkdir()
    Ledger(Workspace(ws.root).root / "ledger.db")
