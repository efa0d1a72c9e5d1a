"""The gate under anything that people may do in any order: no alias moves but as the policy and the roles say."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from test_gate import ask, register

from snapml_lab.errors import SnapmlError
from snapml_lab.governance import audit, promotions, verification
from snapml_lab.governance.promotions import Stage
from snapml_lab.governance.roles import Effect, Role, account, may, role_of, same
from snapml_lab.registry import aliases
from snapml_lab.workspace import Workspace

PEOPLE = ["ann", "ben", "cat", "dan"]
person = st.sampled_from(PEOPLE)
number = st.integers(0, 3)


class Gate(RuleBasedStateMachine):
    """People with roles that change, versions, policies that change, and requests in every state."""

    @initialize(roles=st.lists(st.sampled_from(list(Role)), min_size=4, max_size=4))
    def begin(self, roles: list[Role]) -> None:
        self.folder = tempfile.mkdtemp(prefix="snapml-gate-")
        os.environ["SNAPML_AUDIT_HEADS"] = f"{self.folder}/heads"
        self.ws = Workspace(Path(self.folder) / ".snapml")
        for name, role in zip(PEOPLE, roles, strict=True):
            ask(self.ws, "roles set", name=name, role=role)
        register(self.ws, actor="ann")
        self.moved: list[str] = []

    def do(self, name: str, actor: str | None, /, **arguments: Any) -> Any:
        """Ask; what is refused changes nothing, which the invariants see."""
        before = self.standing()
        try:
            done = ask(self.ws, name, actor, **arguments)
        except SnapmlError:
            assert self.standing() == before
            return None
        if self.standing() != before:
            self.moved.append(done.id)
            self.check(done, actor or account())
        return done

    def standing(self) -> str | None:
        row = next(iter(aliases.of(self.ws.ledger, "model", "flowers")), None)
        return None if row is None else str(row["promotion"])

    def check(self, done: Any, actor: str) -> None:
        """Say that the move just made was one that may be made."""
        policy = self.ws.catalog.find("policies", "model") or {"approvers": 1, "own": False}
        assert done.state == Stage.APPLIED
        assert self.standing() == done.id
        if done.restores:
            assert may(role_of(self.ws, actor), Effect.APPROVE)
            earlier = promotions.get(self.ws.ledger, done.restores)
            assert (earlier.state, earlier.version, earlier.content) == (
                Stage.APPLIED,
                done.version,
                done.content,
            )
            return
        able = {
            item.actor
            for item in done.decisions
            if item.decision == "approved"
            and may(role_of(self.ws, item.actor), Effect.APPROVE)
            and (policy["own"] or not any(same(item.actor, other) for other in (done.author, done.actor)))
        }
        assert len(able) >= policy["approvers"]
        assert not [item for item in done.decisions if item.decision == "rejected"]

    @rule(actor=person)
    def make(self, actor: str) -> None:
        register(self.ws, actor=actor)

    @rule(actor=person, version=st.integers(1, 4))
    def promote(self, actor: str, version: int) -> None:
        self.do("promote", actor, what=f"flowers@{version}")

    @rule(actor=st.one_of(person, st.none(), st.sampled_from(["Ann", "nobody"])), which=number)
    def approve(self, actor: str | None, which: int) -> None:
        self.decide("approve", actor, which)

    @rule(actor=person, which=number)
    def reject(self, actor: str, which: int) -> None:
        self.decide("reject", actor, which)

    @rule(actor=person, which=number)
    def withdraw(self, actor: str, which: int) -> None:
        self.decide("approvals withdraw", actor, which)

    def decide(self, word: str, actor: str | None, which: int) -> None:
        found = promotions.latest(self.ws.ledger, of=None, state=None, limit=4)
        if which < len(found):
            self.do(word, actor, request=found[which].id)

    @rule(actor=st.one_of(person, st.none()))
    def rollback(self, actor: str | None) -> None:
        self.do("approvals rollback", actor, what="flowers")

    @rule(name=person, role=st.sampled_from(list(Role)), by=st.one_of(person, st.none()))
    def assign(self, name: str, role: Role, by: str | None) -> None:
        before, able = self.ws.catalog.all("roles"), role_of(self.ws, by or account())
        self.do("roles set", by, name=name, role=role)
        assert able is Role.ADMIN or self.ws.catalog.all("roles") == before

    @rule(approvers=st.integers(0, 3), own=st.booleans())
    def policy(self, approvers: int, *, own: bool) -> None:
        self.do("policies set", None, what="model", approvers=approvers, own=own)

    @rule(version=st.integers(1, 4))
    def meddle(self, version: int) -> None:
        with self.ws.ledger.write() as connection:
            connection.execute(
                "UPDATE model_versions SET blob = ? WHERE version = ?", (os.urandom(32).hex(), version)
            )

    @invariant()
    def one_word_is_one_word(self) -> None:
        """Each ended request ended once; what stands is the last that was applied."""
        if not hasattr(self, "ws"):
            return
        found = promotions.latest(self.ws.ledger, of=None, state=None, limit=1000)
        applied = [item for item in found if item.state is Stage.APPLIED]
        assert {item.id for item in applied} == set(self.moved)
        assert self.standing() == (self.moved[-1] if self.moved else None)
        assert all((item.decided_at is None) == (item.state is Stage.WAITING) for item in found)
        waiting = [item.version for item in found if item.state is Stage.WAITING]
        assert len(waiting) == len(set(waiting))

    def teardown(self) -> None:
        if hasattr(self, "ws"):
            audit.begin(self.ws, actor="a", role="b", surface="c", command="d", arguments={})
            assert verification.verify(self.ws).ok
            self.ws.ledger.close()
            with contextlib.suppress(OSError):
                shutil.rmtree(self.folder)


TestGate = Gate.TestCase
TestGate.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
