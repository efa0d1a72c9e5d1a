"""What a run takes of the machine: metrics ``system/…`` of this process and its GPUs, now and then. Standard library only."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from snapml_lab.jobs import gpus

_FIRST_SECONDS = 2.0
_EVERY_SECONDS = 15.0
_MIB = 1 << 20


class Sampler:
    """Measures this process, from one look to the next: processor in percent of one core, memory and GPU memory in MiB."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._used = _processor_seconds()

    def sample(self) -> dict[str, float | None]:
        """Return the metrics since the last look."""
        now, used = time.monotonic(), _processor_seconds()
        percent = 100 * (used - self._used) / max(now - self._at, 1e-9)
        self._at, self._used = now, used
        return {"system/cpu_percent": percent, "system/memory_mib": _memory(), **_gpus()}


class Sampling(threading.Thread):
    """A thread that samples until it is stopped.

    Args:
        tell: takes the metrics and the number of the sample.
    """

    def __init__(self, tell: Callable[[dict[str, float | None], int], None]) -> None:
        super().__init__(name="snapml-system", daemon=True)
        self._tell = tell
        self._ended = threading.Event()

    def run(self) -> None:
        """Sample until stopped, or until the disk is full."""
        sampler, number = Sampler(), 0
        while not self._ended.wait(_EVERY_SECONDS if number else _FIRST_SECONDS):
            try:
                self._tell(sampler.sample(), number)
            except OSError:
                return
            number += 1

    def stop(self) -> None:
        """End it, and wait until it tells nothing any more."""
        self._ended.set()
        self.join(_FIRST_SECONDS)


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _memory() -> float | None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def _gpus() -> dict[str, float | None]:
    """Return the load and memory of the GPUs in which this process holds memory."""
    try:
        devices = gpus.devices()
    except gpus.Unseen:
        return {}
    found: dict[str, float | None] = {}
    for device in devices:
        mine = [held.memory for held in device.held if held.pid == os.getpid()]
        if mine:
            found[f"system/gpu{device.number}_percent"] = device.load
            found[f"system/gpu{device.number}_memory_mib"] = sum(mine) or device.used
    return found
