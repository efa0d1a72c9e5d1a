"""How much of the gateway a key may use at once: requests and tokens a minute, requests under way. In memory.

Token buckets (Turner, "New Directions in Communications", IEEE Communications Magazine 24 (1986)): full at first, refilled
evenly. A gateway that starts again begins with full ones.
"""

import time
from dataclasses import dataclass, field

from snapml_lab.errors import SnapmlError
from snapml_lab.governance.keys import Key

_MOST_OPEN = 4096
"""Requests under way, of all keys: beyond that callers are asked to come again, rather than all be slow."""


class LimitedError(SnapmlError):
    """A limit is reached for now; ``wait`` is in how many seconds to come again."""

    code = "rate_limit_exceeded"

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message, fix="Come again later, or ask for a key with more room: snapml keys create")
        self.wait = wait


@dataclass
class _Bucket:
    """``size`` a minute: what is left, and when that was."""

    size: int
    left: float
    at: float

    def refill(self, now: float) -> None:
        self.left = min(float(self.size), self.left + (now - self.at) * self.size / 60)
        self.at = now

    def wait(self, wanted: float) -> float:
        """Return the seconds until so much is there."""
        return max((wanted - self.left) * 60 / self.size, 0.0)


@dataclass
class _Used:
    requests: _Bucket | None
    tokens: _Bucket | None
    open: int = 0


@dataclass
class Limits:
    """What each key has used lately."""

    open: int = 0
    _keys: dict[str, _Used] = field(default_factory=dict)

    def enter(self, key: Key) -> None:
        """Let a request in; :meth:`leave` is owed for it.

        Raises:
            LimitedError: a limit is reached.
        """
        if self.open >= _MOST_OPEN:
            raise LimitedError(f"The gateway has {self.open:,} requests under way, which is its most.", 1.0)
        terms, now = key.terms, time.monotonic()
        used = self._keys.get(key.id)
        if used is None:
            used = self._keys[key.id] = _Used(None, None)
        used.requests = _sized(used.requests, terms.requests_per_minute, now)
        used.tokens = _sized(used.tokens, terms.tokens_per_minute, now)
        if terms.concurrency is not None and used.open >= terms.concurrency:
            raise LimitedError(
                f"The key {key.name} has {used.open} requests under way, which is its most.", 1.0
            )
        if used.tokens is not None and used.tokens.left <= 0:
            raise LimitedError(
                f"The key {key.name} has used its {used.tokens.size:,} tokens a minute.", used.tokens.wait(1)
            )
        if used.requests is not None:
            if used.requests.left < 1:
                raise LimitedError(
                    f"The key {key.name} has used its {used.requests.size:,} requests a minute.",
                    used.requests.wait(1),
                )
            used.requests.left -= 1
        used.open += 1
        self.open += 1

    def leave(self, key: Key, tokens: int) -> None:
        """Have a request that was let in leave, having read and written so many tokens."""
        self.open -= 1
        used = self._keys[key.id]
        used.open -= 1
        if used.tokens is not None:
            used.tokens.refill(time.monotonic())
            used.tokens.left -= tokens


def _sized(bucket: _Bucket | None, size: int | None, now: float) -> _Bucket | None:
    """Return a bucket refilled until now; a new one where there was none, or its size is another."""
    if size is None:
        return None
    if bucket is None or bucket.size != size:
        return _Bucket(size, float(size), now)
    bucket.refill(now)
    return bucket
