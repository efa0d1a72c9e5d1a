"""A training that does nothing but hold memory of a (fake) GPU: what a test submits as a job or a service."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from pynvml import Memory


def main() -> None:
    """Take memory, hold it, tell how far it is."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=0.0, help="hold it this long")
    parser.add_argument("--until", type=Path, help="hold it until this file is there")
    parser.add_argument("--ready", action="store_true", help="say that it is ready, as a service does")
    parser.add_argument(
        "--leave", type=Path, help="leave a child that holds the memory until this file is there"
    )
    options = parser.parse_args()
    if options.leave is not None and os.environ.get("FAKE_TRAINING_LEFT") is None:
        environment = {**os.environ, "FAKE_TRAINING_LEFT": "1"}
        subprocess.Popen([sys.executable, *sys.argv, f"--until={options.leave}"], env=environment)
        time.sleep(options.seconds)
        return
    Memory().take(options.mib)
    print(f"holds {options.mib} MiB", flush=True)
    if options.ready:
        _tell("ready")
    end = time.monotonic() + options.seconds
    while time.monotonic() < end or (options.until is not None and not options.until.exists()):
        if options.seconds and not options.ready:
            _tell(
                "progress", value=min(1 - (end - time.monotonic()) / options.seconds, 1.0), message="training"
            )
        time.sleep(0.1)


def _tell(kind: str, **fields: object) -> None:
    with (Path(os.environ["SNAPML_JOB_DIR"]) / "events.jsonl").open("a") as file:
        file.write(json.dumps({"type": kind, "at": time.time(), **fields}) + "\n")


if __name__ == "__main__":
    main()
