"""The picture of a training: what is learnt, the loss on both sides, and the speed; true at any moment."""

import json
from html import escape

from snapml_lab import clock
from snapml_lab.finetune.train import PREVIEW
from snapml_lab.jobs.model import Job, State
from snapml_lab.jobs.view import ErrorView
from snapml_lab.registry import versions
from snapml_lab.tracking import runs
from snapml_lab.views.base import View
from snapml_lab.views.charts import Line, Lines
from snapml_lab.views.tables import framed
from snapml_lab.workspace import Workspace


class Piece(View):
    """A part of a record, and whether it is learnt."""

    learnt: bool
    content: str


class Training(View):
    """A training. Losses are in nats a token; ``preview`` is the first record, in pieces."""

    job: str
    kind: str
    state: State
    message: str | None
    base: str
    steps: int
    elapsed: float
    loss_steps: list[int]
    loss: list[float]
    held_out_steps: list[int]
    held_out: list[float]
    tokens_per_second: float | None
    trainable: int
    parameters: int
    preview: list[Piece]
    model: str | None
    error: ErrorView | None

    def curve(self) -> Lines:
        """Loss over steps, learnt from and held out."""
        lines = [
            Line("training loss", self.loss_steps, self.loss), Line("held-out loss", self.held_out_steps, self.held_out, strong=True),
        ]  # fmt: skip
        return Lines("Loss (lower is better)", "step", "nats a token", lines)

    def headline(self) -> str:
        """Say in one line what is known."""
        if self.error:
            return f"{self.kind} {self.state}: {self.error.text()}"
        if self.model:
            return f"{self.model}: {self._losses()}"
        return f"{self.kind} {self.state}: {self.message or 'starting'}"

    def about(self) -> str:
        """Say what is trained, how far and how fast."""
        share = f", {self.trainable:,} of {self.parameters:,} parameters learn" if self.parameters else ""
        speed = f", {self.tokens_per_second:,.0f} tokens/s" if self.tokens_per_second else ""
        done = self.loss_steps[-1] if self.loss_steps else 0
        steps = f"step {done} of {self.steps}" if self.steps else f"step {done}"
        return f"{steps} in {clock.human(self.elapsed)}{speed}{share} · job {self.job[-6:]}"

    def text(self) -> str:
        """All of it."""
        lines = [self.headline(), self.about()]
        if self.preview:
            shown = "".join(f"⟦{piece.content}⟧" if piece.learnt else piece.content for piece in self.preview)
            lines.append(f"learnt is what stands in brackets: {shown}")
        return "\n".join(lines)

    def html(self) -> str:
        """All of it, static."""
        parts = [
            f"<h4{' class=bad' if self.error else ''}>{escape(self.headline())}</h4>",
            f'<div class="dim">{escape(self.about())}</div>',
        ]
        if self.preview:
            shown = "".join(
                f"<u>{escape(piece.content)}</u>" if piece.learnt else escape(piece.content)
                for piece in self.preview
            )
            parts.append(
                f'<div class="dim">Learnt is what is underlined:</div><pre class="wrap">{shown}</pre>'
            )
        if self.loss:
            parts.append(self.curve().svg())
        return framed(*parts)

    def _losses(self) -> str:
        if not self.held_out:
            return "no held-out loss"
        return f"held-out loss {self.held_out[0]:.3f} → {self.held_out[-1]:.3f}"


def picture(ws: Workspace, job: Job) -> Training:
    """Build the picture of a training from the ledger, whatever its state."""
    run = runs.get(ws.ledger, job.id)
    loss_steps, loss = runs.curve(ws.ledger, job.id, "loss")
    held_steps, held = runs.curve(ws.ledger, job.id, "held_out_loss")
    models = versions.of_run(ws.ledger, job.id)
    number = {
        name: int(float(run.params.get(name, 0))) for name in ("steps", "trainable_parameters", "parameters")
    }
    return Training(
        job=job.id, kind=job.kind, state=job.state, message=job.message, base=run.params.get("base", "?"),
        steps=number["steps"], elapsed=(job.ended_at or clock.now()) - (job.started_at or job.submitted_at),
        loss_steps=loss_steps, loss=loss, held_out_steps=held_steps, held_out=held,
        tokens_per_second=run.metrics.get("tokens_per_second"), trainable=number["trainable_parameters"],
        parameters=number["parameters"], preview=_pieces(run.params.get(PREVIEW)),
        model=models[0].reference if models else None,
        error=ErrorView.of_job(job),
    )  # fmt: skip


def _pieces(told: str | None) -> list[Piece]:
    """Read what a payload told of its first record; nothing where that is not of the form."""
    try:
        return [Piece(learnt=bool(learnt), content=str(text)) for learnt, text in json.loads(told or "[]")]
    except (ValueError, TypeError):
        return []
