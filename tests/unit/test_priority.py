"""What the gateway starts does not go before others, though the gateway does."""

import subprocess
import sys

SOURCE = """
import os, subprocess, sys, threading
from snapml_lab.gateway import priority
before = os.getpriority(os.PRIO_PROCESS, 0)
priority.rise()
raised = os.getpriority(os.PRIO_PROCESS, 0)
told = []
def start():
    priority.fall()
    told.append(int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"])))
thread = threading.Thread(target=start)
thread.start()
thread.join()
print(before, raised, told[0], os.getpriority(os.PRIO_PROCESS, 0))
"""


def test_what_is_started_has_the_priority_that_was_before() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SOURCE], capture_output=True, text=True, timeout=60, check=True
    )
    before, raised, started, after = map(int, done.stdout.split())
    assert started == before
    assert raised == after
    assert raised in (before, -10)  # where the account may not, it stays
