"""Checking the audit: rows that were changed, removed, put in another place or cut off, and which. Standard library only.

The hashes of the chain tell all but a cut tail and a chain that was computed anew from some row on; these the head and its
trail tell, which are kept outside the workspace. Whoever can write both files can forge both: the audit is tamper-evident, not proof.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from snapml_lab.governance import heads
from snapml_lab.governance.heads import Head, Trail
from snapml_lab.store import chain
from snapml_lab.workspace import Workspace

_FEW = 100
"""With more rows wrong than this, which of them only moved is not worked out: each pair would have to be tried."""

_TOLD = 20

Row = tuple[Any, ...]
"""The chain's fields, and the hash."""


class Fault(StrEnum):
    """What is wrong with rows."""

    CHANGED = "changed"
    """They are not what was sealed."""
    UNPROVEN = "unproven"
    """What they were sealed to is changed or missing, so nothing proves them; those after them are proven again."""
    MISSING = "missing"
    """They were removed, from between others or from the end."""
    MOVED = "moved"
    """They stand in another place than they were sealed in."""
    ADDED = "added"
    """They stand before the first."""
    REWRITTEN = "rewritten"
    """Their hashes fit each other, but not what was noted outside: the chain was computed anew."""
    REPLACED = "replaced"
    """The ledger is another one than the head was written for."""
    UNREADABLE = "unreadable"
    """The head's file is no head."""


@dataclass(frozen=True)
class Problem:
    """Rows ``first`` to ``last`` of one audit; ``workspace`` names one that was merged in, None is this one's own."""

    fault: Fault
    first: int
    last: int
    workspace: str | None = None


@dataclass(frozen=True)
class Verification:
    """What a check of the audit found.

    Attributes:
        rows: how many were read, with those merged in.
        problems: what is wrong, none if all holds.
        head: the head before the check; None where there is none.
        behind: how many rows the head was behind; None where there is none, or it is of another ledger.
        unwritable: why the head could not be written now; None if it could.
        merged: ids of workspaces whose audits were merged in, and checked, too.
    """

    rows: int
    problems: tuple[Problem, ...]
    head: Head | None
    behind: int | None
    unwritable: str | None
    merged: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def only_outside(self) -> bool:
        """Whether the rows fit each other, and only what is kept outside says otherwise: what adopting would end."""
        end = self.head.seq if self.head else 0
        return all(
            problem.fault in (Fault.REWRITTEN, Fault.REPLACED, Fault.UNREADABLE)
            or (problem.fault is Fault.MISSING and problem.last == end and problem.workspace is None)
            for problem in self.problems
        )

    def told(self) -> str:
        """Say what is wrong, row by row; of very much the first, and how much more."""
        told = "; ".join(map(_told, self.problems[:_TOLD]))
        more = len(self.problems) - _TOLD
        return f"{told}; and {more} more ranges of rows" if more > 0 else told


def verify(ws: Workspace) -> Verification:
    """Read the whole audit once and check it against its own hashes and the head.

    The head is read first: rows that others add meanwhile are newer than it, never missing. If all holds, the head is moved
    to the last row.
    """
    head, problems, unwritable = None, [], None
    try:
        head = heads.read(ws)
    except heads.DamagedError:
        problems.append(Problem(Fault.UNREADABLE, 0, 0))
    except OSError as error:
        unwritable = str(error)
    with _snapshot(ws) as connection:
        (workspace,) = connection.execute("SELECT workspace FROM meta").fetchone()
        ours = head if head and head.workspace == workspace else None
        own = _Chain(None, (ours.seq, ours.sha256) if ours else None, heads.trail(ws, ours))
        own.read(_rows(connection, "SELECT {} FROM audit ORDER BY seq"))
        merged = dict(_merged(connection, head))
    problems += [*own.problems, *(problem for found in merged.values() for problem in found.problems)]
    if head is not None and head.workspace != workspace:
        problems.insert(0, Problem(Fault.REPLACED, 0, 0))
    if not problems and head is not None and unwritable is None:
        unwritable = (
            heads.advance(ws, workspace, own.last, own.sha256) if own.last > head.seq else _writable()
        )
        heads.note_merged(ws, {name: (found.last, found.sha256) for name, found in merged.items()})
    return Verification(
        rows=own.count + sum(found.count for found in merged.values()), problems=tuple(problems), head=head,
        behind=max(own.last - ours.seq, 0) if ours else None, unwritable=unwritable, merged=tuple(merged),
    )  # fmt: skip


