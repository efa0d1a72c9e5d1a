"""The picture of a pipeline: its steps, and what they found, with intervals and what it was compared with."""

from html import escape
from typing import Any

from snapml_lab import clock, money
from snapml_lab.costs import requests
from snapml_lab.evals.picture import Evaluation
from snapml_lab.evals.picture import picture as evaluation
from snapml_lab.finetune.picture import Training
from snapml_lab.finetune.picture import picture as training
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job
from snapml_lab.registry import versions
from snapml_lab.store.files import read_json
from snapml_lab.tracking import runs
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

_CHANCE = 0.05


class StepView(View):
    """One step; ``seconds`` it has taken so far, ``notebook`` and ``html`` once they are written."""

    name: str
    job: str | None
    state: str
    seconds: float | None
    message: str | None
    notebook: str | None
    html_file: str | None

    def text(self) -> str:
        """One line."""
        took = "" if self.seconds is None else clock.human(self.seconds)
        return f"{self.name:<16} {self.state:<10} {took:<10} {self.notebook or self.message or ''}".rstrip()


class Finding(View):
    """One thing a pipeline found, as a row of its table; every cell is text with its unit and interval."""

    step: str
    what: str
    found: str
    baseline: str
    difference: str
    chance: str
    seconds: float | None
    recorded: str

    def cells(self) -> list[str]:
        """The cells of one line of a table."""
        took = "" if self.seconds is None else clock.human(self.seconds)
        return [self.what, self.found, self.baseline, self.difference, self.chance, took, self.recorded]


class PipelineView(View):
    """A pipeline's run: steps in order, and what was found."""

    job: str
    name: str
    state: str
    seconds: float
    steps: list[StepView]
    findings: list[Finding]
    outputs: dict[str, dict[str, Any]]
    error: str | None

    def text(self) -> str:
        """Steps, then one table of what was found."""
        lines = [self._headline(), *(f"  {step.text()}" for step in self.steps)]
        if self.findings:
            lines += ["", text_table(_HEADER, [row.cells() for row in self.findings])]
        if self.error:
            lines += ["", self.error]
        return "\n".join(lines)

    def html(self) -> str:
        """Steps, then one table of what was found."""
        steps = [
            [step.name, step.state, clock.human(step.seconds) if step.seconds is not None else "", step.message or "",
             step.notebook or ""]
            for step in self.steps
        ]  # fmt: skip
        parts = [
            f"<h4>{escape(self._headline())}</h4>",
            html_table(["step", "state", "time", "", "notebook"], steps),
        ]
        if self.findings:
            parts.append(html_table(_HEADER, [row.cells() for row in self.findings]))
        if self.error:
            parts.append(f"<div class=bad>{escape(self.error)}</div>")
        return framed(*parts)

    def _headline(self) -> str:
        return f"Pipeline {self.name}: {self.state} after {clock.human(self.seconds)}"


_HEADER = ["what", "found, 95% interval", "baseline", "difference", "chance?", "time", "recorded"]


def report(ws: Workspace, job: Job) -> PipelineView:
    """Build the picture of a pipeline job from the ledger, whatever its state."""
    spec = read_json(JobFolder(ws.jobs / job.id).spec) or {"pipeline": {"steps": []}}
    done = {step.name: step for step in _children(ws, job)}
    names = [step["name"] for step in spec["pipeline"]["steps"]]
    result = queue.result(ws, job) or {}
    return PipelineView(
        job=job.id, name=job.name, state=job.state, seconds=_seconds(job),
        steps=[_step(ws, name, done.get(name)) for name in names],
        findings=[*(row for name in names if name in done for row in _found(ws, done[name])), *_served(ws, job)],
        outputs=result.get("outputs", {}),
        error=None if job.error_code is None else f"{job.error_message} {job.error_fix or ''}".strip(),
    )  # fmt: skip


def _children(ws: Workspace, job: Job) -> list[Job]:
    return [Job.of(row) for row in ws.ledger.rows("SELECT * FROM jobs WHERE parent = ? ORDER BY id", job.id)]


def _seconds(job: Job) -> float:
    return (job.ended_at or clock.now()) - (job.started_at or job.submitted_at)


