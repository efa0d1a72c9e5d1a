"""What one kernel ran since it started, kept in its memory. Standard library only.

A run keeps it as a blob, a JSON list, oldest first: ``{"cell_id", "execution_count", "sha256", "at"}``, with ``"raised"``
where the cell raised; the sources are by their SHA-256 in the ledger's table ``sources``. So what was really run is known though the notebook was never saved. Of a script
it is one item: ``{"script", "argv", "cwd", "sha256", "at"}``, its paths relative to the project.
"""

import hashlib
import json
from collections import deque

from snapml_lab.tracking.order import Ran

_BYTES = 8 << 20
_CELLS = 5000


class Session:
    """What a kernel ran; of long ones the oldest sources are dropped first, then the oldest cells.

    Args:
        most_bytes: characters of sources that are held.
        most_cells: cells that are held.
    """

    def __init__(self, most_bytes: int = _BYTES, most_cells: int = _CELLS) -> None:
        self.ran: deque[Ran] = deque(maxlen=most_cells)
        self.sources: dict[str, str] = {}
        self.raised: set[Ran] = set()
        self._most = most_bytes
        self._held = 0

    def add(self, source: str, item: Ran) -> None:
        """Note a cell that is about to run."""
        self.ran.append(item)
        self._held -= len(self.sources.pop(item.sha256, ""))  # to the end, as the latest
        self.sources[item.sha256] = source
        self._held += len(source)
        while self._held > self._most and len(self.sources) > 1:
            self._held -= len(self.sources.pop(next(iter(self.sources))))

    def latest(self, cell: str) -> Ran | None:
        """Return when a cell ran last."""
        return next((item for item in reversed(self.ran) if item.cell == cell), None)

    def encode(self) -> bytes:
        """Write it as a run keeps it."""
        self.raised.intersection_update(self.ran)
        return json.dumps([
            {"cell_id": item.cell, "execution_count": item.counter, "sha256": item.sha256, "at": item.at}
            | ({"raised": True} if item in self.raised else {})
            for item in self.ran
        ]).encode()  # fmt: skip


def digest(source: str) -> str:
    """Return the SHA-256 of a source; text that is no Unicode (a lone surrogate) has one, too."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
