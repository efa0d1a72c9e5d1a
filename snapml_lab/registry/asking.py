"""Asking a deployment, through the gateway, from our own notebooks and jobs. Standard library only."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from snapml_lab.errors import ConflictError, NotFoundError, SnapmlError
from snapml_lab.tracking.record import Origin

_SECONDS = 600.0


@dataclass(frozen=True)
class Client:
    """A way to the gateway: its base URL, a key's text, where the work comes from, and the seconds it may be silent."""

    url: str
    key: str
    origin: Origin = field(default_factory=Origin)
    seconds: float = _SECONDS

    def chat(self, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Ask and return (the request's id, the answer as OpenAI has it).

        Raises:
            SnapmlError: the gateway refused, or the engine failed.
        """
        connection, response = self._post("/v1/chat/completions", {**body, "stream": False})
        with contextlib.closing(connection), _broken_off():
            answer: dict[str, Any] = json.loads(response.read())
            return response.getheader("X-SnapML-Request", ""), answer

    def stream(self, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Ask and yield (the request's id, a chunk) as they come; leaving early hangs up.

        Raises:
            SnapmlError: the gateway refused, or the answer broke off.
        """
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        connection, response = self._post("/v1/chat/completions", asked)
        identifier = response.getheader("X-SnapML-Request", "")
        with contextlib.closing(connection), _broken_off():
            while line := response.readline():
                data = line.strip().removeprefix(b"data:").strip()
                if data == b"[DONE]":
                    return
                if not line.startswith(b"data:"):
                    continue
                chunk = json.loads(data)
                if "error" in chunk:
                    raise ConflictError(chunk["error"]["message"], fix="Ask again.")
                yield identifier, chunk
            raise http.client.IncompleteRead(b"")

    def _post(
        self, path: str, body: dict[str, Any]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            place.hostname or "127.0.0.1", place.port, timeout=self.seconds
        )
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        if self.origin.notebook:
            headers["X-SnapML-Notebook"] = quote(self.origin.notebook)
        if self.origin.cell_id:
            headers["X-SnapML-Cell"] = quote(self.origin.cell_id)
        try:
            connection.request("POST", path, json.dumps(body).encode(), headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ConflictError(
                f"The gateway at {self.url} does not answer: {error}.", fix="See: snapml endpoints list"
            ) from error
        if response.status != 200:
            refusal = _refusal(response)
            connection.close()
            raise refusal
        return connection, response


@contextlib.contextmanager
def _broken_off() -> Iterator[None]:
    """Turn an answer that ends before its end into an error of the family."""
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ConflictError(
            f"The answer broke off: {str(error) or type(error).__name__}.",
            fix="Ask again; see: snapml endpoints list",
        ) from error


def _refusal(response: http.client.HTTPResponse) -> SnapmlError:
    content = response.read()
    try:
        told = json.loads(content)["error"]
        message, code = str(told["message"]), told.get("code")
    except (ValueError, KeyError, TypeError):
        message, code = content.decode("utf-8", "replace")[:500], None
    if code == "model_not_found":
        return NotFoundError(message, fix="See: snapml endpoints list")
    return ConflictError(
        message, fix="See: snapml endpoints list" if response.status >= 500 else "Mend the request."
    )
