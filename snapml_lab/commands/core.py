"""What a command is, and the list of them all."""

import functools
import importlib
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from snapml_lab.errors import UnknownCommandError
from snapml_lab.governance.roles import Effect, account
from snapml_lab.jobs.model import Job
from snapml_lab.tracking.record import Origin
from snapml_lab.views.base import View
from snapml_lab.workspace import Workspace

MODULES = (
    "approvals",
    "ask",
    "audit",
    "automl",
    "budgets",
    "capture",
    "compare",
    "costs",
    "data",
    "deploy",
    "endpoints",
    "env",
    "evals",
    "finetune",
    "guardrails",
    "jobs",
    "keys",
    "leases",
    "merge",
    "mlflow",
    "models",
    "pipeline",
    "policies",
    "providers",
    "queues",
    "reproduce",
    "roles",
    "rollout",
    "run",
    "runs",
    "schedules",
    "serving",
    "status",
    "telemetry",
    "tuning",
)
"""The modules of this package that define commands."""


class Surface(StrEnum):
    """A mouth a command can be asked through."""

    MAGIC = "magic"
    CLI = "cli"
    REST = "rest"
    PYTHON = "python"


EVERYWHERE = frozenset(Surface)


def _silent(_: View) -> None:
    """Show nothing meanwhile: there is nobody who watches."""


@dataclass(frozen=True)
class Call:
    """Who asks, through which mouth, and from where. A command that wants it has a parameter of this type.

    ``tell`` shows a view before the command is done, in the place of the one told before: what it is about to do, how far it is.
    """

    surface: Surface
    actor: str = field(default_factory=account)
    origin: Origin = field(default_factory=Origin)
    namespace: Mapping[str, Any] = field(default_factory=dict)
    tell: Callable[[View], None] = _silent


@dataclass(frozen=True)
class Command:
    """A command as registered.

    Attributes:
        name: words a person types (``jobs cancel``).
        function: does it; takes the workspace first.
        effect: what it does to the world; decides who may run it.
        surfaces: the mouths that have it.
        heavy: it imports large libraries or reads large files, so REST runs it in a child process.
        python: its name in Python, where that is another: there ``run`` opens a run, and ``jobs run`` starts a job.
        picture: for a command that submits a job: builds the view of that job, at any moment and at the end.
    """

    name: str
    function: Callable[..., Any]
    effect: Effect
    surfaces: frozenset[Surface]
    heavy: bool
    python: str
    picture: Callable[[Workspace, Job], View] | None

    @property
    def words(self) -> tuple[str, ...]:
        """The name, word by word."""
        return tuple(self.name.split())

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @functools.cached_property
    def hints(self) -> dict[str, Any]:
        """Its annotations, resolved."""
        return typing.get_type_hints(self.function, include_extras=True)

    @functools.cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """What a person gives: its parameters but the workspace and the call."""
        found = list(inspect.signature(self.function).parameters.values())[1:]
        return {
            item.name: item.replace(annotation=self.hints[item.name])
            for item in found
            if self.hints[item.name] is not Call
        }

    @property
    def call_parameter(self) -> str | None:
        """The name of the parameter that takes the :class:`Call`, if it has one."""
        return next((name for name, hint in self.hints.items() if hint is Call), None)

    @property
    def result(self) -> Any:
        """The type it returns."""
        return self.hints["return"]


_COMMANDS: dict[str, Command] = {}


F = TypeVar("F", bound=Callable[..., Any])


def command(
    name: str,
    *,
    effect: Effect,
    surfaces: frozenset[Surface] = EVERYWHERE,
    heavy: bool = False,
    python: str | None = None,
    picture: Callable[[Workspace, Job], View] | None = None,
) -> Callable[[F], F]:
    """Register a function as a command; see :class:`Command` for what the arguments mean."""

    def register(function: F) -> F:
        _COMMANDS[name] = Command(name, function, effect, surfaces, heavy, python or name, picture)
        return function

    return register


@functools.cache
def commands() -> dict[str, Command]:
    """Return all commands by name, sorted."""
    for module in MODULES:
        importlib.import_module(f"snapml_lab.commands.{module}")
    return dict(sorted(_COMMANDS.items()))


def find(name: str) -> Command:
    """Return a command by name.

    Raises:
        UnknownCommandError: there is none; the message offers near names.
    """
    import difflib

    if name not in commands():
        near = difflib.get_close_matches(name, list(commands()), n=3, cutoff=0.5)
        offer = f"Did you mean {' or '.join(map(repr, near))}?" if near else "See them all: snapml --help"
        raise UnknownCommandError(f"There is no command {name!r}.", fix=offer)
    return commands()[name]
