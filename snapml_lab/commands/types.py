"""The types of command parameters: each says what it takes, for validation, completion and the reference."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema


@dataclass(frozen=True)
class Completes:
    """Where tab completion finds values: ``jobs``, ``models``, ``runs``, ``tables``, ``columns``, ``files``."""

    source: str


@dataclass(frozen=True)
class FromCell:
    """Marks the parameter that takes a cell's body."""


Body = Annotated[str, FromCell(), Field(min_length=1, description="the cell's text")]
JobId = Annotated[
    str, Completes("jobs"), Field(min_length=1, description="a job: its id, the end of it, its name, or last")
]
RunId = Annotated[
    str, Completes("runs"), Field(min_length=1, description="a run: its id, the end of it, its name, or last")
]
ModelRef = Annotated[
    str, Completes("models"), Field(min_length=1, description="a model: NAME or NAME@VERSION")
]
Data = Annotated[
    Any,
    Completes("tables"),
    WithJsonSchema({"type": "string"}),
    Field(description="a table: a DataFrame's name, a CSV or Parquet file, or DATASET[@VERSION]"),
]
Column = Annotated[str, Completes("columns"), Field(min_length=1, description="a column of the table")]
FilePath = Annotated[
    str, Completes("files"), Field(min_length=1, description="a path, relative to the current folder")
]
Seconds = Annotated[float, Field(gt=0, le=30 * 86_400, allow_inf_nan=False, description="seconds")]
Limit = Annotated[int, Field(ge=1, le=10_000, description="how many at most")]
