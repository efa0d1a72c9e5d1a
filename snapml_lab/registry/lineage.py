"""Where a model version comes from and where it went, read from the record: nodes and arrows. Nothing is guessed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from snapml_lab.errors import NotFoundError, SnapmlError
from snapml_lab.registry import deployments, standing, versions
from snapml_lab.registry.versions import ModelVersion
from snapml_lab.tracking import runs
from snapml_lab.tracking.runs import Run
from snapml_lab.workspace import Workspace

Kind = Literal["dataset", "code", "environment", "run", "base", "model", "deployment", "eval"]
_PARENTS = 20
_EVALS = 200


@dataclass(frozen=True)
class Node:
    """One thing of a lineage.

    Attributes:
        id: its kind and name, unique in a lineage.
        kind: what it is.
        label: a short name.
        detail: more, for a second line.
        reference: what the command that shows it takes; None where there is none.
        notebook: where the cell is that made it, with ``cell_id``.
        cell_id: that cell.
    """

    id: str
    kind: Kind
    label: str
    detail: str = ""
    reference: str | None = None
    notebook: str | None = None
    cell_id: str | None = None


@dataclass(frozen=True)
class Edge:
    """An arrow from what was there before to what was made of it, by node ids."""

    source: str
    target: str
    label: str


@dataclass
class Lineage:
    """Nodes and arrows, each once."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)

    def add(self, node: Node) -> str:
        """Add a node and return its id."""
        self.nodes.setdefault(node.id, node)
        return node.id

    def link(self, source: str, target: str, label: str) -> None:
        """Add an arrow."""
        self.edges.setdefault((source, target), Edge(source, target, label))


def trace(ws: Workspace, model: ModelVersion) -> Lineage:
    """Return the lineage of a model version: data, code and environment, runs, the model, and what was made of it."""
    found = Lineage()
    own = found.add(_model(ws, model))
    if model.run is not None:
        _of_run(ws, found, model.run, own)
    for earlier, label in _made_of(ws, model):
        found.link(found.add(earlier), own, label)
    for later, label in _made_into(ws, model):
        found.link(own, found.add(_model(ws, later)), label)
    for deployment in deployments.every(ws):
        if any(target.model == model.reference for target in deployment.targets):
            node = Node(
                f"deployment:{deployment.name}", "deployment", deployment.name, f"by {deployment.engine}", deployment.name
            )  # fmt: skip
            found.link(own, found.add(node), "serves as")
    for run in evaluations(ws, model):
        shares = ", ".join(f"{name} {value:.4g}" for name, value in sorted(run.metrics.items())[:2])
        node = Node(f"eval:{run.id}", "eval", run.name, shares, run.id, run.notebook, run.cell_id)
        found.link(own, found.add(node), "scored by")
    return found


def evaluations(ws: Workspace, model: ModelVersion) -> list[Run]:
    """Return the evals that asked this version, newest first: those whose requests the gateway answered with it."""
    found = ws.ledger.rows(
        "SELECT runs.id FROM runs JOIN jobs ON jobs.id = runs.job JOIN params ON params.run = runs.id"
        " AND params.name = 'deployment' WHERE runs.kind = 'eval' AND runs.deleted_at IS NULL AND EXISTS ("
        " SELECT 1 FROM requests WHERE requests.at BETWEEN jobs.submitted_at AND coalesce(jobs.ended_at, 9e15)"
        " AND requests.deployment = params.text AND requests.model = ?) ORDER BY runs.id DESC LIMIT ?",
        model.reference, _EVALS,
    )  # fmt: skip
    return runs.of_ids(ws.ledger, [row["id"] for row in found])


def dataset_name(ws: Workspace, sha256: str) -> tuple[str, int] | None:
    """Return the reference and the rows of the dataset version that has this content; None where the catalog has none."""
    for name, fields in sorted(ws.catalog.all("datasets").items()):
        for number, version in enumerate(fields["versions"], 1):
            if version["sha256"] == sha256:
                return f"{name}@{number}", int(version["rows"])
    return None


