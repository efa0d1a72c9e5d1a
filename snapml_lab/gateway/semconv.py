"""One settled request as one span, and as figures, in the words of OpenTelemetry's conventions for generative AI. Pure.

The names are those of the semantic conventions 1.41.0, the last release that has them in the main repository, with a schema
that is published; in development still, they moved to one of their own and were renamed there in part (its 0.1.0:
``cache_creation`` is ``cache_write``, the histograms of tokens are counters). A change of names is a change of this module.

Source: https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0/docs/gen-ai (spans, metrics).

- A span is a request as the books have it: one for each row, with the time its caller waited, retries and fallbacks within. A
  copy for a shadow is a request of its own (``snapml.shadow``). One that a limit of its key kept out has no row, but a span.
- An answer from memory is a span (``snapml.cache.hit``) without tokens, and no figure: no model was asked.
- Classic models have a span ``infer NAME`` with ``snapml.*`` alone: they are no generative AI.
- ``gen_ai.request.model`` is what the caller asked for, the deployment; ``gen_ai.response.model`` what answered.
- ``gen_ai.usage.input_tokens`` counts what came from caches and ``output_tokens`` the reasoning, as the conventions say; in
  the books they are apart.
- No text of a prompt, an answer or an error is in it.
"""

from typing import Any, NamedTuple
from urllib.parse import urlsplit

from snapml_lab import money
from snapml_lab.costs.usage import Usage
from snapml_lab.errors import BlockedError
from snapml_lab.gateway.books import Opening, OverBudgetError, Settlement
from snapml_lab.gateway.limits import LimitedError

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0"
TOKENS = "gen_ai.client.token.usage"
DURATION = "gen_ai.client.operation.duration"
TOKENS_BOUNDS = tuple(4.0**power for power in range(14))
DURATION_BOUNDS = tuple(0.01 * 2**power for power in range(14))
SHADOW = " (shadow)"

_OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
_PROVIDERS = {
    "api.openai.com": "openai", "api.anthropic.com": "anthropic", "api.cohere.com": "cohere", "api.cohere.ai": "cohere",
    "api.deepseek.com": "deepseek", "generativelanguage.googleapis.com": "gcp.gemini", "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai", "api.perplexity.ai": "perplexity", "api.x.ai": "x_ai",
}  # fmt: skip
"""Names the conventions have for who serves at an address; others go by the name they are declared under."""
_AZURE = ".openai.azure.com"
_UNSENT = {402: OverBudgetError.code, BlockedError.status: BlockedError.code, 429: LimitedError.code}
_FAILED = {200: "engine_failed", 502: "engine_error", 503: "engine_unavailable"}
"""Codes that the caller is given, by the status in the books; 200 is an answer that broke off. Others are the engine's status."""


class Settled(NamedTuple):
    """A request as it was settled, and what the books do not have of it.

    Attributes:
        key: the caller's key: its name and prefix.
        engine: the engine of the target that was asked.
        provider: who serves a remote target, as declared; None for an engine here.
        source: what a remote target's model is called there.
        address: the base URL of a provider, or the socket of an engine here; None where nobody was asked.
        attempts: how often an engine was asked.
        parent: the caller's ``traceparent`` and ``tracestate``.
    """

    opening: Opening
    settlement: Settlement
    key: tuple[str, str]
    engine: str
    provider: str | None
    source: str
    address: str | None
    attempts: int
    parent: tuple[str, str] | None


class Span(NamedTuple):
    """A span to be made: times in nanoseconds since the epoch."""

    name: str
    begun: int
    ended: int
    attributes: dict[str, Any]
    failed: bool


class Figure(NamedTuple):
    """One value for a histogram."""

    name: str
    value: float
    attributes: dict[str, Any]


def span(settled: Settled) -> Span:
    """Return the span of a request."""
    opening, settlement = settled.opening, settled.settlement
    attributes = _asked(settled) | _answered(settled) | _ours(settled)
    begun = int(opening.at * 1e9)
    return Span(
        f"{_operation(opening) or 'infer'} {_text(opening.deployment)}", begun, begun + int(settlement.duration_ms * 1e6),
        {name: _text(value) for name, value in attributes.items() if value is not None}, "error.type" in attributes,
    )  # fmt: skip


