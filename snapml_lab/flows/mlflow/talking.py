"""Starting the interpreter that has MLflow, and hearing what it says."""

import contextlib
import importlib.util
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from snapml_lab.errors import ConflictError, InvalidInputError, MissingExtraError, NotFoundError
from snapml_lab.flows.mlflow import program

VARIABLE = "SNAPML_MLFLOW_PYTHON"
"""Names the interpreter that has MLflow, where none is given."""
_HOW = "Name an interpreter that has it: --python PATH; or make one: python -m venv mlflow && mlflow/bin/pip install mlflow skops"
_SHOWN = 2_000
_SETTINGS = {
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
}


def interpreter(named: str | None) -> str:
    """Return the interpreter to use: as named, else as the environment says, else this one.

    Raises:
        MissingExtraError: it has no MLflow, with the fix.
    """
    python = named or os.environ.get(VARIABLE)
    if python is None:
        if importlib.util.find_spec("mlflow") is None:
            raise MissingExtraError("This needs MLflow, which is not installed here.", fix=_HOW)
        return sys.executable
    path = Path(python).expanduser()
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise InvalidInputError.of("python", python, "a Python interpreter", _HOW)
    return str(path.absolute())


def located(uri: str, *, must_exist: bool) -> tuple[str, Path]:
    """Return a store's URI with its place written out, and the folder it lies in (the current one for a server).

    Args:
        uri: as MLflow takes it, the path of a SQLite file or an ``mlruns`` folder, or ``env`` for MLFLOW_TRACKING_URI.
        must_exist: refuse one that is not there, which MLflow would make.

    Raises:
        NotFoundError: there is no such store.
        InvalidInputError: it is none.
    """
    if uri == "env":
        uri = os.environ.get("MLFLOW_TRACKING_URI", "")
        if not uri:
            raise InvalidInputError.of("uri", "env", "MLFLOW_TRACKING_URI to be set")
        if "://" in uri and not uri.startswith(("sqlite:", "file:")):
            return uri, Path.cwd()
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        path = Path(unquote(parts.path) if parts.scheme else uri).expanduser().absolute()
        return (
            _folder(path, must_exist) if path.suffix not in (".db", ".sqlite") else _sqlite(path, must_exist)
        )
    if parts.scheme == "sqlite":
        _, _, place = uri.partition(":///")
        return _sqlite(Path(place).absolute(), must_exist)
    return uri, Path.cwd()


def _sqlite(path: Path, must_exist: bool) -> tuple[str, Path]:
    if path.is_file():
        if not _is_store(path):
            raise InvalidInputError.of("uri", str(path), "a SQLite file of MLflow's")
    elif must_exist or not path.parent.is_dir():
        raise NotFoundError(
            f"There is no MLflow store at {path}.",
            fix="Give the URI MLflow was run with, as sqlite:///mlflow.db",
        )
    return f"sqlite:///{path}", path.parent


def _is_store(path: Path) -> bool:
    """Say whether a file is a database with MLflow's tables, for MLflow would put them into any other."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            found = {
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
    except sqlite3.Error:
        return False
    return {"experiments", "runs", "metrics", "alembic_version"} <= found


def _folder(path: Path, must_exist: bool) -> tuple[str, Path]:
    if (path / "mlruns").is_dir():
        path = path / "mlruns"
    if path.is_dir() and not any(path.glob("*/meta.yaml")) and any(path.iterdir()):
        raise InvalidInputError.of(
            "uri", str(path), "an mlruns folder", "It has folders with meta.yaml in them."
        )
    if not path.is_dir() and (must_exist or not path.parent.is_dir()):
        raise NotFoundError(
            f"There is no MLflow store at {path}.",
            fix="Give an mlruns folder, or a URI as sqlite:///mlflow.db",
        )
    return path.as_uri(), path


@contextlib.contextmanager
def conversation(
    python: str, uri: str, home: Path, action: str, **fields: Any
) -> Iterator[Iterator[dict[str, Any]]]:
    """Have MLflow do something and yield what it says, a thing at a time: it goes on when the next is asked for.

    ``folder`` is where it lays things out; it is removed at the end.

    Raises:
        ConflictError: what MLflow said when it could not.
        MissingExtraError: the interpreter has no MLflow.
    """
    with tempfile.TemporaryDirectory(prefix="snapml-mlflow-") as place:
        folder = Path(place)
        (folder / "laid").mkdir()
        request = folder / "request.json"
        request.write_text(
            json.dumps(
                {"action": action, "uri": uri, "home": str(home), "folder": str(folder / "laid"), **fields}
            )
        )
        environment = {**os.environ, **_SETTINGS}
        if python != sys.executable:  # ours are of another environment
            environment = {
                name: value for name, value in environment.items() if not name.startswith("PYTHON")
            }
        with (folder / "said").open("w+b") as said:
            process = subprocess.Popen(
                [python, str(Path(program.__file__)), str(request)], cwd=home if home.is_dir() else None, env=environment,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, start_new_session=True,
            )  # fmt: skip
            try:
                yield _heard(process, said)
            finally:
                _end(process)


def _heard(process: "subprocess.Popen[bytes]", said: Any) -> Iterator[dict[str, Any]]:
    assert process.stdin is not None
    assert process.stdout is not None
    while line := process.stdout.readline():
        answer: dict[str, Any] = json.loads(line)
        if answer.get("error") == program.WITHOUT:
            raise MissingExtraError(program.WITHOUT, fix=_HOW)
        if "error" in answer:
            raise ConflictError(answer["error"], fix=answer["fix"] or f"MLflow's last words: {_last(said)}")
        if not {"mlflow", "done"} & set(answer):
            yield answer
        with contextlib.suppress(OSError):
            process.stdin.write(b"next\n")
            process.stdin.flush()
        if "done" in answer:
            return
    process.wait()
    told = _last(said)
    raise ConflictError(
        f"MLflow's side ended by itself: {told}", fix="Try the same in that environment by hand."
    )


def _last(said: Any) -> str:
    said.seek(0)
    lines = said.read().decode("utf-8", "replace")[-_SHOWN:].strip().splitlines()
    return lines[-1] if lines else "nothing"


def _end(process: "subprocess.Popen[bytes]") -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
