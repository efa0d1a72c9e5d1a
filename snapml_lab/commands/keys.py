"""Commands about the gateway's API keys."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from snapml_lab import clock, money
from snapml_lab.commands.core import Call, command
from snapml_lab.commands.costs import Dollars
from snapml_lab.commands.types import Patterns, seconds
from snapml_lab.costs import budgets
from snapml_lab.errors import InvalidInputError
from snapml_lab.governance import keys
from snapml_lab.governance.keys import Terms
from snapml_lab.governance.roles import Effect, Role
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


class KeyView(View):
    """A key, its role, what it is good for (None: without a limit), and who made it.

    ``secret`` is its text, there only in the answer to its making. Of ``limit_pico`` are spent ``spent_pico`` and held for
    requests under way ``reserved_pico``: pico-dollars as text, None without a limit.
    """

    id: str
    name: str
    prefix: str
    role: Role
    actor: str
    created_at: str
    revoked_at: str | None
    expires_at: str | None
    models: list[str] | None
    routes: list[str] | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None
    limit_pico: str | None
    spent_pico: str | None
    reserved_pico: str | None
    project: str | None
    replaces: str | None
    last_used_at: str | None
    secret: str | None

    @classmethod
    def of(cls, key: keys.Key, secret: str | None = None, used: budgets.Used = budgets.UNUSED) -> "KeyView":
        """Read a key of the ledger, and what of its limit is used."""
        terms = key.terms
        spent, reserved = (None, None) if terms.limit_pico is None else map(str, used)
        return cls(
            id=key.id, name=key.name, prefix=key.prefix, role=key.role, actor=key.actor, created_at=clock.iso(key.created_at),
            revoked_at=_at(key.revoked_at), expires_at=_at(terms.expires_at),
            models=None if terms.models is None else list(terms.models),
            routes=None if terms.routes is None else list(terms.routes), requests_per_minute=terms.requests_per_minute,
            tokens_per_minute=terms.tokens_per_minute, concurrency=terms.concurrency,
            limit_pico=None if terms.limit_pico is None else str(terms.limit_pico), project=terms.project,
            spent_pico=spent, reserved_pico=reserved, replaces=key.replaces, last_used_at=_at(key.last_used_at), secret=secret,
        )  # fmt: skip

    def text(self) -> str:
        """One line; the secret once."""
        if self.secret:
            return f"{self.secret}\nThis is {self.name}'s key. It is shown this once; keep it in an environment variable, not in a notebook."
        told = f"{self.name} ({self.role}) {self.prefix}… made {self.created_at} by {self.actor}"
        return (
            told
            + "".join(f", {bound}" for bound in self.bounds())
            + (f", revoked {self.revoked_at}" if self.revoked_at else "")
        )

    def bounds(self) -> list[str]:
        """What it is good for, in words; nothing where it has no limit."""
        told = {
            "until": self.expires_at and self.expires_at[:19], "models": self.models and " ".join(self.models),
            "routes": self.routes and " ".join(self.routes), "requests a minute": self.requests_per_minute,
            "tokens a minute": self.tokens_per_minute, "at once": self.concurrency,
            "may spend": self.limit_pico and money.show(int(self.limit_pico)),
            "of which it spent": self.spent_pico and money.show(int(self.spent_pico)), "project": self.project,
        }  # fmt: skip
        return [f"{name} {value}" for name, value in told.items() if value is not None]


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
                ", ".join(key.bounds()),
                (key.last_used_at or "never")[:19],
                (key.revoked_at or "")[:19],
            ]
            for key in self.keys
        ]


_HEADER = ["name", "key", "role", "by", "made", "good for", "last used", "revoked"]
_Count = Annotated[int, Field(ge=1, le=10**9)]
_YEARS = 10 * 366 * 86_400
_Life = Annotated[
    float,
    BeforeValidator(seconds, json_schema_input_type=float | str),
    Field(gt=0, le=_YEARS, allow_inf_nan=False, description="seconds, or 12h, 30d, 365d"),
]
_Overlap = Annotated[
    float,
    BeforeValidator(seconds, json_schema_input_type=float | str),
    Field(ge=0, le=_YEARS, allow_inf_nan=False, description="seconds, or 1h, 7d; 0: none"),
]


@command("keys create", effect=Effect.ADMIN)
def create(
    ws: Workspace, name: str, *, role: Role = Role.DEVELOPER, expires: _Life | None = None, models: Patterns | None = None,
    routes: Patterns | None = None, requests_per_minute: _Count | None = None, tokens_per_minute: _Count | None = None,
    concurrency: _Count | None = None, limit: Dollars | None = None, project: str | None = None, call: Call,
) -> KeyView:  # fmt: skip
    """Make an API key for the gateway; its text is shown this once.

    Args:
        name: who or what it is for.
        role: viewer lists models, developer and above ask them; never more than your own.
        expires: how long it is good, as 12h or 30d.
        models: deployments it may ask, also as patterns; default: all.
        routes: routes it may take, as /v1/*; default: all.
        requests_per_minute: as many at once, and refilled evenly.
        tokens_per_minute: read and written.
        concurrency: requests under way at once.
        limit: dollars it may spend in all.
        project: what its work belongs to in the bill.
    """
    if not name.strip() or len(name) > 100:
        raise InvalidInputError.of("name", name, "1 to 100 characters")
    terms = Terms(
        None if expires is None else clock.now() + expires, None if models is None else tuple(models), None if routes is None else tuple(routes),
        requests_per_minute, tokens_per_minute, concurrency, None if limit is None else money.to_pico(limit), project,
    )  # fmt: skip
    key, secret = keys.create(ws, name, role=role, actor=call.actor, terms=terms)
    return KeyView.of(key, secret)


@command("keys rotate", effect=Effect.ADMIN)
def rotate(ws: Workspace, key: str, *, overlap: _Overlap = 86_400.0, call: Call) -> KeyView:
    """Make a new key on the terms of an old one, which goes on for a while; the new text is shown this once.

    Args:
        key: its name, its beginning, or its id.
        overlap: how long the old one goes on, as 1h or 7d; 0: it ends at once; default: a day.
    """
    made, secret = keys.rotate(ws, key, overlap=overlap, actor=call.actor)
    return KeyView.of(made, secret)


@command("keys list", effect=Effect.READ)
def list_keys(ws: Workspace) -> KeyList:
    """List API keys, without their secrets, with what they spent of their limits."""
    used = budgets.used_by_keys(ws)
    return KeyList(keys=[KeyView.of(key, used=used.get(key.id, budgets.UNUSED)) for key in keys.every(ws)])


@command("keys revoke", effect=Effect.ADMIN)
def revoke(ws: Workspace, key: str) -> KeyView:
    """End an API key for good.

    Args:
        key: its name, its beginning, or its id.
    """
    ended = keys.revoke(ws, key)
    return KeyView.of(ended, used=budgets.used_by_keys(ws).get(ended.id, budgets.UNUSED))


def _at(moment: float | None) -> str | None:
    return None if moment is None else clock.iso(moment)
