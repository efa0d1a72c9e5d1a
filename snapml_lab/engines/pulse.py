"""Whether an engine that listens still works: one token, or one row, is asked for on its socket. Standard library only."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from snapml_lab.engines import socket_http

_NONE = 599
_HELLO = [{"role": "user", "content": "hello"}]


def token(socket: Path, model: str, timeout: float) -> bool:
    """Ask a language model for one token: of a chat, or of a text where it has no form for chats.

    A refusal is a sign of life, too; a fault of the server's is none: an engine that has lost its core says so.
    """
    asked = {"model": model, "max_tokens": 1}
    chat = _status(socket, "/v1/chat/completions", {**asked, "messages": _HELLO}, timeout)
    if chat != 400:
        return chat < 500
    return _status(socket, "/v1/completions", {**asked, "prompt": "hello"}, timeout) < 500


def row(socket: Path, name: str, timeout: float) -> bool:
    """Ask a classic model for one row, of noughts and empty texts; that it cannot predict such a one is an answer, too."""
    place = f"/v2/models/{quote(name)}"
    try:
        status, text = socket_http.ask(socket, "GET", place, timeout=timeout)
        columns = json.loads(text)["inputs"] if status == 200 else []
    except (OSError, ValueError, KeyError):
        return False
    inputs = [
        {"name": item["name"], "shape": [1], "datatype": item["datatype"], "data": [0.0 if item["datatype"] == "FP64" else ""]}
        for item in columns
    ]  # fmt: skip
    return _status(socket, f"{place}/infer", {"inputs": inputs}, timeout) != _NONE


def _status(socket: Path, route: str, body: dict[str, Any], timeout: float) -> int:
    """Return the status of the answer, :data:`_NONE` where none comes in time."""
    try:
        return socket_http.ask(socket, "POST", route, body, timeout=timeout)[0]
    except OSError:
        return _NONE
