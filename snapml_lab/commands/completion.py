"""What may come next on a command line: words, options, and values from where a parameter's type says."""

import glob
from collections.abc import Mapping, Sequence
from enum import StrEnum
from inspect import Parameter
from typing import Any, get_args

from snapml_lab.commands.core import Command, Surface, commands
from snapml_lab.commands.types import Completes
from snapml_lab.jobs import queue
from snapml_lab.registry import versions
from snapml_lab.tracking import runs
from snapml_lab.workspace import Workspace

_MOST = 50


def candidates(
    ws: Workspace, words: Sequence[str], current: str, surface: Surface, namespace: Mapping[str, Any]
) -> list[str]:
    """Return completions of ``current`` after ``words``, best first.

    Args:
        ws: the workspace, for ids and names.
        words: whole words before the one being typed.
        current: the beginning of the one being typed; may be empty.
        surface: whose commands.
        namespace: the notebook's variables, for tables.
    """
    known = [command for command in commands().values() if surface in command.surfaces]
    command = max(
        (item for item in known if tuple(words[: len(item.words)]) == item.words),
        key=lambda item: len(item.words),
        default=None,
    )
    if command is None:
        depth = len(words)
        fitting = [item for item in known if item.words[:depth] == tuple(words) and len(item.words) > depth]
        return _fitting({item.words[depth] for item in fitting}, current)
    rest = list(words[len(command.words) :])
    deeper = {item.words[-1] for item in known if item.words[:-1] == command.words} if not rest else set()
    parameter = _wanted(command, rest)
    if current.startswith("-"):
        options = {f"--{name.replace('_', '-')}" for name in command.parameters}
        return _fitting(options | ({"--background"} if command.picture else set()), current)
    values = _values(ws, parameter, rest, namespace, current) if parameter else []
    return _fitting(deeper, current) + [value for value in values if value.startswith(current)][:_MOST]


def _wanted(command: Command, rest: list[str]) -> Parameter | None:
    """Return the parameter whose value is being typed."""
    if rest and rest[-1].startswith("--") and _takes_value(command, rest[-1]):
        return command.parameters.get(rest[-1][2:].replace("-", "_"))
    positional = [item for item in command.parameters.values() if item.kind is not Parameter.KEYWORD_ONLY]
    given = 0
    skip = False
    for word in rest:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = _takes_value(command, word)
        else:
            given += 1
    return positional[given] if given < len(positional) else None


def _takes_value(command: Command, option: str) -> bool:
    """Say whether a word follows an option: a flag, and --background, stand alone."""
    parameter = command.parameters.get(option.lstrip("-").replace("-", "_"))
    return parameter is not None and parameter.annotation is not bool


def _values(
    ws: Workspace, parameter: Parameter, rest: list[str], namespace: Mapping[str, Any], current: str
) -> list[str]:
    for kind in (parameter.annotation, *get_args(parameter.annotation)):
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return [str(value) for value in kind]
    source = next((item.source for item in get_args(parameter.annotation) if isinstance(item, Completes)), "")
    match source:
        case "jobs":
            return [job.id for job in queue.latest(ws, limit=_MOST)]
        case "runs":
            return [run.id for run in runs.latest(ws.ledger, kind=None, limit=_MOST)]
        case "models":
            return [model.reference for model in versions.latest(ws.ledger, _MOST)]
        case "tables":
            return [*_frames(namespace), *ws.catalog.keys("datasets"), *_files(current, (".csv", ".parquet"))]
        case "columns":
            frame = next((namespace[word] for word in rest if word in _frames(namespace)), None)
            return [str(column) for column in frame.columns] if frame is not None else []
        case "files":
            return _files(current, None)
    return []


def _frames(namespace: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, value in namespace.items()
        if type(value).__name__ == "DataFrame" and not name.startswith("_")
    ]


def _files(current: str, endings: tuple[str, ...] | None) -> list[str]:
    found = glob.glob(glob.escape(current) + "*")[:1000]
    return sorted(name for name in found if endings is None or name.endswith(endings))


def _fitting(values: set[str], current: str) -> list[str]:
    return sorted(value for value in values if value.startswith(current))
