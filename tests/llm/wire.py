"""A gateway over real sockets with an engine that follows a script, for shapes and faults no real engine shows on demand."""

import asyncio
import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from snapml_lab.costs import prices, requests
from snapml_lab.gateway.app import Gateway
from snapml_lab.governance import keys
from snapml_lab.registry import deployments
from snapml_lab.workspace import Workspace

from .home import until

NAME = "fake"
HANG, CLOSE, ABORT = "hang", "close", "abort"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"

Step = bytes | str | threading.Event


def chunked(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def event(fields: Any) -> bytes:
    """One event of a stream, as a piece of a chunked body."""
    return chunked(b"data: " + json.dumps(fields).encode() + b"\n\n")


DONE = chunked(b"data: [DONE]\n\n")


def delta(text: str | None = None, *, finish: str | None = None, usage: Any = None) -> dict[str, Any]:
    """A chunk as engines send it."""
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    chunk = {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "inner",
        "choices": [choice],
    }
    return {**chunk, "usage": usage} if usage else chunk


def used(given: int, said: int, cached: int | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"prompt_tokens": given, "completion_tokens": said, "total_tokens": given + said}
    return told if cached is None else {**told, "prompt_tokens_details": {"cached_tokens": cached}}


def whole(fields: Any, status: int = 200) -> list[Step]:
    """The script of an answer in one piece."""
    content = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return [head.encode() + content]


def completion(text: str, usage: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {
        "id": "x", "object": "chat.completion", "created": 1, "model": "inner", "choices": [choice],
        **({"usage": usage} if usage else {}),
    }  # fmt: skip


class Wire:
    """The gateway in a thread, and an engine that answers by :attr:`script`."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.script: Sequence[Step] = ()
        self.asked: list[dict[str, Any]] = []
        self.open = 0
        self.engine_path = deployments.socket_path(ws, NAME)
        deployments.declare(ws, deployments.single(NAME, "fake@1", "transformers", "chat", "inner"))
        prices.set_tokens(ws, NAME, {"input": Decimal(3), "output": Decimal(15)})
        _, self.key = keys.create(ws, "wire")
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._runner: web.AppRunner | None = None
        self._engine: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self.call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, coroutine: "Coroutine[Any, Any, Any]") -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    async def _start(self) -> None:
        self.gateway = Gateway(self.ws)
        self._runner = web.AppRunner(
            self.gateway.application(), shutdown_timeout=0.2, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        await self.raise_engine()

    def callers(self) -> int:
        """Return how many are connected to the gateway, as far as it has seen."""
        assert self._runner is not None
        assert self._runner.server is not None
        return sum(caller.transport is not None for caller in self._runner.server.connections)

    async def raise_engine(self) -> None:
        self.engine_path.unlink(missing_ok=True)
        self._engine = await asyncio.start_unix_server(self._serve, str(self.engine_path))

    async def lay_engine_down(self) -> None:
        assert self._engine is not None
        self._engine.close()
        self.engine_path.unlink(missing_ok=True)

    async def end_gateway(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        await self.lay_engine_down()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(sizes[0].partition(b":")[2])) if sizes else b""
            self.asked.append(
                {"line": head.partition(b"\r\n")[0].decode(), "body": json.loads(body or b"null")}
            )
            for step in self.script:
                await self._do(step, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, EOFError):
            pass
        finally:
            self.open -= 1
            with contextlib.suppress(ConnectionError):
                writer.close()

    @staticmethod
    async def _do(step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif isinstance(step, threading.Event):
            await asyncio.to_thread(step.wait, 60)
        elif step == HANG:
            await reader.read()  # until the gateway lets go
        else:
            writer.transport.abort() if step == ABORT else writer.close()
            raise ConnectionAbortedError

    # What a caller does.

    def begin(self, body: dict[str, Any], path: str = "/v1/chat/completions") -> http.client.HTTPResponse:
        """Ask, and return the answer once its head is there; closing it hangs up."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        asked = {"model": NAME, "messages": [{"role": "user", "content": "hello"}], **body}
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(asked), headers)
        response = connection.getresponse()
        response.hang_up = lambda: (response.close(), connection.close())  # type: ignore[attr-defined]
        return response

    def ask(self, script: Sequence[Step], **body: Any) -> tuple[int, Any]:
        """Ask for an answer in one piece; return its status and content."""
        self.script = script
        response = self.begin(body)
        content = json.loads(response.read())
        response.hang_up()  # type: ignore[attr-defined]
        return response.status, content

    def stream(self, script: Sequence[Step], **body: Any) -> list[Any]:
        """Ask for a stream; return the content of its events, ``[DONE]`` as text."""
        self.script = script
        response = self.begin({"stream": True, **body})
        assert response.status == 200, response.read()
        found = list(events(response))
        response.hang_up()  # type: ignore[attr-defined]
        return found

    def one_row(self, number: int = 1) -> requests.Request:
        """Return the newest request once there are ``number``; there must not be more."""
        rows = until(lambda: (found := self.rows()) and len(found) >= number and found, what="the row")
        until(lambda: self.open == 0, what="the engine's connections to be closed")
        assert len(self.rows()) == number
        row: requests.Request = rows[-1]
        return row

    def rows(self) -> list[requests.Request]:
        found = requests.latest(self.ws.ledger, 5000)[::-1]
        return [row for row in found if row.state == "settled"]


def events(response: http.client.HTTPResponse) -> Iterator[Any]:
    """Read events as they come."""
    while line := response.readline():
        if line.startswith(b"data:"):
            data = line.removeprefix(b"data:").strip()
            yield "[DONE]" if data == b"[DONE]" else json.loads(data)


def wired(folder: Path) -> Wire:
    return Wire(Workspace(folder / ".snapml"))


Look = Callable[[], Any]
