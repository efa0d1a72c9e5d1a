"""Which model to start from: the sample made here, a folder, a hub's id, or a model version."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snapml_lab.errors import ConflictError, NotFoundError, SnapmlError, UnsafeFileError
from snapml_lab.registry import versions
from snapml_lab.workspace import Workspace

SAFELY: dict[str, Any] = {"use_safetensors": True, "trust_remote_code": False}
"""What each loading of a model is told: no pickles, and no code that comes along with it."""

VARIABLE = "SNAPML_BASE_MODEL"
SAMPLE = "sample"
_VERSION = "llm-3"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def sample_folder() -> Path:
    """Return where ``snapml sample llm`` keeps its model: in the user's cache, shared between projects."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "snapml-lab" / _VERSION


def resolve(ws: Workspace, reference: str) -> str:
    """Return a folder or a hub's id for what a person names.

    ``sample`` is ``SNAPML_BASE_MODEL`` where that is set, else the model ``snapml sample llm`` makes; then a folder,
    a model version of ours (merged), and last an id of a hub (``owner/name``).

    Raises:
        NotFoundError: nothing has that name.
        ConflictError: it is an adapter, not a whole model.
        UnsafeFileError: its weights are not safetensors.
    """
    if reference == SAMPLE:
        if named := os.environ.get(VARIABLE):
            return named
        if not (sample_folder() / "config.json").is_file():
            raise NotFoundError(
                "The sample model is not made yet.", fix="Make it, in about two minutes: snapml sample llm"
            )
        return str(sample_folder())
    for folder in (Path(reference), ws.project / reference):
        if (folder / "config.json").is_file():
            if not any(folder.glob("*.safetensors")):
                raise UnsafeFileError(
                    f"{reference} holds no safetensors; other files of weights could run code when opened.",
                    fix="Save it again with save_pretrained of transformers.",
                )
            return str(folder.resolve())
    try:
        found = versions.find(ws.ledger, reference)
    except SnapmlError:
        if _HUB_ID.fullmatch(reference):
            return reference
        raise
    if found.format != "safetensors":
        raise ConflictError(
            f"{reference} is a {found.format} model.", fix="Merge an adapter first: snapml models merge NAME"
        )
    return str(laid_out(ws, found))


@contextlib.contextmanager
def loading(reference: str) -> Iterator[None]:
    """Turn what transformers says of a model it cannot load into an error of the family.

    Raises:
        NotFoundError: with the first line of what it says.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        raise NotFoundError(
            f"model: {reference} could not be loaded: {str(error).strip().partition(chr(10))[0]}",
            fix="Name a folder with safetensors and a tokenizer, the id of a hub that can be reached, or sample.",
        ) from error


def laid_out(ws: Workspace, model: versions.ModelVersion) -> Path:
    """Return the folder of a model version that is kept as one."""
    return ws.blobs.folder(model.blob, ws.cache / "models" / model.blob)
