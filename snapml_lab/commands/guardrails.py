"""Commands about guardrails: what is looked for in requests and answers, and what happens to it."""

import json
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from snapml_lab import clock
from snapml_lab.commands.core import command
from snapml_lab.commands.types import Completes, FilePath
from snapml_lab.data.tables import find_file
from snapml_lab.engines import services
from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.governance import keys
from snapml_lab.governance.roles import Effect
from snapml_lab.guardrails import measure, policies, whole
from snapml_lab.guardrails.detectors import DETECTORS
from snapml_lab.guardrails.guard import Guard
from snapml_lab.guardrails.policies import Action, Policy, Rule, Where
from snapml_lab.guardrails.verdict import Finding
from snapml_lab.guardrails.whole import Ask
from snapml_lab.registry import deployments
from snapml_lab.registry.asking import Client
from snapml_lab.views.base import View
from snapml_lab.views.charts import Bar, Intervals
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

PolicyName = Annotated[
    str, Completes("guardrails"), Field(min_length=1, max_length=100, description="a guardrails policy")
]
Many = Annotated[list[str], Field(max_length=1000, description="names, separated by commas")]
_MOST_TEXT = 1_000_000
_JUDGE_SECONDS = 60.0


class RuleView(View):
    """One rule; ``options`` say what its detector takes, ``measured`` what a measurement of a judge said."""

    rule: str
    detector: str
    action: Action
    where: Where
    options: dict[str, Any]
    finds: str
    measured: str | None

    @classmethod
    def of(cls, number: int, rule: Rule) -> "RuleView":
        """Read a rule."""
        told = None
        if rule.detector == "judge":
            told = "uncalibrated" if rule.measured is None else _told(rule.measured)
        return cls(
            rule=f"{number}:{rule.detector}", detector=rule.detector, action=rule.action, where=rule.where,
            options=rule.options, finds=DETECTORS[rule.detector].finds, measured=told,
        )  # fmt: skip

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        options = ", ".join(f"{name}: {_shown(value)}" for name, value in self.options.items())
        told = f"{self.finds}{'; ' + self.measured if self.measured else ''}"
        return [self.rule, self.action, self.where, options, told]


class GuardrailsView(View):
    """A policy: its rules in order; ``declared``: by a person; ``reach``: characters of a stream held back at most, None is all."""

    name: str
    declared: bool
    rules: list[RuleView]
    reach: int | None
    deployments: list[str]

    @classmethod
    def of(cls, ws: Workspace, policy: Policy) -> "GuardrailsView":
        """Read a policy."""
        return cls(
            name=policy.name, declared=ws.catalog.find(policies.KIND, policy.name) is not None,
            rules=[RuleView.of(number, rule) for number, rule in enumerate(policy.rules, 1)], reach=Guard(policy).reach(),
            deployments=[item.name for item in deployments.every(ws) if item.guardrails == policy.name],
        )  # fmt: skip

    def text(self) -> str:
        """The rules as a table, and what is held back."""
        return f"{self.name}\n{text_table(_RULES, self._rows())}\n{self._held()}"

    def html(self) -> str:
        """The rules as a table, and what is held back."""
        from html import escape

        title = f"<h4>{escape(self.name)}</h4>"
        return framed(title, html_table(_RULES, self._rows()), f"<div class=dim>{escape(self._held())}</div>")

    def line(self) -> list[str]:
        """The cells of one line of a list of policies."""
        rules = ", ".join(f"{rule.action} {rule.detector} ({rule.where})" for rule in self.rules)
        held = "all" if self.reach is None else str(self.reach)
        return [self.name, rules, held, ", ".join(self.deployments) or "none"]

    def _rows(self) -> list[list[str]]:
        return [rule.row() for rule in self.rules]

    def _held(self) -> str:
        held = (
            "The whole answer is held back until it ends."
            if self.reach is None
            else f"Of a stream at most {self.reach} characters are held back, and of plain text only the word that comes."
        )
        return f"{held} Deployments: {', '.join(self.deployments) or 'none'}."


