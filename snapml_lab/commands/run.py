"""Commands that send a cell, a command or a notebook to the background, and bring home what it left."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from snapml_lab.commands.core import Call, Surface, command
from snapml_lab.commands.types import (
    Completes,
    Duration,
    FilePath,
    FromCell,
    GpuMemory,
    JobId,
    Memory,
    Names,
    QueueName,
    Seconds,
    TakesWords,
)
from snapml_lab.errors import ConflictError, InvalidInputError, MissingExtraError, NotFoundError
from snapml_lab.flows import cell as cells
from snapml_lab.flows.capture import capture, known
from snapml_lab.flows.parameters import check, declared
from snapml_lab.flows.variables import variables
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import queue as jobs
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import DEFAULT_QUEUE, Work
from snapml_lab.jobs.results import Outputs, awaited
from snapml_lab.jobs.view import JobView
from snapml_lab.tracking import provenance
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

RESUME = "SNAPML_RESUME"
"""Names the artifacts folder of the job to go on from."""
_ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "MPLBACKEND": "Agg"}
_PYTHON = ("python", "python3")
_LONGEST_NAME = 100


@command("run", effect=Effect.EXECUTE, heavy=True, python="jobs run")
def run(
    ws: Workspace,
    what: Annotated[
        list[str] | None, Completes("files"), TakesWords(), Field(description="a command's words, a script or a notebook")
    ] = None,
    *,
    cell: Annotated[str | None, FromCell(code=True), Field(max_length=1 << 20, description="Python")] = None,
    inputs: Names | None = None,
    outputs: Names | None = None,
    param: Annotated[list[str] | None, Parameter(name=["--param", "-p"]), Field(description="NAME=VALUE")] = None,
    out: FilePath | None = None,
    name: Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)] | None = None,
    gpus: Annotated[int, Field(ge=0, le=64)] = 0,
    gpu_memory: GpuMemory | None = None,
    memory: Memory | None = None,
    cpus: Annotated[float, Field(ge=0, le=4096, allow_inf_nan=False)] = 1.0,
    queue: QueueName = DEFAULT_QUEUE,
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0,
    after: list[JobId] | None = None,
    time_limit: Duration | None = None,
    retries: Annotated[int, Field(ge=0, le=100)] = 0,
    key: Annotated[str, Field(min_length=1, max_length=200)] | None = None,
    max_hours: Annotated[float, Field(gt=0, le=720, allow_inf_nan=False)] = 24.0,
    resume: JobId | None = None,
    call: Call,
) -> JobView:  # fmt: skip
    """Send a cell (%%snapml run), a command (after --), a script or a notebook to the background; return the job at once.

    A cell runs as top-level code in a fresh interpreter of this environment, in the current folder. Along go by value the
    variables it reads, and what its functions use. Kept are the variables it assigns, and those of its inputs that it
    changes, as in model.fit(x); the job's result() has them, and in any notebook: r = %snapml jobs result NAME.

    A command is no shell line; python is this environment's. A notebook runs by papermill; its source is not touched.

    Work that is started again, by --retries or as a new job with --resume, goes on where it left something itself:
    SNAPML_JOB_ATTEMPT counts the starts of one job, SNAPML_JOB_DIR is its folder, whose artifacts stay from start to start,
    and SNAPML_RESUME is the folder of artifacts of the job named by --resume.

    Args:
        what: the words of a command, after --; or a .py or .ipynb file.
        cell: the cell's text.
        inputs: variables that go along, as a,b; default: those the cell reads.
        outputs: variables to keep, each of which must then be there; default: those the cell makes or changes.
        param: a notebook's parameter as NAME=VALUE; may be given again.
        out: folder for the executed notebook and its HTML; default: the job's artifacts.
        name: what to call the job; default: its notebook or script.
        gpus: GPUs it waits for and sees.
        gpu_memory: MiB of each GPU, or as 8GiB; default: whole GPUs.
        memory: MiB it waits for and may use, or as 8GiB.
        cpus: processors it waits for.
        queue: the queue it stands in.
        priority: higher goes first.
        after: a job that must have succeeded before; may be given again.
        time_limit: seconds after which it is stopped, or as 90s, 10m, 2h.
        retries: how often it is started again after it failed or was lost.
        key: submitted again with the same key, the first job is returned.
        max_hours: for how long it keeps a Hub from culling the server.
        resume: a job that has ended, whose artifacts this one goes on from.
    """
    words = list(what or [])
    if (cell is None) == (not words):
        raise InvalidInputError(
            "run: it takes either a cell's text or a command, a script or a notebook.",
            fix="Write %%snapml run above a cell's code, or: snapml run -- python train.py",
        )
    if gpu_memory is not None and not gpus:
        raise InvalidInputError.of("gpu_memory", gpu_memory, "GPUs to have it of", "Add --gpus 1.")
    environment = {**_ENVIRONMENT, **_resumed(ws, resume)}
    origin = call.origin
    only: dict[str, Any] = {"inputs": inputs, "outputs": outputs}
    if cell is not None:
        _refuse("a notebook", param=param, out=out)
        called = name or _stem(origin.notebook) or "cell"
        target = _cell(ws, called, cell, inputs, outputs, call)
    elif words[0].endswith(".ipynb"):
        _refuse("a cell", **only)
        target = _notebook(words, name, param or [], out)
        origin = Origin(notebook=ws.relative(target.spec["source"]))
    else:
        _refuse("a cell", **only)
        _refuse("a notebook", param=param, out=out)
        target = _command(words, name)
        if (script := _script(words)) is not None:
            origin = provenance.with_source(ws, origin, script)
    work = Work(
        target.kind, target.name, target.argv, target.spec, cwd=Path.cwd(), env=environment, cpus=cpus, memory=memory,
        gpus=gpus, gpu_memory=gpu_memory, queue=queue, priority=priority, after=tuple(after or ()), time_limit=time_limit,
        retries=retries, key=key, max_hours=max_hours, foreign=True,
    )  # fmt: skip
    return JobView.of(jobs.submit(ws, work, actor=call.actor, origin=provenance.complete(ws, origin)))


@command("jobs result", effect=Effect.READ, surfaces=frozenset({Surface.MAGIC, Surface.CLI, Surface.PYTHON}))
def result(ws: Workspace, job: JobId, *, timeout: Seconds = 86_400.0) -> Outputs:
    """Wait for a job's end and return what it left: the variables of a cell, else what its payload returned.

    In a notebook, r = %snapml jobs result NAME; then r.loss, or r["loss"].

    Args:
        job: its id, the end of it, its name, or last.
        timeout: seconds to wait at most; the job goes on.
    """
    return Outputs.of(ws, awaited(ws, jobs.get(ws, job), timeout))


def _cell(
    ws: Workspace, name: str, code: str, inputs: list[str] | None, outputs: list[str] | None, call: Call
) -> Work:
    found = variables(code, known(call.namespace))
    taken = capture(ws, call.namespace, found, inputs)
    spec = cells.spec(name, code, taken, found, outputs)
    return Work("cell", name, jobs.python("snapml_lab.flows.cell:run"), spec)


def _notebook(words: list[str], name: str | None, given: list[str], out: str | None) -> Work:
    if len(words) > 1:
        raise InvalidInputError.of(
            "what", " ".join(words), "one notebook", "Its parameters go as: -p NAME=VALUE"
        )
    if importlib.util.find_spec("papermill") is None:
        raise MissingExtraError.of("papermill", "lab")
    source = Path(words[0]).resolve()
    if not source.is_file():
        raise NotFoundError(f"There is no notebook {words[0]!r}.", fix="Give the path of an .ipynb file.")
    takes, values = declared(source), {}
    for item in given:
        parameter, equals, text = item.partition("=")
        if not equals:
            raise InvalidInputError.of("param", item, "NAME=VALUE")
        if parameter not in takes:
            offer = ", ".join(takes) or "none: tag a cell 'parameters'"
            raise InvalidInputError(
                f"{source.name} has no parameter {parameter!r}.", fix=f"It takes: {offer}."
            )
        values[parameter] = check(takes[parameter], text, where=source.name)
    target = "" if out is None else f"{Path(out).resolve()}/"
    spec = {
        "source": str(source), "output": f"{target}{source.stem}.ipynb", "html": f"{target}{source.stem}.html",
        "parameters": values,
    }  # fmt: skip
    return Work("notebook", name or source.stem, jobs.python("snapml_lab.flows.notebook:run"), spec)


def _command(words: list[str], name: str | None) -> Work:
    program, *rest = words
    script = _script(words)
    if program.endswith(".py"):
        if not Path(program).is_file():
            raise NotFoundError(f"There is no script {program!r}.", fix="Give the path of a .py file.")
        argv = [sys.executable, *words]
    elif program in _PYTHON:
        argv = [sys.executable, *rest]
    else:
        found = shutil.which(program)
        if found is None:
            raise NotFoundError(
                f"There is no program {program!r}.",
                fix="Give its path, or: snapml run -- bash -c 'a shell line'",
            )
        argv = [os.path.abspath(found), *rest]
    called = name or (script and _stem(str(script))) or Path(program).name
    return Work("command", called[:_LONGEST_NAME], argv, {"words": words})


def _script(words: list[str]) -> Path | None:
    """Return the script that a command runs: its first word, or that after python."""
    found = next((word for word in words[:2] if word.endswith(".py")), None)
    return None if found is None else Path(found).absolute()


def _resumed(ws: Workspace, resume: str | None) -> dict[str, str]:
    if resume is None:
        return {}
    job = jobs.get(ws, resume)
    if not job.ended:
        raise ConflictError(
            f"resume: job {job.id} ({job.name}) is {job.state}.",
            fix=f"Wait for its end, or: snapml jobs cancel {job.id[-6:]}",
        )
    return {RESUME: str(JobFolder(ws.jobs / job.id).artifacts)}


def _refuse(what: str, **given: Any) -> None:
    for option, value in given.items():
        if value is not None:
            shown = option.replace("_", "-")
            raise InvalidInputError(f"{option}: only {what} takes it.", fix=f"Leave out --{shown}.")


def _stem(path: str | None) -> str | None:
    return Path(path).stem[:_LONGEST_NAME] if path else None
