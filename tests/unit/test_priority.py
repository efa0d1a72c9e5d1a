"""What the gateway starts does not go before others, though the gateway does."""

import subprocess
import sys
from pathlib import Path

import pytest

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


GROUP = """
import os, subprocess, sys
from pathlib import Path
from snapml_lab.gateway import priority
priority.rise()
print(os.getpriority(os.PRIO_PROCESS, 0))
told = "import pathlib; print(pathlib.Path('/proc/self/autogroup').read_text().split()[-1])"
print(Path("/proc/self/autogroup").read_text().split()[-1])
print(subprocess.check_output([sys.executable, "-c", told], start_new_session=True, text=True))
"""


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="sessions are not scheduled as groups")
@pytest.mark.parametrize("own", [True, False])
def test_the_group_of_its_own_session_goes_first_and_that_of_what_it_starts_does_not(own: bool) -> None:
    before = Path("/proc/self/autogroup").read_text().split()[-1]
    done = subprocess.run(
        [sys.executable, "-c", GROUP],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        start_new_session=own,
    )
    thread, raised, started = done.stdout.split()
    assert started == "0"
    assert raised == (thread if own else before)  # both, or neither where the account may not
