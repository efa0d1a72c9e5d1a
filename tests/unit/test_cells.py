"""What a cell needs and makes, as read from its source; sizes, durations and names as typed; variables as files."""

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from snapml_lab.commands.binding import bind
from snapml_lab.commands.completion import candidates
from snapml_lab.commands.core import Surface
from snapml_lab.commands.types import Duration, Memory, Names
from snapml_lab.errors import InvalidInputError
from snapml_lab.flows import capture as captures
from snapml_lab.flows import pickles
from snapml_lab.flows.capture import capture, known
from snapml_lab.flows.variables import variables
from snapml_lab.workspace import Workspace

KNOWN = {"a", "b", "c", "f", "x", "print", "data", "model"}


@pytest.mark.parametrize(
    ("code", "reads"),
    [
        ("x = a + b", ["a", "b"]),
        ("a = 1\nb = a", []),
        ("a = a + 1", ["a"]),
        ("a += 1", ["a"]),
        ("a: int = b", ["b"]),
        ("a: int\nx = a", ["a"]),
        ("unknown + a", ["a"]),
        ("if x:\n    a = 1\nb = a", ["x", "a"]),
        ("if x:\n    a = 1\nelse:\n    a = 2\nb = a", ["x"]),
        ("for a in b:\n    c = a\nx = c", ["b", "c"]),
        ("while a:\n    b = 1\nprint(b)", ["a", "print", "b"]),
        ("try:\n    a = 1\nexcept ValueError as b:\n    c = b\nx = a", ["a"]),
        ("try:\n    a = 1\nexcept ValueError:\n    raise\nx = a", []),
        ("try:\n    pass\nfinally:\n    a = 1\nx = a", []),
        ("with a as b:\n    c = b\nx = c", ["a"]),
        ("import a\nfrom b import c\nx = a, c", []),
        ("[a for a in b]", ["b"]),
        ("[a for x in b for a in x if c]", ["b", "c"]),
        ("(a := b)\nx = a", ["b"]),
        ("[(c := a) for a in b]\nx = c", ["b"]),
        ("lambda a: a + b", ["b"]),
        ("def f(a, b=c):\n    return a + x\n", ["c", "x"]),
        ("def f():\n    return f() + a\n", ["a"]),
        ("def f():\n    a = 1\n    def inner():\n        return a + b\n    return inner", ["b"]),
        ("def f():\n    global a\n    a = b", ["b"]),
        ("@f\nclass C(a):\n    b = c\n    def m(self):\n        return x", ["f", "a", "c", "x"]),
        ("match a:\n    case {'k': b, **c}:\n        x = b\n    case [f, *data]:\n        pass", ["a"]),
        ("del a", ["a"]),
        ("a.b[c] = 1", ["a", "c"]),
        ("f'{a} {b!r:{c}}'", ["a", "b", "c"]),
        ("await a\nasync for b in c:\n    pass", ["a", "c"]),
        ("x = [await a for a in b]", ["b"]),
        ("get_ipython().run_line_magic('time', 'x = f(a)')", ["f", "a"]),
        ("get_ipython().run_cell_magic('time', '', 'x = a\\nb = x')", ["a"]),
        ("get_ipython().system('ls $a {b} c {')", ["a", "b"]),
        ("x = get_ipython().getoutput('ls {a[c]}')", ["a", "c"]),
        ("# nothing", []),
    ],
)
def test_a_cell_reads_what_it_has_not_surely_assigned_before(code: str, reads: list[str]):
    found = variables(code, KNOWN).reads
    assert sorted(found) == sorted(reads)


@pytest.mark.parametrize(
    ("code", "makes", "changes"),
    [
        ("x = 1\ny, (z, *w) = a", ["x", "y", "z", "w"], []),
        ("import numpy as np\nfrom os import path\nx = 1", ["x"], []),
        ("def f(): y = 1\nclass C: z = 1", ["f", "C"], []),
        ("def f():\n    global g\n    g = 1", ["f", "g"], []),
        ("for i in range(3): total = i", ["i", "total"], []),
        ("model.fit(data)", [], ["model"]),
        ("loss = model.fit(data)", ["loss"], []),
        ("data['a'] = 1\nmodel.head.bias = 2", [], ["data", "model"]),
        ("data[0].append(1)", [], ["data"]),
        ("await model.train()", [], ["model"]),
        ("del data['a']", [], ["data"]),
        ("[x for x in y]", [], []),
        ("if (n := len(data)) > 1: pass", ["n"], []),
    ],
)
def test_a_cell_makes_what_it_assigns_and_changes_what_it_works_on(
    code: str, makes: list[str], changes: list[str]
):
    found = variables(code, KNOWN)
    assert (found.makes, found.changes) == (makes, changes)


