"""Progress and metrics in what a payload prints: tqdm's bars, and the dicts of Hugging Face trainers.

Standard library only. The events are those of ``events.jsonl``.
"""

import math
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_LONGEST_LINE = 8192
_LONGEST_MESSAGE = 200
_PAUSE_SECONDS = 0.5
_LINES_AT_ONCE = 200.0
_LINES_A_SECOND = 50.0
"""Of dicts that are read; more are no training's."""
_BARS_A_PIECE = 64
"""Of many bars that come at once the last ones are read: the others were overwritten already."""
_MOST_KEYS = 64

_EPOCH = b"'epoch'"
_CLOCK = re.compile(rb" \[\d{1,4}:\d\d")
_BREAK = re.compile(rb"[\r\n]")
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_UP = re.compile(r"\x1b\[(\d{0,2})A")
_AMOUNT = r"(\d{1,20}(?:\.\d{1,9})?)([kKMGTPEZY]?)"
_BAR = re.compile(rf"(?<!\d)\d{{1,3}}%(?:\|[^|]*\|)? ?{_AMOUNT}/{_AMOUNT}[^\s\[]{{0,12}} \[\d")
_COUNT = re.compile(r"(?:^|: )(\d{1,20}(?:\.\d{1,9})?[^\W\d]{1,12}) \[\d{1,4}:\d\d")
_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6, "Z": 7, "Y": 8}
_ENTRY = re.compile(
    r"'([\w./@ -]{1,100})': '?(-?\d{1,30}(?:\.\d{0,30})?(?:e[-+]?\d{1,3})?|nan|-?inf)'?(?=[,}])"
)


class _Bar(NamedTuple):
    """A tqdm bar as printed: ``key`` tells it from others, ``depth`` is how many bars it stands below."""

    key: tuple[str, float | str]
    value: float | None
    """In [0, 1]; None where the total is not known."""
    message: str
    depth: int

    @property
    def done(self) -> bool:
        return self.value == 1

    def is_end_of(self, earlier: "_Bar") -> bool:
        """Say whether it is the end of what an earlier print was more than a step from."""
        total = self.key[1]
        return self.done and isinstance(total, float) and (1 - (earlier.value or 0)) * total > 1.5


class _Line(NamedTuple):
    """What stands between two line breaks; ``fresh``: after a newline, so that it may be below another bar."""

    content: bytes
    fresh: bool


