"""A registered model of MLflow as a version of ours, with the run that made it."""

from typing import Any

from snapml_lab import ids
from snapml_lab.errors import ConflictError
from snapml_lab.flows.mlflow import incoming, mapping, models, talking
from snapml_lab.registry import versions
from snapml_lab.registry.versions import ModelVersion
from snapml_lab.workspace import Workspace


def take(
    ws: Workspace, uri: str, reference: str, *, name: str | None, python: str | None, trust: bool, actor: str
) -> ModelVersion:
    """Import a version; one that is here under that name is returned as it is.

    Args:
        ws: where to.
        uri: the store.
        reference: NAME, NAME@VERSION or NAME@ALIAS there.
        name: what to call it here; default: as there.
        python: the interpreter that has MLflow.
        trust: open a pickle.
        actor: who imports it.

    Raises:
        SnapmlError: there is no such store or model, or MLflow could not read it.
        ConflictError: it is of a kind that is not served here, or a pickle nobody trusts.
    """
    side = talking.interpreter(python)
    place, home = talking.located(uri, must_exist=True)
    called, _, wanted = reference.partition("@")
    which = {"version": wanted} if wanted.isdecimal() else {"alias": wanted} if wanted else {}
    with talking.conversation(side, place, home, "read_model", model=called, **which) as answers:
        told = next(iter(answers))
        run = _run(ws, uri, told, python=python, actor=actor)
        own = name or mapping.model_name(told["registered"])
        if (known := _known(ws, told, run, own)) is not None:
            return known
        made, note = models.candidate(ws, told, side, name=own, trust=trust)
        if made is None:
            raise ConflictError(
                note or "It is of no kind that is served here.",
                fix="Its files come with its run: snapml runs import",
            )
        list(answers)
    made = models.renamed(made, own, _note(told))
    with ws.ledger.write() as connection:
        models.register(connection, made, run, actor)
    found = _known(ws, told, run, own)
    assert found is not None
    return found


def _run(ws: Workspace, uri: str, told: dict[str, Any], *, python: str | None, actor: str) -> str | None:
    """Import the run that made it, without its models; None where there is none."""
    identifier = told.get("run_id")
    if not identifier:
        return None
    for found in incoming.take(
        ws, uri, experiment=None, run=identifier, python=python, trust=False, actor=actor, models_too=False
    ):
        if found.mlflow == identifier:
            return found.id
    return None


def _known(ws: Workspace, told: dict[str, Any], run: str | None, name: str) -> ModelVersion | None:
    mark = told.get("model_id") or told["name"]
    for row in ws.ledger.rows(
        "SELECT version FROM model_versions WHERE name = ? AND run IS ? ORDER BY version DESC", name, run
    ):
        found = versions.find(ws.ledger, f"{name}@{row['version']}")
        if found.evidence.get("mlflow_model") == mark or (
            run is not None and ids.is_id(run) and "mlflow_model" not in found.evidence
        ):
            return found
    return None


def _note(told: dict[str, Any]) -> str | None:
    words = [told.get("description") or ""]
    if told.get("aliases"):
        words.append(f"In MLflow it had the aliases {', '.join(told['aliases'])}.")
    return "\n".join(word for word in words if word) or None
