"""What vLLM is started with and asked: options become flags, and a field it would not honour is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from snapml_lab.engines import vllm
from snapml_lab.engines.base import UnsupportedError
from snapml_lab.engines.vllm_options import Options, flags
from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Target

CHAT = "/v1/chat/completions"
TURNS = [{"role": "user", "content": "hello"}]


def target(**options: Any) -> Target:
    return Target("r1", "tuned@1", "vllm", "/models/tuned", options=options)


def test_a_request_is_passed_on_under_the_engines_own_name():
    body = {"model": "shop", "messages": TURNS, "max_tokens": 3, "user": "ann", "metadata": {}, "seed": None}
    assert vllm.translate(CHAT, body, target()) == {"model": "tuned@1", "messages": TURNS, "max_tokens": 3}


def test_the_newer_name_of_the_limit_counts():
    body = {"messages": TURNS, "max_tokens": 3, "max_completion_tokens": 5}
    assert vllm.translate(CHAT, body, target())["max_completion_tokens"] == 5
    assert "max_tokens" not in vllm.translate(CHAT, body, target())


def test_a_streamed_request_asks_for_usage_on_every_chunk():
    assert vllm.translate(CHAT, {"messages": TURNS, "stream": True}, target())["stream_options"] == {
        "include_usage": True, "continuous_usage_stats": True,
    }  # fmt: skip
    body = {"messages": TURNS, "stream_options": {"include_usage": True}}
    assert "stream_options" not in vllm.translate(CHAT, body, target())


@pytest.mark.parametrize(
    ("route", "field", "value"),
    [
        (CHAT, "web_search_options", {}),
        (CHAT, "prompt", "hello"),
        (CHAT, "kv_transfer_params", {"remote_host": "10.0.0.1"}),
        (CHAT, "vllm_xargs", {"a": 1}),
        (CHAT, "modalities", ["text", "audio"]),
        ("/v1/completions", "messages", TURNS),
        ("/v1/embeddings", "stream", True),
    ],
)
def test_a_field_it_does_not_take_is_refused_by_name(route: str, field: str, value: Any):
    with pytest.raises(UnsupportedError) as refused:
        vllm.translate(route, {field: value}, target())
    assert refused.value.param == field
    assert refused.value.code == "unsupported_parameter"


def test_tools_need_the_option_that_says_how_the_model_writes_calls():
    body = {"messages": TURNS, "tools": [{"type": "function", "function": {"name": "add"}}]}
    with pytest.raises(UnsupportedError) as refused:
        vllm.translate(CHAT, body, target())
    assert refused.value.param == "tools"
    assert vllm.translate(CHAT, body, target(tool_call_parser="hermes"))["tools"] == body["tools"]
    assert "tools" in vllm.translate(CHAT, {**body, "tool_choice": "none"}, target())


@pytest.mark.parametrize("part", [
    {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}},
    {"type": "image_url", "image_url": "file:///etc/passwd"}, {"type": "video_url", "video_url": {"url": "https://x"}},
])  # fmt: skip
def test_an_address_that_the_engine_would_fetch_is_refused(part: dict[str, Any]):
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, part]}]}
    with pytest.raises(UnsupportedError, match=r"messages\."):
        vllm.translate(CHAT, body, target())


def test_a_picture_in_the_message_itself_is_passed_on():
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    body = {"messages": [{"role": "user", "content": [part]}]}
    assert vllm.translate(CHAT, body, target())["messages"] == body["messages"]


def test_without_options_it_is_not_compiled_on_a_processor_and_left_alone_on_a_gpu():
    assert flags(Options(), gpu=False) == ["--enforce-eager"]
    assert flags(Options(), gpu=True) == []
    assert flags(Options(enforce_eager=True), gpu=True) == ["--enforce-eager"]
    assert flags(Options(enforce_eager=False), gpu=False) == []


def test_options_become_flags():
    given = {
        "max_model_len": 512, "quantization": "fp8", "dtype": "bfloat16", "max_num_seqs": 8, "max_num_batched_tokens": 64,
        "enable_prefix_caching": False, "speculative": {"method": "ngram", "num_speculative_tokens": 4}, "max_loras": 2,
        "tool_call_parser": "hermes",
    }  # fmt: skip
    assert flags(Options.of(given), gpu=True, gpus=2, kv_cache=100) == [
        "--max-model-len=512", "--quantization=fp8", "--dtype=bfloat16", "--max-num-seqs=8", "--max-num-batched-tokens=64",
        '--speculative-config={"method": "ngram", "num_speculative_tokens": 4}', "--kv-cache-memory-bytes=104857600",
        "--tensor-parallel-size=2", "--no-enable-prefix-caching", "--enable-lora", "--max-lora-rank=16", "--max-loras=2",
        "--enable-auto-tool-choice", "--tool-call-parser=hermes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "adapter", "made"), [(None, 0, 16), (8, 0, 8), (24, 0, 32), (None, 40, 64), (8, 33, 64)]
)
def test_room_for_adapters_is_of_a_rank_there_is(asked: int | None, adapter: int, made: int):
    options = Options(adapters=True, max_lora_rank=asked)
    assert f"--max-lora-rank={made}" in flags(options, gpu=False, rank=adapter)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_model_length": 1}, "max_model_length"), ({"max_model_len": "8"}, "max_model_len"),
        ({"max_num_seqs": 0}, "max_num_seqs"), ({"adapters": 1}, "adapters"), ({"quantization": ""}, "quantization"),
        ({"speculative": "ngram"}, "speculative"), ({"max_lora_rank": 1024}, "max_lora_rank"),
        ({"max_model_len": True}, "max_model_len"),
    ],
)  # fmt: skip
def test_an_option_that_is_none_is_refused_by_name(options: dict[str, Any], said: str):
    with pytest.raises(InvalidInputError, match=said):
        Options.of(options)


def spec(folder: Path, **options: Any) -> dict[str, Any]:
    return {"name": "-x", "source": str(folder), "socket": "/run/s.sock", "options": options, "gpus": 0}


def test_values_cannot_become_flags(tmp_path: Path):
    argv = vllm.arguments(spec(tmp_path, quantization="--api-key"), on_gpu=False)
    assert "--served-model-name=-x" in argv
    assert "--quantization=--api-key" in argv
    assert all(word.startswith("--") for word in argv)


def test_an_adapter_is_served_on_its_base(tmp_path: Path):
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "/models/base", "r": 8})
    )
    argv = vllm.arguments(spec(tmp_path), on_gpu=False)
    assert "--model=/models/base" in argv
    assert f'--lora-modules={{"name": "-x", "path": "{tmp_path}"}}' in argv
    assert "--max-lora-rank=16" in argv


def test_eight_bits_made_here_come_as_a_folder_of_their_own_in_sixteen_bits_besides(tmp_path: Path):
    spec = {
        "source": str(tmp_path),
        "name": "shop",
        "socket": "s",
        "gpus": 0,
        "options": {"quantization": "int8"},
    }
    made = vllm.arguments({**spec, "quantized": "/cache/int8/a"}, on_gpu=False)
    assert "--model=/cache/int8/a" in made
    assert "--dtype=bfloat16" in made
    assert not any(word.startswith("--quantization") for word in made)
    options = {"quantization": "int8", "dtype": "float16"}
    assert "--dtype=float16" in vllm.arguments({**spec, "options": options}, on_gpu=False)


def test_of_a_lease_the_keys_and_values_get_what_the_weights_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "model.safetensors").write_bytes(b"\0" * (300 << 20))
    monkeypatch.setenv("SNAPML_GPU_MEMORY", "4096")
    argv = vllm.arguments({**spec(tmp_path), "gpus": 1}, on_gpu=True)
    assert f"--kv-cache-memory-bytes={(4096 - 300 - 1536) << 20}" in argv
    monkeypatch.setenv("SNAPML_GPU_MEMORY", "1800")
    with pytest.raises(ConflictError, match="no room"):
        vllm.arguments({**spec(tmp_path), "gpus": 1}, on_gpu=True)


def test_its_environment_has_no_secret_and_no_open_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("VLLM_SERVER_DEV_MODE", "1")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("SNAPML_JOB_NONCE", "n")
    made = vllm.child_environment(spec(tmp_path))
    assert "sk-secret" not in made.values()
    assert "PYTHONPATH" not in made
    assert (made["VLLM_SERVER_DEV_MODE"], made["VLLM_NO_USAGE_STATS"], made["HF_HUB_OFFLINE"]) == (
        "0",
        "1",
        "1",
    )
    assert made["SNAPML_JOB_NONCE"] == "n"
    assert (made["VLLM_HOST_IP"], made["GLOO_SOCKET_IFNAME"]) == ("127.0.0.1", "lo")
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in made
    assert vllm.child_environment(spec(tmp_path, adapters=True))["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"


def test_what_is_no_adapter_is_not_offered_to_it(tmp_path: Path):
    with pytest.raises(NotFoundError, match="no PEFT adapter"):
        vllm.load_adapter(tmp_path / "no.sock", "a", tmp_path)


def test_the_context_is_what_was_asked_for_else_the_models(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 2048}')
    found = Target("r1", "m", "vllm", str(tmp_path))
    assert vllm.context(found) == 2048
    assert vllm.context(target(max_model_len=77)) == 77
    assert vllm.context(target()) is None


def test_a_model_that_would_kill_it_on_a_processor_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "vllm.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))  # so that it imports here
    monkeypatch.setattr(vllm.gpus, "present", lambda: False)
    found = deployments.single("m", "m", "vllm", "chat", str(tmp_path))
    config = {"hidden_size": 128, "num_attention_heads": 8}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConflictError, match="heads are 16 wide"):
        vllm.ENGINE.spec(None, found, found.target)
    (tmp_path / "config.json").write_text(json.dumps({**config, "head_dim": 32}))
    assert vllm.ENGINE.spec(None, found, found.target)["source"] == str(tmp_path)


@pytest.mark.parametrize(
    ("counted", "alive"),
    [
        (["1", "2"], True), (["2", "2"], False), ([None, "2"], True), (["2", None], False), ([None, None], False),
    ],
)  # fmt: skip
def test_a_token_of_another_request_is_a_sign_of_life(
    monkeypatch: pytest.MonkeyPatch, counted: list[str | None], alive: bool
) -> None:
    told = iter(counted)

    def ask(_path: Path, method: str, route: str, *_: object, **__: object) -> tuple[int, str]:
        if method == "POST":
            raise TimeoutError
        assert route == "/metrics"
        number = next(told)
        return (200, f"vllm:generation_tokens_total {number}\nother 7") if number else (503, "")

    monkeypatch.setattr("snapml_lab.engines.socket_http.ask", ask)
    target = Target("1", "m@1", "vllm", "m")
    assert vllm.answers(Path("x"), "m", target, 1.0) is alive
