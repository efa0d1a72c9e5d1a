"""Runs made again: exactly, with what differs named, and refused where something is missing."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.test_provenance import Notebook
from snapml_lab.commands.core import Call, Surface
from snapml_lab.commands.reproduce import reproduce
from snapml_lab.envs import current, layered
from snapml_lab.errors import ConflictError, InvalidInputError
from snapml_lab.flows.reproduction import ReproductionView, picture
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Job, State
from snapml_lab.tracking import runs
from snapml_lab.workspace import Workspace

READ = """import pandas as pd
import snapml_lab as snap
table = pd.read_csv('flowers.csv')"""
SPLIT = """from sklearn.model_selection import train_test_split
x, y = table.drop(columns='target'), table['target']
parts = train_test_split(x, y, random_state=7)"""
FIT = """from sklearn.linear_model import LogisticRegression
with snap.run('fit', system=False) as r:
    r.param('C', 0.5)
    model = LogisticRegression(C=0.5, max_iter=500).fit(parts[0], parts[2])
    r.log(accuracy=model.score(parts[1], parts[3]), first=float(model.predict_proba(parts[1])[0, 0]))"""

Again = Callable[..., ReproductionView]


@pytest.fixture
def again(ws: Workspace) -> Again:
    """Make a run again and return what came of it."""

    def run(which: str, **options: Any) -> ReproductionView:
        view = reproduce(ws, which, call=Call(Surface.PYTHON), **options)
        return picture(ws, queue.wait(ws, queue.get(ws, view.id), timeout=300))

    return run


@pytest.fixture
def lab(ws: Workspace, project: Path) -> Iterator[Notebook]:
    del ws
    made = Notebook(project / "a.ipynb")
    yield made
    made.close()


def differing(view: ReproductionView) -> dict[str, tuple[str | None, str | None, str]]:
    return {
        f"{row.kind} {row.name}": (row.before, row.after, row.likeness)
        for row in view.rows
        if row.likeness != "same"
    }


def commit(project: Path, *names: str) -> None:
    for words in (
        ["init", "-q"], ["config", "user.email", "a@example.org"], ["config", "user.name", "A"], ["add", *names],
        ["commit", "-qm", "x"],
    ):  # fmt: skip
        subprocess.run(["git", "-C", str(project), *words], check=True)


def fitted(lab: Notebook) -> None:
    """A notebook on real data, never saved, with a cell that raised and was mended."""
    lab.execute("read", READ)
    lab.fails("split", SPLIT.replace("table", "tabel"))
    lab.execute("split", SPLIT)
    lab.execute("fit", FIT)


def test_a_run_of_a_kernel_is_made_again_exactly(ws: Workspace, lab: Notebook, flowers: Path, again: Again):
    fitted(lab)
    old = runs.get(ws.ledger, "fit")
    view = again(old.id)
    assert view.error is None, view.text()
    assert (view.verdict, differing(view)) == ("same", {})
    assert [step.state for step in view.steps] == ["done"] * 4
    new = runs.get(ws.ledger, view.again or "")
    assert new.metrics == old.metrics
    assert new.tags["reproduces"] == old.id
    assert (new.notebook, new.cell_id) == ("a.ipynb", "fit")
    assert not list((ws.cache / "reproduce").iterdir())
    assert sorted(path.name for path in flowers.parent.iterdir()) == [".snapml", "flowers.csv"]


def test_data_that_has_changed_shows_in_the_metrics(
    ws: Workspace, lab: Notebook, flowers: Path, again: Again
):
    fitted(lab)
    lines = flowers.read_text().splitlines()
    flowers.write_text("\n".join(lines[:120]) + "\n")
    view = again("fit")
    assert view.verdict == "differs"
    assert differing(view)["metric first"][2] == "differs"
    assert "differs" in view.html()


def test_chance_without_a_seed_differs_and_within_a_tolerance_is_close(
    ws: Workspace, lab: Notebook, again: Again
):
    source = """import random, snapml_lab as snap
