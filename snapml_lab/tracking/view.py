"""How runs look to people and programs."""

from html import escape
from typing import Self

from snapml_lab import clock
from snapml_lab.tracking import runs
from snapml_lab.views.base import View
from snapml_lab.views.charts import Line, Lines
from snapml_lab.views.tables import framed, html_table, text_table

_SHOWN_METRICS = 4
_SYSTEM = "system/"
_LONGEST_VALUE = 120


class ArtifactView(View):
    """A file or folder kept with a run. ``blob``: SHA-256 of its content; ``size`` in bytes."""

    name: str
    blob: str
    size: int
    folder: bool


class RunView(View):
    """A run: its parameters, the value of each metric at its latest step, and where it came from.

    ``state`` is as a job's; ``lost``: its process ended without a word.
    """

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
    def of(cls, run: runs.Run, **more: object) -> Self:
        """Read a run of the ledger; ``more`` are fields of a view that has more."""
        times = {
            name: None if at is None else clock.iso(at)
            for name, at in (
                ("started_at", run.started_at), ("ended_at", run.ended_at), ("deleted_at", run.deleted_at),
            )
        }  # fmt: skip
        fields = {name: value for name, value in vars(run).items() if name in _OF_A_RUN}
        kept = [ArtifactView(**vars(item)) for item in run.artifacts]
        return cls(**{**fields, **times, "artifacts": kept, **more})

    def text(self) -> str:
        """A line a field that is known."""
        lines = [f"{self.kind} {self.name}: {self.state}"]
        lines += [f"  {label:<12} {value}" for label, value in self.origin()]
        lines += [f"  param   {name} = {value}" for name, value in sorted(self.params.items())]
        lines += [f"  metric  {name} = {value:.6g}" for name, value in sorted(self.metrics.items())]
        lines += [f"  tag     {name} = {value}" for name, value in sorted(self.tags.items())]
        lines += [f"  file    {item.name} ({item.size:,} bytes)" for item in self.artifacts]
        return "\n".join(lines)

    def origin(self) -> list[tuple[str, str]]:
        """Return what is known of where it came from, by label."""
        order = {
            True: self.out_of_order_why or "not from top to bottom",
            False: "cells ran from top to bottom",
        }
        found = {
            "id": self.id, "started": self.started_at, "ended": self.ended_at, "by": self.actor or None,
            "note": self.note, "script": self.script, "notebook": self.notebook, "cell": self.cell_id, "cell source": self.cell_sha256,
            "order": None if self.out_of_order is None else order[self.out_of_order], "git": self.git_commit,
            "environment": self.environment, "data": self.dataset, "part of": self.parent, "deleted": self.deleted_at,
        }  # fmt: skip
        return [(label, value) for label, value in found.items() if value is not None]

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        figures = {name: value for name, value in self.metrics.items() if not name.startswith(_SYSTEM)}
        shown = ", ".join(f"{name} {value:.4g}" for name, value in sorted(figures.items())[:_SHOWN_METRICS])
        return [
            self.id[-6:],
            self.kind,
            self.name,
            self.state,
            self.started_at[:19],
            shown,
            self.notebook or self.script or "",
        ]


_OF_A_RUN = frozenset(RunView.model_fields)


_HEADER = ["id", "kind", "name", "state", "started", "metrics", "notebook"]


class RunList(View):
    """Runs in the order asked for; ``more``: there are others that fit."""

    runs: list[RunView]
    more: bool = False

    def text(self) -> str:
        """A table."""
        if not self.runs:
            return "No runs yet. Make one: with snap.run('name') as r: r.log(loss=0.1)"
        return text_table(_HEADER, [run.row() for run in self.runs]) + (
            "\nThere are more: --limit" if self.more else ""
        )

    def html(self) -> str:
        """A table."""
        if not self.runs:
            return super().html()
        more = "<div class=dim>There are more: --limit</div>" if self.more else ""
        return framed(html_table(_HEADER, [run.row() for run in self.runs]), more)


class MetricView(View):
    """A metric of a run: its value at the latest step, its least and greatest, and how many were logged."""

    name: str
    step: int
    last: float | None
    low: float | None
    high: float | None
    number: int

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        shown = ["–" if value is None else f"{value:.6g}" for value in (self.last, self.low, self.high)]
        return [self.name, *shown, str(self.step), f"{self.number:,}"]


