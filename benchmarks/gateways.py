"""The gateways that are compared, all in front of the same stand-in provider: each a process with one worker, on loopback TCP."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests
from rivals import ASKER, OURS, Driver, environment, mlflow_gateway_python
from surroundings import scratch, wait_until
from upstream import PACED

DIRECT = "the provider itself"
RELAY = "a bare relay: aiohttp, uvloop, two SQLite transactions"
LITELLM = "LiteLLM 1.109 proxy, master key only"
MLFLOW_GATEWAY = "MLflow 3.18 AI gateway"
AT_ONCE = "inner"
"""The model that answers at once; ``PACED`` streams a token each 0.1 s. Both deployments bear their model's name."""
TOKENS = 16
"""Tokens of an answer, unless it is asked for another number of them."""
WITHOUT = (
    "all with one worker and the same provider behind; ours with a key of its own that has a limit, a price for its tokens, and a row in the ledger for each request. It has itself scheduled in real time where its account may, as here.",
    "LiteLLM is run with its master key and no database: its own keys, budgets and record of what was spent need PostgreSQL through Prisma, whose engine no package registry has, so none of that work is in its figures, which favours it. MLflow's gateway has no keys, no budget and no bill at all.",
)

_UP_SECONDS = 180.0
_BEHIND, _VARIABLE = "sk-behind", "BENCH_PROVIDER_KEY"
_LIMIT_PICO = 10**15
"""What our key may spend in all, a thousand dollars: far from what is asked, but to be looked at for each request."""
_PRICE = {
    "dollars_per_million_input": "1", "dollars_per_million_output": "2", "source": "declared", "date": "2026-11-22",
}  # fmt: skip
_GATEWAY = """
import sys
from pathlib import Path
from snapml_lab.gateway import app
from snapml_lab.jobs.events import Reporter
app.run({"port": int(sys.argv[1])}, Reporter(Path(sys.argv[2])))
"""


@dataclass(frozen=True)
class Gateway:
    """One address that completes chats.

    Attributes:
        pid: the process to measure, its children with it.
        headers: what a request carries.
        paths: of models that are asked by path; others are named in the body.
        kept: the workspace its bill is in, if it writes one.
        beside: further processes that are measured with it.
    """

    name: str
    port: int
    pid: int
    headers: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    kept: Any = None
    beside: tuple[int, ...] = ()

    def asked(self, *, model: str = AT_ONCE, stream: bool = False, tokens: int = TOKENS) -> dict[str, Any]:
        """Return what an asker is told of a chat."""
        body: dict[str, Any] = {"messages": [{"role": "user", "content": "well?"}], "max_tokens": tokens}
        body |= {"stream": True} if stream else {}
        body |= {} if model in self.paths else {"model": model}
        path = self.paths.get(model, "/v1/chat/completions")
        return {
            "port": self.port, "path": path, "headers": self.headers, "body": body, "tokens": tokens if stream else None,
        }  # fmt: skip

    def cpu_seconds(self) -> float:
        """Return the processor time it has used."""
        return sum(sum(process.cpu_times()[:2]) for process in self._processes())

    def memory(self) -> float:
        """Return its resident memory in MiB."""
        return sum(process.memory_info().rss for process in self._processes()) / (1 << 20)

    def _processes(self) -> list[psutil.Process]:
        own = [psutil.Process(pid) for pid in (self.pid, *self.beside)]
        return [process for one in own for process in (one, *one.children(recursive=True))]


@contextlib.contextmanager
def gateways(*names: str) -> Iterator[tuple[Driver, dict[str, Gateway]]]:
    """Give an asker and gateways by name, each having answered; all end with the block."""
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="snapml-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        port, upstream = stack.enter_context(provider())
        found: dict[str, Gateway] = {}
        for name in names:
            found[name] = (
                Gateway(DIRECT, port, upstream)
                if name == DIRECT
                else stack.enter_context(_MADE[name](port, folder))
            )
        try:
            for gateway in found.values():
                _wait(gateway)
        except Exception as error:
            logs = [
                f"{log.name}: {log.read_text('utf-8', 'replace')[-2000:]}" for log in folder.glob("*.log")
            ]
            raise RuntimeError("\n".join([str(error), *logs])) from error
        yield stack.enter_context(Driver(ASKER, folder)), found


