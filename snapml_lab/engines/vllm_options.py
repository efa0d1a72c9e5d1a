"""What vLLM is started with: options as a person gives them, and the flags they become. Pure.

Flags and their meaning: vLLM 0.32, ``python -m vllm.entrypoints.openai.api_server --help``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from snapml_lab.errors import InvalidInputError

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks of LoRA matrices that vLLM makes room for."""
_MIB = 1 << 20


@dataclass(frozen=True)
class Options:
    """How vLLM serves a model; None leaves it to vLLM.

    Attributes:
        max_model_len: tokens of a prompt and its answer together.
        quantization: method (``fp8``, ``awq``, ``gptq``, …); one that the weights do not have yet is applied on loading;
            ``int8`` on a processor, made here.
        dtype: of weights and activations: ``auto``, ``bfloat16``, ``float16``, ``float32``.
        kv_cache_memory: MiB for keys and values; None on a GPU: what the lease leaves, on a processor: 1,024.
        enable_prefix_caching: whether what prompts begin with alike is worked out once.
        speculative: what vLLM takes as ``--speculative-config``, as ``{"method": "ngram", "num_speculative_tokens": 4}``.
        max_num_seqs: requests worked on at a time.
        max_num_batched_tokens: tokens of a step.
        adapters: whether adapters can be loaded while it runs.
        max_lora_rank: the largest rank of those.
        max_loras: adapters used in one step at most.
        enforce_eager: whether nothing is compiled; None: on a processor.
        tool_call_parser: how the model writes calls of tools (``hermes``, ``llama3_json``, …); None: tools are refused.
    """

    max_model_len: int | None = None
    quantization: str | None = None
    dtype: str | None = None
    kv_cache_memory: int | None = None
    enable_prefix_caching: bool | None = None
    speculative: dict[str, Any] | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    adapters: bool = False
    max_lora_rank: int | None = None
    max_loras: int | None = None
    enforce_eager: bool | None = None
    tool_call_parser: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Options":
        """Read options by name.

        Raises:
            InvalidInputError: naming the option there is not, or whose value is of another kind.
        """
        known = {item.name: item.type for item in fields(cls)}
        for name, value in given.items():
            if name not in known:
                raise InvalidInputError.of("option", name, f"one of vllm's: {', '.join(known)}")
            kinds = get_args(known[name]) if isinstance(known[name], UnionType) else (known[name],)
            if value is None and NoneType in kinds:
                continue
            kind = get_origin(kinds[0]) or kinds[0]
            if type(value) is not kind or (
                kind is not dict and not isinstance(value, bool) and not (value and value > kind())
            ):
                raise InvalidInputError.of(name, value, _EXPECTED[kind])
        made = cls(**given)
        if made.max_lora_rank is not None and made.max_lora_rank > RANKS[-1]:
            raise InvalidInputError.of("max_lora_rank", made.max_lora_rank, f"at most {RANKS[-1]}")
        return made

    def lora(self) -> bool:
        """Whether it is started to take adapters."""
        return self.adapters or self.max_loras is not None or self.max_lora_rank is not None


_EXPECTED: dict[Any, str] = {
    int: "a whole number above 0",
    str: "a word",
    bool: "true or false",
    dict: "a JSON object",
}


def flags(
    options: Options, *, gpu: bool, gpus: int = 1, rank: int = 0, kv_cache: int | None = None
) -> list[str]:
    """Return what is added to vLLM's command line; each value stands with its flag, whatever it begins with.

    Args:
        options: what was asked for.
        gpu: whether it runs on GPUs.
        gpus: over how many its tensors are split.
        rank: of the adapter that is served from the start; 0 is none.
        kv_cache: MiB for keys and values on a GPU, where the lease tells.
    """
    given: dict[str, Any] = {
        "max-model-len": options.max_model_len, "quantization": options.quantization, "dtype": options.dtype,
        "max-num-seqs": options.max_num_seqs, "max-num-batched-tokens": options.max_num_batched_tokens,
        "speculative-config": None if options.speculative is None else json.dumps(options.speculative),
    }  # fmt: skip
    if gpu:
        memory = options.kv_cache_memory or kv_cache
        given["kv-cache-memory-bytes"] = None if memory is None else memory * _MIB
        given["tensor-parallel-size"] = gpus if gpus > 1 else None
    made = [f"--{name}={value}" for name, value in given.items() if value is not None]
    if options.enable_prefix_caching is not None:
        made.append(f"--{'' if options.enable_prefix_caching else 'no-'}enable-prefix-caching")
    if options.enforce_eager if options.enforce_eager is not None else not gpu:
        made.append("--enforce-eager")
    if options.lora() or rank:
        largest = max(options.max_lora_rank or 16, rank)
        made += ["--enable-lora", f"--max-lora-rank={next(room for room in RANKS if room >= largest)}"]
        made += [f"--max-loras={options.max_loras}"] if options.max_loras else []
    if options.tool_call_parser:
        made += ["--enable-auto-tool-choice", f"--tool-call-parser={options.tool_call_parser}"]
    return made
