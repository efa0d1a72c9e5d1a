"""The engine of classic models: the Open Inference Protocol V2 over a Unix socket. Needs aiohttp, pandas and skops.

Source: https://github.com/kserve/open-inference-protocol (REST, version 2).
"""

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import Any

from snapml_lab import ids
from snapml_lab.engines import pulse, tensors
from snapml_lab.engines.base import Body, Engine, plain_spec
from snapml_lab.engines.batching import Batcher
from snapml_lab.errors import SnapmlError
from snapml_lab.jobs.events import Reporter
from snapml_lab.registry import model_file, versions
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.registry.signature import Signature
from snapml_lab.workspace import Workspace

_log = logging.getLogger(__name__)

_LONGEST_BODY = 64 << 20
_CANARY_SECONDS = 120.0


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Serve the file ``spec["source"]``, of the format ``spec["format"]``, as ``spec["name"]`` on ``spec["socket"]`` until stopped."""
    report.message("loading the model")
    model = model_file.load(Path(spec["source"]), spec.get("format", "skops"))
    signature = Signature(**spec["signature"])
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    application = _application(model, signature, spec["name"], spec.get("version"))
    asyncio.run(_serve(application, Path(spec["socket"]), spec["name"], report))
    return {}


def _application(model: Any, signature: Signature, name: str, version: str | None) -> Any:
    from aiohttp import web

    # A column of categories is encoded by what stands in it: tables with one are not put together.
    batcher = Batcher(
        lambda frame: model_file.scores(model, frame, signature),
        together="category" not in signature.types.values(),
    )

    async def infer(body: Any) -> dict[str, Any]:
        identifier = tensors.identifier(body) or ids.new()
        frame = tensors.table(body, signature.columns)
        values, shares = await batcher.predict(frame)
        outputs = tensors.outputs(
            body, signature.target, values, shares, lambda: getattr(model, "classes_", ())
        )
        said = {"model_name": name, "id": identifier, "outputs": outputs}
        return said if version is None else {**said, "model_version": version}

    async def handle(request: Any) -> Any:
        try:
            body = await request.json()
        except (ValueError, LookupError, RecursionError) as error:
            return web.json_response({"error": f"the body is not JSON: {error}"}, status=400)
        try:
            return web.json_response(await infer(body))
        except SnapmlError as error:
            return web.json_response({"error": str(error)}, status=400)
        except Exception:
            _log.exception("a request to %s", name)
            return web.json_response({"error": f"a fault of {name}'s engine; its log has it"}, status=500)

    async def describe(_: Any) -> Any:
        return web.json_response(tensors.metadata(name, signature, version))

    async def ready(_: Any) -> Any:
        return web.json_response({"ready": True})

    application = web.Application(client_max_size=_LONGEST_BODY)
    application.add_routes([
        web.post(f"/v2/models/{name}/infer", handle), web.get(f"/v2/models/{name}", describe),
        web.get(f"/v2/models/{name}/ready", ready), web.get("/v2/health/ready", ready),
        web.get("/v2/health/live", ready),
    ])  # fmt: skip
    return application


async def _serve(application: Any, socket: Path, name: str, report: Reporter) -> None:
    from aiohttp import web

    socket.unlink(missing_ok=True)
    os.umask(0o077)
    runner = web.AppRunner(application, handle_signals=True)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    if not await asyncio.to_thread(pulse.row, socket, name, _CANARY_SECONDS):
        raise RuntimeError("the canary, a row of noughts, was not answered")
    report.ready()
    await asyncio.Event().wait()


def _spec(ws: Workspace, deployment: Deployment, target: Target) -> dict[str, Any]:
    model = versions.find(ws.ledger, target.model)
    return {
        **plain_spec(ws, deployment, target), "signature": model.signature, "format": model.format,
        "version": str(model.version),
    }  # fmt: skip


def _as_it_is(_route: str, body: Body, _target: Target) -> Body:
    """A classic model's request is checked by its engine, against its signature."""
    return body


def answers(socket: Path, deployment: str, _: Target, timeout: float) -> bool:
    """Say whether a row is predicted."""
    return pulse.row(socket, deployment, timeout)


ENGINE = Engine("predict", local=True, translate=_as_it_is, spec=_spec, answers=answers)
