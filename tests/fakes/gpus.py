"""GPUs that a test makes, looks at and disturbs; what they are like is in :mod:`fakes.pynvml`."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fakes import pynvml

BINDING = Path(__file__).with_name("pynvml.py")
TRAINING = Path(__file__).with_name("training.py")


def training(mib: int, seconds: float, **options: object) -> list[str]:
    """Return the words that start a fake training: it takes ``mib`` of its GPU and holds it for ``seconds``."""
    words = [sys.executable, str(TRAINING), f"--mib={mib}", f"--seconds={seconds}"]
    return words + [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]


class FakeGpus:
    """The GPUs of one test.

    Args:
        path: the file of their state.
        totals: the memory (MiB) of each.
    """

    def __init__(self, path: Path, *totals: int) -> None:
        self.path = path
        devices = [
            {"uuid": f"GPU-fake-{number}", "name": "NVIDIA Fake 9000", "total": total, "reserved": 0, "load": 40, "lost": False,
             "processes": [], "ooms": 0, "most": 0}
            for number, total in enumerate(totals)
        ]  # fmt: skip
        path.write_text(json.dumps({"error": None, "devices": devices}))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to see these GPUs."""
        return {"SNAPML_NVML": str(BINDING), pynvml.STATE: str(self.path)}

    def hold(self, pid: int, mib: int, *, device: int = 0, told: bool = True, sticky: bool = False) -> None:
        """Let a process hold memory; ``told`` False: as where the driver does not say how much."""
        self.release(pid, device=device)
        with self.change() as state:
            entry = {"pid": pid, "start": pynvml.start_of(pid), "mib": mib, "told": told, "sticky": sticky}
            state["devices"][device]["processes"].append(entry)

    def release(self, pid: int, *, device: int = 0) -> None:
        """Take a process's memory from it."""
        with self.change() as state:
            found = state["devices"][device]
            found["processes"] = [item for item in found["processes"] if item["pid"] != pid]

    def set(self, device: int = 0, **fields: object) -> None:
        """Change what a device is like: ``load``, ``lost``, ``reserved``, ``name``."""
        with self.change() as state:
            state["devices"][device].update(fields)

    def fail(self, error: int | None) -> None:
        """Let NVML fail from now on, with one of its codes; None: no longer."""
        with self.change() as state:
            state["error"] = error

    def used(self, device: int = 0) -> int:
        """Return what is used now, in MiB."""
        return pynvml.used_of(self.state["devices"][device])

    def most(self, device: int = 0) -> int:
        """Return the most that ever was used by way of a fake training, in MiB."""
        return int(self.state["devices"][device]["most"])

    @property
    def ooms(self) -> int:
        """How often somebody asked for more than there was."""
        return sum(device["ooms"] for device in self.state["devices"])

    @property
    def state(self) -> dict[str, Any]:
        """The file's content."""
        return dict(json.loads(self.path.read_text()))

    @contextlib.contextmanager
    def change(self) -> Iterator[dict[str, Any]]:
        """Change the file while nobody else does."""
        before = os.environ.get(pynvml.STATE)
        os.environ[pynvml.STATE] = str(self.path)
        try:
            with pynvml.change() as state:
                yield state
        finally:
            if before is None:
                del os.environ[pynvml.STATE]
            else:
                os.environ[pynvml.STATE] = before
