"""An engine of two processes: one listens, says it is well and hands requests on; the other makes the answers, and may be stopped.

``python two_halves.py FOLDER SOCKET``: the inner half's pid is the text of each answer; one asked for ``slow`` waits for the file
``FOLDER/go``; each asked for ``hello`` leaves a file ``FOLDER/hello-N``.
"""

import http.client
import itertools
import json
import os
import socket
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

FOLDER, OUTER = Path(sys.argv[1]), Path(sys.argv[2])
INNER = FOLDER / f"inner-{os.getpid()}"
HELLOS = itertools.count()


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """HTTP over a Unix socket."""

    daemon_threads = True
    request_queue_size = 64

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:  # type: ignore[override]
        return self.socket.accept()[0], ("engine", 0)


class Answering(BaseHTTPRequestHandler):
    """What both halves share."""

    def log_message(self, *_: object) -> None:
        pass

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status: int, content: bytes = b"{}") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Core(Answering):
    """Makes answers."""

    def do_POST(self) -> None:
        said = json.loads(self.body())["messages"][-1]["content"]
        if said == "hello":
            (FOLDER / f"hello-{next(HELLOS)}").touch()
        while said == "slow" and not (FOLDER / "go").exists():
            time.sleep(0.02)
        message = {"role": "assistant", "content": str(os.getpid())}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        used = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        self.answer(
            200, json.dumps({"id": "x", "model": "inner", "choices": [choice], "usage": used}).encode()
        )


class Face(Answering):
    """Listens."""

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/health" else 404)

    def do_POST(self) -> None:
        connection = http.client.HTTPConnection("inner")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(INNER))
        connection.request("POST", self.path, self.body())
        reply = connection.getresponse()
        self.answer(reply.status, reply.read())


INNER.unlink(missing_ok=True)
core = Server(str(INNER), Core)
if os.fork() == 0:
    core.serve_forever()
core.server_close()
OUTER.unlink(missing_ok=True)
face = Server(str(OUTER), Face)
with open(os.environ["SNAPML_JOB_DIR"] + "/events.jsonl", "a") as events:
    events.write('{"type": "ready"}\n')
face.serve_forever()
