"""Commands about runs."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from snapml_lab import clock
from snapml_lab.commands.core import Call, Surface, command
from snapml_lab.commands.types import Completes, Data, FilePath, Limit, RunId
from snapml_lab.data import tables
from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError
from snapml_lab.governance.roles import Effect
from snapml_lab.store.files import storage_errors
from snapml_lab.store.ledger import bump
from snapml_lab.tracking import autolog, detail, live, provenance, record, recorder, runs
from snapml_lab.tracking import search as searching
from snapml_lab.tracking.recorder import Recorder
from snapml_lab.tracking.view import RunList, RunPage, RunView
from snapml_lab.views.base import View
from snapml_lab.workspace import Workspace


def _pairs(value: object) -> object:
    """Read ``NAME=VALUE`` words as a mapping; a mapping stays as it is."""
    if isinstance(value, Mapping):
        return dict(value)
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(
        isinstance(word, str) and "=" in word for word in words
    ):
        raise PydanticCustomError("pairs", "NAME=VALUE")
    return dict(word.split("=", 1) for word in words)


Where = Annotated[
    str, Field(max_length=4000, description="a condition, as metric.auc > 0.9 and param.lr < 1e-3")
]
SomeRuns = Annotated[
    list[str], Completes("runs"), Field(min_length=1, description="runs: ids, the ends of ids, or names")
]
Fields = Annotated[
    dict[str, Any], BeforeValidator(_pairs, json_schema_input_type=dict[str, Any]), Field(description="values by name")
]  # fmt: skip


@command("runs list", effect=Effect.READ)
def list_runs(
    ws: Workspace,
    *,
    limit: Limit = 50,
    kind: Annotated[str | None, Field(description="run, automl, trial, notebook …")] = None,
) -> RunList:
    """List runs, newest first; trials of a search are listed with --kind trial.

    Args:
        limit: how many at most.
        kind: only those of this kind.
    """
    live.catch_up(ws)
    found = runs.latest(ws.ledger, kind=kind, limit=limit + 1)
    return RunList(runs=[RunView.of(run) for run in found[:limit]], more=len(found) > limit)


@command("runs search", effect=Effect.READ)
def search(
    ws: Workspace,
    where: Where,
    *,
    by: Annotated[str, Field(max_length=400)] | None = None,
    ascending: bool = False,
    limit: Limit = 50,
) -> RunList:
    """Find runs by a condition on metrics, parameters, tags and what they came from; nested ones, too.

    A condition compares metric.NAME (the value at the latest step; min(metric.NAME), max(…) and count(…) of all), param.NAME,
    tag.NAME, and the fields name, kind, state, started, ended, seconds, notebook, cell, commit, dataset, environment, actor,
    note, job, parent and out_of_order, by == != < <= > >= in, with and, or, not and brackets; 'text' in param.NAME looks for a
    part, metric.NAME alone asks whether there is one. A name that is no plain word is written metric["eval/loss"].

    Args:
        where: the condition.
        by: what to sort by, greatest first, as metric.auc; default: when they began.
        ascending: least first.
        limit: how many at most.
    """
    live.catch_up(ws)
    found = searching.search(ws.ledger, where, by=by, ascending=ascending, limit=limit + 1)
    shown = runs.of_ids(ws.ledger, found[:limit])
    return RunList(runs=[RunView.of(run) for run in shown], more=len(found) > limit)


@command("runs show", effect=Effect.READ)
def show(ws: Workspace, run: RunId) -> RunPage:
    """Show a run: figures, curves, parameters, nested runs, models, and where it came from.

    Args:
        run: its id, the end of it, its name, or last.
    """
    live.catch_up(ws)
    return detail.page(ws, runs.get(ws.ledger, run))


@command("runs delete", effect=Effect.WRITE)
def delete(ws: Workspace, run: SomeRuns) -> RunList:
    """Put runs away, with those nested in them: no list has them any more. Undo it: snapml runs restore.

    Args:
        run: which.
    """
    return _put_away(ws, run, clock.now())


@command("runs restore", effect=Effect.WRITE)
def restore(ws: Workspace, run: SomeRuns) -> RunList:
    """Bring back runs that were deleted, with those nested in them.

    Args:
        run: which.
    """
    return _put_away(ws, run, None)


@command("runs tag", effect=Effect.WRITE)
def tag(ws: Workspace, run: RunId, *, tags: Fields | None = None, note: str | None = None) -> RunView:
    """Set tags of a run (an empty value removes one), or a note about it.

    Args:
        run: its id, the end of it, its name, or last.
        tags: NAME=VALUE; may be given again.
        note: what there is to say about it; empty removes it.
    """
    if not tags and note is None:
        raise InvalidInputError.of("tags", tags, "NAME=VALUE, or --note")
    live.catch_up(ws)
    found = runs.get(ws.ledger, run)
    with ws.ledger.write() as connection:
        for name, value in (tags or {}).items():
            if value in (None, ""):
                connection.execute("DELETE FROM tags WHERE run = ? AND name = ?", (found.id, name))
            else:
                record.log_tag(connection, found.id, name, value)
        if note is not None:
            connection.execute("UPDATE runs SET note = ? WHERE id = ?", (note or None, found.id))
        connection.execute("UPDATE runs SET revision = ? WHERE id = ?", (bump(connection), found.id))
    return RunView.of(runs.get(ws.ledger, found.id))


class Fetched(View):
    """A file or folder of a run, copied to ``path``."""

    run: str
    name: str
    path: str
    size: int


@command("runs fetch", effect=Effect.WRITE, heavy=True)
def fetch(ws: Workspace, run: RunId, name: str, *, to: FilePath | None = None) -> Fetched:
    """Copy a file or folder kept with a run to where one can work with it.

    Args:
        run: its id, the end of it, its name, or last.
        name: the file's name, as runs show has it.
        to: where it goes; default: its name in the current folder. What is there is not overwritten.
    """
    live.catch_up(ws)
    found = runs.get(ws.ledger, run)
    item = next((item for item in found.artifacts if item.name == name), None)
    if item is None:
        known = ", ".join(other.name for other in found.artifacts[:8]) or "none"
        raise NotFoundError(f"The run {found.name!r} has no file {name!r}.", fix=f"It has: {known}.")
    target = Path(to or Path(name).name).resolve()
    if target.exists():
        raise ConflictError(f"{target} is there already.", fix="Name another place: --to PATH")
    if not target.parent.is_dir():
        raise InvalidInputError.of("to", str(target), "a place in a folder that is there")
    if item.folder:
        ws.blobs.folder(item.blob, target, linked=False)
    else:
        with storage_errors(target):
            shutil.copyfile(ws.blobs.path(item.blob), target)
    return Fetched(run=found.id, name=name, path=str(target), size=item.size)


@command("runs start", effect=Effect.WRITE, surfaces=frozenset({Surface.PYTHON}), python="run")
def start(
    ws: Workspace,
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None,
    *,
    params: Fields | None = None,
    tags: Fields | None = None,
    data: Data | None = None,
    note: str | None = None,
    system: bool = True,
    call: Call,
) -> Recorder:
    """Open a run: with snap.run("name") as r: r.log(loss=0.1); what log was given is safe when it returns.

    Args:
        name: what to call it; default: the notebook's or the script's name.
        params: parameters by name.
        tags: tags by name.
        data: the table it works on: a DataFrame, a file, or DATASET[@VERSION]; a snapshot is kept.
        note: what there is to say about it.
        system: record what the process takes of the machine.
    """
    dataset = None
    if data is not None:
        kept = tables.keep(ws, tables.read(ws, data, call.namespace))
        dataset, params = kept.sha256, {"dataset": kept.reference, **(params or {})}
    origin = provenance.complete(ws, call.origin, dataset)
    return recorder.start(
        ws, name or _called(origin), actor=call.actor, origin=origin, params=params, tags=tags, note=note, system=system
    )  # fmt: skip


class Autologging(View):
    """Which libraries' trainings are recorded from now on by themselves."""

    libraries: list[str]
    on: bool

    def text(self) -> str:
        """One line."""
        if not self.on:
            return "Trainings are no longer recorded by themselves."
        return f"Trainings with {', '.join(self.libraries)} are recorded as runs from now on. Off: --off"