def adopt(ws: Workspace) -> Head:
    """Take the ledger as it now is for whole: the head is set to its last row, and the former one is kept beside it.

    Where nothing is wrong, the head that is there stays, and what it guards with it.

    Raises:
        OSError: the head cannot be written.
    """
    found = verify(ws)
    if found.ok and found.head is not None and found.unwritable is None:
        return found.head
    row = ws.ledger.row("SELECT workspace, seq, sha256 FROM meta LEFT JOIN audit ORDER BY seq DESC LIMIT 1")
    assert row is not None
    return heads.adopt(ws, row["workspace"], row["seq"] or 0, row["sha256"] or chain.START)


class _Chain:
    """One audit, read from its first row to its last."""

    def __init__(self, workspace: str | None, end: tuple[int, str] | None, trail: Trail) -> None:
        self.workspace = workspace
        self.end = end
        self.trail = trail
        self.count = 0
        self.last = 0
        self.sha256 = chain.START
        self.problems: list[Problem] = []
        self._suspects: list[_Suspect] = []
        self._at_end: str | None = None

    def read(self, rows: Iterable[Row]) -> None:
        """Check rows, which come in the order of their numbers."""
        links: tuple[str, ...] = (chain.START,)
        wanted = self.end[0] if self.end else -1
        for row in rows:
            seq, sha256 = row[0], row[-1]
            self.count += 1
            if seq < 1:
                self._say(Fault.ADDED, seq)
                continue
            if seq == wanted:
                self._at_end = sha256
            if seq == self.last + 1 and chain.seal_of(links[0], row[:-1]) == sha256:
                if (noted := self.trail.at(seq)) is not None and noted != sha256:
                    self._say(Fault.REWRITTEN, seq)
                links = (sha256,)
            else:
                links = self._unlinked(row, links)
            self.last, self.sha256 = seq, sha256
        self._judge()
        self._compare()
        self.problems.sort(key=lambda problem: (problem.first, problem.last))

    def _unlinked(self, row: Row, links: tuple[str, ...]) -> tuple[str, ...]:
        """Note what is wrong with a row that does not follow the one before; return what the next may be sealed to."""
        seq, sha256 = row[0], row[-1]
        gap = seq != self.last + 1
        if gap:
            self._say(Fault.MISSING, self.last + 1, seq - 1)
        noted = self.trail.at(seq - 1)
        if noted is not None and chain.seal_of(noted, row[:-1]) == sha256:
            return (sha256,)  # it is whole, and the one before is not
        if gap and noted is None:
            self._say(Fault.UNPROVEN, seq)
            return (sha256,)
        return self._suspect(row, (noted,) if noted else links, proven=noted is not None)

    def _suspect(self, row: Row, links: tuple[str, ...], *, proven: bool) -> tuple[str, ...]:
        """Note a row that does not fit, unless only the hash of the one before is wrong; return what the next may be sealed to."""
        sha256 = row[-1]
        if any(chain.seal_of(link, row[:-1]) == sha256 for link in links[1:]):
            return (sha256,)
        self._suspects.append(_Suspect(row, links, proven))
        # Three at most, or a long run of such rows would take forever: from the hash that stands there, and, where that is
        # what was changed, from the one that should.
        return sha256, chain.seal_of(links[0], row[:-1]), chain.seal_of(links[-1], row[:-1])

    def _judge(self) -> None:
        """Say of each row that does not fit whether it moved, was changed, or merely follows one that was."""
        few = self._suspects if len(self._suspects) <= _FEW else []
        known = {sha256 for suspect in few for sha256 in (suspect.row[-1], *suspect.links)}
        wrong: set[int] = set()
        for suspect in self._suspects:
            seq = suspect.row[0]
            if few and _fits(suspect.row, known):
                continue  # it is sealed to a row that stands elsewhere now
            wrong.add(seq)
            if any(_came_from(suspect, other) for other in few if other is not suspect):
                self._say(Fault.MOVED, seq)
            else:
                self._say(Fault.UNPROVEN if seq - 1 in wrong and not suspect.proven else Fault.CHANGED, seq)

    def _compare(self) -> None:
        """Compare the end with what is known of it outside."""
        if self.end is None:
            return
        seq, sha256 = self.end
        if seq > self.last:
            self._say(Fault.MISSING, self.last + 1, seq)
        elif seq and self._at_end not in (sha256, None) and not self._told_of(seq):
            self._say(Fault.REWRITTEN, 1, seq)

    def _told_of(self, seq: int) -> bool:
        """Say whether something wrong is known of a row already."""
        return any(problem.first <= seq <= problem.last for problem in self.problems)

    def _say(self, fault: Fault, first: int, last: int | None = None) -> None:
        """Add a problem, or lengthen the one before if it is of the same kind and ends just there."""
        last = first if last is None else last
        if self.problems and self.problems[-1].fault is fault and self.problems[-1].last == first - 1:
            first = self.problems.pop().first
        self.problems.append(Problem(fault, first, last, self.workspace))


