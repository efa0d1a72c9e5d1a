"""Roles and effects: what a command does to the world, and which roles may have it done."""

import functools
import os
import pwd
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from snapml_lab.errors import ConflictError, InvalidInputError, NotAllowedError
from snapml_lab.workspace import Workspace

KIND = "roles"
_LONGEST = 100
PERSON = "SNAPML_PERSON"
"""Tells a kernel who started it, where the server knows people."""
_JOB = "SNAPML_JOB_ID"
"""What a job's processes carry (``jobs/events.py``)."""
_LOOKALIKES = str.maketrans("аеорсухіјѕһԁԛԝвкмнтгαεοριντυκχγ", "aeopcyxijshdqwbkmhtraeopivtukxy")
"""Cyrillic and Greek letters that read as Latin ones (the common part of Unicode's table, UTS #39)."""


class Effect(StrEnum):
    """What running a command does."""

    READ = "read"
    """Looks; changes nothing."""
    WRITE = "write"
    """Changes what is declared or recorded."""
    EXECUTE = "execute"
    """Starts or stops work on the machine."""
    APPROVE = "approve"
    """Decides on another person's request."""
    ADMIN = "admin"
    """Changes who may do what."""


class Role(StrEnum):
    """What a person is to a workspace; each may all that the ones before it may."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    APPROVER = "approver"
    ADMIN = "admin"


_ALLOWED: dict[Role, frozenset[Effect]] = {
    Role.VIEWER: frozenset({Effect.READ}),
    Role.DEVELOPER: frozenset({Effect.READ, Effect.WRITE, Effect.EXECUTE}),
    Role.APPROVER: frozenset({Effect.READ, Effect.WRITE, Effect.EXECUTE, Effect.APPROVE}),
    Role.ADMIN: frozenset(Effect),
}


@dataclass(frozen=True)
class Standing:
    """A person's role and, in words, where that is known from."""

    name: str
    role: Role
    source: str


def account() -> str:
    """Return the name of the operating system's account, or its number where it has no name.

    By the process's user id, not by ``LOGNAME`` or ``USER``, which anybody sets.
    """
    return _name_of(os.getuid())


@functools.cache
def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def acting(ws: Workspace) -> str:
    """Return who acts in this process: whose job it is, else who started its kernel, else the account.

    So that what a person's job asks for is asked for by that person, with their role. It guards against mistakes: code that
    means to can shed its environment, for it runs as the account.
    """
    job = os.environ.get(_JOB)
    row = ws.ledger.row("SELECT actor FROM jobs WHERE id = ?", job) if job else None
    return str(row["actor"]) if row and row["actor"] else os.environ.get(PERSON) or account()


def owners(ws: Workspace) -> set[str]:
    """Return the accounts that own the workspace: the one its folder belongs to, and root where it is root that acts."""
    found = {_name_of(ws.root.stat().st_uid)}
    return found | {account()} if os.getuid() == 0 else found


def role_of(ws: Workspace, actor: str) -> Role:
    """Return a person's role; see :func:`standing`."""
    return standing(ws, actor).role


def standing(ws: Workspace, actor: str) -> Standing:
    """Return a person's role, as declared in the catalog's ``roles``, and where it is known from.

    The account that owns the workspace is its admin, whoever else is declared: it can write every file here, and it is
    the way back. Where no role is declared at all, the workspace belongs to one account and whoever acts through it is
    its owner, an admin; where some are, a person without one is a viewer. Names are compared as they are: who comes as
    ``Ann`` has not the role of ``ann``.

    Raises:
        InvalidInputError: what is declared is no role.
    """
    if actor in owners(ws):
        return Standing(actor, Role.ADMIN, "the account that owns the workspace")
    declared = ws.catalog.all(KIND)
    if not declared:
        return Standing(actor, Role.ADMIN, "no role is declared: the workspace is one account's")
    if actor not in declared:
        return Standing(actor, Role.VIEWER, "no role is declared for this name")
    role = declared[actor].get("role", Role.VIEWER)
    if role not in list(Role):
        raise InvalidInputError.of(
            f"role of {actor}",
            role,
            f"one of {', '.join(Role)}",
            f"Mend {ws.root / 'catalog' / 'roles.json'}.",
        )
    return Standing(actor, Role(role), "declared in the catalog")


