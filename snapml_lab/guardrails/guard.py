"""A policy at work: on what is asked, on a whole answer, and on a stream of one."""

import json

from snapml_lab.guardrails import detectors, whole
from snapml_lab.guardrails.detectors import DETECTORS
from snapml_lab.guardrails.policies import Policy, Rule, Where
from snapml_lab.guardrails.shapes import Scanner, Shape, watching
from snapml_lab.guardrails.stream import Plan, StreamGuard, Watch
from snapml_lab.guardrails.verdict import Finding, Verdict
from snapml_lab.guardrails.whole import Ask

_NEAR, _FAR = 450, 1100
"""Shapes are watched together with those of about their reach, so that a long one has none but its like held back."""


class Guard:
    """One policy, made ready; good for any number of requests and streams.

    Args:
        policy: whose rules.
        ask: asks a deployment (name, prompt) for a judge; without one a judge's rule blocks.
    """

    def __init__(self, policy: Policy, ask: Ask | None = None) -> None:
        self.policy = policy
        self._ask = ask
        self._plans = {where: self._plan(where) for where in (Where.INPUT, Where.OUTPUT)}

    def input(self, texts: list[str]) -> Verdict:
        """Judge what is asked, text by text."""
        return self._verdict(texts, Where.INPUT)

    def output(self, text: str) -> Verdict:
        """Judge a whole answer."""
        return self._verdict([text], Where.OUTPUT)

    def stream(self) -> StreamGuard:
        """Return what judges one answer while it comes."""
        return StreamGuard(self._plans[Where.OUTPUT])

    def scans(self, where: Where) -> list[str]:
        """Return what is scanned of the input or the output: the rules, as findings name them."""
        return [name for name, rule in self._rules() if rule.of(where)]

    def reach(self) -> int | None:
        """Return how many characters of an answer's stream are held back at most; None is all of it."""
        plan = self._plans[Where.OUTPUT]
        holds = [check.holds for _, rule, check in self._checks(Where.OUTPUT) if rule.action == "block"]
        if None in holds:
            return None
        return max(
            [0, *(watch.reach for watch in plan.holding), *(held for held in holds if held is not None)]
        )

    def _verdict(self, texts: list[str], where: Where) -> Verdict:
        streams = [StreamGuard(self._plans[where]) for _ in texts]
        judged = [stream.whole(text) for stream, text in zip(streams, texts, strict=True)]
        counts: dict[Finding, int] = {}
        for stream in streams:
            for found, count in stream.counts.items():
                counts[found] = counts.get(found, 0) + count
        blocked = any(stream.blocked for stream in streams)
        findings = tuple(
            Finding(found.detector, found.rule, found.action, count, found.where, found.fault)
            for found, count in counts.items()
        )
        return Verdict([""] * len(texts) if blocked else judged, findings, blocked)

    def _rules(self) -> list[tuple[str, Rule]]:
        return [(f"{number}:{rule.detector}", rule) for number, rule in enumerate(self.policy.rules, 1)]

    def _checks(self, where: Where) -> list[tuple[str, Rule, whole.Check]]:
        return [
            (name, rule, whole.check(rule.detector, rule.options, self._ask))
            for name, rule in self._rules()
            if rule.of(where) and not DETECTORS[rule.detector].spans
        ]

    def _plan(self, where: Where) -> Plan:
        scanners: list[tuple[str, Rule, str, Scanner]] = []
        for name, rule in self._rules():
            if rule.of(where) and DETECTORS[rule.detector].spans:
                options = json.dumps(rule.options, sort_keys=True)
                scanners += [(name, rule, *part) for part in detectors.scanners(rule.detector, options)]
        holding = [scanner for _, rule, _, scanner in scanners if rule.action != "flag"]
        flagging = [scanner for _, rule, _, scanner in scanners if rule.action == "flag"]
        return Plan(where, scanners, _watches(holding), _watches(flagging), self._checks(where))


def _watches(scanners: list[Scanner]) -> list[Watch]:
    """Return what says from where on a text may still become a match of any of them."""
    made = [
        Watch(scanner.automaton, scanner.reach, skeleton=scanner.skeleton)
        for scanner in scanners
        if not isinstance(scanner, Shape)
    ]
    shapes = [scanner for scanner in scanners if isinstance(scanner, Shape)]
    for low, high in ((0, _NEAR), (_NEAR, _FAR), (_FAR, 1 << 30)):
        for alike in (False, True):
            part = tuple(item for item in shapes if low < item.reach <= high and item.skeleton is alike)
            if part:
                made.append(Watch(watching(part), max(item.reach for item in part), skeleton=alike))
    return made
