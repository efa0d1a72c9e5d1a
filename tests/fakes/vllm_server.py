"""A stand-in for vLLM's server: what it says to health, one token, and adapters that come and go. Standard library only.

``python vllm_server.py SOCKET FILE``: adapters it has are in FILE, as JSON, while it lives; they begin with none.
"""

import http.server
import json
import socketserver
import sys
from pathlib import Path


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request a connection."""

    def do_GET(self) -> None:
        self._say(200, {"status": "ok"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        have = json.loads(FILE.read_text())
        name = body.get("lora_name")
        if self.path == "/v1/load_lora_adapter":
            if name in have:
                return self._say(
                    400, {"error": {"message": f"The lora adapter '{name}' has already been loaded."}}
                )
            if not (Path(body["lora_path"]) / "adapter_model.safetensors").is_file():
                return self._say(400, {"error": {"message": "no weights"}})
            FILE.write_text(json.dumps([*have, name]))
        elif self.path == "/v1/unload_lora_adapter":
            if name not in have:
                return self._say(404, {"error": {"message": "not found"}})
            FILE.write_text(json.dumps([item for item in have if item != name]))
        return self._say(200, {"choices": []})

    def address_string(self) -> str:
        return "watch"

    def _say(self, status: int, fields: object) -> None:
        content = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


if __name__ == "__main__":
    FILE = Path(sys.argv[2])
    FILE.write_text("[]")
    Server(sys.argv[1], Handler).serve_forever()
