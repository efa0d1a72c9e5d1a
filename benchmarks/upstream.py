"""A stand-in for a provider: OpenAI's completions over loopback TCP, streamed and not, always with usage. ``python upstream.py [SOCKET …]``.

It listens on a port of its choice, which it prints, and on Unix sockets. A model named ``paced`` streams a token each 0.1 s; any other sends the first
alone and the rest 5 ms later. ``max_tokens`` tokens are streamed, each ``word``, so that who reads the stream can count them through any gateway.
"""

import asyncio
import json
import re
import sys
from typing import Any

import uvloop

PACED = "paced"
PACE_SECONDS = 0.1
REST_SECONDS = 0.005
_TOKENS = 16
_INPUT = 5
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def _reply(tokens: int) -> dict[str, Any]:
    return {"prompt_tokens": _INPUT, "completion_tokens": tokens, "total_tokens": _INPUT + tokens}


_WHOLE = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "inner",
    "choices": [{
        "index": 0, "message": {"role": "assistant", "content": " word" * _TOKENS}, "finish_reason": "stop",
    }],
    "usage": _reply(_TOKENS),
}).encode()  # fmt: skip
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_WHOLE), _WHOLE,
)  # fmt: skip
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _event(
    delta: dict[str, str] | None, reason: str | None = None, usage: dict[str, Any] | None = None
) -> bytes:
    """Write one event of a stream, as a chunk of HTTP; without a delta, the one that tells the usage."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    fields = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "inner", "choices": choices,
    } | ({"usage": usage} if usage else {})  # fmt: skip
    return _chunk(b"data: " + json.dumps(fields).encode() + b"\n\n")


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


_FIRST, _TOKEN, _LAST = (
    _event({"role": "assistant", "content": ""}),
    _event({"content": " word"}),
    _event({}, "stop"),
)
_DONE = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class _Provider(asyncio.Protocol):
    """One connection, kept alive; a request is answered before the next is read."""

    def __init__(self) -> None:
        self.held = b""
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.held += data
        end = self.held.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self.held, 0, end + 2)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self.held) < whole:
            return
        body, self.held = self.held[end + 4 : whole], self.held[whole:]
        asked = json.loads(body) if body else {}
        if not asked.get("stream"):
            self.transport.write(_ANSWER)
            return
        tokens = int(asked.get("max_tokens") or asked.get("max_completion_tokens") or _TOKENS)
        end_of_it = _LAST + _event(None, usage=_reply(tokens)) + _DONE
        if asked.get("model") == PACED:
            self.task = asyncio.get_running_loop().create_task(self._paced(tokens, end_of_it))
        else:
            self.transport.write(_HEAD + _FIRST + _TOKEN)
            later = asyncio.get_running_loop().call_later
            later(REST_SECONDS, self.transport.write, _TOKEN * (tokens - 1) + end_of_it)

    async def _paced(self, tokens: int, end_of_it: bytes) -> None:
        """Stream a token each 0.1 s by the clock: a late one does not delay the next."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self.transport.write(_HEAD + _FIRST + _TOKEN)
        for number in range(1, tokens):
            await asyncio.sleep(begun + number * PACE_SECONDS - loop.time())
            self.transport.write(_TOKEN)
        self.transport.write(end_of_it)


async def _serve(sockets: list[str]) -> None:
    loop = asyncio.get_running_loop()
    for path in sockets:
        await loop.create_unix_server(_Provider, path, backlog=1024)
    server = await loop.create_server(_Provider, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1:]))
