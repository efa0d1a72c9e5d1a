"""Merging workspaces: by id, once, whole or not at all, and nothing of the other is changed."""

import fcntl
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError, StorageError, StoreDamagedError
from snapml_lab.flows import merge as flow
from snapml_lab.flows import merge_files, merge_ledger
from snapml_lab.governance import audit, promotions, verification
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.registry import deployments, versions
from snapml_lab.store import curve
from snapml_lab.store.ledger import Ledger, bump
from snapml_lab.store.migrations import APPLICATION_ID, MIGRATIONS
from snapml_lab.tracking import live, record, recorder
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

POOL = [f"01aaaaaaaaaaaaaaaaaaaaa{index:03d}" for index in range(1000)]
"""Ids that several workspaces share: what has one is the same thing in each."""


def silent(_done: float, _text: str) -> None:
    """Show nothing."""


def merge(ws: Workspace, other: Workspace) -> flow.Merged:
    return flow.merge(ws, str(other.root), silent)


def workspace(place: Path) -> Workspace:
    ws = Workspace(place / ".snapml")
    assert ws.ledger.revision() >= 0
    return ws


def run(
    ws: Workspace,
    run: str,
    points: int,
    *,
    state: str = "succeeded",
    parent: str | None = None,
    job: str | None = None,
) -> None:
    """Write a run whose curve is the beginning of the one curve that the run with this id has."""
    with ws.ledger.write() as connection:
        record.create(
            connection, run, kind="run", name=f"run {run[-3:]}", job=job, at=1.0, origin=Origin(), revision=bump(connection),
            actor="someone", state=None if job else "running", parent=parent,
        )  # fmt: skip
        record.log_param(connection, run, "lr", run)
        curve.append(connection, run, "loss", [(step, float(step), 1 / (step + 1)) for step in range(points)])
        connection.execute("UPDATE runs SET ingested = ? WHERE id = ?", (points, run))
        if not job:
            record.end(connection, run, state, 2.0, bump(connection))


def model(ws: Workspace, identifier: str, name: str = "m", run: str | None = None) -> None:
    """Write a model version whose file is what its id says."""
    blob, size = ws.blobs.put(identifier.encode())
    with ws.ledger.write() as connection:
        versions.register(
            connection, name=name, run=run, blob=blob, size=size, format="skops", task="binary", signature={},
            evidence={}, at=1.0, actor="someone",
        )  # fmt: skip
        connection.execute("UPDATE model_versions SET id = ? WHERE blob = ?", (identifier, blob))


def job(ws: Workspace, identifier: str, state: str, *, key: str | None = None) -> None:
    folder = JobFolder(ws.jobs / identifier)
    folder.artifacts.mkdir(parents=True)
    folder.launch.write_text(json.dumps({"argv": ["true"], "nonce": "secret", "cwd": "/"}))
    folder.stdout.write_text(f"said by {identifier}")
    folder.lock.touch()
    (folder.artifacts / "made").write_text("a file")
    with ws.ledger.write() as connection:
        connection.execute(
            "INSERT INTO jobs (id, kind, name, state, actor, uid, cpus, submitted_at, key, shim_pid, revision)"
            " VALUES (?, 'command', 'a job', ?, 'someone', ?, 1, 1.0, ?, 1, ?)",
            (identifier, state, os.getuid(), key, bump(connection)),
        )
    run(ws, identifier, 5, job=identifier)


def dataset(ws: Workspace, name: str, *contents: str) -> None:
    made = [
        {"sha256": hashlib.sha256(text.encode()).hexdigest(), "format": "csv", "rows": 1, "columns": ["a"]}
        for text in contents
    ]
    ws.catalog.change("datasets", name, lambda ours: {"versions": [*(ours or {}).get("versions", []), *made]})


def act(ws: Workspace, number: int = 1) -> None:
    """Have the audit grow."""
    for index in range(number):
        attempt = audit.begin(
            ws, actor="someone", role="admin", surface="python", command="x", arguments={"a": index}
        )
        audit.end(ws, attempt, "done")


def held(ws: Workspace) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the tables that merging fills, without their revisions."""
    found = {}
    for table in merge_ledger.BROUGHT:
        columns = [row[1] for row in ws.ledger.rows(f"PRAGMA table_info({table})") if row[1] != "revision"]
        rows = ws.ledger.rows(f"SELECT {', '.join(columns)} FROM {table}")
        found[table] = sorted((tuple(row) for row in rows), key=repr)
    return found


def known(ws: Workspace) -> tuple[object, ...]:
    """What two workspaces that hold the same agree on, however it came: numbers of versions may differ."""
    ask = ws.ledger.rows
    return (
        sorted(row[0] for row in ask("SELECT id FROM jobs")),
        sorted((row[0], row[1]) for row in ask("SELECT id, coalesce(state, '') FROM runs")),
        sorted(tuple(row) for row in ask("SELECT run, name, text FROM params")),
        {
            (row[0], row[1]): curve.points(ws.ledger.connection, row[0], row[1])
            for row in ask("SELECT run, name FROM latest_metrics")
        },
        sorted(tuple(row) for row in ask("SELECT run, name, step, value, number FROM latest_metrics")),
        sorted(tuple(row) for row in ask("SELECT id, name, blob FROM model_versions")),
        {
            name: sorted(version["sha256"] for version in document["versions"])
            for name, document in ws.catalog.all("datasets").items()
        },
    )


def tree(root: Path, *, times: bool = True) -> dict[str, tuple[object, ...]]:
    """Every file below a folder: what it holds, and when it was written."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        stat = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path.relative_to(root))] = (content, stat.st_mode, stat.st_mtime_ns if times else 0)
    return found