class GuardrailsList(View):
    """All policies."""

    policies: list[GuardrailsView]

    def text(self) -> str:
        """A table."""
        return text_table(_LIST, [item.line() for item in self.policies])

    def html(self) -> str:
        """A table."""
        return framed(html_table(_LIST, [item.line() for item in self.policies]))


_LIST = ["policy", "rules", "held back", "deployments"]
_RULES = ["rule", "does", "of", "options", "finds"]


@command("guardrails list", effect=Effect.READ)
def list_guardrails(ws: Workspace) -> GuardrailsList:
    """List the guardrails policies, their rules, and which deployments have them."""
    return GuardrailsList(
        policies=[GuardrailsView.of(ws, policies.get(ws, name)) for name in policies.names(ws)]
    )


@command("guardrails show", effect=Effect.READ)
def show(ws: Workspace, policy: PolicyName) -> GuardrailsView:
    """Show a guardrails policy: each rule, what it finds, and what is held back of a stream.

    Args:
        policy: its name.
    """
    return GuardrailsView.of(ws, policies.get(ws, policy))


@command("guardrails set", effect=Effect.ADMIN)
def set_guardrails(
    ws: Workspace, policy: PolicyName, *, rules: FilePath | None = None, mask: Many | None = None, block: Many | None = None,
    flag: Many | None = None, deny: Many | None = None, language: Many | None = None,
    max_length: Annotated[int, Field(ge=1, le=10_000_000)] | None = None, json_schema: FilePath | None = None,
    judge: Annotated[str, Completes("deployments"), Field(min_length=1)] | None = None, rule: str | None = None,
) -> GuardrailsView:  # fmt: skip
    """Declare a guardrails policy, from a file of rules or from what is named here; with nothing named, the usual rules.

    Args:
        policy: its name.
        rules: a JSON file: a list of rules, each with detector, action, where and options.
        mask: detectors whose finds are masked, as pii,secrets.
        block: detectors whose finds block.
        flag: detectors whose finds are only recorded.
        deny: words that block, in requests and answers.
        language: languages an answer may be in, as en,de; another one blocks.
        max_length: characters an answer may have; a longer one is blocked.
        json_schema: a JSON file: the JSON Schema of every answer, which is held back until it fits.
        judge: a deployment that is asked whether an answer breaks the rule.
        rule: the rule for the judge, in words.
    """
    made: list[Rule] = []
    if rules is not None:
        made += policies.read(_json(ws, "rules", rules))
    for action, named in ((Action.BLOCK, block), (Action.MASK, mask), (Action.FLAG, flag)):
        made += [Rule(name, action) for name in _split(named)]
    if words := _split(deny):
        made.append(Rule("deny", Action.BLOCK, Where.BOTH, {"words": words}))
    if allowed := _split(language):
        made.append(Rule("language", Action.BLOCK, Where.OUTPUT, {"allow": allowed}))
    if max_length is not None:
        made.append(Rule("length", Action.BLOCK, Where.OUTPUT, {"max": max_length}))
    if json_schema is not None:
        made.append(
            Rule("schema", Action.BLOCK, Where.OUTPUT, {"schema": _json(ws, "json_schema", json_schema)})
        )
    if (judge is None) != (rule is None):
        raise InvalidInputError.of(
            "judge", judge, "a deployment and a rule", "Give both: --judge NAME --rule …"
        )
    if judge is not None:
        options = {"deployment": deployments.get(ws, judge).name, "rule": rule}
        made.append(Rule("judge", Action.BLOCK, Where.OUTPUT, options))
    return GuardrailsView.of(ws, policies.declare(ws, Policy(policy, tuple(made or policies.USUAL))))


@command("guardrails remove", effect=Effect.ADMIN)
def remove(ws: Workspace, policy: PolicyName) -> GuardrailsView:
    """Remove a guardrails policy. A deployment that names it answers nothing until it names another.

    Args:
        policy: its name.
    """
    view = GuardrailsView.of(ws, policies.get(ws, policy))
    policies.remove(ws, policy)
    return view


class FindingView(View):
    """What a rule found, and how often; never what."""

    detector: str
    rule: str
    action: str
    count: int
    where: str
    fault: str

    @classmethod
    def of(cls, found: Finding) -> "FindingView":
        """Read a finding."""
        return cls(**vars(found))


