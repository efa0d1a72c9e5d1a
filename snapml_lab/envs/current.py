"""The environment this process runs in, as a lock that two runs can be compared by."""

import contextlib
import functools
import hashlib
import os
import platform
import re
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

LAYERS = "snapml-layers.txt"
"""In the packages' folder of an environment laid over others: those folders, a line each (see ``envs.layered``)."""
_FIELD = re.compile(rb"^(Name|Version):[ \t]*(.+?)[ \t\r]*$", re.MULTILINE)
_HEAD_BYTES = 4096


class Lock(NamedTuple):
    """Every installed distribution with its version, one ``name==version`` a line, and the SHA-256 of it all."""

    sha256: str
    python: str
    packages: str


@functools.cache
def lock() -> Lock:
    """Read the distributions of this interpreter (some 10 milliseconds; once a process)."""
    names: set[str] = set()
    known: set[str] = set()
    for layer in layers():
        found = {f"{name}=={version}" for name, version in _distributions(layer) if name not in known}
        known |= {item.partition("==")[0] for item in found}
        names |= found
    packages = "\n".join(sorted(names))
    python = platform.python_version()
    return Lock(hashlib.sha256(f"{python}\n{packages}".encode()).hexdigest(), python, packages)


def layers() -> list[list[str]]:
    """Return the folders of packages of this interpreter: its own, then those it is laid over."""
    own = list(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))
    with contextlib.suppress(OSError):
        return [own, *([line] for line in Path(own[0], LAYERS).read_text("utf-8").splitlines())]
    return [own]


def _distributions(folders: list[str]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            if entry.name.endswith((".dist-info", ".egg-info")):
                name, version = _named(entry)
                if name:
                    yield name.lower().replace("_", "-"), version


def _named(entry: os.DirEntry[str]) -> tuple[str, str]:
    """Return a distribution's name and version: from the head of its metadata, for reading it all takes 30 times as long."""
    with contextlib.suppress(OSError, KeyError):
        with open(os.path.join(entry.path, "METADATA"), "rb") as file:
            fields = dict(reversed(_FIELD.findall(file.read(_HEAD_BYTES))))
        return fields[b"Name"].decode(), fields[b"Version"].decode()
    found = metadata.Distribution.at(Path(entry.path))
    return found.metadata["Name"] or "", found.metadata["Version"] or ""
