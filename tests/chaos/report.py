"""The table of what cycles found, for a terminal and for the page."""

import os
import platform
from collections import Counter
from typing import NamedTuple

from .cycle import MOMENTS, Outcome
from .faults import FAULTS
from .places import REPOSITORY
from .promises import PROMISES

PAGE = REPOSITORY / "docs" / "reliability.md"

_COLUMNS = ("lost", "twice", "false success", "exit code")
_HEADER = ("fault", "cycles", "struck", "jobs", *_COLUMNS, "survivors cgroup", "survivors without", "other")


class Summary(NamedTuple):
    """What a run found."""

    outcomes: list[Outcome]
    seed: int
    seconds: float
    workers: int
    left_out: list[str]

    def rows(self) -> list[tuple[str, ...]]:
        """The cells of the table, a line a kind and one for all."""
        kinds = [kind for kind in FAULTS if any(outcome.kind == kind for outcome in self.outcomes)]
        rows = [_row(kind, [outcome for outcome in self.outcomes if outcome.kind == kind]) for kind in kinds]
        return [*rows, _row("all", self.outcomes)]

    def text(self) -> str:
        """The table for a terminal."""
        rows = [_HEADER, *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
        lines = [
            "  ".join(
                cell.ljust(width) if not index else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        return "\n".join([*lines, *self._notes()])

    def page(self) -> str:
        """The page ``docs/reliability.md``."""
        rows = self.rows()
        head = ["| " + " | ".join(_HEADER) + " |", "|---|" + "---:|" * (len(_HEADER) - 1)]
        table = [*head, *("| " + " | ".join(row) + " |" for row in rows)]
        promises = [f"- **{name}**: {sentence}." for name, sentence in PROMISES.items()]
        return _PAGE.format(
            table="\n".join(table),
            promises="\n".join(promises),
            notes="\n".join(self._notes()),
            machine=f"{platform.system()} {platform.release()}, {os.cpu_count()} processors, Python {platform.python_version()}",
            command=f"make chaos CHAOS='--cycles {len(self.outcomes)} --seed {self.seed} --workers {self.workers} --write'",
        )

    def _notes(self) -> list[str]:
        jobs: Counter[str] = sum((outcome.jobs for outcome in self.outcomes), Counter())
        survivors: Counter[str] = sum((outcome.survivors for outcome in self.outcomes), Counter())
        held = ", ".join(f"{jobs[name]} {name} ({survivors[name]} survivors)" for name in sorted(jobs))
        accounts = Counter(outcome.account for outcome in self.outcomes)
        people = ", ".join(f"{name} {number}" for name, number in sorted(accounts.items()))
        took = f"{self.seconds / 60:.1f} min, {self.workers} at a time, seed {self.seed}"
        lines = [
            f"{len(self.outcomes)} cycles in {took}; as {people or 'nobody'}.",
            f"Jobs by containment: {held or 'none'}.",
        ]
        met: Counter[str] = sum((outcome.moments for outcome in self.outcomes), Counter())
        lines.append(
            "Faults by the moment they met: " + ", ".join(f"{name} {met[name]}" for name in MOMENTS) + "."
        )
        if self.left_out:
            lines.append(f"Not possible for this account: {', '.join(self.left_out)}.")
        return lines


def _row(name: str, outcomes: list[Outcome]) -> tuple[str, ...]:
    broken = Counter(breach.promise for outcome in outcomes for breach in outcome.breaches)
    survivors: Counter[str] = sum((outcome.survivors for outcome in outcomes), Counter())
    other = sum(broken.values()) - sum(broken[column] for column in _COLUMNS) - broken["survivor"]
    numbers = (
        len(outcomes), sum(bool(outcome.struck) for outcome in outcomes), sum(outcome.jobs.total() for outcome in outcomes),
        *(broken[column] for column in _COLUMNS), survivors["cgroup"], survivors.total() - survivors["cgroup"], other,
    )  # fmt: skip
    return (name, *map(str, numbers))


_PAGE = """# Reliability

What is left when things are killed, stopped, filled up and moved about, as counted by the chaos suite. This page is made
by the command below; do not edit it.

    {command}

Each cycle is a workspace of its own, one to four jobs, and one fault at a moment that is drawn: when the job's folder is
there, its row, its lock, its exit record's space, its log, its payload's first word, the state `running`, a cancel, the
exit record before the ledger knows of it. Then whatever was stopped or filled is let go, somebody moves the queue until all jobs have
ended (30 s at most), and the promises are held against evidence from outside of the product: a file in which each
payload says that it began and that it came to its end, the processes that carry its mark in their command line, and the
ledger read as plain SQLite.

## The promises

{promises}

## The table

Columns count broken promises; *struck* are the cycles in which the fault met what it was meant for; *other* are the
promises without a column. Survivors without a cgroup are counted apart, and are no broken promise: where no cgroup can be made, a process that
sheds its environment and its session cannot be told from any other once its shim is dead.

{table}

{notes}

Measured on {machine}. A cycle that breaks a promise prints its name; `make chaos CHAOS='--replay KIND:SEED'` plays it again.
"""
