"""API keys of the gateway: kept as a hash, shown once. Standard library only."""

import dataclasses
import hashlib
import secrets
import sqlite3
from dataclasses import dataclass

from snapml_lab import clock, ids
from snapml_lab.errors import InvalidInputError, NotAllowedError, NotFoundError
from snapml_lab.governance.roles import Role, account, allows, role_of
from snapml_lab.store.files import locked, replace
from snapml_lab.store.ledger import bump
from snapml_lab.workspace import Workspace

_START = "sk-snapml-"
_SHOWN = len(_START) + 4
NOTEBOOK = "notebook"
"""The key our own notebooks and jobs use; its text is in a file that only this account can read."""


@dataclass(frozen=True)
class Key:
    """A key without its secret; ``prefix`` is enough to tell it by."""

    id: str
    name: str
    prefix: str
    created_at: float
    revoked_at: float | None
    role: Role
    actor: str


def create(
    ws: Workspace, name: str, *, role: Role = Role.DEVELOPER, actor: str | None = None
) -> tuple[Key, str]:
    """Make a key; the text is returned here and never again.

    Args:
        ws: the workspace.
        name: who or what it is for.
        role: what it may have done: a viewer's lists models, any other asks them, too.
        actor: who makes it; default: the account.

    Raises:
        NotAllowedError: the key would be allowed more than who makes it.
    """
    actor = account() if actor is None else actor
    own = role_of(ws, actor)
    if not allows(own, role):
        raise NotAllowedError(
            f"A key with the role {role} would be allowed more than {actor}, who is {own}.",
            fix=f"Make one with --role {own}.",
        )
    text = _START + secrets.token_urlsafe(32)
    key = Key(ids.new(), name, text[:_SHOWN], clock.now(), None, role, actor)
    with ws.ledger.write() as connection:
        bump(connection)
        connection.execute(
            "INSERT INTO api_keys (id, name, prefix, sha256, created_at, role, actor) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key.id, name, key.prefix, digest(text), key.created_at, role, actor),
        )
    return key, text


def find(ws: Workspace, text: str) -> Key | None:
    """Return the key a caller showed, unless it is unknown or revoked."""
    row = ws.ledger.row("SELECT * FROM api_keys WHERE sha256 = ? AND revoked_at IS NULL", digest(text))
    return None if row is None else _of(row)


def every(ws: Workspace) -> list[Key]:
    """Return all keys, newest first."""
    rows = ws.ledger.rows("SELECT * FROM api_keys ORDER BY id DESC")
    return [_of(row) for row in rows]


def revoke(ws: Workspace, reference: str) -> Key:
    """End a key named by its name, prefix or id, for good.

    Raises:
        NotFoundError: no living key is called so.
        InvalidInputError: several are.
    """
    found = [
        key for key in every(ws) if key.revoked_at is None and reference in (key.name, key.prefix, key.id)
    ]
    if not found:
        raise NotFoundError(f"There is no living key {reference!r}.", fix="See them: snapml keys list")
    if len(found) > 1:
        told = ", ".join(key.id for key in found)
        raise InvalidInputError.of("key", reference, "the id of one key", f"Living keys called so: {told}.")
    ended = dataclasses.replace(found[0], revoked_at=clock.now())
    with ws.ledger.write() as connection:
        bump(connection)
        connection.execute("UPDATE api_keys SET revoked_at = ? WHERE id = ?", (ended.revoked_at, ended.id))
    return ended


def notebook_key(ws: Workspace) -> str:
    """Return the text of the key for this account's own notebooks and jobs, made on first use."""
    path = ws.root / "notebook.key"
    with locked(ws.root / "notebook.key.lock"):
        try:
            text = path.read_text("ascii").strip()
        except FileNotFoundError:
            text = ""
        if text and find(ws, text):
            return text
        _, text = create(ws, NOTEBOOK)
        replace(path, text.encode())  # which only this account can read, as all that is written so
        return text


def _of(row: sqlite3.Row) -> Key:
    """Read a key; a role that is none may nothing but look."""
    role = Role(row["role"]) if row["role"] in list(Role) else Role.VIEWER
    return Key(
        row["id"], row["name"], row["prefix"], row["created_at"], row["revoked_at"], role, row["actor"]
    )


def digest(text: str) -> str:
    """Return what is kept of a key: SHA-256 is enough, for a key is 256 random bits, not a password."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
