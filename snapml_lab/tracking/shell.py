"""The IPython shell of this process, if it has one: which notebook and cell it runs, and what it ran so far.

Told by the front end or the pipeline runner, never guessed. IPython is found where it is loaded already, never imported.
Standard library only, and little of it: a kernel takes this with ``import snapml_lab``.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from snapml_lab.tracking.order import Ran
from snapml_lab.tracking.session import Session, digest

CELL_FILE = "SNAPML_CELL_FILE"
"""Names a file in which the runner of a notebook says which cell is running, for a kernel it starts cannot know."""
NOTEBOOK = "SNAPML_NOTEBOOK"
CELL = "SNAPML_CELL"
"""What a kernel tells the processes it starts: notebook, cell id and count, as JSON. A job's processes do not get it."""
SCRATCH = "SNAPML_SCRATCH"
"""Names a folder that stands for the project: a run is made again there. What else a cell does to the workspace is left out."""
SERVER = "JPY_SESSION_NAME"
"""Names the notebook, in a kernel that a Jupyter server has started, and in what that starts."""
_JOB = "SNAPML_JOB_ID"


class Attended:
    """A shell with what it ran. Noting a cell takes some ten microseconds."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.kernel = getattr(shell, "kernel", None)
        self.session = Session()
        self.running: Ran | None = None
        self._catch_up()
        shell.events.register("pre_run_cell", self._before)
        shell.events.register("post_run_cell", self._after)

    def cell_id(self) -> str | None:
        """Return the id of the cell whose request is being answered."""
        if os.environ.get(CELL_FILE):
            told = self._told_by_runner().get("cell_id")
            return told if isinstance(told, str) else None
        return self.metadata().get("cellId")

    def latest(self) -> Ran | None:
        """Return what is running: the latest of the cell whose request is being answered, also in a thread it started."""
        cell = self.cell_id()
        return self.running if cell is None else self.session.latest(cell) or self.running

    def notebook(self) -> str | None:
        """Return the notebook's path, as it was told."""
        if runner := os.environ.get(NOTEBOOK):
            return runner
        server = None if _JOB in os.environ else os.environ.get(SERVER)
        told = self.shell.user_ns.get("__vsc_ipynb_file__") or server
        return str(told) if told and str(told).endswith(".ipynb") else None

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of the request being answered; JupyterLab puts the cell's id there."""
        found: Mapping[str, Any] = self.kernel.get_parent() if self.kernel is not None else {}
        return dict(found.get("metadata") or {})

    def _before(self, info: Any) -> None:
        cell, source = self._id_of(info), info.raw_cell or ""
        counter = len(self._inputs()) if info.store_history else self.shell.execution_count
        self.running = Ran(cell, digest(source), counter, time.time())
        if cell is None and not info.store_history:
            return  # a front end asking, not a person
        self.session.add(source, self.running)
        os.environ[CELL] = json.dumps({
            "notebook": self.notebook(), "cell_id": cell, "execution_count": self.running.counter,
        })  # fmt: skip

    def _after(self, result: Any) -> None:
        if self.running is not None and not result.success:
            self.session.raised.add(self.running)

    def _id_of(self, info: Any) -> str | None:
        told: str | None = self.cell_id() if CELL_FILE in os.environ else info.cell_id
        return told

    def _inputs(self) -> list[str]:
        """Return IPython's own list of what ran, by counter; it begins at 1, and has a cell from when that begins."""
        return list(getattr(getattr(self.shell, "history_manager", None), "input_hist_raw", [""]))

    def _catch_up(self) -> None:
        """Take in what ran before: it has no ids, but for the cell that is running."""
        asked = None if self.kernel is None else self.kernel.get_parent().get("content", {}).get("code")
        ran = self._inputs()
        for counter, listed in enumerate(ran[1:], start=1):
            current = counter == len(ran) - 1 and (asked is None or asked.rstrip("\n") == listed)
            source = asked or listed if current else listed  # the list leaves out empty lines at the end
            at = time.time() if current else None
            item = Ran(self.cell_id() if current else None, digest(source), counter, at)
            self.session.add(source, item)
            self.running = item if current else self.running

    def _told_by_runner(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError), open(os.environ[CELL_FILE], "rb") as file:
            told = json.load(file)
            return told if isinstance(told, dict) else {}
        return {}


_attended: dict[int, Attended] = {}


def attend(shell: Any) -> Attended:
    """Keep what a shell runs from now on; asked again, return what is kept."""
    if id(shell) not in _attended:
        _attended.clear()
        _attended[id(shell)] = Attended(shell)
    return _attended[id(shell)]


def found() -> Attended | None:
    """Return this process's shell, attending it from now on; None where there is none."""
    module = sys.modules.get("IPython.core.interactiveshell")
    base = getattr(module, "InteractiveShell", None)
    if base is None or not base.initialized():
        return None
    return attend(base.instance())
