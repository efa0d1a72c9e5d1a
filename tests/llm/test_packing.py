"""Packing: nothing is lost, and it is the same mathematics as one padded record a row."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.finetune import records
from snapml_lab.finetune.packing import collate, loss_sum, pack
from snapml_lab.finetune.tokens import Tokens, encode

from .home import people, record

LENGTHS = st.lists(st.integers(1, 40), max_size=60)


@given(sizes=LENGTHS)
def test_a_pack_keeps_every_record_once_and_no_row_is_too_long(sizes: list[int]) -> None:
    given_records = [Tokens([number] * size, [True] * size) for number, size in enumerate(sizes)]
    rows = pack(given_records, 40)
    assert sorted(item.ids[0] for row in rows for item in row) == list(range(len(sizes)))
    assert all(sum(len(item.ids) for item in row) <= 40 for row in rows)
    assert all(rows)


@given(sizes=LENGTHS)
def test_no_two_rows_of_a_pack_would_fit_into_one(sizes: list[int]) -> None:
    filled = [
        sum(len(item.ids) for item in row) for row in pack([Tokens([0] * n, [True] * n) for n in sizes], 40)
    ]
    assert not any(a + b <= 40 for index, a in enumerate(filled) for b in filled[index + 1 :])


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30), data=st.data())
def test_a_batch_says_for_each_learnt_token_what_came_before_it(
    sizes: list[int], data: st.DataObject
) -> None:
    chance = data.draw(st.randoms(use_true_random=False))
    made = [
        Tokens([chance.randrange(1, 99) for _ in range(size)], [chance.random() < 0.5 for _ in range(size)])
        for size in sizes
    ]
    rows = pack(made, 40)
    batch = collate(rows, pad=0)
    assert batch.learnt == sum(sum(item.learnt[1:]) for item in made)
    for index, row in enumerate(rows):
        at = 0
        for item in row:
            for place in range(len(item.ids)):
                here = at + place
                looked_at = batch.mask[index, 0, here].nonzero().flatten().tolist()
                assert looked_at == list(range(at, here + 1))
                assert int(batch.positions[index, here]) == place
                wanted = place + 1 < len(item.ids) and item.learnt[place + 1]
                assert int(batch.targets[index, here]) == (item.ids[place + 1] if wanted else -1)
            at += len(item.ids)
        assert (batch.targets[index, at:] == -1).all()


@pytest.fixture(scope="module")
def sample(cache: Path) -> tuple[Any, Any]:
    """The sample model in float32 and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (folder,) = (cache / "snapml-lab").glob("llm-*")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    return model, AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def learnt(sample: tuple[Any, Any]) -> list[Tokens]:
    lines = [
        *people(11),
        record("a", "b", "and then?", "a longer answer, in more words"),
        record("x " * 30, "y"),
    ]
    return [encode(records.parse(line, 1, "x"), sample[1], 512) for line in lines]


def plain(model: Any, made: list[Tokens], pad: int) -> tuple[torch.Tensor, int]:
    """The reference: a padded row for each record through the model's own forward, which shifts the labels itself."""
    length = max(len(item.ids) for item in made)
    ids = torch.tensor([item.ids + [pad] * (length - len(item.ids)) for item in made])
    looked_at = torch.tensor([[1] * len(item.ids) + [0] * (length - len(item.ids)) for item in made])
    labels = torch.tensor([
        [token if learnt else -100 for token, learnt in zip(item.ids, item.learnt, strict=True)]
        + [-100] * (length - len(item.ids))
        for item in made
    ])  # fmt: skip
    count = int((labels[:, 1:] != -100).sum())
    return model(input_ids=ids, attention_mask=looked_at, labels=labels).loss, count


def gradients(model: Any) -> dict[str, torch.Tensor]:
    found = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    model.zero_grad()
    return found


@pytest.mark.parametrize("length", [64, 160, 512])
def test_gradients_are_those_of_plain_padded_rows(
    sample: tuple[Any, Any], learnt: list[Tokens], length: int
) -> None:
    model, tokenizer = sample
    mean, count = plain(model, learnt, tokenizer.pad_token_id)
    mean.backward()
    wanted = gradients(model)

    rows = pack(learnt, max(length, *(len(item.ids) for item in learnt)))
    assert length == 64 or len(rows) < len(learnt)
    batch = collate(rows, tokenizer.pad_token_id)
    total = loss_sum(model, batch)
    (total / batch.learnt).backward()
    found = gradients(model)

    assert batch.learnt == count
    torch.testing.assert_close(total / count, mean, rtol=1e-5, atol=1e-6)
    assert set(found) == set(wanted)
    for name, gradient in wanted.items():
        torch.testing.assert_close(
            found[name], gradient, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_gradients_of_an_adapter_are_those_of_plain_padded_rows(cache: Path, learnt: list[Tokens]) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    (folder,) = (cache / "snapml-lab").glob("llm-*")
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = get_peft_model(
        base, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.02)
    mean, _ = plain(model, learnt, 0)
    mean.backward()
    wanted = gradients(model)
    batch = collate(pack(learnt, 256), 0)
    (loss_sum(model.get_base_model(), batch) / batch.learnt).backward()
    found = gradients(model)
    assert wanted
    assert set(found) == set(wanted)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


def test_a_record_does_not_see_its_neighbours(sample: tuple[Any, Any], learnt: list[Tokens]) -> None:
    model, _ = sample
    with torch.no_grad():
        alone = sum(float(loss_sum(model, collate([[item]], 0))) for item in learnt)
        together = float(loss_sum(model, collate(pack(learnt, 512), 0)))
    assert together == pytest.approx(alone, rel=1e-5)


def test_a_batch_without_anything_learnt_costs_nothing(sample: tuple[Any, Any]) -> None:
    batch = collate([[Tokens([5, 6, 7], [False, False, False])]], 0)
    assert batch.learnt == 0
    assert float(loss_sum(sample[0], batch).detach()) == 0.0


@pytest.mark.parametrize(("scaling", "agrees"), [(1.0, True), (8.0, False)])
def test_a_model_with_a_loss_of_its_own_is_told_from_one_without(scaling: float, agrees: bool):
    import torch
    from transformers import GraniteConfig, GraniteForCausalLM

    from snapml_lab.finetune.packing import disagreement
    from snapml_lab.finetune.tokens import Tokens

    torch.manual_seed(0)
    config = GraniteConfig(
        vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, logits_scaling=scaling, initializer_range=1.0, pad_token_id=0, attn_implementation="sdpa",
    )  # fmt: skip
    record = Tokens(list(range(1, 21)), [False] * 10 + [True] * 10)
    share = disagreement(GraniteForCausalLM(config), record, 0)
    assert (share < 0.001) if agrees else (share > 0.02)
