"""A model MLflow keeps, as a version of ours: scikit-learn's by skops, ONNX as it is, pickles only where they are trusted."""

import json
import sqlite3
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snapml_lab import clock
from snapml_lab.errors import MissingExtraError, SnapmlError, UnsafeFileError
from snapml_lab.flows import registering
from snapml_lab.flows.mlflow import mapping
from snapml_lab.registry import examples, formats, limited, model_file, versions
from snapml_lab.workspace import Workspace

_FIELDS = ("name", "task", "format", "signature", "evidence", "base")


@dataclass(frozen=True)
class Candidate:
    """A model whose file is kept, to be registered."""

    name: str
    blob: str
    size: int
    format: str
    task: str
    signature: dict[str, Any]
    evidence: dict[str, Any]
    base: str | None = None
    example: str | None = None
    note: str | None = None


def candidate(
    ws: Workspace, model: dict[str, Any], side: str, *, name: str, trust: bool
) -> tuple[Candidate | None, str | None]:
    """Keep a model's file and say what it is; where it cannot be a version, None and why. Its files are artifacts anyway."""
    folder = Path(model["folder"])
    called = model["name"]
    try:
        if (made := _ours(ws, folder, model)) is not None:
            return made, None
        source, kind = _file(folder, model)
        if source is None:
            flavors = ", ".join(sorted(set(model.get("flavors", {})) - {"python_function"})) or "unknown"
            return None, f"The model {called} ({flavors}) is kept as files: no form of it is served here."
        with tempfile.TemporaryDirectory(prefix="snapml-model-") as place:
            if kind == "pickle":
                if not trust:
                    return (
                        None,
                        f"The model {called} is a pickle, which can run code when opened: kept as files. Trust it: --trust",
                    )
                source, kind = _converted(source, Path(place) / "model.skops", side), "skops"
            example = _example(folder, model)
            ready = registering.classic(source, kind, None, registering.Wish(name=name, example=example))
            blob, size = ws.blobs.put(source)
    except (UnsafeFileError, MissingExtraError) as error:
        return None, f"The model {called} is kept as files: {error}"
    signature = _typed(ready.signature, mapping.types(_read_inputs(model)))
    evidence = {**ready.evidence, "mlflow_model": model.get("model_id", called)}
    kept = None if ready.example is None else examples.keep(ws, ready.example)
    return Candidate(name, blob, size, kind, ready.task, signature, evidence, example=kept), None


def register(connection: sqlite3.Connection, made: Candidate, run: str | None, actor: str) -> None:
    """Add a candidate as a version, inside a transaction."""
    fields = {
        name: getattr(made, name)
        for name in ("name", "blob", "size", "format", "task", "signature", "evidence", "base", "example")
    }
    versions.register(connection, run=run, at=clock.now(), actor=actor, **fields)
    if made.note:
        connection.execute(
            "UPDATE model_versions SET note = coalesce(note, ?) WHERE name = ? AND run IS ? AND blob = ?",
            (made.note, made.name, run, made.blob),
        )


def _ours(ws: Workspace, folder: Path, model: dict[str, Any]) -> Candidate | None:
    """Return a model that was exported from here as it was, from what lies beside it; None where nothing of that does."""
    for place in (folder, folder / "artifacts"):
        about, file = place / mapping.ABOUT, next(iter(sorted(place.glob("model.*ns*"))), None)
        file = place / "model.skops" if (place / "model.skops").is_file() else place / "model.onnx"
        if not (about.is_file() and file.is_file()):
            continue
        try:
            told = json.loads(about.read_bytes())
            fields = {name: told[name] for name in _FIELDS}
            versions.check_name(fields["name"])
        except (ValueError, KeyError, TypeError, SnapmlError):
            return None
        opened = model_file.load(file, fields["format"])
        assert opened is not None
        blob, size = ws.blobs.put(file)
        example = None
        if isinstance(told.get("example"), dict):
            example = ws.blobs.put(
                json.dumps(told["example"], ensure_ascii=False, separators=(",", ":")).encode()
            )[0]
        evidence = {**fields["evidence"], "mlflow_model": model.get("model_id", model["name"])}
        return Candidate(
            **{**fields, "evidence": evidence}, blob=blob, size=size, example=example, note=told.get("note")
        )
    return None


def _file(folder: Path, model: dict[str, Any]) -> tuple[Path | None, str]:
    flavors = model.get("flavors", {})
    for flavor, key in (("sklearn", "pickled_model"), ("onnx", "data")):
        named = flavors.get(flavor, {}).get(key)
        if not isinstance(named, str):
            continue
        path = (folder / named).resolve()
        if path.is_relative_to(folder.resolve()) and path.is_file():
            return path, formats.recognise(path).format
    return None, ""


def _converted(source: Path, target: Path, side: str) -> Path:
    """Write a pickle as skops, by the interpreter that has MLflow where it can, else by ours."""
    try:
        limited.convert(source, target, python=side)
    except UnsafeFileError as error:
        if "No module named" not in error.message:
            raise
        limited.convert(source, target)
    return target


def _example(folder: Path, model: dict[str, Any]) -> Any:
    """Return the example input MLflow keeps with a model, where it is a table."""
    named = model.get("example")
    if not isinstance(named, str) or not (folder / named).resolve().is_relative_to(folder.resolve()):
        return None
    import pandas as pd

    try:
        found = json.loads((folder / named).read_bytes())
        frame = pd.DataFrame(found["data"], columns=found["columns"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    known = {name: kind for name, kind in mapping.types(_read_inputs(model)).items() if name in frame.columns}
    return frame.astype(known) if known else frame


def _read_inputs(model: dict[str, Any]) -> Any:
    try:
        return json.loads(model.get("inputs") or "[]")
    except (ValueError, TypeError):
        return []


def _typed(signature: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    """Fill in the types of columns from MLflow's signature, where an example did not tell them."""
    types = {
        name: known.get(name, kind) if kind == "any" else kind for name, kind in signature["types"].items()
    }
    numeric = [name for name, kind in types.items() if kind.startswith(("int", "uint", "float"))]
    times = [name for name, kind in types.items() if kind.startswith("datetime64")]
    rest = [name for name in types if name not in numeric and name not in times]
    return {**signature, "types": types, "numeric": numeric, "times": times, "categorical": rest}


def renamed(made: Candidate, name: str, note: str | None) -> Candidate:
    """Return the same under another name, with a note."""
    return replace(made, name=name, note=made.note or note)
