"""Scores of predictions, and what a held-out part says about the chosen model. Needs numpy and scikit-learn."""

from dataclasses import asdict, dataclass
from typing import Any

from snapml_lab.automl.task import Metric
from snapml_lab.stats import bootstrap


def needs_probability(metric: Metric) -> bool:
    """Say whether a metric reads probabilities instead of labels."""
    return metric in (Metric.ROC_AUC, Metric.LOG_LOSS)


def predictions(model: Any, rows: Any, metric: Metric) -> Any:
    """Return what a metric reads: probabilities (n, classes), or labels or values (n,)."""
    return model.predict_proba(rows) if needs_probability(metric) else model.predict(rows)


def score(metric: Metric, truth: Any, predicted: Any, classes: list[Any]) -> float:
    """Score predictions in the metric's own unit.

    Raises:
        ValueError: undefined on these rows (a single class for ROC AUC).
    """
    import numpy as np
    from sklearn import metrics

    match metric:
        case Metric.ROC_AUC:
            return _roc_auc(truth == classes[1], predicted[:, 1])
        case Metric.LOG_LOSS:
            return float(metrics.log_loss(truth, predicted, labels=classes))
        case Metric.ACCURACY:
            return float(np.mean(truth == predicted))
        case Metric.BALANCED_ACCURACY:
            present = np.unique(truth)
            return float(np.mean([np.mean(predicted[truth == kind] == kind) for kind in present]))
        case Metric.F1_MACRO:
            return float(metrics.f1_score(truth, predicted, average="macro", zero_division=0))
        case Metric.RMSE:
            return float(np.sqrt(np.mean((truth - predicted) ** 2)))
        case Metric.MAE:
            return float(np.mean(np.abs(truth - predicted)))
        case Metric.R2:
            return float(metrics.r2_score(truth, predicted))


@dataclass(frozen=True)
class Evidence:
    """What rows that took no part in the choice say.

    Attributes:
        rows: how many there were.
        score: the chosen model's, with ``low`` and ``high`` of its 95% interval.
        baseline: the baseline's, on the same rows.
        improvement: how much better than the baseline, positive is better, with its interval.
        p_value: of "no better and no worse than the baseline", two-sided, paired bootstrap.
    """

    metric: str
    rows: int
    score: float
    low: float
    high: float
    baseline: float
    improvement: float
    improvement_low: float
    improvement_high: float
    p_value: float

    @property
    def could_be_chance(self) -> bool:
        """Whether the difference to the baseline is within what chance does, at 5%."""
        return self.p_value >= 0.05

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**asdict(self), "could_be_chance": self.could_be_chance}


def weigh(metric: Metric, truth: Any, predicted: Any, baseline: Any, classes: list[Any]) -> Evidence:
    """Compare a model with the baseline on held-out rows, by paired bootstrap."""
    import numpy as np

    sign = 1.0 if metric.higher_is_better else -1.0

    def figures(rows: Any) -> tuple[float, float]:
        index = np.asarray(rows)
        own = score(metric, truth[index], predicted[index], classes)
        return own, sign * (own - score(metric, truth[index], baseline[index], classes))

    own, better = bootstrap(figures, len(truth))
    return Evidence(
        metric=str(metric), rows=len(truth), score=own.value, low=own.interval.low, high=own.interval.high,
        baseline=score(metric, truth, baseline, classes), improvement=better.value,
        improvement_low=better.interval.low, improvement_high=better.interval.high, p_value=better.p_value,
    )  # fmt: skip


def _roc_auc(positive: Any, probability: Any) -> float:
    """Area under the ROC curve by ranks; equal to scikit-learn's, and fast enough for a thousand resamples.

    Source: Hanley & McNeil, "The Meaning and Use of the Area under a ROC Curve", Radiology 143 (1982).
    """
    from scipy.stats import rankdata

    many = int(positive.sum())
    few = len(positive) - many
    if many == 0 or few == 0:
        raise ValueError("ROC AUC needs both classes")
    return float((rankdata(probability)[positive].sum() - many * (many + 1) / 2) / (many * few))
