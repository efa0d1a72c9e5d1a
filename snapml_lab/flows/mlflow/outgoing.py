"""Our runs and models into an MLflow store; what it has no word for lies beside them, so that they come back as they were."""

import json
import math
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from snapml_lab.errors import ConflictError, SnapmlError
from snapml_lab.flows.mlflow import mapping, talking
from snapml_lab.registry import lineage, model_file
from snapml_lab.registry.versions import ModelVersion
from snapml_lab.store import curve
from snapml_lab.tracking import runs
from snapml_lab.tracking.record import Origin
from snapml_lab.tracking.runs import Run
from snapml_lab.workspace import Workspace

EXPERIMENT = "snapml"
"""Where runs are put unless told otherwise."""
_OWN = ("mlflow.imported", "mlflow.dataset.")


@dataclass(frozen=True)
class ExportedRun:
    """A run and its id there; ``new`` is false where it was there already."""

    id: str
    name: str
    mlflow: str
    new: bool
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ExportedModel:
    """A model version and what it is there."""

    reference: str
    name: str
    version: str
    mlflow_run: str
    new: bool


def give_run(
    ws: Workspace, run: Run, uri: str, *, experiment: str, python: str | None
) -> Iterator[ExportedRun]:
    """Export a run with those nested in it.

    Raises:
        SnapmlError: the store cannot be reached or written; a run that broke off is not left there.
    """
    side = talking.interpreter(python)
    place, home = talking.located(uri, must_exist=False)
    yield from _given(ws, _with_nested(ws, run), side, place, home, experiment)


def give_model(
    ws: Workspace, model: ModelVersion, uri: str, *, experiment: str, python: str | None
) -> ExportedModel:
    """Export a model of rows and register it there, in the run that made it, which is exported where it is not there.

    Raises:
        ConflictError: it is no model of rows.
        SnapmlError: the store cannot be reached or written.
    """
    if model.format not in model_file.FORMATS:
        raise ConflictError(
            f"{model.reference} is a {model.format} model.",
            fix="Only models of rows (skops, ONNX) are exported to MLflow.",
        )
    side = talking.interpreter(python)
    place, home = talking.located(uri, must_exist=False)
    if model.run is not None:
        found = runs.of_ids(ws.ledger, [model.run])
        list(_given(ws, found, side, place, home, experiment))
    with tempfile.TemporaryDirectory(prefix="snapml-export-") as folder:
        told = _model(ws, model, Path(folder))
        with talking.conversation(
            side, place, home, "write_model", model=told, experiment=experiment
        ) as answers:
            said = next(iter(answers))
            list(answers)
    return ExportedModel(model.reference, said["name"], said["version"], said["run_id"], said["new"])


def _given(
    ws: Workspace, found: list[Run], side: str, place: str, home: Path, experiment: str
) -> Iterator[ExportedRun]:
    with tempfile.TemporaryDirectory(prefix="snapml-export-") as folder:
        notes = {run.id: _lay_out(ws, run, Path(folder) / run.id) for run in found}
        laid = [str(Path(folder) / run.id) for run in found]
        names = {run.id: run.name for run in found}
        with talking.conversation(
            side, place, home, "write_runs", runs=laid, experiment=experiment
        ) as answers:
            for said in answers:
                yield ExportedRun(
                    said["id"], names[said["id"]], said["run_id"], said["new"], notes[said["id"]]
                )


def _with_nested(ws: Workspace, run: Run) -> list[Run]:
    found, waiting = [], [run]
    while waiting:
        found.append(waiting.pop(0))
        waiting += runs.children(ws.ledger, found[-1].id)
    return found


