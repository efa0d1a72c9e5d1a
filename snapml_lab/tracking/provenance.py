"""Finding out where work is started from, and whether its source has changed since. Standard library only.

The notebook and the cell are told by the front end or the pipeline runner (``shell``), what this kernel ran so far is in
``session``, whether that is the notebook from top to bottom in ``order``, and the code's state in ``git``. A process that
is no kernel is known by its script; work inside a job has the origin of that job.
"""

import contextlib
import functools
import hashlib
import json
import os
import sys
import sysconfig
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from snapml_lab.envs import current
from snapml_lab.errors import SnapmlError
from snapml_lab.jobs.redaction import Redactor, secrets_of
from snapml_lab.store.blobs import Blobs
from snapml_lab.tracking import git, notebooks, renames, shell
from snapml_lab.tracking.order import Order, judged
from snapml_lab.tracking.record import Origin
from snapml_lab.tracking.session import digest
from snapml_lab.workspace import Workspace, open_workspace

_JOB = "SNAPML_JOB_ID"
_OURS = Path(__file__).resolve().parents[1]
_LARGEST_SCRIPT = 4 << 20


def here() -> Origin:
    """Return what this process is running: notebook and cell as far as the front end tells, or the script.

    In a process that a kernel started, the script and that kernel's cell.
    """
    found = shell.found()
    if found is not None and (found.kernel is not None or _JOB not in os.environ):
        return _of_cell(found)
    script = _script()
    told = _of_starter()
    notebook = told.get("notebook")
    if script is None and notebook is None:
        return Origin()
    ws = open_workspace()
    return Origin(
        notebook=ws.relative(renames.follow(ws, notebook)) if notebook else None, cell_id=told.get("cell_id"),
        execution_count=told.get("execution_count"), cell_sha256=None if script is None else script.sha256,
        script=None if script is None else ws.relative(_standing_for(ws, script.path)),
    )  # fmt: skip


def complete(ws: Workspace, origin: Origin, dataset: str | None = None) -> Origin:
    """Add what this process knows to what its front end told: what ran before, git, the environment, the data used.

    Args:
        ws: where sources, the environment's lock and the rest are kept.
        origin: as :func:`here` or a command's call has it.
        dataset: SHA-256 of the data.
    """
    lock = current.lock()
    sources: dict[str, str] = {}
    session: bytes | None = None
    order = Order(origin.out_of_order, origin.out_of_order_why)
    found = shell.found()
    if found is not None and origin.cell_sha256 is not None and origin == _of_cell(found):
        sources, session = found.session.sources, found.session.encode()
        order = _order(ws, found, origin)
    elif origin.script is not None and (script := _script()) is not None:
        sources[script.sha256] = script.source
        session = script.encode(ws)
    _keep(ws, lock, sources)
    made = replace(
        origin, environment=lock.sha256, dataset=dataset or origin.dataset, out_of_order=order.out,
        out_of_order_why=order.why, session=None if session is None else _put(ws.blobs, session),
    )  # fmt: skip
    job = _of_job(ws)
    if job is not None:
        kept = {field.name: getattr(made, field.name) for field in fields(made)}
        started = {
            name: value for name, value in vars(job).items() if kept[name] is None and name != "dataset"
        }
        return replace(made, **started)
    code = git.look(ws.project)
    if code is None:
        return made
    difference = None if code.difference is None else _put(ws.blobs, code.difference)
    return replace(made, git_commit=code.name, git_diff=difference)


def with_source(ws: Workspace, origin: Origin, script: Path) -> Origin:
    """Return the origin of work that runs a script: its path, and its source, which is kept."""
    found = _read_script(script)
    if found is None:
        return replace(origin, script=ws.relative(script))
    _keep(ws, current.lock(), {found.sha256: found.source})
    return replace(origin, script=ws.relative(script), cell_sha256=found.sha256)


def source(ws: Workspace, sha256: str) -> str | None:
    """Return a kept source by its SHA-256."""
    row = ws.ledger.row("SELECT text FROM sources WHERE sha256 = ?", sha256)
    return None if row is None else str(row["text"])


