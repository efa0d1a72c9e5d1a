"""Asking from a cell and from a terminal: the answer streams, and its foot tells what it took."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import CapturedIO, capture_output
from traitlets.config import Config

from snapml_lab import errors
from snapml_lab.commands.ask import Answer

from .home import Lab, until
from .wire import CLOSE, DONE, END, HANG, HEAD, NAME, Wire, delta, event, used

HOSTILE = '<img src=x onerror="alert(1)">\x1b[2J'


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    made = InteractiveShell.instance(config=config)
    made.run_line_magic("load_ext", "snapml_lab")
    yield made
    InteractiveShell.clear_instance()


@pytest.fixture
def in_lab(alive: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.chdir(alive.folder)
    monkeypatch.setenv("SNAPML_WORKSPACE", str(alive.folder))
    return alive


def typed(shell: InteractiveShell, cell: str) -> tuple[Any, CapturedIO]:
    with capture_output() as shown:
        result = shell.run_cell(cell)
    return result, shown


def error_of(shell: InteractiveShell, cell: str) -> errors.SnapmlError:
    result, _ = typed(shell, cell)
    error = result.error_before_exec or result.error_in_exec
    assert isinstance(error, errors.SnapmlError)
    return error


def test_a_cell_shows_one_growing_answer_with_its_foot(in_lab: Lab, shell: InteractiveShell) -> None:
    result, shown = typed(shell, "%%snapml ask --model tuned --max-tokens 12\nbob has\n  7\n")
    assert result.success
    answer = result.result
    assert isinstance(answer, Answer)
    assert answer.done
    row = in_lab.row(answer.request or "")
    assert (row.deployment, row.streamed, row.ended, row.usage) == ("tuned", 1, "complete", "metered")
    assert (answer.input_tokens, answer.output_tokens) == (row.input_tokens, row.output_tokens)
    assert f"{row.input_tokens} + {row.output_tokens} tokens" in answer.text()
    assert "cost unknown (no price of this machine is declared)" in answer.text()
    displays = shown.outputs
    assert len({output.transient["display_id"] for output in displays}) == 1
    assert [output.update for output in displays] == [False] + [True] * (len(displays) - 1)
    assert displays[-1].data == answer.bundle()
    assert answer.foot() not in displays[0].data["text/plain"] or len(displays) == 1


def test_a_cell_after_the_ask_can_use_the_answer(in_lab: Lab, shell: InteractiveShell) -> None:
    typed(
        shell,
        "answer = get_ipython().run_cell_magic('snapml', 'ask --model tuned --max-tokens 6', 'bob has 7')",
    )
    assert (
        shell.user_ns["answer"].content
        == in_lab.do("ask", "bob has 7", "--model", "tuned", "--max-tokens", "6")["content"]
    )


def test_the_row_knows_the_notebook(
    in_lab: Lab, shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAPML_NOTEBOOK", str(in_lab.folder / "Schlüssel 1.ipynb"))
    result, _ = typed(shell, "%%snapml ask --model tuned --max-tokens 2\nhello")
    assert in_lab.row(result.result.request).notebook == "Schlüssel 1.ipynb"


def test_help_of_a_cell_is_shown_and_nothing_asked(in_lab: Lab, shell: InteractiveShell) -> None:
    before = in_lab.rows()
    for cell in ("%snapml ask --help", "%%snapml ask --help\nanything"):
        result, shown = typed(shell, cell)
        assert result.success
        assert "--max-tokens" in shown.stdout
    assert in_lab.rows() == before


def test_what_is_wrong_with_a_cell_is_said(in_lab: Lab, shell: InteractiveShell) -> None:
    assert error_of(shell, "%%snapml ask --model nobody\nhello").code == "not_found"
    assert error_of(shell, "%%snapml ask\nhello").code == "invalid_input"
    assert error_of(shell, "%%snapml ask --model tuned --max-tokens 0\nhello").code == "invalid_input"
    assert error_of(shell, "%%snapml ask --model tuned --temperature 9\nhello").code == "invalid_input"
    assert error_of(shell, "%%snapml ask --model tuned\n   \n").code == "invalid_input"
    assert error_of(shell, "%%snapml cost\nhello").code == "invalid_input"


@pytest.mark.parametrize(
    "text", ["--help", "--model other", "-x", "{nothing}", "'\"", '{"a": [1]}', "a\n\n--b"]
)
def test_the_cells_text_is_text_whatever_it_looks_like(
    wire: Wire, shell: InteractiveShell, text: str
) -> None:
    result, _ = typed(shell, f"%%snapml ask --model {NAME}\n{text}\n")
    assert result.success
    assert wire.asked[-1]["body"]["messages"] == [{"role": "user", "content": text}]


@pytest.fixture
def wire(ws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The project's workspace with a scripted engine; where commands look for the gateway is told."""
    with Wire(ws) as made:
        monkeypatch.setattr("snapml_lab.engines.services.base_url", lambda _: f"http://127.0.0.1:{made.port}")
        made.script = [HEAD, event(delta("fine")), event(delta(finish="stop", usage=used(3, 1))), DONE, END]
        yield made


