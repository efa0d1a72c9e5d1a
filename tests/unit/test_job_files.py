"""A job's files: logs that come back whole whatever the page, and an exit record a full disk cannot lose."""

import codecs
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import SmallDisk
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.commands.core import Call, Surface
from snapml_lab.commands.dispatch import dispatch
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import RECORD_BYTES, JobFolder, read_exit, reserve_exit, write_exit
from snapml_lab.jobs.logs import STDERR, STDOUT, LogWriter, read
from snapml_lab.jobs.model import Job
from snapml_lab.workspace import Workspace

STREAMS = st.sampled_from([STDOUT, STDERR])
TEXT = st.lists(st.tuples(STREAMS, st.text(max_size=12).map(str.encode)), max_size=15)
BYTES = st.lists(st.tuples(STREAMS, st.binary(max_size=12)), max_size=15)
LIMITS = st.integers(min_value=1, max_value=40)


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path)


def written(folder: JobFolder, pieces: list[tuple[int, bytes]]) -> JobFolder:
    writer = LogWriter(folder)
    for number, (stream, piece) in enumerate(pieces):
        writer.write(stream, float(number), piece)
    writer.close()
    return folder


def paged(folder: JobFolder, limit: int) -> str:
    """The log read page by page, as the sidebar does."""
    text, offset = "", 0
    while True:
        page = read(folder, offset, limit)
        assert page.offset == offset
        text += page.text
        if page.next_offset >= page.total:
            return text
        assert page.next_offset > offset, "a page that does not get on"
        offset = page.next_offset


def shown(pieces: list[tuple[int, bytes]]) -> str:
    """What is to be seen: a character stands where its last byte came, what is not one is U+FFFD."""
    decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in (STDOUT, STDERR)}
    text = "".join(decoders[stream].decode(piece) for stream, piece in pieces)
    return text + "".join(decoder.decode(b"", final=True) for decoder in decoders.values())


def merged(pieces: list[tuple[int, bytes]]) -> bytes:
    return b"".join(piece for _, piece in pieces)


@given(TEXT, LIMITS)
def test_text_comes_back_whole_and_in_order_whatever_the_page(tmp_path_factory, pieces, limit: int):
    folder = written(JobFolder(tmp_path_factory.mktemp("job")), pieces)
    assert paged(folder, limit) == merged(pieces).decode()


@given(BYTES, LIMITS)
def test_bytes_that_are_not_text_are_shown_the_same_whatever_the_page(tmp_path_factory, pieces, limit: int):
    folder = written(JobFolder(tmp_path_factory.mktemp("job")), pieces)
    assert paged(folder, limit) == shown(pieces)


@given(BYTES)
def test_each_stream_is_kept_untouched(tmp_path_factory, pieces):
    folder = written(JobFolder(tmp_path_factory.mktemp("job")), pieces)
    for stream, path in ((STDOUT, folder.stdout), (STDERR, folder.stderr)):
        assert path.read_bytes() == merged([piece for piece in pieces if piece[0] == stream])


@given(TEXT, st.integers(min_value=1, max_value=60))
def test_a_negative_offset_counts_from_the_end(tmp_path_factory, pieces, back: int):
    folder = written(JobFolder(tmp_path_factory.mktemp("job")), pieces)
    page = read(folder, -back)
    content = merged(pieces)
    assert page.offset == max(len(content) - back, 0)
    assert page.text.endswith(content[page.offset :].decode("utf-8", "ignore"))
    assert content.decode().endswith(page.text)
    assert page.next_offset == page.total == len(content)


def test_pages_hold_no_more_than_asked(folder: JobFolder):
    written(folder, [(STDOUT, b"x" * 100)])
    assert len(read(folder, 0, 30).text) == 30


def test_an_offset_beyond_the_end_is_an_empty_page_that_waits_there(folder: JobFolder):
    written(folder, [(STDOUT, b"abc")])
    assert read(folder, 10) == ("", 10, 10, 3)


def test_a_log_that_has_not_begun_is_empty(folder: JobFolder):
    assert read(folder) == ("", 0, 0, 0)


