"""The gateway's application: routes, keys, and relaying to engines on their Unix sockets. Needs aiohttp.

OpenAI: ``/v1/chat/completions``, ``/v1/completions``, ``/v1/models``. Open Inference Protocol V2: ``/v2/models/NAME``,
``/v2/models/NAME/infer``. Every route but ``/health`` asks for a key.
"""

import asyncio
import contextlib
import json
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Any
from urllib.parse import unquote

from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector, web

from snapml_lab import clock, ids
from snapml_lab.costs import requests
from snapml_lab.costs.prices import price
from snapml_lab.engines import base
from snapml_lab.errors import NotAllowedError, NotFoundError
from snapml_lab.gateway import openai
from snapml_lab.gateway.metering import Meter
from snapml_lab.governance import audit, keys
from snapml_lab.governance.keys import Key
from snapml_lab.governance.roles import Effect, may
from snapml_lab.jobs.events import Reporter
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Deployment
from snapml_lab.workspace import Workspace, open_workspace

_LONGEST_BODY = 16 << 20
_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 600.0
_MOST_AT_ONCE = 256
_LONGEST_ORIGIN = 500
_NOTEBOOK, _CELL, _REQUEST = "X-SnapML-Notebook", "X-SnapML-Cell", "X-SnapML-Request"

_KEY: ContextVar[Key] = ContextVar("key")
"""The key of the request being answered."""

