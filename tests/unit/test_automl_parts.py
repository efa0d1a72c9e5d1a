"""What AutoML is made of: posing the problem, reading columns, scoring, and model files that run no code."""

import math
import pickle
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from snapml_lab.automl import features, scoring
from snapml_lab.automl.families import BASELINE, families
from snapml_lab.automl.task import METRICS, Metric, Problem, Task, pose
from snapml_lab.errors import InvalidInputError, UnsafeFileError
from snapml_lab.registry import model_file
from snapml_lab.registry.signature import Signature, matrix


def table(target, rows: int = 60, **columns) -> pd.DataFrame:
    """A table with a column to learn from and a target, repeated to so many rows."""
    values = list(target)
    repeated = (values * (rows // len(values) + 1))[:rows]
    return pd.DataFrame({"x": np.arange(rows, dtype=float), **columns, "y": repeated})


@pytest.mark.parametrize(
    ("target", "task", "metric"),
    [
        (["a", "b"], Task.BINARY, Metric.ROC_AUC),
        ([0, 1], Task.BINARY, Metric.ROC_AUC),
        ([0.0, 1.0], Task.BINARY, Metric.ROC_AUC),
        ([True, False], Task.BINARY, Metric.ROC_AUC),
        (["a", "b", None], Task.BINARY, Metric.ROC_AUC),
        (["a", "b", "c"], Task.MULTICLASS, Metric.ACCURACY),
        ([1, 2, 3], Task.MULTICLASS, Metric.ACCURACY),
        ([1, 2, 3, 4], Task.REGRESSION, Metric.RMSE),
        ([1.5, 2.0, 3.0], Task.REGRESSION, Metric.RMSE),
        (range(60), Task.REGRESSION, Metric.RMSE),
    ],
)
def test_the_task_is_told_from_the_target(target, task: Task, metric: Metric):
    assert pose(table(target), "y") == Problem("y", task, metric)


def test_whole_numbers_are_classes_only_where_each_has_twenty_rows():
    assert pose(table(range(5), rows=100), "y").task is Task.MULTICLASS
    assert pose(table(range(5), rows=99), "y").task is Task.REGRESSION


def test_the_task_given_wins_over_the_one_told():
    assert pose(table([1, 2, 3]), "y", task=Task.REGRESSION).metric is Metric.RMSE


@pytest.mark.parametrize(
    ("task", "metric"), [(task, metric) for task, fitting in METRICS.items() for metric in fitting]
)
def test_every_metric_of_a_task_may_be_asked_for(task: Task, metric: Metric):
    targets = {Task.BINARY: ["a", "b"], Task.MULTICLASS: ["a", "b", "c"], Task.REGRESSION: range(60)}
    assert pose(table(targets[task]), "y", metric=metric).metric is metric


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        (table([0, 1]), {"target": "z"}, "target: got 'z', expected a column of the table"),
        (table(["a"]), {}, "every row of 'y' is 'a'"),
        (table([3.0]), {}, "every row of 'y' is 3.0"),
        (table([0, 1], rows=19), {}, "got '19 rows with a target', expected at least 20"),
        (table([None, None, None, "a", "b"]), {"metric": None}, None),
        (table([None, None, None, "a", None], rows=60), {}, "12 rows with a target"),
        (table([0, 1])[["y"]], {}, "'y' is its only column"),
        (table([None]), {}, "got '0 rows with a target'"),
        (table(["a"] * 58 + ["b"] * 2), {}, "class 'b' of 'y' has 2 row(s)"),
        (table([f"id-{n}" for n in range(60)]), {}, "class"),
        (table([f"id-{n}" for n in range(500)], rows=1500), {}, "at most 100 classes; it has 500"),
        (table([1.5, 2.5, math.inf]), {}, "infinite"),
        (table(["a", "b"]), {"task": Task.REGRESSION}, "numbers, for regression"),
        (table(["a", "b", "c"]), {"task": Task.BINARY}, "'y' has 3 values"),
        (table([0, 1]), {"metric": Metric.RMSE}, "metric: got 'rmse', expected for binary: roc_auc"),
        (table(["a", "b", "c"]), {"metric": Metric.ROC_AUC}, "expected for multiclass: accuracy"),
        (table(range(60)), {"metric": Metric.ACCURACY}, "expected for regression: rmse"),
        (table([[1], [2]]), {}, "target"),
        (table([{"a": 1}, {"a": 2}]), {}, "target"),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_is_refused_by_name(frame: pd.DataFrame, options: dict, said: str | None):
    options = {"target": "y", **options}
    if said is None:
        assert pose(frame, **options).task is Task.BINARY
        return
    with pytest.raises(InvalidInputError) as refusal:
        pose(frame, **options)
    assert said in refusal.value.message


def test_a_column_nearly_right_is_offered():
    frame = table([0, 1]).rename(columns={"y": "Species"})
    with pytest.raises(InvalidInputError, match="Did you mean 'Species'"):
        pose(frame, "specis")


def test_a_category_that_no_row_has_is_no_class():
    frame = table(["a", "b"])
    frame["y"] = pd.Categorical(frame["y"], categories=["a", "b", "unused"])
    assert pose(frame, "y").task is Task.BINARY


def signed(frame: pd.DataFrame) -> Signature:
    return features.sign(frame, "y", ["0", "1"])


ROWS = 60
TRAINED = table(
    [0, 1],
    whole=range(ROWS),
    holes=[1.5, np.nan, np.inf] * 20,
    flag=[True, False, True] * 20,
    maybe=[True, False, None] * 20,
    colour=["red", "green", "blue"] * 20,
    day=pd.date_range("2020-01-01", periods=ROWS),
    zoned=pd.date_range("2020-01-01", periods=ROWS, tz="Europe/Paris"),
    constant=1,
    empty=None,
    name=[f"person {n}" for n in range(ROWS)],
)


def test_columns_are_read_by_what_they_hold():
    found = signed(TRAINED)
    assert found.numeric == ["x", "whole", "holes"]
    assert found.times == ["day", "zoned"]
    assert found.categorical == ["flag", "maybe", "colour"]
    assert found.left_out == {
        "constant": "one value only",
        "empty": "no values",
        "name": "text with 60 distinct values",
    }


def test_a_table_with_nothing_to_learn_from_is_refused_with_the_reasons():
    frame = table([0, 1])[["y"]].assign(constant=1, empty=None)
    with pytest.raises(InvalidInputError, match="constant: one value only; empty: no values"):
        signed(frame)


def test_a_column_of_lists_is_left_alone_or_read_as_text_but_is_no_fault():
    frame = table([0, 1], odd=[[1, 2], [3]] * 30)
    assert "odd" in {**dict.fromkeys(signed(frame).categorical), **signed(frame).left_out}


def test_what_a_model_reads_has_only_numbers_and_text_and_no_infinity():
    rows = matrix(TRAINED, signed(TRAINED))
    assert list(rows.columns) == signed(TRAINED).columns
    numbers = rows[["x", "whole", "holes", "day", "zoned"]]
    assert set(map(str, numbers.dtypes)) == {"float64"}
    assert not np.isinf(numbers.to_numpy()).any()
    assert set(rows["maybe"]) == {"True", "False", "(missing)"}


def test_instants_are_days_since_1970_whatever_their_zone():
    frame = pd.DataFrame({
        "x": range(4), "y": [0, 1, 0, 1],
        "day": pd.to_datetime(["1970-01-02", "1970-01-03", "1970-01-04", None]),
        "zoned": pd.to_datetime(["1970-01-02 02:00+02:00"] * 3 + ["1970-01-03 00:00+00:00"], utc=True).tz_convert("Asia/Tokyo"),
    })  # fmt: skip
    rows = matrix(frame, signed(frame))
    assert rows["day"].tolist()[:3] == [1.0, 2.0, 3.0]
    assert math.isnan(rows["day"].tolist()[3])
    assert rows["zoned"].tolist() == [1.0, 1.0, 1.0, 2.0]


def test_a_missing_column_is_named():
    with pytest.raises(InvalidInputError, match="no column 'colour'"):
        matrix(TRAINED.drop(columns="colour"), signed(TRAINED))


def test_the_target_and_further_columns_need_not_be_there():
    rows = matrix(TRAINED.drop(columns=["y", "constant"]).assign(more=1), signed(TRAINED))
    assert list(rows.columns) == signed(TRAINED).columns


def test_text_where_numbers_were_is_refused_by_name():
    with pytest.raises(InvalidInputError, match="'whole' was numbers at training"):
        matrix(TRAINED.assign(whole="a few"), signed(TRAINED))


def test_text_where_instants_were_is_refused_by_name():
    with pytest.raises(InvalidInputError, match="'day'"):
        matrix(TRAINED.assign(day="some day"), signed(TRAINED))


def test_numbers_that_allow_for_missing_values_are_read():
    frame = TRAINED.assign(whole=pd.array([1, None] * 30, dtype="Int64"))
    assert matrix(frame, signed(frame))["whole"].isna().sum() == 30


def fitted() -> object:
    rows = matrix(TRAINED, signed(TRAINED))
    model = make_pipeline(features.preparation(signed(TRAINED)), LogisticRegression())
    return model.fit(rows, TRAINED["y"].astype(str))


@pytest.fixture(scope="module")
def model():
    return fitted()


def test_categories_never_seen_are_predicted_all_the_same(model):
    frame = TRAINED.assign(colour="ultraviolet", flag="perhaps", maybe=None)
    labels, probabilities = model_file.predict(model, frame, signed(TRAINED))
    assert set(labels) <= {"0", "1"}
    assert len(labels) == len(probabilities or []) == ROWS


def test_a_signature_comes_back_from_json_as_it_was():
    found = signed(TRAINED)
    assert Signature(**found.as_dict()) == found


def test_the_probability_given_is_that_of_the_label_given(model):
    labels, probabilities = model_file.predict(model, TRAINED, signed(TRAINED))
    assert probabilities is not None
    assert all(value >= 0.5 for value in probabilities)
    assert labels == list(model.predict(matrix(TRAINED, signed(TRAINED))))


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.50001, 1.0])), min_size=2, max_size=40
    )
)
def test_the_area_under_the_curve_is_scikit_learns(rows: list[tuple[bool, float]]):
    positive = np.array([row[0] for row in rows])
    probability = np.array([row[1] for row in rows])
    if positive.all() or not positive.any():
        with pytest.raises(ValueError, match="both classes"):
            scoring._roc_auc(positive, probability)
    else:
        assert scoring._roc_auc(positive, probability) == pytest.approx(
            metrics.roc_auc_score(positive, probability)
        )


