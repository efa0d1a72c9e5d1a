"""The built wheel, alone, in a fresh environment where there is no Node."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    (made,) = out.glob("*.whl")
    return made


@pytest.mark.slow
def test_the_wheel_holds_the_three_packages_the_labextension_and_what_enables_both(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "snapml_lab/cli.py", "snapml_magics/__init__.py", "snapml_server/__init__.py",
        "data/share/jupyter/labextensions/snapml-lab/package.json",
        "data/etc/jupyter/jupyter_server_config.d/snapml_server.json",
    ):  # fmt: skip
        assert any(name.endswith(wanted) for name in names), wanted
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "node_modules/"))]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_fresh_environment_without_node_has_both_extensions_enabled(wheel, tmp_path):
    home = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, timeout=120)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "uname", "git"):  # all that is on the path beside the environment: no node, no npm
        if found := shutil.which(tool):
            (tools / tool).symlink_to(found)
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTHON", "JUPYTER", "VIRTUAL"))
    }
    environment = {**clean, "PATH": f"{home / 'bin'}:{tools}", "HOME": str(tmp_path)}

    def run(*words: str) -> str:
        done = subprocess.run(
            [str(home / "bin" / words[0]), *words[1:]], env=environment, cwd=tmp_path, capture_output=True, text=True,
            timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert shutil.which("node", path=environment["PATH"]) is None
    run("pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), f"{wheel}[lab]")
    listed = run("jupyter", "labextension", "list")
    assert [
        line for line in listed.splitlines() if "snapml-lab" in line and "enabled" in line and "OK" in line
    ], listed
    served = run("jupyter", "server", "extension", "list")
    assert "snapml_server" in served
    assert [line for line in served.splitlines() if "snapml_server" in line and "OK" in line], served
    assert run("snapml", "--version").strip() == "0.1.0"
    refused = subprocess.run(
        [str(home / "bin" / "snapml"), "automl", "table.csv", "--target", "y"], env=environment, cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert 'pip install "snapml-lab[automl]"' in refused.stderr
