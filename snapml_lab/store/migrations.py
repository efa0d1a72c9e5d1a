"""The ledger's schema as ordered steps. A step that was released is never edited; a new one is added."""

import sqlite3
from collections.abc import Callable

from snapml_lab import ids
from snapml_lab.store import chain, curve

APPLICATION_ID = int.from_bytes(b"SNAP")
"""Marks a SQLite file as a ledger (``PRAGMA application_id``)."""


def _first(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in _FIRST.split(";\n"):
        if statement.strip():
            connection.execute(statement)


_FIRST = """
CREATE TABLE meta (revision INTEGER NOT NULL) STRICT;
INSERT INTO meta VALUES (0);

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    parent TEXT,
    actor TEXT NOT NULL,
    uid INTEGER NOT NULL,
    cpus REAL NOT NULL,
    notebook TEXT,
    cell_id TEXT,
    submitted_at REAL NOT NULL,
    started_at REAL,
    ended_at REAL,
    progress REAL,
    message TEXT,
    waiting_for TEXT,
    containment TEXT,
    shim_pid INTEGER,
    shim_start INTEGER,
    cancel_by REAL,
    starts INTEGER NOT NULL DEFAULT 0,
    exit_code INTEGER,
    reason TEXT,
    error_code TEXT,
    error_message TEXT,
    error_fix TEXT,
    ingested INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_state ON jobs (state);
CREATE INDEX jobs_revision ON jobs (revision);
CREATE INDEX jobs_parent ON jobs (parent);

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    job TEXT,
    parent TEXT,
    started_at REAL NOT NULL,
    notebook TEXT,
    cell_id TEXT,
    cell_sha256 TEXT,
    execution_count INTEGER,
    git_commit TEXT,
    environment TEXT,
    dataset TEXT,
    revision INTEGER NOT NULL
) STRICT;
CREATE INDEX runs_parent ON runs (parent);
CREATE INDEX runs_job ON runs (job);

CREATE TABLE params (
    run TEXT NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    number REAL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX params_number ON params (name, number);

CREATE TABLE metrics (
    run TEXT NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    step INTEGER NOT NULL,
    at REAL NOT NULL,
    value REAL,
    PRIMARY KEY (run, name, step, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE latest_metrics (
    run TEXT NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    step INTEGER NOT NULL,
    value REAL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX latest_metrics_value ON latest_metrics (name, value);

CREATE TABLE model_versions (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    run TEXT,
    blob TEXT NOT NULL,
    size INTEGER NOT NULL,
    format TEXT NOT NULL,
    task TEXT NOT NULL,
    signature TEXT NOT NULL,
    evidence TEXT NOT NULL,
    created_at REAL NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (name, version)
) STRICT;

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    role TEXT NOT NULL,
    surface TEXT NOT NULL,
    command TEXT NOT NULL,
    arguments TEXT NOT NULL,
    outcome TEXT NOT NULL,
    of INTEGER
) STRICT;

CREATE TABLE environments (
    sha256 TEXT PRIMARY KEY,
    python TEXT NOT NULL,
    packages TEXT NOT NULL
) STRICT;
"""


def _second(connection: sqlite3.Connection) -> None:
    """Services, API keys, and what requests used and cost."""
    for statement in _SECOND.split(";\n"):
        if statement.strip():
            connection.execute(statement)


_SECOND = """
ALTER TABLE jobs ADD COLUMN service INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    sha256 TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    revoked_at REAL
) STRICT;

CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    at REAL NOT NULL,
    deployment TEXT NOT NULL,
    model TEXT NOT NULL,
    route TEXT NOT NULL,
    api_key TEXT NOT NULL,
    notebook TEXT,
    cell_id TEXT,
    streamed INTEGER NOT NULL,
    status INTEGER NOT NULL,
    ended TEXT NOT NULL,
    input_tokens INTEGER,
    cached_tokens INTEGER,
    output_tokens INTEGER,
    usage TEXT NOT NULL,
    first_token_ms REAL,
    duration_ms REAL NOT NULL,
    cost_pico INTEGER,
    price TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_at ON requests (at);
CREATE INDEX requests_revision ON requests (revision);
"""


def _third(connection: sqlite3.Connection) -> None:
    """Queues, leases, retries and schedules."""
    for statement in _THIRD.split(";\n"):
        if statement.strip():
            connection.execute(statement)


_THIRD = """
ALTER TABLE jobs ADD COLUMN queue TEXT NOT NULL DEFAULT 'default';
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN key TEXT;
ALTER TABLE jobs ADD COLUMN after TEXT;
ALTER TABLE jobs ADD COLUMN memory INTEGER;
ALTER TABLE jobs ADD COLUMN peak_memory INTEGER;
ALTER TABLE jobs ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN gpu_memory INTEGER;
ALTER TABLE jobs ADD COLUMN gpu_peak INTEGER;
ALTER TABLE jobs ADD COLUMN time_limit REAL;
ALTER TABLE jobs ADD COLUMN max_hours REAL NOT NULL DEFAULT 24;
ALTER TABLE jobs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
ALTER TABLE jobs ADD COLUMN not_before REAL;
ALTER TABLE jobs ADD COLUMN gives_way INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN gave_way_to TEXT;
ALTER TABLE jobs ADD COLUMN pid_ns INTEGER;
ALTER TABLE jobs ADD COLUMN guard_pid INTEGER;
ALTER TABLE jobs ADD COLUMN guard_start INTEGER;
CREATE UNIQUE INDEX jobs_key ON jobs (key) WHERE key IS NOT NULL;
CREATE INDEX jobs_name ON jobs (name, id);
DROP INDEX jobs_state;
CREATE INDEX jobs_state ON jobs (state, id);

CREATE TABLE leases (
    job TEXT NOT NULL REFERENCES jobs (id),
    device TEXT NOT NULL,
    memory INTEGER NOT NULL,
    whole INTEGER NOT NULL,
    granted_at REAL NOT NULL,
    peak_memory INTEGER NOT NULL DEFAULT 0,
    held_by INTEGER,
    seen TEXT NOT NULL DEFAULT '[]',
    released_at REAL,
    PRIMARY KEY (job, device, granted_at)
) STRICT;
CREATE INDEX leases_open ON leases (device) WHERE released_at IS NULL;

CREATE TABLE queues (
    name TEXT PRIMARY KEY,
    at_most INTEGER,
    paused INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL
) STRICT;

CREATE TABLE schedules (
    name TEXT PRIMARY KEY,
    due_at REAL,
    firing_at REAL,
    last_at REAL,
    last_job TEXT,
    note TEXT
) STRICT;
"""


def _fourth(connection: sqlite3.Connection) -> None:
    """Runs of a kernel, curves in chunks, where a cell's run came from, promotions, and the audit's chain."""
    for statement in _FOURTH.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.execute("UPDATE meta SET workspace = ?", (ids.new(),))
    curves = connection.execute("SELECT DISTINCT run, name FROM metrics ORDER BY run, name").fetchall()
    for run, name in curves:
        points = connection.execute(
            "SELECT step, at, value FROM metrics WHERE run = ? AND name = ? ORDER BY at, step", (run, name)
        )
        curve.append(connection, run, name, [tuple(point) for point in points])
    connection.execute("DROP TABLE metrics")
    chain.seal(connection)


_FOURTH = """
ALTER TABLE meta ADD COLUMN workspace TEXT NOT NULL DEFAULT '';

ALTER TABLE runs ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN state TEXT;
ALTER TABLE runs ADD COLUMN ended_at REAL;
ALTER TABLE runs ADD COLUMN deleted_at REAL;
ALTER TABLE runs ADD COLUMN ingested INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN git_diff TEXT;
ALTER TABLE runs ADD COLUMN session TEXT;
ALTER TABLE runs ADD COLUMN out_of_order INTEGER;
ALTER TABLE runs ADD COLUMN note TEXT;
UPDATE runs SET actor = coalesce((SELECT actor FROM jobs WHERE jobs.id = runs.job), '');
CREATE INDEX runs_open ON runs (id) WHERE state = 'running';
CREATE INDEX runs_revision ON runs (revision);
CREATE INDEX runs_kind ON runs (kind, id);
CREATE INDEX runs_name ON runs (name, id);
CREATE INDEX runs_dataset ON runs (dataset);
DROP INDEX runs_parent;
CREATE INDEX runs_parent ON runs (parent, id);

CREATE TABLE tags (
    run TEXT NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_text ON tags (name, text);
CREATE INDEX params_text ON params (name, text);

CREATE TABLE artifacts (
    run TEXT NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    blob TEXT NOT NULL,
    size INTEGER NOT NULL,
    folder INTEGER NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE sources (
    sha256 TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;

ALTER TABLE latest_metrics ADD COLUMN at REAL;
ALTER TABLE latest_metrics ADD COLUMN low REAL;
ALTER TABLE latest_metrics ADD COLUMN high REAL;
ALTER TABLE latest_metrics ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
DELETE FROM latest_metrics;

CREATE TABLE metric_chunks (
    run TEXT NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    chunk INTEGER NOT NULL,
    number INTEGER NOT NULL,
    first_step INTEGER NOT NULL,
    last_step INTEGER NOT NULL,
    in_order INTEGER NOT NULL,
    low REAL,
    low_step INTEGER,
    high REAL,
    high_step INTEGER,
    total REAL NOT NULL,
    steps BLOB NOT NULL,
    ats BLOB NOT NULL,
    numbers BLOB NOT NULL,
    UNIQUE (run, name, chunk)
) STRICT;

ALTER TABLE model_versions ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE model_versions ADD COLUMN base TEXT;
ALTER TABLE model_versions ADD COLUMN example TEXT;
ALTER TABLE model_versions ADD COLUMN note TEXT;
UPDATE model_versions SET actor = coalesce((SELECT actor FROM runs WHERE runs.id = model_versions.run), '');
CREATE INDEX model_versions_run ON model_versions (run);
CREATE INDEX model_versions_blob ON model_versions (blob);

CREATE TABLE aliases (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    alias TEXT NOT NULL,
    version TEXT NOT NULL,
    promotion TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (kind, name, alias)
) STRICT, WITHOUT ROWID;

CREATE TABLE promotions (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    content TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    author TEXT NOT NULL,
    actor TEXT NOT NULL,
    comment TEXT NOT NULL,
    policy TEXT NOT NULL,
    evidence TEXT NOT NULL,
    before TEXT,
    at REAL NOT NULL,
    decided_at REAL,
    notebook TEXT,
    cell_id TEXT,
    revision INTEGER NOT NULL
) STRICT;
CREATE INDEX promotions_of ON promotions (kind, name, id);
CREATE INDEX promotions_state ON promotions (state, id);

CREATE TABLE decisions (
    promotion TEXT NOT NULL REFERENCES promotions (id),
    actor TEXT NOT NULL,
    role TEXT NOT NULL,
    decision TEXT NOT NULL,
    comment TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (promotion, actor)
) STRICT;

ALTER TABLE audit ADD COLUMN sha256 TEXT NOT NULL DEFAULT '';

CREATE TABLE merged_audit (
    workspace TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    role TEXT NOT NULL,
    surface TEXT NOT NULL,
    command TEXT NOT NULL,
    arguments TEXT NOT NULL,
    outcome TEXT NOT NULL,
    of INTEGER,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (workspace, seq)
) STRICT, WITHOUT ROWID;

ALTER TABLE api_keys ADD COLUMN role TEXT NOT NULL DEFAULT 'developer';
ALTER TABLE api_keys ADD COLUMN actor TEXT NOT NULL DEFAULT '';

ALTER TABLE runs ADD COLUMN out_of_order_why TEXT;
ALTER TABLE runs ADD COLUMN script TEXT;
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_command ON audit (command, seq);
CREATE INDEX audit_at ON audit (at);
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit WHEN OLD.sha256 <> ''
    BEGIN SELECT RAISE(ABORT, 'rows of the audit are never changed'); END;
CREATE TRIGGER audit_whole BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'rows of the audit are never removed'); END;
CREATE TRIGGER merged_audit_unchanged BEFORE UPDATE ON merged_audit
    BEGIN SELECT RAISE(ABORT, 'rows of the audit are never changed'); END;
CREATE TRIGGER merged_audit_whole BEFORE DELETE ON merged_audit
    BEGIN SELECT RAISE(ABORT, 'rows of the audit are never removed'); END;
"""


def _fifth(connection: sqlite3.Connection) -> None:
    """One bill: what a request may cost is held before and settled once; keys have limits; tokens are in disjoint buckets."""
    for statement in _FIFTH.split(";\n"):
        if statement.strip():
            connection.execute(statement)


_FIFTH = """
ALTER TABLE requests ADD COLUMN target TEXT NOT NULL DEFAULT 'r1';
ALTER TABLE requests ADD COLUMN project TEXT;
ALTER TABLE requests ADD COLUMN state TEXT NOT NULL DEFAULT 'settled';
ALTER TABLE requests ADD COLUMN cache_write_tokens INTEGER;
ALTER TABLE requests ADD COLUMN reasoning_tokens INTEGER;
ALTER TABLE requests ADD COLUMN reserved_pico INTEGER;
ALTER TABLE requests ADD COLUMN cached INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1;
ALTER TABLE requests ADD COLUMN machine_seconds REAL;
ALTER TABLE requests ADD COLUMN guard TEXT;
UPDATE requests SET input_tokens = max(0, input_tokens - cached_tokens) WHERE input_tokens IS NOT NULL AND cached_tokens IS NOT NULL;
CREATE INDEX requests_open ON requests (id) WHERE state = 'open';
CREATE INDEX requests_deployment ON requests (deployment, at, cost_pico);
CREATE INDEX requests_broken ON requests (deployment, at) WHERE ended IN ('failed', 'hung_up');

CREATE TABLE request_days (
    day INTEGER NOT NULL,
    deployment TEXT NOT NULL,
    model TEXT NOT NULL,
    api_key TEXT NOT NULL,
    notebook TEXT,
    cell_id TEXT,
    project TEXT,
    requests INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    machine_seconds REAL NOT NULL,
    whole INTEGER NOT NULL,
    rest INTEGER NOT NULL,
    unknown INTEGER NOT NULL,
    first_ms REAL NOT NULL,
    firsts INTEGER NOT NULL,
    spoken_tokens INTEGER NOT NULL,
    spoken_ms REAL NOT NULL
) STRICT;
CREATE INDEX request_days_day ON request_days (day);
CREATE TABLE request_days_until (day INTEGER NOT NULL, revision INTEGER NOT NULL) STRICT;

CREATE TABLE budget_spent (
    budget TEXT NOT NULL,
    start REAL NOT NULL,
    spent_pico INTEGER NOT NULL DEFAULT 0,
    reserved_pico INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (budget, start)
) STRICT, WITHOUT ROWID;

CREATE TABLE holds (
    request TEXT NOT NULL REFERENCES requests (id),
    budget TEXT NOT NULL,
    start REAL NOT NULL,
    pico INTEGER NOT NULL,
    PRIMARY KEY (request, budget)
) STRICT, WITHOUT ROWID;

ALTER TABLE api_keys ADD COLUMN expires_at REAL;
ALTER TABLE api_keys ADD COLUMN models TEXT;
ALTER TABLE api_keys ADD COLUMN routes TEXT;
ALTER TABLE api_keys ADD COLUMN requests_per_minute INTEGER;
ALTER TABLE api_keys ADD COLUMN tokens_per_minute INTEGER;
ALTER TABLE api_keys ADD COLUMN concurrency INTEGER;
ALTER TABLE api_keys ADD COLUMN limit_pico INTEGER;
ALTER TABLE api_keys ADD COLUMN project TEXT;
ALTER TABLE api_keys ADD COLUMN replaces TEXT;
ALTER TABLE api_keys ADD COLUMN last_used_at REAL;
"""

MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = [_first, _second, _third, _fourth, _fifth]
