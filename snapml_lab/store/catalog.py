"""The catalog: what a person declares, as TinyDB documents, one file a kind, meant for git.

TinyDB alone loses writes between processes and tears its file when killed. Here a write holds one lock over the
whole read-modify-write, goes to a temporary file, is fsynced and renamed, and the file before it is kept as the last
good copy. Good to some 2,000 documents a kind.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from tinydb.storages import Storage
from tinydb.table import Document, Table

from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError, StoreDamagedError
from snapml_lab.store.files import locked, replace, storage_errors

Fields = dict[str, Any]


class AtomicStorage(Storage):
    """Reads and writes one JSON file: sorted keys, a line a key, whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.backup = path.with_suffix(".json.good")

    def read(self) -> dict[str, dict[str, Any]] | None:
        """Return the file's tables; None where there is no file yet.

        Raises:
            StoreDamagedError: the file is torn or is not a catalog; it is left as it is.
        """
        try:
            content = json.loads(self.path.read_text("utf-8"))
            if not _is_tables(content):
                raise ValueError("it holds something else than documents")
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            if self.backup.exists():
                fix = f"The last good copy is {self.backup}: compare, then copy it over."
            else:
                fix = "There is no copy yet: mend the file by hand, or take it from git."
            raise StoreDamagedError(f"{self.path} is not a whole catalog file: {error}.", fix=fix) from error
        tables: dict[str, dict[str, Any]] = content
        return tables

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        """Replace the file; the one before it becomes the last good copy."""
        content = (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
        if self.path.exists():
            replace(self.backup, self.path.read_bytes())
        replace(self.path, content)


class KindTable(Table):
    """A table with string ids, no query cache, and a lock over each whole read-modify-write."""

    document_id_class = str  # type: ignore[assignment]  # TinyDB documents this override, but types it int
    default_query_cache_capacity = 0

    def __init__(self, storage: AtomicStorage, name: str) -> None:
        super().__init__(storage, name, cache_size=0)
        self._lock_path = storage.path.with_suffix(".lock")

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the file's lock: what is read and written inside is one step."""
        with locked(self._lock_path):
            yield


class Catalog:
    """All kinds of declared things of one workspace, in ``root/<kind>.json``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, kind: str, key: str) -> Fields:
        """Return the document ``key`` of ``kind``.

        Raises:
            NotFoundError: it does not exist; the message offers near names.
        """
        document = self._table(kind).get(doc_id=key)  # type: ignore[call-overload]
        if document is None:
            raise NotFoundError(
                f"There is no {kind.removesuffix('s')} named {key!r}.",
                fix=_suggest(kind, key, self.keys(kind)),
            )
        return dict(document)

    def find(self, kind: str, key: str) -> Fields | None:
        """Return the document ``key`` of ``kind``, or None."""
        document = self._table(kind).get(doc_id=key)  # type: ignore[call-overload]
        return None if document is None else dict(document)

    def keys(self, kind: str) -> list[str]:
        """Return the names of all documents of a kind, sorted."""
        return sorted(str(document.doc_id) for document in self._table(kind).all())

    def all(self, kind: str) -> dict[str, Fields]:
        """Return all documents of a kind by name."""
        return {str(document.doc_id): dict(document) for document in self._table(kind).all()}

    def add(self, kind: str, key: str, fields: Fields) -> None:
        """Add a document.

        Raises:
            ConflictError: the name is taken.
        """
        table = self._table(kind)
        with table.exclusive():
            if table.contains(doc_id=key):  # type: ignore[arg-type]
                raise ConflictError(
                    f"A {kind} named {key!r} exists.", fix="Choose another name, or remove that one first."
                )
            table.insert(Document(fields, doc_id=key))  # type: ignore[arg-type]

    def change(self, kind: str, key: str, change: Callable[[Fields | None], Fields]) -> Fields:
        """Replace a document by what ``change`` makes of it (None where it is new), in one locked step."""
        table = self._table(kind)
        with table.exclusive():
            current = table.get(doc_id=key)  # type: ignore[call-overload]
            fields = change(None if current is None else deepcopy(dict(current)))
            if current is None:
                table.insert(Document(fields, doc_id=key))  # type: ignore[arg-type]
            elif fields != current:
                table.update(_replacing(fields), doc_ids=[key])  # type: ignore[list-item]
            return fields

    def remove(self, kind: str, key: str) -> Fields:
        """Remove a document and return what it was.

        Raises:
            NotFoundError: it does not exist.
        """
        table = self._table(kind)
        with table.exclusive():
            fields = self.get(kind, key)
            table.remove(doc_ids=[key])  # type: ignore[list-item]
            return fields

    def _table(self, kind: str) -> KindTable:
        if not kind.isidentifier():
            raise InvalidInputError.of("kind", kind, "a plain word")
        with storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        return KindTable(AtomicStorage(self.root / f"{kind}.json"), kind)


def _is_tables(content: object) -> bool:
    """Say whether a file's content is what TinyDB keeps: tables of documents, each an object."""
    return isinstance(content, dict) and all(
        isinstance(table, dict) and all(isinstance(document, dict) for document in table.values())
        for table in content.values()
    )


def _replacing(fields: Fields) -> Callable[[Mapping[Any, Any]], None]:
    def replace_all(document: Mapping[Any, Any]) -> None:
        assert isinstance(document, dict)
        document.clear()
        document.update(fields)

    return replace_all


def _suggest(kind: str, key: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(key, known, n=3)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    return f"Known: {', '.join(known[:8])}." if known else f"There is no {kind} yet."
