"""The gate under anything that people may do in any order: no alias moves but as the policy and the roles say."""

import os
import random
from typing import Any

import pytest
from test_gate import ask, register

from snapml_lab.errors import SnapmlError
from snapml_lab.governance import promotions, subjects, verification
from snapml_lab.governance.promotions import Stage
from snapml_lab.governance.roles import Effect, Role, account, may, role_of, same
from snapml_lab.registry import aliases
from snapml_lab.workspace import Workspace

PEOPLE = ["ann", "ben", "cat", "dan"]
ANYBODY = [*PEOPLE, None, "Ben", "nobody"]
STEPS = 250


class Gate:
    """People with roles that change, versions, policies that change, and requests in every state."""

    def __init__(self, ws: Workspace, chance: random.Random) -> None:
        self.ws, self.chance = ws, chance
        for name, role in (("ann", "developer"), ("ben", "approver"), ("cat", "approver"), ("dan", "admin")):
            ask(ws, "roles set", name=name, role=role)
            register(ws, actor=name)
        self.moved: list[str] = []

    def do(self, command: str, actor: str | None, /, **arguments: Any) -> None:
        """Ask; what is refused moves nothing, and what moves something might."""
        before = self.standing()
        try:
            done = ask(self.ws, command, actor, **arguments)
        except SnapmlError:
            assert self.standing() == before
            return
        if self.standing() != before:
            self.moved.append(done.id)
            self.check(done, actor or account())

    def standing(self) -> str | None:
        row = next(iter(aliases.of(self.ws.ledger, "model", "flowers")), None)
        return None if row is None else str(row["promotion"])

    def check(self, done: Any, actor: str) -> None:
        """Say that the move just made was one that may be made."""
        policy = self.ws.catalog.find("policies", "model") or {"approvers": 1, "own": False}
        assert (done.state, self.standing()) == (Stage.APPLIED, done.id)
        assert done.content == subjects.resolve(self.ws, "model", "flowers", done.version).content
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
            item.actor.lower()
            for item in done.decisions
            if item.decision == "approved"
            and may(role_of(self.ws, item.actor), Effect.APPROVE)
            and (policy["own"] or not any(same(item.actor, other) for other in (done.author, done.actor)))
        }
        assert len(able) >= policy["approvers"]
        assert not [item for item in done.decisions if item.decision == "rejected"]

    def step(self) -> None:
        pick = self.chance.choice
        word = self.chance.choices(
            [
                "promote",
                "approve",
                "reject",
                "approvals withdraw",
                "approvals rollback",
                "roles",
                "policies",
                "content",
            ],
            [30, 50, 3, 3, 4, 5, 4, 3],
        )[0]
        match word:
            case "promote":
                self.do(word, pick(PEOPLE), what=f"flowers@{pick([1, 2, 3, 4])}")
            case "approve" | "reject" | "approvals withdraw":
                found = promotions.latest(self.ws.ledger, of=None, state=None, limit=2)
                if found:
                    self.do(word, pick(ANYBODY), request=pick(found).id)
            case "approvals rollback":
                self.do(word, pick(ANYBODY), what="flowers")
            case "roles":
                self.assign(pick(PEOPLE), pick([Role.DEVELOPER, Role.APPROVER]), pick([None, None, *PEOPLE]))
            case "policies":
                self.do(
                    "policies set",
                    None,
                    what="model",
                    approvers=pick([0, 1, 1, 2, 2, 3]),
                    own=pick([True, False, False]),
                )
            case "content":
                with self.ws.ledger.write() as connection:
                    values = (os.urandom(32).hex(), pick([1, 2, 3, 4]))
                    connection.execute("UPDATE model_versions SET blob = ? WHERE version = ?", values)

    def assign(self, name: str, role: Role, by: str | None) -> None:
        before, able = self.ws.catalog.all("roles"), role_of(self.ws, by or account())
        self.do("roles set", by, name=name, role=role)
        assert able is Role.ADMIN or self.ws.catalog.all("roles") == before

    def look(self) -> None:
        """Each request ended once; what stands is the last that was applied."""
        found = promotions.latest(self.ws.ledger, of=None, state=None, limit=10_000)
        assert {item.id for item in found if item.state is Stage.APPLIED} == set(self.moved)
        assert self.standing() == (self.moved[-1] if self.moved else None)
        assert all((item.decided_at is None) == (item.state is Stage.WAITING) for item in found)
        waiting = [item for item in found if item.state is Stage.WAITING]
        assert len(waiting) == len({item.version for item in waiting})
        assert all(item.id > self.moved[-1] or item.at >= self._moved_at() for item in waiting if self.moved)

    def _moved_at(self) -> float:
        moved = promotions.get(self.ws.ledger, self.moved[-1]).decided_at
        assert moved is not None
        return moved


@pytest.mark.parametrize("seed", range(5))
def test_whatever_people_do_no_alias_moves_but_as_it_may(ws: Workspace, seed: int):
    gate = Gate(ws, random.Random(seed))
    ws.catalog.add("roles", "Ben", {"role": "approver"})
    for _ in range(STEPS):
        gate.step()
        gate.look()
    assert len(gate.moved) > 5, "too little came of it to say anything"
    assert verification.verify(ws).ok
