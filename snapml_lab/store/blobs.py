"""Large things by their SHA-256, under ``artifacts/``. Standard library only."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from snapml_lab.errors import NotFoundError, StoreDamagedError
from snapml_lab.store.files import storage_errors

_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """Content-addressed files in ``root/ab/cdef…``; a blob is written once and never changed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, source: Path | bytes) -> tuple[str, int]:
        """Copy a file, or bytes, in and return (sha256, size in bytes). The same content is kept once.

        Raises:
            StorageError: the disk is full; nothing is left behind.
        """
        with storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self.root, prefix=".incoming.")
            digest, size = hashlib.sha256(), 0
            try:
                with os.fdopen(descriptor, "wb") as target:
                    if isinstance(source, bytes):
                        digest.update(source)
                        size = target.write(source)
                    else:
                        with source.open("rb") as file:
                            while chunk := file.read(_CHUNK):
                                digest.update(chunk)
                                size += target.write(chunk)
                    target.flush()
                    os.fsync(target.fileno())
                name = digest.hexdigest()
                final = self._place(name)
                final.parent.mkdir(exist_ok=True)
                os.chmod(temporary, 0o444)
                os.replace(temporary, final)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        return name, size

    def put_folder(self, source: Path) -> tuple[str, int]:
        """Copy a folder in, file by file, and return (sha256 of its manifest, size in bytes of all files).

        The manifest is JSON: ``{"files": {relative path: sha256}}``. Files that are links are left out.
        """
        files: dict[str, str] = {}
        total = 0
        for path in sorted(source.rglob("*")):
            if path.is_file() and not path.is_symlink():
                files[path.relative_to(source).as_posix()], size = self.put(path)
                total += size
        manifest, _ = self.put(json.dumps({"files": files}, sort_keys=True).encode())
        return manifest, total

    def folder(self, sha256: str, target: Path, *, linked: bool = True) -> Path:
        """Lay out a kept folder at ``target``, as links to the blobs where the disk allows; return ``target``.

        Without ``linked`` the files are copies, which may be changed.

        Raises:
            NotFoundError: a file of it is missing.
            StoreDamagedError: its manifest is not whole, or names a path outside of the folder.
        """
        manifest = json.loads(self.verified(sha256))
        if target.is_dir():
            return target
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            incoming = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
            try:
                self._lay_out(sha256, manifest["files"], incoming, linked=linked)
            except BaseException:
                shutil.rmtree(incoming)
                raise
            try:
                incoming.rename(target)
            except OSError:  # another process was faster
                shutil.rmtree(incoming)
        return target

    def path(self, sha256: str) -> Path:
        """Return where a blob lies.

        Raises:
            NotFoundError: there is no such blob.
        """
        place = self._place(sha256)
        if not _SHA256.fullmatch(sha256) or not place.is_file():
            raise NotFoundError(
                f"The file with content {sha256[:12]} is not in {self.root}.",
                fix="Copy the workspace again, artifacts/ included.",
            )
        return place

    def verified(self, sha256: str) -> bytes:
        """Read a blob and check that it is what its name says.

        Raises:
            NotFoundError: there is no such blob.
            StoreDamagedError: its content has changed.
        """
        content = self.path(sha256).read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StoreDamagedError(
                f"{self.path(sha256)} no longer holds what was stored.",
                fix="Restore it from a copy of the workspace, or make it again.",
            )
        return content

    def _lay_out(self, sha256: str, files: dict[str, str], folder: Path, *, linked: bool) -> None:
        for name, blob in files.items():
            place = (folder / name).resolve()
            if not place.is_relative_to(folder.resolve()):
                raise StoreDamagedError(
                    f"The folder {sha256[:12]} names {name!r}, outside of it.", fix="Make it again."
                )
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                if not linked:
                    raise OSError("a copy is wanted")
                os.link(self.path(blob), place)
            except OSError:
                shutil.copyfile(self.path(blob), place)

    def _place(self, sha256: str) -> Path:
        return self.root / sha256[:2] / sha256[2:]
