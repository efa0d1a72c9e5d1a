"""How a run can be made again: as its job was, from what its kernel had run, or by its script; and what lacks for it."""

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from snapml_lab.data import tables
from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError, SnapmlError
from snapml_lab.flows.notebook import EXPECTED, INJECTED
from snapml_lab.flows.scratch import Scratch, moved
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job, State, Work
from snapml_lab.registry import versions
from snapml_lab.store.files import read_json, replace_json
from snapml_lab.tracking import provenance, runs
from snapml_lab.tracking.runs import Run
from snapml_lab.tracking.session import digest
from snapml_lab.tracking.shell import SCRATCH
from snapml_lab.workspace import Workspace

_OWN = frozenset(
    {
        "PATH",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "CONDA_DEFAULT_ENV",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "SNAPML_RESUME",
    }
)
"""Variables of the job that was that belong to its environment, which is made anew."""
_NAMES_A_MODEL = frozenset({"automl", "finetune", "merge"})
_LONGEST_NAME = 100
KIND = "reproduce"
TAG = "reproduces"
"""The tag of a run that was made again; its value is the id of the first."""


@dataclass(frozen=True)
class Way:
    """How a run is made again.

    Attributes:
        how: ``job``: its job, with the same spec; ``session``: the cells its kernel had run, as a notebook; ``script``.
        root: the run whose job is run again; the run itself where there is no job.
        words: what will be done, as a person says it.
        missing: what it needs and is not there; with any of it, it cannot be done.
        cells: of a session: its items (see ``session``), each with its ``source``.
        script: of a script: its item.
    """

    how: Literal["job", "session", "script"]
    root: Run
    words: str
    missing: list[str] = field(default_factory=list)
    cells: list[dict[str, Any]] = field(default_factory=list)
    script: dict[str, Any] = field(default_factory=dict)


def original(ws: Workspace, run: Run) -> Run:
    """Return the run that this one was made again of, for a reproduction is judged by the first; else the run itself."""
    while TAG in run.tags and run.tags[TAG] != run.id:
        run = runs.get(ws.ledger, run.tags[TAG])
    return run


def find(ws: Workspace, run: Run) -> Way:
    """Find how a run can be made again.

    Raises:
        ConflictError: it is still going on, or is nothing that ends.
        InvalidInputError: too little of it was recorded.
    """
    if run.state in ("running", "queued", "starting", "stopping"):
        raise ConflictError(f"Run {run.name} ({run.id[-6:]}) is {run.state}.", fix="Wait for its end.")
    root = run
    while root.job != root.id and root.parent is not None:
        root = runs.get(ws.ledger, root.parent)
    if TAG in root.tags:
        raise ConflictError(
            f"Run {run.name} ({run.id[-6:]}) was made by a reproduction.",
            fix=f"Name a run of what it was made of: snapml runs reproduce {root.tags[TAG][-6:]}",
        )
    data = [] if run.dataset is None else _blob(ws, run.dataset, "the data")
    session = provenance.session_of(ws, run.session)
    if root.job == root.id:
        of_kernel = bool(session) and "script" not in session[0] and run.session != root.session
        way = _of_session(ws, run, session, list(data)) if of_kernel else None  # no more cells than it needs
        return way if way is not None and not way.missing else _of_job(ws, root, data)
    if session and "script" in session[0]:
        return _of_script(ws, run, session[0], data)
    if session:
        return _of_session(ws, run, session, data)
    raise InvalidInputError(
        f"Too little is known of run {run.name} ({run.id[-6:]}): neither a job, nor a script, nor what its kernel had run.",
        fix="Runs made by import snapml_lab in a kernel or a script, and jobs, can be run again.",
    )


def _of_job(ws: Workspace, root: Run, missing: list[str]) -> Way:
    job = queue.get(ws, root.id)
    if job.service or job.kind == KIND:
        raise ConflictError(
            f"Run {root.name} is a {'service' if job.service else 'reproduction'}.",
            fix="Name the run that was made.",
        )
    folder = JobFolder(ws.jobs / job.id)
    launch, spec = read_json(folder.launch), read_json(folder.spec)
    if not isinstance(launch, dict) or not isinstance(spec, dict):
        return Way(
            "job", root, f"the {job.kind} job {job.name}", [*missing, f"the job's folder {folder.path}"]
        )
    words, lacking = _needs(ws, job, launch, spec)
    return Way("job", root, words, missing + lacking)


