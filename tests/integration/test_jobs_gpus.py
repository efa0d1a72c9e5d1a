"""GPUs that are shared on purpose, on a fake NVML: real jobs take turns on them, and nobody runs out of memory."""

import os
import signal
import subprocess
import sys
import time

import pytest
from fakes.gpus import FakeGpus, training
from fakes.pynvml import NVML_ERROR_UNKNOWN

from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.jobs import gpus, holdings, processes, queue
from snapml_lab.jobs.model import State
from snapml_lab.jobs.tick import tick

CARD = 24_000


@pytest.fixture
def card(project, monkeypatch):
    """One fake GPU, seen by this process and by the jobs it starts."""
    found = FakeGpus(project / "gpus.json", CARD)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    gpus._nvml.cache_clear()
    yield found
    gpus._nvml.cache_clear()


def _train(submit, mib, seconds=1.5, *, asked=None, **more):
    return submit(training(mib, seconds), gpus=1, gpu_memory=asked or mib, cpus=0, **more)


def test_a_job_sees_its_device_by_uuid_and_one_without_a_lease_sees_none(submit, finish, printed, card):
    source = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ.get('SNAPML_GPU_MEMORY'))"
    assert printed(finish(submit(source, gpus=1, gpu_memory=1000))) == "GPU-fake-0 1000\n"
    assert printed(finish(submit(source, gpus=1))) == "GPU-fake-0 None\n"
    assert printed(finish(submit(source))) == " None\n"


def test_two_trainings_and_an_endpoint_that_do_not_fit_together_take_turns(
    ws, submit, finish, until, card, watch
):
    chat = _train(submit, 10_000, 600, service=True, gives_way=True, name="chat")
    chat_argv = [*training(10_000, 600), "--ready"]
    queue.wait(ws, queue.cancel(ws, chat.id, grace=0), timeout=30)
    chat = submit(chat_argv, gpus=1, gpu_memory=10_000, cpus=0, service=True, gives_way=True, name="chat")
    chat = watch(chat, "running")
    os.kill(chat.shim_pid, signal.SIGSTOP)  # it gives way once it is seen that it is to
    first = _train(submit, 16_000, name="first")
    second = _train(submit, 12_000, name="second")
    told = until(lambda: queue.get(ws, first.id).waiting_for)
    assert told == "16,000 MiB of a GPU (GPU 0: 14,000 MiB free, chat has 10,000)"
    assert "its turn for a GPU" in queue.get(ws, second.id).waiting_for
    os.kill(chat.shim_pid, signal.SIGCONT)
    watch(first, "running")
    assert "first" in until(lambda: queue.get(ws, chat.id).waiting_for)
    ended = [finish(first), finish(second)]
    assert [job.state for job in ended] == [State.SUCCEEDED] * 2
    back = watch(chat, "running")
    until(lambda: card.used() == 10_000)
    assert (card.ooms, back.attempt) == (0, 1)
    assert card.most() <= CARD
    row = ws.ledger.row("SELECT memory, peak_memory FROM leases WHERE job = ?", first.id)
    assert tuple(row) == (16_000, 16_000)
    assert queue.get(ws, first.id).gpu_peak == 16_000
    queue.wait(ws, queue.cancel(ws, chat.id, grace=1), timeout=30)
    assert queue.get(ws, chat.id).state is State.CANCELLED


def test_a_service_that_gives_way_and_is_cancelled_meanwhile_does_not_come_back(
    ws, submit, finish, card, watch
):
    argv = [*training(10_000, 600), "--ready"]
    chat = submit(argv, gpus=1, gpu_memory=10_000, cpus=0, service=True, gives_way=True, name="chat")
    watch(chat, "running")
    other = _train(submit, 20_000, 1.0)
    watch(other, "running")
    queue.cancel(ws, chat.id)
    assert finish(other).state is State.SUCCEEDED
    assert queue.get(ws, chat.id).state is State.CANCELLED


