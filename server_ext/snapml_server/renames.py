"""Keeps which notebooks were renamed, for their kernels know only the name they were started with."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from snapml_lab.tracking import renames
from snapml_lab.workspace import Workspace

CONTENTS = "https://events.jupyter.org/jupyter_server/contents_service/v1"

log = logging.getLogger(__name__)


def listener(workspace: Callable[[], Workspace], root: Path) -> Callable[..., Awaitable[None]]:
    """Return what listens to Jupyter's contents events.

    Args:
        workspace: opens the workspace.
        root: the folder that contents' paths are relative to.
    """

    async def renamed(logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        del logger, schema_id
        if data.get("action") != "rename" or not data.get("source_path"):
            return
        before, after = (root / str(data[name]).strip("/") for name in ("source_path", "path"))
        try:
            await asyncio.get_running_loop().run_in_executor(
                None, lambda: renames.note(workspace(), before, after)
            )
        except Exception as error:
            log.warning("SnapML: could not note that %s was renamed: %s", before, error)

    return renamed
