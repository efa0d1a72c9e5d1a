"""The magic, by what a person types into a real IPython and what they find afterwards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import CapturedIO, capture_output
from traitlets.config import Config

from snapml_lab import errors
from snapml_lab.commands.data import DatasetView
from snapml_lab.commands.status import Status
from snapml_lab.jobs.model import State
from snapml_lab.workspace import Workspace


@pytest.fixture
def shell(ws: Workspace) -> Iterator[InteractiveShell]:
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    made = InteractiveShell.instance(config=config)
    made.run_line_magic("load_ext", "snapml_lab")
    yield made
    InteractiveShell.clear_instance()


def typed(shell: InteractiveShell, cell: str) -> tuple[Any, CapturedIO]:
    """Run a cell and return its result with all it showed."""
    with capture_output() as shown:
        result = shell.run_cell(cell)
    return result, shown


def error_of(shell: InteractiveShell, cell: str) -> errors.SnapmlError:
    result, _ = typed(shell, cell)
    assert isinstance(result.error_in_exec, errors.SnapmlError)
    return result.error_in_exec


def test_one_line_gives_the_magic(shell: InteractiveShell):
    assert "snapml" in shell.magics_manager.magics["line"]
    assert "snapml" in shell.magics_manager.magics["cell"]


def test_loading_it_again_is_no_error(shell: InteractiveShell):
    result, _ = typed(shell, "%reload_ext snapml_lab\n%snapml status")
    assert result.success


def test_a_command_gives_its_view(shell: InteractiveShell, ws: Workspace):
    result, _ = typed(shell, "%snapml status")
    assert isinstance(result.result, Status)
    assert result.result.workspace == str(ws.root)


def test_a_view_may_be_kept_in_a_variable_and_is_then_not_shown(shell: InteractiveShell):
    result, shown = typed(shell, "found = %snapml status")
    assert result.success
    assert isinstance(shell.user_ns["found"], Status)
    assert (shown.outputs, shown.stdout) == ([], "")


def test_a_view_is_shown_once_in_both_forms(shell: InteractiveShell):
    _, shown = typed(shell, "%snapml status")
    [output] = shown.outputs
    assert set(output.data) == {"text/plain", "text/html"}
    assert "SnapML Lab" in output.data["text/plain"]
    assert "SnapML Lab" not in shown.stdout


def test_a_view_shown_again_is_shown_again(shell: InteractiveShell):
    typed(shell, "found = %snapml status")
    for _ in range(2):
        _, shown = typed(shell, "found")
        assert len(shown.outputs) == 1


def test_no_argument_shows_what_there_is(shell: InteractiveShell):
    result, shown = typed(shell, "%snapml")
    assert result.result is None
    assert "Usage: %snapml COMMAND" in shown.stdout


def test_a_command_that_fails_fails_the_cell_and_what_follows_does_not_run(shell: InteractiveShell):
    result, shown = typed(shell, "%snapml jobs show none\nafter = 1")
    assert isinstance(result.error_in_exec, errors.NotFoundError)
    assert "after" not in shell.user_ns
    assert "There is no job 'none'." in shown.stdout + shown.stderr
    assert "dispatch.py" not in shown.stdout + shown.stderr


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("%snapml jbos list", errors.UnknownCommandError, 'Did you mean "jobs"'),
        ("%snapml jobs list --limit 0", errors.InvalidInputError, "limit: got 0"),
        ("%snapml data add 'half a name", errors.InvalidInputError, "Close the quotes"),
        ("%snapml data add {nothing}", errors.InvalidInputError, "There is no variable 'nothing'"),
        ("%snapml data add nothing.csv", errors.NotFoundError, "There is no table 'nothing.csv'"),
        ("%%snapml status\nbody", errors.InvalidInputError, "takes no cell body"),
    ],
)
def test_a_mistake_is_an_error_of_the_family(shell: InteractiveShell, line: str, kind: type, said: str):
    error = error_of(shell, line)
    assert type(error) is kind
    assert said in str(error)


def test_a_variable_in_braces_stands_for_its_value(shell: InteractiveShell, ws: Workspace):
    (ws.project / "two words.csv").write_text("a,b\n1,2\n")
    shell.user_ns["path"] = Path("two words.csv")
    result, _ = typed(shell, "%snapml data add {path} --name words")
    assert isinstance(result.result, DatasetView)
    assert result.result.name == "words"


def test_a_name_inside_a_word_is_expanded_too(shell: InteractiveShell):
    shell.user_ns |= {"version": 3, "least": 0.9}
    typed(shell, "found = %snapml pipeline output x iris@{version}-{least}")
    assert shell.user_ns["found"].value == "iris@3-0.9"


@pytest.mark.parametrize(
    "word", ["{a b}", "a{}", '{"a": 1}', "$path", "{pathos}s", "use {path} here", "{path!r}", "{1 + 1}"]
)
def test_other_braces_and_dollars_stay_as_they_are(shell: InteractiveShell, word: str):
    shell.user_ns["path"] = "expanded"
    typed(shell, f"found = %snapml pipeline output x '{word}'")
    assert shell.user_ns["found"].value == ({"a": 1} if word == '{"a": 1}' else word)


def test_a_table_is_taken_from_the_notebook_by_its_name(shell: InteractiveShell, ws: Workspace):
    shell.user_ns["numbers"] = pd.DataFrame({"a": [1, 2, 3]})
    result, _ = typed(shell, "%snapml data add numbers")
    assert (result.result.name, result.result.rows, result.result.columns) == ("numbers", 3, ["a"])
    assert ws.catalog.keys("datasets") == ["numbers"]


def test_a_table_that_is_none_is_refused_by_what_it_is(shell: InteractiveShell):
    shell.user_ns["numbers"] = {"a": [1, 2]}
    assert "got 'dict', expected a pandas DataFrame" in str(error_of(shell, "%snapml data add numbers"))


@pytest.mark.filterwarnings("ignore:`Completer.complete`:PendingDeprecationWarning")
def test_a_line_completes_to_commands_and_to_tables(shell: InteractiveShell):
    shell.user_ns["numbers"] = pd.DataFrame({"a": [1, 2, 3]})
    assert shell.complete("jobs", "%snapml jo")[1] == ["jobs"]
    assert "numbers" in shell.complete("", "%snapml automl ")[1]


def test_work_says_which_cell_it_came_from(shell: InteractiveShell, ws: Workspace):
    typed(shell, "from snapml_lab.tracking import provenance\nfound = provenance.here()")
    assert shell.user_ns["found"].cell_sha256
    assert shell.user_ns["found"].notebook is None


def test_the_python_face_is_there_in_a_notebook(shell: InteractiveShell):
    result, _ = typed(shell, "import snapml_lab as snap\nsnap.jobs.list()")
    assert result.result.jobs == []


def test_a_search_is_one_picture_that_is_updated_and_is_not_shown_again_as_the_result(
    shell: InteractiveShell, flowers: Path
):
    result, shown = typed(shell, f"%snapml automl {flowers.name} --target target --time 1")
    assert result.result.state == State.SUCCEEDED
    new = [output for output in shown.outputs if not output.update]
    assert len(new) == 1
    assert len({output.transient["display_id"] for output in shown.outputs}) == 1
    assert "flowers-target@1" in shown.outputs[-1].data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" not in {
        kind for output in shown.outputs for kind in output.data
    }


def test_in_the_background_the_job_is_the_answer(shell: InteractiveShell, flowers: Path):
    result, shown = typed(shell, f"%snapml automl {flowers.name} --target target --time 30 -b")
    assert result.result.kind == "automl"
    assert not State(result.result.state).ended
    assert len(shown.outputs) == 1
