"""Progress and metrics recognised in what real programs print, and nothing else made of anything."""

import itertools
import os
import selectors
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.jobs.recognise import Recogniser

OUT, ERR = 1, 2
Events = list[dict[str, Any]]


def printed_by(program: str, **environment: str) -> Events:
    """What is recognised while a program runs, read as the shim reads."""
    events: Events = []
    recogniser = Recogniser()
    with (
        subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment}
        ) as process,
        selectors.DefaultSelector() as selector,
    ):  # fmt: skip
        selector.register(process.stdout, selectors.EVENT_READ, OUT)
        selector.register(process.stderr, selectors.EVENT_READ, ERR)
        said = b""
        while selector.get_map():
            for key, _ in selector.select(0.2):
                piece = os.read(key.fd, 1 << 16)
                said += piece
                events += recogniser.feed(key.data, piece, time.time())
                if not piece:
                    selector.unregister(key.fileobj)
    assert process.returncode == 0, said.decode()
    return events + recogniser.close()


def fed(*pieces: str, seconds: float = 1.0, stream: int = ERR) -> Events:
    """What is recognised in pieces that come so many seconds after each other."""
    recogniser = Recogniser()
    events: Events = []
    for number, piece in enumerate(pieces):
        events += recogniser.feed(stream, piece.encode(), number * seconds)
    return events + recogniser.close()


def values(events: Events) -> list[float]:
    return [event["value"] for event in events if event["type"] == "progress"]


def bar(done: int, total: int, name: str = "") -> str:
    share = f"{100 * done / total:3.0f}%|{'█' * (10 * done // total):<10}|"
    return f"\r{name}{share} {done}/{total} [00:01<00:09,  9.99it/s]"


# tqdm itself


def test_a_bar_of_tqdm_is_progress():
    events = printed_by(
        "import time\nfrom tqdm import tqdm\nfor _ in tqdm(range(40), desc='train'): time.sleep(0.04)"
    )
    found = values(events)
    assert found == sorted(set(found))
    assert found[0] == 0
    assert found[-1] == 1
    assert 3 <= len(found) <= 3 + 2 * (events[-1]["at"] - events[0]["at"])
    assert events[-1]["message"] == "train: 40/40"
    assert all(
        event.keys() == {"type", "value", "message", "at"} and event["type"] == "progress" for event in events
    )


@pytest.mark.parametrize(
    ("outer", "inner"),
    [("desc='epoch'", "desc='batch'"), ("", ""), ("", "leave=False"), ("desc='epoch', position=0", "desc='b', position=1")],
)  # fmt: skip
def test_of_nested_bars_the_outermost_counts(outer: str, inner: str):
    events = printed_by(f"""
import time
from tqdm import tqdm
for _ in tqdm(range(4), {outer}):
    for _ in tqdm(range(12), {inner}):
        time.sleep(0.03)
""")
    assert values(events) == sorted(set(values(events)))
    assert set(values(events)) <= {0, 0.25, 0.5, 0.75, 1}
    assert values(events)[-1] == 1


def test_three_bars_deep_the_outermost_counts():
    events = printed_by("""
import time
from tqdm import trange
for _ in trange(2, desc='a'):
    for _ in trange(3, desc='b', leave=False):
        for _ in trange(5, desc='c'):
            time.sleep(0.03)
""")
    assert all(event["message"].startswith("a: ") for event in events)
    assert set(values(events)) <= {0, 0.5, 1}


@pytest.mark.parametrize(
    "options",
    ["ascii=True", "colour='green'", "ncols=0", "ncols=60", "unit='B', unit_scale=True", "unit='file', postfix={'loss': 0.5}",
     "desc='50% off [a] | b'", "file=sys.stdout", "dynamic_ncols=True"],
)  # fmt: skip
def test_every_look_of_a_bar_is_recognised(options: str):
    found = values(
        printed_by(f"import sys\nfrom tqdm import tqdm\nfor _ in tqdm(range(2000), {options}): pass")
    )
    assert found[-1] == 1


def test_a_bar_of_unknown_total_has_a_message_and_no_value():
    events = printed_by(
        "from tqdm import tqdm\nfor _ in tqdm(iter(range(30)), desc='reading', unit='row'): pass"
    )
    assert {event["type"] for event in events} == {"message"}
    assert events[-1]["text"] == "reading: 30row"


def test_within_a_bar_of_unknown_total_the_inner_ones_do_not_count():
    events = printed_by("""
from tqdm import tqdm
for _ in tqdm(iter(range(3)), desc='reading'):
    for _ in tqdm(range(20), desc='part'):
        pass
""")
    assert values(events) == []


