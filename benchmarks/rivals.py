"""The rivals, each in an environment of its own under ``.venvs/``, made on first use."""

import contextlib
import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import psutil
from surroundings import JupyterServer

_ENVIRONMENTS = Path(__file__).resolve().parents[1] / ".venvs"
SCHEDULER = "jupyter-scheduler 2.12"
RAY = "Ray Jobs 2.60"
_APART = ["unshare", "-r", "-n", "-p", "-f", "--kill-child", "--mount-proc"]
"""A network and processes of its own: Ray listens on every address, and leaves processes behind."""
_PATIENCE_SECONDS = 900.0


def environment(name: str, *requirements: str) -> str:
    """Return the interpreter of an environment that has ``requirements``, making it where it is not whole."""
    folder = _ENVIRONMENTS / name
    python, whole = folder / "bin" / "python", folder / ".whole"
    wanted = "\n".join(requirements)
    if not whole.exists() or whole.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *requirements], check=True)
        whole.write_text(wanted)
    return str(python)


class Scheduler(JupyterServer):
    """A Jupyter server with jupyter-scheduler, as it comes."""

    def __init__(self, root: Path) -> None:
        super().__init__(
            root, python=environment("scheduler", "jupyter-scheduler==2.12.*", "jupyterlab>=4.4,<5")
        )

    @property
    def database(self) -> Path:
        """Where it keeps its jobs."""
        return self.private / "DATA" / "scheduler.sqlite"

    @property
    def staging(self) -> Path:
        """Where it runs notebooks and leaves their outputs."""
        return self.private / "DATA" / "scheduler_staging_area"

    @cached_property
    def _environment(self) -> str:
        """The name of the environment it offers; asked once, as its page does."""
        return str(self.request("GET", "scheduler/runtime_environments")[0]["name"])

    def submit(self, notebook: Path) -> str:
        """Have a notebook under its root run now; return the job's id."""
        body = {
            "name": notebook.stem, "input_uri": str(notebook.relative_to(self.root)), "output_formats": ["ipynb"],
            "runtime_environment_name": self._environment,
        }  # fmt: skip
        return str(self.request("POST", "scheduler/jobs", body)["job_id"])

    def job(self, job: str) -> Any:
        """Return what it says of a job."""
        return self.request("GET", f"scheduler/jobs/{job}")

    def stop(self, job: str) -> None:
        """Cancel a job, as its page does."""
        self.request("PATCH", f"scheduler/jobs/{job}", {"status": "STOPPED"})


class Ray:
    """A Ray head with two processors, driven through its job submission client."""

    def __enter__(self) -> Self:
        python = environment("ray", "ray[default]==2.60.*")
        self.folder = Path(tempfile.mkdtemp(prefix="ray-"))
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        variables = {
            "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16), "RAY_USAGE_STATS_ENABLED": "0",
        }  # fmt: skip
        apart = (
            _APART
            if subprocess.run([*_APART, "true"], capture_output=True, check=False).returncode == 0
            else []
        )
        self.process = subprocess.Popen(
            [*apart, python, Path(__file__).with_name("ray_driver.py"), str(self.folder)],
            env={**kept, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, start_new_session=True,
        )  # fmt: skip
        try:
            self._answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self.processes(), psutil.Process(self.process.pid)]:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> list[psutil.Process]:
        """Return the processes of the head, and of what it runs."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def run(self, argv: list[str], number: int = 1) -> Any:
        """Submit a job ``number`` times and wait for all; return when it began and when the last ended.

        Raises:
            RuntimeError: one failed.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([argv, number]) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        if answer["failed"]:
            raise RuntimeError(f"{answer['failed']} of {number} jobs failed under Ray")
        return answer

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], _PATIENCE_SECONDS)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise RuntimeError(f"Ray did not answer; see {self.folder}")
        return json.loads(line)
