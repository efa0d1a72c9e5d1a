"""Where a run came from, in real kernels with the metadata a front end sends, in scripts and in jobs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from jupyter_client.manager import start_new_kernel

from integration.conftest import Server
from snapml_lab.jobs import queue
from snapml_lab.tracking import provenance, runs
from snapml_lab.tracking.runs import Run
from snapml_lab.tracking.session import digest
from snapml_lab.workspace import Workspace

RUN = "with snap.run('fit', system=False) as r:\n    r.log(loss=0.5)\n"
IMPORT = "import snapml_lab as snap"


class Notebook:
    """A notebook's kernel, asked as JupyterLab asks: each request has its cell's id, and the file is saved when told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manager, self.client = start_new_kernel(
            env={**os.environ, "JPY_SESSION_NAME": str(path)}, cwd=str(path.parent)
        )

    def save(self, **cells: str) -> None:
        made = [
            {"cell_type": "code", "id": name, "metadata": {}, "source": source, "execution_count": None, "outputs": []}
            for name, source in cells.items()
        ]  # fmt: skip
        self.path.write_text(json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))

    def execute(self, cell: str | None, source: str) -> None:
        content = self._ask(cell, source)
        # What comes within moments of a cell that failed is refused by the kernel.
        while content["status"] == "aborted":
            content = self._ask(cell, source)
        assert content["status"] == "ok", content

    def fails(self, cell: str, source: str) -> None:
        assert self._ask(cell, source)["status"] == "error"

    def _ask(self, cell: str | None, source: str) -> dict[str, Any]:
        content = {
            "code": source, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False,
            "stop_on_error": True,
        }  # fmt: skip
        metadata = {} if cell is None else {"cellId": cell}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        while True:
            reply = self.client.get_shell_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                found: dict[str, Any] = reply["content"]
                return found

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def lab(ws: Workspace, project: Path) -> Iterator[Notebook]:
    del ws
    made = Notebook(project / "work" / "a.ipynb") if (project / "work").mkdir() is None else None
    assert made is not None
    yield made
    made.close()


def last(ws: Workspace) -> Run:
    return runs.get(ws.ledger, "last")


def session(ws: Workspace, run: Run) -> list[tuple[str | None, int, str]]:
    return [
        (item["cell_id"], item["execution_count"], provenance.source(ws, item["sha256"]) or "?")
        for item in provenance.session_of(ws, run.session)
    ]


def test_a_kernel_without_the_magic_tells_notebook_cell_source_and_what_ran_before(
    ws: Workspace, lab: Notebook
):
    lab.save(zero="x = 1", one=IMPORT, two=RUN)
    lab.execute("zero", "x = 1")
    lab.execute("one", IMPORT)
    lab.execute("two", RUN)
    run = last(ws)
    assert (run.notebook, run.cell_id, run.execution_count) == ("work/a.ipynb", "two", 3)
    assert provenance.source(ws, run.cell_sha256 or "") == RUN
    assert session(ws, run) == [(None, 1, "x = 1"), ("one", 2, IMPORT), ("two", 3, RUN)]
    assert (run.out_of_order, run.out_of_order_why) == (False, None)
    assert run.script is None


def test_a_cell_that_was_edited_and_run_again_is_told(ws: Workspace, lab: Notebook):
    lab.save(zero=IMPORT, one="x = 1", two=RUN)
    lab.execute("zero", IMPORT)
    lab.execute("one", "x = 1")
    lab.execute("one", "x = 2")
    lab.execute("two", RUN)
    run = last(ws)
    assert (run.out_of_order, run.out_of_order_why) == (True, "cell 2 was edited and run again")
    assert session(ws, run)[1:3] == [("one", 2, "x = 1"), ("one", 3, "x = 2")]


def test_cells_run_in_another_order_than_they_stand_are_told(ws: Workspace, lab: Notebook):
    lab.save(zero=IMPORT, one="x = 1", two=RUN)
    lab.execute("two", IMPORT + "\n" + RUN)
    lab.execute("one", "x = 1\n" + RUN)
    run = last(ws)
    assert (run.out_of_order, run.out_of_order_why) == (True, "cell 2 ran after cell 3")


def test_a_restart_begins_anew(ws: Workspace, lab: Notebook):
    lab.save(one=IMPORT + "\n" + RUN)
    lab.execute("one", IMPORT + "\n" + RUN)
    lab.execute("one", IMPORT + "\n" + RUN)
    assert last(ws).out_of_order is True
    lab.manager.restart_kernel(now=True)
    lab.client.wait_for_ready(timeout=60)
    lab.execute("one", IMPORT + "\n" + RUN)
    run = last(ws)
    assert run.out_of_order is False
    assert session(ws, run) == [("one", 1, IMPORT + "\n" + RUN)]


