"""Commands about the audit."""

from snapml_lab import clock
from snapml_lab.commands.core import command
from snapml_lab.commands.types import Duration, Limit
from snapml_lab.errors import AuditBrokenError, StorageError
from snapml_lab.governance import heads, verification
from snapml_lab.governance.roles import Effect
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


class AuditRow(View):
    """One row: who did what through which surface.

    ``outcome``: ``begun``, ``done``, ``fault`` or an error's code; ``of``: the row whose attempt this one ends; ``sha256``: its link
    in the chain.
    """

    seq: int
    at: str
    actor: str
    role: str
    surface: str
    command: str
    arguments: str
    outcome: str
    of: int | None
    sha256: str

    def text(self) -> str:
        """One line."""
        return " ".join(self.cells())

    def cells(self) -> list[str]:
        """The cells of one line of a list."""
        return [
            str(self.seq), self.at[:19], f"{self.actor} ({self.role})", self.surface, self.command, self.outcome,
            f"ends {self.of}" if self.of else self.arguments[:80],
        ]  # fmt: skip


class AuditList(View):
    """Rows of the audit, newest first."""

    rows: list[AuditRow]

    def text(self) -> str:
        """A table."""
        return (
            text_table(_HEADER, [row.cells() for row in self.rows])
            if self.rows
            else "Nothing was changed yet."
        )

    def html(self) -> str:
        """A table."""
        return (
            framed(html_table(_HEADER, [row.cells() for row in self.rows])) if self.rows else super().html()
        )


_HEADER = ["#", "at", "who", "through", "command", "outcome", "arguments"]


class AuditCheck(View):
    """The audit holds: ``rows`` were read, with those of ``merged`` workspaces.

    ``head``: what is known outside the workspace, in words; ``guarded_from``: the first row whose loss it would tell, None where
    there is no head; ``behind``: rows the head had missed; ``unwritable``: why it cannot be written now.
    """

    rows: int
    merged: list[str]
    head: str
    guarded_from: int | None
    behind: int | None
    unwritable: str | None

    def text(self) -> str:
        """A few lines."""
        merged = f", {len(self.merged)} merged workspaces among them" if self.merged else ""
        return f"The audit holds: {self.rows} rows{merged}.\n  {self.head}"


@command("audit list", effect=Effect.READ)
def list_audit(
    ws: Workspace,
    *,
    limit: Limit = 50,
    actor: str | None = None,
    command: str | None = None,
    since: Duration | None = None,
    outcome: str | None = None,
) -> AuditList:
    """List who changed what, newest first.

    Args:
        limit: how many rows at most.
        actor: only this person's.
        command: only of this command, or of all that begin with this word.
        since: only of the last so many seconds, or 90s, 10m, 2h, 7d.
        outcome: only those that ended so: done, not_allowed, begun or another code.
    """
    wanted: dict[str, tuple[object, ...]] = {}
    if actor is not None:
        wanted["actor = ?"] = (actor,)
    if command is not None:
        wanted["(command = ? OR command BETWEEN ? AND ?)"] = (command, f"{command} ", f"{command} \x7f")
    if since is not None:
        wanted["at >= ?"] = (clock.now() - since,)
    if outcome is not None:
        wanted["outcome = ?"] = (outcome,)
    where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
    values = [value for given in wanted.values() for value in given]
    rows = ws.ledger.rows(f"SELECT * FROM audit {where} ORDER BY seq DESC LIMIT ?", *values, limit)
    return AuditList(rows=[AuditRow(**{**dict(row), "at": clock.iso(row["at"])}) for row in rows])


@command("audit verify", effect=Effect.READ)
def verify(ws: Workspace) -> AuditCheck:
    """Check that no row of the audit was changed, removed, moved or cut off; an error says which were."""
    found = verification.verify(ws)
    if not found.ok:
        fix = "Compare it with a copy of the workspace."
        if found.only_outside:
            fix += " Where that is meant (a copy was restored), take it for right: snapml audit adopt"
        raise AuditBrokenError(f"The audit does not hold: {found.told()}.", fix=fix)
    return AuditCheck(
        rows=found.rows, merged=list(found.merged), head=_head(found), guarded_from=found.head.since if found.head else None,
        behind=found.behind, unwritable=found.unwritable,
    )  # fmt: skip


@command("audit adopt", effect=Effect.ADMIN)
def adopt(ws: Workspace) -> AuditCheck:
    """Take the audit's end as it now is for the right one: after a restore, or where the head was lost; the old head is kept."""
    try:
        verification.adopt(ws)
    except OSError as error:
        raise StorageError(
            f"The head of the audit could not be written: {error}.",
            fix=f"Make it writable, or set {heads.VARIABLE}.",
        ) from error
    return verify(ws)


def _head(found: verification.Verification) -> str:
    """Say what vouches for the end of the audit."""
    head = found.head
    if head is None:
        told = (
            "No head of it is kept here (a copied or moved workspace): the next change is where one begins."
        )
    else:
        told = f"The head kept outside the workspace is row {head.seq} of {clock.iso(head.at)[:19]}"
        told += f", {found.behind} behind." if found.behind else ": the last."
        if head.since > 1:
            told += f" It was begun at row {head.since}: what was cut off before is not known."
        others = [former for former in head.former if former["workspace"] != head.workspace]
        for former in others[-1:]:
            until = clock.iso(float(former["at"]))[:19]
            told += f" Until {until} another workspace was here, of {former['seq']} rows; it was removed or replaced."
    return f"{told} It cannot be written: {found.unwritable}." if found.unwritable else told
