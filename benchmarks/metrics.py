"""Logging metrics: one at a time, from eight processes at once, and what a killed process takes with it."""

import contextlib
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from measure import Entry, Outcomes, high, interleaved
from rivals import MLFLOW, OURS, TRACKIO, Driver
from surroundings import wait_until

_UNSYNCED = "the same, SQLite's sync switched off"
_BATCHES = "the same, `log_batch` of 500"
_WRITERS = 8


def log_metric(repeats: int = 12, ours: int = 2000, theirs: int = 40) -> Entry:
    """Time one metric at a time, each a call; in turns, many calls a turn, for theirs take so long."""
    with _drivers(OURS, MLFLOW, TRACKIO) as drivers, _drivers(MLFLOW) as others:
        others[MLFLOW].ask("unsynced")
        known = {**drivers, _UNSYNCED: others[MLFLOW]}
        every: list[float] = []
        steps = dict.fromkeys(known, 0)
        for driver in known.values():
            driver.ask("open", name="one")

        def take(name: str) -> float:
            number = ours if name in (OURS, TRACKIO) else theirs
            found = known[name].ask("log", name="one", number=number, start=steps[name])
            steps[name] += number
            if name == OURS:
                every.extend(found)
            return statistics.median(found)

        samples = interleaved({name: partial(take, name) for name in known}, repeats)
    mine = samples.pop(OURS)
    middle, times = statistics.median(mine), statistics.median(samples[MLFLOW]) / statistics.median(mine)
    return Entry(
        "`log` of one metric", mine, samples, f"under 50 µs and 100× MLflow; it is {middle:.1f} µs and {times:.0f}×",
        middle < 50 and times >= 100, "python benchmarks/run.py log_metric", "µs",
        notes=(
            f"each sample is the median of {ours:,} calls of ours and trackio's, of {theirs} of MLflow's. Of single calls of ours, 95 % took at most {high(every):.0f} µs, the longest {max(every) / 1000:.1f} ms.",
            "ours is with the operating system when `log` returns (one `write`), which a killed process does not undo; MLflow's commit is on the disk, too, and outlives a power failure: the line below it, without SQLite's sync, promises what ours does. trackio's is in the process's memory: see the table of what a kill takes.",
        ),
    )  # fmt: skip


def log_killed(repeats: int = 5, seconds: float = 2.3) -> Outcomes:
    """Kill -9 a process that logs as fast as it can; count what it was told was logged and is not there."""
    rows, missing = [], 0
    for name in (OURS, MLFLOW, TRACKIO):
        acknowledged, lost = 0, []
        with _drivers(name) as drivers:
            driver = drivers[name]
            for index in range(repeats):
                run = f"killed-{index}"
                process = driver.started("acknowledge", run)
                assert process.stdout is not None
                told = os.read(process.stdout.fileno(), 8)
                until = time.monotonic() + seconds + 0.13 * index
                # The pipe is emptied as it fills, for a writer that waits for us would not log.
                while time.monotonic() < until:
                    told = os.read(process.stdout.fileno(), 1 << 16) or told
                os.kill(process.pid, signal.SIGKILL)
                while more := os.read(process.stdout.fileno(), 1 << 16):
                    told = more
                process.communicate()
                number = int(told[-8:])
                acknowledged += number
                lost.append(max(0, number - int(driver.ask("count", names=[run]))))
        if name == OURS:
            missing = sum(lost)
        worst = f", up to {max(lost):,} of one process" if sum(lost) else ""
        rows.append([name, f"{repeats}", f"{acknowledged:,}", f"{sum(lost):,}{worst}"])
    return Outcomes(
        "Metrics lost when a logging process is killed", ["", "`kill -9`", "acknowledged", "of these lost"], rows,
        "of ours, none", missing == 0, "python benchmarks/run.py log_killed",
        notes=("acknowledged: the call that logs had returned, and the process had said so through a pipe.",),
    )  # fmt: skip