@pytest.mark.parametrize("code", ["", "  \n\n", "x = ", "def f(:", "return 1", "x = 1\x00", "break"])
def test_what_is_no_cell_is_refused_before_anything_starts(code: str):
    with pytest.raises(InvalidInputError, match="cell"):
        variables(code, ())


def test_the_line_that_is_not_python_is_named():
    with pytest.raises(InvalidInputError, match="cell, line 3: it is not Python"):
        variables("\nx = 1\ny = (", ())


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str):
    try:
        variables(text, KNOWN)
    except InvalidInputError:
        return


@pytest.mark.parametrize(
    ("typed", "got"),
    [
        (512, 512), ("512", 512), ("8GiB", 8192), ("8 GiB", 8192), ("8g", 8192), ("1.5GiB", 1536), ("500MB", 477),
        ("1TiB", 1 << 20), ("2M", 2), ("0.1MiB", 1),
    ],
)  # fmt: skip
def test_a_size_is_mib_or_has_a_unit(typed: Any, got: int):
    assert TypeAdapter(Memory).validate_python(typed) == got


@pytest.mark.parametrize(
    "typed", ["", "GiB", "8 apples", "-1", "8KiB", True, 1.5, None, [], "1e9", "9" * 30, 0]
)
def test_a_size_that_is_none_is_refused(typed: Any):
    with pytest.raises(ValidationError):
        TypeAdapter(Memory).validate_python(typed)


@pytest.mark.parametrize(
    ("typed", "got"),
    [
        (90, 90), (1.5, 1.5), ("90", 90), ("1e2", 100), ("90s", 90), ("0.5s", 0.5), ("10m", 600), ("2h", 7200), ("1h30m", 5400),
        ("1d2h3m4s", 93784),
    ],
)  # fmt: skip
def test_a_duration_is_seconds_or_has_units(typed: Any, got: float):
    assert TypeAdapter(Duration).validate_python(typed) == got


@pytest.mark.parametrize("typed", ["", "m", "soon", "10 m", "1m1h", "-5", "nan", "inf", "31d", True, None, 0])
def test_a_duration_that_is_none_is_refused(typed: Any):
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(typed)


@pytest.mark.parametrize(
    ("typed", "got"),
    [
        ("a,b", ["a", "b"]),
        (["a,b", "c"], ["a", "b", "c"]),
        (" a , a,", ["a"]),
        ("", []),
        (["über"], ["über"]),
    ],
)
def test_names_are_separated_by_commas(typed: Any, got: list[str]):
    assert TypeAdapter(Names).validate_python(typed) == got


@pytest.mark.parametrize("typed", ["a b", "1a", "a.b", "../x", 3, [3], None])
def test_names_that_are_none_are_refused(typed: Any):
    with pytest.raises(ValidationError):
        TypeAdapter(Names).validate_python(typed)


@pytest.mark.parametrize("surface", [Surface.CLI, Surface.MAGIC])
def test_words_after_two_dashes_are_the_commands_own(surface: Surface):
    line = "run --gpus 1 --gpu-memory 8GiB --after a --after b -- python train.py --lr 3 -- --help -p"
    bound = bind(line.split(), surface)
    assert bound.arguments == {
        "what": ["python", "train.py", "--lr", "3", "--", "--help", "-p"], "gpus": 1, "gpu_memory": "8GiB",
        "after": ["a", "b"],
    }  # fmt: skip


def test_options_after_a_file_are_ours():
    bound = bind(["run", "a.ipynb", "-p", "lr=1e-4", "-p", "b=2", "--name", "x"], Surface.CLI)
    assert bound.arguments == {"what": ["a.ipynb"], "param": ["lr=1e-4", "b=2"], "name": "x"}


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("run --gpus 1 python train.py --name x", "snapml run --gpus 1 -- python train.py --name x"),
        ("run python train.py --lr 3", "snapml run -- COMMAND --option"),
        (
            "jobs schedule a cron run x.py --timezone UTC",
            "snapml jobs schedule a cron -- run x.py --timezone UTC",
        ),
    ],
)
def test_options_whose_owner_nobody_can_tell_are_refused_with_the_fix(line: str, fix: str):
    with pytest.raises(InvalidInputError) as refusal:
        bind(line.split(), Surface.CLI)
    assert fix in refusal.value.fix


