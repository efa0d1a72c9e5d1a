"""Cells, commands and notebooks as jobs: what goes along, what comes home, and what is said where one fails."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

import snapml_lab as snap
from snapml_lab.commands.core import Call, Surface
from snapml_lab.commands.dispatch import dispatch
from snapml_lab.errors import (
    CellFailedError,
    ConflictError,
    DetachedError,
    InvalidInputError,
    JobFailedError,
    SnapmlError,
    StoreDamagedError,
)
from snapml_lab.jobs import queue
from snapml_lab.jobs.view import JobView
from snapml_lab.workspace import Workspace

from .sources import UNTIL_GO

SECONDS = 60.0


@pytest.fixture
def run(ws: Workspace) -> Callable[..., JobView]:
    """Run a cell as ``%%snapml run`` would in a notebook with this namespace."""

    def send(code: str, namespace: dict[str, Any] | None = None, **options: Any) -> JobView:
        call = Call(Surface.MAGIC, namespace=namespace or {})
        found = dispatch(ws, "run", {"cell": "\n" + textwrap.dedent(code).strip("\n"), **options}, call)
        assert isinstance(found, JobView)
        return found

    return send


def notebook_of(source: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(textwrap.dedent(source), space)
    return space


def test_variables_go_along_by_value_and_come_home(run):
    space = {"table": [1, 2, 3], "factor": 2}
    job = run("scaled = [x * factor for x in table]\ntable.append(9)\ntotal = sum(scaled)", space)
    assert not job.state.ended
    space["table"].clear()
    found = job.result(SECONDS)
    assert (found.scaled, found["total"], found.table) == ([2, 4, 6], 12, [1, 2, 3, 9])
    assert space["table"] == []
    assert set(found) == {"scaled", "total", "table"}
    assert dict(**found)["total"] == 12
    assert found.get("factor") is None
    with pytest.raises(KeyError, match="there are scaled"):
        found["factor"]
    with pytest.raises(AttributeError):
        _ = found.factor
    assert "total   int" in found.text()
    assert found.html()


def test_functions_and_classes_of_the_notebook_see_what_the_cell_sets(run):
    space = notebook_of("""
        import math
        rate = 1.0
        def helper(x): return x * rate * math.floor(2.5)
        class Net:
            def __init__(self): self.weights = [1.0]
            def step(self): self.weights.append(helper(len(self.weights)))
        class Optimizer:
            def __init__(self, net): self.weights = net.weights
        net = Net()
        optimizer = Optimizer(net)
    """)
    found = run("rate = 10.0\nnet.step()\nsame = optimizer.weights is net.weights", space).result(SECONDS)
    assert found.same
    assert found.net.weights == [1.0, 20.0]
    assert type(found.net).__name__ == "Net"


def test_a_cell_is_the_main_program_in_the_current_folder(run, project):
    (project / "beside.py").write_text("value = 41\n")
    found = run("""
        import os, sys
        import beside
        name, folder, argv, value = __name__, os.getcwd(), sys.argv, beside.value + 1
        main = sys.modules["__main__"].value
        value
    """).result(SECONDS)
    assert (found.name, found.folder, found.argv) == ("__main__", str(project), [""])
    assert (found.value, found.main) == (42, 42)
    assert set(found) == {"name", "folder", "argv", "value", "main"}


def test_the_last_expression_is_shown_and_kept(run):
    job = run("x = 20\nx + 1")
    assert job.result(SECONDS)["_"] == 21
    assert job.logs() == "21\n"


def test_awaiting_at_the_top_works(run):
    found = run("import asyncio\nx = await asyncio.sleep(0.01, 5)\nawait asyncio.sleep(0, x + 1)").result(
        SECONDS
    )
    assert (found.x, found["_"]) == (5, 6)


def test_what_is_named_comes_home_and_nothing_else(run):
    found = run("a = 1\nb = 2\nc = 3", outputs="a,c").result(SECONDS)
    assert dict(found) == {"a": 1, "c": 3}
    found = run("x = {**globals()}.get('a')", {"a": 1, "b": 2}, inputs="b").result(SECONDS)
    assert found.x is None


def test_what_cannot_be_kept_is_listed_unless_it_was_asked_for(run):
    found = run("import threading\nlock = threading.Lock()\nx = 1").result(SECONDS)
    assert dict(found) == {"x": 1}
    (left,) = found.left_out
    assert (left.name, left.type) == ("lock", "_thread.lock")
    assert "cannot pickle" in found.text()
    with pytest.raises(KeyError, match="cannot pickle"):
        found["lock"]
    with pytest.raises(CellFailedError, match=r"'lock' .* cannot be kept: .*cannot pickle"):
        run("import threading\nlock = threading.Lock()", outputs="lock").result(SECONDS)


@pytest.mark.parametrize(
    ("code", "space", "options", "said"),
    [
        ("x = lock", {"lock": threading.Lock()}, {}, "'lock' (a _thread.lock) cannot be sent along"),
        ("x = a", {"a": 1}, {"inputs": "b"}, "inputs: got 'b'"),
        ("x = 1", {}, {"outputs": "y"}, "outputs: got 'y', expected a name the cell assigns or takes in: x"),
        ("x = (", {}, {}, "cell, line 2: it is not Python"),
        ("", {}, {}, "cell: it is empty"),
        ("x = 1", {}, {"what": ["train.py"]}, "either a cell's text or a command"),
        ("x = 1", {}, {"param": ["a=1"]}, "param: only a notebook takes it"),
        ("x = 1", {}, {"memory": "10000TiB"}, "memory: got"),
        ("x = 1", {}, {"resume": "nothing"}, "There is no job 'nothing'"),
        ("x = 1", {}, {"queue": "a b"}, "queue: got 'a b'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_submitted(ws, run, code, space, options, said):
    with pytest.raises(SnapmlError) as raised:
        run(code, space, **options)
    assert said in raised.value.message
    assert raised.value.fix
    assert queue.count(ws) == 0


def test_a_cell_that_raises_says_what_and_where_and_keeps_nothing(ws, run):
    job = run("x = 1\ndef f():\n    raise ValueError('the jar is empty')\nf()", name="jar")
    with pytest.raises(CellFailedError) as raised:
        job.result(SECONDS)
    assert "ValueError: the jar is empty in line 4" in raised.value.message
    assert f"snapml jobs logs {job.id[-6:]}" in raised.value.fix
    ended = job.refresh()
    assert (ended.state, ended.error.code) == ("failed", "cell_failed")
    log = job.logs()
    assert 'File "<cell jar>", line 5, in <module>' in log
    assert "    raise ValueError('the jar is empty')" in log
    assert "flows/cell.py" not in log
    assert not (ws.jobs / job.id / "artifacts" / "outputs").exists()
    with pytest.raises(CellFailedError):
        snap.jobs.result("jar")


def test_a_cell_that_exits_has_ended(run):
    assert run("x = 1\nraise SystemExit").result(SECONDS).x == 1
    with pytest.raises(CellFailedError, match="SystemExit: 3"):
        run("x = 1\nraise SystemExit(3)").result(SECONDS)


def test_a_handle_waits_cancels_and_lets_go(run, monkeypatch):
    job = run("import time\nprint('begun', flush=True)\ntime.sleep(600)")
    with pytest.raises(ConflictError, match=r"still .* after 0\.2 s"):
        job.result(timeout=0.2)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(queue, "wait", interrupted)
        with pytest.raises(DetachedError, match="which goes on"):
            job.result()
    assert not job.refresh().state.ended
    job.cancel(grace=0.5)
    assert job.wait(SECONDS).state == "cancelled"
    with pytest.raises(JobFailedError, match="was cancelled"):
        job.result()


def test_a_handle_finds_its_workspace_wherever_the_process_is(run, tmp_path, monkeypatch):
    job = run("x = 1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPML_WORKSPACE")
    assert job.result(SECONDS).x == 1
    assert not (tmp_path / ".snapml").exists()


def test_an_output_that_was_changed_on_the_disk_is_not_read(ws, run):
    job = run("x = [1]")
    found = job.result(SECONDS)
    file = ws.jobs / job.id / "artifacts" / "outputs" / found.outputs[0].file
    file.write_bytes(file.read_bytes() + b"!")
    with pytest.raises(StoreDamagedError, match="no longer holds"):
        found["x"]


def test_inputs_that_are_large_are_told(run, printed, ws):
    job = run("print(len(data))", {"data": bytes(5 << 20)})
    job.result(SECONDS)
    assert job.refresh().message == "with data (5 MiB)"


class Kernel:
    def __init__(self, folder: Path) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(folder))
        self.run("%load_ext snapml_lab")

    def run(self, code: str) -> str:
        said = []

        def hear(message: Any) -> None:
            assert message["msg_type"] != "error", message["content"]
            if message["msg_type"] == "stream":
                said.append(message["content"]["text"])

        self.client.execute_interactive(code, timeout=60, output_hook=hear)
        return "".join(said)

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(project: Path) -> Iterator[Callable[[], Kernel]]:
    started: list[Kernel] = []

    def start() -> Kernel:
        started.append(Kernel(project))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_a_cell_outlives_its_kernel_and_another_kernel_has_its_result(ws, kernel, finish):
    first = kernel()
    first.run("size = 4\ndef double(x): return 2 * x")
    first.run("%%snapml run --name long\nimport time\ntime.sleep(2)\nmade = [double(i) for i in range(size)]")
    os.kill(first.manager.provisioner.pid, signal.SIGKILL)
    assert finish(queue.get(ws, "long")).state == "succeeded"
    second = kernel()
    said = second.run("r = %snapml jobs result long\nprint(r.made, list(r))")
    assert said == "[0, 2, 4, 6] ['made']\n"


def test_lines_with_percent_and_exclamation_mark_mean_what_they_mean_in_a_notebook(kernel):
    here = kernel()
    here.run("word = 'abc'")
    here.run(
        "h = None\n"
        "get_ipython().run_cell_magic('snapml', 'run --name magic', "
        "'x = 1\\n!echo said $word {x}\\nlisted = !echo one two\\n%time y = len(word)\\ndisplay(y)\\n')"
    )
    said = here.run("r = %snapml jobs result magic\nprint(r.y, list(r.listed))\nprint(snap.jobs.show('magic').logs())"
                    .replace("print(snap", "import snapml_lab as snap\nprint(snap"))  # fmt: skip
    assert "3 ['one two']" in said
    assert "said abc 1" in said


def test_a_cell_magic_without_a_cell_and_one_with_a_command_are_told(kernel):
    here = kernel()
    said = here.run(
        "try:\n    get_ipython().run_cell_magic('snapml', 'run -- ls', 'x = 1')\nexcept Exception as e: print(e)"
    )
    assert "either a cell's text or a command" in said


def test_a_command_has_its_words_and_its_exit_code(snapml, project):
    (project / "train.py").write_text("import sys\nprint(sys.argv[1:], sys.executable)\n")
    done = snapml(
        "run", "--name", "words", "--json", "--", "python", "train.py", "--json", "--lr", "$HOME; ls"
    )
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert (job["kind"], job["name"]) == ("command", "words")
    shown = snapml("jobs", "result", "words")
    assert "exit code 0" in shown.stdout
    said = snapml("jobs", "logs", "words").stdout
    assert f"['--json', '--lr', '$HOME; ls'] {sys.executable}" in said
    assert json.loads(snapml("jobs", "result", "words", "--json").stdout)["exit_code"] == 0


def test_a_script_alone_runs_in_this_environment_and_a_failure_has_its_last_line(ws, project):
    (project / "train.py").write_text("import sys\nsys.exit('no data')\n")
    job = snap.jobs.run(["train.py"])
    assert job.name == "train"
    with pytest.raises(JobFailedError, match="exited with code 1: no data"):
        job.result(SECONDS)


def test_bars_of_tqdm_and_metrics_of_trainers_are_recognised(ws, project, until):
    pytest.importorskip("tqdm")
    (project / "train.py").write_text(
        textwrap.dedent("""
        import sys, time
        from tqdm import tqdm
        for step in tqdm(range(40), desc="epoch"):
            if step == 20:
                print("{'loss': 0.25, 'epoch': 0.5}", flush=True)
            time.sleep(0.1)
    """)
    )
    job = snap.jobs.run(["python", "train.py"], name="bars")
    seen = until(lambda: (now := job.refresh()).progress not in (None, 0.0, 1.0) and now)
    assert 0 < seen.progress < 1
    assert "epoch" in seen.message
    assert job.result(SECONDS) == 0
    assert (
        ws.ledger.row("SELECT value FROM latest_metrics WHERE run = ? AND name = 'loss'", job.id)["value"]
        == 0.25
    )


@pytest.fixture
def study(notebook: Callable[..., Path]) -> Path:
    return notebook(
        "study.ipynb", ("lr: float = 0.1\nsteps = 3", ["parameters"]), "made = lr * steps", "print('made', made)"
    )  # fmt: skip


def test_a_notebook_runs_with_its_parameters_and_its_source_is_not_touched(ws, study, snapml, project):
    before = study.read_bytes()
    job = snap.jobs.run(["study.ipynb"], param=["lr=1e-4", "steps=2"])
    assert (job.kind, job.name, job.notebook) == ("notebook", "study", "study.ipynb")
    left = job.result(SECONDS)
    artifacts = ws.jobs / job.id / "artifacts"
    assert left["notebook"] == str(artifacts / "study.ipynb")
    assert "made 0.0002" in Path(left["notebook"]).read_text()
    assert "made 0.0002" in Path(left["html"]).read_text()
    assert study.read_bytes() == before
    done = snapml("run", "study.ipynb", "-p", "lr=2", "--out", "there")
    assert done.returncode == 0, done.stderr
    snap.jobs.wait("study")
    assert {path.name for path in (project / "there").iterdir()} == {"study.ipynb", "study.html"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["lr=fast"], "study.ipynb: lr"), (["rate=1"], "no parameter 'rate'"), (["lr"], "NAME=VALUE"), (["steps=1.5"], "steps"),
    ],
)  # fmt: skip
def test_a_parameter_that_does_not_fit_is_told_before_anything_starts(ws, study, given, said):
    with pytest.raises(InvalidInputError, match=said):
        snap.jobs.run(["study.ipynb"], param=given)
    assert queue.count(ws) == 0


def test_a_cell_of_a_notebook_that_fails_is_named(notebook):
    notebook("bad.ipynb", "x = 1", "1 / 0")
    with pytest.raises(CellFailedError, match=r"Cell 2 of bad\.ipynb.*ZeroDivisionError"):
        snap.jobs.run(["bad.ipynb"]).result(SECONDS)


def test_work_that_is_retried_goes_on_from_what_it_left(run, ws):
    job = run(
        """
        import os
        from pathlib import Path
        place = Path(os.environ["SNAPML_JOB_DIR"], "artifacts", "step")
        attempt = int(os.environ["SNAPML_JOB_ATTEMPT"])
        begun = int(place.read_text()) if place.exists() else 0
        place.write_text(str(begun + 1))
        if attempt < 2:
            raise RuntimeError("once more")
        """,
        retries=2,
    )
    found = job.result(SECONDS)
    assert (found.attempt, found.begun) == (2, 1)
    assert job.refresh().attempt == 2


def test_a_new_job_resumes_from_the_artifacts_of_one_that_ended(run):
    first = run(
        "import os, pathlib\npathlib.Path(os.environ['SNAPML_JOB_DIR'], 'artifacts', 'a').write_text('7')\n1/0"
    )
    with pytest.raises(CellFailedError):
        first.result(SECONDS)
    found = run(
        "import os, pathlib\nx = pathlib.Path(os.environ['SNAPML_RESUME'], 'a').read_text()", resume=first.id
    ).result(SECONDS)
    assert found.x == "7"
    waiting = run("import time; time.sleep(60)")
    with pytest.raises(ConflictError, match="resume: job"):
        run("x = 1", resume=waiting.id)


def test_the_same_key_gives_the_same_job(run):
    one, two = (run("x = 1", key="once") for _ in range(2))
    assert one.id == two.id
    assert run("x = 1", key="twice").id != one.id


def test_a_job_after_another_waits_for_it_and_is_given_up_with_it(run):
    first = run(UNTIL_GO + "1/0")
    second = run("x = 1", after=[first.id])
    assert second.state == "queued"
    Path("go").touch()
    ended = second.wait(SECONDS)
    assert (ended.state, ended.error.code) == ("cancelled", "dependency")
    with pytest.raises(JobFailedError, match="was to run after"):
        second.result()


def test_a_time_limit_ends_it(run):
    job = run("import time\ntime.sleep(60)", time_limit="1s")
    with pytest.raises(JobFailedError, match="time limit"):
        job.result(SECONDS)


def test_what_is_printed_is_in_the_log_as_it_comes(run, until):
    job = run("import time\nprint('one')\ntime.sleep(60)")
    until(lambda: "one" in job.logs())
    assert not job.refresh().state.ended


def test_the_audit_and_the_list_have_a_cell_job(run, snapml):
    run("x = 1", name="listed").result(SECONDS)
    listed = snapml("jobs", "list").stdout
    assert "cell" in listed
    assert "listed" in listed
    assert (
        "Traceback"
        not in subprocess.run(
            [sys.executable, "-m", "snapml_lab.cli", "jobs", "show", "listed"],
            capture_output=True,
            text=True,
            check=True,
        ).stderr
    )
