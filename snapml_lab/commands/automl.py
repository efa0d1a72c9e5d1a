"""Commands about AutoML: search, its board, prediction."""

import importlib.util
from html import escape
from pathlib import Path
from typing import Any

from snapml_lab.automl.board import Board, board
from snapml_lab.automl.task import Metric, Task
from snapml_lab.commands.core import Call, command
from snapml_lab.commands.types import Column, Data, FilePath, JobId, ModelRef, Seconds
from snapml_lab.errors import InvalidInputError, MissingExtraError
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Work
from snapml_lab.jobs.view import JobView
from snapml_lab.registry import versions
from snapml_lab.store.files import replace
from snapml_lab.tracking import provenance
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

_PREVIEW = 10


@command("automl", effect=Effect.EXECUTE, heavy=True, picture=board)
def automl(
    ws: Workspace, data: Data, *, target: Column, time: Seconds = 60.0, metric: Metric | None = None,
    task: Task | None = None, name: str | None = None, call: Call,
) -> JobView:  # fmt: skip
    """Find a good model for a table within a time box, and keep it with its evidence.

    A fifth of the rows is set aside first and judges the winner. Interrupting the cell detaches; the search goes on.

    Args:
        data: a DataFrame's name, a CSV or Parquet file, or DATASET[@VERSION].
        target: the column to predict.
        time: seconds to search.
        metric: what to compare by; default: roc_auc, accuracy or rmse, by task.
        task: binary, multiclass or regression; default: told from the target.
        name: what to call the model; default: the table's name and the target.
    """
    from snapml_lab.automl import features
    from snapml_lab.automl.task import pose
    from snapml_lab.data import tables

    _need_sklearn()
    table = tables.read(ws, data, call.namespace)
    problem = pose(table.frame, target, task=task, metric=metric)
    features.sign(table.frame, target, [])  # raises where no column can be learnt from
    model = versions.check_name(name or _model_name(table.name, target))
    dataset = tables.keep(ws, table, actor=call.actor)
    spec = {
        "dataset": dataset.reference, "target": target, "time": time, "metric": problem.metric, "task": problem.task,
        "name": model,
    }  # fmt: skip
    work = Work("automl", model, queue.python("snapml_lab.automl.search:run"), spec)
    origin = provenance.complete(ws, call.origin, dataset.sha256)
    return JobView.of(queue.submit(ws, work, actor=call.actor, origin=origin))


@command("leaderboard", effect=Effect.READ, heavy=True)
def leaderboard(ws: Workspace, job: JobId = "last") -> Board:
    """Show the leaderboard of an AutoML job, while it runs or after.

    Args:
        job: its id, the end of it, its name, or last.
    """
    return board(ws, queue.latest_of(ws, job, "automl"))


class Predictions(View):
    """Predictions, a row each. ``probabilities``: of the class given, for classes; ``path``: the file written."""

    model: str
    target: str
    predictions: list[str] | list[float]
    probabilities: list[float] | None
    path: str | None

    @property
    def frame(self) -> Any:
        """The predictions as a pandas DataFrame."""
        import pandas as pd

        columns: dict[str, Any] = {self.target: self.predictions}
        if self.probabilities is not None:
            columns["probability"] = self.probabilities
        return pd.DataFrame(columns)

    def text(self) -> str:
        """The first rows."""
        return "\n".join([self._headline(), text_table(*self._table())])

    def html(self) -> str:
        """The first rows."""
        return framed(f"<div>{escape(self._headline())}</div>", html_table(*self._table()))

    def _headline(self) -> str:
        more = f"; all in {self.path}" if self.path else ""
        shown = min(len(self.predictions), _PREVIEW)
        return f"{self.model}: {len(self.predictions)} predictions of {self.target}, the first {shown}{more}"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        header = ["row", self.target, *(["probability"] if self.probabilities else [])]
        rows = [
            [
                str(i), value if isinstance(value, str) else f"{value:.6g}",
                *([f"{self.probabilities[i]:.3f}"] if self.probabilities else []),
            ]
            for i, value in enumerate(self.predictions[:_PREVIEW])
        ]  # fmt: skip
        return header, rows


@command("predict", effect=Effect.EXECUTE, heavy=True)
def predict(
    ws: Workspace, model: ModelRef, data: Data, *, out: FilePath | None = None, call: Call
) -> Predictions:
    """Predict every row of a table with a model.

    Args:
        model: NAME or NAME@VERSION.
        data: a DataFrame's name, a CSV or Parquet file, or DATASET[@VERSION].
        out: CSV file to write all predictions to.
    """
    from snapml_lab.data import tables
    from snapml_lab.registry import model_file
    from snapml_lab.registry.signature import Signature

    _need_sklearn()
    if out is not None and (not Path(out).parent.is_dir() or Path(out).is_dir()):
        raise InvalidInputError.of("out", out, "a file in a folder that exists")
    found = versions.find(ws.ledger, model)
    if found.format not in model_file.FORMATS:
        raise InvalidInputError.of(
            "model", found.reference, "a model of rows", f"Ask it: snapml ask --model {found.name}"
        )
    table = tables.read(ws, data, call.namespace)
    ws.blobs.verified(found.blob)
    loaded = model_file.load(ws.blobs.path(found.blob), found.format)
    values, probabilities = model_file.predict(loaded, table.frame, Signature(**found.signature))
    view = Predictions(
        model=found.reference,
        target=found.signature["target"],
        predictions=values,
        probabilities=probabilities,
        path=out,
    )
    if out is not None:
        replace(Path(out), view.frame.to_csv(index=False).encode())
    return view


def _model_name(table: str, target: str) -> str:
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in f"{table}-{target}")
    return plain.lstrip("._-")[:100] or "model"


def _need_sklearn() -> None:
    for module in ("sklearn", "skops"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError.of(module, "automl")
