"""What an ended job leaves: the variables a cell made, a payload's value, or the error it failed with."""

import hashlib
import json
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr

from snapml_lab import errors
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job, State
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

CELL = "cell"
OUTPUTS = "outputs"
"""The folder of a cell's outputs, below its artifacts."""


class Output(View):
    """A variable that a cell made; ``file`` holds it, alone or with those that share an object with it."""

    name: str
    type: str
    about: str
    size: int
    sha256: str
    file: str

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        return [self.name, self.type, self.about, f"{self.size:,}"]


class LeftOut(View):
    """A variable that a cell made and that could not be kept, and why."""

    name: str
    type: str
    reason: str

    def text(self) -> str:
        """One line."""
        return f"not kept: {self.name} (a {self.type}): {self.reason}"


class Outputs(View):
    """What a job that succeeded left: a mapping of the variables its cell made (``r["loss"]``, ``r.loss``).

    A variable is read from its file when it is first asked for. Of other work ``payload`` is what it returned, and
    ``exit_code`` how its process ended.
    """

    job_id: str
    job_name: str
    job_kind: str
    exit_code: int | None
    payload: Any
    outputs: list[Output]
    left_out: list[LeftOut]

    _folder: Path | None = PrivateAttr(default=None)
    _read: dict[str, dict[str, Any]] = PrivateAttr(default_factory=dict)

    @classmethod
    def of(cls, ws: Workspace, job: Job) -> "Outputs":
        """Read what a job left.

        Raises:
            SnapmlError: the job's own, where it did not succeed.
        """
        if job.state is not State.SUCCEEDED:
            raise failure(job)
        left = queue.result(ws, job)
        made: dict[str, Any] = left if job.kind == CELL and isinstance(left, dict) else {}
        view = cls(
            job_id=job.id, job_name=job.name, job_kind=job.kind, exit_code=job.exit_code, payload=None if made else left,
            outputs=[Output(**item) for item in made.get("outputs", [])],
            left_out=[LeftOut(**item) for item in made.get("left_out", [])],
        )  # fmt: skip
        view._folder = JobFolder(ws.jobs / job.id).artifacts / OUTPUTS
        return view

    def keys(self) -> KeysView[str]:
        """The names of the variables."""
        return KeysView(self._mapping())

    def values(self) -> ValuesView[Any]:
        """The variables."""
        return ValuesView(self._mapping())

    def items(self) -> ItemsView[str, Any]:
        """Names and variables."""
        return ItemsView(self._mapping())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a variable, or ``default`` where there is none of that name."""
        return self[name] if name in self else default  # noqa: SIM401 - this is it

    def __getitem__(self, name: str) -> Any:
        found = next((output for output in self.outputs if output.name == name), None)
        if found is None:
            left = next((item for item in self.left_out if item.name == name), None)
            raise KeyError(left.text() if left else f"{name}: there are {', '.join(self) or 'none'}")
        if found.file not in self._read:
            self._read[found.file] = _load(self.job_name, self._folder, found)
        return self._read[found.file][name]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and any(
            output.name == name for output in self.__dict__.get("outputs", ())
        ):
            return self[name]
        inherited: Any = super()
        return inherited.__getattr__(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return (output.name for output in self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    def __contains__(self, name: object) -> bool:
        return any(output.name == name for output in self.outputs)

    def text(self) -> str:
        """A table of the variables, or what the payload returned."""
        head = f"{self.job_kind} {self.job_name} ({self.job_id[-6:]})"
        if self.job_kind != CELL:
            shown = (
                f"exit code {self.exit_code}" if self.payload is None else json.dumps(self.payload, indent=1)
            )
            return f"{head}: {shown}"
        lines = [f"{head}: {len(self)} output{'s' * (len(self) != 1)}"]
        if self.outputs:
            lines.append(text_table(_HEADER, [output.row() for output in self.outputs]))
        return "\n".join([*lines, *(item.text() for item in self.left_out)])

    def html(self) -> str:
        """A table of the variables."""
        if not self.outputs:
            return super().html()
        left = "".join(f"<div class=dim>{item.html()}</div>" for item in self.left_out)
        return framed(html_table(_HEADER, [output.row() for output in self.outputs]), left)

    def _mapping(self) -> Mapping[str, Any]:
        mapping: Any = self
        found: Mapping[str, Any] = mapping
        return found


Mapping.register(Outputs)
_HEADER = ["name", "type", "", "bytes"]


def handed(ws: Workspace, job: Job) -> Any:
    """Return what a job that succeeded hands on: the outputs of a cell, else what its payload returned, else its exit code.

    Raises:
        SnapmlError: the job's own, where it did not succeed.
    """
    found = Outputs.of(ws, job)
    if job.kind == CELL:
        return found
    return found.exit_code if found.payload is None else found.payload


def failure(job: Job) -> errors.SnapmlError:
    """Return the error that says why a job did not succeed."""
    if job.error_code in errors.FAMILY:
        fields = {"code": job.error_code, "message": job.error_message or "", "fix": job.error_fix or ""}
        return errors.from_dict(fields)
    if not job.ended:
        return errors.ConflictError(f"Job {job.id} ({job.name}) is {job.state}.", fix="Wait for its end.")
    if job.state is State.CANCELLED and job.error_code is None:
        return errors.JobFailedError(
            f"Job {job.id} was cancelled.", fix="Run the command again to start anew."
        )
    return errors.JobFailedError(
        f"Job {job.id} ({job.name}) {job.state}: {job.error_message}", fix=job.error_fix or ""
    )


def detached(job: Job) -> errors.DetachedError:
    """Return the error that says that a wait was interrupted."""
    short = job.id[-6:]
    return errors.DetachedError(
        f"detached from job {job.id}, which goes on.",
        fix=f"See it: %snapml jobs show {short}   Stop it: %snapml jobs cancel {short}",
    )


def awaited(ws: Workspace, job: Job, timeout: float | None = None) -> Job:
    """Wait for a job's end.

    Raises:
        DetachedError: the wait was interrupted; the job goes on.
        ConflictError: it has not ended after ``timeout`` seconds; the job goes on.
    """
    try:
        return queue.wait(ws, job, timeout=timeout)
    except KeyboardInterrupt:
        raise detached(job) from None
    except TimeoutError:
        now = queue.get(ws, job.id)
        raise errors.ConflictError(
            f"Job {job.id} ({job.name}) is still {now.state} after {timeout:g} s.",
            fix=f"See it: %snapml jobs show {job.id[-6:]}   Or wait longer.",
        ) from None


def _load(job: str, folder: Path | None, output: Output) -> dict[str, Any]:
    """Read a file of outputs, once it is seen to be the one that was written."""
    import pickle

    path = (folder or Path()) / output.file
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != output.sha256:
                raise errors.StoreDamagedError(
                    f"{path} no longer holds what the job left.", fix="Run the cell again."
                )
            file.seek(0)
            found: dict[str, Any] = pickle.load(file)  # noqa: S301 - a cell's own output, as its hash says
    except FileNotFoundError as error:
        raise errors.NotFoundError(
            f"The output {output.name!r} of {job} is gone: there is no {path}.", fix="Run the cell again."
        ) from error
    except errors.SnapmlError:
        raise
    except Exception as error:  # whatever a value's own code raises
        raise errors.ConflictError(
            f"The output {output.name!r} ({output.type}) of {job} cannot be read here: {type(error).__name__}: {error}.",
            fix="Read it where its packages are, and a GPU if it was on one; or have the cell put out something plainer.",
        ) from error
    return found
