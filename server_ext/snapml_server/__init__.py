"""The Jupyter server extension: authenticate, authorise, dispatch, stream. No state of its own."""

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "snapml_server"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    """Add the routes, and start watching the ledger once the server's loop runs."""
    from snapml_server.extension import load

    load(serverapp)
