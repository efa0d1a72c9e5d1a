"""What one request used: read from the engine where it says, counted here where it does not. Pure."""

import time
from typing import Any

from snapml_lab import ids


class Meter:
    """Follows one request.

    Attributes:
        id: the request's, as its row and the answer's header have it.
        source: ``metered``, ``estimated`` or ``unknown``.
        ended: ``complete``, ``hung_up`` or ``failed``.
        first_token_ms: milliseconds to the first piece of the answer.
        finished: whether the engine said why the answer ended.
    """

    def __init__(self, *, streamed: bool) -> None:
        self.streamed = streamed
        self.id = ids.new()
        self.begun = time.monotonic()
        self.status = 200
        self.ended = "failed"
        self.source = "unknown"
        self.input_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.output_tokens: int | None = None
        self.first_token_ms: float | None = None
        self.finished = False
        self._pieces = 0
        self._head: dict[str, Any] = {}
        self._told: dict[str, Any] | None = None
        self._open = True

    def usage(self, told: Any) -> None:
        """Read OpenAI's usage; the latest told counts."""
        output = _count(told.get("completion_tokens")) if isinstance(told, dict) else None
        if output is None:
            return
        details = told.get("prompt_tokens_details")
        self.output_tokens = output
        self.input_tokens = _count(told.get("prompt_tokens"))
        self.cached_tokens = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
        self.source = "metered"
        self._told = told

    def chunk(self, chunk: dict[str, Any], name: str) -> dict[str, Any] | None:
        """Read one chunk of a stream, and return what to pass on of it: ours names the deployment and tells no usage."""
        told = chunk.pop("usage", None)
        self.usage(told)
        choices = _choices(chunk)
        if any(_says(choice) for choice in choices):
            self._pieces += 1
            if self.first_token_ms is None:
                self.first_token_ms = (time.monotonic() - self.begun) * 1000
        if any(choice.get("finish_reason") for choice in choices):
            self.finished = True
        passed = {**chunk, "model": name}
        self._head = {key: value for key, value in passed.items() if key not in ("choices", "usage")}
        return None if told and not choices else passed

    def told(self) -> dict[str, Any] | None:
        """Return the usage as a chunk of its own, as OpenAI ends a stream that was asked for it; None if not known."""
        return None if self._told is None else {**self._head, "choices": [], "usage": self._told}

    def complete(self) -> None:
        """The whole answer was passed on."""
        self._end("complete", 200)

    def hang_up(self) -> None:
        """The caller left; what was generated until then counts."""
        self._end("hung_up", 499)

    def fail(self, status: int) -> None:
        """The engine failed; what was generated until then counts."""
        self._end("failed", status)

    def _end(self, ended: str, status: int) -> None:
        """Settle how it ended: the first word counts, for a caller that has its whole answer may well leave.

        Without the engine's word on usage, a piece of a stream is about a token; the prompt's length stays unknown.
        """
        if not self._open:
            return
        self._open, self.ended, self.status = False, ended, status
        if self.source == "unknown" and self._pieces:
            self.output_tokens, self.source = self._pieces, "estimated"


def _choices(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    found = chunk.get("choices")
    return [choice for choice in found if isinstance(choice, dict)] if isinstance(found, list) else []


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _says(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        delta = {}
    return bool(
        delta.get("content")
        or delta.get("reasoning_content")
        or delta.get("tool_calls")
        or choice.get("text")
    )
