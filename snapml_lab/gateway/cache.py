"""Answers that are given again to the very same request, for as long as a deployment says. In memory, bounded."""

import hashlib
import json
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

_MOST_BYTES = 64 << 20
_NOT_ASKED = (
    "stream",
    "stream_options",
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
)
"""Fields that change nothing of an answer."""


@dataclass
class Answers:
    """What was answered, the longest unused forgotten first."""

    _held: "OrderedDict[bytes, tuple[float, bytes]]" = field(default_factory=OrderedDict)
    _bytes: int = 0

    def get(self, key: bytes) -> dict[str, Any] | None:
        """Return an answer that still stands."""
        found = self._held.get(key)
        if found is None:
            return None
        until, content = found
        if time.monotonic() >= until:
            self._drop(key)
            return None
        self._held.move_to_end(key)
        answer: dict[str, Any] = json.loads(content)
        return answer

    def put(self, key: bytes, answer: dict[str, Any], seconds: float) -> None:
        """Remember an answer."""
        content = json.dumps(answer).encode()
        if len(content) > _MOST_BYTES // 16:
            return
        self._drop(key)
        self._held[key] = (time.monotonic() + seconds, content)
        self._bytes += len(content)
        while self._bytes > _MOST_BYTES:
            self._drop(next(iter(self._held)))

    def _drop(self, key: bytes) -> None:
        found = self._held.pop(key, None)
        if found is not None:
            self._bytes -= len(found[1])


def key_of(body: dict[str, Any], *what: Any) -> bytes:
    """Return what the very same request has in common: its body and what answers it (models, policy, route)."""
    asked = {name: value for name, value in body.items() if name not in _NOT_ASKED}
    return hashlib.sha256(json.dumps([asked, *what], sort_keys=True, default=repr).encode()).digest()
