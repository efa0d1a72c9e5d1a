"""What a key's scopes are typed as, how long it is good, what it spent of its limit, and the budgets an endpoint counts in."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from snapml_lab import clock
from snapml_lab.commands.core import Call, Surface
from snapml_lab.commands.dispatch import dispatch
from snapml_lab.costs import budgets, lines
from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.governance import keys
from snapml_lab.governance.roles import account
from snapml_lab.registry import deployments
from snapml_lab.serving import rollout
from snapml_lab.workspace import Workspace

DAY = 86_400.0


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / ".snapml")


def ask(ws: Workspace, command: str, /, **arguments: Any) -> Any:
    return dispatch(ws, command, arguments, Call(Surface.REST, account()))


@pytest.mark.parametrize(
    ("given", "read"),
    [("chat*", ["chat*"]), ("my-model, story ,", ["my-model", "story"]), (["a,b", "a"], ["a", "b"])],
)
def test_scopes_are_names_and_patterns(ws: Workspace, given: Any, read: list[str]):
    made = ask(ws, "keys create", name="shop", models=given, routes="/v1/*")
    assert (made.models, made.routes) == (read, ["/v1/*"])
    [key] = keys.every(ws)
    assert key.opens(read[0].replace("*", "-large"), "/v1/chat/completions")
    assert not key.opens("other", "/v1/chat/completions")
    assert not key.opens(read[0], "/v2/models")


@pytest.mark.parametrize("given", ["", " , ", "x" * 201, "a\nb", [1], 5])
def test_what_is_no_scope_is_refused_by_the_field_s_name(ws: Workspace, given: Any):
    with pytest.raises(InvalidInputError, match=r"^models: got .*at most 200|^models: got .*separated by"):
        ask(ws, "keys create", name="shop", models=given)
    assert keys.every(ws) == []


def test_fallbacks_are_deployments_by_any_name(ws: Workspace):
    for name in ("story", "my-backup.2"):
        deployments.declare(ws, deployments.single(name, "m@1", "transformers", "chat", "inner"))
    assert ask(ws, "endpoints set", name="story", fallback="my-backup.2").fallbacks == ["my-backup.2"]


def test_a_key_is_good_for_years_and_no_longer_than_ten(ws: Workspace):
    ask(ws, "keys create", name="shop", expires="365d")
    [key] = keys.every(ws)
    assert key.terms.expires_at == pytest.approx(clock.now() + 365 * DAY, abs=60)
    with pytest.raises(InvalidInputError, match="expires"):
        ask(ws, "keys create", name="shop", expires="3661d")


def test_rotated_without_overlap_the_old_key_ends_at_once(ws: Workspace):
    _, old = keys.create(ws, "shop")
    made = ask(ws, "keys rotate", key="shop", overlap="0s")
    assert keys.find(ws, old) is None
    assert keys.find(ws, made.secret) is not None


def test_a_key_with_a_limit_tells_what_of_it_is_used_and_one_without_does_not(ws: Workspace):
    free, _ = keys.create(ws, "free")
    asked, _ = keys.create(ws, "asked", terms=keys.Terms(limit_pico=1000))
    keys.create(ws, "new", terms=keys.Terms(limit_pico=1000))
    with ws.ledger.write() as connection:
        connection.executemany(
            "INSERT INTO budget_spent (budget, start, spent_pico, reserved_pico) VALUES (?, 0, ?, ?)",
            [
                (budgets.OF_KEY + asked.id, 300, 20),
                ("keystone", 7, 7),
                (budgets.OF_KEY + free.id, 9, 9),
            ],
        )
    told = {key.name: (key.spent_pico, key.reserved_pico) for key in ask(ws, "keys list").keys}
    assert told == {"free": (None, None), "asked": ("300", "20"), "new": ("0", "0")}


def test_an_endpoint_counts_in_the_budgets_of_all_of_its_own_and_of_its_models(ws: Workspace):
    deployments.declare(ws, deployments.single("story", "story@1", "transformers", "chat", "inner"))
    trial = deployments.Target("r2", "tuned@4", "transformers", "inner")
    deployments.change(ws, "story", lambda course: rollout.with_canary(course, trial, 10))
    for name, scope in {
        "all": {}, "own": {"model": "story"}, "trial": {"model": "tuned@4"}, "other": {"model": "other"},
        "key": {"key": "story"}, "notebook": {"notebook": "story"},
    }.items():  # fmt: skip
        budgets.declare(ws, name, Decimal(1), "month", scope)
    found = ask(ws, "budgets list", deployment="story").budgets
    assert [(line.name, line.kind, line.subject) for line in found] == [
        ("all", "", ""), ("own", "model", "story"), ("trial", "model", "tuned@4"),
    ]  # fmt: skip
    assert len(ask(ws, "budgets list").budgets) == 6
    with pytest.raises(NotFoundError):
        ask(ws, "budgets list", deployment="nobody")


@pytest.mark.parametrize(
    ("period", "end"),
    [("day", "2028-03-01"), ("week", "2028-03-06"), ("month", "2028-03-01"), ("total", None)],
)
def test_a_period_ends_where_the_next_begins(period: str, end: str | None):
    leap = 1_835_438_400.0 + 5000  # 2028-02-29
    found = lines.end(period, leap)
    assert (None if found is None else clock.iso(found)[:10]) == end
    if found is not None:
        assert lines.start(period, found) == found
        assert lines.start(period, found - 1) == lines.start(period, leap)
