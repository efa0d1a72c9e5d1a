"""The search: a job's payload. Families with their defaults first, then hyperparameters of the leaders, in a time box.

A fifth of the rows is set aside before anything is looked at and judges the winner once. All models are cross-validated
on the same folds, so differences are paired. The winner is refitted on all rows and becomes a model version.
"""

import random
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snapml_lab import ids
from snapml_lab.automl import features, scoring
from snapml_lab.automl.families import BASELINE, Family, families
from snapml_lab.automl.task import HELD_OUT, Metric, Problem, Task, pose
from snapml_lab.data import tables
from snapml_lab.jobs.events import Reporter
from snapml_lab.jobs.queue import payload_folder
from snapml_lab.registry import examples, model_file
from snapml_lab.registry.signature import Signature, matrix
from snapml_lab.workspace import open_workspace

_FOLDS = 5
_SEARCH_SHARE = 0.85
"""Of the time given; the rest is for judging and refitting the winner."""
_START_SECONDS = 1.0
_LEADERS = 3
_TRIED_ENOUGH = 60
_PROBE_ROWS = 2000


@dataclass
class Trial:
    """One configuration with its fold scores (in the metric's unit)."""

    family: Family
    params: dict[str, Any]
    folds: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def mean(self) -> float:
        """Return the mean over folds."""
        return sum(self.folds) / len(self.folds)


@dataclass
class Material:
    """What a search works on: the rows to choose by, their folds, and the rows set aside."""

    problem: Problem
    signature: Signature
    rows: Any
    truth: Any
    folds: list[tuple[Any, Any]]
    held_rows: Any
    held_truth: Any
    classes: list[Any]


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Search and leave the model; the spec is what ``commands.automl`` wrote."""
    started = time.monotonic()
    deadline = started + max(float(spec["time"]) * _SEARCH_SHARE - _START_SECONDS, 0.0)
    report.progress(0.0, "reading the table")
    ws = open_workspace()
    dataset = tables.find(ws, spec["dataset"])
    frame = tables.load(ws, dataset)
    metric = Metric(spec["metric"])
    problem = pose(frame, spec["target"], task=Task(spec["task"]), metric=metric)
    material = _material(frame, problem)
    for name, value in {
        "dataset": dataset.reference, "target": problem.target, "task": problem.task, "metric": metric,
        "time": spec["time"], "rows": len(frame), "columns": len(material.signature.columns),
        "held_out_rows": len(material.held_truth), "folds": len(material.folds),
    }.items():  # fmt: skip
        report.param(name, str(value) if isinstance(value, str) else value)

    trials = _explore(material, report, started, deadline)
    order = 1 if metric.higher_is_better else -1
    contenders = [trial for trial in trials if trial.family.name != BASELINE] or trials
    best = max(contenders, key=lambda trial: order * trial.mean())
    report.progress(0.9, f"judging {best.family.name} on rows it has not seen")
    baseline = next(trial for trial in trials if trial.family.name == BASELINE)
    predicted = _fitted(material, best, material.rows, material.truth)
    plain = _fitted(material, baseline, material.rows, material.truth)
    evidence = scoring.weigh(
        metric, material.held_truth, scoring.predictions(predicted, material.held_rows, metric),
        scoring.predictions(plain, material.held_rows, metric), material.classes,
    )  # fmt: skip
    report.metric(f"held_out_{metric}", evidence.score)
    report.metric(f"baseline_{metric}", evidence.baseline)

    report.progress(0.95, f"refitting {best.family.name} on all rows")
    model = _refitted(material, best)
    folder = payload_folder()
    model_file.save(model, folder.artifacts / "model.skops")
    name = str(spec["name"])
    shown = {
        **evidence.as_dict(), "family": best.family.name, "params": best.params, "trials": len(trials),
        "dataset": dataset.reference, "libraries": model_file.libraries(),
    }  # fmt: skip
    report.model(
        str(Path("artifacts") / "model.skops"), name=name, format="skops", task=problem.task,
        signature=material.signature.as_dict(), evidence=shown,
        example=examples.keep(ws, examples.table(frame[material.signature.columns])),
    )  # fmt: skip
    print(f"best: {best.family.name} {best.params}; held-out {metric} {evidence.score:.4f} "
          f"[{evidence.low:.4f}, {evidence.high:.4f}], baseline {evidence.baseline:.4f}", flush=True)  # fmt: skip
    return {"evidence": shown, "seconds": time.monotonic() - started}


def _material(frame: Any, problem: Problem) -> Material:
    """Set rows aside and cut folds; classes are spread evenly over both."""
    import numpy as np
    from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

    frame = frame[frame[problem.target].notna()].reset_index(drop=True)
    truth = frame[problem.target].to_numpy()
    classify = problem.task is not Task.REGRESSION
    if classify:
        truth = np.asarray([str(value) for value in truth], dtype=object)
    classes = sorted(set(truth)) if classify else []
    kept, held = train_test_split(
        np.arange(len(frame)), test_size=HELD_OUT, random_state=0, stratify=truth if classify else None
    )
    # Columns are judged by the rows to choose by alone: the others are not looked at.
    signature = features.sign(frame.iloc[kept], problem.target, list(classes))
    rows = matrix(frame, signature)
    folds = _FOLDS
    if classify:
        folds = max(2, min(folds, *(int(np.sum(truth[kept] == kind)) for kind in classes)))
    splitter = (StratifiedKFold if classify else KFold)(folds, shuffle=True, random_state=0)
    chosen = rows.iloc[kept].reset_index(drop=True)
    return Material(
        problem, signature, chosen, truth[kept], list(splitter.split(chosen, truth[kept])),
        rows.iloc[held].reset_index(drop=True), truth[held], list(classes),
    )  # fmt: skip


def _explore(material: Material, report: Reporter, started: float, deadline: float) -> list[Trial]:
    """Try families with their defaults, then draws from the leaders' spaces, until the time is used."""
    found = families(material.problem.task, len(material.truth))
    trials: list[Trial] = []
    tried: set[tuple[str, str]] = set()
    order = 1 if material.problem.metric.higher_is_better else -1
    chance = random.Random(0)
    pending = [Trial(family, {}) for family in found]
    while time.monotonic() < deadline or len(trials) < 2:
        if pending:
            trial = pending.pop(0)
        elif len(trials) < _TRIED_ENOUGH and (drawn := _draw(trials, tried, order, chance)):
            trial = drawn
        else:
            break
        tried.add((trial.family.name, repr(sorted(trial.params.items()))))
        if len(trials) >= 2 and not _fits(material, trial, deadline):
            print(f"skipped {trial.family.name}: it would not finish in the time left", flush=True)
            if not pending:
                break
            continue
        share = min((time.monotonic() - started) / max(deadline - started, 1e-9), 1.0) * 0.9
        report.progress(share, f"trying {trial.family.name}")
        if _validate(material, trial, deadline, must=len(trials) < 2):
            trials.append(trial)
            _tell(material, trial, len(trials), report)
    return trials


