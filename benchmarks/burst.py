"""Many jobs at once, to the last one's end, each queue as it comes: how many run together is its own decision."""

import sys
import tempfile
import time
from pathlib import Path

from measure import Entry
from rivals import RAY, SCHEDULER, Ray, Scheduler
from submit import run_notebooks
from surroundings import one_cell, scratch, wait_until

_NOTHING = [sys.executable, "-c", "pass"]
_MOST_SECONDS, _FEWER_SECONDS = 360.0, 120.0
"""Where the rival would take longer than the one for all, it gets as many as it can do in about the other."""


def tiny_jobs(number: int = 500) -> Entry:
    """Time jobs that do nothing, from the first one's submit to the last one's end, per job."""
    from snapml_lab.jobs import queue
    from snapml_lab.jobs.model import State, Work
    from snapml_lab.tracking.record import Origin

    with scratch() as ws:
        begun = time.time()
        work = Work("command", "tiny", _NOTHING)
        jobs = [queue.submit(ws, work, actor="bench", origin=Origin()) for _ in range(number)]
        submitted = time.time()
        ended = [queue.wait(ws, job, timeout=300) for job in jobs]
        assert all(job.state is State.SUCCEEDED for job in ended), {job.error_message for job in ended}
        ours = max(job.ended_at or 0.0 for job in ended) - begun
    with Ray() as ray:
        each = _ray_seconds(ray, 20) / 20
        theirs = number if each * number < _MOST_SECONDS else max(int(_FEWER_SECONDS / each), 20)
        rival = _ray_seconds(ray, theirs)
    counted = "as many" if theirs == number else f"only {theirs}, for they take so long,"
    return Entry(
        f"{number} tiny jobs, to the last one's end, per job", [ours / number * 1000], {RAY: [rival / theirs * 1000]},
        "sooner than the rival", ours / number < rival / theirs, "python benchmarks/run.py tiny_jobs",
        notes=(
            f"one run: ours {number} in {ours:.1f} s, of which {submitted - begun:.1f} s to submit them, admitted a job a processor; Ray {counted} in {rival:.1f} s, with no limit of its own set. jupyter-scheduler's jobs are notebooks: next line.",
        ),
    )  # fmt: skip


def _ray_seconds(ray: Ray, number: int) -> float:
    answer = ray.run(_NOTHING, number)
    return float(answer["ended"]) - float(answer["begun"])


def notebooks_burst(number: int = 20) -> Entry:
    """Time notebooks of one cell, from the first one's submit to the last one's end."""
    with scratch() as ws:
        begun, ended = run_notebooks(ws, one_cell(ws.project / "ours.ipynb", "1"), number)
        ours = (ended - begun) / number
    with tempfile.TemporaryDirectory() as folder, Scheduler(Path(folder)) as scheduler:
        notebook = one_cell(Path(folder) / "theirs.ipynb", "1")
        begun = time.time()
        jobs = [scheduler.submit(notebook) for _ in range(number)]
        told = [
            wait_until(
                lambda job=job: (found := scheduler.job(job))["end_time"] and found, "a notebook", 300, 0.2
            )
            for job in jobs
        ]
        assert all(job["status"] == "COMPLETED" for job in told), told
        rival = (max(job["end_time"] for job in told) / 1000 - begun) / number
    return Entry(
        f"{number} notebooks of one cell, to the last one's end, per notebook", [ours], {SCHEDULER: [rival]},
        "sooner than the rival", ours < rival, "python benchmarks/run.py notebooks_burst", unit="s",
        notes=("one run; ours admits a job a processor, jupyter-scheduler starts all at once. Ours also renders each as HTML.",),
    )  # fmt: skip
