"""How a payload speaks: lines appended to ``events.jsonl``. Standard library only; works in any environment."""

import errno
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DIRECTORY = "SNAPML_JOB_DIR"
JOB = "SNAPML_JOB_ID"
NONCE = "SNAPML_JOB_NONCE"
ATTEMPT = "SNAPML_JOB_ATTEMPT"
"""1 at a job's first start; a payload that was started before may go on from what it left."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Reporter:
    """Appends events to a job's file; each call is one ``write``, durable against a killed process.

    Args:
        path: the ``events.jsonl`` to append to.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._torn = False

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def progress(self, value: float, message: str = "") -> None:
        """Say how far the work is: ``value`` in [0, 1], and what is being done."""
        self._append("progress", value=min(max(value, 0.0), 1.0), message=message)

    def ready(self) -> None:
        """Say that a service answers: after a real request has come back."""
        self._append("ready")

    def message(self, text: str) -> None:
        """Say what is being done."""
        self._append("message", text=text)

    def param(self, name: str, value: object, *, run: str | None = None) -> None:
        """Record a parameter of the job's run, or of a nested ``run``."""
        self._append("param", name=name, value=value, run=run)

    def metric(self, name: str, value: float, *, step: int = 0, run: str | None = None) -> None:
        """Record a metric at a step of the job's run, or of a nested ``run``."""
        self._append("metric", name=name, value=value if math.isfinite(value) else None, step=step, run=run)

    def metrics(self, values: Mapping[str, float | None], *, step: int) -> None:
        """Record several metrics of one step at once; None is a value that is no number.

        Raises:
            OSError: the disk is full; what was written of the line costs no other line.
        """
        line = _encode({"type": "metrics", "at": time.time(), "step": step, "values": values})
        self._write(line.encode() + b"\n")

    def tag(self, name: str, value: object) -> None:
        """Set a tag of the run."""
        self._append("tag", name=name, value=str(value))

    def artifact(self, name: str, *, blob: str, size: int, folder: bool = False) -> None:
        """Name a file or folder, kept among the blobs, that belongs to the run."""
        self._append("artifact", name=name, blob=blob, size=size, folder=folder)

    def end(self, state: str) -> None:
        """Say how a run that is no job's ended."""
        self._append("end", state=state)

    def run(
        self,
        identifier: str,
        *,
        kind: str,
        name: str,
        params: Mapping[str, object],
        metrics: Mapping[str, float],
    ) -> None:
        """Record a whole nested run (a trial) under the job's run."""
        finite = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
        self._append("run", run=identifier, kind=kind, name=name, params=dict(params), metrics=finite)

    def model(
        self,
        path: str,
        *,
        name: str,
        format: str,  # noqa: A002 - the field's own word
        task: str,
        signature: Mapping[str, Any],
        evidence: Mapping[str, Any],
        example: str | None = None,
    ) -> None:
        """Record a file under ``artifacts/`` as a new version of the model ``name``; ``example``: SHA-256 of rows it reads."""
        self._append(
            "model",
            path=path,
            name=name,
            format=format,
            task=task,
            signature=dict(signature),
            evidence=dict(evidence),
            example=example,
        )

    def _append(self, type_: str, /, **fields: object) -> None:
        present = {key: value for key, value in fields.items() if value is not None}
        line = json.dumps({"type": type_, "at": time.time(), **present}, default=str) + "\n"
        self._write(line.encode())

    def _write(self, line: bytes) -> None:
        """Append a line; one that is cut short by a full disk is ended, so that it costs only itself."""
        if self._torn:
            line = b"\n" + line
        written = os.write(self._descriptor, line)
        self._torn = written < len(line)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
