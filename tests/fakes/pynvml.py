"""A stand-in for the NVML binding (nvidia-ml-py), in one file: the same names for what is used of it, GPUs of our own.

The GPUs are a JSON file that ``FAKE_NVML_STATE`` names. Processes take memory of them through :class:`Memory`, which
raises what PyTorch raises where it does not fit, and the file counts how often that was. As with a driver, a process that
is gone holds nothing, unless its entry says ``sticky``.

    {"error": null, "devices": [{"uuid": "GPU-0", "name": "Fake", "total": 24000, "reserved": 0, "load": 40, "lost": false,
     "processes": [{"pid": 7, "start": 12345, "mib": 800, "told": true, "sticky": false}], "ooms": 0, "most": 800}]}
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self

STATE = "FAKE_NVML_STATE"
_MIB = 1 << 20

NVML_ERROR_UNINITIALIZED = 1
NVML_ERROR_NOT_SUPPORTED = 3
NVML_ERROR_NO_PERMISSION = 4
NVML_ERROR_NOT_FOUND = 6
NVML_ERROR_DRIVER_NOT_LOADED = 9
NVML_ERROR_LIBRARY_NOT_FOUND = 12
NVML_ERROR_GPU_IS_LOST = 15
NVML_ERROR_UNKNOWN = 999


class NVMLError(Exception):
    """An error of NVML's; one with a class of its own is raised as that."""

    words: ClassVar = {
        NVML_ERROR_UNINITIALIZED: "Uninitialized", NVML_ERROR_NOT_SUPPORTED: "Not Supported",
        NVML_ERROR_NO_PERMISSION: "Insufficient Permissions", NVML_ERROR_NOT_FOUND: "Not Found",
        NVML_ERROR_DRIVER_NOT_LOADED: "Driver Not Loaded", NVML_ERROR_GPU_IS_LOST: "GPU is lost",
        NVML_ERROR_LIBRARY_NOT_FOUND: "NVML Shared Library Not Found", NVML_ERROR_UNKNOWN: "Unknown Error",
    }  # fmt: skip

    def __new__(cls, value: int) -> Self:
        kinds = {
            NVML_ERROR_LIBRARY_NOT_FOUND: NVMLError_LibraryNotFound,
            NVML_ERROR_DRIVER_NOT_LOADED: NVMLError_DriverNotLoaded,
            NVML_ERROR_GPU_IS_LOST: NVMLError_GpuIsLost, NVML_ERROR_NOT_FOUND: NVMLError_NotFound,
            NVML_ERROR_NOT_SUPPORTED: NVMLError_NotSupported, NVML_ERROR_UNKNOWN: NVMLError_Unknown,
        }  # fmt: skip
        return super().__new__(kinds.get(value, cls))

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return self.words.get(self.value, f"NVML Error with code {self.value}")


class NVMLError_LibraryNotFound(NVMLError): ...  # noqa: N801, N818


class NVMLError_DriverNotLoaded(NVMLError): ...  # noqa: N801, N818


class NVMLError_GpuIsLost(NVMLError): ...  # noqa: N801, N818


class NVMLError_NotFound(NVMLError): ...  # noqa: N801, N818


class NVMLError_NotSupported(NVMLError): ...  # noqa: N801, N818


class NVMLError_Unknown(NVMLError): ...  # noqa: N801, N818


def nvmlInit() -> None:  # noqa: N802
    if STATE not in os.environ:
        raise NVMLError(NVML_ERROR_LIBRARY_NOT_FOUND)
    if (error := _read()["error"]) is not None:
        raise NVMLError(error)


def nvmlShutdown() -> None:  # noqa: N802
    """End nothing: there was no beginning."""


def nvmlDeviceGetCount() -> int:  # noqa: N802
    return len(_read()["devices"])


def nvmlDeviceGetHandleByIndex(index: int) -> int:  # noqa: N802
    _device(index)
    return index


