"""The gate: who may have a version stand under an alias, on which evidence, and what is kept of it."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from snapml_lab import clock
from snapml_lab.commands.core import Call, Surface
from snapml_lab.commands.dispatch import dispatch
from snapml_lab.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from snapml_lab.governance import policies, promotions, roles
from snapml_lab.governance.evidence import CHECKS, gather
from snapml_lab.governance.promotions import Stage
from snapml_lab.governance.roles import Role, account
from snapml_lab.governance.subjects import KINDS
from snapml_lab.registry import aliases, deployments, versions
from snapml_lab.tracking import record
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

EVIDENCE = {"metric": "roc_auc", "score": 0.93, "low": 0.9, "high": 0.95}


def ask(ws: Workspace, name: str, actor: str | None = None, /, **arguments: Any) -> Any:
    return dispatch(ws, name, arguments, Call(Surface.REST, actor or account()))


def register(
    ws: Workspace, name: str = "flowers", *, actor: str = "ann", evidence: Any = EVIDENCE, **run: Any
) -> str:
    """Make a version with a run of its own; return its reference."""
    blob, size = ws.blobs.put(f"{name} {clock.now()}".encode())
    origin = Origin(
        **{
            "notebook": "a.ipynb",
            "environment": "e",
            "dataset": "d",
            "git_commit": "c0ffee",
            "out_of_order": False,
            **run,
        }
    )
    with ws.ledger.write() as connection:
        number = (
            connection.execute("SELECT count(*) FROM model_versions WHERE name = ?", (name,)).fetchone()[0]
            + 1
        )
        made = f"run{name}{number}"
        record.create(
            connection, made, kind="automl", name=name, job=None, at=1.0, origin=origin, revision=0, actor=actor,
            state="succeeded",
        )  # fmt: skip
        versions.register(
            connection, name=name, run=made, blob=blob, size=size, format="skops", task="binary",
            signature={"target": "y"}, evidence=evidence, at=1.0, actor=actor,
        )  # fmt: skip
    return f"{name}@{number}"


def standing(
    ws: Workspace, name: str = "flowers", alias: str = "champion", kind: str = "model"
) -> str | None:
    return aliases.version(ws.ledger, kind, name, alias)


@pytest.fixture
def people(ws: Workspace) -> Workspace:
    for name, role in {
        "ann": "developer",
        "ben": "approver",
        "cat": "approver",
        "vic": "viewer",
        "pat": "developer",
    }.items():
        roles.declare(ws, name, Role(role), by=account())
    return ws


def test_alone_a_promotion_applies_at_once_and_is_recorded(ws: Workspace):
    register(ws)
    made = ask(ws, "promote", what="flowers@1", comment="the first")
    assert (made.state, made.needs, made.before, made.author, made.actor) == (
        "applied",
        0,
        None,
        "ann",
        account(),
    )
    assert standing(ws) == "1"
    assert ask(ws, "approvals list").promotions == [made]
    register(ws)
    second = ask(ws, "promote", what="flowers")
    assert (second.version, second.before, standing(ws)) == ("2", "1", "2")


def test_an_alias_names_a_version_wherever_one_is_named(ws: Workspace):
    register(ws)
    register(ws)
    ask(ws, "promote", what="flowers@1", to="champion")
    assert versions.find(ws.ledger, "flowers@champion").version == 1
    assert ask(ws, "models show", model="flowers@champion").version == 1
    assert ask(ws, "promote", what="flowers@champion", to="canary").version == "1"
    with pytest.raises(InvalidInputError, match="canary, champion"):
        versions.find(ws.ledger, "flowers@chanpion")


@pytest.mark.parametrize("to", ["3", "latest", "Champion", "a b", "", "x" * 51, "-a", "чемпион"])
def test_what_cannot_be_an_alias_is_refused(ws: Workspace, to: str):
    register(ws)
    with pytest.raises(InvalidInputError):
        ask(ws, "promote", what="flowers@1", to=to)
    assert ask(ws, "approvals list").promotions == []


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("nobody", NotFoundError), ("flowers@7", NotFoundError), ("prompt:greeting", InvalidInputError), ("flowers@", InvalidInputError),
        (":flowers", InvalidInputError), ("model:", InvalidInputError), ("dataset:none", NotFoundError), ("deployment:none", NotFoundError),
    ],
)  # fmt: skip
def test_what_is_not_there_or_cannot_be_promoted_is_refused(ws: Workspace, what: str, error: type[Exception]):
    register(ws)
    with pytest.raises(error):
        ask(ws, "promote", what=what)


def test_with_roles_another_person_must_approve(people: Workspace):
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1", comment="better")
    assert (asked.state, asked.needs, asked.can_decide, standing(people)) == ("waiting", 1, False, None)
    seen = ask(people, "approvals show", "ben", request=asked.id)
    assert (seen.can_decide, seen.why_not) == (True, None)
    done = ask(people, "approve", "ben", request=asked.id, comment="I looked")
    assert (done.state, standing(people)) == ("applied", "1")
    [decision] = done.decisions
    assert (decision.actor, decision.role, decision.decision, decision.comment) == (
        "ben",
        "approver",
        "approved",
        "I looked",
    )


@pytest.mark.parametrize("actor", ["ann", "vic", "pat", "nobody"])
def test_who_is_no_approver_cannot_decide(people: Workspace, actor: str):
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")
    for word in ("approve", "reject"):
        with pytest.raises(NotAllowedError):
            ask(people, word, actor, request=asked.id)
    assert promotions.get(people.ledger, asked.id).state is Stage.WAITING


def test_neither_author_nor_requester_approves_their_own_whatever_their_role(people: Workspace):
    register(people, actor="ben")
    asked = ask(people, "promote", "cat", what="flowers@1")
    for own in ("ben", "cat"):
        with pytest.raises(NotAllowedError, match="their own"):
            ask(people, "approve", own, request=asked.id)
        with pytest.raises(NotAllowedError, match="their own"):
            ask(people, "reject", own, request=asked.id)
    assert ask(people, "approve", account(), request=asked.id).state == "applied"


def test_the_owner_cannot_approve_their_own_where_roles_are_declared(people: Workspace):
    register(people, actor=account())
    asked = ask(people, "promote", what="flowers@1")
    with pytest.raises(NotAllowedError):
        ask(people, "approve", request=asked.id)


@pytest.mark.parametrize("other", ["Ben", "BEN", "ｂｅｎ", "bеn", "be\u200bn", "ben "])
def test_another_spelling_of_a_name_is_the_same_person(people: Workspace, other: str):
    people.catalog.add("roles", other, {"role": "approver"})  # as a file edited by hand would
    register(people, actor="ben")
    asked = ask(people, "promote", "ann", what="flowers@1")
    with pytest.raises(NotAllowedError, match="their own"):
        ask(people, "approve", other, request=asked.id)


def test_one_person_approves_once_in_whatever_spelling(people: Workspace):
    ask(people, "policies set", what="model", approvers=2)
    people.catalog.add("roles", "Ben", {"role": "approver"})
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")
    assert ask(people, "approve", "ben", request=asked.id).state == "waiting"
    for again in ("ben", "Ben"):
        with pytest.raises(NotAllowedError, match="already"):
            ask(people, "approve", again, request=asked.id)
    assert ask(people, "approve", "cat", request=asked.id).state == "applied"


def test_an_approval_of_one_who_may_not_approve_any_more_does_not_count(people: Workspace):
    ask(people, "policies set", what="model", approvers=2)
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")
    ask(people, "approve", "ben", request=asked.id)
    ask(people, "roles set", name="ben", role="developer")
    assert ask(people, "approve", "cat", request=asked.id).state == "waiting"
    assert standing(people) is None
    assert ask(people, "approve", account(), request=asked.id).state == "applied"


def test_a_policy_may_let_people_approve_their_own(people: Workspace):
    ask(people, "policies set", what="model", own=True)
    register(people, actor="ben")
    asked = ask(people, "promote", "ben", what="flowers@1")
    assert ask(people, "approve", "ben", request=asked.id).state == "applied"


def test_a_policy_of_no_approvers_applies_at_once_with_roles_too(people: Workspace):
    ask(people, "policies set", what="model", to="canary", approvers=0, need=["score>=0.9"])
    register(people)
    assert ask(people, "promote", "ann", what="flowers@1", to="canary").state == "applied"
    assert ask(people, "promote", "ann", what="flowers@1").state == "waiting"


def test_the_most_particular_policy_holds(ws: Workspace):
    for number, (name, target) in enumerate(
        [(None, None), (None, "champion"), ("flowers", None), ("flowers", "champion")], 1
    ):
        policies.declare(ws, "model", name, target, needs=[], approvers=number, own=False)
    wanted = {
        ("other", "canary"): 1,
        ("other", "champion"): 2,
        ("flowers", "canary"): 3,
        ("flowers", "champion"): 4,
    }
    assert {key: policies.applying(ws, "model", *key).approvers for key in wanted} == wanted
    assert policies.applying(ws, "dataset", "flowers", "champion").approvers == 0
    policies.remove(ws, "model", "flowers", "champion")
    assert policies.applying(ws, "model", "flowers", "champion").approvers == 3


def test_missing_evidence_is_named_and_nothing_is_written(ws: Workspace):
    ask(ws, "policies set", what="model", need=["score>=0.9", "interval", "note", "evaluation"], approvers=0)
    register(ws, evidence={"metric": "roc_auc", "score": 0.85})
    with pytest.raises(ConflictError) as refusal:
        ask(ws, "promote", what="flowers@1")
    for said in (
        "score>=0.9: score = 0.85",
        "interval: no interval",
        "note: no note",
        "evaluation: no evaluation",
    ):
        assert said in refusal.value.message
    assert ask(ws, "approvals list").promotions == []
    assert standing(ws) is None


def test_the_evidence_found_is_kept_with_the_request(people: Workspace):
    ask(
        people,
        "policies set",
        what="model",
        need=["interval", "roc_auc>0.9", "in_order", "provenance", "committed", "intact", "audit"],
    )
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")
    assert [(item.check, item.ok) for item in asked.evidence] == [
        (name, True)
        for name in ("interval", "roc_auc>0.9", "in_order", "provenance", "committed", "intact", "audit")
    ]
    assert asked.evidence[0].found == "[0.9, 0.95]"
    assert asked.evidence[1].found == "roc_auc = 0.93"


LACKING: dict[str, tuple[dict[str, Any], str]] = {
    "in_order": ({"out_of_order": True}, "out of order"), "provenance": ({"environment": None}, "not known: environment"),
    "committed": ({"git_commit": "c0ffee-dirty"}, "c0ffee-dirty"),
}  # fmt: skip


@pytest.mark.parametrize("check", LACKING)
def test_a_check_of_the_run_says_what_is_lacking(ws: Workspace, check: str):
    run, said = LACKING[check]
    register(ws, **run)
    [finding] = gather(ws, KINDS["model"](ws, "flowers", None), [check])
    assert not finding.ok
    assert said in finding.found


def test_a_file_that_was_changed_is_not_intact(ws: Workspace):
    register(ws)
    subject = KINDS["model"](ws, "flowers", None)
    path = ws.blobs.path(str(subject.blob))
    path.chmod(0o644)
    path.write_bytes(b"something else")
    [finding] = gather(ws, subject, ["intact"])
    assert not finding.ok
    path.unlink()
    assert not gather(ws, subject, ["intact"])[0].ok


def test_an_evaluation_counts_for_the_version_it_was_of(ws: Workspace):
    register(ws)
    register(ws)
    with ws.ledger.write() as connection:
        record.create(
            connection,
            "anevaluation",
            kind="eval",
            name="e",
            job=None,
            at=1.0,
            origin=Origin(),
            revision=0,
            actor="ann",
            state="succeeded",
        )
        record.log_param(connection, "anevaluation", "model", "flowers@1")
        connection.execute(
            "INSERT INTO latest_metrics (run, name, step, value) VALUES ('anevaluation', 'exact_match', 0, 0.75)"
        )
    first, second = (
        gather(ws, KINDS["model"](ws, "flowers", number), ["evaluation", "exact_match>=0.7"])
        for number in "12"
    )
    assert [finding.ok for finding in first] == [True, True]
    assert [finding.ok for finding in second] == [False, False]


@pytest.mark.parametrize("value", [float("nan"), None, "0.99", True])
def test_what_is_no_number_meets_no_bound(ws: Workspace, value: object):
    register(ws, evidence={"score": value})
    assert not gather(ws, KINDS["model"](ws, "flowers", None), ["score>=0"])[0].ok


@pytest.mark.parametrize(
    ("what", "need"),
    [
        ("model", "scores"),
        ("model", "score=>0.9"),
        ("model", "score>=x"),
        ("deployment", "score>=1"),
        ("dataset", "in_order"),
    ],
)
def test_a_check_there_is_not_is_refused(ws: Workspace, what: str, need: str):
    with pytest.raises(InvalidInputError, match="need"):
        ask(ws, "policies set", what=what, need=[need])


@pytest.mark.parametrize("what", ["prompt", "", "model:", "model:a@1", "anything"])
def test_a_policy_of_what_cannot_be_promoted_is_refused(ws: Workspace, what: str):
    with pytest.raises(InvalidInputError):
        ask(ws, "policies set", what=what)


def test_content_that_changed_after_the_request_cannot_be_approved(people: Workspace):
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")
    with people.ledger.write() as connection:
        connection.execute("UPDATE model_versions SET blob = ?", (people.blobs.put(b"other")[0],))
    with pytest.raises(ConflictError, match="content has changed"):
        ask(people, "approve", "ben", request=asked.id)
    assert standing(people) is None
    assert promotions.get(people.ledger, asked.id).decisions == ()
    assert ask(people, "reject", "ben", request=asked.id).state == "rejected"


def test_a_version_that_is_gone_cannot_be_approved(people: Workspace):
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")
    with people.ledger.write() as connection:
        connection.execute("DELETE FROM model_versions")
    with pytest.raises(ConflictError, match="not there any more"):
        ask(people, "approve", "ben", request=asked.id)


def test_a_policy_that_was_made_stricter_meanwhile_holds(people: Workspace):
    register(people, evidence={"score": 0.8})
    asked = ask(people, "promote", "ann", what="flowers@1")
    ask(people, "policies set", what="model:flowers", need=["score>=0.9"])
    with pytest.raises(ConflictError, match=r"score = 0\.8"):
        ask(people, "approve", "ben", request=asked.id)
    ask(people, "policies set", what="model:flowers", need=["score>=0.7"], approvers=2)
    assert ask(people, "approve", "ben", request=asked.id).state == "waiting"
    assert ask(people, "approve", "cat", request=asked.id).state == "applied"


def test_evidence_that_goes_away_between_the_look_and_the_step_is_seen(
    people: Workspace, monkeypatch: pytest.MonkeyPatch
):
    """The slow check runs before the transaction: what it was asked to look at is compared again inside."""
    ask(people, "policies set", what="model", need=["intact"])
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")
    look = CHECKS["intact"].look

    def meddle(ws: Workspace, subject: Any) -> tuple[bool, str]:
        found = look(ws, subject)
        with ws.ledger.write() as connection:
            connection.execute("UPDATE model_versions SET blob = ?", (ws.blobs.put(b"other")[0],))
        return found

    monkeypatch.setitem(
        CHECKS, "intact", type(CHECKS["intact"])(**{**vars(CHECKS["intact"]), "look": meddle})
    )
    with pytest.raises(ConflictError):
        ask(people, "approve", "ben", request=asked.id)
    assert standing(people) is None


def test_rejected_it_can_be_asked_for_again(people: Workspace):
    register(people)
    first = ask(people, "promote", "ann", what="flowers@1")
    assert ask(people, "reject", "ben", request=first.id, comment="not yet").state == "rejected"
    for word in ("approve", "reject"):
        with pytest.raises(ConflictError, match="rejected"):
            ask(people, word, "cat", request=first.id)
    second = ask(people, "promote", "ann", what="flowers@1")
    assert ask(people, "approve", "ben", request=second.id).state == "applied"
    assert [item.state for item in ask(people, "approvals list", of="flowers").promotions] == [
        "applied",
        "rejected",
    ]


def test_the_same_is_not_asked_for_twice(people: Workspace):
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")
    with pytest.raises(ConflictError, match=asked.id):
        ask(people, "promote", "pat", what="flowers@1")
    ask(people, "approve", "ben", request=asked.id)
    with pytest.raises(ConflictError, match="champion already"):
        ask(people, "promote", "ann", what="flowers@1")


def test_who_asked_takes_it_back_and_nobody_else_but_an_admin(people: Workspace):
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")
    for other in ("pat", "ben"):
        with pytest.raises(NotAllowedError, match="ann's request"):
            ask(people, "approvals withdraw", other, request=asked.id)
    assert ask(people, "approvals withdraw", "ann", request=asked.id).state == "withdrawn"
    again = ask(people, "promote", "ann", what="flowers@1")
    assert ask(people, "approvals withdraw", request=again.id).state == "withdrawn"
    with pytest.raises(ConflictError):
        ask(people, "approvals withdraw", "ann", request=again.id)


def test_what_waits_for_an_alias_that_moved_is_superseded(people: Workspace):
    register(people)
    register(people)
    first, second = (ask(people, "promote", "ann", what=f"flowers@{number}") for number in "12")
    other = ask(people, "promote", "ann", what="flowers@1", to="canary")
    ask(people, "approve", "ben", request=second.id)
    assert promotions.get(people.ledger, first.id).state is Stage.SUPERSEDED
    assert promotions.get(people.ledger, other.id).state is Stage.WAITING
    with pytest.raises(ConflictError, match="superseded"):
        ask(people, "approve", "cat", request=first.id)
    assert standing(people) == "2"


def test_a_rollback_goes_back_and_asked_again_further_back(people: Workspace):
    for number in "123":
        register(people)
        asked = ask(people, "promote", "ann", what=f"flowers@{number}")
        ask(people, "approve", "ben", request=asked.id)
    back = ask(people, "approvals rollback", "ben", what="flowers", comment="3 is wrong")
    assert (back.state, back.version, back.before, standing(people)) == ("applied", "2", "3", "2")
    assert back.restores
    assert (ask(people, "approvals rollback", "ben", what="flowers").version, standing(people)) == ("1", "1")
    with pytest.raises(ConflictError, match="before"):
        ask(people, "approvals rollback", "ben", what="flowers")
    register(people)
    ask(people, "approve", "ben", request=ask(people, "promote", "ann", what="flowers@4").id)
    assert ask(people, "approvals rollback", "cat", what="flowers").version == "1"
    assert [item.version for item in ask(people, "approvals list", of="flowers").promotions] == [
        "1",
        "4",
        "1",
        "2",
        "3",
        "2",
        "1",
    ]


def test_a_rollback_is_for_approvers_and_goes_to_what_it_was(people: Workspace):
    for number in "12":
        register(people)
        ask(people, "approve", "ben", request=ask(people, "promote", "ann", what=f"flowers@{number}").id)
    with pytest.raises(NotAllowedError):
        ask(people, "approvals rollback", "ann", what="flowers")
    with pytest.raises(NotFoundError):
        ask(people, "approvals rollback", "ben", what="flowers", to="canary")
    with people.ledger.write() as connection:
        connection.execute("UPDATE model_versions SET task = 'other' WHERE version = 1")
    with pytest.raises(ConflictError, match="content has changed"):
        ask(people, "approvals rollback", "ben", what="flowers")
    assert standing(people) == "2"


def test_a_dataset_is_promoted_by_its_content(people: Workspace, project: Path):
    (project / "small.csv").write_text("a,b\n1,2\n3,4\n")
    ask(people, "data add", "ann", data="small.csv")
    ask(people, "policies set", what="dataset", need=["intact", "rows>=2"])
    asked = ask(people, "promote", "pat", what="dataset:small", to="golden")
    assert (asked.author, asked.version) == ("ann", "1")
    ask(people, "data remove", "ann", name="small")
    (project / "small.csv").write_text("a,b\n1,2\n3,5\n")
    ask(people, "data add", "ann", data="small.csv")
    with pytest.raises(ConflictError, match="content has changed"):
        ask(people, "approve", "ben", request=asked.id)
    ask(people, "reject", "ben", request=asked.id)
    again = ask(people, "promote", "pat", what="dataset:small", to="golden")
    assert ask(people, "approve", "ben", request=again.id).state == "applied"
    assert standing(people, "small", "golden", "dataset") == "1"


def test_a_deployment_is_promoted_as_it_is_declared(people: Workspace):
    register(people)
    blue = deployments.single("flowers", "flowers@1", "predict", "binary", "/somewhere")
    deployments.declare(people, blue)
    ask(people, "policies set", what="deployment", need=["approved"])
    with pytest.raises(ConflictError, match="flowers@1 was not promoted"):
        ask(people, "promote", "ann", what="deployment:flowers", to="production")
    ask(people, "approve", "ben", request=ask(people, "promote", "ann", what="flowers@1").id)
    asked = ask(people, "promote", "ann", what="deployment:flowers", to="production")
    deployments.declare(people, replace(blue, targets=(replace(blue.target, gpus=1),)))
    with pytest.raises(ConflictError, match="not there any more"):
        ask(people, "approve", "ben", request=asked.id)
    deployments.declare(people, blue)
    assert ask(people, "approve", "ben", request=asked.id).state == "applied"
    deployments.declare(people, replace(blue, targets=(replace(blue.target, gpus=1),)))
    ask(
        people,
        "approve",
        "ben",
        request=ask(people, "promote", "ann", what="deployment:flowers", to="production").id,
    )
    assert (
        ask(people, "approvals rollback", "ben", what="deployment:flowers", to="production").version
        == asked.version
    )


def approve_at_once(number: int, root: Path, request: str) -> str:
    try:
        return str(
            ask(Workspace(root), "approve", ("ben", "cat", "dan", "eve")[number], request=request).state
        )
    except (NotAllowedError, ConflictError) as error:
        return error.code


@pytest.mark.parametrize("approvers", [1, 2, 4])
def test_of_several_who_approve_at_once_as_many_as_asked_for_apply_it_once(
    people: Workspace, in_processes: Callable[..., list[str]], approvers: int
):
    for name in ("dan", "eve"):
        roles.declare(people, name, Role.APPROVER, by=account())
    ask(people, "policies set", what="model", approvers=approvers)
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")
    people.ledger.close()
    said = in_processes(4, approve_at_once, people.root, asked.id)
    assert sorted(said) == sorted(
        ["waiting"] * (approvers - 1) + ["applied"] + ["conflict"] * (4 - approvers)
    )
    done = promotions.get(people.ledger, asked.id)
    assert (done.state, len(done.decisions)) == (Stage.APPLIED, approvers)


def test_a_request_is_found_by_the_end_of_its_id(people: Workspace):
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")
    assert ask(people, "approvals show", "vic", request=asked.id[-6:]).id == asked.id
    with pytest.raises(NotFoundError):
        ask(people, "approvals show", request="nothing")


def test_requests_are_listed_by_thing_and_state(people: Workspace):
    register(people)
    register(people, "trees")
    ask(people, "promote", "ann", what="flowers@1")
    ask(people, "promote", "ann", what="trees@1")
    names = [item.name for item in ask(people, "approvals list", of="model:trees").promotions]
    assert names == ["trees"]
    assert len(ask(people, "approvals list", state="waiting").promotions) == 2
    assert ask(people, "approvals list", of="dataset:trees").promotions == []


def test_what_people_write_stays_text(people: Workspace):
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1", comment="<script>alert(1)</script>")
    for shown in (asked, ask(people, "approvals list")):
        assert "<script>" not in shown.html()
        assert "<script>alert(1)" in shown.text()


def test_a_policy_file_with_nonsense_is_refused_by_name(people: Workspace):
    register(people)
    people.catalog.add("policies", "model", {"approvers": "none"})
    with pytest.raises(InvalidInputError, match="policy model") as refusal:
        ask(people, "promote", "ann", what="flowers@1")
    assert "policies.json" in refusal.value.fix


def test_all_is_in_the_audit_the_refused_too(people: Workspace):
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")
    with pytest.raises(NotAllowedError):
        ask(people, "approve", "ann", request=asked.id)
    ask(people, "approve", "ben", request=asked.id)
    rows = [
        (row["actor"], row["command"], row["outcome"])
        for row in people.ledger.rows("SELECT * FROM audit ORDER BY seq")
    ]
    assert rows[-5:] == [
        ("ann", "promote", "begun"), ("ann", "promote", "done"), ("ann", "approve", "not_allowed"),
        ("ben", "approve", "begun"), ("ben", "approve", "done"),
    ]  # fmt: skip


def test_a_crash_between_decision_and_move_leaves_neither(people: Workspace, monkeypatch: pytest.MonkeyPatch):
    register(people)
    asked = ask(people, "promote", "ann", what="flowers@1")

    def broken(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(aliases, "move", broken)
    with pytest.raises(Exception, match="I/O"):
        ask(people, "approve", "ben", request=asked.id)
    monkeypatch.undo()
    found = promotions.get(people.ledger, asked.id)
    assert (found.state, found.decisions, standing(people)) == (Stage.WAITING, (), None)
    assert json.loads(people.ledger.rows("SELECT policy FROM promotions")[0]["policy"])["approvers"] == 1
