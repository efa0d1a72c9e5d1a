"""The gateway's application: an explicit list of routes, each behind a key. Needs aiohttp.

OpenAI: ``/v1/chat/completions``, ``/v1/completions``, ``/v1/embeddings``, ``/v1/models``. Open Inference Protocol V2:
``/v2/models/NAME``, its ``/ready`` and ``/infer``, each also with ``/versions/V``. ``/metrics`` is for Prometheus. Only
``/health`` asks for no key.
"""

import asyncio
import contextlib
import contextvars
import errno
import logging
import signal
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

from aiohttp import ClientSession, web

from snapml_lab import clock, errors, ids
from snapml_lab.engines import idle
from snapml_lab.errors import InvalidInputError, NotAllowedError, NotFoundError, SnapmlError, StorageError
from snapml_lab.gateway import inference, openai, priority
from snapml_lab.gateway.books import Books
from snapml_lab.gateway.completions import Completions
from snapml_lab.gateway.exchange import Desk, limited
from snapml_lab.gateway.inference import Inference
from snapml_lab.gateway.judging import Judged, Judges
from snapml_lab.gateway.known import Known
from snapml_lab.gateway.limits import LimitedError
from snapml_lab.gateway.prometheus import CONTENT_TYPE
from snapml_lab.gateway.shadow import Shadows
from snapml_lab.gateway.stalls import Stalls
from snapml_lab.gateway.upstream import Upstream
from snapml_lab.governance import audit
from snapml_lab.governance.keys import Key
from snapml_lab.governance.roles import Effect, may
from snapml_lab.guardrails import capture
from snapml_lab.jobs.events import Reporter
from snapml_lab.jobs.queue import payload_folder
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Deployment
from snapml_lab.store.files import replace_json
from snapml_lab.workspace import Workspace, open_workspace

_LONGEST_BODY = 16 << 20
_LONGEST_ORIGIN = 500
_NOTE_SECONDS = 1.0
_IDLE_SECONDS = 5.0
_SWEEP_SECONDS = 3600.0
_USED_SECONDS = 60.0
"""When a key was last used is known to the minute."""

_KEY: ContextVar[Key] = ContextVar("key")
"""The key of the request being answered."""

_JUDGED: ContextVar[Judged | None] = ContextVar("judged", default=None)
"""What a judge's request being answered judges."""

