r"""Regular expressions as an automaton: linear in the text whatever the expression, and able to say "this may still match".

The expressions are a part of Python's: literals, classes, groups, alternatives, repeats, ``\b``; a class that must not
come before the start, and classes that must not come next. Sets of states are made when first met and kept. Sources: Thompson,
"Regular Expression Search Algorithm", CACM 11 (1968); Cox, "Regular Expression Matching Can Be Simple And Fast" (2007).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from snapml_lab.errors import InvalidInputError

LONGEST = 256
"""Characters of a match at most: what is held back of a stream is no more."""
_MOST_NODES = 60_000
_MOST_MOVES = 200_000
_DEEPEST = 40
_LOOSE = 48
"""A repeat beyond this is followed without counting where it is only asked what may still match."""

_KINDS: dict[str, Callable[[str], bool]] = {
    "d": str.isdecimal,
    "s": str.isspace,
    "w": lambda c: c.isalnum() or c == "_",
}
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0", "a": "\a"}


@dataclass(frozen=True)
class Chars:
    """A set of characters."""

    singles: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    kinds: tuple[str, ...] = ()
    negated: bool = False
    any_case: bool = False

    def has(self, character: str) -> bool:
        """Say whether a character is one of them."""
        forms = {character, character.lower(), character.upper()} if self.any_case else (character,)
        return any(self._one(form) for form in forms) is not self.negated

    def _one(self, character: str) -> bool:
        return (
            character in self.singles
            or any(low <= character <= high for low, high in self.ranges)
            or any(_KINDS[kind.lower()](character) is kind.islower() for kind in self.kinds)
        )


class Node(NamedTuple):
    r"""A state: ``chars`` consumes one, ``not`` looks at the next, ``edge`` and ``inside`` are ``\b`` and ``\\B``."""

    kind: str
    chars: Chars | None
    to: tuple[int, ...]


@dataclass(eq=False)
class State:
    """A set of nodes the automaton may be in, after a character that was, or was not, one of a word."""

    nodes: frozenset[int]
    word: bool
    moves: dict[str, tuple["State", bool]] = field(default_factory=dict)
    ends: bool | None = None


class Expression(NamedTuple):
    """What to match: its source, whether case counts not, and whether it is taken letter for letter."""

    source: str
    any_case: bool = False
    literal: bool = False


class Automaton:
    """One or more expressions, matched together.

    Args:
        expressions: what to match.
        loose: only ask it what may still match: long repeats are not counted.

    Raises:
        InvalidInputError: an expression is none, or uses what is not taken here.
    """

    def __init__(self, expressions: Iterable[Expression], *, loose: bool = False) -> None:
        self.nodes: list[Node] = [Node("accept", None, ())]
        self._starts: list[tuple[Chars | None, int]] = []
        for expression in expressions:
            self._starts.append(_Parser(self.nodes, expression, loose=loose).start())
        self._states: dict[tuple[frozenset[int], bool], State] = {}
        self._begun: dict[str, State] = {}
        self._kept = 0
        self.first = self._first()

    def begin(self, before: str) -> State:
        """Return the state at a start; ``before`` is the character before it, or ""."""
        state = self._begun.get(before)
        if state is None:
            nodes = frozenset(
                start for chars, start in self._starts if not (before and chars and chars.has(before))
            )
            state = self._begun[before] = self._state(nodes, bool(before) and _KINDS["w"](before))
        return state

    def step(self, state: State, character: str) -> tuple[State, bool]:
        """Consume a character; return the state after it, and whether a match ended before it."""
        found = state.moves.get(character)
        if found is None:
            reached = self._closure(state, character)
            following = frozenset(
                node.to[0]
                for node in (self.nodes[index] for index in reached)
                if node.kind == "chars" and node.chars is not None and node.chars.has(character)
            )
            found = self._state(following, _KINDS["w"](character)), 0 in reached
            self._kept += 1
            if self._kept > _MOST_MOVES:
                self._states, self._begun, self._kept = {}, {}, 0
            state.moves[character] = found
        return found

    def ends(self, state: State) -> bool:
        """Say whether a match ends where the text does."""
        if state.ends is None:
            state.ends = 0 in self._closure(state, "")
        return state.ends

    def longest(self, text: str, start: int) -> int | None:
        """Return where the longest match at ``start`` ends, of :data:`LONGEST` characters at most; empty ones are none."""
        state = self.begin(text[start - 1] if start else "")
        best, stop = None, min(len(text), start + LONGEST)
        for index in range(start, stop):
            state, ended = self.step(state, text[index])
            if ended and index > start:
                best = index
            if not state.nodes:
                return best
        ended = self.step(state, text[stop])[1] if stop < len(text) else self.ends(state)
        return stop if ended and stop > start else best

    def search(self, text: str, start: int, before: int) -> tuple[int, int] | None:
        """Return the first match that starts in a part of the text."""
        if self.first is None:
            places: Iterable[int] = range(start, min(before, len(text)))
        else:
            places = (match.start() for match in self.first.finditer(text, start))
        for place in places:
            if place >= before:
                return None
            if (end := self.longest(text, place)) is not None:
                return place, end
        return None

    def _state(self, nodes: frozenset[int], word: bool) -> State:
        key = nodes, word
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = State(nodes, word)
        return state

    def _closure(self, state: State, following: str) -> set[int]:
        """Return what is reached without consuming; ``following`` is the next character, "" at the end."""
        edge = state.word is not (bool(following) and _KINDS["w"](following))
        reached: set[int] = set()
        todo = list(state.nodes)
        while todo:
            index = todo.pop()
            if index in reached:
                continue
            reached.add(index)
            node = self.nodes[index]
            match node.kind:
                case "split":
                    todo += node.to
                case "edge" if edge:
                    todo += node.to
                case "inside" if not edge:
                    todo += node.to
                case "not" if not (following and node.chars and node.chars.has(following)):
                    todo += node.to
        return reached

    def _first(self) -> re.Pattern[str] | None:
        """Return what a match may begin with, where that is a few characters."""
        reached: set[int] = set()
        todo = [start for _, start in self._starts]
        letters: set[str] = set()
        while todo:
            index = todo.pop()
            if index in reached:
                continue
            reached.add(index)
            node = self.nodes[index]
            if node.kind != "chars":
                todo += node.to
            elif node.chars is None or node.chars.ranges or node.chars.kinds or node.chars.negated:
                return None
            else:
                for letter in node.chars.singles:
                    letters |= {letter, letter.lower(), letter.upper()} if node.chars.any_case else {letter}
        if not letters or any(len(letter) != 1 for letter in letters):
            return None
        return re.compile("[" + "".join(map(re.escape, sorted(letters))) + "]")


class _Parser:
    """Reads one expression into nodes, from its end to its beginning within each part."""

    def __init__(self, nodes: list[Node], expression: Expression, *, loose: bool) -> None:
        self.nodes, self.source, self.any_case, self.loose = (
            nodes,
            expression.source,
            expression.any_case,
            loose,
        )
        self.literal = expression.literal
        self.at = 0
        self.depth = 0

    def start(self) -> tuple[Chars | None, int]:
        """Return what must not come before, and the first node."""
        if self.literal:
            return None, self._lay([("chars", self._single(c)) for c in self.source], 0)
        before = None
        if self._taken("(?<!"):
            before = self._class_or_single()
            self._expect(")")
        tree = self._alternatives()
        if self.at < len(self.source):
            raise self._wrong("an end")
        return before, self._build(tree, 0)

    def _alternatives(self) -> tuple:  # type: ignore[type-arg]  # a tree: ("or", parts), ("seq", parts), …
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._wrong(f"groups in no more than {_DEEPEST} groups")
        parts = [self._sequence()]
        while self._taken("|"):
            parts.append(self._sequence())
        self.depth -= 1
        return ("or", parts) if len(parts) > 1 else parts[0]

    def _sequence(self) -> tuple:  # type: ignore[type-arg]
        parts = []
        while self.at < len(self.source) and self.source[self.at] not in "|)":
            part = self._atom()
            parts.append(self._repeated(part))
        return "seq", parts

    def _repeated(self, part: tuple) -> tuple:  # type: ignore[type-arg]
        found = re.compile(r"[*+?]|\{(\d+)(,?)(\d*)\}").match(self.source, self.at)
        if found is None:
            return part
        if part[0] not in ("chars", "seq", "or"):
            raise self._wrong("something to repeat")
        self.at = found.end()
        if self.source[self.at : self.at + 1] in ("?", "+"):
            self.at += 1
        if self.source[self.at : self.at + 1] and self.source[self.at] in "*+?{":
            raise self._wrong("one repeat of a part")
        if found[0] in "*+?":
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[found[0]]
        else:
            low = int(found[1])
            high = int(found[3]) if found[3] else (None if found[2] else low)
        if high is not None and high < low:
            raise self._wrong("a repeat from less to more")
        if self.loose:
            high = None if high is not None and high > _LOOSE else high
            low = min(low, _LOOSE)
        if max(low, high or 0) > LONGEST:
            raise self._wrong(f"repeats of at most {LONGEST}")
        return "repeat", part, low, high

    def _atom(self) -> tuple:  # type: ignore[type-arg]
        if self._taken("(?!"):
            chars = self._class_or_single()
            self._expect(")")
            return "not", chars
        if self.source.startswith("(?", self.at):
            named = re.compile(r"\(\?(?::|P<\w+>)").match(self.source, self.at)
            if named is None:
                raise self._wrong("groups without look-around, flags or back-references")
            self.at = named.end()
            tree = self._alternatives()
            self._expect(")")
            return tree
        if self._taken("("):
            tree = self._alternatives()
            self._expect(")")
            return tree
        character = self.source[self.at]
        if character in "*+?{" and not (character == "{" and not re.match(r"\{\d", self.source[self.at :])):
            raise self._wrong("something to repeat")
        if character in "^$":
            raise self._wrong("no ^ or $, for a text may come in parts")
        if self.source.startswith((r"\b", r"\B"), self.at):
            self.at += 2
            return ("edge" if self.source[self.at - 1] == "b" else "inside"), None
        return "chars", self._class_or_single()

    def _class_or_single(self) -> Chars:
        if self.at >= len(self.source):
            raise self._wrong("a character")
        if self._taken("["):
            return self._class()
        if self._taken("."):
            return Chars(singles=frozenset("\n"), negated=True)
        kind, letter = self._letter()
        return Chars(kinds=(kind,)) if kind else self._single(letter)

    def _single(self, letter: str) -> Chars:
        return Chars(singles=frozenset(letter), any_case=self.any_case)

    def _class(self) -> Chars:
        negated = self._taken("^")
        singles: set[str] = set()
        ranges: list[tuple[str, str]] = []
        kinds: list[str] = []
        first = True
        while first or not self.source.startswith("]", self.at):
            first = False
            kind, low = self._letter()
            if kind:
                kinds.append(kind)
            elif self.source.startswith("-", self.at) and self.source[self.at + 1 : self.at + 2] not in (
                "]",
                "",
            ):
                self.at += 1
                kind, high = self._letter()
                if kind or high < low:
                    raise self._wrong("a range from a lower to a higher character")
                ranges.append((low, high))
            else:
                singles.add(low)
        self.at += 1
        return Chars(frozenset(singles), tuple(ranges), tuple(kinds), negated, self.any_case)

    def _letter(self) -> tuple[str, str]:
        """Take one character, or the name of a kind of them."""
        if self.at >= len(self.source):
            raise self._wrong("an end of the class")
        character = self.source[self.at]
        self.at += 1
        if character != "\\":
            return "", character
        if self.at >= len(self.source):
            raise self._wrong("a character after the backslash")
        character = self.source[self.at]
        self.at += 1
        if character in "dswDSW":
            return character, ""
        if character in "xu":
            digits = re.compile(r"[0-9a-fA-F]{2}" if character == "x" else r"[0-9a-fA-F]{4}").match(
                self.source, self.at
            )
            if digits is None:
                raise self._wrong("hexadecimal digits")
            self.at = digits.end()
            return "", chr(int(digits[0], 16))
        if character in _PLAIN:
            return "", _PLAIN[character]
        if character.isalnum():
            raise self._wrong("an escape that is taken here (no back-references, no anchors)")
        return "", character

    def _build(self, tree: tuple, to: int) -> int:  # type: ignore[type-arg]
        match tree:
            case ("seq", parts):
                for part in reversed(parts):
                    to = self._build(part, to)
                return to
            case ("or", parts):
                return self._add(Node("split", None, tuple(self._build(part, to) for part in parts)))
            case ("repeat", part, low, high):
                return self._build_repeat(part, low, high, to)
            case (kind, chars):
                return self._add(Node(kind, chars, (to,)))
        raise AssertionError(tree)

    def _build_repeat(self, part: tuple, low: int, high: int | None, to: int) -> int:  # type: ignore[type-arg]
        if high is None:
            loop = self._add(Node("split", None, ()))
            again = self._build(part, loop)
            self.nodes[loop] = Node("split", None, (again, to))
            to = loop
        else:
            end = to
            for _ in range(high - low):
                to = self._add(Node("split", None, (self._build(part, to), end)))
        for _ in range(low):
            to = self._build(part, to)
        return to

    def _lay(self, parts: Sequence[tuple[str, Chars]], to: int) -> int:
        """Lay a literal with the edges of words where it begins and ends with one's character."""
        word = _KINDS["w"]
        if self.source and word(self.source[-1]):
            to = self._add(Node("edge", None, (to,)))
        for kind, chars in reversed(parts):
            to = self._add(Node(kind, chars, (to,)))
        return self._add(Node("edge", None, (to,))) if self.source and word(self.source[0]) else to

    def _add(self, node: Node) -> int:
        if len(self.nodes) >= _MOST_NODES:
            raise self._wrong("fewer or shorter expressions, taken together")
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _taken(self, words: str) -> bool:
        if self.source.startswith(words, self.at):
            self.at += len(words)
            return True
        return False

    def _expect(self, words: str) -> None:
        if not self._taken(words):
            raise self._wrong(repr(words))

    def _wrong(self, expected: str) -> InvalidInputError:
        return InvalidInputError.of(
            "regular expression", self.source, f"{expected} at character {self.at + 1}",
            "Write it with literals, classes, groups, alternatives and repeats.",
        )  # fmt: skip
