"""A model a person has, kept as a version: what is told of it, what it answers afterwards, and what is refused."""

import base64
import json
import os
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

import snapml_lab as snap
from snapml_lab.errors import InvalidInputError, MissingExtraError, UnsafeFileError
from snapml_lab.flows import registering
from snapml_lab.flows.registering import Wish
from snapml_lab.registry import examples, formats, limited, model_file, versions
from snapml_lab.registry.signature import Signature
from snapml_lab.registry.versions import ModelVersion
from snapml_lab.tracking import runs
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

ORIGIN = Origin(notebook="a.ipynb", cell_id="c1")


def add(ws: Workspace, model: object, **wish: Any) -> ModelVersion:
    return registering.add(ws, model, Wish(**{"name": "m", **wish}), actor="ann", origin=ORIGIN)


def sorted_keys(signature: dict[str, Any]) -> dict[str, Any]:
    """Return it as it is after a file whose keys are sorted, as that of a job is."""
    return json.loads(json.dumps(signature, sort_keys=True))


def ask(ws: Workspace, version: ModelVersion, rows: pd.DataFrame) -> tuple[list[Any], list[float] | None]:
    opened = model_file.load(ws.blobs.path(version.blob), version.format)
    return model_file.predict(opened, rows, Signature(**sorted_keys(version.signature)))


@pytest.fixture(scope="module")
def cancer() -> tuple[pd.DataFrame, pd.Series]:
    return load_breast_cancer(return_X_y=True, as_frame=True)


def people(number: int = 60) -> pd.DataFrame:
    chance = np.random.default_rng(0)
    return pd.DataFrame({
        "city": chance.choice(["Rome", "Łódź"], number), "age": chance.integers(18, 90, number),
        "member": chance.integers(0, 2, number).astype(bool), "spent": chance.uniform(0, 500, number),
    })  # fmt: skip


def test_a_fitted_pipeline_answers_after_it_was_kept_as_it_did_before(ws, cancer):
    rows, truth = cancer
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(rows, truth)
    version = add(ws, model, example=rows, target="benign")
    labels, probabilities = ask(ws, version, rows)
    assert labels == [str(value) for value in model.predict(rows)]
    assert probabilities == pytest.approx(model.predict_proba(rows).max(axis=1))
    assert (version.task, version.format, version.actor) == ("binary", "skops", "ann")
    assert version.signature["target"] == "benign"
    assert version.signature["classes"] == ["0", "1"]
    assert version.signature["order"] == list(rows.columns)


def test_columns_of_several_kinds_keep_their_types_and_order_and_may_come_in_another(ws):
    rows = people()
    prepared = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]),
        (StandardScaler(), ["age", "spent"]),
        remainder="passthrough",
    )
    truth = rows["age"] * 4 + rows["spent"] + 100 * rows["member"]
    model = make_pipeline(prepared, LinearRegression()).fit(rows, truth)
    version = add(ws, model, example=rows, target="worth")
    assert version.signature["categorical"] == ["city", "member"]
    assert version.signature["numeric"] == ["age", "spent"]
    assert version.signature["order"] == ["city", "age", "member", "spent"]
    shuffled = rows[["spent", "member", "city", "age"]].assign(
        other="left out", age=rows["age"].astype(float)
    )
    values, none = ask(ws, version, shuffled)
    assert values == pytest.approx(model.predict(rows), abs=1e-9)
    assert none is None


def test_a_model_fitted_on_an_array_has_numbered_columns(ws):
    rows, truth = load_diabetes(return_X_y=True)
    model = HistGradientBoostingRegressor(max_iter=5).fit(rows, truth)
    version = add(ws, model, example=rows)
    assert version.signature["array"] is True
    values, _ = ask(ws, version, examples.table(rows))
    assert values == model.predict(rows).tolist()
    with_names = add(ws, model, name="named", example=load_diabetes(as_frame=True).data)
    assert with_names.signature["numeric"][0] == "age"


def test_labels_without_probabilities_are_told_alone(ws, cancer):
    rows, truth = cancer
    words = truth.map({0: "bad", 1: "good"})
    model = make_pipeline(StandardScaler(), LinearSVC()).fit(rows, words)
    labels, none = ask(ws, add(ws, model, example=rows), rows[:7])
    assert labels == model.predict(rows[:7]).tolist()
    assert none is None


def test_clusters_are_numbers(ws, cancer):
    rows, _ = cancer
    model = KMeans(3, n_init=1, random_state=0).fit(rows)
    version = add(ws, model, example=rows)
    assert version.task == "clustering"
    assert ask(ws, version, rows[:5])[0] == model.predict(rows[:5]).tolist()


