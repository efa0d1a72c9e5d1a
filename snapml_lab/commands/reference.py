"""The reference pages, made from the commands: ``python -m snapml_lab.commands.reference docs/reference``."""

import inspect
import sys
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from snapml_lab.commands.core import Command, Surface, commands
from snapml_lab.commands.types import parts
from snapml_lab.errors import FAMILY

_MADE = "<!-- Made from the commands by `make docs`; a test holds it. -->\n\n"


def pages() -> dict[str, str]:
    """Return every page by file name: an index, a page for each first word, and the errors."""
    groups: dict[str, list[Command]] = {}
    for command in commands().values():
        groups.setdefault(command.words[0], []).append(command)
    index = [
        "# Commands\n",
        "Each is the same in a notebook, a terminal, Python and REST, where it says so.\n",
    ]
    found: dict[str, str] = {}
    for group, members in groups.items():
        index += [f"- [`{command.name}`]({group}.md) {command.summary}" for command in members]
        found[f"{group}.md"] = _MADE + f"# {group}\n\n" + "\n".join(_section(command) for command in members)
    found["index.md"] = _MADE + "\n".join([*index, "", "[What errors mean](errors.md)", ""])
    rows = [
        f"| `{code}` | {cls.status} | {(inspect.getdoc(cls) or '').splitlines()[0]} |"
        for code, cls in FAMILY.items()
    ]
    found["errors.md"] = _MADE + "\n".join(
        [
            "# Errors",
            "",
            "Every error has a code, a sentence and a fix.",
            "",
            "| code | HTTP | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )
    return found


def _section(command: Command) -> str:
    described = _described(command)
    lines = [
        f"## {command.name}",
        "",
        _prose(command),
        "",
        "```",
        f"snapml {command.name}{_usage(command)}",
        "```",
        "",
    ]
    if command.parameters:
        lines += ["| parameter | takes | default | |", "|---|---|---|---|"]
        for name, item in command.parameters.items():
            default = "" if item.default is inspect.Parameter.empty else f"`{_plain(item.default)}`"
            lines.append(f"| `{name}` | {_type(item.annotation)} | {default} | {described.get(name, '')} |")
        lines.append("")
    surfaces = ", ".join(sorted(command.surfaces)) if len(command.surfaces) < len(Surface) else "everywhere"
    result = getattr(command.result, "__name__", str(command.result))
    lines += [f"Returns `{result}`. Effect: {command.effect}. Asked through: {surfaces}.", ""]
    return "\n".join(lines)


def _usage(command: Command) -> str:
    words = ""
    for name, item in command.parameters.items():
        needed = item.default is inspect.Parameter.empty
        shown = (
            name.upper()
            if item.kind is not inspect.Parameter.KEYWORD_ONLY
            else f"--{name.replace('_', '-')} …"
        )
        words += f" {shown}" if needed else f" [{shown}]"
    return words + (" [-b]" if command.picture else "")


def _prose(command: Command) -> str:
    return (inspect.getdoc(command.function) or "").partition("\nArgs:")[0].strip()


def _described(command: Command) -> dict[str, str]:
    body = (inspect.getdoc(command.function) or "").partition("\nArgs:")[2]
    found: dict[str, str] = {}
    for line in body.strip().splitlines():
        name, colon, text = line.strip().partition(":")
        if colon and name in command.parameters:
            found[name] = text.strip()
    return found


def _type(annotation: Any) -> str:
    for part in parts(annotation):
        if isinstance(part, FieldInfo) and part.description:
            return part.description
    members = [part for part in (annotation, *get_args(annotation)) if hasattr(part, "__members__")]
    if members:
        return ", ".join(f"`{value}`" for value in members[0])
    names = [part.__name__ for part in parts(annotation) if isinstance(part, type) and part is not type(None)]
    return " or ".join(dict.fromkeys(names)) or str(annotation).replace("|", "or")


def _plain(value: Any) -> str:
    return str(value)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        old.unlink()
    for file_name, content in pages().items():
        (folder / file_name).write_text(content, "utf-8")
