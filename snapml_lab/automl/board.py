"""The AutoML picture: a leaderboard with intervals and the best-so-far curve, true at any moment of a search."""

from html import escape

from snapml_lab import clock
from snapml_lab.automl.families import BASELINE
from snapml_lab.automl.task import Metric
from snapml_lab.jobs.model import Job, State
from snapml_lab.jobs.view import ErrorView
from snapml_lab.registry import versions
from snapml_lab.stats import corrected_resampled_t, holm
from snapml_lab.tracking import runs
from snapml_lab.views.base import View
from snapml_lab.views.charts import Bar, Curve, Intervals
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

_SHOWN = 12
_CHANCE = 0.05


class TrialRow(View):
    """One configuration.

    ``low``/``high``: 95% interval of its mean over folds; ``p_value``: of its difference to the
    leader, Holm-corrected over the board (None for the leader).
    """

    name: str
    family: str
    params: dict[str, str]
    score: float
    low: float
    high: float
    seconds: float
    at: float
    p_value: float | None

    @property
    def could_be_chance(self) -> bool:
        """Whether its difference to the leader is within what chance does."""
        return self.p_value is not None and self.p_value >= _CHANCE


class HeldOut(View):
    """What rows set aside say about the winner beside the baseline; see ``automl.scoring.Evidence``."""

    rows: int
    score: float
    low: float
    high: float
    baseline: float
    improvement: float
    improvement_low: float
    improvement_high: float
    p_value: float
    could_be_chance: bool
    family: str


class Board(View):
    """A search: its trials best first, and once it has ended the verdict on held-out rows and the model version."""

    job: str
    state: State
    message: str | None
    dataset: str
    target: str
    task: str
    metric: str
    higher_is_better: bool
    rows: int
    columns: int
    time: float
    elapsed: float
    trials: list[TrialRow]
    held_out: HeldOut | None
    model: str | None
    error: ErrorView | None

    def curve(self) -> Curve:
        """Best score so far over seconds since the start."""
        tried = sorted((row for row in self.trials if row.family != BASELINE), key=lambda row: row.at)
        best: list[float] = []
        pick = max if self.higher_is_better else min
        for row in tried:
            best.append(pick(best[-1], row.score) if best else row.score)
        scores = [row.score for row in tried]
        title = f"Best so far ({'higher' if self.higher_is_better else 'lower'} is better)"
        return Curve(title, "seconds", self.metric, [row.at for row in tried], best, scores)

    def intervals(self) -> Intervals:
        """Cross-validated score of the leading trials, with intervals.

        The baseline is in the table and the verdict; here it would squeeze what is to be told apart.
        """
        rows = [row for row in self.trials if row.family != BASELINE][: _SHOWN - 4]
        bars = [Bar(row.name, row.score, row.low, row.high, strong=row is self.trials[0]) for row in rows]
        return Intervals("Cross-validated, with 95% intervals", self.metric, bars)

    def headline(self) -> str:
        """Say in one line what is known."""
        if self.error:
            return f"AutoML {self.state}: {self.error.text()}"
        if self.held_out:
            held = self.held_out
            return (
                f"{self.model or 'model'}: {held.family}, {self.metric} {held.score:.4f} "
                f"[{held.low:.4f}, {held.high:.4f}] on {held.rows} held-out rows"
            )
        best = f"; best so far {self.trials[0].name} {self.trials[0].score:.4f}" if self.trials else ""
        doing = "" if self.state.ended else f": {self.message or 'starting'}"
        return f"AutoML {self.state}{doing}{best}"

    def verdict(self) -> str | None:
        """Say how the winner compares with the baseline, and whether that could be chance."""
        if self.held_out is None:
            return None
        held = self.held_out
        chance = "could be chance" if held.could_be_chance else "not chance"
        return (
            f"Baseline {held.baseline:.4f}; better by {held.improvement:.4f} "
            f"[{held.improvement_low:.4f}, {held.improvement_high:.4f}], {_p(held.p_value)}: {chance}."
        )

    def about(self) -> str:
        """Say what is learnt from what."""
        return (
            f"{self.task} · target {self.target} · {self.dataset} ({self.rows} rows, {self.columns} columns) · "
            f"{len(self.trials)} trials in {clock.human(self.elapsed)} of {clock.human(self.time)} · job {self.job[-6:]}"
        )

    def text(self) -> str:
        """The whole board."""
        lines = [self.headline(), *filter(None, [self.verdict()]), self.about()]
        if self.trials:
            lines += ["", text_table(*self._table(), right=frozenset({0, 2, 4}))]
        return "\n".join(lines)

    def html(self) -> str:
        """The board with its two charts, static."""
        parts = [f"<h4{' class=bad' if self.error else ''}>{escape(self.headline())}</h4>"]
        if verdict := self.verdict():
            parts.append(f"<div>{escape(verdict)}</div>")
        parts.append(f'<div class="dim">{escape(self.about())}</div>')
        if self.trials:
            parts.append(f'<div class="row">{self.curve().svg()}{self.intervals().svg()}</div>')
            header, rows = self._table()
            parts.append(html_table(header, rows, right=frozenset({0, 2, 4}), lead=0))
        return framed(*parts)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        header = ["#", "model", self.metric, "95% interval", "seconds", "against the leader", "parameters"]
        rows = [
            [
                str(rank), row.name, f"{row.score:.4f}", f"[{row.low:.4f}, {row.high:.4f}]", f"{row.seconds:.2f}",
                "leader" if row.p_value is None else
                f"{_p(row.p_value)}{', could be chance' if row.could_be_chance else ''}",
                ", ".join(f"{key}={value}" for key, value in row.params.items()) or "defaults",
            ]
            for rank, row in enumerate(self.trials[:_SHOWN], 1)
        ]  # fmt: skip
        if len(self.trials) > _SHOWN:
            rows.append(["…", f"and {len(self.trials) - _SHOWN} more", "", "", "", "", ""])
        return header, rows