class Recogniser:
    """Reads along and reports; to be fed every piece of both streams, and an empty one now and then.

    Args:
        secrets: what must not be in an event, name to value.
    """

    def __init__(self, *, secrets: Mapping[str, str] = {}) -> None:
        self._secrets = {value: f"[{name} redacted]" for name, value in secrets.items() if value}
        self._rest: dict[int, _Line | None] = {}
        self._outer: _Bar | None = None
        self._inner: dict[tuple[str, float | str], None] = {}
        self._left: dict[tuple[str, float | str], None] = {}
        self._due: dict[str, Any] | None = None
        self._told: tuple[object, object] | None = None
        self._told_at = self._done_at = -math.inf
        self._step = 0
        self._allowed, self._allowed_at = _LINES_AT_ONCE, math.inf

    def feed(self, stream: int, piece: bytes, at: float) -> list[dict[str, Any]]:
        """Return what a piece reports, and what earlier ones did when it was too soon.

        Progress comes at most twice a second, and a bar's end at once. Whatever is fed, nothing is raised.
        """
        events: list[dict[str, Any]] = []
        lines, bars = self._read(stream, piece) if piece else ([], [])
        for line in lines:
            events += self._metrics(line, at)
        for line in bars:
            if (bar := _bar(line)) is not None and self._drives(bar):
                self._outer = bar
                if bar.done:
                    self._offer(bar, at, events)
        if bars and self._outer is not None:
            self._offer(self._outer, at, events)
        if self._due is not None and self._may_tell(self._due, at):
            self._tell(self._due, at, events)
        return events

    def close(self) -> list[dict[str, Any]]:
        """Return what is still due: nothing follows."""
        events = [self._due] if self._due is not None else []
        self._due = None
        return events

    def _read(self, stream: int, piece: bytes) -> tuple[list[_Line], list[_Line]]:
        """Return the dicts that a piece ends, and the bars, with one that it leaves standing."""
        rest = self._rest.get(stream, _Line(b"", fresh=False))
        data = piece if rest is None else rest.content + piece
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1

        def line(mark: int) -> _Line | None:
            """Return the line around a mark, unless it is too long or has begun as one."""
            low = max(mark - _LONGEST_LINE, 0)
            begin = max(data.rfind(b"\n", low, mark), data.rfind(b"\r", low, mark), low - 1) + 1
            if (begin == 0 and rest is None) or (begin == low > 0):
                return None
            stop = _BREAK.search(data, mark, begin + _LONGEST_LINE + 1)
            if stop is None and len(data) - begin > _LONGEST_LINE:
                return None
            return _Line(data[begin : stop.start() if stop else len(data)], fresh(begin))

        def fresh(begin: int) -> bool:
            if begin == 0:
                return rest is not None and rest.fresh
            return data[begin - 1] == _NEWLINE or (fresh(0) if begin == 1 else data[begin - 2] == _NEWLINE)

        dicts = [found for mark in _marks(data, end) if (found := line(mark)) is not None]
        marks = deque((match.start() for match in _CLOCK.finditer(data, 0, end)), maxlen=_BARS_A_PIECE)
        bars = [found for mark in marks if (found := line(mark)) is not None]
        if len(data) - end > _LONGEST_LINE or (end == 0 and rest is None):
            self._rest[stream] = None
        else:
            self._rest[stream] = left = _Line(data[end:], fresh(end))
            if piece.rstrip()[-1:] in _ENDS and (not left.fresh or b"\x1b" in left.content):
                bars.append(left)
        return dicts, bars

    def _drives(self, bar: _Bar) -> bool:
        """Say whether it is the outermost bar now."""
        outer = self._outer
        if outer is None:
            return True
        if bar.depth > outer.depth:
            _remember(self._inner, bar.key)
            return False
        if bar.key == outer.key:
            return not (bar.key in self._inner and bar.is_end_of(outer))
        if bar.key in self._inner and not outer.done:
            return False
        if bar.key in self._left and bar.depth == outer.depth:  # it goes on: the other one was inside of it
            del self._left[bar.key]
            _remember(self._inner, outer.key)
        elif not outer.done:
            _remember(self._left, outer.key)
        self._inner.pop(bar.key, None)
        return True

    def _offer(self, bar: _Bar, at: float, events: list[dict[str, Any]]) -> None:
        message = self._clean(bar.message)[-_LONGEST_MESSAGE:]
        if (bar.value, message) == self._told:
            self._due = None
            return
        if bar.value is None:
            event = {"type": "message", "text": message, "at": at}
        else:
            event = {"type": "progress", "value": bar.value, "message": message, "at": at}
        if self._may_tell(event, at):
            self._tell(event, at, events)
        else:
            self._due = event

    def _may_tell(self, event: dict[str, Any], at: float) -> bool:
        since = self._done_at if event.get("value") == 1 else self._told_at
        return not 0 <= at - since < _PAUSE_SECONDS

    def _tell(self, event: dict[str, Any], at: float, events: list[dict[str, Any]]) -> None:
        events.append(event)
        self._due = None
        self._told = event.get("value"), event.get("message", event.get("text"))
        self._told_at = at
        if event.get("value") == 1:
            self._done_at = at

    def _metrics(self, line: _Line, at: float) -> list[dict[str, Any]]:
        text = _text(line)
        text = text[text.find("{'") :].rstrip()
        if not text.endswith("}"):
            return []
        entries = {match[1]: float(match[2]) for match in _ENTRY.finditer(text)}
        if "epoch" not in entries or len(entries) == 1 or not self._allow(at):
            return []
        self._step += 1
        step = entries.pop("step", self._step)
        return [
            {
                "type": "metric", "name": self._clean(name), "value": value if math.isfinite(value) else None,
                "step": int(step) if abs(step) < 1 << 53 else self._step, "at": at,
            }
            for name, value in entries.items()
        ]  # fmt: skip

    def _allow(self, at: float) -> bool:
        self._allowed += max(at - self._allowed_at, 0.0) * _LINES_A_SECOND
        self._allowed = min(self._allowed, _LINES_AT_ONCE)
        self._allowed_at = at
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True

    def _clean(self, text: str) -> str:
        for value, name in self._secrets.items():
            text = text.replace(value, name)
        return text


_NEWLINE = ord("\n")
_ENDS = (b"]", b"A", b"m")
"""Last bytes of a bar, of the way back up to the bar above, of a colour's end."""


def _marks(data: bytes, end: int) -> Iterator[int]:
    """Yield where dicts may be, one a line."""
    mark = data.find(_EPOCH, 0, end)
    for _ in range(int(_LINES_AT_ONCE)):
        if mark < 0:
            return
        yield mark
        stop = _BREAK.search(data, mark, end)
        mark = data.find(_EPOCH, stop.end(), end) if stop else -1


def _remember(keys: dict[tuple[str, float | str], None], key: tuple[str, float | str]) -> None:
    keys.pop(key, None)
    keys[key] = None
    if len(keys) > _MOST_KEYS:
        del keys[next(iter(keys))]


def _share(done: float, total: float) -> float:
    return math.floor(min(done / total, 1.0) * 1e4) / 1e4 if total else 1.0


def _text(line: _Line) -> str:
    return _ESCAPE.sub("", line.content.decode("utf-8", "replace"))


def _bar(line: _Line) -> _Bar | None:
    text = _text(line)
    if match := _BAR.search(text):
        done, done_power, total, total_power = match.groups()
        whole = float(total) * 1000 ** _POWERS[total_power]
        value = _share(float(done) * 1000 ** _POWERS[done_power], whole)
        amount, unit = f"{done}{done_power}/{total}{total_power}", whole
    elif match := _COUNT.search(text):
        value, amount, unit = None, match[1], match[1].lstrip("0123456789.")
    else:
        return None
    name = " ".join(text[: match.start()].split()).removesuffix(":")
    message = f"{name}: {amount}" if name else amount
    ups = _UP.findall(line.content.decode("utf-8", "replace"))
    return _Bar((name, unit), value, message, sum(int(up or 1) for up in ups))
