"""What a classic model reads and predicts: its columns, and how a table is brought into their form. Needs pandas."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from snapml_lab.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

_SECONDS_A_DAY = 86_400.0
ANY = "any"
"""The type of a column nobody has said anything about: it is given to the model as it comes."""


@dataclass(frozen=True)
class Signature:
    """Which columns a model reads, and how; what else the table had is left out, with the reason.

    Attributes:
        numeric: columns of numbers.
        times: columns of instants, read as days since 1970 where ``types`` does not say otherwise.
        categorical: columns of few distinct texts or booleans.
        left_out: column to reason.
        target: what is predicted.
        classes: the target's classes as text, in the model's order; empty for regression.
        order: of a model a person brought: the columns it reads, in its order; they are then given to it in their
            ``types``, and not prepared as ``automl`` prepares them.
        types: each of those columns to pandas' name of its type.
        array: whether such a model was fitted on an array without names of columns.
    """

    numeric: list[str]
    times: list[str]
    categorical: list[str]
    left_out: dict[str, str]
    target: str
    classes: list[str]
    order: list[str] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    array: bool = False

    @property
    def columns(self) -> list[str]:
        """The columns a model reads, in its order."""
        return self.order or [*self.numeric, *self.times, *self.categorical]

    def datatype(self, column: str) -> str:
        """Return how the Open Inference Protocol V2 calls what a column holds: ``FP64`` or ``BYTES``."""
        numbers = self.types.get(column, "").startswith(("int", "uint", "float", "bool"))
        return "FP64" if column in self.numeric or numbers else "BYTES"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


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
    if (plain := _plain(frame, signature)) is not None:
        return plain
    columns: dict[str, pd.Series] = {}
    if signature.order:
        columns = {
            name: _typed(frame[name], name, signature.types.get(name, ANY)) for name in signature.order
        }
        return pd.DataFrame(columns, index=frame.index)
    for name in signature.numeric:
        values = _numbers(frame[name], name).astype("float64")
        columns[name] = values.where(values.abs() != float("inf"))
    for name in signature.times:
        seconds = (_instants(frame[name], name) - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
        columns[name] = seconds / _SECONDS_A_DAY
    for name in signature.categorical:
        columns[name] = frame[name].astype("object").where(frame[name].notna(), "(missing)").astype(str)
    return pd.DataFrame(columns, index=frame.index)


def _plain(frame: "pd.DataFrame", signature: Signature) -> "pd.DataFrame | None":
    """Return a table of nothing but numbers read as such in one step, as :func:`matrix` does column by column; else None."""
    import numpy as np
    import pandas as pd

    floats = bool(signature.order) and all(signature.types.get(name) == "float64" for name in signature.order)
    if not floats and (signature.order or signature.times or signature.categorical):
        return None
    found = frame[signature.columns]
    if any(kind.kind not in "iuf" for kind in found.dtypes):
        return None
    values = found.to_numpy(dtype="float64", copy=True)
    if not floats:
        values[np.isinf(values)] = np.nan
    return pd.DataFrame(values, columns=signature.columns, index=frame.index)


def _typed(values: Any, name: str, kind: str) -> Any:
    """Bring a column into a type; whole numbers with gaps or fractions stay numbers of another type."""
    if kind == ANY:
        return values
    if kind.startswith("datetime64"):
        instants = _instants(values, name)
        return instants if "UTC" in kind else instants.dt.tz_localize(None)
    if kind.startswith(("int", "uint", "float", "bool")):
        numbers = _numbers(values, name)
        if kind.startswith("bool"):
            return numbers.astype(bool) if numbers.isin([0, 1]).all() else numbers
        whole = kind.startswith("float") or bool((numbers.notna() & (numbers % 1 == 0)).all())
        return numbers.astype(kind if whole else "float64")
    if kind == "category":
        return values.astype("category")
    texts = values.astype("object")
    return texts.where(values.isna(), texts.astype(str)).astype(
        kind if kind in ("str", "string") else "object"
    )


def _numbers(values: Any, name: str) -> Any:
    import pandas as pd

    try:
        return pd.to_numeric(values)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            f"data: column {name!r} was numbers at training: {error}.", fix="Mend that column."
        ) from error


def _instants(values: Any, name: str) -> Any:
    import pandas as pd

    try:
        return pd.to_datetime(values, utc=True)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            f"data: column {name!r} was instants at training: {error}.", fix="Mend that column."
        ) from error
