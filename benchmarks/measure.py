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
        rival: the rival's samples, taken in turns with ours.
        rival_name: what the rival is.
        goal: the goal in words.
        met: whether it was met.
        command: how to measure this alone.
    """

    name: str
    ours: list[float]
    rival: list[float]
    rival_name: str
    goal: str
    met: bool
    command: str
    unit: str = "ms"


def interleaved(
    ours: Callable[[], float], rival: Callable[[], float], repeats: int
) -> tuple[list[float], list[float]]:
    """Take both samples ``repeats`` times in turns, the order drawn each time, after one run of each that is not counted."""
    ours(), rival()
    chance = random.Random(0)
    samples: dict[str, list[float]] = {"ours": [], "rival": []}
    for _ in range(repeats):
        turns = [("ours", ours), ("rival", rival)]
        chance.shuffle(turns)
        for name, take in turns:
            samples[name].append(take())
    return samples["ours"], samples["rival"]


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
    """Write a median with its quartiles."""
    low, middle, high = statistics.quantiles(samples, n=4)
    return f"{middle:.1f} [{low:.1f}, {high:.1f}]"


def machine() -> str:
    """Say what this ran on."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    return f"{platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} cores ({model}), Python {platform.python_version()}"


def versions(*names: str) -> str:
    """Say which versions of distributions were measured."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)
