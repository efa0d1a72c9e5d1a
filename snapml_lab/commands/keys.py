"""Commands about the gateway's API keys."""

from snapml_lab import clock
from snapml_lab.commands.core import Call, command
from snapml_lab.errors import InvalidInputError
from snapml_lab.governance import keys
from snapml_lab.governance.roles import Effect, Role
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


class KeyView(View):
    """A key, its role, and who made it; ``secret`` is its text, there only in the answer to its making."""

    id: str
    name: str
    prefix: str
    role: Role
    actor: str
    created_at: str
    revoked_at: str | None
    secret: str | None

    @classmethod
    def of(cls, key: keys.Key, secret: str | None = None) -> "KeyView":
        """Read a key of the ledger."""
        revoked = None if key.revoked_at is None else clock.iso(key.revoked_at)
        return cls(
            id=key.id,
            name=key.name,
            prefix=key.prefix,
            role=key.role,
            actor=key.actor,
            created_at=clock.iso(key.created_at),
            revoked_at=revoked,
            secret=secret,
        )

    def text(self) -> str:
        """One line; the secret once."""
        if self.secret:
            return f"{self.secret}\nThis is {self.name}'s key. It is shown this once; keep it in an environment variable, not in a notebook."
        return f"{self.name} ({self.role}) {self.prefix}… made {self.created_at} by {self.actor}" + (
            f", revoked {self.revoked_at}" if self.revoked_at else ""
        )


class KeyList(View):
    """Keys, newest first, without their secrets."""

    keys: list[KeyView]

    def text(self) -> str:
        """A table."""
        return (
            text_table(_HEADER, self._rows())
            if self.keys
            else "No keys yet. Make one: snapml keys create NAME"
        )

    def html(self) -> str:
        """A table."""
        return framed(html_table(_HEADER, self._rows())) if self.keys else super().html()

    def _rows(self) -> list[list[str]]:
        return [
            [
                key.name,
                f"{key.prefix}…",
                key.role,
                key.actor,
                key.created_at[:19],
                (key.revoked_at or "")[:19],
            ]
            for key in self.keys
        ]


_HEADER = ["name", "key", "role", "by", "made", "revoked"]


@command("keys create", effect=Effect.ADMIN)
def create(ws: Workspace, name: str, *, role: Role = Role.DEVELOPER, call: Call) -> KeyView:
    """Make an API key for the gateway; its text is shown this once.

    Args:
        name: who or what it is for.
        role: viewer lists models, developer and above ask them; never more than your own.
    """
    if not name.strip() or len(name) > 100:
        raise InvalidInputError.of("name", name, "1 to 100 characters")
    key, secret = keys.create(ws, name, role=role, actor=call.actor)
    return KeyView.of(key, secret)


@command("keys list", effect=Effect.READ)
def list_keys(ws: Workspace) -> KeyList:
    """List API keys, without their secrets."""
    return KeyList(keys=[KeyView.of(key) for key in keys.every(ws)])


@command("keys revoke", effect=Effect.ADMIN)
def revoke(ws: Workspace, key: str) -> KeyView:
    """End an API key for good.

    Args:
        key: its name, its beginning, or its id.
    """
    return KeyView.of(keys.revoke(ws, key))
