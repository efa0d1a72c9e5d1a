"""A job's logs: stdout and stderr untouched, and an index that says which piece came when. Standard library only.

The index is fixed-size records ``(time, stream, length)``: read in order they interleave the two files as they were
written, and any byte offset into the merged text can be found without reading what is before it twice.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from snapml_lab.jobs.folder import JobFolder

_RECORD = struct.Struct("<dBI")
STDOUT, STDERR = 1, 2
_LONGEST_CHARACTER = 4
"""Bytes of UTF-8 (RFC 3629)."""


class LogWriter:
    """Appends pieces of both streams; used by the shim alone."""

    def __init__(self, folder: JobFolder) -> None:
        self._files: dict[int, BinaryIO] = {
            STDOUT: folder.stdout.open("ab", buffering=0),
            STDERR: folder.stderr.open("ab", buffering=0),
        }
        self._index = folder.log_index.open("ab", buffering=0)

    def write(self, stream: int, at: float, piece: bytes) -> None:
        """Append a piece; where the disk is full it is dropped, for the payload must not be held up by its log.

        What was written of it is in both the stream and the index, or in neither: a part would shift all that follows.
        """
        file = self._files[stream]
        ends = [(part, os.fstat(part.fileno()).st_size) for part in (file, self._index)]
        try:
            written = file.write(piece) or 0
            if self._index.write(_RECORD.pack(at, stream, written)) == _RECORD.size:
                return
        except OSError:
            pass
        for part, end in ends:
            part.truncate(end)

    def close(self) -> None:
        """Close the files."""
        for file in (*self._files.values(), self._index):
            file.close()


class Page(NamedTuple):
    """A part of the merged log: ``text`` from byte ``offset`` up to ``next_offset``, of ``total`` bytes so far."""

    text: str
    offset: int
    next_offset: int
    total: int


def read(folder: JobFolder, offset: int = 0, limit: int = 1 << 20) -> Page:
    """Return the merged log from a byte offset, at most ``limit`` bytes; a negative offset counts from the end.

    Bytes that are not UTF-8 are shown as U+FFFD. A page never cuts a character in two unless it is at the log's end,
    so it has room for one at least, whatever the limit.
    """
    pieces = _pieces(folder.log_index)
    total = sum(length for _, length in pieces)
    if offset < 0:
        offset = max(total + offset, 0)
    stop = min(offset + max(limit, _LONGEST_CHARACTER), total)
    content = bytearray()
    position = 0
    reached = {STDOUT: 0, STDERR: 0}
    files = {STDOUT: folder.stdout, STDERR: folder.stderr}
    for stream, length in pieces:
        low, high = max(offset - position, 0), min(stop - position, length)
        if low < high:
            with files[stream].open("rb") as file:
                file.seek(reached[stream] + low)
                content += file.read(high - low)
        reached[stream] += length
        position += length
        if position >= stop:
            break
    if stop < total:
        stop -= _cut_character(content)
    return Page(content.decode("utf-8", "replace"), offset, max(stop, offset), total)


def _pieces(index: Path) -> list[tuple[int, int]]:
    try:
        content = index.read_bytes()
    except FileNotFoundError:
        return []
    whole = len(content) // _RECORD.size * _RECORD.size
    return [(stream, length) for _, stream, length in _RECORD.iter_unpack(content[:whole])]


def _cut_character(content: bytearray) -> int:
    """Drop the bytes of a character that is not whole from the end; return how many."""
    for back in range(1, min(_LONGEST_CHARACTER, len(content)) + 1):
        byte = content[-back]
        if byte < 0x80:
            return 0
        if byte >= 0xC0:
            whole = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            if whole > back:
                del content[-back:]
                return back
            return 0
    return 0
