"""Roles: who has which, by what name, and the ways they cannot be had."""

import os
import pwd
from typing import Any

import pytest

from snapml_lab.commands.core import Call, Surface
from snapml_lab.commands.dispatch import dispatch
from snapml_lab.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from snapml_lab.governance import keys
from snapml_lab.governance.roles import Role, account, role_of, same
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Work
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace


def ask(ws: Workspace, name: str, actor: str | None = None, /, **arguments: Any) -> Any:
    return dispatch(ws, name, arguments, Call(Surface.REST, actor or account()))


def test_the_account_is_the_systems_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "ben")
    assert account() == pwd.getpwuid(os.getuid()).pw_name


def test_what_i_am_and_where_that_is_known_from(ws: Workspace):
    assert "one account's" in ask(ws, "roles show", "ann").source
    ask(ws, "roles set", name="ann", role="developer")
    shown = ask(ws, "roles show", "ann")
    assert (shown.role, shown.source, shown.allows) == (
        "developer",
        "declared in the catalog",
        ["read", "write", "execute"],
    )
    assert ask(ws, "roles show", "ann", name="zoe").source == "no role is declared for this name"
    assert ask(ws, "roles show").source == "the account that owns the workspace"


def test_roles_are_listed_set_and_taken_away(ws: Workspace):
    assert ask(ws, "roles list").open
    ask(ws, "roles set", name="ann", role="developer")
    ask(ws, "roles set", name="ben", role="viewer")
    ask(ws, "roles set", name="ben", role="approver")
    assert [(item.name, item.role) for item in ask(ws, "roles list").roles] == [
        (account(), "admin"), ("ann", "developer"), ("ben", "approver"),
    ]  # fmt: skip
    assert ask(ws, "roles remove", name="ben").role == "viewer"
    with pytest.raises(NotFoundError):
        ask(ws, "roles remove", name="ben")
    with pytest.raises(ConflictError, match="whoever comes is an admin"):
        ask(ws, "roles remove", name="ann")


@pytest.mark.parametrize("actor", ["dev", "app", "vic", "nobody"])
@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("roles set", {"name": "dev", "role": "admin"}), ("roles remove", {"name": "vic"}), ("policies set", {"what": "model", "approvers": 0}),
        ("policies remove", {"what": "model"}), ("keys create", {"name": "a"}), ("keys revoke", {"key": "a"}), ("audit adopt", {}),
    ],
)  # fmt: skip
def test_only_an_admin_changes_who_may_do_what(
    ws: Workspace, actor: str, command: str, arguments: dict[str, Any]
):
    for name, role in (("dev", "developer"), ("app", "approver"), ("vic", "viewer")):
        ask(ws, "roles set", name=name, role=role)
    before = {path: path.read_bytes() for path in (ws.root / "catalog").iterdir()}
    with pytest.raises(NotAllowedError):
        ask(ws, command, actor, **arguments)
    assert {path: path.read_bytes() for path in (ws.root / "catalog").iterdir()} == before
    assert keys.every(ws) == []


@pytest.mark.parametrize("name", ["", " ann", "ann ", "a\nb", "a\u200bb", "a\0b", "x" * 101, "a\u202eb"])
def test_what_is_no_name_gets_no_role(ws: Workspace, name: str):
    with pytest.raises(InvalidInputError):
        ask(ws, "roles set", name=name, role="admin")


@pytest.mark.parametrize("other", ["Ann", "ANN", "ａnn", "аnn", "an n"])
def test_a_name_that_reads_like_one_that_has_a_role_gets_none(ws: Workspace, other: str):
    ask(ws, "roles set", name="ann", role="approver")
    with pytest.raises(ConflictError, match="ann"):
        ask(ws, "roles set", name=other, role="approver")
    assert role_of(ws, other) is Role.VIEWER


def test_a_name_that_reads_like_the_owners_gets_none(ws: Workspace):
    with pytest.raises(ConflictError):
        ask(ws, "roles set", name=account().upper(), role="viewer")


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("ann", "Ann", True), ("é", "e\u0301", True), ("straße", "STRASSE", True), ("ﬁn", "fin", True), ("ann", "anna", False),
        ("", "\u200b", True), ("bob", "вов", True), ("李", "李", True), ("李", "王", False),
    ],
)  # fmt: skip
def test_names_are_one_persons_where_they_read_alike(one: str, other: str, *, alike: bool):
    assert same(one, other) is alike
    assert same(other, one) is alike


def test_a_job_acts_as_whose_job_it_is(ws: Workspace, monkeypatch: pytest.MonkeyPatch):
    for name, role in (("ann", "developer"), ("vic", "viewer")):
        ask(ws, "roles set", name=name, role=role)
    job = queue.submit(ws, Work("command", "a", ["true"]), actor="ann", origin=Origin())
    monkeypatch.setenv("SNAPML_JOB_ID", job.id)
    assert ask(ws, "roles show").name == "ann"
    with pytest.raises(NotAllowedError):
        ask(ws, "roles set", name="ann", role="admin")
    monkeypatch.setenv("SNAPML_JOB_ID", "unknown")
    assert ask(ws, "roles show").name == account()


def test_a_key_whose_role_is_none_may_only_look(ws: Workspace):
    _, text = keys.create(ws, "a")
    with ws.ledger.write() as connection:
        connection.execute("UPDATE api_keys SET role = 'boss'")
    found = keys.find(ws, text)
    assert found is not None
    assert found.role is Role.VIEWER
