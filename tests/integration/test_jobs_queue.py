"""The queue moves itself: who may start and when, jobs inside jobs, and nobody alive but shims."""

import subprocess
import sys
import textwrap

import pytest

from snapml_lab.jobs import queue
from snapml_lab.jobs.leases import capacity
from snapml_lab.jobs.model import State
from snapml_lab.jobs.tick import tick

from .sources import UNTIL_GO

SUBMIT = """
    import sys
    from snapml_lab.jobs import queue
    from snapml_lab.jobs.model import Work
    from snapml_lab.tracking.record import Origin
    from snapml_lab.workspace import open_workspace
    def submit(name, source, **fields):
        work = Work("command", name, [sys.executable, "-c", source], **fields)
        return queue.submit(open_workspace(), work, actor="tester", origin=Origin())
"""


def _elsewhere(source: str, *words: str) -> str:
    """Run Python in a process that is gone when this returns."""
    program = textwrap.dedent(SUBMIT) + textwrap.dedent(source)
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_job_that_does_not_fit_waits_with_a_reason_and_starts_when_it_does(ws, submit, finish, project):
    blocker = submit(UNTIL_GO, cpus=capacity())
    waiting = submit("pass", cpus=1)
    assert waiting.state is State.QUEUED
    assert waiting.waiting_for == f"1 of {capacity():g} CPUs (0 free)"
    (project / "go").touch()
    ended = finish(waiting)
    assert (ended.state, ended.waiting_for) == (State.SUCCEEDED, None)
    assert ended.started_at >= finish(blocker).ended_at


def test_a_small_job_does_not_overtake_a_large_one_that_waits(ws, submit, finish, project):
    if capacity() < 2:
        pytest.skip("takes two processors")
    submit(UNTIL_GO, cpus=1)
    large = submit("import time; time.sleep(0.3)", cpus=capacity())
    small = submit("pass", cpus=1)
    assert (large.state, small.state) == (State.QUEUED, State.QUEUED)
    (project / "go").touch()
    assert finish(small).started_at >= finish(large).started_at


def test_work_that_only_waits_for_others_takes_no_processor(submit, project):
    submit(UNTIL_GO, cpus=capacity())
    assert submit("pass", cpus=0).state is not State.QUEUED
    (project / "go").touch()


def test_a_job_that_asks_for_more_than_the_machine_has_runs_alone(ws, submit, finish, project):
    large = submit(UNTIL_GO, cpus=10_000)
    other = submit("pass", cpus=1)
    assert large.state is not State.QUEUED
    assert other.state is State.QUEUED
    (project / "go").touch()
    assert finish(large).state is State.SUCCEEDED
    assert finish(other).state is State.SUCCEEDED


def test_the_queue_moves_with_every_process_dead_but_shims(ws, watch, project):
    _elsewhere("""
        for number in range(4):
            submit(f"job {number}", f"open('order', 'a').write('{number}')", cpus=10_000)
    """)
    watch("job 3", "succeeded")  # only looks
    assert (project / "order").read_text() == "0123"


def test_two_processes_that_tick_at_once_start_each_job_once(ws, submit, project, watch):
    blocker = submit(UNTIL_GO, cpus=capacity())
    line = (
        "import os, sys; f = os.open('lines', os.O_WRONLY | os.O_CREAT | os.O_APPEND); os.write(f, b'{}\\n')"
    )
    made = [submit(line.format(number), name=f"tiny {number}", cpus=0.1) for number in range(20)]
    assert {job.state for job in made} == {State.QUEUED}
    ticking = """
        import time
        from snapml_lab.jobs.tick import pending, tick
        ws = open_workspace()
        end = time.monotonic() + 60
        while pending(ws) and time.monotonic() < end:
            tick(ws)
    """
    program = textwrap.dedent(SUBMIT) + textwrap.dedent(ticking)
    tickers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    (project / "go").touch()
    assert [ticker.wait(90) for ticker in tickers] == [0, 0]
    watch(blocker, "succeeded")
    assert {queue.get(ws, job.id).state for job in made} == {State.SUCCEEDED}
    assert {queue.get(ws, job.id).starts for job in made} == {1}
    assert sorted(map(int, (project / "lines").read_text().split())) == list(range(20))


def test_a_job_submitted_from_inside_a_job_is_its_child_and_outlives_it(ws, submit, finish, watch, project):
    source = textwrap.dedent(SUBMIT) + textwrap.dedent("""
        submit("child", sys.argv[1] + "print('done')")
    """)
    parent = finish(submit([sys.executable, "-c", source, UNTIL_GO], cpus=0))
    assert parent.state is State.SUCCEEDED, parent.error_message
    child = watch("child", "running")
    assert child.parent == parent.id
    (project / "go").touch()
    assert finish(child).state is State.SUCCEEDED


def test_a_child_survives_its_parent_being_killed_by_its_time_limit(
    ws, submit, finish, watch, project, until
):
    source = textwrap.dedent(SUBMIT) + textwrap.dedent("""
        import time
        submit("child", sys.argv[1])
        time.sleep(600)
    """)
    parent = finish(submit([sys.executable, "-c", source, UNTIL_GO], cpus=0, time_limit=10.0))
    assert (parent.state, parent.reason) == (State.FAILED, "time_limit")
    assert queue.get(ws, "child").state is State.RUNNING
    (project / "go").touch()
    assert finish(queue.get(ws, "child")).state is State.SUCCEEDED


def test_a_child_survives_in_an_ordinary_account_without_cgroups(ordinary):
    driver = textwrap.dedent(SUBMIT) + textwrap.dedent("""
        import time
        inner, outer = sys.argv[1:]
        ws = open_workspace()
        parent = queue.wait(ws, submit("parent", outer, cpus=0, env={"INNER": inner}), timeout=60)
        until = time.monotonic() + 60
        while queue.get(ws, "child").state in ("queued", "starting") and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.3)
        child = queue.get(ws, "child")
        (ws.project / "go").touch()
        print(parent.state, child.state, child.parent == parent.id, queue.wait(ws, child, timeout=60).state)
    """)
    outer = textwrap.dedent(SUBMIT) + "import os; submit('child', os.environ['INNER'])"
    assert ordinary.python(driver, UNTIL_GO, outer) == "succeeded running True succeeded"


def test_a_job_of_another_account_is_left_to_that_account(ws, submit, finish):
    job = submit("pass", cpus=capacity())
    finish(job)
    with ws.ledger.write() as connection:
        connection.execute("UPDATE jobs SET state = 'queued', uid = uid + 1 WHERE id = ?", (job.id,))
    tick(ws)
    assert queue.get(ws, job.id).state is State.QUEUED
    with ws.ledger.write() as connection:  # nothing to clean up for the fixture
        connection.execute("UPDATE jobs SET state = 'cancelled' WHERE id = ?", (job.id,))


def test_waiting_for_a_job_gives_up_at_its_timeout_and_leaves_the_job(ws, submit):
    job = submit("import time; time.sleep(600)")
    with pytest.raises(TimeoutError, match=job.id):
        queue.wait(ws, job, timeout=0.2)
    assert not queue.get(ws, job.id).ended


def test_up_keeps_the_queue_moving_until_it_is_idle(ws, submit, snapml):
    submit("import time; time.sleep(0.5)", cpus=capacity())
    last = submit("pass", cpus=capacity())
    done = snapml("up", "--until-idle", timeout=60)
    assert done.returncode == 0, done.stderr
    assert "0 live, 0 queued, 2 in all" in done.stdout
    assert queue.get(ws, last.id).state is State.SUCCEEDED
