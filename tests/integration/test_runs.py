"""Runs through their commands, as scripts, notebooks and the page use them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import snapml_lab as snap
from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError
from snapml_lab.tracking import live, runs
from snapml_lab.workspace import Workspace


@pytest.fixture
def project(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("SNAPML_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ws(project: Path) -> Workspace:
    return Workspace(project / ".snapml")


def learnt(name: str, rate: float, **more) -> str:
    """Make a run that learns at a rate; return its id."""
    with snap.run(name, params={"rate": rate}, system=False, **more) as run:
        for step in range(100):
            run.log(loss=(1 - rate) ** step, step=step)
    return run.id


def test_a_run_is_listed_shown_found_and_compared(project: Path):
    slow, fast = learnt("slow", 0.01), learnt("fast", 0.1, tags={"team": "a"})
    assert [run.id for run in snap.runs.list().runs] == [fast, slow]
    assert [run.name for run in snap.runs.search("metric.loss < 0.1 and param.rate > 0.05").runs] == ["fast"]
    assert [run.name for run in snap.runs.search("", by="metric.loss", ascending=True).runs] == [
        "fast",
        "slow",
    ]
    page = snap.runs.show(fast)
    (figure,) = page.figures
    assert (figure.name, figure.number, figure.high) == ("loss", 100, 1.0)
    assert page.curves[0].steps[-1] == 99
    found = snap.runs.compare([slow, fast])
    assert {(item.kind, item.name) for item in found.differences} == {
        ("param", "rate"), ("metric", "loss"), ("tag", "team"),
    }  # fmt: skip
    assert [len(curves.curves) for curves in found.curves] == [2]
    assert "<svg" in found.html()
    assert "slow" in found.text()
    drawn = snap.runs.curve("loss", run=[slow, fast], smooth=0.5, start=10, stop=19)
    assert [curve.steps for curve in drawn.curves] == [list(range(10, 20))] * 2


def test_a_long_curve_ends_where_its_figure_does(project: Path):
    with snap.run("long", system=False) as run:
        for step in range(5000):
            run.log(loss=float(step), step=step)
    (curve,) = snap.runs.curve("loss", run=[run.id], points=50).curves
    assert len(curve.steps) <= 50
    assert (curve.steps[-1], curve.values[-1]) == (4999, 4999.0)
    assert (min(curve.low), max(curve.high)) == (0.0, 4999.0)


def test_data_and_code_that_differ_are_told(project: Path):
    import pandas as pd

    table = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    with snap.run("first", data=table, system=False):
        pass
    with snap.run("second", data=table.assign(c=1).drop(columns="b"), system=False):
        pass
    told = snap.runs.compare(["first", "second"]).data
    assert told[0] == "dataframe@1 and dataframe@2"
    assert "without the columns b" in told
    assert "with the columns c" in told
    assert snap.runs.show("second").dataset_name == "dataframe@2"


def test_a_deleted_run_is_in_no_list_until_it_is_restored(project: Path):
    with snap.run("outer", system=False) as outer, snap.run("inner", system=False) as inner:
        inner.log(m=1.0)
    snap.runs.delete([outer.id])
    assert snap.runs.list().runs == []
    assert snap.runs.search("metric.m == 1").runs == []
    with pytest.raises(NotFoundError):
        snap.runs.show("outer")
    assert snap.runs.show(outer.id).deleted_at
    snap.runs.restore([outer.id])
    assert {run.name for run in snap.runs.search("").runs} == {"outer", "inner"}
    assert snap.runs.show(inner.id).metrics == {"m": 1.0}


def test_a_run_that_goes_on_is_not_deleted(project: Path):
    with snap.run("open", system=False) as run, pytest.raises(ConflictError, match="is running"):
        snap.runs.delete([run.id])


def test_tags_and_a_note_are_set_and_removed(project: Path):
    run = learnt("tagged", 0.1)
    view = snap.runs.tag(run, tags={"team": "a", "stage": "try"}, note="the first that works")
    assert (view.tags, view.note) == ({"team": "a", "stage": "try"}, "the first that works")
    view = snap.runs.tag(run, tags={"team": ""}, note="")
    assert (view.tags, view.note) == ({"stage": "try"}, None)
    with pytest.raises(InvalidInputError):
        snap.runs.tag(run)


def test_a_file_of_a_run_is_fetched_and_nothing_is_overwritten(project: Path):
    (project / "report.txt").write_text("so it went")
    with snap.run("with a file", system=False) as run:
        run.artifact(project / "report.txt")
    with pytest.raises(ConflictError, match="is there already"):
        snap.runs.fetch(run.id, "report.txt")
    got = snap.runs.fetch(run.id, "report.txt", to="copy.txt")
    assert Path(got.path).read_text() == "so it went"
    Path(got.path).write_text("a copy may be changed")
    assert snap.runs.fetch(run.id, "report.txt", to="again.txt").size == 10
    with pytest.raises(NotFoundError, match="has no file"):
        snap.runs.fetch(run.id, "other.txt")


def test_hostile_names_are_text_wherever_they_are_shown(project: Path):
    hostile = "<img src=x onerror=alert(1)>"
    with snap.run(hostile, params={hostile: hostile}, tags={hostile: hostile}, system=False) as run:
        run.log({hostile: 1.0})
        run.log({hostile: 2.0})
    for view in (snap.runs.list(), snap.runs.show(run.id), snap.runs.compare([run.id, run.id])):
        assert "<img" not in view.html()


SCRIPT = """
import snapml_lab as snap
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

