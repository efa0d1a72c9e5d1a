"""How a model card looks: text, HTML for a notebook or a page of its own, and Markdown."""

from html import escape

from snapml_lab.views.base import View
from snapml_lab.views.charts import Bar, Intervals
from snapml_lab.views.tables import framed, html_table, printable

_SPECIAL = "\\`*_{}[]<>#|~"


class Row(View):
    """A name and what is known of it."""

    name: str
    value: str


class Section(View):
    """Rows under a heading."""

    title: str
    rows: list[Row]


class Measured(View):
    """A score on held-out rows with its 95% interval, and the baseline's on the same rows."""

    metric: str
    score: float
    low: float
    high: float
    baseline: float | None

    def chart(self) -> Intervals:
        """Draw it beside the baseline."""
        bars = [Bar("held out", self.score, self.low, self.high, strong=True)]
        if self.baseline is not None:
            bars.append(Bar("baseline", self.baseline, self.baseline, self.baseline))
        return Intervals("On rows it was not made with, 95% interval", self.metric, bars)


class Card(View):
    """What the record says of a model version. ``path``: the file it was written to, too."""

    reference: str
    summary: str
    note: str | None
    sections: list[Section]
    limits: list[str]
    measured: Measured | None
    path: str | None = None

    def text(self) -> str:
        """A line a field."""
        lines = [self.reference, self.summary]
        if self.note:
            lines += ["", self.note]
        for section in self.sections:
            width = max(len(row.name) for row in section.rows)
            lines += ["", section.title, *(f"  {row.name:<{width}}  {row.value}" for row in section.rows)]
        lines += ["", "Known limits", *(f"  - {limit}" for limit in self.limits or ["None are recorded."])]
        return "\n".join([*lines, *([f"\nWritten to {self.path}."] if self.path else [])])

    def html(self) -> str:
        """Headings and tables, static."""
        parts = [f"<h4>{escape(printable(self.reference))}</h4><div>{escape(printable(self.summary))}</div>"]
        if self.note:
            parts.append(
                f'<div style="white-space:pre-wrap;margin:6px 0">{escape(printable(self.note))}</div>'
            )
        listed = (
            "".join(f"<li>{escape(printable(limit))}</li>" for limit in self.limits)
            or "<li>None are recorded.</li>"
        )
        parts.append(f'<h4>Known limits</h4><ul style="margin:4px 0 8px 18px;padding:0">{listed}</ul>')
        if self.measured is not None:
            parts.append(f'<div class="row">{self.measured.chart().svg()}</div>')
        for section in self.sections:
            rows = [[row.name, row.value] for row in section.rows]
            parts.append(f"<h4>{escape(section.title)}</h4>{html_table(['', ''], rows)}")
        if self.path:
            parts.append(f"<div class=dim>Written to {escape(printable(self.path))}.</div>")
        return framed(*parts)

    def markdown(self) -> str:
        """The same as Markdown (CommonMark with tables)."""
        lines = [f"# {_plain(self.reference)}", "", _plain(self.summary)]
        if self.note:
            lines += ["", *(f"> {_plain(line)}" for line in self.note.splitlines())]
        lines += [
            "",
            "## Known limits",
            "",
            *(f"- {_plain(limit)}" for limit in self.limits or ["None are recorded."]),
        ]
        for section in self.sections:
            lines += ["", f"## {_plain(section.title)}", "", "| | |", "|---|---|"]
            lines += [f"| {_plain(row.name)} | {_plain(row.value)} |" for row in section.rows]
        return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Write text so that Markdown shows it as it is."""
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in printable(text.replace("\n", " "), keep=""))
