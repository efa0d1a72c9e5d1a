"""A check that cannot fail is none: each promise is broken on purpose, on a real cycle, and that must be seen."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from . import cycle as cycles
from . import faults, places, witness
from .cycle import PAYLOADS, Cycle
from .promises import PROMISES
from .run import Turn, run

pytestmark = pytest.mark.slow


@pytest.fixture
def lie():
    """Play a cycle whose fault is a lie; return what was seen broken, and the whole outcome."""
    stage = places.Stage()

    def play(fault):
        place = stage.path / "lie"
        place.mkdir()
        outcome = cycles.play("lie", 1, place, 1 << 20, fault)
        return {breach.promise for breach in outcome.breaches}, outcome

    yield play
    stage.clear()


def _run(cycle: Cycle, moment: str, **fields):
    plan = cycle.plan(**fields)
    cycle.act(cycle.submission(plan))
    assert cycle.at(moment, plan, timeout=30)
    return plan


def _ledger(cycle: Cycle, sql: str) -> None:
    connection = sqlite3.connect(cycle.root / "ledger.db", timeout=10)
    connection.execute(sql)
    connection.commit()
    connection.close()


def _by_hand(cycle: Cycle, plan, **orders) -> None:
    """Start a job's payload beside the product."""
    argv = [
        sys.executable,
        "-I",
        "-S",
        PAYLOADS,
        plan.mark,
        cycle.evidence,
        json.dumps(plan.orders() | orders),
    ]
    cycle.start(list(map(str, argv)))
    time.sleep(0.3)


def _forged_success(cycle):
    plan = _run(cycle, "begun", seconds=5)
    cycle.strike("shim", signal.SIGKILL, plan)
    record = {"reason": "exited", "exit_code": 0, "signal": None, "survivors": [], "ended_at": time.time()}
    (cycle.root / "jobs" / cycle.job(plan) / "exit.json").write_text(json.dumps(record) + "\n")


def _started_again(cycle):
    _by_hand(cycle, _run(cycle, "settled"))


def _started_beside(cycle):
    plan = cycle.plan(seconds=1.5, retries=1)
    cycle.act(cycle.submission(plan))
    cycle.at("begun", plan)
    _by_hand(cycle, plan)


def _survivor(cycle):
    _by_hand(cycle, _run(cycle, "settled"), kind="sleeper")


def _row_gone(cycle):
    plan = _run(cycle, "settled")
    _ledger(cycle, f"DELETE FROM jobs WHERE name = '{plan.mark}'")


def _never_ends(cycle):
    _run(cycle, "running", seconds=60)


def _wrong_code(cycle):
    plan = _run(cycle, "settled", code=7)
    _ledger(cycle, f"UPDATE jobs SET exit_code = 3 WHERE name = '{plan.mark}'")


def _end_not_told(cycle):
    plan = _run(cycle, "settled", code=7)
    _ledger(
        cycle,
        f"UPDATE jobs SET state = 'lost', reason = 'unseen', exit_code = NULL WHERE name = '{plan.mark}'",
    )


def _innocent_killed(cycle):
    plan = _run(cycle, "begun", seconds=5)
    witness.send(cycle.find("payload", plan), signal.SIGKILL)


def _cancelled_by_nobody(cycle):
    plan = _run(cycle, "settled")
    _ledger(cycle, f"UPDATE jobs SET state = 'cancelled', reason = 'cancelled' WHERE name = '{plan.mark}'")


def _refused_but_run(cycle):
    plan = cycle.plan()
    step, values = cycle.submission(plan)
    orders = json.loads(Path(cycle.orders((step, values))).read_text())
    cycle.act((step, values)).wait()
    lines = [line for line in witness.evidence(cycle.evidence) if line["what"] != "accepted"]
    lines.append({"what": "refused", "mark": orders["steps"][0][1]["mark"], "error": "planted"})
    cycle.evidence.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _metric_gone(cycle):
    _run(cycle, "settled", kind="teller", metrics=5)
    _ledger(cycle, "UPDATE metric_chunks SET number = number - 1")


