"""Commands about schedules: commands that submit a job at times given as in cron."""

import contextlib
import shlex
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from pydantic import Field

from snapml_lab import clock
from snapml_lab.commands.binding import bind
from snapml_lab.commands.core import Call, Command, Surface, command
from snapml_lab.commands.dispatch import dispatch, validated
from snapml_lab.commands.types import Completes, TakesWords
from snapml_lab.errors import InvalidInputError, NotFoundError, SnapmlError
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import due as schedule_clock
from snapml_lab.jobs import queue
from snapml_lab.jobs.view import JobView
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

KIND = "schedules"
_LATE_SECONDS = 60.0
"""A run that starts later than this was missed, and the schedule's own rule says what becomes of it."""

ScheduleName = Annotated[
    str,
    Completes(KIND),
    Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$", description="a schedule's name"),
]  # fmt: skip
Missed = Literal["once", "skip"]


class Schedule(View):
    """A schedule: the command, when it is due next, and what became of it last."""

    name: str
    cron: str
    timezone: str
    missed: Missed
    command: str
    due_at: str | None
    last_at: str | None
    last_job: str | None
    note: str | None

    def text(self) -> str:
        """One line."""
        last = f"; last {self.last_at or ''}: {self.note}" if self.note else ""
        return f"{self.name}: {self.command}, at {self.cron} ({self.timezone}), next {self.due_at or 'never'}{last}"

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        return [
            self.name,
            self.cron,
            self.timezone,
            self.command,
            (self.due_at or "")[:16],
            (self.last_at or "")[:16],
            self.note or "",
        ]


class ScheduleList(View):
    """All schedules."""

    schedules: list[Schedule]

    def text(self) -> str:
        """A table, and when schedules run."""
        if not self.schedules:
            return "No schedules. Make one: snapml jobs schedule NAME '0 3 * * *' -- pipeline run FILE.yaml"
        return "\n".join([text_table(_HEADER, [item.row() for item in self.schedules]), _RULE])

    def html(self) -> str:
        """A table."""
        if not self.schedules:
            return super().html()
        return framed(
            html_table(_HEADER, [item.row() for item in self.schedules]), f"<div class=dim>{_RULE}</div>"
        )


_HEADER = ["schedule", "cron", "time zone", "command", "next", "last", ""]
_RULE = (
    "Schedules run while a Jupyter server, snapml up or any job is alive. Of the runs missed meanwhile, one is made up "
    "for as soon as one is (--missed once), or none (--missed skip)."
)


@command("jobs schedule", effect=Effect.EXECUTE)
def schedule(
    ws: Workspace,
    name: ScheduleName,
    cron: Annotated[str, Field(min_length=1, max_length=200)],
    words: Annotated[list[str], Parameter(consume_multiple=True), TakesWords(), Field(min_length=1)],
    *,
    timezone: str = "UTC",
    missed: Missed = "once",
    call: Call,
) -> Schedule:
    """Run a command at times given as in cron, by anything of ours that is alive; a schedule of that name is replaced.

    It runs in the current folder, and its paths are relative to that.

    Args:
        name: what to call it.
        cron: minute, hour, day of the month, month, day of the week: "0 3 * * 1-5" is three o'clock on working days.
        words: the command, after --; one that submits a job, such as pipeline run FILE.yaml.
        timezone: whose clock it goes by, as in Europe/Berlin.
        missed: of the runs missed while nothing was alive, make up for one (once) or none (skip).
    """
    bound = bind(words, Surface.CLI)
    if bound.command is None or not _submits(bound.command):
        raise _no_work(words)
    given = validated(bound.command, bound.arguments)
    if given.get("key") is not None:
        raise InvalidInputError(
            "words: with --key only the first run of a schedule would be one.",
            fix="Leave it out: each due time is submitted once anyway.",
        )
    fields = {"cron": cron, "timezone": timezone, "missed": missed, "words": words, "actor": call.actor}
    if call.surface is not Surface.REST and (folder := ws.relative(Path.cwd())) != ".":
        fields["folder"] = folder
    due = _next(fields, clock.now())
    ws.catalog.change(KIND, name, lambda _: fields)
    with ws.ledger.write() as connection:
        connection.execute(
            "INSERT INTO schedules (name, due_at) VALUES (?1, ?2)"
            " ON CONFLICT DO UPDATE SET due_at = ?2, firing_at = NULL",
            (name, due),
        )
    schedule_clock.look(ws)
    return _view(ws, name, fields)


def _no_work(words: list[str]) -> InvalidInputError:
    return InvalidInputError.of(
        "words", " ".join(words), "a command that submits a job, such as run or pipeline run",
        "As in: snapml jobs schedule NAME '0 3 * * *' -- run train.py",
    )  # fmt: skip


def _submits(command: Command) -> bool:
    """Say whether a command submits a job: those about jobs there are return one, too."""
    return command.result is JobView and command.words[0] != "jobs"


@command("jobs schedules", effect=Effect.READ)
def schedules(ws: Workspace) -> ScheduleList:
    """List the schedules, when each is due, and what became of its last run."""
    return ScheduleList(
        schedules=[_view(ws, name, fields) for name, fields in sorted(ws.catalog.all(KIND).items())]
    )


@command("jobs unschedule", effect=Effect.EXECUTE)
def unschedule(ws: Workspace, name: ScheduleName) -> Schedule:
    """Remove a schedule; jobs it submitted go on.

    Args:
        name: its name.
    """
    found = _view(ws, name, ws.catalog.remove(KIND, name))
    with ws.ledger.write() as connection:
        connection.execute("DELETE FROM schedules WHERE name = ?", (name,))
    schedule_clock.look(ws)
    return found


