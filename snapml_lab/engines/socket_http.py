"""Short requests to an engine on its Unix socket, as JSON. Standard library only."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(
    path: Path, method: str, route: str, body: dict[str, Any] | None = None, *, timeout: float = 60.0
) -> tuple[int, str]:
    """Send a request and return the status and the text that came back.

    Raises:
        OSError: nobody listens, or nothing came back in ``timeout`` seconds.
    """
    connection = Connection(path, timeout)
    try:
        content = None if body is None else json.dumps(body).encode()
        connection.request(method, route, content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except http.client.HTTPException as error:
        raise ConnectionError(f"the engine's answer is none: {type(error).__name__}") from error
    finally:
        connection.close()
