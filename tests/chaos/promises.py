"""The promises, judged from evidence alone: what was asked, what ran, what the ledger says of it, and who still lives."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

PROMISES = {
    "lost": "a job whose submitter was told its id is in the ledger, and ends",
    "twice": "a payload starts at most once (with retries: no more often than allowed, never two at a time)",
    "false success": "succeeded means that the payload came to its end with exit code 0",
    "exit code": "where the shim lived, how the payload ended is known, and is what the ledger says",
    "ended alone": "a payload that nobody hurt and nobody cancelled comes to its end",
    "survivor": "when the ledger says ended, no process of the payload's tree is alive (a broken promise under a cgroup; counted under the weaker ones)",
    "refused": "a job that was refused is not in the ledger and never runs",
    "metrics": "each metric that a payload reported is in the ledger once",
    "bystander": "a process that is none of ours is never signalled",
    "left behind": "when all jobs have ended, no shim, no guard and no cgroup is left",
    "limits": "a shim's memory and a job's folder stay bounded, whatever the payload prints",
    "raw error": "what goes wrong is told by an error of the family, with a sentence and a fix",
    "ledger": "the ledger is whole",
}

ENDED = {"succeeded", "failed", "cancelled", "lost"}


class Breach(NamedTuple):
    """A promise that was not kept."""

    promise: str
    what: str


@dataclass(frozen=True)
class Plan:
    """A job to submit: what its payload does (see ``payloads``), and how it is submitted."""

    mark: str
    kind: str = "plain"
    seconds: float = 0.1
    code: int = 0
    bytes: int = 0
    metrics: int = 0
    pace: float = 0.0
    cpus: float = 0.5
    retries: int = 0
    key: str | None = None
    service: bool = False

    def orders(self) -> dict[str, Any]:
        """What the payload is told."""
        return {name: getattr(self, name) for name in ("kind", "seconds", "code", "bytes", "metrics", "pace")}


@dataclass(frozen=True)
class Facts:
    """What is known of one job after all has come to rest.

    Attributes:
        plan: what was to be done.
        told: the lines of evidence that carry its mark.
        rows: the ledger's rows of that name.
        record: its exit record as the file has it, read without the product; None where there is none or it is torn.
        hurt: what was done to it, as ``target signal`` (``shim KILL``).
        survivors: its processes that were alive when the ledger said that it had ended.
        metrics: how many metrics of it the ledger has.
        containment: what held its payload's tree, ``unsaid`` where its shim died before it could say.
        disk: whether its disk was full, or its ledger read-only, for a while: it may then not have been started.
    """

    plan: Plan
    told: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    record: dict[str, Any] | None = None
    hurt: frozenset[str] = frozenset()
    survivors: list[int] = field(default_factory=list)
    containment: str = "unsaid"
    metrics: int = 0
    disk: bool = False

    def said(self, what: str) -> list[dict[str, Any]]:
        """Return the lines of one kind."""
        return [line for line in self.told if line["what"] == what]

    @property
    def row(self) -> dict[str, Any] | None:
        """The ledger's row."""
        return self.rows[0] if self.rows else None

    @property
    def done(self) -> int | None:
        """The exit code with which the payload came to its end when it was last started."""
        last = self.said("start")[-1:]
        return next((line["code"] for line in self.said("done") if line["pid"] == last[0]["pid"]), None)

    @property
    def cancelled(self) -> bool:
        """Whether a cancel was asked for."""
        return bool(self.said("cancelling"))

    @property
    def unseen(self) -> bool:
        """Whether its end may have been unseen: its shim was hurt, and it has no start left to make up for it."""
        keepers = {f"{who} {how}" for who in ("first", "shim", "keepers") for how in ("KILL", "TERM")}
        return bool(self.hurt & {*keepers, "machine KILL"}) and (self.cancelled or not self.plan.retries)


def check(facts: Facts) -> list[Breach]:
    """Return the promises that one job saw broken."""
    return [Breach(promise, f"{facts.plan.mark}: {what}") for promise, what in _breaches(facts)]


def _breaches(facts: Facts) -> Iterator[tuple[str, str]]:
    yield from _starts(facts)
    row = facts.row
    if row is None:
        if facts.said("accepted"):
            yield "lost", "accepted, but not in the ledger"
        if facts.said("start"):
            yield "lost", "it ran, but is not in the ledger"
        return
    if facts.said("refused") and not facts.said("accepted"):
        yield "refused", f"refused with {facts.said('refused')[0]['error']}, but in state {row['state']}"
    if row["state"] not in ENDED:
        yield "lost", f"it stays {row['state']}"
        return
    if facts.survivors and facts.containment == "cgroup":
        yield "survivor", f"{len(facts.survivors)} alive after {row['state']}"
    if row["state"] == "succeeded" and facts.done != 0:
        yield "false success", f"the payload ended with {facts.done}"
    yield from _exit(facts, row)
    reported = facts.plan.metrics
    if facts.done is not None and not reported <= facts.metrics <= reported * len(facts.said("start")):
        yield "metrics", f"{facts.metrics} of {reported}"


def _starts(facts: Facts) -> Iterator[tuple[str, str]]:
    """Judge how often it was begun."""
    starts = facts.said("start")
    if len(facts.rows) > (1 if facts.plan.key else max(len(facts.said("asked")), 1)):
        yield "twice", f"{len(facts.rows)} rows for {len(facts.said('asked'))} submissions"
    if not facts.plan.service and len(starts) > 1 + facts.plan.retries:
        yield "twice", f"{len(starts)} starts"
    # What shed its environment and its session is counted as a survivor: without a cgroup nobody can tell that it is one.
    if crowd := [
        name
        for line in starts
        for name in line["others"]
        if name != "sleeper" or facts.containment == "cgroup"
    ]:
        yield "twice", f"started while processes of an earlier start were alive: {crowd}"


def _exit(facts: Facts, row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Judge how the ledger says that the job ended."""
    between = (
        row["state"] == "cancelled" and row["not_before"] is not None
    )  # two attempts: the record is of the first
    said = (row["state"], row["reason"], row["exit_code"], row["error_code"])
    if (
        facts.record is not None
        and facts.record["reason"] == "exited"
        and not (facts.plan.service or between)
    ):
        state = "succeeded" if facts.record["exit_code"] == 0 else "failed"
        if (row["state"], row["exit_code"]) != (state, facts.record["exit_code"]):
            yield "exit code", f"its record says {facts.record}, the ledger {said}"
    if row["state"] == "cancelled" and not facts.cancelled:
        yield "ended alone", "cancelled, but nobody asked for it"
    if facts.unseen or row["state"] == "cancelled":
        return
    if facts.done is not None:
        expected = ("succeeded" if facts.done == 0 else "failed", facts.done)
        if (row["state"], row["exit_code"]) != expected:
            yield "exit code", f"the payload ended with {facts.done}, the ledger says {said}"
    elif facts.hurt & {"payload KILL", "payload TERM"} and not facts.plan.retries:
        if said[:3] != ("failed", "exited", None) or row["error_code"] != "killed":
            yield "exit code", f"the payload was killed, the ledger says {said}"
    elif not (facts.disk and row["reason"] == "not_started" and not facts.said("start")):
        yield (
            "ended alone",
            f"nobody hurt it, but the ledger says {said} (begun: {bool(facts.said('start'))})",
        )