def _step(ws: Workspace, name: str, job: Job | None) -> StepView:
    if job is None:
        return StepView(
            name=name, job=None, state="waiting", seconds=None, message=None, notebook=None, html_file=None
        )
    left = queue.result(ws, job) or {}
    notebook, html = left.get("notebook"), left.get("html")
    return StepView(
        name=name, job=job.id, state=job.state, seconds=_seconds(job),
        message=job.error_message or (None if job.ended else job.message),
        notebook=ws.relative(notebook) if notebook else None, html_file=ws.relative(html) if html else None,
    )  # fmt: skip


def _found(ws: Workspace, step: Job) -> list[Finding]:
    """Return what the jobs a step submitted found."""
    rows: list[Finding] = []
    for job in _children(ws, step):
        if job.kind == "automl":
            rows += [_model(ws, step, job, model) for model in versions.of_run(ws.ledger, job.id)]
        elif job.kind == "finetune":
            rows += [
                _adapter(step, job, training(ws, job), model) for model in versions.of_run(ws.ledger, job.id)
            ]
        elif job.kind == "eval":
            rows += _score(step, job, evaluation(ws, job))
    return rows


def _model(ws: Workspace, step: Job, job: Job, model: versions.ModelVersion) -> Finding:
    told = model.evidence
    trials = len(runs.children(ws.ledger, job.id))
    return Finding(
        step=step.name, what=f"{model.reference} ({told['family']})",
        found=f"{told['metric']} {_with(told['score'], told['low'], told['high'])}", baseline=f"{told['baseline']:.4f}",
        difference=_with(told["improvement"], told["improvement_low"], told["improvement_high"], sign="+"),
        chance="could be" if told["could_be_chance"] else "no", seconds=_seconds(job),
        recorded=f"{trials} trials, data {told.get('dataset')}, run {job.id[-6:]}",
    )  # fmt: skip


def _adapter(step: Job, job: Job, seen: Training, model: versions.ModelVersion) -> Finding:
    before, after = seen.held_out[0], seen.held_out[-1]
    return Finding(
        step=step.name, what=f"{model.reference} (LoRA)", found=f"held-out loss {after:.3f}", baseline=f"{before:.3f}",
        difference=f"{after - before:+.3f}", chance="", seconds=_seconds(job),
        recorded=f"{seen.steps} steps, {seen.tokens_per_second or 0:,.0f} tokens/s, run {job.id[-6:]}",
    )  # fmt: skip


def _score(step: Job, job: Job, seen: Evaluation) -> list[Finding]:
    if seen.score is None:
        return []
    score, against = seen.score, seen.against
    compared = against is not None and seen.p_value is not None and seen.difference is not None
    return [
        Finding(
            step=step.name, what=f"{score.deployment} on {seen.data}",
            found=f"exact match {_with(score.value, score.low, score.high)}",
            baseline=_with(against.value, against.low, against.high) if against else "",
            difference=f"{seen.difference:+.4f}" if compared else "",
            chance=("could be" if (seen.p_value or 0) >= _CHANCE else "no") if compared else "", seconds=_seconds(job),
            recorded=f"{score.records} records, run {job.id[-6:]}",
        )
    ]  # fmt: skip


def _served(ws: Workspace, job: Job) -> list[Finding]:
    """Return what each deployment was asked while the pipeline ran."""
    return [
        Finding(
            step="", what=f"requests to {total.group}",
            found=f"first token {total.first_token_ms:.0f} ms, {total.tokens_per_second or 0:.0f} tokens/s"
            if total.first_token_ms is not None else "", baseline="", difference="", chance="", seconds=None,
            recorded=f"{total.requests} request{'' if total.requests == 1 else 's'}, {total.input_tokens:,} + {total.output_tokens:,} tokens, "
            + money.show(total.pico) + (f" and {total.unknown} unknown" if total.unknown else ""),
        )
        for total in requests.totals(ws.ledger, "deployment", since=job.submitted_at, until=job.ended_at or clock.now())
    ]  # fmt: skip


def _with(value: float, low: float, high: float, *, sign: str = "") -> str:
    return f"{value:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"
