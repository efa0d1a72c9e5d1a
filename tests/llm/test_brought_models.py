"""Models that were not made here, kept as versions and served: of rows by the predict engine, an adapter by transformers."""

import http.client
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from snapml_lab.flows import registering
from snapml_lab.flows.registering import Wish
from snapml_lab.registry import lineage, model_file, versions
from snapml_lab.tracking.record import Origin

from . import classic
from .home import Lab


def post(lab: Lab, path: str, body: Any) -> tuple[int, Any]:
    place = urlsplit(lab.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=120)
    try:
        connection.request("POST", path, json.dumps(body).encode(), {"Authorization": f"Bearer {lab.key}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.fixture
def brought(open_shop: Lab, request: pytest.FixtureRequest) -> Iterator[tuple[Lab, str, Any, pd.DataFrame]]:
    """A model fitted on a table whose columns are in no order of the alphabet, added and deployed."""
    frame = pd.DataFrame(classic.rows(200), columns=classic.HEADER)[
        ["spent", "city", "age", "stays", "worth"]
    ]
    reads, target = frame[["spent", "city", "age"]], request.param
    prepared = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    learner = RandomForestClassifier(20, random_state=0) if target == "stays" else LinearRegression()
    model = make_pipeline(prepared, learner).fit(reads, frame[target])
    name = f"brought-{target}"
    wish = Wish(name=name, example=reads, held_out=frame, target=target)
    registering.add(open_shop.ws, model, wish, actor="ann", origin=Origin())
    open_shop.do("deploy", name)
    yield open_shop, name, model, reads
    open_shop.do("undeploy", name)


@pytest.mark.parametrize("brought", ["stays", "worth"], indirect=True)
def test_a_model_that_was_brought_answers_through_the_gateway_as_it_does_in_the_notebook(brought) -> None:
    lab, name, model, reads = brought
    inputs = [
        {
            "name": column,
            "shape": [20],
            "datatype": "BYTES" if column == "city" else "FP64",
            "data": reads[column][:20].tolist(),
        }
        for column in ("age", "city", "spent")
    ]
    status, answer = post(lab, f"/v2/models/{name}/infer", {"inputs": inputs})
    assert status == 200, answer
    found = {item["name"]: item["data"] for item in answer["outputs"]}
    wanted = model.predict(reads[:20])
    if name.endswith("stays"):
        assert found["stays"] == wanted.tolist()
        assert found["probability"] == pytest.approx(model.predict_proba(reads[:20]).max(axis=1))
    else:
        assert found["worth"] == pytest.approx(wanted)
    status, answer = post(lab, f"/v2/models/{name}/infer", {"inputs": inputs[:2]})
    assert status == 400
    assert "spent" in answer["error"]


def test_an_adapter_from_elsewhere_answers_as_the_one_it_is_a_copy_of(
    alive: Lab, adapter: versions.ModelVersion, tmp_path: Path
) -> None:
    laid = alive.ws.blobs.folder(adapter.blob, tmp_path / "laid")
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):  # as peft alone leaves it
        shutil.copyfile(laid / name, bare / name)
    (bare / "training_args.bin").write_bytes(b"\x80\x04.")
    made = alive.do("models", "add", str(bare), "--name", "copied", "--note", "by another")
    assert (made["format"], made["task"], made["evidence"]["left_out"]) == (
        "peft",
        "chat",
        "training_args.bin",
    )
    alive.do("deploy", "copied")
    try:
        asked = {"messages": [{"role": "user", "content": "bob has 7"}], "max_tokens": 24, "temperature": 0}
        said = [
            post(alive, "/v1/chat/completions", {**asked, "model": name})[1] for name in ("tuned", "copied")
        ]
        first, second = (answer["choices"][0]["message"]["content"] for answer in said)
        assert first == second
        version = versions.find(alive.ws.ledger, "copied")
        served = [
            node for node in lineage.trace(alive.ws, version).nodes.values() if node.kind == "deployment"
        ]
        assert [node.label for node in served] == ["copied"]
    finally:
        alive.do("undeploy", "copied")


def test_a_whole_model_from_elsewhere_is_kept_and_can_be_learnt_from(alive: Lab, cache: Path) -> None:
    (sample,) = (cache / "snapml-lab").iterdir()
    made = alive.do("models", "add", str(sample), "--name", "small")
    assert (made["format"], made["task"]) == ("safetensors", "chat")
    assert alive.do("models", "add", str(sample), "--name", "small")["id"] == made["id"]
    assert made["format"] not in model_file.FORMATS
    laid = alive.ws.blobs.folder(made["blob"], alive.ws.cache / "models" / made["blob"])
    assert {"config.json", "tokenizer.json"} <= {item.name for item in laid.iterdir()}
