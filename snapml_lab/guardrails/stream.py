"""A stream of text through the rules: what may go on goes on at once, what may become a match waits until it is decided.

A position is decided when no rule's match can start there any more, or the match that does has its end: then nothing that
follows changes what becomes of it. So the pieces a text comes in do not matter, and no byte of a match is let go.
"""

import bisect
from collections import Counter
from dataclasses import dataclass, field

from snapml_lab.errors import BlockedError
from snapml_lab.guardrails.automaton import Automaton, State
from snapml_lab.guardrails.folding import fold, skeleton
from snapml_lab.guardrails.policies import Rule, Where
from snapml_lab.guardrails.shapes import Scanner
from snapml_lab.guardrails.verdict import Finding
from snapml_lab.guardrails.whole import Check

_CONTEXT = 64
_TRIMMED = 2048


@dataclass(frozen=True)
class Watch:
    """What says whether a text's end may become a match; ``reach``: what starts further back is decided."""

    automaton: Automaton
    reach: int
    skeleton: bool


@dataclass(frozen=True)
class Plan:
    """A policy's rules of the input, or of the output, made ready.

    Attributes:
        scanners: the rule's name, the rule, the single detector, and what scans for it.
        holding: watches over what is masked or blocked.
        flagging: watches over what is only flagged, for which nothing waits.
        checks: the rule's name, the rule, and the check of the whole.
    """

    where: Where
    scanners: list[tuple[str, Rule, str, Scanner]]
    holding: list[Watch]
    flagging: list[Watch]
    checks: list[tuple[str, Rule, Check]]


@dataclass
class _Place:
    """How far a watch is: the first position that may still start a match, and its state so far."""

    watch: Watch
    at: int = 0
    state: State | None = None
    read: int = 0

    def advance(self, text: str) -> int:
        """Return the first position of a text that is not decided yet."""
        least = len(text) - self.watch.reach + 1
        if self.at < least:
            self.at, self.state = least, None
        automaton = self.watch.automaton
        while self.at < len(text):
            if self.state is None:
                self.state, self.read = automaton.begin(text[self.at - 1] if self.at else ""), self.at
            state = self.state
            while self.read < len(text) and state.nodes:
                state, _ = automaton.step(state, text[self.read])
                self.read += 1
            self.state = state
            if state.nodes:
                break
            self.at, self.state = self.at + 1, None
        return self.at


@dataclass
class _Text:
    """What is kept of a text: as it came, as it is read, and where each character that is read comes from."""

    raw: str = ""
    read: str = ""
    origins: list[int] | None = None
    _skeleton: str = ""

    def add(self, piece: str) -> None:
        folded = fold(piece)
        if folded.origins is not None or self.origins is not None:
            if self.origins is None:
                self.origins = list(range(len(self.read)))
            more = folded.origins if folded.origins is not None else range(len(piece))
            self.origins += [len(self.raw) + origin for origin in more]
        self.raw += piece
        self.read += folded.text

    @property
    def skeleton(self) -> str:
        if len(self._skeleton) < len(self.read):
            self._skeleton += skeleton(self.read[len(self._skeleton) :])
        return self._skeleton

    def start(self, index: int) -> int:
        """Return where a character that is read starts as it came."""
        if index >= len(self.read):
            return len(self.raw)
        return index if self.origins is None else self.origins[index]

    def end(self, index: int) -> int:
        """Return where what is read up to a character ends as it came."""
        return index if self.origins is None else self.origins[index - 1] + 1

    def cut(self, index: int) -> int:
        """Forget what was before a character; return how much of what came that was."""
        gone = self.start(index)
        self.raw, self.read, self._skeleton = self.raw[gone:], self.read[index:], self.skeleton[index:]
        if self.origins is not None:
            self.origins = [origin - gone for origin in self.origins[index:]]
        return gone