def _draw(
    trials: list[Trial], tried: set[tuple[str, str]], order: int, chance: random.Random
) -> Trial | None:
    """Draw an untried configuration of one of the leading families."""
    ranked = sorted(trials, key=lambda trial: -order * trial.mean())
    leaders = list(dict.fromkeys(trial.family.name for trial in ranked if trial.family.space))[:_LEADERS]
    by_name = {trial.family.name: trial.family for trial in trials}
    for _ in range(50 if leaders else 0):
        family = by_name[chance.choice(leaders)]
        params = {name: chance.choice(values) for name, values in family.space.items()}
        if (family.name, repr(sorted(params.items()))) not in tried:
            return Trial(family, params)
    return None


def _fits(material: Material, trial: Trial, deadline: float) -> bool:
    """Guess from a fit on few rows whether all folds end in time; small tables are simply tried."""
    size = len(material.truth)
    if size <= _PROBE_ROWS:
        return True
    begun = time.monotonic()
    _fitted(material, trial, material.rows.iloc[:_PROBE_ROWS], material.truth[:_PROBE_ROWS])
    expected = (time.monotonic() - begun) * size / _PROBE_ROWS * len(material.folds)
    return time.monotonic() + expected < deadline


def _validate(material: Material, trial: Trial, deadline: float, *, must: bool) -> bool:
    """Fill in a trial's fold scores; False if time ran out before the last fold."""
    metric = material.problem.metric
    begun = time.monotonic()
    for train, test in material.folds:
        if not must and time.monotonic() >= deadline:
            return False
        model = _fitted(material, trial, material.rows.iloc[train], material.truth[train])
        predicted = scoring.predictions(model, material.rows.iloc[test], metric)
        trial.folds.append(scoring.score(metric, material.truth[test], predicted, material.classes))
    trial.seconds = time.monotonic() - begun
    return True


def _tell(material: Material, trial: Trial, number: int, report: Reporter) -> None:
    name = f"{trial.family.name} #{number}"
    metrics = {f"fold_{index}": value for index, value in enumerate(trial.folds)}
    metric = material.problem.metric
    report.run(
        ids.new(), kind="trial", name=name, params={"family": trial.family.name, **trial.params},
        metrics={str(metric): trial.mean(), "seconds": trial.seconds, **metrics},
    )  # fmt: skip
    report.metric(f"cv_{metric}", trial.mean(), step=number)
    print(f"{name}: {metric} {trial.mean():.4f} in {trial.seconds:.1f} s {trial.params or ''}", flush=True)


def _fitted(material: Material, trial: Trial, rows: Any, truth: Any) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(features.preparation(material.signature), trial.family.make(**trial.params))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows, truth)


def _refitted(material: Material, trial: Trial) -> Any:
    import numpy as np
    import pandas as pd

    rows = pd.concat([material.rows, material.held_rows], ignore_index=True)
    return _fitted(material, trial, rows, np.concatenate([material.truth, material.held_truth]))
