"""Classic models through the gateway, as the Open Inference Protocol V2 asks for it."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from . import classic
from .home import Lab


def ask(lab: Lab, method: str, path: str, body: Any = None, *, key: str | None = None) -> tuple[int, Any]:
    place = urlsplit(lab.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    try:
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        connection.request(
            method, path, content, {"Authorization": f"Bearer {lab.key if key is None else key}"}
        )
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def infer(lab: Lab, name: str, *inputs: Any, **more: Any) -> tuple[int, Any]:
    return ask(lab, "POST", f"/v2/models/{name}/infer", {"inputs": list(inputs), **more})


def tensor(
    name: str, data: list[Any], datatype: str = "FP64", shape: list[int] | None = None
) -> dict[str, Any]:
    return {"name": name, "shape": shape or [len(data)], "datatype": datatype, "data": data}


def columns(number: int) -> list[dict[str, Any]]:
    rows = classic.rows(number, seed=9)
    return [
        tensor("age", [row[0] for row in rows], "INT64"), tensor("spent", [row[1] for row in rows]),
        tensor("city", [row[2] for row in rows], "BYTES"),
    ]  # fmt: skip


def outputs(answer: Any) -> dict[str, Any]:
    return {item["name"]: item for item in answer["outputs"]}


@pytest.mark.parametrize("name", ["stays", "worth"])
def test_predictions_are_those_of_the_command(open_shop: Lab, name: str) -> None:
    classic.table(open_shop.folder / "new.csv")
    wanted = open_shop.do("predict", name, "new.csv")
    status, answer = infer(open_shop, name, *columns(30), id="my own")
    assert status == 200
    assert (answer["model_name"], answer["id"]) == (name, "my own")
    found = outputs(answer)
    assert found[name]["data"] == wanted["predictions"]
    assert found[name]["shape"] == [30]
    assert found[name]["datatype"] == ("BYTES" if name == "stays" else "FP64")
    if name == "stays":
        assert found["probability"]["data"] == wanted["probabilities"]
        assert set(found["stays"]["data"]) == {"yes", "no"}
    else:
        assert "probability" not in found


def test_one_tensor_of_all_columns_says_the_same(open_shop: Lab) -> None:
    _, wanted = infer(open_shop, "stays", *columns(4))
    rows = [row[:3] for row in classic.rows(4, seed=9)]
    flat = tensor("x", [value for row in rows for value in row], "BYTES", [4, 3])
    nested = tensor("x", rows, "BYTES", [4, 3])
    for given in (flat, nested):
        status, answer = infer(open_shop, "stays", given)
        assert (status, answer["outputs"]) == (200, wanted["outputs"])


def test_columns_may_be_upright_and_in_any_order_with_others_beside_them(open_shop: Lab) -> None:
    _, wanted = infer(open_shop, "stays", *columns(4))
    upright = [{**item, "shape": [4, 1]} for item in columns(4)]
    nested = [{**item, "data": [[value] for value in item["data"]]} for item in upright]
    other = tensor("shoe_size", [1, 2, 3, 4])
    for given in (upright[::-1], nested, [*columns(4), other]):
        status, answer = infer(open_shop, "stays", *given)
        assert (status, answer["outputs"]) == (200, wanted["outputs"])


def test_requests_as_mlservers_documentation_has_them_are_answered(open_shop: Lab) -> None:
    """Content types as parameters, FP32 nested, an id, outputs asked for by name, the version in the path."""
    _, wanted = infer(open_shop, "stays", *columns(2))
    kinds = {"age": "np", "spent": "np", "city": "str"}
    given = [{**item, "parameters": {"content_type": kinds[item["name"]]}} for item in columns(2)]
    given[0] = {
        **given[0],
        "datatype": "FP32",
        "shape": [2, 1],
        "data": [[float(value)] for value in given[0]["data"]],
    }
    body = {
        "id": "5e3a1f6a", "parameters": {"content_type": "pd"}, "inputs": given, "outputs": [{"name": "stays"}],
    }  # fmt: skip
    for path in ("/v2/models/stays/infer", "/v2/models/stays/versions/1/infer"):
        status, answer = ask(open_shop, "POST", path, body)
        assert (status, answer["id"]) == (200, "5e3a1f6a")
        assert outputs(answer)["stays"] == outputs(wanted)["stays"]
    assert ask(open_shop, "POST", "/v2/models/stays/versions/9/infer", body)[0] == 404
    assert ask(open_shop, "GET", "/v2/models/stays/ready")[0] == 200
    assert ask(open_shop, "GET", "/v2/health/ready")[0] == ask(open_shop, "GET", "/v2")[0] == 200


def test_a_city_never_seen_and_a_city_that_is_not_known_are_taken(open_shop: Lab) -> None:
    status, answer = infer(
        open_shop,
        "stays",
        tensor("age", [40, 40]),
        tensor("spent", [100, 100]),
        tensor("city", ["Atlantis", None], "BYTES"),
    )
    assert status == 200
    assert len(outputs(answer)["stays"]["data"]) == 2


@pytest.mark.parametrize("name", ["stays", "worth"])
def test_a_model_describes_itself(open_shop: Lab, name: str) -> None:
    status, told = ask(open_shop, "GET", f"/v2/models/{name}")
    assert status == 200
    assert (told["name"], told["platform"]) == (name, "snapml_predict")
    assert told["inputs"] == [
        {"name": "age", "datatype": "FP64", "shape": [-1]}, {"name": "spent", "datatype": "FP64", "shape": [-1]},
        {"name": "city", "datatype": "BYTES", "shape": [-1]},
    ]  # fmt: skip
    assert told["outputs"][0] == {
        "name": name,
        "datatype": "BYTES" if name == "stays" else "FP64",
        "shape": [-1],
    }
    assert len(told["outputs"]) == (2 if name == "stays" else 1)


AGE, SPENT, CITY = columns(2)
BAD: dict[str, tuple[Any, str]] = {
    "no inputs": ({}, "inputs"),
    "inputs that are none": ({"inputs": "x"}, "inputs"),
    "no tensors": ({"inputs": []}, "inputs"),
    "a tensor that is text": ({"inputs": ["x"]}, "inputs"),
    "no name": ({"inputs": [{"shape": [1]}]}, "inputs"),
    "an unknown datatype": ({"inputs": [{**AGE, "datatype": "FLOAT"}]}, "inputs: age"),
    "no shape": ({"inputs": [{**AGE, "shape": None}]}, "inputs: age"),
    "a shape of three": ({"inputs": [{**AGE, "shape": [1, 1, 2]}]}, "inputs: age"),
    "a shape below zero": ({"inputs": [{**AGE, "shape": [-2]}]}, "inputs: age"),
    "a shape that is true": ({"inputs": [{**AGE, "shape": [True, 2]}]}, "inputs: age"),
    "no rows": ({"inputs": [{**AGE, "shape": [0], "data": []}]}, "inputs: age"),
    "data that is none": ({"inputs": [{**AGE, "data": 3}]}, "inputs: age"),
    "too little data": ({"inputs": [{**AGE, "data": [1]}]}, "inputs: age: got '1 values', expected 2"),
    "data nested unevenly": ({"inputs": [{**AGE, "data": [[1, 2], 3]}]}, "inputs: age"),
    "data nested too deep": ({"inputs": [{**AGE, "data": [[[1]], [[2]]]}]}, "inputs: age"),
    "data of objects": ({"inputs": [AGE, SPENT, {**CITY, "data": [{}, {}]}]}, "inputs: city"),
    "a column missing": ({"inputs": [AGE, SPENT]}, "'city'"),
    "a column twice": ({"inputs": [AGE, SPENT, CITY, AGE]}, "'age' twice"),
    "words for numbers": ({"inputs": [{**AGE, "data": ["old", "young"]}, SPENT, CITY]}, "'age'"),
    "rows that differ": ({"inputs": [AGE, SPENT, {**CITY, "shape": [1], "data": ["Oslo"]}]}, "rows"),
    "too few columns": ({"inputs": [tensor("x", [1, 2], shape=[1, 2])]}, "2 columns"),
    "one tensor of many and another": ({"inputs": [tensor("x", [1, 2, 3, 4], shape=[2, 2]), CITY]}, "inputs: x"),
    "not JSON": (b"{", "JSON"),
    "not UTF-8": (b"\xff", "JSON"),
    "a list": ([], "inputs"),
    "nested beyond reading": (b"[" * 100_000, ""),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_request_is_refused_by_name(open_shop: Lab, what: str) -> None:
    body, told = BAD[what]
    status, answer = ask(open_shop, "POST", "/v2/models/stays/infer", body)
    assert status == 400, answer
    assert isinstance(answer["error"], str)
    assert told in answer["error"]
    assert "Traceback" not in answer["error"]


def test_each_inference_leaves_a_row_of_its_own(open_shop: Lab) -> None:
    before = {row.id for row in open_shop.rows()}
    infer(open_shop, "worth", *columns(2))
    infer(open_shop, "worth", AGE)
    ask(open_shop, "GET", "/v2/models/worth")
    rows = [row for row in open_shop.rows() if row.id not in before]
    assert [(row.deployment, row.model, row.route, row.status, row.ended, row.usage) for row in rows] == [
        ("worth", "worth@1", "/v2/infer", 200, "complete", "unknown"), ("worth", "worth@1", "/v2/infer", 400, "failed", "unknown"),
    ]  # fmt: skip


def test_a_classic_model_is_asked_with_a_key_and_not_as_a_chat(open_shop: Lab) -> None:
    assert ask(open_shop, "GET", "/v2/models/stays", key="wrong")[0] == 401
    assert ask(open_shop, "POST", "/v2/models/stays/infer", {}, key="")[0] == 401
    status, answer = ask(open_shop, "POST", "/v1/chat/completions", {"model": "stays", "messages": []})
    assert (status, answer["error"]["code"]) == (404, "model_not_found")
    assert "/v2" in answer["error"]["message"]
    assert ask(open_shop, "GET", "/v2/models/nothing")[0] == 404
