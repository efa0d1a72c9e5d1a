"""Who asks the gateways: HTTP/1.1 over kept connections, in a process of its own, cheap enough not to be what is measured.

Driven as a tracker is (see ``driver.py``). Times are milliseconds. Needs uvloop.
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import uvloop
from driver import serve

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_TOKEN = b"word"
"""What a token of the stand-in provider is, whichever gateway it comes through."""
_PATIENCE_SECONDS = 180.0
_TOLD = 5


@dataclass
class _Answer:
    """What came: status and body (chunks undecoded), and when the first token and the last byte did."""

    status: int
    body: bytes
    first: float | None
    done: float


class _Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._open = False

    def connection_made(self, transport: Any) -> None:
        self._transport, self._open = transport, True
        self._coming: asyncio.Future[_Answer] | None = None

    def connection_lost(self, _: Exception | None) -> None:
        self._open = False
        if self._coming is not None and not self._coming.done():
            told = bytes(self._got[:200])
            self._coming.set_exception(ConnectionError(f"closed before the answer's end, after {told!r}"))

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._got += data
        if self._first is None and _TOKEN in self._got:
            self._first = now
        if self._head < 0:
            self._head = self._got.find(b"\r\n\r\n")
            if self._head < 0:
                return
            length = _LENGTH.search(self._got, 0, self._head + 2)
            self._whole = self._head + 4 + int(length[1]) if length else None
        ended = self._got.endswith(b"\r\n0\r\n\r\n") if self._whole is None else len(self._got) >= self._whole
        if ended and self._coming is not None and not self._coming.done():
            status = int(self._got[9:12])
            self._coming.set_result(_Answer(status, bytes(self._got[self._head + 4 :]), self._first, now))
            if _CLOSES.search(self._got, 0, self._head + 2):
                self.close()

    async def ask(self, port: int, request: bytes) -> _Answer:
        """Ask, on a new connection where the old one is gone."""
        loop = asyncio.get_running_loop()
        if not self._open:
            await loop.create_connection(lambda: self, "127.0.0.1", port)
        self._got, self._head, self._whole, self._first = bytearray(), -1, None, None
        self._coming = loop.create_future()
        self._transport.write(request)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await self._coming

    def close(self) -> None:
        """Hang up."""
        if self._open:
            self._open = False
            self._transport.close()


@dataclass
class _Asked:
    """What is asked, and what came of it."""

    port: int
    request: bytes
    tokens: int | None

    def __post_init__(self) -> None:
        self.begun = 0
        self.taken: list[float] = []
        self.first: list[float] = []
        self.broken: list[str] = []

    async def once(self, connection: _Connection, since: float | None = None) -> None:
        """Ask once; an answer that is refused, breaks off or lacks a token is broken. Timed ``since``, or from now."""
        begun = time.perf_counter() if since is None else since
        self.begun += 1
        try:
            answer = await connection.ask(self.port, self.request)
        except (OSError, TimeoutError) as error:
            connection.close()
            self.broken.append(f"{type(error).__name__}: {error}")
            return
        tokens = answer.body.count(_TOKEN)
        if answer.status != 200 or (
            self.tokens is not None and (tokens != self.tokens or b"[DONE]" not in answer.body)
        ):
            self.broken.append(
                f"{answer.status}, {tokens} tokens: {answer.body[-300:].decode('utf-8', 'replace')}"
            )
            return
        self.taken.append((answer.done - begun) * 1000)
        if answer.first is not None:
            self.first.append((answer.first - begun) * 1000)

    def told(self, seconds: float) -> dict[str, Any]:
        """Return the figures."""
        return {
            "begun": self.begun, "seconds": seconds, "taken": self.taken, "first": self.first,
            "broken": len(self.broken), "why": self.broken[:_TOLD],
        }  # fmt: skip


def _asked(port: int, path: str, headers: dict[str, str], body: Any, tokens: int | None) -> _Asked:
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json"]
    lines += [
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    return _Asked(port, "\r\n".join(lines).encode() + content, tokens)


def _run(
    asked: _Asked, asking: Callable[[list[_Connection]], Awaitable[object]], at_once: int
) -> dict[str, Any]:
    async def whole() -> dict[str, Any]:
        connections = [_Connection() for _ in range(at_once)]
        begun = time.perf_counter()
        await asking(connections)
        seconds = time.perf_counter() - begun
        for connection in connections:
            connection.close()
        return asked.told(seconds)

    found: dict[str, Any] = uvloop.run(whole())
    return found


def ask(
    port: int,
    path: str,
    headers: dict[str, str],
    body: Any,
    number: int,
    at_once: int = 1,
    tokens: int | None = None,
) -> dict[str, Any]:
    """Ask ``number`` times in all, ``at_once`` at a time: who has an answer asks again."""
    asked = _asked(port, path, headers, body, tokens)

    async def one(connection: _Connection) -> None:
        while asked.begun < number:
            await asked.once(connection)

    return _run(asked, lambda connections: asyncio.gather(*map(one, connections)), at_once)


def keep(
    port: int,
    path: str,
    headers: dict[str, str],
    body: Any,
    seconds: float,
    at_once: int,
    tokens: int | None = None,
) -> dict[str, Any]:
    """Keep ``at_once`` going for so long; what is under way then is waited for. They begin spread over a second."""
    asked = _asked(port, path, headers, body, tokens)

    async def asking(connections: list[_Connection]) -> None:
        until = time.perf_counter() + seconds

        async def one(connection: _Connection, late: float) -> None:
            await asyncio.sleep(late)
            while time.perf_counter() < until:
                await asked.once(connection)

        await asyncio.gather(*(one(each, index / at_once) for index, each in enumerate(connections)))

    return _run(asked, asking, at_once)


def due(
    port: int, path: str, headers: dict[str, str], body: Any, seconds: float, a_second: float, at_most: int = 64,
    tokens: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Ask at a fixed rate: a request counts from when it was due, so that one that is slow makes no other late unseen."""
    asked = _asked(port, path, headers, body, tokens)

    async def asking(connections: list[_Connection]) -> None:
        begun = time.perf_counter() + 0.1
        free: asyncio.Queue[_Connection] = asyncio.Queue()
        for connection in connections:
            free.put_nowait(connection)

        async def one(number: int) -> None:
            at = begun + number / a_second
            await asyncio.sleep(at - time.perf_counter())
            connection = await free.get()
            await asked.once(connection, at)
            free.put_nowait(connection)

        await asyncio.gather(*map(one, range(int(seconds * a_second))))

    return _run(asked, asking, at_most)


if __name__ == "__main__":
    serve({"ask": ask, "keep": keep, "due": due, "version": lambda: uvloop.__version__})
