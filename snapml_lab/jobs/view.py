"""How jobs look to people and programs."""

import json
from html import escape
from pathlib import Path
from typing import Any, Self

from pydantic import PrivateAttr

from snapml_lab import clock
from snapml_lab.jobs import logs as log_files
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import DEFAULT_QUEUE, Job, State
from snapml_lab.jobs.results import awaited, handed
from snapml_lab.jobs.terminal import collapse
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace, open_workspace


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

    A ``service`` runs until it is stopped, and was started again ``restarts`` times; ``attempt`` counts the starts of
    work that may be retried. Memory is in MiB: ``memory`` asked for, ``peak_memory`` used by the whole tree, and likewise ``gpu_memory`` and ``gpu_peak`` of a GPU. ``after``
    are the ids of the jobs it is to run after, ``gave_way_to`` of the one it stopped for.

    In Python it is a handle: :meth:`result`, :meth:`wait`, :meth:`cancel`, :meth:`logs`, :meth:`refresh`.
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
    queue: str
    priority: int
    cpus: float
    memory: int | None
    peak_memory: int | None
    gpus: int
    gpu_memory: int | None
    gpu_peak: int | None
    after: list[str]
    retries: int
    attempt: int
    time_limit: float | None
    gives_way: bool
    gave_way_to: str | None

    _root: Path | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, job: Job) -> "JobView":
        """Read a job of the ledger."""
        return cls(
            id=job.id, kind=job.kind, name=job.name, state=job.state, progress=job.progress, message=job.message,
            submitted_at=clock.iso(job.submitted_at), started_at=_iso(job.started_at), ended_at=_iso(job.ended_at),
            exit_code=job.exit_code, reason=job.reason, error=ErrorView.of_job(job), parent=job.parent, notebook=job.notebook,
            cell_id=job.cell_id, containment=job.containment, waiting_for=job.waiting_for, actor=job.actor, service=bool(job.service), restarts=job.restarts,
            queue=job.queue, priority=job.priority, cpus=job.cpus, memory=job.memory, peak_memory=job.peak_memory,
            gpus=job.gpus, gpu_memory=job.gpu_memory, gpu_peak=job.gpu_peak, after=json.loads(job.after or "[]"), retries=job.retries,
            attempt=job.attempt, time_limit=job.time_limit, gives_way=bool(job.gives_way), gave_way_to=job.gave_way_to,
        )  # fmt: skip

    def belongs(self, root: Path) -> Self:
        """Remember the workspace it is of; else its methods look where the process is then."""
        self._root = root
        return self

    def result(self, timeout: float | None = None) -> Any:
        """Wait for its end and return what it left: the variables of a cell, a payload's value, or the exit code.

        Args:
            timeout: seconds to wait at most; the job goes on.

        Raises:
            SnapmlError: it did not succeed, and this is why; or the wait was interrupted or too long, and it goes on.
        """
        ws, job = self._job()
        return handed(ws, awaited(ws, job, timeout))

    def wait(self, timeout: float | None = None) -> "JobView":
        """Wait for its end and return it as it then is, however it ended.

        Args:
            timeout: seconds to wait at most; the job goes on.

        Raises:
            SnapmlError: the wait was interrupted, or too long; the job goes on.
        """
        ws, job = self._job()
        return JobView.of(awaited(ws, job, timeout)).belongs(ws.root)

    def cancel(self, grace: float = 10.0) -> "JobView":
        """Stop it with all its processes, and the jobs it submitted.

        Args:
            grace: seconds between asking (SIGTERM) and killing (SIGKILL).
        """
        ws, job = self._job()
        return JobView.of(queue.cancel(ws, job.id, grace=grace)).belongs(ws.root)

    def logs(self) -> str:
        """Return what it has printed so far, both streams as they came."""
        ws, job = self._job()
        pieces, offset, total = [], 0, 1
        while offset < total:
            page = log_files.read(JobFolder(ws.jobs / job.id), offset, _PIECE, final=job.ended)
            pieces.append(page.text)
            if page.next_offset == offset:
                break
            offset, total = page.next_offset, page.total
        return "".join(pieces)

    def refresh(self) -> "JobView":
        """Return it as it is now."""
        ws, job = self._job()
        return JobView.of(job).belongs(ws.root)

    def _job(self) -> tuple[Workspace, Job]:
        ws = Workspace(self._root) if self._root is not None else open_workspace()
        return ws, queue.get(ws, self.id)

    def text(self) -> str:
        """A line a field that is known."""
        lines = [f"{self.kind} {self.name}: {self.state}{self._percent()}", f"  id           {self.id}"]
        shown = {
            "doing": self.message, "waits for": self.waiting_for, "submitted": self.submitted_at,
            "started": self.started_at, "ended": self.ended_at, "exit code": self.exit_code, "reason": self.reason,
            "holds": self._holds(), "queue": self._place(), "attempt": self._attempt(),
            "containment": self._containment(), "notebook": self.notebook, "cell": self.cell_id, "part of": self.parent,
            "by": self.actor, "error": self.error.text() if self.error else None, "see": self._see(),
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

    def _see(self) -> str | None:
        short = self.id[-6:]
        log = f"snapml jobs {'logs' if self.state.ended else 'follow'} {short}"
        return log if self.service else f"{log}, snapml jobs result {short}"

    def _holds(self) -> str | None:
        """Say what it was admitted for, and what of it it used."""
        parts = [f"{self.cpus:g} CPUs" if self.cpus != 1 else "1 CPU"] if self.cpus else []
        if self.memory:
            parts.append(f"{self.memory:,} MiB memory")
        if self.gpus:
            each = f"{self.gpu_memory:,} MiB of " if self.gpu_memory else ""
            peak = f" (used at most {self.gpu_peak:,} MiB)" if self.gpu_peak else ""
            parts.append(f"{each}{self.gpus} GPU{'s' if self.gpus > 1 else ''}{peak}")
        used = f"used at most {self.peak_memory:,} MiB" if self.peak_memory else None
        return ", ".join([*parts, *filter(None, [used])]) or None

    def _containment(self) -> str | None:
        """Say what holds its processes together, and what that is worth."""
        if self.containment is None:
            return None
        return f"{self.containment}: {_CONTAINMENT.get(self.containment, 'unknown')}"

    def _place(self) -> str | None:
        parts = [self.queue] if self.queue != DEFAULT_QUEUE else []
        if self.priority:
            parts.append(f"priority {self.priority}")
        return ", ".join(parts) or None

    def _attempt(self) -> str | None:
        return f"{self.attempt} of {self.retries + 1}" if self.retries else None

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
        """What was printed, as a terminal would show it: a progress bar is one line."""
        return collapse(self.content).rstrip("\n")

    def plain(self) -> str:
        """The same: it has no control characters left, and joined emoji stay joined."""
        return self.text()


_CONTAINMENT = {
    "cgroup": "nothing escapes a cancel",
    "subreaper": "a fork storm may escape a cancel",
    "group": "what leaves its process group may escape a cancel",
}
_PIECE = 1 << 22
_HEADER = ["id", "state", "kind", "name", "submitted", "doing", "notebook"]


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else clock.iso(seconds)
