"""What integration tests share: waiting for a fact, marked processes, other accounts, and a Jupyter server."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from jupyter_client.blocking.client import BlockingKernelClient

from snapml_lab.errors import NotFoundError
from snapml_lab.jobs import logs, processes, queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job
from snapml_lab.workspace import Workspace

PATIENCE = 60.0
"""Seconds until a test gives up; never a claim about speed."""


def wait_until(fact: Callable[[], Any], what: str = "it", timeout: float = PATIENCE) -> Any:
    deadline = time.monotonic() + timeout
    while True:
        found = fact()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen in {timeout:g} s")
        time.sleep(0.02)


@pytest.fixture
def until() -> Callable[..., Any]:
    """Poll until a fact is true, and return it."""
    return wait_until


@pytest.fixture
def finish(ws: Workspace) -> Callable[..., Job]:
    """Wait until a job has ended, and return it as it then is."""

    def wait(job: Job, timeout: float = PATIENCE) -> Job:
        return queue.wait(ws, job, timeout=timeout)

    return wait


@pytest.fixture
def watch(ws: Workspace) -> Callable[..., Job]:
    """Wait until a job is in one of some states by only looking: nothing here moves the queue."""

    def wait(job: Job | str, *states: str, timeout: float = PATIENCE) -> Job:
        name = job if isinstance(job, str) else job.id

        def there() -> Job | None:
            try:
                found = queue.get(ws, name)
            except NotFoundError:
                return None
            return found if found.state in states else None

        return wait_until(there, f"{name} in {states}", timeout)

    return wait


@pytest.fixture
def folder(ws: Workspace) -> Callable[[Job], JobFolder]:
    """Return a job's folder."""
    return lambda job: JobFolder(ws.jobs / job.id)


@pytest.fixture
def printed(ws: Workspace) -> Callable[[Job], str]:
    """Return a job's merged log."""
    return lambda job: logs.read(JobFolder(ws.jobs / job.id), limit=1 << 26).text


class Marked:
    """Processes that carry a word of this test's in their command line, whatever their parent or environment."""

    def __init__(self, word: str) -> None:
        self.word = word

    def alive(self) -> list[int]:
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if self.word.encode() in line and processes.state(int(name)) not in (None, "Z"):
                found.append(int(name))
        return found

    def end(self) -> None:
        processes.kill_all(self.alive())


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[Marked]:
    """A word to give to processes; whoever still carries it at the end is killed."""
    found = Marked(f"marked-{os.getpid()}-{time.time_ns()}")
    yield found
    found.end()


