"""Making a virtual environment and installing into it: uv if there, else venv and pip. Standard library only."""

import codecs
import importlib.util
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from snapml_lab.envs.recipes import LOCKS, Recipe, Step
from snapml_lab.errors import ConflictError, StorageError, UnsafeFileError

Say = Callable[[float, str], None]
"""Told how far it is, in [0, 1], and what is being done."""

_LOOK_SECONDS = 0.5
_FETCHED, _INSTALLED = 0.6, 0.36
"""Of the whole, as the share of work: fetching the packages, and unpacking them. The rest is trying them."""
_NAMED = re.compile(
    r"^\s*(Collecting|Downloading|Using cached|Downloaded|Building|Prepared|Installed|Resolved)\b.*"
)
_WITH_PIP = "import ensurepip, sys, runpy; ensurepip.bootstrap(); sys.argv[0] = 'pip'; runpy.run_module('pip', run_name='__main__')"
_PIN = re.compile(r"^[\w.-]+(?:\[[\w,.-]+\])?\s*==", re.MULTILINE)
_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
_ALTERED = ("DO NOT MATCH THE HASHES", "Hash mismatch")


def uv() -> str | None:
    """Return uv's program: on the path, or beside this interpreter."""
    beside = Path(sys.executable).with_name("uv")
    return shutil.which("uv") or (str(beside) if os.access(beside, os.X_OK) else None)


def interpreter(recipe: Recipe) -> str:
    """Return a Python that the recipe takes: this one if it may be, else another that is on this machine, or that uv gets.

    Raises:
        ConflictError: there is none.
    """
    here = sys.version_info[:2]
    if recipe.python is None or recipe.python[0] <= here <= recipe.python[1]:
        return sys.executable
    (major, oldest), (_, newest) = recipe.python
    for minor in range(newest, oldest - 1, -1):
        if found := shutil.which(f"python{major}.{minor}"):
            return found
    if uv():
        return f"{major}.{newest}"
    span = f"{major}.{oldest}" if oldest == newest else f"{major}.{oldest} to {major}.{newest}"
    raise ConflictError(
        f"{recipe.name} needs Python {span}; this is {here[0]}.{here[1]}, and no other is on the path.",
        fix=f"Install Python {major}.{newest}, or uv, which brings it: pip install uv",
    )


def build(recipe: Recipe, place: Path, say: Say, *, keep: int, pins: str | None = None) -> None:
    """Make an environment in ``place`` and install what the recipe says; what the installer prints goes to stdout.

    Args:
        recipe: what to install.
        place: a folder that is not there yet.
        say: told of progress.
        keep: a descriptor that each process started here holds, too, so that its lock is held as long as one lives.
        pins: versions to take where the recipe leaves it open: the lock of the environment that was here before.

    Raises:
        StorageError: the disk is full.
        UnsafeFileError: a package is not the one of the lock.
        ConflictError: a package cannot be had.
    """
    made = _Build(
        place, say, keep, sum(len(_PIN.findall("\n".join(step.lines()))) or 1 for step in recipe.steps)
    )
    python = interpreter(recipe)
    say(0.0, "making the environment")
    tool = uv()
    with _folder() as folder:
        made.run(
            [tool, "venv", "--python", python, str(place)] if tool
            else [python, "-m", "venv", "--without-pip", str(place)], folder,
        )  # fmt: skip
        constraints = folder / "constraints.txt"
        constraints.write_text(pins or "", "utf-8")
        for step in recipe.steps:
            made.install(
                _arguments(step, folder, constraints if pins and step.lock is None else None),
                step.index,
                folder,
            )


def attempt(place: Path, module: str, keep: int) -> None:
    """Import a module in an environment.

    Raises:
        ConflictError: it does not import; with the last line of why.
    """
    with _folder() as folder:
        done = subprocess.run(
            [place / "bin" / "python", "-c", f"import {module}"], cwd=folder, env=clean(), capture_output=True, text=True,
            pass_fds=(keep,), timeout=600, check=False,
        )  # fmt: skip
    if done.returncode:
        print(done.stderr, flush=True)
        reason = done.stderr.strip().rpartition("\n")[2] or f"it ended with {done.returncode}"
        raise ConflictError(
            f"{module} was installed, and does not import: {reason[:300]}.",
            fix="The job's log has the whole of it.",
        )


