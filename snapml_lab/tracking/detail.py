"""All that is known of one run, gathered for its page, and curves for charts."""

import contextlib
import math
from collections.abc import Sequence

from snapml_lab.errors import SnapmlError
from snapml_lab.registry import versions
from snapml_lab.stats import smoothed
from snapml_lab.store import curve as curves
from snapml_lab.tracking import provenance, runs
from snapml_lab.tracking.view import CurveView, MetricView, RunPage, RunView
from snapml_lab.workspace import Workspace

_CHARTS = 6
_POINTS = 200
_NESTED = 200
_LONGEST_DIFF = 20_000


def page(ws: Workspace, run: runs.Run) -> RunPage:
    """Gather a run's page."""
    figures = metrics(ws, run.id)
    drawn = [item for item in figures if item.number > 1][:_CHARTS]
    since = provenance.since(ws, run)
    nested = runs.children(ws.ledger, run.id)[:_NESTED]
    return RunPage.of(
        run, source=provenance.source(ws, run.cell_sha256) if run.cell_sha256 else None, diff=_diff(ws, run),
        since=since.state, since_words=since.words,
        dataset_name=dataset_name(ws, run.dataset), figures=figures,
        curves=[curve(ws, run, item.name, points=_POINTS) for item in drawn],
        nested=[RunView.of(child) for child in nested],
        models=[model.reference for model in versions.of_run(ws.ledger, run.id)],
    )  # fmt: skip


def metrics(ws: Workspace, run: str) -> list[MetricView]:
    """Return the metrics of a run; those of the machine last."""
    rows = ws.ledger.rows(
        "SELECT name, step, value, low, high, number FROM latest_metrics WHERE run = ?"
        " ORDER BY name LIKE 'system/%', name",
        run,
    )
    return [
        MetricView(
            name=row["name"], step=row["step"], last=row["value"], low=row["low"], high=row["high"],
            number=row["number"],
        )
        for row in rows
    ]  # fmt: skip


def curve(
    ws: Workspace, run: runs.Run, metric: str, *, points: int, smooth: float = 0.0, start: int | None = None,
    stop: int | None = None,
) -> CurveView:  # fmt: skip
    """Return a metric of a run, thinned to about ``points`` pieces, smoothed by ``smooth`` in [0, 1)."""
    found = curves.pieces(ws.ledger.connection, run.id, metric, most=points, start=start, stop=stop)
    values: Sequence[float] = [piece.mean for piece in found]
    if stop is None and found:  # its end is the value that every list shows, not the mean of the last stretch
        latest = ws.ledger.row("SELECT value FROM latest_metrics WHERE run = ? AND name = ?", run.id, metric)
        if latest is not None and latest["value"] is not None:
            values = [*values[:-1], latest["value"]]
    if smooth:
        values = smoothed(values, smooth)
    return CurveView(
        run=run.id, name=run.name, metric=metric, steps=[piece.last for piece in found], values=_known(values),
        low=_known([piece.low for piece in found]), high=_known([piece.high for piece in found]),
        number=sum(piece.number for piece in found),
    )  # fmt: skip


def dataset_name(ws: Workspace, sha256: str | None) -> str | None:
    """Return ``name@version`` of the dataset with this content; None where the catalog has none."""
    if sha256 is None:
        return None
    for name, fields in ws.catalog.all("datasets").items():
        for number, version in enumerate(fields["versions"], start=1):
            if version["sha256"] == sha256:
                return f"{name}@{number}"
    return None


def _diff(ws: Workspace, run: runs.Run) -> str | None:
    if run.git_diff is None:
        return None
    with contextlib.suppress(SnapmlError):
        text = ws.blobs.verified(run.git_diff).decode("utf-8", "replace")
        return text if len(text) <= _LONGEST_DIFF else text[:_LONGEST_DIFF] + "\n…"
    return None


def _known(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
