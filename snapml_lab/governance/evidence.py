"""What a policy may ask to be on the record before something is promoted: named checks, each a small function."""

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from snapml_lab.errors import InvalidInputError, NotFoundError, StoreDamagedError
from snapml_lab.governance import verification
from snapml_lab.governance.subjects import Subject
from snapml_lab.tracking import runs
from snapml_lab.workspace import Workspace

_FIGURE = re.compile(r"([A-Za-z_][\w.-]*)\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda found, wanted: found >= wanted,
    "<=": lambda found, wanted: found <= wanted,
    ">": lambda found, wanted: found > wanted,
    "<": lambda found, wanted: found < wanted,
}
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Finding:
    """What a check found: whether it is enough, and in words what there is."""

    check: str
    ok: bool
    found: str


@dataclass(frozen=True)
class Check:
    """A check by name.

    Attributes:
        asks: what it looks for, in words.
        kinds: what it can be asked of.
        look: looks, and returns whether it is there, and what is.
        slow: it reads large things, so it is not run while others wait to write.
    """

    asks: str
    kinds: frozenset[str]
    look: Callable[[Workspace, Subject], tuple[bool, str]]
    slow: bool = False


def check(need: str, kind: str) -> Check:
    """Return the check that ``need`` names: one of :data:`CHECKS`, or a figure with a bound as ``score>=0.9``.

    Raises:
        InvalidInputError: there is none of that name, or none for that kind.
    """
    found = CHECKS.get(need)
    if found is None and kind in _FIGURED and (bound := _FIGURE.fullmatch(need.strip())):
        name, sign, number = bound.groups()
        return Check(
            f"{name} {sign} {number}", _FIGURED, lambda ws, item: _figure(ws, item, name, sign, float(number))
        )
    if found is None or kind not in found.kinds:
        known = ", ".join(name for name, item in CHECKS.items() if kind in item.kinds)
        raise InvalidInputError.of(
            "need",
            need,
            f"of a {kind} one of {known}" + (", or a bound as score>=0.9" if kind in _FIGURED else ""),
        )
    return found


def gather(
    ws: Workspace, subject: Subject, needs: Sequence[str], *, slow: bool | None = None
) -> list[Finding]:
    """Run checks on what is on record now; with ``slow`` only those that are, or are not."""
    found = []
    for need in needs:
        item = check(need, subject.kind)
        if slow is None or item.slow == slow:
            found.append(Finding(need, *item.look(ws, subject)))
    return found


def _figure(ws: Workspace, subject: Subject, name: str, sign: str, wanted: float) -> tuple[bool, str]:
    value = _figures(ws, subject).get(name)
    if value is None:
        return False, f"no {name} on record"
    return math.isfinite(value) and _COMPARE[sign](value, wanted), f"{name} = {value:.6g}"


def _figures(ws: Workspace, subject: Subject) -> dict[str, float]:
    """Return all figures of a version: of its latest evaluation, of the run that made it, of its own record."""
    found: dict[str, float] = {}
    if (evaluation := _evaluation(ws, subject)) is not None:
        found |= evaluation.metrics
    if (run := _run(ws, subject)) is not None:
        found |= run.metrics
    return found | dict(subject.figures)


def _score(ws: Workspace, subject: Subject) -> tuple[bool, str]:
    figures = _figures(ws, subject)
    for name in ("score", "held_out_loss", "exact_match"):
        if name in figures:
            return True, f"{name} = {figures[name]:.6g}"
    return False, "no held-out score on record"


def _interval(ws: Workspace, subject: Subject) -> tuple[bool, str]:
    figures = _figures(ws, subject)
    for low, high in (("low", "high"), ("exact_match_low", "exact_match_high")):
        if low in figures and high in figures:
            return True, f"[{figures[low]:.6g}, {figures[high]:.6g}]"
    return False, "no interval on record"


def _note(_: Workspace, subject: Subject) -> tuple[bool, str]:
    text = (subject.note or "").strip()
    return bool(text), (text if len(text) <= 80 else text[:79] + "…") or "no note"


def _provenance(ws: Workspace, subject: Subject) -> tuple[bool, str]:
    run = _run(ws, subject)
    if run is None:
        return False, "the run that made it is not known"
    known = {"environment": run.environment, "notebook or job": run.notebook or run.job, "data": run.dataset}
    lacking = [name for name, value in known.items() if not value]
    return not lacking, f"not known: {', '.join(lacking)}" if lacking else f"run {run.id}"