def test_balanced_accuracy_is_scikit_learns():
    generator = np.random.default_rng(0)
    truth, predicted = generator.choice(["a", "b", "c"], 80), generator.choice(["a", "b", "c"], 80)
    own = scoring.score(Metric.BALANCED_ACCURACY, truth, predicted, ["a", "b", "c"])
    assert own == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))


def test_errors_are_scored_in_the_targets_unit():
    truth, predicted = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 6.0])
    assert scoring.score(Metric.RMSE, truth, predicted, []) == pytest.approx(math.sqrt(3))
    assert scoring.score(Metric.MAE, truth, predicted, []) == pytest.approx(1.0)
    assert scoring.score(Metric.R2, truth, truth, []) == 1.0


@pytest.mark.parametrize("metric", [Metric.RMSE, Metric.R2])
def test_better_than_the_baseline_is_positive_whichever_way_the_metric_runs(metric: Metric):
    truth = np.arange(50, dtype=float)
    evidence = scoring.weigh(metric, truth, truth + 0.1, np.full(50, truth.mean()), [])
    assert evidence.improvement > 0
    assert evidence.improvement_low > 0
    assert not evidence.could_be_chance


def test_a_model_that_is_the_baseline_could_be_chance():
    truth = np.arange(50, dtype=float)
    guess = np.full(50, truth.mean())
    evidence = scoring.weigh(Metric.RMSE, truth, guess, guess, [])
    assert (evidence.improvement, evidence.p_value, evidence.could_be_chance) == (0.0, 1.0, True)


