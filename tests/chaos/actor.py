"""Somebody who uses the product, as a process that can be killed: ``actor.py ORDERS``, a JSON file.

It does the ``steps`` one after another and says in the evidence file what it asked for and what it was told. With
``shift``, its clock is that many seconds off.
"""

import contextlib
import json
import os
import sys
import time
import traceback
from pathlib import Path

from snapml_lab.errors import SnapmlError
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Work
from snapml_lab.jobs.tick import tick
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

_PAUSE = 0.02


class Actor:
    """One user of a workspace."""

    def __init__(self, orders: dict) -> None:
        self.orders = orders
        self.told = os.open(orders["evidence"], os.O_WRONLY | os.O_APPEND)

    @property
    def ws(self) -> Workspace:
        """The workspace, opened on first use."""
        if not hasattr(self, "_ws"):
            self._ws = Workspace(Path(self.orders["root"]))
        return self._ws

    def say(self, what: str, **more: object) -> None:
        """Add a line to the evidence."""
        line = {"what": what, "at": time.monotonic(), **more}
        os.write(self.told, json.dumps(line).encode() + b"\n")

    def run(self) -> None:
        """Do all steps; an error that is not of the product's family is a finding."""
        if self.orders.get("shift"):
            shift_clock(self.orders["shift"])
        for name, values in self.orders["steps"]:
            while (gate := self.orders.get("gate")) and not os.path.exists(gate):
                time.sleep(0.0005)
            try:
                getattr(self, name)(**values)
            except SnapmlError as error:
                self.say("trouble", step=name, error=repr(error))
            except Exception as error:
                self.say("crash", step=name, error=repr(error), trace=traceback.format_exc()[-1500:])

    def submit(self, mark: str, work: dict, *, silently: bool = False) -> None:
        """Submit one job; ``silently`` leaves out the tick, as one killed right before it would."""
        known = {name: value for name, value in work.items() if name in Work.__dataclass_fields__}
        if silently:
            queue.tick = lambda _ws: None
        self.say("asked", mark=mark)
        try:
            job = queue.submit(
                self.ws, Work(kind="command", name=mark, **known), actor="chaos", origin=Origin()
            )
        except SnapmlError as error:
            self.say("refused", mark=mark, error=repr(error))
        except Exception:
            self.say("refused", mark=mark, error="not of the family")
            raise
        else:
            self.say("accepted", mark=mark, job=job.id)

    def cancel(self, mark: str, grace: float) -> None:
        """Cancel a job."""
        self.say("cancelling", mark=mark, grace=grace)
        job = queue.cancel(self.ws, mark, grace=grace)
        self.say("cancelled", mark=mark, state=job.state)

    def tick(self, times: int, pause: float) -> None:
        """Move the queue again and again."""
        for _ in range(times):
            tick(self.ws)
            time.sleep(pause)

    def stay(self) -> None:
        """Live on, as a kernel does; children that are adopted are collected."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(_PAUSE)

    def rest(self, how: str, seconds: float) -> None:
        """Bring every job to its end, by ticks or by the product's own wait, and say whether all have."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                living = [job for job in queue.latest(self.ws, limit=1000) if not job.ended]
                if not living:
                    self.say("rest")
                    return
                if how == "wait":
                    queue.wait(self.ws, living[-1], timeout=max(deadline - time.monotonic(), 0.1))
                else:
                    tick(self.ws)
            except TimeoutError:
                continue
            except SnapmlError as error:
                self.say("trouble", step="rest", error=repr(error))
            time.sleep(_PAUSE)
        self.say("restless", jobs=[[job.name, job.state] for job in queue.latest(self.ws, limit=1000)])


def shift_clock(seconds: float) -> None:
    """Move this process's wall clock, and the file times it sets; what measures durations goes on."""
    now, now_ns, utime = time.time, time.time_ns, os.utime

    def touch(path, times=None, **more):
        utime(path, times if times or more.get("ns") else (now() + seconds,) * 2, **more)

    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds * 1e9)
    os.utime = touch


if __name__ == "__main__":
    Actor(json.loads(Path(sys.argv[1]).read_bytes())).run()
