"""An exported deployment: what its Dockerfile does, done here without a container, answers as the deployment did."""

import ast
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import venv
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest

from snapml_lab.gateway import app
from snapml_lab.jobs import processes
from snapml_lab.registry import deployments, providers
from snapml_lab.registry.providers import Provider
from snapml_lab.workspace import Workspace

from . import classic
from .home import Home, free_port, until
from .test_services import ROWS


def ask(host: str, port: int, key: str, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        connection.request("POST", path, json.dumps(ROWS), {"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def environment(box: Path, port: int) -> dict[str, str]:
    """What the image has: no trace of the checkout, only what the folder brings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "SNAPML_PORT": str(port),
        "PYTHONPATH": str(box / "lib"),
        "SNAPML_WORKSPACE": str(box / "project"),
    }


@pytest.fixture
def boxed(home: Home, tmp_path: Path) -> Path:
    classic.register(home.ws, "worth", "worth", home.folder)
    home.do("deploy", "worth", "--name", "house", "--port", str(free_port()))
    told = home.do("deploy", "export", "house", "out")
    assert set(told["files"]) == {".dockerignore", "Dockerfile", "README.md", "lib", "models", "project", "requirements.txt", "start.py"}  # fmt: skip
    shutil.move(
        home.folder / "out", tmp_path / "elsewhere" / "box"
    )  # as COPY does, and nothing of the project goes along
    return tmp_path / "elsewhere" / "box"


@pytest.fixture
def image(boxed: Path) -> Path:
    """A Python that has the packages of requirements.txt and no other, as the image has: those that are here, linked."""
    place = boxed.parent / "image"
    venv.create(place, symlinks=True)
    site = next(place.glob("lib/python*/site-packages"))
    for line in (boxed / "requirements.txt").read_text().split():
        found = distribution(line.partition("==")[0])
        for part in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
            (site / part).unlink(missing_ok=True)
            (site / part).symlink_to(found.locate_file(part))
    return place / "bin" / "python"


class Standing:
    """The folder, served as the image's command does."""

    def __init__(self, box: Path, python: Path, port: int, host: str) -> None:
        self.box, self.log = box, box.parent / "log"
        self.env = {**environment(box, port), "SNAPML_HOST": host, "HOME": "/nowhere"}
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [str(python), "start.py"], cwd=box, env=self.env, stdout=out, stderr=out
            )
        until(lambda: b"ready:" in self.log.read_bytes() or self.process.poll() is not None, what="ready")
        assert self.process.poll() is None, self.log.read_text()

    def living(self) -> list[int]:
        return [int(pid) for pid in os.listdir("/proc") if pid.isdecimal() and _of(int(pid), self.box)]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """End all at once, as a container ends that is killed."""
        until(lambda: not (left := self.living()) or processes.kill_all(left), what="all to be gone")
        self.process.wait(60)


def test_the_folder_answers_where_it_is_put_after_a_kill_too_and_stops_when_told(boxed: Path, image: Path):
    port, host = free_port(), "127.0.0.2"  # not the one a gateway listens on where nobody says anything
    first = Standing(boxed, image, port, host)
    made = subprocess.run(
        [str(image), "-m", "snapml_lab.cli", "keys", "create", "me", "--json"],
        env=first.env, capture_output=True, text=True, check=False, timeout=60, cwd=boxed,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["secret"]
    status, answer = ask(host, port, key, "/v2/models/house/infer")
    assert status == 200, answer
    assert answer["outputs"][0]["shape"] == [1]
    with pytest.raises(ConnectionRefusedError):
        ask("127.0.0.1", port, key, "/v2/models/house/infer")
    assert ask(host, port, "wrong", "/v2/models/house/infer")[0] == 401
    twice = subprocess.run([str(image), "start.py"], env=first.env, cwd=boxed, check=False, timeout=60)
    assert twice.returncode == 1
    first.kill()
    port = free_port()
    second = Standing(boxed, image, port, host)
    assert ask(host, port, key, "/v2/models/house/infer")[0] == 200  # with the ledger, and the keys in it
    assert second.stop() == 0, second.log.read_text()
    assert second.living() == []


def _of(pid: int, box: Path) -> bool:
    try:
        return (
            processes.state(pid) not in (None, "Z")
            and str(box).encode() in Path(f"/proc/{pid}/environ").read_bytes()
        )
    except OSError:
        return False


def imported() -> set[str]:
    """Return the distributions that the gateway imports, by the names of requirements; what it can do without is left out."""
    known = packages_distributions()
    roots = set()
    for path in Path(app.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                roots.add(str(node.module).partition(".")[0])
            elif isinstance(node, ast.Import):
                roots |= {alias.name.partition(".")[0] for alias in node.names}
    found = {known[root][0].lower().replace("_", "-") for root in roots if root in known}
    return found - {"snapml-lab", "keyring"}


def test_what_is_needed_is_pinned_and_only_that(boxed: Path):
    lines = (boxed / "requirements.txt").read_text().split()
    named = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    assert all("==" in line and "+" not in line for line in lines)
    assert {"aiohttp", "scikit-learn", "numpy", "skops", "tinydb", "pydantic-core"} <= named
    assert not {"jupyterlab", "torch", "transformers", "pytest"} & named
    assert {"aiohttp", "prometheus-client"} <= imported() <= named
    docker = (boxed / "Dockerfile").read_text()
    assert "pip install --no-cache-dir -r requirements.txt" in docker
    assert f"FROM python:{sys.version_info[0]}.{sys.version_info[1]}-slim" in docker
    assert "USER snapml" in docker
    assert len((boxed / "README.md").read_text().split("\n\n")) == 3


def test_nothing_of_the_project_but_the_deployment_goes_along(boxed: Path, home: Home):
    inside = Workspace(boxed / "project" / ".snapml")
    assert [item.name for item in deployments.every(inside)] == ["house"]
    assert inside.ledger.row("SELECT count(*) AS n FROM api_keys")["n"] == 0
    assert inside.ledger.row("SELECT count(*) AS n FROM requests")["n"] == 0
    texts = [path.read_text("utf-8", "replace") for path in boxed.rglob("*.json")]
    assert not any(str(home.folder) in text for text in texts)


def test_a_folder_with_something_in_it_is_refused_and_left(home: Home):
    classic.register(home.ws, "worth", "worth", home.folder)
    home.do("deploy", "worth", "--name", "house", "--port", str(free_port()))
    (home.folder / "full").mkdir()
    (home.folder / "full" / "mine").touch()
    assert home.refused("deploy", "export", "house", "full")["code"] == "invalid_input"
    assert [path.name for path in (home.folder / "full").iterdir()] == ["mine"]
    assert home.refused("deploy", "export", "nobody", "other")["code"] == "not_found"
    assert not (home.folder / "other").exists()


def test_an_adapter_takes_its_base_along_and_finds_it_where_it_is_put(home: Home, tmp_path: Path):
    from snapml_lab.serving import export, standing

    base, adapter = home.folder / "base", home.folder / "adapter"
    base.mkdir()
    adapter.mkdir()
    (base / "config.json").write_text("{}")
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base), "r": 8}))
    deployments.declare(home.ws, deployments.single("tuned", "tuned@1", "transformers", "chat", str(adapter)))
    export.export(home.ws, "tuned", tmp_path / "box")
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "box", moved)
    inside = Workspace(moved / "project" / ".snapml")
    target = standing._here(inside, deployments.get(inside, "tuned").target)
    assert target.source == str(moved / "models" / "model")
    said = json.loads((Path(target.source) / "adapter_config.json").read_text())
    assert (Path(said["base_model_name_or_path"]) / "config.json").is_file()
    assert said["r"] == 8


def test_a_provider_s_model_takes_its_address_along_and_no_key(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from snapml_lab.serving import export

    monkeypatch.setenv("FAR_KEY", "sk-secret-1")
    providers.declare(home.ws, Provider("far", "https://api.example.com/v1", key_env="FAR_KEY"))
    remote = deployments.single("x", "gpt", "openai", "chat", "gpt", options={"provider": "far"})
    deployments.declare(home.ws, remote)
    export.export(home.ws, "x", tmp_path / "box")
    assert "-e FAR_KEY" in (tmp_path / "box" / "README.md").read_text()
    inside = Workspace(tmp_path / "box" / "project" / ".snapml")
    assert providers.get(inside, "far").base_url == "https://api.example.com/v1"
    assert not any(
        b"sk-secret-1" in path.read_bytes() for path in (tmp_path / "box").rglob("*") if path.is_file()
    )