def test_bars_after_each_other_each_count():
    program = """
import time
from tqdm import tqdm
for name in ('load', 'map', 'train'):
    for _ in tqdm(range(10), desc=name):
        time.sleep(0.07)
    print('done with', name)
"""
    events = printed_by(program)
    assert [event["message"] for event in events if event["value"] == 1] == [
        "load: 10/10",
        "map: 10/10",
        "train: 10/10",
    ]


def test_prints_between_bars_do_not_confuse_them():
    events = printed_by("""
import time
from tqdm import tqdm
for number in tqdm(range(20), desc='outer'):
    tqdm.write(f'now {number}')
    for _ in tqdm(range(3), desc='inner', leave=False):
        time.sleep(0.02)
    tqdm.write('{"json": [1, 2]}')
""")
    assert values(events) == sorted(set(values(events)))
    assert all(event["message"].startswith("outer: ") for event in events)
    assert values(events)[-1] == 1


# Hugging Face

_TRAINING = """
import torch
from transformers import Trainer, TrainingArguments

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x=None, labels=None):
        logits = self.layer(x).squeeze(-1)
        return {"loss": ((logits - labels) ** 2).mean(), "logits": logits}

data = [{"x": torch.randn(2), "labels": torch.tensor(1.0)} for _ in range(32)]
for quiet in (True, False):
    arguments = TrainingArguments(
        FOLDER, max_steps=8, logging_steps=2, eval_strategy="steps", eval_steps=4, per_device_train_batch_size=4,
        report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=quiet,
    )
    Trainer(Model(), arguments, train_dataset=data, eval_dataset=data).train()
"""


@pytest.mark.slow
def test_what_the_trainer_of_transformers_prints_is_recognised(tmp_path):
    events = printed_by(_TRAINING.replace("FOLDER", repr(str(tmp_path))), HF_HUB_OFFLINE="1")
    metrics = [event for event in events if event["type"] == "metric"]
    losses = [event for event in metrics if event["name"] == "loss"]
    quiet, noisy = [1, 2, 4, 5], [8, 9, 11, 12]
    assert [event["step"] for event in losses] == quiet + noisy
    assert all(isinstance(event["value"], float) and event["value"] > 0 for event in losses)
    assert [event["step"] for event in metrics if event["name"] == "eval_loss"] == [3, 6, 10, 13]
    names = {event["name"] for event in metrics}
    assert names >= {"grad_norm", "learning_rate", "epoch", "eval_runtime", "train_loss"}
    progress = [event for event in events if event["type"] == "progress"]
    assert progress[-1]["value"] == 1
    assert all(event["message"].endswith("/8") for event in progress)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("{'loss': 0.51, 'learning_rate': 5e-05, 'epoch': 0.1}", {"loss": 0.51, "learning_rate": 5e-05, "epoch": 0.1}),
        ("{'loss': '0.51', 'lr': '5e-05', 'epoch': '1'}", {"loss": 0.51, "lr": 5e-05, "epoch": 1}),
        ("{'eval_loss': nan, 'grad_norm': 'inf', 'epoch': 2}", {"eval_loss": None, "grad_norm": None, "epoch": 2}),
        ("{'loss': -1.5, 'note': 'text', 'bad': None, 'epoch': 1.0}", {"loss": -1.5, "epoch": 1}),
        ("\x1b[32m{'loss': 1.0, 'epoch': 1.0}\x1b[0m", {"loss": 1, "epoch": 1}),
        ("{'loss': 1e400, 'epoch': 1.0}", {"loss": None, "epoch": 1}),
        ("{'loss': 1.0}", {}),
        ("{'epoch': 1.0}", {}),
        ("{'loss': 1.0, 'epoch': 1.0", {}),
        ("'loss': 1.0, 'epoch': 1.0}", {}),
        ("{'loss': 1.2.3, 'epoch': x}", {}),
    ],
)  # fmt: skip
def test_which_lines_are_metrics(line: str, found: dict[str, float | None]):
    events = fed(line + "\n", stream=OUT)
    assert {event["name"]: event["value"] for event in events} == found
    assert {event["step"] for event in events} <= {1}


def test_a_step_of_their_own_is_taken():
    events = fed("{'loss': 1.0, 'step': 500, 'epoch': 1.0}\n", "{'loss': 1.0, 'step': 1e300, 'epoch': 1.0}\n")
    assert [(event["name"], event["step"]) for event in events] == [("loss", 500), ("epoch", 500), ("loss", 2), ("epoch", 2)]  # fmt: skip


def test_a_line_in_parts_counts_once():
    line = "{'loss': 0.5, 'epoch': 1.0}\n"
    for cut in range(len(line)):
        assert len(fed(line[:cut], line[cut:])) == 2
    assert len(fed(*line)) == 2


