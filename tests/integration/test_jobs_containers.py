"""Two containers on one workspace folder: process ids mean nothing across them, the locks do."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import State

INSIDE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
SUBMIT = """
    import sys, time
    from snapml_lab.jobs import queue
    from snapml_lab.jobs.model import Work
    from snapml_lab.tracking.record import Origin
    from snapml_lab.workspace import open_workspace
    source = "import os, time; open('starts', 'a').write('x'); time.sleep(float(__import__('sys').argv[1]))"
    work = Work("command", "inside", [sys.executable, "-c", source, sys.argv[1], sys.argv[2]])
    queue.submit(open_workspace(), work, actor="someone", origin=Origin())
    time.sleep(600)
"""
TICK = """
    from snapml_lab.jobs import queue
    from snapml_lab.jobs.tick import tick
    from snapml_lab.workspace import open_workspace
    ws = open_workspace()
    for _ in range(3):
        tick(ws)
    job = queue.get(ws, "inside")
    print(job.state, job.message)
"""


@pytest.fixture
def container():
    """Run Python in a PID namespace of its own, with its own view of processes; it ends with the test."""
    able = shutil.which("unshare") and not subprocess.run([*INSIDE, "true"], capture_output=True, check=False).returncode  # fmt: skip
    if not able:
        pytest.skip("this account may not make PID namespaces")
    started = []

    def run(source, *words, wait=True):
        argv = [*INSIDE, sys.executable, "-c", textwrap.dedent(source), *words]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True)
        started.append(process)
        return process.communicate(timeout=60)[0].strip() if wait else process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdout is not None and not process.stdout.closed:
            process.communicate()


def _keepers(job: str) -> list[int]:
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if processes.variable(pid, processes.SHIM) == job]  # fmt: skip


def test_a_job_of_one_container_is_left_alone_by_another_and_told_as_it_is(
    ws, container, watch, project, marked, until
):
    container(SUBMIT, "600", marked.word, wait=False)
    job = watch("inside", "running")
    until((project / "starts").exists)
    assert container(TICK).startswith("running")
    note = JobFolder(ws.jobs / job.id).cgroup
    if note.exists():  # else the cgroup, which has one name everywhere, would end what is left
        note.rename(note.with_name("aside"))
    for pid in _keepers(job.id):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not _keepers(job.id))
    told = container(TICK)
    assert told.startswith("running its keeper is gone, its processes live on in another container"), told
    marked.end()
    until(lambda: not marked.alive())
    if note.with_name("aside").exists():
        note.with_name("aside").rename(note)
    assert container(TICK).startswith("lost")
    assert (project / "starts").read_text() == "x"


def test_a_job_of_one_container_is_cancelled_from_another(ws, container, watch, marked, finish):
    container(SUBMIT, "600", marked.word, wait=False)
    job = watch("inside", "running")
    container("from snapml_lab.jobs import queue\nfrom snapml_lab.workspace import open_workspace\nqueue.cancel(open_workspace(), 'inside', grace=1)")  # fmt: skip
    assert finish(job).state is State.CANCELLED


def test_a_job_whose_container_is_gone_is_lost_and_its_exit_is_kept_where_there_was_one(
    ws, container, watch, marked, until
):
    outside = container(SUBMIT, "600", marked.word, wait=False)
    job = watch("inside", "running")
    os.killpg(outside.pid, signal.SIGKILL)
    outside.wait()
    until(lambda: not marked.alive())
    assert container(TICK).startswith("lost")
    assert queue.get(ws, job.id).error_code == "lost"
    assert JobFolder(ws.jobs / job.id).exit.exists()
