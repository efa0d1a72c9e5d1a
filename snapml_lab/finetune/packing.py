"""Packing: several records in one row, each blind to the others, so that no time is spent on padding. Needs torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snapml_lab.finetune.tokens import Tokens

if TYPE_CHECKING:
    import torch

_IGNORED = -1


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