_log = logging.getLogger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Serve on the loopback's ``spec["port"]`` until stopped; the job's payload."""
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(_serve(open_workspace(), int(spec["port"]), report, str(spec.get("host", "127.0.0.1"))))
    return {}


async def _serve(ws: Workspace, port: int, report: Reporter, host: str) -> None:
    runner = web.AppRunner(Gateway(ws).application(), shutdown_timeout=5, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/health") as answer:
        answer.raise_for_status()
    report.ready()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


class Gateway:
    """The gateway of one workspace."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self._sessions: dict[str, ClientSession] = {}
        self._writer = ThreadPoolExecutor(1, "ledger")

    def application(self) -> web.Application:
        """Return the application: an explicit list of routes behind the key."""
        made = web.Application(client_max_size=_LONGEST_BODY, middlewares=[self._guard])
        made.add_routes([
            web.get("/health", self._health),
            web.get("/v1/models", self._models),
            web.post("/v1/chat/completions", partial(self._complete, route="/v1/chat/completions")),
            web.post("/v1/completions", partial(self._complete, route="/v1/completions")),
            web.get("/v2/models/{name}", self._v2_describe),
            web.post("/v2/models/{name}/infer", self._v2_infer),
        ])  # fmt: skip
        made.on_cleanup.append(self._close)
        return made

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Ask for a key, and turn what goes wrong into OpenAI's form of error."""
        try:
            if request.path != "/health":
                scheme, _, text = request.headers.get("Authorization", "").partition(" ")
                key = keys.find(self.ws, text.strip()) if scheme.lower() == "bearer" else None
                if key is None:
                    return openai.error(
                        401,
                        "invalid_api_key",
                        "The API key is missing, unknown or revoked. Make one: snapml keys create NAME",
                    )
                _KEY.set(key)
                if request.method not in ("GET", "HEAD") and not may(key.role, Effect.EXECUTE):
                    return await self._refuse(request, key)
            return await handler(request)
        except web.HTTPException as error:
            return openai.error(error.status, "invalid_request", error.reason)
        except NotFoundError as error:
            return openai.error(404, "model_not_found", str(error), "model")
        except Exception:
            if request.writer is not None and request.writer.output_size:
                raise  # the answer has begun: nothing can be said in its place
            fault = ids.new()
            _log.exception("fault %s at %s", fault, request.path)
            return openai.error(500, "internal_error", f"A fault of the gateway; its log has it as {fault}.")

    async def _refuse(self, request: web.Request, key: Key) -> web.Response:
        """Answer a key that may not have a model work, in the form of the route, and have it in the audit."""
        message = f"The role {key.role} of this key may not ask a model, which needs {Effect.EXECUTE}."
        fix = "Ask for one with the role developer: snapml keys create NAME --role developer"
        await asyncio.get_running_loop().run_in_executor(self._writer, self._refused, key, request.path)
        if request.path.startswith("/v2/"):
            return _v2(403, json.dumps({"error": f"{message} {fix}"}).encode())
        return openai.error(403, "insufficient_permissions", f"{message} {fix}")

    def _refused(self, key: Key, path: str) -> None:
        try:
            audit.refused(
                self.ws, actor=f"key {key.name}", role=key.role, surface="gateway", command=path[:_LONGEST_ORIGIN],
                arguments={"key": key.id, "made by": key.actor}, code=NotAllowedError.code,
            )  # fmt: skip
        except Exception:
            _log.exception("a refusal of key %s could not be recorded", key.id)

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response(openai.models(deployments.every(self.ws)))

    async def _complete(self, request: web.Request, *, route: str) -> web.StreamResponse:
        """Relay a completion, streamed or not, and record it whatever happens."""
        body = await _json(request)
        if isinstance(body, web.Response):
            return body
        deployment = self._deployment(body.get("model"), "chat")
        try:
            asked = base.of(deployment.engine).translate(route, body, deployment.target)
        except base.UnsupportedError as error:
            return openai.error(400, "unsupported_parameter", str(error), error.param)
        meter = Meter(streamed=bool(body.get("stream")))
        try:
            if meter.streamed:
                options = body.get("stream_options")
                usage = isinstance(options, dict) and bool(options.get("include_usage"))
                return await self._stream(request, deployment, route, asked, meter, with_usage=usage)
            return await self._whole(deployment, route, asked, meter)
        except (ClientError, OSError, TimeoutError) as error:
            meter.fail(503)
            return openai.error(503, "engine_unavailable", _unavailable(deployment, error))
        except asyncio.CancelledError:
            meter.hang_up()
            raise
        finally:
            await self._record(request, deployment, route, meter)

    async def _whole(
        self, deployment: Deployment, route: str, body: dict[str, Any], meter: Meter
    ) -> web.Response:
        async with self._engine(deployment).post(
            f"http://engine{route}", json=body, allow_redirects=False
        ) as answer:
            content = await answer.read()
            if answer.status != 200:
                meter.fail(answer.status)
                return openai.from_engine(answer.status, content)
            try:
                reply = _object(content)
            except ValueError as error:
                meter.fail(502)
                return openai.error(502, "engine_error", f"{deployment.name}'s answer is not JSON: {error}")
            meter.usage(reply.get("usage"))
            meter.complete()
            return web.json_response({**reply, "model": deployment.name}, headers={_REQUEST: meter.id})

    async def _stream(
        self, request: web.Request, deployment: Deployment, route: str, body: dict[str, Any], meter: Meter, *, with_usage: bool
    ) -> web.StreamResponse:  # fmt: skip
        async with self._engine(deployment).post(
            f"http://engine{route}", json=body, allow_redirects=False
        ) as answer:
            if answer.status != 200:
                meter.fail(answer.status)
                return openai.from_engine(answer.status, await answer.read())
            response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", _REQUEST: meter.id}
            )
            await response.prepare(request)
            try:
                async for event in _events(answer.content.iter_any()):
                    if event.get("error"):
                        raise ClientError(openai.told(event))
                    if (chunk := meter.chunk(event, deployment.name)) is not None:
                        await _pass(response, chunk)
                if not meter.finished:
                    raise ClientError("the engine's stream ended early")
                meter.complete()
                if with_usage and (usage := meter.told()):
                    await _pass(response, usage)
                await response.write(b"data: [DONE]\n\n")
                await response.write_eof()
            except _CallerLeftError:
                meter.hang_up()
            except (ClientError, OSError, TimeoutError, ValueError) as error:
                meter.fail(200)
                said = str(error) or type(error).__name__
                with contextlib.suppress(_CallerLeftError):
                    await _pass(
                        response, openai.error_fields(502, "engine_failed", f"The answer broke off: {said}")
                    )
            return response

    async def _v2_describe(self, request: web.Request) -> web.Response:
        deployment = self._deployment(request.match_info["name"], "classic")
        try:
            async with self._engine(deployment).get(f"http://engine/v2/models/{deployment.name}") as answer:
                return _v2(answer.status, await answer.read())
        except (ClientError, OSError, TimeoutError) as error:
            return _v2(503, json.dumps({"error": _unavailable(deployment, error)}).encode())

    async def _v2_infer(self, request: web.Request) -> web.Response:
        """Relay an inference; its use is rows, its cost machine time."""
        deployment = self._deployment(request.match_info["name"], "classic")
        body = await request.read()
        meter = Meter(streamed=False)
        try:
            headers = {"Content-Type": "application/json"}
            url = f"http://engine/v2/models/{deployment.name}/infer"
            async with self._engine(deployment).post(
                url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                content = await answer.read()
                meter.complete() if answer.status == 200 else meter.fail(answer.status)
                return _v2(answer.status, content)
        except (ClientError, OSError, TimeoutError) as error:
            meter.fail(503)
            return _v2(503, json.dumps({"error": _unavailable(deployment, error)}).encode())
        except asyncio.CancelledError:
            meter.hang_up()
            raise
        finally:
            await self._record(request, deployment, "/v2/infer", meter)

    def _deployment(self, name: Any, kind: str) -> Deployment:
        if not isinstance(name, str):
            raise NotFoundError("The request names no model.", fix="Give model: the name of a deployment.")
        found = deployments.get(self.ws, name)
        if (found.task == "chat") != (kind == "chat"):
            raise NotFoundError(
                f"{name} is a {found.task} model.",
                fix="Chat models answer under /v1, classic ones under /v2.",
            )
        return found

    def _engine(self, deployment: Deployment) -> ClientSession:
        """Return the session to an engine's socket; one connection pool a deployment."""
        session = self._sessions.get(deployment.name)
        if session is None or session.closed:
            path = str(deployments.socket_path(self.ws, deployment.name))
            timeout = ClientTimeout(total=_ANSWER_SECONDS, sock_connect=_CONNECT_SECONDS)
            # A connection for each request: one kept alive may be closed by the engine just as it is used again.
            connector = UnixConnector(path, limit=_MOST_AT_ONCE, force_close=True)
            session = ClientSession(connector=connector, timeout=timeout)
            self._sessions[deployment.name] = session
        return session

    async def _record(self, request: web.Request, deployment: Deployment, route: str, meter: Meter) -> None:
        """Write the request's row, whatever becomes of the caller; a fault here does not take the answer away.

        A thread of its own does it: where another process holds the ledger, other callers are not kept waiting.
        """
        seconds = time.monotonic() - meter.begun
        known: dict[str, Any] = {
            "api_key": _KEY.get().id, "notebook": _header(request, _NOTEBOOK), "cell_id": _header(request, _CELL),
            "at": clock.now() - seconds, "route": route, "duration_ms": seconds * 1000,
        }  # fmt: skip
        writing = asyncio.get_running_loop().run_in_executor(
            self._writer, self._written, deployment, meter, seconds, known
        )
        await asyncio.shield(writing)

    def _written(self, deployment: Deployment, meter: Meter, seconds: float, known: dict[str, Any]) -> None:
        try:
            self._write(deployment, meter, seconds, known)
        except Exception:
            _log.exception("request %s could not be recorded", meter.id)

    def _write(self, deployment: Deployment, meter: Meter, seconds: float, known: dict[str, Any]) -> None:
        priced = price(
            self.ws, deployment.name, input_tokens=meter.input_tokens, output_tokens=meter.output_tokens,
            seconds=seconds, local=True,
        )  # fmt: skip
        row = requests.Request(
            id=meter.id, deployment=deployment.name, model=deployment.model, streamed=int(meter.streamed),
            status=meter.status, ended=meter.ended, input_tokens=meter.input_tokens, cached_tokens=meter.cached_tokens,
            output_tokens=meter.output_tokens, usage=meter.source, first_token_ms=meter.first_token_ms,
            cost_pico=priced.pico, price=priced.source, **known,
        )  # fmt: skip
        requests.add(self.ws.ledger, row)

    async def _close(self, _: web.Application) -> None:
        for session in self._sessions.values():
            await session.close()
        await asyncio.to_thread(self._writer.shutdown)


class _CallerLeftError(Exception):
    """The caller's connection is gone."""


async def _pass(response: web.StreamResponse, fields: dict[str, Any]) -> None:
    """Send an event to the caller."""
    try:
        await response.write(b"data: " + json.dumps(fields).encode() + b"\n\n")
    except OSError as error:
        raise _CallerLeftError from error


def _unavailable(deployment: Deployment, error: Exception) -> str:
    return (
        f"{deployment.name} does not answer at the moment ({type(error).__name__}); it is being started again."
        " Try once more shortly."
    )


def _v2(status: int, content: bytes) -> web.Response:
    return web.Response(status=status, body=content, content_type="application/json")


def _header(request: web.Request, name: str) -> str | None:
    """Read one of our own headers, percent-encoded because a notebook's name may hold any character."""
    value = request.headers.get(name)
    return None if value is None else unquote(value)[:_LONGEST_ORIGIN]


async def _json(request: web.Request) -> Any:
    try:
        body = await request.json()
    except (ValueError, LookupError, RecursionError) as error:
        return openai.error(400, "invalid_json", f"The body is not JSON: {error}")
    if not isinstance(body, dict):
        return openai.error(400, "invalid_request", "The body is not an object.")
    return body


async def _events(pieces: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Read server-sent events: the JSON of each ``data:`` line, ``[DONE]`` left out."""
    held = b""
    async for piece in pieces:
        held += piece
        *lines, held = held.split(b"\n")
        for line in lines:
            data = line.strip().removeprefix(b"data:").strip()
            if line.startswith(b"data:") and data != b"[DONE]":
                yield _object(data)


def _object(content: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError(f"{str(found)[:80]} is no object")  # noqa: TRY004 - it is what came that is wrong
    return found
