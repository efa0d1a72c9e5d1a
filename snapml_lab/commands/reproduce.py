"""Commands that make a run again and say what differs."""

from typing import Annotated

from pydantic import Field

from snapml_lab.commands.core import Call, command
from snapml_lab.commands.types import JobId, RunId
from snapml_lab.flows import again
from snapml_lab.flows.reproduce import plan
from snapml_lab.flows.reproduction import ReproductionView, picture
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import queue
from snapml_lab.jobs.view import JobView
from snapml_lab.tracking import live, provenance, runs
from snapml_lab.workspace import Workspace


@command("runs reproduce", effect=Effect.EXECUTE, picture=picture)
def reproduce(
    ws: Workspace,
    run: RunId,
    *,
    here: bool = False,
    tolerance: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1e-9,
    call: Call,
) -> JobView:
    """Make a run again, with its code, environment and inputs as they were, and say what differs.

    A job is run again as it was; a run of a kernel by the cells the kernel had run, in that order; that of a script by the
    script. Code is the recorded commit with what differed from it, in a folder of its own: the project is not touched.
    Packages of other versions are laid over this environment. The new run has the tag reproduces; of such a run the first
    one is made again.

    Args:
        run: its id, the end of it, its name, or last.
        here: take this environment, and the code as it is where the recorded one cannot be had; differences are told.
        tolerance: relative difference up to which numbers count as close.
    """
    live.catch_up(ws)
    found = again.original(ws, runs.get(ws.ledger, run))
    work = plan(ws, found, here=here, tolerance=tolerance)
    return JobView.of(queue.submit(ws, work, actor=call.actor, origin=provenance.complete(ws, call.origin)))


@command("runs reproduction", effect=Effect.READ)
def reproduction(ws: Workspace, job: JobId = "last") -> ReproductionView:
    """Show a reproduction: what was done, and what differs; while it runs or after.

    Args:
        job: the job of runs reproduce: its id, the end of it, its name, or last.
    """
    return picture(ws, queue.latest_of(ws, job, again.KIND))
