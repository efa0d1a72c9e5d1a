"""A job's logs: stdout and stderr untouched, and an index that says which piece came when. Standard library only.

A log is a row of segments. The first is ``stdout.log``, ``stderr.log`` and ``log.idx``; the next ones lie in ``log/``, named
by the offset in the merged log at which they begin. The first and the last few are kept, so a flood loses its middle.

An index is fixed-size records ``(time, stream, stdout, stderr)``: from these lengths of the two files on, what follows is
the stream's, until the next record. It is written before the bytes it speaks of, and the last record reaches to the end
of its stream's file: whatever instant the writer dies at, and whenever a reader looks, index and streams agree.
"""

import bisect
import codecs
import contextlib
import itertools
import os
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.redaction import Redactor, secrets_of
from snapml_lab.jobs.terminal import collapse

__all__ = ["STDERR", "STDOUT", "LogWriter", "Page", "collapse", "read", "secrets_of", "tail"]

STDOUT, STDERR = 1, 2
_INDEX = 0
_RECORD = struct.Struct("<dIII")
_RECORDS_AT_ONCE = 4096
_LARGEST_SEGMENT = 1 << 31
_BEYOND = 1 << 32
"""More than a length in a record can be."""
_COALESCE_SECONDS = 0.1
_HOLD_SECONDS = 0.15
"""How long the start of a possible secret waits for the rest; up to one beat of ``idle`` more."""
_LOOK_BEHIND = 3
"""Bytes that a character can have before its last (RFC 3629)."""
_LOOKS = 5
"""How often to look again where the last segment went while it was looked at."""
_DECODER = codecs.getincrementaldecoder("utf-8")


class _Segment(NamedTuple):
    """Where a part of the log is, which begins at byte ``start`` of the merged log."""

    start: int
    stdout: Path
    stderr: Path
    records: Path

    @classmethod
    def at(cls, folder: JobFolder, start: int) -> "_Segment":
        if start == 0:
            return cls(0, folder.stdout, folder.stderr, folder.log_index)
        stem = folder.path / "log" / f"{start:015}"
        return cls(start, *(stem.with_suffix(suffix) for suffix in (".stdout", ".stderr", ".idx")))

    def stream(self, stream: int) -> Path:
        return self.stdout if stream == STDOUT else self.stderr

    def remove(self) -> None:
        """Delete its files, the index first: without one there is no segment."""
        for path in (self.records, self.stdout, self.stderr):
            with contextlib.suppress(OSError):
                path.unlink()


def _starts(folder: JobFolder, suffix: str = ".idx") -> list[int]:
    try:
        names = os.listdir(folder.path / "log")
    except OSError:
        names = []
    stems = [name.removesuffix(suffix) for name in names if name.endswith(suffix)]
    return [0, *sorted(int(stem) for stem in stems if stem.isdecimal() and int(stem))]


class LogWriter:
    """Appends pieces of both streams; used by the shim alone, one at a time for a job.

    One that is made for a folder with a log goes on where that ends, whatever its writer died of.

    Args:
        folder: the job's.
        secrets: what must not be in the log, name to value; see ``secrets_of``.
        segment_bytes: how large a segment becomes.
        keep: how many are kept: the first and the last ones, at least one of each.
    """

    def __init__(
        self,
        folder: JobFolder,
        *,
        secrets: Mapping[str, str] = {},
        segment_bytes: int = 16 << 20,
        keep: int = 4,
    ) -> None:
        self._folder = folder
        self._segment_bytes = min(segment_bytes, _LARGEST_SEGMENT)
        self._keep = max(keep, 2)
        self._redactors = {stream: Redactor(secrets) for stream in (STDOUT, STDERR)}
        self._starts = _starts(folder)
        for start in set(_starts(folder, ".stdout") + _starts(folder, ".stderr")).difference(self._starts):
            _Segment.at(folder, start).remove()
        self._end = _End(_Segment.at(folder, self._starts[-1]))
        self._drop()

    def write(self, stream: int, at: float, piece: bytes) -> None:
        """Append a piece; where the disk is full it is dropped, for the payload must not be held up by its log."""
        self._append(stream, at, self._redactors[stream].feed(at, piece))

    def idle(self, at: float) -> None:
        """Let go of what was held back as the possible start of a secret; to be called several times a second."""
        for stream, redactor in self._redactors.items():
            if redactor.held and not 0 <= at - redactor.since < _HOLD_SECONDS:
                self._append(stream, at, redactor.flush())

    def close(self) -> None:
        """Write what was held back, and close the files."""
        for stream, redactor in self._redactors.items():
            self._append(stream, time.time(), redactor.flush())
        self._end.close()

    def _append(self, stream: int, at: float, piece: bytes) -> None:
        if not piece:
            return
        with contextlib.suppress(OSError):
            if self._end.length and self._end.filled + len(piece) > self._segment_bytes:
                self._rotate()
            self._end.append(stream, at, piece)

    def _rotate(self) -> None:
        with contextlib.suppress(FileExistsError):
            (self._folder.path / "log").mkdir()
        start = self._end.start + self._end.length
        end = _End(_Segment.at(self._folder, start))
        self._end.close()
        self._end = end
        self._starts.append(start)
        self._drop()

    def _drop(self) -> None:
        for start in self._starts[1 : max(len(self._starts) - self._keep + 1, 1)]:
            _Segment.at(self._folder, start).remove()
            self._starts.remove(start)


