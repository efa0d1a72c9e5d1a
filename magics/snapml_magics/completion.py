"""Tab completion of a ``%snapml`` line."""

from typing import Any

from snapml_lab.commands.completion import candidates
from snapml_lab.commands.core import Surface
from snapml_lab.workspace import open_workspace


def complete_line(shell: Any, line: str) -> list[str]:
    """Return what may stand where the line ends."""
    words = line.lstrip("% ").split()[1:]
    current = "" if line.endswith(" ") or not words else words.pop()
    return candidates(open_workspace(), words, current, Surface.MAGIC, shell.user_ns)
