"""A job's logs: bounded, in step with their index whatever happens, without secrets, and readable by people."""

import codecs
import os
import random
import re
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from disks import SmallDisk
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.logs import STDERR, STDOUT, LogWriter, Page, read, secrets_of, tail
from snapml_lab.jobs.outcome import _last_words
from snapml_lab.jobs.terminal import collapse
from snapml_lab.jobs.view import LogPage

SECRETS = {"API_KEY": "abcabcabd", "DB_PASSWORD": "abcabcabdabcabce", "TOKEN": "cabcabca"}
STREAMS = st.sampled_from([STDOUT, STDERR])
PIECES = st.lists(st.tuples(STREAMS, st.binary(max_size=20)), max_size=25)
SECRETIVE = st.lists(
    st.tuples(STREAMS, st.text("abcde", max_size=12).map(str.encode) | st.sampled_from([s.encode() for s in SECRETS.values()])),
    max_size=25,
)  # fmt: skip
GAP = re.compile(r"\n?\[… [\d.]+ (?:bytes|[kM]B) not kept …\]\n")


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path)


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return lambda: JobFolder(tmp_path_factory.mktemp("job"))


def pages(folder: JobFolder, limit: int = 1 << 20, offset: int = 0) -> list[Page]:
    """The log from an offset on, page by page."""
    found = []
    while not found or offset < found[-1].total:
        page = read(folder, offset, limit)
        assert page.offset == offset
        assert page.next_offset > offset or offset == page.total, "a page that does not get on"
        found.append(page)
        offset = page.next_offset
    return found


def dies(writer: LogWriter) -> None:
    """What kill -9 does to it."""
    writer._end.close()


def text(folder: JobFolder, limit: int = 1 << 20) -> str:
    return "".join(page.text for page in pages(folder, limit))


def kept(folder: JobFolder) -> list[Path]:
    return [path for path in folder.path.rglob("*") if path.is_file()]


def on_disk(folder: JobFolder) -> bytes:
    return b"\n".join(path.read_bytes() for path in kept(folder))


def shown(pieces: list[tuple[int, bytes]]) -> str:
    decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in (STDOUT, STDERR)}
    printed = "".join(decoders[stream].decode(piece) for stream, piece in pieces)
    return printed + "".join(decoder.decode(b"", final=True) for decoder in decoders.values())


# Whatever happens to the writer


@given(PIECES, st.integers(1, 30), st.sampled_from([1, 16, 100, 1 << 20]), st.data())
def test_a_log_is_whole_however_often_its_writer_is_killed(
    fresh, pieces, limit: int, segment: int, data: Any
):
    folder = fresh()
    settings = {"segment_bytes": segment, "keep": 1000}
    writer = LogWriter(folder, **settings)
    for number, (stream, piece) in enumerate(pieces):
        writer.write(stream, number * data.draw(st.sampled_from([0.0, 0.01, 1.0])), piece)
        if data.draw(st.booleans()):
            writer.idle(number)
        if data.draw(st.booleans()):
            dies(writer)
            writer = LogWriter(folder, **settings)
    dies(writer)
    assert text(folder, limit) == shown(pieces)
    offset = data.draw(st.integers(0, sum(len(piece) for _, piece in pieces)))
    assert shown(pieces).endswith("".join(page.text for page in pages(folder, limit, offset)))


@given(PIECES, st.integers(1, 200), st.integers(0, 8), st.binary(max_size=60))
def test_files_that_a_crash_left_out_of_step_are_read_and_gone_on_with(
    fresh, pieces, segment: int, cut: int, garbage: bytes
):
    folder = fresh()
    writer = LogWriter(folder, segment_bytes=segment, keep=1000)
    for number, (stream, piece) in enumerate(pieces):
        writer.write(stream, float(number), piece)
    dies(writer)
    for number, path in enumerate(sorted(kept(folder))):
        size = path.stat().st_size
        if number % 3 == cut % 3:
            os.truncate(path, max(size - cut, 0))
        elif number % 3 == (cut + 1) % 3:
            path.write_bytes(path.read_bytes() + garbage)
    pages(folder, 7)
    writer = LogWriter(folder, segment_bytes=segment, keep=1000)
    writer.write(STDERR, 99.0, b"and on\n")
    writer.close()
    assert "and on\n" in text(folder)[-12:]
    assert "and on\n" in text(folder, 1)[-12:]


