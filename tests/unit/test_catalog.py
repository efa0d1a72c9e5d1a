"""The catalog: no write is lost, no file is torn, and what is damaged is refused and left alone."""

import json
import os
import random
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import SmallDisk
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError, StorageError, StoreDamagedError
from snapml_lab.store.catalog import Catalog, Fields


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog")


def names(folder: Path) -> set[str]:
    """The files of a folder, locks left out."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def _counted(current: Fields | None) -> Fields:
    return {"value": (current or {"value": 0})["value"] + 1}


def _add_hundred(number: int, root: Path) -> None:
    catalog = Catalog(root)
    for index in range(100):
        catalog.add("prompts", f"{number}-{index}", {"index": index})


def _count_to_twenty_five(_number: int, root: Path) -> None:
    for _ in range(25):
        Catalog(root).change("counters", "visits", _counted)


def test_four_processes_of_a_hundred_writes_lose_none(catalog: Catalog, in_processes: Callable):
    in_processes(4, _add_hundred, catalog.root)
    expected = {f"{number}-{index}": {"index": index} for number in range(4) for index in range(100)}
    assert catalog.all("prompts") == expected


def test_four_processes_changing_one_document_lose_no_change(catalog: Catalog, in_processes: Callable):
    in_processes(4, _count_to_twenty_five, catalog.root)
    assert catalog.get("counters", "visits") == {"value": 100}


@pytest.mark.parametrize(
    "use",
    [
        lambda catalog: catalog.get("prompts", "a"),
        lambda catalog: catalog.find("prompts", "a"),
        lambda catalog: catalog.keys("prompts"),
        lambda catalog: catalog.all("prompts"),
        lambda catalog: catalog.add("prompts", "c", {}),
        lambda catalog: catalog.change("prompts", "a", _counted),
        lambda catalog: catalog.remove("prompts", "a"),
    ],
    ids=["get", "find", "keys", "all", "add", "change", "remove"],
)
def test_a_file_cut_in_half_is_refused_and_left_as_it_is(catalog: Catalog, use: Callable):
    catalog.add("prompts", "a", {"text": "one"})
    catalog.add("prompts", "b", {"text": "two"})
    path = catalog.root / "prompts.json"
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(half)
    before = {name: (catalog.root / name).read_bytes() for name in names(catalog.root)}
    with pytest.raises(StoreDamagedError) as refusal:
        use(catalog)
    assert str(catalog.root / "prompts.json.good") in refusal.value.fix
    assert {name: (catalog.root / name).read_bytes() for name in names(catalog.root)} == before


def test_the_last_good_copy_is_the_content_before_the_last_write(catalog: Catalog):
    catalog.add("prompts", "a", {"text": "one"})
    before = (catalog.root / "prompts.json").read_bytes()
    catalog.change("prompts", "a", lambda _: {"text": "two"})
    assert (catalog.root / "prompts.json.good").read_bytes() == before


def test_the_last_good_copy_copied_over_mends_the_catalog(catalog: Catalog):
    catalog.add("prompts", "a", {"text": "one"})
    catalog.add("prompts", "b", {"text": "two"})
    path = catalog.root / "prompts.json"
    path.write_bytes(path.read_bytes()[:20])
    path.write_bytes((catalog.root / "prompts.json.good").read_bytes())
    assert catalog.all("prompts") == {"a": {"text": "one"}}


def test_a_damaged_file_without_a_copy_says_where_else_to_look(catalog: Catalog):
    catalog.add("prompts", "a", {})
    (catalog.root / "prompts.json").write_text("{")
    with pytest.raises(StoreDamagedError, match="git"):
        catalog.keys("prompts")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"null", b"[]", b"3", b'"prompts"', b'{"name": "snapml-lab"}', b'{"prompts": [1]}', b'{"prompts": {"a": 1}}',
        b'{"scripts": {"build": "tsc"}}', b"\x80\x04\x95", b"PK\x03\x04\xff", b"prompts: {}", b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_catalog_is_refused_and_left_as_it_is(catalog: Catalog, content: bytes):
    catalog.root.mkdir()
    path = catalog.root / "prompts.json"
    path.write_bytes(content)
    with pytest.raises(StoreDamagedError):
        catalog.change("prompts", "a", _counted)
    assert path.read_bytes() == content


def _write_without_end(descriptor: int, root: Path) -> None:
    catalog = Catalog(root)
    while True:
        value = catalog.change(
            "counters", "visits", lambda current: {**_counted(current), "filling": "x" * 50_000}
        )
        os.write(descriptor, f"{value['value']}\n".encode())


def test_killing_a_writer_at_any_moment_leaves_a_whole_file_with_all_it_said_was_written(
    catalog: Catalog, killed: Callable
):
    chance = random.Random(1)
    said = 0
    for _ in range(20):
        lines = killed(chance.uniform(0.005, 0.03), _write_without_end, catalog.root).split()
        said = max([said, *map(int, lines)])
        kept = catalog.find("counters", "visits")
        found = kept["value"] if kept else 0
        assert found in (said, said + 1)
        said = found
    assert said > 0


def test_a_full_disk_changes_nothing_and_says_so(small_disk: SmallDisk):
    catalog = Catalog(small_disk.path / "catalog")
    for name in ("a", "b"):
        catalog.add("prompts", name, {"text": "x" * 20_000})
    path = catalog.root / "prompts.json"
    before, files = path.read_bytes(), names(catalog.root)
    small_disk.fill()
    with pytest.raises(StorageError) as refusal:
        catalog.add("prompts", "c", {"text": "y" * 20_000})
    assert "nothing was changed" in refusal.value.message
    assert path.read_bytes() == before
    assert names(catalog.root) == files
    small_disk.free()
    catalog.add("prompts", "c", {})
    assert catalog.keys("prompts") == ["a", "b", "c"]


def _add_beyond_limit(_number: int, root: Path) -> tuple[str, str]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        Catalog(root).add("prompts", "b", {"text": "x" * 20_000})
    except StorageError as error:
        return error.code, error.message
    return "", "it was written"


def test_a_file_that_may_not_grow_changes_nothing_and_says_so(catalog: Catalog, in_processes: Callable):
    catalog.add("prompts", "a", {"text": "one"})
    before, files = (catalog.root / "prompts.json").read_bytes(), names(catalog.root)
    [(code, message)] = in_processes(1, _add_beyond_limit, catalog.root)
    assert (code, "nothing was changed" in message) == ("storage", True)
    assert (catalog.root / "prompts.json").read_bytes() == before
    assert names(catalog.root) - {"prompts.json.good"} == files


def test_keys_are_sorted_in_the_file_whatever_order_they_came_in(catalog: Catalog):
    for name in ("b", "a", "c"):
        catalog.add("prompts", name, {"z": 1, "y": {"b": 1, "a": 2}})
    text = (catalog.root / "prompts.json").read_text("utf-8")
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_same_content_is_the_same_file_whoever_wrote_it_first(tmp_path: Path):
    one, other = Catalog(tmp_path / "one"), Catalog(tmp_path / "other")
    for name in ("a", "b"):
        one.add("prompts", name, {"text": name})
    for name in ("b", "a"):
        other.add("prompts", name, {"text": name})
    assert (one.root / "prompts.json").read_bytes() == (other.root / "prompts.json").read_bytes()


@given(key=st.text(min_size=1, max_size=30), text=st.text(max_size=50))
def test_any_name_and_any_text_come_back_as_they_were(tmp_path_factory, key: str, text: str):
    catalog = Catalog(tmp_path_factory.mktemp("catalog"))
    try:
        key.encode(), text.encode()
    except UnicodeEncodeError:
        return
    catalog.add("prompts", key, {"text": text})
    assert Catalog(catalog.root).all("prompts") == {key: {"text": text}}


def test_a_number_as_a_name_stays_text(catalog: Catalog):
    catalog.add("prompts", "7", {"n": 7})
    assert catalog.keys("prompts") == ["7"]
    assert catalog.get("prompts", "7") == {"n": 7}


def test_a_name_that_is_nearly_right_is_offered(catalog: Catalog):
    catalog.add("prompts", "summarise", {})
    with pytest.raises(NotFoundError, match="Did you mean 'summarise'"):
        catalog.get("prompts", "sumarise")


def test_a_name_that_is_like_none_is_answered_with_what_there_is(catalog: Catalog):
    catalog.add("prompts", "summarise", {})
    with pytest.raises(NotFoundError, match="Known: summarise"):
        catalog.get("prompts", "qqq")


def test_a_name_taken_is_not_written_over(catalog: Catalog):
    catalog.add("prompts", "a", {"text": "one"})
    with pytest.raises(ConflictError):
        catalog.add("prompts", "a", {"text": "two"})
    assert catalog.get("prompts", "a") == {"text": "one"}


def test_removing_returns_what_was_there_and_leaves_the_rest(catalog: Catalog):
    catalog.add("prompts", "a", {"text": "one"})
    catalog.add("prompts", "b", {"text": "two"})
    assert catalog.remove("prompts", "a") == {"text": "one"}
    assert catalog.all("prompts") == {"b": {"text": "two"}}


def test_removing_what_is_not_there_is_refused(catalog: Catalog):
    with pytest.raises(NotFoundError):
        catalog.remove("prompts", "a")


def test_a_change_drops_the_fields_it_does_not_return(catalog: Catalog):
    catalog.add("prompts", "a", {"old": 1})
    catalog.change("prompts", "a", lambda _: {"new": 2})
    assert catalog.get("prompts", "a") == {"new": 2}


def test_a_change_made_inside_a_nested_list_is_kept(catalog: Catalog):
    catalog.add("prompts", "a", {"versions": [1]})

    def append(current: Fields | None) -> Fields:
        assert current is not None
        current["versions"].append(2)
        return current

    catalog.change("prompts", "a", append)
    assert catalog.get("prompts", "a") == {"versions": [1, 2]}


def test_a_change_that_fails_writes_nothing(catalog: Catalog):
    catalog.add("prompts", "a", {"n": 1})
    before = (catalog.root / "prompts.json").read_bytes()

    def fail(_current: Fields | None) -> Fields:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - its own, just raised
        catalog.change("prompts", "a", fail)
    assert (catalog.root / "prompts.json").read_bytes() == before
    catalog.change("prompts", "a", lambda _: {"n": 2})


@pytest.mark.parametrize("kind", ["", "../prompts", "a/b", "a.b", "a b", ".", "/etc/passwd"])
def test_a_kind_that_is_not_a_plain_word_is_refused(catalog: Catalog, kind: str):
    with pytest.raises(InvalidInputError, match="kind"):
        catalog.keys(kind)
