"""OpenAI's routes: chats, completions and embeddings, whole or streamed, through limits, guardrails, memory, budgets and fallbacks."""

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import ClientError, ClientResponse, web

from snapml_lab.costs import usage
from snapml_lab.costs.usage import Usage
from snapml_lab.engines import base
from snapml_lab.errors import BlockedError, SnapmlError
from snapml_lab.gateway import cache, openai
from snapml_lab.gateway.books import OverBudgetError
from snapml_lab.gateway.exchange import REQUEST, Choice, Desk, Exchange, as_json, ask, estimate
from snapml_lab.gateway.judging import Judged
from snapml_lab.gateway.metering import choices_of
from snapml_lab.gateway.screen import Screen
from snapml_lab.gateway.shadow import Shadows
from snapml_lab.governance.keys import Key
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.tracking.record import Origin

_ANOTHER = frozenset({404, 408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Answers after which a fallback is asked: nothing was generated, so nothing is billed twice."""

_FAILED = (ClientError, OSError, TimeoutError)


class Completions:
    """OpenAI's routes of one gateway."""

    def __init__(self, desk: Desk, shadows: Shadows) -> None:
        self.desk, self.shadows = desk, shadows

    async def answer(
        self, request: web.Request, key: Key, deployment: Deployment, route: str, body: dict[str, Any], size: int,
        judges: str | None = None,
    ) -> web.StreamResponse:  # fmt: skip
        """Answer a request of a key that was let in; ``size`` is the bytes of its body, ``judges`` whom it is asked about."""
        streamed = bool(body.get("stream"))
        exchange = Exchange(self.desk, request, key, deployment, route, streamed=streamed, judges=judges)
        exchange.meter.estimate = estimate(size)
        try:
            return await self._answer(request, exchange, route, body)
        except asyncio.CancelledError:
            exchange.meter.hang_up()
            raise
        except base.UnsupportedError as error:
            return openai.error(400, "unsupported_parameter", str(error), error.param)
        finally:
            exchange.settle()
            if judges is None:
                self.desk.limits.leave(key, exchange.tokens())

    async def _answer(
        self, request: web.Request, exchange: Exchange, route: str, body: dict[str, Any]
    ) -> web.StreamResponse:
        if exchange.deployment.guardrails is not None:
            screened = await self._screened(request, exchange, body)
            if isinstance(screened, web.Response):
                return screened
            body = screened
        remembered = self._remembered(exchange, route, body)
        if remembered is not None and (answer := self.desk.answers.get(remembered)) is not None:
            return await self._again(request, exchange, body, answer)
        choices = exchange.choices()
        asked = [base.of(item.target.engine).translate(route, body, item.target) for item in choices[:1]]
        try:
            await exchange.open(choices, lambda target: _bound(body, target))
        except OverBudgetError as error:
            exchange.refuse(402, "over a budget: nothing was sent")
            return openai.error(402, error.code, f"{error.message} {error.fix}")
        self._shadow(request, exchange, route, body)
        return await self._sent(request, exchange, route, body, choices, asked[0], remembered)

    async def _screened(
        self, request: web.Request, exchange: Exchange, body: dict[str, Any]
    ) -> dict[str, Any] | web.Response:
        """Pass a request by its deployment's policy. What goes wrong here lets nothing pass."""
        assert exchange.deployment.guardrails is not None
        guard = self.desk.known.guard(exchange.deployment.guardrails, judges=exchange.judges is None)
        screen = exchange.screen = Screen(guard, self.desk.judges, _judged(request, exchange))
        if (field := screen.refuses(body)) is not None:
            exchange.screen = None
            return openai.error(
                400, "unsupported_parameter",
                f"{field} is not given with guardrails on the answer: it would hold what they take out. Leave it out.", field,
            )  # fmt: skip
        try:
            return await screen.request(body)
        except BlockedError as error:
            exchange.refuse(error.status, "blocked by guardrails: nothing was sent")
            return openai.error(error.status, error.code, f"{error.message} {error.fix}")

    async def _sent(
        self, request: web.Request, exchange: Exchange, route: str, body: dict[str, Any], choices: list[Choice],
        asked: dict[str, Any], remembered: bytes | None,
    ) -> web.StreamResponse:  # fmt: skip
        """Ask one after the other until one answers; only where nothing was passed on is another asked."""
        refusal: web.Response | None = None
        for index, choice in enumerate(choices):
            last = index == len(choices) - 1
            try:
                if index:
                    asked = base.of(choice.target.engine).translate(route, body, choice.target)
                answer = await ask(exchange, choice, route, as_json(asked))
            except _FAILED as error:
                exchange.meter.fail(503) if last else None
                refusal = openai.error(503, "engine_unavailable", _unavailable(exchange.deployment, error))
                continue
            except SnapmlError as error:
                exchange.meter.fail(503) if last else None
                refusal = openai.error(503, "engine_unavailable", f"{error.message} {error.fix}")
                continue
            try:
                if answer.status != 200:
                    refusal = await self._refused(exchange, answer)
                    if last or answer.status not in _ANOTHER:
                        exchange.meter.fail(answer.status)
                        return refusal
                    continue
                if exchange.meter.streamed:
                    return await self._stream(request, exchange, body, answer, remembered)
                return await self._whole(exchange, body, answer, remembered)
            finally:
                answer.release()
                exchange.send_ends()
        assert refusal is not None
        return refusal

    async def _refused(self, exchange: Exchange, answer: ClientResponse) -> web.Response:
        try:
            return openai.from_engine(answer.status, await answer.content.read(1 << 20))
        except _FAILED as error:
            return openai.error(503, "engine_unavailable", _unavailable(exchange.deployment, error))

    async def _whole(
        self, exchange: Exchange, body: dict[str, Any], answer: ClientResponse, remembered: bytes | None
    ) -> web.Response:
        meter, name = exchange.meter, exchange.deployment.name
        try:
            content = await answer.read()
        except _FAILED as error:
            meter.fail(503)
            return openai.error(503, "engine_unavailable", _unavailable(exchange.deployment, error))
        try:
            reply = openai.an_object(content)
        except ValueError as error:
            meter.fail(502)
            return openai.error(502, "engine_error", f"{name}'s answer is not JSON: {error}")
        meter.read(reply)
        if exchange.screen is not None:
            try:
                reply = await exchange.screen.answer(reply)
            except BlockedError as error:
                meter.fail(error.status)
                return openai.error(error.status, error.code, f"{error.message} {error.fix}")
        reply["model"] = name
        meter.complete()
        self._kept(exchange, body, reply, remembered)
        return web.Response(
            body=as_json(reply), content_type="application/json", headers={REQUEST: meter.id}
        )  # fmt: skip

    async def _stream(
        self, request: web.Request, exchange: Exchange, body: dict[str, Any], answer: ClientResponse, remembered: bytes | None
    ) -> web.StreamResponse:  # fmt: skip
        meter = exchange.meter
        response = await _begun(request, meter.id)
        options = body.get("stream_options")
        with_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        keeps = remembered is not None or self.desk.known.capturer(exchange.deployment.name) is not None
        told: list[dict[str, Any]] | None = [] if keeps else None
        try:
            async with asyncio.timeout(max(exchange.left(), 0.01)):
                await self._relayed(exchange, response, answer, told)
            if not meter.finished:
                raise ClientError("the engine's stream ended early")
            meter.complete()
            if with_usage and (usage_chunk := meter.usage_chunk()):
                await _pass(response, usage_chunk)
            await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
            if told is not None:
                self._kept(exchange, body, _assembled(told, meter.told), remembered)
        except CallerLeftError:
            meter.hang_up()
        except BlockedError as error:
            meter.fail(error.status)
            await _break(response, error.status, error.code, f"{error.message} {error.fix}")
        except (*_FAILED, ValueError, SnapmlError) as error:
            meter.fail(200)
            said = str(error) or type(error).__name__
            await _break(response, 502, "engine_failed", f"The answer broke off: {said}")
        finally:
            if not meter.finished:
                answer.close()  # the engine must not write on for nobody
        return response

    async def _relayed(
        self, exchange: Exchange, response: web.StreamResponse, answer: ClientResponse, told: list[dict[str, Any]] | None
    ) -> None:  # fmt: skip
        """Pass a stream on, as the guardrails let it; what was passed is added to ``told``."""
        meter, name, screen = exchange.meter, exchange.deployment.name, exchange.screen
        async for event in openai.events(answer.content.iter_any()):
            if event.get("error"):
                raise ClientError(openai.told(event))
            chunk = meter.chunk(event, name)
            if chunk is not None and screen is not None:
                chunk = await screen.chunk(chunk)
            if chunk is not None:
                if told is not None:
                    told.append(chunk)
                await _pass(response, chunk)

    def _remembered(self, exchange: Exchange, route: str, body: dict[str, Any]) -> bytes | None:
        """Return what the very same request is remembered by; None where answers of this deployment are not."""
        deployment = exchange.deployment
        if not deployment.cache_seconds or body.get("n", 1) not in (1, None) or body.get("store"):
            return None
        policy = None if exchange.screen is None else exchange.screen.guard.policy
        models = [(target.id, target.model, target.source, target.share) for target in deployment.targets]
        return cache.key_of(body, deployment.name, models, route, repr(policy))

    async def _again(
        self, request: web.Request, exchange: Exchange, body: dict[str, Any], answer: dict[str, Any]
    ) -> web.StreamResponse:
        """Answer with what was answered before: it costs nothing."""
        exchange.answered_before()
        headers = {REQUEST: exchange.meter.id, "X-SnapML-Cache": "hit"}
        if not exchange.meter.streamed:
            return web.json_response(answer, headers=headers)
        response = await _begun(request, exchange.meter.id, **{"X-SnapML-Cache": "hit"})
        usage_told = answer.pop("usage", None)
        head = {
            **answer,
            "object": "chat.completion.chunk" if "chat" in exchange.route else "text_completion",
        }
        choices = []
        for choice in choices_of(answer):
            message = choice.pop("message", None)
            choices.append({**choice, **({"delta": message} if message is not None else {})})
        with contextlib.suppress(CallerLeftError, OSError):
            await _pass(response, {**head, "choices": choices})
            options = body.get("stream_options")
            if usage_told and isinstance(options, dict) and options.get("include_usage"):
                await _pass(response, {**head, "choices": [], "usage": usage_told})
            await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
        return response

    def _kept(
        self, exchange: Exchange, body: dict[str, Any], reply: dict[str, Any] | None, remembered: bytes | None
    ) -> None:
        """Remember an answer, and capture it, where that is asked for."""
        if reply is None:
            return
        deployment, meter = exchange.deployment, exchange.meter
        if remembered is not None and deployment.cache_seconds:
            self.desk.answers.put(remembered, reply, deployment.cache_seconds)
        if (capturer := self.desk.known.capturer(deployment.name)) is not None:
            copied = json.loads(as_json(reply))
            self.desk.books.soon(lambda: capturer.record(meter.id, exchange.at, body, copied))

    def _shadow(self, request: web.Request, exchange: Exchange, route: str, body: dict[str, Any]) -> None:
        if any(target.shadow for target in exchange.deployment.targets):
            copied = {name: value for name, value in body.items() if name != "stream_options"} | {
                "stream": False
            }
            self.shadows.send(
                request, exchange, route, bound=lambda target: _bound(copied, target),
                asked=lambda target: as_json(base.of(target.engine).translate(route, copied, target)),
                read=lambda meter, said: meter.read(openai.an_object(said)),
            )  # fmt: skip


class CallerLeftError(Exception):
    """The caller's connection is gone."""


async def _begun(request: web.Request, identifier: str, **headers: str) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            REQUEST: identifier,
            **headers,
        }
    )
    await response.prepare(request)
    return response


