"""Model versions in the ledger. Standard library only: the job shim registers what a payload leaves."""

import json
import os
import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from snapml_lab import ids
from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.registry import aliases
from snapml_lab.store.ledger import Ledger, bump
from snapml_lab.tracking.shell import SCRATCH

_MOST = 2**63 - 1
"""The greatest whole number of SQLite."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class ModelVersion:
    """One version of a named model.

    Attributes:
        blob: SHA-256 of its file.
        size: bytes of its file.
        format: how the file is written (``skops``).
        task: what it predicts (``binary``, ``multiclass``, ``regression``).
        signature: input columns and the target.
        evidence: the figures it was chosen by.
        created_at: seconds since the epoch.
        actor: who made it.
        base: what an adapter was trained on: a model version, a folder or a hub's id.
        example: SHA-256 of an example input (a blob), if there is one.
        note: what a person says of it.
    """

    id: str
    name: str
    version: int
    run: str | None
    blob: str
    size: int
    format: str
    task: str
    signature: dict[str, Any]
    evidence: dict[str, Any]
    created_at: float
    actor: str = ""
    base: str | None = None
    example: str | None = None
    note: str | None = None

    @property
    def reference(self) -> str:
        """``name@version``: what a command takes."""
        return f"{self.name}@{self.version}"


AGAIN = "-reproduced"
"""What the names of models end with that are made again: they are not the next version of what is served."""


def made_again(name: str) -> str:
    """Return what a model is called when its run is made again."""
    return name if name.endswith(AGAIN) else name[: 100 - len(AGAIN)] + AGAIN


def check_name(name: str) -> str:
    """Return ``name`` if it can name a model; where a run is made again, the name of that.

    Raises:
        InvalidInputError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError.of(
            "name", name, "letters, digits, '.', '_' and '-', at most 100, a letter or digit first"
        )
    return made_again(name) if SCRATCH in os.environ else name


def register(
    connection: sqlite3.Connection, *, name: str, run: str | None, blob: str, size: int, format: str, task: str,  # noqa: A002
    signature: dict[str, Any], evidence: dict[str, Any], at: float, actor: str | None = None, base: str | None = None,
    example: str | None = None,
) -> None:  # fmt: skip
    """Add the next version of ``name``; the same file of the same run is added once. An adapter's base is in its signature."""
    known = "SELECT 1 FROM model_versions WHERE name = ? AND run IS ? AND blob = ?"
    if connection.execute(known, (name, run, blob)).fetchone():
        return
    if base is None and format == "peft":
        base = signature.get("base")
    connection.execute(
        "INSERT INTO model_versions (id, name, version, run, blob, size, format, task, signature, evidence, created_at,"
        " revision, actor, base, example)"
        " SELECT ?, ?, coalesce(max(version), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " coalesce(?, (SELECT actor FROM runs WHERE id = ?), ''), ?, ? FROM model_versions WHERE name = ?",
        (ids.new(), name, run, blob, size, format, task, json.dumps(signature), json.dumps(evidence), at,
         bump(connection), actor, run, base, example, name),
    )  # fmt: skip


def find(ledger: Ledger, reference: str) -> ModelVersion:
    """Return ``name`` (its latest version), ``name@version`` or ``name@alias``.

    Raises:
        NotFoundError: there is none; the message offers what there is.
        InvalidInputError: the version is neither a number nor an alias of the model.
    """
    name, at, version = reference.partition("@")
    if at and not version.isdecimal():
        version = aliases.version(ledger, "model", name, version) or ""
        if not version:
            raise InvalidInputError.of(
                "model", reference, "NAME, NAME@VERSION with a whole number, or NAME@ALIAS that stands for one",
                f"Its aliases: {', '.join(row['alias'] for row in aliases.of(ledger, 'model', name)) or 'none yet'}.",
            )  # fmt: skip
    row = ledger.row(
        "SELECT * FROM model_versions WHERE name = ? AND (? OR version = ?) ORDER BY version DESC LIMIT 1",
        name, not at, min(int(version or 0), _MOST),
    )  # fmt: skip
    if row is None:
        known = [
            item["name"]
            for item in ledger.rows("SELECT DISTINCT name FROM model_versions ORDER BY name LIMIT 8")
        ]
        fix = (
            f"Known models: {', '.join(known)}." if known else "Make one: %snapml automl DATA --target COLUMN"
        )
        raise NotFoundError(f"There is no model {reference!r}.", fix=fix)
    return _of(row)


def of_run(ledger: Ledger, run: str) -> list[ModelVersion]:
    """Return the versions a run made."""
    return [
        _of(row) for row in ledger.rows("SELECT * FROM model_versions WHERE run = ? ORDER BY version", run)
    ]


def latest(
    ledger: Ledger, limit: int, *, text: str = "", task: str | None = None, alias: str | None = None
) -> list[ModelVersion]:
    """Return the newest versions of all models, newest first.

    Args:
        ledger: where they are.
        limit: how many at most.
        text: only those whose name has it in it, whatever the case.
        task: only those of this task.
        alias: only those this alias is on.
    """
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = ledger.rows(
        "SELECT * FROM model_versions WHERE name LIKE ? ESCAPE '\\' AND (? IS NULL OR task = ?) AND (? IS NULL OR"
        " EXISTS (SELECT 1 FROM aliases WHERE kind = 'model' AND aliases.name = model_versions.name AND alias = ?"
        " AND aliases.version = CAST(model_versions.version AS TEXT))) ORDER BY id DESC LIMIT ?",
        f"%{escaped}%", task, task, alias, alias, limit,
    )  # fmt: skip
    return [_of(row) for row in rows]


def describe(ledger: Ledger, model: ModelVersion, note: str | None) -> None:
    """Say of a version what a person says of it; None takes it back."""
    with ledger.write() as connection:
        connection.execute(
            "UPDATE model_versions SET note = ?, revision = ? WHERE id = ?",
            (note, bump(connection), model.id),
        )


def _of(row: sqlite3.Row) -> ModelVersion:
    fields = {name: row[name] for name in ModelVersion.__dataclass_fields__}
    return ModelVersion(
        **{**fields, "signature": json.loads(row["signature"]), "evidence": json.loads(row["evidence"])}
    )