def test_run_completes_files_jobs_queues_and_schedules(ws: Workspace, submit: Any):
    (ws.project / "train.py").write_text("")
    submit("pass", name="train", queue="nights")
    ws.catalog.add("schedules", "nightly", {})
    assert candidates(ws, ["run"], "tr", Surface.CLI, {}) == ["train.py"]
    assert candidates(ws, ["run", "--", "python"], "tr", Surface.CLI, {}) == ["train.py"]
    assert "train" in candidates(ws, ["run", "--after"], "tr", Surface.CLI, {})
    assert candidates(ws, ["jobs", "result"], "tr", Surface.CLI, {}) == ["train"]
    assert candidates(ws, ["run", "--queue"], "", Surface.CLI, {}) == ["default", "nights"]
    assert candidates(ws, ["jobs", "unschedule"], "", Surface.CLI, {}) == ["nightly"]
    assert candidates(ws, ["run", "-p"], "", Surface.CLI, {}) == []


def test_variables_that_share_an_object_are_one_file_and_others_one_each(tmp_path: Path):
    weights = [1, 2]
    values = {"model": {"w": weights}, "table": [3], "optimizer": [weights], "name": "x", "again": "x"}
    packed = pickles.pack(values, tmp_path)
    groups = sorted(sorted(file.names) for file in packed.files)
    assert groups == [["again"], ["model", "optimizer"], ["name"], ["table"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(file.path.name for file in packed.files)


def test_arrays_that_share_nothing_but_their_dtype_are_files_of_their_own(tmp_path: Path):
    np = pytest.importorskip("numpy")
    assert len(pickles.pack({"a": np.ones(3), "b": np.zeros(3)}, tmp_path).files) == 2


def test_what_cannot_be_pickled_is_told_and_leaves_no_file(tmp_path: Path):
    packed = pickles.pack({"lock": threading.Lock(), "fine": 1}, tmp_path)
    assert "cannot pickle '_thread.lock' object" in packed.refused["lock"]
    assert [path.name for path in tmp_path.iterdir()] == ["fine.pkl"]


def _namespace(source: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(source, space)
    return space


def test_functions_take_along_by_name_what_they_use_and_what_that_uses(ws: Workspace):
    space = _namespace(
        "import json\nscale = 3\nhidden = 4\nunused = 5\ndef inner(x): return json.dumps(x * scale)\n"
        "class Net:\n    def go(self): return inner(hidden)\nnet = Net()"
    )
    found = capture(ws, space, variables("net.go()", known(space)), None)
    assert {name for item in found.inputs for name in item["names"]} == {"net", "inner", "scale", "hidden"}
    assert found.modules == {"json": "json"}


def test_an_input_that_cannot_go_along_is_named_with_who_uses_it_and_nothing_is_kept(ws: Workspace):
    space = _namespace("import threading\nlock = threading.Lock()\ndef work(): return lock")
    with pytest.raises(
        InvalidInputError, match=r"'lock' \(a _thread.lock\), which work uses, cannot be sent"
    ):
        capture(ws, space, variables("work()", known(space)), None)
    with pytest.raises(InvalidInputError, match=r"'lock' \(a _thread.lock\) cannot be sent"):
        capture(ws, space, variables("lock", known(space)), None)
    assert not list(ws.cache.glob("*"))
    assert not [path for path in ws.blobs.root.rglob("*") if path.is_file()]


def test_more_than_may_go_along_is_refused_by_name(ws: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(captures, "MOST_BYTES", 10_000)
    space = {"small": b"x" * 5_000, "large": b"y" * 6_000}
    with pytest.raises(InvalidInputError, match="with 'large'"):
        capture(ws, space, variables("small, large", known(space)), None)
    assert not [path for path in ws.blobs.root.rglob("*") if path.is_file()]


def test_an_input_that_is_not_there_is_refused(ws: Workspace):
    with pytest.raises(InvalidInputError, match="inputs: got 'nothing'"):
        capture(ws, {}, variables("1", ()), ["nothing"])


def test_the_same_input_is_kept_once(ws: Workspace):
    space = {"table": list(range(1000))}
    one, two = (capture(ws, space, variables("table", known(space)), None) for _ in range(2))
    assert one == two
    assert len([path for path in ws.blobs.root.rglob("*") if path.is_file()]) == 1
