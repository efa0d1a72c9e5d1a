"""MLflow's runs and models here, and ours there, each time with the real package in an environment of its own."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression, Ridge

import snapml_lab as snap
from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError, SnapmlError
from snapml_lab.registry import versions
from snapml_lab.store import curve
from snapml_lab.tracking import runs
from snapml_lab.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

REPO = Path(__file__).resolve().parents[2]
_SIDE = Path(__file__).with_name("mlflow_side.py")

Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter of an environment with MLflow, made once, where the benchmarks keep their rivals'."""
    sys.path.insert(0, str(REPO / "benchmarks"))
    try:
        from rivals import mlflow_python
    finally:
        sys.path.pop(0)
    return mlflow_python()


@pytest.fixture(scope="session")
def mlflow(python: str, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Have MLflow do something in a process of its own."""
    home = tmp_path_factory.mktemp("mlflow-home")

    def do(what: str, **arguments: Any) -> Any:
        done = subprocess.run(
            [python, "-I", str(_SIDE)], input=json.dumps({"do": what, "with": arguments}), text=True, capture_output=True,
            cwd=home, env={**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true"}, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return do


@pytest.fixture(scope="session")
def store(mlflow: Ask, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """A store with a training in it, and what MLflow says is in it."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"
    return uri, mlflow("train", uri=uri)


@pytest.fixture
def here(ws: Workspace, python: str, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("SNAPML_MLFLOW_PYTHON", python)
    return ws


def rows() -> pd.DataFrame:
    return load_breast_cancer(as_frame=True).data


def history(ws: Workspace, run: str, name: str) -> list[list[Any]]:
    return sorted(
        [step, round(at * 1000), repr(value)]
        for step, at, value in curve.points(ws.ledger.connection, run, name)
    )


def state(ws: Workspace) -> dict[str, list[Any]]:
    """Everything the ledger holds but what says when somebody asked."""
    tables = (
        "runs",
        "params",
        "tags",
        "artifacts",
        "metric_chunks",
        "latest_metrics",
        "model_versions",
        "sources",
    )
    return {name: sorted(map(repr, map(tuple, ws.ledger.rows(f"SELECT * FROM {name}")))) for name in tables}


def test_what_mlflow_has_of_each_run_is_here_figure_by_figure(here, store):
    uri, told = store
    found = snap.runs.import_(uri).runs
    assert {run.mlflow for run in found} == set(told["runs"])
    assert all(run.was == "added" for run in found)
    for item in found:
        there, run = told["runs"][item.mlflow], runs.of_ids(here.ledger, [item.id])[0]
        assert run.name == there["name"]
        assert run.params == there["params"]
        assert {name: run.tags[name] for name in there["tags"]} == there["tags"]
        assert {name: history(here, run.id, name) for name in there["history"]} == there["history"]
        assert round(run.started_at * 1000) == there["start"]
        assert round(run.ended_at * 1000) == there["end"]
        assert set(there["files"]) <= {file.name for file in run.artifacts}
        assert run.state == {"FINISHED": "succeeded", "FAILED": "failed"}[there["status"]]
    outer, inner = (next(run for run in found if run.mlflow == told[which]) for which in ("outer", "inner"))
    assert runs.of_ids(here.ledger, [inner.id])[0].parent == outer.id
    kept = next(
        file for file in runs.of_ids(here.ledger, [outer.id])[0].artifacts if file.name == "notes/a b.txt"
    )
    assert here.blobs.verified(kept.blob).decode() == "wörds"
    assert runs.of_ids(here.ledger, [outer.id])[0].note == "a note"
    data = json.loads(runs.of_ids(here.ledger, [inner.id])[0].tags["mlflow.dataset.0"])
    assert json.loads(data["profile"])["num_rows"] == 569


def test_numbers_are_searched_and_pages_are_shown(here, store):
    uri, _ = store
    snap.runs.import_(uri)
    found = snap.runs.search("metric['train/loss'] < 0.001 and param.lr < 0.01").runs
    assert [run.name for run in found] == ["outer"]
    assert "<b>" not in snap.runs.show("outer").html()
    assert [run.name for run in snap.runs.list().runs] == ["broken", "outer"]


def test_importing_again_adds_nothing(here, store):
    uri, _ = store
    snap.runs.import_(uri)
    before = state(here)
    assert {run.was for run in snap.runs.import_(uri).runs} == {"same"}
    assert state(here) == before


def test_a_run_that_has_grown_is_brought_again_and_its_id_is_the_same(here, mlflow, tmp_path, store):
    place = tmp_path / "mlflow.db"
    run = mlflow("points", uri=f"sqlite:///{place}", run_name="long", number=3000)
    (first,) = snap.runs.import_(str(place)).runs
    assert (first.was, first.state) == ("added", "lost")
    assert len(history(here, first.id, "m")) == 3000
    snap.runs.tag(first.id, tags={"mine": "kept"})
    mlflow("grow", uri=f"sqlite:///{place}", run=run)
    (second,) = snap.runs.import_(str(place)).runs
    assert (second.was, second.id) == ("updated", first.id)
    found = runs.of_ids(here.ledger, [first.id])[0]
    assert found.metrics == {"m": 2999.0, "train/loss": 0.5}
    assert found.params == {"late": "yes"}
    assert found.tags["mine"] == "kept"
    assert len(history(here, first.id, "m")) == 3000


def test_one_run_comes_with_those_nested_in_it_and_one_experiment_alone(here, store):
    uri, told = store
    assert {run.mlflow for run in snap.runs.import_(uri, run=told["outer"]).runs} == {
        told["outer"],
        told["inner"],
    }
    assert len(snap.runs.import_(uri, experiment="real / ünïcode").runs) == 3
    assert snap.runs.import_(uri, experiment="Default").runs == []


def test_an_autologged_pickle_is_kept_as_files_until_it_is_trusted_and_then_answers_the_same(
    here, store, snapml
):
    uri, told = store
    view = snap.runs.import_(uri)
    assert any("pickle" in note or "skops" in note for run in view.runs for note in run.notes)
    assert versions.latest(here.ledger, 9) == []
    view = snap.runs.import_(uri, trust=True)
    (reference,) = [model for run in view.runs for model in run.models]
    model = snap.models.show(reference)
    assert model.run_name == "inner"
    assert (model.format, model.task) == ("skops", "binary")
    assert model.example is not None
    said = snap.predict(reference, rows())
    assert said.predictions == [str(value) for value in told["predicted"]]
    assert said.probabilities == pytest.approx(told["probability"])
    again = snap.runs.import_(uri, trust=True)
    assert [model for run in again.runs for model in run.models] == []
    assert len(versions.latest(here.ledger, 9)) == 1


def test_a_registered_model_comes_by_name_version_or_alias_once_with_its_run(here, store):
    uri, told = store
    with pytest.raises(ConflictError, match="pickle"):
        snap.models.import_(uri, "cancer")
    model = snap.models.import_(uri, "cancer@champion", trust=True)
    assert model.name == "cancer"
    assert "champion" in model.note
    assert model.aliases == []
    assert snap.models.import_(uri, "cancer@1", trust=True).id == model.id
    assert snap.models.import_(uri, "cancer").id == model.id
    run = snap.runs.show(model.run)
    assert run.name == "inner"
    assert snap.predict("cancer", rows()).predictions == [str(value) for value in told["predicted"]]
    with pytest.raises(ConflictError, match="no model 'nobody'"):
        snap.models.import_(uri, "nobody")


def recorded(ws: Workspace) -> str:
    """A run of ours with all a run can have."""
    with snap.run(
        "ours: one/two",
        params={"lr": 0.01, "long": "y" * 9000, "odd name (é?)": 1},
        tags={"team": "a", "b?c": "d"},
    ) as run:
        for step in range(2500):
            run.log(loss=1 / (step + 1), step=step)
        run.log({"val/acc": 0.5, "müll (%)": float("nan")}, step=7)
        Path("file.txt").write_text("content")
        run.artifact("file.txt", name="texts/file.txt")
        Path("folder/inner").mkdir(parents=True)
        Path("folder/inner/a.txt").write_text("a")
        run.artifact("folder")
        run.nested("trial", kind="trial", params={"k": 1}, metrics={"score": 0.25})
    return run.id


def test_an_exported_run_is_whole_in_mlflow(here, mlflow, tmp_path):
    run = recorded(here)
    uri = f"sqlite:///{tmp_path / 'theirs.db'}"
    view = snap.runs.export(run, to=uri)
    assert [item.new for item in view.runs] == [True, True]
    there = mlflow("dumped", uri=uri)
    outer, trial = (there[item.mlflow] for item in view.runs)
    ours = runs.get(here.ledger, run)
    assert (outer["name"], outer["status"]) == (ours.name, "FINISHED")
    assert outer["start"] == round(ours.started_at * 1000)
    assert outer["history"]["loss"] == history(here, run, "loss")
    assert outer["history"]["val/acc"][0][2] == "0.5"
    assert outer["history"]["müll ___"][0][2] == "nan"
    assert outer["params"]["lr"] == "0.01"
    assert outer["params"]["long"] == "y" * 5000
    assert outer["tags"]["mlflow.user"] == ours.actor
    assert {"texts/file.txt", "folder/inner/a.txt"} <= set(outer["files"])
    assert trial["tags"]["mlflow.parentRunId"] == view.runs[0].mlflow
    assert trial["history"]["score"][0][2] == "0.25"
    assert [item.new for item in snap.runs.export(run, to=uri).runs] == [False, False]
    assert set(mlflow("dumped", uri=uri)) == set(there)


def test_what_was_exported_comes_back_as_it_was(here, tmp_path, monkeypatch):
    run = recorded(here)
    uri = str(tmp_path / "theirs.db")
    snap.runs.export(run, to=uri)
    assert {item.was for item in snap.runs.import_(uri).runs} == {"same"}
    other = Workspace(tmp_path / "other" / ".snapml")
    monkeypatch.setenv("SNAPML_WORKSPACE", str(tmp_path / "other"))
    snap.runs.import_(uri)
    for ours in (run, runs.children(here.ledger, run)[0].id):
        first, second = (runs.get(ws.ledger, ours) for ws in (here, other))
        same = (
            "id",
            "kind",
            "name",
            "parent",
            "state",
            "params",
            "notebook",
            "cell_id",
            "git_commit",
            "environment",
        )
        assert {name: getattr(second, name) for name in same} == {name: getattr(first, name) for name in same}
        assert (second.started_at, second.ended_at) == (first.started_at, first.ended_at)
        assert {name: second.tags[name] for name in first.tags} == first.tags
        assert {name: history(other, ours, name) for name in first.metrics} == {
            name: history(here, ours, name) for name in first.metrics
        }
    assert {row["name"] for row in other.ledger.rows("SELECT name FROM latest_metrics WHERE run = ?", run)} == {
        "loss", "val/acc", "müll (%)", *(name for name in runs.get(here.ledger, run).metrics if name.startswith("system/")),
    }  # fmt: skip


def test_an_mlruns_folder_is_written_and_read_as_well(here, mlflow, tmp_path):
    run = recorded(here)
    place = tmp_path / "mlruns"
    (given, _) = snap.runs.export(run, to=str(place)).runs
    assert mlflow("dumped", uri=place.as_uri())[given.mlflow]["history"]["loss"] == history(here, run, "loss")
    moved = tmp_path / "elsewhere" / "mlruns"
    moved.parent.mkdir()
    shutil.move(place, moved)  # its files say where they were; they are found where they are
    view = snap.runs.import_(str(moved.parent))
    assert {item.was for item in view.runs} == {"same"}
    assert [note for item in view.runs for note in item.notes] == []


def exported(model: str, uri: str) -> str:
    given = snap.models.export(model, to=uri)
    assert given.new
    assert not snap.models.export(model, to=uri).new
    return f"models:/{given.name}/{given.version}"


def test_a_model_of_a_search_predicts_the_same_in_mlflow_and_comes_back(
    learnt, ws, python, mlflow, tmp_path, monkeypatch
):
    monkeypatch.setenv("SNAPML_MLFLOW_PYTHON", python)
    uri = f"sqlite:///{tmp_path / 'theirs.db'}"
    there = exported("flowers-target", uri)
    frame = pd.read_csv(learnt / "flowers.csv")
    said = snap.predict("flowers-target", "flowers.csv")
    table = {"columns": list(frame.columns), "data": frame.to_numpy().tolist()}
    answer = mlflow("ask", uri=uri, model=there, rows=table)
    assert answer["target"] == said.predictions
    assert answer["probability"] == pytest.approx(said.probabilities)
    assert snap.models.import_(uri, "flowers-target").id == snap.models.show("flowers-target").id
    other = Workspace(tmp_path / "other" / ".snapml")
    monkeypatch.setenv("SNAPML_WORKSPACE", str(tmp_path / "other"))
    back = snap.models.import_(uri, "flowers-target")
    ours = versions.find(ws.ledger, "flowers-target")
    assert (back.blob, back.run, back.task, back.signature) == (
        ours.blob,
        ours.run,
        ours.task,
        ours.signature,
    )
    assert back.evidence["score"] == ours.evidence["score"]
    assert other.blobs.verified(back.example) is not None


@pytest.mark.parametrize("array", [False, True])
def test_a_model_that_was_added_predicts_the_same_in_mlflow_and_comes_back(
    here, mlflow, tmp_path, monkeypatch, array
):
    table = rows()
    given = table.to_numpy() if array else table
    truth = load_breast_cancer().target
    snap.models.add(
        LogisticRegression(max_iter=5000).fit(given, truth), name="added", example=given, note="by hand"
    )
    snap.models.add(Ridge().fit(given, table["mean area"]), name="number", example=given)
    uri = f"sqlite:///{tmp_path / 'theirs.db'}"
    shown = {"columns": list(table.columns), "data": table.to_numpy().tolist()}
    named = table.set_axis([f"x{i}" for i in range(table.shape[1])], axis=1) if array else table
    for name in ("added", "number"):
        answer = mlflow("ask", uri=uri, model=exported(name, uri), rows=shown, array=array)
        said = snap.predict(name, named).predictions
        assert ([str(value) for value in answer] if name == "added" else answer) == (
            said if name == "added" else pytest.approx(said)
        )
    monkeypatch.setenv("SNAPML_WORKSPACE", str(tmp_path / "other"))
    back = snap.models.import_(uri, "added")
    assert (back.blob, back.note) == (versions.find(here.ledger, "added").blob, "by hand")
    assert snap.predict("added", named).predictions == [
        str(v) for v in LogisticRegression(max_iter=5000).fit(given, truth).predict(given)
    ]


def test_a_language_model_is_not_exported(here, tmp_path):
    with here.ledger.write() as connection:
        versions.register(
            connection, name="tuned", run=None, blob="0" * 64, size=1, format="peft", task="chat", signature={"base": "b"},
            evidence={}, at=1.0,
        )  # fmt: skip
    with pytest.raises(ConflictError, match="peft"):
        snap.models.export("tuned", to=str(tmp_path / "x.db"))


def test_a_store_that_is_not_there_is_told_and_not_made(here, tmp_path):
    for uri in (
        f"sqlite:///{tmp_path}/no.db",
        str(tmp_path / "no.db"),
        str(tmp_path / "mlruns"),
        f"file://{tmp_path}/mlruns",
    ):
        with pytest.raises(NotFoundError, match="no MLflow store"):
            snap.runs.import_(uri)
    assert list(tmp_path.glob("*")) == [tmp_path / "project"]


def test_what_is_no_store_is_told(here, tmp_path):
    (tmp_path / "words.db").write_text("these are words, not a database")
    with pytest.raises(InvalidInputError, match="SQLite"):
        snap.runs.import_(str(tmp_path / "words.db"))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").touch()
    with pytest.raises(InvalidInputError, match="mlruns"):
        snap.runs.import_(str(folder))
    sqlite3.connect(tmp_path / "foreign.db").execute("CREATE TABLE a (b)").connection.commit()
    before = (tmp_path / "foreign.db").read_bytes()
    for bring in (snap.runs.import_, lambda uri: snap.runs.export(recorded(here), to=uri)):
        with pytest.raises(InvalidInputError, match="MLflow"):
            bring(str(tmp_path / "foreign.db"))
    assert (tmp_path / "foreign.db").read_bytes() == before


def test_a_torn_mlruns_folder_leaves_nothing_half_written(here, tmp_path):
    run = recorded(here)
    place = tmp_path / "mlruns"
    (outer, _) = snap.runs.export(run, to=str(place)).runs
    (torn,) = place.glob(f"*/{outer.mlflow}/metrics/loss")
    torn.write_text(torn.read_text()[:-20] + "\nwords\n")
    other = Workspace(tmp_path / "other" / ".snapml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNAPML_WORKSPACE", str(tmp_path / "other"))
        with pytest.raises(SnapmlError, match=r"MLflow|loss"):
            snap.runs.import_(str(place), run=outer.mlflow)
    assert other.ledger.rows("SELECT * FROM runs") == []
    assert other.ledger.rows("SELECT * FROM params") == []


def test_artifacts_that_a_store_says_are_elsewhere_are_not_read(here, mlflow, tmp_path):
    place = tmp_path / "mlflow.db"
    mlflow("points", uri=f"sqlite:///{place}", run_name="a", number=1000)
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.txt").write_text("hidden")
    with sqlite3.connect(place) as connection:
        connection.execute("UPDATE runs SET artifact_uri = ?", (str(secret),))
    with pytest.raises(ConflictError, match="no folder of its own"):
        snap.runs.import_(str(place))
    assert here.ledger.rows("SELECT * FROM runs") == []


def test_links_among_artifacts_are_left_out(here, tmp_path):
    run = recorded(here)
    place = tmp_path / "mlruns"
    (outer, _) = snap.runs.export(run, to=str(place)).runs
    (files,) = place.glob(f"*/{outer.mlflow}/artifacts")
    (files / "link.txt").symlink_to("/etc/hostname")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNAPML_WORKSPACE", str(tmp_path / "other"))
        view = snap.runs.import_(str(place))
        assert "link.txt" not in {file.name for file in snap.runs.show(run).artifacts}
    assert any("link.txt" in note for item in view.runs for note in item.notes)


def test_an_interpreter_without_mlflow_and_one_that_is_none_are_told(ws, store, tmp_path):
    uri, _ = store
    with pytest.raises(SnapmlError, match="no MLflow") as told:
        snap.runs.import_(uri, python=sys.executable)
    assert "--python" in told.value.fix
    with pytest.raises(InvalidInputError, match="interpreter"):
        snap.runs.import_(uri, python=str(tmp_path / "nothing"))
    with pytest.raises(SnapmlError, match="not installed"):
        snap.runs.import_(uri)


def test_the_command_line_and_the_page_of_an_imported_run(here, store, snapml):
    uri, _ = store
    done = snapml("runs", "import", uri)
    assert done.returncode == 0, done.stderr
    assert "3 runs: 3 added, 0 updated, 0 same" in done.stdout
