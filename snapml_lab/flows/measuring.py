"""Measuring a model a person brings on rows it was not made with, beside the best constant answer. Needs scikit-learn."""

from typing import TYPE_CHECKING, Any

from snapml_lab.automl import scoring
from snapml_lab.automl.task import METRICS, Metric, Task
from snapml_lab.errors import InvalidInputError
from snapml_lab.registry.signature import Signature, matrix

if TYPE_CHECKING:
    import pandas as pd

_LEAST_ROWS = 10


def held_out(model: Any, frame: "pd.DataFrame", signature: Signature, task: str) -> dict[str, Any]:
    """Return the evidence of held-out rows, in the shape a search leaves it: score, interval, baseline, p-value.

    The baseline is the best constant on these very rows (the most frequent class, their shares, the mean or median),
    which flatters the baseline, not the model.

    Raises:
        InvalidInputError: the table lacks the target, has too few rows, or classes the model does not know.
    """
    import numpy as np

    target = signature.target
    if target not in frame.columns:
        raise InvalidInputError.of(
            "target", target, f"a column of the held-out rows: {', '.join(frame.columns[:12])}"
        )
    if task not in list(Task):
        raise InvalidInputError.of("held_out", f"a model for {task}", "one for classes or numbers")
    frame = frame[frame[target].notna()]
    if len(frame) < _LEAST_ROWS:
        raise InvalidInputError.of("held_out", f"{len(frame)} rows with a target", f"at least {_LEAST_ROWS}")
    rows = matrix(frame, signature)
    given = rows.to_numpy() if signature.array else rows
    metric = next(
        m for m in METRICS[Task(task)] if hasattr(model, "predict_proba") or not scoring.needs_probability(m)
    )
    classes: list[Any] = list(signature.classes)
    if not classes:
        truth = frame[target].to_numpy(dtype=float)
        constant = float(np.median(truth) if metric is Metric.MAE else truth.mean())
        baseline, predicted = np.full(len(truth), constant), np.asarray(model.predict(given), dtype=float)
        return _told(metric, truth, predicted, baseline, classes)
    truth = np.asarray([str(value) for value in frame[target]], dtype=object)
    if strange := sorted(set(truth) - set(classes)):
        raise InvalidInputError.of(
            "held_out", f"{target} {strange[0]!r}", f"one of {', '.join(classes[:12])}"
        )
    if len(set(truth)) < 2:
        raise InvalidInputError.of("held_out", f"only {target} {truth[0]!r}", "rows of two classes or more")
    shares = np.asarray([np.mean(truth == kind) for kind in classes])
    if scoring.needs_probability(metric):
        baseline, predicted = np.tile(shares, (len(truth), 1)), model.predict_proba(given)
    else:
        baseline = np.full(len(truth), classes[int(shares.argmax())], dtype=object)
        predicted = np.asarray([str(value) for value in model.predict(given)], dtype=object)
    return _told(metric, truth, predicted, baseline, classes)


def _told(metric: Metric, truth: Any, predicted: Any, baseline: Any, classes: list[Any]) -> dict[str, Any]:
    return scoring.weigh(metric, truth, predicted, baseline, classes).as_dict()
