"""Making a run again: its code and its environment as they were, the same inputs; and then what differs.

:func:`plan` says what will be done and refuses what cannot be; the job does it. The project is not touched: code is laid
out in a scratch folder, which is removed at the end. The new run is in the same workspace, tagged ``reproduces``.
"""

import contextlib
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from snapml_lab.envs import current, layered
from snapml_lab.errors import ConflictError, NotFoundError, SnapmlError, StepFailedError
from snapml_lab.flows import again
from snapml_lab.flows.facts import facts, packages, python_of, rows_of
from snapml_lab.flows.likeness import Compared, Likeness, compare, verdict
from snapml_lab.flows.reproduction import FILE
from snapml_lab.flows.scratch import Scratch, commit_of, has_commit, lay_out
from snapml_lab.governance.roles import acting
from snapml_lab.jobs import queue
from snapml_lab.jobs.events import Reporter
from snapml_lab.jobs.model import Job, State, Work
from snapml_lab.registry import versions
from snapml_lab.store.files import replace_json
from snapml_lab.store.ledger import bump
from snapml_lab.tracking import git, live, record, runs
from snapml_lab.tracking.record import Origin
from snapml_lab.tracking.runs import Run
from snapml_lab.workspace import Workspace, open_workspace

_SHOWN = 4
_STEPS = ("code", "environment", "run", "compare")


def plan(ws: Workspace, run: Run, *, here: bool, tolerance: float) -> Work:
    """Return the work that makes a run again, with what it will do as the spec's ``steps``.

    Args:
        ws: its workspace.
        run: the run.
        here: take this environment, and the code as it is where the recorded code cannot be had.
        tolerance: of numbers, relative.

    Raises:
        ConflictError: it needs something that is not there; the message lists it all.
        InvalidInputError: too little of it was recorded.
    """
    way = again.find(ws, run)
    missing = list(way.missing)
    code, lacking = _code_plan(ws, run, here=here)
    missing += lacking
    environment, lacking = _environment_plan(ws, run, here=here)
    missing += lacking
    if missing:
        raise ConflictError(
            f"Run {run.name} ({run.id[-6:]}) cannot be made again; missing: {'; '.join(missing)}.",
            fix="Bring back what is missing, or leave out what can be left: --here takes this environment and code.",
        )
    words = {
        "code": code,
        "environment": environment,
        "run": way.words,
        "compare": f"what differs by more than {tolerance:g}",
    }
    steps = [{"name": name, "state": "waiting", "detail": words[name]} for name in _STEPS]
    spec = {"run": run.id, "name": run.name, "here": here, "tolerance": tolerance, "steps": steps}
    return Work(
        again.KIND,
        f"{again.KIND}-{run.name}"[:100],
        queue.python("snapml_lab.flows.reproduce:run"),
        spec,
        cpus=0,
    )


def _code_plan(ws: Workspace, run: Run, *, here: bool) -> tuple[str, list[str]]:
    commit = commit_of(run.git_commit)
    if commit is None:
        return "the project's files as they are now, for it was in no git repository", []
    short = commit[:12]
    if git.top_of(ws.project) is not None and has_commit(ws.project, commit):
        return f"commit {short}" + (" and what differed from it" if run.git_diff else ""), []
    if here:
        return f"the project's files as they are now, for commit {short} is not there", []
    return "", [f"the commit {short}, which is not in this repository (git fetch --all)"]


def _environment_plan(ws: Workspace, run: Run, *, here: bool) -> tuple[str, list[str]]:
    now, python = current.lock(), python_of(ws, run)
    if run.environment == now.sha256:
        return "this one, which has the same packages", []
    if python is None:
        return "this one, for that of the run is not known", []
    found = layered.changes(packages(ws, run), now.packages)
    several = f"{len(found)} packages differ" if len(found) != 1 else "1 package differs"
    if here:
        return f"this one, where {several}", []
    if not layered.same_python(python, now.python):
        return "", [f"Python {python} (this is {now.python})"]
    wanted = [f"{item.name}=={item.then}" for item in found if item.then is not None]
    if not wanted:
        return f"this one, which has {len(found)} packages more", []
    return f"one laid over this one, with {_few(wanted)}", []


