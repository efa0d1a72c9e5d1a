"""A guardrails policy on a request and its answer, whole or on the stream: every text that a caller is given goes through it.

A text of the answer is one string that a caller sees grow: a choice's content, its reasoning, a completion's text, the
arguments of a tool's call. Each has a stream of its own, which holds back what may become a match.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from snapml_lab.errors import BlockedError
from snapml_lab.gateway.judging import Judged, Judges
from snapml_lab.gateway.metering import choices_of
from snapml_lab.guardrails import policies
from snapml_lab.guardrails.guard import Guard
from snapml_lab.guardrails.policies import Where
from snapml_lab.guardrails.stream import StreamGuard
from snapml_lab.guardrails.verdict import Finding, Verdict

_SPOKEN = ("content", "reasoning_content", "reasoning", "refusal")
_LONG = 20_000
"""A text of so many characters is scanned in a thread, for the others' sake."""

T = TypeVar("T")


class Screen:
    """One request and its answer through a policy.

    Args:
        guard: the policy at work.
        judges: who asks the judges of it.
        judged: the request.
    """

    def __init__(self, guard: Guard, judges: Judges, judged: Judged) -> None:
        self.guard = guard
        self._judges, self._about = judges, judged
        self.findings: list[Finding] = []
        self._judged = bool(policies.judges(guard.policy.rules))
        self._answers = any(rule.of(Where.OUTPUT) for rule in guard.policy.rules)
        self._streams: dict[tuple[Any, ...], StreamGuard] = {}

    async def request(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the request with what is asked masked.

        Raises:
            BlockedError: a rule blocks it.
        """
        places = list(_asked(body))
        texts = [text for text, _ in places]
        verdict = await self._run(lambda: self.guard.input(texts), sum(map(len, texts)))
        self._weigh(verdict, "request")
        if verdict.texts == texts:
            return body
        made: dict[str, Any] = json.loads(json.dumps(body))
        for (_, place), text in zip(places, verdict.texts, strict=True):
            _put(made, place, text)
        return made

    def refuses(self, body: dict[str, Any]) -> str | None:
        """Return the field by which an answer would get past the rules: log probabilities hold its tokens."""
        if not self._answers:
            return None
        return next((name for name in ("logprobs", "top_logprobs", "echo") if body.get(name)), None)

    async def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Return a whole answer masked.

        Raises:
            BlockedError: a rule blocks it.
        """
        for choice in choices_of(answer):
            for holder, name, _ in _spoken(choice):
                text = holder[name]
                verdict = await self._run(lambda text=text: self.guard.output(text), len(text))  # type: ignore[misc]
                self._weigh(verdict, "answer")
                holder[name] = verdict.texts[0]
        return answer

    async def chunk(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        """Return what may be passed on of a chunk; None where all of it waits.

        Raises:
            BlockedError: a rule blocks the answer.
        """
        passed, kept = False, False
        for choice in choices_of(chunk):
            ends = bool(choice.get("finish_reason"))
            index = choice.get("index")
            for holder, name, part in _spoken(choice):
                stream, text = self._stream((index, *part)), holder[name]
                holder[name] = await self._run(lambda s=stream, t=text: self._fed(s, t), len(text))  # type: ignore[misc]
                passed, kept = passed or bool(holder[name]), True
            if ends:
                await self._finish(index, choice)
                passed = True
        return None if kept and not passed and not chunk.get("usage") else chunk

    async def rest(self) -> list[tuple[Any, str]]:
        """Return what was held back of streams that ended without saying so: (choice, text)."""
        found = []
        for key in list(self._streams):
            stream = self._streams.pop(key)
            text = await self._run(lambda s=stream: self._ended(s), _LONG * self._judged)  # type: ignore[misc]
            if text and key[1] in ("content", "text"):
                found.append((key[0], text))
        return found

    def written(self) -> str | None:
        """Return what was done, as the ledger keeps it: what was scanned, and what was found."""
        scanned = {
            "policy": self.guard.policy.name,
            "scanned": {where.value: self.guard.scans(where) for where in (Where.INPUT, Where.OUTPUT)},
            **({"judged_by": self._about.by} if self._about.by else {}),
        }
        for stream in self._streams.values():
            self._note(stream)
        return json.dumps([scanned, *(item.as_dict() for item in self.findings)])

    async def _finish(self, index: Any, choice: dict[str, Any]) -> None:
        """Add to a choice's last chunk what was held back of its texts."""
        for key in [key for key in self._streams if key[0] == index]:
            stream = self._streams.pop(key)
            text = await self._run(lambda s=stream: self._ended(s), _LONG * self._judged)  # type: ignore[misc]
            if text:
                _add(choice, key[1:], text)

    def _stream(self, key: tuple[Any, ...]) -> StreamGuard:
        if key not in self._streams:
            self._streams[key] = self.guard.stream()
        return self._streams[key]

    def _fed(self, stream: StreamGuard, text: str) -> str:
        try:
            return stream.feed(text)
        except BlockedError:
            self._note(stream)
            raise

    def _ended(self, stream: StreamGuard) -> str:
        try:
            return stream.end()
        finally:
            self._note(stream)

    def _note(self, stream: StreamGuard) -> None:
        self.findings += stream.findings
        stream.counts.clear()

    def _weigh(self, verdict: Verdict, what: str) -> None:
        self.findings += verdict.findings
        if verdict.blocked:
            names = ", ".join(
                sorted({_named(item) for item in verdict.findings if item.action == "block" or item.fault})
            )
            raise BlockedError(
                f"The {what} was blocked by the guardrails {self.guard.policy.name} ({names}).",
                fix="Take out what they name and ask again.", findings=verdict.findings,
            )  # fmt: skip

    async def _run(self, work: Callable[[], T], size: int) -> T:
        """Do it here, or in a thread where it takes long."""
        if self._judged:
            return await self._judges.run(self._about, work)
        if size >= _LONG:
            return await asyncio.to_thread(work)
        return work()


def _named(item: Finding) -> str:
    return f"{item.detector}, which failed" if item.fault else item.detector


def _asked(body: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Return every text of a request and the path to it: messages, their parts, tool calls and results, prompts, inputs."""
    for field in ("messages", "prompt", "input", "suffix", "tools", "functions", "prediction"):
        if field in body:
            yield from _texts(body[field], [field])


_FORM = {"role", "type", "id", "tool_call_id", "detail", "format"}


def _texts(value: Any, path: list[Any], depth: int = 0) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(value, str):
        yield value, path
    elif isinstance(value, list) and depth < 40:
        for index, item in enumerate(value):
            yield from _texts(item, [*path, index], depth + 1)
    elif isinstance(value, dict) and depth < 40:
        for name, item in value.items():
            if name not in _FORM:
                yield from _texts(item, [*path, name], depth + 1)


def _put(made: Any, path: list[Any], text: str) -> None:
    for step in path[:-1]:
        made = made[step]
    made[path[-1]] = text


def _spoken(choice: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, tuple[Any, ...]]]:
    """Return where a choice holds texts: the object, the field, and which text of the choice it goes on with."""
    if isinstance(choice.get("text"), str):
        yield choice, "text", ("text",)
    for part in ("message", "delta"):
        said = choice.get(part)
        if not isinstance(said, dict):
            continue
        for name in _SPOKEN:
            if isinstance(said.get(name), str):
                yield said, name, (name,)
        calls = said.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict) and isinstance(function.get("arguments"), str):
                yield function, "arguments", ("arguments", call.get("index", 0))


def _add(choice: dict[str, Any], key: tuple[Any, ...], text: str) -> None:
    """Add a text to a chunk's choice, where its kind belongs."""
    if key[0] == "text":
        choice["text"] = (choice.get("text") or "") + text
        return
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        delta = choice["delta"] = {}
    if key[0] != "arguments":
        delta[key[0]] = (delta.get(key[0]) or "") + text
        return
    calls = delta.setdefault("tool_calls", [])
    for call in calls:
        if call.get("index", 0) == key[1]:
            call["function"]["arguments"] += text
            return
    calls.append({"index": key[1], "function": {"arguments": text}})
