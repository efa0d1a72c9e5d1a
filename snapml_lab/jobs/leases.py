"""Admission: which queued jobs fit beside the live ones. Pure; processors only for now, GPUs take the same door."""

import os
from collections.abc import Iterable
from typing import NamedTuple


class Request(NamedTuple):
    """A queued job's claim."""

    job: str
    cpus: float


class Decision(NamedTuple):
    """What a tick does with a queued job: start it (``waiting_for`` None), or say what it waits for."""

    job: str
    waiting_for: str | None


def capacity() -> float:
    """Return the processors this process may use."""
    return float(len(os.sched_getaffinity(0)))


def admit(queued: Iterable[Request], held: float, available: float) -> list[Decision]:
    """Decide in queue order; nobody overtakes, so that a large job is not starved by small ones.

    Args:
        queued: claims, first come first.
        held: processors leased to live jobs.
        available: processors in all. A claim larger than that is taken as all of them.
    """
    decisions: list[Decision] = []
    blocked = False
    for request in queued:
        need = min(request.cpus, available)
        if need and (blocked or held + need > available + 1e-9):
            blocked = True
            free = max(available - held, 0)
            decisions.append(Decision(request.job, f"{need:g} of {available:g} CPUs ({free:g} free)"))
        else:
            held += need
            decisions.append(Decision(request.job, None))
    return decisions
