"""Asking a model from a cell or a terminal."""

import time
from collections.abc import Iterator
from html import escape
from typing import Annotated, Any

from pydantic import Field

from snapml_lab import clock, money
from snapml_lab.commands.core import Call, Surface, command
from snapml_lab.commands.serving import DeploymentName
from snapml_lab.commands.types import Body
from snapml_lab.costs import requests
from snapml_lab.engines import services
from snapml_lab.governance import keys
from snapml_lab.governance.roles import Effect
from snapml_lab.registry.asking import Client
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed
from snapml_lab.workspace import Workspace

_DRAWN_SECONDS = 0.08
_ROW_SECONDS = 2.0


class Answer(View):
    """An answer, whole or so far. ``cost_pico`` is pico-dollars as text; None is unknown; times are milliseconds."""

    model: str
    content: str
    done: bool
    request: str | None
    input_tokens: int | None
    output_tokens: int | None
    first_token_ms: float | None
    duration_ms: float | None
    cost_pico: str | None
    price: str | None

    def text(self) -> str:
        """The answer, and what it took."""
        return f"{self.content}\n{self.foot()}" if self.done else self.content

    def html(self) -> str:
        """The answer, and what it took."""
        foot = f'<div class="dim">{escape(self.foot())}</div>' if self.done else '<div class="dim">…</div>'
        return framed(f'<pre class="wrap">{escape(self.content)}</pre>', foot)

    def foot(self) -> str:
        """What the answer took, in one line."""
        if self.request is None:
            return f"{self.model} · what it took is not in the ledger yet; see: snapml requests list"
        tokens = f"{_known(self.input_tokens)} + {_known(self.output_tokens)} tokens"
        first = (
            f"first after {self.first_token_ms:.0f} ms" if self.first_token_ms is not None else "not streamed"
        )
        whole = clock.human((self.duration_ms or 0) / 1000)
        cost = money.show(None if self.cost_pico is None else int(self.cost_pico))
        return f"{self.model} · {tokens} · {first}, all after {whole} · cost {cost} ({self.price})"


@command("ask", effect=Effect.EXECUTE, surfaces=frozenset({Surface.MAGIC, Surface.CLI, Surface.PYTHON}))
def ask(
    ws: Workspace, prompt: Body, *, model: DeploymentName, system: str | None = None,
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] = 512, temperature: Annotated[float, Field(ge=0, le=2)] = 0.0,
    call: Call,
) -> Iterator[Answer]:  # fmt: skip
    """Ask a deployed model; the answer streams, with its tokens, latency and cost under it.

    Args:
        prompt: what to ask; the cell's text after %%snapml ask.
        model: the deployment.
        system: what to tell the model first.
        max_tokens: tokens of the answer at most.
        temperature: 0 is the same answer each time.
    """
    client = Client(services.base_url(ws), keys.notebook_key(ws), call.origin)
    messages = [
        *([{"role": "system", "content": system}] if system else []),
        {"role": "user", "content": prompt},
    ]
    body = {"model": model, "messages": messages, "max_tokens": max_tokens, "temperature": temperature}
    return _answers(ws, client, body)


def _answers(ws: Workspace, client: Client, body: dict[str, Any]) -> Iterator[Answer]:
    content, identifier, drawn = "", "", 0.0
    for identifier, chunk in client.stream(body):  # noqa: B007 - the id is needed after the last chunk
        for choice in chunk.get("choices") or []:
            content += (choice.get("delta") or {}).get("content") or ""
        if time.monotonic() - drawn > _DRAWN_SECONDS:
            drawn = time.monotonic()
            yield _answer(body["model"], content, None, done=False)
    yield _answer(body["model"], content, _row(ws, identifier), done=True)


def _row(ws: Workspace, identifier: str) -> requests.Request | None:
    """Return the request's row, which the gateway writes right after the answer's end."""
    until = time.monotonic() + _ROW_SECONDS
    while time.monotonic() < until:
        if row := requests.get(ws.ledger, identifier):
            return row
        time.sleep(0.02)
    return None


def _answer(model: str, content: str, row: requests.Request | None, *, done: bool) -> Answer:
    return Answer(
        model=model, content=content, done=done, request=row.id if row else None,
        input_tokens=row.input_tokens if row else None, output_tokens=row.output_tokens if row else None,
        first_token_ms=row.first_token_ms if row else None, duration_ms=row.duration_ms if row else None,
        cost_pico=None if row is None or row.cost_pico is None else str(row.cost_pico), price=row.price if row else None,
    )  # fmt: skip


def _known(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)
