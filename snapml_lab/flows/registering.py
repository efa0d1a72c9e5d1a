"""Bringing a model a person has into the registry: a fitted estimator, a file, or a folder; with its signature and example."""

import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snapml_lab import clock, ids
from snapml_lab.errors import (
    InvalidInputError,
    MissingExtraError,
    NotFoundError,
    SnapmlError,
    UnsafeFileError,
)
from snapml_lab.finetune import base as bases
from snapml_lab.flows import measuring
from snapml_lab.registry import estimators, examples, formats, limited, model_file, onnx_file, versions
from snapml_lab.registry.signature import Signature
from snapml_lab.registry.versions import ModelVersion
from snapml_lab.store.ledger import bump
from snapml_lab.tracking import record
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

KIND = "add"
"""Of the run that stands for a model that was brought without one."""
_OF_BASE = (
    "config.json",
    "generation_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
)
"""What an engine asks an adapter's folder for, copied from its base where it lacks them."""


@dataclass(frozen=True)
class Wish:
    """What a person says of the model.

    Attributes:
        name: what to call it.
        example: rows it reads (a table or an array); None where there are none.
        held_out: rows it was not made with, with the column ``target``, to measure it on.
        target: what it predicts.
        classes: its classes in its order, where the file cannot say them (ONNX).
        base: what an adapter is trained on.
        run: the run that made it.
        note: what to say of it.
        trust: open a pickle, which can run code.
        python: the interpreter to open a pickle with.
    """

    name: str
    example: Any = None
    held_out: Any = None
    target: str = "prediction"
    classes: tuple[str, ...] = ()
    base: str | None = None
    run: str | None = None
    note: str | None = None
    trust: bool = False
    python: str | None = None


@dataclass(frozen=True)
class Ready:
    """A model as it will be kept: a file or folder, and what is said of it."""

    path: Path
    format: str
    task: str
    signature: dict[str, Any]
    evidence: dict[str, Any]
    base: str | None = None
    example: Any = None


def add(ws: Workspace, model: object, wish: Wish, *, actor: str, origin: Origin) -> ModelVersion:
    """Keep a model as the next version of ``wish.name``; the same file again, of no other run, is the version there is.

    Args:
        ws: where to.
        model: a fitted estimator, or the path of a file or folder.
        wish: what the person says of it.
        actor: who adds it.
        origin: where from, for the run that stands for it where it has none.

    Raises:
        InvalidInputError: it is no model, is not fitted, or does not fit the example.
        UnsafeFileError: opening it could run code.
    """
    versions.check_name(wish.name)
    with tempfile.TemporaryDirectory(prefix="snapml-model-") as folder:
        if isinstance(model, Path):
            ready = _of_path(ws, model, wish, Path(folder))
        else:
            ready = _of_estimator(model, wish, Path(folder))
        blob, size = ws.blobs.put_folder(ready.path) if ready.path.is_dir() else ws.blobs.put(ready.path)
    example = None if ready.example is None else examples.keep(ws, ready.example)
    return _register(ws, ready, wish, blob, size, example, actor, origin)


def _register(
    ws: Workspace,
    ready: Ready,
    wish: Wish,
    blob: str,
    size: int,
    example: str | None,
    actor: str,
    origin: Origin,
) -> ModelVersion:
    at = clock.now()
    with ws.ledger.write() as connection:
        known = connection.execute(
            "SELECT version FROM model_versions WHERE name = ? AND blob = ? AND (? IS NULL OR run = ?) ORDER BY version DESC",
            (wish.name, blob, wish.run, wish.run),
        ).fetchone()
        if known is None:
            run = wish.run
            if run is None:
                run = ids.new()
                record.create(
                    connection, run, kind=KIND, name=wish.name, job=None, at=at, origin=origin, revision=bump(connection),
                    actor=actor, state="succeeded",
                )  # fmt: skip
                connection.execute("UPDATE runs SET ended_at = ? WHERE id = ?", (at, run))
            versions.register(
                connection, name=wish.name, run=run, blob=blob, size=size, format=ready.format, task=ready.task,
                signature=ready.signature, evidence=ready.evidence, at=at, actor=actor, base=ready.base, example=example,
            )  # fmt: skip
            if wish.note:
                connection.execute("UPDATE model_versions SET note = ? WHERE name = ? AND run = ? AND blob = ?",
                                   (wish.note, wish.name, run, blob))  # fmt: skip
    number = "" if known is None else f"@{known['version']}"
    return versions.find(ws.ledger, f"{wish.name}{number}")


def _of_estimator(model: Any, wish: Wish, folder: Path) -> Ready:
    _need("sklearn", "skops")
    if not estimators.is_estimator(model):
        raise InvalidInputError.of(
            "model", type(model).__name__, "a fitted scikit-learn model, or a file or folder"
        )
    path = folder / "model.skops"
    model_file.save(model, path)
    return classic(path, "skops", model, wish)