class _End:
    """The last segment, open for writing."""

    def __init__(self, segment: _Segment) -> None:
        self.start = segment.start
        self._files: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._stream, self._since = 0, 0.0
        try:
            for number, path in (
                (STDOUT, segment.stdout),
                (STDERR, segment.stderr),
                (_INDEX, segment.records),
            ):
                self._files[number] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                self._sizes[number] = os.fstat(self._files[number]).st_size
            self._repair(segment)
        except OSError:
            self.close()
            raise

    @property
    def length(self) -> int:
        """Bytes of both streams."""
        return self._sizes[STDOUT] + self._sizes[STDERR]

    @property
    def filled(self) -> int:
        """Bytes on disk."""
        return self.length + self._sizes[_INDEX]

    def append(self, stream: int, at: float, piece: bytes) -> None:
        """Write a piece, whole or not at all; one that follows another of its stream at once needs no record."""
        before = self._stream, self._since, self._sizes[_INDEX]
        if stream != self._stream or not 0 <= at - self._since < _COALESCE_SECONDS:
            self._write(_INDEX, _RECORD.pack(at, stream, self._sizes[STDOUT], self._sizes[STDERR]))
            self._stream, self._since = stream, at
        try:
            self._write(stream, piece)
        except OSError:
            self._stream, self._since, size = before
            self._cut(_INDEX, size)
            raise

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _write(self, number: int, content: bytes) -> None:
        file, size = self._files[number], self._sizes[number]
        try:
            written = os.pwrite(file, content, size)
            while written < len(content):
                written += os.pwrite(file, content[written:], size + written)
        except OSError:
            self._cut(number, size)
            raise
        self._sizes[number] = size + written

    def _cut(self, number: int, size: int) -> None:
        self._sizes[number] = size
        with contextlib.suppress(OSError):
            os.ftruncate(self._files[number], size)

    def _repair(self, segment: _Segment) -> None:
        """Cut the index where it goes wrong; bytes that it does not know of are the last record's or the next one's."""
        sound, out, err = 0, 0, 0
        with _Look(segment) as look:
            for _, stream, stdout, stderr in look.read_records(0):
                if stream not in (STDOUT, STDERR) or not (
                    out <= stdout <= self._sizes[STDOUT] and err <= stderr <= self._sizes[STDERR]
                ):
                    break
                sound, out, err = sound + 1, stdout, stderr
        if sound * _RECORD.size != self._sizes[_INDEX]:
            self._cut(_INDEX, sound * _RECORD.size)