@dataclass
class _Told:
    """Says how far it is: in a file for the picture, and as the job's progress."""

    path: Path
    report: Reporter
    steps: list[dict[str, Any]]
    known: dict[str, Any]

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Do a step: whatever raises in it is its failure."""
        index = next(i for i, step in enumerate(self.steps) if step["name"] == name)
        step = self.steps[index]
        step["state"] = "running"
        self.report.progress(index / len(self.steps), f"{name}: {step['detail']}"[:200])
        self.write()
        try:
            yield step
        except BaseException as error:
            step["state"] = "failed"
            if isinstance(error, SnapmlError):
                step["detail"] = error.message
            self.write()
            raise
        step["state"] = "done"
        self.write()

    def write(self) -> None:
        """Write what is known so far."""
        replace_json(self.path, {**self.known, "steps": self.steps})


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Make the run of ``spec`` again and compare; the job's payload.

    Raises:
        ConflictError: its code or a package cannot be had.
        StepFailedError: it failed this time, or was not made again.
    """
    signal.signal(signal.SIGTERM, _leave)
    ws, folder = open_workspace(), queue.payload_folder()
    old = runs.get(ws.ledger, spec["run"])
    told = _Told(folder.artifacts / FILE, report, spec["steps"], {})
    way = again.find(ws, old)
    _clear_leftovers(ws)
    with told.step("code") as step:
        recorded = old.git_commit
        if spec["here"] and recorded and not has_commit(ws.project, commit_of(recorded) or ""):
            recorded = None
        scratch = lay_out(ws, ws.cache / again.KIND / folder.path.name, recorded, old.git_diff)
        step["detail"] = "; ".join([step["detail"], *scratch.notes])
    try:
        with told.step("environment") as step:
            python, lock = _environment(ws, old, here=spec["here"])
            step["detail"] += f" ({python})" if python else ""
        with told.step("run") as step:
            job = _made_again(ws, way, old, scratch, python, lock, told)
            new = _corresponding(ws, way, old, job)
            step["detail"] = f"{way.words}: job {job.id[-6:]}, run {new.id[-6:]}"
            _tag(ws, old, {new.id, job.id})
        with told.step("compare") as step:
            moved = (str(scratch.project), str(ws.project))
            tables = rows_of(ws, old)
            before, after = (
                facts(ws, old, rows=tables),
                facts(ws, new, rows=tables, suffix=versions.AGAIN, moved=moved),
            )
            rows = compare(before, after, spec["tolerance"])
            judged = verdict(rows)
            packages_now = [
                Compared("package", item.name, item.then, item.now, Likeness.DIFFERS)
                for item in layered.changes(before.packages, after.packages)
            ]
            step["detail"] = str(judged)
        shown = [row for row in rows if row.kind in ("metric", "model") or row.likeness is not Likeness.SAME]
        told.known |= {
            "again": new.id, "verdict": str(judged), "rows": [asdict(row) for row in [*shown, *packages_now]],
            "same": sum(row.likeness is Likeness.SAME for row in rows),
        }  # fmt: skip
        told.write()
    finally:
        report.message("removing the scratch folder")
        scratch.remove()
    report.param(again.TAG, old.id)
    return {**told.known, "steps": told.steps}


def _leave(_signal: int, _frame: object) -> None:
    """Be cancelled in an orderly way: the scratch folder and its worktree are removed."""
    sys.exit(143)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - it goes to the job's log


def _environment(ws: Workspace, old: Run, *, here: bool) -> tuple[Path | None, current.Lock]:
    """Return the interpreter to use (None: this one) and its lock, which is kept."""
    now, then = current.lock(), packages(ws, old)
    found = [] if here or not then or old.environment == now.sha256 else layered.changes(then, now.packages)
    if not any(item.then is not None for item in found):
        return None, now
    python = layered.make(ws.cache / "environments", found, _say)
    lock = layered.lock_of(python)
    with ws.ledger.write() as connection:
        connection.execute("INSERT OR IGNORE INTO environments VALUES (?, ?, ?)", lock)
    return python, lock