def _stranger_killed(cycle):
    stranger = cycle.start(["sleep", "60"])
    stranger.kill()
    stranger.wait()
    faults.see_alive(cycle, stranger, "who was killed")


def _shim_stays(cycle):
    plan = _run(cycle, "settled")
    program = cycle.place / "jobs" / "shim.py"
    program.parent.mkdir()
    program.write_text("import time; time.sleep(60)")
    cycle.start([sys.executable, str(program), str(cycle.job(plan))])


def _raw_error(cycle):
    cycle.act(("cancel", {"mark": 7, "grace": "x"})).wait()


def _ledger_torn(cycle):
    plan = _run(cycle, "settled")
    cycle.until(lambda: not cycle.find("shim", plan), 5)
    _ledger(cycle, "PRAGMA wal_checkpoint(TRUNCATE)")
    with (cycle.root / "ledger.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"torn" * 4096)


LIES = {
    _forged_success: {"false success"},
    _started_again: {"twice"},
    _started_beside: {"twice"},
    _row_gone: {"lost"},
    _never_ends: {"lost"},
    _wrong_code: {"exit code"},
    _end_not_told: {"exit code"},
    _innocent_killed: {"ended alone"},
    _cancelled_by_nobody: {"ended alone"},
    _refused_but_run: {"refused"},
    _metric_gone: {"metrics"},
    _stranger_killed: {"bystander"},
    _shim_stays: {"left behind"},
    _raw_error: {"raw error"},
    _ledger_torn: {"ledger"},
}


@pytest.mark.parametrize("told", LIES, ids=lambda told: told.__name__.strip("_"))
def test_a_planted_lie_is_seen(lie, told, monkeypatch):
    monkeypatch.setattr(cycles, "_REST_SECONDS", 3.0)
    monkeypatch.setattr(cycles, "_TIDY_SECONDS", 5.0)
    seen, outcome = lie(told)
    assert LIES[told] <= seen, outcome


def test_a_survivor_is_counted_and_under_a_cgroup_it_is_a_broken_promise(lie):
    seen, outcome = lie(_survivor)
    assert outcome.survivors.total() == 1
    assert ("survivor" in seen) == bool(outcome.survivors["cgroup"])


@pytest.mark.parametrize("limit", ["_SHIM_BYTES", "_FOLDER_BYTES"])
def test_a_flood_that_passes_a_limit_is_seen(lie, limit, monkeypatch):
    monkeypatch.setattr(faults, limit, 1000)
    seen, outcome = lie(faults.FAULTS["log-flood"].play)
    assert seen == {"limits"}, outcome


def test_a_cycle_without_a_lie_breaks_no_promise(lie):
    seen, outcome = lie(lambda cycle: _run(cycle, "settled", kind="teller", metrics=5, code=7))
    assert not seen
    assert outcome.jobs.total() == 1


def test_every_promise_has_a_lie():
    assert set().union(*LIES.values()) | {"survivor", "limits"} == set(PROMISES)


def test_a_cycle_that_breaks_down_is_told_and_leaves_nothing(monkeypatch, tmp_path):
    def broken(cycle):
        cycle.start(["sleep", "60"])
        _run(cycle, "begun", kind="shed", seconds=30)
        raise RuntimeError("planted")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setitem(faults.FAULTS, "broken", faults.Fault(broken, lambda: True, heavy=False))
    (outcome,) = run([Turn("broken", 1, 0)], workers=1, seconds=60)
    assert "planted" in outcome.breaches[0].what
    assert not witness.mentioning(str(tmp_path)), "its processes are gone"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_suite_leaves_nothing_behind_when_it_is_interrupted(tmp_path, number):
    suite = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.run", "--only", "kill-payload", "--cycles", "50"],
        cwd=places.REPOSITORY, env={**os.environ, "TMPDIR": str(tmp_path)}, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("*/*/project/.snapml/jobs/*/stdout.log")) and time.monotonic() < deadline:
        time.sleep(0.01)
    suite.send_signal(number)
    suite.wait(60)
    assert time.monotonic() < deadline
    assert not witness.mentioning(str(tmp_path))
    assert not list(tmp_path.iterdir())
