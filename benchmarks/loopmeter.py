"""A server extension that measures its server's event loop: how late a timer of 5 ms is.

Of that lateness, the part in which the loop's thread was ready and the machine gave it no processor is noted beside:
nothing in the server can help that. ``GET loopmeter`` returns all since it was last asked.
"""

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

_SECONDS = 0.005
_late: list[tuple[float, float]] = []


class MeterHandler(APIHandler):
    """Hands out what was measured."""

    @web.authenticated
    def get(self) -> None:
        """Return pairs of milliseconds: late, and of that without a processor."""
        found = json.dumps(_late[1:])  # the first holds the answer before
        _late.clear()
        self.finish(found)


def _starved() -> int:
    """Return how long this thread was ready and had no processor, in nanoseconds so far (the second of schedstat)."""
    return int(Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()[1])


async def _measure() -> None:
    while True:
        starved = _starved()
        begun = time.perf_counter()
        await asyncio.sleep(_SECONDS)
        late = time.perf_counter() - begun - _SECONDS
        starved = _starved() - starved
        _late.append((max(late, 0.0) * 1e3, min(starved / 1e6, max(late, 0.0) * 1e3)))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "loopmeter"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    settings = serverapp.web_app.settings
    serverapp.web_app.add_handlers(".*$", [(url_path_join(settings["base_url"], "loopmeter"), MeterHandler)])
    serverapp.io_loop.add_callback(_measure)
