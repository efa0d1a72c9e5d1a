"""How the models behind one name do beside each other: failures, times and cost, with intervals, and whether it could be chance."""

import sqlite3
from dataclasses import dataclass

from snapml_lab import stats
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.stats import Comparison, Interval, Sample
from snapml_lab.store.ledger import Ledger

FIGURES = ("failures", "first token", "duration", "cost")
"""What is compared: a share, milliseconds, milliseconds, pico-dollars."""
_COLUMNS = {"first token": "first_token_ms", "duration": "duration_ms", "cost": "cost_pico"}
SURE = 0.05
"""A difference counts where Holm's correction over all that are compared leaves a p-value below this."""


@dataclass(frozen=True)
class Measured:
    """One figure of one target; ``interval`` is None where too few requests tell it."""

    count: int
    value: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Record:
    """What one target did: its requests in all, and its figures by name."""

    target: Target
    requests: int
    figures: dict[str, Measured]


@dataclass(frozen=True)
class Beside:
    """A figure of a model on trial less that of the one that stands, and whether the difference could be chance."""

    target: str
    figure: str
    comparison: Comparison
    chance: bool


def records(ledger: Ledger, deployment: Deployment) -> list[Record]:
    """Return what each target did since all of them were asked: only that can be compared."""
    since = _since(ledger, deployment)
    return [_record(ledger, deployment.name, target, since) for target in deployment.targets]


def compared(ledger: Ledger, deployment: Deployment) -> list[Beside]:
    """Compare each model on trial with the one that stands, over the same time."""
    since = _since(ledger, deployment)
    stands = _samples(ledger, deployment.name, deployment.target, since)
    found = []
    for target in deployment.targets[1:]:
        trial = _samples(ledger, deployment.name, target, since)
        pairs = ((figure, _compare(figure, trial, stands)) for figure in FIGURES)
        found += [(target.id, figure, comparison) for figure, comparison in pairs if comparison is not None]
    adjusted = stats.holm([comparison.p_value for _, _, comparison in found])
    return [
        Beside(target, figure, comparison, chance=p_value >= SURE)
        for (target, figure, comparison), p_value in zip(found, adjusted, strict=True)
    ]


@dataclass(frozen=True)
class _Samples:
    requests: int
    failed: int
    numbers: dict[str, Sample]


def _compare(figure: str, trial: _Samples, stands: _Samples) -> Comparison | None:
    if figure == "failures":
        if not trial.requests or not stands.requests:
            return None
        return stats.proportions(trial.failed, trial.requests, stands.failed, stands.requests)
    return stats.welch(trial.numbers[figure], stands.numbers[figure])


def _record(ledger: Ledger, name: str, target: Target, since: float) -> Record:
    found = _samples(ledger, name, target, since)
    share = found.failed / found.requests if found.requests else None
    interval = stats.wilson(found.failed, found.requests) if found.requests else None
    figures = {"failures": Measured(found.requests, share, interval)}
    for figure, sample in found.numbers.items():
        value = sample.mean if sample.size else None
        figures[figure] = Measured(sample.size, value, stats.mean_interval(sample))
    return Record(target, found.requests, figures)


def _samples(ledger: Ledger, name: str, target: Target, since: float) -> _Samples:
    """Read what one target did; not what the gateway answered of itself, nor another model of that id, long ago."""
    sums = ", ".join(
        f"count({column}) AS {column}_n, avg({column}) AS {column}_m" for column in _COLUMNS.values()
    )
    where = (
        "deployment = ? AND target = ? AND model = ? AND state = 'settled' AND cached = 0 AND at >= ?",
        name, target.id, target.model, since,
    )  # fmt: skip
    row = ledger.row(
        f"SELECT count(*) AS requests, coalesce(sum(ended = 'failed'), 0) AS failed FROM requests WHERE {where[0]}",
        *where[1:],
    )
    good = ledger.row(f"SELECT {sums} FROM requests WHERE {where[0]} AND ended = 'complete'", *where[1:])
    assert row is not None
    assert good is not None
    means = {column: good[f"{column}_m"] or 0.0 for column in _COLUMNS.values()}
    squares = ", ".join(f"sum(({column} - ?) * ({column} - ?)) AS {column}_s" for column in _COLUMNS.values())
    twice = [mean for column in _COLUMNS.values() for mean in (means[column], means[column])]
    spread = ledger.row(
        f"SELECT {squares} FROM requests WHERE {where[0]} AND ended = 'complete'", *twice, *where[1:]
    )
    assert spread is not None
    numbers = {figure: _sample(good, spread, column) for figure, column in _COLUMNS.items()}
    return _Samples(int(row["requests"]), int(row["failed"]), numbers)


def _sample(good: sqlite3.Row, spread: sqlite3.Row, column: str) -> Sample:
    count = int(good[f"{column}_n"])
    variance = float(spread[f"{column}_s"] or 0.0) / (count - 1) if count > 1 else 0.0
    return Sample(count, float(good[f"{column}_m"] or 0.0), variance)


def _since(ledger: Ledger, deployment: Deployment) -> float:
    """Return when the youngest of the targets was first asked; 0 where one never was."""
    firsts = []
    for target in deployment.targets:
        row = ledger.row(
            "SELECT min(at) AS first FROM requests WHERE deployment = ? AND target = ? AND model = ?",
            deployment.name, target.id, target.model,
        )  # fmt: skip
        firsts.append(0.0 if row is None or row["first"] is None else float(row["first"]))
    return 0.0 if 0.0 in firsts else max(firsts)
