"""A shape: what a detector looks for, as one bounded regular expression and a check of what it found."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from snapml_lab.guardrails.automaton import Automaton, Expression

Check = Callable[[str, int, int], tuple[int, int] | None]
"""Takes the folded text and a match in it; returns what of it is meant, or None."""


class Scanner(Protocol):
    """What finds spans in a folded text; ``reach``: characters from where a match may start to where that is decided."""

    label: str
    skeleton: bool
    reach: int

    def next(self, text: str, start: int, before: int) -> tuple[int, int, int] | None:
        """Return the first match that starts in a part: where it starts, and the span that is meant."""


@dataclass(frozen=True)
class Shape:
    """What one kind of thing looks like.

    Attributes:
        label: what is put in its place.
        source: the expression, of what :mod:`snapml_lab.guardrails.automaton` takes; group ``v`` is what is meant of it.
        reach: characters of a match and its surroundings at most; what is held back of a stream is no more.
        needs: one of these is in every match: a quick look.
        check: looks at what was found.
        any_case: whether case counts not.
        skeleton: whether it is looked for among look-alikes, too.
    """

    label: str
    source: str
    reach: int
    needs: tuple[str, ...] = ()
    check: Check | None = None
    any_case: bool = False
    skeleton: bool = False

    def next(self, text: str, start: int, before: int) -> tuple[int, int, int] | None:
        """Return the first match that starts in a part: where it starts, and the span that is meant."""
        if self.needs and not any(text.find(word, start) >= 0 for word in self.needs):
            return None
        expression = _compiled(self.source, self.any_case)
        while (match := expression.search(text, start)) is not None and match.start() < before:
            place = match.span("v") if "v" in expression.groupindex else match.span()
            meant = self.check(text, *place) if self.check else place
            if meant is not None:
                return match.start(), *meant
            start = match.start() + 1
        return None


@functools.cache
def _compiled(source: str, any_case: bool) -> re.Pattern[str]:
    return re.compile(source, re.IGNORECASE if any_case else 0)


@functools.cache
def watching(shapes: tuple[Shape, ...]) -> Automaton:
    """Return what says of a text's end whether one of them may still match there."""
    return Automaton((Expression(shape.source, shape.any_case) for shape in shapes), loose=True)
