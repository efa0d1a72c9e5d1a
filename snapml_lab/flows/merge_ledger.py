"""The rows of another ledger into this one, by id, in one transaction: all that comes is seen at once, or none of it.

What is over comes; what is not (a queued or running job, a request that waits for approval) stays in its place until it is.
The same id is the same thing: it is here already, and only what went on since is brought up to date. Ours is never lost.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from snapml_lab.jobs.model import ENDED
from snapml_lab.store.ledger import bump

BROUGHT = (
    "environments", "sources", "jobs", "runs", "params", "tags", "artifacts", "metric_chunks", "latest_metrics", "requests",
    "model_versions", "promotions", "decisions", "aliases", "audit", "merged_audit",
)  # fmt: skip
"""Tables whose rows come. The audit goes to ``merged_audit``, for a chain has one workspace."""
LEFT = (
    "meta", "leases", "queues", "schedules", "api_keys", "budget_spent", "holds", "request_days", "request_days_until",
)  # fmt: skip
"""Tables that are of a place: what its machine held, how its queues are set, what is due there, who may enter, what they spend."""

_OVER = ", ".join(f"'{state}'" for state in sorted(ENDED))
_SEEN = "('succeeded', 'failed', 'cancelled')"
_NOT_HERE = "NOT EXISTS (SELECT 1 FROM main.{0} AS ours WHERE ours.{1} = theirs.{1})"
_REFERENCE = re.compile(r"(.+)@([1-9][0-9]*)")

_PLACE = ("shim_pid", "shim_start", "guard_pid", "guard_start", "pid_ns", "cancel_by", "waiting_for")
"""Columns of a job that mean something only where it ran."""

FURTHER = (
    "ours.state IS NOT NULL AND theirs.state IS NOT NULL AND"
    f" (theirs.state IN {_SEEN}, theirs.ingested, theirs.state = 'lost')"
    f" > (ours.state IN {_SEEN}, ours.ingested, ours.state = 'lost')"
)
"""Whether a run went on: an end that was seen counts more than more lines read, and these more than an unseen end."""
FOUND = f"ours.state = 'lost' AND theirs.state IN {_SEEN}"
"""Whether a job's end, unseen here, was seen there."""


@dataclass
class Brought:
    """What came and what was here, by what it is; what collided, what stayed there.

    ``stand``: the aliases that came; ``models``: a model's name and number there to its number here.
    """

    came: Counter[str] = field(default_factory=Counter)
    here: Counter[str] = field(default_factory=Counter)
    collided: list[tuple[str, str]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    stand: list[str] = field(default_factory=list)
    models: dict[tuple[str, int], int] = field(default_factory=dict)

    def renamed(self, reference: str) -> str:
        """Return a reference to a model version (``name@1``) as it is here; any other text as it is."""
        found = _REFERENCE.fullmatch(reference)
        if found is None:
            return reference
        name, version = found[1], int(found[2])
        return f"{name}@{self.models.get((name, version), version)}"


def bring(
    connection: sqlite3.Connection, other: str, *, home: set[str], datasets: Mapping[tuple[str, int], int]
) -> Brought:
    """Bring all rows over, inside a transaction; the other ledger is attached as ``other``.

    Args:
        connection: of this ledger.
        other: id of the other workspace.
        home: runs that are open here, and that nobody but their own writer may change.
        datasets: a dataset's name and number there to its number here.
    """
    done = Brought()
    revision = bump(connection)
    _mark(connection, home)
    _by_key(connection, done, "environments", "sha256", "environments")
    _by_key(connection, done, "sources", "sha256", None)
    _jobs(connection, done, revision)
    _runs(connection, done, revision)
    _values(connection, revision)
    _curves(connection, done, revision)
    _models(connection, done, revision)
    _requests(connection, done, revision)
    numbers = _Numbers(done.models, datasets)
    _promotions(connection, done, revision, numbers)
    _aliases(connection, done, numbers)
    _audits(connection, done, other)
    for name in ("held", "home", "touched", "longer", "renamed"):
        connection.execute(f"DROP TABLE temp.{name}")
    return done


def _mark(connection: sqlite3.Connection, home: set[str]) -> None:
    """Note which runs of theirs are not over, and which of ours are still written."""
    for name in ("held", "home", "touched"):
        connection.execute(f"CREATE TEMP TABLE {name} (id TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.execute(
        "CREATE TEMP TABLE longer (run TEXT, name TEXT, PRIMARY KEY (run, name)) WITHOUT ROWID"
    )
    connection.execute("CREATE TEMP TABLE renamed (old TEXT PRIMARY KEY, new TEXT)")
    connection.execute(
        f"INSERT INTO held SELECT id FROM other.runs WHERE job IN (SELECT id FROM other.jobs WHERE state NOT IN ({_OVER}))"
    )
    connection.executemany("INSERT INTO home VALUES (?)", [(run,) for run in home])
    connection.execute(
        "WITH RECURSIVE tree (id) AS (SELECT id FROM home UNION"
        f" SELECT id FROM main.runs WHERE job IN (SELECT id FROM main.jobs WHERE state NOT IN ({_OVER}))"
        " UNION SELECT runs.id FROM main.runs JOIN tree ON runs.parent = tree.id)"
        " INSERT OR IGNORE INTO home SELECT id FROM tree"
    )


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in connection.execute(f"PRAGMA main.table_info({table})")]