def clean() -> dict[str, str]:
    """Return this process's environment without what would have another Python find our packages."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSTARTUP")
    return {name: value for name, value in os.environ.items() if name not in ours}


def distributions(place: Path) -> list[Path]:
    """Return the folders of metadata of the packages in an environment."""
    return sorted(place.glob("lib/python*/site-packages/*.dist-info"))


class _Build:
    """One environment in the making; counts what is fetched and what is there."""

    def __init__(self, place: Path, say: Say, keep: int, packages: int) -> None:
        self.place, self.say, self.keep, self.packages = place, say, keep, packages
        self.fetched: set[str] = set()
        self.doing = ""

    def install(self, arguments: list[str], index: str | None, folder: Path) -> None:
        """Install by uv or by pip; what the one cannot find the other may, for they are set up each by itself."""
        python = str(self.place / "bin" / "python")
        more = [[], *([["--extra-index-url", index]] if index else [])]
        ways = []
        if tool := uv():
            fast = [tool, "pip", "install", "--python", python, "--compile-bytecode"]
            ways = [[*fast, *arguments, *extra] for extra in more]
        ways += [[*self._pip(python), *arguments, *extra] for extra in more]
        told = ""
        for way in ways:
            code, said = self._try(way, folder)
            if code == 0:
                return
            _stop_if_final(said, self.place)
            told = told or said
        raise ConflictError(
            f"The packages cannot be had: {_reason(told)}.",
            fix="Make them available (a network, an index, a wheel) and run it again; the job's log has the whole of it.",
        )

    def _pip(self, python: str) -> list[str]:
        """Return how pip installs there: ours; where this environment has none, that which comes with Python."""
        options = ["install", "--no-input", "--disable-pip-version-check", "--retries", "2"]
        if importlib.util.find_spec("pip") is not None:
            return [sys.executable, "-m", "pip", "--python", python, *options]
        return [python, "-c", _WITH_PIP, *options]

    def run(self, argv: list[str], folder: Path) -> None:
        """Run what must succeed."""
        code, said = self._try(argv, folder)
        if code:
            _stop_if_final(said, self.place)
            raise ConflictError(
                f"{Path(argv[0]).name} failed: {_reason(said)}.", fix="The job's log has the whole of it."
            )

    def _try(self, argv: list[str], folder: Path) -> tuple[int, str]:
        process = subprocess.Popen(
            argv, cwd=folder, env=clean(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=(self.keep,),
        )  # fmt: skip
        said: list[str] = []
        try:
            for line in _lines(process):
                if line is not None:
                    print(line, flush=True)
                    said.append(line)
                    self._heard(line)
                self._tell()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        return process.returncode, "\n".join(said)

    def _heard(self, line: str) -> None:
        if found := _NAMED.match(line):
            self.doing = line.strip()[:100]
            if found[1] in ("Collecting", "Downloaded"):
                self.fetched.add(line.split()[1].partition("==")[0])
        elif line.startswith("Installing collected packages"):
            self.doing = "unpacking"

    def _tell(self) -> None:
        there = min(1.0, len(distributions(self.place)) / self.packages)
        fetched = max(there, min(1.0, len(self.fetched) / self.packages))
        self.say(_FETCHED * fetched + _INSTALLED * there, self.doing or "making the environment")


def _arguments(step: Step, folder: Path, constraints: Path | None) -> list[str]:
    if step.lock is not None:
        return ["--no-deps", "--require-hashes", "-r", str(LOCKS / step.lock)]
    wanted = folder / "requirements.txt"
    wanted.write_text("".join(f"{line}\n" for line in step.packages), "utf-8")
    pinned = ["-c", str(constraints)] if constraints else []
    return [*(["--no-deps"] if step.alone else []), *pinned, "-r", str(wanted)]


def _lines(process: "subprocess.Popen[bytes]") -> Iterator[str | None]:
    """Yield what a process prints, line by line, and None twice a second while it prints nothing."""
    assert process.stdout is not None
    source, held = process.stdout.fileno(), ""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    while True:
        if not select.select([source], [], [], _LOOK_SECONDS)[0]:
            yield None
            continue
        piece = os.read(source, 1 << 16)
        *whole, held = (held + decode(piece, final=not piece)).split("\n")
        yield from whole
        if not piece:
            if held:
                yield held
            return


def _stop_if_final(said: str, place: Path) -> None:
    """Raise where another try would not help."""
    if any(word in said for word in _FULL):
        temporary = tempfile.gettempdir()
        raise StorageError(
            f"The disk is full: {place} could not be made, and nothing of it is left.",
            fix=f"Free space on the disks that hold {place.parent} and {temporary} and try again.",
        )
    if any(word in said for word in _ALTERED):
        raise UnsafeFileError(
            f"A package is not the one of the lock: {_reason(said)}.",
            fix="Look at which index gives it: pip config list",
        )


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    wrong = [line for line in lines if "error" in line.lower() or line.startswith(("×", "cause:", "╰─▶"))]
    return ((wrong or lines or ["it said nothing"])[-1])[:300].rstrip(".")


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder with no code in it: with -m and -c the current folder is where modules are looked for first."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
