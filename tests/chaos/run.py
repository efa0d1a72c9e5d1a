"""Runs cycles, a few at a time, and tells what they found: ``python -m tests.chaos.run --help``."""

import argparse
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from . import places, report
from .cycle import Outcome, play
from .faults import FAULTS, MB
from .promises import Breach

_CYCLE_SECONDS = 180.0
_TOLD_EACH = 50
_FREE_BYTES = 3 << 30


class Turn(NamedTuple):
    """A cycle to play: ``KIND:SEED`` plays it again."""

    kind: str
    seed: int
    flood: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.seed}"


def possible(only: Iterable[str] = ()) -> tuple[list[str], list[str]]:
    """Return the kinds of fault that can be played here, and those that cannot."""
    names = [
        name for name in FAULTS if not only or any(name == word or word in name.split("-") for word in only)
    ]
    can = [name for name in names if FAULTS[name].needs()]
    return can, [name for name in names if name not in can]


def short(seed: int, each: int = 2) -> list[Turn]:
    """Return the turns of the short form: every kind that can be played, as often as each other."""
    kinds, _ = possible()
    return _shuffled([Turn(kind, seed + number, 64 * MB) for kind in kinds for number in range(each)], seed)


def long(cycles: int, seed: int, only: Iterable[str] = ()) -> list[Turn]:
    """Return the turns of the long form: the kinds in equal shares; every fourth flood prints a gigabyte."""
    kinds, _ = possible(only)
    turns = []
    for number in range(cycles):
        kind, turn = kinds[number % len(kinds)], number // len(kinds)
        turns.append(Turn(kind, seed + turn, (1024 if turn % 4 == 0 else 64) * MB))
    return _shuffled(turns, seed)


def _shuffled(turns: list[Turn], seed: int) -> list[Turn]:
    random.Random(seed).shuffle(turns)
    return turns


def run(
    turns: list[Turn], *, workers: int, seconds: float, tell: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """Play the turns, each in a process of its own, until they or the time are up; leave nothing behind."""
    waiting, outcomes = deque(turns), []
    playing: dict[multiprocessing.connection.Connection, _Playing] = {}
    deadline = time.monotonic() + seconds
    stage = places.Stage()
    try:
        while playing or (waiting and time.monotonic() < deadline):
            while (
                len(playing) < workers and time.monotonic() < deadline and (turn := _next(waiting, playing))
            ):
                started = _Playing.start(turn, stage.path)
                playing[started.answer] = started
            for answer in multiprocessing.connection.wait(list(playing), timeout=0.2):
                outcomes.append(playing.pop(answer).outcome())
                tell(outcomes[-1])
            for answer, one in list(playing.items()):
                if time.monotonic() - one.begun > _CYCLE_SECONDS:
                    outcomes.append(playing.pop(answer).broken_off())
                    tell(outcomes[-1])
    finally:
        for one in playing.values():
            one.process.kill()
        stage.clear()
    return outcomes


class _Playing(NamedTuple):
    """A cycle under way."""

    turn: Turn
    place: Path
    process: multiprocessing.Process
    answer: multiprocessing.connection.Connection
    begun: float

    @classmethod
    def start(cls, turn: Turn, stage: Path) -> "_Playing":
        place = Path(tempfile.mkdtemp(prefix=f"{turn.kind}-{turn.seed}-", dir=stage))
        answer, sender = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=_play, args=(turn, place, sender))
        process.start()
        sender.close()
        return cls(turn, place, process, answer, time.monotonic())

    def outcome(self) -> Outcome:
        try:
            found: Outcome = self.answer.recv()
        except EOFError:
            return self.broken_off()
        self.process.join()
        self.answer.close()
        return found

    def broken_off(self) -> Outcome:
        self.process.kill()
        self.process.join()
        self.answer.close()
        places.clear(self.place)
        breach = Breach("suite", f"the cycle did not end in {_CYCLE_SECONDS:g} s")
        return _failed(self.turn, breach, time.monotonic() - self.begun)


def _next(waiting: deque[Turn], playing: dict[object, _Playing]) -> Turn | None:
    """Take the next turn; of the heavy ones only one at a time, and a flood only where there is room."""
    busy = any(FAULTS[one.turn.kind].heavy for one in playing.values())
    for turn in waiting:
        if not (busy and FAULTS[turn.kind].heavy):
            waiting.remove(turn)
            return turn
    return None


def _play(turn: Turn, place: Path, sender: multiprocessing.connection.Connection) -> None:
    """Play a cycle in this process and send what it found. Ctrl-C is the parent's business."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    room = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    flood = turn.flood if room > _FREE_BYTES else 64 * MB
    begun = time.monotonic()
    try:
        outcome = play(turn.kind, turn.seed, place, flood, FAULTS[turn.kind].play)
    except Exception:
        outcome = _failed(turn, Breach("suite", traceback.format_exc()), time.monotonic() - begun)
    sender.send(outcome)


def _failed(turn: Turn, breach: Breach, seconds: float) -> Outcome:
    return Outcome(turn.kind, turn.seed, "?", seconds, 0, [breach], [], Counter(), Counter(), Counter())


def tell(outcome: Outcome) -> None:
    """Print what a cycle broke, and how to play it again."""
    for breach in outcome.breaches:
        print(
            f"{outcome.kind}:{outcome.seed} ({outcome.account}) {breach.promise}: {breach.what}", flush=True
        )
    if outcome.breaches:
        print("".join(f"    {line}\n" for line in outcome.story), end="", flush=True)


def main() -> int:
    """Read the command line, run, print the table, and write the page if asked to."""
    parser = argparse.ArgumentParser(
        description="Kill everything at random, and see what the promises are worth."
    )
    parser.add_argument("--cycles", type=int, default=1000, help="how many (1,000)")
    parser.add_argument("--seed", type=int, default=None, help="where to begin; drawn if not given")
    parser.add_argument("--workers", type=int, default=2, choices=range(1, 5), help="cycles at a time (2)")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no cycle after that (60)")
    parser.add_argument(
        "--only", action="append", default=[], metavar="KIND", help="a kind, or a word of kinds' names"
    )
    parser.add_argument("--short", action="store_true", help="the short form: every kind twice")
    parser.add_argument("--replay", metavar="KIND:SEED", help="play one cycle again")
    parser.add_argument("--times", type=int, default=1, help="how often to replay it")
    parser.add_argument("--write", action="store_true", help=f"write the table to {report.PAGE}")
    parser.add_argument("--kinds", action="store_true", help="list the kinds of fault")
    asked = parser.parse_args()
    if asked.kinds:
        print("\n".join(FAULTS))
        return 0
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**6)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # what a shell starts behind itself has it ignored
    if asked.replay:
        kind, _, number = asked.replay.partition(":")
        turns = [Turn(kind, int(number), 64 * MB)] * asked.times
    else:
        turns = short(seed) if asked.short else long(asked.cycles, seed, asked.only)
    begun = time.monotonic()
    outcomes: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        outcomes.append(outcome)
        tell(outcome)
        if len(outcomes) % _TOLD_EACH == 0:
            spent = (time.monotonic() - begun) / 60
            print(f"{len(outcomes)} of {len(turns)} cycles, {spent:.1f} min", flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        run(turns, workers=asked.workers, seconds=asked.minutes * 60, tell=note)
    _, left_out = possible(asked.only)
    summary = report.Summary(outcomes, seed, time.monotonic() - begun, asked.workers, left_out)
    print(summary.text())
    if asked.write:
        report.PAGE.write_text(summary.page())
    return 1 if any(outcome.breaches for outcome in outcomes) or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
