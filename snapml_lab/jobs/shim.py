"""The shim: owns one job from its start to its exit record. Run as ``python -I -S shim.py WORKSPACE JOB LOCK_FD``.

Standard library only. It holds the lock that means alive and the log files, starts the payload in a containment,
follows its events into the ledger, enforces the limits of time and memory, kills the whole tree on cancel, writes the
exit record into reserved space, and then lets the queue move on. Above it stands a guard, see there.
"""

import contextlib
import os
import sys

if __name__ == "__main__" and (guard_pid := os.fork()):
    # Before the imports: whoever started this waits no longer than it must. The guard is named in the lock's file before
    # anything else happens, so that even one that is stopped in its first instant can be found and ended.
    with open(f"/proc/{guard_pid}/stat", "rb") as stat:
        started_at = stat.read().rpartition(b")")[2].split()[19]
    with contextlib.suppress(OSError):
        os.pwrite(int(sys.argv[3]), b"%d %b\n" % (guard_pid, started_at), 0)
    os._exit(0)

import fcntl
import json
import select
import selectors
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from snapml_lab.jobs import processes
from snapml_lab.jobs.containment import Containment, adopt, leave
from snapml_lab.jobs.events import ATTEMPT, DIRECTORY, JOB, NONCE
from snapml_lab.jobs.folder import JobFolder, note_pipes, note_shim, pipes, reserve_exit, write_exit
from snapml_lab.jobs.guard import guard
from snapml_lab.jobs.logs import STDERR, STDOUT, LogWriter, secrets_of
from snapml_lab.jobs.processes import BINDING, DEVICES, LEASED, SHIM

_BEAT_SECONDS = 0.2
_QUIET_BEAT_SECONDS = 1.0
_QUIET_AFTER_SECONDS = 5.0
"""A payload that says nothing is looked at less often; a cancel, its output and its end wake the shim all the same."""
_DRAIN_SECONDS = 1.0
_READ_BYTES = 1 << 16
_TICK_AFTER_SECONDS = 15.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_LEDGER_PATIENCE = 20
_BUSY_SECONDS = 0.1
"""How long the ledger may keep a shim from its payload's pipes and limits."""
_END_BUSY_SECONDS = 5.0
_GRACE_SECONDS = 10.0
_TERMINATED_GRACE_SECONDS = 5.0
_WEIGH_SECONDS = 5.0
_TELL_PEAK_SECONDS = 5.0
_ROW_SECONDS = 1.0
_TREE_SECONDS = 3.0
_LONGEST_DETAIL = 500


