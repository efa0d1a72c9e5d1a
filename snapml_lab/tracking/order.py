"""Whether what a kernel ran is its notebook from top to bottom. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Ran(NamedTuple):
    """A cell that a kernel ran.

    Attributes:
        cell: its id; None where the front end tells none.
        sha256: of its source.
        counter: the kernel's, when it ran.
        at: seconds since the epoch; None where it ran before SnapML was loaded.
    """

    cell: str | None
    sha256: str
    counter: int
    at: float | None


class Order(NamedTuple):
    """Whether cells ran out of order (None: not known), and in words what."""

    out: bool | None
    why: str | None


def judged(ran: Sequence[Ran], places: Mapping[str, int] | None, saved: float = 0.0) -> Order:
    """Judge what a kernel ran up to a run, oldest first; the last is the run's own cell.

    In order is only what Restart Kernel and Run All would do, too: each cell ran once, from top to bottom. Out of order
    is a cell that ran twice, edited between or not; one that ran after another that stands below it; one that is no longer
    in the notebook; and code that came from no cell, as from a console. A cell that was left out is no matter of order.
    Not known is where the front end tells no ids, or a cell's place is not in the notebook's file yet.

    Args:
        ran: what ran.
        places: cell ids and their indices in the notebook's file; None where it cannot be read.
        saved: when that file was written; a cell that ran later may be missing in it.
    """
    told = any(item.cell is not None for item in ran)
    found: dict[str, None] = {}
    last: dict[str, str] = {}
    lowest: str | None = None
    known = told and places is not None
    places = places or {}
    for item in ran:
        place = places.get(item.cell) if item.cell is not None else None
        name = f"cell {place + 1}" if place is not None else f"the cell of [{item.counter}]"
        if item.cell is None:
            known = False
            if told and item.at is not None:
                found[f"[{item.counter}] ran from outside of the notebook's cells"] = None
            continue
        if item.cell in last:
            how = "ran again" if last[item.cell] == item.sha256 else "was edited and run again"
            found[f"{name} {how}"] = None
        elif place is None:
            known = False
            if places and item.at is not None and item.at < saved:
                found[f"{name} is no longer in the notebook"] = None
        elif lowest is not None and place < places[lowest]:
            found[f"{name} ran after cell {places[lowest] + 1}"] = None
        last[item.cell] = item.sha256
        if place is not None and (lowest is None or place > places[lowest]):
            lowest = item.cell
    if found:
        first, more = next(iter(found)), len(found) - 1
        return Order(True, f"{first}, and {more} more" if more else first)
    return Order(False if known else None, None)
