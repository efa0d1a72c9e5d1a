"""The ledger: all of a transaction or none of it, whoever is killed and whatever is full."""

import os
import random
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import SmallDisk

from snapml_lab.errors import StorageError, StoreDamagedError
from snapml_lab.store.ledger import Ledger, bump
from snapml_lab.store.migrations import APPLICATION_ID, MIGRATIONS

ENVIRONMENT = "INSERT INTO environments VALUES (?, '3.11', ?)"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def count(ledger: Ledger) -> int:
    row = ledger.row("SELECT count(*) AS number FROM environments")
    assert row is not None
    return int(row["number"])


def tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_a_new_ledger_has_the_newest_schema(ledger: Ledger):
    assert ledger.connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert {"jobs", "runs", "metric_chunks", "params", "model_versions", "audit"} <= tables(ledger.path)


def test_opening_again_changes_nothing(ledger: Ledger):
    with ledger.write() as connection:
        connection.execute(ENVIRONMENT, ("a", ""))
    again = Ledger(ledger.path)
    assert count(again) == 1
    assert again.revision() == ledger.revision()


def _open(_number: int, path: Path) -> int:
    return Ledger(path).revision()


def test_four_processes_may_make_it_at_once(tmp_path: Path, in_processes: Callable):
    assert in_processes(4, _open, tmp_path / "ledger.db") == [0, 0, 0, 0]


def test_columns_keep_their_types(ledger: Ledger):
    with pytest.raises(sqlite3.IntegrityError), ledger.write() as connection:
        connection.execute("INSERT INTO audit (at, actor, role, surface, command, arguments, outcome) VALUES"
                           " ('noon', 'a', 'a', 'a', 'a', 'a', 'a')")  # fmt: skip


def test_a_ledger_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE later (a)")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    with pytest.raises(StoreDamagedError, match="newer") as refusal:
        Ledger(path)
    assert "pip install -U" in refusal.value.fix
    assert tables(path) == {"later"}


@pytest.mark.parametrize("content", [b"This is not a database, " * 50, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes):
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(StoreDamagedError):
        Ledger(path)
    assert path.read_bytes() == content


def test_a_database_of_somebody_else_is_refused_and_gets_no_tables(tmp_path: Path):
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    with pytest.raises(StoreDamagedError):
        Ledger(path)
    assert tables(path) == {"recipes"}


def test_a_page_overwritten_with_noise_is_a_damaged_store_not_a_fault(ledger: Ledger):
    with ledger.write() as connection:
        connection.executemany(ENVIRONMENT, [(str(index), "x" * 500) for index in range(200)])
    ledger.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.close()
    with ledger.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (ledger.path.stat().st_size - 4096))
    with pytest.raises(StoreDamagedError, match="not a readable ledger"):
        Ledger(ledger.path).rows("SELECT * FROM environments")


