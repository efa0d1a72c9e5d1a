"""Model cards, made from the record alone: what is not recorded is said to be so, and nothing is invented.

The headings follow Mitchell et al., "Model Cards for Model Reporting", FAT* 2019 (arXiv:1810.03993), as far as a ledger
can know: intended use and ethics are for the person's own note.
"""

import json
from typing import Any

from snapml_lab import clock
from snapml_lab.errors import NotFoundError
from snapml_lab.governance import promotions
from snapml_lab.registry import lineage, standing
from snapml_lab.registry.card_view import Card, Measured, Row, Section
from snapml_lab.registry.versions import ModelVersion
from snapml_lab.tracking import runs
from snapml_lab.tracking.runs import Run
from snapml_lab.workspace import Workspace

_SHOWN_PARAMS = 60
_SHOWN_EVALS = 10
_SHOWN_PROMOTIONS = 50
_SHOWN_CELLS = 200
_TOLD = frozenset({
    "metric", "rows", "score", "low", "high", "baseline", "improvement", "improvement_low", "improvement_high", "p_value",
    "could_be_chance", "libraries", "params", "dataset",
})  # fmt: skip
"""Fields of evidence that have a line of their own, or are told elsewhere."""


def card(ws: Workspace, model: ModelVersion) -> Card:
    """Make the card of a version."""
    run = _run(ws, model)
    sections = [
        _about(model),
        _signature(ws, model),
        _data(ws, model, run),
        _evidence(model),
        _evals(ws, model),
        _origin(ws, model, run),
        _params(model, run),
        _standing(ws, model),
    ]
    return Card(
        reference=model.reference, summary=_summary(model), note=model.note,
        sections=[section for section in sections if section is not None],
        limits=_limits(ws, model, run), measured=_measured(model),
    )  # fmt: skip


def _run(ws: Workspace, model: ModelVersion) -> Run | None:
    try:
        return runs.get(ws.ledger, model.run) if model.run else None
    except NotFoundError:
        return None


def _summary(model: ModelVersion) -> str:
    kind = {
        "skops": "scikit-learn model",
        "onnx": "ONNX model",
        "peft": "adapter",
        "safetensors": "language model",
    }
    does = (
        f"predicts {model.signature['target']} ({model.task})"
        if model.signature.get("target")
        else model.task
    )
    return f"A {kind.get(model.format, model.format + ' model')}: {does}. Made {clock.iso(model.created_at)[:19]}Z by {model.actor or 'unknown'}."


def _about(model: ModelVersion) -> Section:
    rows = [
        Row(name="name", value=model.name), Row(name="version", value=str(model.version)),
        Row(name="task", value=model.task), Row(name="format", value=model.format),
        Row(name="size", value=f"{model.size / 1024:,.0f} KiB"), Row(name="content", value=f"sha256 {model.blob}"),
        Row(name="made", value=clock.iso(model.created_at)), Row(name="by", value=model.actor or "unknown"),
    ]  # fmt: skip
    if model.base:
        rows.append(Row(name="base", value=model.base))
    if merged := model.evidence.get("merged_from"):
        rows.append(Row(name="merged from", value=str(merged)))
    return Section(title="Model", rows=rows)


def _signature(ws: Workspace, model: ModelVersion) -> Section | None:
    signature = model.signature
    rows = [
        Row(name=label, value=", ".join(map(str, signature[key])))
        for key, label in (
            ("numeric", "numbers"),
            ("times", "instants"),
            ("categorical", "categories"),
            ("inputs", "inputs"),
        )
        if signature.get(key)
    ]
    rows += [
        Row(name=f"left out: {name}", value=str(why)) for name, why in signature.get("left_out", {}).items()
    ]
    if signature.get("target"):
        rows.append(Row(name="predicts", value=str(signature["target"])))
    if signature.get("classes"):
        rows.append(Row(name="classes", value=", ".join(map(str, signature["classes"]))))
    if model.example:
        rows.append(Row(name="example", value=_example(ws, model.example)))
    return Section(title="Reads and predicts", rows=rows) if rows else None


