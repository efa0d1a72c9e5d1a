"""What a request used, in buckets that do not overlap, read from any shape an engine or provider tells it in. Pure.

Who counts how, as seen on the wire: OpenAI, Groq, vLLM, OpenRouter, DeepSeek, Mistral and Moonshot count what came from a
cache *inside* the prompt, Anthropic *beside* it; OpenAI counts reasoning inside the completion, xAI and Gemini's
OpenAI-compatible route beside it, so that ``total_tokens`` is more than prompt and completion.
"""

import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

MOST = 10**9
"""Tokens of one bucket that are believed; what tells more is nonsense."""

Source = Literal["metered", "estimated", "unknown"]


@dataclass(frozen=True)
class Usage:
    """Tokens of one request in disjoint buckets; None is not known.

    Attributes:
        input: read afresh. Where the engine does not tell caches apart, it holds what they gave, too.
        cached: read from the engine's prefix cache.
        cache_write: read and written to that cache.
        output: written as the answer; with the reasoning, where the engine does not tell it apart.
        reasoning: written before the answer and not shown.
        source: ``metered`` (the engine said), ``estimated`` (counted here), ``unknown``.
    """

    input: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None
    source: Source = "unknown"

    @property
    def read(self) -> int | None:
        """All tokens read, whatever they cost; None where that is not known."""
        return None if self.input is None else self.input + (self.cached or 0) + (self.cache_write or 0)

    @property
    def written(self) -> int | None:
        """All tokens written; None where that is not known."""
        return None if self.output is None else self.output + (self.reasoning or 0)


UNKNOWN = Usage()


def read(wire: Any) -> Usage | None:
    """Read the usage of an answer, of a chunk or event of a stream, or a usage object itself.

    Returns None where there is none, or none that makes sense. What cannot be inside of a count is taken to be beside
    it: the only reading under which the numbers do not contradict each other. Never raises.
    """
    for told in _places(wire):
        if (usage := _usage(told)) is not None:
            return usage
    return None


def _places(wire: Any) -> Iterator[Mapping[str, Any]]:
    """Find the objects in which usage is told: OpenAI, Groq, OpenAI's responses, Anthropic's events, Moonshot, bare."""
    if not isinstance(wire, dict):
        return
    choices = wire.get("choices")
    holders = [wire, wire.get("x_groq"), wire.get("response"), wire.get("message")]
    holders += choices[:1] if isinstance(choices, list) else []
    for holder in holders:
        if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
            yield holder["usage"]
    yield wire


def _usage(told: Mapping[str, Any]) -> Usage | None:
    if _count(told.get("prompt_tokens")) is not None or "completion_tokens" in told:
        return _openai(told, "prompt_tokens", "completion_tokens")
    if "input_tokens" not in told and "output_tokens" not in told:
        return None
    beside = "cache_read_input_tokens" in told or "cache_creation_input_tokens" in told
    if beside and not isinstance(told.get("input_tokens_details"), dict):
        return _anthropic(told)
    return _openai(told, "input_tokens", "output_tokens")


def _anthropic(told: Mapping[str, Any]) -> Usage | None:
    """Read counts that are disjoint as they are."""
    given, said = _count(told.get("input_tokens")), _count(told.get("output_tokens"))
    if given is None and said is None:
        return None
    return Usage(
        given, _count(told.get("cache_read_input_tokens")), _count(told.get("cache_creation_input_tokens")), said, None,
        "metered",
    )  # fmt: skip


def _openai(told: Mapping[str, Any], prompt: str, completion: str) -> Usage | None:
    """Read counts that hold each other."""
    given, said, total = (
        _count(told.get(prompt)),
        _count(told.get(completion)),
        _count(told.get("total_tokens")),
    )
    if said is None and told.get(completion) is None and given is not None and total is not None:
        said = max(total - given, 0)  # embeddings: nothing is written, and no count says so
    if given is None and said is None:
        return None
    inside, outside = _details(told, f"{prompt}_details"), _details(told, f"{completion}_details")
    cached = _most(
        inside.get("cached_tokens"), told.get("cached_tokens"), told.get("prompt_cache_hit_tokens"),
        told.get("cache_read_input_tokens"), told.get("num_cached_tokens"),
    )  # fmt: skip
    write = _most(
        inside.get("cache_write_tokens"), inside.get("cache_creation_tokens"), inside.get("created_cache_tokens"),
        inside.get("cache_creation_input_tokens"), told.get("cache_creation_input_tokens"),
    )  # fmt: skip
    reasoning = _most(outside.get("reasoning_tokens"))
    spare = 0 if total is None or given is None or said is None else max(total - given - said, 0)
    if given is not None:
        kept = (cached or 0) + (write or 0)
        if kept > given or (kept and kept == spare and not reasoning):
            spare = max(spare - kept, 0)
        else:
            given -= kept
    if said is not None:
        if spare >= (reasoning or 0):
            reasoning = spare or reasoning
        elif reasoning is not None and reasoning <= said:
            said -= reasoning
    return Usage(given, cached, write, said, reasoning, "metered")


