"""Commands about model versions."""

from typing import Any

from snapml_lab import clock
from snapml_lab.commands.core import command
from snapml_lab.commands.types import Limit, ModelRef
from snapml_lab.governance.roles import Effect
from snapml_lab.registry import versions
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


class ModelView(View):
    """A model version: what it reads, what it was chosen by, and the run that made it. ``size`` is in bytes."""

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
    created_at: str
    actor: str
    base: str | None
    example: str | None
    note: str | None

    @classmethod
    def of(cls, model: versions.ModelVersion) -> "ModelView":
        """Read a model version of the ledger."""
        return cls(**{**vars(model), "created_at": clock.iso(model.created_at)})

    def text(self) -> str:
        """A line a field."""
        columns = [
            *self.signature.get("numeric", []),
            *self.signature.get("times", []),
            *self.signature.get("categorical", []),
        ]
        lines = [
            f"{self.name}@{self.version}: {self.task}, {self.format}, {self.size / 1024:.0f} KiB",
            f"  made         {self.created_at} by run {self.run}",
            f"  reads        {', '.join(columns)}",
            f"  predicts     {self.signature.get('target')}",
            f"  content      {self.blob}",
        ]
        lines += [f"  evidence  {name} = {value}" for name, value in self.evidence.items()]
        return "\n".join(lines)

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        score = self.evidence.get("score")
        interval = f"[{self.evidence['low']:.4f}, {self.evidence['high']:.4f}]" if score is not None else ""
        return [
            f"{self.name}@{self.version}", self.task, str(self.evidence.get("metric", "")),
            "" if score is None else f"{score:.4f}", interval, self.created_at[:19], (self.run or "")[-6:],
        ]  # fmt: skip


class ModelList(View):
    """Model versions, newest first."""

    models: list[ModelView]

    def text(self) -> str:
        """A table."""
        return (
            text_table(_HEADER, [model.row() for model in self.models]) if self.models else "No models yet."
        )

    def html(self) -> str:
        """A table."""
        return (
            framed(html_table(_HEADER, [model.row() for model in self.models]))
            if self.models
            else super().html()
        )


_HEADER = ["model", "task", "metric", "held out", "95% interval", "made", "run"]


@command("models list", effect=Effect.READ)
def list_models(ws: Workspace, *, limit: Limit = 50) -> ModelList:
    """List model versions, newest first.

    Args:
        limit: how many at most.
    """
    return ModelList(models=[ModelView.of(model) for model in versions.latest(ws.ledger, limit)])


@command("models show", effect=Effect.READ)
def show(ws: Workspace, model: ModelRef) -> ModelView:
    """Show a model version: what it reads, its evidence, the run that made it.

    Args:
        model: NAME or NAME@VERSION.
    """
    return ModelView.of(versions.find(ws.ledger, model))
