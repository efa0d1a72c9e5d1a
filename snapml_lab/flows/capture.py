"""What a cell takes with it into the background: its inputs by value, its modules by name."""

from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from snapml_lab.errors import InvalidInputError
from snapml_lab.flows import pickles
from snapml_lab.flows.variables import Variables
from snapml_lab.store.files import storage_errors
from snapml_lab.workspace import Workspace

MOST_BYTES = 4 * 2**30
_NOTEBOOK = ("IPython", "ipykernel")
"""Packages that put helpers of their own among a notebook's variables."""
_KEPT_BY_NOTEBOOK = frozenset({"In", "Out", "exit", "quit", "get_ipython", "display"})


class Captured(NamedTuple):
    """Inputs of a cell.

    Attributes:
        modules: names of the notebook that are modules, with the modules' own names.
        inputs: the files of the others: names, SHA-256, size in bytes; their content is in the workspace's blobs.
    """

    modules: dict[str, str]
    inputs: list[dict[str, Any]]

    @property
    def size(self) -> int:
        """How many bytes go along."""
        return sum(item["size"] for item in self.inputs)


def known(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of a notebook that are a person's own."""
    return {
        name: value for name, value in namespace.items()
        if name not in _KEPT_BY_NOTEBOOK and not (name.startswith("__") and name.endswith("__"))
        and not str(getattr(type(value), "__module__", "")).startswith(_NOTEBOOK)
        and not (isinstance(value, FunctionType) and str(value.__module__).startswith(_NOTEBOOK))
    }  # fmt: skip


def capture(
    ws: Workspace, namespace: Mapping[str, Any], found: Variables, asked: list[str] | None
) -> Captured:
    """Take what a cell needs out of a notebook: what was asked for, else what it reads, and what their functions use.

    Raises:
        InvalidInputError: a variable is not there, cannot be pickled, or all are too large; nothing is kept then.
        StorageError: the disk is full.
    """
    own = known(namespace)
    if missing := [name for name in asked or [] if name not in own]:
        raise InvalidInputError.of(
            "inputs",
            missing[0],
            "the name of a variable of the notebook",
            "Run the cell that makes it first.",
        )
    wanted = list(found.reads if asked is None else asked)
    used_by: dict[str, str] = {}
    modules: dict[str, str] = {}
    values: dict[str, Any] = {}
    with pickles.room(ws.cache) as folder:
        packed = pickles.Packed([], {}, {})
        while wanted:
            for name in wanted:
                module = _importable(own[name])
                if module is not None:
                    modules[name] = module
                else:
                    values[name] = own[name]
            packed = pickles.pack(values, folder, home=namespace, most=MOST_BYTES)
            for name, reason in packed.refused.items():
                raise _refused(name, own[name], reason, used_by.get(name))
            for user, needs in packed.needs.items():
                for name in sorted(needs & own.keys() - values.keys() - modules.keys()):
                    used_by.setdefault(name, user)
            wanted = [name for name in used_by if name not in values and name not in modules]
        with storage_errors(ws.blobs.root):
            inputs = [
                {"names": file.names, "sha256": ws.blobs.put(file.path)[0], "size": file.size}
                for file in packed.files
            ]
    return Captured(modules, inputs)


def _importable(value: object) -> str | None:
    """Return the name to import a module by; None of anything else, and of a module that is only in memory."""
    import sys

    if not isinstance(value, ModuleType) or sys.modules.get(value.__name__) is not value:
        return None
    return None if value.__spec__ is None else value.__name__


def _refused(name: str, value: object, reason: str, user: str | None) -> InvalidInputError:
    through = f", which {user} uses," if user else ""
    return InvalidInputError(
        f"inputs: {name!r} (a {pickles.kind(value)}){through} cannot be sent along: {reason}.",
        fix=f"Make {name} in the cell itself"
        + (", or hand it to the function." if user else ", or name the inputs without it: --inputs NAME,…"),
    )
