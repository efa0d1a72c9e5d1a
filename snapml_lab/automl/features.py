"""Which of a table's columns can be learnt from, and what stands in front of every model. Needs pandas, sklearn."""

from typing import TYPE_CHECKING, Any

from snapml_lab.errors import InvalidInputError
from snapml_lab.registry.signature import Signature

if TYPE_CHECKING:
    import pandas as pd

_MOST_CATEGORIES = 50


def sign(frame: "pd.DataFrame", target: str, classes: list[str]) -> Signature:
    """Sort the columns of a training table.

    Raises:
        InvalidInputError: no column is left to learn from.
    """
    from pandas.api import types

    numeric: list[str] = []
    times: list[str] = []
    categorical: list[str] = []
    left_out: dict[str, str] = {}
    for name in frame.columns.drop(target):
        column = frame[name]
        known = column.dropna()
        if known.empty:
            left_out[name] = "no values"
        elif len(known) == len(column) and _alike(column):
            left_out[name] = "one value only"
        elif types.is_bool_dtype(column):
            categorical.append(name)
        elif types.is_numeric_dtype(column):
            numeric.append(name)
        elif types.is_datetime64_any_dtype(column):
            times.append(name)
        elif (
            known.astype(str).nunique() <= max(_MOST_CATEGORIES, 2)
            or known.astype(str).nunique() < len(known) / 10
        ):
            categorical.append(name)
        else:
            left_out[name] = f"text with {known.astype(str).nunique()} distinct values"
    if not numeric and not times and not categorical:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InvalidInputError(
            f"data: no column can be learnt from ({reasons}).",
            fix="Add columns of numbers or of few categories.",
        )
    return Signature(numeric, times, categorical, left_out, target, classes)


def _alike(column: "pd.Series") -> bool:
    """Say whether all values are the same; objects, lists among them, are compared as text."""
    plain = column.astype(str) if column.dtype == object else column
    return bool((plain == plain.iloc[0]).all())


def preparation(signature: Signature) -> Any:
    """Return the untrained transformer in front of every model: impute and scale numbers, one-hot categories."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    categories = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=3, max_categories=40, sparse_output=False
    )
    return ColumnTransformer(
        [
            ("numbers", numbers, [*signature.numeric, *signature.times]),
            ("categories", categories, signature.categorical),
        ]
    )
