"""Which notebook and cell is running, as told by the front end or the pipeline runner; never guessed."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from snapml_lab.tracking import provenance
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import open_workspace

_SESSION = "JPY_SESSION_NAME"
_CELL_FILE = "SNAPML_CELL_FILE"
_NOTEBOOK = "SNAPML_NOTEBOOK"


def attend(shell: Any) -> None:
    """Keep the source of the cell being run, and answer for this kernel where work comes from."""
    source: dict[str, str] = {"cell": ""}

    def before(info: Any) -> None:
        source["cell"] = info.raw_cell or ""

    shell.events.register("pre_run_cell", before)
    provenance.tell(lambda: _origin(shell, source["cell"]))


def live(shell: Any) -> bool:
    """Say whether a person's front end is attached: JupyterLab, Notebook and VS Code send the cell with each request."""
    return _CELL_FILE not in os.environ and bool(_metadata(shell).get("cellId"))


def _origin(shell: Any, cell: str) -> Origin:
    notebook = (
        os.environ.get(_NOTEBOOK) or shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get(_SESSION)
    )
    cell_id = _metadata(shell).get("cellId")
    if file := os.environ.get(_CELL_FILE):
        told = json.loads(Path(file).read_bytes())
        cell_id, cell = told["cell_id"], told["source"]
    if notebook is None or not str(notebook).endswith(".ipynb"):
        notebook = None
    return Origin(
        notebook=open_workspace().relative(notebook) if notebook else None,
        cell_id=cell_id,
        cell_sha256=hashlib.sha256(cell.encode()).hexdigest() if cell else None,
        execution_count=shell.execution_count,
    )


def _metadata(shell: Any) -> dict[str, Any]:
    """Return the metadata of the request being answered; JupyterLab puts the cell's id there."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return {}
    parent = kernel.get_parent()
    metadata: dict[str, Any] = parent.get("metadata", {})
    return metadata