async def _pass(response: web.StreamResponse, fields: dict[str, Any]) -> None:
    """Send an event to the caller."""
    try:
        await response.write(b"data: " + as_json(fields) + b"\n\n")
    except OSError as error:
        raise CallerLeftError from error


async def _break(response: web.StreamResponse, status: int, code: str, message: str) -> None:
    """Say in a stream why nothing more comes."""
    with contextlib.suppress(CallerLeftError):
        await _pass(response, openai.error_fields(status, code, message))


def _judged(request: web.Request, exchange: Exchange) -> Judged:
    """Say what a judge would be asked about, and where the gateway is reached: where the caller has."""
    transport = request.transport  # None where the caller has left: then nobody is asked
    name = None if transport is None else transport.get_extra_info("sockname")
    host, port = name[:2] if name else ("127.0.0.1", 0)
    origin = Origin(notebook=exchange.notebook, cell_id=exchange.cell)
    return Judged(exchange.meter.id, exchange.key, origin, (str(host), int(port)))


def _bound(body: dict[str, Any], target: Target) -> Usage | None:
    return usage.worst(body, base.of(target.engine).context(target))


def _assembled(chunks: list[dict[str, Any]], told: dict[str, Any] | None) -> dict[str, Any] | None:
    """Put a stream together as the whole answer; None where it holds more than text."""
    if not chunks:
        return None
    texts: dict[str, str] = {}
    reason = None
    chat = False
    for chunk in chunks:
        for choice in choices_of(chunk):
            if choice.get("index", 0) != 0:
                return None
            delta = choice.get("delta")
            chat = chat or isinstance(delta, dict)
            for name, value in (delta if isinstance(delta, dict) else {"text": choice.get("text")}).items():
                if isinstance(value, str) and name != "role":
                    texts[name] = texts.get(name, "") + value
                elif value is not None and name != "role":
                    return None
            reason = choice.get("finish_reason") or reason
    made: dict[str, Any] = {"index": 0, "finish_reason": reason}
    made |= {"message": {"role": "assistant", **texts}} if chat else {"text": texts.get("text", "")}
    head = {name: value for name, value in chunks[0].items() if name not in ("choices", "usage")}
    head["object"] = "chat.completion" if chat else "text_completion"
    return {**head, "choices": [made], **({"usage": told} if told else {})}


def _unavailable(deployment: Deployment, error: BaseException) -> str:
    return (
        f"{deployment.name} does not answer at the moment ({type(error).__name__}); it is being started again."
        " Try once more shortly."
    )
