"""Commands that bring runs and models from MLflow, and give it ours."""

from html import escape
from typing import Annotated

from pydantic import AfterValidator, Field

from snapml_lab.commands.core import Call, command
from snapml_lab.commands.models import ModelView, views
from snapml_lab.commands.types import FilePath, ModelRef, RunId
from snapml_lab.errors import InvalidInputError
from snapml_lab.flows.mlflow import incoming, outgoing, registered
from snapml_lab.governance.roles import Effect
from snapml_lab.registry import versions
from snapml_lab.tracking import runs
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


def _without_credentials(uri: str) -> str:
    """Refuse a password in a URI: what is asked is written into the audit."""
    _, _, rest = uri.partition("://")
    if "@" in rest.partition("/")[0]:
        raise InvalidInputError(
            "uri: it holds a name or a password, which would be written into the audit.",
            fix="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_URI and give env.",
        )
    return uri


StoreUri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1000,
        description="an MLflow store: sqlite:///mlflow.db, an mlruns folder, a server's URL, or env",
    ),
    AfterValidator(_without_credentials),
]
Experiment = Annotated[str, Field(min_length=1, max_length=500)]
_PYTHON = "an interpreter that has MLflow"


class ImportedRun(View):
    """A run of MLflow and what it is here: ``was`` added, updated or same; ``models`` are its new versions."""

    mlflow: str
    id: str
    name: str
    state: str
    was: str
    models: list[str]
    notes: list[str]


class ImportedRuns(View):
    """What was found in a store."""

    runs: list[ImportedRun]

    def text(self) -> str:
        """A count, a table, and what could not be brought."""
        return "\n".join(
            [self._headline(), *([text_table(*self._table())] if self.runs else []), *self._notes()]
        )

    def html(self) -> str:
        """A count, a table, and what could not be brought."""
        listed = "".join(f"<div class=dim>{escape(note)}</div>" for note in self._notes())
        return framed(
            f"<h4>{escape(self._headline())}</h4>", html_table(*self._table()) if self.runs else "", listed
        )

    def _headline(self) -> str:
        counts = {was: sum(run.was == was for run in self.runs) for was in ("added", "updated", "same")}
        return f"{len(self.runs)} run{'' if len(self.runs) == 1 else 's'}: " + ", ".join(
            f"{number} {was}" for was, number in counts.items()
        )

    def _table(self) -> tuple[list[str], list[list[str]]]:
        header = ["run", "name", "state", "", "models", "in MLflow"]
        return header, [
            [run.id[-6:], run.name, run.state, run.was, ", ".join(run.models), run.mlflow]
            for run in self.runs
        ]

    def _notes(self) -> list[str]:
        return list(dict.fromkeys(note for run in self.runs for note in run.notes))


class ExportedRun(View):
    """A run and its id in MLflow; ``new`` is false where it was there already."""

    id: str
    name: str
    mlflow: str
    new: bool
    notes: list[str]


class ExportedRuns(View):
    """What was given to a store."""

    runs: list[ExportedRun]

    def text(self) -> str:
        """A table."""
        notes = [note for run in self.runs for note in run.notes]
        return "\n".join([text_table(*self._table()), *notes])

    def html(self) -> str:
        """A table."""
        listed = "".join(f"<div class=dim>{escape(note)}</div>" for run in self.runs for note in run.notes)
        return framed(html_table(*self._table()), listed)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        header = ["run", "name", "in MLflow", ""]
        return header, [
            [run.id[-6:], run.name, run.mlflow, "new" if run.new else "was there"] for run in self.runs
        ]


class ExportedModel(View):
    """A model version and what it is in MLflow; ``new`` is false where it was there already."""

    reference: str
    name: str
    version: str
    mlflow_run: str
    new: bool

    def text(self) -> str:
        """One line, and how to open it there."""
        was = "is now" if self.new else "was already"
        return f"{self.reference} {was} models:/{self.name}/{self.version}, in the run {self.mlflow_run}"


