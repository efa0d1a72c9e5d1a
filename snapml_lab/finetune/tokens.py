"""From chat records to tokens, with a mark on what is learnt: the assistant's answers, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from snapml_lab.errors import InvalidInputError
from snapml_lab.finetune.records import Record


@dataclass(frozen=True)
class Tokens:
    """One record. ``learnt[i]`` says whether token ``ids[i]`` is part of an answer; both of the same length."""

    ids: list[int]
    learnt: list[bool]


def encode(record: Record, tokenizer: Any, longest: int) -> Tokens:
    """Render a record by the model's chat template and mark its answers.

    An answer's tokens are those the template adds when the assistant's turn is appended to the turns before it with
    the generation prompt; so the end-of-turn token is learnt and the prompt is not.

    Raises:
        InvalidInputError: it is longer than ``longest`` tokens, or the template rewrites earlier turns.
    """
    turns = [{"role": message.role, "content": message.content} for message in record.messages]
    ids: list[int] = []
    learnt: list[bool] = []
    for index, turn in enumerate(turns):
        if turn["role"] != "assistant":
            continue
        prompt = _render(tokenizer, turns[:index], prompt=True)
        whole = _render(tokenizer, turns[: index + 1], prompt=False)
        if whole[: len(prompt)] != prompt or prompt[: len(ids)] != ids:
            raise InvalidInputError(
                f"data: line {record.line}: the chat template changes earlier turns, so answers cannot be told apart.",
                fix="Use records of one question and one answer.",
            )
        learnt += [False] * (len(prompt) - len(ids)) + [True] * (len(whole) - len(prompt))
        ids = whole
    if len(ids) > longest:
        raise InvalidInputError(
            f"data: line {record.line}: {len(ids)} tokens, longer than {longest}.",
            fix="Shorten or split it, or raise --max-length up to the model's context.",
        )
    return Tokens(ids, learnt)


def pieces(tokens: Tokens, tokenizer: Any) -> list[tuple[bool, str]]:
    """Return the record as text in pieces, each with whether it is learnt."""
    found: list[tuple[bool, str]] = []
    start = 0
    for stop in range(1, len(tokens.ids) + 1):
        if stop == len(tokens.ids) or tokens.learnt[stop] != tokens.learnt[start]:
            found.append((tokens.learnt[start], tokenizer.decode(tokens.ids[start:stop])))
            start = stop
    return found


def _render(tokenizer: Any, turns: Sequence[dict[str, str]], *, prompt: bool) -> list[int]:
    found = tokenizer.apply_chat_template(
        list(turns), add_generation_prompt=prompt, tokenize=True, return_dict=False
    )
    return [int(token) for token in found]
