"""What a model is predicted to need of a GPU: from the sizes of files and its configuration, or not at all."""

import json
from pathlib import Path

import pytest

from snapml_lab.registry import footprint

MIB = 1 << 20
LLAMA_7B = {
    "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 32_000, "intermediate_size": 11_008,
    "max_position_embeddings": 4096, "dtype": "bfloat16",
}  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA_7B))
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(13_476 * MIB)  # a sparse file: 7 billion parameters of 16 bits
    return folder


def test_serving_takes_the_weights_a_fifth_more_and_the_context(model: Path):
    assert footprint.serving(str(model)) == int(13_476 * 1.2) + 1024


def test_an_adapter_takes_its_base_with_it(model: Path, tmp_path: Path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(model)}))
    (adapter / "adapter_model.safetensors").write_bytes(bytes(10 * MIB))
    assert footprint.serving(str(adapter)) == int(13_486 * 1.2) + 1024


def test_training_a_7b_model_by_lora_fits_a_24_gib_card_at_short_lengths_and_not_at_long_ones(model: Path):
    def need(tokens: int) -> int:
        found = footprint.lora_training(str(model), rank=16, rows=1, max_length=tokens)
        assert found is not None
        return found

    assert 15_000 < need(512) < 24_000 < need(4096)
    assert need(4096) == need(100_000), "a row is no longer than the model can take"


def test_32_bit_activations_and_higher_ranks_take_more(model: Path):
    def need(rank: int = 16) -> int:
        return footprint.lora_training(str(model), rank=rank, rows=1, max_length=512) or 0

    half = need()
    assert need(rank=64) > half
    (model / "config.json").write_text(json.dumps({**LLAMA_7B, "dtype": "float32"}))
    assert need() > half


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"hidden_size": "wide"}'])
def test_what_cannot_be_known_is_not_guessed(model: Path, content: str):
    (model / "config.json").write_text(content)
    assert footprint.lora_training(str(model), rank=16, rows=1, max_length=512) is None
    assert footprint.serving("owner/name") is None
    assert footprint.serving(str(model.parent)) is None