with snap.run('chance', system=False) as r:
    r.log(value=1 + random.random() * 1e-6, wall_seconds=random.random())"""
    lab.execute("one", source)
    assert differing(again("chance")).keys() == {"metric value", "metric wall_seconds"}
    close = again(runs.latest(ws.ledger, kind="run", limit=1)[0].id, tolerance=1e-5)
    assert close.verdict == "same within tolerance"
    assert differing(close)["metric wall_seconds"][2] == "not compared"


def test_which_of_several_runs_of_a_cell_it_was_is_known(ws: Workspace, lab: Notebook, again: Again):
    lab.execute(
        "one",
        "import snapml_lab as snap\nfor n in range(3):\n    with snap.run('loop', system=False) as r: r.log(n=n)",
    )
    second = runs.latest(ws.ledger, kind="run", limit=3)[1]
    view = again(second.id)
    assert view.verdict == "same"
    assert runs.get(ws.ledger, view.again or "").metrics == {"n": 1.0}


def test_code_is_as_it_was_then_with_what_was_not_committed(
    ws: Workspace, lab: Notebook, project: Path, again: Again
):
    (project / "helper.py").write_text("def value(): return 1.0\n")
    commit(project, "helper.py")
    (project / "helper.py").write_text("def value(): return 2.0\n")
    (project / "fresh.py").write_text("def more(): return 0.5\n")
    lab.execute("one", "import snapml_lab as snap, helper, fresh")
    lab.execute("two", "with snap.run('coded', system=False) as r: r.log(v=helper.value() + fresh.more())")
    (project / "helper.py").write_text("def value(): return 3.0\n")
    (project / "fresh.py").unlink()
    view = again("coded")
    assert view.error is None, view.text()
    assert view.verdict == "same"
    assert (project / "helper.py").read_text() == "def value(): return 3.0\n"
    listed = subprocess.run(
        ["git", "-C", str(project), "worktree", "list"], capture_output=True, text=True, check=True
    )
    assert len(listed.stdout.splitlines()) == 1


def test_a_commit_that_is_gone_is_missing_and_here_takes_the_code_as_it_is(
    ws: Workspace, lab: Notebook, project: Path, again: Again
):
    (project / "helper.py").write_text("value = 1.0\n")
    commit(project, "helper.py")
    lab.execute("one", "import snapml_lab as snap, helper")
    lab.execute("two", "with snap.run('coded', system=False) as r: r.log(v=helper.value)")
    with ws.ledger.write() as connection:
        connection.execute("UPDATE runs SET git_commit = ?", ("0" * 40,))
    with pytest.raises(ConflictError, match="missing: the commit 000000000000"):
        again("coded")
    (project / "helper.py").write_text("value = 2.0\n")
    view = again("coded", here=True)
    assert differing(view) == {"metric v": ("1.0", "2.0", "differs")}


def test_a_script_run_in_a_terminal_is_made_again_as_it_was_with_its_words(
    ws: Workspace, project: Path, again: Again
):
    script = "import sys, snapml_lab as snap\nwith snap.run('s', system=False) as r: r.log(lr=float(sys.argv[1]))\n"
    (project / "train.py").write_text(script)
    subprocess.run([sys.executable, "train.py", "0.25"], check=True, cwd=project)
    (project / "train.py").write_text("raise SystemExit(3)\n")
    view = again("s")
    assert view.error is None, view.text()
    assert view.verdict == "same"


def test_a_script_sent_as_a_job_is_made_again_and_so_is_a_run_inside_it(
    ws: Workspace, project: Path, snapml: Callable[..., Any], again: Again
):
    (project / "train.py").write_text(
        "import snapml_lab as snap\nwith snap.run('inner', system=False) as r: r.log(v=1.5)\n"
    )
    job = json.loads(snapml("run", "train.py", "--json").stdout)["id"]
    queue.wait(ws, queue.get(ws, job), timeout=60)
    (project / "train.py").write_text("raise SystemExit(3)\n")
    inner = runs.get(ws.ledger, "inner")
    assert inner.parent == job
    for which in (job, inner.id):
        view = again(which)
        assert view.error is None, view.text()
        assert view.verdict == "same"
    again_inner = runs.get(ws.ledger, "inner")
    assert again_inner.script == "train.py"
    assert runs.get(ws.ledger, again_inner.tags["reproduces"]) == inner


def test_a_notebook_job_is_made_again_with_its_parameters_and_as_it_was(
    ws: Workspace, notebook: Callable[..., Path], snapml: Callable[..., Any], again: Again
):
    path = notebook(
        "steps.ipynb", ("lr = 0.1", ["parameters"]), "import snapml_lab as snap",
        "with snap.run('n', system=False) as r: r.log(lr=lr)",
    )  # fmt: skip
    job = json.loads(snapml("run", "steps.ipynb", "-p", "lr=0.2", "--json").stdout)["id"]
    queue.wait(ws, queue.get(ws, job), timeout=120)
    path.unlink()
    view = again("n")
    assert view.error is None, view.text()
    assert view.verdict == "same"
    assert [row.after for row in view.rows] == ["0.2"]


def test_a_search_is_made_again_on_the_same_data_under_another_models_name(
    ws: Workspace, learnt: Path, again: Again
):
    (learnt / "flowers.csv").unlink()
    view = again("flowers-target")
    assert view.error is None, view.text()
    rows = {f"{row.kind} {row.name}": row for row in view.rows}
    assert "metric held_out_log_loss" in rows or any(name.startswith("metric held_out") for name in rows)
    names = {row["name"] for row in ws.ledger.rows("SELECT name FROM model_versions")}
    assert names == {"flowers-target", "flowers-target-reproduced"}


def test_data_that_is_gone_is_missing_and_no_job_is_made(ws: Workspace, learnt: Path, again: Again):
    run = runs.get(ws.ledger, "flowers-target")
    ws.blobs.path(run.dataset or "").unlink()
    before = queue.count(ws)
    with pytest.raises(ConflictError, match=r"missing: the data .*; the dataset flowers@1"):
        again("flowers-target")
    assert queue.count(ws) == before


def test_a_run_that_failed_again_is_told(ws: Workspace, project: Path, again: Again):
    (project / "data.txt").write_text("1")
    (project / "train.py").write_text(
        "import snapml_lab as snap\nwith snap.run('s', system=False) as r: r.log(v=float(open('data.txt').read()))\n"
    )
    subprocess.run([sys.executable, "train.py"], check=True, cwd=project)
    (project / "data.txt").unlink()
    view = again("s")
    assert view.verdict == "could not be run again"
    assert [step.state for step in view.steps] == ["done", "done", "failed", "waiting"]
    assert "Made again, it failed" in (view.error or "")


def test_of_a_run_of_which_too_little_is_known_it_is_refused(
    ws: Workspace, submit: Callable[..., Job], again: Again
):
    with ws.ledger.write() as connection:
        connection.execute(
            "INSERT INTO runs (id, kind, name, started_at, revision, state) VALUES ('a1b2', 'run', 'old', 0, 1, 'succeeded')"
        )
    with pytest.raises(InvalidInputError, match="Too little is known"):
        again("old")
    going = submit("import time; time.sleep(60)")
    with pytest.raises(ConflictError, match=r"is (queued|starting|running)"):
        again(going.id)


def test_a_cancelled_reproduction_leaves_nothing_behind(
    ws: Workspace, project: Path, until: Callable[..., Any], again: Again
):
    (project / "helper.py").write_text("x = 1\n")
    (project / "train.py").write_text(
        "import os, time, snapml_lab as snap\nwith snap.run('slow', system=False) as r: time.sleep(float(os.environ.get('PAUSE', 60)))\n"
    )
    commit(project, "helper.py")
    subprocess.run(
        [sys.executable, "train.py"], check=True, cwd=project, env={**__import__("os").environ, "PAUSE": "0"}
    )
    job = reproduce(ws, "slow", call=Call(Surface.PYTHON))
    until(lambda: len(runs.latest(ws.ledger, kind="run", limit=5)) == 2, "the run again")
    queue.cancel(ws, job.id, grace=20)
    assert queue.wait(ws, queue.get(ws, job.id), timeout=60).state is State.CANCELLED
    assert all(item.ended for item in queue.latest(ws))
    assert not list((ws.cache / "reproduce").iterdir())
    listed = subprocess.run(
        ["git", "-C", str(project), "worktree", "list"], capture_output=True, text=True, check=True
    )
    assert len(listed.stdout.splitlines()) == 1


def _other_environment(ws: Workspace, name: str, version: str) -> None:
    """Have all runs say that a package was of another version."""
    now = current.lock()
    packages = "\n".join(
        f"{name}=={version}" if line.startswith(f"{name}==") else line for line in now.packages.splitlines()
    )
    with ws.ledger.write() as connection:
        connection.execute("INSERT INTO environments VALUES ('then', ?, ?)", (now.python, packages))
        connection.execute("UPDATE runs SET environment = 'then'")


def test_a_package_of_another_version_is_laid_over_this_environment(
    ws: Workspace, lab: Notebook, again: Again
):
    lab.execute(
        "one",
        "import idna, snapml_lab as snap\nwith snap.run('p', system=False) as r: r.param('idna', idna.__version__)",
    )
    _other_environment(ws, "idna", "3.6")
    view = again("p")
    if "cannot be had" in (view.error or ""):
        pytest.skip("no package index")
    assert view.error is None, view.text()
    assert differing(view)["param idna"][1] == "3.6"
    assert not [row for row in view.rows if row.kind == "package"]
    made = list((ws.cache / "environments").iterdir())
    here = again("p", here=True)
    assert differing(here)["package idna"][0] == "3.6"
    assert list((ws.cache / "environments").iterdir()) == made


def test_a_package_that_cannot_be_had_is_named(ws: Workspace, lab: Notebook, again: Again):
    lab.execute("one", "import snapml_lab as snap\nwith snap.run('p', system=False) as r: r.log(v=1)")
    _other_environment(ws, "idna", "0.0.99")
    view = again("p")
    assert view.verdict == "could not be run again"
    assert "These packages cannot be had: idna==0.0.99" in (view.error or "")
    assert [step.state for step in view.steps] == ["done", "failed", "waiting", "waiting"]
    assert not list((ws.cache / "reproduce").iterdir())


def test_another_python_is_missing(ws: Workspace, lab: Notebook, again: Again):
    lab.execute("one", "import snapml_lab as snap\nwith snap.run('p', system=False) as r: r.log(v=1)")
    with ws.ledger.write() as connection:
        connection.execute("INSERT INTO environments VALUES ('then', '3.7.1', '')")
        connection.execute("UPDATE runs SET environment = 'then'")
    with pytest.raises(ConflictError, match=r"missing: Python 3\.7\.1"):
        again("p")
    assert again("p", here=True).verdict == "same"


def test_changes_between_locks_leave_out_installers_and_this_product():
    assert layered.changes("a==1\nb==2\npip==1\nsnapml-lab==1", "a==1\nb==3\nc==1\npip==2") == [
        layered.Change("b", "2", "3"), layered.Change("c", None, "1"),
    ]  # fmt: skip


def test_a_model_is_compared_on_the_data_of_its_run_where_that_is_kept(
    ws: Workspace, lab: Notebook, flowers: Path, again: Again
):
    lab.execute("read", READ)
    lab.execute("split", SPLIT)
    keep = "    snap.models.add(model, name='flowers', example=parts[0].head())"
    lab.execute("fit", FIT.replace("system=False", "system=False, data=parts[0]") + "\n" + keep)
    view = again("fit")
    assert view.error is None, view.text()
    assert view.verdict == "same"
    (model,) = (row for row in view.rows if row.kind == "model")
    assert "112 of 112 predictions the same" in (model.after or "")


def test_what_cells_do_to_the_workspace_is_not_done_a_second_time(
    ws: Workspace, lab: Notebook, flowers: Path, again: Again
):
    lab.execute("read", READ)
    lab.execute("split", SPLIT)
    lab.execute("note", "%load_ext snapml_lab\n%snapml queue limit nights --at-most 2")
    keep = "\n    kept = snap.models.add(model, name='flowers', example=parts[0].head())\nkept.reference"
    lab.execute("fit", FIT + keep)
    lab.execute("more", "snap.queue.limit('nights', at_most=3)\nsnap.runs.reproduce('fit', background=True)")
    (job,) = (item for item in queue.latest(ws) if item.kind == "reproduce")
    first = picture(ws, queue.wait(ws, job, timeout=120))
    assert first.verdict == "same", first.text()
    lab.execute("last", "with snap.run('last', system=False) as r: r.log(v=1)")
    view = again("last")
    assert view.error is None, view.text()
    assert [row["at_most"] for row in ws.ledger.rows("SELECT at_most FROM queues")] == [3]
    assert sum(item.kind == "reproduce" for item in queue.latest(ws)) == 2
    rows = ws.ledger.rows("SELECT DISTINCT name FROM model_versions ORDER BY name")
    assert [row["name"] for row in rows] == ["flowers", "flowers-reproduced"]


def test_a_cell_sent_as_a_job_and_a_pipeline_are_made_again(
    ws: Workspace, lab: Notebook, notebook: Callable[..., Path], snapml: Callable[..., Any], again: Again
):
    lab.execute("load", "%load_ext snapml_lab\nbase = 2.0")
    lab.execute(
        "send",
        "%%snapml run --name sent\nimport snapml_lab as snap\nwith snap.run('c', system=False) as r: r.log(v=base * 3)",
    )
    sent = queue.wait(ws, queue.get(ws, "sent"), timeout=60)
    for which in (sent.id, runs.get(ws.ledger, "c").id):
        view = again(which)
        assert (view.error, view.verdict) == (None, "same"), view.text()
    notebook("a.ipynb", ("size = 1", ["parameters"]), "import snapml_lab as snap",
             "with snap.run('p', system=False) as r: r.log(size=size)")  # fmt: skip
    (lab.path.parent / "flow.yaml").write_text(
        "name: flow\nparameters: {size: 3}\nsteps: [{name: one, notebook: a.ipynb, parameters: {size: '${size}'}}]\n"
    )
    done = snapml("pipeline", "run", "flow.yaml", "--json")
    assert done.returncode == 0, done.stderr
    view = again("flow")
    assert (view.error, view.verdict) == (None, "same"), view.text()


def test_a_workspace_that_was_moved_makes_its_runs_again(
    project: Path, notebook: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (project / "data.txt").write_text("4.5")
    (project / "train.py").write_text(
        "import snapml_lab as snap\nwith snap.run('s', system=False) as r: r.log(v=float(open('data.txt').read()))\n"
    )
    notebook(
        "n.ipynb",
        "import snapml_lab as snap\nwith snap.run('n', system=False) as r: r.log(v=float(open('data.txt').read()))",
    )
    for words in (
        ["train.py"],
        ["-m", "snapml_lab.cli", "run", "n.ipynb"],
        ["-m", "snapml_lab.cli", "run", "train.py"],
    ):
        subprocess.run([sys.executable, *words], check=True, cwd=project, capture_output=True)
    before = Workspace(project / ".snapml")
    for job in queue.latest(before):
        assert queue.wait(before, job, timeout=120).state is State.SUCCEEDED
    before.ledger.close()
    elsewhere = tmp_path / "elsewhere" / "place"
    elsewhere.parent.mkdir()
    project.rename(elsewhere)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("SNAPML_WORKSPACE", str(elsewhere))
    there = Workspace(elsewhere / ".snapml")
    first = there.ledger.row("SELECT id FROM runs WHERE kind = 'run' AND parent IS NULL")
    assert first is not None
    for which in (first["id"], *(job.id for job in queue.latest(there))):
        view = reproduce(there, which, call=Call(Surface.PYTHON))
        seen = picture(there, queue.wait(there, queue.get(there, view.id), timeout=120))
        assert (seen.error, seen.verdict) == (None, "same"), seen.text()
    assert not project.exists()
