"""Files that are whole or not there, locks between processes, and blobs by their content."""

import fcntl
import hashlib
import os
import random
import resource
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import SmallDisk
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.errors import NotFoundError, StorageError, StoreDamagedError
from snapml_lab.store import files
from snapml_lab.store.blobs import Blobs


def test_a_file_is_replaced_by_its_new_content(tmp_path: Path):
    path = tmp_path / "a"
    files.replace(path, b"one")
    files.replace(path, b"two")
    assert path.read_bytes() == b"two"
    assert [item.name for item in tmp_path.iterdir()] == ["a"]


def test_an_open_reader_keeps_the_file_it_opened(tmp_path: Path):
    path = tmp_path / "a"
    files.replace(path, b"one")
    with path.open("rb") as reader:
        files.replace(path, b"two")
        assert reader.read() == b"one"


def _replace_without_end(descriptor: int, path: Path) -> None:
    number = 0
    while True:
        files.replace(path, f"{number % 10}".encode() * 200_000)
        os.write(descriptor, b".")
        number += 1


def test_a_file_whose_writer_is_killed_is_whole(tmp_path: Path, killed: Callable):
    path = tmp_path / "a"
    chance = random.Random(3)
    written = 0
    for _ in range(10):
        written += len(killed(chance.uniform(0.005, 0.03), _replace_without_end, path))
        if path.exists():
            content = path.read_bytes()
            assert content == content[:1] * 200_000
    assert written > 0


def test_a_full_disk_leaves_the_old_file_and_nothing_else(small_disk: SmallDisk):
    path = small_disk.path / "a"
    files.replace(path, b"old")
    small_disk.fill()
    with pytest.raises(StorageError, match="Free space") as refusal:
        files.replace(path, b"new" * 10_000)
    assert str(path) in refusal.value.message
    assert path.read_bytes() == b"old"
    assert {item.name for item in small_disk.path.iterdir()} == {"a", "ballast"}


def test_a_disk_that_is_read_only_is_a_storage_error(small_disk: SmallDisk):
    path = small_disk.path / "a"
    files.replace(path, b"old")
    assert os.system(f"mount -o remount,ro '{small_disk.path}'") == 0
    with pytest.raises(StorageError, match=r"Make .* writable"):
        files.replace(path, b"new")
    with pytest.raises(StorageError), files.locked(small_disk.path / "lock"):
        pass


def _replace_as_nobody(_number: int, path: Path) -> str:
    os.setuid(65534)
    try:
        files.replace(path, b"new")
    except StorageError as error:
        return error.fix
    return "it was written"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_folder_of_somebody_else_is_a_storage_error(tmp_path: Path, in_processes: Callable):
    tmp_path.chmod(0o755)
    [fix] = in_processes(1, _replace_as_nobody, tmp_path / "a")
    assert "writable" in fix


def test_a_file_where_a_folder_should_be_is_a_storage_error(tmp_path: Path):
    (tmp_path / "a").write_text("")
    with pytest.raises(StorageError, match="Something else has that name"):
        files.replace(tmp_path / "a" / "b", b"")


def test_json_that_is_written_is_read_back(tmp_path: Path):
    value = {"b": [1, None, "é"], "a": {"x": 1.5}}
    files.replace_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value


@pytest.mark.parametrize("content", [None, b"", b'{"a": ', b"\xff\xfe"])
def test_json_that_is_not_whole_is_none(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    assert files.read_json(tmp_path / "a.json") is None


def test_a_lock_held_elsewhere_is_not_taken(tmp_path: Path):
    held = files.try_lock(tmp_path / "lock")
    assert held is not None
    assert files.try_lock(tmp_path / "lock") is None
    os.close(held)
    again = files.try_lock(tmp_path / "lock")
    assert again is not None
    os.close(again)


def test_a_lock_lets_one_thread_in_at_a_time(tmp_path: Path):
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with files.locked(tmp_path / "lock"):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == 1


def test_a_lock_is_let_go_when_its_block_raises(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), files.locked(tmp_path / "lock"):
        raise ZeroDivisionError
    with (tmp_path / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _hold(descriptor: int, path: Path) -> None:
    with files.locked(path):
        os.write(descriptor, b"held")
        threading.Event().wait()


def test_a_lock_of_a_killed_process_is_free(tmp_path: Path, killed: Callable):
    assert killed(0, _hold, tmp_path / "lock") == b"held"
    descriptor = files.try_lock(tmp_path / "lock")
    assert descriptor is not None
    os.close(descriptor)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "artifacts")


def everything(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@given(st.binary(max_size=5000))
def test_a_blob_is_named_by_its_content_and_comes_back_as_it_was(tmp_path_factory, content: bytes):
    blobs = Blobs(tmp_path_factory.mktemp("artifacts"))
    sha256, size = blobs.put(content)
    assert (sha256, size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert blobs.verified(sha256) == content


def test_a_file_and_the_same_bytes_are_one_blob(blobs: Blobs, tmp_path: Path):
    content = os.urandom(3 << 20)
    source = tmp_path / "model.bin"
    source.write_bytes(content)
    assert blobs.put(source) == blobs.put(content)
    assert len(everything(blobs.root)) == 1


def test_a_blob_cannot_be_written_to(blobs: Blobs):
    sha256, _ = blobs.put(b"a")
    assert blobs.path(sha256).stat().st_mode & 0o222 == 0


def test_a_blob_that_is_not_there_says_so(blobs: Blobs):
    with pytest.raises(NotFoundError, match=r"artifacts/ included"):
        blobs.path("0" * 64)


def test_a_blob_that_was_changed_is_refused(blobs: Blobs):
    sha256, _ = blobs.put(b"as it was")
    path = blobs.path(sha256)
    path.chmod(0o644)
    path.write_bytes(b"as it is")
    with pytest.raises(StoreDamagedError):
        blobs.verified(sha256)


def test_a_source_that_is_not_there_leaves_nothing_behind(blobs: Blobs, tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        blobs.put(tmp_path / "none")
    assert everything(blobs.root) == []


def test_a_blob_that_does_not_fit_leaves_nothing_behind(small_disk: SmallDisk):
    blobs = Blobs(small_disk.path / "artifacts")
    kept, _ = blobs.put(b"kept")
    with pytest.raises(StorageError):
        blobs.put(os.urandom(1 << 20))
    assert everything(blobs.root) == [blobs.path(kept)]


def _put_beyond_limit(_number: int, root: Path) -> str:
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        Blobs(root).put(os.urandom(20_000))
    except StorageError as error:
        return error.code
    return "it was written"


def test_a_blob_that_may_not_grow_leaves_nothing_behind(blobs: Blobs, in_processes: Callable):
    assert in_processes(1, _put_beyond_limit, blobs.root) == ["storage"]
    assert everything(blobs.root) == []
