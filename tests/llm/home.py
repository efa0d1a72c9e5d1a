"""A project to work in as a person would, and records to learn from."""

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snapml_lab.costs import requests
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job
from snapml_lab.workspace import Workspace

_PATIENCE = 120.0


def until(look: Callable[[], Any], *, what: str = "", seconds: float = _PATIENCE) -> Any:
    """Wait until ``look`` returns something true, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"it never came: {what or look}"
        time.sleep(0.05)


def record(*turns: str) -> str:
    """Return one line: a conversation of question and answer by turns."""
    roles = ["user", "assistant"] * len(turns)
    return json.dumps(
        {"messages": [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]}
    )


def people(number: int, *, seed: int = 0) -> list[str]:
    """Return records: a sentence, and what it says as JSON."""
    chance = random.Random(seed)
    lines = []
    for _ in range(number):
        name, count = chance.choice(["ann", "bob", "carol"]), chance.randrange(100)
        lines.append(record(f"{name} has {count}", json.dumps({"name": name, "count": count})))
    return lines


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Home:
    """A project with a workspace, and the command line in it."""

    folder: Path
    cache: Path
    ws: Workspace = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ws = Workspace(self.folder / ".snapml")

    @property
    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SNAPML_", "JPY_"))}
        return {**own, "SNAPML_WORKSPACE": str(self.folder), "XDG_CACHE_HOME": str(self.cache)}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start the command line."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "snapml_lab.cli", *words],
            cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *words: str, timeout: float = 200) -> "subprocess.CompletedProcess[str]":
        """Run the command line to its end."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "snapml_lab.cli", *words],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def do(self, *words: str, timeout: float = 200) -> Any:
        """Run the command line, which must succeed, and return what it tells as JSON."""
        done = self.run(*words, "--json", timeout=timeout)
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-4000:])
        return json.loads(done.stdout)

    def refused(self, *words: str) -> dict[str, str]:
        """Run the command line, which must refuse, and return its error."""
        done = self.run(*words, "--json")
        assert done.returncode == 2, (words, done.stdout[-2000:], done.stderr[-4000:])
        told: dict[str, str] = json.loads(done.stderr.strip().splitlines()[-1])
        return told

    def job(self, identifier: str) -> Job:
        return queue.get(self.ws, identifier)

    def files(self, identifier: str) -> JobFolder:
        return JobFolder(self.ws.jobs / identifier)

    def nonce(self, identifier: str) -> str:
        return str(json.loads(self.files(identifier).launch.read_bytes())["nonce"])

    def log(self, identifier: str) -> str:
        files = self.files(identifier)
        return files.stdout.read_text("utf-8", "replace") + files.stderr.read_text("utf-8", "replace")

    def rows(self) -> list[requests.Request]:
        """All requests so far, oldest first."""
        time.sleep(0.1)  # what was answered is settled within moments
        patience = time.monotonic() + 5
        while (
            self.ws.ledger.row("SELECT 1 FROM requests WHERE state = 'open'") and time.monotonic() < patience
        ):
            time.sleep(0.02)
        return requests.latest(self.ws.ledger, 10_000)[::-1]

    def row(self, identifier: str) -> requests.Request:
        """The one row of a request."""
        row = until(lambda: requests.get(self.ws.ledger, identifier), what=f"row {identifier}")
        assert isinstance(row, requests.Request)
        return row

    def stop(self) -> None:
        """Stop whatever still runs."""
        live = [job for job in queue.latest(self.ws, limit=1000) if not job.ended]
        for job in live:
            queue.cancel(self.ws, job.id, grace=0.5)
        for job in live:
            queue.wait(self.ws, job, timeout=60)


@dataclass
class Lab(Home):
    """A home with models that are served: ``tuned`` (an adapter), ``merged``, and ``url`` of the gateway."""

    url: str = ""
    key: str = ""
