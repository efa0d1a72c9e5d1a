"""Policies: rules by name, declared in the catalog. What cannot be read is refused, so that nothing passes unseen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.guardrails import detectors
from snapml_lab.guardrails.detectors import DETECTORS
from snapml_lab.workspace import Workspace

KIND = "guardrails"
DEFAULT = "default"


class Where(StrEnum):
    """Of what a rule is."""

    INPUT = "input"
    OUTPUT = "output"
    BOTH = "both"


class Action(StrEnum):
    """What happens to what is found."""

    BLOCK = "block"
    MASK = "mask"
    FLAG = "flag"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        detector: one of :data:`snapml_lab.guardrails.detectors.DETECTORS`.
        action: what happens to what it finds; only places in a text can be masked.
        where: of what is asked, of what is answered, or of both.
        options: what the detector takes.
        measured: of a judge: what a measurement said (precision and recall with intervals); None: uncalibrated.
    """

    detector: str
    action: Action
    where: Where = Where.BOTH
    options: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] | None = None

    def of(self, where: Where) -> bool:
        """Say whether it is of what is asked, or answered."""
        return self.where in (where, Where.BOTH)

    def as_dict(self) -> dict[str, Any]:
        """Return it as the catalog has it."""
        fields: dict[str, Any] = {
            "detector": self.detector,
            "action": str(self.action),
            "where": str(self.where),
        }
        if self.options:
            fields["options"] = self.options
        if self.measured is not None:
            fields["measured"] = self.measured
        return fields


@dataclass(frozen=True)
class Policy:
    """A name and its rules, in order: of two that find the same place, the first says what stands there."""

    name: str
    rules: tuple[Rule, ...]


USUAL = (
    Rule("secrets", Action.MASK),
    Rule("pii", Action.MASK),
    Rule("injection", Action.FLAG, Where.INPUT),
)
"""The rules of the policy ``default`` where none of that name is declared."""


def get(ws: Workspace, name: str) -> Policy:
    """Return a policy by name.

    Raises:
        NotFoundError: there is none.
        InvalidInputError: it was edited by hand into what cannot be read.
    """
    fields = ws.catalog.find(KIND, name)
    if fields is None and name == DEFAULT:
        return Policy(name, USUAL)
    if fields is None:
        known = ", ".join(names(ws))
        raise NotFoundError(f"There is no guardrails policy named {name!r}.", fix=f"Known: {known}.")
    return Policy(name, read(fields.get("rules")))


def names(ws: Workspace) -> list[str]:
    """Return the names of all policies, the usual one among them."""
    return sorted({DEFAULT, *ws.catalog.keys(KIND)})


def declare(ws: Workspace, policy: Policy) -> Policy:
    """Add or replace a policy."""
    if (
        not policy.name
        or len(policy.name) > 100
        or not policy.name.replace("-", "_").replace(".", "_").isidentifier()
    ):
        raise InvalidInputError.of("name", policy.name, "letters, digits, '-', '.' and '_', a letter first")
    fields = {"rules": [rule.as_dict() for rule in policy.rules]}
    made = Policy(policy.name, read(fields["rules"]))
    ws.catalog.change(KIND, policy.name, lambda _: fields)
    return made


def remove(ws: Workspace, name: str) -> Policy:
    """Remove a policy and return it. Deployments that name it answer nothing until they name another.

    Raises:
        NotFoundError: it is not declared.
    """
    ws.catalog.get(KIND, name)
    return Policy(name, read(ws.catalog.remove(KIND, name).get("rules")))


def read(rules: object) -> tuple[Rule, ...]:
    """Read rules from JSON.

    Raises:
        InvalidInputError: naming the rule and what is wrong with it.
    """
    if not isinstance(rules, list) or not rules:
        raise InvalidInputError.of("rules", rules, "a list of rules, one at least")
    return tuple(_rule(item, number) for number, item in enumerate(rules, 1))


def _rule(item: object, number: int) -> Rule:
    known = {"detector", "action", "where", "options", "measured"}
    if not isinstance(item, dict) or not {"detector", "action"} <= set(item) <= known:
        raise InvalidInputError.of(
            f"rule {number}", item, "detector, action, and perhaps where and options",
            'Write {"detector": "pii", "action": "mask", "where": "output"}.',
        )  # fmt: skip
    for name, kind in (("action", Action), ("where", Where)):
        if item.get(name, "both") not in list(kind) and not (name == "where" and name not in item):
            raise InvalidInputError.of(f"rule {number}: {name}", item[name], f"one of {', '.join(kind)}")
    options = item.get("options", {})
    if not isinstance(options, dict) or not isinstance(item["detector"], str):
        raise InvalidInputError.of(
            f"rule {number}", item, "options that are an object, and a detector's name"
        )
    rule = Rule(
        item["detector"],
        Action(item["action"]),
        Where(item.get("where", "both")),
        options,
        item.get("measured"),
    )
    detectors.look(rule.detector, rule.options)
    if rule.action is Action.MASK and not DETECTORS[rule.detector].spans:
        raise InvalidInputError.of(
            f"rule {number}: action", "mask", f"block or flag, for {rule.detector} is of the whole text"
        )
    return rule


def judges(rules: Sequence[Rule]) -> list[Rule]:
    """Return the rules that ask a model."""
    return [rule for rule in rules if rule.detector == "judge"]
