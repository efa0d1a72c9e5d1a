"""The gateway goes before trainings on a busy machine, where its account may; what it starts does not.

On Linux a priority is a thread's own (setpriority(2), "C library/kernel differences"), and threads and processes have that of
the thread that started them. Where processes of a session are scheduled as a group, it counts within the group alone, and the
group has one of its own (sched(7), "The autogroup feature"); a new session has a new group, with none.
"""

import contextlib
import os
from pathlib import Path

_RAISED = -10

_ordinary = os.getpriority(os.PRIO_PROCESS, 0)


def rise() -> None:
    """Have this thread go first: a gateway waits for engines most of the time, and should not wait for trainings, too."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _RAISED)
    if os.getsid(0) == os.getpid():  # nobody else's session
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(_RAISED))


def fall() -> None:
    """Have this thread be as the process was, for what it starts are jobs."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _ordinary)
