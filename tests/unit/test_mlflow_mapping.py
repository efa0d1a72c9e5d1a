"""Between MLflow's words and ours: ids, states, names, types; and which stores are let in."""

import posixpath
import re
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab import ids
from snapml_lab.commands.core import find
from snapml_lab.commands.dispatch import validated
from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.flows.mlflow import mapping, served, talking
from snapml_lab.registry.signature import Signature, matrix


@given(st.lists(st.text(min_size=1), unique=True, max_size=20))
def test_every_name_gets_one_that_mlflow_takes_and_none_is_given_twice(names: list[str]):
    found = mapping.names(names)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    for plain in found.values():
        assert re.fullmatch(r"[/\w.\- :]{1,250}", plain)
        assert posixpath.normpath(plain) == plain
        assert plain != "."
        assert not plain.startswith(("..", "/"))


@pytest.mark.parametrize("name", ["loss", "val/auc", "a b", "ünï:c-ode_1.5", "x" * 250])
def test_a_name_mlflow_takes_stays(name: str):
    assert mapping.names([name]) == {name: name}


def test_names_that_become_alike_are_told_apart():
    assert mapping.names(["a?", "a!", "a_"]) == {"a?": "a_", "a!": "a__2", "a_": "a__3"}


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_state_comes_back(state: str):
    assert mapping.state(mapping.status(state)) == state


def test_what_had_not_ended_when_it_was_read_is_lost_here_and_what_is_lost_here_failed_there():
    assert mapping.state("RUNNING") == mapping.state("SCHEDULED") == "lost"
    assert mapping.status("lost") == "FAILED"


def test_ids_sort_by_the_runs_beginnings():
    first, second = mapping.run_id("f" * 32, 1_700_000_000_000), mapping.run_id("0" * 32, 1_700_000_000_001)
    assert ids.is_id(first)
    assert first < second
    assert mapping.run_id("a", None) == mapping.run_id("a", None)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("Default", "model"), "Default-model"),
        (("real / ünï", "m"), "real____n_-m"),
        (("", ""), "model"),
        (("..", "a" * 200), "a" * 97),
    ],
)
def test_a_model_gets_a_name_of_ours(words: tuple[str, str], name: str):
    assert mapping.model_name(*words).startswith(name[:90])


def test_a_signature_of_mlflow_names_types_and_what_is_none_is_passed_over():
    inputs = [
        {"name": "a", "type": "double"},
        {"name": "b", "type": "string"},
        {"type": "tensor"},
        7,
        {"name": "c", "type": "odd"},
    ]
    assert mapping.types(inputs) == {"a": "float64", "b": "object"}
    assert mapping.types("words") == {}


@pytest.mark.parametrize(
    "uri",
    [
        "https://me:secret@example.org",
        "postgresql://u:p@host/db",
        "http://token@host:5000/x",
        "mysql+pymysql://a@b/c",
    ],
)
def test_credentials_in_a_uri_are_refused_before_anything_is_written_down(uri: str):
    with pytest.raises(InvalidInputError, match="password"):
        validated(find("runs import"), {"uri": uri})


def test_credentials_are_not_repeated_in_the_refusal():
    with pytest.raises(InvalidInputError) as told:
        validated(find("runs import"), {"uri": "https://me:secret@example.org"})
    assert "secret" not in str(told.value.as_dict())


def test_a_store_is_named_in_several_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = tmp_path / "mlflow.db"
    with sqlite3.connect(place) as connection:
        for table in ("experiments", "runs", "metrics", "alembic_version"):
            connection.execute(f"CREATE TABLE {table} (a)")
    monkeypatch.chdir(tmp_path)
    for uri in (f"sqlite:///{place}", "sqlite:///mlflow.db", "mlflow.db", str(place)):
        assert talking.located(uri, must_exist=True) == (f"sqlite:///{place}", tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://example.org")
    assert talking.located("env", must_exist=True)[0] == "https://example.org"
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").touch()
    assert talking.located(str(tmp_path), must_exist=True) == (
        (tmp_path / "mlruns").as_uri(),
        tmp_path / "mlruns",
    )


@pytest.mark.parametrize("uri", ["absent.db", "sqlite:///absent.db", "absent", "file:///absent/mlruns"])
def test_a_store_that_is_not_there_is_told(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError):
        talking.located(uri, must_exist=True)


def test_the_preparation_inside_mlflow_is_that_of_ours():
    """The copy that goes along with a model reads a table as the registry does."""
    frame = pd.DataFrame({
        "n": [1, None, float("inf")], "t": ["2026-01-01T00:00:00+00:00", None, "2026-06-01T12:00:00+02:00"],
        "c": ["a", None, True], "x": 0,
    })  # fmt: skip
    signature = Signature(["n"], ["t"], ["c"], {}, "y", [])
    pd.testing.assert_frame_equal(served.prepared(frame, signature.as_dict()), matrix(frame, signature))