def test_a_hostile_answer_is_shown_as_text(wire: Wire, shell: InteractiveShell) -> None:
    wire.script = [HEAD, event(delta(HOSTILE)), event(delta(finish="stop", usage=used(3, 1))), DONE, END]
    result, shown = typed(shell, f"%%snapml ask --model {NAME}\nhello")
    answer = result.result
    assert answer.content == HOSTILE
    assert "<img" not in answer.html()
    assert "&lt;img" in answer.html()
    for output in shown.outputs:
        assert "<img" not in output.data["text/html"]
        assert "\x1b" not in output.data["text/plain"]


def test_an_answer_tells_its_price_and_the_system_is_told_first(wire: Wire, shell: InteractiveShell) -> None:
    result, _ = typed(shell, f"%%snapml ask --model {NAME} --system 'be brief' --temperature 0.5\nhello")
    assert result.result.cost_pico == str(3 * 3_000_000 + 15_000_000)
    assert "cost $0.000024 (declared" in result.result.foot()
    body = wire.asked[-1]["body"]
    assert [item["role"] for item in body["messages"]] == ["system", "user"]
    assert body["temperature"] == 0.5
    typed(shell, f"%%snapml ask --model {NAME}\nhello")
    assert wire.asked[-1]["body"]["temperature"] == 0


def test_an_answer_that_breaks_off_is_an_error_and_leaves_its_row(
    wire: Wire, shell: InteractiveShell
) -> None:
    wire.script = [HEAD, event(delta("half")), CLOSE]
    error = error_of(shell, f"%%snapml ask --model {NAME}\nhello")
    assert "broke off" in error.message
    assert (wire.one_row().ended, wire.one_row().output_tokens) == ("failed", 1)
    wire.script = [CLOSE]
    assert "does not answer at the moment" in error_of(shell, f"%%snapml ask --model {NAME}\nhello").message


def test_a_gateway_that_dies_in_the_middle_is_an_error_of_the_family(
    wire: Wire, shell: InteractiveShell
) -> None:
    import threading

    wire.script = [HEAD, event(delta("half")), HANG]

    def end() -> None:
        until(lambda: wire.open, what="the engine to be asked")
        wire.call(wire.end_gateway())

    killer = threading.Thread(target=end)
    killer.start()
    error = error_of(shell, f"%%snapml ask --model {NAME}\nhello")
    killer.join()
    assert error.code == "conflict"
    assert error.fix
    assert "does not answer" in error_of(shell, f"%%snapml ask --model {NAME}\nhello").message


def test_the_terminal_prints_the_answer_and_its_foot(in_lab: Lab) -> None:
    told = in_lab.do("ask", "bob has 7", "--model", "tuned", "--max-tokens", "8")
    assert told["done"]
    done = in_lab.run("ask", "bob has 7", "--model", "tuned", "--max-tokens", "8")
    assert done.returncode == 0
    content, foot = done.stdout.rstrip("\n").rsplit("\n", 1)
    assert content.strip() == told["content"].strip()
    assert foot.startswith("tuned · ")
    assert in_lab.refused("ask", "hello", "--model", "nobody")["code"] == "not_found"
    assert in_lab.refused("ask", "hello")["code"] == "invalid_input"
    assert "--max-tokens" in in_lab.run("ask", "--help").stdout


def test_without_a_gateway_nobody_is_asked(ws: Any, shell: InteractiveShell) -> None:
    error = error_of(shell, "%%snapml ask --model tuned\nhello")
    assert error.code == "conflict"
    assert "deploy" in error.fix


def test_what_is_asked_is_in_the_audit_but_no_key(in_lab: Lab) -> None:
    from snapml_lab.governance import keys

    in_lab.run("ask", "bob has 7", "--model", "tuned", "--max-tokens", "2")
    rows = [dict(row) for row in in_lab.ws.ledger.rows("SELECT * FROM audit")]
    assert any(row["command"] == "ask" and row["surface"] == "cli" for row in rows)
    assert keys.notebook_key(in_lab.ws) not in json.dumps(rows)
