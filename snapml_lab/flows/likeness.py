"""What differs between a run and the same run again. Pure."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Likeness(StrEnum):
    """How like a value is to the one it is compared with."""

    SAME = "same"
    CLOSE = "close"
    """Numbers within the tolerance."""
    DIFFERS = "differs"
    MISSING = "not made again"
    NEW = "new"
    APART = "not compared"
    """It differs by its nature: a time, or what depends on the machine."""


class Verdict(StrEnum):
    """What a reproduction comes to."""

    SAME = "same"
    CLOSE = "same within tolerance"
    DIFFERS = "differs"
    COULD_NOT = "could not be run again"


@dataclass(frozen=True)
class Model:
    """A model a run made: its file's SHA-256, and its predictions on rows of the run's data, where they could be had.

    A prediction is what was predicted, and its probability, None where the model knows none. Of a folder ``weights`` are
    the SHA-256 of the files that hold tensors; beside them there may be others, which name paths.
    """

    blob: str
    weights: Mapping[str, str] = field(default_factory=dict)
    predictions: Sequence[tuple[Any, float | None]] | None = None


@dataclass(frozen=True)
class Facts:
    """What is compared of a run. ``nested``: the metrics of runs inside it by name; ``packages``: its lock."""

    state: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    dataset: str | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict)
    nested: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    packages: str = ""


@dataclass(frozen=True)
class Compared:
    """One value then and now."""

    kind: str
    name: str
    before: str | None
    after: str | None
    likeness: Likeness


_BY_NATURE = re.compile(
    r"^system[/.]|^snapml\.|(^|[._/ ])(seconds|duration|runtime|elapsed|time|date|timestamp|pid|hostname)$"
    r"|_(seconds|secs|ms|time|duration|runtime)$|(_|^)per_second$|_per_sec(ond)?$",
    re.IGNORECASE,
)
_COUNTS = frozenset({"state", "param", "metric", "data", "model", "nested"})
"""The kinds that decide; files may differ in bytes that mean nothing, and packages are causes, not results."""
_SHORT = 12


def compare(before: Facts, after: Facts, tolerance: float) -> list[Compared]:
    """Compare a run with the same run again.

    Args:
        before: the run.
        after: the run again.
        tolerance: of numbers, relative to the greater of the two.
    """
    rows = [_text("state", "state", before.state, after.state)]
    rows += (
        [_text("data", "dataset", before.dataset, after.dataset)] if before.dataset or after.dataset else []
    )
    rows += [_param(name, *pair) for name, *pair in _paired(before.params, after.params)]
    rows += [
        _metric(tolerance, "metric", name, *pair) for name, *pair in _paired(before.metrics, after.metrics)
    ]
    rows += [_model(tolerance, name, *pair) for name, *pair in _paired(before.models, after.models)]
    for name, then, now in _paired(before.nested, after.nested):
        rows.append(_nested(tolerance, name, then, now))
    rows += [_text("file", name, *pair) for name, *pair in _paired(before.artifacts, after.artifacts)]
    return rows


def verdict(rows: Sequence[Compared]) -> Verdict:
    """Judge what was compared."""
    found = {row.likeness for row in rows if row.kind in _COUNTS}
    if found & {Likeness.DIFFERS, Likeness.MISSING, Likeness.NEW}:
        return Verdict.DIFFERS
    return Verdict.CLOSE if Likeness.CLOSE in found else Verdict.SAME


def numbers(before: float, after: float, tolerance: float) -> Likeness:
    """Compare two numbers; two that are no number are the same."""
    if before == after or (math.isnan(before) and math.isnan(after)):
        return Likeness.SAME
    return Likeness.CLOSE if math.isclose(before, after, rel_tol=tolerance) else Likeness.DIFFERS


def _paired(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in sorted({**before, **after}):
        yield name, before.get(name), after.get(name)


def _presence(before: object, after: object) -> Likeness | None:
    if before is None:
        return Likeness.NEW
    return Likeness.MISSING if after is None else None


def _text(kind: str, name: str, before: str | None, after: str | None) -> Compared:
    same = Likeness.SAME if before == after else Likeness.DIFFERS
    return Compared(kind, name, before, after, _presence(before, after) or same)


def _param(name: str, before: str | None, after: str | None) -> Compared:
    row = _text("param", name, before, after)
    apart = row.likeness is Likeness.DIFFERS and _BY_NATURE.search(name)
    return Compared("param", name, before, after, Likeness.APART) if apart else row


def _metric(tolerance: float, kind: str, name: str, before: float | None, after: float | None) -> Compared:
    likeness = _presence(before, after)
    if _BY_NATURE.search(name):
        likeness = Likeness.APART
    elif before is not None and after is not None:
        likeness = numbers(before, after, tolerance)
    assert likeness is not None
    return Compared(kind, name, _shown(before), _shown(after), likeness)


def _model(tolerance: float, name: str, before: Model | None, after: Model | None) -> Compared:
    if before is None or after is None:
        shown = [None if item is None else item.blob[:_SHORT] for item in (before, after)]
        return Compared("model", name, shown[0], shown[1], _presence(before, after) or Likeness.SAME)
    then, now = before.blob[:_SHORT], after.blob[:_SHORT]
    if before.blob == after.blob:
        return Compared("model", name, then, now, Likeness.SAME)
    if before.weights and before.weights == after.weights:
        return Compared("model", name, then, f"{now}, the same weights", Likeness.SAME)
    if before.predictions is None or after.predictions is None:
        return Compared("model", name, then, f"{now}, predictions not compared", Likeness.DIFFERS)
    pairs = list(zip(before.predictions, after.predictions, strict=False))
    found = [_predicted(*pair, tolerance) for pair in pairs]
    differ = found.count(Likeness.DIFFERS)
    said = f"{len(pairs) - differ} of {len(pairs)} predictions the same"
    worst = Likeness.DIFFERS if differ else Likeness.CLOSE if Likeness.CLOSE in found else Likeness.SAME
    return Compared("model", name, then, f"{now}, {said}", worst)


def _predicted(
    before: tuple[Any, float | None], after: tuple[Any, float | None], tolerance: float
) -> Likeness:
    found = set()
    for then, now in zip(before, after, strict=True):
        if isinstance(then, float) and isinstance(now, float):
            found.add(numbers(then, now, tolerance))
        else:
            found.add(Likeness.SAME if then == now else Likeness.DIFFERS)
    return next(item for item in (Likeness.DIFFERS, Likeness.CLOSE, Likeness.SAME) if item in found)


def _nested(
    tolerance: float, name: str, before: Mapping[str, float] | None, after: Mapping[str, float] | None
) -> Compared:
    """Compare a run inside it as one row, by the metrics that count."""
    if before is None or after is None:
        return Compared(
            "nested", name, _figures(before), _figures(after), _presence(before, after) or Likeness.SAME
        )
    rows = [_metric(tolerance, "nested", key, *pair) for key, *pair in _paired(before, after)]
    likeness = {Verdict.SAME: Likeness.SAME, Verdict.CLOSE: Likeness.CLOSE, Verdict.DIFFERS: Likeness.DIFFERS}
    return Compared("nested", name, _figures(before), _figures(after), likeness[verdict(rows)])


def _figures(metrics: Mapping[str, float] | None) -> str | None:
    if metrics is None:
        return None
    return ", ".join(
        f"{name} {value:.6g}" for name, value in sorted(metrics.items()) if not _BY_NATURE.search(name)
    )


def _shown(value: float | None) -> str | None:
    return None if value is None else repr(value)
