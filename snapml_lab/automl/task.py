"""What kind of learning a target asks for, and whether there is enough to learn from. Needs pandas."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from snapml_lab.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

_LEAST_ROWS = 20
_LEAST_OF_CLASS = 3
_MOST_CLASSES = 100
HELD_OUT = 0.2
"""Share of the rows that is set aside to judge the winner."""


class Task(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Metric(StrEnum):
    """What models are compared by; named as scikit-learn names them."""

    ROC_AUC = "roc_auc"
    ACCURACY = "accuracy"
    BALANCED_ACCURACY = "balanced_accuracy"
    F1_MACRO = "f1_macro"
    LOG_LOSS = "log_loss"
    RMSE = "rmse"
    MAE = "mae"
    R2 = "r2"

    @property
    def higher_is_better(self) -> bool:
        """Whether more is better; errors and losses are better when small."""
        return self not in (Metric.LOG_LOSS, Metric.RMSE, Metric.MAE)

    @property
    def bounds(self) -> tuple[float, float]:
        """The values it can take; an interval is never shown beyond them."""
        if self in (Metric.LOG_LOSS, Metric.RMSE, Metric.MAE):
            return 0.0, math.inf
        return (-math.inf, 1.0) if self is Metric.R2 else (0.0, 1.0)


METRICS: dict[Task, tuple[Metric, ...]] = {
    Task.BINARY: (
        Metric.ROC_AUC,
        Metric.ACCURACY,
        Metric.BALANCED_ACCURACY,
        Metric.F1_MACRO,
        Metric.LOG_LOSS,
    ),
    Task.MULTICLASS: (Metric.ACCURACY, Metric.BALANCED_ACCURACY, Metric.F1_MACRO, Metric.LOG_LOSS),
    Task.REGRESSION: (Metric.RMSE, Metric.MAE, Metric.R2),
}
"""What each task can be judged by; the first is the default."""


@dataclass(frozen=True)
class Problem:
    """A target with what it asks for."""

    target: str
    task: Task
    metric: Metric


def pose(
    frame: "pd.DataFrame", target: str, *, task: Task | None = None, metric: Metric | None = None
) -> Problem:
    """Decide the task and metric, and refuse what cannot be learnt.

    A target of text or booleans, or of whole numbers with at most 20 values that repeat (20 rows a value on average),
    is a class; other numbers are regressed.

    Raises:
        InvalidInputError: no such column, one class only, too few rows, or a metric that does not fit.
    """
    if target not in frame.columns:
        columns = [str(column) for column in frame.columns]
        raise InvalidInputError.of("target", target, "a column of the table", _offer(target, columns))
    values = frame[target].dropna()
    if len(frame.columns) < 2:
        raise InvalidInputError(
            f"data: {target!r} is its only column.", fix="Add the columns to predict it from."
        )
    if len(values) < _LEAST_ROWS:
        raise InvalidInputError.of("data", f"{len(values)} rows with a target", f"at least {_LEAST_ROWS}")
    try:
        kinds = int(values.nunique())
    except TypeError as error:  # lists and dicts cannot be told apart by hashing
        raise InvalidInputError.of("target", target, f"numbers, text or booleans; {error}") from error
    if kinds == 1:
        only = values.tolist()[0]
        raise InvalidInputError(
            f"target: every row of {target!r} is {only!r}; there is nothing to tell apart.",
            fix="Choose another target, or add rows of other classes.",
        )
    found = task or _detect(values, kinds)
    if found is Task.BINARY and kinds != 2:
        raise InvalidInputError.of(
            "task", "binary", f"multiclass or regression: {target!r} has {kinds} values"
        )
    if found is Task.REGRESSION:
        _check_numbers(values, target)
    else:
        _check_classes(values, target, kinds)
    chosen = metric or METRICS[found][0]
    if chosen not in METRICS[found]:
        raise InvalidInputError.of("metric", str(chosen), f"for {found}: {', '.join(METRICS[found])}")
    return Problem(target, found, chosen)


def _detect(values: "pd.Series", kinds: int) -> Task:
    from pandas.api import types

    number = types.is_numeric_dtype(values) and not types.is_bool_dtype(values)
    if number:
        whole = types.is_integer_dtype(values) or bool((values % 1 == 0).all())
        if kinds > 2 and not (whole and kinds <= 20 and len(values) >= 20 * kinds):
            return Task.REGRESSION
    return Task.BINARY if kinds == 2 else Task.MULTICLASS


def _check_numbers(values: "pd.Series", target: str) -> None:
    from pandas.api import types

    if not types.is_numeric_dtype(values):
        raise InvalidInputError.of("target", target, f"numbers, for regression; it holds {values.iloc[0]!r}")
    if not all(math.isfinite(value) for value in (values.min(), values.max())):
        raise InvalidInputError(f"target: {target!r} holds infinite values.", fix="Remove those rows.")


def _check_classes(values: "pd.Series", target: str, kinds: int) -> None:
    if kinds > _MOST_CLASSES:
        raise InvalidInputError.of(
            "target",
            target,
            f"at most {_MOST_CLASSES} classes; it has {kinds}",
            "Is it an id? Choose another column, or --task regression.",
        )
    counts = values.value_counts()
    counts = counts[counts > 0]  # a categorical column counts classes that no row has, too
    if counts.iloc[-1] < _LEAST_OF_CLASS:
        raise InvalidInputError(
            f"target: class {counts.index.tolist()[-1]!r} of {target!r} has {counts.iloc[-1]} row(s), fewer than {_LEAST_OF_CLASS}.",
            fix="Drop or merge that class, or add rows of it.",
        )
    held_out = math.ceil(len(values) * HELD_OUT)
    if held_out < kinds:
        raise InvalidInputError(
            f"target: {target!r} has {kinds} classes, more than the {held_out} of {len(values)} rows that are set aside.",
            fix="Add rows, or merge classes.",
        )


def _offer(target: str, columns: list[str]) -> str:
    import difflib

    folded = {column.casefold(): column for column in columns}
    near = [folded[name] for name in difflib.get_close_matches(target.casefold(), list(folded), n=3)]
    return f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Columns: {', '.join(columns[:12])}."
