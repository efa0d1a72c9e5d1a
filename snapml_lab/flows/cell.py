"""A notebook's cell as a job: run as top-level code in a fresh interpreter, its inputs brought back, its outputs kept."""

import ast
import asyncio
import hashlib
import importlib
import inspect
import linecache
import os
import pickle
import shutil
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from snapml_lab.errors import CellFailedError, InvalidInputError
from snapml_lab.flows import pickles
from snapml_lab.flows.capture import Captured
from snapml_lab.flows.variables import Variables, variables
from snapml_lab.jobs.events import JOB, Reporter
from snapml_lab.jobs.queue import payload_folder
from snapml_lab.jobs.results import OUTPUTS
from snapml_lab.store.blobs import Blobs
from snapml_lab.workspace import open_workspace

LAST = "_"
"""The name of the last expression's value."""
_SHORT = 60
_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_kept: list[ModuleType] = []


def spec(
    name: str, code: str, captured: Captured, found: Variables, outputs: list[str] | None
) -> dict[str, Any]:
    """Return what the job of a cell is told.

    Raises:
        InvalidInputError: an output was asked for that the cell does not make.
    """
    makes = [*found.makes, *(name for item in captured.inputs for name in item["names"])]
    missing = [output for output in outputs or [] if output not in [*makes, LAST]]
    if missing and not found.open:
        offer = ", ".join(makes) or "none"
        expected = f"a name the cell assigns or takes in: {offer}"
        raise InvalidInputError.of("outputs", missing[0], expected, "Assign it in the cell, or leave it out.")
    return {
        "label": f"<cell {name}>", "code": code, "modules": captured.modules, "inputs": captured.inputs,
        "outputs": outputs, "path": [entry or os.getcwd() for entry in sys.path],
    }  # fmt: skip


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Run the cell of ``spec``; the job's payload. Returns the manifest of its outputs.

    Raises:
        CellFailedError: it raised; the message has what, and the line.
    """
    folder = payload_folder().artifacts / OUTPUTS
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier attempt
    namespace = _fresh_main(spec["path"])
    _bring_back(open_workspace().blobs, spec, namespace, report)
    found = variables(spec["code"], namespace)
    _execute(spec, namespace, found)
    folder.mkdir(parents=True, mode=0o700)
    return _keep(spec, namespace, found, folder)


def _fresh_main(path: list[str]) -> dict[str, Any]:
    """Make the module that the cell's code is of; what is pickled out of a notebook calls it ``__main__``, too."""
    _kept.append(sys.modules["__main__"])
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.path[:0] = [entry for entry in dict.fromkeys([os.getcwd(), *path]) if entry not in sys.path]
    sys.argv = [""]
    return main.__dict__


def _bring_back(blobs: Blobs, spec: dict[str, Any], namespace: dict[str, Any], report: Reporter) -> None:
    size = sum(item["size"] for item in spec["inputs"])
    names = [*(name for item in spec["inputs"] for name in item["names"])]
    if names:
        report.message(f"with {', '.join(names)} ({pickles.human(size)})"[:200])
    for name, module in spec["modules"].items():
        try:
            namespace[name] = importlib.import_module(module)
        except Exception as error:  # whatever a module's own code raises
            raise _unreadable(name, error) from error
    for item in spec["inputs"]:
        try:
            with blobs.path(item["sha256"]).open("rb") as file:
                namespace.update(pickle.load(file))  # noqa: S301 - written by this account a moment ago
        except Exception as error:  # whatever a value's own code raises
            traceback.print_exc()
            raise _unreadable(", ".join(item["names"]), error) from error


def _unreadable(names: str, error: Exception) -> CellFailedError:
    return CellFailedError(
        f"The input {names} could not be brought into the job: {type(error).__name__}: {error}",
        fix="A tensor on a GPU needs --gpus 1, or .cpu() first; else make it in the cell, and leave it out of --inputs.",
    )


def _execute(spec: dict[str, Any], namespace: dict[str, Any], found: Variables) -> None:
    label, code = spec["label"], spec["code"]
    linecache.cache[label] = (len(code), None, [f"{line}\n" for line in code.splitlines()], label)
    if found.shell:
        _shell(namespace)
    tree = ast.parse(code, label)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    try:
        with asyncio.Runner() as runner:
            _evaluate(compile(tree, label, "exec", _FLAGS, dont_inherit=True), namespace, runner)
            if isinstance(last, ast.Expr):
                value = ast.Expression(last.value)
                shown = _evaluate(compile(value, label, "eval", _FLAGS, dont_inherit=True), namespace, runner)
                namespace[LAST] = shown
                if shown is not None:
                    print(repr(shown), flush=True)  # noqa: T201 - as a notebook shows it
    except SystemExit as error:
        if error.code not in (None, 0):
            raise _failed(label, code, error) from error
    except Exception as error:
        raise _failed(label, code, error) from error