def test_a_front_end_that_tells_no_cell_leaves_it_unknown(ws: Workspace, lab: Notebook):
    lab.save(one=IMPORT, two=RUN)
    lab.execute(None, IMPORT)
    lab.execute(None, RUN)
    run = last(ws)
    assert (run.notebook, run.cell_id, run.out_of_order) == ("work/a.ipynb", None, None)
    assert session(ws, run) == [(None, 1, IMPORT), (None, 2, RUN)]


def test_a_job_and_a_process_that_a_cell_starts_know_the_cell(ws: Workspace, lab: Notebook, project: Path):
    script = f"{IMPORT}\n{RUN}"
    (project / "work" / "train.py").write_text(script)
    lab.save(one=IMPORT)
    lab.execute("one", IMPORT)
    lab.execute("two", "import subprocess, sys; subprocess.run([sys.executable, 'train.py'], check=True)")
    run = last(ws)
    assert (run.notebook, run.cell_id, run.script) == ("work/a.ipynb", "two", "work/train.py")
    assert provenance.source(ws, run.cell_sha256 or "") == script
    lab.execute("three", "snap.jobs.wait(snap.jobs.run(['train.py']).id)")
    run = runs.latest(ws.ledger, kind="run", limit=1)[0]
    assert run.parent == queue.get(ws, "last").id
    assert (run.notebook, run.cell_id, run.script) == ("work/a.ipynb", "three", "work/train.py")
    assert runs.get(ws.ledger, run.parent or "").script == "work/train.py"


def test_a_script_is_known_by_its_path_source_and_words(ws: Workspace, project: Path):
    script = f"{IMPORT}\n{RUN}"
    (project / "train.py").write_text(script)
    subprocess.run([sys.executable, "train.py", "--lr", "0.1"], check=True, cwd=project)
    run = last(ws)
    assert (run.notebook, run.script) == (None, "train.py")
    assert provenance.source(ws, run.cell_sha256 or "") == script
    (item,) = provenance.session_of(ws, run.session)
    assert item["argv"] == ["train.py", "--lr", "0.1"]
    assert provenance.since(ws, run).state == "same"
    (project / "train.py").write_text("x = 1\n")
    assert provenance.since(ws, run) == provenance.Since("changed", "train.py has changed since.")
    (project / "train.py").unlink()
    assert provenance.since(ws, run) == provenance.Since("gone", "train.py is gone since.")


def test_code_that_git_does_not_have_is_kept_with_the_run(ws: Workspace, lab: Notebook, project: Path):
    for words in (["init", "-q"], ["config", "user.email", "a@example.org"], ["config", "user.name", "A"]):
        subprocess.run(["git", "-C", str(project), *words], check=True)
    (project / "train.py").write_text("lr = 1\n")
    subprocess.run(["git", "-C", str(project), "add", "train.py"], check=True)
    subprocess.run(["git", "-C", str(project), "commit", "-qm", "x"], check=True)
    (project / "train.py").write_text("lr = 2\n")
    lab.execute("one", IMPORT + "\n" + RUN)
    run = last(ws)
    assert (run.git_commit or "").endswith("-dirty")
    assert b"+lr = 2" in ws.blobs.verified(run.git_diff or "")


def test_a_notebook_that_is_run_by_a_job_knows_its_cells_and_is_in_order(
    ws: Workspace, notebook: Callable[..., Path], snapml: Callable[..., Any]
):
    notebook("steps.ipynb", "x = 1", ("lr = 0.1", ["parameters"]), IMPORT, RUN)
    done = snapml("run", "steps.ipynb", "-p", "lr=0.2", "--json")
    job = json.loads(done.stdout)["id"]
    queue.wait(ws, queue.get(ws, job), timeout=120)
    run = runs.latest(ws.ledger, kind="run", limit=1)[0]
    assert run.parent == job
    assert (run.notebook, run.cell_id, run.out_of_order) == ("steps.ipynb", "cell-3", False)
    assert [source for _, _, source in session(ws, run)][-2:] == [IMPORT, RUN]
    assert provenance.since(ws, run).state == "same"


def test_what_became_of_a_cell_is_told_from_the_notebook_on_disk(ws: Workspace, lab: Notebook):
    lab.save(one=IMPORT, two=RUN)
    lab.execute("one", IMPORT)
    lab.execute("two", RUN)
    run = last(ws)
    assert provenance.since(ws, run) == provenance.Since("same", "The cell is unchanged.")
    lab.save(one=IMPORT, three="", two=RUN + "\n")
    assert provenance.since(ws, run).state == "changed"
    lab.save(one="import math", two=RUN)
    assert provenance.since(ws, run) == provenance.Since(
        "same", "The cell is unchanged. 1 of the cells that ran before it has changed since.", 1
    )
    lab.save(one=IMPORT)
    assert provenance.since(ws, run) == provenance.Since("gone", "The cell is no longer in the notebook.")
    lab.save(one=IMPORT, moved=RUN)
    assert provenance.since(ws, run).state == "same"
    lab.path.write_text("{")
    assert provenance.since(ws, run).state == "unknown"
    lab.path.unlink()
    assert provenance.since(ws, run).state == "gone"


