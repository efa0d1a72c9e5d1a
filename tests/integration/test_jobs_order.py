"""The queue: dependencies, priorities, turns, limits, pauses, keys, retries; and memory that is a limit as well."""

import textwrap

import pytest

from snapml_lab.commands import queues
from snapml_lab.errors import NotFoundError
from snapml_lab.jobs import queue
from snapml_lab.jobs.leases import capacity
from snapml_lab.jobs.model import State, Work
from snapml_lab.jobs.tick import keeps_awake
from snapml_lab.tracking.record import Origin

from .sources import UNTIL_GO

LONG = "import time; time.sleep(600)"
MARK = "import sys, time; open('order', 'a').write(sys.argv[1] + '\\n')"


def _mark(submit, name, **more):
    import sys

    return submit([sys.executable, "-c", MARK, name], cpus=capacity(), **more)


@pytest.fixture
def blocked(ws, submit, watch):
    """The machine is full until the returned function is called."""
    blocker = watch(submit(LONG, cpus=capacity()), "running")
    return lambda: queue.wait(ws, queue.cancel(ws, blocker.id, grace=0), timeout=30)


def test_higher_priority_goes_first(submit, finish, blocked, project):
    jobs = [_mark(submit, "usual"), _mark(submit, "low", priority=-1), _mark(submit, "high", priority=3)]
    blocked()
    for job in jobs:
        finish(job)
    assert (project / "order").read_text().split() == ["high", "usual", "low"]


def test_notebooks_take_turns(ws, finish, blocked, project):
    import sys

    def submit(notebook, name):
        work = Work("command", name, [sys.executable, "-c", MARK, name], cpus=capacity())
        return queue.submit(ws, work, actor="tester", origin=Origin(notebook=notebook))

    jobs = [submit("a.ipynb", name) for name in ("a1", "a2", "a3")] + [submit("b.ipynb", "b1")]
    blocked()
    for job in jobs:
        finish(job)
    assert (project / "order").read_text().split()[:2] == ["a1", "b1"]


def test_work_runs_after_what_it_is_to_run_after(ws, submit, finish, project):
    first = submit(UNTIL_GO, name="first")
    second = submit("pass", after=(first.id,))
    assert queue.get(ws, second.id).waiting_for == f"first ({first.id[-6:]}) to succeed"
    (project / "go").touch()
    assert finish(second).started_at >= finish(first).ended_at


@pytest.mark.parametrize("how", ["fails", "is cancelled"])
def test_work_is_given_up_when_what_it_is_to_run_after_does_not_succeed(ws, submit, finish, how):
    first = submit("import time; time.sleep(0.5); raise SystemExit(3)", name="first")
    second = submit("pass", after=(first.id,))
    third = submit("pass", after=(second.id,))
    if how == "is cancelled":
        queue.cancel(ws, first.id, grace=0)
    ended = finish(second)
    assert (ended.state, ended.reason, ended.error_code) == (State.CANCELLED, "dependency", "dependency")
    assert "first" in ended.error_message
    assert finish(third).state is State.CANCELLED


def test_work_after_a_job_that_does_not_exist_is_refused(submit):
    with pytest.raises(NotFoundError):
        submit("pass", after=("nothing-of-the-kind",))


def test_a_queue_runs_no_more_at_once_than_it_may(ws, submit, watch, finish):
    queues.limit(ws, "slow", 1)
    first = watch(submit(LONG, queue="slow", cpus=0), "running")
    second = submit("pass", queue="slow", cpus=0)
    assert queue.get(ws, second.id).waiting_for == "its turn in queue 'slow': 1 of 1 run"
    counted = {item.name: (item.running, item.queued) for item in queues.list_queues(ws).queues}
    assert counted == {"default": (0, 0), "slow": (1, 1)}
    assert finish(submit("pass", cpus=0)).state is State.SUCCEEDED
    queue.cancel(ws, first.id, grace=0)
    assert finish(second).state is State.SUCCEEDED


def test_a_paused_queue_starts_nothing_until_it_is_resumed(ws, submit, finish):
    queues.pause(ws, "night")
    job = submit("pass", queue="night")
    assert queue.get(ws, job.id).waiting_for == "queue 'night', which is paused"
    assert queues.resume(ws, "night").paused is False
    assert finish(job).state is State.SUCCEEDED


