"""What differs between a run and the same run again, and the lock it is compared by."""

import sysconfig
from importlib import metadata
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.envs import current
from snapml_lab.flows.again import as_notebook
from snapml_lab.flows.likeness import Compared, Facts, Likeness, Model, Verdict, compare, numbers, verdict

NUMBERS = st.dictionaries(
    st.sampled_from(["loss", "auc", "fit_seconds", "system/cpu"]), st.floats(allow_infinity=False)
)


def of(before: Facts, after: Facts, kind: str, tolerance: float = 1e-9) -> dict[str, Likeness]:
    return {row.name: row.likeness for row in compare(before, after, tolerance) if row.kind == kind}


@given(NUMBERS, st.floats(0, 1))
def test_a_run_is_the_same_as_itself_whatever_its_figures(metrics: dict[str, float], tolerance: float):
    facts = Facts("succeeded", params={"lr": "0.1"}, metrics=metrics, dataset="d", nested={"a": metrics})
    assert verdict(compare(facts, facts, tolerance)) is Verdict.SAME


@given(NUMBERS, NUMBERS)
def test_which_of_two_was_first_does_not_matter_to_the_verdict(
    one: dict[str, float], other: dict[str, float]
):
    first, second = Facts("succeeded", metrics=one), Facts("succeeded", metrics=other)
    assert verdict(compare(first, second, 1e-9)) is verdict(compare(second, first, 1e-9))


@given(st.floats(1e-6, 1e6), st.floats(0, 1e-3))
def test_a_number_is_close_only_within_the_tolerance(value: float, change: float):
    moved = value * (1 + change)
    found = numbers(value, moved, 1e-5)
    assert found is not Likeness.SAME or moved == value
    if change > 2e-5:
        assert found is Likeness.DIFFERS
    if change < 0.5e-5:
        assert found in (Likeness.CLOSE, Likeness.SAME)


def test_what_is_missing_or_new_is_a_difference_and_times_are_not_compared():
    before = Facts(
        "succeeded", metrics={"loss": 1.0, "old": 1.0, "fit_seconds": 3.0, "tokens_per_second": 9.0}
    )
    after = Facts(
        "succeeded", metrics={"loss": 1.0, "new": 1.0, "fit_seconds": 4.0, "tokens_per_second": 8.0}
    )
    assert of(before, after, "metric") == {
        "loss": Likeness.SAME, "old": Likeness.MISSING, "new": Likeness.NEW, "fit_seconds": Likeness.APART,
        "tokens_per_second": Likeness.APART,
    }  # fmt: skip
    assert verdict(compare(before, after, 1e-9)) is Verdict.DIFFERS


def test_words_that_only_sound_like_times_are_compared():
    before, after = (
        Facts("succeeded", metrics={"timeliness": 1.0}),
        Facts("succeeded", metrics={"timeliness": 2.0}),
    )
    assert of(before, after, "metric") == {"timeliness": Likeness.DIFFERS}


def test_files_that_differ_in_bytes_are_told_and_do_not_decide():
    rows = compare(
        Facts("succeeded", artifacts={"a.png": "1"}), Facts("succeeded", artifacts={"a.png": "2"}), 1e-9
    )
    assert Compared("file", "a.png", "1", "2", Likeness.DIFFERS) in rows
    assert verdict(rows) is Verdict.SAME


def test_models_are_compared_by_their_predictions_where_their_files_differ():
    def models(*predictions: tuple[str, float | None], blob: str = "b") -> Facts:
        return Facts("succeeded", models={"m": Model(blob, predictions=predictions)})

    same = models(("yes", 0.5), ("no", 0.25), blob="a")
    assert of(same, models(("yes", 0.5), ("no", 0.25)), "model") == {"m": Likeness.SAME}
    assert of(same, models(("yes", 0.5), ("no", 0.25 + 1e-12)), "model") == {"m": Likeness.CLOSE}
    assert of(same, models(("yes", 0.5), ("yes", 0.25)), "model") == {"m": Likeness.DIFFERS}
    assert of(same, Facts("succeeded", models={"m": Model("b")}), "model") == {"m": Likeness.DIFFERS}
    assert of(same, Facts("succeeded", models={"m": Model("a")}), "model") == {"m": Likeness.SAME}


def test_a_folder_with_the_same_weights_is_the_same_model_whatever_else_is_in_it():
    one = Facts("succeeded", models={"m": Model("a", {"adapter.safetensors": "1"})})
    other = Facts("succeeded", models={"m": Model("b", {"adapter.safetensors": "1"})})
    changed = Facts("succeeded", models={"m": Model("b", {"adapter.safetensors": "2"})})
    assert of(one, other, "model") == {"m": Likeness.SAME}
    assert of(one, changed, "model") == {"m": Likeness.DIFFERS}


def test_a_run_that_fails_where_it_succeeded_differs():
    assert verdict(compare(Facts("succeeded"), Facts("failed"), 1.0)) is Verdict.DIFFERS


def test_a_session_as_a_notebook_has_each_cell_as_often_as_it_ran_with_ids_of_its_own():
    cells = [
        {"cell_id": "a", "source": "x = 1"}, {"cell_id": "a", "source": "x = y", "raised": True},
        {"cell_id": "vscode-notebook-cell:/home/ä/b.ipynb#W0", "source": "z"}, {"cell_id": None, "source": "last"},
    ]  # fmt: skip
    made = as_notebook(cells, failing=True)["cells"]
    assert [cell["source"] for cell in made] == ["x = 1", "x = y", "z", "last"]
    assert [cell["id"] for cell in made[:2]] == ["a", "a-2"]
    assert len({cell["id"] for cell in made}) == 4
    assert all(len(cell["id"]) <= 64 and cell["id"].isascii() for cell in made)
    assert [bool(cell["metadata"]) for cell in made] == [False, True, False, True]


def test_the_lock_has_what_the_standard_library_finds():
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    names = {
        f"{item.name.lower().replace('_', '-')}=={item.version}"
        for item in metadata.distributions(path=folders)
    }
    assert current.lock().packages.splitlines() == sorted(names)


def test_distributions_without_metadata_of_their_own_are_passed_over(tmp_path: Path):
    (tmp_path / "odd-1.0.dist-info").mkdir()
    (tmp_path / "fine-1.0.dist-info").mkdir()
    (tmp_path / "fine-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: Fine_One\nVersion: 1.0\n"
    )
    assert list(current._distributions([str(tmp_path)])) == [("fine-one", "1.0")]
