"""OpenAI's shapes: errors, the list of models, events of a stream. Needs aiohttp."""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiohttp import web

from snapml_lab.registry.deployments import Deployment

_LONGEST_EVENT = 16 << 20


def error_fields(status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """Return OpenAI's body of an error; ``param`` is the field that is to blame."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error(
    status: int, code: str, message: str, param: str | None = None, wait: float | None = None
) -> web.Response:
    """Answer with an error as OpenAI's clients read it; ``wait`` is in how many seconds to come again."""
    wait = 2 if wait is None and status == 503 else wait
    headers = {} if wait is None else {"Retry-After": str(max(1, -int(-wait // 1)))}
    return web.json_response(error_fields(status, code, message, param), status=status, headers=headers)


def from_engine(status: int, content: bytes) -> web.Response:
    """Turn an engine's refusal into our form of it."""
    try:
        said = told(json.loads(content))
    except (ValueError, RecursionError):
        said = content.decode("utf-8", "replace")
    return error(status if 400 <= status < 500 else 502, "engine_error", said[:1000])


def told(fields: Any) -> str:
    """Return the sentence in an engine's error, whichever of the usual forms it has."""
    for name in ("detail", "error", "message"):
        if isinstance(fields, dict) and fields.get(name):
            return told(fields[name])
    return str(fields)


def models(found: Iterable[Deployment]) -> dict[str, Any]:
    """Return the list of models."""
    data = [
        {"id": item.name, "object": "model", "created": 0, "owned_by": "snapml", "root": item.model}
        for item in found
    ]
    return {"object": "list", "data": data}


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Read server-sent events: the JSON of each ``data:`` line, ``[DONE]`` left out.

    Raises:
        ValueError: one is no JSON object.
    """
    held = b""
    async for piece in pieces:
        held += piece
        if b"\n" not in piece:
            if len(held) > _LONGEST_EVENT:
                raise ValueError("an event of its stream is too long")
            continue
        *lines, held = held.split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                data = line[5:].strip()
                if data != b"[DONE]":
                    yield an_object(data)


def an_object(content: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: it is none.
    """
    try:
        found = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError(f"{str(found)[:80]} is no object")  # noqa: TRY004 - it is what came that is wrong
    return found
