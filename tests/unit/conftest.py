"""What unit tests share: a disk that can be filled, and children that can be killed."""

import contextlib
import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from disks import SmallDisk
from hypothesis import settings

settings.register_profile(
    "house", deadline=None
)  # the machine may be busy; how long is the benchmarks' business
settings.load_profile("house")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk that a test may fill; only where this account may mount one (limits of file size are tested everywhere)."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this account may not mount a file system")
    yield SmallDisk(place)
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def in_processes() -> Iterator[Callable[..., list[Any]]]:
    """Run a function in several processes at once, each with its number; return what they returned."""
    with contextlib.ExitStack() as stack:

        def run(many: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
            pool = stack.enter_context(multiprocessing.get_context("fork").Pool(many))
            return pool.starmap(function, [(number, *arguments) for number in range(many)], chunksize=1)

        yield run


@pytest.fixture
def killed() -> Callable[..., bytes]:
    """Fork, run a function that says through a descriptor how far it is, and kill -9 it so many seconds after it began.

    It has begun once it has said something; returned is all it said.
    """

    def run(seconds: float, function: Callable[..., None], *arguments: Any) -> bytes:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                function(write, *arguments)
            os._exit(99)
        os.close(write)
        begun = os.read(read, 1)
        time.sleep(seconds)
        os.kill(pid, 9)
        _, status = os.waitpid(pid, 0)
        with os.fdopen(read, "rb") as file:
            said = begun + file.read()
        assert os.waitstatus_to_exitcode(status) == -9, "it ended by itself before it was killed"
        return said

    return run
