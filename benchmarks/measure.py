"""Measuring side by side: interleaved runs, medians, and the spread of their ratio."""

import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One line of the results.

    Attributes:
        name: what is claimed.
        ours: our samples, in ``unit``.
        rivals: each rival's samples by its name, taken in turns with ours.
        goal: the goal in words.
        met: whether it was met.
        command: how to measure this alone.
        unit: of all samples.
        notes: what has to be said beside the figures.
    """

    name: str
    ours: list[float]
    rivals: dict[str, list[float]]
    goal: str
    met: bool
    command: str
    unit: str = "ms"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcomes:
    """What happened, in words: a table of its own below the figures.

    Attributes:
        name: its heading.
        header: the columns' names.
        rows: their cells.
        goal: the goal in words.
        met: whether it was met.
        command: how to see this alone.
        notes: what has to be said beside the table.
    """

    name: str
    header: list[str]
    rows: list[list[str]]
    goal: str
    met: bool
    command: str
    notes: tuple[str, ...] = ()


def interleaved(takes: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Take each sample ``repeats`` times in turns, the order drawn each time, after one of each that is not counted."""
    for take in takes.values():
        take()
    chance = random.Random(0)
    samples: dict[str, list[float]] = {name: [] for name in takes}
    for _ in range(repeats):
        for name in chance.sample(list(takes), len(takes)):
            samples[name].append(takes[name]())
    return samples


def process_ms(source: str) -> float:
    """Return the wall time (ms) of a fresh interpreter running ``source``."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", source], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1000


def ratio(ours: Sequence[float], rival: Sequence[float]) -> tuple[float, float, float]:
    """Return the ratio of medians (ours over rival) with its 95% bootstrap interval."""
    chance = random.Random(0)
    drawn = sorted(
        statistics.median(chance.choices(ours, k=len(ours)))
        / statistics.median(chance.choices(rival, k=len(rival)))
        for _ in range(2000)
    )
    return statistics.median(ours) / statistics.median(rival), drawn[50], drawn[1949]


def spread(samples: Sequence[float]) -> str:
    """Write a median with its quartiles; a single sample as it is."""
    if len(samples) == 1:
        return f"{samples[0]:.{_digits(samples[0])}f}"
    low, middle, high = statistics.quantiles(samples, n=4)
    digits = _digits(middle)
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _digits(value: float) -> int:
    return 1 if abs(value) >= 5 else 2


def high(samples: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(samples, n=20)[18]


def machine() -> str:
    """Say what this ran on."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    return f"{platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} cores ({model}), Python {platform.python_version()}"


def versions(*names: str) -> str:
    """Say which versions of distributions were measured."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)
