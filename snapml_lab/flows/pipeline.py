"""Running a pipeline: a job that submits a job a step, in order, and hands outputs on."""

from pathlib import Path
from typing import Any

from snapml_lab.errors import InvalidInputError, StepFailedError
from snapml_lab.flows.definition import Pipeline, Step, resolve
from snapml_lab.flows.parameters import check, declared
from snapml_lab.governance.roles import acting
from snapml_lab.jobs import queue
from snapml_lab.jobs.events import Reporter
from snapml_lab.jobs.model import Job, State, Work
from snapml_lab.tracking import provenance
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace, open_workspace


def work(path: Path, pipeline: Pipeline, values: dict[str, Any], out: Path) -> Work:
    """Return the work of a checked pipeline. It only waits for its steps, so it takes no processor."""
    spec = {"path": str(path), "pipeline": pipeline.model_dump(), "values": values, "out": str(out)}
    return Work("pipeline", pipeline.name, queue.python("snapml_lab.flows.pipeline:run"), spec, cpus=0)


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Run all steps; the job's payload.

    Raises:
        StepFailedError: naming the step, and the cell if one failed.
    """
    ws = open_workspace()
    pipeline = Pipeline.model_validate(spec["pipeline"])
    outputs: dict[str, dict[str, Any]] = {}
    for name, value in spec["values"].items():
        report.param(name, value)
    for index, step in enumerate(pipeline.steps):
        report.progress(
            index / len(pipeline.steps), f"step {index + 1} of {len(pipeline.steps)}: {step.name}"
        )
        job = _submit(ws, step, Path(spec["path"]).parent, spec["values"], outputs, Path(spec["out"]))
        print(f"step {step.name}: job {job.id}", flush=True)
        job = queue.wait(ws, job)
        if job.state is not State.SUCCEEDED:
            raise StepFailedError(
                f"Step {step.name!r} {job.state}: {job.error_message or job.reason}",
                fix=job.error_fix or f"See: snapml jobs logs {job.id}",
            )
        outputs[step.name] = _outputs(ws, job, step)
    return {"outputs": outputs}


def _submit(
    ws: Workspace,
    step: Step,
    base: Path,
    values: dict[str, Any],
    outputs: dict[str, dict[str, Any]],
    out: Path,
) -> Job:
    source = (base / step.notebook).resolve()
    takes = declared(source)
    given = {
        name: check(takes[name], resolve(value, values, outputs), where=f"step {step.name!r}")
        for name, value in step.parameters.items()
    }
    spec = {
        "source": str(source), "output": str(out / f"{step.name}.ipynb"), "html": str(out / f"{step.name}.html"),
        "parameters": given,
    }  # fmt: skip
    target = Work(
        "notebook", step.name, queue.python("snapml_lab.flows.notebook:run"), spec, cpus=0, gpus=step.gpus,
        gpu_memory=step.gpu_memory,
    )  # fmt: skip
    origin = provenance.complete(ws, Origin(notebook=ws.relative(source)))
    return queue.submit(ws, target, actor=acting(ws), origin=origin)


def _outputs(ws: Workspace, job: Job, step: Step) -> dict[str, Any]:
    left: dict[str, Any] = (queue.result(ws, job) or {}).get("outputs", {})
    missing = [name for name in step.outputs if name not in left]
    if missing:
        raise InvalidInputError(
            f"Step {step.name!r} did not put out {missing[0]!r}.",
            fix=f"In its notebook: %snapml pipeline output {missing[0]} VALUE",
        )
    return left
