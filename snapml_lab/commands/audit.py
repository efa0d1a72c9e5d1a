"""Commands about the audit."""

from snapml_lab import clock
from snapml_lab.commands.core import command
from snapml_lab.commands.types import Limit
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


@command("audit list", effect=Effect.READ)
def list_audit(ws: Workspace, *, limit: Limit = 50) -> AuditList:
    """List who changed what, newest first.

    Args:
        limit: how many rows at most.
    """
    rows = ws.ledger.rows("SELECT * FROM audit ORDER BY seq DESC LIMIT ?", limit)
    return AuditList(rows=[AuditRow(**{**dict(row), "at": clock.iso(row["at"])}) for row in rows])
