"""What a classic model reads and predicts: its columns, and how a table is brought into their form. Needs pandas."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from snapml_lab.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

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