def _needs(ws: Workspace, job: Job, launch: dict[str, Any], spec: dict[str, Any]) -> tuple[str, list[str]]:
    """Return what a job does in words, and what it needs that is not there."""
    words = f"the {job.kind} job {job.name} with the same input"
    if job.kind == "notebook":
        given = ", ".join(f"{name}={value!r}" for name, value in spec.get("parameters", {}).items())
        path = _notebook_of(ws, job, spec)
        notebook = ws.relative(path)
        there = _executed(JobFolder(ws.jobs / job.id), spec) is not None or path.is_file()
        words = f"the notebook {notebook}" + (f" with {given}" if given else "")
        return words, [] if there else [f"the notebook {notebook}"]
    if job.kind == "command":
        given = " ".join(map(str, spec.get("words") or launch["argv"]))
        program = str(launch["argv"][0])
        there = _is_python(program) or shutil.which(program) is not None
        return f"the command {given}", [] if there else [f"the program {program}"]
    if job.kind == "automl":
        return words, _dataset(ws, str(spec["dataset"]))
    if job.kind == "cell":
        inputs = ((item["sha256"], f"the input {', '.join(item['names'])}") for item in spec["inputs"])
        return words, [lack for item in inputs for lack in _blob(ws, *item)]
    given_paths = {name: spec.get(name) for name in ("data", "base", "adapter", "path")}
    return words, [
        f"{name}: {path}" for name, path in given_paths.items()
        if isinstance(path, str) and os.path.isabs(path) and not moved(ws.project, path).exists()
    ]  # fmt: skip


def _of_session(ws: Workspace, run: Run, session: list[dict[str, Any]], missing: list[str]) -> Way:
    cells, lost = [], 0
    for item in session:
        source = provenance.source(ws, str(item.get("sha256")))
        if source is None or digest(source) != item["sha256"]:  # not kept, or a secret was taken out
            lost += 1
        else:
            cells.append({**item, "source": source})
    if lost:
        missing.append(
            f"the source of {lost} of the {len(session)} cells that ran before (long ago, or with a secret)"
        )
    where = f" of {run.notebook}" if run.notebook else ""
    words = f"the {len(session)} cells{where} that its kernel had run, in that order, as a notebook"
    return Way("session", run, words, missing, cells=cells)


def _of_script(ws: Workspace, run: Run, item: dict[str, Any], missing: list[str]) -> Way:
    given = " ".join(map(str, item.get("argv", [])))
    source = provenance.source(ws, str(item.get("sha256")))
    if source is None and not (ws.project / item["script"]).is_file():
        missing.append(f"the script {item['script']}")
    return Way("script", run, f"the script: python {given}", missing, script=item)


def _blob(ws: Workspace, sha256: str, what: str) -> list[str]:
    try:
        ws.blobs.path(sha256)
    except SnapmlError:
        return [f"{what} ({sha256[:12]}), which is not among the files of the workspace"]
    return []


def _dataset(ws: Workspace, reference: str) -> list[str]:
    try:
        return _blob(ws, tables.find(ws, reference).sha256, f"the dataset {reference}")
    except NotFoundError:
        return [f"the dataset {reference}"]


def work(ws: Workspace, way: Way, run: Run, scratch: Scratch, python: Path | None) -> Work:
    """Return the work that makes a run again.

    Args:
        ws: the workspace, which also takes the new run.
        way: how.
        run: the run.
        scratch: the folder it is made in.
        python: the interpreter of the environment that was made; None is this one.
    """
    environment = _environment(scratch, python)
    program = str(python or sys.executable)
    if way.how == "job":
        return _job_again(ws, queue.get(ws, way.root.id), scratch, program, environment)
    if way.how == "script":
        script = scratch.there(way.script["script"])
        _restore(ws, str(way.script["sha256"]), script)
        argv = [program, str(script), *map(str, way.script.get("argv", [])[1:])]
        cwd = scratch.there(way.script.get("cwd", ws.project))
        return Work(
            "command", _name(run.name), argv, {"words": argv}, cwd=_made(cwd), env=environment, foreign=True
        )
    source = scratch.there(run.notebook) if run.notebook else scratch.project / "session.ipynb"
    if not source.is_relative_to(scratch.project):
        source = scratch.project / source.name
    source = _made(source.parent) / f"{source.stem}{versions.AGAIN}.ipynb"
    replace_json(source, as_notebook(way.cells, failing=run.state == State.FAILED))
    spec = {
        "source": str(source), "output": source.name, "html": f"{source.stem}.html", "parameters": {},
        "notebook": str(ws.project / run.notebook) if run.notebook else str(source),
    }  # fmt: skip
    argv = payload(program, "snapml_lab.flows.notebook:run")
    return Work("notebook", _name(run.name), argv, spec, cwd=source.parent, env=environment)


def as_notebook(cells: list[dict[str, Any]], *, failing: bool) -> dict[str, Any]:
    """Write what a kernel ran as a notebook: a cell as often as it ran; one that raised then may raise again.

    Args:
        cells: items of a session with their sources.
        failing: the last one raised, too.
    """
    made, seen = [], dict[str, int]()
    for index, item in enumerate(cells):
        name = str(item.get("cell_id") or f"cell-{index + 1}")
        name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name)[:56]
        seen[name] = seen.get(name, 0) + 1
        raises = item.get("raised") or (failing and index == len(cells) - 1)
        made.append({
            "cell_type": "code", "id": name if seen[name] == 1 else f"{name}-{seen[name]}",
            "metadata": {"tags": [EXPECTED]} if raises else {}, "source": item["source"],
            "execution_count": None, "outputs": [],
        })  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def payload(program: str, target: str) -> list[str]:
    """Return the argv that runs one of our payloads with an interpreter."""
    return [program, *queue.python(target)[1:]]


