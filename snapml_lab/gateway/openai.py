"""OpenAI's shapes: errors, the list of models, and what the transformers engine takes of a request. Needs aiohttp."""

import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from snapml_lab.registry.deployments import Deployment


def error_fields(status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """Return OpenAI's body of an error; ``param`` is the field that is to blame."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error(status: int, code: str, message: str, param: str | None = None) -> web.Response:
    """Answer with an error as OpenAI's clients read it."""
    headers = {"Retry-After": "2"} if status == 503 else {}
    return web.json_response(error_fields(status, code, message, param), status=status, headers=headers)


def from_engine(status: int, content: bytes) -> web.Response:
    """Turn an engine's refusal into our form of it."""
    try:
        said = told(json.loads(content))
    except ValueError:
        said = content.decode("utf-8", "replace")
    return error(status if 400 <= status < 500 else 502, "engine_error", said[:1000])


def told(fields: Any) -> str:
    """Return the sentence in an engine's error, whichever of the usual forms it has."""
    for name in ("detail", "error", "message"):
        if isinstance(fields, dict) and fields.get(name):
            return told(fields[name])
    return str(fields)


def models(found: Sequence[Deployment]) -> dict[str, Any]:
    """Return the list of models."""
    data = [
        {"id": item.name, "object": "model", "created": 0, "owned_by": "snapml", "root": item.model}
        for item in found
    ]
    return {"object": "list", "data": data}
