"""AutoML from a table to a model with its evidence, by Python and the terminal; honest about chance, strict on input."""

import json
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import snapml_lab as snap
from snapml_lab.automl.families import BASELINE
from snapml_lab.errors import InvalidInputError, NotFoundError, SnapmlError, StoreDamagedError
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import State
from snapml_lab.workspace import Workspace


def _table(name):
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(as_frame=True).frame


@pytest.mark.parametrize(
    ("name", "task", "metric"),
    [("iris", "multiclass", "accuracy"), ("diabetes", "regression", "rmse"), ("breast_cancer", "binary", "roc_auc")],
)  # fmt: skip
def test_a_table_becomes_a_model_that_beats_the_baseline_and_predicts(ws, name, task, metric):
    frame = _table(name)
    board = snap.automl(frame, target="target", time=2, name=name)
    assert (board.state, board.task, board.metric, board.error) == ("succeeded", task, metric, None)
    assert (board.rows, board.model) == (len(frame), f"{name}@1")
    assert len(board.trials) >= 2
    assert {BASELINE} < {trial.family for trial in board.trials}
    _check_board(board)
    assert not board.held_out.could_be_chance
    assert board.held_out.improvement_low > 0
    predicted = snap.predict(name, frame.drop(columns="target"))
    assert len(predicted.predictions) == len(frame)
    if task == "regression":
        assert np.corrcoef(predicted.predictions, frame["target"])[0, 1] > 0.5
        assert predicted.probabilities is None
    else:
        assert np.mean(np.asarray(predicted.predictions) == frame["target"].astype(str)) > 0.85
        assert all(0 < probability <= 1 for probability in predicted.probabilities)


def _check_board(board):
    sign = 1 if board.higher_is_better else -1
    scores = [sign * trial.score for trial in board.trials]
    assert scores == sorted(scores, reverse=True), "the board is ranked"
    for trial in board.trials:
        assert trial.low <= trial.score <= trial.high
    assert board.trials[0].p_value is None
    assert all(0 <= trial.p_value <= 1 for trial in board.trials[1:])
    best = [sign * value for value in board.curve().y]
    assert best == sorted(best), "the best so far never gets worse"
    assert board.curve().x == sorted(board.curve().x)
    held = board.held_out
    assert held.low <= held.score <= held.high
    assert held.improvement_low <= held.improvement <= held.improvement_high
    assert held.rows == pytest.approx(board.rows * 0.2, abs=2)


def test_the_terminal_learns_predicts_and_shows_the_board(flowers, snapml, project):
    done = snapml("automl", "flowers.csv", "--target", "target", "--time", "6", "--metric", "log_loss")
    assert done.returncode == 0, done.stderr
    assert "flowers-target@1" in done.stdout
    assert "not chance" in done.stdout
    assert "95% interval" in done.stdout
    assert "% trying " in done.stderr, "a log shows what is being done, a line each"
    board = json.loads(snapml("leaderboard", "--json").stdout)
    assert (board["model"], board["metric"]) == ("flowers-target@1", "log_loss")
    assert board["held_out"]["could_be_chance"] is False
    assert board["trials"][0]["name"] in done.stdout
    done = snapml("predict", "flowers-target", "flowers.csv", "--out", "said.csv")
    assert done.returncode == 0, done.stderr
    said = pd.read_csv(project / "said.csv")
    assert list(said.columns) == ["target", "probability"]
    assert len(said) == 150


def test_the_board_is_true_while_the_search_runs_and_after(ws, flowers, until):
    job = snap.automl("flowers.csv", target="target", time=8, background=True)
    assert job.kind == "automl"
    during = until(lambda: board if (board := snap.leaderboard(job.id)).trials else None)
    assert during.state == "running"
    assert during.held_out is None
    assert during.model is None
    assert during.job == job.id
    assert "<svg" in during.html()
    more = until(
        lambda: board if len((board := snap.leaderboard(job.id)).trials) > len(during.trials) else None
    )
    assert {trial.name for trial in during.trials} < {trial.name for trial in more.trials}
    queue.wait(ws, queue.get(ws, job.id), timeout=60)
    after = snap.leaderboard(job.id)
    assert after.state == "succeeded"
    assert after.model == "flowers-target@1"
    assert {trial.name for trial in more.trials} <= {trial.name for trial in after.trials}
    _check_board(after)
    assert "could be chance" in after.text() or "not chance" in after.text()


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def test_the_picture_is_static_html_with_charts_and_no_scripts(learnt):
    tags = _Tags()
    tags.feed(snap.leaderboard().html())
    names = [tag for tag, _ in tags.seen]
    assert names.count("svg") == 2
    assert not {"script", "img", "link", "iframe"} & set(names)
    assert not [attrs for _, attrs in tags.seen if any(name.startswith("on") for name in attrs)]


