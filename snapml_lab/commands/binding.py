"""From words to a command and its arguments, by cyclopts; used by the magic and the CLI alike."""

import functools
import inspect
import io
import operator
import shlex
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Union, get_args, get_origin

import cyclopts
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from rich.console import Console

from snapml_lab.commands.core import Command, Surface, commands
from snapml_lab.commands.types import TakesWords, parts
from snapml_lab.errors import InvalidInputError, UnknownCommandError

_BACKGROUND = Annotated[
    bool,
    cyclopts.Parameter(
        name=["--background", "-b"], negative=(), help="return the job at once instead of waiting"
    ),
]


@dataclass(frozen=True)
class Bound:
    """What was asked: a command with its arguments, or a page of help to show (then ``command`` is None)."""

    command: Command | None
    arguments: dict[str, Any]
    background: bool = False
    help: str = ""


def bind(tokens: Sequence[str], surface: Surface) -> Bound:
    """Read words as a command.

    Raises:
        UnknownCommandError: no such command; with a suggestion.
        InvalidInputError: no such option, or a value of the wrong type; with a suggestion.
    """
    app = _app(surface)
    try:
        function, found, _ = app.parse_args(list(tokens), exit_on_error=False, print_error=False)[:3]
    except cyclopts.CycloptsError as error:
        unknown = isinstance(error, cyclopts.UnknownCommandError)
        words = _known_words(app, tokens)
        fix = f"See: {' '.join(words)} --help"
        asked = commands().get(" ".join(words[1:]))
        if isinstance(error, cyclopts.UnknownOptionError) and asked is not None and _taking_words(asked):
            fix = f"Options of a command go after --: {' '.join(words)} -- COMMAND --option   {fix}"
        raise (UnknownCommandError if unknown else InvalidInputError)(
            _sentence(str(error)), fix=fix
        ) from error
    command = getattr(function, "snapml_command", None)
    if command is None:
        return Bound(None, {}, help=_help(app, tokens))
    arguments = dict(found.arguments)
    if (taking := _taking_words(command)) is not None:
        _refuse_mixed(command, tokens, arguments.get(taking) or (), app.name[0])
    background = bool(arguments.pop("background", False)) if command.picture else False
    return Bound(command, arguments, background)


def _taking_words(command: Command) -> str | None:
    """Return the parameter that takes the words of another command, if there is one."""
    for name, item in command.parameters.items():
        if any(isinstance(part, TakesWords) for part in parts(item.annotation)):
            return name
    return None


def _refuse_mixed(command: Command, tokens: Sequence[str], words: Sequence[str], prefix: str) -> None:
    """Refuse options after the words of another command: nobody could say whose they are.

    Raises:
        InvalidInputError: the fix has them after ``--``.
    """
    if "--" in tokens or len(words) < 2:
        return
    start = len(tokens) - 1 - list(reversed(tokens)).index(words[0])
    option = next((word for word in tokens[start:] if word.startswith("-")), None)
    if option is not None:
        raise InvalidInputError(
            f"{command.name}: {option} stands after the words of a command: whose is it?",
            fix=f"Put the command last, after --: {shlex.join([prefix, *tokens[:start], '--', *tokens[start:]])}",
        )


@functools.cache
def _app(surface: Surface) -> cyclopts.App:
    prefix = "%snapml" if surface is Surface.MAGIC else "snapml"
    app = cyclopts.App(
        name=prefix,
        help="MLOps and LLMOps in one place, inside Jupyter.",
        version_flags=[],
        help_format="plaintext",
        default_parameter=cyclopts.Parameter(negative_iterable=()),
    )
    groups: dict[str, cyclopts.App] = {}
    known = [command for command in commands().values() if surface in command.surfaces]
    for name in sorted({command.words[0] for command in known if len(command.words) > 1}):
        own = next((command for command in known if command.words == (name,)), None)
        said = _group_help(name) if own is None else inspect.getdoc(own.function)
        groups[name] = cyclopts.App(name=name, help=said, version_flags=[])
        app.command(groups[name])
    for command in known:
        *group, word = command.words
        if not group and word in groups:  # a command with others under its name
            groups[word].default(_callable(command))
        else:
            (groups[group[0]] if group else app).command(_callable(command), name=word)
    return app


def _callable(command: Command) -> Callable[..., Any]:
    """Make a function cyclopts can read: the command's signature without the workspace and the call."""

    def asked(**_: Any) -> None:
        """Stand for the command; it is dispatched, never called."""

    parameters = [
        item.replace(annotation=_unchecked(item.annotation)) for item in command.parameters.values()
    ]
    if command.picture:
        extra = inspect.Parameter(
            "background", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_BACKGROUND
        )
        parameters.append(extra)
    asked.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    asked.__annotations__ = {item.name: item.annotation for item in parameters}
    asked.__doc__ = inspect.getdoc(command.function)
    asked.__name__ = command.words[-1]
    asked.snapml_command = command  # type: ignore[attr-defined]
    return asked


def _unchecked(hint: Any) -> Any:
    """Return a type without its limits: the dispatcher checks them, in the same words on every surface."""
    if hint is Decimal:
        return str  # whose converter raises what is no error of cyclopts
    if get_origin(hint) in (Union, types.UnionType):
        return functools.reduce(operator.or_, map(_unchecked, get_args(hint)))
    if get_origin(hint) is not Annotated:
        return hint
    kind, *more = get_args(hint)
    kept = [part for part in more if not isinstance(part, FieldInfo | BeforeValidator)]
    if kind is Any or any(isinstance(part, BeforeValidator) for part in more):
        kind = list[str] if get_origin(kind) in (list, dict) else str
    else:
        kind = _unchecked(kind)
    return Annotated[(kind, *kept)] if kept else kind


def _group_help(name: str) -> str:
    verbs = [
        command.words[1]
        for command in commands().values()
        if command.words[0] == name and len(command.words) > 1
    ]
    return ", ".join(verbs)


def _help(app: cyclopts.App, tokens: Sequence[str]) -> str:
    words = [token for token in tokens if token not in ("--help", "-h")]
    buffer = io.StringIO()
    app.help_print(words, console=Console(file=buffer, width=100, color_system=None))
    return buffer.getvalue().rstrip()


def _known_words(app: cyclopts.App, tokens: Sequence[str]) -> list[str]:
    """Return the words up to the last that names a command or a group."""
    words = [app.name[0]]
    for token in tokens:
        if token.startswith("-") or token not in app:
            break
        app = app[token]
        words.append(token)
    return words


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!")) else text + "."
