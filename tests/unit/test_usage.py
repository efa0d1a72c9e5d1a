"""What providers and engines tell of a request's use, as it was seen on the wire, is read into buckets that do not overlap."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.costs.usage import MOST, Usage, read, worst


def m(
    given: int | None, cached: int | None, write: int | None, output: int | None, reasoning: int | None
) -> Usage:
    return Usage(given, cached, write, output, reasoning, "metered")


def chat(prompt: Any, completion: Any, total: Any = None, **fields: Any) -> dict[str, Any]:
    told = {"prompt_tokens": prompt, "completion_tokens": completion, **fields}
    return told if total is None else {**told, "total_tokens": total}


def cached(count: Any) -> dict[str, Any]:
    return {"prompt_tokens_details": {"cached_tokens": count, "audio_tokens": 0}}


def thought(count: Any) -> dict[str, Any]:
    return {"completion_tokens_details": {"reasoning_tokens": count, "audio_tokens": 0}}


WIRE: dict[str, tuple[Any, Usage]] = {
    "OpenAI": (chat(19, 10, 29, **cached(0), **thought(0)), m(19, 0, None, 10, 0)),
    "OpenAI, before it told details": (chat(9, 12, 21), m(9, None, None, 12, None)),
    "OpenAI, cache and reasoning inside": (
        chat(2006, 300, 2306, **cached(1920), **thought(256)), m(86, 1920, None, 44, 256)
    ),
    "OpenAI, all of the answer is reasoning": (chat(75, 1186, 1261, **cached(0), **thought(1186)), m(75, 0, None, 0, 1186)),
    "OpenAI's responses": (
        {"input_tokens": 328, "input_tokens_details": {"cached_tokens": 300}, "output_tokens": 52,
         "output_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 380},
        m(28, 300, None, 32, 20),
    ),
    "OpenAI's responses, with cache writes": (
        {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 600}, "output_tokens": 5,
         "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1005},
        m(300, 100, 600, 5, 0),
    ),
    "OpenAI's responses, the last event of a stream": (
        {"type": "response.completed", "response": {"usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}}},
        m(7, None, None, 3, None),
    ),
    # LiteLLM issue 9812: billed twice there, once as prompt and once as cache.
    "Anthropic, a write": (
        {"input_tokens": 3, "cache_creation_input_tokens": 12304, "cache_read_input_tokens": 0, "output_tokens": 550},
        m(3, 0, 12304, 550, None),
    ),
    "Anthropic, a read": (
        {"input_tokens": 4, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 12304, "output_tokens": 50},
        m(4, 12304, 0, 50, None),
    ),
    "Anthropic, no cache": (
        {"input_tokens": 4, "cache_creation_input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 50},
        m(4, None, None, 50, None),
    ),
    "Anthropic, the first event of a stream": (
        {"type": "message_start", "message": {"usage": {"input_tokens": 25, "output_tokens": 1}}}, m(25, None, None, 1, None),
    ),
    "Anthropic, the last event of a stream": (
        {"type": "message_delta", "usage": {"output_tokens": 15}}, m(None, None, None, 15, None)
    ),
    # A proxy that speaks OpenAI and leaves Anthropic's own counts beside: the prompt holds them all.
    "Anthropic through LiteLLM": (
        chat(2000, 10, 2010, cache_read_input_tokens=500, cache_creation_input_tokens=300,
             prompt_tokens_details={"cached_tokens": 500, "cache_creation_tokens": 300}),
        m(1200, 500, 300, 10, None),
    ),
    "a proxy that counts the cache beside the prompt": (
        chat(19, 10, 39_029, **cached(39_000)), m(19, 39_000, None, 10, None)
    ),
    "a proxy that counts a small cache beside the prompt": (chat(100, 10, 150, **cached(40)), m(100, 40, None, 10, None)),
    "DeepSeek": (
        chat(1000, 20, 1020, prompt_cache_hit_tokens=960, prompt_cache_miss_tokens=40), m(40, 960, None, 20, None)
    ),
    "DeepSeek's reasoner": (
        chat(17, 256, 273, prompt_cache_hit_tokens=0, prompt_cache_miss_tokens=17, **cached(0),
             completion_tokens_details={"reasoning_tokens": 205}),
        m(17, 0, None, 51, 205),
    ),
    "Gemini's OpenAI route, thoughts only in the total": (chat(20, 198, 623), m(20, None, None, 198, 405)),
    "Gemini's OpenAI route, nothing but thoughts": (chat(21, 0, 81, **thought(60)), m(21, None, None, 0, 60)),
    "xAI": (chat(10_120, 1499, 14_428, **cached(128), **thought(2809)), m(9992, 128, None, 1499, 2809)),
    "xAI, a word after much thought": (chat(12, 2, 331, **thought(317)), m(12, None, None, 2, 317)),
    "OpenRouter": (
        chat(194, 2, 196, cost=0.95, cost_details={"upstream_inference_cost": 19},
             prompt_tokens_details={"cached_tokens": 0, "cache_write_tokens": 100, "audio_tokens": 0},
             completion_tokens_details={"reasoning_tokens": 0}),
        m(94, 0, 100, 2, 0),
    ),
    "vLLM": (chat(24, 256, 280, prompt_tokens_details=None, completion_tokens_details=None), m(24, None, None, 256, None)),
    "vLLM, told to say more": (
        chat(3617, 8, 3625, prompt_tokens_details={"cached_tokens": 1600, "created_cache_tokens": 0}), m(2017, 1600, 0, 8, None)
    ),
    "vLLM's last chunk": (
        {"id": "c", "choices": [], "usage": chat(77, 30, 107)}, m(77, None, None, 30, None)
    ),
    "a chunk with choices and usage": (
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": chat(7, 3, 10)}, m(7, None, None, 3, None)
    ),
    "Groq's last chunk": (
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None,
         "x_groq": {"id": "req", "usage": {"queue_time": 0.07, "prompt_tokens": 23, "prompt_time": 0.006, "completion_tokens": 19,
                                           "completion_time": 0.022, "total_tokens": 42, "total_time": 0.028}}},
        m(23, None, None, 19, None),
    ),
    "Moonshot's last chunk": (
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": chat(2989, 4, 2993, cached_tokens=2989)}]},
        m(0, 2989, None, 4, None),
    ),
    "one-api, which fills in both names": (
        chat(10, 20, 30, input_tokens=0, output_tokens=0, input_tokens_details=None), m(10, None, None, 20, None)
    ),
    "an embedding": ({"prompt_tokens": 8, "total_tokens": 8}, m(8, None, None, 0, None)),
    "an embedding of vLLM": (
        {"prompt_tokens": 8, "total_tokens": 8, "completion_tokens": 0, "prompt_tokens_details": None}, m(8, None, None, 0, None)
    ),
    "a gateway that makes all numbers floats": (chat(8.0, 2.0, 10.0), m(8, None, None, 2, None)),
    "a count that is no number": (chat("8", 2, 10), m(None, None, None, 2, None)),
    "a negative cache": (chat(8, 2, 10, **cached(-3)), m(8, None, None, 2, None)),
    "details that are none": (chat(8, 2, 10, prompt_tokens_details=[1], completion_tokens_details="?"), m(8, None, None, 2, None)),
}  # fmt: skip


@pytest.mark.parametrize("name", WIRE)
def test_a_shape_seen_on_the_wire_is_read(name: str) -> None:
    told, wanted = WIRE[name]
    assert read(told) == wanted
    if "prompt_tokens" in told or "input_tokens" in told:
        assert read({"id": "c", "choices": [], "usage": told}) == wanted


@pytest.mark.parametrize(
    "told",
    [
        None, 7, "usage", [], {}, {"usage": None}, {"usage": []}, {"usage": {}}, {"choices": "x"}, chat(None, None), chat(-1, -1),
        chat(True, False), chat("5", "6"), chat(float("nan"), float("inf")), chat(1.5, 2.5), chat(MOST + 1, 10**30),
        {"input_tokens": -4, "output_tokens": "x", "cache_read_input_tokens": 5}, {"prompt_tokens": [], "total_tokens": 3},
    ],
)  # fmt: skip
def test_nonsense_is_no_usage(told: Any) -> None:
    assert read(told) is None


COUNTS = st.integers(0, 10**6)


@given(COUNTS, COUNTS, st.data())
def test_what_is_counted_inside_adds_up_to_the_total(
    prompt: int, completion: int, data: st.DataObject
) -> None:
    hit, think = data.draw(st.integers(0, prompt)), data.draw(st.integers(0, completion))
    usage = read(chat(prompt, completion, prompt + completion, **cached(hit), **thought(think)))
    assert usage is not None
    assert (usage.read, usage.written) == (prompt, completion)
    assert (usage.cached, usage.reasoning) == (hit, think)


@given(COUNTS, COUNTS, st.integers(1, 10**6))
def test_what_is_counted_beside_adds_up_to_the_total(prompt: int, completion: int, think: int) -> None:
    usage = read(chat(prompt, completion, prompt + completion + think, **thought(think)))
    assert usage == m(prompt, None, None, completion, think)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "usage", "x_groq", "choices", "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens",
        "prompt_tokens_details", "completion_tokens_details", "cached_tokens", "reasoning_tokens", "cache_read_input_tokens",
    ]), inner, max_size=6),
    max_leaves=30,
)  # fmt: skip


@given(JSON)
def test_whatever_comes_is_read_without_an_exception_and_no_bucket_is_negative(wire: Any) -> None:
    usage = read(wire)
    if usage is not None:
        counts = (usage.input, usage.cached, usage.cache_write, usage.output, usage.reasoning)
        assert all(count is None or (type(count) is int and 0 <= count <= 2 * MOST) for count in counts)
        assert any(count is not None for count in counts)


def ask(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


def test_the_bound_grows_with_the_text_and_holds_the_templates_share() -> None:
    small, large = worst(ask("", max_tokens=5), None), worst(ask("x" * 1000, max_tokens=5), None)
    assert small is not None
    assert large is not None
    assert large.input == (small.input or 0) + 1000
    assert (small.output, small.source) == (5, "estimated")
    assert 512 < (small.input or 0) < 700


@pytest.mark.parametrize(
    ("text", "more"),
    [("é", 2), ("漢字", 6), ("🙂", 4), ("\u0958", 6), ("\ufdfa", 33), ("ﬁ", 3), ("\ud800", 3)],
)
def test_a_character_counts_as_the_most_bytes_a_tokenizer_may_see(text: str, more: int) -> None:
    bare, full = worst(ask("", max_tokens=1), None), worst(ask(text, max_tokens=1), None)
    assert bare is not None
    assert full is not None
    assert (full.input or 0) - (bare.input or 0) == more


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({"max_tokens": 10}, 10), ({"max_completion_tokens": 20}, 20), ({"max_tokens": 10, "max_completion_tokens": 20}, 20),
        ({"max_tokens": 10, "n": 3}, 30), ({"max_tokens": 10, "n": 2, "best_of": 5}, 50), ({"max_tokens": None, "n": None}, 4096),
        ({}, 4096), ({"max_tokens": 10**9}, 4096), ({"max_tokens": "10"}, 4096), ({"max_tokens": 0}, 4096),
    ],
)  # fmt: skip
def test_the_answer_is_bounded_by_its_limit_times_the_answers_or_by_the_context(
    fields: Any, output: int
) -> None:
    bound = worst(ask("hi", **fields), 4096)
    assert bound is not None
    assert bound.output == output


def test_several_prompts_have_several_answers() -> None:
    for prompt, answers in (("a", 1), (["a", "b", "c"], 3), ([5, 6, 7], 1), ([[5, 6], [7]], 2)):
        bound = worst({"model": "m", "prompt": prompt, "max_tokens": 10, "n": 2}, None)
        assert bound is not None
        assert bound.output == 20 * answers


def test_an_embedding_writes_nothing() -> None:
    bound = worst({"model": "m", "input": ["one", "two"]}, None)
    assert bound is not None
    assert bound.output == 0
    assert 6 <= (bound.input or 0) < 100


def test_no_more_is_read_than_the_model_can_hold() -> None:
    bound = worst(ask("x" * 10_000, max_tokens=5), 4096)
    assert bound is not None
    assert bound.input == 4096


def test_tools_and_calls_count_as_a_template_writes_them_out() -> None:
    tool = {
        "type": "function",
        "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}},
    }
    call = {
        "id": "1",
        "type": "function",
        "function": {"name": "f", "arguments": '{"a": "' + "é" * 100 + '"}'},
    }
    plain = worst(ask("hi", max_tokens=5), None)
    tooled = worst(ask("hi", max_tokens=5, tools=[tool]), None)
    called = worst(
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}], "max_tokens": 5}, None
    )
    assert plain is not None
    assert tooled is not None
    assert called is not None
    assert (tooled.input or 0) - (plain.input or 0) >= len(json.dumps(tool, indent=4))
    assert (called.input or 0) >= 200


def test_a_predicted_answer_counts_as_written() -> None:
    bound = worst(ask("hi", max_tokens=5, prediction={"type": "content", "content": "x" * 500}), None)
    assert bound is not None
    assert (bound.output or 0) >= 505


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}


@pytest.mark.parametrize(
    "body",
    [
        ask("hi"), {"model": "m"}, {"messages": "hi", "max_tokens": 5}, {"messages": [7], "max_tokens": 5}, {"prompt": None, "max_tokens": 5},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "see"}, IMAGE]}], "max_tokens": 5},
        {"messages": [{"role": "user", "content": {"type": "image_url"}}], "max_tokens": 5},
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}], "max_tokens": 5},
        {"messages": [{"role": "assistant", "audio": {"id": "a"}}], "max_tokens": 5},
        ask("hi", max_tokens=5, modalities=["text", "audio"]), ask("hi", max_tokens=5, modalities=7), ask("hi", max_tokens=5, web_search_options={"a": 1}),
        ask("hi", max_tokens=5, tools=[{"type": "web_search"}]), ask("hi", max_tokens=5, n="8"), ask("hi", max_tokens=5, n=True),
        ask("hi", max_tokens=5, chat_template="{% for i in range(9999) %}x{% endfor %}"), {"input": [IMAGE]}, {"input": [["a"]]},
        ask("hi", max_tokens="5"),
    ],
)  # fmt: skip
def test_what_cannot_be_bounded_has_no_bound(body: dict[str, Any]) -> None:
    assert worst(body, None) is None


def test_what_is_nested_without_end_has_no_bound() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    assert worst(ask("hi", max_tokens=5, documents=deep), None) is None
