"""From words to a command: the same for the magic and the terminal, with help for each and a suggestion for most slips."""

import typing
from pathlib import Path

import pandas as pd
import pytest

from snapml_lab.commands.binding import bind
from snapml_lab.commands.completion import candidates
from snapml_lab.commands.core import Command, Surface, commands
from snapml_lab.errors import InvalidInputError, SnapmlError, UnknownCommandError
from snapml_lab.jobs.model import State
from snapml_lab.workspace import Workspace

TYPED = (Surface.CLI, Surface.MAGIC)


def typed(surface: Surface) -> list[Command]:
    return [command for command in commands().values() if surface in command.surfaces]


@pytest.mark.parametrize(
    ("line", "name", "arguments"),
    [
        ("status", "status", {}),
        ("jobs list", "jobs list", {}),
        ("jobs list --limit 3 --state running", "jobs list", {"limit": 3, "state": State.RUNNING}),
        ("jobs list --limit=3", "jobs list", {"limit": 3}),
        ("jobs show last", "jobs show", {"job": "last"}),
        ("jobs show --job last", "jobs show", {"job": "last"}),
        ("jobs cancel last --grace 0.5", "jobs cancel", {"job": "last", "grace": 0.5}),
        ("jobs logs last --offset -500", "jobs logs", {"job": "last", "offset": -500}),
        (
            "automl flowers.csv --target y --time 5",
            "automl",
            {"data": "flowers.csv", "target": "y", "time": 5.0},
        ),
        ("automl 5 --target 6", "automl", {"data": "5", "target": "6"}),
        ("runs compare a b c", "runs compare", {"run": ["a", "b", "c"]}),
        (
            "pipeline run a.yaml -p x=1 --param y=2",
            "pipeline run",
            {"file": "a.yaml", "param": ["x=1", "y=2"]},
        ),
        ("pipeline run a.yaml --param x=a=b", "pipeline run", {"file": "a.yaml", "param": ["x=a=b"]}),
    ],
)
@pytest.mark.parametrize("surface", TYPED)
def test_a_line_is_read_as_its_command(surface: Surface, line: str, name: str, arguments: dict):
    bound = bind(line.split(), surface)
    assert bound.command is not None
    assert (bound.command.name, bound.arguments) == (name, arguments)


@pytest.mark.parametrize("flag", ["-b", "--background"])
def test_background_is_a_word_of_every_command_with_a_picture(flag: str):
    bound = bind(["automl", "df", "--target", "y", flag], Surface.MAGIC)
    assert bound.background
    assert "background" not in bound.arguments
    assert not bind(["automl", "df", "--target", "y"], Surface.MAGIC).background


def test_background_is_no_word_of_a_command_that_answers_at_once():
    with pytest.raises(InvalidInputError, match="-b"):
        bind(["jobs", "list", "-b"], Surface.CLI)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("jobs show", "--job requires an argument"),
        ("jobs list --limt 3", "Did you mean --limit?"),
        ("jobs list --limit many", 'unable to convert "many" into int'),
        ("jobs list --state asleep", 'Choose from: "queued"'),
        ("jobs list extra", "extra"),
        ("automl df", "--target requires an argument"),
        ("automl df --target", "--target"),
    ],
)
def test_a_slip_is_named_with_where_to_read_on(line: str, said: str):
    with pytest.raises(InvalidInputError) as refusal:
        bind(line.split(), Surface.CLI)
    assert said in refusal.value.message
    words = line.split("--", maxsplit=1)[0].split()
    assert refusal.value.fix.startswith(f"See: snapml {words[0]}")
    assert refusal.value.fix.endswith("--help")


@pytest.mark.parametrize(
    ("line", "meant"),
    [("jbos list", "jobs"), ("jobs lst", "list"), ("statsu", "status"), ("data ad x", "add")],
)
def test_a_command_nearly_right_is_offered(line: str, meant: str):
    with pytest.raises(UnknownCommandError, match=f'Did you mean "{meant}"'):
        bind(line.split(), Surface.CLI)


def test_the_fix_is_written_as_the_surface_writes_it():
    with pytest.raises(SnapmlError, match="See: %snapml jobs --help"):
        bind(["jobs", "lst"], Surface.MAGIC)


def test_limits_are_left_to_the_dispatcher_whose_words_are_the_same_everywhere():
    assert bind(["jobs", "cancel", "last", "--grace", "-1"], Surface.CLI).arguments["grace"] == -1.0


