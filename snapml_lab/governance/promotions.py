"""The gate: a request to have a version stand under an alias, who decided on it, and what came of it.

Everything that decides is read again inside the transaction that applies it: the content, the evidence, the policy, the
roles of who approved. What was checked and what is promoted cannot come apart.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from snapml_lab import clock, ids
from snapml_lab.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from snapml_lab.governance import evidence, policies, subjects
from snapml_lab.governance.evidence import Finding
from snapml_lab.governance.policies import Policy
from snapml_lab.governance.roles import Effect, Role, may, role_of, same
from snapml_lab.governance.subjects import Subject
from snapml_lab.registry import aliases
from snapml_lab.store.ledger import Ledger, bump
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace


class Stage(StrEnum):
    """Where a promotion is."""

    WAITING = "waiting"
    """Somebody must decide."""
    APPLIED = "applied"
    """The alias was moved."""
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    """Another one moved the same alias meanwhile."""


@dataclass(frozen=True)
class Decision:
    """What one person decided, and the role they had."""

    actor: str
    role: str
    decision: str
    comment: str
    at: float


@dataclass(frozen=True)
class Promotion:
    """A request and what became of it.

    Attributes:
        content: SHA-256 of what is to be promoted.
        target: the alias it is to have.
        author: who made it; "" where that is not known.
        actor: who asked.
        policy: as it was when it was asked for; ``restores`` names the promotion a rollback goes back to.
        evidence: what the policy's checks found when they were last run.
        before: the version that stood there until it was applied; None where none did.
        at: when it was asked for, ``decided_at`` when it ended, in seconds since the epoch.
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
    policy: dict[str, Any]
    evidence: list[Finding]
    before: str | None
    at: float
    decided_at: float | None
    notebook: str | None
    cell_id: str | None
    decisions: tuple[Decision, ...] = ()

    @property
    def reference(self) -> str:
        """``kind:name@version``."""
        return f"{self.kind}:{self.name}@{self.version}"


def request(ws: Workspace, what: str, *, target: str, comment: str, actor: str, origin: Origin) -> Promotion:
    """Ask for a version to stand under ``target``; where nobody has to approve, it does at once.

    Raises:
        NotFoundError: what is named is not there.
        InvalidInputError: it cannot be promoted, or ``target`` cannot be an alias.
        ConflictError: the policy's evidence is missing, it stands there already, or the same is asked for already.
    """
    aliases.check(target)
    subject = subjects.find(ws, what)
    subjects.keep(ws, subject)
    policy = policies.applying(ws, subject.kind, subject.name, target)
    slow = evidence.gather(ws, subject, policy.needs, slow=True)
    with ws.ledger.write() as connection:
        _unmoved(ws, subject, policy, target)
        _refuse_again(ws, subject, target)
        found = _ordered(policy, [*slow, *evidence.gather(ws, subject, policy.needs, slow=False)])
        _complain(subject, found)
        made = _insert(
            connection, subject, target, actor, comment, _kept(policy), found,
            aliases.version(ws.ledger, subject.kind, subject.name, target), origin,
        )  # fmt: skip
        if policy.approvers == 0:
            _apply(ws, connection, made)
    return get(ws.ledger, made)


def decide(ws: Workspace, reference: str, *, approve: bool, comment: str, actor: str) -> Promotion:
    """Approve a request or reject it; with enough approvals it is applied in the same step.

    Raises:
        NotFoundError: there is no such request.
        NotAllowedError: this person may not decide on it.
        ConflictError: it was decided on already, what it is about has changed, or the policy is not met any more.
    """
    asked = get(ws.ledger, reference)
    policy = policies.applying(ws, asked.kind, asked.name, asked.target)
    slow: list[Finding] = []
    if approve and asked.state is Stage.WAITING and barred(ws, asked, actor) is None:
        slow = evidence.gather(ws, _same_content(ws, asked), policy.needs, slow=True)
    with ws.ledger.write() as connection:
        asked = get(ws.ledger, asked.id)
        _open(asked)
        if (reason := barred(ws, asked, actor)) is not None:
            raise NotAllowedError(reason, fix=_instead(asked, actor))
        now = clock.now()
        if approve:
            subject = _same_content(ws, asked)
            _unmoved(ws, subject, policy, asked.target)
            found = _ordered(policy, [*slow, *evidence.gather(ws, subject, policy.needs, slow=False)])
            _complain(subject, found)
            connection.execute("UPDATE promotions SET evidence = ? WHERE id = ?", (_written(found), asked.id))
        connection.execute(
            "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?)",
            (asked.id, actor, role_of(ws, actor), "approved" if approve else "rejected", comment, now),
        )
        revision = bump(connection)
        connection.execute("UPDATE promotions SET revision = ? WHERE id = ?", (revision, asked.id))
        if not approve:
            _close(connection, asked.id, Stage.REJECTED)
        elif len(_counted(ws, get(ws.ledger, asked.id), policy)) >= policy.approvers:
            _apply(ws, connection, asked.id)
    return get(ws.ledger, asked.id)


