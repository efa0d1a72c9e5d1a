"""What the gate lets through: things of several kinds, each found by one small function. Standard library only."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from snapml_lab.data import tables
from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.registry import aliases, deployments, versions
from snapml_lab.workspace import Workspace


@dataclass(frozen=True)
class Subject:
    """One version of a thing.

    Attributes:
        kind: ``model``, ``dataset``, ``deployment``.
        name: the thing's name.
        version: which of it, as text.
        content: SHA-256 of what it is; what was promoted is what has this content.
        author: who made it; "" where that is not known.
        blob: SHA-256 of its file among the artifacts, if it has one.
        run: the run that made it, if one did.
        note: what a person says of it.
        figures: the numbers on its record, by name.
        model: of a deployment, the model version it serves.
    """

    kind: str
    name: str
    version: str
    content: str
    author: str
    blob: str | None = None
    run: str | None = None
    note: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    model: str | None = None

    @property
    def reference(self) -> str:
        """``kind:name@version``: what a command takes."""
        return f"{self.kind}:{self.name}@{self.version}"


def find(ws: Workspace, reference: str) -> Subject:
    """Return what ``KIND:NAME[@VERSION]`` names; without a kind it is a model, without a version the latest.

    Raises:
        NotFoundError: it is not there.
        InvalidInputError: nothing of that kind can be promoted.
    """
    kind, name, version = split(reference)
    return resolve(ws, kind, name, version)


def split(reference: str) -> tuple[str, str, str | None]:
    """Return kind, name and version of ``KIND:NAME[@VERSION]``.

    Raises:
        InvalidInputError: nothing of that kind can be promoted, or no name is given.
    """
    before, colon, after = reference.partition(":")
    kind = check_kind(before) if colon else "model"
    name, at, version = (after if colon else before).partition("@")
    if not name or (at and not version):
        raise InvalidInputError.of("what", reference, "KIND:NAME@VERSION, or NAME@VERSION of a model")
    return kind, name, version or None


def check_kind(kind: str) -> str:
    """Return ``kind`` if the gate knows it.

    Raises:
        InvalidInputError: it does not.
    """
    if kind not in KINDS:
        raise InvalidInputError.of("kind", kind, f"one of {', '.join(KINDS)}")
    return kind


def resolve(ws: Workspace, kind: str, name: str, version: str | None) -> Subject:
    """Return a version of a thing: a number, an alias, or None for the latest."""
    return KINDS[kind](ws, name, version)


def _model(ws: Workspace, name: str, version: str | None) -> Subject:
    found = versions.find(ws.ledger, name if version is None else f"{name}@{version}")
    content = {name: getattr(found, name) for name in ("blob", "format", "task", "signature", "base")}
    figures = _numbers(found.evidence)
    if "score" in figures and found.evidence.get("metric"):
        figures[str(found.evidence["metric"])] = figures["score"]
    return Subject(
        "model", found.name, str(found.version), digest(content), found.actor, blob=found.blob, run=found.run,
        note=found.note, figures=figures,
    )  # fmt: skip


def _dataset(ws: Workspace, name: str, version: str | None) -> Subject:
    found = tables.find(ws, name if version is None else f"{name}@{version}")
    fields = ws.catalog.get("datasets", name)["versions"][found.version - 1]
    return Subject(
        "dataset", name, str(found.version), found.sha256, str(fields.get("actor", "")), blob=found.sha256,
        note=fields.get("note"), figures={"rows": found.rows, "columns": len(found.columns)},
    )  # fmt: skip


def _deployment(ws: Workspace, name: str, version: str | None) -> Subject:
    """Return a deployment as it is declared; its version is the beginning of its content's hash, for it has no number.

    A declaration that stood under an alias is among the artifacts, so an earlier one of those is found, too.
    """
    standing = aliases.version(ws.ledger, "deployment", name, version) if version else None
    wanted = standing or version
    declared = deployments.get(ws, name)
    content = digest(deployments.written(declared))
    if wanted is None or content.startswith(wanted):
        row = ws.ledger.row(
            "SELECT actor FROM jobs WHERE kind = 'endpoint' AND name = ? ORDER BY id DESC LIMIT 1",
            deployments.service_name(name, declared.target),
        )
        return Subject(
            "deployment", name, content[:12], content, row["actor"] if row else "", model=declared.model
        )
    row = ws.ledger.row(
        "SELECT content, author FROM promotions WHERE kind = 'deployment' AND name = ? AND version = ?"
        " AND state = 'applied' ORDER BY id DESC LIMIT 1",
        name, wanted,
    )  # fmt: skip
    if row is None:
        raise NotFoundError(
            f"{name!r} is not deployed as {wanted!r}.", fix=f"It is now declared as {name}@{content[:12]}."
        )
    earlier = json.loads(ws.blobs.verified(row["content"]))
    return Subject(
        "deployment", name, wanted, row["content"], row["author"], model=deployments.of(earlier).model
    )


def keep(ws: Workspace, subject: Subject) -> None:
    """Keep what a deployment's declaration says, for it is replaced where a model's file is not."""
    if subject.kind == "deployment":
        ws.blobs.put(_written(deployments.written(deployments.get(ws, subject.name))))


KINDS: dict[str, Callable[[Workspace, str, str | None], Subject]] = {
    "model": _model,
    "dataset": _dataset,
    "deployment": _deployment,
}
"""How each kind of thing is found. A kind that is added here can be promoted."""


def digest(fields: Mapping[str, Any]) -> str:
    """Return the hash of what something is."""
    return hashlib.sha256(_written(fields)).hexdigest()


def _written(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True).encode()


def _numbers(evidence: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in evidence.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
