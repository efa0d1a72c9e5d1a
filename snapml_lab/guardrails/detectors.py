"""The detectors by name: families and single ones, what each is for, and what scans for it."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from snapml_lab.errors import InvalidInputError
from snapml_lab.guardrails import deny, injection, pii, secrets, whole
from snapml_lab.guardrails.shapes import Scanner


@dataclass(frozen=True)
class Detector:
    """What can be named in a rule.

    Attributes:
        finds: what, in words.
        parts: detectors of their own that it stands for.
        spans: whether it finds places in a text (and they can be masked), or judges the whole.
        options: what a rule may say about it.
    """

    name: str
    finds: str
    parts: tuple[str, ...] = ()
    spans: bool = True
    options: tuple[str, ...] = ()


DETECTORS = {
    item.name: item
    for item in (
        Detector("pii", "personal data: all of the six below", tuple(pii.DETECTORS)),
        Detector("card", "payment cards: issuer's range, length, Luhn"),
        Detector("iban", "bank accounts: country's length, modulo 97"),
        Detector("ssn", "US social security numbers"),
        Detector("email", "e-mail addresses"),
        Detector("phone", "telephone numbers"),
        Detector("ip", "IP addresses, versions 4 and 6"),
        Detector("secrets", "secrets: both below", tuple(secrets.DETECTORS)),
        Detector("token", "tokens and private keys of known shapes"),
        Detector("entropy", "what stands after key =, token:, password =, and is in disorder"),
        Detector("injection", "usual words of prompt injection"),
        Detector("deny", "words and expressions of your own", options=("words", "expressions")),
        Detector("length", "too short or too long", spans=False, options=("min", "max")),
        Detector("language", "another language than allowed", spans=False, options=("allow", "strict")),
        Detector("schema", "what is not JSON of a schema", spans=False, options=("schema",)),
        Detector("judge", "what a model calls a breach of a rule", spans=False, options=("deployment", "rule", "template")),
    )
}  # fmt: skip
_SHAPES = {**pii.DETECTORS, **secrets.DETECTORS, **injection.DETECTORS}
SINGLE = tuple(_SHAPES)
"""Detectors without options that stand for themselves."""


def look(detector: str, options: dict[str, Any]) -> None:
    """Look at what a rule names and says.

    Raises:
        InvalidInputError: there is no such detector, or its options are not what they must be.
    """
    known = DETECTORS.get(detector)
    if known is None:
        raise InvalidInputError.of("detector", detector, f"one of {', '.join(DETECTORS)}")
    if wrong := set(options) - set(known.options):
        raise InvalidInputError.of(
            f"options of {detector}", sorted(wrong), f"only {', '.join(known.options) or 'none'}"
        )
    if known.spans:
        scanners(detector, json.dumps(options, sort_keys=True))
    else:
        whole.look(detector, options)


@functools.lru_cache(maxsize=256)
def scanners(detector: str, options: str) -> Sequence[tuple[str, Scanner]]:
    """Return what scans for a detector that finds places, each with the single detector it is of; options as JSON."""
    if detector == "deny":
        said = json.loads(options)
        lists = said.get("words", []), said.get("expressions", [])
        if not all(
            isinstance(items, list) and all(isinstance(item, str) for item in items) for items in lists
        ):
            raise InvalidInputError.of("deny", said, "words and expressions, each a list of texts")
        return [("deny", scanner) for scanner in deny.scanners(*lists)]
    return [(name, shape) for name in (DETECTORS[detector].parts or (detector,)) for shape in _SHAPES[name]]
