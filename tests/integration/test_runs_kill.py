"""A logging process killed at a random moment, 200 times: what it was told is kept is there, and the audit holds."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from snapml_lab.commands.core import Call, Surface
from snapml_lab.commands.dispatch import dispatch
from snapml_lab.governance import verification
from snapml_lab.store import curve
from snapml_lab.tracking import live, runs
from snapml_lab.workspace import Workspace

CYCLES = 200
SEED = 5


def _log_until_killed(said: int, root: Path, number: int) -> None:
    """Open runs and log, saying after each acknowledgement what was acknowledged: its run, its kind and its step."""
    ws = Workspace(root)
    call = Call(Surface.PYTHON, actor="ann")
    for turn in range(10**6):
        run = dispatch(ws, "runs start", {"name": f"{number}-{turn}", "system": False}, call)
        os.write(said, f"{run.id} begun 0\n".encode())
        with run:
            run.param("number", number)
            os.write(said, f"{run.id} param 0\n".encode())
            for step in range(3000):
                run.log(loss=float(step), acc=0.5, step=step)
                os.write(said, f"{run.id} metric {step}\n".encode())
        os.write(said, f"{run.id} ended 0\n".encode())


def _killed(seconds: float, root: Path, number: int) -> list[list[str]]:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _log_until_killed(write, root, number)
        finally:
            os._exit(99)
    os.close(write)
    said = b""
    deadline = time.monotonic() + seconds
    os.set_blocking(read, False)
    while time.monotonic() < deadline:
        time.sleep(0.002)
        while piece := _piece(read):
            said += piece
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    while piece := _piece(read):
        said += piece
    os.close(read)
    return [line.decode().split() for line in said.split(b"\n")[:-1]]


def _piece(read: int) -> bytes:
    try:
        return os.read(read, 1 << 16)
    except BlockingIOError:
        return b""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_acknowledged_metric_of_200_killed_writers_is_there_and_the_audit_holds(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("SNAPML_AUDIT_HEADS", str(tmp_path / "heads"))
    chance = random.Random(SEED)
    root = tmp_path / ".snapml"
    ws = Workspace(root)
    dispatch(ws, "runs list", {}, Call(Surface.PYTHON))  # what a child would have to import first
    ws.ledger.close()
    kept: dict[str, dict[str, int]] = {}
    for number in range(CYCLES):
        for run, what, step in _killed(chance.uniform(0.0, 0.25), root, number):
            kept.setdefault(run, {})[what] = int(step)
    ws = Workspace(root)
    live.catch_up(ws)
    assert sum(told.get("metric", 0) for told in kept.values()) > 10_000, (
        "too little was logged to say anything"
    )
    for run, told in kept.items():
        found = runs.get(ws.ledger, run)
        assert found.state == ("succeeded" if "ended" in told else found.state)
        assert found.state in ("succeeded", "lost")
        if "param" in told:
            assert "number" in found.params
        for name in ("loss", "acc"):
            points = curve.points(ws.ledger.connection, run, name)
            assert [p[0] for p in points] == list(range(len(points))), "each once, in order"
            assert len(points) >= told.get("metric", -1) + 1
    assert not ws.ledger.rows("SELECT 1 FROM runs WHERE state = 'running'")
    assert ws.ledger.row("PRAGMA integrity_check")[0] == "ok"
    checked = verification.verify(ws)
    assert checked.ok, checked.told()
    assert checked.rows > CYCLES