def declared(ws: Workspace) -> dict[str, str]:
    """Return who has which role, by name."""
    return {name: str(fields.get("role")) for name, fields in sorted(ws.catalog.all(KIND).items())}


def declare(ws: Workspace, name: str, role: Role, *, by: str) -> Standing:
    """Give a person a role.

    Args:
        ws: the workspace.
        name: as the identity provider writes it.
        role: the role.
        by: who gives it.

    Raises:
        InvalidInputError: that cannot be a person's name.
        ConflictError: another name that reads the same has a role; or nobody has one yet, and with this one whoever
            gives it could change nothing any more.
    """
    check_name(name)
    known = ws.catalog.keys(KIND)
    alike = next((other for other in {*known, *owners(ws)} if other != name and same(other, name)), None)
    if alike is not None:
        raise ConflictError(
            f"{name!r} reads like {alike!r}, who is known here.",
            fix=f"Use {alike!r}, or remove that one first.",
        )
    if not known and by != name and by not in owners(ws):
        raise ConflictError(
            f"With the first role declared, {by!r} would be a viewer: it has none.",
            fix=f"Begin with your own: snapml roles set {by} admin",
        )
    ws.catalog.change(KIND, name, lambda _: {"role": str(role)})
    return standing(ws, name)


def withdraw(ws: Workspace, name: str, *, last: bool = False) -> Standing:
    """Take a person's role away, and return what they then are.

    Raises:
        NotFoundError: they have none.
        ConflictError: it is the last one declared, and ``last`` does not say that this is meant: whoever comes would be
            an admin.
    """
    ws.catalog.get(KIND, name)
    if not last and ws.catalog.keys(KIND) == [name]:
        raise ConflictError(
            f"{name!r} is the last with a role: where none is declared, whoever comes is an admin.",
            fix=f"Declare another first, or say that it is meant: snapml roles remove {name} --last",
        )
    ws.catalog.remove(KIND, name)
    return standing(ws, name)


def authorise(role: Role, effect: Effect, command: str) -> None:
    """Raise unless ``role`` may run a command with ``effect``.

    Raises:
        NotAllowedError: it may not; the message says which roles may.
    """
    if not may(role, effect):
        able = ", ".join(name for name, effects in _ALLOWED.items() if effect in effects)
        raise NotAllowedError(
            f"The role {role} may not run {command!r}, which needs {effect}.",
            fix=f"Ask someone with the role {able}.",
        )


def may(role: Role, effect: Effect) -> bool:
    """Say whether a role may have that done."""
    return effect in _ALLOWED[role]


def allows(role: Role, other: Role) -> bool:
    """Say whether ``role`` may all that ``other`` may."""
    return _ALLOWED[other] <= _ALLOWED[role]


def same(one: str, other: str) -> bool:
    """Say whether two names read as one person's: case, width, accents' spelling and invisible characters set aside.

    For what one person may not do twice, or to their own; who has which role goes by the name as it is.
    """
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    seen = "".join(c for c in folded if unicodedata.category(c)[0] not in "CZ")
    return unicodedata.normalize("NFKC", seen.translate(_LOOKALIKES))


def check_name(name: str) -> str:
    """Return ``name`` if it can be a person's.

    Raises:
        InvalidInputError: it is empty or too long, begins or ends with a space, or holds what cannot be seen.
    """
    unseen = any(unicodedata.category(c)[0] == "C" for c in name)
    if not 0 < len(name) <= _LONGEST or name != name.strip() or unseen:
        raise InvalidInputError.of(
            "name", name, f"1 to {_LONGEST} visible characters, as the server names the person"
        )
    return name
