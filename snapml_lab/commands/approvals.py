"""Commands about the gate: asking for a version to be promoted, deciding on it, undoing it."""

from html import escape
from typing import Annotated

from pydantic import Field

from snapml_lab import clock
from snapml_lab.commands.core import Call, command
from snapml_lab.commands.types import Completes, Limit
from snapml_lab.governance import promotions
from snapml_lab.governance.promotions import Promotion, Stage
from snapml_lab.governance.roles import Effect
from snapml_lab.tracking import provenance
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

What = Annotated[
    str,
    Completes("promotable"),
    Field(min_length=1, max_length=300, description="KIND:NAME@VERSION; NAME@VERSION is a model"),
]
Thing = Annotated[
    str,
    Completes("promotable"),
    Field(min_length=1, max_length=300, description="KIND:NAME; NAME is a model"),
]
Target = Annotated[
    str, Completes("aliases"), Field(min_length=1, max_length=50, description="an alias such as champion")
]
RequestId = Annotated[
    str, Completes("requests"), Field(min_length=1, description="a request: its id, or the end of it")
]
Comment = Annotated[str, Field(max_length=2000, description="why, for who reads it later")]


class FindingView(View):
    """What a check found: ``ok`` where it is enough."""

    check: str
    ok: bool
    found: str


class DecisionView(View):
    """What one person decided (``approved`` or ``rejected``), and the role they had."""

    actor: str
    role: str
    decision: str
    comment: str
    at: str


class PromotionView(View):
    """A request to have a version stand under an alias, and what became of it.

    ``version`` is wanted, ``target`` is the alias it is to have, ``before`` the version that stood there; ``author`` made it, ``actor`` asks; ``needs`` people must
    approve; ``can_decide`` says whether you may, and ``why_not`` why you may not; ``restores`` is the request a rollback went back to.
    """

    id: str
    kind: str
    name: str
    version: str
    content: str
    target: str
    state: Stage
    author: str
    actor: str
    comment: str
    evidence: list[FindingView]
    needs: int
    decisions: list[DecisionView]
    before: str | None
    restores: str | None
    at: str
    decided_at: str | None
    notebook: str | None
    cell_id: str | None
    can_decide: bool
    why_not: str | None

    @classmethod
    def of(cls, ws: Workspace, found: Promotion, actor: str) -> "PromotionView":
        """Read a request, as ``actor`` sees it."""
        reason = promotions.barred(ws, found, actor)
        return cls(
            **{name: getattr(found, name) for name in _SAME}, state=found.state,
            evidence=[FindingView(**vars(finding)) for finding in found.evidence],
            needs=promotions.needed(ws, found), restores=found.policy.get("restores"),
            decisions=[DecisionView(**{**vars(item), "at": clock.iso(item.at)}) for item in found.decisions],
            at=clock.iso(found.at), decided_at=None if found.decided_at is None else clock.iso(found.decided_at),
            can_decide=reason is None, why_not=reason,
        )  # fmt: skip

    def text(self) -> str:
        """What is asked, by whom, on what evidence, and who decided."""
        lines = [self._asked(), f"  {self._stands()}"]
        if self.comment:
            lines.append(f"  “{self.comment}”")
        lines.append(f"  content   {self.content[:12]}{f', made by {self.author}' if self.author else ''}")
        lines += [
            f"  evidence  {'✓' if item.ok else '✗'} {item.check}: {item.found}" for item in self.evidence
        ]
        lines += [f"  {said}" for said in self._decided()]
        if self.state is Stage.WAITING:
            see = f"snapml approve {self.id}   or   snapml reject {self.id} --comment …"
            lines.append(f"  {see if self.can_decide else self.why_not}")
        return "\n".join(lines)

    def html(self) -> str:
        """The same, the evidence as a table."""
        rows = [["✓" if item.ok else "✗", item.check, item.found] for item in self.evidence]
        parts = [f"<h4>{escape(self._asked())}</h4><div>{escape(self._stands())}</div>"]
        if self.comment:
            parts.append(f"<div>“{escape(self.comment)}”</div>")
        if rows:
            parts.append(html_table(["", "evidence", "found"], rows))
        parts += [f"<div>{escape(said)}</div>" for said in self._decided()]
        if self.state is Stage.WAITING and self.why_not:
            parts.append(f"<div class=dim>{escape(self.why_not)}</div>")
        parts.append(f"<div class=dim>{escape(self.id)}, content {escape(self.content[:12])}</div>")
        return framed(*parts)

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        return [
            self.id[-6:], f"{self.kind}:{self.name}@{self.version}", self.target, self.before or "", self._state(),
            self.actor, ", ".join(f"{item.actor} {item.decision}" for item in self.decisions), self.at[:19],
            self.comment[:60],
        ]  # fmt: skip

    def _asked(self) -> str:
        verb = "goes back to" if self.restores else "is to be" if self.state is Stage.WAITING else "as"
        what = f"{self.kind}:{self.name}@{self.version}"
        return (
            f"{self.target} of {self.kind}:{self.name} {verb} {self.version}"
            if self.restores
            else f"{what} {verb} {self.target}"
        )

    def _stands(self) -> str:
        before = f"before: {self.before}" if self.before else "nothing stood there before"
        return f"{self._state()}, asked for by {self.actor} at {self.at[:19]}; {before}"

    def _state(self) -> str:
        approved = sum(item.decision == "approved" for item in self.decisions)
        return f"waiting ({approved} of {self.needs})" if self.state is Stage.WAITING else str(self.state)

    def _decided(self) -> list[str]:
        return [
            f"{item.decision} by {item.actor} ({item.role}) at {item.at[:19]}"
            + (f": {item.comment}" if item.comment else "")
            for item in self.decisions
        ]