def board(ws: Workspace, job: Job) -> Board:
    """Build the board of an AutoML job from the ledger, whatever its state."""
    run = runs.get(ws.ledger, job.id)
    params = {**run.params}
    metric = Metric(params.get("metric", Metric.ROC_AUC))
    started = job.started_at or job.submitted_at
    models = versions.of_run(ws.ledger, job.id)
    evidence = models[0].evidence if models else None
    held = None if evidence is None else HeldOut(**{name: evidence[name] for name in HeldOut.model_fields})
    return Board(
        job=job.id, state=job.state, message=job.message, dataset=params.get("dataset", "?"),
        target=params.get("target", "?"), task=params.get("task", "?"), metric=metric,
        higher_is_better=metric.higher_is_better, rows=int(float(params.get("rows", 0))),
        columns=int(float(params.get("columns", 0))), time=float(params.get("time", 0)),
        elapsed=(job.ended_at or clock.now()) - started, held_out=held,
        trials=_ranked(runs.children(ws.ledger, job.id), metric, started),
        model=models[0].reference if models else None,
        error=ErrorView.of_job(job),
    )  # fmt: skip


def _ranked(trials: list[runs.Run], metric: Metric, started: float) -> list[TrialRow]:
    order = -1 if metric.higher_is_better else 1
    ranked = sorted(
        (trial for trial in trials if metric in trial.metrics),
        key=lambda trial: order * trial.metrics[metric],
    )
    if not ranked:
        return []
    folds = [_folds(trial) for trial in ranked]
    test_fraction = 1 / len(folds[0])
    p_values = holm([
        corrected_resampled_t([a - b for a, b in zip(folds[0], own, strict=True)], test_fraction=test_fraction).p_value
        for own in folds[1:]
    ])  # fmt: skip
    rows: list[TrialRow] = []
    least, most = metric.bounds
    for index, (trial, own) in enumerate(zip(ranked, folds, strict=True)):
        own_interval = corrected_resampled_t(own, test_fraction=test_fraction).interval
        rows.append(
            TrialRow(
                name=trial.name,
                family=trial.params.get("family", ""),
                score=trial.metrics[metric],
                params={key: value for key, value in trial.params.items() if key != "family"},
                low=max(own_interval.low, least),
                high=min(own_interval.high, most),
                seconds=trial.metrics.get("seconds", 0.0),
                at=trial.started_at - started,
                p_value=p_values[index - 1] if index else None,
            )
        )
    return rows


def _folds(trial: runs.Run) -> list[float]:
    numbered: list[tuple[int, float]] = [
        (int(name[5:]), value) for name, value in trial.metrics.items() if name.startswith("fold_")
    ]
    return [value for _, value in sorted(numbered)]


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
