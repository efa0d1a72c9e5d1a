"""Several people on one real Jupyter server and its gateway: what each may do, and that every try is on record."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from integration.conftest import Server, stop_jobs
from integration.test_surfaces import CASES
from snapml_lab.commands.core import Surface, commands
from snapml_lab.governance import keys
from snapml_lab.governance.roles import Effect, Role, account
from snapml_lab.jobs import queue
from snapml_lab.registry import versions
from snapml_lab.workspace import Workspace

PEOPLE = """
from jupyter_server.auth import IdentityProvider, User
class Named(IdentityProvider):
    people = {"token ann": "ann", "token ben": "ben", "token vic": "vic", "token boss": "boss", "token who": "new comer"}
    def get_user(self, handler):
        name = self.people.get(handler.request.headers.get("Authorization", ""))
        return User(username=name) if name else None
    def is_token_authenticated(self, handler):
        return True
c.ServerApp.identity_provider_class = Named
"""
CHANGING = sorted(
    name
    for name, item in commands().items()
    if item.effect is not Effect.READ and Surface.REST in item.surfaces
)


@pytest.fixture
def team(learnt: Path, serve: Any) -> tuple[Workspace, Server]:
    """A server with named people: boss is an admin, ann a developer, ben an approver, vic a viewer."""
    server = serve(learnt, config=PEOPLE)
    for name, role in (("boss", "admin"), ("ann", "developer"), ("ben", "approver"), ("vic", "viewer")):
        assert server.ask("roles set", {"name": name, "role": role}, token="boss").ok
    return Workspace(learnt / ".snapml"), server


def tries(ws: Workspace, actor: str) -> list[tuple[str, str, str, str]]:
    rows = ws.ledger.rows("SELECT * FROM audit WHERE actor = ? ORDER BY seq", actor)
    return [(row["surface"], row["role"], row["command"], row["outcome"]) for row in rows]


def test_an_author_asks_an_approver_decides_and_all_is_on_record(team: tuple[Workspace, Server]):
    ws, server = team
    search = {"data": "flowers.csv", "target": "target", "time": 1, "name": "anns"}
    queue.wait(ws, queue.get(ws, server.ask("automl", search, token="ann").json()["id"]), timeout=120)
    made = versions.find(ws.ledger, "anns")
    assert made.actor == "ann"
    policy = {"what": "model", "need": ["score", "interval", "intact", "audit"]}
    assert server.ask("policies set", policy, token="boss").ok

    asked = server.ask("promote", {"what": "anns@1", "comment": "mine is good"}, token="ann").json()
    assert (asked["state"], asked["author"], asked["actor"], asked["needs"]) == ("waiting", "ann", "ann", 1)
    assert [item["ok"] for item in asked["evidence"]] == [True] * 4
    own = {"request": asked["id"], "comment": "I say so"}
    assert server.ask("approve", own, token="ann").status_code == 403
    assert server.ask("roles set", {"name": "ann", "role": "approver"}, token="boss").ok
    refused = server.ask("approve", own, token="ann")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert "their own" in refused.json()["message"]
    assert server.ask("approve", own, token="vic").status_code == 403
    shown = server.ask("approvals show", {"request": asked["id"]}, token="ann").json()
    assert (shown["can_decide"], shown["state"], shown["decisions"]) == (False, "waiting", [])

    done = server.ask("approve", {"request": asked["id"], "comment": "looked at it"}, token="ben").json()
    assert (done["state"], done["decisions"][0]["actor"]) == ("applied", "ben")
    assert server.ask("models show", {"model": "anns@champion"}, token="vic").json()["version"] == 1
    assert tries(ws, "ben") == [
        ("rest", "approver", "approve", "begun"),
        ("rest", "approver", "approve", "done"),
    ]
    assert [row for row in tries(ws, "ann") if row[2] == "approve"] == [
        ("rest", "developer", "approve", "not_allowed"), ("rest", "approver", "approve", "begun"), ("rest", "approver", "approve", "not_allowed"),
    ]  # fmt: skip
    assert server.ask("audit verify", token="vic").ok


MAKING = """
import snapml_lab as snap
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True, as_frame=True)
snap.models.add(LogisticRegression(max_iter=300).fit(X, y), name="inside", example=X)
"""


def test_a_kernel_knows_who_started_it_so_what_is_made_in_it_has_its_author(team: tuple[Workspace, Server]):
    ws, server = team
    assert _in_a_kernel_of(server, "ann", MAKING) == ""
    assert versions.find(ws.ledger, "inside").actor == "ann"
    asked = server.ask("promote", {"what": "inside@1"}, token="ben").json()
    assert asked["author"] == "ann"
    assert server.ask("roles set", {"name": "ann", "role": "approver"}, token="boss").ok
    refused = server.ask("approve", {"request": asked["id"]}, token="ann")
    assert (refused.status_code, "their own" in refused.json()["message"]) == (403, True)
    assert "NotAllowedError" in _in_a_kernel_of(server, "vic", MAKING)


def _in_a_kernel_of(server: Server, who: str, code: str) -> str:
    """Start a kernel as a person through the server, run code in it, and return what it raised."""
    url, head = server.url("api/kernels"), {"Authorization": f"token {who}"}
    kernel = requests.post(url, headers=head, json={"name": "python3"}, timeout=60).json()["id"]
    try:
        with server.kernel(kernel) as client:
            content = client.execute_interactive(code, timeout=120, output_hook=lambda _: None)["content"]
        return "" if content["status"] == "ok" else str(content["ename"])
    finally:
        requests.delete(f"{url}/{kernel}", headers=head, timeout=60)


@pytest.mark.parametrize("who", ["vic", "who"])
def test_a_viewer_can_change_nothing_by_rest_and_each_try_is_on_record(
    team: tuple[Workspace, Server], who: str
):
    ws, server = team
    before = _state(ws)
    wanted = []
    for name in CHANGING:
        for body in (CASES[name], {}, {"call": {"actor": "boss"}}, {"actor": "boss"}):
            answer = server.ask(name, body, token=who)
            assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), (
                name,
                body,
                answer.text,
            )
            wanted.append(("rest", "viewer", name, "not_allowed"))
    assert tries(ws, "vic" if who == "vic" else "new comer") == wanted
    assert _state(ws) == before
    assert queue.latest(ws, limit=5)[0].actor != who
    assert server.ask("audit verify", token=who).ok


def _state(ws: Workspace) -> dict[str, Any]:
    """All that a viewer might change: every table but the audit, every file of the catalog and of the project."""
    tables = [row["name"] for row in ws.ledger.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    kept = {
        name: [tuple(row) for row in ws.ledger.rows(f"SELECT * FROM {name}")]
        for name in tables
        if name != "audit"
    }
    files = {path: path.read_bytes() for path in (ws.root / "catalog").glob("*.json")}
    return {**kept, **files, "project": sorted(path.name for path in ws.project.iterdir())}


@pytest.fixture
def front(team: tuple[Workspace, Server]) -> Iterator[tuple[Workspace, Server, str]]:
    """The team with the model deployed behind a gateway."""
    ws, server = team
    asked = server.ask("promote", {"what": "flowers-target@1"}, token="ann").json()
    assert server.ask("approve", {"request": asked["id"]}, token="ben").ok
    answer = server.ask("deploy", {"model": "flowers-target@champion", "name": "flowers"}, token="ann")
    assert answer.ok, answer.text
    assert answer.json()["model"] == "flowers-target@1"
    yield ws, server, answer.json()["url"]
    stop_jobs(ws.project)


def test_a_viewers_key_lists_models_and_asks_none_and_each_try_is_on_record(
    front: tuple[Workspace, Server, str],
):
    ws, server, url = front
    for who in ("vic", "ann", "ben"):
        assert server.ask("keys create", {"name": "theirs"}, token=who).status_code == 403
    looking, asking = (
        server.ask("keys create", {"name": f"a {role}'s", "role": role}, token="boss").json()
        for role in ("viewer", "developer")
    )
    assert (looking["role"], looking["actor"]) == ("viewer", "boss")

    def call(key: dict[str, Any], method: str, path: str, body: Any = None) -> requests.Response:
        head = {"Authorization": f"Bearer {key['secret']}"}
        return requests.request(method, f"{url}{path}", headers=head, json=body, timeout=60)

    for key in (looking, asking):
        assert [item["id"] for item in call(key, "GET", "/v1/models").json()["data"]] == ["flowers"]
        described = call(key, "GET", "/v2/models/flowers")
        assert described.ok
    rows = [
        {"name": item["name"], "shape": [1], "datatype": item["datatype"], "data": [1.0]}
        for item in described.json()["inputs"]
    ]
    infer = ("POST", "/v2/models/flowers/infer", {"inputs": rows})
    served = ws.ledger.rows("SELECT * FROM requests")
    assert call(asking, *infer).ok
    assert len(ws.ledger.rows("SELECT * FROM requests")) == len(served) + 1

    refused = call(looking, *infer)
    assert refused.status_code == 403
    assert "viewer" in refused.json()["error"]
    for path in ("/v1/chat/completions", "/v1/completions"):
        answer = call(looking, "POST", path, {"model": "flowers", "messages": [], "prompt": "a"})
        assert answer.status_code == 403
        error = answer.json()["error"]
        assert (error["code"], error["type"], error["param"]) == (
            "insufficient_permissions",
            "invalid_request_error",
            None,
        )
    assert call(looking, "DELETE", "/v1/models").status_code == 403
    assert len(ws.ledger.rows("SELECT * FROM requests")) == len(served) + 1
    assert tries(ws, "key a viewer's") == [
        ("gateway", "viewer", path, "not_allowed")
        for path in ("/v2/models/flowers/infer", "/v1/chat/completions", "/v1/completions", "/v1/models")
    ]
    assert tries(ws, "key a developer's") == []
    told = json.loads(ws.ledger.rows("SELECT arguments FROM audit WHERE surface = 'gateway'")[0]["arguments"])
    assert told == {"key": looking["id"], "made by": "boss"}
    assert server.ask("audit verify", token="vic").ok


def test_the_first_role_and_the_last_are_guarded_against_mistakes(learnt: Path, serve: Any):
    ws = Workspace(learnt / ".snapml")
    server = serve(learnt, config=PEOPLE)
    assert server.ask("roles show", token="ann").json()["role"] == "admin"
    lockout = server.ask("roles set", {"name": "ben", "role": "approver"}, token="ann")
    assert (lockout.status_code, lockout.json()["code"]) == (409, "conflict")
    assert server.ask("roles set", {"name": "ann", "role": "admin"}, token="ann").ok
    assert server.ask("roles show", token="ben").json()["role"] == "viewer"
    last = server.ask("roles remove", {"name": "ann"}, token="ann")
    assert last.status_code == 409
    assert server.ask("roles remove", {"name": "ann", "last": True}, token="ann").json()["role"] == "admin"
    assert ws.catalog.keys("roles") == []


NOBODY = """
from jupyter_server.auth import IdentityProvider, User
class Odd(IdentityProvider):
    names = {"token empty": "", "token space": " ann", "token control": "ann\\n", "token half": "a\\ud800", "token long": "x" * 200}
    def get_user(self, handler):
        name = self.names.get(handler.request.headers.get("Authorization", ""))
        return None if name is None else User(username=name or "?", name="?") if name else Unnamed("?")
    def is_token_authenticated(self, handler):
        return True
