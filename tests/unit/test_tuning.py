"""Tuning: what is tried, what prompts are, how answers are measured over a socket, and which setting is the best."""

import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import engine

from snapml_lab.errors import ConflictError, InvalidInputError, JobFailedError
from snapml_lab.serving import tuning
from snapml_lab.serving.candidates import AS_IT_IS, Candidate, candidates, only
from snapml_lab.serving.tuning import Answer, Prompt, Round

PROMPTS = [[{"role": "user", "content": str(number)}] for number in range(40)]


# What is tried.


def test_one_thing_is_changed_at_a_time_and_what_stands_comes_first():
    found = candidates("vllm", {"max_model_len": 512}, ["fp8"], on_gpu=True, concurrency=8)
    assert (found[0].name, found[0].options) == (AS_IT_IS, {"max_model_len": 512})
    for item in found[1:]:
        assert item.options.items() >= {"max_model_len": 512}.items()
        assert len(item.options) == 2
    changed = {next(iter(set(item.options) - {"max_model_len"})) for item in found[1:]}
    assert changed == {
        "enable_prefix_caching",
        "max_num_seqs",
        "max_num_batched_tokens",
        "speculative",
        "quantization",
    }
    assert len({item.name for item in found}) == len(found)


def test_every_setting_is_one_that_vllm_takes():
    from snapml_lab.engines.vllm_options import Options

    for item in candidates("vllm", {}, ["fp8", "bitsandbytes"], on_gpu=False, concurrency=4):
        Options.of(item.options)


def test_what_it_is_served_with_already_is_not_tried_again_and_can_be_undone():
    found = candidates(
        "vllm", {"quantization": "fp8", "enable_prefix_caching": True}, ["fp8"], on_gpu=True, concurrency=8
    )
    assert [item.options for item in found].count({"quantization": "fp8", "enable_prefix_caching": True}) == 1
    assert {"enable_prefix_caching": True} in [item.options for item in found]


def test_what_vllm_does_by_itself_is_not_tried_but_left_out_and_put_back():
    by_itself = candidates("vllm", {}, [], on_gpu=False, concurrency=8)
    assert {"enable_prefix_caching": True} not in [item.options for item in by_itself]
    put_back = candidates("vllm", {"enable_prefix_caching": False}, [], on_gpu=False, concurrency=8)
    assert {"enable_prefix_caching": True} in [item.options for item in put_back]


def test_eight_bits_on_a_processor_go_without_the_wide_floats_its_kernels_refuse():
    found = candidates("vllm", {"dtype": "float32"}, ["int8"], on_gpu=False, concurrency=8)
    assert {"quantization": "int8"} in [item.options for item in found]
    assert all(item.options["dtype"] == "float32" for item in found if "quantization" not in item.options)


def test_some_settings_alone_are_measured_beside_what_stands_and_others_are_refused_by_name():
    found = candidates("vllm", {}, ["int8"], on_gpu=False, concurrency=8)
    assert [item.name for item in only(found, ["quantization int8"])] == [AS_IT_IS, "quantization int8"]
    with pytest.raises(InvalidInputError, match="quantization fp8"):
        only(found, ["quantization fp8"])


@pytest.mark.parametrize(
    ("name", "on_gpu", "said"),
    [("transformers", False, "a CPU"), ("predict", False, "a CPU"), ("openai", False, "a CPU")],
)
def test_where_nothing_can_be_varied_it_says_so_with_the_fix(name, on_gpu, said):
    with pytest.raises(ConflictError, match=said) as refused:
        candidates(name, {}, [], on_gpu=on_gpu, concurrency=8)
    assert ("vllm" in refused.value.fix) == (name == "transformers")


# Prompts.


def prompts(folder: Path, *lines: Any) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


USER = {"role": "user", "content": "two"}


def test_prompts_come_as_records_as_texts_and_as_captured_requests(tmp_path: Path):
    answer = {"role": "assistant", "content": "2"}
    path = prompts(
        tmp_path, {"messages": [USER, answer]}, {"prompt": "two"}, "", {"request": {"messages": [USER]}, "answer": "x"},
        {"messages": [USER, answer, USER]}, {"request": {"prompt": "two"}},
    )  # fmt: skip
    assert tuning.read(path) == [
        Prompt([USER], "2"), Prompt([USER]), Prompt([USER]), Prompt([USER, answer, USER]), Prompt([USER]),
    ]  # fmt: skip
    assert len(tuning.read(path, 5)) == 5


@pytest.mark.parametrize(
    "line", ["{", "[1]", {"text": "two"}, {"messages": [1]}, {"messages": [{"role": "assistant"}]}]
)
def test_a_line_that_is_no_prompt_is_named(tmp_path: Path, line: Any):
    with pytest.raises(InvalidInputError, match="line 2"):
        tuning.read(prompts(tmp_path, {"prompt": "a"}, line))


def test_too_few_prompts_are_refused(tmp_path: Path):
    with pytest.raises(InvalidInputError, match="at least 5"):
        tuning.read(prompts(tmp_path, *[{"prompt": "a"}] * 4))


