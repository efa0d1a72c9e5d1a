"""GPUs as NVML tells of them: devices, their memory, and which processes hold it. Standard library and NVML only.

A shim runs without site-packages, so whoever starts it says where the binding (``nvidia-ml-py``, one file) lies.
"""

import functools
import importlib.util
import os
import sys
from types import ModuleType
from typing import NamedTuple

from snapml_lab.jobs.processes import BINDING, LEASED

_MODULE = "_snapml_nvml"
_MIB = 1 << 20
_CONTEXT_MIB = 512
"""What CUDA itself takes, outside of torch's allocator."""


class Held(NamedTuple):
    """Memory of a device in a process's hands; ``memory`` (MiB) is 0 where NVML does not tell."""

    pid: int
    memory: int


class Device(NamedTuple):
    """One GPU; memory in MiB, ``load`` (percent) None where NVML does not tell."""

    uuid: str
    number: int
    name: str
    total: int
    used: int
    load: int | None
    held: tuple[Held, ...]


class Unseen(Exception):  # noqa: N818 - a fact about this machine, not a fault
    """NVML cannot be asked; the reason is the message."""


def devices() -> list[Device]:
    """Return this machine's GPUs; none where there is no NVML.

    Raises:
        Unseen: there is an NVML, and it fails.
    """
    nvml = _nvml()
    if nvml is None:
        return []
    try:
        nvml.nvmlInit()
        return [found for index in range(nvml.nvmlDeviceGetCount()) if (found := _device(nvml, index))]
    except nvml.NVMLError as error:
        if error.value in (nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_DRIVER_NOT_LOADED):
            return []
        raise Unseen(str(error)) from error


def capability(number: int) -> tuple[int, int] | None:
    """Return a device's CUDA compute capability, as (9, 0); None where NVML does not tell."""
    nvml = _nvml()
    if nvml is None:
        return None
    try:
        nvml.nvmlInit()
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(nvml.nvmlDeviceGetHandleByIndex(number))
    except (nvml.NVMLError, AttributeError):
        return None
    return int(major), int(minor)


def present() -> bool:
    """Say whether this machine has a GPU that can be seen."""
    try:
        return bool(devices())
    except Unseen:
        return False


class Power(NamedTuple):
    """Watts a GPU draws now, and the most it is allowed to."""

    now: float
    most: float


def power() -> list[Power]:
    """Return what each GPU draws; none where NVML does not tell of all of them."""
    nvml = _nvml()
    if nvml is None:
        return []
    found = []
    try:
        nvml.nvmlInit()
        for index in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            now, most = nvml.nvmlDeviceGetPowerUsage(handle), nvml.nvmlDeviceGetEnforcedPowerLimit(handle)
            found.append(Power(now / 1000, max(now, most) / 1000))
    except nvml.NVMLError:
        return []
    return found


def hold_torch_to_lease() -> None:
    """Keep this payload's torch within its lease, so that it fails by itself rather than make others fail. Needs torch."""
    leased = os.environ.get(LEASED)
    if leased is None:
        return
    import torch

    for number in range(torch.cuda.device_count()):
        total = torch.cuda.get_device_properties(number).total_memory
        fraction = max(int(leased) - _CONTEXT_MIB, _CONTEXT_MIB) * _MIB / total
        torch.cuda.set_per_process_memory_fraction(min(fraction, 1.0), number)


def binding() -> str | None:
    """Return the file of the NVML binding, if there is one."""
    if named := os.environ.get(BINDING):
        return named
    found = importlib.util.find_spec("pynvml")
    return found.origin if found else None


def _device(nvml: ModuleType, index: int) -> Device | None:
    """Read one device; None where it has fallen off its bus."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        held = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        uuid, name = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
    except nvml.NVMLError as error:
        if error.value in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_NOT_FOUND):
            return None
        raise
    return Device(
        uuid=_text(uuid), number=index, name=_text(name), total=memory.total // _MIB, used=-(-memory.used // _MIB),
        load=_load(nvml, handle), held=tuple(Held(item.pid, -(-(item.usedGpuMemory or 0) // _MIB)) for item in held),
    )  # fmt: skip


def _load(nvml: ModuleType, handle: object) -> int | None:
    try:
        return int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    except nvml.NVMLError:
        return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


@functools.cache
def _nvml() -> ModuleType | None:
    file = binding()
    if file is None:
        return None
    # A name of its own: the binding looks itself up in sys.modules while it is imported, and another may be there.
    spec = importlib.util.spec_from_file_location(_MODULE, file)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    try:
        spec.loader.exec_module(module)
    except OSError:
        return None
    return module