def test_what_was_learnt_is_recorded_with_its_data_environment_and_trials(learnt):
    board = snap.leaderboard()
    run = snap.runs.show(board.job)
    dataset = snap.data.list().datasets[0]
    assert (run.kind, run.dataset) == ("automl", dataset.sha256)
    assert run.params["target"] == "target"
    assert run.environment
    trials = snap.runs.list(kind="trial").runs
    assert {trial.name for trial in trials} == {trial.name for trial in board.trials}
    assert {trial.parent for trial in trials} == {board.job}
    model = snap.models.show(board.model)
    assert (model.run, model.format) == (board.job, "skops")
    assert model.evidence["score"] == board.held_out.score


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_on_pure_noise_the_verdict_is_that_it_could_be_chance(ws, kind):
    generator = np.random.default_rng(3)
    frame = pd.DataFrame(generator.normal(size=(200, 5)), columns=list("abcde"))
    frame["y"] = generator.integers(0, 2, 200) if kind == "classes" else generator.normal(size=200)
    board = snap.automl(frame, target="y", time=1.5, name="noise")
    assert board.held_out.could_be_chance is True
    assert board.held_out.improvement_low <= 0
    assert "could be chance" in board.text()
    assert snap.models.show("noise").evidence["could_be_chance"] is True


