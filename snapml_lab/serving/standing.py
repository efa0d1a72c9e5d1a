"""Keeps all that a workspace declares served, in the foreground: what an exported folder's start script runs."""

import json
import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

from snapml_lab.engines import replicas, services
from snapml_lab.errors import SnapmlError
from snapml_lab.governance.roles import account
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Job
from snapml_lab.jobs.tick import tick
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.store.files import try_lock
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace, open_workspace

_LOOK_SECONDS = 1.0

_log = logging.getLogger("snapml")


def main(host: str, port: int) -> int:
    """Serve until SIGTERM or SIGINT; return 0, or 1 where something could not be started or ended.

    What was killed here together with all that watched over it stands in the ledger as alive: it is ended first.

    Args:
        host: the address the gateway listens on.
        port: and the port.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    ws = open_workspace()
    jobs: list[Job] = []
    lock = try_lock(ws.root / "standing.lock")
    if lock is None:
        _log.error("%s is served already, by another process.", ws.project)
        return 1
    try:
        _stop(ws)
        jobs = _start(ws, host, port)
        for job in jobs:
            services.wait_ready(ws, job)
        _log.info("ready: http://%s:%s", host, port)
        while not told.wait(_LOOK_SECONDS):
            tick(ws)
            if ended := [job.name for job in jobs if queue.get(ws, job.id).ended and not _sleeps(ws, job)]:
                _log.error("ended: %s", ", ".join(ended))
                return 1
    except SnapmlError as error:
        _log.error("%s", error)
        return 1
    finally:
        _stop(ws)
        os.close(lock)
    return 0


def _start(ws: Workspace, host: str, port: int) -> list[Job]:
    by = {"actor": account(), "origin": Origin()}
    jobs = [services.start_gateway(ws, port, host=host, **by)]  # type: ignore[arg-type]
    for declared in deployments.every(ws):
        here = replace(declared, targets=tuple(_here(ws, target) for target in declared.targets))
        deployments.declare(ws, here)
        for target in here.targets:
            jobs += replicas.start(ws, here, target, **by)  # type: ignore[arg-type]
    return jobs


def _here(ws: Workspace, target: Target) -> Target:
    """Return a target whose files are where the folder is now; they are declared relative to the project."""
    path = Path(os.path.normpath(ws.project / target.source))
    if os.path.isabs(target.source) or not path.exists():
        return target
    _mend_adapter(path)
    return replace(target, source=str(path))


def _mend_adapter(path: Path) -> None:
    """Have an adapter name its base where that is now."""
    said = path / "adapter_config.json"
    if said.is_file():
        fields = json.loads(said.read_bytes())
        base = Path(os.path.normpath(path / str(fields["base_model_name_or_path"])))
        if base.is_dir() and str(base) != fields["base_model_name_or_path"]:
            said.write_text(json.dumps({**fields, "base_model_name_or_path": str(base)}, indent=1))


def _sleeps(ws: Workspace, job: Job) -> bool:
    """Say whether a service ended for want of requests: the next one brings it back under another id."""
    return any(_owns(item, job) and item.idle_seconds is not None for item in deployments.every(ws))


def _owns(deployment: Deployment, job: Job) -> bool:
    return job.name == deployment.name or job.name.startswith(f"{deployment.name}/")


def _stop(ws: Workspace) -> None:
    for declared in deployments.every(ws):
        replicas.stop_every(ws, declared.name)
    if gateway := services.live(ws, services.GATEWAY, services.GATEWAY):
        replicas.end(ws, gateway)
