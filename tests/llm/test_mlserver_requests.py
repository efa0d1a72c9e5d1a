"""What MLServer's own clients and tests send is answered as MLServer answers it, or refused in V2's form.

The bodies are those that the codecs of mlserver 1.7.1 write for two tables, and the shapes of its tests, its benchmark and its
documentation; the answers' names, shapes, datatypes and content types are those its scikit-learn runtime gave for the same.
"""

import csv
import gzip
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from snapml_lab.guardrails import capture
from snapml_lab.registry import model_file
from snapml_lab.registry.signature import Signature

from . import classic
from .home import Lab, until
from .test_predict_engine import ask

Body = dict[str, Any]


def column(name: str, data: Any, datatype: str, form: str | None, shape: list[int] | None = None) -> Body:
    made = {"name": name, "shape": shape or [len(data), 1], "datatype": datatype, "data": data}
    return {**made, "parameters": {"content_type": form}} if form else made


def people(
    city: Body, *, ages: str = "INT64", sums: str = "FP64", form: str | None = None, **more: Any
) -> Body:
    """A young spender in Rome and an older one in Oslo, as PandasCodec or a codec a column writes them."""
    first = [column("age", [40, 19], ages, form), column("spent", [9.5, 480.0], sums, form)]
    return {"parameters": {"content_type": "pd"}, "inputs": [*first, city], **more}


CITY = column("city", ["Oslo", "Rome"], "BYTES", "str")
WORDS: dict[str, Body] = {
    "a table": people(CITY),
    "a table whose texts have no content type": people(column("city", ["Oslo", "Rome"], "BYTES", None)),
    "a table of texts and numbers mixed": people(column("city", ['"Oslo"', '"Rome"'], "BYTES", "pd_json")),
    "a codec a column": people(CITY, sums="FP32", form="np"),
    "texts in base64": people(column("city", ["T3Nsbw==", "Um9tZQ=="], "BYTES", "base64"), form="np"),
    "small numbers": people(CITY, ages="UINT8", sums="FP16", form="np"),
    "texts' lengths in the shape": people(column("city", ["Oslo", "Rome"], "BYTES", "str", [2, 4])),
    "fields dumped with their nulls": {
        "id": None, "outputs": None, "parameters": {"content_type": "pd", "headers": None},
        "inputs": [{**item, "parameters": None} for item in people(CITY)["inputs"]],
    },
    "no outputs named": people(CITY, outputs=[]),
    "binary outputs wished for, as tritonclient does": people(CITY) | {"parameters": {"binary_data_output": True}},
    "fields nobody knows": people(CITY, priority=3),
}  # fmt: skip

NUMBERS = [5.1, 3.5, 1.4, 0.2, 6.7, 3.0, 5.2, 2.3]


def leaves(data: Any = NUMBERS, shape: Any = (2, 4), datatype: str = "FP64", **more: Any) -> Body:
    """Two flowers, as NumpyRequestCodec writes them."""
    tensor = {"name": "input-1", "shape": list(shape), "datatype": datatype, "data": data}
    return {"parameters": {"content_type": "np"}, "inputs": [{**tensor, "parameters": {"content_type": "np"}}], **more}  # fmt: skip


ARRAYS: dict[str, Body] = {
    "an array": leaves(),
    "an array in rows": leaves([NUMBERS[:4], NUMBERS[4:]]),
    "of single precision": leaves(datatype="FP32"),
    "numbers as texts": leaves([str(value) for value in NUMBERS], datatype="FP32"),
}  # fmt: skip


