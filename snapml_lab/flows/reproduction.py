"""The picture of a run that is run again: what will be done, what was done, and what differs."""

from html import escape
from typing import Literal

from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job
from snapml_lab.store.files import read_json
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

FILE = "reproduction.json"
"""In the artifacts of its job: what is known so far."""
_LONGEST = 80
_MARKS = {"waiting": "·", "running": "…", "done": "✓", "failed": "✗"}
_HEADER = ["", "what", "then", "now", "it is"]


class ReproductionStep(View):
    """One thing that is done, in order. ``detail``: what will be done, then how it went."""

    name: str
    state: Literal["waiting", "running", "done", "failed"]
    detail: str

    def text(self) -> str:
        """One line."""
        return f"{_MARKS[self.state]} {self.name:<12} {self.detail}"


class ReproductionRow(View):
    """One value then and now; ``likeness``: same, close, differs, not made again, new, or not compared."""

    kind: str
    name: str
    before: str | None
    after: str | None
    likeness: str

    def cells(self) -> list[str]:
        """The cells of a table's line."""
        return [self.kind, self.name, _cut(self.before), _cut(self.after), self.likeness]


class ReproductionView(View):
    """A run that is run again.

    ``verdict``: ``same``, ``same within tolerance``, ``differs`` or ``could not be run again``; None while it runs.
    ``again``: the id of the new run. ``rows``: metrics, models, and all else that is not the same; ``same``: how many values are.
    """

    job: str
    run: str
    name: str
    again: str | None
    state: str
    message: str | None
    verdict: str | None
    tolerance: float
    steps: list[ReproductionStep]
    rows: list[ReproductionRow]
    same: int
    error: str | None

    def text(self) -> str:
        """The verdict, the steps, and a table of what differs."""
        lines = [self._headline(), *(f"  {step.text()}" for step in self.steps)]
        if self.rows:
            lines += ["", text_table(_HEADER, [row.cells() for row in self.rows])]
        if self.again is not None:
            lines += [
                "",
                f"{self.same} recorded values are the same; numbers count as close within {self.tolerance:g}.",
            ]
        return "\n".join([*lines, *([self.error] if self.error else [])])

    def html(self) -> str:
        """The verdict, the steps, and a table of what differs."""
        steps = [[_MARKS[step.state], step.name, step.detail] for step in self.steps]
        parts = [f"<h4>{escape(self._headline())}</h4>", html_table(["", "step", ""], steps)]
        if self.rows:
            parts.append(html_table(_HEADER, [row.cells() for row in self.rows]))
        if self.again is not None:
            parts.append(
                f"<div class=dim>{self.same} recorded values are the same; numbers count as close within "
                f"{self.tolerance:g}.</div>"
            )
        if self.error:
            parts.append(f"<div class=bad>{escape(self.error)}</div>")
        return framed(*parts)

    def _headline(self) -> str:
        said = f"run {self.name} ({self.run[-6:]})"
        if self.verdict is None:
            return f"{said} again: {self.message or self.state}"
        again = f", as {self.again[-6:]}" if self.again else ""
        return f"{said} again{again}: {self.verdict}"


def picture(ws: Workspace, job: Job) -> ReproductionView:
    """Build the picture of a reproduction's job, whatever its state."""
    folder = JobFolder(ws.jobs / job.id)
    spec = read_json(folder.spec) or {}
    known = {"steps": spec.get("steps", []), **(read_json(folder.artifacts / FILE) or {})}
    ended = job.ended and known.get("verdict") is None
    return ReproductionView(
        job=job.id, run=spec.get("run", ""), name=spec.get("name", job.name), again=known.get("again"),
        state=job.state, message=job.message, verdict="could not be run again" if ended else known.get("verdict"),
        tolerance=spec.get("tolerance", 0.0), steps=[ReproductionStep(**step) for step in known["steps"]],
        rows=[ReproductionRow(**row) for row in known.get("rows", [])], same=known.get("same", 0),
        error=None if job.error_code is None else f"{job.error_message} {job.error_fix or ''}".strip(),
    )  # fmt: skip


def _cut(text: str | None) -> str:
    if text is None:
        return "–"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
