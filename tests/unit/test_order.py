"""Whether what a kernel ran is its notebook from top to bottom, and how much of it is held."""

import json

from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.tracking.order import Order, Ran, judged
from snapml_lab.tracking.session import Session, digest

PLACES = {name: index for index, name in enumerate("abcdefgh")}


def ran(*cells: str, at: float = 100.0) -> list[Ran]:
    """Cells in the order they ran; ``a2`` is cell a with another source."""
    return [Ran(cell[0], digest(cell), counter + 1, at) for counter, cell in enumerate(cells)]


def why(*cells: str) -> str | None:
    return judged(ran(*cells), PLACES).why


def test_top_to_bottom_is_in_order_also_where_cells_are_left_out():
    assert judged(ran("a", "b", "c"), PLACES) == Order(False, None)
    assert judged(ran("b", "f"), PLACES) == Order(False, None)


def test_what_is_out_of_order_is_said_by_the_cells_numbers_in_the_notebook():
    assert why("a", "e", "c") == "cell 3 ran after cell 5"
    assert why("a", "b", "b", "c") == "cell 2 ran again"
    assert why("a", "b", "b2", "c") == "cell 2 was edited and run again"
    assert why("c", "a", "b", "a") == "cell 1 ran after cell 3, and 2 more"


def test_a_cell_whose_place_is_not_saved_yet_leaves_it_unknown_but_a_second_run_is_one():
    assert judged(ran("a", "z"), PLACES, saved=50.0) == Order(None, None)
    assert judged(ran("a", "z", "z2"), PLACES, saved=50.0) == Order(
        True, "the cell of [3] was edited and run again"
    )


def test_a_cell_that_was_deleted_from_the_notebook_after_it_ran_counts():
    assert judged(ran("a", "z", "b"), PLACES, saved=200.0) == Order(
        True, "the cell of [2] is no longer in the notebook"
    )


def test_without_ids_nothing_is_known():
    assert judged([Ran(None, "x", 1, 1.0), Ran(None, "y", 2, 2.0)], None) == Order(None, None)
    assert judged([], PLACES) == Order(None, None)


def test_without_the_notebook_only_what_ran_twice_is_known():
    assert judged(ran("a", "b"), None) == Order(None, None)
    assert judged(ran("b", "a", "b"), None) == Order(True, "the cell of [3] ran again")


def test_code_from_a_console_of_the_same_kernel_counts():
    mixed = [*ran("a"), Ran(None, "x", 2, 5.0), *ran("b")]
    assert judged(mixed, PLACES) == Order(True, "[2] ran from outside of the notebook's cells")


def test_what_ran_before_snapml_was_loaded_leaves_it_unknown():
    assert judged([Ran(None, "x", 1, None), *ran("b")], PLACES) == Order(None, None)


@given(st.lists(st.sampled_from(list(PLACES)), min_size=1, max_size=9))
def test_in_order_is_exactly_what_running_all_could_have_done(cells: list[str]):
    order = judged(ran(*cells), PLACES)
    assert order.out is not (cells == sorted(set(cells)))
    assert (order.why is not None) is order.out


@given(st.lists(st.sampled_from(["a", "b", "a2", "b2", "c", "z"]), max_size=8), st.sampled_from("abc"))
def test_what_is_out_of_order_stays_so_whatever_runs_next(cells: list[str], more: str):
    before, after = judged(ran(*cells), PLACES), judged(ran(*cells, more), PLACES)
    assert after.out if before.out else True


def test_a_long_session_drops_the_oldest_sources_and_keeps_their_hashes():
    session = Session(most_bytes=100)
    for number in range(10):
        source = f"x = {number}".ljust(30)
        session.add(source, Ran(f"c{number}", digest(source), number, 1.0))
    assert len(session.ran) == 10
    assert list(session.sources.values()) == [f"x = {n}".ljust(30) for n in (7, 8, 9)]
    assert [item["cell_id"] for item in json.loads(session.encode())] == [f"c{n}" for n in range(10)]


def test_the_source_of_the_cell_itself_is_held_however_long_it_is():
    session = Session(most_bytes=100)
    session.add("x" * 1000, Ran("a", digest("x" * 1000), 1, 1.0))
    assert session.sources[digest("x" * 1000)]


def test_a_session_of_very_many_cells_drops_the_oldest():
    session = Session(most_cells=5)
    for number in range(9):
        session.add("x", Ran(str(number), digest("x"), number, 1.0))
    assert [item.cell for item in session.ran] == ["4", "5", "6", "7", "8"]
    assert len(session.sources) == 1


def test_text_that_is_no_unicode_has_a_hash():
    assert digest("\ud800") != digest("")
