"""Whether a person's front end is attached to this kernel, and the start of keeping what it runs."""

import os
from typing import Any

from snapml_lab.tracking import shell as shells


def attend(shell: Any) -> None:
    """Keep the cells that are run from now on, so that it is known where work comes from."""
    shells.attend(shell)


def live(shell: Any) -> bool:
    """Say whether a person's front end is attached: JupyterLab, Notebook and VS Code send the cell with each request."""
    return shells.CELL_FILE not in os.environ and bool(shells.attend(shell).metadata().get("cellId"))
