"""How much memory of a GPU a model will need: a prediction, shown beside what was used. Standard library only.

Nothing is loaded: it is worked out from the sizes of the files and the model's ``config.json``. What cannot be known
(a hub's id that is not on this machine) is None, and then the whole device is asked for.
"""

import json
from pathlib import Path
from typing import Any

_MIB = 1 << 20
_CONTEXT_MIB = 1024
"""CUDA's context, its libraries' workspaces and what the allocator cannot give back."""
_SERVING = 1.2
"""Weights and a fifth for the cache and buffers: Anthony, Biderman, Schoelkopf, "Transformer Math 101", EleutherAI 2023."""
_ACTIVATION_BYTES = 34
"""Bytes a token, a layer and a hidden unit with 16-bit activations, attention computed without its matrix of scores:
Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models", 2022 (arXiv:2205.05198), equation 2."""
_TRAINED_BYTES = 16
"""Bytes a trained parameter: itself, its gradient and AdamW's two moments, 32 bits each."""
_LOGIT_BYTES = 10
"""Bytes a token and a word of the vocabulary: logits in 16 bits, their copy in 32, and its gradient."""
_ADAPTED_MATRICES = 7
"""Linear maps of a decoder layer that LoRA adapts: four of attention, three of the feed-forward part."""


def serving(source: str, bits: int | None = None) -> int | None:
    """Return the memory (MiB) to serve a model's folder, an adapter's with its base's; None where it cannot be known.

    Args:
        source: the folder.
        bits: of each weight, where they are quantized as they are loaded; None: as they are in the files.
    """
    folder = Path(source)
    total = _weights(folder)
    if total is None:
        return None
    if bits is not None:
        total = total * bits // (32 if _is_wide(folder) else 16)
    return int(total * _SERVING / _MIB) + _CONTEXT_MIB


def weights(source: Path) -> int | None:
    """Return the MiB of a model's weights, an adapter's with its base's; None where they cannot be known."""
    found = _weights(source)
    return None if found is None else -(-found // _MIB)


def _is_wide(folder: Path) -> bool:
    """Say whether a model's files, or those of an adapter's base, are of 32 bits a weight."""
    adapter = _read(folder / "adapter_config.json")
    config = _config(Path(str(adapter.get("base_model_name_or_path", "")))) if adapter else _config(folder)
    return (config or {}).get("dtype", (config or {}).get("torch_dtype")) == "float32"


def lora_training(base: str, *, rank: int, rows: int, max_length: int) -> int | None:
    """Return the memory (MiB) to train a LoRA adapter.

    Args:
        base: folder of the base model.
        rank: of the LoRA matrices.
        rows: packed rows a step.
        max_length: tokens a row.
    """
    folder = Path(base)
    own, config = _weights(folder), _config(folder)
    if own is None or config is None:
        return None
    try:
        hidden, layers, words = (
            int(config[name]) for name in ("hidden_size", "num_hidden_layers", "vocab_size")
        )
        inner = int(config.get("intermediate_size", 4 * hidden))
    except (KeyError, TypeError, ValueError):
        return None
    tokens = rows * min(max_length, int(config.get("max_position_embeddings") or max_length))
    wide = 2 if config.get("dtype", config.get("torch_dtype")) == "float32" else 1
    trained = layers * rank * (_ADAPTED_MATRICES - 3) * 2 * hidden + layers * rank * 3 * (hidden + inner)
    activations = _ACTIVATION_BYTES * tokens * hidden * layers * wide
    total = own + trained * _TRAINED_BYTES + activations + tokens * words * _LOGIT_BYTES
    return int(total / _MIB) + _CONTEXT_MIB


def _weights(folder: Path) -> int | None:
    """Return the bytes of a folder's safetensors, with those of the base it is an adapter of."""
    files = list(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files:
        return None
    total = sum(file.stat().st_size for file in files)
    adapter = _read(folder / "adapter_config.json")
    if adapter is None:
        return total
    below = _weights(Path(str(adapter.get("base_model_name_or_path", ""))))
    return None if below is None else total + below


def _config(folder: Path) -> dict[str, Any] | None:
    found = _read(folder / "config.json")
    if found is not None and isinstance(found.get("text_config"), dict):
        return dict(found["text_config"])
    return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
