"""What a tick costs with a thousand jobs alive, all of which it has to look after."""

import os
import subprocess
import sys
import time

from listing import fill
from measure import Entry, high
from surroundings import scratch

_HOLD = """
import resource, sys
from pathlib import Path
from snapml_lab.store.files import try_lock
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, most) if most > 0 else 8192, most))
held = [try_lock(Path(line.strip())) for line in sys.stdin]
assert None not in held
print("held", flush=True)
import time; time.sleep(600)
"""


def tick_live(repeats: int = 60, live: int = 1000) -> Entry:
    """Time a tick with ``live`` running jobs, whose locks one process holds in place of a thousand shims."""
    from snapml_lab.jobs import processes
    from snapml_lab.jobs.folder import JobFolder
    from snapml_lab.jobs.tick import tick

    with scratch() as ws:
        known = {"shim_pid": os.getpid(), "shim_start": processes.start_ticks(os.getpid())}
        folders = [JobFolder(ws.jobs / job) for job in fill(ws, live, "running", **known)]
        for folder in folders:
            folder.path.mkdir()
        locks = "".join(f"{folder.lock}\n" for folder in folders)
        with subprocess.Popen(
            [sys.executable, "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdin is not None
            assert holder.stdout is not None
            try:
                holder.stdin.write(locks)
                holder.stdin.close()
                assert holder.stdout.readline() == "held\n"
                ours = []
                for _ in range(repeats + 1):
                    begun = time.perf_counter()
                    tick(ws)
                    ours.append((time.perf_counter() - begun) * 1000)
                counted = ws.ledger.row("SELECT count(*) AS number FROM jobs WHERE state = 'running'")[
                    "number"
                ]
                assert counted == live, counted
            finally:
                holder.kill()
        with ws.ledger.write() as connection:
            connection.execute("DELETE FROM jobs")
    ours = ours[1:]
    middle = sorted(ours)[len(ours) // 2]
    return Entry(
        f"A tick with {live:,} live jobs", ours, {}, f"p50 within 50 ms; it is {middle:.1f} ms", middle <= 50,
        "python benchmarks/run.py tick_live",
        notes=(f"p95 {high(ours):.1f} ms. The rivals have nothing like it to time.",),
    )  # fmt: skip
