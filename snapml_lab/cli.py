"""The terminal's mouth: ``snapml jobs list``; ``--json`` on every command."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from snapml_lab.errors import DetachedError, SnapmlError

_USAGE_EXIT = 2
_DETACHED_EXIT = 130


def main(tokens: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0, 2 for an error of the family, 130 when detached."""
    tokens = list(sys.argv[1:] if tokens is None else tokens)
    if tokens == ["--version"]:
        from snapml_lab import __version__

        print(__version__)  # noqa: T201 - this is the terminal
        return 0
    ours = tokens[: tokens.index("--")] if "--" in tokens else tokens
    as_json = "--json" in ours
    if as_json:
        tokens.remove("--json")
    try:
        _run(tokens, as_json=as_json)
    except SnapmlError as error:
        if as_json:
            print(json.dumps(error.as_dict()), file=sys.stderr)  # noqa: T201
        else:
            print(f"snapml: {error.message}", file=sys.stderr)  # noqa: T201
            if error.fix:
                print(f"  fix: {error.fix}", file=sys.stderr)  # noqa: T201
        return _DETACHED_EXIT if isinstance(error, DetachedError) else _USAGE_EXIT
    except BrokenPipeError:
        sys.stderr.close()
    except KeyboardInterrupt:
        return _DETACHED_EXIT
    return 0


def _run(tokens: list[str], *, as_json: bool) -> None:
    from snapml_lab.commands.binding import bind
    from snapml_lab.commands.core import Call, Surface
    from snapml_lab.commands.dispatch import LeftOut, dispatch
    from snapml_lab.commands.following import follow
    from snapml_lab.workspace import open_workspace

    bound = bind(tokens, Surface.CLI)
    if bound.command is None:
        print(bound.help)  # noqa: T201
        return
    ws = open_workspace()
    result = dispatch(
        ws, bound.command.name, bound.arguments, Call(Surface.CLI, **({} if as_json else {"tell": _teller()}))
    )
    if bound.command.picture and not bound.background and not isinstance(result, LeftOut):
        result = follow(ws, bound.command, result.id, None if as_json else _progress())
        if not as_json and sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
    _present(result, as_json=as_json)


def _teller() -> Any:
    """Show what a command tells meanwhile beside its result: of a view that grows, what is new of it."""
    told = ""

    def tell(view: Any) -> None:
        nonlocal told
        text = view.plain()
        new = text[len(told) :].lstrip("\n") if text.startswith(told) else text
        if new:
            sys.stderr.write(new + "\n")
            sys.stderr.flush()
        told = text

    return tell


def _present(result: Any, *, as_json: bool) -> None:
    if isinstance(result, Iterator):
        _stream(result, as_json=as_json)
    elif as_json:
        print(result.model_dump_json(indent=1))  # noqa: T201
    else:
        print(result.plain())  # noqa: T201


def _stream(pieces: Iterator[Any], *, as_json: bool) -> None:
    """Print text as it comes; of a view that grows, what is new of it, or with ``--json`` its last state."""
    printed, last = "", None
    for piece in pieces:
        if isinstance(piece, str):
            sys.stdout.write(json.dumps(piece) + "\n" if as_json else piece)
        else:
            last = piece
            text = piece.plain()
            if not as_json and text.startswith(printed):
                sys.stdout.write(text[len(printed) :])
                printed = text
        sys.stdout.flush()
    if last is not None:
        sys.stdout.write(last.model_dump_json(indent=1) + "\n" if as_json else "\n")


def _progress() -> Any:
    """Show one line that is kept up to date on a terminal; in a log, a whole line for each new message."""
    last = ""

    def show(_view: Any, job: Any) -> None:
        nonlocal last
        done = "" if job.progress is None else f"{100 * job.progress:3.0f}% "
        line = f"{job.name} {job.state} {done}{job.message or job.waiting_for or ''}"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{line[:110]}")
        elif line != last and job.message and job.message not in last:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()
        last = line

    return show


if __name__ == "__main__":
    sys.exit(main())