def test_the_same_key_is_the_same_job_whatever_became_of_it(ws, submit, finish, project):
    job = submit("open('ran', 'a').write('x'); raise SystemExit(1)", key="once")
    assert submit("pass", key="once").id == job.id
    assert finish(job).state is State.FAILED
    assert submit("pass", key="once").id == job.id
    assert (project / "ran").read_text() == "x"


def test_the_same_key_from_many_processes_at_once_is_one_job(ws, project):
    import subprocess
    import sys

    source = """
        import sys
        from snapml_lab.jobs import queue
        from snapml_lab.jobs.model import Work
        from snapml_lab.tracking.record import Origin
        from snapml_lab.workspace import open_workspace
        argv = [sys.executable, "-c", "open('ran', 'a').write('x')"]
        print(queue.submit(open_workspace(), Work("command", "x", argv, key="k"), actor="a", origin=Origin()).id)
    """
    started = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(source)], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    told = {process.communicate(timeout=60)[0] for process in started}
    assert len(told) == 1
    queue.wait(ws, queue.get(ws, told.pop().strip()), timeout=60)
    assert (project / "ran").read_text() == "x"
    assert len(list(ws.jobs.iterdir())) == 1, "nothing is left of the others"


def test_work_that_may_be_retried_is_and_what_may_not_is_not(ws, submit, finish, project):
    source = "import os; open('tries', 'a').write(os.environ['SNAPML_JOB_ATTEMPT']); raise SystemExit(len(open('tries').read()) < 3)"
    job = finish(submit(source, retries=5))
    assert (job.state, job.attempt, (project / "tries").read_text()) == (State.SUCCEEDED, 3, "123")
    (project / "tries").unlink()
    job = finish(submit(source, retries=1))
    assert (job.state, job.attempt, (project / "tries").read_text()) == (State.FAILED, 2, "12")
    (project / "tries").unlink()
    assert finish(submit(source)).attempt == 1
    assert (project / "tries").read_text() == "1"


def test_a_lost_job_that_may_be_retried_is_started_again_and_its_old_end_does_not_count(ws, submit, watch, finish, project):  # fmt: skip
    import os

    source = "import os, time; open('tries', 'a').write('x'); time.sleep(0 if os.environ['SNAPML_JOB_ATTEMPT'] == '2' else 600)"
    job = watch(submit(source, retries=1), "running")
    while not (project / "tries").exists():
        pass
    os.kill(job.shim_pid, 9)
    job = finish(job)
    assert (job.state, job.attempt, (project / "tries").read_text()) == (State.SUCCEEDED, 2, "xx")


def test_a_cancelled_job_is_not_retried(ws, submit, watch, finish):
    job = watch(submit(LONG, retries=3), "running")
    queue.cancel(ws, job.id, grace=0)
    assert (finish(job).state, queue.get(ws, job.id).attempt) == (State.CANCELLED, 1)


EATER = """
    import subprocess, sys, time
    if len(sys.argv) == 1:
        subprocess.Popen([sys.executable, "-c", "x = bytearray(150 << 20); import time; time.sleep(60)"])
        time.sleep(60)
"""


def test_a_tree_that_takes_more_memory_than_it_may_is_ended(submit, finish, marked):
    import sys

    job = finish(submit([sys.executable, "-c", textwrap.dedent(EATER)], memory=100))
    assert (job.state, job.reason, job.error_code) == (State.FAILED, "memory_limit", "memory_limit")
    assert job.peak_memory > 100
    assert "--memory" in job.error_fix


def test_memory_is_leased_as_processors_are(ws, submit, watch, finish):
    from snapml_lab.jobs.leases import memory_capacity

    most = memory_capacity()
    first = watch(submit(LONG, memory=most - 100, cpus=0), "running")
    second = submit("pass", memory=200, cpus=0)
    assert queue.get(ws, second.id).waiting_for == f"200 of {most:,} MiB memory (100 free)"
    queue.cancel(ws, first.id, grace=0)
    assert finish(second).state is State.SUCCEEDED


def test_a_job_keeps_a_hub_from_culling_for_so_long_and_no_longer(ws, submit, watch):
    assert not keeps_awake(ws)
    short = watch(submit(LONG, cpus=0, max_hours=1e-9), "running")
    assert not keeps_awake(ws)
    long = submit(LONG, cpus=0)
    assert keeps_awake(ws)
    for job in (short, long):
        queue.wait(ws, queue.cancel(ws, job.id, grace=0), timeout=30)
    assert not keeps_awake(ws)


