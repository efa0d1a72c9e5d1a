"""Chat records as JSONL: ``{"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}]}``.

Standard library only: a file is checked before anything large is imported.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from snapml_lab.errors import InvalidInputError

_LEAST = 10


@dataclass(frozen=True)
class Message:
    """One turn; ``role`` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class Record:
    """A conversation that ends with the assistant; ``line`` is where it stands in its file, from 1."""

    line: int
    messages: tuple[Message, ...]


def read(path: Path, *, least: int = _LEAST) -> list[Record]:
    """Read and check all records of a file.

    Raises:
        InvalidInputError: naming the line and what is wrong with it, or that there are too few records.
    """
    try:
        lines = path.read_text("utf-8").split(
            "\n"
        )  # a line of JSON may hold what else ends a line in Unicode
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"data: {path.name} is not UTF-8: {error}.", fix="Save it as UTF-8."
        ) from error
    records = [parse(line, number, path.name) for number, line in enumerate(lines, 1) if line.strip()]
    if len(records) < least:
        raise InvalidInputError.of("data", f"{len(records)} records in {path.name}", f"at least {least}")
    return records


def parse(line: str, number: int, name: str) -> Record:
    """Read one line.

    Raises:
        InvalidInputError: it is not a chat record whose last turn is an answer.
    """
    where = f"data: {name}, line {number}"
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"{where}: not JSON: {error}.", fix="Write one JSON object a line."
        ) from error
    turns = content.get("messages") if isinstance(content, dict) else None
    if not isinstance(turns, list) or not turns:
        raise InvalidInputError(
            f"{where}: it has no messages.", fix='Write {"messages": [{"role": …, "content": …}, …]}.'
        )
    messages: list[Message] = []
    for index, turn in enumerate(turns):
        role, text = (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (None, None)
        if not isinstance(role, str) or not isinstance(text, str):
            raise InvalidInputError(
                f"{where}: message {index + 1} lacks a role or text.",
                fix="Give each a role and a content of text.",
            )
        if not _whole(text):
            raise InvalidInputError(
                f"{where}: message {index + 1} holds half of a surrogate pair.", fix="Write whole characters."
            )
        _check_turn(where, messages, role, text)
        messages.append(Message(role, text))
    if messages[-1].role != "assistant":
        raise InvalidInputError(
            f"{where}: its last message is the {messages[-1].role}'s.",
            fix="End each record with the assistant's answer.",
        )
    return Record(number, tuple(messages))


def _whole(text: str) -> bool:
    """Say whether a text can be written as UTF-8; JSON may hold half of a surrogate pair (RFC 8259, section 8.2)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_turn(where: str, before: list[Message], role: str, text: str) -> None:
    last = before[-1].role if before else None
    allowed = {None: ("system", "user"), "system": ("user",), "user": ("assistant",), "assistant": ("user",)}[
        last
    ]
    if role not in allowed:
        raise InvalidInputError(
            f"{where}: roles out of order: {role!r} after {last or 'the beginning'}.",
            fix=f"There comes {' or '.join(allowed)}.",
        )
    if role == "assistant" and not text.strip():
        raise InvalidInputError(
            f"{where}: an empty answer.", fix="Write the answer, or leave the record out."
        )