def _lay_out(ws: Workspace, run: Run, folder: Path) -> list[str]:
    """Write a run's files for the other side; return what was left out."""
    (folder / "artifacts").mkdir(parents=True)
    figures = [
        row["name"]
        for row in ws.ledger.rows("SELECT name FROM latest_metrics WHERE run = ? ORDER BY name", run.id)
    ]
    tags = {name: text for name, text in run.tags.items() if not name.startswith(_OWN)}
    names = mapping.names([*run.params, *figures, *tags])
    with (folder / "metrics.jsonl").open("w", encoding="utf-8") as file:
        for name in figures:
            for step, at, value in curve.points(ws.ledger.connection, run.id, name):
                file.write(json.dumps([names[name], step, round(at * 1000), _crossing(value)]) + "\n")
    told = {
        "id": run.id, "name": run.name, "parent": run.parent, "start": round(run.started_at * 1000),
        "end": None if run.ended_at is None else round(run.ended_at * 1000), "status": mapping.status(run.state),
        "params": {names[name]: text[: mapping.LONGEST_VALUE] for name, text in run.params.items()},
        "tags": {**_tags(run), **{names[name]: text[: mapping.LONGEST_VALUE] for name, text in tags.items()}},
        "datasets": _datasets(ws, run),
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(told), "utf-8")
    notes = [note for item in run.artifacts if (note := _artifact(ws, item, folder / "artifacts"))]
    kept = folder / "artifacts" / mapping.RECORD
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps({
        "id": run.id, "kind": run.kind, "state": run.state, "started_at": run.started_at, "ended_at": run.ended_at,
        "origin": {item.name: getattr(run, item.name) for item in fields(Origin)}, "actor": run.actor,
        "names": {name: plain for name, plain in names.items() if name != plain},
        "params": {name: text for name, text in run.params.items() if len(text) > mapping.LONGEST_VALUE}, "tags": tags,
    }), "utf-8")  # fmt: skip
    return notes


def _tags(run: Run) -> dict[str, str]:
    """Return the tags MLflow's own pages read."""
    given = {
        "snapml.run": run.id, "snapml.kind": run.kind, "mlflow.user": run.actor, "mlflow.note.content": run.note,
        "mlflow.source.git.commit": run.git_commit, "mlflow.source.name": run.notebook,
        "mlflow.source.type": "NOTEBOOK" if run.notebook else None, "snapml.cell": run.cell_id,
    }  # fmt: skip
    return {name: text[: mapping.LONGEST_VALUE] for name, text in given.items() if text}


def _datasets(ws: Workspace, run: Run) -> list[dict[str, Any]]:
    found = [
        json.loads(text) for name, text in sorted(run.tags.items()) if name.startswith("mlflow.dataset.")
    ]
    if run.dataset is not None:
        known = lineage.dataset_name(ws, run.dataset)
        found.append({
            "name": known[0] if known else "data", "digest": run.dataset[:36], "source_type": "snapml",
            "source": json.dumps({"sha256": run.dataset}), "schema": None,
            "profile": json.dumps({"num_rows": known[1]}) if known else None, "tags": {"mlflow.data.context": "training"},
        })  # fmt: skip
    return found


def _artifact(ws: Workspace, item: runs.Artifact, folder: Path) -> str | None:
    path = PurePosixPath(item.name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return f"The file {item.name!r} has a name that leaves its folder, and was left out."
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if item.folder:
            ws.blobs.folder(item.blob, target)
        else:
            shutil.copyfile(ws.blobs.path(item.blob), target)
    except (SnapmlError, OSError) as error:
        return f"The file {item.name!r} was left out: {error}"
    return None


def _crossing(value: float | None) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _model(ws: Workspace, model: ModelVersion, folder: Path) -> dict[str, Any]:
    """Lay out a model's file and what is known of it; say how it is to be logged."""
    file = folder / f"model.{model.format}"
    ws.blobs.verified(model.blob)
    shutil.copyfile(ws.blobs.path(model.blob), file)
    example = json.loads(ws.blobs.verified(model.example)) if model.example else None
    trusted = model_file.trusted()
    about = folder / mapping.ABOUT
    about.write_text(json.dumps({
        "reference": model.reference, "name": model.name, "task": model.task, "format": model.format, "signature": model.signature,
        "evidence": model.evidence, "base": model.base, "note": model.note, "example": example, "trusted": trusted,
    }), "utf-8")  # fmt: skip
    types = model.signature.get("types") or {}
    kind = "onnx" if model.format == "onnx" else "sklearn" if types else "prepared"
    libraries = model.evidence.get("libraries", {})
    return {
        "id": model.id, "name": model.name, "reference": model.reference, "run": model.run, "note": model.note, "kind": kind,
        "file": str(file), "about": str(about), "trusted": trusted, "example": example, "types": types,
        "array": bool(model.signature.get("array")), "code": str(Path(__file__).with_name("served.py")),
        "requirements": [f"{name}=={version}" for name, version in libraries.items()],
        "exact": {} if kind == "prepared" else {str(file): file.name, str(about): about.name},
    }  # fmt: skip