snap.autolog()
X, y = load_iris(return_X_y=True, as_frame=True)
LogisticRegression(max_iter=300).fit(X, y)
with snap.run("an experiment", system=False):
    make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(X, y)
    LogisticRegression(max_iter=200).fit(X, y)
GridSearchCV(LogisticRegression(max_iter=300), {"C": [0.1, 1.0]}, cv=3).fit(X, y)

class Own(LogisticRegression):
    def fit(self, X, y):
        return super().fit(X, y)

Own(max_iter=300).fit(X, y)
snap.autolog(off=True)
LogisticRegression(max_iter=300).fit(X, y)
"""


def test_fits_of_scikit_learn_are_recorded_by_themselves_each_once(project: Path, ws: Workspace):
    (project / "study.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "study.py"], cwd=project, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = {run.name: run for run in runs.latest(ws.ledger, kind=None, limit=10)}
    assert list(found) == ["Own", "GridSearchCV", "an experiment", "LogisticRegression"]
    assert all(run.state == "succeeded" for run in found.values())
    plain = found["LogisticRegression"]
    assert (plain.kind, plain.params["max_iter"], plain.params["rows"]) == ("fit", "300", "150")
    assert plain.metrics["training_score"] > 0.9
    assert plain.script == "study.py"
    whole = found["an experiment"]
    assert whole.params["logisticregression__C"] == "0.5"
    assert [child.name for child in runs.children(ws.ledger, whole.id)] == ["LogisticRegression"]
    candidates = runs.children(ws.ledger, found["GridSearchCV"].id)
    assert [item.params["C"] for item in candidates] == ["0.1", "1.0"]
    assert found["GridSearchCV"].metrics["best_cv_score"] == max(
        item.metrics["mean_test_score"] for item in candidates
    )


TRAINING = """
import torch
import snapml_lab as snap
snap.autolog()
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
                                     num_attention_heads=2, num_key_value_heads=2))
rows = [{"input_ids": torch.arange(8) % 32, "labels": torch.arange(8) % 32} for _ in range(16)]
arguments = TrainingArguments("out", max_steps=6, logging_steps=2, per_device_train_batch_size=4, report_to="none",
                              save_strategy="no", use_cpu=True, disable_tqdm=True)
Trainer(model, arguments, train_dataset=rows).train()
"""


def test_a_training_of_hugging_face_is_recorded_by_itself(project: Path, ws: Workspace):
    (project / "train.py").write_text(TRAINING)
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=project, capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = runs.get(ws.ledger, "LlamaForCausalLM")
    assert run.params["max_steps"] == "6"
    steps, losses = runs.curve(ws.ledger, run.id, "loss")
    assert steps == [2, 4, 6]
    assert losses[-1] < losses[0]


MODULE = """
import torch
from lightning.pytorch import LightningModule, Trainer
import snapml_lab as snap


class Line(LightningModule):
    def __init__(self, rate=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, _):
        x, y = batch
        loss = torch.nn.functional.mse_loss(self.layer(x), y)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.rate)


snap.autolog()
torch.manual_seed(0)
x = torch.linspace(0, 1, 32).unsqueeze(1)
rows = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, 2 * x), batch_size=8)
trainer = Trainer(max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                  enable_model_summary=False, log_every_n_steps=2)
trainer.fit(Line(), rows)
print("loss", float(trainer.callback_metrics["train_loss"]))
"""


def test_a_training_of_lightning_is_recorded_by_itself_though_it_was_imported_before(
    project: Path, ws: Workspace
):
    (project / "train.py").write_text(MODULE)
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=project, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    run = runs.get(ws.ledger, "Line")
    assert (run.params["rate"], run.params["max_epochs"]) == ("0.1", "3")
    steps, losses = runs.curve(ws.ledger, run.id, "train_loss")
    assert steps[-1] == 12
    assert losses[-1] == pytest.approx(float(done.stdout.split("loss ")[1].split()[0]))


def test_a_job_of_ours_measures_what_it_takes_of_the_machine(project: Path, ws: Workspace, flowers):
    job = snap.automl("flowers.csv", target="target", time=4)
    assert job
    (run,) = runs.latest(ws.ledger, kind="automl", limit=1)
    assert run.metrics["system/memory_mib"] > 10


def test_the_server_reads_what_a_dead_kernel_left(project: Path, serve):
    server = serve(project)
    source = (
        "import os, snapml_lab as snap\n"
        "r = snap.run('left', system=False)\n"
        "r.log(loss=0.5)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", source], check=False, timeout=60)
    answer = server.ask("runs show", {"run": "left"})
    assert (answer.json()["state"], answer.json()["metrics"]) == ("lost", {"loss": 0.5})


def test_what_an_open_run_logs_is_in_the_ledger_within_seconds_without_a_reader(ws: Workspace):
    import time

    with snap.run("open", system=False) as run:
        run.log(loss=0.5)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if row := ws.ledger.row("SELECT value FROM latest_metrics WHERE run = ?", run.id):
                assert row["value"] == 0.5
                assert live.alive(live.folder(ws, run.id))
                return
            time.sleep(0.1)
    raise AssertionError(json.dumps([dict(row) for row in ws.ledger.rows("SELECT * FROM runs")]))
