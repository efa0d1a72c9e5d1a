"""Ids sort by the time they were made; durations read as a person would say them."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab import clock, ids


def test_an_id_has_the_form_of_one():
    assert ids.is_id(ids.new())


@pytest.mark.parametrize(
    "text", ["", "last", "0" * 25, "0" * 27, "8" + "0" * 25, "0" * 25 + "u", "0" * 25 + "\n"]
)
def test_what_has_not_the_form_of_an_id_is_none(text: str):
    assert not ids.is_id(text)


def test_ids_of_a_process_only_grow_even_within_a_millisecond():
    made = [ids.new() for _ in range(2000)]
    assert made == sorted(set(made))


def test_ids_only_grow_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch):
    before = ids.new()
    monkeypatch.setattr(clock, "now_ms", lambda: 1)
    assert ids.new() > before


def test_ids_sort_by_time_between_processes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ids, "_last", 0)
    monkeypatch.setattr(clock, "now_ms", lambda: 1_000_000)
    earlier = ids.new()
    monkeypatch.setattr(ids, "_last", 0)
    monkeypatch.setattr(clock, "now_ms", lambda: 1_000_001)
    assert ids.new() > earlier


def test_an_id_begins_with_its_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ids, "_last", 0)
    monkeypatch.setattr(clock, "now_ms", lambda: 1469918176385)
    assert ids.new().startswith("01aryz6s41")  # the example of the ULID specification


def test_threads_never_get_the_same_id():
    made: list[list[str]] = []

    def make() -> None:
        made.append([ids.new() for _ in range(500)])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({identifier for some in made for identifier in some}) == 4000
    assert all(some == sorted(some) for some in made)


def _make(_number: int) -> list[str]:
    return [ids.new() for _ in range(200)]


def test_forked_processes_never_get_the_same_id(in_processes: Callable):
    made = in_processes(4, _make)
    assert len({identifier for some in made for identifier in some}) == 800


def test_the_short_form_tells_neighbours_apart(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clock, "now_ms", lambda: 1_000_000)
    made = [ids.new() for _ in range(50)]
    assert len({ids.short(identifier) for identifier in made}) == 50
    assert all(identifier.endswith(ids.short(identifier)) for identifier in made)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0 ms"), (0, "0 ms"), (0.0004, "0 ms"), (0.85, "850 ms"), (0.9996, "1.0 s"), (1, "1.0 s"), (9.94, "9.9 s"),
        (9.97, "10 s"), (12, "12 s"), (59.4, "59 s"), (59.7, "1 min 00 s"), (185, "3 min 05 s"), (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"), (7800, "2 h 10 min"), (360_000, "100 h 00 min"),
    ],
)  # fmt: skip
def test_a_duration_reads_as_a_person_would_say_it(seconds: float, said: str):
    assert clock.human(seconds) == said


@given(st.floats(min_value=0, max_value=1e7))
def test_no_duration_is_said_in_too_small_a_unit(seconds: float):
    said = clock.human(seconds)
    assert not said.startswith(("1000 ms", "60 s", "60 min"))
    assert " 60 " not in said


@given(st.floats(min_value=0, max_value=1e7))
def test_what_is_said_is_near_the_duration(seconds: float):
    units = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}
    words = clock.human(seconds).split()
    said = sum(float(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    finest = units[words[-1]] * (0.1 if "." in words[0] else 1)
    assert abs(said - seconds) <= finest * 1.01


def test_an_instant_is_written_in_utc_to_the_millisecond():
    assert clock.iso(0) == "1970-01-01T00:00:00.000Z"
    assert clock.iso(1_700_000_000.1235) == "2023-11-14T22:13:20.123Z"


@given(st.integers(0, (1 << 48) - 1), st.integers(0, (1 << 48) - 1), st.text(), st.text())
def test_the_id_of_a_thing_named_elsewhere_is_always_the_same_and_sorts_by_its_moment(
    first, second, name, other
):
    made = ids.of(first, name)
    assert ids.is_id(made)
    assert made == ids.of(first, name)
    assert (made == ids.of(first, other)) == (name == other)
    if first != second:
        assert (made < ids.of(second, other)) == (first < second)


def test_it_sorts_among_those_made_here_at_that_moment():
    before = ids.new()
    made = ids.of(clock.now_ms() + 1, "elsewhere")
    assert before < made < ids.of(clock.now_ms() + 1000, "later")
