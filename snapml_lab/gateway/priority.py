"""The gateway goes before trainings on a busy machine, where its account may; what it starts does not.

On Linux an account that may has the gateway's threads scheduled in real time: one that waits for engines most of the time then
never waits for trainings, too. What computes in real time keeps all else from a processor, so one that is itself at work gives that
up, and has a raised priority instead. Threads and processes that it starts have neither (sched(7), "The SCHED_RESET_ON_FORK flag").

A priority counts within a group where processes of a session are scheduled as one, and the group has one of its own (sched(7),
"The autogroup feature"); a new session has a new group, with none.
"""

import asyncio
import contextlib
import os
import resource
import sys
import threading
import time
from pathlib import Path

_RAISED = -10
_LITTLE = 0.5
"""Of a processor: below it a gateway is one that waits. A choice, not a measured one."""
_SECONDS = 1.0


def rise() -> None:
    """Have this thread go first."""
    _rank(threading.get_native_id(), waits=True)
    if os.getsid(0) == os.getpid():  # nobody else's session
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(_RAISED))


async def keep() -> None:
    """Have all threads go first while they take little, until cancelled: they share the interpreter's lock, so the last counts."""
    while True:
        began, spent = time.monotonic(), time.process_time()
        await asyncio.sleep(_SECONDS)
        waits = time.process_time() - spent < _LITTLE * (time.monotonic() - began)
        for thread in threading.enumerate():
            if thread.native_id is not None:
                _rank(thread.native_id, waits=waits)


def _rank(thread: int, *, waits: bool) -> None:
    if sys.platform == "linux":
        policy, least = (os.SCHED_RR, 1) if waits and _safe() else (os.SCHED_OTHER, 0)
        with contextlib.suppress(OSError):
            os.sched_setscheduler(thread, policy | os.SCHED_RESET_ON_FORK, os.sched_param(least))
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, _RAISED)


def _safe() -> bool:
    """Say whether a process may be in real time for any length: one over a limit of it is killed (setrlimit(2))."""
    return resource.getrlimit(resource.RLIMIT_RTTIME)[0] == resource.RLIM_INFINITY
