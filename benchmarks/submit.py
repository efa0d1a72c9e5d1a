"""From submitting a job to its payload running, beside starting the same interpreter with subprocess alone."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import Entry, interleaved

_PAYLOAD = "import time; print(time.time(), flush=True)"


def submit_to_payload(repeats: int = 30) -> Entry:
    """Time both to the first line the payload prints."""
    from snapml_lab.jobs import queue
    from snapml_lab.jobs.folder import JobFolder
    from snapml_lab.jobs.model import Work
    from snapml_lab.tracking.record import Origin
    from snapml_lab.workspace import Workspace

    with tempfile.TemporaryDirectory() as folder:
        ws = Workspace(Path(folder) / ".snapml")

        def ours() -> float:
            begun = time.time()
            work = Work("command", "bench", [sys.executable, "-c", _PAYLOAD])
            job = queue.submit(ws, work, actor="bench", origin=Origin())
            queue.wait(ws, job, timeout=60)
            return (float(JobFolder(ws.jobs / job.id).stdout.read_text()) - begun) * 1000

        def rival() -> float:
            begun = time.time()
            done = subprocess.run(
                [sys.executable, "-c", _PAYLOAD], capture_output=True, text=True, check=True
            )
            return (float(done.stdout) - begun) * 1000

        samples = interleaved(ours, rival, repeats)
    over = statistics.median(samples[0]) - statistics.median(samples[1])
    return Entry(
        "Job: submit to the payload's first line", *samples, "subprocess alone, no queue, no log, no record",
        f"p50 within 150 ms over the interpreter's own start; it is {over:+.1f} ms", over <= 150,
        "python benchmarks/run.py submit_to_payload",
    )  # fmt: skip
