"""The picture of a pipeline: its steps, and the models they made with their evidence."""

from html import escape
from typing import Any

from snapml_lab import clock
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job
from snapml_lab.registry import versions
from snapml_lab.store.files import read_json
from snapml_lab.tracking import runs
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


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


class Learnt(View):
    """A model a step made. Scores are in ``metric``'s unit, on rows held out; ``improvement`` is over the baseline."""

    step: str
    model: str
    family: str
    metric: str
    score: float
    low: float
    high: float
    baseline: float
    improvement: float
    improvement_low: float
    improvement_high: float
    could_be_chance: bool
    seconds: float
    recorded: str

    def text(self) -> str:
        """One line."""
        return " ".join(self.cells())

    def cells(self) -> list[str]:
        """The cells of one line of a table."""
        return [
            f"{self.model} ({self.family})", f"{self.metric} {self.score:.4f} [{self.low:.4f}, {self.high:.4f}]",
            f"{self.baseline:.4f}",
            f"{self.improvement:+.4f} [{self.improvement_low:+.4f}, {self.improvement_high:+.4f}]",
            "could be" if self.could_be_chance else "no", clock.human(self.seconds), self.recorded,
        ]  # fmt: skip


class PipelineView(View):
    """A pipeline's run: steps in order, and what was learnt."""

    job: str
    name: str
    state: str
    seconds: float
    steps: list[StepView]
    learnt: list[Learnt]
    outputs: dict[str, dict[str, Any]]
    error: str | None

    def text(self) -> str:
        """Steps, then one table of what was learnt."""
        lines = [self._headline(), *(f"  {step.text()}" for step in self.steps)]
        if self.learnt:
            lines += ["", text_table(_HEADER, [row.cells() for row in self.learnt])]
        if self.error:
            lines += ["", self.error]
        return "\n".join(lines)

    def html(self) -> str:
        """Steps, then one table of what was learnt."""
        steps = [
            [step.name, step.state, clock.human(step.seconds) if step.seconds is not None else "", step.message or "",
             step.notebook or ""]
            for step in self.steps
        ]  # fmt: skip
        parts = [
            f"<h4>{escape(self._headline())}</h4>",
            html_table(["step", "state", "time", "", "notebook"], steps),
        ]
        if self.learnt:
            parts.append(html_table(_HEADER, [row.cells() for row in self.learnt]))
        if self.error:
            parts.append(f"<div class=bad>{escape(self.error)}</div>")
        return framed(*parts)

    def _headline(self) -> str:
        return f"Pipeline {self.name}: {self.state} after {clock.human(self.seconds)}"


_HEADER = ["model", "held out, 95% interval", "baseline", "difference", "chance?", "time", "recorded"]


def report(ws: Workspace, job: Job) -> PipelineView:
    """Build the picture of a pipeline job from the ledger, whatever its state."""
    spec = read_json(JobFolder(ws.jobs / job.id).spec) or {"pipeline": {"steps": []}}
    rows = ws.ledger.rows("SELECT * FROM jobs WHERE parent = ? ORDER BY id", job.id)
    done = {row["name"]: Job.of(row) for row in rows}
    names = [step["name"] for step in spec["pipeline"]["steps"]]
    result = queue.result(ws, job) or {}
    return PipelineView(
        job=job.id, name=job.name, state=job.state,
        seconds=(job.ended_at or clock.now()) - job.submitted_at,
        steps=[_step(ws, name, done.get(name)) for name in names],
        learnt=[row for name in names if name in done for row in _learnt(ws, done[name])],
        outputs=result.get("outputs", {}),
        error=None if job.error_code is None else f"{job.error_message} {job.error_fix or ''}".strip(),
    )  # fmt: skip


def _step(ws: Workspace, name: str, job: Job | None) -> StepView:
    if job is None:
        return StepView(
            name=name, job=None, state="waiting", seconds=None, message=None, notebook=None, html_file=None
        )
    left = queue.result(ws, job) or {}
    started = job.started_at or job.submitted_at
    notebook, html = left.get("notebook"), left.get("html")
    return StepView(
        name=name, job=job.id, state=job.state, seconds=(job.ended_at or clock.now()) - started,
        message=job.error_message or (None if job.ended else job.message),
        notebook=ws.relative(notebook) if notebook else None, html_file=ws.relative(html) if html else None,
    )  # fmt: skip


def _learnt(ws: Workspace, step: Job) -> list[Learnt]:
    found: list[Learnt] = []
    for row in ws.ledger.rows("SELECT * FROM jobs WHERE parent = ? ORDER BY id", step.id):
        job = Job.of(row)
        for model in versions.of_run(ws.ledger, job.id):
            fields = {name: model.evidence[name] for name in Learnt.model_fields if name in model.evidence}
            trials = len(runs.children(ws.ledger, job.id))
            found.append(
                Learnt(
                    **fields,
                    step=step.name,
                    model=model.reference,
                    seconds=(job.ended_at or clock.now()) - (job.started_at or job.submitted_at),
                    recorded=f"{trials} trials, data {model.evidence.get('dataset')}, run {job.id[-6:]}",
                )
            )
    return found
