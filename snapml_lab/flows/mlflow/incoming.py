"""Runs of MLflow into the ledger: each in one transaction, once, and again only where it has changed there."""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from snapml_lab import ids
from snapml_lab.flows.mlflow import mapping, models, talking
from snapml_lab.flows.mlflow.models import Candidate
from snapml_lab.registry import versions
from snapml_lab.store import curve
from snapml_lab.store.ledger import bump
from snapml_lab.tracking import record
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

_FINGERPRINT = "mlflow.imported"
"""The tag that says what was imported; the same again is nothing new."""
_ORIGIN = tuple(item.name for item in fields(Origin))


@dataclass
class Imported:
    """A run as it was found and is here. ``was``: ``added``, ``updated`` or ``same``; ``models``: references of new versions."""

    mlflow: str
    id: str
    name: str
    state: str
    was: str
    models: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Material:
    """A run with its files kept, ready to be written."""

    told: dict[str, Any]
    run: str
    record: dict[str, Any]
    artifacts: list[tuple[str, str, int]]
    curves: dict[str, list[curve.Point]]
    fingerprint: str


def take(
    ws: Workspace,
    uri: str,
    *,
    experiment: str | None,
    run: str | None,
    python: str | None,
    trust: bool,
    actor: str,
    models_too: bool = True,
) -> Iterator[Imported]:
    """Import the runs of a store, of one experiment, or one run with those nested in it.

    Who imports is their actor here: the user MLflow names is a tag, for nobody has checked it.

    Raises:
        SnapmlError: there is no such store, experiment or run, or MLflow could not read it.
    """
    side = talking.interpreter(python)
    place, home = talking.located(uri, must_exist=True)
    with talking.conversation(side, place, home, "read_runs", experiment=experiment, run=run) as answers:
        for told in answers:
            yield _one(ws, told, side, trust=trust, actor=actor, models_too=models_too)


def _one(
    ws: Workspace, told: dict[str, Any], side: str, *, trust: bool, actor: str, models_too: bool
) -> Imported:
    material = _material(ws, told)
    state = str(material.record.get("state") or mapping.state(told["status"]))
    found = Imported(
        told["run_id"], material.run, told["name"] or told["run_id"][:8], state, "same", notes=told["notes"]
    )
    had = {version.evidence.get("mlflow_model") for version in versions.of_run(ws.ledger, material.run)}
    candidates = []
    for model in told["models"] if models_too else []:
        if model.get("model_id", model["name"]) in had:
            continue
        candidate, note = models.candidate(
            ws, model, side, name=mapping.model_name(told["experiment"], model["name"]), trust=trust
        )
        if candidate is not None:
            candidates.append(candidate)
        if note:
            found.notes.append(note)
    was = _standing(ws, material)
    if was == "same" and not candidates:
        return found
    with ws.ledger.write() as connection:
        revision = bump(connection)
        if was != "same":
            _write(connection, material, found, revision, actor, new=was == "added")
        for candidate in candidates:
            models.register(connection, candidate, material.run, actor)
    found.was = was
    found.models = _references(ws, material.run, candidates)
    return found


def _references(ws: Workspace, run: str, candidates: list[Candidate]) -> list[str]:
    blobs = {candidate.blob for candidate in candidates}
    return [version.reference for version in versions.of_run(ws.ledger, run) if version.blob in blobs]


def _material(ws: Workspace, told: dict[str, Any]) -> _Material:
    """Keep a run's files among the blobs, and read what it has; nothing is in the ledger yet."""
    folder = Path(told["folder"])
    files = {path.relative_to(folder / "artifacts").as_posix(): path for path in _files(folder / "artifacts")}
    for model in told["models"]:
        inside = Path(model["folder"])
        if inside.is_relative_to(folder / "models"):
            label = (
                model["name"]
                if f"{model['name']}/MLmodel" not in files
                else f"{model['name']}-{model['model_id']}"
            )
            files |= {f"{label}/{path.relative_to(inside).as_posix()}": path for path in _files(inside)}
    record_file = files.pop(mapping.RECORD, None)
    kept = [(name, *ws.blobs.put(path)) for name, path in sorted(files.items())]
    ours = _record(record_file)
    curves: dict[str, list[curve.Point]] = {}
    back = {plain: name for name, plain in ours.get("names", {}).items()}
    digest = hashlib.sha256()
    with (folder / "metrics.jsonl").open("rb") as file:
        for line in file:
            digest.update(line)
            name, step, at, value = json.loads(line)
            curves.setdefault(back.get(name, name), []).append((step, at / 1000, mapping.number(value)))
    for points in curves.values():
        points.sort(key=lambda point: (point[0], point[1]))
    what = {key: told[key] for key in ("status", "start", "end", "name", "params", "tags", "datasets")}
    digest.update(json.dumps([what, kept], sort_keys=True).encode())
    run = ours.get("id") or mapping.run_id(told["run_id"], told["start"])
    return _Material(told, run, ours, kept, curves, digest.hexdigest())


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(folder.resolve()):
            yield path


