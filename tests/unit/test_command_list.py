"""What every command owes: an effect, words for each parameter, a page of reference, a place in the face of the package."""

import importlib
import inspect
import json
import re
from pathlib import Path

import pytest

import snapml_lab
from snapml_lab.commands import reference, schema
from snapml_lab.commands.core import Command, Surface, commands
from snapml_lab.commands.dispatch import parameters_model
from snapml_lab.governance.roles import Effect
from snapml_lab.tracking.recorder import Recorder
from snapml_lab.views.base import View

REPO = Path(__file__).resolve().parents[2]
ALL = list(commands().values())
each = pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)


@each
def test_it_has_an_effect_and_a_surface(command: Command):
    assert isinstance(command.effect, Effect)
    assert command.surfaces


@each
def test_its_name_is_one_or_two_plain_words(command: Command):
    assert re.fullmatch(r"[a-z][a-z_-]*( [a-z][a-z_]*)?", command.name)


@each
def test_its_summary_is_one_sentence(command: Command):
    assert re.fullmatch(r"[A-Z].+[.]", command.summary)


@each
def test_its_docstring_has_a_line_for_each_parameter_and_for_nothing_else(command: Command):
    _, _, body = (inspect.getdoc(command.function) or "").partition("\nArgs:\n")
    described = re.findall(r"^ {4}(\w+): \S", body.partition("\n\n")[0], re.MULTILINE)
    assert described == list(command.parameters)


@each
def test_its_parameters_have_a_json_schema(command: Command):
    assert parameters_model(command).model_json_schema()["type"] == "object"


@each
def test_it_returns_a_view_or_a_stream(command: Command):
    result = command.result
    if isinstance(result, type) and issubclass(result, View):
        return
    if result is Recorder:  # what a with statement holds open is no answer
        assert command.surfaces == {Surface.PYTHON}
        return
    assert getattr(result, "__origin__", None) is not None
    assert Surface.REST not in command.surfaces


@each
def test_options_are_given_by_name_alone(command: Command):
    for name, item in command.parameters.items():
        if item.kind is not inspect.Parameter.KEYWORD_ONLY and item.default is not inspect.Parameter.empty:
            assert item.default in ("last", None), (
                f"{name} has a default of its own, so it should be keyword-only"
            )


def test_only_what_reads_is_called_reading():
    reading = {command.name for command in ALL if command.effect is Effect.READ}
    assert not {
        name for name in reading if name.split()[-1] in {"add", "remove", "cancel", "run", "set", "output"}
    }


def test_every_module_that_defines_commands_is_listed():
    from snapml_lab.commands.core import MODULES

    folder = REPO / "snapml_lab" / "commands"
    defining = {
        path.stem
        for path in folder.glob("*.py")
        if re.search(r"^@command\(", path.read_text("utf-8"), re.MULTILINE)
    }
    assert defining == set(MODULES)


def test_no_two_parameter_models_have_the_same_name():
    names = [parameters_model(command).__name__ for command in ALL]
    assert len(names) == len(set(names))


def test_the_face_of_the_package_is_the_first_words_of_what_python_has():
    words = {command.python.split()[0] for command in ALL if Surface.PYTHON in command.surfaces}
    assert set(snapml_lab.FACE) == words
    assert list(snapml_lab.FACE) == sorted(snapml_lab.FACE)


@pytest.mark.parametrize(
    "command",
    [command for command in ALL if Surface.PYTHON in command.surfaces],
    ids=lambda command: command.name,
)
def test_a_command_is_a_function_of_the_package(command: Command):
    found = snapml_lab
    for word in command.python.split():
        found = getattr(found, word)
    assert list(inspect.signature(found).parameters)[: len(command.parameters)] == list(command.parameters)
    assert found.__doc__ == command.function.__doc__


def test_a_subpackage_of_the_same_name_is_still_imported():
    assert importlib.import_module("snapml_lab.jobs.queue").submit
    assert "list" in dir(snapml_lab.jobs)


def test_a_name_there_is_not_is_an_attribute_error():
    with pytest.raises(AttributeError):
        _ = snapml_lab.jobs.nothing
    with pytest.raises(AttributeError):
        _ = snapml_lab.nothing


def test_the_reference_is_what_the_commands_say():
    folder = REPO / "docs" / "reference"
    written = {path.name: path.read_text("utf-8") for path in folder.glob("*.md")}
    assert written == reference.pages(), "run: make docs"


@each
def test_the_reference_has_a_section_with_all_it_takes(command: Command):
    page = reference.pages()[f"{command.words[0]}.md"]
    section = page.partition(f"## {command.name}\n")[2].partition("\n## ")[0]
    assert all(f"| `{name}` |" in section for name in command.parameters)
    assert str(command.effect) in section


def test_the_schema_of_the_page_is_what_the_commands_say():
    assert (REPO / "labextension" / "schema.json").read_text("utf-8") == schema.text(), "run: make types"


def test_the_schema_has_every_command_of_rest_and_no_other():
    found = json.loads(schema.text())["properties"]
    assert set(found) == {"/".join(command.words) for command in ALL if Surface.REST in command.surfaces}


def test_every_reference_inside_the_schema_is_defined():
    text = schema.text()
    used = set(re.findall(r'"#/\$defs/([^"]+)"', text))
    assert used <= set(json.loads(text)["$defs"])