def test_a_queued_job_can_be_moved_ahead_and_one_that_runs_cannot(ws, submit, finish, blocked, project):
    from snapml_lab.errors import ConflictError

    jobs = [_mark(submit, "one"), _mark(submit, "two"), _mark(submit, "three")]
    queue.prioritise(ws, jobs[2].id, 1)
    blocked()
    for job in jobs:
        finish(job)
    assert (project / "order").read_text().split() == ["three", "one", "two"]
    with pytest.raises(ConflictError, match="succeeded"):
        queue.prioritise(ws, jobs[0].id, 1)


def test_the_queue_moves_on_with_nothing_of_ours_alive_but_shims(ws, project, watch):
    """Who submitted is killed at once: the first job's shim starts the second, the second's the third."""
    import os
    import signal
    import subprocess
    import sys

    source = f"""
        import sys, time
        from snapml_lab.jobs import queue
        from snapml_lab.jobs.model import Work
        from snapml_lab.tracking.record import Origin
        from snapml_lab.workspace import open_workspace
        for name in ("one", "two", "three"):
            argv = [sys.executable, "-c", "import time; time.sleep(1)"]
            queue.submit(open_workspace(), Work("command", name, argv, cpus={capacity()}), actor="a", origin=Origin())
        time.sleep(600)
    """
    submitter = subprocess.Popen([sys.executable, "-c", textwrap.dedent(source)], start_new_session=True)
    watch("three", "queued")
    os.killpg(submitter.pid, signal.SIGKILL)
    submitter.wait()
    watch("three", "succeeded")
    assert [queue.get(ws, name).state for name in ("one", "two")] == [State.SUCCEEDED] * 2


def test_the_list_says_so_when_nothing_is_alive_to_move_the_queue(ws, submit, watch):
    import os
    import signal

    from snapml_lab.commands.jobs import list_jobs

    blocker = watch(submit(LONG, cpus=capacity()), "running")
    waiting = submit("pass")
    assert list_jobs(ws).note is None
    for keeper in (blocker.guard_pid, blocker.shim_pid):
        os.kill(keeper, signal.SIGKILL)
    os.utime(ws.root / "tick.lock", (0, 0))  # as if nothing had looked for long
    assert "Nothing is alive to move the queue" in list_jobs(ws).note
    assert "snapml up" in list_jobs(ws).text()
    assert queue.wait(ws, waiting, timeout=30).state is State.SUCCEEDED
    assert queue.get(ws, blocker.id).state is State.LOST


def test_the_list_says_who_holds_the_queue_up(ws, submit, watch, until):
    import os
    import signal
    import subprocess
    import sys

    from snapml_lab.commands.jobs import list_jobs
    from snapml_lab.jobs import processes

    watch(submit(LONG, cpus=capacity()), "running")
    source = """
        import os, signal
        from snapml_lab.jobs import tick
        from snapml_lab.workspace import open_workspace
        move = tick._move
        def stop_once(ws):
            tick._move = move
            os.kill(os.getpid(), signal.SIGSTOP)
        tick._move = stop_once
        tick.tick(open_workspace())
    """
    holder = subprocess.Popen([sys.executable, "-c", textwrap.dedent(source)])
    try:
        until(lambda: processes.state(holder.pid) == "T")
        job = submit("pass", cpus=0)  # does not hang
        os.utime(ws.root / "tick.lock", (0, 0))
        assert f"kill -CONT {holder.pid}" in list_jobs(ws).note
        holder.send_signal(signal.SIGCONT)
        holder.wait(30)
        assert queue.wait(ws, job, timeout=30).state is State.SUCCEEDED
    finally:
        holder.kill()
        holder.wait()


def test_a_workspace_that_cannot_be_written_is_told_as_such(ordinary):
    """As an ordinary account, for root may write anywhere."""
    driver = """
        import os
        from snapml_lab.errors import StorageError
        from snapml_lab.jobs.tick import tick
        from snapml_lab.workspace import open_workspace
        ws = open_workspace()
        ws.ledger.revision()
        os.chmod(ws.root, 0o500)
        try:
            tick(ws)
        except StorageError as error:
            print(error)
        finally:
            os.chmod(ws.root, 0o700)
    """
    assert "writable" in ordinary.python(driver)
