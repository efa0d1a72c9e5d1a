"""Each command gives the same answer through each mouth it declares: Python, terminal, magic in a kernel, REST."""

import inspect
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from snapml_lab.commands.core import Surface, commands
from snapml_lab.commands.types import TakesWords, parts
from snapml_lab.costs import budgets, prices
from snapml_lab.errors import SnapmlError
from snapml_lab.governance import keys, policies, roles
from snapml_lab.guardrails import capture
from snapml_lab.guardrails import policies as guardrails
from snapml_lab.jobs import queue
from snapml_lab.registry import providers, versions
from snapml_lab.registry.providers import Provider
from snapml_lab.tracking.recorder import Recorder
from snapml_lab.workspace import Workspace

SEARCH = "flowers-target"
MADE_ANEW = (
    "id", "state", "progress", "message", "submitted_at", "started_at", "ended_at", "exit_code", "reason", "error",
    "containment", "waiting_for", "cell_id", "notebook",
)  # fmt: skip
"""Fields of a job that differ because each mouth makes a job of its own."""

CASES = {
    "ask": {"prompt": "hello", "model": "nobody"},
    "capture export": {"deployment": "flowers", "out": "captured.jsonl"},
    "capture list": {},
    "capture off": {"deployment": "flowers"},
    "capture on": {"deployment": "flowers", "share": 0.5, "redact": ["email,card"], "days": 7},
    "capture show": {"deployment": "flowers", "limit": 3},
    "guardrails list": {},
    "guardrails measure": {"what": "card"},
    "guardrails remove": {"policy": "tried"},
    "guardrails set": {
        "policy": "tried",
        "mask": ["pii"],
        "block": ["secrets,injection"],
        "deny": ["heron"],
        "max_length": 500,
    },
    "guardrails show": {"policy": "tried"},
    "guardrails test": {"policy": "default", "text": "write to a@example.org", "of": "input"},
    "cost": {"by": "deployment", "days": 3.0},
    "deploy": {"model": SEARCH, "name": "flowers"},
    "deploy export": {"name": "flowers", "folder": "box"},
    "endpoints list": {},
    "env create": {"name": "nobody"},
    "env list": {},
    "env remove": {"name": "pycaret", "force": True},
    "env show": {"name": "pycaret"},
    "endpoints show": {"name": "flowers", "minutes": 5},
    "eval": {"model": "nobody", "data": "orders.jsonl"},
    "evaluation": {"job": "last"},
    "finetune": {"model": "nobody", "data": "orders.jsonl"},
    "budgets list": {},
    "budgets remove": {"name": "month"},
    "budgets set": {"name": "month", "dollars": 5, "period": "month"},
    "endpoints set": {"name": "flowers", "guardrails": "default", "cache": 60.0},
    "keys create": {"name": "a key"},
    "keys rotate": {"key": "to rotate", "overlap": 60.0},
    "keys list": {},
    "keys revoke": {"key": "to end"},
    "models merge": {"model": SEARCH},
    "prices compute": {"dollars": 0.5},
    "jobs cost": {"by": "kind", "days": 3.0},
    "prices list": {},
    "prices remove": {"name": "compute"},
    "prices set": {
        "model": "flowers",
        "input": 1,
        "output": 2.5,
        "source": "a contract",
        "date": "2026-11-01",
    },
    "prices show": {"model": "gpt-4o"},
    "requests list": {"limit": 3},
    "sample llm": {"steps": 400},
    "training": {"job": "last"},
    "telemetry off": {},
    "telemetry set": {
        "endpoint": "http://localhost:4318",
        "headers_env": "COLLECTOR_HEADERS",
        "spans_only": True,
    },
    "telemetry show": {},
    "tune-endpoint": {"name": "flowers", "prompts": "orders.jsonl"},
    "tune-endpoint plan": {"name": "flowers", "prompts": "orders.jsonl"},
    "undeploy": {"name": "flowers"},
    "approvals list": {"limit": 3},
    "approvals rollback": {"what": "nobody", "comment": "wrong"},
    "approvals show": {"request": "nobody"},
    "approvals withdraw": {"request": "nobody"},
    "approve": {"request": "nobody", "comment": "looked at"},
    "audit adopt": {},
    "audit list": {"limit": 3, "command": "data"},
    "audit verify": {},
    "automl": {"data": "flowers.csv", "target": "target", "time": 30, "metric": "log_loss", "name": "other"},
    "data add": {"data": "flowers.csv", "name": "again"},
    "data list": {},
    "data remove": {"name": "again"},
    "jobs cancel": {"job": SEARCH, "grace": 1.5},
    "jobs fire": {},
    "jobs follow": {"job": SEARCH},
    "jobs list": {"limit": 5, "state": "succeeded"},
    "jobs logs": {"job": SEARCH, "offset": -100, "limit": 50},
    "jobs result": {"job": SEARCH, "timeout": 5},
    "jobs schedule": {
        "name": "yearly",
        "cron": "0 0 1 1 *",
        "words": ["run", "said.py"],
        "timezone": "Europe/Berlin",
    },
    "jobs schedules": {},
    "jobs priority": {"job": SEARCH, "priority": 1},
    "jobs show": {"job": SEARCH},
    "jobs unschedule": {"name": "yearly"},
    "jobs wait": {"job": SEARCH, "timeout": 5},
    "leaderboard": {"job": SEARCH},
    "leases free": {"process": 4_194_303, "grace": 1.0},
    "leases show": {},
    "models add": {
        "model": "made.skops",
        "name": "added",
        "example": "flowers.csv",
        "target": "kind",
        "note": "brought",
    },
    "models export": {"model": SEARCH, "to": "sqlite:///theirs.db"},
    "models import": {"uri": "sqlite:///theirs.db", "model": "cancer@champion"},
    "runs export": {"run": SEARCH, "to": "mlruns"},
    "runs import": {"uri": "sqlite:///theirs.db", "experiment": "Default", "trust": True},
    "merge": {"other": "far/away", "plan": True},
    "models card": {"model": f"{SEARCH}@1"},
    "models lineage": {"model": SEARCH},
    "models list": {"limit": 1, "search": "flowers", "task": "multiclass"},
    "models note": {"model": SEARCH, "text": "for the shop"},
    "models print": {"model": SEARCH, "out": "card.md"},
    "models show": {"model": f"{SEARCH}@1"},
    "pipeline output": {"name": "made", "value": '{"a": [1, 2]}'},
    "pipeline run": {"file": "flow.yaml", "param": ["size=2"], "out": "out"},
    "pipeline show": {"job": "flow"},
    "policies list": {},
    "policies remove": {"what": "model:none"},
    "policies set": {"what": "model:none", "need": ["interval", "score>=0.9"], "approvers": 2},
    "predict": {"model": SEARCH, "data": "flowers.csv", "out": "said.csv"},
    "providers list": {},
    "providers remove": {"name": "far"},
    "providers set": {"name": "far", "base_url": "https://api.example.com/v1", "key_env": "FAR_KEY"},
    "promote": {"what": f"{SEARCH}@1", "to": "canary", "comment": "it is better"},
    "queue limit": {"queue": "nights", "at_most": 2},
    "queue list": {},
    "queue pause": {"queue": "nights"},
    "queue resume": {"queue": "nights"},
    "reject": {"request": "nobody"},
    "roles list": {},
    "roles remove": {"name": "ann", "last": True},
    "roles set": {"name": "ann", "role": "viewer"},
    "roles show": {"name": "ann"},
    "rollout back": {"name": "flowers"},
    "rollout promote": {"name": "flowers"},
    "rollout share": {"name": "flowers", "percent": 20},
    "rollout show": {"name": "flowers"},
    "run": {
        "what": ["said.py"],
        "name": "said",
        "time_limit": "2m",
        "memory": "1GiB",
        "after": [SEARCH],
        "priority": -1,
    },
    "autolog": {"off": True},
    "runs compare": {"run": ["first", "second"], "smooth": 0.5},
    "runs curve": {"metric": "m", "run": ["first", "second"], "points": 10},
    "runs delete": {"run": ["third"]},
    "runs fetch": {"run": "kept", "name": "said.py", "to": "got.py"},
    "runs reproduce": {"run": "first", "tolerance": 1e-6},
    "runs reproduction": {"job": SEARCH},
    "runs restore": {"run": ["third"]},
    "runs search": {
        "where": "metric.m > 0.3 and param.a == 2",
        "by": "metric.m",
        "ascending": True,
        "limit": 3,
    },
    "runs start": {"name": "opened", "params": {"a": 1}, "system": False},
    "runs tag": {"run": "first", "tags": {"team": "a", "empty": ""}, "note": "said"},
    "runs list": {"limit": 3, "kind": "trial"},
    "runs show": {"run": SEARCH},
    "status": {},
    "up": {"until_idle": True},
}
"""Arguments for each command; one that is missing here fails the test below."""