_log = logging.getLogger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Serve on ``spec["port"]`` of the loopback, or of ``spec["host"]``, until stopped; the job's payload.

    With ``spec["or_other"]`` a free port is taken where that one is not: two gateways that start at once had found the
    same one free. The spec names it before the service is ready, and so it stays over restarts.
    """
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    priority.rise()
    asyncio.run(_serve(open_workspace(), spec, report))
    return {}


async def _serve(ws: Workspace, spec: dict[str, Any], report: Reporter) -> None:
    host = str(spec.get("host", "127.0.0.1"))
    runner = web.AppRunner(
        Gateway(ws).application(), shutdown_timeout=5, handler_cancellation=True, access_log=None
    )
    await runner.setup()
    port = await _listen(runner, host, int(spec["port"]), or_other=bool(spec.get("or_other")))
    if spec.get("or_other"):
        replace_json(payload_folder().spec, {"port": port, "host": host})
    at = f"[{host}]" if ":" in host else host
    async with ClientSession() as session, session.get(f"http://{at}:{port}/health") as answer:
        answer.raise_for_status()
    report.ready()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    going_first = asyncio.create_task(priority.keep())
    await stop.wait()
    going_first.cancel()
    await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, *, or_other: bool) -> int:
    """Listen, and return the port it is."""
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not or_other:
            raise
        await web.TCPSite(runner, host, 0, backlog=1024).start()
    return int(runner.addresses[0][1])


class Gateway:
    """The gateway of one workspace."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        books, judges = Books(ws), Judges()
        known = Known(ws, judges.ask, books.changes)
        self.desk = Desk(ws, known, books, Upstream(ws, known), judges=judges)
        self.shadows = Shadows(self.desk)
        self.completions = Completions(self.desk, self.shadows)
        self.inference = Inference(self.desk, self.shadows)
        self.stalls = Stalls(self.desk)
        self._tasks: list[asyncio.Task[None]] = []
        self._used_at: dict[str, float] = {}

    def application(self) -> web.Application:
        """Return the application: an explicit list of routes behind the key."""
        made = web.Application(client_max_size=_LONGEST_BODY, middlewares=[self._guard])
        infer, describe, ready = (
            partial(self._v2, answer=answer)
            for answer in (self.inference.infer, self.inference.describe, self.inference.ready)
        )
        made.add_routes([
            web.get("/health", self._health),
            web.get("/metrics", self._metrics),
            web.get("/v1/models", self._models),
            web.get("/v1/models/{name}", self._model),
            *(web.post(route, partial(self._complete, route=route)) for route in _COMPLETIONS),
            web.get("/v2", self._v2_server),
            web.get("/v2/health/live", self._v2_live),
            web.get("/v2/health/ready", self._v2_live),
        ])  # fmt: skip
        for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            made.add_routes(
                [web.get(path, describe), web.get(f"{path}/ready", ready), web.post(f"{path}/infer", infer)]
            )
        made.on_startup.append(self._open)
        made.on_cleanup.append(self._close)
        return made

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Ask for a key, and turn what goes wrong into OpenAI's form of error."""
        try:
            if request.path != "/health":
                self.desk.known.look()
                scheme, _, text = request.headers.get("Authorization", "").partition(" ")
                now = clock.now()
                key = self.desk.known.key(text.strip(), now) if scheme.lower() == "bearer" else None
                if key is None and (judged := self.desk.judges.asks(text)) is not None:
                    _KEY.set(judged.key)
                    _JUDGED.set(judged)
                    return await handler(request)
                if key is None:
                    self.desk.gauges.refused.labels("invalid_api_key").inc()
                    return _said(
                        request, 401, "invalid_api_key",
                        "The API key is missing, unknown, revoked or expired. Make one: snapml keys create NAME",
                    )  # fmt: skip
                _KEY.set(key)
                if request.method not in ("GET", "HEAD") and not may(key.role, Effect.EXECUTE):
                    return await self._refuse(
                        request, key, f"The role {key.role} of this key may not ask a model, which needs {Effect.EXECUTE}.",
                        "Ask for one with the role developer: snapml keys create NAME --role developer",
                    )  # fmt: skip
                if not key.opens(None, request.path):
                    return await self._out_of_scope(request, key, request.path)
                if now - self._used_at.get(key.id, 0.0) > _USED_SECONDS:
                    self._used_at[key.id] = now
                    self.desk.books.used(key.id, now)
            return await handler(request)
        except Exception as error:
            if request.writer is not None and request.writer.output_size:
                raise  # the answer has begun: nothing can be said in its place
            return self._fault(request, error)

    def _fault(self, request: web.Request, error: Exception) -> web.Response:
        """Say what went wrong, in the form of the route."""
        match error:
            case web.HTTPException():
                return _said(request, error.status, "invalid_request", error.reason)
            case web.RequestPayloadError():
                return _said(request, 400, "invalid_request", "The body could not be read to its end.")
            case LimitedError():
                self.desk.gauges.refused.labels(error.code).inc()
                return _said(request, 429, error.code, f"{error.message} {error.fix}", wait=error.wait)
            case NotFoundError():
                return _said(request, 404, "model_not_found", str(error), "model")
            case StorageError() | InvalidInputError() | errors.BlockedError() | errors.ConflictError():
                status = 507 if isinstance(error, StorageError) else 503
                _log.warning("%s: %s", request.path, error)
                return _said(request, status, error.code, str(error))
            case _:
                fault = ids.new()
                _log.error("fault %s at %s", fault, request.path, exc_info=error)
                return _said(
                    request, 500, "internal_error", f"A fault of the gateway; its log has it as {fault}."
                )

    async def _refuse(self, request: web.Request, key: Key, message: str, fix: str) -> web.Response:
        """Answer a key that may not do this, in the form of the route, and have it in the audit."""
        self.desk.gauges.refused.labels("insufficient_permissions").inc()
        await asyncio.to_thread(self._refused, key, request.path)
        return _said(request, 403, "insufficient_permissions", f"{message} {fix}")

    async def _out_of_scope(self, request: web.Request, key: Key, what: str) -> web.Response:
        return await self._refuse(
            request, key, f"The key {key.name} is not for {what}.",
            "Use one that is, or make one: snapml keys create NAME --models … --routes …",
        )  # fmt: skip

    def _refused(self, key: Key, path: str) -> None:
        try:
            audit.refused(
                self.ws, actor=f"key {key.name}", role=key.role, surface="gateway", command=path[:_LONGEST_ORIGIN],
                arguments={"key": key.id, "made by": key.actor}, code=NotAllowedError.code,
            )  # fmt: skip
        except Exception:
            _log.exception("a refusal of key %s could not be recorded", key.id)
        finally:
            self.ws.ledger.close()

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _metrics(self, _: web.Request) -> web.Response:
        open_now: dict[str, int] = {}
        for exchange in self.desk.under_way.values():
            open_now[exchange.deployment.name] = open_now.get(exchange.deployment.name, 0) + 1
        self.desk.gauges.open.clear()
        for name, number in open_now.items():
            self.desk.gauges.open.labels(name).set(number)
        return web.Response(body=self.desk.gauges.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _models(self, _: web.Request) -> web.Response:
        key = _KEY.get()
        return web.json_response(
            openai.models(item for item in deployments.every(self.ws) if key.opens(item.name, "/v1/models"))
        )

    async def _model(self, request: web.Request) -> web.Response:
        found = self.desk.known.deployment(request.match_info["name"])
        if not _KEY.get().opens(found.name, "/v1/models"):
            return await self._out_of_scope(request, _KEY.get(), f"the model {found.name}")
        return web.json_response(openai.models([found])["data"][0])

    async def _complete(self, request: web.Request, *, route: str) -> web.StreamResponse:
        """Answer a completion."""
        content = await request.read()
        try:
            body = openai.an_object(content)
        except ValueError as error:
            return openai.error(400, "invalid_json", f"The body is not a JSON object: {error}")
        deployment = self._deployment(body.get("model"), "chat")
        key = _KEY.get()
        if (judged := _JUDGED.get()) is not None:
            return await self.completions.answer(
                request, key, deployment, route, body, len(content), judges=judged.id
            )
        if not key.opens(deployment.name, route):
            return await self._out_of_scope(request, key, f"the model {deployment.name}")
        self._enter(request, key, deployment, route)
        return await self.completions.answer(request, key, deployment, route, body, len(content))

    async def _v2(
        self, request: web.Request, *, answer: Callable[[web.Request, Key, Deployment], Awaitable[web.Response]]
    ) -> web.StreamResponse:  # fmt: skip
        deployment = self._deployment(request.match_info["name"], "classic")
        key = _KEY.get()
        if not key.opens(deployment.name, request.path):
            return await self._out_of_scope(request, key, f"the model {deployment.name}")
        version = request.match_info.get("version")
        if version is not None and version not in _versions(deployment):
            raise NotFoundError(
                f"{deployment.name} has no version {version!r}.", fix=f"It serves {deployment.model}."
            )
        if request.method == "POST":
            self._enter(request, key, deployment, inference.ROUTE)
        return await answer(request, key, deployment)

    def _enter(self, request: web.Request, key: Key, deployment: Deployment, route: str) -> None:
        """Let a request in as far as the limits do; one that they keep out is told to a collector, where there is one.

        Raises:
            LimitedError: a limit is reached for now.
        """
        try:
            self.desk.limits.enter(key)
        except LimitedError:
            limited(self.desk, request, key, deployment, route)
            raise

    async def _v2_server(self, _: web.Request) -> web.Response:
        return web.json_response({"name": "snapml", "version": "2", "extensions": []})

    async def _v2_live(self, _: web.Request) -> web.Response:
        return web.json_response({"live": True, "ready": True})

    def _deployment(self, name: Any, kind: str) -> Deployment:
        if not isinstance(name, str):
            raise NotFoundError("The request names no model.", fix="Give model: the name of a deployment.")
        found = self.desk.known.deployment(name)
        if (found.task == "chat") != (kind == "chat"):
            raise NotFoundError(
                f"{name} is a {found.task} model.",
                fix="Chat models answer under /v1, classic ones under /v2.",
            )
        return found

    async def _open(self, _: web.Application) -> None:
        self.desk.books.start()
        self.desk.telemetry.look()
        loop = asyncio.get_running_loop()
        for work in (self._note, self._idle, self._sweep, self.stalls.watch):
            # Not in the request's context, whose key they would keep.
            self._tasks.append(loop.create_task(work(), context=contextvars.Context()))

    async def _close(self, _: web.Application) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.shadows.close()
        await self.desk.upstream.close()
        self.desk.judges.close()
        await self.desk.books.close()
        await asyncio.to_thread(self.desk.telemetry.close)

    async def _note(self) -> None:
        """Note each second how far open requests are."""
        while True:
            await asyncio.sleep(_NOTE_SECONDS)
            self.desk.telemetry.look()
            now = [item.so_far() for item in list(self.desk.under_way.values())]
            if found := [item for item in now if item[1] >= _NOTE_SECONDS * 1000]:
                self.desk.books.note(found)

    async def _idle(self) -> None:
        """Stop the engines that nobody asks."""
        while True:
            await asyncio.sleep(_IDLE_SECONDS)
            await self._quietly(partial(idle.stop_idle, self.ws, clock.now(), dict(self.desk.asked_at)))

    async def _sweep(self) -> None:
        """Remove what was captured and is past its days."""
        while True:
            await self._quietly(lambda: capture.sweep(self.ws, clock.now()))
            await asyncio.sleep(_SWEEP_SECONDS)

    async def _quietly(self, work: Callable[[], object]) -> None:
        def done() -> None:
            try:
                work()
            finally:
                self.ws.ledger.close()

        try:
            await asyncio.to_thread(done)
        except SnapmlError as error:
            _log.warning("%s", error)
        except Exception:
            _log.exception("work beside requests")


_COMPLETIONS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")


def _said(
    request: web.Request, status: int, code: str, message: str, param: str | None = None, wait: float | None = None
) -> web.Response:  # fmt: skip
    """Answer with an error in the form of the route: V2's, or OpenAI's."""
    if request.path == "/v2" or request.path.startswith("/v2/"):
        return inference.failed(status, message)
    return openai.error(status, code, message, param, wait)


def _versions(deployment: Deployment) -> set[str]:
    """Return what a deployment's versions may be called: the model's number, or the target's id."""
    return {deployment.target.id, deployment.model.rpartition("@")[2]}
