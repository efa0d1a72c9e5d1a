"""What ``%snapml`` does: read the line, run the command, show the result or the live picture."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from typing import Any

from IPython.display import DisplayHandle, display

from snapml_lab.commands.binding import bind
from snapml_lab.commands.core import Call, Surface, commands
from snapml_lab.commands.dispatch import LeftOut, dispatch
from snapml_lab.commands.following import follow
from snapml_lab.commands.types import FromCell, parts
from snapml_lab.errors import InvalidInputError
from snapml_lab.tracking import provenance
from snapml_lab.views.base import View
from snapml_lab.workspace import open_workspace
from snapml_magics.front_end import live
from snapml_magics.picture import Picture

_NAMED = re.compile(r"\{([^\W\d]\w*)\}")


def run(shell: Any, line: str, cell: str | None) -> Any:
    """Run one line (and a cell's body) and return the result; errors are raised, so that a failed cell fails."""
    try:
        tokens = shlex.split(line)
    except ValueError as error:
        raise InvalidInputError(f"The line could not be read: {error}.", fix="Close the quotes.") from error
    tokens = [_value(shell, token) for token in tokens]
    if cell is not None:
        tokens = _with_body(shell, tokens, cell)
    bound = bind(tokens, Surface.MAGIC)
    if bound.command is None:
        print(bound.help)  # noqa: T201 - help is text on the screen
        return None
    ws = open_workspace()
    told = _Told()
    call = Call(Surface.MAGIC, origin=provenance.here(), namespace=shell.user_ns, tell=told.tell)
    result = dispatch(ws, bound.command.name, bound.arguments, call)
    if told.handle is not None:
        told.tell(result)
        result.shown()
        return result
    if bound.command.picture and not bound.background and not isinstance(result, LeftOut):
        with Picture(live=live(shell), job=result.id) as picture:
            view = follow(ws, bound.command, result.id, picture.show)
            picture.last(view)
        view.shown()
        return view
    if isinstance(result, Iterator):
        return _streamed(result)
    if live(shell) and importlib.util.find_spec("plotly") and (figure := getattr(result, "figure", None)):
        result.enliven(figure())
    return result


class _Told:
    """What a command tells before it is done: one display, which its result takes the place of."""

    def __init__(self) -> None:
        self.handle: DisplayHandle | None = None

    def tell(self, view: View) -> None:
        """Show a view."""
        if self.handle is None:
            self.handle = display(view.bundle(), raw=True, display_id=True)
        else:
            self.handle.update(view.bundle(), raw=True)


def _streamed(pieces: Iterator[Any]) -> Any:
    """Show a stream as it comes: text is printed; a view that grows is one display, and its last state the result."""
    handle = last = None
    for piece in pieces:
        if isinstance(piece, str):
            print(piece, end="", flush=True)  # noqa: T201 - a stream is shown as it comes
            continue
        last = piece
        if handle is None:
            handle = display(piece.bundle(), raw=True, display_id=True)
        else:
            handle.update(piece.bundle(), raw=True)
    if last is not None:
        last.shown()
    return last


def _with_body(shell: Any, tokens: list[str], cell: str) -> list[str]:
    """Add the cell's body as the parameter that takes it; before ``--``, after which words are another command's."""
    for command in commands().values():
        if tuple(tokens[: len(command.words)]) == command.words:
            for name, item in command.parameters.items():
                mark = next((part for part in parts(item.annotation) if isinstance(part, FromCell)), None)
                if mark is not None:
                    body = _code(shell, cell) if mark.code else cell.strip()
                    at = len(command.words)
                    return [*tokens[:at], f"--{name}={body}", *tokens[at:]]
    raise InvalidInputError(
        f"%%snapml {tokens[0] if tokens else ''} takes no cell body.", fix="Use one %: %snapml …"
    )


def _code(shell: Any, cell: str) -> str:
    """Write a body as the Python it stands for, lines with % and ! as calls; its lines keep their numbers in the cell."""
    lines = cell.splitlines()
    above = next((index for index, line in enumerate(lines) if line.strip()), 0)
    try:
        code = str(shell.transform_cell(cell))
    except SyntaxError:
        return "\n" + cell.rstrip()
    return "\n" * (1 + above) + code.rstrip()


def _value(shell: Any, token: str) -> str:
    """Put variables where ``{name}`` stands, alone or inside a word; IPython's own expansion is off, for it would also touch JSON.

    A word with spaces in it, as a prompt, stays as it is; so does what names no variable inside a word.

    Raises:
        InvalidInputError: a word that is nothing but ``{name}`` names no variable.
    """
    name = token[1:-1] if token.startswith("{") and token.endswith("}") else ""
    if name.isidentifier() and name not in shell.user_ns:
        raise InvalidInputError(f"There is no variable {name!r}.", fix="Run the cell that makes it first.")
    if any(character.isspace() for character in token):
        return token
    return _NAMED.sub(lambda found: str(shell.user_ns.get(found[1], found[0])), token)
