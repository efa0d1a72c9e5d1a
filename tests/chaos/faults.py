"""The faults: each is a function that plays one on a cycle's stage, at moments that the cycle draws."""

import contextlib
import functools
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from . import places, witness
from .cycle import Cycle
from .hosts import Kernel, Server
from .promises import Plan

MB = 1 << 20
_SHIM_BYTES = 100 * MB
_FOLDER_BYTES = 256 * MB
_ASKING = ("asked", "stopping")

Play = Callable[[Cycle], None]


class Fault(NamedTuple):
    """A kind of fault: how it is played, what it needs, and whether only one may be played at a time."""

    play: Play
    needs: Callable[[], bool]
    heavy: bool


FAULTS: dict[str, Fault] = {}


def fault(
    name: str, *, needs: Callable[[], bool] = lambda: True, heavy: bool = False
) -> Callable[[Play], Play]:
    """Add a kind of fault."""

    def add(play: Play) -> Play:
        FAULTS[name] = Fault(play, needs, heavy)
        return play

    return add


# -- a signal to one of the processes of a job, at each of its moments


_KEPT = ("locked", "starting", "reserved", "logged", "begun", "running", *_ASKING, "recorded", "recorded")
_MOMENTS = {
    "shim": _KEPT,
    "guard": _KEPT,
    "keepers": _KEPT,
    "payload": ("begun", "running", *_ASKING),
    "grandchild": ("begun", "running", *_ASKING),
}
_ANY = ("plain", "tree", "shed", "deaf", "teller")
_BREEDING = ("tree", "shed", "deaf")


def _hurt(cycle: Cycle, target: str, number: int) -> None:
    """Signal a keeper, the payload or a grandchild; who is stopped may be cancelled so."""
    moment = cycle.rng.choice(_MOMENTS[target])
    seconds = cycle.rng.choice([0.1, 0.3, 0.8, 1.5]) if moment not in _ASKING else 6.0
    kind = cycle.rng.choice(_BREEDING if target == "grandchild" else _ANY)
    plan = _some(cycle, kind=kind, seconds=seconds, retries=cycle.rng.choice([0, 0, 0, 1]))
    others = [cycle.plan(code=cycle.rng.choice([0, 7]))] if cycle.rng.random() < 0.3 else []
    cycle.act(*map(cycle.submission, [plan, *others]))
    if moment in _ASKING and cycle.at("begun", plan):
        cycle.jitter(0.2)
        cycle.cancel(plan)
    with contextlib.ExitStack() as stack:
        if moment == "recorded" and cycle.at("running", plan):
            stack.enter_context(cycle.ledger_held())
        if cycle.at(moment, plan):
            cycle.jitter()
            cycle.strike(target, number, plan)
    if number == signal.SIGSTOP:
        time.sleep(cycle.rng.uniform(0, 0.5))
        if cycle.rng.random() < 0.3:
            cycle.cancel(plan).wait()
            _leave_stopped(cycle, plan)
    elif cycle.rng.random() < 0.3:
        _tickers(cycle, 2)


def _leave_stopped(cycle: Cycle, plan: Plan) -> None:
    """Do not let go on what a cancel has to end; of a job that has ended already, nobody ends anything."""
    if not cycle.reached("settled", plan):
        cycle.stopped.clear()


@fault("stop-at-birth")
def _(cycle: Cycle) -> None:
    """Stop the first of a job's processes as soon as it is there; cancel it so, or let it go on."""
    plan = _some(cycle)
    cycle.act(cycle.submission(plan))
    if cycle.until(lambda: bool(witness.keepers(cycle.job(plan) or "none").all), 5):
        cycle.strike("keepers", signal.SIGSTOP, plan)
        time.sleep(cycle.rng.uniform(0, 0.5))
        if cycle.rng.random() < 0.5:
            cycle.cancel(plan)
            _leave_stopped(cycle, plan)