@command("jobs fire", effect=Effect.EXECUTE, surfaces=frozenset({Surface.CLI, Surface.PYTHON}))
def fire(ws: Workspace, *, call: Call) -> ScheduleList:
    """Submit what schedules say is due. The queue does this by itself."""
    declared = ws.catalog.all(KIND)
    _agree(ws, declared)
    fired = []
    for name, fields in sorted(declared.items()):
        row = ws.ledger.row("SELECT * FROM schedules WHERE name = ?", name)
        if row is not None and row["due_at"] is not None and row["due_at"] <= clock.now():
            fired.append(_fire(ws, name, fields, row["due_at"], call))
    return ScheduleList(schedules=fired)


def _fire(ws: Workspace, name: str, fields: dict[str, Any], due: float, call: Call) -> Schedule:
    now = clock.now()
    job, following = None, None
    try:
        following, latest = _next(fields, now), _latest(fields, due, now)
        note = f"skipped: nothing was alive at {clock.iso(latest)}"
        if now - latest <= _LATE_SECONDS or fields.get("missed") == "once":
            job = _submit(ws, name, fields, latest, call)
            note = f"submitted, for {clock.iso(latest)}"
    except SnapmlError as error:
        note = f"failed: {error}"
    except Exception as error:  # one schedule's trouble must not keep the others from their time
        note = f"failed: {type(error).__name__}: {error}"
    with ws.ledger.write() as connection:
        connection.execute(
            "UPDATE schedules SET due_at = ?, firing_at = NULL, last_at = ?, last_job = coalesce(?, last_job), note = ?"
            " WHERE name = ?",
            (following, now, job, note, name),
        )
    return _view(ws, name, fields)


def _submit(ws: Workspace, name: str, fields: dict[str, Any], due: float, call: Call) -> str:
    """Submit the job of one due time, as who scheduled it; asked again for the same time, return the same job."""
    bound = bind(fields["words"], Surface.CLI)
    if bound.command is None or not _submits(bound.command):
        raise _no_work(fields["words"])
    asked = Call(call.surface, actor=fields.get("actor") or call.actor)
    folder = ws.project / fields.get("folder", ".")
    if not folder.is_dir():
        raise NotFoundError(f"There is no folder {folder}.", fix="Schedule the command anew, in its folder.")
    with queue.keyed(f"schedule {name} {clock.iso(due)}"), contextlib.chdir(folder):
        view = dispatch(ws, bound.command.name, bound.arguments, asked)
    return str(view.id)


def _agree(ws: Workspace, declared: dict[str, dict[str, Any]]) -> None:
    """Have the ledger know the schedules as the catalog has them, which may have come from a copy or a pull."""
    known = {row["name"]: row["due_at"] for row in ws.ledger.rows("SELECT name, due_at FROM schedules")}
    now = clock.now()
    wanted: dict[str, tuple[float | None, str | None]] = {}
    for name, fields in declared.items():
        if (due := known.get(name)) is not None and due <= now:
            continue
        try:
            wanted[name] = _next(fields, now), None
        except SnapmlError as error:
            wanted[name] = None, f"failed: {error}"
    with ws.ledger.write() as connection:
        for name in known.keys() - declared.keys():
            connection.execute("DELETE FROM schedules WHERE name = ?", (name,))
        for name, (due, note) in wanted.items():
            connection.execute(
                "INSERT INTO schedules (name, due_at, note) VALUES (?1, ?2, ?3)"
                " ON CONFLICT DO UPDATE SET due_at = ?2, note = coalesce(?3, note)",
                (name, due, note),
            )


def _next(fields: dict[str, Any], after: float) -> float:
    """Return the first due time after an instant, both in seconds since the epoch.

    Raises:
        InvalidInputError: that is no cron expression, or no time zone, or it never comes.
    """
    return _neighbour(fields, after, reverse=False)


def _latest(fields: dict[str, Any], due: float, now: float) -> float:
    """Return the last due time that has come, ``due`` or later."""
    return max(due, _neighbour(fields, now + 1.0, reverse=True))


def _neighbour(fields: dict[str, Any], instant: float, *, reverse: bool) -> float:
    import zoneinfo

    from cronsim import CronSim, CronSimError

    cron, timezone = str(fields.get("cron", "")), str(fields.get("timezone", "UTC"))
    try:
        zone = zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInputError.of(
            "timezone", timezone, "a time zone, as Europe/Berlin", "UTC is one, too."
        ) from error
    try:
        return float(next(CronSim(cron, datetime.fromtimestamp(instant, zone), reverse=reverse)).timestamp())
    except (CronSimError, StopIteration) as error:
        expected = "five fields as in cron that come to pass: minute hour day month weekday"
        raise InvalidInputError.of("cron", cron, expected, '"0 3 * * *" is daily at 3:00.') from error


def _view(ws: Workspace, name: str, fields: dict[str, Any]) -> Schedule:
    row = ws.ledger.row("SELECT * FROM schedules WHERE name = ?", name)
    due, last = (row["due_at"], row["last_at"]) if row else (None, None)
    return Schedule(
        name=name, cron=str(fields.get("cron", "")), timezone=str(fields.get("timezone", "UTC")),
        missed="skip" if fields.get("missed") == "skip" else "once", command=shlex.join(map(str, fields.get("words", []))),
        due_at=None if due is None else clock.iso(due), last_at=None if last is None else clock.iso(last),
        last_job=row["last_job"] if row else None, note=row["note"] if row else None,
    )  # fmt: skip