class TrialView(View):
    """What a policy would do to a text as one that is asked, or as an answer."""

    policy: str
    where: Where
    blocked: bool
    becomes: str | None
    findings: list[FindingView]

    def text(self) -> str:
        """What becomes of it, and what was found."""
        rows = [
            [item.rule, item.detector, item.action, str(item.count), item.fault] for item in self.findings
        ]
        outcome = "BLOCKED" if self.blocked else self.becomes or ""
        return f"{outcome}\n{text_table(_FOUND, rows) if rows else 'Nothing was found.'}"

    def html(self) -> str:
        """What becomes of it, and what was found."""
        from html import escape

        rows = [
            [item.rule, item.detector, item.action, str(item.count), item.fault] for item in self.findings
        ]
        outcome = (
            "<h4 class=bad>BLOCKED</h4>"
            if self.blocked
            else f"<pre class=wrap>{escape(self.becomes or '')}</pre>"
        )
        return framed(
            outcome, html_table(_FOUND, rows) if rows else "<div class=dim>Nothing was found.</div>"
        )


_FOUND = ["rule", "detector", "does", "times", "fault"]


@command("guardrails test", effect=Effect.EXECUTE)
def try_out(
    ws: Workspace, policy: PolicyName, text: Annotated[str, Field(max_length=_MOST_TEXT, description="a text")], *,
    of: Literal["input", "output"] = "output",
) -> TrialView:  # fmt: skip
    """Show what a policy would do to a text; a rule with a judge asks it.

    Args:
        policy: its name.
        text: what would be asked, or answered.
        of: as which.
    """
    guard = Guard(policies.get(ws, policy), _asking(ws))
    verdict = guard.input([text]) if of == "input" else guard.output(text)
    return TrialView(
        policy=policy, where=Where(of), blocked=verdict.blocked, becomes=None if verdict.blocked else verdict.texts[0],
        findings=[FindingView.of(found) for found in verdict.findings],
    )  # fmt: skip


class ShareView(View):
    """A share with its 95% interval."""

    value: float
    low: float
    high: float


class MeasuredView(View):
    """A detector on a set: counts of texts; precision and recall with 95% intervals, None where there is nothing to divide by."""

    detector: str
    texts: int
    found: int
    missed: int
    wrong: int
    precision: ShareView | None
    recall: ShareView | None

    @classmethod
    def of(cls, item: measure.Measured) -> "MeasuredView":
        """Read a measurement."""
        shares = {
            "precision": ShareView(**item.precision._asdict()) if item.found + item.wrong else None,
            "recall": ShareView(**item.recall._asdict()) if item.found + item.missed else None,
        }
        return cls(**{**vars(item), **shares})

    def row(self) -> list[str]:
        """The cells of one line of a table."""
        counts = [str(self.texts), str(self.found), str(self.missed), str(self.wrong)]
        return [
            self.detector,
            *counts,
            *(
                _interval([share.value, share.low, share.high] if share else None)
                for share in (self.precision, self.recall)
            ),
        ]


class Measurement(View):
    """Detectors on a set of labelled texts."""

    set: str
    texts: int
    detectors: list[MeasuredView]

    def text(self) -> str:
        """A table, and what it was measured on."""
        return f"{text_table(_MEASURED, self._rows(), right=_RIGHT)}\n{self._note()}"

    def html(self) -> str:
        """A chart, a table, and what it was measured on."""
        from html import escape

        charts = [
            Intervals(f"{title}, with 95% intervals", "share", [
                Bar(item.detector, share.value, share.low, share.high) for item in self.detectors if (share := getattr(item, name)) is not None
            ]).svg()
            for name, title in (("precision", "Precision: found that is one"), ("recall", "Recall: ones that are found"))
        ]  # fmt: skip
        table = html_table(_MEASURED, self._rows(), right=_RIGHT)
        return framed(
            f"<div class=row>{''.join(charts)}</div>", table, f"<div class=dim>{escape(self._note())}</div>"
        )

    def _rows(self) -> list[list[str]]:
        return [item.row() for item in self.detectors]

    def _note(self) -> str:
        return f"Measured on {self.set} ({self.texts} texts). {_OWN_NOTE if self.set == _OWN else ''}".strip()


