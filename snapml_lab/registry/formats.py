"""What a file or folder a person brings is, told from its content and never by opening what could run code. Standard library only."""

import json
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from snapml_lab.errors import InvalidInputError, UnsafeFileError

Format = Literal["skops", "onnx", "safetensors", "peft", "pickle"]

PICKLED = frozenset(
    {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt", ".h5", ".keras", ".dill", ".npy", ".npz"}
)
"""Endings of files whose reader may run what is in them; such a file in a folder is left out."""
_LONGEST_HEADER = 100_000_000
"""Bytes of a safetensors header at most, as its own reader has it: https://github.com/huggingface/safetensors."""
_PICKLE_PROTOCOLS = range(2, 6)


@dataclass(frozen=True)
class Found:
    """What lies at a path.

    Attributes:
        format: how it is written.
        base: what an adapter says it is trained on.
        rank: of an adapter's matrices.
        architecture: the class a folder's configuration names.
        left_out: files of a folder that are not kept, for they could run code when opened.
    """

    format: Format
    base: str | None = None
    rank: int | None = None
    architecture: str | None = None
    left_out: list[str] = field(default_factory=list)


def recognise(path: Path) -> Found:
    """Say what a file or folder is; a ``pickle`` is only recognised, not opened.

    Raises:
        InvalidInputError: nothing is known of it, or it is not whole.
        UnsafeFileError: a folder without safetensors, or one that asks for code of its own.
    """
    if path.is_dir():
        return _folder(path)
    with path.open("rb") as file:
        head = file.read(16)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "schema.json" in archive.namelist():
                return Found("skops")
        return Found("pickle")  # as torch.save writes it
    if _is_pickle(head, path):
        return Found("pickle")
    if path.suffix.lower() == ".onnx":
        return Found("onnx")
    if path.suffix.lower() == ".safetensors":
        raise InvalidInputError.of(
            "model",
            path.name,
            "the folder it lies in",
            "Weights alone are no model: name the folder with config.json.",
        )
    raise InvalidInputError.of("model", path.name, "a skops or ONNX file, or a folder with safetensors")


def _is_pickle(head: bytes, path: Path) -> bool:
    if path.suffix.lower() in PICKLED:
        return True
    return len(head) > 1 and head[:1] == b"\x80" and head[1] in _PICKLE_PROTOCOLS


def _folder(path: Path) -> Found:
    files = sorted(item for item in path.rglob("*") if item.is_file() and not item.is_symlink())
    names = {item.relative_to(path).as_posix() for item in files}
    if "MLmodel" in names:
        raise InvalidInputError.of(
            "model",
            path.name,
            "a model's own folder",
            "A model of MLflow is brought in by: snapml models import",
        )
    left_out = sorted(name for name in names if Path(name).suffix.lower() in PICKLED | {".py"})
    weights = [item for item in files if item.suffix == ".safetensors"]
    if not weights:
        if left_out:
            raise UnsafeFileError(
                f"{path.name} holds no safetensors; {left_out[0]} could run code when opened.",
                fix="Save it again with save_pretrained of transformers.",
            )
        raise InvalidInputError.of(
            "model", path.name, "a folder with safetensors and config.json or adapter_config.json"
        )
    for item in weights:
        check_safetensors(item)
    if "adapter_config.json" in names:
        config = _json(path / "adapter_config.json")
        rank = config.get("r")
        base = config.get("base_model_name_or_path")
        return Found(
            "peft", str(base) if base else None, rank if isinstance(rank, int) else None, None, left_out
        )
    if "config.json" not in names:
        raise InvalidInputError.of(
            "model", path.name, "a folder with config.json or adapter_config.json beside the weights"
        )
    config = _json(path / "config.json")
    if config.get("auto_map"):
        raise UnsafeFileError(
            f"{path.name} asks for code of its own (auto_map in config.json), which is not run here.",
            fix="Use a model whose architecture transformers has.",
        )
    architectures = config.get("architectures") or [None]
    return Found("safetensors", architecture=architectures[0], left_out=left_out)


def check_safetensors(path: Path) -> None:
    """Check that a safetensors file is whole, by its header alone.

    Raises:
        InvalidInputError: it is cut short, or none.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(_LONGEST_HEADER, size - 8):
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
        ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        if max(ends, default=0) != size - 8 - length:
            raise ValueError(f"it has {size - 8 - length} bytes of weights and names {max(ends, default=0)}")
    except (
        ValueError,
        struct.error,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
    ) as error:
        raise InvalidInputError(
            f"model: {path.name} is not a whole safetensors file: {error}.", fix="Copy or save it again."
        ) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"model: {path.name} is not JSON: {error}.", fix="Copy or save it again."
        ) from error
    if not isinstance(found, dict):
        raise InvalidInputError.of("model", path.name, "a JSON object")
    return found