@given(
    st.binary(max_size=200),
    st.binary(max_size=60),
    st.binary(max_size=60),
    st.integers(-80, 150),
    st.integers(1, 50),
)
def test_an_index_of_garbage_harms_nobody(fresh, index, out, err, offset: int, limit: int):
    folder = fresh()
    folder.stdout.write_bytes(out)
    folder.stderr.write_bytes(err)
    folder.log_index.write_bytes(index)
    page = read(folder, offset, limit)
    assert len(page.text.encode()) <= 3 * limit + 6
    LogWriter(folder).close()
    assert read(folder).total == len(out) + len(err)


@given(
    st.lists(st.tuples(STREAMS, st.integers(0, 100), st.integers(0, 100)), max_size=8), st.integers(0, 150)
)
def test_records_that_contradict_each_other_harm_nobody(fresh, records, offset: int):
    folder = fresh()
    folder.stdout.write_bytes(b"o" * 50)
    folder.stderr.write_bytes(b"e" * 50)
    folder.log_index.write_bytes(b"".join(struct.pack("<dIII", 1.0, *record) for record in records))
    read(folder, offset, 20)
    LogWriter(folder).close()
    assert read(folder).total == 100


def test_a_reader_and_a_writer_at_once_see_the_same_order(folder: JobFolder, in_processes):
    (written, seen) = in_processes(2, _write_or_read, folder)
    assert seen == written
    assert text(folder) == written


def _write_or_read(number: int, folder: JobFolder) -> str:
    generator = random.Random(3)
    whole = [(generator.choice([STDOUT, STDERR]), f"{n}.".encode()) for n in range(20_000)]
    content = b"".join(piece for _, piece in whole)
    if number == 0:
        writer = LogWriter(folder, segment_bytes=8192, keep=1000)
        for at, (stream, piece) in enumerate(whole):
            writer.write(stream, at / 50, piece)
        return content.decode()
    seen, offset, until = "", 0, time.monotonic() + 60
    while offset < len(content) and time.monotonic() < until:
        page = read(folder, offset, 1000)
        seen, offset = seen + page.text, page.next_offset
    return seen


def test_a_writer_killed_in_the_middle_leaves_a_log_that_is_gone_on_with(folder: JobFolder, killed):
    killed(0.3, _flood, folder)
    before = text(folder)
    writer = LogWriter(folder, segment_bytes=1 << 16, keep=3)
    writer.write(STDOUT, 0.0, b"\nand on\n")
    writer.close()
    assert text(folder).endswith("\nand on\n")
    assert len(text(folder)) > len(before) / 2


def _flood(say: int, folder: JobFolder) -> None:
    writer = LogWriter(folder, segment_bytes=1 << 16, keep=3)
    writer.write(STDOUT, 0.0, b"begun\n")
    os.write(say, b"!")
    for number in range(1 << 30):
        writer.write(STDERR if number % 3 else STDOUT, number / 10, b"%d\n" % number * 50)


def test_a_full_disk_drops_pieces_and_nothing_is_raised(small_disk: SmallDisk):
    folder = JobFolder(small_disk.path)
    writer = LogWriter(folder, segment_bytes=1 << 16, keep=100)
    for number in range(40_000):
        writer.write(STDOUT if number % 2 else STDERR, float(number), b"%06d 45678901234\n" % number)
        writer.idle(float(number))
    assert all(re.fullmatch(r"\d{6} 45678901234", line) for line in text(folder).splitlines())
    writer.close()


def test_a_folder_that_is_gone_is_nothing_to_raise_about(tmp_path: Path):
    folder = JobFolder(tmp_path / "job")
    folder.path.mkdir()
    writer = LogWriter(folder, segment_bytes=10)
    for path in kept(folder):
        path.unlink()
    folder.path.rmdir()
    for number in range(10):
        writer.write(STDOUT, float(number), b"123456789")
    writer.close()
    assert not folder.path.exists()
    assert read(folder) == ("", 0, 0, 0)


# Floods


