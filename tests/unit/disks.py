"""A disk that a test can fill."""

import errno
from pathlib import Path


class SmallDisk:
    """A file system of its own, of half a megabyte."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leave no byte free."""
        chunk = 1 << 16
        with self._ballast.open("ab", buffering=0) as file:
            while chunk:
                try:
                    file.write(b"x" * chunk)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    chunk //= 2

    def free(self) -> None:
        """Make room again."""
        self._ballast.unlink()
