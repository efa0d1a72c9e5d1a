"""A pipeline as written in YAML: notebooks with typed parameters, and what flows from one to the next."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.flows.parameters import Parameter, check, declared

_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?\}")


class Step(BaseModel):
    """One notebook of a pipeline; ``gpus`` and ``gpu_memory`` (MiB of each; None is whole devices) are for its kernel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z_]\w{0,63}$")
    notebook: str
    parameters: dict[str, Any] = {}
    outputs: list[str] = []
    gpus: int = Field(default=0, ge=0)
    gpu_memory: int | None = Field(default=None, ge=1)


class Pipeline(BaseModel):
    """A pipeline: its parameters with their defaults, and its steps in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z_][\w-]{0,63}$")
    description: str = ""
    parameters: dict[str, str | int | float | bool] = {}
    steps: list[Step] = Field(min_length=1)


def read(path: Path, given: dict[str, str]) -> tuple[Pipeline, dict[str, Any]]:
    """Read a pipeline, check it against its notebooks, and return it with its parameters' values.

    Args:
        path: the YAML file; notebooks are named relative to it.
        given: parameters from outside, as text.

    Raises:
        NotFoundError: the file or a notebook does not exist.
        InvalidInputError: it does not say what it should; the message names the step and the field.
    """
    if not path.is_file():
        raise NotFoundError(f"There is no pipeline {str(path)!r}.", fix="Give the path of a YAML file.")
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: bytes that are not UTF-8, a date that is none
        raise InvalidInputError(
            f"{path.name} is not YAML: {' '.join(str(error).split())}.", fix="Mend that line."
        ) from error
    try:
        pipeline = Pipeline.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or path.name
        raise InvalidInputError.of(where, first["input"], first["msg"], f"In {path.name}.") from error
    values = _values(pipeline, given)
    _check_steps(pipeline, path, values)
    return pipeline, values


def resolve(value: Any, values: dict[str, Any], outputs: dict[str, dict[str, Any]]) -> Any:
    """Replace ``${parameter}`` and ``${step.output}`` in a step's parameter; a whole reference keeps its type."""
    if isinstance(value, list):
        return [resolve(item, values, outputs) for item in value]
    if isinstance(value, dict):
        return {key: resolve(item, values, outputs) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    if whole := _REFERENCE.fullmatch(value):
        return _look_up(whole, values, outputs)
    return _REFERENCE.sub(lambda match: str(_look_up(match, values, outputs)), value)


def _references(value: Any) -> list[tuple[str, str]]:
    """Return the (source, output) of every reference in a parameter, however deep."""
    if isinstance(value, list | dict):
        items = value.values() if isinstance(value, dict) else value
        return [found for item in items for found in _references(item)]
    return _REFERENCE.findall(value) if isinstance(value, str) else []


def _look_up(match: "re.Match[str]", values: dict[str, Any], outputs: dict[str, dict[str, Any]]) -> Any:
    name, output = match.groups()
    return values[name] if output is None else outputs[name][output]


def _values(pipeline: Pipeline, given: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = dict(pipeline.parameters)
    for name, text in given.items():
        if name not in values:
            known = ", ".join(values) or "none"
            raise InvalidInputError(f"{pipeline.name} has no parameter {name!r}.", fix=f"It takes: {known}.")
        default = values[name]
        values[name] = check(Parameter(name, type(default).__name__, default), text, where=pipeline.name)
    return values


def _check_steps(pipeline: Pipeline, path: Path, values: dict[str, Any]) -> None:
    promised: dict[str, set[str]] = {}
    for step in pipeline.steps:
        if step.name in promised:
            raise InvalidInputError(f"{path.name}: two steps are called {step.name!r}.", fix="Rename one.")
        notebook = path.parent / step.notebook
        if not notebook.is_file():
            raise NotFoundError(
                f"Step {step.name!r}: there is no notebook {step.notebook!r} beside {path.name}.",
                fix="Mend its path.",
            )
        takes = declared(notebook)
        for name, value in step.parameters.items():
            if name not in takes:
                offer = ", ".join(takes) or "none: tag a cell 'parameters'"
                raise InvalidInputError(
                    f"Step {step.name!r}: {step.notebook} has no parameter {name!r}.",
                    fix=f"It takes: {offer}.",
                )
            references = _references(value)
            for source, output in references:
                if output and output not in promised.get(source, set()):
                    raise InvalidInputError(
                        f"Step {step.name!r}: {name} wants ${{{source}.{output}}}, which no step before it puts out.",
                        fix="List it in that step's outputs, and put that step first.",
                    )
                if not output and source not in values:
                    raise InvalidInputError(
                        f"Step {step.name!r}: there is no parameter ${{{source}}}.",
                        fix=f"Known: {', '.join(values) or 'none'}.",
                    )
            if not any(output for _, output in references):
                check(takes[name], resolve(value, values, {}), where=f"step {step.name!r}")
        promised[step.name] = set(step.outputs)