@command("autolog", effect=Effect.WRITE, surfaces=frozenset({Surface.MAGIC, Surface.PYTHON}))
def record_by_itself(ws: Workspace, *, off: bool = False, call: Call) -> Autologging:
    """Record trainings by themselves: fit() of scikit-learn, Trainer of Hugging Face, Trainer of Lightning, where installed.

    Inside a run they are recorded in it, elsewhere each opens one of its own. What is recorded: parameters, figures, the
    loss by step, and of a search its candidates.

    Args:
        off: stop doing so.
    """
    if off:
        autolog.stop()
        return Autologging(libraries=[], on=False)
    return Autologging(libraries=autolog.begin(ws, actor=call.actor), on=True)


def _put_away(ws: Workspace, references: list[str], at: float | None) -> RunList:
    live.catch_up(ws)
    found = [runs.get(ws.ledger, reference, deleted=at is None) for reference in references]
    for run in found:
        if at is not None and run.state in ("queued", "starting", "running", "stopping"):
            raise ConflictError(f"The run {run.name!r} is {run.state}.", fix="Wait for its end.")
    with ws.ledger.write() as connection:
        revision = bump(connection)
        for run in found:
            connection.execute(
                "WITH RECURSIVE tree (id) AS (SELECT ? UNION SELECT runs.id FROM runs JOIN tree ON runs.parent = tree.id)"
                " UPDATE runs SET deleted_at = ?, revision = ? WHERE id IN (SELECT id FROM tree)",
                (run.id, at, revision),
            )
    return RunList(runs=[RunView.of(run) for run in runs.of_ids(ws.ledger, [run.id for run in found])])


def _called(origin: record.Origin) -> str:
    import sys

    script = sys.argv[0] if sys.argv else ""
    place = origin.notebook or (script if script.endswith(".py") else None)
    return Path(place).stem if place else "run"