def test_a_flood_keeps_its_start_and_its_end(folder: JobFolder):
    writer = LogWriter(folder, segment_bytes=1000, keep=3)
    lines = [f"line {number}\n" for number in range(5000)]
    for number, line in enumerate(lines):
        writer.write(STDOUT if number % 7 else STDERR, number / 1000, line.encode())
    writer.close()
    whole = "".join(lines)
    page = read(folder)
    assert page.next_offset == page.total == len(whole)
    (gap,) = GAP.findall(page.text)
    start, _, end = page.text.partition(gap)
    assert whole.startswith(start)
    assert whole.endswith(end)
    assert len(start) > 500
    assert len(end) > 500
    missing = len(whole) - len(start) - len(end)
    assert gap.strip() == f"[… {missing / 1000:.1f} kB not kept …]"
    assert sum(path.stat().st_size for path in kept(folder)) < 3100
    inside = read(folder, len(whole) // 2, 10)
    assert inside.text.endswith(end[:10])
    assert inside.next_offset == len(whole) - len(end) + 10


@given(PIECES, st.integers(1, 30), st.integers(1, 60), st.integers(1, 4))
def test_what_is_kept_of_a_flood_is_the_same_whatever_the_page(
    fresh, pieces, limit: int, segment: int, keep: int
):
    folder = fresh()
    writer = LogWriter(folder, segment_bytes=segment, keep=keep)
    for number, (stream, piece) in enumerate(pieces):
        writer.write(stream, float(number), piece)
    writer.close()
    assert text(folder, limit).replace("\n", "") == text(folder).replace("\n", "")
    assert read(folder).total == sum(len(piece) for _, piece in pieces)
    assert len(kept(folder)) <= 3 * max(keep, 2)


def test_a_reader_in_a_part_that_goes_is_told_and_goes_on(folder: JobFolder):
    writer = LogWriter(folder, segment_bytes=100, keep=2)
    for number in range(3):
        writer.write(STDOUT, float(number), b"a" * 100)
    page = read(folder, 0, 250)
    assert page.next_offset == 300
    for number in range(4):
        writer.write(STDOUT, float(number), b"b" * 100)
    assert read(folder, 300).text == "\n[… 300 bytes not kept …]\n" + "b" * 100
    writer.close()


def test_an_index_does_not_grow_with_every_byte(folder: JobFolder):
    writer = LogWriter(folder)
    for number in range(10_000):
        writer.write(STDOUT, number / 10_000, b"x")
    writer.close()
    assert read(folder).text == "x" * 10_000
    assert folder.log_index.stat().st_size < 500


def test_the_end_of_a_long_log_is_found_without_reading_the_rest(folder: JobFolder, monkeypatch):
    writer = LogWriter(folder, segment_bytes=1 << 20)
    for number in range(60_000):
        writer.write(number % 2 + 1, float(number), b"0123456789abcdef" * 4)
    writer.close()
    asked = []
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, at: asked.append(size) or real(file, size, at))
    page = read(folder, -5000, 1000)
    assert len(page.text) == 1000
    assert page.total == 60_000 * 64
    assert sum(asked) < 120_000


def test_a_gigabyte_passes_in_constant_memory_and_disk(folder: JobFolder):
    piece = (b"2030-01-01 INFO step done, loss 0.1234 " * 1700)[: 1 << 16]
    writer = LogWriter(folder, secrets={"API_KEY": "3f" * 20}, segment_bytes=1 << 20)
    before = _resident()
    for number in range(2000):
        writer.write(number % 2 + 1, number / 1000, piece)
    writer.close()
    assert _resident() - before < 8 << 20
    assert sum(path.stat().st_size for path in kept(folder)) <= 4 << 20
    assert read(folder, -10).total == 2000 << 16


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# Characters


def test_a_character_cut_by_the_other_stream_is_shown_whole(folder: JobFolder):
    writer = LogWriter(folder)
    for stream, piece in ((STDOUT, b"caf\xc3"), (STDERR, b"warning\n"), (STDOUT, b"\xa9\n")):
        writer.write(stream, 1.0, piece)
    writer.close()
    assert text(folder) == "cafwarning\né\n"
    assert text(folder, 1) == text(folder)


def test_a_character_that_is_not_whole_yet_waits_while_the_job_runs(folder: JobFolder):
    writer = LogWriter(folder)
    writer.write(STDOUT, 1.0, b"caf\xc3")
    page = read(folder, final=False)
    assert page == ("caf", 0, 4, 4)
    assert read(folder, 4, final=False).text == ""
    assert read(folder, 4).text == "�"
    writer.write(STDOUT, 2.0, b"\xa9")
    assert read(folder, 4, final=False).text == "é"
    writer.close()


# Secrets


