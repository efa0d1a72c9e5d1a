"""What the suite's jobs run. A program of its own that knows nothing of the product: ``payloads.py MARK EVIDENCE ORDERS``.

It says ``start`` and ``done`` in an evidence file, and every process of its tree has ``MARK`` as a word of its command
line, so that it can be found whatever its parent, session or environment. Nothing it starts lives longer than
``_LONGEST`` seconds, nor are there ever more than 200 of them.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time

_LONGEST = 90.0
_STORM = 40
"""Chains of a fork storm: each is one process, two while it forks."""
_STORM_SECONDS = 8.0
_PIECE = b"0123456789abcde\n" * 4096


def main() -> None:
    """Do what ``ORDERS`` says: ``{"kind", "seconds", "code", "bytes", "metrics", "pace"}``."""
    mark, evidence, orders = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    told = os.open(evidence, os.O_WRONLY | os.O_APPEND)

    def say(what: str, **more: object) -> None:
        line = {"what": what, "mark": mark, "pid": os.getpid(), "at": time.monotonic(), **more}
        os.write(told, json.dumps(line).encode() + b"\n")

    if orders["kind"] == "sleeper":
        say("child")
        time.sleep(_LONGEST)
        return
    say("start", others=_others(mark))
    KINDS[orders["kind"]](orders, say)
    time.sleep(min(orders["seconds"], _LONGEST))
    say("done", code=orders["code"])
    os._exit(orders["code"])


def _others(mark: str) -> list[str]:
    """Return who else carries the mark, by what they do: processes of an earlier start that are still alive."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file, open(f"/proc/{name}/stat", "rb") as stat:
                    words = file.read().split(b"\0")
                    if mark.encode() in words and stat.read().rpartition(b")")[2].split()[0] != b"Z":
                        found.append(json.loads(words[-2])["kind"])
            except OSError:
                continue
    return found


def plain(_orders, _say):
    """Only sleep, and end with the code."""


def tree(_orders, say):
    """Leave a grandchild in a session of its own, whose parent is gone."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            say("child")
            time.sleep(_LONGEST)
        os._exit(0)
    os.wait()


def shed(orders, say):
    """Leave children that have shed environment and session, and one of them its output, besides what ``tree`` leaves."""
    tree(orders, say)
    argv = [sys.executable, "-I", "-S", *sys.argv[:3], json.dumps({**orders, "kind": "sleeper"})]
    subprocess.Popen(argv, env={}, start_new_session=True)
    subprocess.Popen(
        argv, env={}, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def deaf(orders, say):
    """Heed no SIGTERM, nor does the grandchild."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tree(orders, say)


def teller(orders, _say):
    """Report metrics, one line each."""
    path = os.path.join(os.environ["SNAPML_JOB_DIR"], "events.jsonl")
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for step in range(orders["metrics"]):
        event = {"type": "metric", "name": "count", "value": step, "step": step, "at": time.time()}
        os.write(file, json.dumps(event).encode() + b"\n")
        time.sleep(0.002)


def service(orders, say):
    """Say that it is ready, as an endpoint does, and stay."""
    tree(orders, say)
    with open(os.path.join(os.environ["SNAPML_JOB_DIR"], "events.jsonl"), "a") as file:
        file.write(json.dumps({"type": "ready", "at": time.time()}) + "\n")
    time.sleep(_LONGEST)


def flood(orders, _say):
    """Print many bytes to both streams."""
    for number in range(orders["bytes"] // len(_PIECE)):
        os.write(1 + number % 2, _PIECE)


def storm(orders, _say):
    """Breed chains of processes, each forking the next and ending, until the time is up."""
    resource.setrlimit(resource.RLIMIT_NPROC, (200, 200))
    end = time.monotonic() + _STORM_SECONDS
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for number in range(_STORM):
        try:
            child = os.fork()
        except BlockingIOError:  # as many as it may have are alive, or dead and not yet waited for
            time.sleep(orders["pace"])
            continue
        if child == 0:
            _chain(orders["pace"], end, apart=bool(number % 2))


def _chain(pace, end, *, apart):
    """Fork the next and end, over and over; or end where no more can be forked."""
    try:
        if apart:
            os.setsid()
        while time.monotonic() < end:
            time.sleep(pace)
            if os.fork():
                break
    finally:
        os._exit(0)


KINDS = {
    "plain": plain, "tree": tree, "shed": shed, "deaf": deaf, "teller": teller, "service": service, "flood": flood,
    "storm": storm,
}  # fmt: skip

if __name__ == "__main__":
    main()