class Shim:
    """One job's keeper."""

    def __init__(self, root: Path, job: str, lock: int) -> None:
        self.root = root
        self.job = job
        self.lock = lock
        self.folder = JobFolder(root / "jobs" / job)
        self.launch: dict[str, Any] = json.loads(self.folder.launch.read_bytes())
        self.stop_reason: str | None = None
        self.told_to_end = False
        self.again = ""
        self.kill_at = 0.0
        self.peak = self.told_peak = 0
        self.weighed = self.told_at = self.row_read_at = 0.0
        self.begun = self.heard = 0.0
        self.failures = -1
        self.asked = 0
        self.asked_by_row: tuple[str, float] | None = None
        self.started = 0.0
        self.announced = False
        self.complaint = ""
        self.pipes: tuple[int, int] = (0, 0)
        self.recogniser: Any = None

    def run(self) -> None:
        """Do it all."""
        note_shim(self.lock, os.getpid())
        # First out of the cgroup of a job this one was submitted from: its end must not be ours. Then the exit record,
        # whose being there says that the payload may have begun.
        self.containment = Containment(self.job, self.folder.cgroup)
        record = reserve_exit(self.folder)
        self.started = time.time()
        try:
            self._open()
        except OSError as error:  # a full disk: nothing has begun, and that is said
            outcome: dict[str, Any] = {"reason": "not_started", "exit_code": None, "detail": str(error)}
        else:
            outcome = self._keep_going()
        self.containment.close()
        ended = {"started_at": self.started, "ended_at": time.time(), "peak_memory": self.peak or None}
        write_exit(record, {**outcome, **ended})
        self._settle()

    def _open(self) -> None:
        """Open the logs, and what reads them."""
        self.environment = self._environment()
        secrets = secrets_of(self.environment)
        self.logs = LogWriter(self.folder, secrets=secrets)
        if self.launch.get("foreign"):
            from snapml_lab.jobs.recognise import Recogniser

            self.recogniser = Recogniser(secrets=secrets)

    def _keep_going(self) -> dict[str, Any]:
        """Start the payload, a service again and again, until it has ended for good; return how."""
        wake, alarm = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
        outcome = self._once(wake)
        while self.launch.get("service") and self.stop_reason is None and outcome["reason"] != "not_started":
            self._stand_by(outcome, wake)
            if self.stop_reason is None:
                outcome = self._once(wake)
        outcome["reason"] = self.stop_reason or outcome["reason"]
        self.logs.close()
        for event in self.recogniser.close() if self.recogniser is not None else ():
            self._report(event)
        return outcome

    def _once(self, wake: int) -> dict[str, Any]:
        """Start the payload, keep it to its end, and return how it ended."""
        self.begun, self.again = time.monotonic(), ""
        self._asked_again()  # what was asked of another start is no matter of this one
        try:
            payload = self._start()
        except Exception as error:  # whatever it is, it goes into the exit record
            detail = (str(error) or repr(error))[:_LONGEST_DETAIL]
            return {"reason": "not_started", "exit_code": None, "detail": detail}
        self._announce()
        status = self._watch(payload, wake)
        left = self.containment.end(payload.pid, self.launch["nonce"], self.pipes)
        self._drain(payload, _DRAIN_SECONDS)
        return self._outcome(status, left)

    def _stand_by(self, outcome: dict[str, Any], wake: int) -> None:
        """Say that the service ended by itself, and wait before it is started again: longer each time it ends soon."""
        steady = time.monotonic() - self.begun > _STEADY_SECONDS
        self.failures = 0 if steady else self.failures + 1
        pause = min(_FIRST_PAUSE_SECONDS * 2**self.failures, _LONGEST_PAUSE_SECONDS)
        code = f"signal {outcome['signal']}" if outcome["signal"] else f"exit code {outcome['exit_code']}"
        how = self.again or f"ended with {code}"
        until, told = time.monotonic() + pause, False
        while time.monotonic() < until and self.stop_reason is None:
            told = told or self._tell_restart(f"{how}; starting again")
            if (asked := self._asked_to_stop()) is not None:
                self.stop_reason = asked[0]
            elif self.told_to_end:
                self.stop_reason = "terminated"
            select.select([wake], [], [], 0.1)
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 512)

    def _environment(self) -> dict[str, str]:
        """Return what the payload gets: what the queue was moved with, what was carried, and who it is."""
        devices = os.environ.get(DEVICES, "")
        memory = self.launch.get("gpu_memory")
        leased = {LEASED: str(memory)} if devices and memory else {}
        kept = {key: value for key, value in os.environ.items() if key not in (SHIM, DEVICES, BINDING)}
        return {
            **kept,
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": devices,
            **leased,
            **self.launch["env"],
            ATTEMPT: os.environ.get(ATTEMPT, "1"),
            DIRECTORY: str(self.folder.path),
            JOB: self.job,
            NONCE: self.launch["nonce"],
            "SNAPML_WORKSPACE": str(self.root),
        }

    def _start(self) -> "subprocess.Popen[bytes]":
        try:
            return self._run()
        except subprocess.SubprocessError:  # raised before exec: the cgroup is not to be entered
            self.containment.forgo_cgroup()
            return self._run()

    def _run(self) -> "subprocess.Popen[bytes]":
        tree = os.open(self.folder.tree, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._lock_tree(tree)
        except OSError:
            os.close(tree)
            raise
        out, out_end = os.pipe2(os.O_CLOEXEC)
        err, err_end = os.pipe2(os.O_CLOEXEC)
        self.pipes = (os.fstat(out).st_ino, os.fstat(err).st_ino)
        note_pipes(self.lock, self.pipes)
        try:
            payload = subprocess.Popen(
                self.launch["argv"], cwd=self.launch["cwd"], env=self.environment, stdin=subprocess.DEVNULL,
                stdout=out_end, stderr=err_end, start_new_session=True, pass_fds=(tree,),
                preexec_fn=self.containment.enter,  # noqa: PLW1509 - one thread; must be inside before exec
            )  # fmt: skip
        except BaseException:
            os.close(out)
            os.close(err)
            raise
        finally:
            for descriptor in (tree, out_end, err_end):
                os.close(descriptor)
        payload.stdout, payload.stderr = os.fdopen(out, "rb", 0), os.fdopen(err, "rb", 0)
        return payload

    def _lock_tree(self, tree: int) -> None:
        """Take the lock that the payload will hold; whoever of an earlier start still has it is ended first.

        Raises:
            BlockingIOError: it could not be ended.
        """
        deadline = time.monotonic() + _TREE_SECONDS
        while True:
            try:
                fcntl.flock(tree, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                processes.kill_all(processes.bearing(self.launch["nonce"], pipes(self.folder)))
                time.sleep(0.02)
            else:
                return

    def _watch(self, payload: "subprocess.Popen[bytes]", wake: int) -> int:
        """Relay both streams, follow events and enforce limits until the payload ends; return its wait status."""
        memory = self.launch.get("memory")
        watched = None if memory is None or self.containment.limit_memory(memory) else memory
        limit = self.launch.get("time_limit")
        deadline = time.monotonic() + limit if limit else None
        beat, self.heard = 0.0, time.monotonic()
        assert payload.stdout is not None
        assert payload.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(wake, selectors.EVENT_READ)
            for stream, file in ((STDOUT, payload.stdout), (STDERR, payload.stderr)):
                os.set_blocking(file.fileno(), False)
                selector.register(file, selectors.EVENT_READ, stream)
            while True:
                pause = self._pause(watched, deadline)
                for key, _ in selector.select(pause):
                    if key.data is None:
                        beat = 0.0
                        with contextlib.suppress(BlockingIOError):
                            os.read(wake, 512)
                    elif not self._relay(key.data, key.fd):
                        selector.unregister(key.fileobj)
                status = self._reap(payload.pid)
                if status is not None:
                    return status
                if time.monotonic() - beat >= pause:
                    beat = time.monotonic()
                    self._keep(STDOUT, b"")
                    self.logs.idle(time.time())
                    self._weigh(payload.pid, watched)
                    self._heed_limits(payload.pid, deadline)
                    self._follow()

    def _pause(self, watched: int | None, deadline: float | None) -> float:
        """Return how long it may be until the next look at limits, events and the ledger, in seconds."""
        now = time.monotonic()
        busy = now - self.heard < _QUIET_AFTER_SECONDS or self.stop_reason is not None or watched is not None
        if busy or not self.announced:
            return _BEAT_SECONDS
        return (
            _QUIET_BEAT_SECONDS if deadline is None else min(max(deadline - now, 0.01), _QUIET_BEAT_SECONDS)
        )

    def _relay(self, stream: int, descriptor: int) -> bool:
        """Copy what is there of one stream to its log; False at its end."""
        try:
            piece = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return True
        if piece:
            self.heard = time.monotonic()
            self._keep(stream, piece)
        return bool(piece)

    def _keep(self, stream: int, piece: bytes) -> None:
        """Write a piece to the log, and read off it what a payload that is not ours says of its progress."""
        at = time.time()
        if piece:
            self.logs.write(stream, at, piece)
        if self.recogniser is not None:
            for event in self.recogniser.feed(stream, piece, at):
                self._report(event)

    def _report(self, event: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            file = os.open(self.folder.events, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, json.dumps(event).encode() + b"\n")
            finally:
                os.close(file)

    def _drain(self, payload: "subprocess.Popen[bytes]", seconds: float) -> None:
        """Read what is left in both pipes; something outside the tree may hold one open, so not for ever."""
        deadline = time.monotonic() + seconds
        for stream, file in ((STDOUT, payload.stdout), (STDERR, payload.stderr)):
            assert file is not None
            while time.monotonic() < deadline:
                try:
                    piece = os.read(file.fileno(), _READ_BYTES)
                except BlockingIOError:
                    break
                if not piece:
                    break
                self._keep(stream, piece)
            file.close()

    def _reap(self, payload: int) -> int | None:
        """Collect ended children, adopted ones too; return the payload's wait status once it has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return None
            if pid == 0:
                return None
            if pid == payload:
                return status

    def _weigh(self, payload: int, limit: int | None) -> None:
        """Look at the tree's memory: at each beat where the limit is ours to watch, else now and then."""
        now = time.monotonic()
        if limit is None and now - self.weighed < _WEIGH_SECONDS:
            return
        self.weighed = now
        held = self.containment.resident(payload)
        self.peak = max(self.peak, held)
        if limit is not None and held > limit and self.stop_reason is None:
            self._stop(payload, "memory_limit", now)

    def _heed_limits(self, payload: int, deadline: float | None) -> None:
        now = time.monotonic()
        if (asked := self._asked_to_stop()) is not None:
            reason, grace = asked
            self._stop(payload, reason, now + grace)
        elif self.told_to_end and self.stop_reason is None:
            self._stop(payload, "terminated", now + _TERMINATED_GRACE_SECONDS)
        elif not self.folder.path.is_dir():  # removed by hand: nobody can ask anything of this job any more
            self._stop(payload, "removed", now)
        elif self.stop_reason is None and deadline is not None and now >= deadline:
            self._stop(payload, "time_limit", now + _GRACE_SECONDS)
        elif self.launch.get("service") and not self.again and (why := self._asked_again()):
            self.again = why  # it hangs: to be asked for its end is of no use to it
            self._keep(STDERR, f"{why}: killed\n".encode())
            self.containment.end(payload, self.launch["nonce"], self.pipes)
        if self.stop_reason is not None and now >= self.kill_at:
            self.containment.end(payload, self.launch["nonce"], self.pipes)

    def _asked_to_stop(self) -> tuple[str, float] | None:
        """Return the reason and the grace (seconds) of a request to stop that was not yet heeded."""
        try:
            asked = self.folder.cancel.stat().st_mtime_ns
        except FileNotFoundError:
            request, self.asked_by_row = self.asked_by_row, None
            return request
        if asked == self.asked:
            return None
        self.asked = asked
        try:
            request = json.loads(self.folder.cancel.read_bytes())
            return str(request.get("reason", "cancelled")), float(request["grace"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return "cancelled", _GRACE_SECONDS

    def _asked_again(self) -> str:
        """Return why a service is to be started anew, once for each time it was asked; nothing where it was not."""
        try:
            why = str(json.loads(self.folder.again.read_bytes())["why"])[:_LONGEST_DETAIL]
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, KeyError, TypeError):
            why = "asked to start again"
        with contextlib.suppress(OSError):
            self.folder.again.unlink()
        return why

    def _stop(self, payload: int, reason: str, kill_at: float) -> None:
        if self.stop_reason is None:
            self.stop_reason, self.kill_at = reason, kill_at
            self.containment.ask(payload)
        self.kill_at = min(self.kill_at, kill_at)

    def _on_signal(self, number: int, _frame: object) -> None:
        """SIGCHLD and SIGUSR1 only wake the loop; SIGTERM (a machine going down) asks the payload to stop."""
        self.told_to_end |= number == signal.SIGTERM

    def _outcome(self, status: int, left: list[int]) -> dict[str, Any]:
        code = os.waitstatus_to_exitcode(status)
        if code < 0 and self.stop_reason is None and self.containment.out_of_memory():
            self.stop_reason = "memory_limit"
        return {
            "reason": self.stop_reason or "exited",
            "exit_code": code if code >= 0 else None,
            "signal": -code if code < 0 else None,
            "survivors": left[:20],
        }

    # What follows needs the ledger. It may be locked, full or broken: the payload goes on all the same, and the exit
    # record is enough for the next tick to settle the job.

    def _announce(self) -> None:
        from snapml_lab.store.ledger import bump

        pid, above = os.getpid(), os.getppid()
        ids = (pid, processes.start_ticks(pid), above, processes.start_ticks(above))
        with self._forgiven():
            with self.workspace.ledger.write() as connection:
                connection.execute(
                    "UPDATE jobs SET state = CASE WHEN state = 'starting' AND NOT service THEN 'running' ELSE state END,"
                    " started_at = coalesce(started_at, ?), containment = ?, shim_pid = ?, shim_start = ?, guard_pid = ?,"
                    " guard_start = ?, revision = ? WHERE id = ?",
                    (self.started, self.containment.reached, *ids, bump(connection), self.job),
                )
            self.announced = True

    def _tell_restart(self, message: str) -> bool:
        """Write that the service is down; say whether the ledger took it."""
        from snapml_lab.store.ledger import bump
        from snapml_lab.tracking.ingest import Source, ingest

        with self._forgiven():
            ingest(self.workspace.ledger, self.workspace.blobs, Source("jobs", self.job, self.folder.path))
            with self.workspace.ledger.write() as connection:
                connection.execute(
                    "UPDATE jobs SET state = 'starting', message = ?, restarts = restarts + 1, revision = ?"
                    " WHERE id = ? AND state IN ('starting', 'running')",
                    (message, bump(connection), self.job),
                )
            return True
        return False

    def _follow(self) -> None:
        from snapml_lab.jobs.tick import since_tick, tick
        from snapml_lab.tracking.ingest import Source, ingest

        if not self.announced:
            self._announce()
        with self._forgiven():
            if ingest(
                self.workspace.ledger, self.workspace.blobs, Source("jobs", self.job, self.folder.path)
            ):
                self.heard = time.monotonic()
            self._tell_peak()
            self._read_row()
            if since_tick(self.workspace) > _TICK_AFTER_SECONDS:
                tick(self.workspace)

    def _read_row(self) -> None:
        """See in the ledger whether the job is to stop: the file that says so may not have found room on the disk."""
        now = time.monotonic()
        if self.stop_reason is not None or now - self.row_read_at < _ROW_SECONDS:
            return
        self.row_read_at = now
        row = self.workspace.ledger.row("SELECT state, cancel_by FROM jobs WHERE id = ?", self.job)
        if row is None or row["state"] != "stopping":
            return
        if row["cancel_by"] is None:
            self.asked_by_row = ("gave_way", _GRACE_SECONDS)
        else:
            left = row["cancel_by"] - time.clock_gettime(time.CLOCK_BOOTTIME)
            self.asked_by_row = ("cancelled", max(left, 0.0))

    def _tell_peak(self) -> None:
        now = time.monotonic()
        if self.peak <= self.told_peak * 1.02 or now - self.told_at < _TELL_PEAK_SECONDS:
            return
        from snapml_lab.store.ledger import bump

        with self.workspace.ledger.write() as connection:
            values = (self.peak, bump(connection), self.job)
            connection.execute("UPDATE jobs SET peak_memory = ?, revision = ? WHERE id = ?", values)
        self.told_peak, self.told_at = self.peak, now

    def _settle(self) -> None:
        from snapml_lab.jobs.folder import read_exit
        from snapml_lab.jobs.outcome import settle
        from snapml_lab.jobs.tick import tick

        for attempt in range(_LEDGER_PATIENCE):
            with self._forgiven():
                workspace = self.workspace
                workspace.ledger.patience(_END_BUSY_SECONDS)
                if not self.announced:
                    self._announce()
                settle(workspace.ledger, workspace.blobs, self.job, self.folder, read_exit(self.folder))
                break
            time.sleep(0.05 * attempt)
        fcntl.flock(self.lock, fcntl.LOCK_UN)  # not only closed: the guard has it, too
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(os.getppid(), signal.SIGCONT)
        with self._forgiven():
            tick(self.workspace)

    @property
    def workspace(self) -> Any:
        """The workspace, opened on first use: after the payload was started."""
        from snapml_lab.errors import StorageError
        from snapml_lab.workspace import Workspace

        if not hasattr(self, "_workspace"):
            if not self.root.is_dir():  # moved or removed meanwhile: it is not made anew here
                raise StorageError(f"{self.root} is gone.", fix="Nothing is to be done.")
            workspace = Workspace(self.root)
            workspace.ledger.patience(_BUSY_SECONDS)
            self._workspace = workspace
        return self._workspace

    @contextlib.contextmanager
    def _forgiven(self) -> Any:
        try:
            yield
        except Exception as error:
            if repr(error) != self.complaint:
                self.complaint = repr(error)
                with contextlib.suppress(OSError):  # the disk that holds the diary may be what is full
                    print(f"{time.time():.3f} {error!r}", file=sys.stderr, flush=True)


def main() -> None:
    """Split into a guard and the shim below it."""
    root, job, lock = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    adopt()
    with contextlib.suppress(OSError):
        leave()
    shim = os.fork()
    if shim:
        note_shim(lock, shim)
        guard(root, job, lock, shim)
    else:
        Shim(root, job, lock).run()


if __name__ == "__main__":
    main()