@dataclass
class StreamGuard:
    """One text on its way; see :class:`snapml_lab.guardrails.guard.Guard`."""

    plan: Plan
    counts: Counter[Finding] = field(default_factory=Counter)
    blocked: bool = False

    def __post_init__(self) -> None:
        self._text = _Text()
        self._holding = [_Place(watch) for watch in self.plan.holding]
        self._flagging = [_Place(watch) for watch in self.plan.flagging]
        self._done = [0] * len(self.plan.scanners)
        self._spans: list[tuple[int, int, int, str]] = []
        self._sent = 0
        self._judged = ""
        self._kept: list[str] = []
        self._open = list(range(len(self.plan.checks)))
        self._lenient = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found so far."""
        return tuple(
            Finding(found.detector, found.rule, found.action, count, found.where, found.fault)
            for found, count in self.counts.items()
        )

    def feed(self, text: str) -> str:
        """Take a piece and return what may go on now.

        Raises:
            BlockedError: a rule blocks; nothing goes on from here.
        """
        self._refuse()
        self._text.add(text)
        return self._through(final=False)

    def end(self) -> str:
        """Return the rest, for nothing follows.

        Raises:
            BlockedError: a rule blocks.
        """
        self._refuse()
        return self._through(final=True)

    def whole(self, text: str) -> str:
        """Take all at once, find all there is, and return what may go on: nothing where it is blocked."""
        self._lenient = True
        self._text.add(text)
        passed = self._through(final=True)
        return "" if self.blocked else passed

    def _refuse(self) -> None:
        if self.blocked:
            told = "; ".join(found.sentence() for found in self.findings if found.action == "block")
            raise BlockedError(
                f"The {self.plan.where} was blocked by the guardrails: {told}.",
                fix="Leave out what they name, or have the policy changed: snapml guardrails list",
                findings=self.findings,
            )

    def _through(self, *, final: bool) -> str:
        text = self._text
        size = len(text.read)
        held = size if final else self._edge(self._holding, size)
        seen = size if final else self._edge(self._flagging, size)
        for number, (name, rule, detector, scanner) in enumerate(self.plan.scanners):
            try:
                self._scan(number, name, rule, detector, scanner, seen if rule.action == "flag" else held)
            except Exception as error:  # a detector that fails lets nothing pass
                self._fault(name, detector, error)
        self._settle()
        passed = self._check(self._masked(held), final=final)
        self._settle()
        if self._sent > _TRIMMED:
            self._trim(min(held, seen))
        return passed

    def _edge(self, places: list[_Place], size: int) -> int:
        return min(
            (
                place.advance(self._text.skeleton if place.watch.skeleton else self._text.read)
                for place in places
            ),
            default=size,
        )

    def _scan(self, number: int, name: str, rule: Rule, detector: str, scanner: Scanner, before: int) -> None:
        text = self._text.skeleton if scanner.skeleton else self._text.read
        while self._done[number] < before:
            found = scanner.next(text, self._done[number], before)
            if found is None:
                self._done[number] = before
                return
            _, start, end = found
            self._done[number] = end
            self._count(name, rule, detector)
            if rule.action == "mask":
                bisect.insort(self._spans, (start, end, number, scanner.label))

    def _count(self, name: str, rule: Rule, detector: str) -> None:
        self.counts[Finding(detector, name, str(rule.action), 0, str(self.plan.where))] += 1
        self.blocked |= rule.action == "block"

    def _fault(self, name: str, detector: str, error: Exception) -> None:
        self.counts[Finding(detector, name, "block", 0, str(self.plan.where), type(error).__name__)] += 1
        self.blocked = True

    def _settle(self) -> None:
        if self.blocked and not self._lenient:
            self._refuse()

    def _masked(self, before: int) -> str:
        """Return what is decided and was not sent yet, with masks where something was found."""
        text, parts = self._text, []
        while self._spans and self._spans[0][0] < before:
            start, end, first, label = self._spans[0]
            many = 1
            while many < len(self._spans) and self._spans[many][0] < end:
                end = max(end, self._spans[many][1])
                first, label = min((first, label), self._spans[many][2:])
                many += 1
            if end > before:
                before = start  # what overlaps it may still come
                break
            parts += [text.raw[self._sent : text.start(start)], f"[{label} redacted]"]
            self._sent = text.end(end)
            del self._spans[:many]
        stop = text.start(before)
        if stop > self._sent:
            parts.append(text.raw[self._sent : stop])
            self._sent = stop
        return "".join(parts)

    def _check(self, piece: str, *, final: bool) -> str:
        """Pass a piece by the checks of the whole, which keep it where they must."""
        if not self.plan.checks:
            return piece
        self._kept.append(piece)
        if self._open:
            self._judged += piece
        hold = False
        for number in list(self._open):
            name, rule, check = self.plan.checks[number]
            try:
                broken = check.judge(self._judged, final=final)
            except Exception as error:  # a check that fails lets nothing pass
                self._fault(name, rule.detector, error)
                broken = False
            if broken is not None:
                self._open.remove(number)
            if broken:
                self._count(name, rule, rule.detector)
            unsure = check.holds is None or len(self._judged) < check.holds
            hold |= broken is None and rule.action == "block" and unsure
        if hold and not final:
            return ""
        passed, self._kept = "".join(self._kept), []
        return passed

    def _trim(self, decided: int) -> None:
        """Forget what is sent and decided, but for a little that is looked back at."""
        text = self._text
        spans = min((span[0] for span in self._spans), default=decided)
        cut = min([decided, spans, *self._done, len(text.read)]) - _CONTEXT
        while cut > 0 and text.start(cut) > self._sent:
            cut -= 1
        if cut <= 0:
            return
        self._sent -= text.cut(cut)
        self._done = [done - cut for done in self._done]
        self._spans = [(start - cut, end - cut, number, label) for start, end, number, label in self._spans]
        for place in (*self._holding, *self._flagging):
            place.at -= cut
            place.read -= cut
