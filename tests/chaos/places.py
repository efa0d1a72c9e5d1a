"""Where cycles happen: a folder, accounts and small disks, all of which are gone afterwards, whatever happened."""

import contextlib
import fcntl
import functools
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from . import witness

REPOSITORY = Path(__file__).resolve().parents[2]
_PREFIX = "snapml-chaos-"
_NOBODY = 65534


class Account(NamedTuple):
    """Somebody to run as: what a command line begins with, and the user id."""

    name: str
    prefix: tuple[str, ...]
    uid: int


class Stage:
    """The folder of one run of the suite. Its name is in the command line or environment of all that runs in it."""

    def __init__(self) -> None:
        _sweep_old()
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{secrets.token_hex(4)}-"))
        self.path.chmod(0o755)
        self._lock = os.open(self.path / "alive", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def clear(self) -> None:
        """Leave nothing: no process, no mount, no cgroup, no file."""
        clear(self.path)
        os.close(self._lock)


def clear(place: Path) -> None:
    """End what runs in a folder and remove it with its mounts and its jobs' cgroups."""
    deadline = time.monotonic() + 10
    while (left := witness.mentioning(str(place))) and time.monotonic() < deadline:
        witness.end(left)
        time.sleep(0.01)
    for note in place.glob("**/.snapml/jobs/*/cgroup"):
        with contextlib.suppress(OSError):
            group = Path(note.read_text())
            if group.name == f"snapml-{note.parent.name}" and group.is_dir():
                (group / "cgroup.kill").write_text("1")
                group.rmdir()
    for mount in reversed(mounts(place)):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    shutil.rmtree(place, ignore_errors=True)


def mounts(place: Path) -> list[str]:
    """Return the mount points below a folder, outer ones first."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [point for point in points if Path(point).is_relative_to(place)]


def leftovers() -> list[Path]:
    """Return the folders of runs of the suite: those under way, and what killed ones left."""
    return list(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"))


def _sweep_old() -> None:
    """Clear what a killed run of the suite left: its lock is free."""
    for place in leftovers():
        with contextlib.suppress(OSError):
            lock = os.open(place / "alive", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                clear(place)
            finally:
                os.close(lock)


@functools.cache
def accounts() -> tuple[Account, ...]:
    """Return whom cycles can run as: this account, and for root an ordinary one, too."""
    if os.geteuid():
        return (Account("ordinary", (), os.geteuid()),)
    root = Account("root", (), 0)
    # It may read wherever Python is installed (which may be root's home), and nothing more.
    prefix = (
        "setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
    )  # fmt: skip
    works = shutil.which("setpriv") and _runs([*prefix, sys.executable, "-c", "import snapml_lab"])
    return (root, Account("ordinary", prefix, _NOBODY)) if works else (root,)


@functools.cache
def may_mount() -> bool:
    """Say whether this account may mount file systems."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as place:
        if not _runs(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place]):
            return False
        return _runs(["umount", place])


@functools.cache
def may_group(account: Account) -> bool:
    """Say whether an account may make cgroups of version 2 where this process is."""
    if account.uid != os.geteuid():
        return False
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/mounts").read_text().splitlines()
        mount = next(line.split()[1] for line in lines if line.split()[2] == "cgroup2")
        own = next(
            line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")
        )
        group = Path(mount, own[3:].strip("/"), f"{_PREFIX}{os.getpid()}")
        group.mkdir()
        can = (group / "cgroup.kill").exists()
        group.rmdir()
        return can
    return False


@functools.cache
def may_nest_pids() -> bool:
    """Say whether this account may make PID namespaces."""
    return bool(shutil.which("unshare")) and _runs(["unshare", "-p", "-f", "--mount-proc", "true"])


@functools.cache
def may_choose_pids() -> bool:
    """Say whether this account may say which pid comes next."""
    return os.access("/proc/sys/kernel/ns_last_pid", os.W_OK)


def small_disk(point: Path, size: str, uid: int) -> None:
    """Mount an empty disk of a size."""
    point.mkdir(parents=True, exist_ok=True)
    options = f"size={size},uid={uid},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(point)], check=True)


def fill(point: Path) -> None:
    """Leave no byte free on the disk of a folder."""
    with (point / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass


def free(point: Path) -> None:
    """Make room again."""
    (point / "ballast").unlink(missing_ok=True)


def _runs(argv: list[str]) -> bool:
    return subprocess.run(argv, capture_output=True, cwd="/", check=False).returncode == 0
