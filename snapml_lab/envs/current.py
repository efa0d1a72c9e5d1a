"""The environment this process runs in, as a lock that two runs can be compared by."""

import functools
import hashlib
import platform
import sysconfig
from importlib import metadata
from typing import NamedTuple


class Lock(NamedTuple):
    """Every installed distribution with its version, one ``name==version`` a line, and the SHA-256 of it all."""

    sha256: str
    python: str
    packages: str


@functools.cache
def lock() -> Lock:
    """Read the distributions of this interpreter (tens of milliseconds; once a process)."""
    names = {
        f"{(item.name or '').lower().replace('_', '-')}=={item.version}"
        for item in metadata.distributions(
            path=[sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        )
    }
    packages = "\n".join(sorted(names))
    python = platform.python_version()
    return Lock(hashlib.sha256(f"{python}\n{packages}".encode()).hexdigest(), python, packages)
