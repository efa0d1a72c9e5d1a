"""Commands about evaluation."""

from typing import Annotated

from pydantic import Field

from snapml_lab.commands.core import Call, command
from snapml_lab.commands.serving import DeploymentName
from snapml_lab.commands.types import FilePath, JobId
from snapml_lab.data.tables import find_file
from snapml_lab.engines import services
from snapml_lab.errors import NotFoundError
from snapml_lab.evals.picture import Evaluation, newest, picture
from snapml_lab.finetune import records
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Work
from snapml_lab.jobs.view import JobView
from snapml_lab.registry import deployments
from snapml_lab.tracking import provenance
from snapml_lab.workspace import Workspace


@command("eval", effect=Effect.EXECUTE, picture=picture)
def evaluate(
    ws: Workspace, model: DeploymentName, data: FilePath, *, against: DeploymentName | None = None,
    limit: Annotated[int, Field(ge=1, le=100_000)] = 1000, max_tokens: Annotated[int, Field(ge=1, le=100_000)] = 256,
    concurrency: Annotated[int, Field(ge=1, le=64)] = 2, call: Call,
) -> JobView:  # fmt: skip
    """Score a deployed model on held-out chat records by exact match, through the gateway, with intervals.

    Args:
        model: the deployment.
        data: JSONL file of chat records; each last answer is what is wanted.
        against: another deployment that was scored on the same data, to compare with.
        limit: records at most, from the first.
        max_tokens: tokens of an answer at most.
        concurrency: requests at a time.
    """
    deployment = deployments.get(ws, model)
    path = find_file(ws, data)
    records.read(path, least=1)
    sha256, _ = ws.blobs.put(path)
    kept = str(ws.blobs.path(sha256))
    other = newest(ws, against, kept) if against else None
    if against and other is None:
        raise NotFoundError(
            f"{against!r} was not scored on {data}.", fix=f"Score it first: snapml eval {against} {data}"
        )
    spec = {
        "deployment": model, "model": deployment.model, "data": kept, "name": path.name, "against": other, "url": services.base_url(ws), "limit": limit,
        "max_tokens": max_tokens, "concurrency": concurrency, "notebook": call.origin.notebook, "cell_id": call.origin.cell_id,
    }  # fmt: skip
    work = Work("eval", f"{model}-{path.stem}", queue.python("snapml_lab.evals.exact:run"), spec, cpus=0)
    return JobView.of(
        queue.submit(ws, work, actor=call.actor, origin=provenance.complete(ws, call.origin, sha256))
    )


@command("evaluation", effect=Effect.READ)
def evaluation(ws: Workspace, job: JobId = "last") -> Evaluation:
    """Show an evaluation: the score, its interval, and what did not match.

    Args:
        job: its id, the end of it, its name, or last.
    """
    return picture(ws, queue.latest_of(ws, job, "eval"))
