"""An environment as a lock says, laid over this one: only the packages that differ are installed. Standard library only.

What is the same is taken from the environment that runs, so that one package's other version costs one download. What is
there now and was not then stays importable.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from snapml_lab.envs import current
from snapml_lab.errors import ConflictError

_TOOLS = frozenset({"pip", "uv", "wheel", "snapml-lab"})
"""No matter of the lock: installers, and this product, whose running code is used."""
_SECONDS = 1800.0
_ALONE = 8
"""So many packages are tried one by one, to say which one cannot be had."""
_READY = ".ready"
_VERSION = re.compile(r"\d+(?:\.\d+)*")


class Change(NamedTuple):
    """A package whose version is not the same; None where it is not there."""

    name: str
    then: str | None
    now: str | None

    def __str__(self) -> str:
        return f"{self.name} {self.then or 'not there'} → {self.now or 'not there'}"


def changes(then: str, now: str) -> list[Change]:
    """Return what differs between two locks' packages."""
    before, after = _versions(then), _versions(now)
    return [
        Change(name, before.get(name), after.get(name))
        for name in sorted(before | after)
        if before.get(name) != after.get(name) and name not in _TOOLS
    ]


def same_python(then: str, now: str) -> bool:
    """Say whether packages of one Python fit the other: the first two numbers are the same."""
    return _minor(then) == _minor(now)


def make(root: Path, found: Sequence[Change], say: Callable[[str], None]) -> Path:
    """Make an environment where the packages of ``found`` are as they were then, or take the one made before.

    Args:
        root: where such environments are kept.
        found: what differs from this interpreter's packages.
        say: told what the installer prints.

    Returns:
        Its interpreter.

    Raises:
        ConflictError: a package cannot be had: there is no network, or no such version (any more).
    """
    wanted = [f"{item.name}=={item.then}" for item in found if item.then is not None]
    key = hashlib.sha256("\n".join([current.lock().sha256, sys.prefix, *wanted]).encode()).hexdigest()[:16]
    place = root / key
    python = place / "bin" / "python"
    if (place / _READY).exists():
        return python
    root.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)  # of a process that was killed in the middle
    venv.create(place, with_pip=False, symlinks=True)
    try:
        _install(python, wanted, say)
        _lay_over(python)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    (place / _READY).touch()
    return python


def lock_of(python: Path | str) -> current.Lock:
    """Return the lock of another interpreter that has this package."""
    code = "from snapml_lab.envs import current; print(*current.lock(), sep='\\n')"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, timeout=120, check=True)
    sha256, version, packages = done.stdout.rstrip("\n").split("\n", 2)
    return current.Lock(sha256, version, packages)


def _install(python: Path, wanted: list[str], say: Callable[[str], None]) -> None:
    if not wanted:
        return
    failed, said = _try(python, wanted)
    say(said[-4000:])
    if not failed:
        return
    refused = [one for one in wanted if _try(python, [one])[0]] if 1 < len(wanted) <= _ALONE else wanted
    reason = next(
        (line.strip() for line in reversed(said.splitlines()) if "error" in line.lower()), said[-200:]
    )
    raise ConflictError(
        f"These packages cannot be had: {', '.join(refused or wanted)} ({reason[:300]}).",
        fix="Make them available (a network, an index, a wheel), or take this environment: --here",
    )


def _try(python: Path, wanted: list[str]) -> tuple[bool, str]:
    uv = shutil.which("uv")
    argv = (
        [uv, "pip", "install", "--python", str(python), "--no-deps"] if uv
        else [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-input",
              "--disable-pip-version-check", "--retries", "1", "--timeout", "20"]
    )  # fmt: skip
    # A folder with no code of ours in it: with -m, the current folder is where modules are looked for first.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [*argv, *wanted], cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return True, "error: it took longer than half an hour"
    return done.returncode != 0, done.stdout + done.stderr


def _lay_over(python: Path) -> None:
    """Have the new environment look into this one's folders after its own, ``.pth`` files there included."""
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = python.parent.parent / "lib" / minor / "site-packages"
    below = [folder for layer in current.layers() for folder in layer]
    (packages / current.LAYERS).write_text("".join(f"{folder}\n" for folder in below), "utf-8")
    (packages / "snapml-layers.pth").write_text(
        f"import site; list(map(site.addsitedir, {below!r}))\n", "utf-8"
    )


def _versions(packages: str) -> dict[str, str]:
    found = (line.partition("==") for line in packages.splitlines())
    return {name: version for name, _, version in found if version}


def _minor(version: str) -> tuple[str, ...]:
    found = _VERSION.match(version)
    return tuple(found[0].split(".")[:2]) if found else (version,)
