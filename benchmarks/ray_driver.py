"""Runs in Ray's environment: starts a head, and submits jobs as it is told on stdin, an answer a line on stdout.

Where it runs in a network of its own (``unshare``), it first brings up loopback, which is all there is.
"""

import contextlib
import fcntl
import json
import os
import queue
import shlex
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
_JOB_SECONDS = 900.0


def main(folder: Path) -> None:
    if os.getpid() == 1:
        be_init()
    with contextlib.suppress(OSError):  # it is up already, where the network is everybody's
        loopback_up()
    with (folder / "head.log").open("wb") as log:
        subprocess.Popen(
            [
                Path(sys.executable).with_name("ray"), "start", "--head", "--block", "--num-cpus=2",
                "--include-dashboard=true", "--dashboard-host=127.0.0.1", "--object-store-memory=104857600",
                "--disable-usage-stats", f"--temp-dir={folder}",
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    client = connect(60.0)
    print(json.dumps("up"), flush=True)
    told: queue.Queue[str] = queue.Queue()
    threading.Thread(target=listen, args=(told,), daemon=True).start()
    while True:
        argv, number = json.loads(told.get())
        print(json.dumps(run(client, shlex.join(argv), number)), flush=True)


def listen(told: "queue.Queue[str]") -> None:
    """Pass on what is asked; end with whoever asks, even in the midst of a run."""
    for line in sys.stdin:
        told.put(line)
    os._exit(0)


def be_init() -> None:
    """Go on in a child, and collect what is orphaned to the first process of a process namespace."""
    child = os.fork()
    if child == 0:
        return
    while True:
        ended, _ = os.wait()
        if ended == child:
            sys.exit()


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack_from("h", answer, 16)[0]
        if not flags & _UP:
            fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


def connect(patience: float) -> Any:
    from ray.job_submission import JobSubmissionClient

    deadline = time.monotonic() + patience
    while True:
        try:
            return JobSubmissionClient("http://127.0.0.1:8265")
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def run(client: Any, entrypoint: str, number: int) -> dict[str, float]:
    """Submit a job a number of times, wait for all, and say when it began, when the last ended and how many failed."""
    begun = time.time()
    jobs = [client.submit_job(entrypoint=entrypoint) for _ in range(number)]
    ended, failed = 0.0, 0
    deadline = time.monotonic() + _JOB_SECONDS
    for job in jobs:
        while not (status := client.get_job_status(job)).is_terminal() and time.monotonic() < deadline:
            time.sleep(0.05)
        failed += str(status) != "SUCCEEDED"
        ended = max(ended, (client.get_job_info(job).end_time or 0) / 1000)
    return {"begun": begun, "ended": ended, "failed": failed}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
