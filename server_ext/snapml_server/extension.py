"""Wiring: routes, the event schema, what the page is told, and the watcher."""

import os
from pathlib import Path
from typing import Any

from jupyter_server.utils import url_path_join

from snapml_lab.workspace import FOLDER, locate, open_workspace
from snapml_server import kernels, renames
from snapml_server.handlers import CommandHandler
from snapml_server.watcher import JOBS_SCHEMA, Watcher


def load(serverapp: Any) -> None:
    """Add the extension to a running server application."""
    root = Path(serverapp.root_dir).expanduser().resolve()
    os.environ.setdefault("JUPYTER_SERVER_ROOT", str(root))
    web_app = serverapp.web_app
    project = locate(root).parent
    page = web_app.settings.setdefault("page_config_data", {})
    page["snapmlProjectPath"] = _contents_path(project, root)
    serverapp.event_logger.register_event_schema(JOBS_SCHEMA)
    heard = renames.listener(lambda: open_workspace(root), root)
    serverapp.event_logger.add_listener(schema_id=renames.CONTENTS, listener=heard)
    kernels.attend(serverapp.kernel_manager, serverapp.identity_provider)
    watcher = Watcher(lambda: open_workspace(root), serverapp.event_logger, web_app.settings)
    handler = (
        url_path_join(web_app.settings["base_url"], "snapml", "api", r"([a-z/-]+)"),
        CommandHandler,
        {"start": root, "identities": serverapp.identity_provider},
    )
    web_app.add_handlers(".*$", [handler])
    serverapp.io_loop.add_callback(watcher.run)
    serverapp.log.info("SnapML Lab: workspace %s", project / FOLDER)


def _contents_path(project: Path, root: Path) -> str:
    """Return the project's folder as the contents API names it: "" for the root itself, "none" outside of it."""
    if not project.resolve().is_relative_to(root):
        return "none"
    path = project.resolve().relative_to(root).as_posix()
    return "" if path == "." else path