def nvmlDeviceGetUUID(handle: int) -> str:  # noqa: N802
    return str(_device(handle)["uuid"])


def nvmlDeviceGetName(handle: int) -> str:  # noqa: N802
    return str(_device(handle)["name"])


def nvmlDeviceGetMemoryInfo(handle: int) -> SimpleNamespace:  # noqa: N802
    device = _device(handle)
    total, used = device["total"] * _MIB, used_of(device) * _MIB
    return SimpleNamespace(total=total, used=used, free=total - used)


def nvmlDeviceGetComputeRunningProcesses(handle: int) -> list[SimpleNamespace]:  # noqa: N802
    return [
        SimpleNamespace(pid=item["pid"], usedGpuMemory=item["mib"] * _MIB if item["told"] else None)
        for item in holding(_device(handle))
    ]


def nvmlDeviceGetUtilizationRates(handle: int) -> SimpleNamespace:  # noqa: N802
    load = _device(handle)["load"]
    if load is None:
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
    return SimpleNamespace(gpu=load, memory=0)


class Memory:
    """This process's memory of the GPU that it may see first (``CUDA_VISIBLE_DEVICES``)."""

    def take(self, mib: int) -> None:
        """Take so much more.

        Raises:
            RuntimeError: there is no GPU to be seen, or it has not that much left.
        """
        with change() as state:
            device = self._visible(state)
            left = device["total"] - used_of(device)
            if mib > left:
                device["ooms"] += 1
            else:
                _entry(device, os.getpid())["mib"] += mib
                device["most"] = max(device["most"], used_of(device))
        if mib > left:
            raise RuntimeError(f"CUDA out of memory. Tried to allocate {mib} MiB. {left} MiB is free.")

    def free(self) -> None:
        """Give all of it back."""
        with change() as state:
            device = self._visible(state)
            device["processes"] = [item for item in device["processes"] if item["pid"] != os.getpid()]

    @staticmethod
    def _visible(state: dict[str, Any]) -> dict[str, Any]:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES")
        wanted = None if seen is None else seen.split(",")[0]
        for index, device in enumerate(state["devices"]):
            if wanted is None or wanted in (device["uuid"], str(index)):
                return device  # type: ignore[no-any-return]
        raise RuntimeError("No CUDA GPUs are available")


@contextlib.contextmanager
def change() -> Iterator[dict[str, Any]]:
    """Change the GPUs while nobody else does."""
    path = Path(os.environ[STATE])
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = _read()
        try:
            yield state
        finally:
            aside = path.with_suffix(f".{os.getpid()}")
            aside.write_text(json.dumps(state))
            aside.replace(path)


def holding(device: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of the processes that hold memory now."""
    return [item for item in device["processes"] if item["sticky"] or _alive(item["pid"], item["start"])]


def used_of(device: dict[str, Any]) -> int:
    """Return what is used of a device, in MiB."""
    return int(device["reserved"] + sum(item["mib"] for item in holding(device)))


def start_of(pid: int) -> int | None:
    """Return when a process started (clock ticks), None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] == b"Z" else int(fields[19])


def _alive(pid: int, start: int | None) -> bool:
    return start is not None and start_of(pid) == start


def _entry(device: dict[str, Any], pid: int) -> dict[str, Any]:
    """Return a process's entry on a device, made where it has none; entries of the dead go."""
    device["processes"] = holding(device)
    for item in device["processes"]:
        if item["pid"] == pid:
            return item  # type: ignore[no-any-return]
    made = {"pid": pid, "start": start_of(pid), "mib": 0, "told": True, "sticky": False}
    device["processes"].append(made)
    return made


def _read() -> dict[str, Any]:
    return dict(json.loads(Path(os.environ[STATE]).read_text()))


def _device(index: int) -> dict[str, Any]:
    device = _read()["devices"][index]
    if device["lost"]:
        raise NVMLError(NVML_ERROR_GPU_IS_LOST)
    return dict(device)
