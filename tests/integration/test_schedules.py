"""Schedules: submitted once for each due time by whatever is alive, made up for or skipped where nothing was."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import snapml_lab as snap
from snapml_lab import clock
from snapml_lab.commands.core import Call, Surface
from snapml_lab.commands.dispatch import dispatch
from snapml_lab.commands.schedules import _latest
from snapml_lab.errors import InvalidInputError, NotFoundError, SnapmlError
from snapml_lab.jobs import due, queue
from snapml_lab.jobs.model import Job
from snapml_lab.workspace import Workspace

EVERY_MINUTE = "* * * * *"
YEARLY = "0 0 1 1 *"


@pytest.fixture
def said(project: Path) -> Path:
    (project / "said.py").write_text("open('said', 'a').write('x')\n")
    return project / "said"


@pytest.fixture
def overdue(ws: Workspace) -> Callable[..., None]:
    """Make a schedule due some seconds ago, as if nobody had been alive since."""

    def set_back(name: str, seconds: float = 1.0) -> None:
        with ws.ledger.write() as connection:
            connection.execute(
                "UPDATE schedules SET due_at = ? WHERE name = ?", (clock.now() - seconds, name)
            )

    return set_back


def made(ws: Workspace) -> list[Job]:
    return sorted(queue.latest(ws), key=lambda job: job.id)


@pytest.mark.parametrize(
    ("cron", "timezone", "words", "field"),
    [
        ("often", "UTC", ["run", "said.py"], "cron"),
        ("61 * * * *", "UTC", ["run", "said.py"], "cron"),
        ("0 0 30 2 *", "UTC", ["run", "said.py"], "cron"),
        ("* * * *", "UTC", ["run", "said.py"], "cron"),
        (EVERY_MINUTE, "Mars/Olympus", ["run", "said.py"], "timezone"),
        (EVERY_MINUTE, "../../etc/passwd", ["run", "said.py"], "timezone"),
        (EVERY_MINUTE, "", ["run", "said.py"], "timezone"),
        (EVERY_MINUTE, "UTC", ["status"], "words"),
        (EVERY_MINUTE, "UTC", ["jobs", "cancel", "last"], "words"),
        (EVERY_MINUTE, "UTC", ["run", "--gpus", "many", "--", "ls"], "gpus"),
        (EVERY_MINUTE, "UTC", ["run", "said.py", "--key", "k"], "words"),
        (EVERY_MINUTE, "UTC", ["run", "--help"], "words"),
    ],
)
def test_a_mistake_is_told_by_field_and_nothing_is_scheduled(ws, said, cron, timezone, words, field):
    with pytest.raises(InvalidInputError) as raised:
        snap.jobs.schedule("a", cron, words, timezone=timezone)
    assert field in raised.value.message.lower()
    assert raised.value.fix
    assert snap.jobs.schedules().schedules == []
    assert ws.ledger.rows("SELECT * FROM schedules") == []


def test_a_schedule_says_when_it_is_due_by_its_own_clock(ws, said):
    berlin = snap.jobs.schedule("a", "0 3 1 7 *", ["run", "said.py"], timezone="Europe/Berlin")
    utc = snap.jobs.schedule("b", "0 3 1 7 *", ["run", "said.py"])
    assert berlin.due_at[10:16] == "T01:00"
    assert utc.due_at[10:16] == "T03:00"
    assert [item.name for item in snap.jobs.schedules().schedules] == ["a", "b"]


def test_what_is_due_is_submitted_once_even_if_two_fire_at_once(ws, said, overdue, finish, project):
    snap.jobs.schedule("a", YEARLY, ["run", "said.py"])
    overdue("a")
    firing = [
        subprocess.Popen(
            [sys.executable, "-m", "snapml_lab.cli", "jobs", "fire", "--json"], stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in firing]
    (job,) = made(ws)
    finish(job)
    assert said.read_text() == "x"
    assert {item["last_job"] for answer in answers for item in answer["schedules"]} == {job.id}
    (shown,) = snap.jobs.schedules().schedules
    assert shown.last_job == job.id
    assert shown.note.startswith("submitted")
    assert shown.due_at > clock.iso(clock.now())


def test_of_those_that_were_missed_one_is_made_up_for_or_none(ws, said, overdue):
    snap.jobs.schedule("once", YEARLY, ["run", "said.py"], missed="once")
    snap.jobs.schedule("skip", YEARLY, ["run", "said.py"], missed="skip")
    overdue("once", 3600)
    overdue("skip", 3600)
    fired = {item.name: item for item in snap.jobs.fire().schedules}
    (job,) = made(ws)
    assert fired["once"].last_job == job.id
    assert fired["skip"].last_job is None
    assert "skipped" in fired["skip"].note
    assert snap.jobs.fire().schedules == []


def test_the_last_of_a_year_of_missed_minutes_is_found_at_once():
    now = clock.now()
    begun = time.monotonic()
    latest = _latest({"cron": EVERY_MINUTE, "timezone": "UTC"}, now - 365 * 86_400, now)
    assert now - 60 <= latest <= now
    assert time.monotonic() - begun < 1
    assert _latest({"cron": YEARLY, "timezone": "UTC"}, now - 5, now) == now - 5


def test_a_shim_alone_fires_what_is_due(ws, said, overdue, until, submit):
    submit("import time; time.sleep(40)", name="alive")  # and from here on this process only looks
    snap.jobs.schedule("a", YEARLY, ["run", "said.py"])
    overdue("a")
    until(said.exists, "the scheduled job", 60)
    assert len(made(ws)) == 2


def test_a_schedule_that_was_fired_inside_a_job_is_no_part_of_it(ws, said, overdue, monkeypatch, until):
    snap.jobs.schedule("a", YEARLY, ["run", "said.py"])
    overdue("a")
    outer = snap.jobs.run([sys.executable, "-c", (
        "from snapml_lab.jobs.tick import tick; from snapml_lab.workspace import open_workspace; import time;"
        "tick(open_workspace()); time.sleep(3)"
    )], name="outer")  # fmt: skip
    inner = until(lambda: next((job for job in made(ws) if job.name == "said"), None))
    assert inner.parent is None
    outer.cancel(grace=0)
    until(said.exists)


def test_a_schedule_runs_in_the_folder_it_was_made_in(ws, project, overdue, finish, monkeypatch):
    inner = project / "inner"
    inner.mkdir()
    (inner / "here.py").write_text("open('here', 'w').close()\n")
    monkeypatch.chdir(inner)
    snap.jobs.schedule("a", YEARLY, ["run", "here.py"])
    monkeypatch.chdir(project)
    overdue("a")
    snap.jobs.fire()
    (job,) = made(ws)
    finish(job)
    assert (inner / "here").exists()
    assert Path.cwd() == project


def test_a_schedule_that_fails_says_why_and_keeps_nobody_else_from_its_time(ws, said, overdue):
    for name in ("a", "b"):
        snap.jobs.schedule(name, YEARLY, ["run", "said.py"])
        overdue(name)
    ws.catalog.change("schedules", "a", lambda fields: {**fields, "words": ["run", "gone.py"]})
    fired = {item.name: item for item in snap.jobs.fire().schedules}
    assert "failed: There is no script 'gone.py'" in fired["a"].note
    assert fired["b"].last_job
    assert len(made(ws)) == 1


def test_schedules_that_come_with_the_catalog_are_taken_up(ws, said, until):
    ws.catalog.add(
        "schedules",
        "pulled",
        {"cron": YEARLY, "timezone": "UTC", "missed": "once", "words": ["run", "said.py"]},
    )
    ws.catalog.add("schedules", "odd", {"cron": "often", "words": ["run", "said.py"]})
    ws.catalog.add("schedules", "empty", {})
    assert due.is_due(ws)
    due.fire(ws)
    until(lambda: ws.ledger.row("SELECT due_at FROM schedules WHERE name = 'pulled'"))
    assert not due.is_due(ws)
    shown = {item.name: item for item in snap.jobs.schedules().schedules}
    assert shown["pulled"].due_at
    assert "cron" in shown["odd"].note
    assert shown["empty"].text()
    ws.catalog.change("schedules", "odd", lambda fields: {**fields, "cron": "0 0 1 2 *"})
    snap.jobs.fire()
    assert {item.name: item.due_at for item in snap.jobs.schedules().schedules}["odd"][5:10] == "02-01"


def test_a_schedule_acts_for_who_made_it(ws, said, overdue):
    call = Call(Surface.PYTHON, actor="ann")
    dispatch(ws, "jobs schedule", {"name": "a", "cron": YEARLY, "words": ["run", "said.py"]}, call)
    overdue("a")
    ws.catalog.add("roles", "ann", {"role": "viewer"})
    (fired,) = snap.jobs.fire().schedules
    assert "may not run 'run'" in fired.note
    ws.catalog.change("roles", "ann", lambda _: {"role": "developer"})
    overdue("a")
    snap.jobs.fire()
    assert [job.actor for job in made(ws)] == ["ann"]


def test_a_schedule_that_is_removed_is_gone_and_one_that_is_replaced_is_new(ws, said, overdue):
    snap.jobs.schedule("a", YEARLY, ["run", "said.py"])
    snap.jobs.schedule("a", "0 0 1 6 *", ["run", "said.py"])
    (shown,) = snap.jobs.schedules().schedules
    assert shown.due_at[5:10] == "06-01"
    overdue("a")
    snap.jobs.unschedule("a")
    assert snap.jobs.fire().schedules == []
    assert made(ws) == []
    assert ws.ledger.rows("SELECT * FROM schedules") == []
    with pytest.raises(NotFoundError):
        snap.jobs.unschedule("a")


def test_a_terminal_schedules_a_command_after_dashes(ws, snapml, said):
    done = snapml(
        "jobs", "schedule", "a", YEARLY, "--", "run", "--name", "n", "--", "python", "said.py", "--json"
    )
    assert done.returncode == 0, done.stderr
    (shown,) = snap.jobs.schedules().schedules
    assert shown.command == "run --name n -- python said.py --json"


def test_a_name_that_is_none_is_refused(ws, said):
    for name in ("", "a b", "../a", "x" * 65):
        with pytest.raises(SnapmlError):
            snap.jobs.schedule(name, YEARLY, ["run", "said.py"])
