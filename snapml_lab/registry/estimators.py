"""What a fitted scikit-learn estimator reads and predicts, told from itself and an example. Needs pandas."""

from typing import TYPE_CHECKING, Any

from snapml_lab.errors import InvalidInputError
from snapml_lab.registry.signature import ANY, Signature

if TYPE_CHECKING:
    import pandas as pd

_MOST_COLUMNS = 10_000


def is_estimator(value: object) -> bool:
    """Say whether a value is a model that can be kept: it keeps scikit-learn's rules."""
    return hasattr(value, "fit") and hasattr(value, "get_params") and not isinstance(value, type)


def sign(model: Any, example: "pd.DataFrame | None", target: str) -> tuple[Signature, str]:
    """Return the signature of an estimator, and its task.

    Args:
        model: a fitted estimator.
        example: rows it reads; what else the table has is left out. Without one the types of columns are not known.
        target: what to call what it predicts.

    Raises:
        InvalidInputError: it is not fitted, does not predict one value a row, or the example lacks a column it reads.
    """
    _check(model)
    named = [str(name) for name in getattr(model, "feature_names_in_", [])]
    width = int(getattr(model, "n_features_in_", len(named) or (0 if example is None else example.shape[1])))
    columns = named or _unnamed(example, width)
    if example is not None and (missing := [name for name in columns if name not in example.columns]):
        raise InvalidInputError.of(
            "example",
            f"no column {missing[0]!r}",
            f"the columns the model was fitted on: {', '.join(columns[:12])}",
        )
    types = {name: ANY if example is None else str(example[name].dtype) for name in columns}
    if not named and example is None:
        types = dict.fromkeys(columns, "float64")
    classes = [str(kind) for kind in _classes(model)]
    task = ("binary" if len(classes) == 2 else "multiclass") if classes else _task(model)
    numeric = [name for name, kind in types.items() if kind.lower().startswith(("int", "uint", "float"))]
    times = [name for name, kind in types.items() if kind.startswith("datetime64")]
    words = [name for name in types if name not in numeric and name not in times]
    return Signature(numeric, times, words, {}, target, classes, columns, types, array=not named), task


def _check(model: Any) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if not hasattr(model, "predict"):
        raise InvalidInputError.of("model", type(model).__name__, "a model with predict")
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise InvalidInputError.of(
            "model", f"a {type(model).__name__} that is not fitted", "a fitted model"
        ) from error
    except TypeError as error:  # a class, or no estimator
        raise InvalidInputError.of("model", model, "a fitted scikit-learn model") from error
    if isinstance(getattr(model, "classes_", None), list) or getattr(model, "n_outputs_", 1) not in (1, None):
        raise InvalidInputError.of(
            "model", "several outputs a row", "one output", "Keep a model for each output."
        )


def _unnamed(example: "pd.DataFrame | None", width: int) -> list[str]:
    if width < 1 or width > _MOST_COLUMNS:
        raise InvalidInputError.of("model", f"{width} columns", f"1 to {_MOST_COLUMNS}", "Give --example.")
    if example is not None and example.shape[1] == width:
        return [str(name) for name in example.columns]
    if example is not None:
        raise InvalidInputError.of(
            "example", f"{example.shape[1]} columns", f"{width}, as the model was fitted on"
        )
    return [f"x{i}" for i in range(width)]


def _classes(model: Any) -> list[Any]:
    from sklearn.base import is_classifier

    return list(getattr(model, "classes_", [])) if is_classifier(model) else []


def _task(model: Any) -> str:
    from sklearn.base import is_clusterer, is_outlier_detector

    if is_clusterer(model):
        return "clustering"
    return "outliers" if is_outlier_detector(model) else "regression"