# Measuring.


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[Path]:
    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    server = Server(str(tmp_path / "s"), engine.Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield tmp_path / "s"
    server.shutdown()
    server.server_close()


def body(said: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": said}], "stream": True}


def test_an_answer_is_read_as_it_comes(socket: Path):
    answer = tuning._streamed(socket, body("hello"))
    assert answer.text.split() == engine.WORDS
    assert answer.tokens == len(engine.WORDS)
    least = 1000 * engine.PACE_SECONDS * (len(engine.WORDS) - 2)
    assert 0 < answer.first_ms < answer.ms - least / 2


def test_an_engine_that_refuses_is_said_so(socket: Path):
    with pytest.raises(JobFailedError, match="500"):
        tuning._streamed(socket, body("fail"))


def test_rounds_ask_every_prompt_and_keep_their_order():
    def ask(messages: Any, /, *, turn: int) -> Answer:
        return Answer(f"{turn}: {messages[0]['content']}", 3, 1.0, 2.0)

    begun: list[int] = []
    found = tuning.rounds(ask, PROMPTS, concurrency=7, number=2, heard=begun.append)
    assert [[answer.text for answer in turn.answers] for turn in found] == [
        [f"{turn}: {number}" for number in range(40)] for turn in range(2)
    ]
    assert begun == [0, 1]
    assert found[0].speed == pytest.approx(120 / found[0].seconds)


# Judging.


def told(seconds: list[float], *, wrong: int = 0, noise: int = 0) -> list[Round]:
    """Rounds over forty prompts: ``wrong`` answers are others than usual, ``noise`` others in each round."""

    def text(turn: int, number: int) -> str:
        return (
            f"other {number}"
            if number < wrong
            else f"{turn} {number}"
            if number >= 40 - noise
            else str(number)
        )

    return [
        Round([Answer(text(turn, number), 10, 5.0 + number, 50.0) for number in range(40)], taken)
        for turn, taken in enumerate(seconds)
    ]


def best(*measured: Any) -> str:
    found = tuning.judged([(Candidate(name), result) for name, result in measured])
    assert sum(item.best for item in found) == 1
    return next(item.name for item in found if item.best)


BASE = ("base", told([4.0, 4.1, 3.9]))


def test_the_fastest_with_the_same_answers_is_the_best():
    assert best(BASE, ("fast", told([2.0, 2.05, 1.95])), ("faster", told([1.5, 1.52, 1.48]))) == "faster"


def test_one_that_is_faster_by_chance_is_not_the_best():
    assert best(BASE, ("luck", told([3.0, 4.4, 4.0]))) == "base"


def test_one_that_answers_otherwise_is_not_the_best_however_fast():
    found = tuning.judged(
        [(Candidate("base"), BASE[1]), (Candidate("lossy"), told([1.0, 1.01, 0.99], wrong=20))]
    )
    assert [(item.faster, item.alike, item.best) for item in found] == [
        (False, True, True),
        (True, False, False),
    ]
    assert found[1].agreement == 0.5
    assert found[1].agreement_interval is not None
    assert found[1].agreement_interval.low < 0.5 < found[1].agreement_interval.high


def test_an_engine_that_does_not_repeat_itself_is_the_measure_of_the_others():
    noisy = told([4.0, 4.1, 3.9], noise=20)
    found = tuning.judged(
        [(Candidate("base"), noisy), (Candidate("fast"), told([2.0, 2.05, 1.95], noise=20))]
    )
    assert found[0].agreement == 0.5
    assert found[1].alike
    assert found[1].best


WANTED = [str(number) for number in range(40)]


def test_where_the_wanted_answers_are_known_they_are_the_quality():
    stands = told([4.0, 4.1, 3.9], wrong=10)
    better = told([2.0, 2.05, 1.95])  # others than before, and right
    worse = told([1.0, 1.01, 0.99], wrong=30)
    found = tuning.judged(
        [(Candidate("base"), stands), (Candidate("better"), better), (Candidate("worse"), worse)], WANTED
    )
    assert [item.right for item in found] == [0.75, 1.0, 0.25]
    assert [(item.right_change, item.alike, item.best) for item in found] == [
        (None, True, False), (0.25, True, True), (-0.5, False, False)]  # fmt: skip
    for item in found[1:]:
        assert item.right_change_interval is not None
        assert item.right_change is not None
        assert item.right_change_interval.low < item.right_change < item.right_change_interval.high


def test_prompts_without_a_wanted_answer_say_nothing_of_quality():
    known = [text if number % 2 else None for number, text in enumerate(WANTED)]
    base, other = told([4.0, 4.1, 3.9]), told([2.0, 2.05, 1.95], wrong=1)  # the first is wrong, and has none
    found = tuning.judged([(Candidate("base"), base), (Candidate("other"), other)], known)
    assert [item.right for item in found] == [1.0, 1.0]
    assert tuning.judged([(Candidate("base"), base)], [None] * 40)[0].right is None


def test_what_is_gained_has_an_interval():
    found = tuning.judged([(Candidate("base"), BASE[1]), (Candidate("fast"), told([2.0, 2.05, 1.95]))])
    assert found[0].gain is None
    assert found[1].gain == pytest.approx((found[1].speed or 0) - (found[0].speed or 0))
    assert found[1].gain_interval is not None
    assert 0 < found[1].gain_interval.low < (found[1].gain or 0) < found[1].gain_interval.high


def test_what_could_not_be_served_is_told_and_the_rest_judged():
    found = tuning.judged([(Candidate("base"), BASE[1]), (Candidate("large"), "no room"), (Candidate("fast"), told([2.0, 2.05, 1.95]))])  # fmt: skip
    assert [(item.name, item.error, item.best) for item in found] == [
        ("base", None, False), ("large", "no room", False), ("fast", None, True)]  # fmt: skip


def test_where_the_engine_as_it_is_cannot_be_served_nothing_is_the_best():
    found = tuning.judged([(Candidate("base"), "no room"), (Candidate("fast"), told([2.0, 2.05, 1.95]))])
    assert not any(item.best for item in found)
    assert all(item.error for item in found)