def test_an_index_record_that_is_not_whole_costs_nothing_but_the_order(folder: JobFolder):
    written(folder, [(STDERR, b"one "), (STDOUT, b"two")])
    whole = folder.log_index.read_bytes()
    for cut in range(1, len(whole) // 2 + 1):
        folder.log_index.write_bytes(whole[:-cut])
        assert read(folder).text == "one two"
    folder.log_index.write_bytes(b"")
    assert read(folder).text == "twoone "
    folder.log_index.write_bytes(whole)
    assert read(folder).text == "one two"


def test_a_reader_sees_what_was_written_while_it_is_written(folder: JobFolder):
    writer = LogWriter(folder)
    writer.write(STDOUT, 1.0, b"half a line")
    assert read(folder).text == "half a line"
    writer.write(STDERR, 2.0, b", and the rest\n")
    assert read(folder, 11).text == ", and the rest\n"
    writer.close()


@pytest.mark.parametrize("piece", [b"x", b"x" * 100], ids=["the index fills first", "the streams fill first"])
def test_what_is_written_after_a_full_disk_has_room_again_is_in_its_place(
    small_disk: SmallDisk, piece: bytes
):
    folder = JobFolder(small_disk.path)
    writer = LogWriter(folder)
    writer.write(STDOUT, 1.0, b"before\n")
    small_disk.fill()
    for number in range(2000):
        writer.write(STDOUT if number % 2 else STDERR, 2.0, piece)
    small_disk.free()
    writer.write(STDERR, 3.0, b"after\n")
    writer.write(STDOUT, 4.0, b"and after\n")
    writer.close()
    text = read(folder).text
    assert text.startswith("before\n")
    assert text.endswith("after\nand after\n")
    assert set(text.removeprefix("before\n").removesuffix("after\nand after\n")) == {"x"}
    assert len(text) == folder.stdout.stat().st_size + folder.stderr.stat().st_size


def test_a_page_of_an_ended_jobs_log_says_whether_more_follows(ws: Workspace, submit: Callable[..., Job]):
    printed = "é" * 20
    job = queue.wait(ws, submit(f"print({printed!r}, end='')"), timeout=60)
    text, offset = "", 0
    for _ in range(20):
        page = dispatch(ws, "jobs logs", {"job": job.id, "offset": offset, "limit": 5}, Call(Surface.CLI))
        text, offset = text + page.content, page.next_offset
        assert page.ended == (text == printed)
        if page.ended:
            break
    assert text == printed


def test_follow_prints_raw_what_comes_when_it_comes(ws: Workspace, submit: Callable[..., Job]):
    program = "import time\nfor _ in range(9):\n    print(f'{time.time()}\\r', end='', flush=True)\n    time.sleep(0.3)"
    job = submit(program)
    delays = []
    for piece in dispatch(ws, "jobs follow", {"job": job.id}, Call(Surface.CLI)):
        assert piece.endswith("\r")
        delays.append(time.time() - float(piece.split("\r")[-2]))
    assert sorted(delays)[len(delays) // 2] < 0.5


def test_an_exit_record_is_read_as_it_was_written(folder: JobFolder):
    descriptor = reserve_exit(folder)
    write_exit(descriptor, {"reason": "exited", "exit_code": 0})
    os.close(descriptor)
    assert read_exit(folder) == {"reason": "exited", "exit_code": 0}


def test_before_the_end_there_is_no_exit_record(folder: JobFolder):
    assert read_exit(folder) is None
    os.close(reserve_exit(folder))
    assert read_exit(folder) is None


def test_the_space_of_the_exit_record_is_there_from_the_start(folder: JobFolder):
    os.close(reserve_exit(folder))
    assert folder.exit.stat().st_size == RECORD_BYTES
    assert folder.exit.stat().st_blocks * 512 >= RECORD_BYTES


def test_a_disk_that_filled_up_in_between_does_not_lose_the_exit_record(small_disk: SmallDisk):
    folder = JobFolder(small_disk.path)
    descriptor = reserve_exit(folder)
    small_disk.fill()
    write_exit(descriptor, {"reason": "exited", "exit_code": 7, "detail": "x" * 3000})
    os.close(descriptor)
    record = read_exit(folder)
    assert record is not None
    assert record["exit_code"] == 7


def test_on_a_full_disk_no_record_is_reserved_and_no_file_left(small_disk: SmallDisk):
    small_disk.fill()
    folder = JobFolder(small_disk.path)
    with pytest.raises(OSError, match="No space"):
        reserve_exit(folder)
    assert not folder.exit.exists()


@given(st.binary(max_size=60))
def test_a_torn_exit_record_is_an_unseen_end_not_a_fault(tmp_path_factory, content: bytes):
    folder = JobFolder(tmp_path_factory.mktemp("job"))
    folder.exit.write_bytes(content)
    record = read_exit(folder)
    assert record is None or record == json.loads(content.partition(b"\n")[0])