def _example(ws: Workspace, sha256: str) -> str:
    """Return the first row of an example, as far as it is short."""
    try:
        example = json.loads(ws.blobs.verified(sha256))
        first = dict(zip(example["columns"], example["data"][0], strict=True))
    except (NotFoundError, ValueError, KeyError, IndexError, TypeError):
        return f"sha256 {sha256}"
    told = ", ".join(f"{name}={value}" for name, value in first.items())
    return told if len(told) <= _SHOWN_CELLS else told[:_SHOWN_CELLS] + "…"


def _data(ws: Workspace, model: ModelVersion, run: Run | None) -> Section | None:
    if run is None or run.dataset is None:
        named = model.evidence.get("dataset")
        return Section(title="Training data", rows=[Row(name="dataset", value=str(named))]) if named else None
    known = lineage.dataset_name(ws, run.dataset)
    rows = [Row(name="dataset", value=known[0]), Row(name="rows", value=f"{known[1]:,}")] if known else []
    rows += [
        Row(name=label, value=run.params[key])
        for key, label in (("held_out_rows", "held-out rows"), ("folds", "folds"), ("records", "records"),
                           ("held_out_records", "held-out records"), ("target", "target"))
        if key in run.params
    ]  # fmt: skip
    return Section(title="Training data", rows=[*rows, Row(name="content", value=f"sha256 {run.dataset}")])


def _measured(model: ModelVersion) -> Measured | None:
    evidence = model.evidence
    if not all(_number(evidence.get(name)) for name in ("score", "low", "high")):
        return None
    baseline = evidence.get("baseline")
    return Measured(
        metric=str(evidence.get("metric", "score")), score=float(evidence["score"]), low=float(evidence["low"]),
        high=float(evidence["high"]), baseline=float(baseline) if isinstance(baseline, int | float) else None,
    )  # fmt: skip


def _evidence(model: ModelVersion) -> Section | None:
    evidence = model.evidence
    rows = []
    if (measured := _measured(model)) is not None:
        on = f" on {evidence['rows']} held-out rows" if evidence.get("rows") else ""
        rows.append(
            Row(
                name=measured.metric,
                value=f"{measured.score:.4f}, 95% interval [{measured.low:.4f}, {measured.high:.4f}]{on}",
            )
        )
        if measured.baseline is not None:
            rows.append(Row(name="baseline", value=f"{measured.baseline:.4f} on the same rows"))
    if all(
        _number(evidence.get(name))
        for name in ("improvement", "improvement_low", "improvement_high", "p_value")
    ):
        chance = "could be chance" if evidence.get("could_be_chance") else "not chance"
        rows.append(
            Row(
                name="better by",
                value=f"{evidence['improvement']:.4f} [{evidence['improvement_low']:.4f}, {evidence['improvement_high']:.4f}], "
                f"p = {evidence['p_value']:.3g}: {chance}",
            )
        )
    rows += [
        Row(name=name.replace("_", " "), value=f"{value:.6g}" if isinstance(value, float) else str(value))
        for name, value in evidence.items()
        if name not in _TOLD and not isinstance(value, dict | list) and value is not None
    ]
    return Section(title="Evidence", rows=rows) if rows else None


def _evals(ws: Workspace, model: ModelVersion) -> Section | None:
    rows = []
    for run in lineage.evaluations(ws, model)[:_SHOWN_EVALS]:
        share = run.metrics.get("exact_match")
        low, high = run.metrics.get("exact_match_low"), run.metrics.get("exact_match_high")
        told = "no score" if share is None else f"exact match {share:.4f}"
        if low is not None and high is not None:
            told += f", 95% interval [{low:.4f}, {high:.4f}]"
        data = run.params.get("data", "")
        rows.append(
            Row(
                name=run.name,
                value=f"{told} on {run.params.get('records', '?')} records of {data}, run {run.id[-6:]}",
            )
        )
    return Section(title="Evaluations", rows=rows) if rows else None


