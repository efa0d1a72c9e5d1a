"""Environments of engines: whole or not ready, whoever is killed, and whatever is taken out of them afterwards."""

import base64
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snapml_lab.envs import engines
from snapml_lab.envs.engines import State
from snapml_lab.envs.recipes import RECIPES, Recipe, Step, own
from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError
from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.workspace import Workspace


def package(folder: Path, name: str = "tinything", version: str = "1.0") -> Path:
    """A wheel of one module and a megabyte of data, made on the spot: nothing is asked of an index."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{name}.txt": os.urandom(1 << 20).hex()[: 1 << 20],
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }

    def line(path: str, content: str) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
        return f"{path},sha256={digest},{len(content)}\n"

    files[f"{info}/RECORD"] = "".join(line(*item) for item in files.items()) + f"{info}/RECORD,,\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name_, content in files.items():
            wheel.writestr(name_, content)
    return path


class Place:
    """A project, a data folder that others may share, and the command line."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.data = folder, data
        folder.mkdir(parents=True, exist_ok=True)
        self.ws = Workspace(folder / ".snapml")

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SNAPML_WORKSPACE": str(self.folder), "XDG_DATA_HOME": str(self.data)}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "snapml_lab.cli", *words, "--json"], cwd=self.folder, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def do(self, *words: str, timeout: float = 120) -> Any:
        process = self.start(*words)
        out, err = process.communicate(timeout=timeout)
        assert process.returncode == 0, (words, out[-2000:], err[-3000:])
        return json.loads(out)

    def refused(self, *words: str, timeout: float = 120) -> dict[str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=timeout)
        assert process.returncode == 2, (words, out[-2000:], err[-3000:])
        told: dict[str, str] = json.loads(err.strip().splitlines()[-1])
        return told

    def kill(self) -> None:
        """kill -9 the newest job with all it started."""
        job = queue.latest(self.ws, limit=1)[0]
        nonce = json.loads(JobFolder(self.ws.jobs / job.id).launch.read_bytes())["nonce"]
        assert processes.bearing(nonce)
        while bearing := processes.bearing(nonce):
            processes.kill_all(bearing)

    def stop(self) -> None:
        for job in queue.latest(self.ws, limit=100):
            if not job.ended:
                queue.wait(self.ws, queue.cancel(self.ws, job.id, grace=0.2), timeout=20)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    made = Place(tmp_path / "project", tmp_path / "data")
    wheel = package(tmp_path)
    (made.folder / "wants.txt").write_text(f"# one package\ntinything @ file://{wheel}\n")
    yield made
    made.stop()


def tiny(place: Place) -> engines.Environment:
    return engines.planned(own("tiny", (place.folder / "wants.txt").read_text()))


CREATE = ("env", "create", "tiny", "--requirements", "wants.txt")


@pytest.fixture
def made(place: Place) -> engines.Environment:
    """An environment that is ready."""
    place.do(*CREATE)
    return tiny(place)


def kept(environment: engines.Environment) -> list[str]:
    """What is left of it on the disk, but the locks its makers and users take."""
    return [path.name for path in engines.root().iterdir() if path.suffix not in (".making", ".using")]


