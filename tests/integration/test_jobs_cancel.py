"""Cancelling: the whole tree ends, whatever it does to escape, and what had ended is left alone."""

import json
import os
import signal
import sys
import textwrap

import pytest

from snapml_lab.errors import ConflictError
from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.leases import capacity
from snapml_lab.jobs.model import State

from .sources import UNTIL_GO

ESCAPES = """
    import os, subprocess, sys, time
    word = sys.argv[1]
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)", word]
    deaf = [sys.executable, "-c",
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)", word]
    subprocess.Popen(sleeper)                                     # a child
    subprocess.Popen(sleeper, start_new_session=True)             # of a session of its own
    subprocess.Popen(sleeper, env={})                             # without our environment
    subprocess.Popen(deaf)                                        # that ignores SIGTERM
    if os.fork() == 0:                                            # whose parent has gone
        os.setsid()
        if os.fork() == 0:
            os.execve(sys.executable, sleeper, {})
        os._exit(0)
    os.wait()
    time.sleep(0.3)
    open("ready", "w").close()
    time.sleep(600)
"""


def test_cancel_ends_every_process_of_the_tree(ws, submit, until, marked, project):
    job = submit([sys.executable, "-c", textwrap.dedent(ESCAPES), marked.word])
    until((project / "ready").exists)
    assert len(marked.alive()) == 6
    queue.cancel(ws, job.id, grace=0.5)
    ended = queue.wait(ws, job, timeout=30)
    assert (ended.state, ended.reason, ended.error_code) == (State.CANCELLED, "cancelled", None)
    assert not marked.alive()


@pytest.mark.parametrize("end", ["cancel", "exit", "time limit"])
def test_an_ordinary_account_without_cgroups_loses_no_process_either(ordinary, marked, end):
    source = textwrap.dedent(ESCAPES)
    if end == "exit":
        source = source.replace("time.sleep(600)\n", "pass\n")
    source = source.replace('open("ready", "w")', f'open({str(ordinary.project / "ready")!r}, "w")')
    driver = """
        import json, sys, time
        from pathlib import Path
        from snapml_lab.jobs import queue
        from snapml_lab.jobs.model import Work
        from snapml_lab.tracking.record import Origin
        from snapml_lab.workspace import open_workspace
        source, word, end = sys.argv[1:]
        ws = open_workspace()
        limit = 8.0 if end == "time limit" else None
        work = Work("command", "escape", [sys.executable, "-c", source, word], time_limit=limit)
        job = queue.submit(ws, work, actor="someone", origin=Origin())
        for _ in range(3000):
            if (ws.project / "ready").exists():
                break
            time.sleep(0.01)
        if end == "cancel":
            queue.cancel(ws, job.id, grace=0.5)
        job = queue.wait(ws, job, timeout=60)
        print(json.dumps([job.state, job.reason, job.containment, (ws.project / "ready").exists()]))
    """
    state, reason, containment, ready = json.loads(ordinary.python(driver, source, marked.word, end))
    assert containment == "subreaper" or ordinary.prefix == []
    assert ready
    expected = {
        "cancel": ("cancelled", "cancelled"), "exit": ("succeeded", "exited"), "time limit": ("failed", "time_limit"),
    }  # fmt: skip
    assert (state, reason) == expected[end]
    assert not marked.alive()


def test_a_payload_that_heeds_sigterm_has_its_grace_to_leave_something(ws, submit, until, project, folder):
    source = """
        import os, pathlib, signal, sys, time
        def leave(number, frame):
            time.sleep(0.5)
            pathlib.Path("left").write_text("tidied up")
            sys.exit(0)
        signal.signal(signal.SIGTERM, leave)
        pathlib.Path("ready").touch()
        time.sleep(600)
    """
    job = submit(textwrap.dedent(source))
    until((project / "ready").exists)
    assert queue.cancel(ws, job.id, grace=30).state is State.STOPPING
    assert queue.wait(ws, job, timeout=30).state is State.CANCELLED
    assert (project / "left").read_text() == "tidied up"


def test_a_second_cancel_with_less_grace_does_not_wait_for_the_first(ws, submit, until, project, marked):
    source = """
        import pathlib, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path("ready").touch()
        time.sleep(600)
    """
    job = submit([sys.executable, "-c", textwrap.dedent(source), marked.word])
    until((project / "ready").exists)
    queue.cancel(ws, job.id, grace=3000)
    queue.cancel(ws, job.id, grace=0)
    assert queue.wait(ws, job, timeout=30).state is State.CANCELLED
    assert not marked.alive()