def _made_again(
    ws: Workspace,
    way: again.Way,
    old: Run,
    scratch: Scratch,
    python: Path | None,
    lock: current.Lock,
    told: _Told,
) -> Job:
    own = {field.name: getattr(way.root, field.name) for field in fields(Origin)}
    origin = replace(Origin(**own), environment=lock.sha256)
    if scratch.commit is None:
        origin = replace(origin, git_commit=None, git_diff=None)
    job = queue.submit(ws, again.work(ws, way, old, scratch, python), actor=acting(ws), origin=origin)
    _say(f"made again by job {job.id}")

    def on_change(seen: Job) -> None:
        share = (2 + (seen.progress or 0.0)) / len(_STEPS)
        told.report.progress(share, f"run: {seen.message or seen.waiting_for or seen.state}"[:200])

    job = queue.wait(ws, job, on_change)
    live.catch_up(ws)
    if job.state is not State.SUCCEEDED and old.state == State.SUCCEEDED:
        raise StepFailedError(
            f"Made again, it {job.state}: {job.error_message or job.reason}",
            fix=f"See: snapml jobs logs {job.id[-6:]}",
        )
    return job


def _corresponding(ws: Workspace, way: again.Way, old: Run, job: Job) -> Run:
    """Return the run that is the old one again: of the same kind, name and cell, and the same in order."""
    if old.id == way.root.id and way.how == "job":
        return runs.get(ws.ledger, job.id)
    made = [item for item in _below(ws, job.id) if (item.kind, item.name) == (old.kind, old.name)]
    if way.how == "job":
        peers = [
            item.id for item in _below(ws, way.root.id) if (item.kind, item.name) == (old.kind, old.name)
        ]
    else:
        rows = ws.ledger.rows(
            "SELECT id FROM runs WHERE session = ? AND kind = ? AND name = ? ORDER BY id",
            old.session,
            old.kind,
            old.name,
        )
        peers = [str(row["id"]) for row in rows]
        made = [item for item in made if item.cell_sha256 == old.cell_sha256] or made
        made = [item for item in made if item.session == made[-1].session]
    index = peers.index(old.id)
    if index >= len(made):
        raise StepFailedError(
            f"Made again, there were {len(made)} runs called {old.name!r}; it was number {index + 1}.",
            fix=f"See: snapml jobs logs {job.id[-6:]}",
        )
    return made[index]


def _below(ws: Workspace, root: str) -> list[Run]:
    """Return all runs inside one, however deep, oldest first."""
    rows = ws.ledger.rows(
        "WITH RECURSIVE below (id) AS (SELECT id FROM runs WHERE parent = ?"
        " UNION SELECT runs.id FROM runs JOIN below ON runs.parent = below.id) SELECT id FROM below ORDER BY id",
        root,
    )
    return runs.of_ids(ws.ledger, [str(row["id"]) for row in rows])


def _tag(ws: Workspace, old: Run, made: set[str]) -> None:
    with ws.ledger.write() as connection:
        revision = bump(connection)
        for item in made:
            record.log_tag(connection, item, again.TAG, old.id)
            connection.execute("UPDATE runs SET revision = ? WHERE id = ?", (revision, item))


def _clear_leftovers(ws: Workspace) -> None:
    """Remove scratch folders of jobs that were killed."""
    root = ws.cache / again.KIND
    for place in root.iterdir() if root.is_dir() else []:
        with contextlib.suppress(NotFoundError):
            if not queue.get(ws, place.name).ended:
                continue
        shutil.rmtree(place, ignore_errors=True)
        git.run(ws.project, "worktree", "prune")


def _few(items: list[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"{', '.join(items[:_SHOWN])}{more}"