def _insert(
    connection: sqlite3.Connection, table: str, where: str, *, instead: Mapping[str, str] | None = None, how: str = "INSERT"
) -> int:  # fmt: skip
    """Copy rows of ``other.table``; ``instead`` gives expressions for some columns. Return how many there were."""
    columns = _columns(connection, table)
    chosen = ", ".join((instead or {}).get(name, f"theirs.{name}") for name in columns)
    names = ", ".join(columns)
    done = connection.execute(
        f"{how} INTO main.{table} ({names}) SELECT {chosen} FROM other.{table} AS theirs WHERE {where}"
    )
    return done.rowcount


def _number(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


def _by_key(
    connection: sqlite3.Connection, done: Brought, table: str, key: str, word: str | None, instead: Mapping[str, str] | None = None
) -> None:  # fmt: skip
    came = _insert(connection, table, _NOT_HERE.format(table, key), instead=instead)
    if word is not None:
        done.came[word] = came
        done.here[word] = _number(connection, f"SELECT count(*) FROM other.{table}") - came


def _jobs(connection: sqlite3.Connection, done: Brought, revision: int) -> None:
    taken = "EXISTS (SELECT 1 FROM main.jobs AS ours WHERE ours.key = theirs.key AND ours.id <> theirs.id)"
    for row in connection.execute(
        f"SELECT id, name, key FROM other.jobs AS theirs WHERE {taken} AND {_NOT_HERE.format('jobs', 'id')}"
        f" AND state IN ({_OVER})"
    ).fetchall():
        done.collided.append(
            (f"job {row[1]} ({row[0][-6:]})", f"its key {row[2]!r} is another job's here: it has none")
        )
    instead = dict.fromkeys(_PLACE, "NULL") | {
        "revision": str(revision), "key": f"CASE WHEN {taken} THEN NULL ELSE theirs.key END",
    }  # fmt: skip
    found = [name for name in _columns(connection, "jobs") if name not in (*_PLACE, "id", "key", "revision")]
    better = connection.execute(
        f"UPDATE main.jobs AS ours SET revision = {revision}, {', '.join(f'{name} = theirs.{name}' for name in found)}"
        f" FROM other.jobs AS theirs WHERE theirs.id = ours.id AND {FOUND}"
    ).rowcount
    done.came["jobs"] = better + _insert(
        connection, "jobs", f"state IN ({_OVER}) AND {_NOT_HERE.format('jobs', 'id')}", instead=instead
    )
    over = _number(connection, f"SELECT count(*) FROM other.jobs WHERE state IN ({_OVER})")
    done.here["jobs"] = over - done.came["jobs"]
    for row in connection.execute(
        f"SELECT id, name, state FROM other.jobs WHERE state NOT IN ({_OVER}) ORDER BY id"
    ).fetchall():
        done.left.append(
            f"job {row[1]} ({row[0][-6:]}), which is {row[2]} there: merge again once it has ended"
        )


def _runs(connection: sqlite3.Connection, done: Brought, revision: int) -> None:
    free = "ours.id NOT IN (SELECT id FROM home)"
    connection.execute(
        "INSERT OR IGNORE INTO touched SELECT ours.id FROM main.runs AS ours JOIN other.runs AS theirs USING (id)"
        f" WHERE {free} AND {FURTHER}"
    )
    further = connection.execute(
        "UPDATE main.runs AS ours SET state = theirs.state, ended_at = theirs.ended_at, ingested = theirs.ingested"
        " FROM other.runs AS theirs WHERE theirs.id = ours.id AND ours.id IN (SELECT id FROM touched)"
    ).rowcount
    for table in ("params", "tags", "artifacts"):
        _insert(connection, table, "theirs.run IN (SELECT id FROM touched)", how="INSERT OR REPLACE")
    connection.execute(
        "INSERT OR IGNORE INTO touched SELECT ours.id FROM main.runs AS ours JOIN other.runs AS theirs USING (id)"
        f" WHERE {free} AND ours.note IS NULL AND theirs.note IS NOT NULL"
    )
    connection.execute(
        "UPDATE main.runs AS ours SET note = theirs.note FROM other.runs AS theirs WHERE theirs.id = ours.id"
        f" AND {free} AND ours.note IS NULL AND theirs.note IS NOT NULL"
    )
    new = _insert(
        connection, "runs", f"theirs.id NOT IN (SELECT id FROM held) AND {_NOT_HERE.format('runs', 'id')}",
        instead={"revision": str(revision)},
    )  # fmt: skip
    done.came["runs"] = new + further
    here = _number(connection, "SELECT count(*) FROM other.runs WHERE id NOT IN (SELECT id FROM held)")
    done.here["runs"] = here - new - further


def _values(connection: sqlite3.Connection, revision: int) -> None:
    """Bring parameters, tags and files of runs, also those that were added to a run after it was merged; ours stay."""
    for table in ("params", "tags", "artifacts"):
        new = (
            "theirs.run NOT IN (SELECT id FROM held) AND theirs.run NOT IN (SELECT id FROM home) AND NOT EXISTS"
            f" (SELECT 1 FROM main.{table} AS ours WHERE ours.run = theirs.run AND ours.name = theirs.name)"
        )
        connection.execute(
            f"INSERT OR IGNORE INTO touched SELECT DISTINCT theirs.run FROM other.{table} AS theirs WHERE {new}"
        )
        _insert(connection, table, new)
    _touch(connection, revision)


def _touch(connection: sqlite3.Connection, revision: int) -> None:
    connection.execute(
        "UPDATE main.runs SET revision = ? WHERE id IN (SELECT id FROM touched) AND revision <> ?",
        (revision, revision),
    )


def _curves(connection: sqlite3.Connection, done: Brought, revision: int) -> None:
    """Bring curves that are longer there: of one run, one is the beginning of the other."""
    connection.execute(
        "INSERT INTO longer SELECT theirs.run, theirs.name FROM other.latest_metrics AS theirs"
        " LEFT JOIN main.latest_metrics AS ours ON ours.run = theirs.run AND ours.name = theirs.name"
        " WHERE (ours.run IS NULL OR theirs.number > ours.number)"
        " AND theirs.run NOT IN (SELECT id FROM held) AND theirs.run NOT IN (SELECT id FROM home)"
    )
    points = "SELECT coalesce(sum(number), 0) FROM {}.latest_metrics WHERE (run, name) IN (SELECT run, name FROM longer)"
    done.came["points"] = _number(connection, points.format("other")) - _number(
        connection, points.format("main")
    )
    whole = _number(
        connection,
        "SELECT coalesce(sum(number), 0) FROM other.latest_metrics WHERE run NOT IN (SELECT id FROM held)",
    )
    done.here["points"] = whole - done.came["points"]
    connection.execute(
        "DELETE FROM main.metric_chunks WHERE rowid IN (SELECT ours.rowid FROM longer JOIN main.metric_chunks AS ours"
        " ON ours.run = longer.run AND ours.name = longer.name)"
    )
    for table in ("metric_chunks", "latest_metrics"):
        _insert(
            connection,
            table,
            "(theirs.run, theirs.name) IN (SELECT run, name FROM longer)",
            how="INSERT OR REPLACE",
        )
    connection.execute("INSERT OR IGNORE INTO touched SELECT DISTINCT run FROM longer")
    _touch(connection, revision)


def _models(connection: sqlite3.Connection, done: Brought, revision: int) -> None:
    """Bring model versions; one whose number is taken gets the next after the highest, and is named so everywhere."""
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    known = {row[0]: row[1] for row in connection.execute("SELECT id, version FROM main.model_versions")}
    numbers: dict[str, set[int]] = {}
    same: dict[tuple[str, str | None, str], int] = {}
    for name, run, blob, version in connection.execute(
        "SELECT name, run, blob, version FROM main.model_versions ORDER BY version DESC"
    ):
        numbers.setdefault(name, set()).add(version)
        same[name, run, blob] = version
    new: list[dict[str, Any]] = []
    for row in cursor.execute(
        "SELECT * FROM other.model_versions WHERE run IS NULL OR run NOT IN (SELECT id FROM held) ORDER BY name, version"
    ):
        name, version = row["name"], row["version"]
        number = known.get(row["id"], same.get((name, row["run"], row["blob"])))
        if number is None:
            taken = numbers.setdefault(name, set())
            number = version if version not in taken else max(taken) + 1
            taken.add(number)
            same[name, row["run"], row["blob"]] = number
            new.append({**dict(row), "version": number, "revision": revision})
            if number != version:
                done.collided.append(
                    (f"model {name}@{version}", f"another one has that number here: it is {name}@{number}")
                )
        done.models[name, version] = number
    columns = _columns(connection, "model_versions")
    for fields in new:
        if fields["base"]:
            fields["base"] = done.renamed(fields["base"])
    connection.executemany(
        f"INSERT INTO main.model_versions ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})",
        new,
    )
    done.came["models"], done.here["models"] = len(new), len(done.models) - len(new)
    connection.executemany(
        "INSERT INTO renamed VALUES (?, ?)",
        [
            (f"{name}@{old}", f"{name}@{number}")
            for (name, old), number in done.models.items()
            if old != number
        ],
    )


def _requests(connection: sqlite3.Connection, done: Brought, revision: int) -> None:
    """Bring the requests that are settled: one that is open is that gateway's to settle."""
    instead = {
        "revision": str(revision), "model": "coalesce((SELECT new FROM renamed WHERE old = theirs.model), theirs.model)",
    }  # fmt: skip
    settled = f"state = 'settled' AND {_NOT_HERE.format('requests', 'id')}"
    done.came["requests"] = _insert(connection, "requests", settled, instead=instead)
    whole = _number(connection, "SELECT count(*) FROM other.requests WHERE state = 'settled'")
    done.here["requests"] = whole - done.came["requests"]


class _Numbers(NamedTuple):
    """What versions that came are numbered here, by name and number there."""

    models: Mapping[tuple[str, int], int]
    datasets: Mapping[tuple[str, int], int]

    def here(self, kind: str, name: str, version: str | None) -> str | None:
        """Return a version as it is called here; None where it did not come."""
        if version is None or kind not in ("model", "dataset"):
            return version
        numbers = self.models if kind == "model" else self.datasets
        found = numbers.get((name, int(version))) if version.isdigit() else None
        return None if found is None else str(found)


def _promotions(connection: sqlite3.Connection, done: Brought, revision: int, numbers: _Numbers) -> None:
    """Bring requests that were decided, with who decided."""
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    columns = _columns(connection, "promotions")
    known = {row[0] for row in connection.execute("SELECT id FROM main.promotions")}
    for row in cursor.execute("SELECT * FROM other.promotions ORDER BY id").fetchall():
        what = f"request {row['id'][-6:]} ({row['kind']}:{row['name']}@{row['version']} to {row['target']})"
        version = numbers.here(row["kind"], row["name"], row["version"])
        if row["id"] in known:
            done.here["promotions"] += 1
        elif row["state"] == "waiting":
            done.left.append(f"{what}, which waits there to be decided on")
        elif version is None:
            done.left.append(f"{what}, whose {row['kind']} did not come")
        else:
            before = numbers.here(row["kind"], row["name"], row["before"])
            fields = {**dict(row), "version": version, "before": before, "revision": revision}
            connection.execute(
                f"INSERT INTO main.promotions ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                [fields[name] for name in columns],
            )
            _insert(connection, "decisions", f"theirs.promotion = '{row['id']}'")
            done.came["promotions"] += 1


def _aliases(connection: sqlite3.Connection, done: Brought, numbers: _Numbers) -> None:
    """Bring aliases that nothing has here; ours stay where they are."""
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    for row in cursor.execute("SELECT * FROM other.aliases ORDER BY kind, name, alias").fetchall():
        kind, name, alias = row["kind"], row["name"], row["alias"]
        version = numbers.here(kind, name, row["version"])
        ours = connection.execute(
            "SELECT version FROM main.aliases WHERE kind = ? AND name = ? AND alias = ?", (kind, name, alias)
        ).fetchone()
        if ours is not None and ours[0] == version:
            done.here["aliases"] += 1
        elif ours is not None:
            stays = f"is {name}@{ours[0]} here and stays, not {name}@{version or row['version']}"
            done.collided.append((f"{alias} of {kind}:{name}", stays))
        elif version is not None:
            connection.execute(
                "INSERT INTO main.aliases VALUES (:kind, :name, :alias, :version, :promotion, :at)",
                {**dict(row), "version": version},
            )
            done.came["aliases"] += 1
            done.stand.append(f"{alias} of {kind}:{name} is {name}@{version}, as was decided there")


def _audits(connection: sqlite3.Connection, done: Brought, other: str) -> None:
    """Bring the other's audit, and those merged into it, each as a chain of its own from its first row."""
    (ours,) = connection.execute("SELECT workspace FROM main.meta").fetchone()
    _audit(connection, done, ours, other, "other.audit", "")
    for (workspace,) in connection.execute(
        "SELECT DISTINCT workspace FROM other.merged_audit ORDER BY 1"
    ).fetchall():
        _audit(connection, done, ours, workspace, "other.merged_audit", workspace)


def _audit(
    connection: sqlite3.Connection, done: Brought, ours: str, workspace: str, table: str, of: str
) -> None:
    """Bring one chain. What it is called by is found by its hashes: a workspace that was copied has two of one id."""
    chosen = "WHERE workspace = ?" if of else "WHERE ? = ''"
    (last,) = connection.execute(f"SELECT coalesce(max(seq), 0) FROM {table} {chosen}", (of,)).fetchone()

    def theirs(seq: int) -> str:
        return str(
            connection.execute(f"SELECT sha256 FROM {table} {chosen} AND seq = ?", (of, seq)).fetchone()[0]
        )

    if not last:
        return
    known = connection.execute(
        "SELECT workspace, max(seq) FROM main.merged_audit GROUP BY workspace"
    ).fetchall()
    (mine,) = connection.execute("SELECT coalesce(max(seq), 0) FROM main.audit").fetchone()
    if mine >= last and connection.execute("SELECT sha256 FROM main.audit WHERE seq = ?", (last,)).fetchone()[
        0
    ] == theirs(last):
        done.here["audit rows"] += last
        return
    called, from_ = None, 0
    for name, end in known:
        common = min(end, last)
        row = connection.execute(
            "SELECT sha256 FROM main.merged_audit WHERE workspace = ? AND seq = ?", (name, common)
        ).fetchone()
        if row[0] == theirs(common):
            called, from_ = name, common
            break
    if called is None:
        free = workspace != ours and workspace not in {name for name, _ in known}
        called = workspace if free else f"{workspace.partition('.')[0]}.{theirs(last)[:8]}"
    fields = "seq, at, actor, role, surface, command, arguments, outcome, of, sha256"
    came = connection.execute(
        f"INSERT INTO main.merged_audit (workspace, {fields}) SELECT ?2, {fields} FROM {table}"
        f" {chosen.replace('?', '?1')} AND seq > ?3",
        (of, called, from_),
    ).rowcount
    done.came["audit rows"] += came
    done.here["audit rows"] += last - came
