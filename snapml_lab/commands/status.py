"""Commands about the workspace itself, and about keeping its queue moving."""

import time

from snapml_lab import __version__
from snapml_lab.commands.core import Call, Surface, command
from snapml_lab.governance.roles import Effect, role_of
from snapml_lab.jobs.queue import clear_leftovers
from snapml_lab.jobs.tick import pending, tick
from snapml_lab.tracking import live
from snapml_lab.views.base import View
from snapml_lab.workspace import Workspace


class Status(View):
    """A workspace and what is in it; ``role`` is the caller's."""

    version: str
    workspace: str
    actor: str
    role: str
    live_jobs: int
    queued_jobs: int
    jobs: int
    runs: int
    models: int
    datasets: int

    def text(self) -> str:
        """Three lines."""
        return (
            f"SnapML Lab {self.version}, workspace {self.workspace}, as {self.actor} ({self.role})\n"
            f"jobs: {self.live_jobs} live, {self.queued_jobs} queued, {self.jobs} in all\n"
            f"runs: {self.runs}   models: {self.models}   datasets: {self.datasets}"
        )


@command("status", effect=Effect.READ)
def status(ws: Workspace, *, call: Call) -> Status:
    """Say which workspace this is, who you are in it, and what it holds."""
    row = ws.ledger.row(
        "SELECT (SELECT count(*) FROM jobs WHERE state IN ('starting', 'running', 'stopping')) AS live,"
        " (SELECT count(*) FROM jobs WHERE state = 'queued') AS queued, (SELECT count(*) FROM jobs) AS jobs,"
        " (SELECT count(*) FROM runs WHERE deleted_at IS NULL) AS runs, (SELECT count(*) FROM model_versions) AS models"
    )
    assert row is not None
    return Status(
        version=__version__, workspace=str(ws.root), actor=call.actor, role=role_of(ws, call.actor),
        live_jobs=row["live"], queued_jobs=row["queued"], jobs=row["jobs"], runs=row["runs"], models=row["models"],
        datasets=len(ws.catalog.keys("datasets")),
    )  # fmt: skip


@command("up", effect=Effect.EXECUTE, surfaces=frozenset({Surface.CLI}))
def up(ws: Workspace, *, until_idle: bool = False, call: Call) -> Status:
    """Keep the queue moving where no JupyterLab is open; stop it with Ctrl-C, jobs go on.

    Args:
        until_idle: return once nothing is queued or live.
    """
    clear_leftovers(ws)
    try:
        while True:
            if pending(ws):
                tick(ws)
            live.catch_up(ws)
            if until_idle and not pending(ws, services=False):
                break
            time.sleep(1.0)
    except KeyboardInterrupt:
        pass
    return status(ws, call=call)