def test_the_example_is_kept_and_can_be_read(ws):
    rows = people()
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["city"]), remainder="drop"), LinearRegression()
    ).fit(rows, rows["spent"])
    version = add(ws, model, example=rows)
    kept = examples.read(ws, version.example)
    assert kept.to_dict("records") == rows[version.signature["order"]].head(examples.ROWS).to_dict("records")
    assert ask(ws, version, kept)[0] == pytest.approx(ask(ws, version, rows.head(examples.ROWS))[0])


def test_without_an_example_the_types_are_not_known_and_rows_are_given_as_they_come(ws, cancer):
    rows, truth = cancer
    model = RandomForestClassifier(5, random_state=0).fit(rows, truth)
    version = add(ws, model)
    assert set(version.signature["types"].values()) == {"any"}
    assert version.example is None
    assert ask(ws, version, rows[:5])[0] == [str(value) for value in model.predict(rows[:5])]


def test_it_is_of_a_run_of_its_own_that_knows_the_cell(ws, cancer):
    rows, truth = cancer
    version = add(ws, LogisticRegression(max_iter=5000).fit(rows, truth), example=rows)
    run = runs.get(ws.ledger, version.run)
    assert (run.kind, run.state, run.notebook, run.cell_id, run.actor) == (
        "add",
        "succeeded",
        "a.ipynb",
        "c1",
        "ann",
    )


def test_the_same_file_again_is_the_version_there_is_and_of_another_run_another(ws, cancer, tmp_path):
    rows, truth = cancer
    path = tmp_path / "kept.skops"
    model_file.save(LogisticRegression(max_iter=5000).fit(rows, truth), path)
    first = add(ws, path, example=rows)
    assert add(ws, path, example=rows) == first
    assert len(runs.latest(ws.ledger, kind="add", limit=9)) == 1
    add(ws, path, name="other")
    of_run = add(ws, path, run=runs.latest(ws.ledger, kind="add", limit=9)[0].id)
    assert of_run.version == 2


def test_rows_it_was_not_made_with_give_evidence_with_an_interval(ws, cancer):
    rows, truth = cancer
    table = rows.assign(benign=truth)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(rows[:400], truth[:400])
    evidence = add(ws, model, example=rows, held_out=table[400:], target="benign").evidence
    assert evidence["metric"] == "roc_auc"
    assert evidence["rows"] == len(table) - 400
    assert evidence["low"] < evidence["score"] <= evidence["high"]
    assert evidence["baseline"] == pytest.approx(0.5)
    assert evidence["could_be_chance"] is False


def test_numbers_are_measured_against_the_best_constant(ws):
    rows, truth = load_diabetes(return_X_y=True, as_frame=True)
    model = LinearRegression().fit(rows[:300], truth[:300])
    evidence = add(
        ws, model, example=rows, held_out=rows.assign(target=truth)[300:], target="target"
    ).evidence
    residual = truth[300:] - model.predict(rows[300:])
    assert evidence["score"] == pytest.approx(np.sqrt((residual**2).mean()))
    assert evidence["baseline"] == pytest.approx(truth[300:].std(ddof=0))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (LogisticRegression(), "not fitted"),
        (LogisticRegression, "fitted"),
        (StandardScaler().fit([[1.0], [2.0]]), "predict"),
        ({"a": 1}, "fitted scikit-learn model"),
        (LinearRegression().fit([[1.0]], [[1.0, 2.0]]), "several outputs"),
    ],
)
def test_what_is_no_fitted_model_of_one_output_is_refused(ws, model, said):
    if said == "several outputs":
        model = RandomForestClassifier(2).fit([[1.0], [2.0]], [[0, 1], [1, 0]])
    with pytest.raises(InvalidInputError, match=said):
        add(ws, model)
    assert versions.latest(ws.ledger, 9) == []


def test_an_example_that_does_not_fit_is_refused_and_nothing_is_left(ws, cancer):
    rows, truth = cancer
    model = LogisticRegression(max_iter=5000).fit(rows, truth)
    with pytest.raises(InvalidInputError, match="no column 'mean radius'"):
        add(ws, model, example=rows.drop(columns="mean radius"))
    with pytest.raises(InvalidInputError, match="one row"):
        add(ws, model, example=rows[:0])
    assert versions.latest(ws.ledger, 9) == []
    assert runs.latest(ws.ledger, kind=None, limit=9) == []


def strange(rows: Any) -> Any:
    return rows


def test_a_model_with_a_function_of_ones_own_is_refused_with_its_name(ws):
    model = make_pipeline(FunctionTransformer(strange), LinearRegression()).fit([[1.0], [2.0]], [1.0, 2.0])
    with pytest.raises(UnsafeFileError, match="strange"):
        add(ws, model)