def eight_writers(repeats: int = 3, ours: int = 100_000, theirs: int = 800, batched: int = 40_000) -> Entry:
    """Log from eight processes at once, each a run of its own, until a reader has counted every point."""
    lost: dict[str, int] = {}
    taken = {OURS: ours, MLFLOW: theirs, _BATCHES: batched, TRACKIO: ours}
    rounds = dict.fromkeys(taken, 0)
    with contextlib.ExitStack() as stack:
        known = {OURS: stack.enter_context(_writers(OURS)), MLFLOW: stack.enter_context(_writers(MLFLOW))}
        known |= {_BATCHES: known[MLFLOW], TRACKIO: stack.enter_context(_writers(TRACKIO))}

        def take(name: str) -> float:
            reader, writers = known[name]
            each = taken[name] // _WRITERS
            rounds[name] += 1
            runs = [f"{'b' if name == _BATCHES else 'w'}-{rounds[name]}-{i}" for i in range(_WRITERS)]
            for writer, run in zip(writers, runs, strict=True):
                writer.ask("open", name=run)
            more = {"at_once": 500} if name == _BATCHES else {}
            for writer, run in zip(writers, runs, strict=True):
                writer.begin("log_all", name=run, number=each, **more)
            begun = min(writer.answer()[0] for writer in writers)
            found = 0

            def all_there() -> bool:
                nonlocal found
                found = reader.ask("count", names=runs)
                return found >= each * _WRITERS

            with contextlib.suppress(TimeoutError):
                wait_until(all_there, f"{name}: all metrics", 20)
            ended = time.time()
            lost[name] = lost.get(name, 0) + each * _WRITERS - found
            return (ended - begun) / (each * _WRITERS) * 1e6

        samples = interleaved({name: partial(take, name) for name in taken}, repeats)
        listed = known[OURS][0].ask("listed", names=[f"w-{rounds[OURS]}-{i}" for i in range(_WRITERS)])
    mine = samples.pop(OURS)
    times = statistics.median(samples[MLFLOW]) / statistics.median(mine)
    gone = lost[OURS] + abs(ours // _WRITERS * _WRITERS - listed)
    losses = ", ".join(f"{name} {number:,}" for name, number in lost.items())
    return Entry(
        f"{ours:,} metrics from {_WRITERS} processes, until all are read, per metric", mine, samples,
        f"50× MLflow, none lost; it is {times:.0f}×, {gone} lost", times >= 50 and gone == 0,
        "python benchmarks/run.py eight_writers", "µs",
        notes=(
            f"ours and trackio {ours:,} a round, MLflow only {theirs:,} (and {batched:,} where a call holds 500), for they take so long; {rounds[OURS]} rounds, the first not timed. Not found within 20 s of the last writer's end, all rounds together: {losses}.",
        ),
    )  # fmt: skip


def run_costs(repeats: int = 12, number: int = 100_000) -> Outcomes:
    """Measure what a run costs that logs once, and what metrics take on the disk."""
    with _drivers(OURS, MLFLOW, TRACKIO) as drivers:
        samples = interleaved(
            {name: lambda driver=driver: float(driver.ask("run_cost")) for name, driver in drivers.items()}, repeats
        )  # fmt: skip
    rows = []
    for name in (OURS, MLFLOW, TRACKIO):
        some = number if name != MLFLOW else min(number, 2000)
        with _drivers(name) as one:
            one[name].ask("open", name="first")
            one[name].ask("log_all", name="first", number=some // 10)
            wait_until(lambda: one[name].ask("count", names=["first"]) == some // 10, "the first metrics", 60)  # noqa: B023
            before = one[name].ask("size")
            one[name].ask("open", name="more")
            one[name].ask("log_all", name="more", number=some)
            wait_until(lambda: one[name].ask("count", names=["more"]) == some, "the metrics", 60)  # noqa: B023
            after = one[name].ask("size")
        rows.append([
            name, f"{statistics.median(samples[name]):.1f} ms", f"{(after - before) / some:.0f} bytes",
        ])  # fmt: skip
    costs = {name: statistics.median(found) for name, found in samples.items()}
    return Outcomes(
        "What a run and a metric cost", ["", "a run begun, one metric, ended", "a metric on the disk"], rows,
        "no more than MLflow's", costs[OURS] <= costs[MLFLOW], "python benchmarks/run.py run_costs",
        notes=("all files of each are counted: of ours the ledger, its log (WAL), and the lines as they were written.",),
    )  # fmt: skip


@contextlib.contextmanager
def _drivers(*names: str) -> Iterator[dict[str, Driver]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        yield {name: stack.enter_context(Driver(name, folder)) for name in names}


@contextlib.contextmanager
def _writers(name: str) -> Iterator[tuple[Driver, list[Driver]]]:
    """Give a reader, and eight writers beside it on the same folder."""
    with _drivers(name) as drivers, drivers[name].others(_WRITERS) as writers:
        yield drivers[name], writers
