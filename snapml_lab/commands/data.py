"""Commands about datasets."""

from snapml_lab.commands.core import Call, command
from snapml_lab.commands.types import Data
from snapml_lab.data import tables
from snapml_lab.errors import InvalidInputError
from snapml_lab.governance.roles import Effect
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


class DatasetView(View):
    """A version of a dataset; ``sha256`` is of its content."""

    name: str
    version: int
    sha256: str
    format: str
    rows: int
    columns: list[str]

    @classmethod
    def of(cls, dataset: tables.Dataset) -> "DatasetView":
        """Read a dataset of the catalog."""
        return cls(**vars(dataset))

    def text(self) -> str:
        """One line and the columns."""
        return (
            f"{self.name}@{self.version}: {self.rows} rows, {len(self.columns)} columns, {self.format}, "
            f"{self.sha256[:12]}\n  {', '.join(self.columns)}"
        )

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        return [
            f"{self.name}@{self.version}",
            str(self.rows),
            str(len(self.columns)),
            self.format,
            self.sha256[:12],
        ]


class DatasetList(View):
    """Datasets, each with its latest version."""

    datasets: list[DatasetView]

    def text(self) -> str:
        """A table."""
        return (
            text_table(_HEADER, [item.row() for item in self.datasets])
            if self.datasets
            else "No datasets yet."
        )

    def html(self) -> str:
        """A table."""
        return (
            framed(html_table(_HEADER, [item.row() for item in self.datasets]))
            if self.datasets
            else super().html()
        )


_HEADER = ["dataset", "rows", "columns", "format", "content"]


@command("data add", effect=Effect.WRITE, heavy=True)
def add(ws: Workspace, data: Data, *, name: str | None = None, call: Call) -> DatasetView:
    """Keep a snapshot of a table by its content; the same content again is the same version.

    Args:
        data: a DataFrame's name, a CSV or Parquet file, or DATASET[@VERSION].
        name: what to call it; default: the variable's or the file's name.
    """
    table = tables.read(ws, data, call.namespace)
    if name is not None:
        if not name.replace("-", "_").isidentifier():
            raise InvalidInputError.of("name", name, "letters, digits, '-' and '_', a letter first")
        table = tables.renamed(table, name)
    return DatasetView.of(tables.keep(ws, table, actor=call.actor))


@command("data list", effect=Effect.READ)
def list_data(ws: Workspace) -> DatasetList:
    """List datasets with their latest versions."""
    return DatasetList(
        datasets=[DatasetView.of(tables.find(ws, name)) for name in ws.catalog.keys("datasets")]
    )


@command("data remove", effect=Effect.WRITE)
def remove(ws: Workspace, name: str) -> DatasetView:
    """Remove a dataset from the catalog. Its content stays among the artifacts, and runs still name it; add it again to undo.

    Args:
        name: the dataset, without a version.
    """
    view = DatasetView.of(tables.find(ws, name))
    ws.catalog.remove("datasets", name)
    return view
