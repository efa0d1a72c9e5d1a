"""What tests share: a workspace of their own, a command line, and a table small enough to learn from in seconds."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Job, Work
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests see no workspace, job or notebook of whoever runs them, and leave no heads of audits in their home."""
    for name in [
        name
        for name in os.environ
        if name.startswith(("SNAPML_", "JPY_")) and name != "SNAPML_REQUIRE_BROWSER"
    ]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("JUPYTER_SERVER_ROOT", raising=False)
    monkeypatch.setenv("SNAPML_AUDIT_HEADS", str(tmp_path_factory.getbasetemp() / "heads"))


@pytest.fixture(scope="session")
def vllm_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder where vLLM's environment is made, once a session; TESTS_DATA_HOME names one that is kept."""
    named = os.environ.get("TESTS_DATA_HOME")
    return Path(named) if named else tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def real_time() -> bool:
    """Whether this account may have processes scheduled in real time, tried in one."""
    attempt = (
        "import os, resource; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)); "
        "assert resource.getrlimit(resource.RLIMIT_RTTIME)[0] == resource.RLIM_INFINITY"
    )
    done = subprocess.run([sys.executable, "-c", attempt], stderr=subprocess.DEVNULL, timeout=60, check=False)
    return done.returncode == 0


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with a workspace in it, current and named by SNAPML_WORKSPACE."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SNAPML_WORKSPACE", str(folder))
    return folder


@pytest.fixture
def ws(project: Path) -> Iterator[Workspace]:
    """The project's workspace; whatever still runs in it at the end is stopped."""
    workspace = Workspace(project / ".snapml")
    yield workspace
    for job in queue.latest(workspace, limit=1000):
        if not job.ended:
            queue.wait(workspace, queue.cancel(workspace, job.id, grace=0.2), timeout=20)


@pytest.fixture
def submit(ws: Workspace) -> Callable[..., Job]:
    """Submit Python source (or an argv) as a job."""

    def run(source: str | list[str], **fields: object) -> Job:
        argv = [sys.executable, "-c", source] if isinstance(source, str) else source
        work = Work(**{"kind": "command", "name": "test", "argv": argv, **fields})  # type: ignore[arg-type]
        return queue.submit(ws, work, actor="tester", origin=Origin())

    return run


@pytest.fixture
def snapml(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in the project, as a person in a terminal would."""

    def run(*words: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "snapml_lab.cli", *words],
            cwd=project, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def flowers(project: Path) -> Path:
    """A table of 150 rows with a target of three classes, as a CSV file."""
    from sklearn.datasets import load_iris

    frame = load_iris(as_frame=True).frame
    path = project / "flowers.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def notebook(project: Path) -> Callable[..., Path]:
    """Write a notebook from cells; a cell is its source, or (source, tags)."""

    def write(name: str, *cells: str | tuple[str, list[str]]) -> Path:
        made = []
        for index, cell in enumerate(cells):
            source, tags = (cell, []) if isinstance(cell, str) else cell
            made.append({
                "cell_type": "code", "id": f"cell-{index}", "metadata": {"tags": tags} if tags else {},
                "source": source, "execution_count": None, "outputs": [],
            })  # fmt: skip
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        path = project / name
        path.write_text(
            json.dumps(
                {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
            )
        )
        return path

    return write
