"""Watches the ledger for the page, and moves the queue while the server lives.

A look is one ``PRAGMA data_version`` and one small query, in a thread, four times a second; what changed goes out over
Jupyter's event websocket. While jobs run, each for at most its ``max_hours``, the server counts as active, so that a Hub
does not cull it.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from snapml_lab.workspace import Workspace

SCHEMA_ID = "https://schema.snapml-lab.org/jobs/v1"

JOBS_SCHEMA: dict[str, Any] = {
    "$id": SCHEMA_ID,
    "version": "1",
    "title": "Jobs that changed",
    "personal-data": False,
    "type": "object",
    "properties": {
        "revision": {"title": "Revision reached", "type": "integer"},
        "since": {"title": "Revision of the event before", "type": "integer"},
        "jobs": {"title": "Jobs changed in between", "type": "array", "items": {"type": "object"}},
    },
    "required": ["revision", "since", "jobs"],
}

_LOOK_SECONDS = 0.25
_TICK_SECONDS = 1.0
_HEARTBEAT_SECONDS = 5.0

log = logging.getLogger(__name__)


class Watcher:
    """Tells the page what changed.

    Args:
        workspace: opens the workspace; called until it succeeds, for it may not be writable yet.
        events: Jupyter's event logger.
        settings: the web application's settings, where activity is noted.
    """

    def __init__(self, workspace: Callable[[], Workspace], events: Any, settings: dict[str, Any]) -> None:
        self._open = workspace
        self._events = events
        self._settings = settings
        self._ws: Workspace | None = None
        self._revision = -1
        self._ticked = 0.0
        self._told = 0.0

    async def run(self) -> None:
        """Look until the server's loop ends; a look that fails is logged and tried again."""
        loop = asyncio.get_running_loop()
        complained = ""
        while True:
            try:
                found = await loop.run_in_executor(None, self._look)
                complained = ""
            except Exception as error:
                found = None
                if repr(error) != complained:
                    complained = repr(error)
                    log.warning("SnapML: could not look at the workspace: %s", error)
            if found is not None:
                self._events.emit(schema_id=SCHEMA_ID, data=found)
            await asyncio.sleep(_LOOK_SECONDS)

    def _look(self) -> dict[str, Any] | None:
        """Move the queue if it is time, and return an event if there is news or a heartbeat is due."""
        from snapml_lab.commands import core
        from snapml_lab.jobs import queue
        from snapml_lab.jobs.tick import keeps_awake, pending, tick
        from snapml_lab.tracking import live

        if self._ws is None:
            self._ws = self._open()
            self._revision = self._ws.ledger.revision()
            queue.clear_leftovers(self._ws)
            core.commands()  # here, in a thread, so that the first request does not wait for their import
        ws = self._ws
        now = time.monotonic()
        if now - self._ticked >= _TICK_SECONDS:
            self._ticked = now
            if keeps_awake(ws):
                self._settings.setdefault("last_activity_times", {})["snapml"] = datetime.now(UTC)
            if pending(ws):
                tick(ws)
            live.catch_up(ws)
        revision = ws.ledger.revision()
        if revision == self._revision and now - self._told < _HEARTBEAT_SECONDS:
            return None
        self._told = now
        jobs: list[dict[str, Any]] = []
        if revision != self._revision:
            from snapml_lab.jobs.view import JobView

            jobs = [JobView.of(job).model_dump(mode="json") for job in queue.changed(ws, self._revision)]
        since, self._revision = self._revision, revision
        return {"revision": revision, "since": since, "jobs": jobs}
