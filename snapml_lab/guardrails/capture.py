"""Capture, where a person has asked for it: a sample of requests and answers, redacted, kept for some days.

A deployment's settings are in the catalog; what is kept is in ``.snapml/captures/<deployment>/<day>.jsonl``, a line a request,
readable by this account alone. A text that cannot be redacted is not kept.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.guardrails.detectors import SINGLE
from snapml_lab.guardrails.guard import Guard
from snapml_lab.guardrails.policies import Action, Policy, Rule, Where
from snapml_lab.store.files import locked, storage_errors
from snapml_lab.workspace import Workspace

KIND = "captures"
REDACTED = ("secrets", "pii")
_DAY = 86_400.0
_NAME = 200
_DEEPEST = 40


@dataclass(frozen=True)
class Settings:
    """What is kept of one deployment.

    Attributes:
        share: of the requests, above 0 to 1; which ones is decided by their ids, the same each time.
        redact: detectors whose finds are masked before anything is written.
        days: after so many it is removed.
        on: whether anything is kept from now on; what is there already stays for its days.
    """

    deployment: str
    share: float = 1.0
    redact: tuple[str, ...] = REDACTED
    days: int = 30
    on: bool = True


@dataclass(frozen=True)
class Captured:
    """One request and its answer, redacted; ``at`` is seconds since the epoch, ``masked`` how many places were."""

    id: str
    at: float
    deployment: str
    request: dict[str, Any]
    answer: Any
    masked: int


def declare(ws: Workspace, settings: Settings) -> Settings:
    """Set what is kept of a deployment.

    Raises:
        InvalidInputError: a setting is not what it must be.
    """
    _checked(settings)
    fields = {**asdict(settings), "redact": list(settings.redact)}
    del fields["deployment"]
    ws.catalog.change(KIND, settings.deployment, lambda _: fields)
    return settings


def stop(ws: Workspace, deployment: str) -> Settings:
    """Keep nothing more of a deployment; what there is stays for its days.

    Raises:
        NotFoundError: nothing was ever kept of it.
    """
    found = get(ws, deployment)
    if found is None:
        raise NotFoundError(
            f"Nothing is captured of {deployment!r}.", fix=f"Begin: snapml capture on {deployment}"
        )
    return declare(ws, Settings(**{**vars(found), "on": False}))


def get(ws: Workspace, deployment: str) -> Settings | None:
    """Return the settings of a deployment, None where it has none."""
    fields = ws.catalog.find(KIND, deployment)
    return None if fields is None else _of(deployment, fields)


def every(ws: Workspace) -> list[Settings]:
    """Return all settings by deployment."""
    return [_of(name, fields) for name, fields in sorted(ws.catalog.all(KIND).items())]


def sampled(request: str, share: float) -> bool:
    """Say whether a request is of the sample: by its id alone, so that all who ask get the same answer."""
    number = int.from_bytes(hashlib.sha256(request.encode()).digest()[:8], "big")
    return number < share * 2**64


class Capturer:
    """Keeps what is to be kept by one deployment's settings; made once, good for any number of requests."""

    def __init__(self, ws: Workspace, settings: Settings) -> None:
        self.ws, self.settings = ws, _checked(settings)
        rules = tuple(Rule(name, Action.MASK, Where.INPUT) for name in settings.redact)
        self._guard = Guard(Policy("capture", rules)) if rules else None

    def record(
        self, request_id: str, at: float, request: dict[str, Any], answer: str | dict[str, Any]
    ) -> bool:
        """Keep a request and its answer, if it is of the sample; say whether it was kept.

        Raises:
            StorageError: the disk is full, or refuses to write.
        """
        if not self.settings.on or not sampled(request_id, self.settings.share):
            return False
        counts = [0]
        fields = {
            "id": request_id, "at": at, "deployment": self.settings.deployment, "request": self._clean(request, counts),
            "answer": self._clean(answer, counts), "masked": counts[0],
        }  # fmt: skip
        folder = place(self.ws, self.settings.deployment)
        day = datetime.fromtimestamp(at, UTC).date().isoformat()
        _append(folder / f"{day}.jsonl", json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace"))
        return True

    def _clean(self, value: Any, counts: list[int], depth: int = 0) -> Any:
        """Mask in every text of a value, names of fields included."""
        if depth > _DEEPEST:
            return "[too deep]"
        if isinstance(value, str):
            return self._masked(value, counts)
        if isinstance(value, dict):
            return {
                self._masked(str(name), counts): self._clean(item, counts, depth + 1)
                for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._clean(item, counts, depth + 1) for item in value]
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**7:
            masked = self._masked(str(value), counts)  # a card's number need not be a text
            return value if masked == str(value) else masked
        return value

    def _masked(self, text: str, counts: list[int]) -> str:
        if self._guard is None:
            return text
        verdict = self._guard.input([text])
        if verdict.blocked:
            return "[could not be redacted]"  # a detector failed
        counts[0] += sum(found.count for found in verdict.findings)
        return verdict.texts[0]


def read(ws: Workspace, deployment: str, *, limit: int | None = None) -> list[Captured]:
    """Return what was kept of a deployment, newest first; a line that a kill has torn is passed over."""
    found: list[Captured] = []
    for path in sorted(place(ws, deployment).glob("*.jsonl"), reverse=True):
        lines = list(_lines(path))
        found += reversed(lines)
        if limit is not None and len(found) >= limit:
            return found[:limit]
    return found


def count(ws: Workspace, deployment: str) -> int:
    """Return how many are kept of a deployment."""
    return sum(path.read_bytes().count(b"\n") for path in place(ws, deployment).glob("*.jsonl"))


def sweep(ws: Workspace, now: float) -> int:
    """Remove the days that are older than their deployment's settings have it; return how many files went.

    What is left of a deployment whose settings are gone is removed whole: nobody says how long it may be kept.
    """
    removed = 0
    kept = {place(ws, settings.deployment).name: settings.days for settings in every(ws)}
    for folder in sorted((ws.root / KIND).glob("*")):
        days = kept.get(folder.name, 0)
        for path in sorted(folder.glob("*.jsonl")):
            try:
                begun = datetime.fromisoformat(path.stem).replace(tzinfo=UTC).timestamp()
            except ValueError:
                continue
            if begun + _DAY * (days + 1) <= now or folder.name not in kept:
                path.unlink(missing_ok=True)
                removed += 1
    return removed


def chat(captured: Captured) -> dict[str, Any] | None:
    """Return a conversation as fine-tuning takes it (``finetune/records.py``); None where it is none of text alone."""
    turns = captured.request.get("messages")
    if turns is None and isinstance(captured.request.get("prompt"), str):
        turns = [{"role": "user", "content": captured.request["prompt"]}]
    said = captured.answer
    if isinstance(said, dict):
        choices = said.get("choices")
        first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        message = first.get("message")
        said = message.get("content") if isinstance(message, dict) else first.get("text")
    if not isinstance(turns, list) or not isinstance(said, str) or not said.strip():
        return None
    messages = [_turn(turn) for turn in turns]
    if None in messages:
        return None
    return {"messages": [*messages, {"role": "assistant", "content": said}]}


def _turn(turn: Any) -> dict[str, str] | None:
    """Return a turn of text; ``developer`` is what others call ``system``."""
    if not isinstance(turn, dict) or turn.get("tool_calls"):
        return None
    role, content = turn.get("role"), turn.get("content")
    role = "system" if role == "developer" else role
    if isinstance(content, list):
        if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
            return None
        content = "".join(part["text"] for part in content)
    if role not in ("system", "user", "assistant") or not isinstance(content, str):
        return None
    return {"role": role, "content": content}


def place(ws: Workspace, deployment: str) -> Path:
    """Return a deployment's folder; its name is the deployment's as a path can have it, and never another's."""
    name = quote(deployment, safe="-_ ").replace(".", "%2E")
    if len(name) > _NAME:
        name = f"{name[:_NAME]}~{hashlib.sha256(deployment.encode()).hexdigest()[:16]}"
    return ws.root / KIND / name


def _append(path: Path, line: bytes) -> None:
    """Append a whole line; after one that a kill has torn, on a line of its own."""
    with storage_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(path.parent / "lock"):
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
                content = (b"\n" if torn else b"") + line + b"\n"
                while content:
                    content = content[os.write(descriptor, content) :]
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
            finally:
                os.close(descriptor)


def _lines(path: Path) -> Iterator[Captured]:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            with contextlib.suppress(ValueError, TypeError):
                yield Captured(**json.loads(line))


def _of(deployment: str, fields: dict[str, Any]) -> Settings:
    """Read settings; a file may have been edited by hand."""
    try:
        return _checked(Settings(deployment, **{**fields, "redact": tuple(fields.get("redact", REDACTED))}))
    except TypeError as error:
        raise InvalidInputError(
            f"captures: {deployment}: {error}.", fix="Mend catalog/captures.json."
        ) from error


def _checked(settings: Settings) -> Settings:
    if not isinstance(settings.share, int | float) or not 0 < settings.share <= 1:
        raise InvalidInputError.of("share", settings.share, "a share of the requests, above 0, at most 1")
    if type(settings.days) is not int or not 1 <= settings.days <= 3650:
        raise InvalidInputError.of("days", settings.days, "a whole number of days, 1 to 3650")
    if wrong := [name for name in settings.redact if name not in (*REDACTED, *SINGLE)]:
        raise InvalidInputError.of("redact", wrong[0], f"some of {', '.join((*REDACTED, *SINGLE))}")
    return settings
