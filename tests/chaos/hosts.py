"""Where people work: a real Jupyter server with the extension, and a real kernel."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from .cycle import ACTOR, Cycle

_UP_SECONDS = 60.0
_LEFT_OUT = ("jupyterlab", "jupyter_lsp", "jupyter_server_terminals", "notebook_shim")


class Server:
    """A ``jupyter server`` on a cycle's project; its extension moves the queue once a second."""

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        # Only our extension: a server is up in half the time.
        extensions = json.dumps(dict.fromkeys(_LEFT_OUT, False)).replace("false", "False")
        self.process = cycle.start([
            *cycle.account.prefix, sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root",
            "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={cycle.project}",
            "--IdentityProvider.token=secret", f"--ServerApp.jpserver_extensions={extensions}",
        ])  # fmt: skip

    def wait_up(self) -> "Server":
        """Return once it answers."""
        deadline = time.monotonic() + _UP_SECONDS
        while not self._up():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no server: {(self.cycle.place / 'printed.log').read_text()[-2000:]}")
            time.sleep(0.02)
        return self

    def _up(self) -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.address}/api", timeout=5).status == 200
        return False

    def ask(self, command: str, **arguments: Any) -> int | None:
        """Ask for a command; return the status, or None if the server was gone before it answered."""
        request = urllib.request.Request(
            f"{self.address}/snapml/api/{command.replace(' ', '/')}",
            data=json.dumps(arguments).encode(),
            headers={"Authorization": "token secret"},
        )
        try:
            return urllib.request.urlopen(request, timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code
        except (OSError, http.client.HTTPException):
            return None


class Kernel:
    """An ipykernel, which does an actor's steps in a cell."""

    def __init__(self, cycle: Cycle) -> None:
        from jupyter_client.blocking.client import BlockingKernelClient
        from jupyter_client.connect import write_connection_file

        self.cycle = cycle
        connection = str(cycle.place / "kernel.json")
        write_connection_file(connection)
        os.chown(connection, cycle.account.uid, -1)
        self.process: subprocess.Popen[bytes] = cycle.start(
            [*cycle.account.prefix, sys.executable, "-m", "ipykernel_launcher", "-f", connection]
        )
        self.client = BlockingKernelClient(connection_file=connection)
        self.client.load_connection_file()
        self.client.start_channels()
        self._wait_up()

    def _wait_up(self) -> None:
        """Return once it answers; a client takes a slow start for a death."""
        deadline = time.monotonic() + _UP_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(RuntimeError):
                self.client.wait_for_ready(timeout=_UP_SECONDS)
                return
        raise RuntimeError(f"no kernel: {(self.cycle.place / 'printed.log').read_text()[-2000:]}")

    def do(self, orders: str) -> None:
        """Run a cell that follows an actor's orders; returns at once."""
        self.client.execute(
            f"import runpy, sys; sys.argv = ['actor', {orders!r}]; runpy.run_path({str(ACTOR)!r}, run_name='__main__')"
        )

    def close(self) -> None:
        """Let go of its sockets."""
        self.client.stop_channels()
