"""The picture of work in progress: static HTML updated in place, and beside it a live panel where a person watches.

The picture is an output of its own and stays; the panel is made of widgets around it, only for a live front end, and
is taken away when the work ends.
"""

import time
from types import TracebackType
from typing import Any, Self

from IPython.display import DisplayHandle, display

from snapml_lab.jobs.model import Job
from snapml_lab.views.base import View

_LEAST_SECONDS = 0.4


class Picture:
    """One updating display.

    Args:
        live: whether to add the live panel.
        job: the job it is of.
    """

    def __init__(self, *, live: bool, job: str) -> None:
        self._live = live
        self._job = job
        self._handle: DisplayHandle | None = None
        self._panel: Any = None
        self._drawn = 0.0

    def __enter__(self) -> Self:
        return self

    def show(self, view: View, job: Job) -> None:
        """Draw a state of the work; where states follow each other too fast this waits, and the caller passes some over."""
        time.sleep(max(self._drawn + _LEAST_SECONDS - time.monotonic(), 0.0))
        if self._live:
            self._show_panel(view, job)
        self._draw(view)

    def last(self, view: View) -> None:
        """Draw the end; it stays."""
        self._draw(view)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._panel is not None:
            self._panel.close()

    def _draw(self, view: View) -> None:
        self._drawn = time.monotonic()
        if self._handle is None:
            self._handle = display(view.bundle(), raw=True, display_id=True)
        else:
            self._handle.update(view.bundle(), raw=True)

    def _show_panel(self, view: View, job: Job) -> None:
        if self._panel is None:
            try:
                from snapml_magics.panel import Panel
            except ImportError:  # the widget libraries are an extra; the picture is enough
                self._live = False
                return
            self._panel = Panel(self._job)
        self._panel.show(view, job)
