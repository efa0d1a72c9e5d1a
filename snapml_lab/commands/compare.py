"""Commands that put runs beside each other."""

import difflib
from html import escape
from typing import Annotated

from pydantic import Field

from snapml_lab.commands.core import command
from snapml_lab.commands.runs import SomeRuns
from snapml_lab.errors import InvalidInputError
from snapml_lab.governance.roles import Effect
from snapml_lab.tracking import detail, live, provenance, runs
from snapml_lab.tracking.view import CurveList, RunView
from snapml_lab.views.base import View
from snapml_lab.views.charts import Axis, Parallel
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

_MOST_RUNS = 200
_CHARTS = 6
_POINTS = 200
_SYSTEM = "system/"
_SHOWN_HASH = 12
_SINGLE = (
    "Each figure is one measurement: whether a difference could be chance is not known from these."
    " Rows held out say so: models add --held-out, automl, eval --against."
)


class Difference(View):
    """One thing that is not the same in all runs compared; a value a run, None where it has none."""

    kind: str
    name: str
    values: list[str | None]

    def text(self) -> str:
        """One line."""
        return f"{self.kind} {self.name}: {' | '.join(value or '–' for value in self.values)}"


class RunComparison(View):
    """What differs between runs; what is the same is left out and counted.

    ``code``: the difference of the sources of the first two runs' cells, as a unified diff; ``data``: what differs between
    the tables they read; ``curves``: metrics that more than one of them logged over steps, over each other.
    """

    runs: list[RunView]
    differences: list[Difference]
    same: int
    code: str | None
    data: list[str]
    curves: list[CurveList]

    def text(self) -> str:
        """A table, a column a run; then what differs in code and data."""
        lines = [text_table(*self._table())] if self.differences else ["They differ in nothing recorded."]
        lines.append(f"{self.same} more recorded values are the same.")
        lines += [_SINGLE] if self._figures_differ() else []
        lines += [f"data: {line}" for line in self.data]
        if self.code:
            lines += ["", self.code]
        return "\n".join(lines)

    def html(self) -> str:
        """Parallel coordinates and curves, then the table, code and data."""
        parts = []
        if (picture := self.parallel()) is not None:
            parts.append(picture.svg())
        if self.curves:
            parts.append(f"<div class=row>{''.join(curves.chart().svg() for curves in self.curves)}</div>")
        if self.differences:
            parts.append(html_table(*self._table()))
        parts.append(f"<div class=dim>{self.same} more recorded values are the same.</div>")
        if self._figures_differ():
            parts.append(f"<div class=dim>{escape(_SINGLE)}</div>")
        parts += [f"<div>data: {escape(line)}</div>" for line in self.data]
        if self.code:
            parts.append(
                f"<details><summary>the code differs</summary><pre class=wrap>{escape(self.code)}</pre></details>"
            )
        return framed(*parts)

    def parallel(self) -> Parallel | None:
        """Return parameters and metrics that differ, as an axis each, with a line a run; None where there are too few."""
        chosen = [
            item
            for item in self.differences
            if item.kind in ("param", "metric")
            and not item.name.startswith(_SYSTEM)
            and len({value for value in item.values if value is not None}) > 1
        ]
        axes = [Axis(item.name, item.values) for item in chosen][:10]
        if len(axes) < 2:
            return None
        return Parallel("Runs compared", axes, [f"{run.name} {run.id[-6:]}" for run in self.runs])

    def _figures_differ(self) -> bool:
        return any(item.kind == "metric" and not item.name.startswith(_SYSTEM) for item in self.differences)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        header = ["", "", *(f"{run.name} {run.id[-6:]}" for run in self.runs)]
        return header, [
            [item.kind, item.name, *(value or "–" for value in item.values)] for item in self.differences
        ]


@command("runs compare", effect=Effect.READ)
def compare(
    ws: Workspace, run: SomeRuns, *, smooth: Annotated[float, Field(ge=0, lt=1)] = 0.0
) -> RunComparison:
    """Show what differs between two or more runs: parameters, figures, curves, code and data.

    Args:
        run: the runs, each by its id, the end of it, or its name.
        smooth: how much curves are smoothed, from 0 to just below 1.
    """
    if not 2 <= len(run) <= _MOST_RUNS:
        raise InvalidInputError.of("run", run, f"two to {_MOST_RUNS} runs")
    live.catch_up(ws)
    found = [runs.get(ws.ledger, reference) for reference in run]
    views = [RunView.of(item) for item in found]
    differences: list[Difference] = []
    same = 0
    for kind, tables in (
        ("origin", [_origin(view) for view in views]),
        ("param", [view.params for view in views]),
        ("metric", [{name: f"{value:.6g}" for name, value in view.metrics.items()} for view in views]),
        ("tag", [view.tags for view in views]),
    ):
        for name in sorted({name for table in tables for name in table}):
            values = [table.get(name) for table in tables]
            if len(set(values)) == 1:
                same += 1
            else:
                differences.append(Difference(kind=kind, name=name, values=values))
    return RunComparison(
        runs=views, differences=differences, same=same, code=_code(ws, found), data=_data(ws, found),
        curves=_curves(ws, found, smooth),
    )  # fmt: skip


