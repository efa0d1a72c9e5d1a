"""The payload of an endpoint whose engine needs no model: what it does is in the question. Standard library only.

``fail`` is answered with 500, ``break`` breaks off after two pieces, ``die`` ends the process with last words, ``wait``
hangs; all else gets :data:`WORDS`, streamed or whole, with half of the prompt read from a cache.
"""

import http.server
import json
import os
import socketserver
import sys
import time
from pathlib import Path
from typing import Any

WORDS = ["once", "upon", "a", "time", "there", "was", "an", "engine", "that", "told", "stories"]
PROMPT = 40
PACE_SECONDS = 0.01
LAST_WORDS = "RuntimeError: <b>no memory</b> left on the device"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request a connection, as HTTP/1.0 does."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = str((body.get("messages") or [{}])[-1].get("content"))
        if asked == "die":
            print(LAST_WORDS, file=sys.stderr, flush=True)
            os._exit(3)
        if asked == "wait":
            time.sleep(60)
        if asked == "fail":
            self._whole({"error": {"message": "the engine is out of order"}}, 500)
        elif body.get("stream"):
            self._stream(broken=asked == "break")
        else:
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": " ".join(WORDS)},
                "finish_reason": "stop",
            }
            self._whole({**_head("chat.completion"), "choices": [choice], "usage": _usage()})

    def do_GET(self) -> None:
        self._whole({"status": "ok"})

    def address_string(self) -> str:
        return "gateway"

    def _whole(self, fields: Any, status: int = 200) -> None:
        content = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, *, broken: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for word in WORDS[:2] if broken else WORDS:
            self._event({"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None})
            time.sleep(PACE_SECONDS)
        if not broken:
            self._event({"index": 0, "delta": {}, "finish_reason": "stop"}, usage=_usage())
            self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, choice: Any, **more: Any) -> None:
        fields = {**_head("chat.completion.chunk"), "choices": [choice], **more}
        self.wfile.write(b"data: " + json.dumps(fields).encode() + b"\n\n")
        self.wfile.flush()


def _head(kind: str) -> dict[str, Any]:
    return {"id": "x", "object": kind, "created": 1, "model": "inner"}


def _usage() -> dict[str, Any]:
    said = len(WORDS)
    return {
        "prompt_tokens": PROMPT, "completion_tokens": said, "total_tokens": PROMPT + said,
        "prompt_tokens_details": {"cached_tokens": PROMPT // 2},
    }  # fmt: skip


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def main() -> None:
    job = Path(os.environ["SNAPML_JOB_DIR"])
    place = Path(json.loads((job / "spec.json").read_text())["socket"])
    place.unlink(missing_ok=True)
    with Server(str(place), Handler) as server:
        with (job / "events.jsonl").open("a") as file:
            file.write(json.dumps({"type": "ready", "at": time.time()}) + "\n")
        server.serve_forever(0.1)


if __name__ == "__main__":
    main()