def withdraw(ws: Workspace, reference: str, *, actor: str) -> Promotion:
    """Take a request back: who asked may, and an admin.

    Raises:
        NotFoundError: there is no such request.
        NotAllowedError: it is another person's.
        ConflictError: it was decided on already.
    """
    with ws.ledger.write() as connection:
        asked = get(ws.ledger, reference)
        _open(asked)
        if actor != asked.actor and role_of(ws, actor) is not Role.ADMIN:
            raise NotAllowedError(
                f"{asked.id} is {asked.actor}'s request.", fix=f"Reject it: snapml reject {asked.id}"
            )
        _close(connection, asked.id, Stage.WITHDRAWN)
    return get(ws.ledger, asked.id)


def rollback(ws: Workspace, what: str, *, target: str, comment: str, actor: str, origin: Origin) -> Promotion:
    """Have ``target`` stand again for what stood there before; asked again, for what stood before that.

    The gate let it through then, so nobody is asked anew: an approver may do it alone, even with their own, for it is
    what one does when something is wrong. What the policy would find is recorded with it.

    Raises:
        InvalidInputError: a version is named: which one it goes back to is on record.
        NotFoundError: nothing stands there.
        ConflictError: nothing stood there before, or it is not what it was.
    """
    kind, name, version = subjects.split(what)
    if version is not None:
        raise InvalidInputError.of(
            "what", what, f"{kind}:{name} without a version: it goes back to what stood before"
        )
    with ws.ledger.write() as connection:
        now_there = next((row for row in aliases.of(ws.ledger, kind, name) if row["alias"] == target), None)
        if now_there is None:
            raise NotFoundError(
                f"Nothing of {kind}:{name} stands as {target}.", fix="See: snapml approvals list"
            )
        earlier = _before(ws.ledger, now_there["promotion"])
        if earlier is None:
            raise ConflictError(
                f"Nothing stood as {target} before {name}@{now_there['version']}.",
                fix=f"Promote another version: snapml promote {kind}:{name}@VERSION --to {target}",
            )
        subject = _same_content(ws, earlier)
        policy = policies.applying(ws, kind, name, target)
        found = evidence.gather(ws, subject, policy.needs, slow=False)
        made = _insert(
            connection, subject, target, actor, comment, {**_kept(policy), "restores": earlier.id}, found,
            now_there["version"], origin,
        )  # fmt: skip
        _apply(ws, connection, made)
    return get(ws.ledger, made)


def barred(ws: Workspace, asked: Promotion, actor: str) -> str | None:
    """Return why ``actor`` may not decide on a request now; None where they may."""
    if asked.state is not Stage.WAITING:
        return f"It is {asked.state}."
    role = role_of(ws, actor)
    if not may(role, Effect.APPROVE):
        return f"The role {role} may not approve."
    if any(same(decision.actor, actor) for decision in asked.decisions):
        return f"{actor} has decided on it already."
    policy = policies.applying(ws, asked.kind, asked.name, asked.target)
    if not policy.own and (own := _own(asked, actor)):
        return f"{actor} {own}, and may not approve their own."
    return None


def needed(ws: Workspace, asked: Promotion) -> int:
    """Return how many must approve: as the policy says now while it waits, as it said where it is over."""
    if asked.state is not Stage.WAITING:
        return int(asked.policy.get("approvers", 0))
    return policies.applying(ws, asked.kind, asked.name, asked.target).approvers


def get(ledger: Ledger, reference: str) -> Promotion:
    """Return a promotion by its id or the end of its id.

    Raises:
        NotFoundError: none matches.
        InvalidInputError: the end of an id fits several.
    """
    found = ledger.rows("SELECT * FROM promotions WHERE id = ?", reference.lower())
    if not found and len(reference) >= 4 and reference.isalnum():
        found = ledger.rows("SELECT * FROM promotions WHERE id LIKE ? LIMIT 2", f"%{reference.lower()}")
        if len(found) > 1:
            raise InvalidInputError.of("id", reference, "the end of one request's id", "Give more of the id.")
    if not found:
        raise NotFoundError(f"There is no request {reference!r}.", fix="See them: snapml approvals list")
    return _with_decisions(ledger, found)[0]


