"""Linear layers with weights and activations of eight bits, on a processor: for ``transformers`` in place, for vLLM as a folder.

Weights are quantized once, with a scale per output channel; activations as they come, with a scale per token; both symmetric
(W8A8, dynamic: Dettmers et al., "LLM.int8()", 2022, arXiv:2208.07339, section 2.1, without its outliers' own path). Embeddings, norms and the
output layer stay as they are. Standard library only at import; as a script it is run by an engine's own Python.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

MOST = 127
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of decoders built like Llama (Mistral, Qwen, Gemma, …); a model that has others is refused."""
_CONFIG = {
    "quant_method": "compressed-tensors", "format": "int-quantized", "quantization_status": "compressed", "ignore": ["lm_head"],
    "config_groups": {"group_0": {
        "targets": ["Linear"],
        "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False},
        "input_activations": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True},
    }},
}  # fmt: skip
"""What vLLM reads in the model's configuration: the format of compressed-tensors 0.17."""
_INDEX = "model.safetensors.index.json"


class NotQuantizableError(Exception):
    """A model that is not built as this module knows; the message says what is in the way."""


def quantized(weight: Any) -> tuple[Any, Any]:
    """Return weights (outputs × inputs) as whole numbers of eight bits, and a scale (outputs × 1) of 32 bits."""
    import torch

    wide = weight.detach().float()
    scale = wide.abs().amax(1, keepdim=True).clamp(min=1e-12) / MOST
    return (wide / scale).round().clamp(-MOST, MOST).to(torch.int8), scale


def convert(model: Any) -> int:
    """Quantize the linear layers of a model in place; return how many.

    Raises:
        NotQuantizableError: it has none of those that are known.
    """
    import torch

    class Int8Linear(torch.nn.Module):
        """Multiplies in whole numbers."""

        values: torch.Tensor
        scale: torch.Tensor

        def __init__(self, linear: Any) -> None:
            super().__init__()
            values, scale = quantized(linear.weight)
            self.register_buffer("values", values.t())
            self.register_buffer("scale", scale.t().contiguous())
            self.bias = linear.bias

        def forward(self, x: Any) -> Any:
            flat = x.reshape(-1, x.shape[-1]).float()
            scale = flat.abs().amax(1, keepdim=True).clamp(min=1e-12) / MOST
            whole = (flat / scale).round().clamp(-MOST, MOST).to(torch.int8)
            # The one product of whole numbers that torch has on a processor; torchao builds on it, too.
            out = (torch._int_mm(whole, self.values).float() * scale * self.scale).to(x.dtype)  # noqa: SLF001
            out = out if self.bias is None else out + self.bias
            return out.reshape(*x.shape[:-1], -1)

    found = [
        (parent, name)
        for path, parent in model.named_modules()
        for name, child in parent.named_children()
        # An adapter keeps the layer it is on as its base_layer; its own small matrices stay.
        if isinstance(child, torch.nn.Linear) and (name if name != "base_layer" else path.rpartition(".")[2]) in LAYERS
    ]  # fmt: skip
    if not found:
        raise NotQuantizableError(f"it has none of the layers {', '.join(LAYERS)}")
    for parent, name in found:
        setattr(parent, name, Int8Linear(getattr(parent, name)))
    return len(found)


def refusal(folder: Path) -> str | None:
    """Say why a model in a folder cannot be quantized here; None where nothing is known against it."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return "it is not in a folder on this machine"
    if config.get("quantization_config"):
        return "its weights are quantized already"
    if not list(folder.glob("*.safetensors")):
        return "it has no safetensors"
    return None


def write(source: Path, target: Path) -> int:
    """Write a folder like ``source`` with quantized linear layers, for vLLM; return how many.

    Raises:
        NotQuantizableError: a matrix in it is of no layer that is known.
    """
    from safetensors.torch import load_file, save_file

    target.mkdir(parents=True)
    files: dict[str, str] = {}
    number = 0
    for path in sorted(source.iterdir()):
        if (
            path.is_file()
            and path.suffix not in (".safetensors", ".bin", ".pt", ".pth")
            and path.name != _INDEX
        ):
            shutil.copyfile(path, target / path.name)
    for path in sorted(source.glob("*.safetensors")):
        made = {}
        for name, tensor in load_file(path).items():
            layer, _, last = name.rpartition(".")
            if last != "weight" or tensor.dim() < 2 or ".layers." not in name:
                made[name] = tensor
                continue
            if layer.rpartition(".")[2] not in LAYERS or tensor.dim() != 2:
                raise NotQuantizableError(f"what it does with {layer} is not known here")
            made[name], made[f"{layer}.weight_scale"] = quantized(tensor)
            number += 1
        save_file(made, target / path.name, metadata={"format": "pt"})
        files |= dict.fromkeys(made, path.name)
    if not number:
        raise NotQuantizableError(f"it has none of the layers {', '.join(LAYERS)}")
    if (source / _INDEX).is_file():
        (target / _INDEX).write_text(json.dumps({"metadata": {}, "weight_map": files}))
    config = json.loads((source / "config.json").read_bytes())
    (target / "config.json").write_text(json.dumps({**config, "quantization_config": _CONFIG}))
    return number


def main() -> int:
    """Write a folder: SOURCE TARGET. TARGET is there whole or not at all."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    incoming = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        write(source, incoming)
        incoming.rename(target)
    except NotQuantizableError as error:
        sys.stdout.write(f"{error}\n")
        return 3
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