def worked(asker: Driver, gateway: Gateway, verb: str = "ask", **asked: Any) -> dict[str, Any]:
    """Have a gateway asked for chats, and return the figures.

    Raises:
        RuntimeError: an answer was not whole.
    """
    shape = {name: asked.pop(name) for name in ("model", "stream", "tokens") if name in asked}
    found: dict[str, Any] = asker.ask(verb, **gateway.asked(**shape), **asked)
    if found["broken"]:
        raise RuntimeError(f"{gateway.name}: {found['broken']} of {found['begun']} broken: {found['why']}")
    return found


@contextlib.contextmanager
def provider(*sockets: Path) -> Iterator[tuple[int, int]]:
    """Give the port and the process of a stand-in for a provider."""
    here = Path(__file__).with_name("upstream.py")
    with process([sys.executable, str(here), *map(str, sockets)], dict(os.environ), read=True) as upstream:
        assert upstream.stdout is not None
        yield int(upstream.stdout.readline()), upstream.pid


@contextlib.contextmanager
def process(
    argv: list[str], variables: dict[str, str], *, log: Path | None = None, read: bool = False
) -> Iterator["subprocess.Popen[str]"]:
    """Give a process in a session of its own; it and its children are killed at the end."""
    with contextlib.ExitStack() as stack:
        out: Any = subprocess.DEVNULL if log is None else stack.enter_context(log.open("ab"))
        found = subprocess.Popen(
            argv, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if read else out, stderr=out, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield found
        finally:
            with contextlib.suppress(psutil.Error):
                for one in psutil.Process(found.pid).children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        one.kill()
            found.kill()
            found.communicate()


@dataclass(frozen=True)
class Bill:
    """How many rows the ledger has of requests, how many with tokens and a cost, and for how many an amount was held before."""

    rows: int
    billed: int
    held: int


def bill(ws: Any) -> Bill:
    """Count what ours has on its bill."""
    row = ws.ledger.row(
        "SELECT count(*) AS every, coalesce(sum(output_tokens > 0 AND cost_pico > 0 AND state = 'settled'), 0) AS billed,"
        " count(reserved_pico) AS held FROM requests"
    )
    return Bill(row["every"], row["billed"], row["held"])


@contextlib.contextmanager
def ours(ws: Any, folder: Path, kept: Any = None) -> Iterator[Gateway]:
    """Give our gateway of a workspace, and a key of it that may spend so much and no more."""
    from snapml_lab.governance import keys

    made, key = keys.create(ws, "bench")
    with ws.ledger.write() as connection:
        connection.execute("UPDATE api_keys SET limit_pico = ? WHERE id = ?", (_LIMIT_PICO, made.id))
    port, events = free_port(), ws.project / "gateway.jsonl"
    variables = {**os.environ, "SNAPML_WORKSPACE": str(ws.project), _VARIABLE: _BEHIND}
    argv = [sys.executable, "-c", _GATEWAY, str(port), str(events)]
    with process(argv, variables, log=folder / "ours.log") as started:
        wait_until(lambda: events.exists() and "ready" in events.read_text("utf-8"), "our gateway")
        yield Gateway(OURS, port, started.pid, _bearer(key), kept=kept)


@contextlib.contextmanager
def _ours(upstream: int, folder: Path) -> Iterator[Gateway]:
    from snapml_lab.registry import deployments

    with scratch() as ws:
        address = {"base_url": f"http://127.0.0.1:{upstream}/v1", "key_env": _VARIABLE, "private": True}
        ws.catalog.change("providers", "mock", lambda _: address)
        for model in (AT_ONCE, PACED):
            options = {"provider": "mock"}
            deployments.declare(
                ws, deployments.single(model, f"{model}@1", "openai", "chat", model, options=options)
            )
            ws.catalog.change("prices", model, lambda _: _PRICE)
        with ours(ws, folder, ws) as made:
            yield made


@contextlib.contextmanager
def _relay(upstream: int, folder: Path) -> Iterator[Gateway]:
    key = secrets.token_urlsafe(32)
    argv = [
        sys.executable,
        str(Path(__file__).with_name("relay.py")),
        str(folder / "relay.db"),
        str(upstream),
        key,
    ]
    with process(argv, dict(os.environ), read=True) as started:
        assert started.stdout is not None
        yield Gateway(RELAY, int(started.stdout.readline()), started.pid, _bearer(key))


@contextlib.contextmanager
def _litellm(upstream: int, folder: Path) -> Iterator[Gateway]:
    """Give LiteLLM's proxy as its advice for production has it, without what needs its database."""
    key = f"sk-{secrets.token_urlsafe(24)}"
    inner = {"api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": _BEHIND}
    config = {
        "model_list": [
            {"model_name": model, "litellm_params": {"model": f"openai/{model}", **inner}} for model in (AT_ONCE, PACED)
        ],
        "general_settings": {"master_key": key},
        "litellm_settings": {"set_verbose": False, "telemetry": False},
    }  # fmt: skip
    place = folder / "litellm.yaml"
    place.write_text(json.dumps(config), "utf-8")  # which is YAML, too
    python, port = litellm_python(), free_port()
    argv = [str(Path(python).with_name("litellm")), "--config", str(place), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]  # fmt: skip
    variables = foreign(folder) | {
        "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }  # fmt: skip
    with process(argv, variables, log=folder / "litellm.log") as started:
        yield Gateway(LITELLM, port, started.pid, _bearer(key))


@contextlib.contextmanager
def _mlflow(upstream: int, folder: Path) -> Iterator[Gateway]:
    inner = {"openai_api_key": _BEHIND, "openai_api_base": f"http://127.0.0.1:{upstream}/v1"}
    config = {
        "endpoints": [
            {
                "name": model, "endpoint_type": "llm/v1/chat",
                "model": {"provider": "openai", "name": model, "config": inner},
            }
            for model in (AT_ONCE, PACED)
        ],
    }  # fmt: skip
    place = folder / "mlflow.yaml"
    place.write_text(json.dumps(config), "utf-8")
    port = free_port()
    argv = [mlflow_gateway_python(), "-m", "mlflow", "gateway", "start", "--config-path", str(place), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]  # fmt: skip
    with process(argv, foreign(folder), log=folder / "mlflow.log") as started:
        paths = {model: f"/gateway/{model}/invocations" for model in (AT_ONCE, PACED)}
        yield Gateway(MLFLOW_GATEWAY, port, started.pid, paths=paths)


_MADE: dict[str, Callable[[int, Path], Any]] = {
    OURS: _ours, RELAY: _relay, LITELLM: _litellm, MLFLOW_GATEWAY: _mlflow,
}  # fmt: skip


def litellm_python() -> str:
    """Return the interpreter of LiteLLM's environment.

    The newest names a certifi of the day it came out, which an index may not have yet: it takes the place of one before it.
    """
    return environment("litellm", "litellm[proxy]==1.106.*", over="litellm==1.109.*")


def foreign(folder: Path) -> dict[str, str]:
    """Return the environment of a rival: nothing of ours, no telling anybody over a network."""
    kept = {
        name: value for name, value in os.environ.items()
        if not name.startswith(("SNAPML_", "LITELLM_", "MLFLOW_", "OPENAI_")) and name not in ("PYTHONPATH", "DATABASE_URL")
    }  # fmt: skip
    return kept | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "HOME": str(folder)}


def _wait(gateway: Gateway) -> None:
    """Wait until a chat comes back whole."""

    def answers() -> bool:
        if not psutil.pid_exists(gateway.pid) or psutil.Process(gateway.pid).status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError(f"{gateway.name} ended before it was up")
        asked = gateway.asked()
        url = f"http://127.0.0.1:{gateway.port}{asked['path']}"
        with contextlib.suppress(requests.ConnectionError):
            return (
                requests.post(url, json=asked["body"], headers=asked["headers"], timeout=30).status_code
                == 200
            )
        return False

    wait_until(answers, gateway.name, _UP_SECONDS, 0.2)


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
