"""A notebook's parameters: the assignments of its cell tagged ``parameters``, with their types.

The type is the annotation (``time: float = 20``), else that of the default value.
"""

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snapml_lab.errors import InvalidInputError

_PLAIN = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}
_NO_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)
"""What ``ast.literal_eval`` raises on text that is no value (its documentation names them)."""


@dataclass(frozen=True)
class Parameter:
    """One parameter: ``type`` is the name of a plain Python type, or "" where any value will do."""

    name: str
    type: str
    default: Any


def declared(notebook: Path) -> dict[str, Parameter]:
    """Return a notebook's parameters by name; none where it has no cell tagged ``parameters``.

    Raises:
        InvalidInputError: it is no notebook, or that cell is not Python.
    """
    try:
        cells = json.loads(notebook.read_text("utf-8"))["cells"]
        tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", ())]
        sources = ["".join(cell["source"]) for cell in tagged]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(
            f"{notebook.name} is not a notebook: {error}.", fix="Open it in JupyterLab and save it again."
        ) from error
    try:
        body = [statement for source in sources for statement in ast.parse(source).body]
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte
        raise InvalidInputError(
            f"{notebook.name}: its parameters cell is not Python: {error}.", fix="Mend that cell."
        ) from error
    found: dict[str, Parameter] = {}
    for statement in body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            kind = statement.annotation.id if isinstance(statement.annotation, ast.Name) else ""
            default = _literal(statement.value)
            found[statement.target.id] = Parameter(
                statement.target.id, kind if kind in _PLAIN else "", default
            )
        elif isinstance(statement, ast.Assign):
            default = _literal(statement.value)
            kind = type(default).__name__ if default is not None else ""
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    found[target.id] = Parameter(target.id, kind if kind in _PLAIN else "", default)
    return found


def check(parameter: Parameter, value: Any, *, where: str) -> Any:
    """Return ``value`` as the parameter's type; text is read as that type, and a whole number will do for a float.

    Raises:
        InvalidInputError: it is not of that type.
    """
    kind = _PLAIN.get(parameter.type)
    if kind is None or (type(value) is kind):
        return value
    if kind is float and type(value) is int:
        return float(value)
    if isinstance(value, str) and kind is not str:
        try:
            read = ast.literal_eval(value.capitalize() if kind is bool else value)
        except _NO_LITERAL:
            read = value
        if type(read) is kind or (kind is float and type(read) is int):
            found: Any = read
            return kind(found)
    raise InvalidInputError.of(
        f"{where}: {parameter.name}",
        value,
        f"a value of type {parameter.type}",
        f"Its default is {parameter.default!r}: write it like that.",
    )


def _literal(node: ast.expr | None) -> Any:
    try:
        return None if node is None else ast.literal_eval(node)
    except _NO_LITERAL:
        return None
