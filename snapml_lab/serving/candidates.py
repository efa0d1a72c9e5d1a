"""Which settings of an engine are worth measuring on a deployment: one thing changed at a time. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from snapml_lab.errors import ConflictError, InvalidInputError

AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Candidate:
    """One way to serve: a name, and the engine's options in full."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


def candidates(
    engine: str, options: Mapping[str, Any], quantizations: Sequence[str], *, on_gpu: bool, concurrency: int
) -> list[Candidate]:
    """Return what to measure, what stands first.

    Args:
        engine: the engine's name.
        options: those it is served with now.
        quantizations: what engine and cards can do.
        on_gpu: whether it runs on one.
        concurrency: requests at a time, of the measurement: batches need not be larger.

    Raises:
        ConflictError: there is nothing to vary; the fix says where there would be.
    """
    # vLLM's kernels for int8 take no float32.
    wide = engine == "vllm" and options.get("dtype") == "float32"
    changes: list[tuple[str, dict[str, Any]]] = [
        (
            f"quantization {name}",
            {"quantization": name, **({"dtype": None} if wide and name == "int8" else {})},
        )
        for name in quantizations
    ]
    if engine == "vllm":
        caches = options.get("enable_prefix_caching") is not False  # vLLM does by itself
        changes = [*_of_vllm(caches, on_gpu=on_gpu, concurrency=concurrency), *changes]
    if options.get("quantization"):
        changes.append(("no quantization", {"quantization": None}))
    found = [Candidate(AS_IT_IS, dict(options))]
    for name, change in changes:
        made = {**options, **change}
        made = {key: value for key, value in made.items() if value is not None}
        if made not in [item.options for item in found]:
            found.append(Candidate(name, made))
    if len(found) == 1:
        raise ConflictError(
            f"There is nothing to vary of {engine} on {'this GPU' if on_gpu else 'a CPU'}.",
            fix="vLLM has settings to tune: snapml env create vllm, then deploy with --engine vllm"
            if engine == "transformers"
            else "Only language models that run here are tuned.",
        )
    return found


def only(found: Sequence[Candidate], names: Sequence[str]) -> list[Candidate]:
    """Return the candidates of these names, and what stands.

    Raises:
        InvalidInputError: there is none of a name.
    """
    known = [item.name for item in found[1:]]
    for name in names:
        if name not in known:
            raise InvalidInputError.of("setting", name, f"one of: {'; '.join(known)}")
    return [found[0], *(item for item in found[1:] if item.name in names)]


def _of_vllm(caches: bool, *, on_gpu: bool, concurrency: int) -> list[tuple[str, dict[str, Any]]]:
    """Return vLLM's settings around what it takes by itself: half and all of the requests at a time, small and large steps."""
    steps = (2048, 8192) if on_gpu else (512, 2048)
    seqs = sorted({max(1, concurrency // 2), concurrency})
    ngram = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4}
    return [
        ("no prefix caching" if caches else "prefix caching", {"enable_prefix_caching": not caches}),
        *((f"at most {number} at a time", {"max_num_seqs": number}) for number in seqs),
        *((f"steps of {number} tokens", {"max_num_batched_tokens": number}) for number in steps),
        ("speculation by n-grams", {"speculative": ngram}),
    ]