@pytest.fixture(scope="module")
def iris(shop: Lab) -> Iterator[str]:
    """A model of an array of four numbers, its classes 0, 1 and 2."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    rows, kinds = load_iris(return_X_y=True)
    names = [f"x{number}" for number in range(4)]
    path = shop.folder / "iris.skops"
    model_file.save(LogisticRegression(max_iter=500).fit(rows, kinds), path)
    signature = Signature(
        [],
        [],
        [],
        {},
        "kind",
        ["0", "1", "2"],
        order=names,
        types=dict.fromkeys(names, "float64"),
        array=True,
    )
    classic.keep(shop.ws, "iris", path, signature, "multiclass")
    shop.do("deploy", "iris")
    yield "iris"
    shop.do("undeploy", "iris")


def told(lab: Lab, model: str, body: Body) -> Body:
    status, answer = ask(lab, "POST", f"/v2/models/{model}/infer", body)
    assert status == 200, answer
    assert (answer["model_name"], answer["model_version"]) == (model, "1")
    assert isinstance(answer["id"], str)
    return {item["name"]: item for item in answer["outputs"]}


@pytest.mark.parametrize("what", WORDS)
def test_tables_are_answered(open_shop: Lab, what: str) -> None:
    found = told(open_shop, "stays", WORDS[what])["stays"]
    assert found == {
        "name": "stays", "shape": [2], "datatype": "BYTES", "parameters": {"content_type": "np"}, "data": ["no", "yes"],
    }  # fmt: skip


@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_are_answered_with_one(open_shop: Lab, iris: str, what: str) -> None:
    found = told(open_shop, iris, ARRAYS[what])
    assert list(found.values()) == [{
        "name": "predict", "shape": [2, 1], "datatype": "INT64", "parameters": {"content_type": "np"}, "data": [0, 2],
    }]  # fmt: skip


def test_a_tensor_that_says_nothing_of_its_kind_is_answered_with_all_there_is(
    open_shop: Lab, iris: str
) -> None:
    bare = {"inputs": [{"name": "input-0", "shape": [2, 4], "datatype": "FP32", "data": NUMBERS, "more": 1}]}
    found = told(open_shop, iris, bare)
    assert (list(found), found["kind"]["data"]) == (["kind", "probability"], ["0", "2"])


def test_one_text_stands_for_a_list_of_one(open_shop: Lab) -> None:
    body = {"inputs": [
        column("age", [40], "INT32", None, [1]), column("spent", [9.5], "FP32", None, [1]),
        column("city", "Oslo", "BYTES", "str", [4]),
    ]}  # fmt: skip
    assert told(open_shop, "stays", body)["stays"]["data"] == ["no"]


def test_a_number_not_known_is_a_gap_and_truths_are_numbers(open_shop: Lab, iris: str) -> None:
    bare = leaves([True, False, True, False], (1, 4), "BOOL")
    assert told(open_shop, iris, bare)["predict"]["data"] in ([0], [1], [2])
    status, answer = ask(open_shop, "POST", f"/v2/models/{iris}/infer", leaves([1, 2, 3, None], (1, 4)))
    assert (status, list(answer)) == (400, ["error"])  # this model does without gaps, and says so
    assert "NaN" in answer["error"]


def test_outputs_asked_for_by_mlservers_names_have_its_shapes(open_shop: Lab, iris: str) -> None:
    both = [{"name": "predict"}, {"name": "predict_proba"}]
    found = told(open_shop, "stays", people(CITY, outputs=both, id="one"))
    assert list(found) == ["predict", "predict_proba"]
    shares = found["predict_proba"]["data"]
    as_arrays = {"content_type": "np"}
    assert found["predict"] == {
        "name": "predict", "shape": [2, 1], "datatype": "BYTES", "parameters": as_arrays, "data": ["no", "yes"],
    }  # fmt: skip
    assert (found["predict_proba"]["shape"], found["predict_proba"]["datatype"]) == ([2, 2], "FP64")
    assert shares[0] + shares[1] == pytest.approx(1)
    assert shares[0] > shares[1]
    assert shares[2] < shares[3]
    of_numbers = told(open_shop, iris, leaves(outputs=both))
    assert of_numbers["predict"] == {
        "name": "predict", "shape": [2, 1], "datatype": "INT64", "parameters": as_arrays, "data": [0, 2],
    }  # fmt: skip
    assert of_numbers["predict_proba"]["shape"] == [2, 3]
    as_text = told(open_shop, "stays", people(CITY, outputs=[{"name": "predict", "parameters": {"content_type": "str"}}]))  # fmt: skip
    assert as_text["predict"]["parameters"] == {"content_type": "str"}
    worth = told(open_shop, "worth", people(CITY, outputs=[{"name": "predict"}]))
    assert (worth["predict"]["shape"], worth["predict"]["datatype"]) == ([2, 1], "FP64")
    assert list(told(open_shop, "stays", people(CITY))) == ["stays", "probability"]


def test_an_id_comes_back_and_who_gives_none_gets_one_of_his_own(open_shop: Lab) -> None:
    def identifier(**more: Any) -> Any:
        return ask(open_shop, "POST", "/v2/models/stays/infer", people(CITY, **more))[1]["id"]

    assert identifier(id="5e3a") == "5e3a"
    assert len({identifier(), identifier(), identifier(id=None)}) == 3


REFUSED: dict[str, tuple[Body, str]] = {
    "an output there is not": (people(CITY, outputs=[{"name": "transform"}]), "outputs: got 'transform'"),
    "outputs that are text": (people(CITY, outputs="predict"), "outputs: got 'predict'"),
    "an output without a name": (people(CITY, outputs=[{}]), "outputs"),
    "numbers as texts of a codec": (
        people(CITY, outputs=[{"name": "predict_proba", "parameters": {"content_type": "str"}}]), "outputs: predict_proba",
    ),
    "an id that is a number": (people(CITY, id=5), "id: got 5"),
    "a datatype there is not": (leaves(datatype="INT322"), "inputs: input-1: got 'INT322'"),
    "no base64": (people(column("city", ["Łódź", "Rome"], "BYTES", "base64")), "inputs: city: got 'Łódź'"),
    "no JSON": (people(column("city", ["Oslo", "Rome"], "BYTES", "pd_json")), "inputs: city: got 'Oslo'"),
    "an object in JSON": (people(column("city", ["{}", "[]"], "BYTES", "pd_json")), "inputs: city"),
    "an image": (people(column("city", ["a", "b"], "BYTES", "img")), "inputs: city: content_type: got 'img'"),
    "a content type that is a number": (
        {"inputs": [{**CITY, "parameters": {"content_type": 3}}]}, "inputs: city: content_type",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_meaning_here_is_refused_by_name(open_shop: Lab, what: str) -> None:
    body, words = REFUSED[what]
    status, answer = ask(open_shop, "POST", "/v2/models/stays/infer", body)
    assert (status, list(answer)) == (400, ["error"])
    assert words in answer["error"]


def test_probabilities_of_a_model_of_numbers_are_refused(open_shop: Lab) -> None:
    body = people(CITY, outputs=[{"name": "predict_proba"}])
    status, answer = ask(open_shop, "POST", "/v2/models/worth/infer", body)
    assert (status, answer) == (
        400, {"error": "outputs: got 'predict_proba', expected some of worth, predict."},
    )  # fmt: skip


def test_a_body_may_be_compressed(open_shop: Lab) -> None:
    place = urlsplit(open_shop.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    headers = {"Authorization": f"Bearer {open_shop.key}", "Content-Encoding": "gzip"}
    for content, status in (
        (gzip.compress(json.dumps(people(CITY)).encode()), 200), (b"no gzip at all", 400),
        (gzip.compress(b" " * (17 << 20)), 413),
    ):  # fmt: skip
        connection.request("POST", "/v2/models/stays/infer", content, headers)
        response = connection.getresponse()
        assert (response.status, response.read()[:9] == b'{"error":') == (status, status != 200)
        connection.close()


def test_a_server_and_a_model_say_what_they_are(open_shop: Lab) -> None:
    status, server = ask(open_shop, "GET", "/v2")
    assert (status, sorted(server)) == (200, ["extensions", "name", "version"])
    for path in ("/v2/models/stays", "/v2/models/stays/versions/1"):
        status, model = ask(open_shop, "GET", path)
        assert (status, model["name"], model["versions"]) == (200, "stays", ["1"])
        assert ask(open_shop, "GET", f"{path}/ready")[0] == 200
    for path in ("/v2/models/nobody", "/v2/models/nobody/ready", "/v2/models/stays/versions/v0"):
        status, answer = ask(open_shop, "GET", path)
        assert (status, list(answer)) == (404, ["error"])


def test_what_was_asked_of_a_classic_model_is_kept_and_is_a_table_again(open_shop: Lab, iris: str) -> None:
    for name in ("stays", iris):
        open_shop.do("capture", "on", name)
    assert ask(open_shop, "POST", "/v2/models/stays/infer", people(CITY))[0] == 200
    assert ask(open_shop, "POST", "/v2/models/stays/infer", {"inputs": []})[0] == 400
    named = people(column("city", ["ann@example.org", "Rome"], "BYTES", "str"))
    assert ask(open_shop, "POST", "/v2/models/stays/infer", named)[0] == 200
    assert ask(open_shop, "POST", f"/v2/models/{iris}/infer", leaves())[0] == 200
    for name, number in (("stays", 2), (iris, 1)):
        until(
            lambda name=name, number=number: len(capture.read(open_shop.ws, name)) == number,
            what="what is kept",
        )
        open_shop.do("capture", "off", name)
    told = open_shop.do("capture", "export", "stays", "asked.csv")
    assert (told["records"], told["left_out"]) == (4, 0)
    with (open_shop.folder / "asked.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["at", "age", "spent", "city", "predicted_stays", "predicted_probability"]
    assert [(row["age"], row["city"], row["predicted_stays"]) for row in rows[:2]] == [
        ("40", "Oslo", "no"),
        ("19", "Rome", "yes"),
    ]
    assert "example.org" not in rows[2]["city"]
    open_shop.do("capture", "export", iris, "leaves.csv")
    with (open_shop.folder / "leaves.csv").open(newline="") as file:
        assert [row["x0"] for row in csv.DictReader(file)] == ["5.1", "6.7"]
