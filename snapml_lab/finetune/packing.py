"""Packing: several records in one row, each blind to the others, so that no time is spent on padding. Needs torch."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from snapml_lab.finetune.tokens import Tokens

if TYPE_CHECKING:
    import torch

_IGNORED = -1
_THEIR_IGNORED = -100
"""What transformers leaves out of a loss."""


@dataclass(frozen=True)
class Batch:
    """Rows of packed records.

    Attributes:
        ids: token ids, (rows, length).
        positions: each token's place in its own record, (rows, length).
        mask: True where a token may look, (rows, 1, length, length): backwards, inside its record only.
        targets: the next token where it is learnt, -1 elsewhere, (rows, length).
    """

    ids: "torch.Tensor"
    positions: "torch.Tensor"
    mask: "torch.Tensor"
    targets: "torch.Tensor"

    def on(self, device: Any) -> "Batch":
        """Return it on a device."""
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))

    @property
    def learnt(self) -> int:
        """How many tokens the loss is over."""
        return int((self.targets >= 0).sum())


def pack(records: Sequence[Tokens], length: int) -> list[list[Tokens]]:
    """Put records into rows of at most ``length`` tokens, first fit in the order given (which is the shuffled one)."""
    rows: list[list[Tokens]] = []
    room: list[int] = []
    for record in records:
        size = len(record.ids)
        place = next((index for index, left in enumerate(room) if left >= size), None)
        if place is None:
            rows.append([])
            room.append(length)
            place = len(rows) - 1
        rows[place].append(record)
        room[place] -= size
    return rows


def collate(rows: Sequence[Sequence[Tokens]], pad: int) -> Batch:
    """Make tensors of packed rows, as long as the longest of them."""
    import torch

    length = max(sum(len(record.ids) for record in row) for row in rows)
    ids = torch.full((len(rows), length), pad, dtype=torch.long)
    positions = torch.zeros((len(rows), length), dtype=torch.long)
    owner = torch.full((len(rows), length), -1, dtype=torch.long)
    targets = torch.full((len(rows), length), _IGNORED, dtype=torch.long)
    for index, row in enumerate(rows):
        at = 0
        for number, record in enumerate(row):
            size = len(record.ids)
            here = slice(at, at + size)
            ids[index, here] = torch.tensor(record.ids)
            positions[index, here] = torch.arange(size)
            owner[index, here] = number
            following = torch.tensor([*record.ids[1:], 0])
            wanted = torch.tensor([*record.learnt[1:], False])
            targets[index, here] = torch.where(wanted, following, torch.tensor(_IGNORED))
            at += size
    backwards = torch.ones((length, length), dtype=torch.bool).tril()
    mask = (owner[:, None, :, None] == owner[:, None, None, :]) & backwards
    return Batch(ids, positions, mask, targets)


def loss_sum(model: Any, batch: Batch) -> "torch.Tensor":
    """Return the summed cross-entropy over what is learnt.

    The projection onto the vocabulary, the largest product of a small model, is computed for those tokens alone.
    """
    import torch

    hidden = model.get_decoder()(
        input_ids=batch.ids, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False
    ).last_hidden_state
    wanted = batch.targets >= 0
    logits = model.get_output_embeddings()(hidden[wanted])
    return torch.nn.functional.cross_entropy(logits.float(), batch.targets[wanted], reduction="sum")


def disagreement(model: Any, record: Tokens, pad: int) -> float:
    """Return by how much (a share) the loss computed here differs from the model's own for a record.

    A model that scales or caps its logits has a loss of its own, which packed rows would not give.
    """
    import torch

    device = next(model.parameters()).device
    ids = torch.tensor([record.ids], device=device)
    learnt = torch.tensor([record.learnt], device=device)
    labels = torch.where(learnt, ids, torch.full_like(ids, _THEIR_IGNORED))
    batch = collate([[record]], pad).on(device)
    with torch.no_grad():
        own = float(model(input_ids=ids, labels=labels, use_cache=False).loss)
        ours = float(loss_sum(model, batch)) / max(batch.learnt, 1)
    return abs(ours - own) / max(abs(own), 1e-6)