def _details(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def _count(value: Any) -> int | None:
    """Read a count; some gateways tell whole numbers as 12.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MOST else None


def _most(*values: Any) -> int | None:
    """Return the greatest count of several names for one thing; None where none is told."""
    return max((count for value in values if (count := _count(value)) is not None), default=None)


_A_REQUEST = 512
"""Tokens that a chat template may put around the whole: a system prompt of its own, the preamble of tools."""
_A_MESSAGE = 16
"""Tokens that a chat template may put around a message: roles, markers, a tokenizer's leading space."""
_TEXT_PARTS = {"text", "input_text", "refusal", "thinking"}
_TOOLS = {"function", "custom"}
_UNBOUNDED = (
    "web_search_options",
    "plugins",
    "chat_template",
    "prompt_embeds",
    "audio",
    "mm_processor_kwargs",
)
"""Fields by which the provider reads more than it is sent, or what is not text."""
_NO_TEXT = {
    "model",
    "messages",
    "prompt",
    "input",
    "tools",
    "functions",
    "user",
    "stream",
    "metadata",
    "stop",
}


def worst(body: Mapping[str, Any], context: int | None) -> Usage | None:
    """Bound what a request can use, before it is sent: all it reads in ``input``, all it writes in ``output``.

    A token of byte-level BPE stands for at least one byte (Radford et al., "Language Models are Unsupervised Multitask
    Learners", 2019, 2.2), and so does one of SentencePiece with byte fallback: text has no more tokens than its UTF-8 has
    bytes. Tokenizers that normalise first may see more bytes, so that the longest of the text as it is, in NFC (Qwen) and
    in NFKC (T5, XLM-R) counts. What a chat template adds is an allowance, not a theorem: 16 tokens a message, 512 a request.

    Args:
        body: the request: ``messages``, a completion's ``prompt``, or an embedding's ``input``.
        context: tokens the model can hold; None where it is not known.

    Returns:
        The bound; None where there is none: images, audio or other parts that are no text, tools that run at the
        provider, or nothing that limits the answer.
    """
    try:
        return _bound(body, context)
    except RecursionError:
        return None


def _bound(body: Mapping[str, Any], context: int | None) -> Usage | None:
    if any(body.get(name) for name in _UNBOUNDED) or body.get("modalities") not in (None, [], ["text"]):
        return None
    given, asked = _asked(body)
    tools = [*_list(body.get("tools")), *_list(body.get("functions"))]
    if given is None or any(_kind(tool) not in _TOOLS for tool in tools):
        return None
    prompts = max(asked, 1)
    given += prompts * sum(_text(value) for name, value in body.items() if name not in _NO_TEXT)
    given += sum(_indented(tool) for tool in tools)
    if context is not None:
        given = min(given, context * prompts)
    if "messages" not in body and "prompt" not in body:
        return Usage(given, 0, 0, 0, 0, "estimated")
    limit, each = _limit(body, context), _answers(body)
    if limit is None or each is None:
        return None
    # A predicted answer that is not used is billed as if it were written.
    predicted = _text(body["prediction"]) if body.get("prediction") else 0
    return Usage(given, 0, 0, limit * each * prompts + predicted, 0, "estimated")


def _limit(body: Mapping[str, Any], context: int | None) -> int | None:
    """Return the most tokens of one answer. A limit that is no whole number is none: engines may read it as they like."""
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    told: list[Any] = [body[name] for name in names if body.get(name) is not None]
    if not told or any(type(value) is not int or value < 1 for value in told):
        return context
    most = int(max(told))
    return most if context is None else min(most, context)


def _answers(body: Mapping[str, Any]) -> int | None:
    """Return how many answers are written to one prompt: of ``best_of``, ``n`` are sent; None where it is no number."""
    told = [1 if body.get(name) is None else body[name] for name in ("n", "best_of")]
    return None if any(type(value) is not int or value < 1 for value in told) else max(told)


def _asked(body: Mapping[str, Any]) -> tuple[int | None, int]:
    """Bound the tokens of what is asked (None: it is not all text), and count how many prompts it is."""
    if "messages" in body:
        messages = body["messages"]
        if not isinstance(messages, list) or not all(map(_is_text, messages)):
            return None, 1
        return sum(map(_message, messages)) + _A_REQUEST, 1
    asked = body.get("prompt", body.get("input"))
    if isinstance(asked, str):
        return _bytes(asked) + _A_MESSAGE, 1
    if not isinstance(asked, list):
        return None, 1
    if all(type(item) is int for item in asked):
        return len(asked) + _A_MESSAGE, 1
    given = 0
    for item in asked:
        if isinstance(item, str):
            given += _bytes(item) + _A_MESSAGE
        elif isinstance(item, list) and all(type(token) is int for token in item):
            given += len(item) + _A_MESSAGE
        else:
            return None, len(asked)
    return given, len(asked)


def _is_text(message: Any) -> bool:
    if not isinstance(message, dict) or message.get("audio"):
        return False
    content = message.get("content")
    if isinstance(content, list):
        return all(isinstance(part, str) or _kind(part) in _TEXT_PARTS for part in content)
    return content is None or isinstance(content, str)


def _message(message: Mapping[str, Any]) -> int:
    calls = _list(message.get("tool_calls"))
    rest = {name: value for name, value in message.items() if name != "tool_calls"}
    return _A_MESSAGE + _text(rest) + sum(_indented(call) for call in calls)


def _text(value: Any) -> int:
    """Bound the tokens of all text in a value, names and punctuation with it."""
    if isinstance(value, str):
        return _bytes(value)
    if isinstance(value, dict):
        return sum(_bytes(str(name)) + _text(held) + 6 for name, held in value.items())
    if isinstance(value, list):
        return sum(_text(held) + 4 for held in value)
    return len(repr(value))


def _indented(value: Any) -> int:
    """Bound the tokens of what templates write as JSON: indented, and with all escapes, it is longest."""
    return len(json.dumps(value, indent=4)) + _A_MESSAGE


def _bytes(text: str) -> int:
    if text.isascii():
        return len(text)
    forms = (text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFKC", text))
    return max(len(form.encode("utf-8", "surrogatepass")) for form in forms)


def _kind(part: Any) -> str | None:
    """Tell what a part or a tool is; a tool of the old form (``functions``) names none."""
    if not isinstance(part, dict):
        return None
    kind = part.get("type", "function" if "name" in part else None)
    return kind if isinstance(kind, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