_OWN = "the set of our own"
_OWN_NOTE = (
    "It was written for this, with values made up that have right check digits, half of it near misses; "
    "it is not your traffic: measure on that with --set FILE.jsonl."
)
_MEASURED = ["detector", "texts", "found", "missed", "wrongly found", "precision", "recall"]
_RIGHT = frozenset({1, 2, 3, 4})


@command("guardrails measure", effect=Effect.EXECUTE, heavy=True)
def measure_guardrails(
    ws: Workspace, what: Annotated[str, Completes("guardrails"), Field(min_length=1)] | None = None, *,
    set: FilePath | None = None,  # noqa: A002 - the word a person types
) -> Measurement:  # fmt: skip
    """Measure precision and recall of detectors on labelled texts, with intervals; a judge's figures are kept with its rule.

    Args:
        what: a policy or a detector; default: every detector that the set of our own has texts for.
        set: a JSONL file of your own: lines with text, label (true where it should be found), and perhaps detector.
    """
    texts = measure.own() if set is None else measure.read(find_file(ws, set))
    policy = None
    if what is None:
        rules = [Rule(name, Action.FLAG) for name in ("pii", "secrets", "injection", "language")]
    elif what in policies.names(ws):
        policy = policies.get(ws, what)
        rules = list(policy.rules)
    elif what in DETECTORS and (not DETECTORS[what].options or what == "language"):
        rules = [Rule(what, Action.FLAG)]
    else:
        raise NotFoundError(
            f"There is no policy, and no detector without options, named {what!r}.",
            fix=f"Policies: {', '.join(policies.names(ws))}. Detectors: {', '.join(DETECTORS)}.",
        )
    ask = _asking(ws) if policies.judges(rules) else None
    found = measure.measure(rules, texts, ask)
    if not found:
        raise InvalidInputError(
            f"measure: the set has no texts for {what}.", fix="Give texts of your own: --set FILE.jsonl"
        )
    if policy is not None:
        _keep(ws, policy, texts, set or _OWN, ask)
    return Measurement(set=set or _OWN, texts=len(texts), detectors=[MeasuredView.of(item) for item in found])


def _keep(ws: Workspace, policy: Policy, texts: list[measure.Labelled], source: str, ask: Ask | None) -> None:
    """Write a judge's figures to its rule: from then on it is not called uncalibrated."""
    made, changed = [], False
    for rule in policy.rules:
        found = measure.measure([rule], texts, ask) if rule.detector == "judge" else []
        if found:
            figures = {"precision": list(found[0].precision), "recall": list(found[0].recall)}
            told = {**figures, "texts": found[0].texts, "set": source, "at": clock.iso(clock.now())}
            changed = True
        made.append(replace(rule, measured=told) if found else rule)
    if changed:
        policies.declare(ws, replace(policy, rules=tuple(made)))


def _asking(ws: Workspace) -> Ask:
    """Return what asks a deployment through the gateway, as our own notebooks do."""

    def ask(deployment: str, prompt: str) -> str:
        client = Client(services.base_url(ws), keys.notebook_key(ws), seconds=_JUDGE_SECONDS)
        _, answer = client.chat(whole.asked(deployment, prompt))
        return whole.said(answer)

    return ask


def _json(ws: Workspace, field: str, path: str) -> Any:
    found = find_file(ws, path)
    try:
        return json.loads(found.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{field}: {path} is not JSON: {error}.", fix="Mend the file.") from error


def _split(values: list[str] | None) -> list[str]:
    return [part.strip() for value in values or [] for part in value.split(",") if part.strip()]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def _told(measured: dict[str, Any]) -> str:
    return (
        f"precision {_interval(measured['precision'])}, recall {_interval(measured['recall'])} "
        f"on {measured['set']} ({measured['texts']} texts)"
    )


def _interval(share: list[float] | None) -> str:
    return "none found" if share is None else f"{share[0]:.2f} [{share[1]:.2f}, {share[2]:.2f}]"
