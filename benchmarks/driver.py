"""How a tracker is driven in an interpreter of its own: a request a line in, an answer a line out. Standard library only.

A driver is a script that hands :func:`serve` its verbs. What its library prints goes to the standard error.
"""

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

_ANSWERS = os.dup(1)
os.dup2(2, 1)  # what is printed from here on goes to the standard error


def serve(verbs: dict[str, Callable[..., Any]]) -> None:
    """Answer until the input ends: ``[verb, arguments]`` with ``{"answer": …}`` or ``{"error": …}``."""
    answers = os.fdopen(_ANSWERS, "w", buffering=1)
    for line in sys.stdin:
        verb, arguments = json.loads(line)
        try:
            told = {"answer": verbs[verb](**arguments)}
        except Exception as error:
            told = {"error": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps(told), file=answers)


def each_us(act: Callable[[int], object], number: int, start: int = 0) -> list[float]:
    """Return how long each of ``number`` calls took, in microseconds."""
    taken = []
    for step in range(start, start + number):
        begun = time.perf_counter_ns()
        act(step)
        taken.append((time.perf_counter_ns() - begun) / 1000)
    return taken


def acknowledge(act: Callable[[int], object]) -> None:
    """Log until killed; after each call that returned, how many did so far is written, a line of 8 bytes in one ``write``."""
    step = 0
    while True:
        act(step)
        step += 1
        os.write(_ANSWERS, b"%7d\n" % step)


def timed_ms(act: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long a call took in milliseconds, and what it returned."""
    begun = time.perf_counter()
    found = act()
    return (time.perf_counter() - begun) * 1000, found


MODELS = ("forest", "boosting", "linear", "net", "svm")


def past_runs(number: int) -> Iterator[tuple[str, dict[str, object], dict[str, float]]]:
    """Make runs up, the same for every tracker: a name, parameters, and metrics of which ``loss`` falls as ``auc`` rises."""
    chance = random.Random(0)
    for index in range(number):
        auc = chance.random()
        params: dict[str, object] = {
            "lr": 10 ** chance.uniform(-5, -1), "model": chance.choice(MODELS), "depth": chance.randrange(2, 12),
            "seed": index,
        }  # fmt: skip
        metrics = {"auc": auc, "loss": 1 - auc + 0.05 * chance.random(), "seconds": chance.expovariate(0.01)}
        yield f"run-{index}", params, metrics


def past_curve(number: int) -> Iterator[tuple[int, float]]:
    """Make a curve up: steps and a loss that falls with noise."""
    chance = random.Random(0)
    for step in range(number):
        yield step, 1 / (1 + step / 1000) + 0.1 * chance.random()
