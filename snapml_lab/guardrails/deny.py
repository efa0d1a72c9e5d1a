"""Words and regular expressions nobody wants to see, in time linear in the text whatever the expression."""

from collections.abc import Sequence

from snapml_lab.errors import InvalidInputError
from snapml_lab.guardrails.automaton import LONGEST, Automaton, Expression
from snapml_lab.guardrails.folding import fold, skeleton

_MOST = 10_000


class Deny:
    """Scans for one list: words as whole words among look-alikes, or expressions; case counts not."""

    label = "denied"
    reach = LONGEST + 1

    def __init__(self, expressions: Sequence[Expression], *, alike: bool) -> None:
        self.skeleton = alike
        self.automaton = Automaton(expressions)

    def next(self, text: str, start: int, before: int) -> tuple[int, int, int] | None:
        """Return the first match that starts in a part: where it starts, and the span."""
        found = self.automaton.search(text, start, before)
        return None if found is None else (found[0], *found)


def scanners(words: Sequence[str], expressions: Sequence[str]) -> list[Deny]:
    """Return what scans for words and for regular expressions.

    Raises:
        InvalidInputError: there are none, too many, or one cannot be taken.
    """
    if not words and not expressions:
        raise InvalidInputError.of("deny", "nothing", "words or expressions", "Give words, or expressions.")
    if len(words) + len(expressions) > _MOST:
        raise InvalidInputError.of("deny", f"{len(words) + len(expressions)} words", f"at most {_MOST}")
    made = []
    if words:
        folded = [skeleton(fold(word.strip()).text) for word in words]
        if wrong := [word for word, text in zip(words, folded, strict=True) if not 0 < len(text) <= LONGEST]:
            raise InvalidInputError.of("deny", wrong[0], f"a word or phrase of 1 to {LONGEST} characters")
        made.append(Deny([Expression(word, literal=True) for word in sorted(set(folded))], alike=True))
    if expressions:
        if wrong := [source for source in expressions if not 0 < len(source) <= 1000]:
            raise InvalidInputError.of("deny", wrong[0], "an expression of 1 to 1000 characters")
        made.append(Deny([Expression(source, any_case=True) for source in expressions], alike=False))
    return made
