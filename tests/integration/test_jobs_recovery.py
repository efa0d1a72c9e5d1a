"""What is left of a job when a process is killed at a bad moment, or the disk is full: never a false success."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest

from snapml_lab.jobs import logs, processes, queue
from snapml_lab.jobs.folder import JobFolder, read_exit
from snapml_lab.jobs.leases import capacity
from snapml_lab.jobs.model import State, Work
from snapml_lab.jobs.tick import tick
from snapml_lab.tracking import runs
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

SLEEPER = """
    import subprocess, sys, time
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]]
    subprocess.Popen(sleeper, start_new_session=True)
    subprocess.Popen(sleeper, env={}, start_new_session=True)
    open("ready", "w").close()
    time.sleep(600)
"""


def _kill_shim(job) -> None:
    assert processes.signal_exactly(job.shim_pid, job.shim_start, signal.SIGKILL)
    while processes.same(job.shim_pid, job.shim_start):
        time.sleep(0.01)


def test_killing_who_submitted_a_job_does_not_touch_it(ws, project, watch, until):
    source = """
        import sys, time
        from snapml_lab.jobs import queue
        from snapml_lab.jobs.model import Work
        from snapml_lab.tracking.record import Origin
        from snapml_lab.workspace import open_workspace
        payload = "import pathlib, time; pathlib.Path('begun').touch(); time.sleep(1); print('whole')"
        work = Work("command", "orphan", [sys.executable, "-c", payload])
        queue.submit(open_workspace(), work, actor="gone", origin=Origin())
        time.sleep(600)
    """
    submitter = subprocess.Popen([sys.executable, "-c", textwrap.dedent(source)], start_new_session=True)
    until((project / "begun").exists)
    os.killpg(submitter.pid, signal.SIGKILL)
    submitter.wait()
    job = watch("orphan", "succeeded")
    assert logs.read(JobFolder(ws.jobs / job.id)).text == "whole\n"


def test_a_job_whose_shim_was_killed_is_lost_and_its_tree_is_swept(ws, submit, until, marked, project, watch):
    job = submit([sys.executable, "-c", textwrap.dedent(SLEEPER), marked.word])
    until((project / "ready").exists)
    job = watch(job, "running")
    until(lambda: len(marked.alive()) == 3)
    _kill_shim(job)
    job = watch(job, "lost")  # its guard sees to it, with nothing else of ours alive
    assert (job.reason, job.error_code) == ("unseen", "lost")
    assert job.ended_at is not None
    assert not marked.alive()
    if job.containment == "cgroup":
        place = (ws.jobs / job.id / "cgroup").read_text()
        assert not os.path.exists(place), "the cgroup is gone with its processes"


def test_without_cgroups_too_nothing_is_left_when_shim_and_guard_are_killed(ordinary, marked):
    driver = """
        import json, os, signal, sys, time
        from snapml_lab.jobs import queue, tick
        from snapml_lab.jobs.model import Work
        from snapml_lab.tracking.record import Origin
        from snapml_lab.workspace import open_workspace
        payload = ("import subprocess, sys, time; s = [sys.executable, '-c', 'import time; time.sleep(600)', sys.argv[1]];"
                   "subprocess.Popen(s, start_new_session=True, env={}); open('ready', 'w'); time.sleep(600)")
        ws = open_workspace()
        work = Work("command", "x", [sys.executable, "-c", payload, sys.argv[1]])
        job = queue.submit(ws, work, actor="someone", origin=Origin())
        while not (ws.project / "ready").exists() or queue.get(ws, job.id).shim_pid is None:
            time.sleep(0.01)
        found = queue.get(ws, job.id)
        for keeper in (found.guard_pid, found.shim_pid):
            os.kill(keeper, signal.SIGKILL)
        print(queue.wait(ws, job, timeout=60).state)
    """
    assert ordinary.python(driver, marked.word) == "lost"
    assert not marked.alive()


def test_a_killed_payload_is_a_failed_job(submit, until, project, finish):
    job = submit("import os, time; open('pid', 'w').write(f'{os.getpid()}\\n'); time.sleep(600)")
    until(lambda: (project / "pid").exists() and (project / "pid").read_text().endswith("\n"))
    os.kill(int((project / "pid").read_text()), signal.SIGKILL)
    job = finish(job)
    assert (job.state, job.error_code) == (State.FAILED, "killed")
    assert "SIGKILL" in job.error_message


def test_a_stopped_shim_is_killed_after_a_cancel_and_the_job_ends_cancelled(
    ws, submit, until, marked, project, watch
):
    job = submit([sys.executable, "-c", textwrap.dedent(SLEEPER), marked.word])
    until((project / "ready").exists)
    job = watch(job, "running")
    os.kill(job.shim_pid, signal.SIGSTOP)
    queue.cancel(ws, job.id, grace=0.1)
    assert queue.wait(ws, job, timeout=60).state is State.CANCELLED
    assert len(marked.alive()) <= (0 if job.containment == "cgroup" else 1)


@contextlib.contextmanager
def _ledger_locked(ws: Workspace):
    """Hold the ledger's write lock, as another program with the file open might."""
    connection = sqlite3.connect(ws.ledger.path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_a_locked_ledger_does_not_hold_up_the_payload(ws, submit, watch, until, project, finish):
    source = """
        import pathlib, sys, time
        while not pathlib.Path("locked").exists():
            time.sleep(0.01)
        for _ in range(100):
            print("x" * 10_000, flush=True)  # far more than a pipe holds
        pathlib.Path("printed").touch()
    """
    job = submit(textwrap.dedent(source), time_limit=60)
    watch(job, "running")
    with _ledger_locked(ws):
        (project / "locked").touch()
        until((project / "printed").exists, timeout=20)
        until(lambda: _exit_of(ws, job), timeout=20)
    assert finish(job).state is State.SUCCEEDED


def _exit_of(ws, job):
    return read_exit(JobFolder(ws.jobs / job.id))


def test_an_end_that_the_ledger_missed_is_settled_from_the_exit_record(ws, submit, watch, until, project):
    source = """
        import os, pathlib, sys, time
        from snapml_lab.jobs.events import Reporter
        while not pathlib.Path("locked").exists():
            time.sleep(0.01)
        Reporter(pathlib.Path(os.environ["SNAPML_JOB_DIR"]) / "events.jsonl").metric("score", 0.5)
        sys.exit(4)
    """
    job = watch(submit(textwrap.dedent(source)), "running")
    with _ledger_locked(ws):
        (project / "locked").touch()
        until(lambda: _exit_of(ws, job))
        _kill_shim(job)
        assert queue.get(ws, job.id).state is State.RUNNING, "the ledger knows nothing yet"
    ended = watch(job, "failed")
    assert (ended.state, ended.exit_code, ended.reason) == (State.FAILED, 4, "exited")
    assert runs.get(ws.ledger, job.id).metrics == {"score": 0.5}
    assert ended.ended_at < time.time()


def test_a_torn_exit_record_is_an_unseen_end(ws, submit, watch, folder):
    job = watch(submit("import time; time.sleep(600)"), "running")
    folder(job).exit.write_bytes(b'{"reason": "exi\n')
    _kill_shim(job)
    watch(job, "lost")


def test_a_payload_is_never_started_twice_however_its_shim_ends(ws, submit, watch, project):
    job = watch(submit("open('starts', 'a').write('x'); import time; time.sleep(600)"), "running")
    while not (project / "starts").exists():
        time.sleep(0.01)
    _kill_shim(job)
    watch(job, "lost")
    for _ in range(3):
        tick(ws)
    assert (project / "starts").read_text() == "x"


def test_a_queued_job_whose_folder_was_removed_is_told_and_does_not_stop_the_queue(ws, submit, finish):
    blocker = submit("import time; time.sleep(600)", cpus=capacity())
    victim, other = submit("pass", cpus=1), submit("pass", cpus=1)
    shutil.rmtree(ws.jobs / victim.id)
    queue.wait(ws, queue.cancel(ws, blocker.id, grace=0), timeout=30)
    ended = finish(victim)
    assert (ended.state, ended.error_code) == (State.FAILED, "lost")
    assert "folder" in ended.error_message
    assert finish(other).state is State.SUCCEEDED


def test_a_running_job_whose_folder_was_removed_is_ended_and_lost(ws, submit, watch, finish, marked):
    job = watch(submit([sys.executable, "-c", "import time; time.sleep(600)", marked.word]), "running")
    shutil.rmtree(ws.jobs / job.id)
    ended = finish(job)
    assert (ended.state, ended.error_code) == (State.LOST, "lost")
    assert "folder" in ended.error_message
    assert not marked.alive(), "it is not called lost before its processes are gone"
    assert finish(submit("pass")).state is State.SUCCEEDED


def test_a_job_that_has_ended_leaves_no_cgroup_behind(ws, submit, finish, folder, until):
    source = "import threading, time; [threading.Thread(target=time.sleep, args=(600,)).start() for _ in range(30)]"
    job = submit(source, time_limit=0.5)
    assert finish(job).reason == "time_limit"
    if folder(job).cgroup.exists():
        assert not os.path.exists(folder(job).cgroup.read_text())


def test_processes_that_open_a_new_workspace_at_once_all_can(tmp_path):
    source = "from snapml_lab.workspace import open_workspace; print(open_workspace().ledger.revision())"
    for number in range(5):
        environment = {**os.environ, "SNAPML_WORKSPACE": str(tmp_path / str(number))}
        (tmp_path / str(number)).mkdir()
        opened = [
            subprocess.Popen([sys.executable, "-c", source], env=environment, stdout=subprocess.PIPE)
            for _ in range(6)
        ]
        assert [process.communicate(timeout=60)[0] for process in opened] == [b"0\n"] * 6


@pytest.fixture
def small_disk(tmp_path):
    """A workspace on a file system of its own, small enough to fill."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this account may not mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


FILL = """
    import os, sys, time
    def fill():
        with open("filler", "ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError:
                    pass
"""


def test_an_end_on_a_full_disk_is_known_once_there_is_space(small_disk, watch, until):
    ws = Workspace(small_disk / ".snapml")
    source = textwrap.dedent(FILL) + "fill(); time.sleep(0.5); fill(); sys.exit(7)"
    work = Work("command", "full", [sys.executable, "-c", source])
    job = queue.submit(ws, work, actor="tester", origin=Origin())
    until(lambda: read_exit(JobFolder(ws.jobs / job.id)))
    assert os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize < 1 << 14
    (small_disk / "filler").unlink()
    job = queue.wait(ws, job, timeout=60)
    assert (job.state, job.exit_code, job.error_code) == (State.FAILED, 7, "exit_code")


def test_a_log_that_met_a_full_disk_is_readable_and_goes_on_when_there_is_space(small_disk):
    ws = Workspace(small_disk / ".snapml")
    source = textwrap.dedent(FILL) + textwrap.dedent("""
        print("before", flush=True)
        while os.path.getsize(os.environ["SNAPML_JOB_DIR"] + "/stdout.log") < 7: time.sleep(0.01)
        fill()
        for number in range(200):
            print("x" * 1000, flush=True); print("y" * 1000, file=sys.stderr, flush=True)
        fill(); time.sleep(0.3); os.unlink("filler"); time.sleep(0.3)
        print("after", flush=True)
    """)
    work = Work("command", "full", [sys.executable, "-c", source])
    job = queue.submit(ws, work, actor="tester", origin=Origin())
    job = queue.wait(ws, job, timeout=60)
    assert job.state is State.SUCCEEDED
    folder = JobFolder(ws.jobs / job.id)
    whole = logs.read(folder, limit=1 << 24)
    assert whole.text.startswith("before\n")
    assert whole.text.endswith("after\n")
    assert whole.next_offset == folder.stdout.stat().st_size + folder.stderr.stat().st_size
    assert set(whole.text.replace("before\n", "").replace("after\n", "")) <= set("xy\n")


def test_what_a_killed_submit_left_is_cleared_and_nothing_else(ws, submit, finish):
    job = finish(submit("pass"))
    left, young = ws.jobs / "01abandoned", ws.jobs / "01young"
    for place in (left, young):
        (place / "artifacts").mkdir(parents=True)
    for place in (left, ws.jobs / job.id):
        os.utime(place, (0, 0))
    assert queue.clear_leftovers(ws) == 1
    assert sorted(path.name for path in ws.jobs.iterdir()) == sorted([young.name, job.id])