class Tricky:
    """Runs a command when it is opened, as any pickle may."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


def test_a_pickle_is_not_opened_unless_it_is_trusted_by_name(ws, tmp_path):
    mark = tmp_path / "opened"
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Tricky(f"touch {mark}")))
    with pytest.raises(UnsafeFileError, match="pickle") as refused:
        add(ws, path)
    assert "--trust" in refused.value.fix
    assert not mark.exists()


@pytest.mark.parametrize("name", ["model.skops", "model.onnx", "model.dat", "model"])
def test_a_pickle_under_another_name_is_still_one(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(pickle.dumps({"a": 1}))
    assert formats.recognise(path).format == "pickle"


def test_a_trusted_pickle_is_converted_and_answers_the_same(ws, tmp_path, cancer):
    rows, truth = cancer
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(rows, truth)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    version = add(ws, path, trust=True, example=rows)
    assert version.format == "skops"
    assert ask(ws, version, rows)[1] == pytest.approx(model.predict_proba(rows).max(axis=1))


def test_a_trusted_pickle_sees_nothing_of_our_environment_and_leaves_nothing_but_its_file(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("MY_SECRET", "hidden-from-it")
    told = tmp_path / "told"
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Tricky(f"env > {told}; cat /proc/net/dev >> {told}")))
    with pytest.raises(UnsafeFileError, match="could not be opened"):
        limited.convert(path, tmp_path / "made.skops")
    assert "hidden-from-it" not in told.read_text()
    assert str(Path.home()) not in [line.removeprefix("HOME=") for line in told.read_text().splitlines()]
    assert not (tmp_path / "made.skops").exists()


def weights(path: Path, *, cut: int = 0) -> None:
    """Write a safetensors file of one matrix by hand."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(16)
    path.write_bytes(content[: len(content) - cut])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "llm"
    place.mkdir()
    weights(place / "model.safetensors")
    (place / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (place / "tokenizer.json").write_text("{}")
    return place


def test_a_folder_of_transformers_is_kept_without_what_could_run_code(ws, folder):
    (folder / "training_args.bin").write_bytes(b"\x80\x04.")
    (folder / "modeling.py").write_text("raise SystemExit")
    version = add(ws, folder)
    assert (version.format, version.task, version.signature) == (
        "safetensors",
        "chat",
        {"architecture": "LlamaForCausalLM"},
    )
    laid = ws.blobs.folder(version.blob, ws.cache / "x")
    assert sorted(item.name for item in laid.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert version.evidence["left_out"] == "modeling.py, training_args.bin"


def test_an_adapter_knows_its_base_and_gets_what_engines_ask_for(ws, folder, tmp_path):
    base = add(ws, folder, name="base")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    weights(adapter / "adapter_model.safetensors")
    (adapter / "adapter_config.json").write_text(
        json.dumps({"r": 4, "base_model_name_or_path": "elsewhere/gone"})
    )
    version = add(ws, adapter, name="tuned", base="base")
    assert (version.format, version.base, version.signature["rank"]) == ("peft", base.reference, 4)
    laid = ws.blobs.folder(version.blob, ws.cache / "y")
    assert (
        json.loads((laid / "adapter_config.json").read_text())["base_model_name_or_path"]
        == version.signature["base"]
    )
    assert (laid / "tokenizer.json").is_file()
    assert (
        json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
        == "elsewhere/gone"
    )


def test_an_adapter_without_a_base_is_asked_for_it(ws, tmp_path):
    weights(tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(InvalidInputError, match="base"):
        add(ws, tmp_path)


def test_weights_that_are_cut_short_are_told(ws, folder):
    weights(folder / "model.safetensors", cut=3)
    with pytest.raises(InvalidInputError, match=r"model.safetensors is not a whole"):
        add(ws, folder)


def test_a_folder_that_asks_for_code_of_its_own_is_refused(ws, folder):
    (folder / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "modeling.Mine"}}))
    with pytest.raises(UnsafeFileError, match="auto_map"):
        add(ws, folder)


def test_a_folder_with_pickled_weights_alone_is_refused(ws, folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UnsafeFileError, match=r"pytorch_model.bin"):
        add(ws, folder)


@pytest.mark.parametrize("name", ["model.txt", "model.skops", "weights.safetensors"])
def test_a_file_that_is_nothing_known_is_refused(ws, tmp_path, name):
    path = tmp_path / name
    path.write_text("words")
    with pytest.raises(InvalidInputError):
        add(ws, path)


