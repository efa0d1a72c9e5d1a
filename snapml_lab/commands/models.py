"""Commands about model versions."""

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from snapml_lab import clock
from snapml_lab.commands.core import Call, command
from snapml_lab.commands.types import Data, FilePath, Limit, ModelRef, ModelSource, Rows, RunId
from snapml_lab.data import tables
from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.governance.roles import Effect
from snapml_lab.registry import cards, lineage, standing, versions
from snapml_lab.registry.card_view import Card
from snapml_lab.store.files import replace
from snapml_lab.tracking import provenance, recorder, runs
from snapml_lab.views.base import View
from snapml_lab.views.graphs import Arrow, Box, Graph
from snapml_lab.views.pages import page
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

_LONGEST_NOTE = 10_000


class ModelView(View):
    """A model version: what it reads, what it was chosen by, and the run that made it. ``size`` is in bytes.

    ``stage`` is the state of its newest promotion, ``registered`` where there is none; ``notebook`` and ``cell_id`` are
    those of its run.
    """

    id: str
    name: str
    version: int
    aliases: list[str]
    stage: str
    run: str | None
    run_name: str | None
    notebook: str | None
    cell_id: str | None
    blob: str
    size: int
    format: str
    task: str
    signature: dict[str, Any]
    evidence: dict[str, Any]
    created_at: str
    actor: str
    base: str | None
    example: str | None
    note: str | None

    @property
    def reference(self) -> str:
        """``name@version``: what a command takes."""
        return f"{self.name}@{self.version}"

    def text(self) -> str:
        """A line a field."""
        columns = [
            *self.signature.get("numeric", []),
            *self.signature.get("times", []),
            *self.signature.get("categorical", []),
        ]
        by = f" by {self.actor}" if self.actor else ""
        fields = {
            "made": f"{self.created_at}{by}" + (f", run {self.run_name or ''} {self.run[-6:]}" if self.run else ""),
            "aliases": ", ".join(self.aliases), "stage": self.stage, "notebook": self.notebook, "cell": self.cell_id,
            "base": self.base, "reads": ", ".join(columns), "predicts": self.signature.get("target"),
            "content": self.blob, "example": self.example, "note": self.note,
        }  # fmt: skip
        lines = [f"{self.reference}: {self.task}, {self.format}, {self.size / 1024:.0f} KiB"]
        lines += [f"  {name:<12} {value}" for name, value in fields.items() if value]
        lines += [f"  evidence  {name} = {value}" for name, value in self.evidence.items()]
        return "\n".join(lines)

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        score, low, high = (self.evidence.get(name) for name in ("score", "low", "high"))
        known = all(isinstance(value, int | float) for value in (score, low, high))
        return [
            self.reference, ", ".join(self.aliases), self.stage, self.task, str(self.evidence.get("metric", "")),
            f"{score:.4f}" if known else "", f"[{low:.4f}, {high:.4f}]" if known else "", self.created_at[:19],
            self.actor, (self.run or "")[-6:],
        ]  # fmt: skip


class ModelList(View):
    """Model versions, newest first."""

    models: list[ModelView]

    def text(self) -> str:
        """A table."""
        return text_table(_HEADER, [model.row() for model in self.models]) if self.models else "No models."

    def html(self) -> str:
        """A table."""
        return (
            framed(html_table(_HEADER, [model.row() for model in self.models]))
            if self.models
            else super().html()
        )


_HEADER = ["model", "aliases", "stage", "task", "metric", "held out", "95% interval", "made", "by", "run"]


class LineageNode(View):
    """One thing of a lineage; ``reference`` is what the command that shows it takes.

    ``kind``: dataset, code, environment, run, base, model, deployment or eval.
    """

    id: str
    kind: lineage.Kind
    label: str
    detail: str
    reference: str | None
    notebook: str | None
    cell_id: str | None


class LineageEdge(View):
    """An arrow from what was there before to what was made of it."""

    source: str
    target: str
    label: str