@given(SECRETIVE, st.sampled_from([20, 1 << 20]))
def test_a_secret_is_never_on_disk_however_it_is_cut(fresh, pieces, segment: int):
    folder = fresh()
    writer = LogWriter(folder, secrets=SECRETS, segment_bytes=segment, keep=1000)
    for number, (stream, piece) in enumerate(pieces):
        writer.write(stream, number / 10, piece)
        assert not [value for value in SECRETS.values() if value.encode() in on_disk(folder)]
    writer.close()
    for stream in (STDOUT, STDERR):
        printed = b"".join(piece for number, piece in pieces if number == stream).decode()
        logged = tail(folder, stream, 1 << 20)
        assert not [value for value in SECRETS.values() if value in logged]
        if not any(value in printed for value in SECRETS.values()):
            assert logged == printed
        else:
            assert re.search(r"\[\w+ redacted\]", logged)


@given(SECRETIVE)
def test_redaction_is_the_same_however_the_stream_is_cut(fresh, pieces):
    whole = b"".join(piece for _, piece in pieces)
    logged = []
    for cuts in ([whole], [piece for _, piece in pieces], [bytes([byte]) for byte in whole]):
        folder = fresh()
        writer = LogWriter(folder, secrets=SECRETS)
        for number, piece in enumerate(cuts):
            writer.write(STDOUT, float(number), piece)
        writer.close()
        logged.append(folder.stdout.read_bytes())
    assert logged[0] == logged[1] == logged[2]


def test_a_possible_start_of_a_secret_is_shown_soon(folder: JobFolder):
    writer = LogWriter(folder, secrets={"API_KEY": "sk-123456789"})
    writer.write(STDOUT, 1.0, b"Continue? sk-123")
    writer.write(STDERR, 1.0, b"ready\n")
    assert read(folder).text == "Continue? ready\n"
    writer.idle(1.1)
    assert folder.stdout.read_bytes() == b"Continue? "
    writer.idle(1.3)
    assert folder.stdout.read_bytes() == b"Continue? sk-123"
    writer.write(STDOUT, 2.0, b"\nsk-")
    writer.idle(1.5)
    assert folder.stdout.read_bytes().endswith(b"\nsk-"), "a clock that was set back holds nothing up"
    writer.close()


def test_what_is_held_back_is_written_at_the_end(folder: JobFolder):
    writer = LogWriter(folder, secrets={"LONG_KEY": "12345678abcdefgh", "KEY": "12345678"})
    writer.write(STDOUT, 1.0, b"a 12345678")
    writer.write(STDERR, 1.0, b"b 1234")
    writer.close()
    assert folder.stdout.read_bytes() == b"a [KEY redacted]"
    assert folder.stderr.read_bytes() == b"b 1234"


def test_the_longer_of_two_secrets_is_taken(folder: JobFolder):
    writer = LogWriter(folder, secrets={"KEY": "12345678", "LONG_KEY": "12345678abcdefgh"})
    for number, piece in enumerate([b"12345678", b"abcd", b"efgh."]):
        writer.write(STDOUT, number / 10, piece)
    writer.close()
    assert folder.stdout.read_bytes() == b"[LONG_KEY redacted]."


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("OPENAI_API_KEY", "sk-1234567890", {"OPENAI_API_KEY": "sk-1234567890"}),
        ("hf_token", "hf_abcdefgh", {"hf_token": "hf_abcdefgh"}),
        ("AWS_SECRET_ACCESS_KEY", "/etcABC/+dEf1234567", {"AWS_SECRET_ACCESS_KEY": "/etcABC/+dEf1234567"}),
        ("DB_PASSWD", " hunter22\n", {"DB_PASSWD": "hunter22"}),
        ("NPM_AUTH", "dXNlcjpwYXNz", {"NPM_AUTH": "dXNlcjpwYXNz"}),
        ("MY_CREDENTIALS", "user:passw0rd", {"MY_CREDENTIALS": "user:passw0rd"}),
        ("API_KEY", "short", {}),
        ("KEYBOARD_LAYOUT", "programmer", {}),
        ("TOKENIZERS_PARALLELISM", "falsefalse", {}),
        ("MONKEY", "bananas and more", {}),
        ("PWD", "abcdefghijk", {}),
        ("AUTH_MODE", "kerberos-5", {}),
        ("TOKEN_URL", "https://login.example.org/token", {}),
        ("API_KEY", "https://vault.example.org/secret", {}),
        ("SSH_KEY_FILE", "id_ed25519.pub", {}),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/google/key.json", {}),
        ("SSH_KEY", "~/.ssh/id_ed25519", {}),
        ("REGISTRY_AUTH", "disabled", {}),
        ("DATABASE_URL", "postgres://postgres@localhost/db", {}),
        ("DATABASE_URL", "postgres://user:pw@host/db", {"DATABASE_URL": "postgres://user:pw@"}),
        (
            "DATABASE_URL",
            "postgres://user:p%40ssw0rd@host/db",
            {"DATABASE_URL": "postgres://user:p%40ssw0rd@", "DATABASE_URL password": "p%40ssw0rd",
             "DATABASE_URL password, decoded": "p@ssw0rd"},
        ),
        (
            "PIP_INDEX_URL",
            "https://glpat-abcdefghijklmnopqrst@gitlab.com/simple",
            {"PIP_INDEX_URL token": "glpat-abcdefghijklmnopqrst"},
        ),
    ],
)  # fmt: skip
def test_what_is_a_secret(name: str, value: str, found: dict[str, str]):
    assert secrets_of({name: value, "HOME": "/home/someone", "LANG": "en_GB.UTF-8"}) == found


