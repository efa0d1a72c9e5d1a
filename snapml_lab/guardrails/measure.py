"""How good a detector is: precision and recall on labelled texts, with intervals.

The set of our own, ``labelled.jsonl``, has 544 texts, 48 to 73 a detector, about half of them with what it looks for and half
without, but near it. Sentences were written for it; card numbers, IBANs, keys and the like were drawn at random (one fixed seed)
and given right check digits, so they are nobody's. A part is written in ways that the detectors were not made for (other
separators, other words, other makers' tokens): what they miss is in the figures. It is small, and not a sample of anybody's
traffic: measure on texts of your own. Texts are in parts, put together when read, so that no scanner takes one for a secret.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from snapml_lab.errors import InvalidInputError
from snapml_lab.guardrails.detectors import DETECTORS
from snapml_lab.guardrails.guard import Guard
from snapml_lab.guardrails.policies import Action, Policy, Rule, Where
from snapml_lab.guardrails.whole import Ask
from snapml_lab.stats import wilson

OWN = "labelled.jsonl"
_OPTIONS = {"language": {"allow": ["en"]}}
"""What our own set asks of a detector that takes options: texts that are not English are what is looked for."""


@dataclass(frozen=True)
class Labelled:
    """A text, and whether it holds what a detector looks for; ``detector``: which one, None for any that is measured."""

    text: str
    label: bool
    detector: str | None


class Share(NamedTuple):
    """A share with its 95% interval; of nothing it is not a number."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """What a detector did on a set: counts of texts, and shares with 95% intervals."""

    detector: str
    texts: int
    found: int
    missed: int
    wrong: int
    precision: Share
    recall: Share


def own() -> list[Labelled]:
    """Return the set of our own."""
    return read(Path(__file__).with_name(OWN))


def read(path: Path) -> list[Labelled]:
    """Read a set: JSON lines, each with ``text`` (or ``parts`` of one), ``label`` true or false, perhaps ``detector``.

    Raises:
        InvalidInputError: a line is something else, or there is none.
    """
    found = []
    try:
        lines = path.read_text("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"set: {path.name} is not UTF-8: {error}.", fix="Save it as UTF-8."
        ) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            text = fields["text"] if "text" in fields else "".join(fields["parts"])
            item = Labelled(text, fields["label"], fields.get("detector"))
            right = isinstance(item.text, str) and isinstance(item.label, bool)
        except (ValueError, KeyError, TypeError, RecursionError):
            right = False
        if not right or item.detector not in (None, *DETECTORS):
            raise InvalidInputError.of(
                f"set: {path.name}, line {number}", line, "an object with a text and a label",
                'Write {"text": "…", "label": true, "detector": "email"}.',
            )  # fmt: skip
        found.append(item)
    if not found:
        raise InvalidInputError.of("set", path.name, "lines of labelled texts")
    return found


def measure(rules: Sequence[Rule], texts: Sequence[Labelled], ask: Ask | None = None) -> list[Measured]:
    """Measure the detectors of rules, each on the texts that are labelled for it; none where there are no such texts.

    A text that a detector fails on counts as found: that is what a policy does with it.
    """
    measured = []
    for rule in rules:
        for name in DETECTORS[rule.detector].parts or (rule.detector,):
            about = [item for item in texts if item.detector in (None, name, rule.detector)]
            if about:
                options = rule.options or _OPTIONS.get(name, {})
                guard = Guard(Policy("measured", (Rule(name, Action.FLAG, Where.INPUT, options),)), ask)
                found = [bool(guard.input([item.text]).findings) for item in about]
                measured.append(_counted(name, list(zip(found, (item.label for item in about), strict=True))))
    return measured


def _counted(name: str, right: Sequence[tuple[bool, bool]]) -> Measured:
    """Count what was said of texts against how they are labelled."""
    found = sum(said and label for said, label in right)
    missed = sum(label and not said for said, label in right)
    wrong = sum(said and not label for said, label in right)
    return Measured(name, len(right), found, missed, wrong, _share(found, wrong), _share(found, missed))


def _share(hits: int, others: int) -> Share:
    number = hits + others
    return Share(hits / number, *wilson(hits, number)) if number else Share(math.nan, 0.0, 1.0)
