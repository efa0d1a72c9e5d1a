"""The audit's chain and its head: whatever is done to rows shows, and which rows; what nobody did is never told."""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from disks import SmallDisk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapml_lab.commands.core import Call, Surface
from snapml_lab.commands.dispatch import dispatch
from snapml_lab.errors import AuditBrokenError, NotAllowedError, StorageError
from snapml_lab.governance import audit, heads, verification
from snapml_lab.governance.verification import Fault
from snapml_lab.store import chain
from snapml_lab.workspace import Workspace

COLUMNS = ["at", "actor", "role", "surface", "command", "arguments", "outcome", "of", "sha256"]


def ask(ws: Workspace, name: str, /, **arguments: Any) -> Any:
    return dispatch(ws, name, arguments, Call(Surface.CLI))


def grow(ws: Workspace, rows: int) -> None:
    """Add rows in pairs, as commands do."""
    for number in range((rows + 1) // 2):
        who = {"actor": f"person {number % 3}", "role": "admin", "surface": "cli", "command": "data add"}
        audit.end(ws, audit.begin(ws, **who, arguments={"data": number, "text": "ünïcode 🎈"}), "done")


@contextlib.contextmanager
def tampering(ws: Workspace) -> Iterator[sqlite3.Connection]:
    """A connection of one who knows SQLite, and takes the guards away first."""
    ws.ledger.close()
    connection = sqlite3.connect(ws.ledger.path, isolation_level=None)
    for table in ("audit", "merged_audit"):
        connection.execute(f"DROP TRIGGER IF EXISTS {table}_unchanged")
        connection.execute(f"DROP TRIGGER IF EXISTS {table}_whole")
    yield connection
    connection.close()


def change(connection: sqlite3.Connection, seq: int, column: str) -> None:
    (value,) = connection.execute(f'SELECT "{column}" FROM audit WHERE seq = ?', (seq,)).fetchone()
    other = {
        float: lambda: value + 1e-3,
        int: lambda: value + 1,
        str: lambda: f"{value} ",
        type(None): lambda: 1,
    }[type(value)]()
    connection.execute(f'UPDATE audit SET "{column}" = ? WHERE seq = ?', (other, seq))


def rewrite(connection: sqlite3.Connection, start: int = 1) -> None:
    """Compute the chain anew from a row on, as one would who knows how it is made."""
    before = chain.START
    for row in connection.execute(
        f"SELECT {', '.join(chain.FIELDS)}, sha256 FROM audit ORDER BY seq"
    ).fetchall():
        if row[0] >= start:
            connection.execute(
                "UPDATE audit SET sha256 = ? WHERE seq = ?", (chain.seal_of(before, row[:-1]), row[0])
            )
            before = chain.seal_of(before, row[:-1])
        else:
            before = row[-1]


def said(ws: Workspace) -> dict[Fault, set[int]]:
    """What a check finds, row by row."""
    found: dict[Fault, set[int]] = {}
    for problem in verification.verify(ws).problems:
        found.setdefault(problem.fault, set()).update(range(problem.first, problem.last + 1))
    return found


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with twenty rows; tests work on copies of it, put where it is."""
    os.environ["SNAPML_AUDIT_HEADS"] = str(tmp_path_factory.getbasetemp() / "heads")
    root = tmp_path_factory.mktemp("twenty") / ".snapml"
    ws = Workspace(root)
    grow(ws, 20)
    ws.ledger.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ws.ledger.close()
    shutil.copytree(root, root.parent / "kept")
    for ending in (".json", ".trail"):
        shutil.copy(heads.place(ws).with_suffix(ending), root.parent / f"head{ending}")
    return root


@contextlib.contextmanager
def fresh(root: Path, *, trail: bool = True) -> Iterator[Workspace]:
    """The workspace of twenty rows, its head and its trail, as they were."""
    shutil.rmtree(root)
    shutil.copytree(root.parent / "kept", root)
    ws = Workspace(root)
    shutil.copy(root.parent / "head.json", heads.place(ws))
    if trail:
        shutil.copy(root.parent / "head.trail", heads.place(ws).with_suffix(".trail"))
    else:
        heads.place(ws).with_suffix(".trail").unlink(missing_ok=True)
    yield ws
    ws.ledger.close()


property_test = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
rows = st.integers(1, 20)


@property_test
@given(seqs=st.sets(rows, min_size=1, max_size=4), column=st.sampled_from(COLUMNS), trail=st.booleans())
def test_a_changed_row_is_named_whichever_column_it_is(
    twenty: Path, seqs: set[int], column: str, *, trail: bool
):
    with fresh(twenty, trail=trail) as ws:
        with tampering(ws) as connection:
            for seq in seqs:
                change(connection, seq, column)
        found = said(ws)
        assert min(seqs) in found[Fault.CHANGED]
        assert found.pop(Fault.CHANGED) | (set() if trail else found.pop(Fault.UNPROVEN, set())) == seqs
        assert found == {}
        with pytest.raises(AuditBrokenError, match=f"{min(seqs)}"):
            ask(ws, "audit verify")


@property_test
@given(first=rows, many=st.integers(1, 20), trail=st.booleans())
def test_removed_rows_are_named_wherever_they_were(twenty: Path, first: int, many: int, *, trail: bool):
    gone = set(range(first, min(first + many, 21)))
    with fresh(twenty, trail=trail) as ws:
        with tampering(ws) as connection:
            connection.execute("DELETE FROM audit WHERE seq BETWEEN ? AND ?", (min(gone), max(gone)))
        found = said(ws)
        assert found.pop(Fault.MISSING) == gone
        assert found == ({} if trail or max(gone) == 20 else {Fault.UNPROVEN: {max(gone) + 1}})


@property_test
@given(pair=st.lists(rows, min_size=2, max_size=2, unique=True), trail=st.booleans())
def test_two_rows_that_changed_places_are_named(twenty: Path, pair: list[int], *, trail: bool):
    one, other = pair
    with fresh(twenty, trail=trail) as ws:
        with tampering(ws) as connection:
            for old, new in ((one, 1000), (other, one), (1000, other)):
                connection.execute("UPDATE audit SET seq = ? WHERE seq = ?", (new, old))
        found = said(ws)
        if trail:
            assert found == {Fault.MOVED: {one, other}}
        else:
            named = (
                found.pop(Fault.MOVED) | found.pop(Fault.CHANGED, set()) | found.pop(Fault.UNPROVEN, set())
            )
            assert (named, found) == ({one, other}, {})


@property_test
@given(seq=st.integers(1, 19), trail=st.booleans())
def test_a_row_taken_out_and_the_rest_renumbered_shows_from_there_on(twenty: Path, seq: int, *, trail: bool):
    with fresh(twenty, trail=trail) as ws:
        with tampering(ws) as connection:
            connection.execute("DELETE FROM audit WHERE seq = ?", (seq,))
            connection.execute("UPDATE audit SET seq = -seq WHERE seq > ?", (seq,))
            connection.execute("UPDATE audit SET seq = -seq - 1 WHERE seq < 0")
        named = {number for numbers in said(ws).values() for number in numbers}
        assert {seq, 20} <= named
        assert min(named) == seq


@property_test
@given(seq=rows, trail=st.booleans())
def test_a_chain_computed_anew_shows_by_what_is_kept_outside(twenty: Path, seq: int, *, trail: bool):
    with fresh(twenty, trail=trail) as ws:
        with tampering(ws) as connection:
            change(connection, seq, "actor")
            rewrite(connection, seq)
        assert said(ws) == {Fault.REWRITTEN: set(range(seq if trail else 1, 21))}


@property_test
@given(left=st.integers(0, 19), more=st.integers(0, 30))
def test_a_cut_tail_shows_even_after_rows_were_added_in_its_place(twenty: Path, left: int, more: int):
    with fresh(twenty) as ws:
        with tampering(ws) as connection:
            connection.execute("DELETE FROM audit WHERE seq > ?", (left,))
        assert said(ws) == {Fault.MISSING: set(range(left + 1, 21))}
        grow(ws, more)
        (last,) = ws.ledger.connection.execute("SELECT coalesce(max(seq), 0) FROM audit").fetchone()
        wanted = {
            Fault.REWRITTEN: set(range(left + 1, min(last, 20) + 1)),
            Fault.MISSING: set(range(last + 1, 21)),
        }
        assert said(ws) == {fault: numbers for fault, numbers in wanted.items() if numbers}


@pytest.mark.parametrize("damage", [b"", b"x", b"another workspace".ljust(32) + bytes(640), bytes(700)])
def test_a_damaged_trail_raises_no_alarm(ws: Workspace, damage: bytes):
    grow(ws, 6)
    trail = heads.place(ws).with_suffix(".trail")
    assert len(trail.read_bytes()) == 32 * 7
    trail.write_bytes(damage)
    assert verification.verify(ws).ok
    grow(ws, 4)
    assert verification.verify(ws).ok


@property_test
@given(more=st.integers(0, 30), checks=st.integers(1, 3))
def test_nothing_is_told_where_nothing_was_done(twenty: Path, more: int, checks: int):
    with fresh(twenty) as ws:
        grow(ws, more)
        for _ in range(checks):
            assert verification.verify(ws).ok
        assert ask(ws, "audit verify").behind == 0


@property_test
@given(behind=st.integers(0, 20))
def test_a_head_that_lags_is_no_alarm_and_catches_up(twenty: Path, behind: int):
    with fresh(twenty) as ws:
        row = ws.ledger.row("SELECT sha256 FROM audit WHERE seq = ?", 20 - behind)
        heads.place(ws).unlink()
        (workspace,) = ws.ledger.connection.execute("SELECT workspace FROM meta").fetchone()
        heads.advance(ws, workspace, 20 - behind, row["sha256"] if row else chain.START)
        found = verification.verify(ws)
        assert (found.ok, found.behind) == (True, behind)
        assert verification.verify(ws).behind == 0


def test_to_adopt_what_is_whole_changes_nothing(ws: Workspace):
    grow(ws, 6)
    assert ask(ws, "audit adopt").guarded_from == 1
    assert heads.read(ws).former == []


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_great_many_wrong_rows_are_found_in_time_and_told_in_short(ws: Workspace, every: int):
    grow(ws, 6000)
    with tampering(ws) as connection:
        connection.execute("UPDATE audit SET at = at + 3600 WHERE seq % ? = 0", (every,))
    begun = time.monotonic()
    found = verification.verify(ws)
    assert time.monotonic() - begun < 30  # each pair of them tried would be minutes
    assert {seq for item in found.problems for seq in range(item.first, item.last + 1)} == set(
        range(every, 6001, every)
    )
    assert len(found.told()) < 1000


@pytest.mark.parametrize(
    ("words", "offered"),
    [("DELETE FROM audit WHERE seq > 4", True), ("UPDATE audit SET actor = 'ben' WHERE seq = 2", False)],
)
def test_adopting_is_offered_where_it_helps_and_does(ws: Workspace, words: str, *, offered: bool):
    grow(ws, 6)
    with tampering(ws) as connection:
        connection.execute(words)
    with pytest.raises(AuditBrokenError) as told:
        ask(ws, "audit verify")
    assert ("audit adopt" in told.value.fix) is offered
    with contextlib.nullcontext() if offered else pytest.raises(AuditBrokenError):
        ask(ws, "audit adopt")
    assert verification.verify(ws).ok is offered


def test_rows_before_the_first_are_told(ws: Workspace):
    grow(ws, 4)
    with tampering(ws) as connection:
        connection.execute(
            "INSERT INTO audit SELECT 0, at, actor, role, surface, command, arguments, outcome, of, sha256 FROM audit WHERE seq = 1"
        )
    assert said(ws) == {Fault.ADDED: {0}}


def test_a_forged_row_at_the_end_shows_unless_it_is_sealed(ws: Workspace):
    grow(ws, 4)
    with tampering(ws) as connection:
        connection.execute(
            "INSERT INTO audit SELECT 5, at, 'ben', role, surface, command, arguments, outcome, of, sha256 FROM audit WHERE seq = 4"
        )
    assert said(ws) == {Fault.CHANGED: {5}}


@pytest.mark.parametrize(
    "words", ["UPDATE audit SET actor = 'ben' WHERE seq = 2", "DELETE FROM audit WHERE seq > 2"]
)
def test_the_ledger_itself_refuses_to_change_a_row(ws: Workspace, words: str):
    grow(ws, 4)
    with pytest.raises(sqlite3.IntegrityError, match="never"), ws.ledger.write() as connection:
        connection.execute(words)
    assert verification.verify(ws).ok


def test_another_ledger_in_its_place_is_told_until_it_is_adopted(ws: Workspace):
    grow(ws, 10)
    ws.ledger.close()
    for path in ws.root.glob("ledger.db*"):
        path.unlink()
    other = Workspace(ws.root)
    for rows in (0, 30):  # further rows do not hide it
        grow(other, rows)
        assert set(said(other)) == {Fault.REPLACED}
    with pytest.raises(AuditBrokenError, match="another one"):
        ask(other, "audit verify")
    assert ask(other, "audit adopt").behind is not None
    assert ask(other, "audit verify").guarded_from > 1
    assert heads.read(other).former[0]["seq"] == 10


def test_a_workspace_made_where_one_was_removed_holds_and_says_that_another_was_here(ws: Workspace):
    grow(ws, 10)
    ws.ledger.close()
    shutil.rmtree(ws.root)
    other = Workspace(ws.root)
    grow(other, 3)
    assert verification.verify(other).ok
    assert "another workspace was here, of 10 rows" in ask(other, "audit verify").text()
    other.ledger.close()
    for path in ws.root.glob("ledger.db*"):
        path.unlink()
    last = Workspace(ws.root)
    grow(last, 3)
    assert set(said(last)) == {Fault.REPLACED}, (
        "that holds for a folder made anew, not for a ledger put in its place"
    )


def test_a_moved_workspace_is_told_as_such_and_begins_a_head_with_its_next_change(
    ws: Workspace, tmp_path: Path
):
    grow(ws, 10)
    ws.ledger.close()
    shutil.copytree(ws.root, tmp_path / "elsewhere" / ".snapml")
    copy = Workspace(tmp_path / "elsewhere" / ".snapml")
    told = ask(copy, "audit verify")
    assert (told.rows, told.guarded_from, told.behind) == (10, None, None)
    assert "copied or moved" in told.text()
    assert not heads.place(copy).exists()
    grow(copy, 2)
    assert ask(copy, "audit verify").guarded_from == 11
    assert "not known" in ask(copy, "audit verify").text()
    with tampering(copy) as connection:
        connection.execute("DELETE FROM audit WHERE seq > 5")
    assert said(copy) == {Fault.MISSING: set(range(6, 13))}
    assert verification.verify(ws).ok


def test_two_copies_that_went_on_apart_do_not_pass_for_each_other(ws: Workspace, tmp_path: Path):
    grow(ws, 4)
    ws.ledger.close()
    shutil.copytree(ws.root, tmp_path / "copy" / ".snapml")
    copy = Workspace(tmp_path / "copy" / ".snapml")
    grow(copy, 20)
    grow(ws, 6)
    copy.ledger.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy.ledger.close()
    ws.ledger.close()
    for path in ws.root.glob("ledger.db-*"):
        path.unlink()
    shutil.copy(copy.root / "ledger.db", ws.root / "ledger.db")
    assert set(said(Workspace(ws.root))) == {Fault.REWRITTEN}


@pytest.mark.parametrize("content", [b"", b"{", b"[]" * 400, b"\0" * 600, b"null"])
def test_a_damaged_head_is_told_and_left_until_it_is_adopted(ws: Workspace, content: bytes):
    grow(ws, 4)
    heads.place(ws).write_bytes(content)
    grow(ws, 2)
    assert heads.place(ws).read_bytes() == content
    assert set(said(ws)) == {Fault.UNREADABLE}
    ask(ws, "audit adopt")
    assert ask(ws, "audit verify").behind == 0


def test_a_head_that_cannot_be_written_fails_no_command_and_is_told(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("SNAPML_AUDIT_HEADS", str(tmp_path / "a file" / "heads"))
    assert ask(ws, "queue pause").paused
    told = ask(ws, "audit verify")
    assert told.rows == 2
    assert told.unwritable
    assert told.unwritable in told.text()
    with pytest.raises(StorageError):
        ask(ws, "audit adopt")
    monkeypatch.setenv("SNAPML_AUDIT_HEADS", str(tmp_path / "heads"))
    ask(ws, "queue resume")
    assert ask(ws, "audit verify").unwritable is None


def test_without_a_home_nothing_fails(ws: Workspace, monkeypatch: pytest.MonkeyPatch):
    for name in ("SNAPML_AUDIT_HEADS", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert ask(ws, "queue pause").paused
    assert "no home" in ask(ws, "audit verify").unwritable


def test_another_who_holds_the_heads_delays_a_command_little(ws: Workspace):
    grow(ws, 2)
    with heads._held():
        begun = time.monotonic()
        grow(ws, 2)
        assert time.monotonic() - begun < 5
    assert verification.verify(ws).behind == 2


def test_the_head_may_be_moved_by_several_at_once_and_ends_at_the_last(
    ws: Workspace, in_processes: Callable[..., list[Any]]
):
    ws.ledger.close()
    in_processes(4, _grow_there, ws.root)
    found = verification.verify(ws)
    assert (found.ok, found.rows) == (True, 400)
    assert found.behind == 0 or found.unwritable is None


def _grow_there(number: int, root: Path) -> None:
    grow(Workspace(root), 100)


def test_a_check_during_writes_raises_no_alarm(ws: Workspace, in_processes: Callable[..., list[Any]]):
    grow(ws, 50)
    ws.ledger.close()
    assert in_processes(3, _write_or_check, ws.root) == [True] * 3


def _write_or_check(number: int, root: Path) -> bool:
    ws = Workspace(root)
    if number:
        grow(ws, 300)
        return True
    return all(verification.verify(ws).ok for _ in range(40))


MERGED = "INSERT INTO merged_audit SELECT 'other', seq, at, actor, role, surface, command, arguments, outcome, of, sha256 FROM there.audit"


@pytest.fixture
def merged(ws: Workspace, tmp_path: Path) -> Workspace:
    """A workspace with the audit of another one merged in."""
    grow(ws, 4)
    other = Workspace(tmp_path / "other" / ".snapml")
    grow(other, 12)
    connection = ws.ledger.connection
    connection.execute("ATTACH ? AS there", (str(other.ledger.path),))
    connection.execute(MERGED)
    connection.execute("DETACH there")
    return ws


def test_a_merged_audit_is_checked_too(merged: Workspace):
    told = ask(merged, "audit verify")
    assert (told.rows, told.merged) == (16, ["other"])
    with tampering(merged) as connection:
        connection.execute("UPDATE merged_audit SET actor = 'ben' WHERE seq = 7")
        connection.execute("DELETE FROM merged_audit WHERE seq = 3")
    problems = verification.verify(merged).problems
    assert [(item.fault, item.first, item.last, item.workspace) for item in problems] == [
        (Fault.MISSING, 3, 3, "other"), (Fault.UNPROVEN, 4, 4, "other"), (Fault.CHANGED, 7, 7, "other"),
    ]  # fmt: skip
    with pytest.raises(AuditBrokenError, match="merged workspace other"):
        ask(merged, "audit verify")


def test_the_cut_tail_of_a_merged_audit_shows_once_it_was_seen_whole(merged: Workspace):
    assert verification.verify(merged).ok
    with tampering(merged) as connection:
        connection.execute("DELETE FROM merged_audit WHERE seq > 10")
    assert said(merged) == {Fault.MISSING: {11, 12}}
    with tampering(merged) as connection:
        connection.execute("DELETE FROM merged_audit")
    assert said(merged) == {Fault.MISSING: set(range(1, 13))}


WRITER = """
import sys
from pathlib import Path
from snapml_lab.governance import audit
from snapml_lab.workspace import Workspace
ws = Workspace(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    audit.end(ws, audit.begin(ws, actor="ann", role="admin", surface="cli", command="data add", arguments={}), "done")
"""


def test_killed_at_any_moment_the_chain_holds_and_the_head_does_not_lead(ws: Workspace):
    seen = 0
    random.seed(5)
    for _ in range(50):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(ws.root)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            time.sleep(random.uniform(0, 0.05))
            writer.send_signal(signal.SIGKILL)
        found = verification.verify(ws)
        assert found.ok, found.told()
        assert found.behind is None or found.behind <= 1
        assert found.rows >= seen
        seen = found.rows
    assert seen > 100


def test_a_command_that_ended_on_a_full_disk_has_ended_and_its_row_comes_later(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
):
    write = type(ws.ledger).write
    full = [False]

    @contextlib.contextmanager
    def perhaps(self: Any) -> Iterator[sqlite3.Connection]:
        if full[0]:
            raise StorageError("the disk is full")
        with write(self) as connection:
            yield connection

    monkeypatch.setattr(type(ws.ledger), "write", perhaps)
    attempt = audit.begin(ws, actor="ann", role="admin", surface="cli", command="data add", arguments={})
    full[0] = True
    with pytest.warns(RuntimeWarning, match=f"row {attempt} ended"):
        audit.end(ws, attempt, "done")
    with pytest.raises(StorageError):
        audit.begin(ws, actor="ann", role="admin", surface="cli", command="data remove", arguments={})
    full[0] = False
    grow(ws, 2)
    outcomes = [
        (row["outcome"], row["of"]) for row in ws.ledger.rows("SELECT outcome, of FROM audit ORDER BY seq")
    ]
    assert outcomes == [("begun", None), ("done", attempt), ("begun", None), ("done", attempt + 2)]
    assert heads.owed(ws) == {}
    assert verification.verify(ws).ok


def test_a_row_owed_twice_is_written_once(ws: Workspace):
    attempt = audit.begin(ws, actor="ann", role="admin", surface="cli", command="data add", arguments={})
    for _ in range(2):
        heads.owe(ws, {"of": attempt, "outcome": "done", "at": 1.0})
    heads.owe(ws, {"of": 999, "outcome": "done", "at": 1.0})
    with heads._held(), open(heads._owed(ws), "ab") as file:
        file.write(b'{"of": 1, "outc')
    grow(ws, 2)
    assert len(ws.ledger.rows("SELECT * FROM audit WHERE of = ?", attempt)) == 1
    assert len(ws.ledger.rows("SELECT * FROM audit")) == 4
    assert verification.verify(ws).ok


def test_on_a_disk_that_fills_up_a_command_is_done_and_told_so(small_disk: SmallDisk):
    root = small_disk.path / ".snapml"
    ws = Workspace(root)
    ask(ws, "queue limit", queue="nights", at_most=1)
    attempt = audit.begin(ws, actor="ann", role="admin", surface="cli", command="data add", arguments={})
    small_disk.fill()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        audit.end(ws, attempt, "done")
    assert len(told) == 1
    assert "full" in str(told[0].message)
    assert len(heads.owed(ws)) == 1
    small_disk.free()
    grow(ws, 2)
    assert len(ws.ledger.rows("SELECT * FROM audit WHERE of = ?", attempt)) == 1
    assert verification.verify(ws).ok
    ws.ledger.close()


def test_a_refused_attempt_with_arguments_of_any_size_and_form_is_on_record(ws: Workspace):
    ws.catalog.add("roles", "vic", {"role": "viewer"})
    deep: Any = []
    for _ in range(50):
        deep = [deep]
    circle: Any = []
    circle.append(circle)
    for arguments in (
        {"circle": circle},
        {"name": "x" * 100_000},
        {"name": ["y" * 1000] * 1000},
        {"z" * 10_000: 1},
        {"a": deep},
        {"b": object()},
        {"c": "\ud800"},
    ):
        with pytest.raises(NotAllowedError):
            dispatch(ws, "data remove", arguments, Call(Surface.REST, "vic"))
    kept = ws.ledger.rows("SELECT arguments FROM audit WHERE outcome = 'not_allowed'")
    assert len(kept) == 7
    assert max(len(row["arguments"]) for row in kept) < 5000
    assert all(json.loads(row["arguments"]) for row in kept)
    assert verification.verify(ws).ok


def test_the_list_is_found_by_person_command_time_and_outcome(ws: Workspace):
    ws.catalog.add("roles", "vic", {"role": "viewer"})
    ask(ws, "queue pause", queue="nights")
    ask(ws, "queue resume", queue="nights")
    with pytest.raises(NotAllowedError):
        dispatch(ws, "queue pause", {}, Call(Surface.REST, "vic"))
    assert [row.actor for row in ask(ws, "audit list", actor="vic").rows] == ["vic"]
    assert {row.command for row in ask(ws, "audit list", command="queue").rows} == {
        "queue pause",
        "queue resume",
    }
    assert len(ask(ws, "audit list", command="queue resume").rows) == 2
    assert ask(ws, "audit list", command="que").rows == []
    assert len(ask(ws, "audit list", since="1h").rows) == 5
    assert len(ask(ws, "audit list", outcome="not_allowed").rows) == 1
    with ws.ledger.write() as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM audit WHERE actor = 'vic' ORDER BY seq DESC LIMIT 5"
        ).fetchall()
    assert "audit_actor" in plan[0]["detail"]