JOBS = {"automl", "pipeline run", "runs reproduce", "sample llm"}
AT_ONCE = {"run"}
"""Commands that answer with a job without being told to."""

REFUSED = {
    "approvals rollback",
    "approvals show",
    "approvals withdraw",
    "approve",
    "ask",
    "env create",
    "env remove",
    "eval",
    "evaluation",
    "finetune",
    "jobs priority",
    "leases free",
    "models export",
    "models import",
    "models merge",
    "reject",
    "rollout back",
    "rollout promote",
    "rollout share",
    "runs reproduction",
    "training",
    "tune-endpoint",
    "tune-endpoint plan",
    "runs export",
    "runs import",
}
"""Their answers here are errors, the same through each mouth; what they do with a language model or a GPU has tests of its
own."""

DIFFERENT = {
    "audit adopt": ("rows", "head", "guarded_from"), "promote": ("id", "at", "decided_at", "cell_id"),
    "deploy": ("job", "message", "plan"), "endpoints list": (), "keys create": ("id", "prefix", "created_at", "secret"),
    "keys revoke": ("id", "prefix", "created_at", "revoked_at"),
    "keys rotate": ("id", "prefix", "created_at", "secret", "replaces"),
}  # fmt: skip
"""Fields that differ because each mouth made something of its own."""