@dataclass(frozen=True)
class _Suspect:
    """A row that does not fit the hashes that the one before may have; ``proven`` where that one's was noted outside."""

    row: Row
    links: tuple[str, ...]
    proven: bool


def _fits(row: Row, known: Iterable[str]) -> bool:
    return any(chain.seal_of(link, row[:-1]) == row[-1] for link in known)


def _came_from(suspect: _Suspect, other: _Suspect) -> bool:
    """Say whether a row fits where another stands that does not fit, either."""
    there = (other.row[0], *suspect.row[1:-1])
    return any(chain.seal_of(link, there) == suspect.row[-1] for link in other.links)


def _merged(connection: sqlite3.Connection, head: Head | None) -> Iterator[tuple[str, _Chain]]:
    """Check the audits of workspaces that were merged in."""
    known = head.merged if head else {}
    there = [row[0] for row in connection.execute("SELECT DISTINCT workspace FROM merged_audit")]
    for workspace in sorted({*there, *known}):
        found = _Chain(workspace, known.get(workspace), Trail())
        found.read(
            _rows(connection, "SELECT {} FROM merged_audit WHERE workspace = ? ORDER BY seq", workspace)
        )
        yield workspace, found


def _rows(connection: sqlite3.Connection, sql: str, *values: object) -> Iterator[Row]:
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(sql.format(", ".join([*chain.FIELDS, "sha256"])), values)


@contextlib.contextmanager
def _snapshot(ws: Workspace) -> Iterator[sqlite3.Connection]:
    """Read the ledger as it is at one moment."""
    connection = ws.ledger.connection
    if connection.in_transaction:
        yield connection
        return
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        connection.execute("COMMIT")


def _writable() -> str | None:
    """Return why the head could not be written, were there something new."""
    place = heads.folder()
    return None if os.access(place, os.W_OK) else f"{place} cannot be written"


def _told(problem: Problem) -> str:
    of = f" of the merged workspace {problem.workspace}" if problem.workspace else ""
    rows = f"row {problem.first}" if problem.first == problem.last else f"rows {problem.first}–{problem.last}"
    match problem.fault:
        case Fault.REPLACED:
            return "the ledger is another one than was here"
        case Fault.UNREADABLE:
            return "the head kept outside the workspace cannot be read"
        case Fault.REWRITTEN:
            return f"{rows}{of} were written anew: their hashes fit each other, and not what was noted"
        case Fault.UNPROVEN:
            return f"{rows}{of} unproven, after what is wrong"
    return f"{rows}{of} {problem.fault}"