def figures(settled: Settled) -> list[Figure]:
    """Return what a request adds to the histograms: its seconds, and the tokens that are known; nothing where no model was asked."""
    if _operation(settled.opening) is None or not settled.attempts:
        return []
    by = {name: _text(value) for name, value in _asked(settled).items() if value is not None}
    by.pop("gen_ai.request.stream", None)
    answered = _answered(settled)
    if (model := answered.get("gen_ai.response.model")) is not None:
        by["gen_ai.response.model"] = _text(model)
    found = [
        Figure(TOKENS, count, {**by, "gen_ai.token.type": kind})
        for kind in ("input", "output")
        if (count := answered.get(f"gen_ai.usage.{kind}_tokens")) is not None
    ]
    failed = {"error.type": answered["error.type"]} if "error.type" in answered else {}
    return [*found, Figure(DURATION, settled.settlement.duration_ms / 1000, {**by, **failed})]


def _operation(opening: Opening) -> str | None:
    return _OPERATIONS.get(opening.route.removesuffix(SHADOW))


def _asked(settled: Settled) -> dict[str, Any]:
    """Return what was asked of whom."""
    opening = settled.opening
    address, port = _server(settled.address)
    found = {"server.address": address, "server.port": port}
    if (operation := _operation(opening)) is not None:
        found |= {
            "gen_ai.operation.name": operation, "gen_ai.provider.name": _provider(settled),
            "gen_ai.request.model": opening.deployment, "gen_ai.request.stream": True if opening.streamed else None,
        }  # fmt: skip
    return found


def _answered(settled: Settled) -> dict[str, Any]:
    """Return what came of it."""
    opening, settlement = settled.opening, settled.settlement
    found: dict[str, Any] = {"http.response.status_code": settlement.status}
    if settlement.ended == "hung_up":
        found["error.type"] = "cancelled"
    elif settlement.ended != "complete":
        codes = _FAILED if settled.attempts else _UNSENT
        found["error.type"] = codes.get(settlement.status, str(settlement.status))
    if _operation(opening) is None:
        return found
    usage = Usage(*settlement[4:9])
    found |= {
        "gen_ai.usage.input_tokens": usage.read, "gen_ai.usage.output_tokens": usage.written,
        "gen_ai.usage.cache_read.input_tokens": usage.cached, "gen_ai.usage.cache_creation.input_tokens": usage.cache_write,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
    }  # fmt: skip
    if settlement.ended == "complete" or settlement.output_tokens is not None:
        found["gen_ai.response.model"] = settled.source if settled.provider is not None else settlement.model
    if settlement.first_token_ms is not None and opening.streamed:
        found["gen_ai.response.time_to_first_chunk"] = settlement.first_token_ms / 1000
    return found


def _ours(settled: Settled) -> dict[str, Any]:
    """Return what the conventions have no word for; a cost that is not known is left out."""
    opening, settlement = settled.opening, settled.settlement
    cost = settlement.cost_pico
    return {
        "snapml.request.id": opening.id, "snapml.deployment": opening.deployment, "snapml.target": settlement.target,
        "snapml.model": settlement.model, "snapml.engine": settled.engine, "snapml.route": opening.route,
        "snapml.key.id": opening.api_key, "snapml.key.name": settled.key[0], "snapml.key.prefix": settled.key[1],
        "snapml.notebook": opening.notebook, "snapml.cell": opening.cell_id, "snapml.project": opening.project,
        "snapml.ended": settlement.ended, "snapml.usage": settlement.usage, "snapml.attempts": settled.attempts,
        "snapml.cost.usd": None if cost is None else cost / money.PICO, "snapml.cost.source": settlement.price,
        "snapml.machine_seconds": settlement.machine_seconds, "snapml.cache.hit": True if settlement.cached else None,
        "snapml.shadow": True if opening.route.endswith(SHADOW) else None,
    }  # fmt: skip


def _provider(settled: Settled) -> str:
    """Return who serves, by the conventions' name for the address; an engine here by its own."""
    if settled.provider is None:
        return settled.engine
    host = _server(settled.address)[0] or ""
    return "azure.ai.openai" if host.endswith(_AZURE) else _PROVIDERS.get(host, settled.provider)


def _server(address: str | None) -> tuple[str | None, int | None]:
    """Return host and port of a URL, a socket's path as it is."""
    if address is None or "://" not in address:
        return address, None
    found = urlsplit(address)
    return found.hostname, found.port or (443 if found.scheme == "https" else 80)


def _text(value: Any) -> Any:
    """Return a text as UTF-8 can hold it: a header may have brought half a character."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
