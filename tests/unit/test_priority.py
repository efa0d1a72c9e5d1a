"""The gateway goes before others where its account may, as long as it takes little; what it starts does not."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="each system has ranks of its own")

# Of what is in no group there may be a file, too, with nothing in it: so it is in a machine's first session.
RANK = """
import json, os, subprocess, sys, threading
from pathlib import Path

def rank():
    group = Path("/proc/self/autogroup")
    said = group.read_text().split() if group.exists() else []
    policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    return [policy, os.getpriority(os.PRIO_PROCESS, 0), int(said[-1]) if said else None]
"""
TELL = RANK + "print(json.dumps(rank()))"

RISEN = f"""{RANK}
from snapml_lab.gateway import priority
told = {{}}
def start(name):
    said = subprocess.check_output([sys.executable, "-c", {TELL!r}], start_new_session=True)
    told[name] = json.loads(said)
priority.rise()
told["itself"] = rank()
start("started")
thread = threading.Thread(target=start, args=["started by a thread"])
thread.start()
thread.join()
print(json.dumps(told))
"""

KEPT = """
import asyncio, json, os, time
from snapml_lab.gateway import priority
priority._SECONDS = 0.05
async def seen(most):
    keeping = asyncio.create_task(priority.keep())
    await asyncio.sleep(0)
    spent = time.process_time()
    while time.process_time() - spent < 0.2:
        pass
    found = [os.sched_getscheduler(0)]
    while len(found) < most:
        await asyncio.sleep(0.001)
        if (now := os.sched_getscheduler(0)) != found[-1]:
            found.append(now)
    return found
priority.rise()
print(json.dumps(asyncio.run(seen(3))))
"""


def told(source: str, *, own_session: bool = False) -> Any:
    run = [sys.executable, "-c", source]
    return json.loads(subprocess.check_output(run, timeout=60, start_new_session=own_session))


def raises() -> bool:
    attempt = "import os; os.setpriority(os.PRIO_PROCESS, 0, -10)"
    run = [sys.executable, "-c", attempt]
    return subprocess.run(run, stderr=subprocess.DEVNULL, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("own", [True, False])
def test_it_goes_first_where_the_account_may_and_what_it_starts_does_not(own: bool, real_time: bool) -> None:
    ordinary, apart = told(TELL), told(TELL, own_session=True)
    assert ordinary[0] == os.SCHED_OTHER
    found = told(RISEN, own_session=own)
    policy, nice, group = found.pop("itself")
    assert policy == (os.SCHED_RR if real_time else os.SCHED_OTHER)
    assert nice == (-10 if raises() else ordinary[1])
    if own and apart[2] is not None:
        assert group == (-10 if raises() else apart[2])
    else:
        assert group == ordinary[2]  # nobody else's session is touched
    for started in found.values():
        assert started in (
            apart,
            [os.SCHED_OTHER, 0, apart[2]],
        )  # real time is followed by 0, whatever was before


def test_what_computes_gives_its_place_up_and_gets_it_back(real_time: bool) -> None:
    if not real_time:
        pytest.skip("this account may not have anything scheduled in real time")
    first, then, last = (policy & ~os.SCHED_RESET_ON_FORK for policy in told(KEPT))
    assert (first, then, last) == (os.SCHED_RR, os.SCHED_OTHER, os.SCHED_RR)


def test_where_real_time_is_limited_it_is_not_taken() -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_RTTIME, (10**6, resource.RLIM_INFINITY))"
    policy, _, _ = told(f"{limited}\n{RISEN}")["itself"]
    assert policy == os.SCHED_OTHER
