"""The embedded engine: ``transformers serve``'s application under our own uvicorn, on a socket, its model fixed.

It takes a folder (a whole model or a PEFT adapter) or a hub's id. Needs transformers[serving].
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from snapml_lab.engines import int8, pulse
from snapml_lab.engines.base import Body, Engine, UnsupportedError
from snapml_lab.errors import ConflictError, NotFoundError
from snapml_lab.jobs import gpus
from snapml_lab.jobs.events import Reporter
from snapml_lab.registry.deployments import Target

_DROPPED = {
    "stream_options",
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
}
"""Fields that change nothing of the answer: not passed on."""
_SUPPORTED = {
    "model", "messages", "prompt", "stream", "max_tokens", "temperature", "top_p", "stop", "seed", "frequency_penalty",
    "tools",
}  # fmt: skip
_HARMLESS: dict[str, Any] = {
    "n": 1,
    "logprobs": False,
    "presence_penalty": 0,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
}
"""Fields the engine does not take, and the value that asks for nothing."""


_CANARY = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Serve ``spec["source"]`` on ``spec["socket"]`` until stopped."""
    report.message("loading the model")
    gpus.hold_torch_to_lease()
    try:
        application, name = _application(spec["source"], spec["options"].get("quantization"), report)
    except int8.NotQuantizableError as error:
        raise ConflictError(
            f"{spec['source']} cannot be quantized to int8: {error}.",
            fix="Serve it as it is: --quantization none",
        ) from error
    except (OSError, ValueError) as error:
        said = str(error).strip().partition("\n")[0]
        raise NotFoundError(
            f"{spec['source']} could not be loaded: {said}",
            fix="Deploy a model version, a folder with safetensors and a tokenizer, or the id of a hub that can be reached.",
        ) from error
    asyncio.run(_serve(application, name, Path(spec["socket"]), report))
    return {}


def _application(source: str, quantization: str | None, report: Reporter) -> tuple[Any, str]:
    from transformers import AutoModelForCausalLM
    from transformers.cli.serving.chat_completion import ChatCompletionHandler
    from transformers.cli.serving.completion import CompletionHandler
    from transformers.cli.serving.model_manager import ModelManager
    from transformers.cli.serving.response import ResponseHandler
    from transformers.cli.serving.server import build_server
    from transformers.cli.serving.systemone import SystemOneHandler
    from transformers.cli.serving.transcription import TranscriptionHandler
    from transformers.cli.serving.utils import GenerationState

    class Manager(ModelManager):
        """Loads a PEFT adapter onto its base, and quantizes on a processor, which the server itself does not."""

        def _load_model(self, model_id_and_revision: str, *rest: Any, **options: Any) -> Any:
            adapter = Path(model_id_and_revision.rpartition("@")[0]) / "adapter_config.json"
            if adapter.is_file():
                model = self._adapted(adapter)
            else:
                model = super()._load_model(model_id_and_revision, *rest, **options)
            if quantization == "int8":
                report.message(f"{int8.convert(model)} layers quantized to int8")
            return model

        def _adapted(self, adapter: Path) -> Any:
            base = json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"]
            model = AutoModelForCausalLM.from_pretrained(
                base, dtype="auto", device_map="auto", use_safetensors=True, trust_remote_code=False,
                quantization_config=self.get_quantization_config(),
            )  # fmt: skip
            model.load_adapter(str(adapter.parent))
            return model

    class Sampling:
        """Samples where a temperature or ``top_p`` asks for it; the server itself then only sets them, and stays greedy."""

        def _build_generation_config(self, body: dict[str, Any], *rest: Any, **options: Any) -> Any:
            made = super()._build_generation_config(body, *rest, **options)  # type: ignore[misc]
            if body.get("temperature") is not None or body.get("top_p") is not None:
                made.do_sample = body.get("temperature") is None or float(body["temperature"]) > 0
            return made

    class Chat(Sampling, ChatCompletionHandler):
        """Answers a chat."""

    class Completion(Sampling, CompletionHandler):
        """Goes on with a text."""

    own = quantization if quantization in ("bnb-4bit", "bnb-8bit") else None
    manager = Manager(device="auto", dtype="auto", force_model=source, quantization=own)
    state = GenerationState(continuous_batching=False, compile=False)
    made: dict[str, Any] = {"model_manager": manager, "generation_state": state}
    application = build_server(
        manager, Chat(**made, chat_template_kwargs={}), completion_handler=Completion(**made),
        response_handler=ResponseHandler(**made, chat_template_kwargs={}),
        transcription_handler=TranscriptionHandler(manager, state),
        systemone_handler=SystemOneHandler(**made, chat_template_kwargs={}, decision_config=None), generation_state=state,
    )  # fmt: skip
    return application, source


async def _serve(application: Any, name: str, socket: Path, report: Reporter) -> None:
    import uvicorn

    socket.unlink(missing_ok=True)
    os.umask(0o077)
    server = uvicorn.Server(
        uvicorn.Config(application, uds=str(socket), log_level="warning", timeout_graceful_shutdown=5)
    )
    serving = asyncio.create_task(server.serve())
    canary = asyncio.create_task(_canary(name, socket))
    done, _ = await asyncio.wait({serving, canary}, return_when=asyncio.FIRST_COMPLETED)
    if serving in done:
        serving.result()
        raise RuntimeError("the server ended before it answered")
    canary.result()
    report.ready()
    await serving


async def _canary(name: str, socket: Path) -> None:
    """Ask for one token, as a caller would; raise if it does not come back."""
    import aiohttp

    for _ in range(600):
        if socket.exists():
            break
        await asyncio.sleep(0.05)
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as session,
        session.post("http://engine/v1/chat/completions", json={**_CANARY, "model": name}) as answer,
    ):
        text = await answer.text()
        if answer.status != 200:
            raise RuntimeError(f"the canary was answered with {answer.status}: {text[:500]}")


def translate(_route: str, body: Body, target: Target) -> Body:
    """Return a request as the engine takes it.

    Raises:
        UnsupportedError: a field asks for what it cannot do.
    """
    asked: Body = {}
    for name, value in body.items():
        if name in _DROPPED or value is None:
            continue
        if name == "max_completion_tokens":
            asked["max_tokens"] = value
        elif name in _SUPPORTED:
            asked[name] = value
        elif (name in _HARMLESS and value == _HARMLESS[name]) or (
            name == "response_format" and value == {"type": "text"}
        ):
            continue
        else:
            raise UnsupportedError("transformers", name, value)
    return {**asked, "model": target.source}


def answers(socket: Path, _: str, target: Target, timeout: float) -> bool:
    """Say whether a token comes. It makes one answer after the other: a long one before it takes its time."""
    return pulse.token(socket, target.source, timeout)


ENGINE = Engine("transformers", local=True, translate=translate, answers=answers)
