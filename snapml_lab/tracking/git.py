"""The state of a folder's git repository: the commit, and what its files differ by from it. Standard library only.

The difference is kept as a patch that ``git apply`` takes, with lines before it that say what it leaves out, and which
files git does not know. Of those, small Python files are in it: a module that was not added yet is what a run most often
needs. Values of secret variables of the environment are taken out.
"""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

from snapml_lab.jobs.redaction import Redactor, secrets_of

_SECONDS = 5.0
_FRESH = 1.0
"""A state so many seconds old is taken again: runs begun in a loop do not each start git."""
_LARGEST = 5 << 20
_LARGEST_NEW = 64 << 10
_NEW_FILES = 200
_NOTEBOOKS = ":(exclude,glob)**/*.ipynb"
_HEAD = re.compile(r"# branch\.oid ([0-9a-f]{40,64})")


class Code(NamedTuple):
    """A commit, whether tracked files differ from it, and the difference as it is kept; None where there is none."""

    commit: str
    dirty: bool
    difference: bytes | None

    @property
    def name(self) -> str:
        """The commit as a run records it."""
        return f"{self.commit}-dirty" if self.dirty else self.commit


_seen: dict[Path, tuple[float, Code | None]] = {}


def look(folder: Path) -> Code | None:
    """Return the state of the repository that holds ``folder`` (some 10 ms); None outside git, and where git does not answer."""
    at, code = _seen.get(folder, (0.0, None))
    if time.monotonic() - at > _FRESH or not at:
        code = _look(folder)
        _seen.clear()
        _seen[folder] = (time.monotonic(), code)
    return code


def top_of(folder: Path) -> Path | None:
    """Return the top folder of the repository that holds ``folder``."""
    return next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), None)


def _look(folder: Path) -> Code | None:
    top = top_of(folder)
    if top is None or program() is None:
        return None
    deadline = time.monotonic() + _SECONDS
    listed = _output(top, *_status("all"), seconds=_SECONDS / 2)
    if listed is None:  # so many files that git does not know that they cannot be listed in time
        listed = _output(top, *_status("no"), seconds=_SECONDS / 2)
    if listed is None:
        return None
    items = listed.decode("utf-8", "surrogateescape").split("\0")
    head = next(filter(None, map(_HEAD.fullmatch, items)), None)
    if head is None:
        return None
    dirty = any(item[:2] in ("1 ", "2 ", "u ") for item in items)
    unknown = [item[2:] for item in items if item.startswith("? ")]
    difference = _difference(top, dirty, unknown, deadline) if dirty or unknown else None
    return Code(head[1], dirty, difference)


def _status(unknown: str) -> tuple[str, ...]:
    return ("status", "--porcelain=v2", "--branch", "-z", "--no-renames", f"--untracked-files={unknown}")


def _difference(top: Path, dirty: bool, unknown: list[str], deadline: float) -> bytes:
    notes = []
    patch = b""
    if dirty:
        words = ("diff", "HEAD", "--binary", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
        left = max(deadline - time.monotonic(), 1.0)
        whole = _output(top, *words, seconds=left)
        if whole is None:
            notes.append("Left out, for all differences are more than 5 MiB: those of notebooks")
            whole = _output(top, *words, "--", ".", _NOTEBOOKS, seconds=left)
        if whole is None:
            notes = ["Left out, for they are more than 5 MiB: the differences of tracked files"]
        patch = whole or b""
    new, size = [], len(patch)
    for path in unknown[:_NEW_FILES]:
        made = _new_file(top, path)
        kept = made is not None and size + len(made) <= _LARGEST
        if made is not None and kept:
            new.append(made)
            size += len(made)
        notes.append(f"not in git, {'kept below' if kept else 'not kept'}: {path}")
    if len(unknown) > _NEW_FILES:
        notes.append(f"not in git, not kept: {len(unknown) - _NEW_FILES} more files")
    header = "".join(f"# {' '.join(note.split())}\n" for note in notes)
    redactor = Redactor(secrets_of(os.environ))
    content = header.encode("utf-8", "surrogateescape") + patch + b"".join(new)
    return redactor.feed(0.0, content) + redactor.flush()


def _new_file(top: Path, name: str) -> bytes | None:
    """Write a file git does not know as a patch that makes it; None where it is no small Python file."""
    path = top / name
    if path.suffix != ".py" or not name.isascii() or any(c in name for c in '"\\\n\t'):
        return None
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST_NEW:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    if b"\0" in content:
        return None
    lines = content.split(b"\n")
    ended = lines[-1] == b""
    lines = lines[:-1] if ended else lines
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n".encode()
    if not lines:
        return head
    body = b"".join(b"+" + line + b"\n" for line in lines)
    end = b"" if ended else b"\\ No newline at end of file\n"
    return head + f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{len(lines)} @@\n".encode() + body + end


def notes_of(difference: bytes) -> list[str]:
    """Return what a kept difference says of itself before its patch."""
    head = difference.split(b"diff --git ", 1)[0].decode("utf-8", "replace")
    return [line[2:] for line in head.splitlines() if line.startswith("# ")]


def run(folder: Path, *words: str, given: bytes | None = None, seconds: float = 120.0) -> tuple[bool, str]:
    """Run git in a folder; return whether it succeeded, and what it printed."""
    try:
        done = subprocess.run(
            [program() or "git", "-C", str(folder), *words], input=given, capture_output=True, timeout=seconds,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return done.returncode == 0, (done.stdout + done.stderr).decode("utf-8", "replace").strip()


@functools.cache
def program() -> str | None:
    """Return where git is."""
    return shutil.which("git")


def _output(folder: Path, *words: str, seconds: float) -> bytes | None:
    """Return what git prints; None where it fails, takes too long or prints more than is kept."""
    try:
        process = subprocess.Popen(
            [program() or "git", "-C", str(folder), "--no-optional-locks", "-c", "core.quotePath=false", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None
    assert process.stdout is not None
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        content = process.stdout.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            process.kill()
        code = process.wait()
    finally:
        timer.cancel()
        with contextlib.suppress(OSError):
            process.stdout.close()
    return content if code == 0 and len(content) <= _LARGEST else None