class LineageView(View):
    """Where a model version comes from and where it went."""

    model: str
    nodes: list[LineageNode]
    edges: list[LineageEdge]

    def text(self) -> str:
        """A line an arrow."""
        known = {node.id: node for node in self.nodes}

        def told(node: LineageNode) -> str:
            return f"{node.kind} {node.label}" + (f" ({node.detail})" if node.detail else "")

        lines = [
            f"{told(known[edge.source])} → {edge.label} → {told(known[edge.target])}" for edge in self.edges
        ]
        return "\n".join([f"{self.model}: {len(self.nodes)} things", *(f"  {line}" for line in lines)])

    def graph(self) -> Graph:
        """The picture."""
        boxes = [
            Box(node.id, node.kind, node.label, node.detail, strong=node.id == f"model:{self.model}")
            for node in self.nodes
        ]
        return Graph(
            f"Lineage of {self.model}",
            boxes,
            [Arrow(edge.source, edge.target, edge.label) for edge in self.edges],
        )

    def html(self) -> str:
        """The picture, static."""
        return framed(f"<h4>Lineage of {escape(self.model)}</h4>", self.graph().svg())


def views(ws: Workspace, models: Sequence[versions.ModelVersion]) -> list[ModelView]:
    """Read model versions with their aliases, stages, and where their runs were started."""
    aliases, stages = standing.aliases(ws.ledger, models), standing.stages(ws.ledger, models)
    made = {
        run.id: run for run in runs.of_ids(ws.ledger, sorted({model.run for model in models if model.run}))
    }
    found = []
    for model in models:
        key, run = (model.name, model.version), made.get(model.run or "")
        found.append(ModelView(
            **{**vars(model), "created_at": clock.iso(model.created_at)}, aliases=aliases.get(key, []),
            stage=stages.get(key, standing.REGISTERED), run_name=run.name if run else None,
            notebook=run.notebook if run else None, cell_id=run.cell_id if run else None,
        ))  # fmt: skip
    return found


@command("models add", effect=Effect.EXECUTE, heavy=True)
def add(
    ws: Workspace, model: ModelSource, *, name: str | None = None, example: Rows | None = None,
    held_out: Data | None = None, target: Annotated[str, Field(min_length=1, max_length=200)] = "prediction",
    classes: Annotated[str | None, Field(description="a,b,c")] = None, base: str | None = None, run: RunId | None = None,
    note: Annotated[str | None, Field(max_length=_LONGEST_NOTE)] = None, trust: bool = False, call: Call,
) -> ModelView:  # fmt: skip
    """Keep a model you have as a version: a fitted scikit-learn model, a skops or ONNX file, a folder of transformers or PEFT.

    It becomes part of the run that is open here, or of --run; else of a run of its own, so that its cell is known.
    A pickle can run code when opened: it is refused unless --trust is given, and then opened in a limited process.

    Args:
        model: a fitted model's name in the notebook (in Python the model itself), or a file or folder.
        name: what to call it; default: the variable's or the file's name.
        example: rows it reads; a few are kept with it, and it must answer them.
        held_out: rows it was not made with, with the column --target: it is measured on them, with an interval.
        target: what it predicts.
        classes: its classes in its order, separated by commas, where an ONNX file does not say them.
        base: what an adapter is trained on, where its folder does not say: a model version, a folder, a hub's id.
        run: the run that made it: its id, the end of it, its name, or last.
        note: what to say of it.
        trust: open a pickle.
    """
    from snapml_lab.flows import again, registering

    given, called = _source(ws, model, call.namespace)
    opened = recorder.current()
    wish = registering.Wish(
        name=again.called(versions.check_name(name or called)), example=_rows(ws, example, call.namespace),
        held_out=None if held_out is None else tables.read(ws, held_out, call.namespace).frame, target=target,
        classes=tuple(item.strip() for item in (classes or "").split(",") if item.strip()), base=base,
        run=runs.get(ws.ledger, run).id if run else opened.id if opened else None, note=note, trust=trust,
    )  # fmt: skip
    origin = provenance.complete(ws, call.origin)
    return views(ws, [registering.add(ws, given, wish, actor=call.actor, origin=origin)])[0]


