"""Finding runs: the same answer as looking at each run by itself, whatever the expression; bad ones say where."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from snapml_lab.errors import InvalidInputError
from snapml_lab.store import curve
from snapml_lab.store.ledger import Ledger
from snapml_lab.tracking import record, search

KINDS = ("run", "trial")
MODELS = ("rf", "gb", "50% _off\\")
RUNS = [
    {
        "id": f"{index:026d}", "name": f"r{index % 7}", "kind": KINDS[index % 2],
        "metric": {"auc": index / 60} | ({"eval/loss": -index / 3} if index % 3 else {}),
        "param": {"lr": 10.0 ** -(index % 5), "model": MODELS[index % 3]} | ({"deep": True} if index % 4 == 0 else {}),
        "tag": {"team": "ab"[index % 2]} if index % 5 else {},
    }
    for index in range(60)
]  # fmt: skip


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> Ledger:
    made = Ledger(tmp_path_factory.mktemp("search") / "ledger.db")
    with made.write() as connection:
        for run in RUNS:
            record.create(
                connection, run["id"], kind=run["kind"], name=run["name"], job=None, at=float(run["id"]),
                origin=record.Origin(), revision=1, actor="ann", state="succeeded",
            )  # fmt: skip
            for name, value in run["metric"].items():
                curve.append(connection, run["id"], name, [(0, 0.0, value - 1), (1, 0.0, value)])
            for name, value in run["param"].items():
                record.log_param(connection, run["id"], name, value)
            for name, value in run["tag"].items():
                record.log_tag(connection, run["id"], name, value)
    return made


numbers = some.floats(-25, 25).map(lambda value: round(value, 3))
comparisons = some.sampled_from(["==", "!=", "<", "<=", ">", ">="])
leaves = some.one_of(
    some.builds(lambda op, n: (f"metric.auc {op} {n / 25}", lambda r: cmp(op, r["metric"].get("auc"), n / 25)), comparisons, numbers),
    some.builds(
        lambda op, n: (f'metric["eval/loss"] {op} {n}', lambda r: cmp(op, r["metric"].get("eval/loss"), n)), comparisons, numbers
    ),
    some.builds(lambda op, n: (f"param.lr {op} {10.0**-n}", lambda r: cmp(op, r["param"].get("lr"), 10.0**-n)),
                comparisons, some.integers(0, 5)),
    some.builds(lambda n: (f"{n / 25} < metric.auc", lambda r: cmp(">", r["metric"]["auc"], n / 25)), numbers),
    some.builds(lambda m: (f"param.model == {m!r}", lambda r: r["param"]["model"] == m), some.sampled_from(MODELS)),
    some.builds(lambda m: (f"{m!r} in param.model", lambda r: m.lower() in r["param"]["model"].lower()),
                some.sampled_from(["f", "%", "_", "\\", "zz"])),
    some.builds(lambda k: (f"kind = {k!r}", lambda r: r["kind"] == k), some.sampled_from(KINDS)),
    some.builds(lambda a: (f"tag.team in ({a!r}, 'z')", lambda r: r["tag"].get("team") == a), some.sampled_from("abc")),
    some.just(("tag.team", lambda r: "team" in r["tag"])),
    some.just(("param.deep == True", lambda r: "deep" in r["param"])),
    some.just(("metric['eval/loss'] is None", lambda r: "eval/loss" not in r["metric"])),
    some.just(("min(metric.auc) > -0.5", lambda r: r["metric"]["auc"] - 1 > -0.5)),
    some.just(("started >= 30", lambda r: int(r["id"]) >= 30)),
)  # fmt: skip
expressions = some.recursive(
    leaves,
    lambda inner: some.one_of(
        some.builds(lambda a, b: (f"({a[0]} and {b[0]})", lambda r: a[1](r) and b[1](r)), inner, inner),
        some.builds(lambda a, b: (f"({a[0]} OR {b[0]})", lambda r: a[1](r) or b[1](r)), inner, inner),
        some.builds(lambda a: (f"not ({a[0]})", lambda r: not a[1](r)), inner),
    ),
    max_leaves=6,
)


def cmp(op: str, left: float | None, right: float) -> bool:
    """Compare; what is not there fits nothing."""
    if left is None or math.isnan(left):
        return False
    return {
        "==": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right,
        ">=": left >= right,
    }[op]  # fmt: skip


@settings(max_examples=300)
@given(expression=expressions, few=some.booleans())
def test_a_search_finds_what_looking_at_each_run_finds_whichever_way_it_goes(ledger, expression, few):
    text, fits = expression
    expected = [run["id"] for run in reversed(RUNS) if fits(run)]
    before, search._FEW = search._FEW, 2000 if few else 1
    try:
        assert (
            search.search(ledger, text.strip("()") if text.count("(") == 0 else text, limit=100) == expected
        )
        assert search.search(ledger, text, limit=3) == expected[:3]
    finally:
        search._FEW = before


def test_an_empty_condition_fits_all_but_the_deleted(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.db")
    with ledger.write() as connection:
        for run in ("a", "b"):
            record.create(connection, run, kind="run", name=run, job=None, at=0.0, origin=record.Origin(), revision=1,
                          actor="", state="succeeded")  # fmt: skip
        connection.execute("UPDATE runs SET deleted_at = 1 WHERE id = 'a'")
    assert search.search(ledger, " ") == ["b"]


@pytest.mark.parametrize(
    ("by", "key"),
    [
        ("metric.auc", lambda run: run["metric"]["auc"]), ("param.lr", lambda run: run["param"]["lr"]),
        ("started", lambda run: run["id"]), ("param.model", lambda run: run["param"]["model"]),
        ("name", lambda run: run["name"]), ("tag.team", lambda run: run["tag"].get("team")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("few", [0, 2000])
def test_runs_are_sorted_by_what_is_asked_for(ledger, by, key, ascending, few, monkeypatch):
    monkeypatch.setattr(search, "_FEW", few)  # along the index, or from the runs that fit
    by_id = {run["id"]: run for run in RUNS}
    found = [key(by_id[run]) for run in search.search(ledger, "metric.auc > 0.5", by=by, ascending=ascending)]
    assert found == sorted(found, reverse=not ascending)
    assert len(found) == sum(run["metric"]["auc"] > 0.5 and key(run) is not None for run in RUNS)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("metric.auc >", "could not be read"), ("metric.auc > 'high'", "a number to compare"),
        ("metrc.auc > 1", "metric.NAME"), ("nam == 'a'", "Did you mean name"), ("__import__('os')", "a comparison"),
        ("metric.auc > 1; drop table runs", "could not be read"), ("metric.auc + 1 > 2", "metric.NAME"),
        ("param.lr > param.depth", "a number or a text"), ("'a' in metric.auc", "a number"), ("started > 'noon'", "a time"),
        ("(" * 500 + "a", "could not be read"), ("x" * 5000, "at most"), ("metric.auc in 3", "values in brackets"),
        ("max(param.lr) > 1", "max of a metric"), ("'open", "could not be read"), ("\x00", "could not be read"),
        ("metric.auc > float('nan')", "a number or a text"), ("lambda: 1", "a comparison"),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_with_the_reason_and_an_example(ledger, expression, said):
    with pytest.raises(InvalidInputError) as refusal:
        search.search(ledger, expression)
    assert said in str(refusal.value)


def test_a_name_is_text_whatever_it_holds(ledger):
    hostile = "x') OR 1=1 --"
    assert (
        search.search(ledger, f"name == {hostile!r} or param[{hostile!r}] == 1 or tag.team == {hostile!r}")
        == []
    )
    assert len(ledger.rows("SELECT 1 FROM runs")) == len(RUNS)
