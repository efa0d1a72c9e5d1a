"""API keys of the gateway: kept as a hash, shown once. Standard library only."""

import dataclasses
import hashlib
import os
import secrets
import sqlite3
from dataclasses import dataclass
from fnmatch import fnmatchcase

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
ALLOWANCE = "SNAPML_BUDGET"
"""The variable that names the key of the budget around a cell; jobs that are started there have it, too."""


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
    terms: "Terms"
    replaces: str | None = None
    last_used_at: float | None = None

    def living(self, now: float) -> bool:
        """Say whether it may still be used."""
        expires = self.terms.expires_at
        return self.revoked_at is None and (expires is None or now < expires)

    def opens(self, model: str | None, route: str) -> bool:
        """Say whether its scopes let a model (None: any) be asked by a route."""
        terms = self.terms
        return (terms.models is None or model is None or _fits(model, terms.models)) and (
            terms.routes is None or _fits(route, terms.routes)
        )


@dataclass(frozen=True)
class Terms:
    """What a key is good for; None is without a limit.

    Attributes:
        expires_at: seconds since the epoch.
        models: deployments it may ask, as patterns (``chat*``).
        routes: routes it may take, as patterns (``/v1/*``).
        requests_per_minute: refilled evenly; as many at once at most.
        tokens_per_minute: read and written; the next request waits until what was used is made up.
        concurrency: requests under way at once.
        limit_pico: what it may spend in all, in pico-dollars.
        project: what its work belongs to.
    """

    expires_at: float | None = None
    models: tuple[str, ...] | None = None
    routes: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    limit_pico: int | None = None
    project: str | None = None


_FREE = Terms()
_LISTS = ("models", "routes")


def create(
    ws: Workspace, name: str, *, role: Role = Role.DEVELOPER, actor: str | None = None, terms: Terms = _FREE,
    replaces: str | None = None,
) -> tuple[Key, str]:  # fmt: skip
    """Make a key; the text is returned here and never again.

    Args:
        ws: the workspace.
        name: who or what it is for.
        role: what it may have done: a viewer's lists models, any other asks them, too.
        actor: who makes it; default: the account.
        terms: what it is good for.
        replaces: the id of the key it is to be used instead of.

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
    key = Key(ids.new(), name, text[:_SHOWN], clock.now(), None, role, actor, terms, replaces)
    kept = {
        field.name: "\n".join(value) if field.name in _LISTS and value is not None else value
        for field in dataclasses.fields(Terms)
        for value in [getattr(terms, field.name)]
    }
    row = {
        "id": key.id, "name": name, "prefix": key.prefix, "sha256": digest(text), "created_at": key.created_at,
        "role": role, "actor": actor, "replaces": replaces, **kept,
    }  # fmt: skip
    with ws.ledger.write() as connection:
        bump(connection)
        connection.execute(
            f"INSERT INTO api_keys ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
            list(row.values()),
        )
    return key, text


def rotate(ws: Workspace, reference: str, *, overlap: float, actor: str | None = None) -> tuple[Key, str]:
    """Make a key to be used instead of another, on its terms; the old one goes on for ``overlap`` seconds.

    Raises:
        NotFoundError: no living key is called so.
        InvalidInputError: several are.
    """
    old = _living(ws, reference)
    until = clock.now() + overlap
    key, text = create(ws, old.name, role=old.role, actor=actor, terms=old.terms, replaces=old.id)
    ends = until if old.terms.expires_at is None else min(until, old.terms.expires_at)
    with ws.ledger.write() as connection:
        bump(connection)
        connection.execute("UPDATE api_keys SET expires_at = ? WHERE id = ?", (ends, old.id))
    return key, text


def find(ws: Workspace, text: str) -> Key | None:
    """Return the key a caller showed, unless it is unknown, revoked or over its time."""
    row = ws.ledger.row("SELECT * FROM api_keys WHERE sha256 = ? AND revoked_at IS NULL", digest(text))
    key = None if row is None else _of(row)
    return key if key is not None and key.living(clock.now()) else None


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
    ended = dataclasses.replace(_living(ws, reference), revoked_at=clock.now())
    with ws.ledger.write() as connection:
        bump(connection)
        connection.execute("UPDATE api_keys SET revoked_at = ? WHERE id = ?", (ended.revoked_at, ended.id))
    return ended


def _living(ws: Workspace, reference: str) -> Key:
    """Return the one living key named by its name, prefix or id; of keys that replace each other, the newest."""
    now = clock.now()
    found = [
        key for key in every(ws) if key.living(now) and reference in (key.name, key.prefix, key.id)
    ]  # fmt: skip
    replaced = {key.replaces for key in found}
    found = [key for key in found if key.id not in replaced or reference in (key.prefix, key.id)]
    if not found:
        raise NotFoundError(f"There is no living key {reference!r}.", fix="See them: snapml keys list")
    if len(found) > 1:
        told = ", ".join(key.id for key in found)
        raise InvalidInputError.of("key", reference, "the id of one key", f"Living keys called so: {told}.")
    return found[0]


def allowance(
    ws: Workspace, *, limit_pico: int, seconds: float, name: str, actor: str | None = None
) -> tuple[Key, str]:
    """Make a key that may spend so much and is known to this account's work alone, by :data:`ALLOWANCE`."""
    terms = Terms(expires_at=clock.now() + seconds, limit_pico=limit_pico)
    key, text = create(ws, name, actor=actor, terms=terms)
    folder = ws.root / "allowances"
    folder.mkdir(mode=0o700, exist_ok=True)
    replace(folder / f"{key.id}.key", text.encode())
    return key, text


def notebook_key(ws: Workspace) -> str:
    """Return the text of the key for this account's own notebooks and jobs, made on first use.

    Within a cell's budget, and in jobs that were started there, it is the key that may spend no more than that.
    """
    if held := os.environ.get(ALLOWANCE):
        try:
            return (ws.root / "allowances" / f"{os.path.basename(held)}.key").read_text("ascii").strip()
        except FileNotFoundError:
            raise NotFoundError(
                f"The budget {held!r} of this cell is not of this workspace.", fix=f"Unset {ALLOWANCE}."
            ) from None
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
    known = {field.name: row[field.name] for field in dataclasses.fields(Terms)}
    lists = {name: None if known[name] is None else tuple(known[name].split("\n")) for name in _LISTS}
    return Key(
        row["id"], row["name"], row["prefix"], row["created_at"], row["revoked_at"], role, row["actor"],
        Terms(**{**known, **lists}), row["replaces"], row["last_used_at"],
    )  # fmt: skip


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def digest(text: str) -> str:
    """Return what is kept of a key: SHA-256 is enough, for a key is 256 random bits, not a password."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
