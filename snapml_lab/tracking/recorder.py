"""``with snap.run("name") as r: r.log(loss=0.1)``: a run of a kernel or a script, as its writer holds it.

``log`` appends one line to the run's file and returns: what it was given is safe from then on, though the process be
killed. A thread brings the lines into the ledger every second, so that others see them. Standard library only.
"""

import atexit
import contextlib
import contextvars
import io
import math
import os
import sys
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from snapml_lab import clock, ids
from snapml_lab.errors import ConflictError, InvalidInputError, SnapmlError
from snapml_lab.jobs.events import JOB, Reporter
from snapml_lab.store.files import storage_errors
from snapml_lab.store.ledger import bump
from snapml_lab.tracking import live, record
from snapml_lab.tracking.system import Sampling
from snapml_lab.workspace import Workspace

KIND = "run"
_READ_SECONDS = 1.0
_PATIENCE_SECONDS = 0.5
_LONGEST_NAME = 200
_MOST_STEPS = 2**63


class Recorder:
    """An open run.

    Use it as a context manager: an exception ends it as ``failed``, an interrupt as ``cancelled``. A run that is opened
    inside another is nested in it. Made by :func:`start`.
    """

    def __init__(self, ws: Workspace, run: str, name: str, lock: int, *, system: bool) -> None:
        self.id = run
        self.name = name
        self._ws = ws
        self._lock = lock
        self._folder = live.folder(ws, run)
        self._report = Reporter(self._folder / "events.jsonl")
        self._next = 0
        self._open = True
        self.trained = False
        """Whether a training was recorded in it by itself."""
        self._process = os.getpid()
        self._token: contextvars.Token[Recorder | None] | None = None
        self._sampling = Sampling(self._sampled) if system else None
        if self._sampling is not None:
            self._sampling.start()

    def log(
        self, values: Mapping[str, Any] | None = None, /, *, step: int | None = None, **metrics: Any
    ) -> None:
        """Record metrics of one step; what was given is on disk when this returns.

        Args:
            values: metrics by name, for names that are no Python words (``{"eval/loss": 0.1}``).
            step: a whole number; default: one more than the last.
            metrics: metrics by name: numbers, or what ``float`` takes (an array of one element).

        Raises:
            InvalidInputError: a value is no number, or the step is not whole.
            StorageError: the disk is full.
            ConflictError: the run has ended.
        """
        if not self._open:
            raise self._over()
        if step is None:
            step = self._next
        elif type(step) is not int or not -_MOST_STEPS <= step < _MOST_STEPS:
            step = _whole(step)
        self._next = step + 1
        given = metrics if values is None else {**values, **metrics}
        numbers = {
            name: value if type(value) is float and math.isfinite(value) else _number(name, value)
            for name, value in given.items()
        }
        try:
            self._report.metrics(numbers, step=step)
        except OSError:
            with storage_errors(self._folder / "events.jsonl"):
                raise

    def param(self, name: str, value: object) -> None:
        """Record a parameter; a later value of the name takes its place."""
        self._say(self._report.param, name, _plain(value))

    def params(self, values: Mapping[str, object] | None = None, /, **params: object) -> None:
        """Record parameters by name."""
        for name, value in {**(values or {}), **params}.items():
            self.param(name, value)

    def tag(self, name: str, value: object) -> None:
        """Set a tag; a later value of the name takes its place."""
        self._say(self._report.tag, name, value)

    def nested(
        self, name: str, *, kind: str = KIND, params: Mapping[str, Any], metrics: Mapping[str, float]
    ) -> str:
        """Record a whole run inside this one, as a trial of a search; return its id."""
        run = ids.new()
        self._say(self._report.run, run, kind=kind, name=name, params=params, metrics=metrics)
        return run

    def artifact(self, path: str | Path, *, name: str | None = None) -> None:
        """Keep a file or a folder with the run.

        Args:
            path: where it is now; it is copied.
            name: what it is called; default: its own name.

        Raises:
            InvalidInputError: there is none.
            StorageError: the disk is full.
        """
        place = Path(path)
        if not (place.is_file() or place.is_dir()):
            raise InvalidInputError.of("path", str(path), "a file or a folder that is there")
        blobs = self._ws.blobs
        blob, size = blobs.put_folder(place) if place.is_dir() else blobs.put(place)
        self._say(self._report.artifact, name or place.name, blob=blob, size=size, folder=place.is_dir())

    def figure(self, name: str, figure: Any) -> None:
        """Keep a picture: a Matplotlib figure as PNG, a Plotly one as its JSON.

        Raises:
            InvalidInputError: it is neither.
        """
        if hasattr(figure, "savefig"):
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", bbox_inches="tight")
            content, ending = buffer.getvalue(), ".png"
        elif hasattr(figure, "to_plotly_json"):
            content, ending = str(figure.to_json()).encode(), ".plotly.json"
        else:
            raise InvalidInputError.of("figure", type(figure).__name__, "a figure of Matplotlib or Plotly")
        blob, size = self._ws.blobs.put(content)
        self._say(
            self._report.artifact, name if name.endswith(ending) else name + ending, blob=blob, size=size
        )

    def end(self, state: str = "succeeded") -> None:
        """End it; asked again, nothing happens."""
        if not self._open or os.getpid() != self._process:
            return
        self._open = False
        _OPEN.discard(self)
        if self._sampling is not None:
            self._sampling.stop()
        with contextlib.suppress(
            OSError
        ):  # a full disk: the lock is free, and a reader says that it was lost
            self._report.end(state)
        self._report.close()
        os.close(self._lock)
        live.finish(self._ws, self.id)

    def __enter__(self) -> Self:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            with contextlib.suppress(ValueError):  # ended in another context than it was begun in
                _CURRENT.reset(self._token)
            self._token = None
        if error is not None and self._open:
            with contextlib.suppress(SnapmlError, OSError):
                self.tag("error", f"{type(error).__name__}: {error}"[:500])
        self.end(
            "succeeded" if kind is None
            else "cancelled" if issubclass(kind, KeyboardInterrupt)
            else "failed"
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"run {self.name} {self.id[-6:]}" + ("" if self._open else " (ended)")

    def _sampled(self, values: dict[str, float | None], number: int) -> None:
        self._report.metrics(values, step=number)

    def _say(self, what: Any, *arguments: Any, **fields: Any) -> None:
        if not self._open:
            raise self._over()
        with storage_errors(self._folder / "events.jsonl"):
            what(*arguments, **fields)

    def _over(self) -> ConflictError:
        return ConflictError(f"The run {self.name!r} has ended.", fix="Open another: with snap.run(…) as r:")


def start(
    ws: Workspace,
    name: str,
    *,
    actor: str,
    origin: record.Origin,
    kind: str = KIND,
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, object] | None = None,
    note: str | None = None,
    system: bool = True,
) -> Recorder:
    """Open a run; nested in the one that is open here, else in that of the job this process is part of.

    Raises:
        StorageError: the disk is full; no run is left behind.
        InvalidInputError: the name is empty or too long.
    """
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise InvalidInputError.of("name", name, f"1 to {_LONGEST_NAME} characters")
    run = ids.new()
    with storage_errors(live.folder(ws, run)):
        lock = live.hold(live.folder(ws, run))
    try:
        with ws.ledger.write() as connection:
            record.create(
                connection, run, kind=kind, name=name, job=None, at=clock.now(), origin=origin, revision=bump(connection),
                actor=actor, state="running", parent=_parent(ws), note=note,
            )  # fmt: skip
            for key, value in (params or {}).items():
                record.log_param(connection, run, key, _plain(value))
            for key, value in (tags or {}).items():
                record.log_tag(connection, run, key, value)
        recorder = Recorder(ws, run, name, lock, system=system)
    except BaseException:
        os.close(lock)
        raise
    _OPEN.add(recorder)
    _READER.watch(recorder)
    return recorder