def test_a_lease_is_dirty_while_a_process_keeps_the_memory_and_free_when_nvml_says_so(
    ws, submit, finish, card, until
):
    job = _train(submit, 20_000, 600)
    until(lambda: card.used() == 20_000)
    pid = next(use.holder.pid for use in _uses(ws))
    tick(ws)
    # As with a driver that is slow to let go: the process goes, its memory does not.
    card.hold(pid, 20_000, sticky=True)
    queue.wait(ws, queue.cancel(ws, job.id, grace=0.2), timeout=30)
    other = _train(submit, 10_000, 0.1)
    tick(ws)
    assert f"process {pid}" in queue.get(ws, other.id).waiting_for
    held = holdings.holdings(ws).gpus[0].holders[0]
    assert (held.dirty, held.pid, held.used) == (True, pid, 20_000)
    card.release(pid)
    assert finish(other).state is State.SUCCEEDED


def _uses(ws):
    from snapml_lab.jobs import grants

    return grants.look(ws).uses


def test_memory_that_a_notebooks_kernel_holds_is_its_own_and_told_by_name(ws, submit, card, until, finish):
    kernel = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)", "-f", "/run/kernel-0a1b-2c.json"],
        env={**os.environ, "JPY_SESSION_NAME": "/home/me/deep.ipynb"},
    )
    try:
        until(lambda: processes.command_line(kernel.pid)[-1:] == ["/run/kernel-0a1b-2c.json"])
        card.hold(kernel.pid, 20_000)
        job = _train(submit, 10_000, 0.1)
        assert "notebook deep.ipynb has 20,000" in until(
            lambda: queue.get(ws, job.id).waiting_for, timeout=10
        )
        held = holdings.holdings(ws).gpus[0].holders[0]
        assert (held.kind, held.kernel, held.notebook) == ("kernel", "0a1b-2c", "/home/me/deep.ipynb")
        from snapml_lab.commands.leases import free

        left = free(ws, kernel.pid, grace=2)
        assert kernel.wait(10) != 0
        assert not [item for item in left.gpus[0].holders if item.pid == kernel.pid]
        assert finish(job).state is State.SUCCEEDED
    finally:
        kernel.kill()
        kernel.wait()


def test_freeing_a_job_cancels_it_and_freeing_what_holds_nothing_is_told(ws, submit, card, until):
    from snapml_lab.commands.leases import free

    job = _train(submit, 5_000, 600)
    until(lambda: card.used() == 5_000)
    (use,) = _uses(ws)
    free(ws, use.holder.pid, grace=1)
    assert queue.get(ws, job.id).state is State.CANCELLED
    with pytest.raises(NotFoundError):
        free(ws, os.getpid())


def test_what_the_machine_can_never_give_is_refused_at_once(submit, card):
    with pytest.raises(InvalidInputError, match="what this machine has"):
        submit("pass", gpus=2)
    with pytest.raises(InvalidInputError, match="24,000 MiB"):
        submit("pass", gpus=1, gpu_memory=CARD + 1)
    with pytest.raises(InvalidInputError, match="memory"):
        submit("pass", memory=1 << 30)


def test_while_the_gpus_cannot_be_seen_work_for_them_waits_and_other_work_goes_on(
    ws, submit, finish, card, until
):
    card.fail(NVML_ERROR_UNKNOWN)
    job = submit("pass", gpus=1, cpus=0)
    assert "Unknown Error" in until(lambda: queue.get(ws, job.id).waiting_for)
    assert finish(submit("pass")).state is State.SUCCEEDED
    card.fail(None)
    assert finish(job).state is State.SUCCEEDED


def test_memory_used_by_who_cannot_be_seen_is_not_given_away(ws, submit, card, until):
    card.set(reserved=20_000)
    job = _train(submit, 10_000, 0.1)
    assert "4,000 MiB free" in until(lambda: queue.get(ws, job.id).waiting_for)
    card.set(reserved=0)
    assert queue.wait(ws, job, timeout=30).state is State.SUCCEEDED


def test_leases_are_let_go_of_when_a_shim_was_killed(ws, submit, card, until, watch):
    job = _train(submit, 20_000, 600)
    until(lambda: card.used() == 20_000)
    job = watch(job, "running")
    os.kill(job.shim_pid, 9)
    watch(job, "lost")
    tick(ws)
    assert not holdings.holdings(ws).gpus[0].holders
    assert ws.ledger.row("SELECT released_at FROM leases WHERE job = ?", job.id)["released_at"] <= time.time()


def test_the_real_binding_is_read_where_another_one_is_imported_already():
    """PyTorch imports it, too; without a driver there is then no GPU, and no fault."""
    source = (
        "import pynvml; from snapml_lab.jobs import gpus; print(gpus.devices() == [] or len(gpus.devices()))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