# Its own rules


def test_progress_comes_twice_a_second_and_its_end_at_once():
    events = fed(*(bar(done, 100) for done in range(101)), "\n", seconds=0.05)
    assert len(events) <= 12
    assert values(events) == sorted(set(values(events)))
    assert values(events)[-1] == 1
    assert events[-1]["at"] == 100 * 0.05
    gaps = [after["at"] - before["at"] for before, after in itertools.pairwise(events)][:-1]
    assert min(gaps) >= 0.5 - 1e-9


def test_what_came_too_soon_is_told_when_there_is_nothing_else():
    recogniser = Recogniser()
    assert values(recogniser.feed(ERR, bar(1, 10).encode(), 10.0)) == [0.1]
    assert recogniser.feed(ERR, bar(2, 10).encode(), 10.1) == []
    assert recogniser.feed(ERR, b"", 10.3) == []
    assert values(recogniser.feed(ERR, b"", 10.6)) == [0.2]
    assert recogniser.feed(ERR, b"", 20.0) == recogniser.close() == []


def test_a_thousand_short_bars_do_not_flood():
    assert len(fed(*(bar(1, 1, f"part {n}: ") + "\n" for n in range(1000)), seconds=0.001)) <= 6


def test_a_clock_that_is_set_back_stops_nothing():
    recogniser = Recogniser()
    recogniser.feed(ERR, bar(1, 10).encode(), 1000.0)
    assert values(recogniser.feed(ERR, bar(2, 10).encode(), 10.0)) == [0.2]


def test_a_slow_bar_is_seen_before_its_next_print():
    recogniser = Recogniser()
    assert values(recogniser.feed(ERR, bar(3, 10).encode(), 1.0)) == [0.3]


def test_a_flood_of_dicts_is_thinned():
    lines = "{'loss': 0.5, 'epoch': 1.0}\n" * 100
    assert len(fed(*[lines] * 50, seconds=0.001)) < 500


def test_secrets_are_not_in_events():
    recogniser = Recogniser(secrets={"API_KEY": "sk-12345678"})
    (event,) = recogniser.feed(ERR, bar(1, 10, "get sk-12345678: ").encode(), 1.0)
    assert event["message"] == "get [API_KEY redacted]: 1/10"


@pytest.mark.parametrize(
    "line",
    [
        "100% sure",
        "5/10 [ok]",
        "3% | 5/10",
        "50%|half| of it",
        "ratio 3/4 [12:30]",
        "[00:10] 50%",
        "1/0 [00:00",
    ],
)
def test_what_is_no_bar_is_not_taken_for_one(line: str):
    assert fed(line + "\n", line + "\r") == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from([OUT, ERR]),
            st.binary(max_size=30) | st.sampled_from([b"\r", b"\n", b"\x1b[A", b"{'loss': 1, 'epoch': 2}", bar(1, 3).encode()])
            | st.text("0123456789%|/ []:<{}'epoch\n\r\x1b[A,.kMi", max_size=60).map(str.encode),
            st.floats(0, 100),
        ),
        max_size=25,
    )
)  # fmt: skip
def test_whatever_is_fed_nothing_is_raised_and_events_are_well_formed(pieces):
    recogniser = Recogniser()
    events = [event for stream, piece, at in pieces for event in recogniser.feed(stream, piece, at)]
    for event in events + recogniser.close():
        match event["type"]:
            case "progress":
                assert 0 <= event["value"] <= 1
                assert event["message"]
            case "message":
                assert event["text"]
            case other:
                assert other == "metric"
                assert isinstance(event["step"], int)
    assert all(rest is None or len(rest.content) <= 8192 for rest in recogniser._rest.values())


@pytest.mark.parametrize(
    "part",
    [b"3%|", b"1% 1/", b"'epoch'", b"{'epoch': ", b" [00:00", b"1/1 [00:00\r", b"1% [9%|'epoch'{'\n", b"'a': 1, ", b"\x1b[",
     b"1" * 19 + b"/", b"x", b"\r", b"\n\r", b"{'epoch': 1, 'a': 1}\n"],
)  # fmt: skip
def test_the_strangest_flood_takes_time_in_proportion_and_little_memory(part: bytes):
    def seconds(size: int) -> float:
        recogniser = Recogniser()
        flood = part * (size // len(part))
        begun = time.process_time()
        for number, start in enumerate(range(0, len(flood), 1 << 16)):
            recogniser.feed(OUT, flood[start : start + (1 << 16)], number / 1000)
        return time.process_time() - begun

    assert seconds(4 << 20) < 40 * max(seconds(1 << 19), 0.01)
    assert seconds(1 << 20) < 2