def test_secrets_of_the_environment_are_not_in_the_sources(
    ws: Workspace, project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789abcdef")
    script = f"token = 'hf_0123456789abcdef'\n{IMPORT}\n{RUN}"
    (project / "train.py").write_text(script)
    subprocess.run([sys.executable, "train.py", "hf_0123456789abcdef"], check=True, cwd=project)
    run = last(ws)
    assert run.cell_sha256 == digest(script)
    assert "[HF_TOKEN redacted]" in (provenance.source(ws, run.cell_sha256) or "")
    assert b"hf_0123456789abcdef" not in ws.blobs.verified(run.session or "")


def test_a_notebook_that_was_renamed_while_its_kernel_lived_is_known_by_its_new_name(
    ws: Workspace, project: Path, serve: Callable[..., Server]
):
    server = serve(project)
    headers = {"Authorization": f"token {server.token}"}
    empty = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (project / "work").mkdir()
    (project / "work" / "a.ipynb").write_text(json.dumps(empty))
    session = requests.post(
        server.url("api/sessions"), headers=headers, timeout=60,
        json={"path": "work/a.ipynb", "name": "a.ipynb", "type": "notebook", "kernel": {"name": "python3"}},
    ).json()  # fmt: skip
    with server.kernel(session["kernel"]["id"]) as client:
        for before, after in (("work/a.ipynb", "work/b c.ipynb"), ("work", "moved")):
            answer = requests.patch(
                server.url(f"api/contents/{before}"), headers=headers, json={"path": after}, timeout=60
            )
            assert answer.status_code == 200, answer.text
        client.execute_interactive(f"{IMPORT}\n{RUN}", timeout=60)
    assert last(ws).notebook == "moved/b c.ipynb"


def test_a_notebook_run_by_papermill_itself_leaves_the_cell_unknown_and_not_guessed(
    ws: Workspace, notebook: Callable[..., Path], project: Path
):
    notebook("plain.ipynb", "x = 1", IMPORT, RUN)
    subprocess.run(
        [sys.executable, "-m", "papermill", "plain.ipynb", "out.ipynb", "--no-progress-bar"], cwd=project, check=True,
        capture_output=True,
    )  # fmt: skip
    run = last(ws)
    assert (run.notebook, run.cell_id, run.out_of_order) == (None, None, None)
    assert [source for _, _, source in session(ws, run)] == ["x = 1", IMPORT, RUN]


def test_vs_code_tells_the_notebook_and_a_cell_of_its_own_naming(ws: Workspace, lab: Notebook, project: Path):
    cell = "vscode-notebook-cell:/c%3A/x.ipynb#W1sZmlsZQ%3D%3D"
    lab.save(one=IMPORT + "\n" + RUN)
    other = project / "other.ipynb"
    other.write_text(lab.path.read_text())
    lab.execute("vscode-notebook-cell:/x.ipynb#W0", f"__vsc_ipynb_file__ = {str(other)!r}")
    lab.execute(cell, IMPORT + "\n" + RUN)
    run = last(ws)
    assert (run.notebook, run.cell_id, run.out_of_order) == ("other.ipynb", cell, None)
    assert provenance.since(ws, run).state == "same"


def test_a_terminal_of_ipython_keeps_what_was_typed(ws: Workspace, project: Path):
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--simple-prompt", "--colors=NoColor"], cwd=project, text=True,
        input=f"x = 2\n{IMPORT}\nr = snap.run('typed', system=False); r.log(v=x); r.end()\n", capture_output=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = last(ws)
    assert (run.name, run.notebook, run.script, run.execution_count) == ("typed", None, None, 3)
    assert [source for _, _, source in session(ws, run)][:2] == ["x = 2", IMPORT]


def test_a_program_that_is_installed_is_no_script(ws: Workspace, project: Path):
    code = "import sys; sys.argv = ['x']; import snapml_lab as snap\nwith snap.run('c', system=False) as r: r.log(v=1)"
    subprocess.run([sys.executable, "-c", code], cwd=project, check=True)
    run = last(ws)
    assert (run.notebook, run.script, run.cell_sha256, run.session) == (None, None, None, None)
    assert run.environment is not None


def test_code_in_a_thread_of_an_earlier_cell_has_that_cell(ws: Workspace, lab: Notebook):
    lab.save(one=IMPORT, two="", three="")
    lab.execute("one", IMPORT)
    lab.execute(
        "two",
        "import threading, contextvars\ngate = threading.Event()\n"
        "def later():\n    gate.wait(30)\n    with snap.run('late', system=False) as r: r.log(v=1)\n"
        "context = contextvars.copy_context()\n"
        "thread = threading.Thread(target=context.run, args=(later,)); thread.start()",
    )
    lab.execute("three", "gate.set(); thread.join()")
    run = last(ws)
    assert (run.name, run.cell_id) == ("late", "two")
    assert (provenance.source(ws, run.cell_sha256 or "") or "").startswith("import threading")
