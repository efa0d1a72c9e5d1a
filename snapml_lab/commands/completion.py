"""What may come next on a command line: words, options, and values from where a parameter's type says."""

import glob
from collections.abc import Mapping, Sequence
from enum import StrEnum
from inspect import Parameter
from typing import Any, get_origin

from cyclopts import Parameter as Named

from snapml_lab.commands.core import Command, Surface, commands
from snapml_lab.commands.types import Completes, parts
from snapml_lab.envs import engines
from snapml_lab.envs.recipes import EITHER, RECIPES
from snapml_lab.governance import promotions
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import DEFAULT_QUEUE
from snapml_lab.registry import aliases, deployments, versions
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
    if "--" in rest:
        rest = [word for word in rest if word != "--"]
    elif rest and rest[-1].startswith("-"):
        option = _option(command, rest[-1])
        if option is not None and option.annotation is not bool:
            return option
    positional = [item for item in command.parameters.values() if item.kind is not Parameter.KEYWORD_ONLY]
    given = 0
    skip = False
    for word in rest:
        if skip:
            skip = False
        elif word.startswith("-"):
            option = _option(command, word)
            skip = option is not None and option.annotation is not bool
        else:
            given += 1
    if given < len(positional):
        return positional[given]
    return positional[-1] if positional and _is_list(positional[-1]) else None


def _option(command: Command, word: str) -> Parameter | None:
    """Return the parameter an option is of; None of a flag that is no parameter, such as --background."""
    name = word.lstrip("-").replace("-", "_")
    if word.startswith("--") and name in command.parameters:
        return command.parameters[name]
    return next(
        (
            item for item in command.parameters.values()
            if any(isinstance(part, Named) and word in (part.name or ()) for part in parts(item.annotation))
        ),
        None,
    )  # fmt: skip


def _is_list(parameter: Parameter) -> bool:
    return any(get_origin(part) is list for part in parts(parameter.annotation))


def _values(
    ws: Workspace, parameter: Parameter, rest: list[str], namespace: Mapping[str, Any], current: str
) -> list[str]:
    for kind in parts(parameter.annotation):
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return [str(value) for value in kind]
    source = next((part.source for part in parts(parameter.annotation) if isinstance(part, Completes)), "")
    if source in ("tables", "columns", "estimators", "files"):
        return _data(ws, source, rest, namespace, current)
    return _recorded(ws, source, current)


def _data(
    ws: Workspace, source: str, rest: list[str], namespace: Mapping[str, Any], current: str
) -> list[str]:
    match source:
        case "tables":
            return [*_frames(namespace), *ws.catalog.keys("datasets"), *_files(current, (".csv", ".parquet"))]
        case "columns":
            return _columns(rest, namespace)
        case "estimators":
            return [*_fitted(namespace), *_files(current, None)]
    return _files(current, None)


def _recorded(ws: Workspace, source: str, current: str) -> list[str]:
    match source:
        case "jobs":
            return _jobs(ws, current)
        case "queues":
            rows = ws.ledger.rows(
                "SELECT name FROM queues UNION SELECT queue FROM jobs UNION SELECT ?", DEFAULT_QUEUE
            )
            return sorted(row["name"] for row in rows)
        case "schedules" | "providers" | "deployments" | "captures" | "guardrails" | "budgets":
            return ws.catalog.keys(source)
        case "runs":
            return [run.id for run in runs.latest(ws.ledger, kind=None, limit=_MOST)]
        case "models":
            return _models(ws)
        case "promotable":
            others = [f"dataset:{name}" for name in ws.catalog.keys("datasets")]
            return [*_models(ws), *others, *(f"deployment:{item.name}" for item in deployments.every(ws))]
        case "aliases":
            rows = ws.ledger.rows("SELECT DISTINCT alias FROM aliases ORDER BY alias LIMIT ?", _MOST)
            return list(dict.fromkeys(["champion", *(row["alias"] for row in rows)]))
        case "requests":
            waiting = promotions.latest(ws.ledger, of=None, state=promotions.Stage.WAITING, limit=_MOST)
            return [item.id for item in waiting]
        case "environments":
            return [
                *EITHER,
                *RECIPES,
                *(item.id for item in engines.every() if item.recipe.name not in RECIPES),
            ]
    return []


def _models(ws: Workspace) -> list[str]:
    """Return the newest model versions, and what stands under an alias."""
    named = [f"{row['name']}@{row['alias']}" for row in aliases.of(ws.ledger, "model")[:_MOST]]
    return [*(model.reference for model in versions.latest(ws.ledger, _MOST)), *named]


def _jobs(ws: Workspace, current: str) -> list[str]:
    """Return the ids of the newest jobs; before them their names, where one is being typed."""
    latest = queue.latest(ws, limit=_MOST)
    named = dict.fromkeys(job.name for job in latest if current and job.name.startswith(current))
    return [*named, *(job.id for job in latest)]


def _columns(rest: list[str], namespace: Mapping[str, Any]) -> list[str]:
    """Return the columns of the table that was named before."""
    frame = next((namespace[word] for word in rest if word in _frames(namespace)), None)
    return [str(column) for column in frame.columns] if frame is not None else []


def _frames(namespace: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, value in namespace.items()
        if type(value).__name__ == "DataFrame" and not name.startswith("_")
    ]


def _fitted(namespace: Mapping[str, Any]) -> list[str]:
    """Return the names of fitted models, by what scikit-learn's convention leaves on one that is fitted."""
    return [
        name
        for name, value in namespace.items()
        if not name.startswith("_") and hasattr(value, "get_params") and hasattr(value, "predict")
    ]


def _files(current: str, endings: tuple[str, ...] | None) -> list[str]:
    found = glob.glob(glob.escape(current) + "*")[:1000]
    return sorted(name for name in found if endings is None or name.endswith(endings))


def _fitting(values: set[str], current: str) -> list[str]:
    return sorted(value for value in values if value.startswith(current))
