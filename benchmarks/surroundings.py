"""What the benchmarks run in: a workspace and Jupyter servers of their own, on loopback, ended and removed afterwards."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import psutil
import requests

_GRACE_SECONDS = 10.0
MARK = "BENCHMARK_MARK"
"""Set to a server's private folder in its environment, so that whatever it leaves behind can be found and ended."""


def wait_until(fact: Callable[[], Any], what: str, timeout: float = 60.0, pause: float = 0.02) -> Any:
    """Poll until a fact is true, and return it.

    Raises:
        TimeoutError: it did not become true.
    """
    deadline = time.monotonic() + timeout
    while not (found := fact()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not in {timeout:g} s")
        time.sleep(pause)
    return found


@contextlib.contextmanager
def scratch() -> Iterator[Any]:
    """Give a workspace of its own; at the end its jobs are stopped and it is removed."""
    from snapml_lab.jobs import queue
    from snapml_lab.workspace import Workspace

    project = Path(tempfile.mkdtemp(prefix="snapml-bench-"))
    ws = Workspace(project / ".snapml")
    try:
        yield ws
        for row in ws.ledger.rows("SELECT id FROM jobs WHERE ended_at IS NULL ORDER BY id"):
            queue.wait(ws, queue.cancel(ws, row["id"], grace=0.5), timeout=60)
        # A shim moves the queue once more after its job has ended.
        wait_until(lambda: not _naming(str(project)), "the last shim's end", 30)
    finally:
        for process in _naming(str(project)):
            with contextlib.suppress(psutil.Error):
                process.kill()
        ws.ledger.close()
        shutil.rmtree(project, ignore_errors=True)


def _naming(text: str) -> list[psutil.Process]:
    """Return the processes whose command line has ``text`` in it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(text in word for word in process.cmdline()):
                found.append(process)
    return found


def one_cell(path: Path, source: str) -> Path:
    """Write a notebook of one code cell."""
    cell = {
        "cell_type": "code", "id": "only", "metadata": {}, "execution_count": None, "outputs": [], "source": source,
    }  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook), "utf-8")
    return path


class JupyterServer:
    """A ``jupyter server`` on loopback in a process of its own, with folders of its own.

    Args:
        root: the folder it serves.
        python: the interpreter of the environment it runs from; another than ours sees nothing of ours.
        extensions: server extensions switched on or off beside those of its environment.
        path: folders added to where it imports from.
    """

    def __init__(
        self,
        root: Path,
        *,
        python: str = sys.executable,
        extensions: dict[str, bool] | None = None,
        path: tuple[Path, ...] = (),
    ) -> None:
        self.root = root
        self.python = python
        self.extensions = extensions or {}
        self.path = path
        self.private = Path(tempfile.mkdtemp(prefix="snapml-bench-server-"))
        self.session = requests.Session()
        self.session.headers["Authorization"] = "token benchmark"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE_SECONDS)
        self.process.kill()
        self.process.wait()
        self._end_marked()
        shutil.rmtree(self.private, ignore_errors=True)

    def start(self) -> None:
        """Start it, on the same port and with the same folders each time, and wait until it answers."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SNAPML_", "JPY_", "JUPYTER")) and name != "PYTHONPATH"
        }
        inherited = [os.environ["PYTHONPATH"]] if self._ours and "PYTHONPATH" in os.environ else []
        if places := [*map(str, self.path), *inherited]:
            environment["PYTHONPATH"] = os.pathsep.join(places)
        for name in ("CONFIG", "DATA", "RUNTIME"):
            environment[f"JUPYTER_{name}_DIR"] = str(self.private / name)
        environment["PATH"] = os.pathsep.join([str(Path(self.python).parent), environment["PATH"]])
        environment |= {"IPYTHONDIR": str(self.private / "ipython"), MARK: str(self.private)}
        self.log = self.private / "server.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.python, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ip=127.0.0.1",
                    f"--port={self.port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={self.root}",
                    "--IdentityProvider.token=benchmark", f"--ServerApp.jpserver_extensions={self.extensions}",
                ],
                cwd=self.root, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(self._up, f"a server ({self.log})")

    def kill(self) -> None:
        """Kill the server's own process, as one that ran out of memory is killed."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Ask, and return the JSON that came; None where nothing came."""
        data = None if body is None else json.dumps(body)
        answer = self.session.request(method, f"http://127.0.0.1:{self.port}/{path}", data=data, timeout=120)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def command(self, name: str, **arguments: object) -> Any:
        """Run one of our commands through REST."""
        return self.request("POST", f"snapml/api/{name.replace(' ', '/')}", arguments)

    @property
    def _ours(self) -> bool:
        return self.python == sys.executable

    def _up(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(self.log.read_text("utf-8", "replace")[-3000:])
        with contextlib.suppress(requests.ConnectionError):
            return bool(self.request("GET", "api/status"))
        return False

    def _end_marked(self) -> None:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == str(self.private):
                    process.kill()
