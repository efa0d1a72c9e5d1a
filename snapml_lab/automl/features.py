"""From a table's columns to what scikit-learn takes: the same at training and at prediction. Needs pandas, sklearn."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from snapml_lab.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

_MOST_CATEGORIES = 50
_SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class Signature:
    """Which columns a model reads, and how; what else the table had is left out, with the reason.

    Attributes:
        numeric: columns of numbers.
        times: columns of instants, read as days since 1970.
        categorical: columns of few distinct texts or booleans.
        left_out: column to reason.
        target: what is predicted.
        classes: the target's classes as text, in the model's order; empty for regression.
    """

    numeric: list[str]
    times: list[str]
    categorical: list[str]
    left_out: dict[str, str]
    target: str
    classes: list[str]

    @property
    def columns(self) -> list[str]:
        """The columns a model reads, in its order."""
        return [*self.numeric, *self.times, *self.categorical]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


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


def matrix(frame: "pd.DataFrame", signature: Signature) -> "pd.DataFrame":
    """Bring a table into the form a model was trained on.

    Raises:
        InvalidInputError: a column is missing, or holds what cannot be read as it was at training.
    """
    import pandas as pd

    missing = [name for name in signature.columns if name not in frame.columns]
    if missing:
        raise InvalidInputError.of(
            "data", f"no column {missing[0]!r}", f"the columns {', '.join(signature.columns[:12])}"
        )
    columns: dict[str, pd.Series] = {}
    for name in signature.numeric:
        try:
            values = pd.to_numeric(frame[name]).astype("float64")
        except (ValueError, TypeError) as error:
            raise InvalidInputError(
                f"data: column {name!r} was numbers at training: {error}.", fix="Mend that column."
            ) from error
        columns[name] = values.where(values.abs() != float("inf"))
    for name in signature.times:
        try:
            instants = pd.to_datetime(frame[name], utc=True)
        except (ValueError, TypeError) as error:
            raise InvalidInputError(
                f"data: column {name!r} was instants at training: {error}.", fix="Mend that column."
            ) from error
        seconds = (instants - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
        columns[name] = seconds / _SECONDS_A_DAY
    for name in signature.categorical:
        columns[name] = frame[name].astype("object").where(frame[name].notna(), "(missing)").astype(str)
    return pd.DataFrame(columns, index=frame.index)


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
