"""Finding runs among a hundred thousand by metric and parameter, beside MLflow; trackio has no search."""

import contextlib
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

from measure import Entry, high, interleaved
from rivals import MLFLOW, OURS, Driver

_PAGE = 50


class _Asked(NamedTuple):
    """The same question to both: in words, as we are asked it, as MLflow is; sorted by a metric where ``by`` names one, least first.

    It is asked ``share`` of the times the others are, for it takes MLflow long.
    """

    words: str
    ours: str
    theirs: str
    by: str | None = None
    share: float = 1.0


_QUESTIONS = (
    _Asked("many fit", "metric.auc > 0.5 and param.model == 'forest'", "metrics.auc > 0.5 and params.model = 'forest'"),
    _Asked("2 % fit", "metric.auc > 0.9 and param.model == 'net'", "metrics.auc > 0.9 and params.model = 'net'"),
    _Asked("some twenty fit", "metric.auc > 0.999 and param.model == 'svm'", "metrics.auc > 0.999 and params.model = 'svm'"),
    _Asked("one fits", "param.seed == 500 and metric.auc >= 0", "params.seed = '500' and metrics.auc >= 0"),
    _Asked("none fits, each half alone does", "metric.auc > 0.6 and metric.loss > 0.6 and param.model == 'net'",
           "metrics.auc > 0.6 and metrics.loss > 0.6 and params.model = 'net'"),
    _Asked("2 % fit, the best by a metric", "metric.auc > 0.9 and param.model == 'net'",
           "metrics.auc > 0.9 and params.model = 'net'", "loss", 0.4),
)  # fmt: skip
_ONLY_OURS = "metric.auc > 0.9 and param.lr < 1e-4"


def runs_search(repeats: int = 7, past: int = 100_000) -> Entry:
    """Time a page of 50 found in ``past`` runs, question by question, after seeing that both find the same."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        ours = stack.enter_context(Driver(OURS, folder))
        theirs = stack.enter_context(Driver(MLFLOW, folder))
        for driver in (ours, theirs):
            driver.begin("fill_runs", number=past)
        for driver in (ours, theirs):
            driver.answer()
        raw: dict[str, list[float]] = {}
        samples: dict[str, dict[str, list[float]]] = {}
        fit: dict[str, int] = {}
        for asked in _QUESTIONS:

            def mine(asked: _Asked = asked, limit: int = _PAGE) -> tuple[float, list[str]]:
                by = None if asked.by is None else f"metric.{asked.by}"
                whole, alone, found = ours.ask("search", where=asked.ours, by=by, limit=limit)
                raw.setdefault(asked.words, []).append(alone)
                return whole, found

            def rival(asked: _Asked = asked, limit: int = _PAGE) -> tuple[float, list[str]]:
                by = None if asked.by is None else f"metrics.{asked.by} ASC"
                taken, found = theirs.ask("search", where=asked.theirs, by=by, limit=limit)
                return taken, found

            one, other = mine()[1], rival()[1]
            assert one == other, (asked, one[:5], other[:5])
            fit[asked.words] = len(one)
            raw[asked.words] = []
            samples[asked.words] = interleaved(
                {OURS: lambda mine=mine: mine()[0], MLFLOW: lambda rival=rival: rival()[0]},
                max(2, round(repeats * asked.share)),
            )
        typed = [ours.ask("search", where=_ONLY_OURS, by=None, limit=_PAGE)[0] for _ in range(repeats)]
    notes = []
    for words, found in samples.items():
        a, b = statistics.median(found[OURS]), statistics.median(found[MLFLOW])
        number = f"{fit[words]}" if fit[words] < _PAGE else f"the first {_PAGE}"
        notes.append(
            f"{words} ({number} shown): the command {a:.1f} ms, p95 {high(found[OURS]):.1f}, the search alone {statistics.median(raw[words]):.2f} ms; MLflow {b:.0f} ms, {b / a:.0f}×."
        )
    all_ours = [value for found in samples.values() for value in found[OURS]]
    all_theirs = [value for found in samples.values() for value in found[MLFLOW]]
    middle = statistics.median(all_ours)
    times = statistics.median(all_theirs) / middle
    slow = [words for words, found in samples.items() if statistics.median(found[OURS]) > 10]
    few = [
        words for words, found in samples.items()
        if statistics.median(found[MLFLOW]) < 50 * statistics.median(found[OURS])
    ]  # fmt: skip
    said = [f"over 10 ms: {', '.join(slow)}" if slow else "", f"under 50×: {', '.join(few)}" if few else ""]
    return Entry(
        f"Search over {past:,} runs by metric and parameter, a page of {_PAGE}", all_ours, {MLFLOW: all_theirs},
        "; ".join([f"p50 10 ms and 50× MLflow; over all questions {middle:.1f} ms and {times:.0f}×", *filter(None, said)]),
        middle <= 10 and times >= 50, "python benchmarks/run.py runs_search",
        notes=(
            *notes,
            f"`{_ONLY_OURS}`, which MLflow cannot be asked, for its parameters are texts: {statistics.median(typed):.1f} ms. trackio has no search to time. Both found the same runs in the same order; MLflow's were written into the tables and indexes it makes.",
        ),
    )  # fmt: skip