@pytest.fixture(scope="session")
def _learnt_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sklearn.datasets import load_iris

    place = tmp_path_factory.mktemp("learnt") / "project"
    place.mkdir()
    load_iris(as_frame=True).frame.to_csv(place / "flowers.csv", index=False)
    environment = {**os.environ, "SNAPML_WORKSPACE": str(place)}
    subprocess.run(
        [
            sys.executable, "-m", "snapml_lab.cli", "automl", "flowers.csv", "--target", "target", "--time", "1",
            "--json",
        ],
        cwd=place, env=environment, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return place


@pytest.fixture
def learnt(project: Path, _learnt_once: Path) -> Path:
    """The project with ``flowers.csv`` and a finished search on it: a copied workspace brings everything along."""
    shutil.copytree(_learnt_once, project, dirs_exist_ok=True)
    return project


class Account:
    """An account to run Python as, with a project folder of its own."""

    def __init__(self, prefix: list[str], project: Path) -> None:
        self.prefix = prefix
        self.project = project

    def python(self, source: str, *words: str, timeout: float = 120) -> str:
        environment = {**os.environ, "HOME": str(self.project), "SNAPML_WORKSPACE": str(self.project)}
        done = subprocess.run(
            [*self.prefix, sys.executable, "-c", textwrap.dedent(source), *words],
            cwd=self.project, env=environment, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def ordinary() -> Iterator[Account]:
    """An account that may not make cgroups: ``nobody`` where the tests run as root, else whoever runs them."""
    place = Path(tempfile.mkdtemp(prefix="snapml-ordinary-"))
    prefix: list[str] = []
    if os.geteuid() == 0:
        place.chmod(0o777)
        # It may read wherever Python is installed (which may be root's home), and nothing more.
        prefix = [
            "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+dac_read_search",
            "--ambient-caps=+dac_read_search",
        ]  # fmt: skip
        works = (
            shutil.which("setpriv")
            and not subprocess.run(
                [*prefix, sys.executable, "-c", "import snapml_lab"],
                capture_output=True,
                cwd=place,
                check=False,
            ).returncode
        )
        if not works:
            shutil.rmtree(place)
            pytest.skip("this machine cannot run Python as another account")
    yield Account(prefix, place)
    shutil.rmtree(place, ignore_errors=True)


class Server:
    """A real ``jupyter server`` on loopback, in a process of its own."""

    def __init__(self, root: Path, token: str = "secret", config: str = "", cwd: Path | None = None) -> None:
        self.root, self.token, self.config = root, token, config
        self.cwd = cwd or root
        self.private = Path(tempfile.mkdtemp(prefix="snapml-server-"))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Server":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("SNAPML_", "JPY_", "JUPYTER_"))
        }  # fmt: skip
        environment["SNAPML_AUDIT_HEADS"] = os.environ.get("SNAPML_AUDIT_HEADS", str(self.private / "heads"))
        environment |= {
            f"JUPYTER_{name}_DIR": str(self.private / name) for name in ("CONFIG", "DATA", "RUNTIME")
        }
        (self.private / "jupyter_server_config.py").write_text(textwrap.dedent(self.config))
        self.log = self.private / "server.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root", "--ip=127.0.0.1",
                    f"--port={self.port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={self.root}",
                    f"--IdentityProvider.token={self.token}", "--ServerApp.allow_unauthenticated_access=False",
                    f"--config={self.private / 'jupyter_server_config.py'}",
                ],
                cwd=self.cwd, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        wait_until(self._up, f"the server ({self.log.read_text()[-2000:]})")
        return self

    def _up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return requests.get(self.url("api"), timeout=5).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    @contextlib.contextmanager
    def kernel(self, identifier: str) -> Iterator[BlockingKernelClient]:
        """Give a client of a kernel that the server has started, once that answers."""
        client = BlockingKernelClient()
        client.load_connection_file(str(self.private / "RUNTIME" / f"kernel-{identifier}.json"))
        client.start_channels()
        try:
            wait_until(lambda: _answers(client), "the kernel")
            yield client
        finally:
            client.stop_channels()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def ask(
        self, command: str, arguments: Any = None, *, token: str | None = "", **more: Any
    ) -> requests.Response:
        """POST a command's parameters; ``token`` None asks without one."""
        headers = {} if token is None else {"Authorization": f"token {token or self.token}"}
        body = more.pop("data", None)
        if body is None:
            body = json.dumps({} if arguments is None else arguments)
        return requests.post(
            self.url(f"snapml/api/{command.replace(' ', '/')}"),
            data=body,
            headers=headers,
            timeout=120,
            **more,
        )

    def kill(self) -> None:
        """Kill it and whatever is in its process group, as a crash or a shut-down machine would."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.private, ignore_errors=True)


def _answers(client: BlockingKernelClient) -> bool:
    try:
        client.wait_for_ready(timeout=60)
    except RuntimeError:  # a heart that beats late on a busy machine is taken for a dead one
        return False
    return True


def stop_jobs(root: Path) -> None:
    workspace = Workspace(root / ".snapml")
    for job in queue.latest(workspace, limit=1000):
        if not job.ended:
            queue.wait(workspace, queue.cancel(workspace, job.id, grace=0.2), timeout=30)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start Jupyter servers; they and their workspaces' jobs are stopped at the end."""
    started: list[Server] = []

    def start(root: Path, **options: Any) -> Server:
        started.append(Server(root, **options))
        return started[-1].start()

    yield start
    for server in started:
        server.stop()
    for root in {server.root for server in started}:
        stop_jobs(root)