def latest(ledger: Ledger, *, of: str | None, state: Stage | None, limit: int) -> list[Promotion]:
    """Return requests, newest first: all, or of one thing (``NAME``, ``KIND:NAME``, either with ``@VERSION``), or in one state."""
    where, values = ["1"], []
    if of is not None:
        kind, _, name = of.rpartition(":")
        name, _, version = name.partition("@")
        if version:
            where.append("version = ?")
            values.append(version)
        where.append("kind = ?" if kind else f"kind IN ({', '.join('?' * len(subjects.KINDS))})")
        values += [kind] if kind else list(subjects.KINDS)
        where.append("name = ?")
        values.append(name)
    if state is not None:
        where.append("state = ?")
        values.append(state)
    return _with_decisions(
        ledger,
        ledger.rows(
            f"SELECT * FROM promotions WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?", *values, limit
        ),
    )


def _refuse_again(ws: Workspace, subject: Subject, target: str) -> None:
    row = ws.ledger.row(
        "SELECT id FROM promotions WHERE kind = ? AND name = ? AND version = ? AND target = ? AND state = 'waiting'",
        subject.kind, subject.name, subject.version, target,
    )  # fmt: skip
    if row is not None:
        raise ConflictError(
            f"{subject.reference} waits to be {target} already: {row['id']}.",
            fix=f"See it: snapml approvals show {row['id']}",
        )
    standing = next(
        (row for row in aliases.of(ws.ledger, subject.kind, subject.name) if row["alias"] == target), None
    )
    if standing is not None and standing["version"] == subject.version:
        stands = ws.ledger.row("SELECT content FROM promotions WHERE id = ?", standing["promotion"])
        if stands is None or stands["content"] == subject.content:
            raise ConflictError(f"{subject.reference} is {target} already.", fix="There is nothing to do.")


def _same_content(ws: Workspace, asked: Promotion) -> Subject:
    """Return what a request is about, if it still is what it was.

    Raises:
        ConflictError: it has changed, or is gone.
    """
    try:
        subject = subjects.resolve(ws, asked.kind, asked.name, asked.version)
    except (NotFoundError, InvalidInputError) as error:
        raise ConflictError(
            f"{asked.reference} is not there any more.", fix="Ask for another version."
        ) from error
    if subject.content != asked.content:
        raise ConflictError(
            f"{asked.reference} is not what it was when {asked.id} was made: its content has changed.",
            fix=f"Reject it, and ask anew: snapml reject {asked.id}",
        )
    return subject


def _unmoved(ws: Workspace, subject: Subject, policy: Policy, target: str) -> None:
    """Refuse to go on where what was looked at before the transaction has changed since."""
    now = subjects.resolve(ws, subject.kind, subject.name, subject.version)
    if now.content != subject.content or policies.applying(ws, subject.kind, subject.name, target) != policy:
        raise ConflictError(
            f"{subject.reference} or the policy for it changed at this very moment.", fix="Try again."
        )


def _complain(subject: Subject, found: Sequence[Finding]) -> None:
    """Raise where evidence is missing."""
    missing = [finding for finding in found if not finding.ok]
    if missing:
        told = "; ".join(f"{finding.check}: {finding.found}" for finding in missing)
        raise ConflictError(
            f"{subject.reference} lacks evidence the policy asks for: {told}.",
            fix="Bring it on record and ask again; what is asked: snapml policies list",
        )


def _open(asked: Promotion) -> None:
    if asked.state is not Stage.WAITING:
        raise ConflictError(
            f"{asked.id} is {asked.state}: nothing is left to decide.",
            fix=f"Ask anew: snapml promote {asked.reference} --to {asked.target}",
        )


def _own(asked: Promotion, actor: str) -> str | None:
    """Return in words why a request is a person's own; None where it is not."""
    if asked.author and same(asked.author, actor):
        return f"made {asked.name}@{asked.version}"
    return "asked for it" if same(asked.actor, actor) else None


def _instead(asked: Promotion, actor: str) -> str:
    if same(asked.actor, actor) and asked.state is Stage.WAITING:
        return f"Ask another approver; or take it back: snapml approvals withdraw {asked.id}"
    return "Ask an approver who neither made it nor asked for it."