@command("runs curve", effect=Effect.READ)
def curve(
    ws: Workspace,
    metric: Annotated[str, Field(min_length=1, max_length=1000, description="a metric's name")],
    *,
    run: SomeRuns,
    points: Annotated[int, Field(ge=2, le=5000)] = 400,
    smooth: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    start: int | None = None,
    stop: int | None = None,
) -> CurveList:
    """Draw a metric of one or more runs over their steps; a million points are thinned in the ledger.

    Args:
        metric: its name.
        run: the runs; may be given again.
        points: how many points a curve has at most, about.
        smooth: how much it is smoothed, from 0 to just below 1.
        start: the first step wanted.
        stop: the last step wanted.
    """
    live.catch_up(ws)
    found = [runs.get(ws.ledger, reference) for reference in run]
    drawn = [
        detail.curve(ws, item, metric, points=points, smooth=smooth, start=start, stop=stop) for item in found
    ]
    return CurveList(metric=metric, curves=[item for item in drawn if item.steps])


def _origin(view: RunView) -> dict[str, str]:
    order = None if view.out_of_order is None else str(view.out_of_order)
    fields = {
        "notebook": view.notebook, "script": view.script, "cell": view.cell_id, "cell source": view.cell_sha256, "git": view.git_commit,
        "uncommitted": view.git_diff, "environment": view.environment, "data": view.dataset, "out of order": order,
        "by": view.actor or None,
    }  # fmt: skip
    hashed = ("cell source", "git", "uncommitted", "environment", "data")
    return {
        name: value[:_SHOWN_HASH] if name in hashed else value
        for name, value in fields.items()
        if value is not None
    }


def _code(ws: Workspace, found: list[runs.Run]) -> str | None:
    """Return how the second run's cell differs from the first's; None where they are the same, or not known."""
    first, second = (provenance.source(ws, run.cell_sha256 or "") for run in found[:2])
    if first is None or second is None or first == second:
        return None
    a, b = (f"{run.name} {run.id[-6:]}" for run in found[:2])
    lines = difflib.unified_diff(first.splitlines(), second.splitlines(), a, b, lineterm="")
    return "\n".join(lines)


def _data(ws: Workspace, found: list[runs.Run]) -> list[str]:
    """Say what differs between the tables the first two runs read, where the catalog knows them."""
    first, second = (detail.dataset_name(ws, run.dataset) for run in found[:2])
    if first is None or second is None or first == second:
        return []
    from snapml_lab.data import tables

    a, b = tables.find(ws, first), tables.find(ws, second)
    lines = [f"{first} and {second}"]
    if a.rows != b.rows:
        lines.append(f"{a.rows:,} rows, then {b.rows:,}")
    gone, new = sorted(set(a.columns) - set(b.columns)), sorted(set(b.columns) - set(a.columns))
    lines += [f"without the columns {', '.join(gone)}"] if gone else []
    lines += [f"with the columns {', '.join(new)}"] if new else []
    return lines


def _curves(ws: Workspace, found: list[runs.Run], smooth: float) -> list[CurveList]:
    """Return the metrics that at least two runs logged over steps, those of the machine left out."""
    marks = ",".join("?" * len(found))
    rows = ws.ledger.rows(
        f"SELECT name FROM latest_metrics WHERE run IN ({marks}) AND number > 1 AND name NOT LIKE 'system/%'"
        " GROUP BY name HAVING count(*) > 1 ORDER BY count(*) DESC, name LIMIT ?",
        *(run.id for run in found), _CHARTS,
    )  # fmt: skip
    drawn = []
    for row in rows:
        curves = [detail.curve(ws, run, row["name"], points=_POINTS, smooth=smooth) for run in found]
        drawn.append(CurveList(metric=row["name"], curves=[item for item in curves if item.steps]))
    return drawn
