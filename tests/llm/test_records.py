"""Chat records: what a person may write, what is refused and with which words, and what of a record is learnt."""

import json
from pathlib import Path
from typing import Any

import pytest

from snapml_lab.errors import InvalidInputError
from snapml_lab.finetune import records
from snapml_lab.finetune.picture import Piece, Training
from snapml_lab.finetune.tokens import encode, pieces
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import State
from snapml_lab.registry import versions

from .home import Home, people, record, write


def message(role: str, content: object) -> dict[str, object]:
    return {"role": role, "content": content}


def line(*messages: dict[str, object]) -> str:
    return json.dumps({"messages": list(messages)})


BAD = {
    "not JSON": ("{'messages': []}", "not JSON"),
    "cut off": (record("a", "b")[:-1], "not JSON"),
    "nested beyond reading": ("[" * 100_000, "not JSON"),
    "a list": ("[1, 2]", "no messages"),
    "no messages": ("{}", "no messages"),
    "empty messages": ('{"messages": []}', "no messages"),
    "a message that is text": ('{"messages": ["hello"]}', "lacks a role or text"),
    "content that is parts": (line(message("user", [{"type": "text", "text": "a"}])), "lacks a role or text"),
    "no content": ('{"messages": [{"role": "user"}]}', "lacks a role or text"),
    "two questions in a row": (
        line(message("user", "a"), message("user", "b"), message("assistant", "c")),
        "roles out of order: 'user' after user",
    ),
    "an answer first": (
        line(message("assistant", "a")),
        "roles out of order: 'assistant' after the beginning",
    ),
    "system in the middle": (
        line(message("user", "a"), message("assistant", "b"), message("system", "c")),
        "roles out of order: 'system' after assistant",
    ),
    "an unknown role": (line(message("tool", "a")), "roles out of order: 'tool'"),
    "an empty answer": (line(message("user", "a"), message("assistant", " \n")), "an empty answer"),
    "the question last": (line(message("user", "a")), "its last message is the user's"),
    "half a character": (
        '{"messages": [{"role": "user", "content": "\\ud83d"}, {"role": "assistant", "content": "b"}]}',
        "half of a surrogate pair",
    ),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_record_is_refused_with_its_file_and_line(tmp_path: Path, bad: str) -> None:
    text, told = BAD[bad]
    path = write(tmp_path / "chats.jsonl", [*people(12), "", text, *people(3)])
    with pytest.raises(InvalidInputError) as caught:
        records.read(path)
    assert "chats.jsonl, line 14" in caught.value.message
    assert told in caught.value.message
    assert caught.value.fix


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    path.write_bytes(record("a", "b").replace("a", "é").encode("latin-1"))
    with pytest.raises(InvalidInputError, match=r"latin.jsonl is not UTF-8"):
        records.read(path)


def test_too_few_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"9 records in few.jsonl', expected at least 10"):
        records.read(write(tmp_path / "few.jsonl", [*people(9), "", "  "]))


def test_a_record_may_hold_whatever_ends_a_line_elsewhere(tmp_path: Path) -> None:
    odd = "a\u2028b\u2029c\x85d\x0be\x1cf\r\ng"
    text = json.dumps(json.loads(record(odd, odd)), ensure_ascii=False)
    path = tmp_path / "odd.jsonl"
    path.write_bytes("\r\n".join([*people(10), text]).encode())
    found = records.read(path)
    assert [item.line for item in found] == list(range(1, 12))
    assert [item.content for item in found[-1].messages] == [odd, odd]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("sample", "broken.jsonl"), "invalid_input"),
        (("nowhere", "good.jsonl"), "not_found"),
        (("sample", "missing.jsonl"), "not_found"),
        (("sample", "good.jsonl", "--name", "a/b"), "invalid_input"),
        (("sample", "good.jsonl", "--rank", "0"), "invalid_input"),
        (("sample",), "invalid_input"),
        (("pickled", "good.jsonl"), "unsafe_file"),
    ],
)
def test_nothing_is_made_where_finetune_refuses(home: Home, words: tuple[str, ...], code: str) -> None:
    write(home.folder / "broken.jsonl", [*people(12), "{"])
    write(home.folder / "good.jsonl", people(12))
    pickled = home.folder / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text("{}")
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    error = home.refused("finetune", *words)
    assert error["code"] == code
    assert error["message"]
    assert queue.count(home.ws) == 0
    assert home.ws.ledger.rows("SELECT id FROM runs") == []
    assert not [path for path in (home.ws.root / "artifacts").rglob("*") if path.is_file()]
    assert list(home.ws.jobs.iterdir()) == []