def test_a_queued_job_that_is_cancelled_never_starts(ws, submit, finish, project):
    blocker = submit(UNTIL_GO, cpus=capacity())
    job = submit("open('started', 'w')", cpus=1)
    assert job.state is State.QUEUED
    assert queue.cancel(ws, job.id).state is State.CANCELLED
    (project / "go").touch()
    finish(blocker)
    assert queue.get(ws, job.id).state is State.CANCELLED
    assert queue.get(ws, job.id).started_at is None
    assert not (project / "started").exists()


def test_a_job_that_is_cancelled_while_a_tick_is_about_to_start_it_never_starts(
    ws, submit, watch, until, project, monkeypatch
):
    from snapml_lab.jobs import tick

    blocker = submit("import time; time.sleep(600)", cpus=capacity())
    job = submit("open('started', 'w')", cpus=1)
    blocker = watch(blocker, "running")
    for keeper in filter(None, (blocker.guard_pid, blocker.shim_pid)):  # a guard would tick
        os.kill(keeper, signal.SIGKILL)
        until(lambda pid=keeper: processes.state(pid) in (None, "Z"))
    admit = tick.leases.admit

    def cancelled_meanwhile(*arguments):
        decisions = admit(*arguments)
        queue.cancel(ws, job.id)
        return decisions

    monkeypatch.setattr(tick.leases, "admit", cancelled_meanwhile)
    tick.tick(ws)
    assert queue.get(ws, job.id).state is State.CANCELLED
    assert not (ws.jobs / job.id / "exit.json").exists()
    assert not (project / "started").exists()


@pytest.mark.parametrize(("source", "state"), [("pass", "succeeded"), ("raise SystemExit(1)", "failed")])
def test_cancelling_what_has_ended_changes_nothing(ws, submit, finish, source, state):
    job = finish(submit(source))
    assert job.state == state
    assert queue.cancel(ws, job.id) == job
    assert queue.get(ws, job.id) == job


def test_cancelling_a_job_cancels_what_it_submitted_and_their_children(ws, submit, until, marked, project):
    job = submit([sys.executable, "-c", textwrap.dedent(NESTING), marked.word, "2"], cpus=0)
    until(lambda: queue.count(ws) == 3 and len(marked.alive()) == 3)
    queue.cancel(ws, job.id, grace=0.2)
    ended = [queue.wait(ws, item, timeout=30) for item in queue.latest(ws)]
    assert [item.state for item in ended] == [State.CANCELLED] * 3
    assert not marked.alive()


NESTING = """
    import sys, time
    from snapml_lab.jobs import queue
    from snapml_lab.jobs.model import Work
    from snapml_lab.tracking.record import Origin
    from snapml_lab.workspace import open_workspace
    word, depth = sys.argv[1], int(sys.argv[2])
    if depth:
        source = open("/proc/self/cmdline", "rb").read().split(b"\\0")[2].decode()
        again = [sys.executable, "-c", source, word, str(depth - 1)]
        work = Work("command", f"depth {depth}", again, cpus=0)
        queue.submit(open_workspace(), work, actor="job", origin=Origin())
    time.sleep(600)
"""


def test_a_job_that_is_being_cancelled_can_submit_nothing_more(ws, submit, until, project, monkeypatch):
    source = """
        import pathlib, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path("ready").touch()
        time.sleep(600)
    """
    job = submit(textwrap.dedent(source))
    until((project / "ready").exists)
    queue.cancel(ws, job.id, grace=3000)
    with monkeypatch.context() as inside:
        inside.setenv("SNAPML_JOB_ID", job.id)
        with pytest.raises(ConflictError, match="being cancelled"):
            submit("pass")
    assert queue.count(ws) == 1
    assert len(list(ws.jobs.iterdir())) == 1
    queue.cancel(ws, job.id, grace=0)
    assert queue.wait(ws, job, timeout=30).state is State.CANCELLED


def test_a_cancel_file_that_is_garbage_cancels_all_the_same(ws, submit, finish, folder, until, project):
    job = submit("import time; open('ready', 'w'); time.sleep(600)")
    until((project / "ready").exists)
    folder(job).cancel.write_bytes(b"\xff not json")
    assert finish(job).state is State.CANCELLED