@pytest.mark.parametrize("task", list(Task))
def test_every_family_can_be_made_from_each_value_of_its_space_and_the_baseline_is_first(task: Task):
    found = families(task, 100)
    assert found[0].name == BASELINE
    assert max(Counter(family.name for family in found).values()) == 1
    for family in found:
        for name, values in family.space.items():
            assert all(family.make(**{name: value}).get_params()[name] == value for value in values)


def test_a_model_saved_is_the_model_loaded(model, tmp_path: Path):
    model_file.save(model, tmp_path / "model.skops")
    loaded = model_file.load(tmp_path / "model.skops")
    assert model_file.predict(loaded, TRAINED, signed(TRAINED)) == model_file.predict(
        model, TRAINED, signed(TRAINED)
    )


class _Trap:
    def __reduce__(self):
        return Path.touch, (Path("trapped"),)


def test_a_pickle_is_refused_and_does_not_run(project: Path):
    path = project / "model.skops"
    path.write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(UnsafeFileError, match="not a skops model"):
        model_file.load(path)
    assert not Path("trapped").exists()


@pytest.mark.parametrize(
    "schema", [None, "", "[]", "{}", "3", '{"__class__": "system", "__module__": "os", "__loader__": "none"}']
)
def test_an_archive_that_holds_no_model_is_refused(tmp_path: Path, schema: str | None):
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other" if schema is None else "schema.json", schema or "")
    with pytest.raises(UnsafeFileError):
        model_file.load(path)


def test_a_file_that_is_not_there_is_not_called_unsafe(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        model_file.load(tmp_path / "none.skops")


def test_a_model_file_damaged_anywhere_is_refused_or_is_still_the_model(model, tmp_path: Path):
    path = tmp_path / "model.skops"
    model_file.save(model, path)
    content = path.read_bytes()
    refused = 0
    for number in range(40):
        at = len(content) * number // 40
        damaged = content[:at] + bytes(255 - byte for byte in content[at : at + 40]) + content[at + 40 :]
        path.write_bytes(damaged)
        try:
            model_file.load(path)
        except UnsafeFileError:
            refused += 1
    assert refused > 30


def test_a_model_file_cut_short_is_refused(model, tmp_path: Path):
    path = tmp_path / "model.skops"
    model_file.save(model, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnsafeFileError):
        model_file.load(path)


class _Unknown(LogisticRegression):
    """An estimator nobody here has heard of."""


def test_a_type_that_is_not_known_is_refused_by_name(tmp_path: Path):
    frame = matrix(TRAINED, signed(TRAINED))
    made = make_pipeline(features.preparation(signed(TRAINED)), _Unknown()).fit(frame, TRAINED["y"])
    model_file.save(made, tmp_path / "model.skops")
    with pytest.raises(UnsafeFileError, match=r"types that could run code.*_Unknown") as refusal:
        model_file.load(tmp_path / "model.skops")
    assert refusal.value.fix