def _evaluate(code: CodeType, namespace: dict[str, Any], runner: asyncio.Runner) -> Any:
    found = eval(code, namespace)  # noqa: S307 - it is what the job is for
    return runner.run(found) if code.co_flags & inspect.CO_COROUTINE else found


def _shell(namespace: dict[str, Any]) -> None:
    """Have what a cell with magics, or with ``display``, takes for granted."""
    try:
        from IPython.core.interactiveshell import InteractiveShell
    except ImportError as error:
        raise CellFailedError(
            "The cell has lines with % or !, or shows something, and IPython is not installed.",
            fix="Run: pip install ipython",
        ) from error
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config, user_module=sys.modules["__main__"], user_ns=namespace)
    shell.builtin_trap.activate()
    shell.run_line_magic("load_ext", "snapml_lab")


def _failed(label: str, code: str, error: BaseException) -> CellFailedError:
    """Print the traceback from the cell's own lines on, and name the last of them."""
    inside: TracebackType | None = error.__traceback__
    while inside is not None and inside.tb_frame.f_code.co_filename != label:
        inside = inside.tb_next
    traceback.print_exception(type(error), error, inside or error.__traceback__)
    lines = [number for frame, number in traceback.walk_tb(inside) if frame.f_code.co_filename == label]
    at = ""
    if lines:
        text = code.splitlines()[lines[-1] - 1].strip()
        at = f" in line {lines[-1]} ({text if len(text) <= _SHORT else text[: _SHORT - 1] + '…'!r})"
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    return CellFailedError(
        f"The cell raised {said[:500]}{at}",
        fix=f"Mend it and run the cell again. Its traceback: snapml jobs logs {os.environ.get(JOB, 'last')[-6:]}",
    )


def _keep(
    spec: dict[str, Any], namespace: Mapping[str, Any], found: Variables, folder: Path
) -> dict[str, Any]:
    """Write the outputs to files.

    Raises:
        CellFailedError: an output that was asked for is not there, or cannot be pickled.
    """
    asked = spec["outputs"]
    if asked is None:
        taken = {name for item in spec["inputs"] for name in item["names"]}
        names = [*found.makes, *(name for name in found.changes if name in taken), LAST]
        names = [
            name for name in dict.fromkeys(names)
            if name in namespace and not isinstance(namespace[name], ModuleType)
            and (namespace[name] is not None if name == LAST else not name.startswith("_"))
        ]  # fmt: skip
        if LAST in names and any(namespace[name] is namespace[LAST] for name in names if name != LAST):
            names.remove(LAST)
    else:
        names = asked
    if missing := [name for name in names if name not in namespace]:
        raise CellFailedError(
            f"The cell did not make {missing[0]!r}, named in --outputs.", fix="Assign it in the cell."
        )
    packed = pickles.pack({name: namespace[name] for name in names}, folder)
    if asked is not None and packed.refused:
        name, reason = next(iter(packed.refused.items()))
        raise CellFailedError(
            f"The output {name!r} (a {pickles.kind(namespace[name])}) cannot be kept: {reason}",
            fix=f"Put out something plainer, or leave {name} out of --outputs.",
        )
    return {
        "outputs": [
            {"name": name, "type": pickles.kind(namespace[name]), "about": _about(namespace[name]), "size": file.size,
             "sha256": _sha256(file.path), "file": file.path.name}
            for file in packed.files for name in file.names
        ],
        "left_out": [
            {"name": name, "type": pickles.kind(namespace[name]), "reason": reason}
            for name, reason in packed.refused.items()
        ],
    }  # fmt: skip


def _about(value: object) -> str:
    """Say in a few words what a value is: a plain one itself, the shape of a table, the length of a collection."""
    try:
        if isinstance(value, str | bytes | int | float | complex):
            text = repr(value)
            return (
                text
                if len(text) <= _SHORT
                else f"{len(value)} long"
                if isinstance(value, str | bytes)
                else ""
            )
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple):
            return " × ".join(str(length) for length in shape)
        return f"{len(value)} items" if isinstance(value, list | tuple | dict | set | frozenset) else ""
    except Exception:  # whatever a value's own code raises
        return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return found
