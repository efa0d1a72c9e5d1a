"""Runs of kernels and scripts: what is logged is there, how a run ends is said, and a dead writer loses nothing."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from snapml_lab.errors import ConflictError, InvalidInputError, StorageError
from snapml_lab.jobs.events import JOB
from snapml_lab.store import curve
from snapml_lab.tracking import live, recorder, runs
from snapml_lab.tracking.record import Origin
from snapml_lab.tracking.recorder import Recorder
from snapml_lab.tracking.runs import Run
from snapml_lab.workspace import Workspace


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / ".snapml")


def opened(ws: Workspace, name: str = "a run", **more) -> Recorder:
    return recorder.start(ws, name, actor="ann", origin=Origin(notebook="a.ipynb"), system=False, **more)


def seen(ws: Workspace, run: str) -> Run:
    live.catch_up(ws)
    return runs.get(ws.ledger, run)


def test_a_run_has_what_was_logged(ws: Workspace):
    with opened(ws, params={"lr": 1e-3, "deep": True}, tags={"team": "a"}) as run:
        run.log(loss=0.5)
        run.log(loss=0.25, acc=1)
        run.log({"eval/loss": 0.1}, step=7)
        run.params(model="rf", seed=np.int64(3), name=None)
        run.tag("team", "b")
    found = seen(ws, run.id)
    assert (found.state, found.actor, found.notebook, found.kind) == ("succeeded", "ann", "a.ipynb", "run")
    assert found.metrics == {"loss": 0.25, "acc": 1.0, "eval/loss": 0.1}
    assert found.params == {"lr": "0.001", "deep": "True", "model": "rf", "seed": "3", "name": "None"}
    assert found.tags == {"team": "b"}
    assert curve.points(ws.ledger.connection, run.id, "loss")[0][0] == 0
    assert curve.points(ws.ledger.connection, run.id, "acc")[0][0] == 1
    assert found.ended_at >= found.started_at


def test_a_step_goes_on_from_the_last_that_was_given(ws: Workspace):
    with opened(ws) as run:
        run.log(m=0.0)
        run.log(m=1.0, step=10)
        run.log(m=2.0)
    assert [p[0] for p in curve.points(ws.ledger.connection, run.id, "m")] == [0, 10, 11]


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5), np.array([0.5]), 0.5, "0.5"])
def test_whatever_float_takes_is_a_metric(ws: Workspace, value):
    with opened(ws) as run:
        run.log(m=value)
    assert seen(ws, run.id).metrics == {"m": 0.5}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), None])
def test_what_is_no_finite_number_is_counted_and_shown_as_none(ws: Workspace, value):
    with opened(ws) as run:
        run.log(m=value)
    assert seen(ws, run.id).metrics == {}
    assert len(curve.points(ws.ledger.connection, run.id, "m")) == 1


@pytest.mark.parametrize("value", ["high", [1, 2], np.zeros(3), object(), 10**400])
def test_what_is_no_number_is_refused_by_name_and_nothing_of_that_call_is_kept(ws: Workspace, value):
    with opened(ws) as run:
        with pytest.raises(InvalidInputError, match="bad") as refusal:
            run.log(good=1.0, bad=value)
        assert "r.param" in refusal.value.fix
    assert seen(ws, run.id).metrics == {}


@pytest.mark.parametrize("step", [0.5, "one", [1], 1e300, 2**63, float("nan"), float("inf")])
def test_a_step_that_is_no_whole_number_is_refused(ws: Workspace, step):
    with opened(ws) as run, pytest.raises(InvalidInputError, match="step"):
        run.log(m=1.0, step=step)


@pytest.mark.parametrize(
    ("raised", "state"), [(ValueError, "failed"), (KeyboardInterrupt, "cancelled"), (SystemExit, "failed")]
)
def test_how_a_run_ended_is_said(ws: Workspace, raised, state):
    with pytest.raises(raised), opened(ws) as run:
        raise raised("because")
    found = seen(ws, run.id)
    assert found.state == state
    assert "because" in found.tags["error"]


def test_a_run_that_has_ended_takes_nothing_more(ws: Workspace):
    with opened(ws) as run:
        pass
    for late in (lambda: run.log(m=1.0), lambda: run.param("a", 1), lambda: run.tag("a", 1)):
        with pytest.raises(ConflictError, match="has ended"):
            late()
    run.end("failed")
    assert seen(ws, run.id).state == "succeeded"


def test_a_run_inside_another_is_nested_in_it_and_the_outer_one_is_open_again_after(ws: Workspace):
    with opened(ws, "outer") as outer:
        with opened(ws, "inner") as inner:
            assert recorder.current() is inner
        assert recorder.current() is outer
        trial = outer.nested("trial 1", kind="trial", params={"c": 1}, metrics={"score": 0.5})
    assert recorder.current() is None
    assert [child.id for child in runs.children(ws.ledger, outer.id)] == sorted([inner.id, trial])
    assert runs.get(ws.ledger, trial).metrics == {"score": 0.5}
    assert [run.id for run in runs.latest(ws.ledger, kind=None, limit=9)] == [outer.id]


def test_a_run_in_a_job_is_nested_in_the_jobs(ws: Workspace, monkeypatch):
    with opened(ws, "the job's") as job:
        pass
    monkeypatch.setenv(JOB, job.id)
    with opened(ws) as run:
        pass
    assert seen(ws, run.id).parent == job.id


def test_files_folders_and_figures_are_kept(ws: Workspace, tmp_path: Path):
    import plotly.graph_objects as go

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("bb")
    with opened(ws) as run:
        run.artifact(tmp_path / "folder")
        run.artifact(tmp_path / "b.txt", name="notes/b.txt")
        run.figure("curve", go.Figure(go.Scatter(y=[1, 2])))
        with pytest.raises(InvalidInputError):
            run.artifact(tmp_path / "nothing")
        with pytest.raises(InvalidInputError):
            run.figure("curve", "not a figure")
    kept = {item.name: item for item in seen(ws, run.id).artifacts}
    assert set(kept) == {"folder", "notes/b.txt", "curve.plotly.json"}
    assert kept["folder"].folder
    assert ws.blobs.verified(kept["notes/b.txt"].blob) == b"bb"
    assert json.loads(ws.blobs.verified(kept["curve.plotly.json"].blob))["data"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_a_name_that_is_none_is_refused_and_leaves_nothing(ws: Workspace, name):
    with pytest.raises(InvalidInputError):
        opened(ws, name)
    assert ws.ledger.rows("SELECT 1 FROM runs") == []


def test_many_threads_lose_nothing(ws: Workspace):
    with opened(ws) as run:

        def work(number: int) -> None:
            for step in range(500):
                run.log({f"m{number}": float(step)}, step=step)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number in range(8):
        assert [p[0] for p in curve.points(ws.ledger.connection, run.id, f"m{number}")] == list(range(500))


def _logging(number: int, root: Path) -> str:
    ws = Workspace(root)
    with opened(ws, f"run {number}") as run:
        for step in range(1000):
            run.log(loss=float(step), acc=0.5, step=step)
    return run.id


def test_many_processes_lose_nothing(ws: Workspace, in_processes):
    ids = in_processes(8, _logging, ws.root)
    for run in ids:
        assert [p[2] for p in curve.points(ws.ledger.connection, run, "loss")] == [
            float(n) for n in range(1000)
        ]
        assert runs.get(ws.ledger, run).state == "succeeded"


def _endless(said: int, root: Path) -> None:
    with opened(Workspace(root), "killed") as run:
        for step in range(10**9):
            run.log(loss=float(step), step=step)
            os.write(said, b".")


def test_a_killed_writer_is_lost_with_all_it_was_told_is_kept(ws: Workspace, killed):
    acknowledged = len(killed(0.1, _endless, ws.root))
    found = seen(ws, "killed")
    assert found.state == "lost"
    assert found.ended_at is not None
    points = curve.points(ws.ledger.connection, found.id, "loss")
    assert len(points) >= acknowledged
    assert [p[0] for p in points] == list(range(len(points)))


def test_an_open_run_is_running_and_readable_meanwhile(ws: Workspace):
    with opened(ws) as run:
        run.log(loss=1.0)
        assert seen(ws, run.id).state == "running"
        assert seen(ws, run.id).metrics == {"loss": 1.0}
        assert live.alive(live.folder(ws, run.id))
    assert not live.alive(live.folder(ws, run.id))


def test_a_full_disk_says_so_and_costs_only_what_did_not_fit(small_disk):
    ws = Workspace(small_disk.path / ".snapml")

    def log_on() -> None:
        for step in range(1, 100_000):
            run.log(loss=1.0, step=step)

    with opened(ws) as run:
        run.log(loss=1.0, step=0)
        small_disk.fill()
        with pytest.raises(StorageError) as refusal:
            log_on()
        assert "Free space" in refusal.value.fix
        small_disk.free()
        run.log(loss=2.0, step=10**6)
    found = seen(ws, run.id)
    assert found.metrics == {"loss": 2.0}
    assert found.state == "succeeded"


@pytest.mark.parametrize(
    ("last", "state"),
    [("", "succeeded"), ("raise ValueError('x')", "failed"), ("import os; os._exit(3)", "lost")],
)
def test_a_script_that_leaves_a_run_open_ends_it_as_it_ended(tmp_path: Path, last, state):
    source = f"import snapml_lab as snap\nr = snap.run('left', system=False)\nr.log(loss=0.5)\n{last}\n"
    environment = {**os.environ, "SNAPML_WORKSPACE": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", source], env=environment, check=False, capture_output=True, timeout=60
    )
    found = seen(Workspace(tmp_path / ".snapml"), "left")
    assert (found.state, found.metrics) == (state, {"loss": 0.5})


def test_the_machine_is_measured(ws: Workspace):
    from snapml_lab.tracking.system import Sampler

    sampler = Sampler()
    sum(range(2_000_000))
    found = sampler.sample()
    assert 1 < found["system/cpu_percent"] < 10_000
    assert 10 < found["system/memory_mib"] < 100_000
