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


# Of the first session of a machine and what it starts there is a file, too, with nothing in it: it is in no group.
TOLD = "from pathlib import Path; print((Path('/proc/self/autogroup').read_text().split() or ['none'])[-1])"

GROUP = f"""
import os, subprocess, sys
from snapml_lab.gateway import priority
priority.rise()
print(os.getpriority(os.PRIO_PROCESS, 0))
{TOLD}
print(subprocess.check_output([sys.executable, "-c", {TOLD!r}], start_new_session=True, text=True))
"""


def group(*, new_session: bool) -> str:
    told = [sys.executable, "-c", TOLD]
    return subprocess.check_output(told, start_new_session=new_session, text=True, timeout=60).strip()


@pytest.mark.parametrize("own", [True, False])
def test_the_group_of_its_own_session_goes_first_and_that_of_what_it_starts_does_not(own: bool) -> None:
    if not Path("/proc/self/autogroup").exists() or group(new_session=True) == "none":
        pytest.skip("sessions are not scheduled as groups")
    before = group(new_session=False)
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
