"""What one request used: read from the engine where it says, counted here where it does not. Pure."""

import time
from dataclasses import replace
from typing import Any

from snapml_lab import ids
from snapml_lab.costs import usage as reading
from snapml_lab.costs.usage import UNKNOWN, Usage


class Meter:
    """Follows one request.

    Attributes:
        id: the request's, as its row and the answer's header have it.
        usage: what it used, and whether that is ``metered``, ``estimated`` or ``unknown``.
        ended: ``complete``, ``hung_up`` or ``failed``.
        first_token_ms: milliseconds to the first piece of the answer.
        finished: whether the engine said why the answer ended.
        attempts: how often an engine was asked.
        estimate: tokens it reads, by what is sent; for where the engine does not tell.
    """

    def __init__(self, *, streamed: bool) -> None:
        self.streamed = streamed
        self.id = ids.new()
        self.begun = time.monotonic()
        self.status = 200
        self.ended = "failed"
        self.usage = UNKNOWN
        self.first_token_ms: float | None = None
        self.finished = False
        self.attempts = 0
        self.estimate: int | None = None
        self.pieces = 0
        self.told: dict[str, Any] | None = None
        self.open = True
        self._head: dict[str, Any] = {}

    def read(self, answer: dict[str, Any]) -> None:
        """Read the usage of an answer, or of a chunk of one; the latest told counts."""
        found = reading.read(answer)
        if found is not None and found.output is not None:
            self.usage = found
            told = answer.get("usage")
            if isinstance(told, dict):
                self.told = told

    def chunk(self, chunk: dict[str, Any], name: str) -> dict[str, Any] | None:
        """Read one chunk of a stream, and return what to pass on of it: ours names the deployment and tells no usage."""
        told = chunk.get("usage")
        if told is not None or "x_groq" in chunk:
            self.read(chunk)
        chunk.pop("usage", None)
        choices = choices_of(chunk)
        if any(_says(choice) for choice in choices):
            self.pieces += 1
            if self.first_token_ms is None:
                self.first_token_ms = (time.monotonic() - self.begun) * 1000
        if any(choice.get("finish_reason") for choice in choices):
            self.finished = True
        chunk["model"] = name
        if not self._head:
            self._head = {key: value for key, value in chunk.items() if key != "choices"}
        return None if told and not choices else chunk

    def usage_chunk(self) -> dict[str, Any] | None:
        """Return the usage as a chunk of its own, as OpenAI ends a stream that was asked for it; None if not known."""
        return None if self.told is None else {**self._head, "choices": [], "usage": self.told}

    def tokens_so_far(self) -> int | None:
        """Return the tokens written until now, as told, else as counted."""
        written = self.usage.written
        return max(written or 0, self.pieces) or written

    def complete(self) -> None:
        """The whole answer was passed on."""
        self._end("complete", 200)

    def hang_up(self) -> None:
        """The caller left; what was generated until then counts."""
        self._end("hung_up", 499)

    def fail(self, status: int) -> None:
        """The engine failed, or the request was refused; what was generated until then counts."""
        self._end("failed", status)

    def _end(self, ended: str, status: int) -> None:
        """Settle how it ended: the first word counts, for a caller that has its whole answer may well leave.

        Where the engine told no usage, a piece of a stream is about a token, and what was read is estimated. Usage that was
        told on the way, and pieces that came after it, count together: the greater of the two.
        """
        if not self.open:
            return
        self.open, self.ended, self.status = False, ended, status
        if not self.pieces:
            return
        if self.usage is UNKNOWN:
            self.usage = Usage(self.estimate, None, None, self.pieces, None, "estimated")
        elif ended != "complete" and self.pieces > (self.usage.written or 0):
            more = self.pieces - (self.usage.reasoning or 0)
            self.usage = replace(self.usage, output=more, source="estimated")


def choices_of(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the choices of an answer or of a chunk of one; what is none is left out."""
    found = chunk.get("choices")
    return [choice for choice in found if isinstance(choice, dict)] if isinstance(found, list) else []


def _says(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        delta = {}
    return bool(
        delta.get("content")
        or delta.get("reasoning_content")
        or delta.get("reasoning")
        or delta.get("tool_calls")
        or choice.get("text")
    )
