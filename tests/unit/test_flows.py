"""Pipelines as written: parameters with types, references between steps, and every mistake named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.errors import InvalidInputError, NotFoundError, SnapmlError
from snapml_lab.flows.definition import read, resolve
from snapml_lab.flows.parameters import Parameter, check, declared

PLAIN = st.one_of(
    st.text(max_size=20),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.integers(), max_size=3),
)


def parameters(notebook: Callable[..., Path], source: str) -> dict[str, Parameter]:
    return declared(notebook("a.ipynb", (source, ["parameters"])))


@pytest.mark.parametrize(
    ("source", "type_", "default"),
    [
        ("x = 1", "int", 1),
        ("x = 1.5", "float", 1.5),
        ("x = -1", "int", -1),
        ("x = True", "bool", True),
        ("x = 'a'", "str", "a"),
        ("x = [1, 2]", "list", [1, 2]),
        ("x = {'a': 1}", "dict", {"a": 1}),
        ("x = None", "", None),
        ("x: float = 20", "float", 20),
        ("x: str", "str", None),
        ("x: str | None = None", "", None),
        ("x: Path = 'a'", "", "a"),
        ("x = load()", "", None),
        ("x: int = load()", "int", None),
        ("x = {[]: 1}", "", None),
        ("x = y = 2", "int", 2),
        ("# a comment\nimport os\nx = 3", "int", 3),
    ],
)
def test_a_parameter_has_the_type_of_its_annotation_else_of_its_default(
    notebook, source: str, type_: str, default: Any
):
    assert parameters(notebook, source)["x"] == Parameter("x", type_, default)


def test_only_the_tagged_cell_declares(notebook):
    path = notebook("a.ipynb", "y = 1", ("x = 2", ["parameters"]), "z = 3")
    assert list(declared(path)) == ["x"]


def test_a_notebook_without_a_tagged_cell_takes_nothing(notebook):
    assert declared(notebook("a.ipynb", "x = 1")) == {}


@pytest.mark.parametrize("source", ["x = ", "%pip install this", "x = 1\x00"])
def test_a_parameters_cell_that_is_not_python_is_named(notebook, source: str):
    with pytest.raises(InvalidInputError, match=r"a\.ipynb: its parameters cell is not Python"):
        parameters(notebook, source)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"cells": 3}', '{"cells": [3]}', '{"cells": [{"metadata": {"tags": ["parameters"]}}]}', "\xff"]
)  # fmt: skip
def test_what_is_no_notebook_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "a.ipynb"
    path.write_text(content, "latin-1")
    with pytest.raises(InvalidInputError, match="is not a notebook"):
        declared(path)


@pytest.mark.parametrize(
    ("type_", "given_value", "got"),
    [
        ("int", 3, 3), ("int", "3", 3), ("int", "-3", -3), ("float", "1e3", 1000.0), ("float", 3, 3.0), ("float", "3", 3.0),
        ("bool", "true", True), ("bool", "False", False), ("bool", True, True), ("str", "3", "3"), ("str", "", ""),
        ("list", "[1, 2]", [1, 2]), ("dict", "{'a': 1}", {"a": 1}), ("", "anything", "anything"), ("", 3, 3),
    ],
)  # fmt: skip
def test_text_is_read_as_the_parameters_type(type_: str, given_value: Any, got: Any):
    found = check(Parameter("x", type_, None), given_value, where="here")
    assert (found, type(found)) == (got, type(got))


@pytest.mark.parametrize(
    ("type_", "given_value"),
    [
        ("int", "abc"), ("int", 1.5), ("int", "1.5"), ("int", True), ("int", "True"), ("int", ""), ("float", "abc"), ("float", None),
        ("float", "nan"), ("bool", "yes"), ("bool", 1), ("bool", "1"), ("str", 3), ("list", "1, 2"), ("list", "{}"), ("dict", "[]"),
        ("int", "{[]: 1}"), ("int", "\x00"), ("int", "(" * 5000), ("int", "__import__('os')"), ("int", "9" * 5000),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_refused_with_the_parameters_name(type_: str, given_value: Any):
    with pytest.raises(InvalidInputError) as refusal:
        check(Parameter("rate", type_, None), given_value, where="step 'train'")
    assert "step 'train': rate" in refusal.value.message
    assert f"a value of type {type_}" in refusal.value.message


@given(st.sampled_from(["str", "int", "float", "bool", "list", "dict"]), PLAIN)
def test_what_passes_is_of_the_type_and_passes_again_unchanged(type_: str, value: Any):
    parameter = Parameter("x", type_, None)
    try:
        found = check(parameter, value, where="here")
    except InvalidInputError:
        return
    assert type(found).__name__ == type_
    assert repr(check(parameter, found, where="here")) == repr(found)


@given(st.text(max_size=30))
def test_no_text_is_a_fault(text: str):
    for type_ in ("int", "float", "bool", "list", "dict"):
        try:
            check(Parameter("x", type_, None), text, where="here")
        except SnapmlError as error:
            assert error.code == "invalid_input"  # noqa: PT017 - any other exception is what this looks for


@pytest.fixture
def pipeline(project: Path, notebook) -> Callable[..., Path]:
    """Write a pipeline of two steps, learn then use, with parts of it replaced; return its path."""
    notebook("learn.ipynb", ("seconds: float = 5\ntable = 'a.csv'", ["parameters"]))
    notebook("use.ipynb", ("model = ''\nmany = 1", ["parameters"]))

    def write(text: str | None = None, **changes: Any) -> Path:
        content: dict[str, Any] = {
            "name": "tour",
            "parameters": {"seconds": 3, "table": "flowers.csv", "quick": True},
            "steps": [
                {"name": "learn", "notebook": "learn.ipynb", "outputs": ["model"],
                 "parameters": {"seconds": "${seconds}", "table": "data/${table}"}},
                {"name": "use", "notebook": "use.ipynb", "parameters": {"model": "${learn.model}", "many": 2}},
            ],
            **changes,
        }  # fmt: skip
        path = project / "tour.yaml"
        path.write_text(json.dumps(content) if text is None else text, "utf-8")  # JSON is YAML
        return path

    return write


def step(name: str = "use", notebook: str = "use.ipynb", **more: Any) -> dict[str, Any]:
    return {"name": name, "notebook": notebook, **more}


def test_a_good_pipeline_is_read_with_its_defaults(pipeline):
    found, values = read(pipeline(), {})
    assert [item.name for item in found.steps] == ["learn", "use"]
    assert values == {"seconds": 3, "table": "flowers.csv", "quick": True}


def test_parameters_from_outside_are_read_as_the_type_of_the_default(pipeline):
    _, values = read(pipeline(), {"seconds": "7", "table": "7", "quick": "false"})
    assert values == {"seconds": 7, "table": "7", "quick": False}


def test_references_are_replaced_and_a_whole_one_keeps_its_type():
    values, outputs = {"seconds": 3, "table": "a.csv"}, {"learn": {"model": {"name": "m"}}}
    assert resolve("${seconds}", values, outputs) == 3
    assert resolve("data/${table}?${seconds}", values, outputs) == "data/a.csv?3"
    assert resolve("${learn.model}", values, outputs) == {"name": "m"}
    assert resolve(2.5, values, outputs) == 2.5
    assert resolve("$seconds {seconds} ${}", values, outputs) == "$seconds {seconds} ${}"


@given(st.text(max_size=20))
def test_what_a_parameter_holds_is_never_read_as_a_reference_again(text: str):
    assert resolve("${a}", {"a": text, "b": "secret"}, {}) == text
    assert resolve("<${a}>", {"a": "${b}" + text, "b": "secret"}, {}) == "<${b}" + text + ">"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "no spaces"}, "name:"),
        ({"name": None}, "name:"),
        ({"nmae": "x"}, "nmae:"),
        ({"steps": []}, "steps:"),
        ({"steps": "learn"}, "steps:"),
        ({"steps": [{"name": "a"}]}, "steps.0.notebook:"),
        ({"steps": [step(name="a b")]}, "steps.0.name:"),
        ({"steps": [step(name="../a")]}, "steps.0.name:"),
        ({"steps": [step(output=["x"])]}, "steps.0.output:"),
        ({"steps": [step(outputs="model")]}, "steps.0.outputs:"),
        ({"steps": [step(parameters=["many"])]}, "steps.0.parameters:"),
        ({"parameters": {"a": [1]}}, "parameters.a"),
        ({"steps": [step(), step()]}, "two steps are called 'use'"),
        ({"steps": [step(parameters={"mayn": 2})]}, "use.ipynb has no parameter 'mayn'"),
        ({"steps": [step(parameters={"many": "two"})]}, "step 'use': many"),
        ({"steps": [step(parameters={"many": "${table}"})]}, "step 'use': many"),
        ({"steps": [step(parameters={"many": "${none}"})]}, "there is no parameter ${none}"),
        ({"steps": [step(parameters={"many": "${none}"})], "parameters": {}}, "there is no parameter ${none}"),
        ({"steps": [step(parameters={"model": "${learn.model}"})]}, "which no step before it puts out"),
        ({"steps": [step(parameters={"model": "${use.model}"}, outputs=["model"])]}, "which no step before it puts out"),
        ({"steps": [step("learn", "learn.ipynb", outputs=["model"]), step(parameters={"model": "a-${learn.score}"})]},
         "which no step before it puts out"),
    ],
)  # fmt: skip
def test_each_mistake_in_a_pipeline_is_named(pipeline, changes: dict[str, Any], said: str):
    with pytest.raises(InvalidInputError) as refusal:
        read(pipeline(**changes), {})
    assert said in refusal.value.message
    assert refusal.value.fix


@pytest.mark.parametrize(
    "text",
    ["", "- a", "just words", "a: [", "a: b: c", "a: 2020-13-45", "\x00", "!!python/object:os.system {}"],
)
def test_a_file_that_is_no_pipeline_is_an_error_not_a_fault(pipeline, text: str):
    with pytest.raises(InvalidInputError, match=r"tour\.yaml|Field required|valid dict") as refusal:
        read(pipeline(text), {})
    assert "tour.yaml" in str(refusal.value)


def test_a_pipeline_that_does_not_exist_says_so(project: Path):
    with pytest.raises(NotFoundError, match=r"none\.yaml"):
        read(project / "none.yaml", {})


def test_a_notebook_that_does_not_exist_is_named_with_its_step(pipeline):
    with pytest.raises(NotFoundError, match=r"Step 'use': there is no notebook 'gone\.ipynb'"):
        read(pipeline(steps=[step(notebook="gone.ipynb")]), {})


def test_a_parameter_it_does_not_take_is_answered_with_those_it_takes(pipeline):
    with pytest.raises(InvalidInputError, match="no parameter 'second'") as refusal:
        read(pipeline(), {"second": "3"})
    assert "seconds, table, quick" in refusal.value.fix


def test_a_parameter_of_the_wrong_type_is_named(pipeline):
    with pytest.raises(InvalidInputError, match="tour: seconds: got 'soon', expected a value of type int"):
        read(pipeline(), {"seconds": "soon"})
