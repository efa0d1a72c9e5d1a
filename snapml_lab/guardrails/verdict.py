"""What guardrails say: findings, which never hold what was found, and the verdict on a whole."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """What a rule found.

    Attributes:
        detector: the single detector (``card``, not ``pii``).
        rule: the rule's number in its policy, and what it names: ``2:pii``.
        action: ``block``, ``mask`` or ``flag``.
        count: how often.
        where: ``input`` or ``output``.
        fault: the kind of error where the detector itself failed, which blocks; else "".
    """

    detector: str
    rule: str
    action: str
    count: int
    where: str
    fault: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as the ledger keeps it."""
        return {name: value for name, value in asdict(self).items() if value != ""}

    def sentence(self) -> str:
        """Say it in words."""
        if self.fault:
            return f"{self.detector} failed ({self.fault}), which blocks the {self.where}"
        done = {"block": "blocked", "mask": "masked", "flag": "flagged"}[self.action]
        return f"{self.detector} {done} in the {self.where} ({self.count}×, rule {self.rule})"


@dataclass(frozen=True)
class Verdict:
    """What became of whole texts: masked ones, or empty ones where any was blocked."""

    texts: list[str]
    findings: tuple[Finding, ...]
    blocked: bool