def _record(path: Path | None) -> dict[str, Any]:
    """Read what an exported run has beside it; what is not whole counts as not there."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found = json.loads(path.read_bytes()) if path is not None else {}
        if isinstance(found, dict) and ids.is_id(str(found.get("id"))):
            return {
                **found,
                "names": _texts(found.get("names")),
                "params": _texts(found.get("params")),
                "tags": _texts(found.get("tags")),
            }
    return {}


def _texts(found: object) -> dict[str, str]:
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _standing(ws: Workspace, material: _Material) -> str:
    if ws.ledger.row("SELECT 1 FROM runs WHERE id = ?", material.run) is None:
        return "added"
    row = ws.ledger.row("SELECT text FROM tags WHERE run = ? AND name = ?", material.run, _FINGERPRINT)
    # One that is here without the tag was made here and exported: it is what it is.
    return "same" if row is None or row["text"].split()[-1] == material.fingerprint else "updated"


def _write(
    connection: sqlite3.Connection, material: _Material, found: Imported, revision: int, actor: str, *, new: bool
) -> None:  # fmt: skip
    told, ours, run = material.told, material.record, material.run
    start, end = (told["start"] or 0) / 1000, told["end"]
    started = float(ours.get("started_at") or start)
    ended = ours.get("ended_at") or (end / 1000 if end else None)
    if new:
        record.create(
            connection, run, kind=str(ours.get("kind") or mapping.KIND), name=found.name, job=None, at=started,
            origin=_origin(told, ours), revision=revision, actor=actor, state=found.state, parent=_there(connection, told["tags"].get("mlflow.parentRunId")),
            note=told["tags"].get("mlflow.note.content"),
        )  # fmt: skip
    else:
        for table in ("params", "metric_chunks", "latest_metrics"):
            connection.execute(f"DELETE FROM {table} WHERE run = ?", (run,))
    connection.execute(
        "UPDATE runs SET name = ?, state = ?, ended_at = ?, revision = ? WHERE id = ?",
        (found.name, found.state, ended, revision, run),
    )
    back = {plain: name for name, plain in ours.get("names", {}).items()}
    for name, value in told["params"].items():
        own = back.get(name, name)
        record.log_param(connection, run, own, _whole(value, ours.get("params", {}).get(own)))
    tags = {
        back.get(name, name): value for name, value in told["tags"].items() if not name.startswith("snapml.")
    }
    tags |= {name: value for name, value in ours.get("tags", {}).items() if name in tags}
    if ours:
        tags = {
            name: value
            for name, value in tags.items()
            if name in ours["tags"] or not name.startswith("mlflow.")
        }
    for index, item in enumerate(told["datasets"]):
        if item["source_type"] != "snapml":
            tags[f"mlflow.dataset.{index}"] = json.dumps(item)
    tags[_FINGERPRINT] = f"{told['run_id']} {material.fingerprint}"
    for name, value in tags.items():
        record.log_tag(connection, run, name, value)
    at = ended or started
    for name, blob, size in material.artifacts:
        record.log_artifact(connection, run, name, blob, size, at, folder=False)
    for name, points in material.curves.items():
        curve.append(connection, run, name, points)


def _whole(value: str, full: str | None) -> str:
    """Return the text that a value is the beginning of, where it was cut for MLflow."""
    return full if full is not None and full.startswith(value) else value


def _there(connection: sqlite3.Connection, identifier: str | None) -> str | None:
    """Return our id of a run that was imported; None where it was not."""
    if not identifier:
        return None
    found = connection.execute(
        "SELECT run FROM tags WHERE name = ? AND text >= ? AND text < ?",
        (_FINGERPRINT, f"{identifier} ", f"{identifier}!"),
    ).fetchone()
    return None if found is None else str(found[0])


def _origin(told: dict[str, Any], ours: dict[str, Any]) -> Origin:
    given = ours.get("origin")
    if isinstance(given, dict):
        with contextlib.suppress(TypeError):
            return Origin(**{name: given[name] for name in _ORIGIN if given.get(name) is not None})
    commit = told["tags"].get("mlflow.source.git.commit")
    return Origin(git_commit=commit if isinstance(commit, str) else None)
