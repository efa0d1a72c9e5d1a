"""Commands about runs."""

from typing import Annotated

from pydantic import Field

from snapml_lab import clock
from snapml_lab.commands.core import command
from snapml_lab.commands.types import Completes, Limit, RunId
from snapml_lab.errors import InvalidInputError
from snapml_lab.governance.roles import Effect
from snapml_lab.tracking import runs
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


class ArtifactView(View):
    """A file or folder kept with a run. ``blob``: SHA-256 of its content; ``size`` in bytes."""

    name: str
    blob: str
    size: int


class RunView(View):
    """A run: its parameters, the latest value of each metric, and where it came from."""

    id: str
    kind: str
    name: str
    job: str | None
    parent: str | None
    started_at: str
    notebook: str | None
    cell_id: str | None
    cell_sha256: str | None
    execution_count: int | None
    git_commit: str | None
    environment: str | None
    dataset: str | None
    git_diff: str | None
    session: str | None
    out_of_order: bool | None
    out_of_order_why: str | None
    script: str | None
    actor: str
    state: str
    ended_at: str | None
    deleted_at: str | None
    note: str | None
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    artifacts: list[ArtifactView]

    @classmethod
    def of(cls, run: runs.Run) -> "RunView":
        """Read a run of the ledger."""
        times = {
            name: None if at is None else clock.iso(at)
            for name, at in (("started_at", run.started_at), ("ended_at", run.ended_at), ("deleted_at", run.deleted_at))
        }  # fmt: skip
        kept = [ArtifactView(**vars(item)) for item in run.artifacts]
        return cls(**{**vars(run), **times, "artifacts": kept})

    def text(self) -> str:
        """A line a field that is known."""
        lines = [f"{self.kind} {self.name}", f"  id           {self.id}", f"  started      {self.started_at}"]
        origin = {
            "notebook": self.notebook, "cell": self.cell_id, "cell source": self.cell_sha256, "git": self.git_commit,
            "environment": self.environment, "data": self.dataset, "part of": self.parent,
        }  # fmt: skip
        lines += [f"  {label:<12} {value}" for label, value in origin.items() if value is not None]
        lines += [f"  param   {name} = {value}" for name, value in sorted(self.params.items())]
        lines += [f"  metric  {name} = {value:.6g}" for name, value in sorted(self.metrics.items())]
        return "\n".join(lines)


class RunList(View):
    """Runs, newest first."""

    runs: list[RunView]

    def text(self) -> str:
        """A table."""
        return text_table(*self._table()) if self.runs else "No runs yet."

    def html(self) -> str:
        """A table."""
        return framed(html_table(*self._table())) if self.runs else super().html()

    def _table(self) -> tuple[list[str], list[list[str]]]:
        header = ["id", "kind", "name", "started", "metrics", "notebook"]
        rows = [
            [
                run.id[-6:], run.kind, run.name, run.started_at[:19],
                ", ".join(f"{name} {value:.4g}" for name, value in sorted(run.metrics.items())[:4]), run.notebook or "",
            ]
            for run in self.runs
        ]  # fmt: skip
        return header, rows


class Difference(View):
    """One thing that is not the same in all runs compared; a value a run, None where it has none."""

    kind: str
    name: str
    values: list[str | None]

    def text(self) -> str:
        """One line."""
        return f"{self.kind} {self.name}: {' | '.join(value or '–' for value in self.values)}"


class RunComparison(View):
    """What differs between runs; what is the same is left out and counted."""

    runs: list[RunView]
    differences: list[Difference]
    same: int

    def text(self) -> str:
        """A table, a column a run."""
        lines = [text_table(*self._table())] if self.differences else ["They differ in nothing recorded."]
        return "\n".join([*lines, f"{self.same} more recorded values are the same."])

    def html(self) -> str:
        """A table, a column a run."""
        if not self.differences:
            return super().html()
        return framed(
            html_table(*self._table()), f"<div class=dim>{self.same} more recorded values are the same.</div>"
        )

    def _table(self) -> tuple[list[str], list[list[str]]]:
        header = ["", "", *(f"{run.name} {run.id[-6:]}" for run in self.runs)]
        return header, [
            [item.kind, item.name, *(value or "–" for value in item.values)] for item in self.differences
        ]


@command("runs list", effect=Effect.READ)
def list_runs(
    ws: Workspace,
    *,
    limit: Limit = 50,
    kind: Annotated[str | None, Field(description="automl, trial, notebook …")] = None,
) -> RunList:
    """List runs, newest first; trials of a search are listed with --kind trial.

    Args:
        limit: how many at most.
        kind: only those of this kind.
    """
    return RunList(runs=[RunView.of(run) for run in runs.latest(ws.ledger, kind=kind, limit=limit)])


@command("runs show", effect=Effect.READ)
def show(ws: Workspace, run: RunId) -> RunView:
    """Show a run: parameters, metrics, and where it came from.

    Args:
        run: its id, the end of it, its name, or last.
    """
    return RunView.of(runs.get(ws.ledger, run))


@command("runs compare", effect=Effect.READ)
def compare(
    ws: Workspace, run: Annotated[list[str], Completes("runs"), Field(min_length=1)]
) -> RunComparison:
    """Show what differs between two or more runs.

    Args:
        run: the runs, each by its id, the end of it, or its name.
    """
    if len(run) < 2:
        raise InvalidInputError.of("run", run, "two runs or more")
    views = [RunView.of(runs.get(ws.ledger, reference)) for reference in run]
    found: list[Difference] = []
    same = 0
    for kind, tables in (
        ("origin", [_origin(view) for view in views]),
        ("param", [view.params for view in views]),
        ("metric", [{name: f"{value:.6g}" for name, value in view.metrics.items()} for view in views]),
    ):
        for name in sorted({name for table in tables for name in table}):
            values = [table.get(name) for table in tables]
            if len(set(values)) == 1:
                same += 1
            else:
                found.append(Difference(kind=kind, name=name, values=values))
    return RunComparison(runs=views, differences=found, same=same)


def _origin(view: RunView) -> dict[str, str]:
    fields = {
        "notebook": view.notebook, "cell": view.cell_id, "cell source": view.cell_sha256, "git": view.git_commit,
        "environment": view.environment, "data": view.dataset,
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value is not None}