class Unnamed(User):
    def __post_init__(self):
        self.username = ""
c.ServerApp.identity_provider_class = Odd
"""


def test_a_name_that_is_none_is_nobody(serve: Any, project: Path):
    server = serve(project, config=NOBODY)
    for token in ("empty", "space", "control", "half", "long"):
        answer = server.ask("status", token=token)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), token


TOKENS = """
from jupyter_server.auth import IdentityProvider, User
class Tokens(IdentityProvider):
    async def get_user_token(self, handler):
        name = handler.request.headers.get("Authorization", "").removeprefix("token ")
        return User(username=name) if name in ("ann", "vic") else None
c.ServerApp.identity_provider_class = Tokens
"""


def test_a_provider_that_names_people_by_their_tokens_alone_is_real(serve: Any, project: Path):
    server = serve(project, config=TOKENS)
    Workspace(project / ".snapml").catalog.add("roles", "ann", {"role": "developer"})
    assert server.ask("roles show", token="ann").json()["name"] == "ann"
    assert server.ask("queue pause", token="vic").status_code == 403


def test_jupyters_own_token_is_the_accounts(serve: Any, project: Path):
    server = serve(project)
    Workspace(project / ".snapml").catalog.add("roles", "ann", {"role": "developer"})
    shown = server.ask("roles show").json()
    assert (shown["name"], shown["role"]) == (account(), "admin")


DENY = """
from jupyter_server.auth import Authorizer
class Deny(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return resource != "snapml" or action == "read"
c.ServerApp.authorizer_class = Deny
"""


def test_what_the_servers_own_authorizer_denies_is_on_record_too(serve: Any, project: Path):
    server = serve(project, config=DENY)
    assert server.ask("queue pause").status_code == 403
    assert tries(Workspace(project / ".snapml"), account()) == [
        ("rest", "admin", "queue pause", "not_allowed")
    ]


def test_a_key_allows_no_more_than_who_makes_it(ws: Workspace):
    ws.catalog.add("roles", "dev", {"role": "developer"})
    assert keys.create(ws, "theirs", role=Role.VIEWER, actor="dev")[0].role is Role.VIEWER
    with pytest.raises(Exception, match="more than dev"):
        keys.create(ws, "theirs", role=Role.APPROVER, actor="dev")
    assert len(keys.every(ws)) == 1