def test_a_record_longer_than_the_context_fails_the_job_and_names_its_line(home: Home) -> None:
    lines = people(20)
    lines.insert(7, record("word " * 200, "short"))
    write(home.folder / "long.jsonl", lines)
    error = home.refused("finetune", "sample", "long.jsonl", "--max-length", "64")
    assert error["code"] == "invalid_input"
    assert "line 8" in error["message"]
    assert "longer than 64" in error["message"]
    job = queue.latest_of(home.ws, "last", "finetune")
    assert job.state is State.FAILED
    assert versions.latest(home.ws.ledger, 10) == []


def test_a_hub_that_is_not_there_fails_the_job_without_a_model(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write(home.folder / "good.jsonl", people(12))
    error = home.refused("finetune", "nobody/nothing-at-all", "good.jsonl")
    assert error["code"] == "not_found"
    assert "nobody/nothing-at-all could not be loaded" in error["message"]
    assert versions.latest(home.ws.ledger, 10) == []


@pytest.fixture(scope="module")
def tokenizer(cache: Path) -> Any:
    from transformers import AutoTokenizer

    (folder,) = (cache / "snapml-lab").glob("llm-*")
    return AutoTokenizer.from_pretrained(folder)


def test_only_answers_are_learnt_with_the_token_that_ends_them(tokenizer: Any) -> None:
    parsed = records.parse(record("one?", "the first", "two?", "the second"), 1, "x")
    tokens = encode(parsed, tokenizer, 512)
    assert len(tokens.ids) == len(tokens.learnt)
    assert pieces(tokens, tokenizer) == [
        (False, "<|user|>one?<|end|><|assistant|>"), (True, "the first<|end|>"),
        (False, "<|user|>two?<|end|><|assistant|>"), (True, "the second<|end|>"),
    ]  # fmt: skip
    turns = [{"role": item.role, "content": item.content} for item in parsed.messages]
    assert tokens.ids == tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False)


def test_what_the_system_says_is_not_learnt(tokenizer: Any) -> None:
    text = line(message("system", "be short"), message("user", "a"), message("assistant", "b"))
    tokens = encode(records.parse(text, 1, "x"), tokenizer, 512)
    assert [text for learnt, text in pieces(tokens, tokenizer) if learnt] == ["b<|end|>"]


def test_the_longest_record_that_fits_is_taken_and_one_token_more_is_not(tokenizer: Any) -> None:
    parsed = records.parse(record("how many?", "seven"), 3, "x")
    size = len(encode(parsed, tokenizer, 512).ids)
    assert encode(parsed, tokenizer, size).ids
    with pytest.raises(InvalidInputError, match=rf"line 3: {size} tokens, longer than {size - 1}"):
        encode(parsed, tokenizer, size - 1)


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer: Any) -> None:
    import copy

    other = copy.deepcopy(tokenizer)
    other.chat_template = (
        "{% for message in messages %}{% if loop.last or message.role == 'user' %}{{ message.content }}<|end|>{% endif %}"
        "{% endfor %}"
    )
    parsed = records.parse(record("a", "b", "c", "d"), 5, "x")
    with pytest.raises(InvalidInputError, match=r"line 5: the chat template changes earlier turns"):
        encode(parsed, other, 512)


def test_hostile_text_is_shown_as_text(tokenizer: Any) -> None:
    hostile = '<script>alert("&")</script>'
    tokens = encode(records.parse(record(hostile, hostile), 1, "x"), tokenizer, 512)
    shown = [Piece(learnt=learnt, content=text) for learnt, text in pieces(tokens, tokenizer)]
    view = Training(
        job="0" * 26, kind="finetune", state=State.RUNNING, message=hostile, base=hostile, steps=1, elapsed=1.0,
        loss_steps=[1], loss=[1.0], held_out_steps=[0], held_out=[2.0], tokens_per_second=None, trainable=1,
        parameters=2, preview=shown, model=None, error=None,
    )  # fmt: skip
    assert "<script" not in view.html()
    assert "<u>&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;&lt;|end|&gt;</u>" in view.html()
    assert f"⟦{hostile}<|end|>⟧" in view.text()