_SAME = (
    "id", "kind", "name", "version", "content", "target", "author", "actor", "comment", "before", "notebook", "cell_id",
)  # fmt: skip


class ApprovalList(View):
    """Requests, newest first."""

    promotions: list[PromotionView]

    def text(self) -> str:
        """A table."""
        rows = [item.row() for item in self.promotions]
        return (
            text_table(_HEADER, rows) if rows else "Nothing was asked for. Ask: snapml promote NAME@VERSION"
        )

    def html(self) -> str:
        """A table."""
        rows = [item.row() for item in self.promotions]
        return framed(html_table(_HEADER, rows)) if rows else super().html()


_HEADER = ["id", "what", "as", "before", "state", "by", "decisions", "at", "comment"]


@command("promote", effect=Effect.WRITE)
def promote(
    ws: Workspace, what: What, *, to: Target = "champion", comment: Comment = "", call: Call
) -> PromotionView:
    """Ask for a version to stand under an alias such as champion; applied at once where nobody has to approve.

    Args:
        what: NAME@VERSION of a model, or KIND:NAME@VERSION: model, dataset or deployment.
        to: the alias it is to have.
        comment: why.
    """
    origin = provenance.complete(ws, call.origin)
    made = promotions.request(ws, what, target=to, comment=comment, actor=call.actor, origin=origin)
    return PromotionView.of(ws, made, call.actor)


@command("approve", effect=Effect.APPROVE)
def approve(ws: Workspace, request: RequestId, *, comment: Comment = "", call: Call) -> PromotionView:
    """Approve a request; with as many approvals as its policy asks for, the alias moves.

    Args:
        request: its id, or the end of it.
        comment: why.
    """
    decided = promotions.decide(ws, request, approve=True, comment=comment, actor=call.actor)
    return PromotionView.of(ws, decided, call.actor)


@command("reject", effect=Effect.APPROVE)
def reject(ws: Workspace, request: RequestId, *, comment: Comment = "", call: Call) -> PromotionView:
    """Reject a request: one word ends it; it can be asked for anew.

    Args:
        request: its id, or the end of it.
        comment: why.
    """
    decided = promotions.decide(ws, request, approve=False, comment=comment, actor=call.actor)
    return PromotionView.of(ws, decided, call.actor)


@command("approvals list", effect=Effect.READ)
def list_approvals(
    ws: Workspace, *, of: Thing | None = None, state: Stage | None = None, limit: Limit = 50, call: Call
) -> ApprovalList:
    """List requests, newest first: who asked for what, who decided, and what stood there before.

    Args:
        of: of one thing alone.
        state: only those that are so.
        limit: how many at most.
    """
    found = promotions.latest(ws.ledger, of=of, state=state, limit=limit)
    return ApprovalList(promotions=[PromotionView.of(ws, item, call.actor) for item in found])


@command("approvals show", effect=Effect.READ)
def show(ws: Workspace, request: RequestId, *, call: Call) -> PromotionView:
    """Show a request: its evidence, who decided, and whether you may.

    Args:
        request: its id, or the end of it.
    """
    return PromotionView.of(ws, promotions.get(ws.ledger, request), call.actor)


@command("approvals withdraw", effect=Effect.WRITE)
def withdraw(ws: Workspace, request: RequestId, *, call: Call) -> PromotionView:
    """Take back a request that waits: your own, or as an admin any.

    Args:
        request: its id, or the end of it.
    """
    return PromotionView.of(ws, promotions.withdraw(ws, request, actor=call.actor), call.actor)


@command("approvals rollback", effect=Effect.APPROVE)
def rollback(
    ws: Workspace, what: Thing, *, to: Target = "champion", comment: Comment = "", call: Call
) -> PromotionView:
    """Have an alias stand again for what it stood for before, at once; asked again, for what was before that.

    Args:
        what: NAME of a model, or KIND:NAME.
        to: the alias.
        comment: why.
    """
    origin = provenance.complete(ws, call.origin)
    made = promotions.rollback(ws, what, target=to, comment=comment, actor=call.actor, origin=origin)
    return PromotionView.of(ws, made, call.actor)
