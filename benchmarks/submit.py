"""From submitting a job to its payload running: beside the interpreter alone, Ray Jobs, and jupyter-scheduler."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import Entry, interleaved
from rivals import RAY, SCHEDULER, Ray, Scheduler
from surroundings import one_cell, scratch, wait_until

_TELL = "import sys, time; open(sys.argv[1], 'w').write(repr(time.time()))"
_ALONE = "subprocess alone, no queue, no log, no record"


def submit_to_payload(repeats: int = 30) -> Entry:
    """Time to the payload's first line, beside the same interpreter started with subprocess."""
    with scratch() as ws:
        told = ws.project / "told"

        def alone() -> float:
            begun = time.time()
            subprocess.run([sys.executable, "-c", _TELL, str(told)], check=True)
            return (float(told.read_text()) - begun) * 1000

        samples = interleaved({"ours": _ours(ws), _ALONE: alone}, repeats)
    ours = samples.pop("ours")
    over = statistics.median(ours) - statistics.median(samples[_ALONE])
    return Entry(
        "Job: submit to the payload's first line", ours, samples,
        f"p50 within 150 ms over the interpreter's own start; it is {over:+.1f} ms", over <= 150,
        "python benchmarks/run.py submit_to_payload",
    )  # fmt: skip


def submit_beside_ray(repeats: int = 15) -> Entry:
    """Time to the payload's first line, beside the same payload submitted to a running Ray head."""
    with scratch() as ws, Ray() as ray:
        told = ws.project / "told"

        def rival() -> float:
            begun = float(ray.run([sys.executable, "-c", _TELL, str(told)])["begun"])
            return (float(told.read_text()) - begun) * 1000

        samples = interleaved({"ours": _ours(ws), RAY: rival}, repeats)
    return _faster(
        "The same beside a running Ray head", samples, RAY, "submit_beside_ray",
        "Ray's head was started before and is not timed; its client is used as its documentation has it.",
    )  # fmt: skip


def submit_notebook(repeats: int = 8) -> Entry:
    """Time to the only cell of a notebook running, beside jupyter-scheduler, whose jobs are always notebooks."""
    with scratch() as ws, tempfile.TemporaryDirectory() as folder, Scheduler(Path(folder)) as scheduler:
        theirs = one_cell(Path(folder) / "theirs.ipynb", _cell(Path(folder) / "told"))
        mine = one_cell(ws.project / "ours.ipynb", _cell(ws.project / "told"))

        def ours() -> float:
            begun = time.time()
            run_notebooks(ws, mine, 1)
            return (float((ws.project / "told").read_text()) - begun) * 1000

        def rival() -> float:
            begun = time.time()
            job = scheduler.submit(theirs)
            wait_until(lambda: scheduler.job(job)["status"] == "COMPLETED", "a notebook's end", pause=0.1)
            return (float((Path(folder) / "told").read_text()) - begun) * 1000

        samples = interleaved({"ours": ours, SCHEDULER: rival}, repeats)
    return _faster(
        "A notebook of one cell: submit to its cell running", samples, SCHEDULER, "submit_notebook",
        "Both start a process that imports the runner (ours papermill, theirs nbconvert) and then a kernel; ours is submitted in-process, theirs through its REST.",
    )  # fmt: skip


def run_notebooks(ws: Any, notebook: Path, number: int) -> tuple[float, float]:
    """Run a notebook as jobs of ours, as many at once as fit; return when that began and when the last ended."""
    from snapml_lab.jobs import queue
    from snapml_lab.jobs.model import State, Work
    from snapml_lab.tracking.record import Origin

    argv = queue.python("snapml_lab.flows.notebook:run")
    begun, jobs = time.time(), []
    for index in range(number):
        out = ws.project / f"out-{index}"
        spec = {
            "source": str(notebook), "output": str(out.with_suffix(".ipynb")), "html": str(out.with_suffix(".html")),
            "parameters": {},
        }  # fmt: skip
        work = Work("notebook", notebook.stem, argv, spec)
        jobs.append(queue.submit(ws, work, actor="bench", origin=Origin()))
    ended = [queue.wait(ws, job, timeout=300) for job in jobs]
    assert all(job.state is State.SUCCEEDED for job in ended), [job.error_message for job in ended]
    return begun, max(job.ended_at or 0.0 for job in ended)


def _ours(ws: Any) -> Callable[[], float]:
    from snapml_lab.jobs import queue
    from snapml_lab.jobs.model import Work
    from snapml_lab.tracking.record import Origin

    told = ws.project / "told"

    def take() -> float:
        begun = time.time()
        work = Work("command", "bench", [sys.executable, "-c", _TELL, str(told)])
        job = queue.submit(ws, work, actor="bench", origin=Origin())
        queue.wait(ws, job, timeout=60)
        return (float(told.read_text()) - begun) * 1000

    return take


def _cell(told: Path) -> str:
    return f"import time\nopen({str(told)!r}, 'w').write(repr(time.time()))"


def _faster(name: str, samples: dict[str, list[float]], rival: str, function: str, note: str) -> Entry:
    ours = samples.pop("ours")
    met = statistics.median(ours) < statistics.median(samples[rival])
    return Entry(
        name,
        ours,
        samples,
        "sooner than the rival",
        met,
        f"python benchmarks/run.py {function}",
        notes=(note,),
    )