def test_an_environment_is_made_locked_and_told_of(place: Place):
    told = place.do(*CREATE)
    assert (told["job"]["state"], told["environment"]["state"]) == ("succeeded", "ready")
    environment = tiny(place)
    lock = (environment.place / engines.LOCK).read_text()
    assert "tinything==1.0" in lock.splitlines()
    assert environment.ready == {
        "lock": hashlib.sha256(lock.encode()).hexdigest(), "bytes": told["environment"]["size"], "python": environment.python,
    }  # fmt: skip
    code = "import tinything; print(tinything.VERSION)"
    said = subprocess.run([environment.interpreter, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "1.0"
    shown = place.do("env", "show", "tiny")
    assert shown["packages"] == lock.splitlines()
    assert shown["environment"]["size"] == pytest.approx(engines.size(environment))
    assert shown["environment"]["size"] > 1_000_000
    listed = place.do("env", "list")
    assert {item["name"]: item["state"] for item in listed["environments"]} == {
        "tiny": "ready", **dict.fromkeys(RECIPES, "not made")
    }  # fmt: skip
    assert listed["size"] == told["environment"]["size"]


def test_what_is_ready_stays_as_it_is_and_another_project_has_it_too(
    place: Place, made: engines.Environment, tmp_path: Path
):
    before = (made.place / engines.READY).stat().st_mtime_ns
    other = Place(tmp_path / "other", place.data)
    shutil.copy(place.folder / "wants.txt", other.folder)
    assert other.do(*CREATE)["environment"]["state"] == "ready"
    assert (made.place / engines.READY).stat().st_mtime_ns == before


def test_killed_half_way_it_is_half_made_and_made_well_the_next_time(place: Place, until: Callable[..., Any]):
    maker = place.start(*CREATE)
    environment = tiny(place)
    until((environment.place / "lib").is_dir, "the folder")
    assert engines.look(environment).state is State.MAKING
    place.kill()
    maker.communicate(timeout=60)
    assert maker.returncode != 0
    assert engines.look(environment) == engines.Look(State.HALF, "its making was cut short")
    listed = place.do("env", "list")["environments"]
    assert [item["state"] for item in listed if item["name"] == "tiny"] == ["half made"]
    assert place.do("env", "create", "tiny")["environment"]["state"] == "ready"


def test_a_cancelled_making_leaves_nothing(place: Place, until: Callable[..., Any]):
    maker = place.start(*CREATE)
    environment = tiny(place)
    until((environment.place / "lib").is_dir, "the folder")
    queue.cancel(place.ws, "last", grace=20)
    maker.communicate(timeout=60)
    assert kept(environment) == []


def breaking(of: str, environment: engines.Environment) -> str:
    """Break an environment; return what is said of it."""
    there = next(environment.place.glob("lib/python*/site-packages"))
    match of:
        case "the interpreter":
            environment.interpreter.unlink()
            return "its interpreter is gone"
        case "a package":
            shutil.rmtree(there / "tinything-1.0.dist-info")
            return "not as its lock says: tinything==1.0"
        case "a file":
            (there / "tinything.py").unlink()
            return "files are gone: tinything.py"
        case "the lock":
            (environment.place / engines.LOCK).write_text("tinything==2.0")
            return "lock.txt was changed"
    raise AssertionError(of)


@pytest.mark.parametrize("of", ["the interpreter", "a package", "a file", "the lock"])
def test_a_broken_one_is_seen_and_mended(place: Place, made: engines.Environment, of: str):
    said = breaking(of, made)
    shown = place.do("env", "show", "tiny")["environment"]
    assert shown["state"] == "broken"
    assert shown["reason"].startswith(said)
    assert place.do("env", "create", "tiny")["environment"]["state"] == "ready"
    assert engines.look(made, files=True).state is State.READY


def test_of_two_makers_the_second_waits(place: Place, tmp_path: Path):
    other = Place(tmp_path / "other", place.data)
    shutil.copy(place.folder / "wants.txt", other.folder)
    first, second = place.start(*CREATE), other.start(*CREATE)
    environment = tiny(place)
    for maker in (first, second):
        out, err = maker.communicate(timeout=120)
        assert maker.returncode == 0, err
        assert json.loads(out)["environment"]["state"] == "ready"
    logs = [
        JobFolder(one.ws.jobs / queue.latest(one.ws, limit=1)[0].id).stdout.read_text()
        for one in (place, other)
    ]
    assert sorted("tinything" in log for log in logs) == [False, True], logs
    assert engines.look(environment, files=True).state is State.READY
    other.stop()


def test_an_orphaned_installer_keeps_the_next_maker_waiting(place: Place, made: engines.Environment):
    """The lock is held by whoever works in the folder, not only by the payload that was killed."""
    held = made.beside("making").open("r+")
    fcntl.flock(held, fcntl.LOCK_EX)
    orphan = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(held.fileno(),)
    )
    held.close()
    try:
        assert engines.look(made).state is State.MAKING
        with pytest.raises(ConflictError, match="is being made"):
            engines.remove(made)
    finally:
        orphan.communicate(b"\n")
    assert engines.look(made).state is State.READY


def test_a_full_disk_is_told_and_leaves_nothing(place: Place, tmp_path: Path):
    disk = tmp_path / "small"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this account may not mount a file system")
    try:
        place.data = disk
        told = place.refused(*CREATE)
        assert told["code"] == "storage"
        assert str(disk) in told["fix"]
        assert [path.suffix for path in (disk / "snapml" / "envs").iterdir()] == [".making"]
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    huge = Recipe("huge", None, (Step(("nothing-of-that-name",)),), disk=1 << 40)
    with pytest.raises(engines.StorageError, match="MiB free"):
        engines.create(engines.planned(huge), lambda *_: None)


def test_a_package_that_is_not_the_one_of_the_lock_is_refused(place: Place):
    wants = place.folder / "wants.txt"
    wants.write_text(wants.read_text().rstrip() + f" --hash=sha256:{'0' * 64}\n")
    told = place.refused(*CREATE)
    assert told["code"] == "unsafe_file"
    assert kept(tiny(place)) == []


def test_a_package_that_cannot_be_had_is_told_with_its_reason(place: Place):
    (place.folder / "wants.txt").write_text(
        f"tinything @ file://{place.folder}/absent-1.0-py3-none-any.whl\n"
    )
    told = place.refused(*CREATE)
    assert told["code"] == "conflict"
    assert "absent" in told["message"]
    assert kept(tiny(place)) == []


def test_one_in_use_is_removed_only_by_force(place: Place, made: engines.Environment):
    with engines.using(made) as share:
        user = subprocess.Popen([made.interpreter, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(share,))
    try:
        shown = place.do("env", "show", "tiny")
        assert [item["pid"] for item in shown["users"]] == [user.pid]
        told = place.refused("env", "remove", "tiny")
        assert told["code"] == "conflict"
        assert "--force" in told["fix"]
        assert made.interpreter.exists()
        place.do("env", "remove", "tiny", "--force")
    finally:
        user.communicate(b"\n")
    assert list(engines.root().iterdir()) == []


def test_what_is_removed_is_gone_with_its_locks(place: Place, made: engines.Environment):
    left = place.do("env", "remove", "tiny")
    assert left["size"] == 0
    assert list(engines.root().iterdir()) == []
    assert place.refused("env", "remove", "tiny")["code"] == "not_found"
    with pytest.raises(NotFoundError), engines.using(made):
        pass


def test_an_engine_that_imports_here_is_used_here(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(NotFoundError, match="environment is not made"):
        engines.python_for("pycaret", gpu=False)
    (tmp_path / "pycaret.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert engines.python_for("pycaret", gpu=False) == (Path(sys.executable), None)


@pytest.mark.parametrize("name", ["vllm", "pycaret", "../x", "A", ""])
def test_a_name_of_ones_own_is_no_recipes_and_no_path(name: str):
    with pytest.raises(InvalidInputError):
        own(name, "six")


def test_a_recipe_is_read_as_it_was_written():
    for recipe in RECIPES.values():
        assert Recipe.of(json.loads(json.dumps(recipe.written()))) == recipe


def test_each_lock_pins_and_hashes_every_package():
    for recipe in RECIPES.values():
        for step in recipe.steps:
            if step.lock is None:
                continue
            text = "\n".join(line for line in step.lines() if not line.startswith("#")).replace("\\\n", "")
            lines = text.splitlines()
            assert len(lines) > 100
            assert [
                line for line in lines if not re.fullmatch(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)
            ] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_vllm_killed_half_way_and_made_again_ends_well(
    vllm_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Callable[..., Any]
):
    monkeypatch.setenv("XDG_DATA_HOME", str(vllm_home))
    place = Place(tmp_path / "project", vllm_home)
    environment = engines.find("vllm", gpu=False)
    if environment.place.exists():
        engines.remove(environment)
    maker = place.start("env", "create", "vllm")
    torch = "lib/python*/site-packages/torch"
    until(lambda: list(environment.place.glob(torch)), "torch begins to be there", timeout=300)
    place.kill()
    maker.communicate(timeout=60)
    assert engines.look(environment).state is State.HALF
    told = place.do("env", "create", "vllm", timeout=700)
    assert told["environment"]["state"] == "ready"
    assert told["environment"]["packages"] > 100
    assert engines.look(environment, files=True).state is State.READY
    place.stop()
    if "TESTS_DATA_HOME" not in os.environ:
        engines.remove(environment)  # gigabytes, beside those of another worker