def _origin(ws: Workspace, model: ModelVersion, run: Run | None) -> Section | None:
    if run is None:
        return None
    took = f", took {clock.human(run.ended_at - run.started_at)}" if run.ended_at else ""
    rows = [
        Row(name="run", value=f"{run.name} ({run.kind}, {run.state}), {run.id}"),
        Row(name="started", value=f"{clock.iso(run.started_at)}{took}"),
    ]
    fields = {
        "job": run.job,
        "part of": run.parent,
        "notebook": run.notebook,
        "cell": run.cell_id,
        "git commit": run.git_commit,
    }
    rows += [Row(name=name, value=value) for name, value in fields.items() if value]
    if run.execution_count is not None:
        rows.append(Row(name="execution", value=f"[{run.execution_count}]"))
    if run.environment:
        found = ws.ledger.row("SELECT python FROM environments WHERE sha256 = ?", run.environment)
        python = f"Python {found['python']}, " if found else ""
        rows.append(Row(name="environment", value=f"{python}lock {run.environment}"))
    libraries = model.evidence.get("libraries")
    if isinstance(libraries, dict) and libraries:
        rows.append(
            Row(name="libraries", value=", ".join(f"{name} {version}" for name, version in libraries.items()))
        )
    return Section(title="Run", rows=rows)


def _params(model: ModelVersion, run: Run | None) -> Section | None:
    chosen = model.evidence.get("params")
    params: dict[str, Any] = {**(run.params if run else {}), **(chosen if isinstance(chosen, dict) else {})}
    shown = {name: value for name, value in sorted(params.items()) if not name.startswith("snapml.")}
    rows = [
        Row(name=name, value=str(value)[:_SHOWN_CELLS]) for name, value in list(shown.items())[:_SHOWN_PARAMS]
    ]
    if len(shown) > _SHOWN_PARAMS:
        rows.append(Row(name="…", value=f"{len(shown) - _SHOWN_PARAMS} more are in the run"))
    return Section(title="Parameters", rows=rows) if rows else None


def _standing(ws: Workspace, model: ModelVersion) -> Section:
    on = standing.aliases(ws.ledger, [model]).get((model.name, model.version), [])
    rows = [Row(name="aliases", value=", ".join(on) or "none")]
    asked = promotions.latest(
        ws.ledger, of=f"{standing.KIND}:{model.reference}", state=None, limit=_SHOWN_PROMOTIONS
    )
    for item in reversed(asked):
        told = f"{item.actor} asked for {item.target}, {item.state}"
        rows.append(Row(name=clock.iso(item.at)[:19], value=_commented(told, item.comment)))
        rows += [
            Row(
                name=clock.iso(word.at)[:19],
                value=_commented(f"{word.actor} ({word.role}): {word.decision}", word.comment),
            )
            for word in item.decisions
        ]
    return Section(title="Aliases and approvals", rows=rows)


def _commented(told: str, comment: str) -> str:
    return f"{told}: {comment}" if comment else told


def _limits(ws: Workspace, model: ModelVersion, run: Run | None) -> list[str]:
    """Say what the record does not hold, or holds against the model."""
    found = []
    measured = _measured(model)
    if measured is None and not lineage.evaluations(ws, model):
        found.append("There is no evidence with an interval from data it was not made with.")
    if measured is not None and measured.low == measured.high:
        found.append(
            "Its interval has no width, for its held-out rows are all alike: so few rows cannot tell that."
        )
    if model.evidence.get("could_be_chance"):
        found.append("Its improvement over the baseline could be chance.")
    if model.format in ("skops", "onnx") and model.example is None:
        found.append("No example input is kept with it.")
    if "any" in model.signature.get("types", {}).values():
        found.append("The types of its columns are not known.")
    if run is None:
        return [*found, "It is of no run: data, code and environment are not known."]
    return [*found, *_limits_of(run)]


def _limits_of(run: Run) -> list[str]:
    found = []
    if run.out_of_order:
        found.append("A cell had been edited or run again, or cells were run out of order, when it was made.")
    if run.git_commit and run.git_commit.endswith("-dirty"):
        kept = "; the difference is kept." if run.git_diff else "."
        found.append(f"Tracked files differed from the git commit{kept}")
    origin = {
        "notebook": run.notebook, "git commit": run.git_commit, "environment": run.environment, "data": run.dataset,
    }  # fmt: skip
    if missing := [name for name, value in origin.items() if not value]:
        found.append(f"Not recorded: {', '.join(missing)}.")
    if run.state != "succeeded":
        found.append(f"Its run is {run.state}.")
    if run.deleted_at:
        found.append("Its run was deleted.")
    return found


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