def current() -> Recorder | None:
    """Return the run that is open here; None where there is none."""
    return _CURRENT.get()


_CURRENT: contextvars.ContextVar[Recorder | None] = contextvars.ContextVar("run", default=None)
_OPEN: set[Recorder] = set()


class _Reader:
    """Brings what the runs of this process log into the ledger, in a thread that lives while one is open."""

    def __init__(self) -> None:
        self._watched: weakref.WeakSet[Recorder] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()

    def watch(self, recorder: Recorder) -> None:
        with self._guard:
            self._watched.add(recorder)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._read, name="snapml-runs", daemon=True)
                self._thread.start()

    def _read(self) -> None:
        pause = threading.Event()
        seen: set[Workspace] = set()
        while not pause.wait(_READ_SECONDS):
            with self._guard:
                found = [recorder for recorder in self._watched if recorder._open]  # noqa: SLF001 - its own module's
                if not found:
                    self._thread = None
                    break
            for recorder in found:
                seen.add(recorder._ws)  # noqa: SLF001
                ws = recorder._ws  # noqa: SLF001
                ws.ledger.patience(_PATIENCE_SECONDS)
                with contextlib.suppress(SnapmlError, OSError), live.turn(ws) as ours:
                    if ours:
                        live.read(ws, recorder.id)
        for ws in seen:
            ws.ledger.close()


_READER = _Reader()


@atexit.register
def _end_all() -> None:
    """End what was left open: a script that raised has failed, any other has come to its end."""
    raised = getattr(sys, "last_value", None) is not None and not hasattr(sys, "ps1")
    for recorder in list(_OPEN):
        recorder.end("failed" if raised else "succeeded")


def _parent(ws: Workspace) -> str | None:
    outer = _CURRENT.get()
    if outer is not None:
        return outer.id
    job = os.environ.get(JOB)
    known = ws.ledger.row("SELECT id FROM runs WHERE id = ?", job) if job else None
    return None if known is None else str(known["id"])


def _number(name: str, value: Any) -> float | None:
    """Return a value as a float; None where it is no finite number."""
    if value is None:
        return None
    try:
        number = float(value.item() if getattr(value, "size", None) == 1 else value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise InvalidInputError.of(
            name, value, "a number", "Text and other settings are parameters: r.param(name, value)."
        ) from None
    return number if math.isfinite(number) else None


def _whole(step: Any) -> int:
    try:
        whole = int(step)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInputError.of("step", step, "a whole number") from None
    if whole != step or not -_MOST_STEPS <= whole < _MOST_STEPS:
        raise InvalidInputError.of("step", step, "a whole number")
    return whole


def _plain(value: object) -> object:
    """Return a parameter as what JSON holds: numbers of NumPy and torch as Python's, else its text."""
    if value is None or isinstance(value, str | int | float):
        return str(value) if value is None or isinstance(value, bool) else value
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return _plain(value.item())
    return str(value)