def _job_again(ws: Workspace, job: Job, scratch: Scratch, program: str, environment: dict[str, str]) -> Work:
    folder = JobFolder(ws.jobs / job.id)
    launch, spec = read_json(folder.launch), read_json(folder.spec)
    assert isinstance(launch, dict)
    assert isinstance(spec, dict)
    argv = [_there(scratch, word) for word in launch["argv"]]
    if _is_python(launch["argv"][0]):
        argv[0] = program
    cwd = _inside(scratch, launch["cwd"])
    origin = runs.get(ws.ledger, job.id)
    if job.kind == "command" and origin.script is not None and origin.cell_sha256 is not None:
        _restore(ws, origin.cell_sha256, scratch.there(origin.script))
    then = {name: value for name, value in launch["env"].items() if name not in _OWN}
    return Work(
        job.kind, _name(job.name), argv, _spec_again(ws, job, spec, scratch), cwd=cwd, env={**then, **environment},
        cpus=job.cpus, memory=job.memory, gpus=job.gpus, gpu_memory=job.gpu_memory, time_limit=job.time_limit,
        foreign=bool(launch.get("foreign")),
    )  # fmt: skip


def _spec_again(ws: Workspace, job: Job, spec: dict[str, Any], scratch: Scratch) -> dict[str, Any]:
    """Return what a job is told when it is made again: the same, with the scratch folder's paths."""
    if job.kind == "cell":
        return {**spec, "path": [_there(scratch, entry) for entry in spec["path"]]}
    if job.kind == "pipeline":
        return {**spec, "path": str(scratch.there(spec["path"])), "out": str(scratch.there(spec["out"]))}
    if job.kind == "notebook":
        notebook = _notebook_of(ws, job, spec)
        executed, source = _executed(JobFolder(ws.jobs / job.id), spec), scratch.there(notebook)
        if executed is not None and source.is_relative_to(scratch.top):
            _made(source.parent)
            replace_json(source, executed)
        return {
            **spec, "source": str(source), "output": f"{source.stem}.ipynb", "html": f"{source.stem}.html",
            "notebook": str(notebook),
        }  # fmt: skip
    spec = {key: _there(scratch, value) if isinstance(value, str) else value for key, value in spec.items()}
    named = job.kind in _NAMES_A_MODEL
    return {**spec, "name": versions.made_again(str(spec["name"]))} if named else spec


def _notebook_of(ws: Workspace, job: Job, spec: dict[str, Any]) -> Path:
    """Return the notebook of a job; its run's path is relative to the project, which may have been moved since."""
    return ws.project / (job.notebook or moved(ws.project, spec["source"]))


def _executed(folder: JobFolder, spec: dict[str, Any]) -> dict[str, Any] | None:
    """Return the notebook as it was when its job ran: what the job left, without outputs and the parameters put in."""
    found = read_json(folder.artifacts / str(spec.get("output")))
    if not isinstance(found, dict) or not isinstance(found.get("cells"), list):
        return None
    kept = []
    for cell in found["cells"]:
        if INJECTED in cell.get("metadata", {}).get("tags", []):
            continue
        own = {
            key: value
            for key, value in cell.get("metadata", {}).items()
            if key not in ("papermill", "execution")
        }
        emptied: dict[str, Any] = (
            {"outputs": [], "execution_count": None} if cell.get("cell_type") == "code" else {}
        )
        kept.append({**cell, "metadata": own, **emptied})
    about = {key: value for key, value in found.get("metadata", {}).items() if key != "papermill"}
    return {**found, "cells": kept, "metadata": about}


def _restore(ws: Workspace, sha256: str, script: Path) -> None:
    """Write a script as it was, where its source is kept whole."""
    source = provenance.source(ws, sha256)
    if source is not None and digest(source) == sha256:
        _made(script.parent)
        script.unlink(missing_ok=True)
        script.write_bytes(source.encode("utf-8", "surrogatepass"))


def _environment(scratch: Scratch, python: Path | None) -> dict[str, str]:
    stands = {SCRATCH: str(scratch.project)}
    if python is None:
        return stands
    shared = os.pathsep.join(
        filter(None, [os.path.join(sys.prefix, "share", "jupyter"), os.environ.get("JUPYTER_PATH")])
    )
    path = os.pathsep.join(filter(None, [str(python.parent), os.environ.get("PATH")]))
    return {**stands, "VIRTUAL_ENV": str(python.parent.parent), "PATH": path, "JUPYTER_PATH": shared}


def _there(scratch: Scratch, word: str) -> str:
    if not os.path.isabs(word) or not moved(scratch.of, word).exists():
        return word
    return str(scratch.there(word))


def _inside(scratch: Scratch, folder: str) -> Path:
    """Return the folder to run in: where it was, else the project; it is made where the scratch folder lacks it."""
    found = scratch.there(folder)
    if found.is_relative_to(scratch.top):
        return _made(found)
    return found if found.is_dir() else scratch.project


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _is_python(program: str) -> bool:
    return Path(program).name.startswith("python")


def _name(name: str) -> str:
    return f"{name[: _LONGEST_NAME - 6]} again"
