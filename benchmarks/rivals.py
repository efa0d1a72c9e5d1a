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
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import psutil
from surroundings import JupyterServer

from snapml_lab.store.files import locked

_ENVIRONMENTS = Path(__file__).resolve().parents[1] / ".venvs"
SCHEDULER = "jupyter-scheduler 2.12"
RAY = "Ray Jobs 2.60"
MLFLOW = "MLflow 3.18, SQLite"
TRACKIO = "trackio 0.43"
OURS = "ours"
ASKER = "asker"
"""No tracker, but driven as one is: who asks the gateways."""
_APART = ["unshare", "-r", "-n", "-p", "-f", "--kill-child", "--mount-proc"]
"""A network and processes of its own: Ray listens on every address, and leaves processes behind."""
_PATIENCE_SECONDS = 900.0


def environment(name: str, *requirements: str, over: str = "") -> str:
    """Return the interpreter of an environment that has ``requirements``, making it where it is not whole.

    Args:
        name: its folder's.
        requirements: what pip installs.
        over: put over these in the end, without what it asks for.
    """
    folder = _ENVIRONMENTS / name
    python, whole = folder / "bin" / "python", folder / ".whole"
    wanted = "\n".join((*requirements, over)).strip()
    _ENVIRONMENTS.mkdir(exist_ok=True)
    with locked(_ENVIRONMENTS / f"{name}.lock"):
        if not whole.exists() or whole.read_text() != wanted:
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *requirements], check=True)
            if over:
                subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", over], check=True)
            whole.write_text(wanted)
    return str(python)


def mlflow_python() -> str:
    """Return the interpreter of MLflow's environment.

    Its own wheel holds every file of it; of ``mlflow-skinny`` and ``mlflow-tracing``, which it names for their
    requirements, an index may not have the newest: those of the version before take their place.
    """
    return environment("mlflow", "mlflow==3.17.*", over="mlflow==3.18.*")


def mlflow_gateway_python() -> str:
    """Return the interpreter of an environment with MLflow, its gateway and its scoring server."""
    return environment("mlflow-gateway", "mlflow[genai]==3.17.*", over="mlflow==3.18.*")


def trackio_python() -> str:
    """Return the interpreter of trackio's environment."""
    return environment("trackio", "trackio==0.43.*")


class Driver:
    """A tracker in a process of its own, with a folder for what it keeps; see ``driver.py``."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder / name.split(maxsplit=1)[0].lower()
        self.kept = self.folder / "kept"
        self.kept.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "log"

    def __enter__(self) -> Self:
        self.process = self.started()
        self.version = self.ask("version")  # it is up and its tables are made, which two at once cannot
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    @contextlib.contextmanager
    def others(self, number: int) -> Iterator[list["Driver"]]:
        """Give more processes on the same folder."""
        found = [Driver(self.name, self.folder.parent) for _ in range(number)]
        with contextlib.ExitStack() as stack:
            for driver in found:
                driver.process = driver.started()
                stack.push(driver)
            for driver in found:
                driver.ask("version")
            yield found

    @property
    def python(self) -> str:
        """Its interpreter."""
        return _TRACKERS[self.name][0]()

    @property
    def variables(self) -> dict[str, str]:
        """Its environment: nothing of it tells anybody over a network."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SNAPML_", "MLFLOW_", "TRACKIO_"))
        }
        if self.name != OURS:
            kept.pop("PYTHONPATH", None)
        return kept | _QUIET

    def started(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start its script."""
        script = Path(__file__).with_name(_TRACKERS[self.name][1])
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [self.python, script, str(self.kept), *arguments], cwd=self.folder, env=self.variables,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def ask(self, verb: str, **arguments: object) -> Any:
        """Have something done and return its answer."""
        self.begin(verb, **arguments)
        return self.answer()

    def begin(self, verb: str, **arguments: object) -> None:
        """Have something done, and do not wait for it."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the answer that does not come tells why
            self.process.stdin.write(json.dumps([verb, arguments]) + "\n")
            self.process.stdin.flush()

    def answer(self) -> Any:
        """Return the answer to what was begun.

        Raises:
            RuntimeError: it failed.
        """
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], _PATIENCE_SECONDS)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise RuntimeError(
                f"{self.name} did not answer: {self.log.read_text('utf-8', 'replace')[-2000:]}"
            )
        told = json.loads(line)
        if "error" in told:
            raise RuntimeError(f"{self.name}: {told['error']}")
        return told["answer"]


_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet", "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_ANALYTICS_ENABLED": "False",
}  # fmt: skip
_TRACKERS: dict[str, tuple[Callable[[], str], str]] = {
    OURS: (lambda: sys.executable, "driver_snapml.py"),
    MLFLOW: (mlflow_python, "driver_mlflow.py"),
    TRACKIO: (trackio_python, "driver_trackio.py"),
    ASKER: (lambda: sys.executable, "asker.py"),
}


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