SOMETHING = st.fixed_dictionaries({
    "runs": st.dictionaries(
        st.sampled_from(POOL[:6]),
        st.tuples(st.sampled_from([0, 3, 511, 512, 513, 700]), st.sampled_from(["succeeded", "lost"])),
        max_size=5,
    ),
    "models": st.lists(st.sampled_from(POOL[100:106]), unique=True, max_size=5),
    "jobs": st.sets(st.sampled_from(POOL[200:204]), max_size=3),
    "datasets": st.dictionaries(
        st.sampled_from(["x", "y"]), st.lists(st.sampled_from("pqrs"), unique=True, min_size=1, max_size=4), max_size=2
    ),
    "acts": st.integers(0, 3),
})  # fmt: skip


def build(place: Path, what: dict) -> Workspace:
    ws = workspace(place)
    for identifier, (points, state) in what["runs"].items():
        # One run has one end: who saw all of it saw that, and who saw less does not know it.
        whole = state == "succeeded"
        run(ws, identifier, 700 if whole else points, state=state)
    for identifier in what["models"]:
        model(ws, identifier)
    for identifier in what["jobs"]:
        job(ws, identifier, "succeeded" if int(identifier[-3:]) % 2 else "failed")
    for name, contents in what["datasets"].items():
        dataset(ws, name, *contents)
    act(ws, what["acts"])
    return ws


FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(SOMETHING, SOMETHING)
def test_merging_twice_is_merging_once_and_the_other_is_only_read(tmp_path_factory, ours, theirs):
    place = tmp_path_factory.mktemp("pair")
    a, b = build(place / "a", ours), build(place / "b", theirs)
    before = tree(b.root)
    planned = flow.plan(a, str(b.root), silent)
    untouched = held(a)
    first = merge(a, b)
    once, files = held(a), tree(a.root / "jobs")
    second = merge(a, b)
    assert (held(a), tree(a.root / "jobs")) == (once, files)
    assert tree(b.root) == before
    assert not any(second.came.values()), "the second time nothing comes"
    assert (second.files, second.size) == (0, 0)
    assert (planned.came, planned.here, planned.collided) == (first.came, first.here, first.collided)
    assert (planned.files, planned.size) == (first.files, first.size)
    assert any(first.came.values()) or untouched == once
    assert verification.verify(a).ok


@settings(FEW, max_examples=12)
@given(SOMETHING, SOMETHING, SOMETHING)
def test_in_which_order_workspaces_are_merged_does_not_matter_for_what_there_is_then(
    tmp_path_factory, one, two, three
):
    place = tmp_path_factory.mktemp("three")
    orders = {
        "straight": [(0, 1), (0, 2)],
        "back": [(0, 2), (0, 1)],
        "chained": [(1, 2), (0, 1)],
        "away": [(2, 0), (1, 2), (0, 1)],
    }
    found = []
    for name, order in orders.items():
        all_three = [build(place / name / str(index), what) for index, what in enumerate((one, two, three))]
        for target, source in order:
            merge(all_three[target], all_three[source])
        found.append(known(all_three[0]))
        assert verification.verify(all_three[0]).ok
        assert len({item["id"] for item in all_three[0].ledger.rows("SELECT id FROM model_versions")}) == len(
            {
                (item["name"], item["version"])
                for item in all_three[0].ledger.rows("SELECT name, version FROM model_versions")
            }
        )
    assert all(item == found[0] for item in found)