@fault("retries")
def _(cycle: Cycle) -> None:
    """Kill what has tries left, once or twice: it is started again, but never beside itself."""
    plan = _some(cycle, kind=cycle.rng.choice(_BREEDING), seconds=0.6, retries=2)
    cycle.act(cycle.submission(plan))
    for attempt in range(cycle.rng.choice([1, 1, 2])):
        if cycle.until(lambda so_far=attempt: len(cycle.pids(plan, "start")) > so_far, 10):
            cycle.jitter(0.2)
            cycle.strike(cycle.rng.choice(["shim", "guard", "keepers", "payload"]), signal.SIGKILL, plan)
        if cycle.rng.random() < 0.5:
            _tickers(cycle, 2)
    cycle.until(lambda: cycle.reached("settled", plan), 1)


@fault("service")
def _(cycle: Cycle) -> None:
    """Kill a part of a service: it comes back, never beside itself, and goes for good when it is cancelled."""
    plan = cycle.plan(kind="service", seconds=60, service=True)
    cycle.act(cycle.submission(plan))
    if cycle.at("begun", plan):
        cycle.jitter(0.3)
        target = cycle.rng.choice(["shim", "keepers", "payload"])
        cycle.strike(target, signal.SIGKILL, plan)
        mover = _tickers(cycle, 1, times=200, pause=0.02)[0]
        if not cycle.until(lambda: len(cycle.pids(plan, "start")) > 1, 40):
            cycle.breach("lost", f"a service whose {target} was killed did not come back")
        cycle.jitter(0.2)
        mover.kill()
    cycle.cancel(plan).wait()


# -- a signal to who submits, moves the queue or cancels


_SUBMITTING = ("prepared", "queued", "locked", "starting", "reserved", "logged", "begun", "running")


def _hurt_submitter(cycle: Cycle, number: int) -> None:
    plans = [_some(cycle) for _ in range(cycle.rng.choice([1, 2]))]
    submitter = cycle.act(*map(cycle.submission, plans))
    _hit_at(cycle, submitter, number, cycle.rng.choice(_SUBMITTING), cycle.rng.choice(plans))


def _hurt_kernel(cycle: Cycle, number: int) -> None:
    plan = _some(cycle)
    kernel = Kernel(cycle)
    kernel.do(cycle.orders(cycle.submission(plan), ("stay", {})))
    _hit_at(cycle, kernel.process, number, cycle.rng.choice(_SUBMITTING), plan)
    kernel.close()


def _hurt_server(cycle: Cycle, number: int) -> None:
    """Hurt the server while it starts a job that nobody else would, or cancels it."""
    moment = cycle.rng.choice(["queued", "locked", "starting", "reserved", "begun", *_ASKING])
    plan = _some(cycle, **({"seconds": 6.0} if moment in _ASKING else {}))
    server = Server(cycle).wait_up()
    cycle.act(cycle.submission(plan, silently=True))
    if moment in _ASKING and cycle.at("begun", plan):
        cycle.jitter()
        _ask_to_cancel(cycle, server, plan)
    _hit_at(cycle, server.process, number, moment, plan)


def _hit_at(cycle: Cycle, process: "subprocess.Popen[bytes]", number: int, moment: str, plan: Plan) -> None:
    if cycle.at(moment, plan):
        cycle.jitter(0.01)
        cycle.hit([process.pid], number)
        if number == signal.SIGSTOP:
            time.sleep(cycle.rng.uniform(0, 0.8))


@fault("kill-canceller")
def _(cycle: Cycle) -> None:
    """Kill who cancels between the ledger and the shim."""
    plan = _some(cycle, seconds=6.0)
    cycle.act(cycle.submission(plan))
    if cycle.at("begun", plan):
        canceller = cycle.cancel(plan)
        _hit_at(cycle, canceller, signal.SIGKILL, cycle.rng.choice(_ASKING), plan)