def test_a_write_that_fails_half_way_leaves_nothing(ledger: Ledger):
    def fail() -> None:
        with ledger.write() as connection:
            connection.execute(ENVIRONMENT, ("a", ""))
            bump(connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (count(ledger), ledger.revision()) == (0, 0)


def test_a_write_refused_by_the_schema_leaves_nothing(ledger: Ledger):
    with pytest.raises(sqlite3.IntegrityError), ledger.write() as connection:
        connection.executemany(ENVIRONMENT, [("a", ""), ("a", "")])
    assert count(ledger) == 0


def test_an_interrupt_inside_a_write_leaves_nothing_and_the_next_write_works(ledger: Ledger):
    def fail() -> None:
        with ledger.write() as connection:
            connection.execute(ENVIRONMENT, ("a", ""))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with ledger.write() as connection:
        connection.execute(ENVIRONMENT, ("b", ""))
    assert [row["sha256"] for row in ledger.rows("SELECT sha256 FROM environments")] == ["b"]


def test_a_write_inside_a_write_is_part_of_it(ledger: Ledger):
    def both() -> None:
        with ledger.write() as outer:
            outer.execute(ENVIRONMENT, ("a", ""))
            with ledger.write() as inner:
                inner.execute(ENVIRONMENT, ("b", ""))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        both()
    assert count(ledger) == 0


def _write_pairs_without_end(descriptor: int, path: Path, start: int) -> None:
    ledger = Ledger(path)
    number = start
    while True:
        with ledger.write() as connection:
            connection.execute(ENVIRONMENT, (f"{number}-first", "x" * 5000))
            connection.execute(ENVIRONMENT, (f"{number}-second", "x" * 5000))
            bump(connection)
        os.write(descriptor, b".")
        number += 1


def test_killing_a_writer_at_any_moment_leaves_whole_transactions(tmp_path: Path, killed: Callable):
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    chance = random.Random(2)
    said = 0
    for life in range(10):
        said += len(killed(chance.uniform(0.005, 0.04), _write_pairs_without_end, path, life * 1_000_000))
        ledger = Ledger(path)
        assert count(ledger) == 2 * ledger.revision()
        assert ledger.revision() >= said
        assert ledger.rows("PRAGMA integrity_check")[0][0] == "ok"
        said = ledger.revision()
        ledger.close()
    assert said > 0


def test_each_thread_has_a_connection_of_its_own_and_sees_the_others_writes(ledger: Ledger):
    seen: list[tuple[int, int]] = []

    def work() -> None:
        with ledger.write() as connection:
            connection.execute(ENVIRONMENT, (threading.current_thread().name, ""))
        seen.append((id(ledger.connection), count(ledger)))
        barrier.wait()
        ledger.close()

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=work, name=str(number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({connection for connection, _ in [*seen, (id(ledger.connection), 0)]}) == 5
    assert count(ledger) == 4


def _bump_often(_number: int, path: Path) -> list[int]:
    ledger = Ledger(path)
    found = []
    for _ in range(50):
        with ledger.write() as connection:
            found.append(bump(connection))
    return found


def test_revisions_grow_and_none_is_given_twice(ledger: Ledger, in_processes: Callable):
    ledger.close()
    runs = in_processes(4, _bump_often, ledger.path)
    assert all(run == sorted(run) for run in runs)
    assert sorted(number for run in runs for number in run) == list(range(1, 201))
    assert ledger.revision() == 200


def _read_then_write(_number: int, path: Path) -> None:
    ledger = Ledger(path)
    for _ in range(50):
        with ledger.write() as connection:
            (found,) = connection.execute("SELECT revision FROM meta").fetchone()
            connection.execute("UPDATE meta SET revision = ?", (found + 1,))


def test_what_was_read_inside_a_write_is_still_so_when_it_is_written(ledger: Ledger, in_processes: Callable):
    ledger.close()
    in_processes(4, _read_then_write, ledger.path)
    assert ledger.revision() == 200


def test_a_full_disk_changes_nothing_and_says_so(small_disk: SmallDisk):
    ledger = Ledger(small_disk.path / "ledger.db")
    with ledger.write() as connection:
        connection.execute(ENVIRONMENT, ("a", ""))
    small_disk.fill()
    with pytest.raises(StorageError) as refusal, ledger.write() as connection:
        connection.executemany(ENVIRONMENT, [(f"big-{index}", "x" * 50_000) for index in range(20)])
    assert str(ledger.path) in refusal.value.message
    assert count(ledger) == 1
    small_disk.free()
    with ledger.write() as connection:
        connection.execute(ENVIRONMENT, ("b", ""))
    assert count(ledger) == 2
    ledger.close()


def test_a_ledger_cannot_be_made_on_a_full_disk_and_says_so(small_disk: SmallDisk):
    small_disk.fill()
    with pytest.raises(StorageError):
        Ledger(small_disk.path / "ledger.db")


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path):
    with pytest.raises(StorageError, match="unable to open"):
        Ledger(tmp_path / "none" / "ledger.db")
