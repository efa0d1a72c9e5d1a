"""Eight bits: what is quantized and how far off it then is; a folder for vLLM holds just what its format asks for."""

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from snapml_lab.engines import int8  # noqa: E402


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=False,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def test_a_weight_is_off_by_half_a_step_at_most():
    weight = torch.randn(7, 33)
    weight[3] = 0
    values, scale = int8.quantized(weight)
    assert (values.dtype, tuple(scale.shape)) == (torch.int8, (7, 1))
    assert (values * scale - weight).abs().max() <= scale.max() / 2 + 1e-6
    assert values[3].abs().max() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_converted_model_answers_nearly_as_before_with_a_quarter_of_the_bytes(model: Any, dtype: Any):
    import copy

    before = copy.deepcopy(model).to(dtype)
    after = copy.deepcopy(before)
    assert int8.convert(after) == 2 * len(int8.LAYERS)
    words = torch.arange(24).reshape(2, 12)
    with torch.inference_mode():
        one, other = before(words).logits.float(), after(words).logits.float()
    assert 0 < (one - other).norm() / one.norm() < 0.05
    assert after.lm_head.weight.dtype == dtype
    held = {name for name, buffer in after.named_buffers() if buffer.dtype == torch.int8}
    assert len(held) == 14
    assert not any(name.endswith("_proj.weight") for name, _ in after.named_parameters())


def test_what_an_adapter_adds_stays_as_it_is(model: Any):
    import copy

    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(
        copy.deepcopy(model), peft.LoraConfig(r=2, target_modules=["q_proj", "up_proj"])
    )
    assert int8.convert(adapted) == 14
    small = [
        module for name, module in adapted.named_modules() if "lora_" in name and hasattr(module, "weight")
    ]
    assert small
    assert all(isinstance(module, torch.nn.Linear) for module in small)
    with torch.inference_mode():
        assert torch.isfinite(adapted(torch.arange(6)[None]).logits).all()


def test_a_model_without_such_layers_is_refused():
    with pytest.raises(int8.NotQuantizableError, match="q_proj"):
        int8.convert(torch.nn.Sequential(torch.nn.Linear(4, 4)))


def test_a_folder_for_vllm_has_the_weights_their_scales_and_says_so(model: Any, tmp_path: Path):
    from safetensors.torch import load_file

    model.save_pretrained(tmp_path / "source", max_shard_size="40KB")
    (tmp_path / "source" / "tokenizer.json").write_text("{}")
    assert int8.refusal(tmp_path / "source") is None
    assert int8.write(tmp_path / "source", tmp_path / "made") == 14
    found: dict[str, Any] = {}
    for path in (tmp_path / "made").glob("*.safetensors"):
        found |= load_file(path)
    source = model.state_dict()
    for name, tensor in source.items():
        if name.rpartition(".")[0].endswith("_proj"):
            scale = found[f"{name.removesuffix('weight')}weight_scale"]
            assert (found[name].dtype, scale.dtype) == (torch.int8, torch.float32)
            assert (found[name] * scale - tensor).abs().max() <= scale.max() / 2 + 1e-6
        else:
            assert torch.equal(found[name], tensor)
    index = json.loads((tmp_path / "made" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(found)
    config = json.loads((tmp_path / "made" / "config.json").read_text())
    assert config["quantization_config"]["quant_method"] == "compressed-tensors"
    assert (tmp_path / "made" / "tokenizer.json").is_file()
    assert int8.refusal(tmp_path / "made") == "its weights are quantized already"
    assert int8.refusal(tmp_path / "nowhere") is not None


def test_a_matrix_that_is_not_known_is_refused_by_name_and_nothing_is_left(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from safetensors.torch import load_file, save_file

    model.save_pretrained(tmp_path / "source")
    path = tmp_path / "source" / "model.safetensors"
    save_file({**load_file(path), "model.layers.0.mlp.gate.weight": torch.ones(4, 4)}, path)
    monkeypatch.setattr("sys.argv", ["int8.py", str(tmp_path / "source"), str(tmp_path / "made")])
    assert int8.main() == 3
    assert "model.layers.0.mlp.gate" in capsys.readouterr().out
    assert [item.name for item in tmp_path.iterdir()] == ["source"]
