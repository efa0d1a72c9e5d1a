"""The REST door on a real server: who may come in, what is refused, and how errors look."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from snapml_lab.commands.core import commands
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import State
from snapml_lab.workspace import Workspace

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
THREE = {"code", "message", "fix"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from integration.conftest import Server, stop_jobs

    root = tmp_path_factory.mktemp("served")
    found = Server(root).start()
    yield found
    found.stop()
    stop_jobs(root)


ROUTES = """
import json
from jupyter_server.serverapp import ServerApp
app = ServerApp()
app.initialize(argv=["--allow-root", "--no-browser", "--port=0", "--ServerApp.open_browser=False"])
def walk(router):
    for rule in router.rules:
        if hasattr(rule.target, "rules"):
            yield from walk(rule.target)
        elif getattr(rule.target, "__module__", "").startswith("snapml_server"):
            yield rule.matcher.regex.pattern
print(json.dumps(sorted(set(walk(app.web_app.default_router)) | set(walk(app.web_app.wildcard_router)))))
"""


def test_our_routes_are_one_pattern_that_holds_every_command(tmp_path):
    import re

    done = subprocess.run(
        [sys.executable, "-c", ROUTES], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    (pattern,) = json.loads(done.stdout.splitlines()[-1])
    for name in commands():
        assert re.match(pattern, f"/snapml/api/{name.replace(' ', '/')}")


PATHS = [f"snapml/api/{name.replace(' ', '/')}" for name in [*commands(), "nothing", "jobs", "jobs/list/"]]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("token", [None, "wrong"])
def test_no_route_answers_any_method_to_a_stranger(server, method, token):
    headers = {"Authorization": f"token {token}"} if token else {}
    # To OPTIONS, Jupyter's own routes answer which headers they take, and nothing else.
    for path in [*PATHS, *(["api/events", "api/events/subscribe"] if method != "OPTIONS" else [])]:
        answer = requests.request(
            method, server.url(path), headers=headers, data="{}", timeout=30, allow_redirects=False
        )
        assert answer.status_code in (302, 401, 403, 405), (method, path, answer.status_code)
        if answer.status_code == 302:
            assert "/login" in answer.headers["Location"]
        assert b'"jobs"' not in answer.content
    assert not (server.root / ".snapml" / "ledger.db").exists() or not _audited(server.root, "stranger")


def _audited(root, actor):
    return Workspace(root / ".snapml").ledger.rows("SELECT * FROM audit WHERE actor = ?", actor)


@pytest.mark.parametrize("suffix", ["", "?token=wrong"])
def test_the_event_stream_is_refused_to_a_stranger(server, suffix):
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==",
    }  # fmt: skip
    address = server.url(f"api/events/subscribe{suffix}")
    answer = requests.get(address, headers=upgrade, timeout=10, allow_redirects=False)
    assert answer.status_code in (302, 403)
    known = requests.get(address.split("?")[0] + "?token=secret", headers=upgrade, timeout=10, stream=True)
    assert known.status_code == 101, "the same request from one who is known is let in"
    known.close()


def test_with_the_token_a_command_answers_and_is_not_cached(server):
    answer = server.ask("status")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["workspace"] == str(server.root / ".snapml")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_only_post_is_answered(server, method):
    answer = requests.request(
        method, server.url("snapml/api/status"), headers={"Authorization": "token secret"}, timeout=30
    )
    assert answer.status_code == 405


def test_a_cookie_alone_cannot_act_without_the_xsrf_header(server):
    with requests.Session() as browser:
        page = browser.get(server.url("login"), timeout=30)
        assert page.ok
        xsrf = {"X-XSRFToken": browser.cookies["_xsrf"]}
        entered = browser.post(
            server.url("login"), data={"password": "secret", "_xsrf": browser.cookies["_xsrf"]}, timeout=30
        )
        assert entered.ok
        refused = browser.post(server.url("snapml/api/status"), data="{}", timeout=30)
        assert refused.status_code == 403
        assert "xsrf" in refused.text
        # What browsers do for a form on another site: no header, a foreign origin.
        foreign = browser.post(
            server.url("snapml/api/status"), data="{}", headers={"Origin": "https://evil.example"}, timeout=30
        )
        assert foreign.status_code in (403, 404)
        assert browser.post(server.url("snapml/api/status"), data="{}", headers=xsrf, timeout=30).ok


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        ("nothing", {404}), ("jobs", {404}), ("jobs/lst", {404}), ("jobs//list", {404}), ("jobs/list/now", {404}),
        ("jobs/../jobs/list", {404}), ("jobs%2Flist", {404}), ("jobs/%6Cist", {404, 200}), ("jobs%20list", {404}),
        ("JOBS/LIST", {404}), ("jobs/list%00", {404, 400}), ("", {404, 403}), ("/", {404, 403}), ("../../api/status", {404, 200}),
    ],
)  # fmt: skip
def test_a_path_that_names_no_command_is_not_found(server, path, codes):
    import http.client

    # Written as it is: other clients tidy paths up before they send them.
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", f"/snapml/api/{path}", body="{}", headers={"Authorization": "token secret"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status in codes, body
    if answer.status == 200:  # another spelling of the same characters
        assert json.loads(body)


def test_an_unknown_command_offers_near_ones(server):
    answer = server.ask("jobs lst")
    assert answer.status_code == 404
    assert set(answer.json()) == THREE
    assert answer.json()["code"] == "unknown_command"
    assert "'jobs list'" in answer.json()["fix"]


BODIES = {
    "not JSON": b"{jobs",
    "not UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "a number": b"3",
    "text": b'"jobs"',
    "null": b"null",
    "two megabytes": b'{"limit": "' + b"x" * (2 << 20) + b'"}',
    "nested deep": b"[" * 100_000,
    "a parameter of the wrong type": b'{"limit": "many"}',
    "a list as a parameter": b'{"limit": [1]}',
    "null as a parameter": b'{"limit": null}',
    "not a number": b'{"limit": NaN}',
    "an unknown parameter": b'{"limt": 3}',
    "the workspace as a parameter": b'{"ws": "/etc"}',
    "the caller as a parameter": b'{"call": {"actor": "root"}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_not_the_parameters_is_invalid_input(server, body):
    answer = server.ask("jobs list", data=body)
    assert answer.status_code == 400
    assert set(answer.json()) == THREE
    assert answer.json()["code"] == "invalid_input"
    assert len(answer.text) < 2000


def test_names_from_outside_stay_text(server):
    for name in (
        "'; DROP TABLE jobs; --",
        "../../../etc/passwd",
        "<script>alert(1)</script>",
        "%",
        "\0",
    ):
        answer = server.ask("jobs show", {"job": name})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), name
    assert server.ask("jobs show", {"job": "\ud800"}).json()["code"] == "invalid_input"
    assert server.ask("jobs list").ok


def test_a_command_with_large_libraries_does_not_bring_them_into_the_server(serve, learnt):
    heavy = serve(learnt)
    board = heavy.ask("leaderboard", {"job": "flowers-target"})
    assert board.status_code == 200
    assert board.json()["model"] == "flowers-target@1"
    predicted = heavy.ask("predict", {"model": "flowers-target", "data": "flowers.csv"})
    assert len(predicted.json()["predictions"]) == 150
    submitted = heavy.ask("automl", {"data": "flowers.csv", "target": "target", "time": 30})
    assert submitted.status_code == 200, submitted.text
    assert submitted.json()["kind"] == "automl"
    loaded = Path(f"/proc/{heavy.process.pid}/maps").read_text()
    assert "/sklearn/" not in loaded
    assert "/pandas/" not in loaded
    ws = Workspace(learnt / ".snapml")
    assert (
        queue.wait(ws, queue.cancel(ws, submitted.json()["id"], grace=1), timeout=30).state is State.CANCELLED
    )


DENY = """
from jupyter_server.auth import Authorizer
class Deny(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return resource != "snapml" or action == "read"
c.ServerApp.authorizer_class = Deny
"""


def test_what_the_servers_authorizer_denies_is_not_allowed_in_our_form(serve, project):
    server = serve(project, config=DENY)
    assert server.ask("jobs list").status_code == 200
    for name in ("jobs cancel", "data add", "automl"):
        answer = server.ask(name, {"job": "last"})
        assert answer.status_code == 403
        assert set(answer.json()) == THREE
        assert answer.json()["code"] == "not_allowed"
    assert not Workspace(project / ".snapml").ledger.rows("SELECT 1 FROM audit WHERE outcome = 'begun'")


NAMED = """
from jupyter_server.auth import IdentityProvider, User
class Named(IdentityProvider):
    people = {"token vic": "vic", "token dev": "dev", "token new": "newcomer"}
    def get_user(self, handler):
        name = self.people.get(handler.request.headers.get("Authorization", ""))
        return User(username=name) if name else None
    def is_token_authenticated(self, handler):
        return True
c.ServerApp.identity_provider_class = Named
"""


def test_roles_bind_named_people_and_the_audit_says_who_was_refused(serve, project, submit, ws):
    ws.catalog.add("roles", "vic", {"role": "viewer"})
    ws.catalog.add("roles", "dev", {"role": "developer"})
    job = submit("import time; time.sleep(600)")
    server = serve(project, config=NAMED)
    assert server.ask("jobs list", token="nobody").status_code == 403
    for token in ("vic", "new"):
        assert [item["id"] for item in server.ask("jobs list", token=token).json()["jobs"]] == [job.id]
        refused = server.ask("jobs cancel", {"job": job.id}, token=token)
        assert refused.status_code == 403
        assert refused.json()["code"] == "not_allowed"
        assert "viewer" in refused.json()["message"]
    assert not queue.get(ws, job.id).ended
    assert server.ask("status", token="vic").json()["actor"] == "vic"
    done = server.ask("jobs cancel", {"job": job.id, "grace": 0}, token="dev")
    assert done.status_code == 200
    rows = server.ask("audit list", token="vic").json()["rows"]
    assert [(row["actor"], row["role"], row["command"], row["outcome"]) for row in reversed(rows)] == [
        ("vic", "viewer", "jobs cancel", "not_allowed"), ("newcomer", "viewer", "jobs cancel", "not_allowed"),
        ("dev", "developer", "jobs cancel", "begun"), ("dev", "developer", "jobs cancel", "done"),
    ]  # fmt: skip
    assert {row["surface"] for row in rows} == {"rest"}
    assert queue.wait(ws, job, timeout=30).state is State.CANCELLED


def test_a_damaged_ledger_is_told_and_a_fault_has_a_number_that_is_in_the_log(serve, project):
    server = serve(project)
    assert server.ask("jobs list").ok
    with sqlite3.connect(project / ".snapml" / "ledger.db") as ledger:
        ledger.execute("ALTER TABLE jobs RENAME TO elsewhere")
    fault = server.ask("jobs list")
    assert fault.status_code == 500
    assert set(fault.json()) == THREE
    assert fault.json()["code"] == "fault"
    number = fault.json()["message"].split()[-1].rstrip(".")
    assert number in server.log.read_text()
    assert "elsewhere" not in fault.text
    assert "Traceback" not in fault.text
    for path in (project / ".snapml").glob("ledger.db*"):
        path.write_bytes(b"not a database, " * 1000)
    damaged = server.ask("jobs list")
    assert damaged.status_code == 409
    assert damaged.json()["code"] == "store_damaged"
    assert set(damaged.json()) == THREE
    for path in (project / ".snapml").glob("ledger.db*"):
        path.unlink()
