"""The picture of an evaluation: the share with its interval, beside another model's on the same records."""

from html import escape

from snapml_lab.evals.exact import cases, sign_test
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job, State
from snapml_lab.stats import share
from snapml_lab.store.files import read_json
from snapml_lab.tracking import runs
from snapml_lab.views.base import View
from snapml_lab.views.charts import Bar, Intervals
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

_SHOWN = 5


class Case(View):
    """One record: what was asked, wanted and said."""

    asked: str
    wanted: str
    said: str
    error: str | None
    hit: bool


class Score(View):
    """A share of exact matches with its 95% interval, over the ``records`` that were answered."""

    deployment: str
    records: int
    value: float
    low: float
    high: float

    def text(self) -> str:
        """One line."""
        return f"{self.deployment}: {self.value:.3f} [{self.low:.3f}, {self.high:.3f}] of {self.records}"


class Evaluation(View):
    """An evaluation, and its comparison with an earlier one on the same records (``p_value``: McNemar's, exact)."""

    job: str
    state: str
    message: str | None
    data: str
    score: Score | None
    against: Score | None
    difference: float | None
    p_value: float | None
    failures: list[Case]
    errors: int
    error: str | None

    def headline(self) -> str:
        """Say in one line what is known."""
        if self.error:
            return f"eval {self.state}: {self.error}"
        if self.score is None:
            return f"eval {self.state}: {self.message or 'starting'}"
        return f"exact match on {self.data}: {self.score.text()}" + (
            f", {self.errors} not answered" if self.errors else ""
        )

    def verdict(self) -> str | None:
        """Say how it compares, and whether that could be chance."""
        if self.against is None or self.difference is None or self.p_value is None:
            return None
        chance = "could be chance" if self.p_value >= 0.05 else "not chance"
        shown = "< 0.001" if self.p_value < 0.001 else f"= {self.p_value:.3f}"
        return f"against {self.against.text()}: {self.difference:+.3f}, p {shown}: {chance}."

    def text(self) -> str:
        """All of it."""
        lines = [self.headline(), *filter(None, [self.verdict()])]
        if self.failures:
            lines += ["", text_table(_HEADER, self._rows())]
        return "\n".join(lines)

    def html(self) -> str:
        """All of it, static."""
        parts = [f"<h4{' class=bad' if self.error else ''}>{escape(self.headline())}</h4>"]
        if verdict := self.verdict():
            parts.append(f"<div>{escape(verdict)}</div>")
        if self.score:
            scores = [self.score, *([self.against] if self.against else [])]
            bars = [
                Bar(item.deployment, item.value, item.low, item.high, strong=item is self.score)
                for item in scores
            ]
            parts.append(Intervals("Exact match, with 95% intervals", "share of records", bars).svg())
        if self.failures:
            parts += [
                f"<div class=dim>The first {len(self.failures)} that did not match:</div>",
                html_table(_HEADER, self._rows()),
            ]
        return framed(*parts)

    def _rows(self) -> list[list[str]]:
        return [[case.asked, case.wanted, case.said or f"({case.error})"] for case in self.failures]


_HEADER = ["asked", "wanted", "said"]


def picture(ws: Workspace, job: Job) -> Evaluation:
    """Build the picture of an evaluation from what it left, whatever its state."""
    spec = read_json(JobFolder(ws.jobs / job.id).spec) or {}
    run = runs.get(ws.ledger, job.id)
    found = cases(JobFolder(ws.jobs / job.id).path)
    score = _score(spec.get("deployment", "?"), [case["hit"] for case in found if not case["error"]])
    against = difference = p_value = None
    if score and (other := spec.get("against")):
        earlier = cases(JobFolder(ws.jobs / other).path)
        named = read_json(JobFolder(ws.jobs / other).spec) or {}
        pairs = [
            (a["hit"], b["hit"]) for a, b in zip(found, earlier, strict=False)
            if a["asked"] == b["asked"] and not a["error"] and not b["error"]
        ]  # fmt: skip
        against = _score(named.get("deployment", "?"), [before for _, before in pairs])
        if pairs and against:
            better = sum(now and not before for now, before in pairs)
            worse = sum(before and not now for now, before in pairs)
            difference, p_value = (better - worse) / len(pairs), sign_test(better, worse)
    return Evaluation(
        job=job.id, state=job.state, message=job.message, data=run.params.get("data", "?"), score=score, against=against,
        difference=difference, p_value=p_value, failures=[Case(**case) for case in found if not case["hit"]][:_SHOWN],
        errors=sum(bool(case["error"]) for case in found),
        error=None if job.error_code is None else f"{job.error_message} {job.error_fix or ''}".strip(),
    )  # fmt: skip


def _score(deployment: str, hits: list[bool]) -> Score | None:
    if not hits:
        return None
    found = share(sum(hits), len(hits))
    return Score(deployment=deployment, records=len(hits), value=found.value, low=found.low, high=found.high)


def newest(ws: Workspace, deployment: str, data: str) -> str | None:
    """Return the newest evaluation of a deployment on the same data that succeeded."""
    for job in queue.latest(ws, limit=500):
        if job.kind == "eval" and job.state is State.SUCCEEDED:
            spec = read_json(JobFolder(ws.jobs / job.id).spec) or {}
            if spec.get("deployment") == deployment and spec.get("data") == data:
                return job.id
    return None
