"""The Open Inference Protocol V2: classic models, relayed to their engines. Its use is machine time, its cost that time's.

Source: https://github.com/kserve/open-inference-protocol (REST, version 2).
"""

import asyncio
import json
from typing import Any

from aiohttp import ClientError, web

from snapml_lab.costs.usage import Usage
from snapml_lab.errors import SnapmlError
from snapml_lab.gateway.books import OverBudgetError
from snapml_lab.gateway.exchange import REQUEST, Desk, Exchange, ask
from snapml_lab.gateway.shadow import Shadows
from snapml_lab.governance.keys import Key
from snapml_lab.registry.deployments import Deployment

ROUTE = "/v2/infer"
_NOTHING = Usage(0, 0, 0, 0, 0, "estimated")
_FAILED = (ClientError, OSError, TimeoutError)


class Inference:
    """V2's routes of one gateway."""

    def __init__(self, desk: Desk, shadows: Shadows) -> None:
        self.desk, self.shadows = desk, shadows

    async def infer(self, request: web.Request, key: Key, deployment: Deployment) -> web.Response:
        """Relay an inference of a key that was let in."""
        exchange = Exchange(self.desk, request, key, deployment, ROUTE, streamed=False)
        try:
            body = await request.read()
            return await self._infer(request, exchange, body)
        except asyncio.CancelledError:
            exchange.meter.hang_up()
            raise
        finally:
            exchange.settle()
            self.desk.limits.leave(key, 0)

    async def _infer(self, request: web.Request, exchange: Exchange, body: bytes) -> web.Response:
        name, meter = exchange.deployment.name, exchange.meter
        choices = exchange.choices()
        try:
            await exchange.open(choices, lambda _: _NOTHING)
        except OverBudgetError as error:
            exchange.refuse(402, "over a budget: nothing was sent")
            return failed(402, f"{error.message} {error.fix}")
        self.shadows.send(
            request, exchange, f"/v2/models/{name}/infer", asked=lambda _: body, bound=lambda _: _NOTHING,
            read=lambda _, __: None,
        )  # fmt: skip
        refusal = None
        for index, choice in enumerate(choices):
            last = index == len(choices) - 1
            try:
                answer = await ask(exchange, choice, f"/v2/models/{choice.deployment.name}/infer", body)
                try:
                    content = await answer.read()
                finally:
                    answer.release()
                    exchange.send_ends()
            except (*_FAILED, SnapmlError) as error:
                meter.fail(503) if last else None
                refusal = failed(503, _unavailable(name, error))
                continue
            if answer.status == 200:
                meter.complete()
                self._kept(exchange, body, content)
            elif last or answer.status < 500:
                meter.fail(answer.status)
            else:
                continue
            return web.Response(
                status=answer.status,
                body=content,
                content_type="application/json",
                headers={REQUEST: meter.id},
            )
        assert refusal is not None
        return refusal

    def _kept(self, exchange: Exchange, body: bytes, content: bytes) -> None:
        """Capture a request and its answer, where that is asked for; read as JSON in the books' thread, for tensors may be long."""
        capturer = self.desk.known.capturer(exchange.deployment.name)
        if capturer is not None:
            identifier, at = exchange.meter.id, exchange.at
            self.desk.books.soon(
                lambda: capturer.record(identifier, at, json.loads(body), json.loads(content))
            )

    async def describe(self, request: web.Request, key: Key, deployment: Deployment) -> web.Response:
        """Relay a model's description; it costs nothing."""
        del key
        return await self._looked(request, deployment, "")

    async def ready(self, request: web.Request, key: Key, deployment: Deployment) -> web.Response:
        """Say whether a model's engine answers."""
        del key
        found = await self._looked(request, deployment, "/ready")
        return web.json_response(
            {"name": deployment.name, "ready": found.status == 200}, status=200 if found.status == 200 else 503
        )  # fmt: skip

    async def _looked(self, request: web.Request, deployment: Deployment, path: str) -> web.Response:
        del request
        try:
            way = self.desk.upstream.way(deployment, deployment.target)
            async with way.session.get(
                way.at(f"/v2/models/{deployment.name}{path}"), allow_redirects=False
            ) as answer:
                return _answered(answer.status, await answer.read())
        except (*_FAILED, SnapmlError) as error:
            return failed(503, _unavailable(deployment.name, error))


def failed(status: int, message: str) -> web.Response:
    """Answer with V2's form of an error."""
    return _answered(status, json.dumps({"error": message}).encode())


def _answered(status: int, content: Any) -> web.Response:
    return web.Response(status=status, body=content, content_type="application/json")


def _unavailable(name: str, error: BaseException) -> str:
    if isinstance(error, SnapmlError):
        return f"{error.message} {error.fix}"
    return f"{name} does not answer at the moment ({type(error).__name__}); it is being started again. Try once more shortly."
