"""Commands about policies: what the gate asks for before a version is promoted."""

from typing import Annotated

from cyclopts import Parameter
from pydantic import Field

from snapml_lab.commands.approvals import Target
from snapml_lab.commands.core import command
from snapml_lab.errors import InvalidInputError
from snapml_lab.governance import evidence, policies, subjects
from snapml_lab.governance.roles import Effect
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

Kind = Annotated[
    str,
    Field(min_length=1, max_length=300, description="a kind (model), or one thing of it (model:NAME)"),
]


class PolicyView(View):
    """What is asked of a kind, of one thing (``name``), or for one alias (``target``); ``own``: whether one may approve one's own."""

    kind: str
    name: str | None
    target: str | None
    needs: list[str]
    approvers: int
    own: bool

    @classmethod
    def of(cls, policy: policies.Policy) -> "PolicyView":
        """Read a policy."""
        return cls(
            kind=policy.kind, name=policy.name, target=policy.target, needs=list(policy.needs), approvers=policy.approvers,
            own=policy.own,
        )  # fmt: skip

    def text(self) -> str:
        """Two lines."""
        what, target, needs, approvers = self.row()
        return f"{what} as {target}: {approvers}\n  evidence: {needs}"

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        own = ", their own too" if self.own else ", not their own"
        approvers = f"{self.approvers} to approve{own}" if self.approvers else "applies at once"
        return [
            f"{self.kind}:{self.name or '*'}",
            self.target or "any alias",
            ", ".join(self.needs) or "none",
            approvers,
        ]


class CheckView(View):
    """A check that a policy can ask for, and of which kinds."""

    name: str
    asks: str
    kinds: list[str]


class PolicyList(View):
    """Declared policies, what holds where none is (``otherwise``), and the checks there are."""

    policies: list[PolicyView]
    otherwise: PolicyView
    checks: list[CheckView]

    def text(self) -> str:
        """Two tables."""
        return f"{text_table(_HEADER, self._rows())}\n\n{text_table(_CHECKS, self._checks())}"

    def html(self) -> str:
        """Two tables."""
        return framed(html_table(_HEADER, self._rows()), html_table(_CHECKS, self._checks()))

    def _rows(self) -> list[list[str]]:
        rest = self.otherwise.row()[1:]
        return [*(policy.row() for policy in self.policies), ["otherwise", *rest]]

    def _checks(self) -> list[list[str]]:
        rows = [[item.name, item.asks, ", ".join(item.kinds)] for item in self.checks]
        return [
            *rows,
            ["FIGURE>=NUMBER", "a figure on record is within a bound (>=, <=, >, <)", "model, dataset"],
        ]


_HEADER = ["of", "as", "evidence", "approval"]
_CHECKS = ["check", "asks that", "of"]


@command("policies list", effect=Effect.READ)
def list_policies(ws: Workspace) -> PolicyList:
    """List what the gate asks for, and the checks a policy can name."""
    checks = [
        CheckView(name=name, asks=item.asks, kinds=sorted(item.kinds))
        for name, item in evidence.CHECKS.items()
    ]
    otherwise = policies.usual(ws, "model")
    return PolicyList(
        policies=[PolicyView.of(policy) for policy in policies.every(ws)], otherwise=PolicyView.of(otherwise),
        checks=checks,
    )  # fmt: skip


@command("policies set", effect=Effect.ADMIN)
def set_policy(
    ws: Workspace, what: Kind, *, to: Target | None = None,
    need: Annotated[list[str] | None, Parameter(name=["--need"]), Field(max_length=20, description="a check")] = None,
    approvers: Annotated[int, Field(ge=0, le=20)] = 1, own: bool = False,
) -> PolicyView:  # fmt: skip
    """Declare what is asked before a version of a kind, or of one thing, may stand under an alias.

    Args:
        what: model, dataset or deployment; or one thing, as model:NAME.
        to: for one alias alone.
        need: a check that must find what it looks for, as interval or score>=0.9; may be given several times.
        approvers: how many people must approve; 0 applies it at once.
        own: whether who made it, or asks for it, may approve.
    """
    kind, name = _split(what)
    made = policies.declare(ws, kind, name, to, needs=need or [], approvers=approvers, own=own)
    return PolicyView.of(made)


@command("policies remove", effect=Effect.ADMIN)
def remove(ws: Workspace, what: Kind, *, to: Target | None = None) -> PolicyView:
    """Remove a declared policy: the less particular one holds then.

    Args:
        what: as it was declared: model, or model:NAME.
        to: the alias it was declared for.
    """
    kind, name = _split(what)
    return PolicyView.of(policies.remove(ws, kind, name, to))


def _split(what: str) -> tuple[str, str | None]:
    kind, colon, name = what.partition(":")
    if (colon and not name) or "@" in name:
        raise InvalidInputError.of("what", what, "a kind, or KIND:NAME without a version")
    return subjects.check_kind(kind), name or None
