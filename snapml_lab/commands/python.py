"""The Python mouth: ``snap.jobs.cancel(…)``, ``snap.automl(df, target="y")``."""

import functools
import inspect
import typing
from collections.abc import Iterator
from typing import Any

from snapml_lab.commands.core import Call, Command, Surface, commands
from snapml_lab.commands.dispatch import LeftOut, dispatch
from snapml_lab.commands.following import follow
from snapml_lab.errors import InvalidInputError
from snapml_lab.tracking import provenance
from snapml_lab.workspace import open_workspace


class Asked:
    """One command as a Python function, and the commands under its name as attributes."""

    def __init__(self, name: str) -> None:
        self._name = name
        command = _named().get(name)
        if command is not None:
            self.__doc__ = command.function.__doc__
            self.__signature__ = signature(command)

    def __getattr__(self, word: str) -> "Asked":
        return attribute(f"{self._name} {word}")

    def __dir__(self) -> list[str]:
        return [name.split()[1] for name in under(self._name)]

    def __repr__(self) -> str:
        verbs = ", ".join(dir(self))
        return f"snapml_lab.{self._name.replace(' ', '.')}" + (f" ({verbs})" if verbs else "")

    def __call__(self, *args: Any, background: bool = False, **kwargs: Any) -> Any:
        """Run the command; ``background=True`` returns the job at once where it starts one."""
        command = _named().get(self._name)
        if command is None:
            raise InvalidInputError(f"snap.{self._name} is a group.", fix=f"It has: {', '.join(dir(self))}.")
        names = list(command.parameters)
        if len(args) > len(names):
            raise InvalidInputError(
                f"{self._name}: {len(args)} values given.", fix=f"It takes: {', '.join(names)}."
            )
        arguments = {**dict(zip(names, args, strict=False)), **kwargs}
        ws = open_workspace()
        call = Call(Surface.PYTHON, origin=provenance.here())
        result = dispatch(ws, command.name, arguments, call)
        if command.picture and not background and not isinstance(result, LeftOut):
            return follow(ws, command, result.id)
        return (
            _last(result)
            if isinstance(result, Iterator) and typing.get_args(command.result) != (str,)
            else result
        )


def _last(pieces: Iterator[Any]) -> Any:
    """Return the last state of a view that grows."""
    found = None
    for found in pieces:  # noqa: B007 - the last one is wanted
        pass
    return found


def attribute(name: str) -> Asked:
    """Return the command or group of that name.

    Raises:
        AttributeError: there is none.
    """
    if name not in _named() and not under(name):
        raise AttributeError(f"snapml_lab has no command {name!r}")
    return Asked(name)


def under(name: str) -> list[str]:
    """Return the commands below a group that Python has."""
    return [found for found in _named() if found.startswith(f"{name} ")]


@functools.cache
def _named() -> dict[str, Command]:
    """Return the commands Python has, by their names there."""
    return {item.python: item for item in commands().values() if Surface.PYTHON in item.surfaces}


def signature(command: Command) -> inspect.Signature:
    """Return what Python callers give."""
    parameters = list(command.parameters.values())
    if command.picture:
        parameters.append(
            inspect.Parameter("background", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool)
        )
    return inspect.Signature(parameters, return_annotation=command.result)
