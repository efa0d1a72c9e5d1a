"""The types of command parameters: each says what it takes, for validation, completion and the reference."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError


@dataclass(frozen=True)
class Completes:
    """Where tab completion finds values.

    One of ``jobs``, ``models``, ``runs``, ``tables``, ``columns``, ``estimators``, ``files``, ``queues``, ``schedules``,
    ``promotable``, ``aliases``, ``requests``, ``providers``, ``deployments``, ``environments``, ``guardrails``,
    ``captures``, ``budgets``.
    """

    source: str


@dataclass(frozen=True)
class FromCell:
    """Marks the parameter that takes a cell's body; ``code`` is taken line for line, as Python."""

    code: bool = False


@dataclass(frozen=True)
class TakesWords:
    """Marks the parameter that takes the words of another command: options among them are given after ``--``."""


def parts(annotation: Any) -> Iterator[Any]:
    """Yield a parameter's annotation and all it is made of: in ``Annotated[str, …] | None`` the marks inside, too."""
    yield annotation
    for part in get_args(annotation):
        yield from parts(part)


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(MIB|GIB|TIB|MB|GB|TB|M|G|T)?", re.IGNORECASE)
_BYTES = {
    "M": 2**20, "G": 2**30, "T": 2**40, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
_LONGEST_PATTERN = 200
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def mebibytes(value: object) -> object:
    """Read a size with its unit as MiB, rounded up; a number stays as it is."""
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None:
        amount, unit = found.groups()
        return math.ceil(float(amount) * _BYTES[(unit or "M").upper()] / 2**20)
    if type(value) is int:
        return value
    raise PydanticCustomError("size", "a whole number of MiB, or a size as 8GiB or 500MB")


def seconds(value: object) -> object:
    """Read a duration with its units (``90s``, ``10m``, ``1h30m``, ``2d``) as seconds; a number stays as it is."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    try:
        return float(text)
    except ValueError:
        found = _DURATION.fullmatch(text)
    if text and found is not None:
        days, hours, minutes, rest = (float(part or 0) for part in found.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + rest
    raise PydanticCustomError("duration", "seconds, or a duration as 90s, 10m, 2h or 1h30m")


def names(value: object) -> object:
    """Read names separated by commas, given once or several times."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(item, str) for item in found):
        raise PydanticCustomError("names", "names of variables, separated by commas")
    found = [name.strip() for item in found for name in item.split(",") if name.strip()]
    if wrong := [name for name in found if not name.isidentifier()]:
        raise PydanticCustomError(
            "names", "names of variables, separated by commas; {name} is none", {"name": repr(wrong[0])}
        )
    return list(dict.fromkeys(found))


def patterns(value: object) -> object:
    """Read names or patterns of names separated by commas, given once or several times."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(item, str) for item in found):
        raise PydanticCustomError("patterns", "names or patterns, separated by commas")
    found = [part.strip() for item in found for part in item.split(",") if part.strip()]
    if not found or any(len(part) > _LONGEST_PATTERN or not part.isprintable() for part in found):
        raise PydanticCustomError("patterns", "names or patterns of at most 200 characters, one at least")
    return list(dict.fromkeys(found))


Body = Annotated[str, FromCell(), Field(min_length=1, description="the cell's text")]
JobId = Annotated[
    str, Completes("jobs"), Field(min_length=1, description="a job: its id, the end of it, its name, or last")
]
RunId = Annotated[
    str, Completes("runs"), Field(min_length=1, description="a run: its id, the end of it, its name, or last")
]
ModelRef = Annotated[
    str, Completes("models"), Field(min_length=1, description="a model: NAME, NAME@VERSION or NAME@ALIAS")
]
Data = Annotated[
    Any,
    Completes("tables"),
    WithJsonSchema({"type": "string"}),
    Field(description="a table: a DataFrame's name, a CSV or Parquet file, or DATASET[@VERSION]"),
]
Rows = Annotated[
    Any,
    Completes("tables"),
    WithJsonSchema({"type": "string"}),
    Field(description="rows: the name of a DataFrame or array, a CSV or Parquet file, or DATASET[@VERSION]"),
]
ModelSource = Annotated[
    Any,
    Completes("estimators"),
    WithJsonSchema({"type": "string"}),
    Field(description="a fitted model's name in the notebook, or a file or folder"),
]
Column = Annotated[str, Completes("columns"), Field(min_length=1, description="a column of the table")]
FilePath = Annotated[
    str, Completes("files"), Field(min_length=1, description="a path, relative to the current folder")
]
Seconds = Annotated[float, Field(gt=0, le=30 * 86_400, allow_inf_nan=False, description="seconds")]
Duration = Annotated[
    float,
    BeforeValidator(seconds, json_schema_input_type=float | str),
    Field(gt=0, le=30 * 86_400, allow_inf_nan=False, description="seconds, or 90s, 10m, 2h"),
]
Memory = Annotated[
    int,
    BeforeValidator(mebibytes, json_schema_input_type=int | str),
    Field(ge=1, le=1 << 24, description="MiB, or a size as 8GiB"),
]
GpuMemory = Annotated[
    int,
    BeforeValidator(mebibytes, json_schema_input_type=int | str),
    Field(ge=1, le=1 << 24, description="MiB of each GPU, or a size as 8GiB"),
]
Names = Annotated[
    list[str],
    BeforeValidator(names, json_schema_input_type=str | list[str]),
    Field(max_length=1000, description="names of variables, separated by commas"),
]
Patterns = Annotated[
    list[str],
    BeforeValidator(patterns, json_schema_input_type=str | list[str]),
    Field(max_length=1000, description="names, or patterns as chat*, separated by commas"),
]
QueueName = Annotated[
    str,
    Completes("queues"),
    Field(
        min_length=1,
        max_length=64,
        pattern=r"^[\w.-]+$",
        description="a queue's name; default is the usual one",
    ),
]
Limit = Annotated[int, Field(ge=1, le=10_000, description="how many at most")]