def _source(ws: Workspace, model: Any, namespace: Mapping[str, Any]) -> tuple[object, str]:
    """Return the model or the path of it, and what it may be called."""
    if isinstance(model, os.PathLike):
        model = os.fspath(model)
    if not isinstance(model, str):
        return model, type(model).__name__
    if model in namespace and not isinstance(namespace[model], str | os.PathLike):
        return namespace[model], model
    for folder in (Path.cwd(), ws.project):
        path = folder / model
        if path.exists():
            plain = "".join(
                c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in path.resolve().stem
            )
            return path.resolve(), plain.lstrip("._-")[:100] or "model"
    raise NotFoundError(
        f"There is no model {model!r}.",
        fix="Name a fitted model of the notebook, or a file or folder of this project.",
    )


def _rows(ws: Workspace, example: Any, namespace: Mapping[str, Any]) -> Any:
    """Return an example as it is given, or as it is read from a file or a dataset."""
    found = namespace.get(example, example) if isinstance(example, str) else example
    return tables.read(ws, example, namespace).frame if isinstance(found, str) else found


@command("models list", effect=Effect.READ)
def list_models(
    ws: Workspace,
    *,
    search: Annotated[str, Field(max_length=100)] = "",
    task: Annotated[str | None, Field(description="binary, multiclass, regression, chat …")] = None,
    alias: Annotated[str | None, Field(description="champion, canary …")] = None,
    limit: Limit = 50,
) -> ModelList:
    """List model versions, newest first, with their aliases and stages.

    Args:
        search: only those with this in their name.
        task: only those of this task.
        alias: only those this alias is on.
        limit: how many at most.
    """
    return ModelList(models=views(ws, versions.latest(ws.ledger, limit, text=search, task=task, alias=alias)))


@command("models show", effect=Effect.READ)
def show(ws: Workspace, model: ModelRef) -> ModelView:
    """Show a model version: what it reads, its evidence, its aliases, the run that made it.

    Args:
        model: NAME, NAME@VERSION or NAME@ALIAS.
    """
    return views(ws, [versions.find(ws.ledger, model)])[0]


@command("models note", effect=Effect.WRITE)
def note(
    ws: Workspace, model: ModelRef, text: Annotated[str | None, Field(max_length=_LONGEST_NOTE)] = None
) -> ModelView:
    """Write a note on a model version; it is on its card. Without a text the note is taken away.

    Args:
        model: NAME, NAME@VERSION or NAME@ALIAS.
        text: what to say of it.
    """
    found = versions.find(ws.ledger, model)
    versions.describe(ws.ledger, found, (text or "").strip() or None)
    return show(ws, found.reference)


@command("models lineage", effect=Effect.READ)
def show_lineage(ws: Workspace, model: ModelRef) -> LineageView:
    """Show where a model version comes from and where it went: data, code, environment, runs, deployments, evals.

    Args:
        model: NAME, NAME@VERSION or NAME@ALIAS.
    """
    found = versions.find(ws.ledger, model)
    traced = lineage.trace(ws, found)
    return LineageView(
        model=found.reference, nodes=[LineageNode(**vars(node)) for node in traced.nodes.values()],
        edges=[LineageEdge(**vars(edge)) for edge in traced.edges.values()],
    )  # fmt: skip


@command("models card", effect=Effect.READ)
def card(ws: Workspace, model: ModelRef) -> Card:
    """Make the card of a model version from the record: data, evidence with intervals, run, approvals, known limits.

    Args:
        model: NAME, NAME@VERSION or NAME@ALIAS.
    """
    return cards.card(ws, versions.find(ws.ledger, model))


@command("models print", effect=Effect.EXECUTE)
def print_card(ws: Workspace, model: ModelRef, out: FilePath) -> Card:
    """Write the card of a model version to a file, as a page, as Markdown, or as text.

    Args:
        model: NAME, NAME@VERSION or NAME@ALIAS.
        out: the file; it ends in .html, .md or .txt.
    """
    path = Path(out)
    if path.suffix not in (".html", ".md", ".txt") or not path.parent.is_dir() or path.is_dir():
        raise InvalidInputError.of("out", out, "a file ending in .html, .md or .txt, in a folder that exists")
    made = cards.card(ws, versions.find(ws.ledger, model))
    match path.suffix:
        case ".html":
            content = page(made.reference, made.html())
        case ".md":
            content = made.markdown()
        case _:
            content = made.plain() + "\n"
    replace(path, content.encode())
    return made.model_copy(update={"path": out})
