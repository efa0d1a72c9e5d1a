"""What is compared of a run, gathered from the ledger and the blobs."""

from typing import Any

from snapml_lab.data import tables
from snapml_lab.errors import SnapmlError
from snapml_lab.flows.likeness import Facts, Model
from snapml_lab.registry import examples, model_file, versions
from snapml_lab.registry.signature import Signature
from snapml_lab.registry.versions import ModelVersion
from snapml_lab.tracking import runs
from snapml_lab.tracking.runs import Run
from snapml_lab.workspace import Workspace

_ROWS = 2000


def facts(ws: Workspace, run: Run, *, suffix: str = "", moved: tuple[str, str] = ("", "")) -> Facts:
    """Gather what is compared of a run.

    Args:
        ws: its workspace.
        run: the run.
        suffix: what its models' names end with, that is left out.
        moved: a path in its parameters, and the one to read it as.
    """
    nested: dict[str, dict[str, float]] = {}
    for child in runs.children(ws.ledger, run.id):
        nested[_free(child.name, nested)] = child.metrics
    models: dict[str, Model] = {}
    for model in versions.of_run(ws.ledger, run.id):
        models[_free(model.name.removesuffix(suffix), models)] = Model(model.blob, _predictions(ws, model))
    params = {name: value.replace(*moved) if moved[0] else value for name, value in run.params.items()}
    return Facts(
        state=run.state, params=params, metrics=run.metrics, dataset=run.dataset,
        artifacts={item.name: item.blob for item in run.artifacts}, models=models, nested=nested,
        packages=packages(ws, run),
    )  # fmt: skip


def packages(ws: Workspace, run: Run) -> str:
    """Return the packages of a run's environment, one ``name==version`` a line; empty where they are not known."""
    row = ws.ledger.row("SELECT packages FROM environments WHERE sha256 = ?", run.environment or "")
    return "" if row is None else str(row["packages"])


def python_of(ws: Workspace, run: Run) -> str | None:
    """Return the version of Python of a run's environment."""
    row = ws.ledger.row("SELECT python FROM environments WHERE sha256 = ?", run.environment or "")
    return None if row is None else str(row["python"])


def _free(name: str, taken: dict[str, Any]) -> str:
    number = 1
    while (found := name if number == 1 else f"{name} #{number}") in taken:
        number += 1
    return found


def _predictions(ws: Workspace, model: ModelVersion) -> list[Any] | None:
    """Predict the first rows of the data a model was made of, else its example; None where that cannot be done here."""
    data = model.evidence.get("dataset")
    if model.format != "skops" or not (isinstance(data, str) or model.example):
        return None
    try:
        if isinstance(data, str):
            frame = tables.load(ws, tables.find(ws, data)).head(_ROWS)
        else:
            frame = examples.read(ws, str(model.example))
        loaded = model_file.load(ws.blobs.path(model.blob))
        values, probabilities = model_file.predict(loaded, frame, Signature(**model.signature))
    except (SnapmlError, ImportError, ValueError, TypeError):
        return None
    return [float(value) for value in probabilities] if probabilities is not None else list(values)