class _Look:
    """A segment as it is at one moment, though it may be growing.

    Its files' sizes are taken before the index is read, which is written first: so it knows of every byte seen.
    """

    def __init__(self, segment: _Segment) -> None:
        self.start = segment.start
        self._segment = segment
        sizes = _size(segment.stdout), _size(segment.stderr)
        self._index = -1
        self.records = 0
        try:
            self._index = os.open(segment.records, os.O_RDONLY | os.O_CLOEXEC)
            self.records = os.fstat(self._index).st_size // _RECORD.size
        except FileNotFoundError:
            if self.start:
                raise
        self.ends = self._seen(sizes)
        self.length = sum(self.ends)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index."""
        if self._index >= 0:
            os.close(self._index)
            self._index = -1

    def _seen(self, sizes: tuple[int, int]) -> tuple[int, int]:
        """Leave out records beyond the streams' sizes, and return how far the streams go without them."""

        def beyond(number: int) -> bool:
            _, _, stdout, stderr = self._record(number)
            return stdout > sizes[0] or stderr > sizes[1]

        known = bisect.bisect_left(range(self.records), True, key=beyond)
        if known < self.records:
            _, _, stdout, stderr = self._record(known)
            sizes = min(sizes[0], stdout), min(sizes[1], stderr)
        while known and self._record(known - 1)[1] not in (STDOUT, STDERR):
            known -= 1
        self.records = known
        return sizes

    def _record(self, number: int) -> tuple[float, int, int, int]:
        content = os.pread(self._index, _RECORD.size, number * _RECORD.size)
        if len(content) < _RECORD.size:
            return 0.0, STDOUT, _BEYOND, _BEYOND
        at, stream, stdout, stderr = _RECORD.unpack(content)
        return at, stream, stdout, stderr

    def pieces(self, low: int, high: int) -> tuple[dict[int, int], list[tuple[int, bytes]]]:
        """Return where both streams are at ``low`` of their merged bytes, and the pieces from there up to ``high``."""
        where = {STDOUT: 0, STDERR: 0}
        found: list[list[int]] = []
        reached = low
        for position, stream, start, end in self._spans(low):
            if position >= high and position > low:
                break
            begin = start + min(max(reached - position, 0), end - start)
            if position <= low:
                where[stream] = begin
            taken = min(end - begin, high - max(position, reached))
            if taken > 0:
                reached = max(position, reached) + taken
                if found and found[-1][0] == stream and found[-1][2] == begin:
                    found[-1][2] += taken
                else:
                    found.append([stream, begin, begin + taken])
        content = {
            stream: self.stream(
                stream, where[stream], max((to for s, _, to in found if s == stream), default=0)
            )
            for stream in where
        }
        return where, [
            (stream, content[stream][begin - where[stream] : to - where[stream]])
            for stream, begin, to in found
        ]

    def stream(self, stream: int, begin: int, end: int) -> bytes:
        """Return a part of one stream's file."""
        end = min(end, self.ends[stream - 1])
        if begin >= end:
            return b""
        try:
            with self._segment.stream(stream).open("rb") as file:
                file.seek(begin)
                return file.read(end - begin)
        except FileNotFoundError:
            return b""

    def _spans(self, low: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield ``(position, stream, from, to)``: what is of one stream; the first ones may end before ``low``."""

        def merged(number: int) -> int:
            _, _, stdout, stderr = self._record(number)
            return stdout + stderr

        first = max(bisect.bisect_right(range(self.records), low, key=merged) - 1, 0)
        stream, stdout, stderr = STDOUT, 0, 0
        for record in itertools.chain(self.read_records(first), [(0.0, STDOUT, *self.ends)]):
            out, err = max(record[2], stdout), max(record[3], stderr)
            if stream == STDOUT:
                yield stdout + stderr, STDOUT, stdout, out
                yield out + stderr, STDERR, stderr, err
            else:
                yield stdout + stderr, STDERR, stderr, err
                yield stdout + err, STDOUT, stdout, out
            stream, stdout, stderr = record[1], out, err

    def read_records(self, number: int) -> Iterator[tuple[float, int, int, int]]:
        """Yield ``(time, stream, stdout, stderr)`` of the records from one on."""
        while number < self.records:
            many = min(self.records - number, _RECORDS_AT_ONCE)
            content = os.pread(self._index, many * _RECORD.size, number * _RECORD.size)
            yield from _RECORD.iter_unpack(content[: len(content) // _RECORD.size * _RECORD.size])
            number += many


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class Page(NamedTuple):
    """A part of the merged log: ``text`` from byte ``offset`` up to ``next_offset``, of ``total`` bytes so far."""

    text: str
    offset: int
    next_offset: int
    total: int


def read(folder: JobFolder, offset: int = 0, limit: int = 1 << 20, *, final: bool = True) -> Page:
    """Return the merged log from a byte offset, at most ``limit`` bytes; a negative offset counts from the end.

    Bytes that are not UTF-8 are shown as U+FFFD. A character is in the page that has its last byte, whatever bytes of the
    other stream are between. Where a part was not kept, a line says so, and the page goes on after it.

    Args:
        folder: the job's.
        offset: where to begin.
        limit: how much to read at most.
        final: whether a character that is not whole at the log's end is shown as U+FFFD, for its rest will not come.
    """
    for _ in range(_LOOKS - 1):
        with contextlib.suppress(FileNotFoundError):  # the last segment of this look is gone already
            return _read(folder, _starts(folder), offset, limit, final=final)
    return _read(folder, [0], offset, limit, final=final)


def _read(folder: JobFolder, starts: list[int], offset: int, limit: int, *, final: bool) -> Page:
    with _Look(_Segment.at(folder, starts[-1])) as last:
        total = last.start + last.length
        if offset < 0:
            offset = max(total + offset, 0)
        text = _Text()
        position, room = offset, max(limit, 1)
        ends = [*starts[1:], total]
        for number in range(bisect.bisect_right(starts, offset) - 1, len(starts)):
            with _look(folder, starts[number], last) as look:
                if room == 0:
                    break
                if look is None:
                    continue
                if position < look.start:
                    text.gap(look.start - position)
                    position = look.start
                low = position - look.start
                length = min(look.length, ends[number] - look.start)
                high = min(low + room, length)
                if low > length:
                    continue
                where, pieces = look.pieces(low, high)
                if position == offset:
                    text.begin(
                        {
                            stream: _behind(folder, starts[:number], look, stream, where[stream])
                            for stream in where
                        }
                    )
                for stream, piece in pieces:
                    text.add(stream, piece)
                position += high - low
                room -= high - low
        if final and position >= total:
            text.end()
        return Page(str(text), offset, position, total)


@contextlib.contextmanager
def _look(folder: JobFolder, start: int, last: _Look) -> Iterator[_Look | None]:
    """Look at a segment; None where it is gone."""
    if start == last.start:
        yield last
        return
    try:
        look = _Look(_Segment.at(folder, start))
    except FileNotFoundError:
        yield None
        return
    with look:
        yield look


def _behind(folder: JobFolder, before: list[int], look: _Look, stream: int, end: int) -> bytes:
    """Return the last bytes of a stream before an offset in its file, from earlier segments too where no gap is."""
    content = look.stream(stream, max(end - _LOOK_BEHIND, 0), end)
    begun = look.start
    for start in reversed(before):
        if len(content) >= _LOOK_BEHIND:
            break
        with _look(folder, start, look) as earlier:
            if earlier is None or earlier.start + earlier.length != begun:
                break
            end = earlier.ends[stream - 1]
            content = earlier.stream(stream, max(end - _LOOK_BEHIND + len(content), 0), end) + content
            begun = earlier.start
    return content


class _Text:
    """Decodes both streams, each for itself."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._decoders = {stream: _DECODER("replace") for stream in (STDOUT, STDERR)}

    def __str__(self) -> str:
        return "".join(self._parts)

    def begin(self, behind: dict[int, bytes]) -> None:
        """Bring in what is before the first piece of each stream: a character may have begun there."""
        for stream, content in behind.items():
            self._decoders[stream].decode(content)

    def add(self, stream: int, piece: bytes) -> None:
        """Add what follows."""
        if text := self._decoders[stream].decode(piece):
            self._parts.append(text)

    def gap(self, size: int) -> None:
        """Say that a part is missing here, on a line of its own."""
        self.end()
        newline = "" if self._parts and self._parts[-1].endswith("\n") else "\n"
        self._parts.append(f"{newline}[… {_human(size)} not kept …]\n")

    def end(self) -> None:
        """Show the characters that are not whole: their rest does not come."""
        for decoder in self._decoders.values():
            if text := decoder.decode(b"", final=True):
                self._parts.append(text)


def _human(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.1f} {unit}".replace(".0 ", " ")
        size /= 1000
    return f"{size:.1f} GB"


def tail(folder: JobFolder, stream: int, size: int) -> str:
    """Return the end of one stream, at most so many bytes."""
    content = b""
    for start in reversed(_starts(folder)):
        with contextlib.suppress(OSError), _Segment.at(folder, start).stream(stream).open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - size + len(content), 0))
            content = file.read(size - len(content)) + content
        if len(content) >= size:
            break
    return content.decode("utf-8", "replace")