def _model(ws: Workspace, model: ModelVersion) -> Node:
    on = standing.aliases(ws.ledger, [model]).get((model.name, model.version), [])
    detail = ", ".join([f"{model.task}, {model.format}", *on])
    return Node(f"model:{model.reference}", "model", model.reference, detail, model.reference)


def _of_run(ws: Workspace, found: Lineage, identifier: str, own: str) -> None:
    """Add the run that made the model, what went into it, and the runs it is part of."""
    label = "made"
    for _ in range(_PARENTS):
        try:
            run = runs.get(ws.ledger, identifier)
        except NotFoundError:
            found.link(
                found.add(Node(f"run:{identifier}", "run", identifier[-6:], "not in this workspace")),
                own,
                label,
            )
            return
        gone = " (deleted)" if run.deleted_at else ""
        node = Node(
            f"run:{run.id}",
            "run",
            run.name,
            f"{run.kind}, {run.state}{gone}",
            run.id,
            run.notebook,
            run.cell_id,
        )
        found.link(found.add(node), own, label)
        for origin, why in _origin(ws, run):
            found.link(found.add(origin), node.id, why)
        if run.parent is None:
            return
        identifier, own, label = run.parent, node.id, "part"


def _origin(ws: Workspace, run: Run) -> Iterator[tuple[Node, str]]:
    if run.dataset:
        known = dataset_name(ws, run.dataset)
        label, detail = (known[0], f"{known[1]} rows") if known else (f"data {run.dataset[:12]}", "")
        yield Node(f"dataset:{run.dataset}", "dataset", label, detail, known[0] if known else None), "read"
    if run.notebook:
        detail = f"cell {run.cell_id}" if run.cell_id else ""
        place = Node(
            f"code:{run.notebook}#{run.cell_id or ''}", "code", PurePath(run.notebook).name, detail,
            notebook=run.notebook, cell_id=run.cell_id,
        )  # fmt: skip
        yield place, "ran"
    if run.git_commit:
        commit, _, dirty = run.git_commit.partition("-")
        yield (
            Node(f"code:{run.git_commit}", "code", f"git {commit[:10]}", "with changes" if dirty else ""),
            "at",
        )
    if run.environment:
        row = ws.ledger.row("SELECT python, packages FROM environments WHERE sha256 = ?", run.environment)
        detail = f"Python {row['python']}, {len(row['packages'].splitlines())} packages" if row else ""
        yield (
            Node(f"environment:{run.environment}", "environment", f"lock {run.environment[:10]}", detail),
            "in",
        )


def _made_of(ws: Workspace, model: ModelVersion) -> Iterator[tuple[Node, str]]:
    """Yield the models a version was made of: an adapter's base, the adapter of a merged one."""
    if merged := model.evidence.get("merged_from"):
        yield _named(ws, str(merged)), "merged"
    if model.base:
        yield _named(ws, model.base), "adapted"


def _named(ws: Workspace, reference: str) -> Node:
    """Return the node of a model named by reference, by the folder it was laid out in, or from outside."""
    row = ws.ledger.row("SELECT name, version FROM model_versions WHERE blob = ?", PurePath(reference).name)
    named = f"{row['name']}@{row['version']}" if row else reference
    try:
        return _model(ws, versions.find(ws.ledger, named))
    except SnapmlError:
        return Node(f"base:{reference}", "base", PurePath(reference).name or reference, "from outside")


def _made_into(ws: Workspace, model: ModelVersion) -> Iterator[tuple[ModelVersion, str]]:
    """Yield the versions that were made of this one."""
    for row in ws.ledger.rows(
        "SELECT id, name, version, base, evidence FROM model_versions WHERE format <> 'skops'"
    ):
        base = row["base"]
        merged = json.loads(row["evidence"]).get("merged_from") == model.reference
        if merged or (base is not None and (base == model.reference or PurePath(base).name == model.blob)):
            later = versions.find(ws.ledger, f"{row['name']}@{row['version']}")
            yield later, "merged" if merged else "adapted"
