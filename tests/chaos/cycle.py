"""One cycle: a workspace of its own, jobs, a fault at a moment, rest, and the facts."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from . import places, witness
from .promises import ENDED, Breach, Facts, Plan, check

HERE = Path(__file__).parent
PAYLOADS, ACTOR = HERE / "payloads.py", HERE / "actor.py"

MOMENTS = (
    "prepared", "queued", "locked", "starting", "reserved", "logged", "begun", "running", "asked", "stopping",
    "recorded", "settled",
)  # fmt: skip
"""What can be seen of a job from outside, in order: its folder, its row, its lock held, the state ``starting``, the exit
record's file, its log's, its payload's first word, the state ``running``, ``cancel.json``, the state ``stopping``, an
exit record that is whole, an end in the ledger."""

_REST_SECONDS = 30.0
_LOOK_SECONDS = 0.0007
_TIDY_SECONDS = 20.0


class Outcome(NamedTuple):
    """What a cycle found."""

    kind: str
    seed: int
    account: str
    seconds: float
    struck: int
    breaches: list[Breach]
    story: list[str]
    moments: Counter[str]
    jobs: Counter[str]
    survivors: Counter[str]


class Cycle:
    """A stage on which a fault is played.

    Args:
        kind: the fault's name; with the seed it draws everything.
        seed: which of them.
        place: an empty folder, whose name all processes of the cycle can be found by.
        flood: bytes that a payload prints which prints too many.
    """

    def __init__(self, kind: str, seed: int, place: Path, flood: int) -> None:
        self.kind, self.seed, self.place, self.flood = kind, seed, place, flood
        self.rng = random.Random(f"{kind}:{seed}")
        self.account = self.rng.choice(places.accounts())
        self.plans: list[Plan] = []
        self.actors: list[subprocess.Popen[bytes]] = []
        self.submitters: list[tuple[subprocess.Popen[bytes], set[str]]] = []
        self.breaches: list[Breach] = []
        self.hurt: dict[str, set[str]] = {}
        self.stopped: list[int] = []
        self.story: list[str] = []
        self.disk = False
        self.struck = 0
        self.rest_how = self.rng.choice(["tick", "wait"])
        self.survivors: dict[str, list[int]] = {}
        self.moments: Counter[str] = Counter()
        self.moment = "prepared"
        self.begun = time.monotonic()
        self._ids: dict[str, str] = {}
        self._ledger: sqlite3.Connection | None = None

    # -- the stage

    def open(self) -> None:
        """Make the project's folder, owned by whom the cycle runs as."""
        self.project = self.place / "project"
        self.root = self.project / ".snapml"
        self.evidence = self.place / "evidence.jsonl"
        self.project.mkdir()
        self.evidence.touch()
        for path in (self.place, self.project, self.evidence):
            os.chown(path, self.account.uid, -1)

    def close(self) -> None:
        """Let go of everything."""
        if self._ledger is not None:
            self._ledger.close()
        places.clear(self.place)
        for actor in self.actors:
            actor.wait()

    # -- who acts

    def plan(self, **fields: Any) -> Plan:
        """Add a job to submit later."""
        mark = f"{self.place.name}-{len(self.plans)}"
        self.plans.append(Plan(mark, **fields))
        return self.plans[-1]

    def submission(self, plan: Plan, *, silently: bool = False) -> tuple[str, dict[str, Any]]:
        """Return an actor's step that submits a job."""
        program = [sys.executable, "-I", "-S", str(PAYLOADS), plan.mark, str(self.evidence)]
        work = {name: getattr(plan, name) for name in ("cpus", "retries", "key", "service")}
        work["argv"] = [*program, json.dumps(plan.orders())]
        return "submit", {"mark": plan.mark, "work": work, "silently": silently}

    def act(
        self,
        *steps: tuple[str, dict[str, Any]],
        shift: float = 0.0,
        gate: str = "",
        prefix: tuple[str, ...] = (),
    ) -> subprocess.Popen[bytes]:
        """Start somebody who does some steps, as soon as the file ``gate`` is there if one is named."""
        argv = [
            *self.account.prefix,
            sys.executable,
            "-P",
            str(ACTOR),
            self.orders(*steps, shift=shift, gate=gate),
        ]
        started = self.start([*prefix, *argv])
        self.submitters.append((started, {values["mark"] for step, values in steps if step == "submit"}))
        return started

    def orders(self, *steps: tuple[str, dict[str, Any]], shift: float = 0.0, gate: str = "") -> str:
        """Write an actor's orders; return the file."""
        path = self.place / f"orders-{len(list(self.place.glob('orders-*')))}.json"
        found = {"root": str(self.root), "evidence": str(self.evidence), "steps": steps, "shift": shift}
        path.write_text(json.dumps({**found, "gate": gate and str(self.place / gate)}))
        path.chmod(0o644)
        return str(path)

    def start(self, argv: list[str]) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, with nothing of ours in its environment but the cycle's place."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("SNAPML_", "JPY_"))
        }
        with (self.place / "printed.log").open("ab") as log:
            actor = subprocess.Popen(
                argv, cwd=self.project, env={**environment, "HOME": str(self.place), "CHAOS": str(self.place)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.actors.append(actor)
        return actor

    # -- when

    def jitter(self, longest: float = 0.03) -> None:
        """Wait for nothing or a little, as drawn."""
        if self.rng.random() < 0.6:
            time.sleep(self.rng.uniform(0, longest))

    def at(self, moment: str, plan: Plan, *, timeout: float = 8.0) -> bool:
        """Wait for a moment of a job; False if it did not come."""
        came = self.until(
            lambda: self.reached(moment, plan), timeout, give_up=lambda: self.reached("settled", plan)
        )
        self.tell(f"{moment} of {plan.kind} {'came' if came else 'did not come'}")
        if came:
            self.moment = moment
        return came

    def tell(self, what: str) -> None:
        """Add to the story that is printed where a promise is broken."""
        self.story.append(f"{time.monotonic() - self.begun:.3f} {what}")

    def until(
        self, fact: Callable[[], bool], timeout: float, give_up: Callable[[], bool] = lambda: False
    ) -> bool:
        """Look until something is so; False if it was not to be."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            over = give_up()
            if fact():
                return True
            if over:
                return False
            time.sleep(_LOOK_SECONDS)
        return False

    def reached(self, moment: str, plan: Plan) -> bool:
        """Say whether a moment has come."""
        job = self.job(plan)
        if job is None:
            return False
        folder = self.root / "jobs" / job
        files = {"reserved": "exit.json", "logged": "stdout.log", "asked": "cancel.json"}
        if moment == "prepared":
            return True
        if moment == "locked":
            return witness.locked(folder / "lock")
        if moment in files:
            return (folder / files[moment]).exists()
        if moment == "recorded":
            return self.record(plan) is not None
        if moment == "begun":
            return bool(self.pids(plan, "start"))
        state = self.state(plan)
        if moment == "queued":
            return state is not None
        if moment == "settled":
            return state in ENDED
        return state == moment or (moment == "starting" and state not in (None, "queued"))

    # -- what is seen

    def job(self, plan: Plan) -> str | None:
        """Return a job's id as soon as its folder holds what to launch."""
        if plan.mark not in self._ids:
            with contextlib.suppress(OSError):
                for name in os.listdir(self.root / "jobs"):
                    if name not in self._ids.values():
                        launch = self.root / "jobs" / name / "launch.json"
                        if launch.exists() and plan.mark in launch.read_text():
                            self._ids[plan.mark] = name
        return self._ids.get(plan.mark)

    def state(self, plan: Plan) -> str | None:
        """Return a job's state in the ledger; None if it is not there."""
        try:
            if self._ledger is None:
                if not (self.root / "ledger.db").exists():
                    return None
                self._ledger = sqlite3.connect(f"file:{self.root / 'ledger.db'}?mode=ro", uri=True, timeout=1)
            row = self._ledger.execute("SELECT state FROM jobs WHERE id = ?", (self.job(plan),)).fetchone()
        except sqlite3.Error:
            return None
        if row and row[0] in ENDED and plan.mark not in self.survivors:
            self.survivors[plan.mark] = witness.bearing(plan.mark)
            for pid in self.survivors[plan.mark]:
                self.tell(f"{row[0]}, but {witness.described(pid)}")
        return row and row[0]

    def record(self, plan: Plan) -> dict[str, Any] | None:
        """Return a job's exit record, if it is whole."""
        with contextlib.suppress(OSError, ValueError):
            content = (self.root / "jobs" / str(self.job(plan)) / "exit.json").read_bytes()
            line, newline, _ = content.partition(b"\n")
            return json.loads(line) if newline else None
        return None

    def pids(self, plan: Plan, what: str) -> list[int]:
        """Return the processes that said something in the evidence."""
        lines = witness.evidence(self.evidence)
        return [line["pid"] for line in lines if line.get("mark") == plan.mark and line["what"] == what]

    def find(self, target: str, plan: Plan) -> list[int]:
        """Return the living processes that a fault is meant for."""
        if target in ("first", "guard", "shim", "keepers"):
            found = witness.keepers(self.job(plan) or "none")
            return found.all if target == "keepers" else getattr(found, target)
        alive = set(witness.bearing(plan.mark))
        return [pid for pid in self.pids(plan, "start" if target == "payload" else "child") if pid in alive]

    # -- faults

    def strike(self, target: str, number: int, plan: Plan) -> bool:
        """Send a signal to a keeper, the payload or the grandchild of a job; False if there was none."""
        deadline = time.monotonic() + 0.3
        while not (pids := self.find(target, plan)):
            if time.monotonic() > deadline:
                return False
        self.tell(f"{target} is {pids}")
        self.hurt.setdefault(plan.mark, set()).add(f"{target} {signal.Signals(number).name[3:]}")
        return self.hit(pids, number)

    def hit(self, pids: list[int], number: int) -> bool:
        """Send a signal to processes; whoever is stopped is noted, to be let go on later."""
        reached = witness.send(pids, number)
        self.tell(f"{signal.Signals(number).name} to {len(reached)}")
        if number == signal.SIGSTOP:
            self.stopped += reached
        if reached:
            self.met()
        return bool(reached)

    def met(self) -> None:
        """Note that a fault met what it was meant for."""
        self.struck += 1
        self.moments[self.moment] += 1

    def resume(self) -> None:
        """Let whoever was stopped go on."""
        witness.send(self.stopped, signal.SIGCONT)
        self.stopped.clear()

    @contextlib.contextmanager
    def ledger_held(self) -> Iterator[None]:
        """Hold the ledger's write lock: what comes next in a shim is then slow enough to be seen."""
        connection = sqlite3.connect(self.root / "ledger.db", isolation_level=None, timeout=5)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
            connection.close()

    def cancel(self, plan: Plan, grace: float | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """Have somebody cancel a job."""
        drawn = self.rng.choice([0.0, 0.1, 0.3]) if grace is None else grace
        self.tell(f"cancel with {drawn:g} s")
        return self.act(("cancel", {"mark": plan.mark, "grace": drawn}), **options)

    def breach(self, promise: str, what: str) -> None:
        """Note a promise that was seen broken."""
        self.breaches.append(Breach(promise, what))

    # -- the end

    def come_to_rest(self) -> None:
        """Lift what stops processes, and have somebody move the queue until every job has ended."""
        self.resume()
        self.until(self.submitted, _REST_SECONDS)
        self.tell(f"rest by {self.rest_how}")
        rest = self.act(("rest", {"how": self.rest_how, "seconds": _REST_SECONDS}))

        def resting() -> bool:
            states = [self.state(plan) for plan in self.plans]  # looked at as it happens: see ``survivors``
            return rest.poll() is not None and bool(states)

        if not self.until(resting, _REST_SECONDS + 15):
            self.breach("lost", "nobody can move the queue any more: the one who tried hangs")

    def submitted(self) -> bool:
        """Say whether nobody is about to submit any more: whoever was to was answered, or is gone."""
        lines = witness.evidence(self.evidence)
        answered = {line.get("mark") for line in lines if line["what"] in ("accepted", "refused")}
        return all(marks <= answered or actor.poll() is not None for actor, marks in self.submitters)

    def judge(self) -> Outcome:
        """Gather the facts and hold the promises against them."""
        jobs: Counter[str] = Counter()
        survivors: Counter[str] = Counter()
        for plan in self.plans:
            facts = self.facts(plan)
            jobs[facts.containment] += facts.row is not None
            survivors[facts.containment] += len(facts.survivors)
            self.breaches += check(facts)
        for line in witness.evidence(self.evidence):
            if line["what"] == "crash":
                self.breach("raw error", f"{line['step']}: {line['error']} {line['trace']}")
        self._tidy()
        if self.breaches:
            self._tell_all()
        return Outcome(
            self.kind, self.seed, self.account.name, 0.0, self.struck, self.breaches, self.story, self.moments, jobs,
            survivors,
        )  # fmt: skip

    def facts(self, plan: Plan) -> Facts:
        """Gather what is known of one job."""
        survivors = sorted({*self.survivors.get(plan.mark, ()), *witness.bearing(plan.mark)})
        rows = witness.rows(self.root, "SELECT * FROM jobs WHERE name = ?", plan.mark)
        told = [line for line in witness.evidence(self.evidence) if line.get("mark") == plan.mark]
        (metrics,) = witness.rows(
            self.root, "SELECT coalesce(sum(number), 0) AS number FROM metric_chunks WHERE run IN (SELECT id FROM jobs WHERE name = ?)", plan.mark
        ) or [{"number": 0}]  # fmt: skip
        return Facts(
            plan, told, rows, self.record(plan), frozenset(self.hurt.get(plan.mark, ())), survivors,
            self.containment(plan, rows), metrics["number"], self.disk,
        )  # fmt: skip

    def containment(self, plan: Plan, rows: list[dict[str, Any]]) -> str:
        """Return what held a job's tree; a shim that died before it could say so has left the name of its cgroup."""
        if rows and rows[0]["containment"]:
            return rows[0]["containment"]
        note = self.root / "jobs" / str(self.job(plan)) / "cgroup"
        entered = places.may_group(self.account) and note.exists() and note.read_text()
        return "cgroup" if entered and self.pids(plan, "start") else "unsaid"

    def _tell_all(self) -> None:
        """Add all that is known to the story."""
        for row in witness.rows(self.root, "SELECT * FROM jobs"):
            self.story.append(str({name: value for name, value in row.items() if value not in (None, 0)}))
            for name in ("lock", "shim.log", "exit.json", "exit.before.json"):
                with contextlib.suppress(OSError):
                    content = (self.root / "jobs" / row["id"] / name).read_text("utf-8", "replace")
                    self.story.append(f"{name}: {' '.join(content.split())[:1000]}")
        self.story += self.evidence.read_text().splitlines()
        self.story.append((self.place / "printed.log").read_text("utf-8", "replace")[-2000:])

    def _tidy(self) -> None:
        """See that nothing is left of the shims, and that the ledger is whole."""
        jobs = [row["id"] for row in witness.rows(self.root, "SELECT id FROM jobs")]
        keepers: list[int] = []

        def gone() -> bool:
            keepers[:] = [pid for job in jobs for pid in witness.keepers(job).all]
            return not keepers

        if not self.until(gone, _TIDY_SECONDS):
            self.breach("left behind", f"{len(keepers)} keepers")
        for job in jobs:
            with contextlib.suppress(OSError):
                group = Path((self.root / "jobs" / job / "cgroup").read_text())
                if group.name.endswith(job) and group.is_dir():
                    self.breach("left behind", f"the cgroup {group}")
        for found in witness.damage(self.root):
            self.breach("ledger", found)


def play(kind: str, seed: int, place: Path, flood: int, fault: Callable[[Cycle], None]) -> Outcome:
    """Run one cycle from an empty folder to nothing."""
    cycle = Cycle(kind, seed, place, flood)
    cycle.open()
    try:
        fault(cycle)
        cycle.come_to_rest()
        outcome = cycle.judge()
        return outcome._replace(seconds=time.monotonic() - cycle.begun)
    finally:
        cycle.close()