def _counted(ws: Workspace, asked: Promotion, policy: Policy) -> list[Decision]:
    """Return the approvals that count: of people who may approve now, and, where the policy says so, not their own."""
    return [
        decision
        for decision in asked.decisions
        if decision.decision == "approved"
        and may(role_of(ws, decision.actor), Effect.APPROVE)
        and (policy.own or not _own(asked, decision.actor))
    ]


def _insert(
    connection: sqlite3.Connection, subject: Subject, target: str, actor: str, comment: str, policy: dict[str, Any],
    found: Sequence[Finding], before: str | None, origin: Origin,
) -> str:  # fmt: skip
    values = {
        "id": ids.new(), "kind": subject.kind, "name": subject.name, "version": subject.version,
        "content": subject.content, "target": target, "state": Stage.WAITING, "author": subject.author, "actor": actor,
        "comment": comment, "policy": json.dumps(policy), "evidence": _written(found), "before": before,
        "at": clock.now(), "notebook": origin.notebook, "cell_id": origin.cell_id, "revision": bump(connection),
    }  # fmt: skip
    connection.execute(
        f"INSERT INTO promotions ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
        tuple(values.values()),
    )
    return str(values["id"])


def _apply(ws: Workspace, connection: sqlite3.Connection, promotion: str) -> None:
    """Move the alias, note what stood there, and end the other requests for it, which were made before this."""
    asked = get(ws.ledger, promotion)
    standing = next(
        (row for row in aliases.of(ws.ledger, asked.kind, asked.name) if row["alias"] == asked.target), None
    )
    policy = {**asked.policy, "after": standing["promotion"] if standing else None}
    connection.execute(
        "UPDATE promotions SET before = ?, policy = ? WHERE id = ?",
        (standing["version"] if standing else None, json.dumps(policy), promotion),
    )
    aliases.move(
        connection,
        asked.kind,
        asked.name,
        asked.target,
        version=asked.version,
        promotion=promotion,
        at=clock.now(),
    )
    _close(connection, promotion, Stage.APPLIED)
    connection.execute(
        "UPDATE promotions SET state = ?, decided_at = ?, revision = ? WHERE kind = ? AND name = ? AND target = ?"
        " AND state = 'waiting'",
        (Stage.SUPERSEDED, clock.now(), bump(connection), asked.kind, asked.name, asked.target),
    )


def _close(connection: sqlite3.Connection, promotion: str, state: Stage) -> None:
    connection.execute(
        "UPDATE promotions SET state = ?, decided_at = ?, revision = ? WHERE id = ?",
        (state, clock.now(), bump(connection), promotion),
    )


def _before(ledger: Ledger, promotion: str) -> Promotion | None:
    """Return the promotion whose version stood there before the one that stands now, or was restored to."""
    row = ledger.row("SELECT policy FROM promotions WHERE id = ?", promotion)
    policy = json.loads(row["policy"]) if row else {}
    if restored := policy.get("restores"):
        return _before(ledger, restored)
    rows = ledger.rows("SELECT * FROM promotions WHERE id = ?", policy.get("after"))
    found = _with_decisions(ledger, rows)
    if found and (restored := found[0].policy.get("restores")):
        return get(ledger, restored)
    return found[0] if found else None


def _kept(policy: Policy) -> dict[str, Any]:
    return {
        "key": policy.key,
        **{name: getattr(policy, name) for name in ("needs", "approvers", "own", "declared")},
    }


def _ordered(policy: Policy, found: Sequence[Finding]) -> list[Finding]:
    return sorted(found, key=lambda finding: policy.needs.index(finding.check))


def _written(found: Sequence[Finding]) -> str:
    return json.dumps([asdict(finding) for finding in found])


def _with_decisions(ledger: Ledger, rows: Sequence[sqlite3.Row]) -> list[Promotion]:
    decisions: dict[str, list[Decision]] = {row["id"]: [] for row in rows}
    for start in range(0, len(rows), 500):
        some = [row["id"] for row in rows[start : start + 500]]
        for row in ledger.rows(
            f"SELECT * FROM decisions WHERE promotion IN ({', '.join('?' * len(some))}) ORDER BY at", *some
        ):
            decisions[row["promotion"]].append(
                Decision(row["actor"], row["role"], row["decision"], row["comment"], row["at"])
            )
    return [
        Promotion(
            **{
                name: row[name]
                for name in Promotion.__dataclass_fields__
                if name not in ("state", "policy", "evidence", "decisions")
            },
            state=Stage(row["state"]), policy=json.loads(row["policy"]), decisions=tuple(decisions[row["id"]]),
            evidence=[Finding(**finding) for finding in json.loads(row["evidence"])],
        )
        for row in rows
    ]  # fmt: skip