def session_of(ws: Workspace, sha256: str | None) -> list[dict[str, Any]]:
    """Return what a kernel had run up to a run, oldest first (see ``session``); empty where that is not known."""
    if sha256 is None:
        return []
    try:
        items = json.loads(ws.blobs.verified(sha256))
    except (SnapmlError, ValueError):
        return []
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


@dataclass(frozen=True)
class Since:
    """What became of the source of a run.

    Attributes:
        state: ``same``; ``changed``: the cell or script is there with another text; ``gone``: it is not; ``unknown``:
            the file cannot be read, or does not say which cell it was.
        words: that, as a sentence; empty where it is unknown.
        others: of the other cells that ran before it, how many have another text now, or are gone.
    """

    state: Literal["same", "changed", "gone", "unknown"]
    words: str = ""
    others: int = 0


def since(ws: Workspace, run: Any) -> Since:
    """Compare a run's source with the notebook or script as it is on disk now (about a millisecond).

    Args:
        ws: its workspace.
        run: anything with the fields of an :class:`Origin`.
    """
    name = run.script or run.notebook
    if run.cell_sha256 is None or name is None:
        return Since("unknown")
    path = ws.project / name
    if not path.exists():
        return Since("gone", f"{name} is gone since.")
    if run.script is not None:
        found = _read_script(path)
        if found is None:
            return Since("unknown")
        if found.sha256 == run.cell_sha256:
            return Since("same", f"{name} is unchanged.")
        return Since("changed", f"{name} has changed since.")
    notebook = notebooks.read(path)
    return Since("unknown") if notebook is None else _since_in(ws, run, notebook)


def _since_in(ws: Workspace, run: Any, notebook: notebooks.Notebook) -> Since:
    others = _others(ws, run, notebook)
    have = f"{others} of the cells that ran before it {'has' if others == 1 else 'have'}"
    now = notebook.hashes.get(run.cell_id)
    if now == run.cell_sha256 or (now is None and run.cell_sha256 in notebook.every):
        return Since("same", "The cell is unchanged." + (f" {have} changed since." if others else ""), others)
    more = f" {have}, too." if others else ""
    if now is not None:
        return Since("changed", f"The cell has changed since.{more}", others)
    if run.cell_id is None or "notebook-cell:" in run.cell_id:  # as VS Code calls it, which is in no file
        return Since("changed", f"No cell has that text any more.{more}", others)
    return Since("gone", f"The cell is no longer in the notebook.{more}", others)


def _others(ws: Workspace, run: Any, notebook: notebooks.Notebook) -> int:
    latest = {
        item["cell_id"]: item.get("sha256") for item in session_of(ws, run.session) if item.get("cell_id")
    }
    latest.pop(run.cell_id, None)
    return sum(
        notebook.hashes.get(cell) != sha256 and sha256 not in notebook.every
        for cell, sha256 in latest.items()
    )


def _of_cell(found: shell.Attended) -> Origin:
    notebook, ran = found.notebook(), found.latest()
    if notebook is not None:
        ws = open_workspace()
        notebook = ws.relative(renames.follow(ws, notebook))
    return Origin(
        notebook=notebook, cell_id=found.cell_id(),
        cell_sha256=None if ran is None else ran.sha256,
        execution_count=found.shell.execution_count if ran is None else ran.counter,
    )  # fmt: skip


def _order(ws: Workspace, found: shell.Attended, origin: Origin) -> Order:
    if os.environ.get(shell.CELL_FILE):
        return Order(False, None)  # a runner runs each cell once, from top to bottom
    ran = list(found.session.ran)
    notebook = None if origin.notebook is None else notebooks.read(ws.project / origin.notebook)
    if notebook is None:
        return judged(ran, None)
    known = [  # what ran before SnapML was loaded is told by its text, where only one cell has it
        item if item.cell or item.at else item._replace(cell=notebook.id_of(item.sha256)) for item in ran
    ]
    return judged(known, notebook.places, notebook.saved)


