"""How jobs look to people and programs."""

from html import escape

from snapml_lab import clock
from snapml_lab.jobs.model import Job, State
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table


class ErrorView(View):
    """Why something failed: code, sentence, fix."""

    code: str
    message: str
    fix: str

    @classmethod
    def of_job(cls, job: Job) -> "ErrorView | None":
        """Return why a job failed; None where it did not."""
        if job.error_code is None:
            return None
        return cls(code=job.error_code, message=job.error_message or "", fix=job.error_fix or "")

    def text(self) -> str:
        """One line."""
        return f"{self.message} {self.fix}".strip()


class JobView(View):
    """A job. Times are ISO 8601 in UTC; ``progress`` is in [0, 1].

    A ``service`` runs until it is stopped, and was started again ``restarts`` times.
    """

    id: str
    kind: str
    name: str
    state: State
    progress: float | None
    message: str | None
    submitted_at: str
    started_at: str | None
    ended_at: str | None
    exit_code: int | None
    reason: str | None
    error: ErrorView | None
    parent: str | None
    notebook: str | None
    cell_id: str | None
    containment: str | None
    waiting_for: str | None
    actor: str
    service: bool
    restarts: int

    @classmethod
    def of(cls, job: Job) -> "JobView":
        """Read a job of the ledger."""
        return cls(
            id=job.id, kind=job.kind, name=job.name, state=job.state, progress=job.progress, message=job.message,
            submitted_at=clock.iso(job.submitted_at), started_at=_iso(job.started_at), ended_at=_iso(job.ended_at),
            exit_code=job.exit_code, reason=job.reason, error=ErrorView.of_job(job), parent=job.parent, notebook=job.notebook,
            cell_id=job.cell_id, containment=job.containment, waiting_for=job.waiting_for, actor=job.actor, service=bool(job.service), restarts=job.restarts,
        )  # fmt: skip

    def text(self) -> str:
        """A line a field that is known."""
        lines = [f"{self.kind} {self.name}: {self.state}{self._percent()}", f"  id           {self.id}"]
        shown = {
            "doing": self.message, "waits for": self.waiting_for, "submitted": self.submitted_at,
            "started": self.started_at, "ended": self.ended_at, "exit code": self.exit_code, "reason": self.reason,
            "containment": self.containment, "notebook": self.notebook, "cell": self.cell_id, "part of": self.parent,
            "by": self.actor, "error": self.error.text() if self.error else None,
        }  # fmt: skip
        lines += [f"  {label:<12} {value}" for label, value in shown.items() if value is not None]
        return "\n".join(lines)

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        now = None if self.state.ended else self.waiting_for or self.message
        doing = self.error.message if self.error else now or ""
        where = self.notebook or ""
        return [
            self.id[-6:],
            self.state + self._percent(),
            self.kind,
            self.name,
            self.submitted_at[:19],
            doing[:60],
            where,
        ]

    def _percent(self) -> str:
        live = self.progress is not None and not self.state.ended
        return f" {100 * self.progress:.0f}%" if live and self.progress is not None else ""


class JobList(View):
    """Jobs, newest first. ``note`` says when nothing is alive to move the queue."""

    jobs: list[JobView]
    total: int
    revision: int
    note: str | None

    def text(self) -> str:
        """A table."""
        if not self.jobs:
            return "No jobs yet. Start one: %snapml automl DATA --target COLUMN"
        lines = [text_table(_HEADER, [job.row() for job in self.jobs])]
        if self.total > len(self.jobs):
            lines.append(f"{len(self.jobs)} of {self.total}; see more with --limit")
        return "\n".join([*lines, *filter(None, [self.note])])

    def html(self) -> str:
        """A table."""
        if not self.jobs:
            return framed(f"<div class=dim>{escape(self.text())}</div>")
        note = f"<div>{escape(self.note)}</div>" if self.note else ""
        return framed(html_table(_HEADER, [job.row() for job in self.jobs]), note)


class LogPage(View):
    """A part of a job's merged log, from byte ``offset`` to ``next_offset``; ``ended``: nothing will follow it."""

    job: str
    content: str
    offset: int
    next_offset: int
    ended: bool

    def text(self) -> str:
        """What was printed."""
        return self.content.rstrip("\n")

    def plain(self) -> str:
        """What was printed, colours and progress bars included: a log is shown as its program wrote it."""
        return self.text()


_HEADER = ["id", "state", "kind", "name", "submitted", "doing", "notebook"]


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else clock.iso(seconds)
