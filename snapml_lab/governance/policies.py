"""Policies: what the gate asks before it lets something through. Declared in the catalog, the most particular one holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.governance import evidence, subjects
from snapml_lab.governance.roles import KIND as ROLES
from snapml_lab.registry import aliases
from snapml_lab.workspace import Workspace

KIND = "policies"


@dataclass(frozen=True)
class Policy:
    """What is asked of a kind of thing, or of one thing, or for one target.

    Attributes:
        kind: ``model``, ``dataset``, ``deployment``.
        name: of one thing alone; None is every one of the kind.
        target: for one alias alone; None is every one.
        needs: the checks that must find what they look for (``score``, ``auc>=0.9``).
        approvers: how many people must approve; with none it applies at once.
        own: whether who made it, or asks for it, may be one of them.
        declared: whether a person declared it.
    """

    kind: str
    name: str | None = None
    target: str | None = None
    needs: tuple[str, ...] = ()
    approvers: int = 0
    own: bool = False
    declared: bool = True

    @property
    def key(self) -> str:
        """What it is called in the catalog: ``model``, ``model:flowers``, ``model@champion``, ``model:flowers@champion``."""
        return self.kind + (f":{self.name}" if self.name else "") + (f"@{self.target}" if self.target else "")


def applying(ws: Workspace, kind: str, name: str, target: str) -> Policy:
    """Return the policy that holds: of this thing and target, of this thing, of this target, of the kind, or the usual one.

    Where none is declared: nothing is asked of an account that is alone (no roles), and one other person where there are
    roles.
    """
    declared = ws.catalog.all(KIND)
    for one, other in ((name, target), (name, None), (None, target), (None, None)):
        key = Policy(kind, one, other).key
        if key in declared:
            return _of(ws, key, declared[key])
    return usual(ws, kind)


def usual(ws: Workspace, kind: str) -> Policy:
    """Return what holds where no policy is declared."""
    return Policy(kind, approvers=1 if ws.catalog.keys(ROLES) else 0, declared=False)


def every(ws: Workspace) -> list[Policy]:
    """Return the declared policies."""
    return [_of(ws, key, fields) for key, fields in sorted(ws.catalog.all(KIND).items())]


def declare(
    ws: Workspace, kind: str, name: str | None, target: str | None, *, needs: Sequence[str], approvers: int, own: bool
) -> Policy:  # fmt: skip
    """Declare a policy, or replace the one that is.

    Raises:
        InvalidInputError: there is no such kind, check or target.
    """
    subjects.check_kind(kind)
    if target is not None:
        aliases.check(target)
    for need in needs:
        evidence.check(need, kind)
    policy = Policy(kind, name, target, tuple(dict.fromkeys(needs)), approvers, own)
    fields = {"needs": list(policy.needs), "approvers": approvers, "own": own}
    ws.catalog.change(KIND, policy.key, lambda _: fields)
    return policy


def remove(ws: Workspace, kind: str, name: str | None, target: str | None) -> Policy:
    """Remove a declared policy and return it.

    Raises:
        NotFoundError: there is none.
    """
    key = Policy(kind, name, target).key
    if ws.catalog.find(KIND, key) is None:
        raise NotFoundError(f"There is no policy for {key}.", fix="See them: snapml policies list")
    return _of(ws, key, ws.catalog.remove(KIND, key))


def _of(ws: Workspace, key: str, fields: dict[str, Any]) -> Policy:
    """Read a declared policy; a file may have been edited by hand.

    Raises:
        InvalidInputError: a field is not what it must be.
    """
    before, _, target = key.partition("@")
    kind, _, name = before.partition(":")
    needs, approvers, own = fields.get("needs", []), fields.get("approvers", 1), fields.get("own", False)
    mend = f"Mend {ws.root / 'catalog' / f'{KIND}.json'}."
    if not isinstance(needs, list) or not all(isinstance(need, str) for need in needs):
        raise InvalidInputError.of(f"needs of policy {key}", needs, "a list of checks", mend)
    if type(approvers) is not int or approvers < 0 or not isinstance(own, bool):
        raise InvalidInputError.of(
            f"approvers of policy {key}", approvers, "a whole number, and own true or false", mend
        )
    return Policy(kind, name or None, target or None, tuple(needs), approvers, own)
