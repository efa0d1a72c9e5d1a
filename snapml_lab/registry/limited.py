"""Opening a pickle a person trusts by name, in a process of its own with little time and memory. Standard library only.

It has no network where the machine can take that away, and nothing of our environment. What it leaves is a skops file,
which is checked like any other.
"""

import functools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from snapml_lab.errors import UnsafeFileError
from snapml_lab.registry import conversion

_SECONDS = 300
_MEMORY = 16 << 30
_FILE = 8 << 30
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


def convert(source: Path, target: Path, *, python: str = sys.executable) -> None:
    """Write a pickled model as skops.

    Args:
        source: the pickle; its content is run.
        target: the skops file to make.
        python: an interpreter that has skops and what the model is made of.

    Raises:
        UnsafeFileError: it could not be opened, or is nothing skops can write.
    """
    with tempfile.TemporaryDirectory(prefix="snapml-limited-") as folder:
        made = Path(folder) / "model.skops"
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {"HOME": folder, "TMPDIR": folder, "OMP_NUM_THREADS": "1"}
        command = [*_apart(), python, "-I", str(Path(conversion.__file__)), str(source.resolve()), str(made)]
        try:
            done = subprocess.run(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                errors="replace", timeout=_SECONDS, preexec_fn=_limit, start_new_session=True, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise _refused(source, f"it took longer than {_SECONDS} s") from error
        if done.returncode or not made.is_file():
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise _refused(source, lines[-1][:300])
        shutil.copyfile(made, target)


def _refused(source: Path, reason: str) -> UnsafeFileError:
    return UnsafeFileError(
        f"{source.name} could not be opened and written with skops: {reason}.",
        fix="Fit it again here, or write it with skops or as ONNX where it was made.",
    )


def _limit() -> None:
    for kind, most in ((resource.RLIMIT_CPU, _SECONDS), (resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_FSIZE, _FILE),
                       (resource.RLIMIT_CORE, 0)):  # fmt: skip
        resource.setrlimit(kind, (most, most))


@functools.cache
def _apart() -> tuple[str, ...]:
    """Return the words before a command that take its network away; none where this account may not."""
    words = ("unshare", "-r", "-n")
    if shutil.which(words[0]) is None:
        return ()
    tried = subprocess.run([*words, "true"], capture_output=True, check=False, timeout=10)
    return words if tried.returncode == 0 else ()
