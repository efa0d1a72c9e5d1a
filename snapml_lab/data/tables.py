"""Tables from wherever a person names them: a DataFrame in the notebook, a CSV or Parquet file, a dataset version.

pandas is imported inside the functions; everything here may take as long as reading the file does.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapml_lab import clock
from snapml_lab.errors import InvalidInputError, MissingExtraError, NotFoundError
from snapml_lab.registry import aliases
from snapml_lab.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

_DELIMITERS = ",;\t|"
_SNIFFED_BYTES = 1 << 16
_FORMATS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}


@dataclass(frozen=True)
class Table:
    """A table that was read but not yet kept.

    Attributes:
        name: what a dataset made from it is called.
        source: where it came from, for people.
        format: ``csv`` or ``parquet``.
        content: the file it came from, or Parquet bytes of a DataFrame.
        frame: the rows.
    """

    name: str
    source: str
    format: str
    content: Path | bytes
    frame: "pd.DataFrame"


@dataclass(frozen=True)
class Dataset:
    """A version of a dataset in the catalog. ``sha256`` names its content in the blobs."""

    name: str
    version: int
    sha256: str
    format: str
    rows: int
    columns: list[str]

    @property
    def reference(self) -> str:
        """``name@version``: what a command takes."""
        return f"{self.name}@{self.version}"


def read(ws: Workspace, data: object, namespace: Mapping[str, Any] | None = None) -> Table:
    """Find a table and read it.

    Args:
        ws: the workspace, for dataset versions and relative paths.
        data: a DataFrame, or the name of one in ``namespace``, a path, or ``dataset`` or ``dataset@version``.
        namespace: the notebook's variables.

    Raises:
        NotFoundError: nothing has that name.
        InvalidInputError: it is empty, or cannot be read as a table.
        MissingExtraError: pandas is not installed.
    """
    namespace = namespace or {}
    if not isinstance(data, str):
        return _of_frame(data, "dataframe")
    if data in namespace and not isinstance(namespace[data], str):
        return _of_frame(namespace[data], data)
    for folder in (Path.cwd(), ws.project):
        path = folder / data
        if path.is_file():
            return _of_file(path, ws)
    name = data.partition("@")[0]
    if name in ws.catalog.keys("datasets"):
        kept = find(ws, data)
        path = ws.blobs.path(kept.sha256)
        return Table(name, data, kept.format, path, _parse(path, kept.format, data))
    raise NotFoundError(f"There is no table {data!r}.", fix=_offer(ws, namespace))


def find_file(ws: Workspace, name: str) -> Path:
    """Return a file named relative to the current folder or the project.

    Raises:
        NotFoundError: there is none.
    """
    for folder in (Path.cwd(), ws.project):
        if (folder / name).is_file():
            return folder / name
    raise NotFoundError(
        f"There is no file {name!r}.", fix="Give a path relative to the current folder or the project."
    )


def keep(ws: Workspace, table: Table, *, actor: str = "") -> Dataset:
    """Snapshot a table by its content: a new version of its dataset, made by ``actor``, or the version that is the same."""
    sha256, size = ws.blobs.put(table.content)
    made: dict[str, Any] = {
        "sha256": sha256,
        "format": table.format,
        "bytes": size,
        "rows": len(table.frame),
        "columns": [str(column) for column in table.frame.columns],
        "source": table.source,
        "created_at": clock.iso(clock.now()),
        "actor": actor,
    }

    def add(current: dict[str, Any] | None) -> dict[str, Any]:
        versions = list(current["versions"]) if current else []
        if not any(version["sha256"] == sha256 for version in versions):
            versions.append(made)
        return {"versions": versions}

    versions = ws.catalog.change("datasets", table.name, add)["versions"]
    index = next(i for i, version in enumerate(versions) if version["sha256"] == sha256)
    return _dataset(table.name, index + 1, versions[index])


def renamed(table: Table, name: str) -> Table:
    """Return the same table under another name."""
    return replace(table, name=name)


def find(ws: Workspace, reference: str) -> Dataset:
    """Return ``name`` (the latest version), ``name@version`` or ``name@alias``.

    Raises:
        NotFoundError: there is none.
    """
    name, at, version = reference.partition("@")
    versions = ws.catalog.get("datasets", name)["versions"]
    if at and not version.isdigit():
        version = aliases.version(ws.ledger, "dataset", name, version) or version
    number = int(version) if version.isdigit() else 0 if at else len(versions)
    if not 1 <= number <= len(versions):
        raise NotFoundError(
            f"There is no version {version!r} of {name!r}.", fix=f"It has versions 1 to {len(versions)}."
        )
    return _dataset(name, number, versions[number - 1])


def load(ws: Workspace, dataset: Dataset) -> "pd.DataFrame":
    """Read the rows of a dataset version."""
    return _parse(ws.blobs.path(dataset.sha256), dataset.format, dataset.reference)


def _dataset(name: str, number: int, fields: Mapping[str, Any]) -> Dataset:
    return Dataset(name, number, fields["sha256"], fields["format"], fields["rows"], list(fields["columns"]))


def _of_frame(value: object, name: str) -> Table:
    pandas = _pandas()
    if isinstance(value, pandas.Series):
        value = value.to_frame()
    if not isinstance(value, pandas.DataFrame):
        raise InvalidInputError.of(
            "data", type(value).__name__, "a pandas DataFrame", f"{name} is not a table."
        )
    frame = value.rename(columns=str).reset_index(drop=True)
    _check(frame, name)
    buffer = io.BytesIO()
    try:
        frame.to_parquet(buffer, engine="pyarrow", index=False)
    except (ValueError, TypeError, OverflowError) as error:  # pyarrow's errors are ValueErrors and TypeErrors
        raise InvalidInputError(
            f"data: {name} could not be written as Parquet: {error}.", fix="Make each column of one type."
        ) from error
    return Table(name, f"variable {name}", "parquet", buffer.getvalue(), frame)


def _of_file(path: Path, ws: Workspace) -> Table:
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InvalidInputError.of("data", path.name, f"a file ending in {', '.join(_FORMATS)}")
    return Table(_plain(path.stem), ws.relative(path), kind, path, _parse(path, kind, path.name))


def _parse(path: Path, kind: str, name: str) -> "pd.DataFrame":
    pandas = _pandas()
    if path.stat().st_size == 0:
        raise InvalidInputError(
            f"data: {name} is empty (0 bytes).", fix="Write a table with a header line to it."
        )
    try:
        if kind == "parquet":
            frame = pandas.read_parquet(path, engine="pyarrow")
        else:
            frame = pandas.read_csv(path, sep=_delimiter(path), skipinitialspace=True)
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parsing errors are ValueErrors
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InvalidInputError(
            f"data: {name} could not be read as {kind}: {reason}.",
            fix="Open it in an editor and mend that line.",
        ) from error
    _check(frame, name)
    named: pd.DataFrame = frame.rename(columns=str)
    return named


def _check(frame: "pd.DataFrame", name: str) -> None:
    if frame.empty:
        raise InvalidInputError(
            f"data: {name} has no rows (columns: {len(frame.columns)}).",
            fix="Give a table with at least one row.",
        )
    columns = [str(column) for column in frame.columns]
    if len(set(columns)) < len(columns):
        twice = next(column for column in columns if columns.count(column) > 1)
        raise InvalidInputError(f"data: {name} has two columns called {twice!r}.", fix="Rename one of them.")


def _delimiter(path: Path) -> str:
    with path.open("r", encoding="utf-8", errors="replace", newline="") as file:
        sample = file.read(_SNIFFED_BYTES)
    try:
        return csv.Sniffer().sniff(sample, _DELIMITERS).delimiter
    except csv.Error:
        return ","


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name) or "data"


def _offer(ws: Workspace, namespace: Mapping[str, Any]) -> str:
    frames = [
        name
        for name, value in namespace.items()
        if type(value).__name__ == "DataFrame" and not name.startswith("_")
    ]
    known = [*frames, *ws.catalog.keys("datasets")]
    return (
        f"Known tables: {', '.join(known[:8])}."
        if known
        else "Give a DataFrame's name, or the path of a CSV or Parquet file."
    )


def _pandas() -> Any:
    try:
        import pandas
        import pyarrow  # noqa: F401 - pandas would say so later and worse
    except ImportError as error:
        raise MissingExtraError.of(error.name or "pandas", "automl") from error
    return pandas
