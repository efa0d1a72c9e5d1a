"""Work done elsewhere comes home: a project cloned, a model made and runs recorded offline, merged, and used here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.registry import versions
from snapml_lab.tracking import runs
from snapml_lab.workspace import Workspace


class Place:
    """A project somewhere, worked in from a terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.ws = Workspace(folder / ".snapml")

    def snapml(self, *words: str, fails: bool = False) -> str:
        done = self._run(["-m", "snapml_lab.cli", *words])
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def python(self, source: str) -> None:
        done = self._run(["-c", source])
        assert not done.returncode, done.stderr

    def _run(self, words: list[str]) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "SNAPML_WORKSPACE": str(self.folder)}
        return subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=180,
            check=False,
        )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, learnt: Path) -> Place:
    """A project at home, with a model of its own."""
    shutil.copytree(learnt, tmp_path / "home")
    return Place(tmp_path / "home")


@pytest.fixture
def away(tmp_path: Path, home: Place) -> Place:
    """The same project as git brings it elsewhere, and what was done there without a way home."""
    place = tmp_path / "away"
    place.mkdir()
    shutil.copy(home.folder / "flowers.csv", place)
    shutil.copytree(home.folder / ".snapml" / "catalog", place / ".snapml" / "catalog")
    found = Place(place)
    found.snapml("automl", "flowers.csv", "--target", "target", "--time", "1")
    found.python("""
import snapml_lab as snap, pathlib
with snap.run("offline") as r:
    r.param("lr", 0.1)
    for step in range(2000):
        r.log(loss=1 / (step + 1))
    pathlib.Path("plot.txt").write_text("a plot")
    r.artifact("plot.txt")
""")
    found.snapml("promote", "flowers-target@1", "--to", "champion", "--comment", "the best there was")
    return found


def test_work_done_elsewhere_comes_home_and_is_used_there(home, away):
    before = {path: path.stat().st_mtime_ns for path in away.folder.rglob("*")}
    planned = home.snapml("merge", str(away.folder), "--plan")
    assert "would come" in planned
    assert len(versions.latest(home.ws.ledger, 10)) == 1
    said = home.snapml("merge", str(away.folder))
    assert "model flowers-target@1: another one has that number here: it is flowers-target@2" in said
    assert {path: path.stat().st_mtime_ns for path in away.folder.rglob("*")} == before
    shutil.rmtree(away.folder)

    found = json.loads(home.snapml("models", "show", "flowers-target@champion", "--json"))
    assert found["version"] == 2
    home.snapml("predict", "flowers-target@champion", "flowers.csv", "--out", "said.csv")
    assert len((home.folder / "said.csv").read_text().splitlines()) == 151
    offline = runs.get(home.ws.ledger, "offline")
    assert (offline.state, offline.params["lr"]) == ("succeeded", "0.1")
    assert home.ws.blobs.verified(offline.artifacts[0].blob) == b"a plot"
    search = runs.get(home.ws.ledger, found["run"])
    assert len(runs.children(home.ws.ledger, search.id)) > 1
    assert search.environment is not None
    assert home.snapml("leaderboard", search.id).startswith("flowers-target@2: ")
    home.snapml("jobs", "logs", search.id)
    assert not JobFolder(home.ws.jobs / search.id).lock.exists()
    assert "The audit holds" in home.snapml("audit", "verify")


def test_what_was_merged_is_shown_as_text_and_as_a_table(home, away, monkeypatch):
    import snapml_lab as snap

    monkeypatch.setenv("SNAPML_WORKSPACE", str(home.folder))
    view = snap.merge(str(away.folder))
    bundle = view.bundle()
    assert "runs" in bundle["text/plain"]
    assert "<table>" in bundle["text/html"]
    again = snap.merge(str(away.folder))
    assert {item.what: item.came for item in again.came if item.came} == {}


def test_a_copied_workspace_works_where_it_is(home, tmp_path):
    shutil.copytree(home.folder, tmp_path / "copied")
    shutil.rmtree(home.folder)
    copied = Place(tmp_path / "copied")
    assert "flowers-target" in copied.snapml("models", "list")
    copied.snapml("runs", "list")
    copied.snapml("predict", "flowers-target", "flowers.csv", "--out", "said.csv")
    try:
        copied.snapml("deploy", "flowers-target", "--name", "flowers")
        assert "running" in copied.snapml("endpoints", "list")
    finally:
        copied.snapml("undeploy", "flowers")
        for job in json.loads(copied.snapml("jobs", "list", "--json"))["jobs"]:
            if job["state"] not in ("succeeded", "failed", "cancelled", "lost"):
                copied.snapml("jobs", "cancel", job["id"], "--grace", "0.2")
                queue.wait(copied.ws, queue.get(copied.ws, job["id"]), timeout=30)


def test_a_copied_workspace_of_another_account_is_merged_by_who_may_read_it(home, ordinary):
    """A workspace that came from another machine belongs to a number that is nobody's here."""
    ordinary.python("""
        import snapml_lab as snap
        with snap.run("theirs") as r:
            r.log(loss=0.5)
    """)
    home.snapml("merge", str(ordinary.project))
    assert runs.get(home.ws.ledger, "theirs").metrics == {"loss": 0.5}
    if os.geteuid() == 0:
        assert all(path.lstat().st_uid == os.getuid() for path in (home.folder / ".snapml").rglob("*"))
