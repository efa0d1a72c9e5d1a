"""The one door: what comes is checked, who comes is authorised, and what was tried is on record."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from snapml_lab.commands.core import Call, Surface, commands
from snapml_lab.commands.dispatch import dispatch, validated
from snapml_lab.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    SnapmlError,
    UnknownCommandError,
)
from snapml_lab.governance.roles import Effect, Role, account, authorise, role_of
from snapml_lab.jobs.model import State
from snapml_lab.workspace import Workspace

ALLOWED = {
    Role.VIEWER: {Effect.READ},
    Role.DEVELOPER: {Effect.READ, Effect.WRITE, Effect.EXECUTE},
    Role.APPROVER: {Effect.READ, Effect.WRITE, Effect.EXECUTE, Effect.APPROVE},
    Role.ADMIN: set(Effect),
}


def ask(ws: Workspace, name: str, actor: str | None = None, /, **arguments: Any) -> Any:
    return dispatch(ws, name, arguments, Call(Surface.CLI, actor or account()))


def audit(ws: Workspace) -> list[sqlite3.Row]:
    return ws.ledger.rows("SELECT * FROM audit ORDER BY seq")


def roles(ws: Workspace, **declared: str) -> None:
    for person, role in declared.items():
        ws.catalog.add("roles", person, {"role": role})


@pytest.fixture
def table(project: Path) -> str:
    (project / "small.csv").write_text("a,b\n1,2\n3,4\n")
    return "small.csv"


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("jobs show", {}, "jobs show: job is missing."),
        ("jobs list", {"limt": 3}, "jobs list: it has no parameter 'limt'."),
        ("jobs list", {"limit": "many"}, "limit: got 'many', expected a valid integer"),
        ("jobs list", {"limit": 0}, "limit: got 0, expected greater than or equal to 1"),
        ("jobs list", {"limit": 10_001}, "limit: got 10001, expected less than or equal to 10000"),
        ("jobs list", {"limit": None}, "limit: got None"),
        ("jobs list", {"state": "asleep"}, "state: got 'asleep', expected 'queued', 'starting'"),
        ("jobs show", {"job": ""}, "job: got '', expected"),
        ("jobs show", {"job": 7}, "job: got 7, expected a valid string"),
        ("jobs cancel", {"job": "last", "grace": -1}, "grace: got -1, expected greater than or equal to 0"),
        ("jobs cancel", {"job": "last", "grace": "nan"}, "grace: got 'nan', expected"),
        ("automl", {"data": "a", "target": "b", "time": float("inf")}, "time: got inf, expected"),
        ("runs compare", {"run": "last"}, "run: got 'last', expected a valid list"),
        ("runs compare", {"run": ["a", 2]}, "run: got 2, expected a valid string"),
        ("runs compare", {"run": []}, "run: got []"),
        ("status", {"ws": "elsewhere"}, "status: it has no parameter 'ws'."),
        ("status", {"call": "me"}, "status: it has no parameter 'call'."),
    ],
)
def test_a_bad_argument_is_refused_by_name_with_a_fix(
    ws: Workspace, name: str, arguments: dict[str, Any], said: str
):
    with pytest.raises(InvalidInputError) as refusal:
        ask(ws, name, **arguments)
    assert said in refusal.value.message
    assert refusal.value.fix
    assert audit(ws) == []


def test_a_parameter_nearly_right_is_offered(ws: Workspace):
    with pytest.raises(InvalidInputError, match="Did you mean 'limit'"):
        ask(ws, "jobs list", limt=3)


def test_a_parameter_like_none_is_answered_with_those_there_are(ws: Workspace):
    with pytest.raises(InvalidInputError, match="It takes: limit, state"):
        ask(ws, "jobs list", zzz=3)


def test_a_value_too_long_to_read_is_cut_in_the_message(ws: Workspace):
    with pytest.raises(InvalidInputError) as refusal:
        ask(ws, "jobs list", limit="9x" * 5000)
    assert len(refusal.value.message) < 300


def test_values_arrive_as_the_command_declares_them():
    values = validated(commands()["jobs list"], {"limit": "5", "state": "running"})
    assert values == {"limit": 5, "state": State.RUNNING}
    assert isinstance(values["state"], State)


def test_what_is_not_given_has_its_default():
    assert validated(commands()["jobs logs"], {"job": "a"}) == {"job": "a", "offset": 0, "limit": 1 << 20}


def test_a_command_that_does_not_exist_is_answered_with_one_that_does(ws: Workspace):
    with pytest.raises(UnknownCommandError, match="'jobs list'"):
        ask(ws, "jobs lst")


def test_a_command_is_refused_on_a_surface_it_does_not_declare(ws: Workspace):
    with pytest.raises(UnknownCommandError, match="cannot be asked through rest"):
        dispatch(ws, "jobs follow", {"job": "last"}, Call(Surface.REST))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("effect", list(Effect))
def test_a_role_may_do_what_it_may_and_nothing_else(role: Role, effect: Effect):
    if effect in ALLOWED[role]:
        authorise(role, effect, "it")
    else:
        with pytest.raises(NotAllowedError, match=f"needs {effect}"):
            authorise(role, effect, "it")


def test_where_no_role_is_declared_whoever_comes_is_the_owner(ws: Workspace):
    assert role_of(ws, "anybody") is Role.ADMIN


def test_where_roles_are_declared_a_person_without_one_is_a_viewer(ws: Workspace):
    roles(ws, ann="developer")
    assert (role_of(ws, "ann"), role_of(ws, "bob")) == (Role.DEVELOPER, Role.VIEWER)


def test_the_account_that_owns_the_workspace_cannot_be_locked_out(ws: Workspace):
    roles(ws, ann="admin", **{account(): "viewer"})
    assert role_of(ws, account()) is Role.ADMIN


def test_a_role_there_is_not_is_refused_and_its_file_named(ws: Workspace):
    roles(ws, ann="boss")
    with pytest.raises(InvalidInputError, match="role of ann: got 'boss'") as refusal:
        ask(ws, "jobs list", "ann")
    assert "roles.json" in refusal.value.fix


def test_a_viewer_may_look_and_leaves_no_row(ws: Workspace):
    roles(ws, ann="viewer")
    assert ask(ws, "jobs list", "ann").jobs == []
    assert ask(ws, "status", "ann").role == "viewer"
    assert audit(ws) == []


def test_a_viewer_who_changes_something_is_refused_on_record_and_nothing_is_changed(
    ws: Workspace, table: str
):
    ask(ws, "data add", data=table)
    roles(ws, ann="viewer")
    before = {path: path.read_bytes() for path in (ws.root / "catalog").iterdir()}
    rows = len(audit(ws))
    with pytest.raises(NotAllowedError) as refusal:
        ask(ws, "data remove", "ann", name="small")
    assert "developer, approver, admin" in refusal.value.fix
    [row] = audit(ws)[rows:]
    assert (row["actor"], row["role"], row["command"], row["outcome"]) == (
        "ann",
        "viewer",
        "data remove",
        "not_allowed",
    )
    assert {path: path.read_bytes() for path in (ws.root / "catalog").iterdir()} == before


def test_a_viewer_starts_no_job(ws: Workspace, table: str):
    roles(ws, ann="viewer")
    with pytest.raises(NotAllowedError):
        ask(ws, "automl", "ann", data=table, target="b")
    assert ask(ws, "jobs list").total == 0


def test_a_change_is_on_record_before_and_after(ws: Workspace, table: str):
    ask(ws, "data add", data=table, name="numbers")
    begun, done = audit(ws)
    assert (begun["outcome"], begun["of"]) == ("begun", None)
    assert (done["outcome"], done["of"]) == ("done", begun["seq"])
    assert (begun["actor"], begun["role"], begun["surface"], begun["command"]) == (
        account(),
        "admin",
        "cli",
        "data add",
    )
    assert json.loads(begun["arguments"]) == {"data": "small.csv", "name": "numbers"}
    assert done["at"] >= begun["at"]


def test_a_change_that_fails_is_on_record_with_its_code(ws: Workspace):
    with pytest.raises(NotFoundError):
        ask(ws, "data remove", name="none")
    assert [row["outcome"] for row in audit(ws)] == ["begun", "not_found"]


def test_a_fault_of_ours_is_on_record_as_one_and_goes_on(
    ws: Workspace, table: str, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(ws.catalog), "change", broken)
    with pytest.raises(ZeroDivisionError):
        ask(ws, "data add", data=table)
    assert [row["outcome"] for row in audit(ws)] == ["begun", "fault"]


def test_reading_leaves_no_row_even_when_it_fails(ws: Workspace):
    with pytest.raises(NotFoundError):
        ask(ws, "jobs show", job="none")
    assert audit(ws) == []


def test_a_table_on_record_is_named_and_not_written_out(ws: Workspace):
    import pandas as pd

    frame = pd.DataFrame({"secret": [1, 2]})
    dispatch(ws, "data add", {"data": frame, "name": "mine"}, Call(Surface.PYTHON))
    assert json.loads(audit(ws)[0]["arguments"]) == {"data": "<DataFrame>", "name": "mine"}


def test_a_long_argument_is_cut_on_record(ws: Workspace):
    with pytest.raises(SnapmlError):
        ask(ws, "data remove", name="x" * 5000)
    assert len(audit(ws)[0]["arguments"]) < 600


def test_the_list_of_the_audit_is_newest_first_and_says_how_each_ended(ws: Workspace, table: str):
    ask(ws, "data add", data=table)
    with pytest.raises(NotFoundError):
        ask(ws, "data remove", name="none")
    shown = ask(ws, "audit list")
    assert [row.outcome for row in shown.rows] == ["not_found", "begun", "done", "begun"]
    assert len(ask(ws, "audit list", limit=1).rows) == 1


def test_errors_of_the_family_keep_their_kind_through_the_door(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, table: str
):
    def taken(*_: object) -> None:
        raise ConflictError("taken")

    monkeypatch.setattr(type(ws.catalog), "change", taken)
    with pytest.raises(ConflictError):
        ask(ws, "data add", data=table)
    assert audit(ws)[-1]["outcome"] == "conflict"