def _in_order(ws: Workspace, subject: Subject) -> tuple[bool, str]:
    run = _run(ws, subject)
    if run is None or run.out_of_order is None:
        return False, "whether cells ran in order is not known"
    return not run.out_of_order, "cells ran out of order" if run.out_of_order else "cells ran in order"


def _committed(ws: Workspace, subject: Subject) -> tuple[bool, str]:
    run = _run(ws, subject)
    commit = run.git_commit if run else None
    if commit is None:
        return False, "the commit is not known"
    return not commit.endswith("-dirty"), f"commit {commit}"


def _evaluated(ws: Workspace, subject: Subject) -> tuple[bool, str]:
    run = _evaluation(ws, subject)
    if run is None:
        return False, f"no evaluation of {subject.name}@{subject.version} has succeeded"
    return True, f"run {run.id}: exact_match = {run.metrics.get('exact_match', math.nan):.4g}"


def _approved(ws: Workspace, subject: Subject) -> tuple[bool, str]:
    row = ws.ledger.row(
        "SELECT alias FROM aliases WHERE kind = 'model' AND name || '@' || version = ? ORDER BY alias LIMIT 1",
        subject.model,
    )
    return (
        row is not None,
        f"{subject.model} is {row['alias']}" if row else f"{subject.model} was not promoted",
    )


def _intact(ws: Workspace, subject: Subject) -> tuple[bool, str]:
    try:
        size = _rehashed(ws, subject.blob or subject.content)
    except (NotFoundError, StoreDamagedError) as error:
        return False, error.message
    return True, f"{size} bytes as they were kept"


def _audited(ws: Workspace, _: Subject) -> tuple[bool, str]:
    found = verification.verify(ws)
    return found.ok, found.told() if found.problems else f"{found.rows} rows hold"


_RUN, _FIGURED = frozenset({"model"}), frozenset({"model", "dataset"})

CHECKS: dict[str, Check] = {
    "score": Check("a held-out score is on record", _RUN, _score),
    "interval": Check("the score has an interval", _RUN, _interval),
    "note": Check("somebody wrote what it is for", _FIGURED, _note),
    "provenance": Check("the run that made it, its environment and its data are known", _RUN, _provenance),
    "in_order": Check("the notebook's cells ran in order", _RUN, _in_order),
    "committed": Check("the code was committed", _RUN, _committed),
    "evaluation": Check("an evaluation of this version has succeeded", _RUN, _evaluated),
    "approved": Check("the model it serves stands under an alias", frozenset({"deployment"}), _approved),
    "intact": Check("its file is what was kept, read anew", _FIGURED, _intact, slow=True),
    "audit": Check(
        "the audit's chain holds", frozenset({"model", "dataset", "deployment"}), _audited, slow=True
    ),
}
"""The checks there are. One that is added here can be asked for."""


def _run(ws: Workspace, subject: Subject) -> runs.Run | None:
    found = runs.of_ids(ws.ledger, [subject.run]) if subject.run else []
    return found[0] if found else None


def _evaluation(ws: Workspace, subject: Subject) -> runs.Run | None:
    """Return the latest evaluation of this very version that succeeded."""
    if subject.kind != "model":
        return None
    row = ws.ledger.row(
        f"SELECT runs.id FROM params JOIN runs ON runs.id = params.run WHERE params.name = 'model' AND params.text = ?"
        f" AND runs.kind = 'eval' AND runs.deleted_at IS NULL AND {runs.STATE} = 'succeeded' ORDER BY runs.id DESC LIMIT 1",
        f"{subject.name}@{subject.version}",
    )
    return runs.of_ids(ws.ledger, [row["id"]])[0] if row else None


def _rehashed(ws: Workspace, sha256: str) -> int:
    """Read a kept file, or all files of a kept folder, and return the bytes.

    Raises:
        NotFoundError: one is missing.
        StoreDamagedError: one is not what it was.
    """
    path = ws.blobs.path(sha256)
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        first = file.read(_CHUNK)
        chunk = first
        while chunk:
            digest.update(chunk)
            size += len(chunk)
            chunk = file.read(_CHUNK)
    if digest.hexdigest() != sha256:
        raise StoreDamagedError(
            f"{path} no longer holds what was kept.", fix="Restore it from a copy, or make it again."
        )
    return size + sum(_rehashed(ws, inner) for inner in _inner(first))


def _inner(start: bytes) -> list[str]:
    """Return what a folder's manifest names; nothing where the file is no manifest."""
    if not start.startswith(b'{"files": {'):
        return []
    try:
        files = json.loads(start)["files"]
    except ValueError:
        return []
    return [str(sha256) for sha256 in files.values()]