def _of_path(ws: Workspace, path: Path, wish: Wish, folder: Path) -> Ready:
    found = formats.recognise(path)
    match found.format:
        case "pickle":
            if not wish.trust:
                raise UnsafeFileError(
                    f"{path.name} is a pickle, which can run code when opened; it was not opened.",
                    fix="Add the fitted model itself, or a skops or ONNX file; or trust this one: --trust",
                )
            _need("sklearn", "skops")
            made = folder / "model.skops"
            limited.convert(path, made, **({"python": wish.python} if wish.python else {}))
            return classic(made, "skops", None, wish)
        case "skops" | "onnx":
            return classic(path, found.format, None, wish)
        case _:
            return _language(ws, path, found, wish, folder)


def classic(path: Path, kind: str, model: Any, wish: Wish) -> Ready:
    """Make ready a model of rows. What is kept is opened and asked again: it must answer as what was given."""
    example = None if wish.example is None else examples.table(wish.example)
    opened = model_file.load(path, kind)
    if kind == "onnx":
        names = None if example is None else list(example.columns)
        signature, task = _of_onnx(opened, names, wish)
        libraries = onnx_file.libraries()
    else:
        signature, task = estimators.sign(opened if model is None else model, example, wish.target)
        libraries = model_file.libraries()
    if example is not None:
        example = example[signature.columns].head(examples.ROWS)
        said = model_file.predict(opened, example, signature)
        if model is not None and not _same(said, model_file.predict(model, example, signature)):
            raise UnsafeFileError(
                f"What was kept of {type(model).__name__} does not answer as the model does.",
                fix="Use scikit-learn's own types alone, or bring the model as ONNX.",
            )
    evidence: dict[str, Any] = {"libraries": libraries}
    if wish.held_out is not None:
        table = examples.table(wish.held_out)
        evidence = {**measuring.held_out(opened, table, signature, task), **evidence}
    return Ready(path, kind, task, json.loads(json.dumps(signature.as_dict())), evidence, None, example)


def _same(said: tuple[list[Any], list[float] | None], other: tuple[list[Any], list[float] | None]) -> bool:
    """Say whether two answers are the same but for the last bits, which threads may round in another order."""
    import numpy as np

    if isinstance(said[0][0], str):
        alike = said[0] == other[0]
    else:
        alike = bool(np.allclose(said[0], other[0], rtol=1e-6, equal_nan=True))
    return alike and (said[1] is None or bool(np.allclose(said[1], other[1] or [], rtol=1e-6)))


def _of_onnx(opened: Any, names: list[str] | None, wish: Wish) -> tuple[Signature, str]:
    if names is not None and wish.target in names:
        names = [name for name in names if name != wish.target]
    signature = onnx_file.sign(opened, names, wish.target)
    if not hasattr(opened, "predict_proba") and not wish.classes:
        return signature, "regression"
    classes = list(wish.classes)
    if not classes:
        opened.predict_proba(_zeros(signature))
        classes = [str(kind) for kind in opened.classes_]
    return replace(signature, classes=classes), "binary" if len(classes) == 2 else "multiclass"


def _zeros(signature: Signature) -> Any:
    import pandas as pd

    return pd.DataFrame({name: ["" if signature.types[name] == "object" else 0] for name in signature.order})


def _language(ws: Workspace, path: Path, found: formats.Found, wish: Wish, folder: Path) -> Ready:
    """Make ready a folder of transformers: what could run code is left out, and an adapter gets what engines ask for."""
    staged = folder / "model"
    left = {path / name for name in found.left_out}
    shutil.copytree(
        path,
        staged,
        ignore=lambda at, names: [n for n in names if Path(at, n) in left or Path(at, n).is_symlink()],
    )
    evidence: dict[str, Any] = {"left_out": ", ".join(found.left_out)} if found.left_out else {}
    if found.format == "safetensors":
        chat = found.architecture is None or "CausalLM" in found.architecture
        signature = {"architecture": found.architecture} if found.architecture else {}
        return Ready(staged, "safetensors", "chat" if chat else "other", signature, evidence)
    named = wish.base or found.base
    if not named:
        raise InvalidInputError.of(
            "base", named, "what the adapter is trained on: a model version, a folder or a hub's id"
        )
    base = _resolved(ws, named, must=wish.base is not None)
    _complete(staged, base)
    reference = _version_of(ws, named)
    return Ready(
        staged,
        "peft",
        "chat",
        {"base": base, **({"rank": found.rank} if found.rank else {})},
        evidence,
        reference or base,
    )


def _resolved(ws: Workspace, named: str, *, must: bool) -> str:
    try:
        return bases.resolve(ws, named)
    except SnapmlError:
        if must:
            raise
        return named


def _version_of(ws: Workspace, named: str) -> str | None:
    try:
        return versions.find(ws.ledger, named).reference
    except (NotFoundError, InvalidInputError):
        return None


def _complete(staged: Path, base: str) -> None:
    config = staged / "adapter_config.json"
    fields = json.loads(config.read_bytes())
    config.write_text(json.dumps({**fields, "base_model_name_or_path": base}, indent=2), "utf-8")
    folder = Path(base)
    if not folder.is_dir():
        return
    for pattern in _OF_BASE:
        for item in folder.glob(pattern):
            if item.is_file() and not (staged / item.name).exists() and item.suffix not in formats.PICKLED:
                shutil.copyfile(item, staged / item.name)


def _need(*modules: str) -> None:
    import importlib.util

    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError.of(module, "automl")