def test_a_variable_that_is_not_utf8_is_a_secret_too(folder: JobFolder):
    value = os.fsdecode(b"p\xffssword1")
    writer = LogWriter(folder, secrets=secrets_of({"DB_PASSWORD": value}))
    writer.write(STDOUT, 1.0, b"it is p\xffssword1!")
    writer.close()
    assert folder.stdout.read_bytes() == b"it is [DB_PASSWORD redacted]!"


# For people


@pytest.mark.parametrize(
    ("printed", "stands"),
    [
        ("plain\ntext\n", "plain\ntext\n"),
        ("load\n 10%|#  |\r 20%|## |\r100%|###|\n", "load\n100%|###|\n"),
        ("12345\rab", "ab345"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("\x1b[32mgreen\x1b[0m \x1b]0;title\x07end", "green end"),
        ("downloading\r\x1b[Kdone", "done"),
        ("downloading\x1b[2K\rdone", "done"),
        ("|\b/\b-", "-"),
        ("outer 0\n\rinner 0\x1b[A\n\rinner 1\x1b[A\router 1\n\rinner 2\x1b[A", "outer 1\ninner 2"),
        ("\x1b[99Aup", "up"),
        ("bell\a, half an escape\x1b[3", "bell, half an escape"),
        ("\x9b31mraw", "31mraw"),
        ("naïve 🎈\r🎉", "🎉aïve 🎈"),
    ],
)
def test_a_log_is_shown_as_a_terminal_leaves_it(printed: str, stands: str):
    assert collapse(printed) == stands


@given(st.text(st.sampled_from("ab\n\r\b\t\x1b[0123;AKHm]\x07 é"), max_size=200))
def test_no_text_is_too_strange_to_be_shown(printed: str):
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", collapse(printed))


@given(st.lists(st.text("abcdef", max_size=6), max_size=6))
def test_a_line_ends_as_its_last_rewrites_left_it(rewrites: list[str]):
    cells: list[str] = []
    for rewrite in rewrites:
        cells[: len(rewrite)] = rewrite
    assert collapse("\r".join(rewrites) + "\n") == "".join(cells) + "\n"


@pytest.mark.parametrize(
    "part",
    ["x\r", "\x1b[Ax", "\x1b[A\n", "\x1b[", "\x1b]x", "\x1b[1", "ab\b", "\x1b[Kx", "x" * 9 + "\x1b[A\r"],
)
def test_collapsing_takes_time_in_proportion(part: str):
    def seconds(many: int) -> float:
        begun = time.process_time()
        collapse("y" * 1000 + part * many)
        return time.process_time() - begun

    assert seconds(100_000) < 30 * max(seconds(10_000), 0.01)


def test_a_page_is_text_for_people_and_raw_for_programs():
    page = LogPage(job="j", content="a\r\x1b[31mb\x1b[0m <i>\n", offset=0, next_offset=1, ended=True)
    assert page.text() == page.plain() == "b <i>"
    assert "b &lt;i&gt;" in page.html()
    assert page.model_dump()["content"] == "a\r\x1b[31mb\x1b[0m <i>\n"


def test_the_last_words_are_found_in_a_flood_behind_a_bar(folder: JobFolder):
    writer = LogWriter(folder, segment_bytes=1000)
    writer.write(STDERR, 1.0, b"x\n" * 600)
    writer.write(STDERR, 1.0, b" 10%|#  |\r 20%|## |\rValueError: no\n\n")
    for number in range(2):
        writer.write(STDOUT, 2.0 + number, b"y\n" * 600)
    writer.close()
    assert _last_words(folder) == ": ValueError: no"
    assert tail(folder, STDERR, 5) == " no\n\n"


def test_without_a_word_there_are_no_last_words(folder: JobFolder):
    assert _last_words(folder) == "."
