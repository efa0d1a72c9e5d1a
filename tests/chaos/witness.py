"""What happened, seen from outside of the product: the evidence file, ``/proc``, and the ledger as plain SQLite."""

import contextlib
import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


def evidence(path: Path) -> list[dict[str, Any]]:
    """Return the lines of an evidence file; one that a killed process left torn is passed over."""
    found = []
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def rows(root: Path, sql: str, *values: object) -> list[dict[str, Any]]:
    """Ask the ledger of a workspace without the product; none where there is no ledger yet."""
    path = root / "ledger.db"
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql, values)]
    except sqlite3.DatabaseError:  # it is being made, or damaged
        return []
    finally:
        connection.close()


def damage(root: Path) -> list[str]:
    """Return what is wrong with the ledger of a workspace; nothing where there is no ledger."""
    path = root / "ledger.db"
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    try:
        found = [line for (line,) in connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    finally:
        connection.close()
    return [] if found == ["ok"] else found


def command_lines() -> Iterator[tuple[int, list[bytes]]]:
    """Yield each living process with its command line; a zombie has none."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{name}/cmdline").read_bytes()
                if line and int(name) != os.getpid() and not dead(int(name)):
                    yield int(name), line.split(b"\0")


def dead(pid: int) -> bool:
    """Say whether a process is gone or a zombie."""
    fields = _stat(pid)
    return not fields or fields[0] in (b"Z", b"X")


def bearing(mark: str) -> list[int]:
    """Return the living processes that have a word in their command line."""
    return [pid for pid, line in command_lines() if mark.encode() in line]


class Keepers(NamedTuple):
    """The processes that keep a job: the one that was started, the guard it leaves behind, and the shim below that."""

    first: list[int]
    guard: list[int]
    shim: list[int]

    @property
    def all(self) -> list[int]:
        """All of them."""
        return [*self.first, *self.guard, *self.shim]


def keepers(job: str) -> Keepers:
    """Return the keepers of a job, from their command lines; a payload on its way to exec still has theirs."""
    found = [
        pid
        for pid, line in command_lines()
        if job.encode() in line and any(word.endswith(b"/jobs/shim.py") for word in line)
    ]
    first = [pid for pid in found if session(pid) == pid and parent(pid) not in found]
    guard = [pid for pid in found if session(pid) != pid and parent(pid) not in set(found).difference(first)]
    shim = [pid for pid in found if session(pid) != pid and parent(pid) in guard]
    return Keepers(first, guard, shim)


def locked(path: Path) -> bool:
    """Say whether somebody holds a lock on a file."""
    with contextlib.suppress(OSError):
        return f":{path.stat().st_ino} " in Path("/proc/locks").read_text()
    return False


def parent(pid: int) -> int:
    """Return a process's parent; 0 if it is gone."""
    return _field(pid, 1)


def session(pid: int) -> int:
    """Return a process's session; 0 if it is gone."""
    return _field(pid, 3)


def started(pid: int) -> int:
    """Return when a process started, in ticks since boot; 0 if it is gone."""
    return _field(pid, 19)


def _field(pid: int, index: int) -> int:
    fields = _stat(pid)
    return int(fields[index]) if fields else 0


def _stat(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return []


def mentioning(word: str) -> list[int]:
    """Return the living processes whose command line or environment contains a text."""
    found = []
    for pid, line in command_lines():
        environment = b""
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        if any(word.encode() in part for part in (*line, environment)):
            found.append(pid)
    return found


def described(pid: int) -> str:
    """Say what a process is: state, parent, session and command line."""
    line = dict(command_lines()).get(pid, [])
    words = b" ".join(line).decode(errors="replace")
    return f"{pid} {b' '.join(_stat(pid)[:4]).decode()} {words[-300:]}"


def resident(pid: int) -> int:
    """Return a process's resident memory in bytes; 0 if it is gone."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def send(pids: list[int], number: int) -> list[int]:
    """Send a signal; return who was there to get it."""
    reached = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            reached.append(pid)
    return reached


def end(pids: list[int]) -> None:
    """Kill, stopped ones too."""
    send(pids, signal.SIGKILL)
