"""Commands about pipelines of notebooks."""

import importlib.util
import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from snapml_lab.commands.core import Call, Surface, command
from snapml_lab.commands.types import FilePath, JobId
from snapml_lab.errors import InvalidInputError, MissingExtraError
from snapml_lab.flows import notebook, pipeline
from snapml_lab.flows.report import PipelineView, report
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import queue
from snapml_lab.jobs.view import JobView
from snapml_lab.tracking import provenance
from snapml_lab.views.base import View
from snapml_lab.workspace import Workspace


@command("pipeline run", effect=Effect.EXECUTE, heavy=True, picture=report)
def run(
    ws: Workspace, file: FilePath, *,
    param: Annotated[list[str] | None, Parameter(name=["--param", "-p"]), Field(description="NAME=VALUE")] = None,
    out: FilePath = "out", call: Call,
) -> JobView:  # fmt: skip
    """Run a pipeline: notebooks in order, each a job of its own, outputs of one into the next.

    Args:
        file: the YAML file that describes it.
        param: a parameter as NAME=VALUE; may be given again.
        out: folder for the executed notebooks and their HTML; the sources are not touched.
    """
    from snapml_lab.flows import definition

    if importlib.util.find_spec("papermill") is None:
        raise MissingExtraError.of("papermill", "lab")
    given = dict(_pair(item) for item in param or [])
    path = Path(file).resolve()
    found, values = definition.read(path, given)
    folder = Path(out).resolve() / found.name
    work = pipeline.work(path, found, values, folder)
    return JobView.of(queue.submit(ws, work, actor=call.actor, origin=provenance.complete(ws, call.origin)))


@command("pipeline show", effect=Effect.READ)
def show(ws: Workspace, job: JobId = "last") -> PipelineView:
    """Show a pipeline's run: its steps, and what they found.

    Args:
        job: its id, the end of it, its name, or last.
    """
    return report(ws, queue.latest_of(ws, job, "pipeline"))


class Output(View):
    """A value a notebook puts out; ``kept`` is False where no pipeline runs it."""

    name: str
    value: Any
    kept: bool

    def text(self) -> str:
        """One line."""
        return f"{self.name} = {self.value!r}" + ("" if self.kept else "  (no pipeline runs this notebook)")


@command("pipeline output", effect=Effect.WRITE, surfaces=frozenset({Surface.MAGIC, Surface.PYTHON}))
def output(ws: Workspace, name: str, value: str, *, call: Call) -> Output:
    """Put out a value of this notebook, for the steps after it; outside a pipeline it is only shown.

    Args:
        name: its name, as the pipeline lists it.
        value: a variable's name, else JSON, else text.
    """
    del ws
    found: Any = call.namespace[value] if value in call.namespace else _read(value)
    try:
        json.dumps(found)
    except TypeError as error:
        raise InvalidInputError.of(
            "value", value, "something JSON can hold", f"It is a {type(found).__name__}."
        ) from error
    return Output(name=name, value=found, kept=notebook.put_out(name, found))


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidInputError.of("param", text, "NAME=VALUE")
    return name, value
