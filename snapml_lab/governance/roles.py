"""Roles and effects: what a command does to the world, and which roles may have it done."""

import getpass
import os
from enum import StrEnum

from snapml_lab.errors import InvalidInputError, NotAllowedError
from snapml_lab.workspace import Workspace


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
    """What a person is to a workspace."""

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


def account() -> str:
    """Return the name of the operating system's account, or its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def role_of(ws: Workspace, actor: str) -> Role:
    """Return a person's role: as declared in the catalog's ``roles``.

    The account that owns the workspace is its admin, whoever else is declared. Where no role is declared at all, the
    workspace belongs to one account and whoever acts through it is its owner, an admin; where some are, a person
    without one is a viewer.

    Raises:
        InvalidInputError: what is declared is no role.
    """
    if actor == account():
        return Role.ADMIN
    declared = ws.catalog.all("roles")
    if not declared:
        return Role.ADMIN
    role = declared.get(actor, {}).get("role", Role.VIEWER)
    if role not in list(Role):
        raise InvalidInputError.of(
            f"role of {actor}",
            role,
            f"one of {', '.join(Role)}",
            f"Mend {ws.root / 'catalog' / 'roles.json'}.",
        )
    return Role(role)


def authorise(role: Role, effect: Effect, command: str) -> None:
    """Raise unless ``role`` may run a command with ``effect``.

    Raises:
        NotAllowedError: it may not; the message says which roles may.
    """
    if effect not in _ALLOWED[role]:
        may = ", ".join(name for name, effects in _ALLOWED.items() if effect in effects)
        raise NotAllowedError(
            f"The role {role} may not run {command!r}, which needs {effect}.",
            fix=f"Ask someone with the role {may}.",
        )
