"""What ``%snapml`` does: read the line, run the command, show the result or the live picture."""

import shlex
from collections.abc import Iterator
from typing import Any, get_args

from IPython.display import display

from snapml_lab.commands.binding import bind
from snapml_lab.commands.core import Call, Surface, commands
from snapml_lab.commands.dispatch import dispatch
from snapml_lab.commands.following import follow
from snapml_lab.commands.types import FromCell
from snapml_lab.errors import InvalidInputError
from snapml_lab.tracking import provenance
from snapml_lab.workspace import open_workspace
from snapml_magics.front_end import live
from snapml_magics.picture import Picture


def run(shell: Any, line: str, cell: str | None) -> Any:
    """Run one line (and a cell's body) and return the result; errors are raised, so that a failed cell fails."""
    try:
        tokens = shlex.split(line)
    except ValueError as error:
        raise InvalidInputError(f"The line could not be read: {error}.", fix="Close the quotes.") from error
    tokens = [_value(shell, token) for token in tokens]
    if cell is not None:
        tokens = _with_body(tokens, cell)
    bound = bind(tokens, Surface.MAGIC)
    if bound.command is None:
        print(bound.help)  # noqa: T201 - help is text on the screen
        return None
    ws = open_workspace()
    call = Call(Surface.MAGIC, origin=provenance.here(), namespace=shell.user_ns)
    result = dispatch(ws, bound.command.name, bound.arguments, call)
    if bound.command.picture and not bound.background:
        with Picture(live=live(shell), job=result.id) as picture:
            view = follow(ws, bound.command, result.id, picture.show)
            picture.last(view)
        view.shown()
        return view
    return _streamed(result) if isinstance(result, Iterator) else result


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


def _with_body(tokens: list[str], cell: str) -> list[str]:
    """Add the cell's body as the parameter that takes it."""
    for command in commands().values():
        if tuple(tokens[: len(command.words)]) == command.words:
            for name, item in command.parameters.items():
                if any(isinstance(part, FromCell) for part in get_args(item.annotation)):
                    return [*tokens, f"--{name}={cell.strip()}"]
    raise InvalidInputError(
        f"%%snapml {tokens[0] if tokens else ''} takes no cell body.", fix="Use one %: %snapml …"
    )


def _value(shell: Any, token: str) -> str:
    """Replace ``{name}`` by that variable's value; IPython's own expansion is off, for it would also touch JSON."""
    name = token[1:-1] if token.startswith("{") and token.endswith("}") else ""
    if not name.isidentifier():
        return token
    if name not in shell.user_ns:
        raise InvalidInputError(f"There is no variable {name!r}.", fix="Run the cell that makes it first.")
    return str(shell.user_ns[name])