class CurveView(View):
    """A metric of a run over its steps, thinned to what a chart can show.

    Each point stands for a stretch of steps: ``steps`` is its last, ``values`` its mean (smoothed where asked for),
    ``low`` and ``high`` its extremes; None where there was no number. ``number`` points were logged in all.
    """

    run: str
    name: str
    metric: str
    steps: list[int]
    values: list[float | None]
    low: list[float | None]
    high: list[float | None]
    number: int

    def line(self, *, strong: bool = False, hue: int | None = None) -> Line:
        """Return it as a line of a chart."""
        known = [(x, y) for x, y in zip(self.steps, self.values, strict=True) if y is not None]
        return Line(
            f"{self.name} {self.run[-6:]}", [x for x, _ in known], [y for _, y in known], strong=strong, hue=hue
        )  # fmt: skip

    def text(self) -> str:
        """One line."""
        last = next((value for value in reversed(self.values) if value is not None), None)
        return f"{self.metric} of {self.name} {self.run[-6:]}: {self.number:,} points, the last {last}"


class CurveList(View):
    """Curves of one metric over each other."""

    metric: str
    curves: list[CurveView]

    def text(self) -> str:
        """One line a curve."""
        return "\n".join(curve.text() for curve in self.curves) or "No run has this metric."

    def html(self) -> str:
        """The chart."""
        return framed(self.chart().svg())

    def chart(self) -> Lines:
        """Return the chart."""
        many = len(self.curves) > 1
        lines = [curve.line(strong=not many, hue=i if many else None) for i, curve in enumerate(self.curves)]
        return Lines(self.metric, "step", "", lines)


class RunPage(RunView):
    """A run with all that is known of it: the source of its cell, what differed from the commit, curves, nested runs, models.

    ``since``: what became of the cell or script after: ``same``, ``changed``, ``gone`` or ``unknown``, and that in words. ``dataset_name``: the
    dataset version whose content it read, if that is in the catalog. ``diff`` is cut where it is long.
    """

    source: str | None
    diff: str | None
    since: str
    since_words: str
    dataset_name: str | None
    figures: list[MetricView]
    curves: list[CurveView]
    nested: list[RunView]
    models: list[str]

    def text(self) -> str:
        """A line a field, then the figures, nested runs and the source."""
        lines = [super().text()]
        if self.dataset_name:
            lines.append(f"  dataset      {self.dataset_name}")
        if self.since_words:
            lines.append(f"  since        {self.since_words}")
        lines += [f"  made model   {reference}" for reference in self.models]
        if self.nested:
            lines += ["", text_table(_HEADER, [run.row() for run in self.nested])]
        if self.source:
            lines += ["", *(f"  │ {line}" for line in self.source.splitlines())]
        return "\n".join(lines)

    def html(self) -> str:
        """Figures and curves first, then where it came from."""
        title = (
            f"<h4>{escape(self.name)} <span class=dim>{escape(self.kind)}, {escape(self.state)}</span></h4>"
        )
        parts = [title]
        charts = [CurveList(metric=curve.metric, curves=[curve]).chart().svg() for curve in self.curves]
        if charts:
            parts.append(f"<div class=row>{''.join(charts)}</div>")
        if self.figures:
            header = ["metric", "last", "least", "greatest", "step", "points"]
            parts.append(
                html_table(header, [item.row() for item in self.figures], right=frozenset(range(1, 6)))
            )
        if self.params:
            parts.append(
                html_table(["parameter", "value"], [[k, _cut(v)] for k, v in sorted(self.params.items())])
            )
        origin = [list(item) for item in self.origin()]
        origin += [["dataset", self.dataset_name]] if self.dataset_name else []
        origin += [["since", self.since_words]] if self.since_words else []
        origin += [["model", reference] for reference in self.models]
        origin += [[f"tag {name}", _cut(value)] for name, value in sorted(self.tags.items())]
        origin += [["file", f"{item.name} ({item.size:,} bytes)"] for item in self.artifacts]
        parts.append(html_table(["", ""], origin))
        if self.nested:
            parts.append(html_table(_HEADER, [run.row() for run in self.nested]))
        for label, text in (("the cell", self.source), ("differs from the commit by", self.diff)):
            if text:
                parts.append(
                    f"<details><summary>{label}</summary><pre class=wrap>{escape(text)}</pre></details>"
                )
        return framed(*parts)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