MISTAKES = {
    "a result of no job": ("jobs result", {"job": "nobody"}, "not_found"),
    "no such script": ("run", {"what": ["absent.py"]}, "not_found"),
    "no such program": ("run", {"what": ["no-such-program"]}, "not_found"),
    "no such notebook to run": ("run", {"what": ["absent.ipynb"]}, "not_found"),
    "nothing to run": ("run", {}, "invalid_input"),
    "a size that is none": ("run", {"what": ["said.py"], "memory": "8 apples"}, "invalid_input"),
    "a duration that is none": ("run", {"what": ["said.py"], "time_limit": "soon"}, "invalid_input"),
    "inputs of a script": ("run", {"what": ["said.py"], "inputs": "a,b"}, "invalid_input"),
    "names that are none": ("run", {"what": ["said.py"], "inputs": ["a,b c"]}, "invalid_input"),
    "memory of no GPU": ("run", {"what": ["said.py"], "gpu_memory": "8GiB"}, "invalid_input"),
    "a job to run after that is not there": ("run", {"what": ["said.py"], "after": ["nobody"]}, "not_found"),
    "a cron that is none": (
        "jobs schedule", {"name": "a", "cron": "often", "words": ["run", "said.py"]}, "invalid_input"),
    "a time zone that is none": (
        "jobs schedule", {"name": "a", "cron": "0 3 * * *", "words": ["run", "said.py"], "timezone": "Mars"},
        "invalid_input"),
    "a command that submits nothing": (
        "jobs schedule", {"name": "a", "cron": "0 3 * * *", "words": ["status"]}, "invalid_input"),
    "a canary of nothing": ("deploy", {"model": SEARCH, "name": "nobody", "canary": 10}, "not_found"),
    "a canary without a name": ("deploy", {"model": SEARCH, "canary": 10}, "invalid_input"),
    "a canary that is a shadow": ("deploy", {"model": SEARCH, "name": "x", "canary": 10, "shadow": True}, "invalid_input"),
    "a share of all": ("deploy", {"model": SEARCH, "name": "x", "canary": 100}, "invalid_input"),
    "an engine that serves no such model": ("deploy", {"model": SEARCH, "name": "x", "engine": "vllm"}, "invalid_input"),
    "a provider nobody declared": ("deploy", {"model": "gpt", "provider": "nobody"}, "not_found"),
    "a provider without TLS": ("providers set", {"name": "far", "base_url": "http://api.example.com"}, "invalid_input"),
    "a collector that is far and without TLS": ("telemetry set", {"endpoint": "http://api.example.com"}, "invalid_input"),
    "headers where their variable's name is to be": (
        "telemetry set", {"endpoint": "https://api.example.com", "headers_env": "api-key=x"}, "invalid_input"),
    "no such schedule": ("jobs unschedule", {"name": "nobody"}, "not_found"),
    "no such queue": ("queue resume", {"queue": "nobody"}, "invalid_input"),
    "no such job": ("jobs show", {"job": "nobody"}, "not_found"),
    "a pickle nobody trusts": ("models add", {"model": "model.pkl", "name": "p"}, "unsafe_file"),
    "a model that is not there": ("models add", {"model": "absent.skops"}, "not_found"),
    "an alias that is on nothing": ("models show", {"model": f"{SEARCH}@nobody"}, "invalid_input"),
    "a card in a form there is not": ("models print", {"model": SEARCH, "out": "card.pdf"}, "invalid_input"),
    "no such model": ("models show", {"model": "nobody"}, "not_found"),
    "no such workspace": ("merge", {"other": "absent"}, "not_found"),
    "no other workspace": ("merge", {"other": ".snapml"}, "invalid_input"),
    "no such run": ("runs show", {"run": "nobody"}, "not_found"),
    "no such dataset": ("data remove", {"name": "nobody"}, "not_found"),
    "no such table": ("automl", {"data": "nobody.csv", "target": "y"}, "not_found"),
    "no such column": ("automl", {"data": "flowers.csv", "target": "tarjet"}, "invalid_input"),
    "an empty file": ("data add", {"data": "empty.csv"}, "invalid_input"),
    "a limit out of range": ("jobs list", {"limit": 0}, "invalid_input"),
    "a grace out of range": ("jobs cancel", {"job": SEARCH, "grace": -1.0}, "invalid_input"),
    "a condition that is none": ("runs search", {"where": "metric.m >"}, "invalid_input"),
    "a condition on no field": ("runs search", {"where": "nam == 'a'"}, "invalid_input"),
    "a file a run does not have": ("runs fetch", {"run": "first", "name": "nothing"}, "not_found"),
    "no tag": ("runs tag", {"run": "first"}, "invalid_input"),
    "one run to compare": ("runs compare", {"run": ["first"]}, "invalid_input"),
    "a job of another kind": ("leaderboard", {"job": "flow"}, "invalid_input"),
    "a table without its columns": ("predict", {"model": SEARCH, "data": "narrow.csv"}, "invalid_input"),
    "a folder that is not there": (
        "predict", {"model": SEARCH, "data": "flowers.csv", "out": "no/folder.csv"}, "invalid_input"),
    "no such pipeline": ("pipeline run", {"file": "absent.yaml"}, "not_found"),
    "a parameter of the wrong type": ("pipeline run", {"file": "flow.yaml", "param": ["size=x"]}, "invalid_input"),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory, _learnt_once):
    """A project with a search, a pipeline's run and two runs to compare, which all mouths work on."""
    folder = tmp_path_factory.mktemp("surfaces") / "project"
    shutil.copytree(_learnt_once, folder)
    (folder / "empty.csv").touch()
    turns = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "1"}]
    (folder / "orders.jsonl").write_text((json.dumps({"messages": turns}) + "\n") * 12)
    (folder / "narrow.csv").write_text("a,b\n1,2\n")
    (folder / "model.pkl").write_bytes(b"\x80\x04N.")
    made = Workspace(folder / ".snapml")
    shutil.copyfile(made.blobs.path(versions.find(made.ledger, SEARCH).blob), folder / "made.skops")
    (folder / "said.py").write_text("print('said')\n")
    parameters = {
        "cell_type": "code", "id": "p", "metadata": {"tags": ["parameters"]}, "source": "size: int = 1",
        "execution_count": None, "outputs": [],
    }  # fmt: skip
    (folder / "only.ipynb").write_text(
        json.dumps({"cells": [parameters], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    steps = [{"name": "only", "notebook": "only.ipynb", "parameters": {"size": "${size}"}}]
    (folder / "flow.yaml").write_text(json.dumps({"name": "flow", "parameters": {"size": 1}, "steps": steps}))
    source = """
import os
from snapml_lab.jobs.model import Work
from snapml_lab.jobs import queue
from snapml_lab.tracking.recorder import Recorder
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import open_workspace
import snapml_lab as snap, sys
ws = open_workspace()
report = ("import os, sys; from pathlib import Path; from snapml_lab.jobs.events import Reporter;"
          "r = Reporter(Path(os.environ['SNAPML_JOB_DIR'], 'events.jsonl')); r.param('a', sys.argv[1]);"
          "r.metric('m', float(sys.argv[1]) / 3)")
for name, value in (("first", "1"), ("second", "2")):
    work = Work("command", name, [sys.executable, "-c", report, value])
    queue.wait(ws, queue.submit(ws, work, actor="tester", origin=Origin()))
snap.pipeline.run("flow.yaml")
with snap.run("kept", system=False) as run:
    run.artifact("said.py")
"""
    environment = _environment(folder)
    subprocess.run([sys.executable, "-c", source], cwd=folder, env=environment, check=True, timeout=120)
    Workspace(folder / "far" / "away" / ".snapml").ledger.close()
    return folder


def _environment(folder: Path) -> dict[str, str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SNAPML_", "JPY_", "JUPYTER_"))
    }
    own = {"IPYTHONDIR": str(folder.parent / "ipython"), "XDG_CACHE_HOME": str(folder.parent / "cache")}
    own["XDG_DATA_HOME"] = str(folder.parent / "data")
    own["SNAPML_AUDIT_HEADS"] = str(folder.parent / "heads")
    return {**clean, **own, "SNAPML_WORKSPACE": str(folder)}


class Python:
    """The Python face, in a fresh process a call: what it prints is what the others are compared with."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __call__(self, name: str, arguments: dict) -> object:
        import snapml_lab as snap

        function = snap
        for word in commands()[name].python.split():
            function = getattr(function, word)
        more = {"background": True} if name in JOBS else {}
        try:
            result = function(**arguments, **more)
        except SnapmlError as error:
            if name not in REFUSED:
                raise
            return {"error": error.as_dict()}
        if isinstance(result, Recorder):
            result.end()
            return {"opened": result.name}
        return result.model_dump(mode="json") if hasattr(result, "model_dump") else "".join(result)


def _tokens(name: str, arguments: dict) -> list[str]:
    """Write a call as a person types it: positions first, then options."""
    words, options, last = name.split(), [], []
    for key, value in arguments.items():
        pairs = [f"{word}={item}" for word, item in value.items()] if isinstance(value, dict) else None
        values = pairs or [str(item) for item in (value if isinstance(value, list) else [value])]
        parameter = commands()[name].parameters[key]
        if len(values) > 1 and any(isinstance(part, TakesWords) for part in parts(parameter.annotation)):
            last = ["--", *values]
        elif parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            words += values
        elif value is True:
            options.append(f"--{key.replace('_', '-')}")
        else:
            options += [word for item in values for word in (f"--{key.replace('_', '-')}", item)]
    return [*words, *options, *(["-b"] if name in JOBS else []), *last]


class Cli:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __call__(self, name: str, arguments: dict) -> object:
        done = subprocess.run(
            [sys.executable, "-m", "snapml_lab.cli", "--json", *_tokens(name, arguments)],
            cwd=self.place, env=_environment(self.place), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            assert done.returncode == 2, done.stderr
            return {"error": json.loads(done.stderr)}
        if name == "jobs follow":
            return "".join(json.loads(line) for line in done.stdout.splitlines())
        return json.loads(done.stdout)


class Magic:
    """A real kernel; what a cell would give is printed as JSON."""

    def __init__(self, place: Path) -> None:
        self.manager, self.client = start_new_kernel(
            kernel_name="python3", cwd=str(place), env=_environment(place)
        )
        self.run("%load_ext snapml_lab")

    def run(self, code: str) -> str:
        said = []

        def hear(message):
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                said.append(message["content"]["text"])
            assert message["msg_type"] != "error", message["content"]

        self.client.execute_interactive(code, timeout=120, output_hook=hear)
        return "".join(said)

    def __call__(self, name: str, arguments: dict) -> object:
        line = shlex.join(_tokens(name, arguments))
        said = self.run(f"""
import json
from snapml_lab.errors import SnapmlError
try:
    _answer = get_ipython().run_line_magic("snapml", {line!r})
    if _answer is not None:
        print(_answer.model_dump_json())
except SnapmlError as error:
    print(json.dumps({{"error": error.as_dict()}}))
""")
        return said if name == "jobs follow" else json.loads(said)

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


class Rest:
    def __init__(self, server) -> None:
        self.server = server

    def __call__(self, name: str, arguments: dict) -> object:
        answer = self.server.ask(name, arguments)
        return answer.json() if answer.ok else {"error": answer.json()}


@pytest.fixture(scope="module")
def mouths(place, tmp_path_factory):
    """One of each. The server was started in another folder than the one it serves, as servers are."""
    from integration.conftest import Server, stop_jobs

    with pytest.MonkeyPatch.context() as patch:
        for name in ("SNAPML_AUDIT_HEADS", "XDG_DATA_HOME"):
            patch.setenv(name, _environment(place)[name])
        server = Server(place, cwd=tmp_path_factory.mktemp("elsewhere")).start()
    magic = Magic(place)
    yield {
        Surface.PYTHON: Python(place),
        Surface.CLI: Cli(place),
        Surface.MAGIC: magic,
        Surface.REST: Rest(server),
    }
    magic.stop()
    server.stop()
    stop_jobs(place)


@pytest.fixture(autouse=True)
def _there(place, monkeypatch):
    monkeypatch.chdir(place)
    for name, value in _environment(place).items():
        monkeypatch.setenv(name, value)


def test_every_command_has_a_case():
    assert set(CASES) == set(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_a_command_gives_the_same_answer_through_each_mouth_it_declares(name, place, mouths):
    surfaces = sorted(commands()[name].surfaces)
    answers = {}
    for surface in surfaces:
        _prepare(name, place)
        answers[surface] = mouths[surface](name, CASES[name])
        if name in JOBS | AT_ONCE:
            ws = Workspace(place / ".snapml")
            job = queue.get(ws, answers[surface]["id"])
            queue.wait(ws, queue.cancel(ws, job.id, grace=0), timeout=30)
        _tidy(name, place)
    first = _comparable(answers[surfaces[0]], name)
    for surface in surfaces:
        assert (name in REFUSED) == bool(
            answers[surface].get("error") if isinstance(answers[surface], dict) else None
        )
        assert _comparable(answers[surface], name) == first, f"{surface} differs from {surfaces[0]}"


def _prepare(name: str, place: Path) -> None:  # noqa: C901, PLR0912 - a case for each command that changes
    """Have there what a command is about to change, each time."""
    if name in ("data add", "data remove"):
        _with_dataset(place, there=name == "data remove")
    if name in (
        "deploy",
        "deploy export",
        "tune-endpoint",
        "tune-endpoint plan",
        "undeploy",
    ) or name.startswith(("endpoints ", "rollout ")):
        _with_endpoint(there=name != "deploy")
    if name.startswith("jobs ") and name.split()[1] in ("schedule", "schedules", "unschedule"):
        _with_schedule(there=name != "jobs schedule")
    if name in ("runs delete", "runs restore"):
        _with_run(deleted=name == "runs restore")
    if name.startswith("queue "):
        _with_queue(paused=name == "queue resume")
    if name == "prices remove":
        prices.set_compute(Workspace(place / ".snapml"), Decimal(1))
    if name.startswith("capture "):
        _with_endpoint(there=True)
        if name != "capture on":
            settings = capture.declare(Workspace(place / ".snapml"), capture.Settings("flowers"))
            capture.Capturer(Workspace(place / ".snapml"), settings).record(
                "one", 1e9, {"messages": [{"role": "user", "content": "a@example.org"}]}, "yes"
            )
    if name in ("guardrails remove", "guardrails show"):
        made = guardrails.Policy("tried", guardrails.USUAL)
        guardrails.declare(Workspace(place / ".snapml"), made)
    if name == "keys rotate":
        ws = Workspace(place / ".snapml")
        for key in keys.every(ws):
            if key.name == "to rotate" and key.living(time.time()):
                keys.revoke(ws, key.id)
        keys.create(ws, "to rotate")
    if name == "keys revoke":
        keys.create(Workspace(place / ".snapml"), "to end")
    if name == "promote":
        with Workspace(place / ".snapml").ledger.write() as connection:
            connection.execute("DELETE FROM aliases")
    _declare(name, Workspace(place / ".snapml"))


def _declare(name: str, ws: Workspace) -> None:
    """Have there what a command is about to remove, each time."""
    if name == "budgets remove":
        budgets.declare(ws, "month", Decimal(5), "month", {})
    if name == "policies remove":
        policies.declare(ws, "model", "none", None, needs=[], approvers=1, own=False)
    if name == "providers remove":
        providers.declare(ws, Provider("far", "https://api.example.com/v1"))
    if name == "roles remove":
        roles.declare(ws, "ann", roles.Role.VIEWER, by=roles.account())


def _tidy(name: str, place: Path) -> None:
    """Look at the files a command wrote, and remove them for the next mouth."""
    if name == "roles set":
        roles.withdraw(Workspace(place / ".snapml"), "ann", last=True)
    if name == "runs fetch":
        assert (place / "got.py").read_text() == (place / "said.py").read_text()
        (place / "got.py").unlink()
    if name == "deploy export":
        assert (place / "box" / "start.py").is_file()
        shutil.rmtree(place / "box")
    if name.startswith("capture "):
        shutil.rmtree(place / ".snapml" / "captures", ignore_errors=True)
    if name == "capture export":
        assert "email redacted" in (place / "captured.jsonl").read_text()
        (place / "captured.jsonl").unlink()
    if name == "predict":
        assert len((place / "said.csv").read_text().splitlines()) == 151
        (place / "said.csv").unlink()


def _with_dataset(place: Path, *, there: bool) -> None:
    import snapml_lab as snap

    names = {dataset.name for dataset in snap.data.list().datasets}
    if there and "again" not in names:
        snap.data.add("flowers.csv", name="again")
    if not there and "again" in names:
        snap.data.remove("again")


def _with_endpoint(*, there: bool) -> None:
    import snapml_lab as snap

    names = {endpoint.name for endpoint in snap.endpoints.list().endpoints}
    if there and "flowers" not in names:
        snap.deploy(SEARCH, name="flowers")
    if not there and "flowers" in names:
        snap.undeploy("flowers")


def _with_schedule(*, there: bool) -> None:
    import snapml_lab as snap

    names = {schedule.name for schedule in snap.jobs.schedules().schedules}
    if there and "yearly" not in names:
        snap.jobs.schedule(**CASES["jobs schedule"])
    if not there and "yearly" in names:
        snap.jobs.unschedule("yearly")


def _with_run(*, deleted: bool) -> None:
    import snapml_lab as snap

    with snap.run("third", system=False) as run:
        pass
    if deleted:
        snap.runs.delete([run.id])


def _with_queue(*, paused: bool) -> None:
    import snapml_lab as snap

    snap.queue.limit("nights", 2)
    (snap.queue.pause if paused else snap.queue.resume)("nights")


def _comparable(answer: object, name: str) -> object:
    if name in DIFFERENT:
        return {key: value for key, value in answer.items() if key not in DIFFERENT[name]}
    if name in JOBS | AT_ONCE:
        return {key: value for key, value in answer.items() if key not in MADE_ANEW}
    if name in ("runs delete", "runs restore"):
        return [(run["name"], run["deleted_at"] is None) for run in answer["runs"]]
    if name == "endpoints show":  # time goes on, and memory with it
        here = [{**item, "services": [{**one, "memory": None, "peak_memory": None} for one in item["services"]]} for item in answer["targets"]]  # fmt: skip
        return {**answer, "since": None, "until": None, "series": None, "targets": here}
    if name == "leases show":  # what is used changes while one looks
        return set(answer)
    if name == "jobs list":
        return {**answer, "revision": None}
    if name == "pipeline show":
        return {**answer, "seconds": None, "steps": [{**step, "seconds": None} for step in answer["steps"]]}
    return answer


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_gets_the_same_code_sentence_and_fix_through_each_mouth(mistake, mouths):
    name, arguments, code = mistake
    errors = {}
    for surface in sorted(commands()[name].surfaces):
        if surface is Surface.PYTHON:
            with pytest.raises(SnapmlError) as raised:
                mouths[surface](name, arguments)
            errors[surface] = raised.value.as_dict()
        else:
            answer = mouths[surface](name, arguments)
            assert set(answer["error"]) == {"code", "message", "fix"}, surface
            errors[surface] = answer["error"]
    first = errors[Surface.CLI]
    assert first["code"] == code
    for surface, error in errors.items():
        assert error == first, surface


@pytest.mark.parametrize(
    ("name", "words", "field"),
    [
        ("jobs list", ["--limit", "many"], "limit"), ("automl", ["flowers.csv", "--target", "target", "--task", "x"], "task"),
        ("jobs show", [], "job"), ("jobs list", ["--limt", "3"], "limt"),
    ],
)  # fmt: skip
def test_words_that_do_not_fit_a_command_are_invalid_input_naming_the_field_everywhere(
    name, words, field, place, mouths
):
    done = subprocess.run(
        [sys.executable, "-m", "snapml_lab.cli", *name.split(), *words, "--json"],
        cwd=place, env=_environment(place), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    line = shlex.join([*name.split(), *words])
    said = mouths[Surface.MAGIC].run(f"""
import json
try:
    get_ipython().run_line_magic("snapml", {line!r})
except Exception as error:
    print(json.dumps(error.as_dict()))
""")
    body = {"data": "flowers.csv", "target": "target"} if name == "automl" else {}
    body |= {words[index][2:]: words[index + 1] for index, word in enumerate(words) if word.startswith("--")}
    answers = [json.loads(done.stderr), json.loads(said), mouths[Surface.REST].server.ask(name, body).json()]
    for error in answers:
        assert error["code"] == "invalid_input"
        assert field in error["message"].lower()


def test_what_rest_does_not_have_it_does_not_know(mouths):
    server = mouths[Surface.REST].server
    for name, command in commands().items():
        if Surface.REST not in command.surfaces:
            answer = server.ask(name, CASES[name])
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_command")
