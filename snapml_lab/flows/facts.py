"""What is compared of a run, gathered from the ledger and the blobs."""

import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from snapml_lab.data import tables
from snapml_lab.errors import SnapmlError
from snapml_lab.flows.likeness import Facts, Model
from snapml_lab.registry import examples, lineage, model_file, versions
from snapml_lab.registry.signature import Signature
from snapml_lab.registry.versions import ModelVersion
from snapml_lab.tracking import runs
from snapml_lab.tracking.runs import Run
from snapml_lab.workspace import Workspace

_MOST = 2000
_FOLDERS = ("peft", "safetensors")
_TENSORS = (".safetensors", ".bin", ".npz")


def facts(
    ws: Workspace, run: Run, *, rows: Sequence[Any] = (), suffix: str = "", moved: tuple[str, str] = ("", "")
) -> Facts:
    """Gather what is compared of a run.

    Args:
        ws: its workspace.
        run: the run.
        rows: for each of its models a table to predict, or None; see :func:`rows_of`.
        suffix: what the names of its models, also as parameters, end with and is left out.
        moved: a path in its parameters, and the one to read it as.
    """
    nested: dict[str, dict[str, float]] = {}
    for child in runs.children(ws.ledger, run.id):
        nested[_free(child.name, nested)] = child.metrics
    models: dict[str, Model] = {}
    for model, table in zip_longest(versions.of_run(ws.ledger, run.id), rows):
        if model is not None:
            models[_free(model.name.removesuffix(suffix), models)] = Model(
                model.blob, _weights(ws, model), _predictions(ws, model, table)
            )
    params = {
        name: (value.replace(*moved) if moved[0] else value).removesuffix(suffix)
        for name, value in run.params.items()
    }
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


def rows_of(ws: Workspace, run: Run) -> list[Any]:
    """Return for each model of a run rows to compare predictions on: of the data it was made of, else of its example."""
    return [_rows(ws, model, run) for model in versions.of_run(ws.ledger, run.id)]


def _rows(ws: Workspace, model: ModelVersion, run: Run) -> Any:
    named = model.evidence.get("dataset")
    content = None if named or run.dataset is None else lineage.dataset_name(ws, run.dataset)
    reference = str(named) if named else content[0] if content else None
    try:
        if reference is not None:
            return tables.load(ws, tables.find(ws, reference)).head(_MOST)
        return None if model.example is None else examples.read(ws, model.example)
    except (SnapmlError, ImportError, ValueError):
        return None


def _weights(ws: Workspace, model: ModelVersion) -> dict[str, str]:
    """Return the files of a model's folder that hold tensors, by name; none where it is a file."""
    if model.format not in _FOLDERS:
        return {}
    try:
        files = json.loads(ws.blobs.verified(model.blob))["files"]
    except (SnapmlError, ValueError, KeyError, TypeError):
        return {}
    return {name: sha256 for name, sha256 in files.items() if name.endswith(_TENSORS)}


def _predictions(ws: Workspace, model: ModelVersion, table: Any) -> list[tuple[Any, float | None]] | None:
    """Predict a table; None where that cannot be done here."""
    if model.format != "skops" or table is None:
        return None
    try:
        loaded = model_file.load(ws.blobs.path(model.blob))
        values, probabilities = model_file.predict(loaded, table, Signature(**model.signature))
    except (SnapmlError, ImportError, ValueError, TypeError):
        return None
    return list(zip_longest(values, probabilities or []))