@pytest.mark.parametrize(
    ("surface", "command"), [(surface, command) for surface in TYPED for command in typed(surface)], ids=lambda item: getattr(item, "name", item)
)  # fmt: skip
def test_every_command_has_help_that_names_all_it_takes(surface: Surface, command: Command):
    bound = bind([*command.words, "--help"], surface)
    assert bound.command is None
    prefix = "%snapml" if surface is Surface.MAGIC else "snapml"
    assert bound.help.startswith(f"Usage: {prefix} {command.name}")
    assert " ".join(bound.help.split()).find(command.summary.split(". ")[0][:60]) > 0
    for name in command.parameters:
        assert f"--{name.replace('_', '-')}" in bound.help
    assert ("--background" in bound.help) == (command.picture is not None)
    assert "--empty" not in bound.help


@pytest.mark.parametrize("tokens", [[], ["--help"], ["jobs"], ["jobs", "--help"]])
def test_a_group_shows_what_is_in_it(tokens: list[str]):
    bound = bind(tokens, Surface.CLI)
    assert bound.command is None
    assert ("Stop a job" if "jobs" in tokens else "leaderboard") in bound.help


def test_a_command_of_other_surfaces_is_unknown():
    with pytest.raises(UnknownCommandError):
        bind(["up"], Surface.MAGIC)
    with pytest.raises(UnknownCommandError):
        bind(["pipeline", "output", "a", "b"], Surface.CLI)


@pytest.mark.parametrize("surface", TYPED)
def test_all_words_that_complete_are_commands_and_all_commands_complete(ws: Workspace, surface: Surface):
    first = candidates(ws, [], "", surface, {})
    found = set()
    for word in first:
        inner = candidates(ws, [word], "", surface, {})
        groups = {command.words for command in typed(surface)}
        found |= {(word, verb) for verb in inner if (word, verb) in groups} | ({(word,)} & groups)
    assert found == {command.words for command in typed(surface)}


@pytest.fixture
def space() -> dict:
    return {"df": pd.DataFrame({"size": [1], "colour": ["red"]}), "_hidden": pd.DataFrame(), "number": 3}


def test_the_beginning_of_a_word_narrows(ws: Workspace):
    assert candidates(ws, [], "mod", Surface.MAGIC, {}) == ["models"]
    assert candidates(ws, ["jobs"], "l", Surface.MAGIC, {}) == ["list", "logs"]


def test_options_complete_with_dashes(ws: Workspace):
    assert candidates(ws, ["jobs", "list"], "--", Surface.MAGIC, {}) == ["--limit", "--state"]
    assert "--background" in candidates(ws, ["automl"], "--", Surface.MAGIC, {})


def test_members_of_a_closed_set_complete(ws: Workspace):
    assert candidates(ws, ["jobs", "list", "--state"], "s", Surface.MAGIC, {}) == [
        "starting",
        "stopping",
        "succeeded",
    ]


@pytest.mark.parametrize(
    "before", [["automl"], ["automl", "-b"], ["automl", "--background"], ["automl", "--time", "5"]]
)
def test_tables_complete_from_the_notebook_the_catalog_and_the_folder(
    ws: Workspace, space: dict, before: list[str]
):
    ws.catalog.add("datasets", "flowers", {"versions": []})
    (ws.project / "rows.csv").write_text("")
    (ws.project / "notes.md").write_text("")
    found = candidates(ws, before, "", Surface.MAGIC, space)
    assert {"df", "flowers", "rows.csv"} <= set(found)
    assert not {"_hidden", "number", "notes.md"} & set(found)


def test_columns_complete_from_the_table_named_before(ws: Workspace, space: dict):
    assert candidates(ws, ["automl", "df", "--target"], "", Surface.MAGIC, space) == ["size", "colour"]
    assert candidates(ws, ["automl", "df", "--target"], "col", Surface.MAGIC, space) == ["colour"]


def test_files_complete_below_a_folder(ws: Workspace):
    (ws.project / "tours").mkdir()
    (ws.project / "tours" / "one.yaml").write_text("")
    assert candidates(ws, ["pipeline", "run"], "tours/", Surface.CLI, {}) == ["tours/one.yaml"]


def test_a_name_with_stars_is_no_pattern(ws: Workspace):
    Path("a.csv").write_text("")
    assert candidates(ws, ["pipeline", "run"], "*", Surface.CLI, {}) == []


def test_after_all_that_is_taken_nothing_completes(ws: Workspace):
    assert candidates(ws, ["jobs", "show", "last"], "", Surface.MAGIC, {}) == []


def test_completion_of_nonsense_is_empty_and_no_fault(ws: Workspace):
    assert candidates(ws, ["nothing", "like", "it"], "", Surface.MAGIC, {}) == []


def test_every_annotation_can_be_imported():
    for command in commands().values():
        assert typing.get_type_hints(command.function, include_extras=True)
