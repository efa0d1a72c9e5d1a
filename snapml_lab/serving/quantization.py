"""Which quantizations an engine can do on a machine's cards or its processor, and what each needs. Standard library only.

Sources: vLLM's table of supported hardware (docs, "Quantization"): weights and activations of FP8 from compute capability
8.9 on, FP8 weights alone from 8.0; bitsandbytes from 7.0. ``transformers serve`` takes bitsandbytes' two, on CUDA alone.
``int8`` on a processor is made by us (``engines/int8.py``) for both engines: vLLM's build for processors quantizes nothing to
eight whole bits by itself, but has kernels for what is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from snapml_lab.errors import InvalidInputError

NONE = "none"
"""The model's own precision."""


@dataclass(frozen=True)
class Quantization:
    """One way to hold weights in fewer bits, made as the model is loaded.

    Attributes:
        name: as the engine calls it.
        bits: of a weight.
        capability: the least CUDA compute capability it works with; None: it is for processors.
        module: the package it needs in the engine's environment.
    """

    name: str
    bits: int
    capability: tuple[int, int] | None = None
    module: str | None = None

    def on(self, cards: Sequence["Card"]) -> bool:
        """Say whether it works on these cards, on each of them; on a processor where there are none."""
        least = self.capability
        if least is None or not cards:
            return least is None and not cards
        return all(card.capability is not None and card.capability >= least for card in cards)


KNOWN: dict[str, tuple[Quantization, ...]] = {
    "vllm": (
        Quantization("fp8", 8, (8, 0)),
        Quantization("bitsandbytes", 4, (7, 0), "bitsandbytes"),
        Quantization("int8", 8),
    ),
    "transformers": (
        Quantization("bnb-8bit", 8, (7, 0), "bitsandbytes"),
        Quantization("bnb-4bit", 4, (7, 0), "bitsandbytes"),
        Quantization("int8", 8),
    ),
}


@dataclass(frozen=True)
class Card:
    """A GPU as a plan sees it: memory in MiB; ``capability`` is None where the driver does not tell."""

    name: str
    total: int
    free: int
    capability: tuple[int, int] | None = None


def offered(engine: str, cards: Sequence[Card], *, modules: frozenset[str]) -> list[Quantization]:
    """Return what an engine can do on these cards.

    Args:
        engine: its name.
        cards: those it may run on; it must work on each, for the queue chooses among them. None: on the processor.
        modules: packages there are in its environment.
    """
    return [
        item
        for item in KNOWN.get(engine, ())
        if item.on(cards) and (item.module is None or item.module in modules)
    ]


def chosen(
    name: str | None, engine: str, cards: Sequence[Card], *, modules: frozenset[str]
) -> Quantization | None:
    """Return the quantization a person named; None for none.

    Raises:
        InvalidInputError: the engine cannot do it on these cards; the fix names those it can.
    """
    if name is None or name == NONE:
        return None
    can = {item.name: item for item in offered(engine, cards, modules=modules)}
    if name in can:
        return can[name]
    where = ", ".join(sorted({card.name for card in cards})) or "a CPU"
    known = next((item for item in KNOWN.get(engine, ()) if item.name == name), None)
    fix = f"It can do: {', '.join([NONE, *can])}."
    if known is not None:
        fix = f"{name} needs {_need(known, cards)}. {fix}"
    raise InvalidInputError.of("quantization", name, f"what {engine} can do on {where}", fix)


def _need(item: Quantization, cards: Sequence[Card]) -> str:
    """Say what is missing for it."""
    if item.on(cards):
        return f"the package {item.module} in the engine's environment"
    if item.capability is None:
        return "the processor: --gpus 0"
    return f"an NVIDIA GPU of compute capability {'.'.join(map(str, item.capability))}"