def test_every_table_of_the_ledger_comes_or_is_said_to_stay(tmp_path):
    rows = workspace(tmp_path).ledger.rows(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    assert {row["name"] for row in rows} == {*merge_ledger.BROUGHT, *merge_ledger.LEFT}


def test_a_run_that_went_on_there_is_brought_up_to_date(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    run(a, POOL[0], 700, state="lost")
    run(a, POOL[1], 10, parent=POOL[0])
    run(b, POOL[0], 1500)
    run(b, POOL[1], 30, parent=POOL[0])
    revision = a.ledger.revision()
    merge(a, b)
    assert known(a) == known(b)
    assert all(row["revision"] > revision for row in a.ledger.rows("SELECT revision FROM runs")), (
        "pages see it"
    )
    merge(b, a)
    assert known(a) == known(b)


def test_what_a_person_said_of_a_run_here_stays_and_what_was_said_there_is_added(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    for ws, text in ((a, "ours"), (b, "theirs")):
        run(ws, POOL[0], 1)
        with ws.ledger.write() as connection:
            record.log_tag(connection, POOL[0], "both", text)
            record.log_tag(connection, POOL[0], text, text)
    with b.ledger.write() as connection:
        connection.execute("UPDATE runs SET note = 'theirs'")
    merge(a, b)
    tags = {row["name"]: row["text"] for row in a.ledger.rows("SELECT name, text FROM tags")}
    assert tags == {"both": "ours", "ours": "ours", "theirs": "theirs"}
    assert a.ledger.row("SELECT note FROM runs")["note"] == "theirs"


def test_a_run_that_was_deleted_here_stays_deleted(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    for ws in (a, b):
        run(ws, POOL[0], 1)
    with a.ledger.write() as connection:
        connection.execute("UPDATE runs SET deleted_at = 3.0")
    merge(a, b)
    assert a.ledger.row("SELECT deleted_at FROM runs")["deleted_at"] == 3.0


# Runs that are open.


def opened(ws: Workspace, name: str = "open") -> recorder.Recorder:
    return recorder.start(ws, name, actor="someone", origin=Origin(), system=False)


def states(ws: Workspace) -> dict[str, str]:
    live.catch_up(ws)
    return {row["name"]: row["state"] for row in ws.ledger.rows("SELECT name, state FROM runs")}


def test_a_run_that_is_alive_there_is_running_here_until_it_is_over_there(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    writer = opened(b)
    for step in range(10):
        writer.log(loss=float(step))
    before = tree(b.root)
    merge(a, b)
    assert tree(b.root) == before, "what it has logged is read off its file, and not there"
    assert states(a) == {"open": "running"}
    assert len(curve.points(a.ledger.connection, writer.id, "loss")) == 10
    for step in range(5):
        writer.log(loss=float(step))
    merge(a, b)
    assert len(curve.points(a.ledger.connection, writer.id, "loss")) == 15
    writer.end()
    assert states(a) == {"open": "lost"}, "its end was not seen from here"
    merge(a, b)
    assert states(a) == {"open": "succeeded"}
    assert known(a) == known(b)
    assert (live.folder(a, writer.id) / "events.jsonl").exists()


def test_a_run_whose_writer_died_there_is_lost_with_all_it_had_logged(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    pid = os.fork()
    if pid == 0:
        b.ledger.close()
        writer = opened(b)
        for step in range(10):
            writer.log(loss=float(step))
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    before = tree(b.root)
    merge(a, b)
    assert tree(b.root) == before
    assert states(a) == {"open": "lost"}
    (row,) = a.ledger.rows("SELECT number FROM latest_metrics")
    assert row["number"] == 10
    assert states(b) == {"open": "lost"}
    merge(a, b)
    assert states(a) == {"open": "lost"}


def test_a_run_that_is_open_here_is_its_writers_alone_though_a_copy_says_otherwise(tmp_path):
    a = workspace(tmp_path / "a")
    writer = opened(a)
    writer.log(loss=1.0)
    a.ledger.close()
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    b = workspace(tmp_path / "copy")
    assert states(b) == {"open": "lost"}
    merge(a, b)
    assert states(a) == {"open": "running"}
    writer.log(loss=2.0)
    writer.end()
    assert [point[2] for point in curve.points(a.ledger.connection, writer.id, "loss")] == [1.0, 2.0]
    merge(b, a)
    assert known(a) == known(b)


def test_files_of_an_open_run_come_though_nobody_there_has_looked_at_them_yet(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    writer = opened(b)
    (tmp_path / "picture.png").write_bytes(b"a picture")
    writer.artifact(tmp_path / "picture.png")
    merge(a, b)
    (row,) = a.ledger.rows("SELECT blob FROM artifacts")
    assert a.blobs.verified(row["blob"]) == b"a picture"
    writer.end()


# Jobs.


def test_a_job_comes_once_it_is_over_with_its_folder_but_not_with_what_would_reach_its_processes(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    job(b, POOL[0], "succeeded", key="nightly")
    job(b, POOL[1], "running")
    job(b, POOL[2], "queued")
    done = merge(a, b)
    assert [row["id"] for row in a.ledger.rows("SELECT id FROM jobs")] == [POOL[0]]
    assert [row["id"] for row in a.ledger.rows("SELECT id FROM runs")] == [POOL[0]], "no run without its job"
    assert [line for line in done.left if "running there" in line or "queued there" in line] == done.left
    assert len(done.left) == 2
    folder = JobFolder(a.jobs / POOL[0])
    assert folder.stdout.read_text() == f"said by {POOL[0]}"
    assert (folder.artifacts / "made").read_text() == "a file"
    assert json.loads(folder.launch.read_bytes()) == {"argv": ["true"], "cwd": "/"}
    assert not folder.lock.exists()
    assert a.ledger.row("SELECT shim_pid FROM jobs")["shim_pid"] is None
    with b.ledger.write() as connection:
        connection.execute("UPDATE jobs SET state = 'failed' WHERE state <> 'succeeded'")
    merge(a, b)
    assert known(a) == known(b)


def test_an_end_that_was_seen_there_takes_the_place_of_one_that_was_not_seen_here(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    for ws, state in ((a, "lost"), (b, "succeeded")):
        job(ws, POOL[0], state)
    (b.jobs / POOL[0] / "stdout.log").write_text("all of it")
    merge(b, a)
    assert b.ledger.row("SELECT state FROM jobs")["state"] == "succeeded"
    merge(a, b)
    assert a.ledger.row("SELECT state FROM jobs")["state"] == "succeeded"
    assert (a.jobs / POOL[0] / "stdout.log").read_text() == "all of it"


def test_a_key_that_another_job_has_here_is_left_and_told(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    job(a, POOL[0], "succeeded", key="nightly")
    job(b, POOL[1], "succeeded", key="nightly")
    done = merge(a, b)
    assert [(row["id"], row["key"]) for row in a.ledger.rows("SELECT id, key FROM jobs ORDER BY id")] == [
        (POOL[0], "nightly"), (POOL[1], None),
    ]  # fmt: skip
    assert any("nightly" in what for _, what in done.collided)


# Models, aliases, datasets, what is declared.


def test_a_model_whose_number_is_taken_gets_the_next_and_all_that_names_it_follows(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    model(a, POOL[0])
    model(a, POOL[1])
    for index in (2, 3, 4):
        model(b, POOL[index])
    with b.ledger.write() as connection:
        connection.execute("UPDATE model_versions SET base = 'm@1' WHERE version = 2")
        connection.execute(
            "INSERT INTO requests (id, at, deployment, model, route, api_key, notebook, cell_id, streamed, status, ended,"
            " input_tokens, cached_tokens, output_tokens, usage, first_token_ms, duration_ms, cost_pico, price, revision)"
            " VALUES ('r', 1.0, 'd', 'm@3', '', '', NULL, NULL, 0, 200, 'complete', 1, 0, 1, 'metered',"
            " NULL, 1.0, 5, 'p', 0)"
        )
    deployments.declare(b, deployments.single("d", "m@2", "predict", "binary", "blob"))
    promotions.request(b, "m@1", target="champion", comment="good", actor="someone", origin=Origin())
    promotions.request(b, "m@3", target="champion", comment="better", actor="someone", origin=Origin())
    done = merge(a, b)
    numbers = {row["id"]: row["version"] for row in a.ledger.rows("SELECT id, version FROM model_versions")}
    assert numbers == dict(zip(POOL[:5], (1, 2, 3, 4, 5), strict=True))
    assert a.ledger.row("SELECT base FROM model_versions WHERE version = 4")["base"] == "m@3"
    assert a.ledger.row("SELECT model FROM requests")["model"] == "m@5"
    assert a.ledger.row("SELECT version FROM aliases")["version"] == "5"
    rows = a.ledger.rows("SELECT version, before FROM promotions ORDER BY id")
    assert [tuple(row) for row in rows] == [("3", None), ("5", "3")]
    assert deployments.get(a, "d").model == "m@4"
    assert {what for what, _ in done.collided} == {"model m@1", "model m@2", "model m@3"}
    assert done.stand == ["champion of model:m is m@5, as was decided there"]
    promotions.request(b, "m@1", target="champion", comment="back", actor="someone", origin=Origin())
    again = merge(a, b)
    assert again.collided == [("champion of model:m", "is m@5 here and stays, not m@3")]


def test_the_same_file_of_the_same_run_is_one_version_though_each_place_read_it_for_itself(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    for ws, identifier in ((a, POOL[0]), (b, POOL[1])):
        run(ws, POOL[9], 1)
        model(ws, "the same file", run=POOL[9])
        with ws.ledger.write() as connection:
            connection.execute("UPDATE model_versions SET id = ?", (identifier,))
    assert merge(a, b).came["models"] == 0
    assert [row["id"] for row in a.ledger.rows("SELECT id FROM model_versions")] == [POOL[0]]


def test_a_request_that_waits_there_is_not_decided_on_here(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    model(b, POOL[0])
    b.catalog.add("policies", "model", {"approvers": 1, "needs": [], "own": False})
    promotions.request(b, "m@1", target="champion", comment="please", actor="someone", origin=Origin())
    done = merge(a, b)
    assert not a.ledger.rows("SELECT * FROM promotions")
    assert any("waits there" in line for line in done.left)
    assert not a.catalog.all("policies")


def test_datasets_are_one_by_content_and_a_number_that_is_taken_is_told(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    dataset(a, "x", "one", "two")
    dataset(b, "x", "two", "three")
    dataset(b, "y", "four")
    done = merge(a, b)
    kept = [version["sha256"] for version in a.catalog.get("datasets", "x")["versions"]]
    assert kept == [hashlib.sha256(text.encode()).hexdigest() for text in ("one", "two", "three")]
    assert (done.came["datasets"], done.here["datasets"]) == (2, 1)
    assert [what for what, _ in done.collided] == ["dataset x@2"]


def test_ours_stays_where_both_declared_and_rules_of_the_other_place_are_not_brought(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    for kind, name in (
        ("roles", "mallory"),
        ("policies", "model"),
        ("schedules", "nightly"),
        ("budgets", "all"),
    ):
        b.catalog.add(kind, name, {"role": "admin"})
    b.catalog.add("prices", "compute", {"dollars_per_hour": "9"})
    for ws, price in ((a, "1"), (b, "2")):
        ws.catalog.add("prices", "m", {"dollars_per_million_input": price})
    b.catalog.add("prices", "n", {"dollars_per_million_input": "3"})
    done = merge(a, b)
    assert a.catalog.all("prices") == {
        "m": {"dollars_per_million_input": "1"}, "n": {"dollars_per_million_input": "3"},
    }  # fmt: skip
    assert [a.catalog.keys(kind) for kind in ("roles", "policies", "schedules", "budgets")] == [
        [],
        [],
        [],
        [],
    ]
    assert [what for what, _ in done.collided] == ["price m"]
    assert len(done.left) == 4


def test_api_keys_and_leases_stay_in_their_place(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    job(b, POOL[0], "succeeded")
    with b.ledger.write() as connection:
        connection.execute(
            "INSERT INTO api_keys (id, name, prefix, sha256, created_at) VALUES ('k', 'k', 'k', 'k', 1.0)"
        )
        connection.execute(
            "INSERT INTO leases (job, device, memory, whole, granted_at) VALUES (?, 'gpu', 1, 1, 1.0)",
            (POOL[0],),
        )
        connection.execute("INSERT INTO queues VALUES ('q', 1, 0, 0)")
    merge(a, b)
    assert not any(a.ledger.rows(f"SELECT * FROM {table}") for table in ("api_keys", "leases", "queues"))


# The audit.


def test_two_copies_of_one_workspace_that_both_went_on_keep_both_audits_and_they_hold(tmp_path):
    a = workspace(tmp_path / "a")
    act(a, 2)
    a.ledger.close()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    b, c = workspace(tmp_path / "b"), workspace(tmp_path / "c")
    assert merge(a, b).came.get("audit rows", 0) == 0, "it is the beginning of ours"
    for ws in (a, b, c):
        act(ws)
    for _ in range(2):
        for other in (b, c):
            merge(a, other)
    assert verification.verify(a).ok
    assert len(a.ledger.rows("SELECT DISTINCT workspace FROM merged_audit")) == 2
    act(b)
    assert merge(a, b).came["audit rows"] == 2, "only what is new, though it has the id of ours"
    d = workspace(tmp_path / "d")
    merge(d, a)
    assert verification.verify(d).ok
    assert len(d.ledger.rows("SELECT DISTINCT workspace FROM merged_audit")) == 3
    before = held(d)["merged_audit"]
    merge(d, b)
    assert held(d)["merged_audit"] == before


@pytest.mark.parametrize("mischief", [
    "UPDATE audit SET actor = 'nobody' WHERE seq = 2", "DELETE FROM audit WHERE seq = 2",
    "UPDATE audit SET seq = seq + 10 WHERE seq = 4",
])  # fmt: skip
def test_an_audit_that_does_not_hold_there_is_not_brought_and_nothing_else_either(tmp_path, mischief):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    run(b, POOL[0], 3)
    act(b, 2)
    for trigger in ("audit_unchanged", "audit_whole"):
        b.ledger.connection.execute(f"DROP TRIGGER {trigger}")
    b.ledger.connection.execute(mischief)
    with pytest.raises(StoreDamagedError, match="does not hold") as refusal:
        merge(a, b)
    assert "audit verify" in refusal.value.fix
    assert not a.ledger.rows("SELECT * FROM runs")


# Workspaces of other versions, damaged ones, ones that are written to meanwhile.


def older(place: Path, version: int) -> Path:
    """Make a workspace as a former version left it."""
    root = place / ".snapml"
    (root / "catalog").mkdir(parents=True)
    (root / ".gitignore").touch()
    with sqlite3.connect(root / "ledger.db") as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        for migrate in MIGRATIONS[: min(version, 3)]:
            migrate(connection)
        connection.execute(
            "INSERT INTO runs (id, kind, name, started_at, revision) VALUES (?, 'automl', 'old', 1.0, 1)",
            (POOL[0],),
        )
        connection.executemany(
            "INSERT INTO metrics VALUES (?, 'loss', ?, ?, ?)",
            [(POOL[0], step, float(step), 0.5) for step in range(600)],
        )
        connection.execute(
            "INSERT INTO latest_metrics (run, name, step, value) VALUES (?, 'loss', 599, 0.5)", (POOL[0],)
        )
        connection.executemany(
            "INSERT INTO audit (at, actor, role, surface, command, arguments, outcome) VALUES (?, 'a', 'admin', 'cli', 'x', '', 'done')",
            [(1.0,), (2.0,)],
        )
        for migrate in MIGRATIONS[3:version]:
            migrate(connection)
        connection.execute(f"PRAGMA user_version={version}")
    connection.close()
    return root


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_workspace_of_an_older_version_is_brought_and_stays_as_old_as_it_is(tmp_path, version):
    a, root = workspace(tmp_path / "a"), older(tmp_path / "b", version)
    before = tree(root)
    first = flow.merge(a, str(root), silent)
    assert tree(root) == before
    assert (first.came["runs"], first.came["points"], first.came["audit rows"]) == (1, 600, 2)
    once = held(a)
    flow.merge(a, str(root), silent)
    assert held(a) == once
    b = workspace(tmp_path / "b")  # somebody works there with this version
    assert merge(a, b).came.get("audit rows", 0) == 0
    act(b)
    assert merge(a, b).came["audit rows"] == 2
    assert len(a.ledger.rows("SELECT DISTINCT workspace FROM merged_audit")) == 1
    assert verification.verify(a).ok


def test_a_workspace_of_a_newer_version_is_refused(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    b.ledger.connection.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    with pytest.raises(StoreDamagedError, match="newer") as refusal:
        merge(a, b)
    assert str(b.root) in refusal.value.message
    assert "pip install -U" in refusal.value.fix


def _noise(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xa5" * (path.stat().st_size - 3 * 4096))


@pytest.mark.parametrize("damage", [
    lambda path: path.write_bytes(b"not a ledger" * 900), _noise,
    lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
], ids=["text", "noise", "cut"])  # fmt: skip
def test_a_damaged_ledger_is_refused_with_what_to_do_and_nothing_comes(
    tmp_path, damage: Callable[[Path], None]
):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    for index in range(50):
        run(b, POOL[index], 600)
    b.ledger.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    b.ledger.close()
    damage(b.root / "ledger.db")
    before = tree(b.root)
    with pytest.raises(StoreDamagedError) as refusal:
        merge(a, b)
    assert str(b.root) in refusal.value.message
    assert "cache/merge" not in refusal.value.message
    assert "Nothing was merged" in refusal.value.fix
    assert not a.ledger.rows("SELECT * FROM runs")
    assert tree(b.root) == before
    assert not (a.cache / "merge").exists()


@pytest.mark.parametrize("table", ["jobs", "runs"])
@pytest.mark.parametrize("name", ["../../victim", "..", "a/b", "", "/tmp/victim"])
def test_an_id_that_would_lead_out_of_the_workspace_is_refused(tmp_path, table, name):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    job(b, POOL[0], "succeeded")
    run(b, POOL[1], 1)
    (tmp_path / "victim").mkdir()
    with b.ledger.write() as connection:
        connection.execute("PRAGMA defer_foreign_keys=ON")
        for mention in ("params", "metric_chunks", "latest_metrics"):
            connection.execute(
                f"UPDATE {mention} SET run = ? WHERE run = ?", (name, POOL[1 if table == "runs" else 2])
            )
        connection.execute(
            f"UPDATE {table} SET id = ? WHERE id = ?", (name, POOL[1 if table == "runs" else 0])
        )
    with pytest.raises(StoreDamagedError, match="is no id"):
        merge(a, b)
    assert (tmp_path / "victim").is_dir()
    assert not a.ledger.rows("SELECT * FROM jobs")


def test_a_folder_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("a secret")
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    job(b, POOL[0], "succeeded")
    job(b, POOL[1], "succeeded")
    shutil.rmtree(b.jobs / POOL[0])
    (b.jobs / POOL[0]).symlink_to(tmp_path / "secret")
    (b.jobs / POOL[1] / "artifacts" / "link").symlink_to(tmp_path / "secret" / "key")
    merge(a, b)
    assert not any(b"a secret" in content for content, _, _ in tree(a.root).values())
    run(b, POOL[2], 1)
    (b.runs / POOL[2]).parent.mkdir(exist_ok=True)
    (b.runs / POOL[2]).symlink_to(tmp_path)
    (tmp_path / "events.jsonl").write_text(
        '{"type": "artifact", "name": "x", "path": "secret/key", "at": 1.0}\n'
    )
    with b.ledger.write() as connection:
        connection.execute("UPDATE runs SET state = 'running', ingested = 0 WHERE id = ?", (POOL[2],))
    with pytest.raises(StoreDamagedError, match="is a link"):
        merge(a, b)
    assert not any(b"a secret" in content for content, _, _ in tree(a.root).values())


def test_a_database_of_another_program_is_refused(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    b.ledger.connection.execute(f"PRAGMA application_id={APPLICATION_ID + 1}")
    with pytest.raises(StoreDamagedError, match="another program"):
        merge(a, b)


def test_a_torn_catalog_is_refused_before_anything_comes(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    run(b, POOL[0], 1)
    (b.root / "catalog" / "datasets.json").write_text('{"datasets": {')
    with pytest.raises(StoreDamagedError, match=r"datasets\.json"):
        merge(a, b)
    assert not a.ledger.rows("SELECT * FROM runs")


@pytest.mark.parametrize(
    ("named", "error"), [("nowhere", NotFoundError), ("a", InvalidInputError), ("link", InvalidInputError)]
)
def test_what_is_no_other_workspace_is_refused(tmp_path, named, error):
    a = workspace(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(error):
        flow.merge(a, str(tmp_path / named), silent)


def test_a_workspace_with_a_catalog_alone_as_git_has_it_is_merged(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    dataset(b, "x", "one")
    for path in b.root.glob("ledger.db*"):
        path.unlink()
    assert flow.merge(a, str(b.root), silent).came["datasets"] == 1
    assert not (b.root / "ledger.db").exists()


def test_what_is_only_in_the_write_ahead_log_there_comes_and_the_log_is_left(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    run(b, POOL[0], 600)
    assert (b.root / "ledger.db-wal").stat().st_size
    before = tree(b.root)
    assert merge(a, b).came["runs"] == 1
    assert tree(b.root) == before


def _write_on(write: int, root: Path) -> None:
    ledger = Ledger(root / "ledger.db")
    os.write(write, b"!")
    while True:
        with ledger.write() as connection:
            number = connection.execute("SELECT count(*) FROM sources").fetchone()[0]
            connection.execute("INSERT INTO sources VALUES (?, ?)", (str(2 * number), "x" * 500))
            connection.execute("INSERT INTO sources VALUES (?, ?)", (str(2 * number + 1), "x" * 500))


def test_a_workspace_that_is_written_to_all_the_time_is_brought_as_it_was_at_one_moment(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    b.ledger.close()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _write_on(write, b.root)
    os.read(read, 1)
    try:
        for _ in range(3):
            merge(a, b)
            (number,) = a.ledger.row("SELECT count(*) FROM sources")
            assert number
            assert number % 2 == 0, "a transaction there comes whole or not at all"
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every account may enter."""
    place = Path(tempfile.mkdtemp(prefix="snapml-shared-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account for a moment")
@pytest.mark.parametrize("what", ["ledger.db", f"jobs/{POOL[0]}", f"jobs/{POOL[0]}/stdout.log"])
def test_what_this_account_may_not_read_is_told_as_such_and_nothing_comes(shared, what):
    a, b = workspace(shared / "a"), workspace(shared / "b")
    job(b, POOL[0], "succeeded")
    a.ledger.close()
    b.ledger.close()
    for path in (b.project, b.root, *b.root.rglob("*")):
        path.chmod(0o755)
    (b.root / what).chmod(0o600)
    for path in (shared / "a", *(shared / "a").rglob("*")):
        os.chown(path, 65534, 65534)
    read, write = os.pipe()
    if os.fork() == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            merge(a, b)
        except StorageError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.wait()
    said = os.read(read, 4096).decode()
    assert f"{b.root / what if what != 'ledger.db' else b.root} cannot be read by this account" in said
    assert "chmod -R a+rX" in said
    assert not workspace(shared / "a").ledger.rows("SELECT * FROM jobs")


# Files, disks and kills.


def test_a_file_that_is_damaged_there_is_left_and_told(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    model(b, POOL[0])
    model(b, POOL[1])
    blob = b.ledger.row("SELECT blob FROM model_versions WHERE id = ?", POOL[0])["blob"]
    b.blobs.path(blob).chmod(0o644)
    b.blobs.path(blob).write_text("something else")
    done = merge(a, b)
    assert done.damaged == [blob]
    assert done.files == 1
    with pytest.raises(NotFoundError):
        a.blobs.path(blob)
    b.blobs.path(blob).write_text(POOL[0])
    assert merge(a, b).files == 1
    assert a.blobs.verified(blob) == POOL[0].encode()


def test_one_merge_at_a_time(tmp_path):
    a, b = workspace(tmp_path / "a"), workspace(tmp_path / "b")
    with (a.root / "merge.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConflictError):
            merge(a, b)
        (a.jobs / POOL[0]).mkdir()
        os.utime(a.jobs / POOL[0], (1, 1))
        assert queue.clear_leftovers(a) == 0, "what is being brought is no leftover"
    assert queue.clear_leftovers(a) == 1
    merge(a, b)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of three MiB."""
    place = tmp_path / "narrow"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, check=False
    ).returncode:
        pytest.skip("this account may not mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_what_there_is_no_room_for_is_refused_before_anything_comes(tmp_path, narrow):
    a, b = workspace(narrow / "a"), workspace(tmp_path / "b")
    run(b, POOL[0], 3)
    for _ in range(4):
        b.blobs.put(os.urandom(1 << 20))
    a.ledger.close()
    before = tree(a.root, times=False).keys()
    with pytest.raises(StorageError, match="This needs") as refusal:
        merge(a, b)
    assert "Free space" in refusal.value.fix
    assert not a.ledger.rows("SELECT * FROM runs")
    a.ledger.close()
    assert tree(a.root, times=False).keys() - before == {"merge.lock", "cache"}


def _blobs(ws: Workspace) -> None:
    for _ in range(6):
        ws.blobs.put(os.urandom(500_000))


def _rows(ws: Workspace) -> None:
    with ws.ledger.write() as connection:
        connection.execute("INSERT INTO sources VALUES ('a', ?)", ("x" * 1_200_000,))


def _folders(ws: Workspace) -> None:
    job(ws, POOL[1], "succeeded")
    (ws.jobs / POOL[1] / "artifacts" / "large").write_bytes(os.urandom(3_000_000))


@pytest.mark.parametrize("much", [_blobs, _rows, _folders])
def test_a_disk_that_fills_meanwhile_leaves_nothing_half_and_doing_it_again_ends_it(
    tmp_path, narrow, monkeypatch, much
):
    a, b = workspace(narrow / "a"), workspace(tmp_path / "b")
    run(b, POOL[0], 3)
    much(b)
    with monkeypatch.context() as patch:
        patch.setattr(merge_files, "check_room", lambda root, needed: None)
        with pytest.raises(StorageError) as refusal:
            merge(a, b)
    assert "Free space" in refusal.value.fix
    assert not a.ledger.rows("SELECT * FROM runs")
    assert not (a.cache / "merge").exists()
    a.ledger.close()
    shutil.copytree(narrow / "a", tmp_path / "larger")
    larger = workspace(tmp_path / "larger")
    merge(larger, b)
    assert known(larger) == known(b)
    assert (
        tree(larger.root / "artifacts", times=False).keys() == tree(b.root / "artifacts", times=False).keys()
    )
    assert not list(larger.root.rglob(".incoming*"))


def _large(place: Path) -> Workspace:
    ws = workspace(place)
    for index in range(60):
        run(ws, POOL[index], 300)
        (ws.runs / POOL[index]).mkdir(parents=True)
        (ws.runs / POOL[index] / "events.jsonl").write_text("x" * 1000)
    for index in range(20):
        model(ws, POOL[100 + index])
        ws.blobs.put(os.urandom(50_000))
        job(ws, POOL[200 + index], "succeeded")
    dataset(ws, "x", "one", "two")
    act(ws, 10)
    ws.ledger.close()
    return ws


def _merge_and_say(write: int, root: Path, other: Path) -> None:
    os.write(write, b"!")
    flow.merge(Workspace(root), str(other), silent)
    os.write(write, b"done")
    signal.pause()


def test_a_merge_that_is_killed_at_any_moment_and_done_again_is_as_one_that_was_not(tmp_path, killed):
    b = _large(tmp_path / "b")
    start = workspace(tmp_path / "start")
    run(start, POOL[0], 300)
    model(start, POOL[150])
    start.ledger.close()
    shutil.copytree(tmp_path / "start", tmp_path / "whole")
    whole = workspace(tmp_path / "whole")
    begun = time.monotonic()
    merge(whole, b)
    seconds = time.monotonic() - begun
    expected, files = held(whole), tree(whole.root / "jobs", times=False)
    before = tree(b.root)
    chance = random.Random(5)
    half = 0
    for number in range(15):
        place = tmp_path / f"killed-{number}"
        shutil.copytree(tmp_path / "start", place)
        said = killed(chance.uniform(0, 1.1 * seconds), _merge_and_say, place / ".snapml", b.root)
        a = workspace(place)
        runs = len(a.ledger.rows("SELECT id FROM runs"))
        assert runs in (1, 80), "all of it is seen, or none"
        half += runs == 1 and bool(list((a.root / "artifacts").rglob("*")))
        assert not said.endswith(b"done") or runs == 80
        merge(a, b)
        assert held(a) == expected
        assert tree(a.root / "jobs", times=False) == files
        assert {path.name for path in a.root.rglob(".incoming*")} == set()
        assert verification.verify(a).ok
        shutil.rmtree(place)
    assert half, "some were killed in the middle"
    assert tree(b.root) == before
