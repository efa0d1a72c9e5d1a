"""Commands about queues: how many of one may run at once, and whether it rests."""

from typing import Annotated

from pydantic import Field

from snapml_lab.commands.core import command
from snapml_lab.commands.types import QueueName
from snapml_lab.errors import InvalidInputError
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs.model import DEFAULT_QUEUE, LIVE
from snapml_lab.jobs.tick import tick
from snapml_lab.store.ledger import bump
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


class QueueView(View):
    """A queue: how many of it run and wait, how many may run at once (None: as many as there is room for)."""

    name: str
    running: int
    queued: int
    at_most: int | None
    paused: bool

    def text(self) -> str:
        """One line."""
        limit = "" if self.at_most is None else f", at most {self.at_most} at once"
        rest = "; paused" if self.paused else ""
        return f"queue {self.name}: {self.running} running, {self.queued} queued{limit}{rest}"

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        limit = "" if self.at_most is None else str(self.at_most)
        return [self.name, str(self.running), str(self.queued), limit, "paused" if self.paused else ""]


class QueueList(View):
    """All queues that have or had jobs, or a limit."""

    queues: list[QueueView]

    def text(self) -> str:
        """A table."""
        return text_table(_HEADER, [queue.row() for queue in self.queues])

    def html(self) -> str:
        """A table."""
        return framed(html_table(_HEADER, [queue.row() for queue in self.queues]))


_HEADER = ["queue", "running", "queued", "at most", ""]


@command("queue list", effect=Effect.READ)
def list_queues(ws: Workspace) -> QueueList:
    """List the queues."""
    live = ",".join(f"'{state}'" for state in LIVE)
    rows = ws.ledger.rows(
        "SELECT known.*,"
        f" (SELECT count(*) FROM jobs WHERE jobs.queue = known.name AND state IN ({live})) AS running,"
        " (SELECT count(*) FROM jobs WHERE jobs.queue = known.name AND state = 'queued') AS queued FROM ("
        " SELECT name, at_most, paused FROM queues UNION"
        " SELECT queue, NULL, 0 FROM jobs WHERE state IN ('queued', 'starting', 'running', 'stopping')"
        "  AND queue NOT IN (SELECT name FROM queues) UNION"
        " SELECT ?1, NULL, 0 WHERE ?1 NOT IN (SELECT name FROM queues)) AS known ORDER BY name",
        DEFAULT_QUEUE,
    )
    return QueueList(
        queues=[
            QueueView(
                name=row["name"], running=row["running"], queued=row["queued"], at_most=row["at_most"], paused=bool(row["paused"])
            )
            for row in rows
        ]
    )  # fmt: skip


@command("queue limit", effect=Effect.WRITE)
def limit(ws: Workspace, queue: QueueName, at_most: Annotated[int, Field(ge=0, le=10_000)]) -> QueueView:
    """Say how many jobs of a queue may run at once.

    Args:
        queue: its name; a job stands in one by --queue NAME.
        at_most: how many; 0 lifts the limit.
    """
    return _set(ws, queue, at_most=at_most or None)


@command("queue pause", effect=Effect.EXECUTE)
def pause(ws: Workspace, queue: QueueName | None = None) -> QueueView:
    """Start nothing more from a queue until it is resumed; what runs goes on.

    Args:
        queue: its name; default: the usual one.
    """
    return _set(ws, queue or DEFAULT_QUEUE, paused=1)


@command("queue resume", effect=Effect.EXECUTE)
def resume(ws: Workspace, queue: QueueName | None = None) -> QueueView:
    """Let a queue that was paused go on.

    Args:
        queue: its name; default: the usual one.
    """
    queue = queue or DEFAULT_QUEUE
    if queue not in {item.name for item in list_queues(ws).queues}:
        raise InvalidInputError.of("queue", queue, "a queue there is", "See: snapml queue list")
    return _set(ws, queue, paused=0)


def _set(ws: Workspace, queue: str, **values: int | None) -> QueueView:
    with ws.ledger.write() as connection:
        revision = bump(connection)
        connection.execute(
            "INSERT INTO queues (name, revision) VALUES (?, ?) ON CONFLICT DO NOTHING", (queue, revision)
        )
        for column, value in values.items():
            connection.execute(
                f"UPDATE queues SET {column} = ?, revision = ? WHERE name = ?", (value, revision, queue)
            )
    tick(ws)
    return next(item for item in list_queues(ws).queues if item.name == queue)