def _mixed(rows=160):
    generator = np.random.default_rng(1)
    frame = pd.DataFrame({
        "amount": generator.normal(size=rows), "whole": generator.integers(0, 9, rows),
        "colour": generator.choice(["red", "green", "blue"], rows), "flag": generator.random(rows) > 0.5,
        "when": pd.Timestamp("2025-01-01") + pd.to_timedelta(generator.integers(0, 400, rows), unit="D"),
        "nothing": np.nan, "same": 1, "note": [f"free text {i} of its own" for i in range(rows)],
        "日本 & <b>": generator.normal(size=rows),
        "level": pd.Categorical(generator.choice(["low", "high"], rows)),
        "maybe": pd.array(generator.choice([1, 2, None], rows), dtype="Int64"),
        "yes": pd.array(generator.choice([True, False, None], rows), dtype="boolean"),
    })  # fmt: skip
    for column in ("amount", "colour", "when"):
        frame.loc[generator.choice(rows, rows // 8, replace=False), column] = None
    frame["y"] = np.where((frame["colour"] == "red") ^ frame["flag"], "good", "bad")
    frame.loc[:4, "y"] = None
    return frame


def test_a_table_of_every_kind_of_column_with_gaps_is_learnt_from(ws, project):
    frame = _mixed()
    board = snap.automl(frame, target="y", time=2.5, name="mixed")
    assert not board.held_out.could_be_chance
    signature = snap.models.show("mixed").signature
    assert set(signature["numeric"]) == {"amount", "whole", "日本 & <b>", "maybe"}
    assert set(signature["categorical"]) == {"colour", "flag", "level", "yes"}
    assert signature["times"] == ["when"]
    assert set(signature["left_out"]) == {"nothing", "same", "note"}
    # A table in another order, with a category never seen and a row of gaps, is predicted just as well.
    other = frame.drop(columns="y").iloc[::-1].reset_index(drop=True)
    frame.drop(columns="y").to_parquet(project / "mixed.parquet")
    straight = snap.predict("mixed", "mixed.parquet").predictions
    assert straight == list(reversed(snap.predict("mixed", other).predictions))
    other.loc[0, ["amount", "colour", "when"]] = None
    other.loc[1, "colour"] = "violet"
    assert snap.predict("mixed", other).predictions[2:] == list(reversed(straight))[2:]


def test_the_least_that_can_be_learnt_from_is_enough(ws):
    frame = pd.DataFrame({"x": range(20), "y": ["a"] * 17 + ["b"] * 3})
    board = snap.automl(frame, target="y", time=0.5, name="least")
    assert board.state == "succeeded"
    assert set(snap.predict("least", frame).predictions) <= {"a", "b"}


def test_a_time_box_too_short_for_anything_still_gives_a_model(ws, flowers):
    board = snap.automl("flowers.csv", target="target", time=0.01)
    assert board.state == "succeeded"
    assert len(board.trials) >= 2
    assert board.model == "flowers-target@1"


def test_the_same_table_again_is_the_same_dataset_and_a_new_model_version(learnt):
    first = snap.leaderboard()
    second = snap.automl("flowers@1", target="target", time=0.5, name="flowers-target")
    assert (first.model, second.model) == ("flowers-target@1", "flowers-target@2")
    assert first.dataset == second.dataset == "flowers@1"


def test_a_search_that_is_cancelled_keeps_its_trials_and_makes_no_model(ws, flowers, until):
    job = snap.automl("flowers.csv", target="target", time=60, background=True)
    until(lambda: snap.leaderboard(job.id).trials)
    snap.jobs.cancel(job.id, grace=1)
    assert queue.wait(ws, queue.get(ws, job.id), timeout=30).state is State.CANCELLED
    board = snap.leaderboard(job.id)
    assert (board.state, board.model, board.held_out) == ("cancelled", None, None)
    assert board.trials
    assert "cancelled" in board.text()


# Bad input: a clear error, and nothing half-written.


def _bad_files(project):
    (project / "empty.csv").write_bytes(b"")
    (project / "header.csv").write_text("a,b,y\n")
    (project / "binary.csv").write_bytes(b"\x00\x01\xff\xfe" * 50)
    (project / "ragged.csv").write_text("a,b\n1,2\n3,4,5,6\n")
    (project / "torn.parquet").write_bytes(b"PAR1 and then nothing")
    (project / "one.csv").write_text("a,y\n" + "".join(f"{i},same\n" for i in range(40)))
    (project / "few.csv").write_text("a,y\n1,0\n2,1\n")
    (project / "rare.csv").write_text("a,y\n" + "".join(f"{i},c{int(i > 38)}\n" for i in range(40)))
    (project / "many.csv").write_text("a,y\n" + "".join(f"{i},c{i % 8}\n" for i in range(24)))
    (project / "single.csv").write_text("y\n" + "".join(f"c{i % 2}\n" for i in range(40)))
    (project / "useless.csv").write_text("a,y\n" + "".join(f"1,c{i % 2}\n" for i in range(40)))
    (project / "good.csv").write_text("a,y\n" + "".join(f"{i},c{i % 2}\n" for i in range(40)))
    (project / "picture.png").write_bytes(b"\x89PNG")
    (project / "folder.csv").mkdir()


BAD = {
    "missing target": ("good.csv", {"target": "Y2"}, "invalid_input", "target"),
    "target of one class": ("one.csv", {}, "invalid_input", "same"),
    "empty file": ("empty.csv", {}, "invalid_input", "empty"),
    "header only": ("header.csv", {}, "invalid_input", "no rows"),
    "binary": ("binary.csv", {}, "invalid_input", "binary.csv"),
    "ragged": ("ragged.csv", {}, "invalid_input", "ragged.csv"),
    "torn parquet": ("torn.parquet", {}, "invalid_input", "torn.parquet"),
    "no such file": ("absent.csv", {}, "not_found", "absent.csv"),
    "a folder": ("folder.csv", {}, "not_found", "folder.csv"),
    "no table": ("picture.png", {}, "invalid_input", "picture.png"),
    "too few rows": ("few.csv", {}, "invalid_input", "rows"),
    "a rare class": ("rare.csv", {}, "invalid_input", "c1"),
    "too many classes for the rows set aside": ("many.csv", {}, "invalid_input", "8"),
    "only the target": ("single.csv", {}, "invalid_input", "only column"),
    "nothing to learn from": ("useless.csv", {}, "invalid_input", "a"),
    "a metric of another task": ("good.csv", {"metric": "rmse"}, "invalid_input", "metric"),
    "no metric at all": ("good.csv", {"metric": "beauty"}, "invalid_input", "metric"),
    "text as time": ("good.csv", {"time": "soon"}, "invalid_input", "time"),
    "no time": ("good.csv", {"time": 0}, "invalid_input", "time"),
    "endless": ("good.csv", {"time": float("inf")}, "invalid_input", "time"),
    "regression of text": ("good.csv", {"task": "regression"}, "invalid_input", "regression"),
    "a name that is a path": ("good.csv", {"name": "../x"}, "invalid_input", "name"),
    "no such parameter": ("good.csv", {"speed": 9}, "invalid_input", "speed"),
    "no such version": ("kept@7", {}, "not_found", "7"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_input_is_an_error_with_a_fix_and_leaves_the_workspace_as_it_was(ws, project, bad):
    data, arguments, code, named = bad
    _bad_files(project)
    snap.data.add("good.csv", name="kept")
    before = _state(ws)
    with pytest.raises(SnapmlError) as raised:
        snap.automl(data, **{"target": "y", "time": 1, **arguments}, background=True)
    assert raised.value.code == code
    assert named in raised.value.message
    assert raised.value.message.endswith(".")
    assert _state(ws) == before


def _state(ws: Workspace):
    """Everything a workspace holds, the audit aside."""
    tables = ("jobs", "runs", "params", "metric_chunks", "latest_metrics", "model_versions", "environments")
    rows = {name: [tuple(row) for row in ws.ledger.rows(f"SELECT * FROM {name}")] for name in tables}
    files = {
        str(path.relative_to(ws.root)): path.read_bytes()
        for path in sorted(ws.root.rglob("*"))
        if path.is_file() and not path.name.startswith("ledger.db") and path.suffix != ".lock"
    }
    return rows, files


def test_a_frame_that_no_file_can_hold_is_refused(ws):
    frame = pd.DataFrame({"a": [1, "two", 3.0, None] * 10, "y": [0, 1] * 20})
    with pytest.raises(InvalidInputError, match="one type"):
        snap.automl(frame, target="y")


def test_prediction_names_a_missing_column_and_a_wrong_model_and_writes_nothing(learnt):
    frame = pd.read_csv("flowers.csv")
    with pytest.raises(InvalidInputError, match="petal width") as raised:
        snap.predict("flowers-target", frame.drop(columns="petal width (cm)"), out="out.csv")
    assert raised.value.code == "invalid_input"
    with pytest.raises(NotFoundError, match="flower-target") as raised:
        snap.predict("flower-target", "flowers.csv")
    assert "flowers-target" in raised.value.fix
    with pytest.raises(NotFoundError, match="@9"):
        snap.predict("flowers-target@9", "flowers.csv")
    with pytest.raises(InvalidInputError, match="whole number"):
        snap.predict("flowers-target@latest", "flowers.csv")
    for out in ("no/such/folder/out.csv", "."):
        with pytest.raises(SnapmlError, match="out"):
            snap.predict("flowers-target", "flowers.csv", out=out)
    frame["petal width (cm)"] = "wide"
    with pytest.raises(InvalidInputError, match="petal width"):
        snap.predict("flowers-target", frame)
    assert sorted(path.name for path in learnt.iterdir()) == [".snapml", "flowers.csv"]


def test_a_model_whose_file_was_tampered_with_is_not_opened(ws, learnt):
    place = ws.blobs.path(snap.models.show("flowers-target").blob)
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.chmod(0o644)
    place.write_bytes(content)
    with pytest.raises(StoreDamagedError, match="no longer holds"):
        snap.predict("flowers-target", "flowers.csv")
    place.unlink()
    with pytest.raises(NotFoundError):
        snap.predict("flowers-target", "flowers.csv")


def test_importing_the_package_and_listing_brings_no_large_library():
    import subprocess

    source = (
        "import sys, snapml_lab as snap; snap.jobs.list(); "
        "print(sorted({'sklearn', 'pandas', 'torch', 'tornado', 'IPython'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
