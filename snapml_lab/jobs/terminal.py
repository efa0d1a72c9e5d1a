"""Printed text as a terminal would leave it standing. Standard library only."""

import re

_TOKEN = re.compile(
    r"[^\r\b\x1b]+|[\r\b]"
    r"|\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])"  # CSI, OSC, two characters (ECMA-48)
    r"|\x1b(?:\[[0-?]*[ -/]*$)?"
)
_UP = re.compile(r"\x1b\[(\d{0,3})A")
_MOVES = re.compile(r"[\r\b\x1b]")
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SCREEN = 100
"""Lines that the cursor can go back up."""


def collapse(text: str) -> str:
    """Return the text as it stands once it was printed: a progress bar is one line, colours are left out.

    What follows a carriage return overwrites its line as far as it reaches. Erased lines are erased, and a cursor that
    goes up writes there; other escape sequences and control characters are dropped. Takes time linear in the text.
    """
    if not _UNSEEN.search(text):
        return text
    if _MOVES.search(text):
        text = _stand(text.replace("\r\n", "\n").split("\n"))
    return _UNSEEN.sub("", text)


def _stand(lines: list[str]) -> str:
    screen = _Screen()
    for line in lines:
        screen.next_line()
        if screen.plain and not _MOVES.search(line):
            screen.rows[-1] = line
            continue
        for match in _TOKEN.finditer(line):
            screen.take(match[0])
    return "\n".join("".join(row) for row in screen.rows)


class _Screen:
    """Rows of characters and a cursor, which never stands beyond its row's end."""

    def __init__(self) -> None:
        self.rows: list[str | list[str]] = []
        self._row = -1
        self._column = 0

    @property
    def plain(self) -> bool:
        """Whether the cursor is in the last row, and nothing else."""
        return self._row == len(self.rows) - 1 and not self.rows[-1]

    def next_line(self) -> None:
        """Go to the start of the next row."""
        self._row, self._column = self._row + 1, 0
        if self._row == len(self.rows):
            self.rows.append("")

    def take(self, token: str) -> None:
        """Print a piece without control characters, or do what an escape sequence says."""
        match token:
            case "\r":
                self._column = 0
            case "\b":
                self._column = max(self._column - 1, 0)
            case "\x1b[K" | "\x1b[0K":
                del self._cells()[self._column :]
            case "\x1b[2K":
                self.rows[self._row], self._column = "", 0
            case _ if token[0] != "\x1b":
                self._cells()[self._column : self._column + len(token)] = token
                self._column += len(token)
            case _ if up := _UP.fullmatch(token):
                self._row = max(self._row - int(up[1] or 1), len(self.rows) - _SCREEN, 0)
                self._column = min(self._column, len(self.rows[self._row]))

    def _cells(self) -> list[str]:
        row = self.rows[self._row]
        if isinstance(row, str):
            self.rows[self._row] = row = list(row)
        return row
