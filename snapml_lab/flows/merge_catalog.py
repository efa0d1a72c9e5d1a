"""What a person declared in another workspace, into this one's catalog: what nothing here has comes, and ours stays.

Rules of a place stay in their place: who may do what (roles, policies), who may spend what (budgets), what happens by
itself (schedules, alert rules), what this machine costs an hour.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from snapml_lab.costs.prices import COMPUTE
from snapml_lab.flows.merge_ledger import Brought
from snapml_lab.registry import deployments
from snapml_lab.store.catalog import AtomicStorage, Fields
from snapml_lab.workspace import Workspace

VERSIONED = ("datasets", "prompts")
"""Kinds whose documents are lists of versions, each named by its content."""
DECLARED = ("deployments", "prices", "suites", "pipelines", "feature_views")
"""Kinds whose documents come where the name is free; nothing is started by them."""


@dataclass
class Joined:
    """Lists of versions that were joined: how many came, and a name and number there to the number here."""

    came: int = 0
    here: int = 0
    collided: list[tuple[str, str]] = field(default_factory=list)
    numbers: dict[tuple[str, int], int] = field(default_factory=dict)


def read(root: Path) -> dict[str, dict[str, Fields]]:
    """Return all documents of another catalog, by kind and name.

    Raises:
        StoreDamagedError: a file of it is torn.
    """
    found = {}
    for path in sorted((root / "catalog").glob("*.json")):
        found[path.stem] = (AtomicStorage(path).read() or {}).get(path.stem, {})
    return found


def join(ours: Fields | None, theirs: Fields) -> tuple[Fields, list[int]]:
    """Append the versions whose content is not here; return the document, and the number each of theirs has in it (from 1)."""
    versions: list[Any] = list((ours or {}).get("versions", []))
    places = {version.get("sha256"): number for number, version in reversed(list(enumerate(versions, 1)))}
    numbers = []
    for version in theirs["versions"]:
        if version.get("sha256") not in places:
            versions.append(version)
            places[version.get("sha256")] = len(versions)
        numbers.append(places[version.get("sha256")])
    return {**theirs, **(ours or {}), "versions": versions}, numbers


def bring_versions(
    ws: Workspace, theirs: Mapping[str, Mapping[str, Fields]], *, dry: bool
) -> dict[str, Joined]:
    """Join the lists of versions, by kind; with ``dry`` only say what would be."""
    found = {}
    for kind in VERSIONED:
        joined = found[kind] = Joined()
        for name, document in theirs.get(kind, {}).items():
            if not _has_versions(document):
                joined.collided.append((f"{kind} {name}", "is not a list of versions: it was left"))
                continue
            numbers: list[int] = []
            had = 0

            def joining(ours: Fields | None, document: Fields = document) -> Fields:
                nonlocal numbers, had
                had = len((ours or {}).get("versions", []))
                together, numbers = join(ours, document)
                return together

            if dry:
                joining(ws.catalog.find(kind, name))
            else:
                ws.catalog.change(kind, name, joining)
            new = {number for number in numbers if number > had}
            joined.came += len(new)
            joined.here += len(numbers) - len(new)
            for old, number in enumerate(numbers, 1):
                joined.numbers[name, old] = number
                if number != old and number in new:
                    word = kind.removesuffix("s")
                    joined.collided.append(
                        (f"{word} {name}@{old}", f"another one has that number here: it is {name}@{number}")
                    )
    return found


def bring_declared(
    ws: Workspace, theirs: Mapping[str, Mapping[str, Fields]], brought: Brought, *, dry: bool
) -> tuple[int, int]:
    """Add what was declared and has a free name here; return how many came, and how many were here alike."""
    came = here = 0
    for kind in DECLARED:
        for name, document in theirs.get(kind, {}).items():
            if (kind, name) == ("prices", COMPUTE):
                continue
            fields = dict(document)
            if kind == deployments.KIND:
                fields = _of_models_here(fields, brought)
            ours = ws.catalog.find(kind, name)
            if ours == fields:
                here += 1
            elif ours is not None:
                brought.collided.append(
                    (f"{kind.removesuffix('s')} {name}", "is declared otherwise here, and ours stays")
                )
            else:
                came += 1
                if not dry:
                    ws.catalog.change(kind, name, partial(_kept, fields))
    for kind in sorted(theirs.keys() - {*VERSIONED, *DECLARED}):
        if theirs[kind]:
            brought.left.append(f"{len(theirs[kind])} of {kind}, which are rules of that place")
    return came, here


def _of_models_here(fields: Fields, brought: Brought) -> Fields:
    """Name a deployment's models as they are called here."""
    found = deployments.of(fields)
    named = tuple(replace(target, model=brought.renamed(target.model)) for target in found.targets)
    return deployments.written(replace(found, targets=named))


def _kept(theirs: Fields, ours: Fields | None) -> Fields:
    """Return what is declared here, which somebody may have done meanwhile, else what came."""
    return theirs if ours is None else ours


def _has_versions(document: Fields) -> bool:
    versions = document.get("versions")
    return isinstance(versions, list) and all(
        isinstance(version, dict) and "sha256" in version for version in versions
    )
