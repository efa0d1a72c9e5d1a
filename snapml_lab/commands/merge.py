"""The command that merges another workspace into this one."""

import sys
import time

from snapml_lab.commands.core import Call, Surface, command
from snapml_lab.commands.types import FilePath
from snapml_lab.flows import merge as flow
from snapml_lab.flows import merge_files
from snapml_lab.governance.roles import Effect
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

_PAUSE_SECONDS = 1.0
_MOST_LINES = 50
_WORDS = {
    "runs": "runs", "points": "points of metrics", "jobs": "jobs", "models": "model versions", "datasets": "dataset versions",
    "prompts": "prompt versions", "requests": "requests", "promotions": "promotions decided", "aliases": "aliases",
    "declared": "deployments, prices and such", "environments": "environments", "audit rows": "rows of the audit",
}  # fmt: skip


class Came(View):
    """How many of one thing came, and how many were here already."""

    what: str
    came: int
    here: int


class Collision(View):
    """A name or number that is taken here, and what was done."""

    what: str
    done: str


class MergeView(View):
    """What a merge brought, or with ``planned`` would bring. ``size`` is in bytes, of ``files`` that were not here."""

    other: str
    workspace: str
    planned: bool
    came: list[Came]
    files: int
    size: int
    collisions: list[Collision]
    left: list[str]
    aliases: list[str]
    damaged: list[str]

    def text(self) -> str:
        """A table, and a line for each thing that did not simply come."""
        lines = [self._title(), text_table(_header(self.planned), self._rows(), right=frozenset({1, 2}))]
        return "\n".join([*lines, *(f"  {line}" for line in self._notes())])

    def html(self) -> str:
        """A table, and what did not simply come."""
        from html import escape

        notes = "".join(f"<li>{escape(line)}</li>" for line in self._notes())
        return framed(
            f"<h4>{escape(self._title())}</h4>",
            html_table(_header(self.planned), self._rows(), right=frozenset({1, 2})),
            f"<ul>{notes}</ul>" if notes else "",
        )

    def _title(self) -> str:
        return f"{'Would merge' if self.planned else 'Merged'} {self.other} (workspace {self.workspace})"

    def _rows(self) -> list[list[str]]:
        rows = [
            [item.what, f"{item.came:,}", f"{item.here:,}"] for item in self.came if item.came or item.here
        ]
        return [*rows, ["files", f"{self.files:,} ({self.size / 2**20:,.1f} MiB)", ""]]

    def _notes(self) -> list[str]:
        notes = [*self.aliases, *(f"{item.what}: {item.done}" for item in self.collisions)]
        notes += [f"not brought: {line}" for line in self.left]
        notes += [f"damaged there, and left: the file with content {blob[:12]}" for blob in self.damaged]
        more = len(notes) - _MOST_LINES
        return notes if more <= 0 else [*notes[:_MOST_LINES], f"and {more:,} more: --json has them all"]


def _header(planned: bool) -> list[str]:
    return ["", "would come" if planned else "came", "here already"]


# An admin's: it brings in what others are said to have run, decided and approved.
@command("merge", effect=Effect.ADMIN, heavy=True)
def merge(ws: Workspace, other: FilePath, *, plan: bool = False, call: Call) -> MergeView:
    """Merge another workspace into this one by id: runs, models, jobs, datasets, and what was decided there.

    Done again, it brings what is new since; interrupted, doing it again ends it. The other workspace is only read. What is not
    over there (jobs that run or wait, requests that wait) stays there until it is. A model version whose number is taken gets
    the next one; aliases and declarations of ours stay. Roles, policies, budgets, schedules and API keys are never brought.

    Args:
        other: the other project's folder, or its .snapml folder.
        plan: only say what would come.
    """
    done = (flow.plan if plan else flow.merge)(ws, other, _telling(call))
    return MergeView(
        other=str(done.other), workspace=done.workspace, planned=plan,
        came=[Came(what=word, came=done.came.get(key, 0), here=done.here.get(key, 0)) for key, word in _WORDS.items()],
        files=done.files, size=done.size, collisions=[Collision(what=what, done=how) for what, how in done.collided],
        left=done.left, aliases=done.stand, damaged=done.damaged,
    )  # fmt: skip


def _telling(call: Call) -> merge_files.Say:
    """Return what shows progress: one line kept up to date where there is somebody to see it; elsewhere a line now and then."""
    begun = told = time.monotonic()

    def say(done: float, text: str) -> None:
        nonlocal told
        now = time.monotonic()
        if call.surface is Surface.REST or now - begun < _PAUSE_SECONDS or now - told < _PAUSE_SECONDS:
            return
        told = now
        line = f"{100 * done:3.0f}% {text}"
        sys.stderr.write(f"\r\x1b[K{line}" if sys.stderr.isatty() else f"{line}\n")
        sys.stderr.flush()

    return say
