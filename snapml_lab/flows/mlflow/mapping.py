"""What MLflow's words are in ours, and back. Pure."""

import posixpath
import re
from collections.abc import Iterable
from typing import Any

from snapml_lab import ids

RECORD = "snapml/record.json"
"""The file an exported run has among its artifacts: what MLflow has no place for."""
ABOUT = "snapml.json"
"""The file an exported model has beside it, likewise."""
KIND = "mlflow"
"""Of a run that MLflow made."""
LONGEST_VALUE = 5_000
"""Characters of a value that MLflow takes everywhere; 6,000 is its limit for parameters, 8,000 for tags."""
_LONGEST_NAME = 250
_STATES = {"FINISHED": "succeeded", "FAILED": "failed", "KILLED": "cancelled"}
_STATUSES = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED", "lost": "FAILED"}
_STRANGE = re.compile(r"[^/\w.\- :]")
_TYPES = {
    "double": "float64", "float": "float32", "long": "int64", "integer": "int32", "boolean": "bool", "string": "object",
    "datetime": "datetime64[ns]",
}  # fmt: skip


def run_id(identifier: str, start_ms: int | None) -> str:
    """Return our id of a run of MLflow's: always the same, and it sorts by when the run began."""
    return ids.of(start_ms or 0, f"mlflow run {identifier}")


def state(status: str) -> str:
    """Return our word for a run's status; one that had not ended when it was read is ``lost``: its end was not seen."""
    return _STATES.get(status, "lost")


def status(state: str) -> str:
    """Return MLflow's word for a run's state."""
    return _STATUSES.get(state, "RUNNING")


def number(value: float | str | None) -> float | None:
    """Read a value of a metric as it crossed: infinities are words, what is no number is None."""
    return None if value is None else float(value)


def names(given: Iterable[str]) -> dict[str, str]:
    """Return for each name one MLflow takes: no other characters than its own, no path that leaves, none twice."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in given:
        plain = _STRANGE.sub("_", name)[:_LONGEST_NAME] or "_"
        if posixpath.normpath(plain) != plain or plain.startswith(("/", "..")) or plain == ".":
            plain = plain.replace("/", "_").strip(".") or "_"
        base, index = plain, 2
        while plain in taken:
            plain, index = f"{base[: _LONGEST_NAME - 8]}_{index}", index + 1
        taken.add(plain)
        found[name] = plain
    return found


def model_name(*words: str) -> str:
    """Return a name for a model of that experiment and that name there."""
    plain = "-".join(
        "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in word)
        for word in words
        if word
    )
    return plain.strip("._-")[:100] or "model"


def types(inputs: Any) -> dict[str, str]:
    """Return the pandas types of columns MLflow's signature names; empty where it names none."""
    found = {}
    for item in inputs if isinstance(inputs, list) else []:
        if isinstance(item, dict) and isinstance(item.get("name"), str) and item.get("type") in _TYPES:
            found[item["name"]] = _TYPES[item["type"]]
    return found