@command("runs import", effect=Effect.EXECUTE, heavy=True, python="runs import_")
def import_runs(
    ws: Workspace, uri: StoreUri, *, experiment: Experiment | None = None, run: str | None = None, trust: bool = False,
    python: Annotated[FilePath | None, Field(description=_PYTHON)] = None, call: Call,
) -> ImportedRuns:  # fmt: skip
    """Bring MLflow's runs here, whole: parameters, every point of each metric, tags, files, nested runs, data and models.

    Once each: a run that is here is only brought again where it has changed there. Models become model versions; a pickle
    can run code when opened, and becomes one only with --trust.

    Args:
        uri: the store: sqlite:///mlflow.db, an mlruns folder, a server's URL, or env for MLFLOW_TRACKING_URI.
        experiment: only the runs of this experiment: its name or id.
        run: only this run of MLflow's, with those nested in it.
        trust: open pickled models, in a limited process, to write them with skops.
        python: an interpreter that has MLflow; default: SNAPML_MLFLOW_PYTHON, or this one where it has it.
    """
    found = incoming.take(
        ws, uri, experiment=experiment, run=run, python=python, trust=trust, actor=call.actor
    )
    return ImportedRuns(runs=[ImportedRun(**vars(item)) for item in found])


@command("runs export", effect=Effect.EXECUTE, heavy=True)
def export_run(
    ws: Workspace, run: RunId, *, to: StoreUri, experiment: Experiment = outgoing.EXPERIMENT,
    python: Annotated[FilePath | None, Field(description=_PYTHON)] = None,
) -> ExportedRuns:  # fmt: skip
    """Give a run to MLflow, with those nested in it; one that is there is left as it is.

    Args:
        run: its id, the end of it, its name, or last.
        to: the store: sqlite:///mlflow.db, an mlruns folder, a server's URL, or env for MLFLOW_TRACKING_URI.
        experiment: where to put it there.
        python: an interpreter that has MLflow; default: SNAPML_MLFLOW_PYTHON, or this one where it has it.
    """
    given = outgoing.give_run(ws, runs.get(ws.ledger, run), to, experiment=experiment, python=python)
    return ExportedRuns(runs=[ExportedRun(**vars(item)) for item in given])


@command("models import", effect=Effect.EXECUTE, heavy=True, python="models import_")
def import_model(
    ws: Workspace, uri: StoreUri, model: Annotated[str, Field(min_length=1, max_length=300)], *, name: str | None = None,
    trust: bool = False, python: Annotated[FilePath | None, Field(description=_PYTHON)] = None, call: Call,
) -> ModelView:  # fmt: skip
    """Bring a registered model of MLflow here, with the run that made it; once each.

    Its aliases there are told in its note: here an alias is given by a promotion.

    Args:
        uri: the store: sqlite:///mlflow.db, an mlruns folder, a server's URL, or env for MLFLOW_TRACKING_URI.
        model: its name there: NAME, NAME@VERSION or NAME@ALIAS.
        name: what to call it here; default: as there.
        trust: open a pickled model, in a limited process, to write it with skops.
        python: an interpreter that has MLflow; default: SNAPML_MLFLOW_PYTHON, or this one where it has it.
    """
    if name is not None:
        versions.check_name(name)
    made = registered.take(ws, uri, model, name=name, python=python, trust=trust, actor=call.actor)
    return views(ws, [made])[0]


@command("models export", effect=Effect.EXECUTE, heavy=True)
def export_model(
    ws: Workspace, model: ModelRef, *, to: StoreUri, experiment: Experiment = outgoing.EXPERIMENT,
    python: Annotated[FilePath | None, Field(description=_PYTHON)] = None,
) -> ExportedModel:  # fmt: skip
    """Give a model of rows to MLflow and register it there, with its run; it predicts the same there.

    Args:
        model: NAME, NAME@VERSION or NAME@ALIAS.
        to: the store: sqlite:///mlflow.db, an mlruns folder, a server's URL, or env for MLFLOW_TRACKING_URI.
        experiment: where to put its run there.
        python: an interpreter that has MLflow; default: SNAPML_MLFLOW_PYTHON, or this one where it has it.
    """
    found = versions.find(ws.ledger, model)
    return ExportedModel(**vars(outgoing.give_model(ws, found, to, experiment=experiment, python=python)))
