"""What jobs cost: the hours of processors and GPUs they held, at the user's price.

Services are left out: what an engine costs while it answers is in its requests. A job that was started again counts from
its last start.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from snapml_lab import clock
from snapml_lab.costs.prices import Machine
from snapml_lab.store.ledger import Ledger

GROUPS = {
    "kind": "kind", "name": "name", "notebook": "coalesce(notebook, '(none)')",
    "run": "coalesce((SELECT id FROM runs WHERE runs.job = jobs.id ORDER BY id LIMIT 1), '(none)')",
}  # fmt: skip
"""What jobs can be added up by, and the column it is."""
_HOUR = 3600.0
_DAY = 86_400.0


@dataclass(frozen=True)
class Spent:
    """What jobs of one group held: CPU hours and GPU hours; pico-dollars, None where there is no price."""

    group: str
    jobs: int
    cpu_hours: float
    gpu_hours: float
    pico: int | None


def totals(ledger: Ledger, machine: Machine, group: str, *, since: float = 0.0) -> list[Spent]:
    """Add up what jobs held since a moment by one of :data:`GROUPS`, dearest first."""
    now = clock.now()
    rows = ledger.rows(
        f"SELECT {GROUPS[group]} AS grouped, cpus, gpus, started_at, coalesce(ended_at, ?) AS ended FROM jobs"
        " WHERE started_at IS NOT NULL AND service = 0 AND coalesce(ended_at, ?) > ?",
        now, now, since,
    )  # fmt: skip
    found: dict[str, Spent] = {}
    for name, cpus, gpus, started, ended in rows:
        hours = max(ended - max(started, since), 0.0) / _HOUR
        before = found.get(str(name), Spent(str(name), 0, 0.0, 0.0, 0))
        cost = machine.work(cpus * hours, gpus * hours, hours)
        found[str(name)] = replace(
            before, jobs=before.jobs + 1, cpu_hours=before.cpu_hours + cpus * hours,
            gpu_hours=before.gpu_hours + gpus * hours,
            pico=None if cost is None or before.pico is None else before.pico + cost,
        )  # fmt: skip
    return sorted(found.values(), key=lambda spent: (-(spent.pico or 0), -spent.cpu_hours, spent.group))


def by_day(ledger: Ledger, machine: Machine, *, since: float) -> dict[str, int]:
    """Return what jobs are known to have cost, in pico-dollars, by day (UTC); a job is shared among its days."""
    now = clock.now()
    rows = ledger.rows(
        "SELECT cpus, gpus, started_at, coalesce(ended_at, ?) FROM jobs"
        " WHERE started_at IS NOT NULL AND service = 0 AND coalesce(ended_at, ?) > ?",
        now, now, since,
    )  # fmt: skip
    found: dict[str, int] = {}
    for cpus, gpus, started, ended in rows:
        for day, hours in _days(max(started, since), ended):
            cost = machine.work(cpus * hours, gpus * hours, hours)
            if cost is not None:
                found[day] = found.get(day, 0) + cost
    return found


def _days(start: float, end: float) -> Iterator[tuple[str, float]]:
    """Cut a stretch of time at midnights: each day and the hours in it."""
    while start < end:
        midnight = (start // _DAY + 1) * _DAY
        yield clock.iso(start)[:10], (min(end, midnight) - start) / _HOUR
        start = midnight