_FLOWERS = (
    "c-oy((P|Sx6y1sGcD$x(91+5zf{RGHLTCdj1coLR3Wj8hRV4JmWp|x~(ap>{Gij?|Ainr0J}B|cpD?NT2?hNDpZp2kgrKSR$)~yZ%-nMh=MDyf_0yy#g*bH"
    "VjcRSZy6!HAygCIcR?VuvS%Qx_KwYwwgb_;!NtKMkh$q}U4-6ApDyP)uf`#f%5^BwRoGJGo#Jdd_;%PTy(SbIKi@t8zni;9X7VI;nc`OsDT4(pU>T|*4aD="
    "eefkG@<ug7D~gwgcf+P5+N^73GlMz^jW(Vxe!CiHCuZ_*!6K8z`#dt>^w`)opY-+%u^{p0Hss<x{Qdh-Z1M#%QA0B~WLidmYGy*{|yr2eB~gSxBD&(nJX=LW"
    ";X@L=Y)j7BKuU4mjNwF!(0h3-i;aF_4zY(MBUyCZa_4)eIGg9L8CJf?yinsjJ_S?A!pk2CLCV(#y%Zoxx1B}}sN2jfgT;AeVa!e3;mF4W!%<i*rUuD$WMi9"
    "<NaLCD<9f|_IR@w5}B?)?1k{VXbz@{aF!D{a~5+VFUn^%cwZFU8v4`RNxb0ANIHupo!?Q5jBzL@?MGlN?ylH8{mFDZ1IbhqE{NY#wbDVL`ftw(?+=F8%`J`sb|"
)
"""A logistic regression of three kinds of flowers, fitted by scikit-learn and written by skl2onnx 1.20: zlib, base 85."""
_LINE = (
    "c-rIO65=S%&N0f*%d3!LGt@IO&@)hCPt4Q<31~1FF<9+q<f`Cej1b}|ODxJvOv*`>;`hnSOHC{aN=+|HEiTS4QbHHdQsv@F&QDEC%S_Hp%_}LkeX93#uWhoH%"
    "3j+yidlBHAHPf6FJNTT65-;?%qvMPN=_{RDw^}d&JHMQ#RaupFE>X>%-_#1LIcJ4%=|pfC_#{mc(}MY7=_rl7`T`?Sdt{T;4VawVRYi-LNZc-(TRnNK|l;b0"
    "s#LLM=J"
)
"""A linear regression on the same columns, likewise."""


def onnx(path: Path, text: str) -> Path:
    pytest.importorskip("onnxruntime")
    path.write_bytes(zlib.decompress(base64.b85decode(text)))
    return path


def test_an_onnx_classifier_answers_with_its_labels_and_probabilities(ws, tmp_path):
    path = onnx(tmp_path / "flowers.onnx", _FLOWERS)
    rows, truth = load_iris(return_X_y=True, as_frame=True)
    names = load_iris().target_names
    table = rows.assign(kind=[names[i] for i in truth])
    version = add(ws, path, example=rows, held_out=table, target="kind")
    assert (version.format, version.task) == ("onnx", "multiclass")
    assert version.signature["classes"] == ["setosa", "versicolor", "virginica"]
    labels, probabilities = ask(ws, version, rows)
    assert np.mean(labels == table["kind"]) > 0.95
    assert probabilities[0] == pytest.approx(0.98165684)  # as onnxruntime gave when it was written
    assert version.evidence["metric"] == "accuracy"
    assert version.evidence["score"] == pytest.approx(np.mean(labels == table["kind"]))


def test_an_onnx_model_of_numbers_answers_with_numbers(ws, tmp_path):
    rows, truth = load_iris(return_X_y=True)
    version = add(ws, onnx(tmp_path / "line.onnx", _LINE), example=rows)
    assert (version.task, version.signature["classes"]) == ("regression", [])
    assert ask(ws, version, examples.table(rows))[0] == pytest.approx(
        LinearRegression().fit(rows, truth).predict(rows), abs=1e-5
    )


def test_an_onnx_model_and_an_example_of_another_width_do_not_fit(ws, tmp_path):
    with pytest.raises(InvalidInputError, match="4 columns"):
        add(ws, onnx(tmp_path / "line.onnx", _LINE), example=np.zeros((2, 3)))


def test_a_file_that_calls_itself_onnx_and_is_none_is_refused(ws, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("words")
    with pytest.raises((UnsafeFileError, MissingExtraError)):
        add(ws, path)


def test_in_an_open_run_it_is_of_that_run_and_else_of_the_one_named(ws):
    rows, truth = load_diabetes(return_X_y=True, as_frame=True)
    model = Ridge().fit(rows, truth)
    with snap.run("open", system=False) as run:
        made = snap.models.add(model, name="ridge", example=rows)
    assert (made.run, made.run_name, made.name, made.version) == (run.id, "open", "ridge", 1)
    assert snap.models.add(model, name="ridge", run="open").version == 2
    alone = snap.models.add(model)
    assert (alone.name, runs.get(ws.ledger, alone.run).kind) == ("Ridge", "add")
    assert snap.predict("ridge@1", rows).predictions == pytest.approx(model.predict(rows).tolist())