_kept: dict[Path, set[str]] = {}


def _keep(ws: Workspace, lock: current.Lock, sources: Mapping[str, str]) -> None:
    """Write the lock and sources that this process has not written yet; secrets of the environment are taken out."""
    kept = _kept.setdefault(ws.root, set())
    missing = {sha256: text for sha256, text in sources.items() if sha256 not in kept}
    if not missing and lock.sha256 in kept:
        return
    secrets = secrets_of(os.environ) if missing else {}
    with ws.ledger.write() as connection:
        connection.execute("INSERT OR IGNORE INTO environments VALUES (?, ?, ?)", lock)
        connection.executemany(
            "INSERT OR IGNORE INTO sources VALUES (?, ?)",
            [(sha256, _redacted(text, secrets)) for sha256, text in missing.items()],
        )
    kept.update(missing, [lock.sha256])


def _redacted(text: str, secrets: Mapping[str, str]) -> str:
    redactor = Redactor(secrets)
    content = text.encode("utf-8", "replace")
    return (redactor.feed(0.0, content) + redactor.flush()).decode("utf-8", "replace")


def _put(blobs: Blobs, content: bytes) -> str:
    """Keep a blob, without writing it again where it is there."""
    sha256 = hashlib.sha256(content).hexdigest()
    with contextlib.suppress(SnapmlError):
        blobs.path(sha256)
        return sha256
    return blobs.put(content)[0]


def _of_job(ws: Workspace) -> Origin | None:
    """Return the origin of the job this process is part of."""
    job = os.environ.get(_JOB)
    names = [field.name for field in fields(Origin)]
    row = ws.ledger.row(f"SELECT {', '.join(names)} FROM runs WHERE id = ?", job) if job else None
    if row is None:
        return None
    values = {name: row[name] for name in names}
    if values["out_of_order"] is not None:
        values["out_of_order"] = bool(values["out_of_order"])
    return Origin(**values)


def _of_starter() -> dict[str, Any]:
    """Return what the kernel that started this process told it; a job is told nothing here, it has a run."""
    if _JOB in os.environ:
        return {}
    with contextlib.suppress(ValueError):
        told = json.loads(os.environ.get(shell.CELL, ""))
        return told if isinstance(told, dict) else {}
    server = os.environ.get(shell.SERVER, "")
    return {"notebook": server} if server.endswith(".ipynb") else {}


@dataclass(frozen=True)
class _Script:
    path: Path
    source: str
    sha256: str
    at: float

    def encode(self, ws: Workspace) -> bytes:
        """Write it as a run keeps it: a session of one."""
        place, cwd = _standing_for(ws, self.path), _standing_for(ws, Path.cwd())
        argv = json.loads(_redacted(json.dumps(sys.argv), secrets_of(os.environ)))
        item = {
            "script": ws.relative(place), "argv": argv, "cwd": ws.relative(cwd), "sha256": self.sha256, "at": self.at,
        }  # fmt: skip
        return json.dumps([item]).encode()


@functools.cache
def _script() -> _Script | None:
    """Return the script this process was started with; None for programs that are installed, ours among them."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if not main:
        return None
    path = Path(main).resolve()
    installed = [
        Path(sysconfig.get_path(name)).resolve() for name in ("scripts", "purelib", "platlib", "stdlib")
    ]
    if any(path.is_relative_to(place) for place in (*installed, _OURS)):
        return None
    return _read_script(path)


def _standing_for(ws: Workspace, path: Path) -> Path:
    """Return the project's path that a path in a scratch folder stands for."""
    scratch = os.environ.get(shell.SCRATCH)
    return ws.project / path.relative_to(scratch) if scratch and path.is_relative_to(scratch) else path


def _read_script(path: Path) -> _Script | None:
    try:
        if path.stat().st_size > _LARGEST_SCRIPT:
            return None
        text = path.read_bytes().decode("utf-8", "replace")
    except (OSError, ValueError):
        return None
    return _Script(path, text, digest(text), time.time())
