"""The time, always UTC; one place to ask, so that tests can move it."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Return milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def now() -> float:
    """Return seconds since the Unix epoch."""
    return time.time()


def boot() -> float:
    """Return seconds since the machine started, the same in all its processes: nobody can set this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def iso(seconds: float) -> str:
    """Write an instant (seconds since the epoch) as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def human(seconds: float) -> str:
    """Write a duration (seconds) as a person would: ``850 ms``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 0.9995:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