for _name, _number in (("kill", signal.SIGKILL), ("stop", signal.SIGSTOP), ("term", signal.SIGTERM)):
    for _target in _MOMENTS:
        fault(f"{_name}-{_target}")(functools.partial(_hurt, target=_target, number=_number))
    fault(f"{_name}-submitter")(functools.partial(_hurt_submitter, number=_number))
    fault(f"{_name}-kernel")(functools.partial(_hurt_kernel, number=_number))
    fault(f"{_name}-server")(functools.partial(_hurt_server, number=_number))


# -- several at once


@fault("racing-ticks")
def _(cycle: Cycle) -> None:
    """Move the queue from several processes at once while several submit; one who moves it is hurt."""
    plans = [_some(cycle) for _ in range(4)]
    for half in (plans[:2], plans[2:]):
        cycle.act(*map(cycle.submission, half), gate="go")
    tickers = _tickers(cycle, 3, gate="go")
    time.sleep(0.2)
    (cycle.place / "go").touch()
    number = cycle.rng.choice([signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
    _hit_at(cycle, cycle.rng.choice(tickers), number, cycle.rng.choice(_SUBMITTING), cycle.rng.choice(plans))


@fault("racing-cancels")
def _(cycle: Cycle) -> None:
    """Cancel a job from several processes at once, at any moment of it."""
    plan = _some(cycle, seconds=6.0)
    for _ in range(3):
        cycle.cancel(plan, gate="go")
    time.sleep(0.2)
    cycle.act(cycle.submission(plan))
    if cycle.at(cycle.rng.choice(_SUBMITTING[1:]), plan):
        (cycle.place / "go").touch()
        cycle.met()
    cycle.at("stopping", plan, timeout=2)


@fault("same-key")
def _(cycle: Cycle) -> None:
    """Submit one piece of work several times under one key, at once and later; one of those who do is killed."""
    plan = _some(cycle, key=f"key-{cycle.seed}")
    submitters = [cycle.act(cycle.submission(plan), gate="go") for _ in range(3)]
    time.sleep(0.2)
    (cycle.place / "go").touch()
    _hit_at(cycle, cycle.rng.choice(submitters), signal.SIGKILL, cycle.rng.choice(_SUBMITTING), plan)
    cycle.at("settled", plan)
    cycle.act(cycle.submission(plan)).wait()
    told = {line["job"] for line in witness.evidence(cycle.evidence) if line["what"] == "accepted"}
    if len(told) > 1:
        cycle.breach("twice", f"one key, {len(told)} jobs")


@fault("cancel")
def _(cycle: Cycle) -> None:
    """Cancel a job at any moment of it."""
    plan = _some(cycle, seconds=6.0)
    canceller = cycle.cancel(plan, gate="go")
    time.sleep(0.15)
    cycle.act(cycle.submission(plan))
    if cycle.at(cycle.rng.choice(_SUBMITTING[1:]), plan):
        cycle.jitter()
        (cycle.place / "go").touch()
        cycle.met()
        canceller.wait()


@fault("two-servers")
def _(cycle: Cycle) -> None:
    """Have two servers move one queue, both asked to cancel; one may be killed."""
    plans = [_some(cycle) for _ in range(3)]
    servers = [Server(cycle), Server(cycle)]
    for server in servers:
        server.wait_up()
    cycle.act(*(cycle.submission(plan, silently=True) for plan in plans))
    plan = cycle.rng.choice(plans)
    if cycle.at("starting", plan):
        cycle.met()
    for server in servers:
        _ask_to_cancel(cycle, server, plan)
    if cycle.rng.random() < 0.7:
        _hit_at(cycle, servers[0].process, signal.SIGKILL, cycle.rng.choice(_ASKING), plan)


# -- pids


@fault("reused-pid", needs=places.may_choose_pids)
def _(cycle: Cycle) -> None:
    """Give a dead shim's pid to a process of somebody else, or its row the pid of another; then cancel and tick."""
    plan = _some(cycle, seconds=3.0)
    cycle.act(cycle.submission(plan))
    if not cycle.at("running", plan):
        return
    way = cycle.rng.choice(["taken", "named", "named exactly"])
    shim = next(iter(cycle.find("shim", plan)), 0)
    if way == "taken":
        cycle.strike("shim", signal.SIGKILL, plan)
        cycle.until(lambda: not witness.started(shim), 5)
        stranger = _process_at(cycle, shim)
    else:
        stranger = cycle.start(["sleep", "60"])
        time.sleep(0.05)
        began = witness.started(stranger.pid if way == "named exactly" else shim)
        _rewrite(cycle, plan, stranger.pid, began)
        cycle.met()
        if cycle.rng.random() < 0.5:
            cycle.strike("shim", signal.SIGKILL, plan)
    if stranger is None:
        return
    cycle.cancel(plan).wait()
    for ticker in _tickers(cycle, 2):
        ticker.wait()
    see_alive(cycle, stranger, f"with the shim's pid ({way})")


def see_alive(cycle: Cycle, stranger: "subprocess.Popen[bytes]", who: str) -> None:
    """Hold the promise that a process of somebody else is not touched."""
    if stranger.poll() is not None:
        cycle.breach("bystander", f"a process {who} ended with {stranger.returncode}")


def _process_at(cycle: Cycle, pid: int) -> "subprocess.Popen[bytes] | None":
    """Start a process that gets a certain pid; None if others were always faster."""
    for _ in range(50):
        with contextlib.suppress(OSError):
            Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        stranger = cycle.start(["sleep", "60"])
        if stranger.pid == pid:
            return stranger
        stranger.kill()
        stranger.wait()
    return None


def _rewrite(cycle: Cycle, plan: Plan, pid: int, began: int) -> None:
    connection = sqlite3.connect(cycle.root / "ledger.db", timeout=10)
    with contextlib.closing(connection), connection:
        connection.execute(
            "UPDATE jobs SET shim_pid = ?, shim_start = ? WHERE id = ?", (pid, began, cycle.job(plan))
        )


@fault("pid-namespaces", needs=places.may_nest_pids)
def _(cycle: Cycle) -> None:
    """Submit inside a PID namespace, which may die with all in it; move the queue in another one and outside."""
    nested = ("unshare", "-p", "-f", "--mount-proc")
    plans = [_some(cycle, seconds=cycle.rng.choice([0.3, 1.5])) for _ in range(2)]
    inside = cycle.act(*map(cycle.submission, plans), ("stay", {}), prefix=nested)
    cycle.act(("tick", {"times": 20, "pause": 0.05}), ("stay", {}), prefix=nested)
    _tickers(cycle, 1)
    plan = cycle.rng.choice(plans)
    if not cycle.at(cycle.rng.choice(_SUBMITTING[2:]), plan):
        return
    cycle.jitter(0.1)
    way = cycle.rng.choice(["machine", "shim", "cancel"])
    if way == "machine":
        for each in plans:
            cycle.hurt.setdefault(each.mark, set()).add("machine KILL")
        cycle.hit(
            [pid for pid, _ in witness.command_lines() if witness.parent(pid) == inside.pid], signal.SIGKILL
        )
    elif way == "shim":
        cycle.strike("shim", signal.SIGKILL, plan)
    else:
        cycle.cancel(plan).wait()
        cycle.met()


# -- disks


@fault("full-ledger", needs=places.may_mount)
def _(cycle: Cycle) -> None:
    """Fill the disk under the ledger; the jobs' folders are on another one."""
    places.small_disk(cycle.root, "4m", cycle.account.uid)
    roomy = cycle.place / "roomy"
    for folder in (roomy, cycle.root / "jobs"):
        folder.mkdir(mode=0o700)
        os.chown(folder, cycle.account.uid, -1)
    subprocess.run(["mount", "--bind", str(roomy), str(cycle.root / "jobs")], check=True)
    _while_full(cycle, cycle.root)


@fault("full-record", needs=places.may_mount)
def _(cycle: Cycle) -> None:
    """Fill the disk under all of the workspace, exit records included."""
    places.small_disk(cycle.root, "4m", cycle.account.uid)
    _while_full(cycle, cycle.root)


@fault("full-log", needs=places.may_mount)
def _(cycle: Cycle) -> None:
    """Let a payload fill the disk of its own log, and end on it."""
    cycle.root.mkdir(mode=0o700)
    os.chown(cycle.root, cycle.account.uid, -1)
    places.small_disk(cycle.root / "jobs", "3m", cycle.account.uid)
    plan = cycle.plan(kind="flood", bytes=8 * MB, seconds=0.2, code=cycle.rng.choice([0, 7]))
    cycle.act(cycle.submission(plan))
    if cycle.at("begun", plan) and cycle.until(lambda: _room(cycle.root / "jobs") < MB, 5):
        cycle.met()
        if cycle.rng.random() < 0.3:
            cycle.cancel(plan).wait()
        cycle.at("settled", plan)


def _while_full(cycle: Cycle, disk: Path) -> None:
    """Fill a disk at a moment of a job, let another be submitted on it, and make room again after a while."""
    # A payload that reports would itself meet the full disk.
    first, second = _some(cycle, kind=cycle.rng.choice(["plain", "tree", "shed", "deaf"])), cycle.plan()
    moment = cycle.rng.choice(
        ["queued", "locked", "starting", "reserved", "begun", "running", "recorded", *_ASKING]
    )
    cycle.act(cycle.submission(first))
    if moment in _ASKING and cycle.at("running", first):
        cycle.cancel(first)
    if cycle.at(moment, first):
        cycle.jitter()
        cycle.disk = True
        places.fill(disk)
        cycle.met()
        if cycle.rng.random() < 0.5:
            cycle.act(cycle.submission(second)).wait()
        if cycle.rng.random() < 0.3:
            cycle.cancel(first).wait()
        time.sleep(cycle.rng.uniform(0.1, 1.5))
    places.free(disk)


def _room(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


@fault("read-only-ledger", needs=lambda: os.geteuid() != 0 or places.may_mount())
def _(cycle: Cycle) -> None:
    """Make the ledger read-only for a while: a job is submitted, ends, or is cancelled meanwhile."""
    first, second = _some(cycle, seconds=0.4), cycle.plan()
    cycle.act(cycle.submission(first))
    if cycle.at(cycle.rng.choice(["starting", "begun", "running", "settled"]), first):
        cycle.jitter()
        with _read_only(cycle):
            cycle.disk = True
            cycle.met()
            cycle.act(cycle.submission(second)).wait()
            if cycle.rng.random() < 0.5:
                cycle.cancel(first).wait()
            time.sleep(cycle.rng.uniform(0.1, 1.0))


@contextlib.contextmanager
def _read_only(cycle: Cycle) -> Iterator[None]:
    """Take the right to write the ledger away: by its mode, for root by a mount."""
    ledger = cycle.root / "ledger.db"
    if cycle.account.name == "root":
        subprocess.run(["mount", "--bind", str(ledger), str(ledger)], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", str(ledger)], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(ledger)], check=True)
        return
    paths = [ledger] if cycle.rng.random() < 0.5 else [ledger, cycle.root]
    modes = [path.stat().st_mode for path in paths]
    for path, mode in zip(paths, modes, strict=True):
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)


# -- time


@fault("clock-jump")
def _(cycle: Cycle) -> None:
    """Move the clock of who submits, ticks and cancels; at the end it is as it was."""
    shift = cycle.rng.choice([-864_000, -3600, 3600, 864_000])
    plan, other = _some(cycle, seconds=cycle.rng.choice([0.3, 6.0])), _some(cycle)
    cycle.act(cycle.submission(plan), shift=cycle.rng.choice([0, shift]))
    _tickers(cycle, 1, shift=shift)
    cycle.act(cycle.submission(other), shift=shift)
    if not cycle.at(cycle.rng.choice(_SUBMITTING[1:]), plan):
        return
    cycle.jitter(0.2)
    cycle.met()
    way = cycle.rng.choice(["cancel", "kill", "stop", "kill at last"])
    if way == "kill":
        cycle.strike("shim", signal.SIGKILL, plan)
    elif way == "stop" and cycle.at("running", plan):
        cycle.strike("shim", signal.SIGSTOP, plan)
        cycle.stopped.clear()
    if way in ("cancel", "stop"):
        cycle.cancel(plan, shift=cycle.rng.choice([0, shift])).wait()
    elif way == "kill at last":
        cycle.at("settled", other)
    for ticker in _tickers(cycle, 1, shift=shift):
        ticker.wait()
    if way == "kill at last":
        cycle.strike("shim", signal.SIGKILL, plan)


# -- too much


@fault("log-flood", heavy=True)
def _(cycle: Cycle) -> None:
    """Print far more than anybody reads; the shim's memory is watched."""
    plan = cycle.plan(kind="flood", bytes=cycle.flood, seconds=0.5, code=cycle.rng.choice([0, 7]))
    cycle.act(cycle.submission(plan))
    if not cycle.at("begun", plan):
        return
    cycle.met()
    if cycle.rng.random() < 0.3:
        time.sleep(cycle.rng.uniform(0, 1))
        cycle.cancel(plan)
    largest = 0
    folder = cycle.root / "jobs" / str(cycle.job(plan))
    deadline = time.monotonic() + 90
    while not cycle.reached("settled", plan) and time.monotonic() < deadline:
        largest = max([largest, *map(witness.resident, cycle.find("shim", plan))])
        time.sleep(0.02)
    if largest > _SHIM_BYTES:
        cycle.breach(
            "limits", f"a shim held {largest / MB:.0f} MiB while its payload printed {cycle.flood / MB:.0f}"
        )
    kept = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if kept > _FOLDER_BYTES:
        cycle.breach("limits", f"a job's folder has {kept / MB:.0f} MiB")


@fault("fork-storm", heavy=True)
def _(cycle: Cycle) -> None:
    """Fork faster than a sweep can follow; then cancel, or kill the shim or the payload."""
    plan = cycle.plan(kind="storm", seconds=4.0, pace=cycle.rng.choice([0.005, 0.02, 0.05]))
    cycle.act(cycle.submission(plan))
    if cycle.at("begun", plan):
        time.sleep(cycle.rng.uniform(0.2, 0.6))
        way = cycle.rng.choice(["cancel", "cancel", "shim", "payload"])
        if way == "cancel":
            cycle.cancel(plan).wait()
            cycle.met()
        else:
            cycle.strike(way, signal.SIGKILL, plan)


# -- what several of them use


def _some(cycle: Cycle, **fields: Any) -> Plan:
    """Plan a job whose payload is drawn."""
    drawn = {
        "kind": cycle.rng.choice(["plain", *_ANY]),
        "seconds": cycle.rng.choice([0.0, 0.1, 0.4, 1.0]),
        "code": cycle.rng.choice([0, 0, 7]),
    }
    drawn |= fields
    return cycle.plan(**drawn, metrics=20 if drawn["kind"] == "teller" else 0)


def _tickers(
    cycle: Cycle, many: int, *, times: int = 0, pause: float = 0.005, **options: Any
) -> "list[subprocess.Popen[bytes]]":
    """Have several processes move the queue again and again, so many times or as often as is drawn."""
    return [
        cycle.act(("tick", {"times": times or cycle.rng.randint(3, 30), "pause": pause}), **options)
        for _ in range(many)
    ]


def _ask_to_cancel(cycle: Cycle, server: Server, plan: Plan) -> None:
    """Ask a server for a cancel without waiting for its answer, as a page does."""
    with cycle.evidence.open("a") as file:
        file.write(f'{{"what": "cancelling", "mark": "{plan.mark}"}}\n')
    threading.Thread(
        target=server.ask, args=("jobs cancel",), kwargs={"job": cycle.job(plan), "grace": 0.2}, daemon=True
    ).start()
