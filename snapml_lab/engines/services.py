"""The service jobs behind deployments, and the gateway in front of them: started, found, waited for, stopped."""

import socket
import time
from collections.abc import Callable

from snapml_lab import errors
from snapml_lab.engines import base
from snapml_lab.jobs import logs, queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job, State, Work
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.store.files import read_json
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

ENDPOINT = "endpoint"
GATEWAY = "gateway"
PORT = 8765
"""Where the gateway listens on the loopback unless told otherwise."""

_QUIET = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"}


_FALLS = 3
_ROOM_SECONDS = 5.0


def live(ws: Workspace, kind: str, name: str) -> Job | None:
    """Return the living service of a kind and name."""
    row = ws.ledger.row(
        "SELECT * FROM jobs WHERE kind = ? AND name = ? AND state IN ('queued', 'starting', 'running', 'stopping')"
        " ORDER BY id DESC LIMIT 1",
        kind, name,
    )  # fmt: skip
    return None if row is None else Job.of(row)


def start(
    ws: Workspace,
    deployment: Deployment,
    target: Target | None = None,
    replica: int = 1,
    *,
    actor: str,
    origin: Origin,
) -> Job:
    """Start a service of a deployment's target; default: of the one that stands."""
    target = target or deployment.target
    engine = base.of(target.engine)
    name = deployments.service_name(deployment.name, target, replica)
    spec = {**engine.spec(ws, deployment, target), "socket": str(deployments.socket_path(ws, name))}
    module = f"snapml_lab.engines.{engine.name}:run"
    work = Work(
        ENDPOINT, name, queue.python(module), spec, env={**_QUIET, **engine.env}, cpus=0, service=True,
        gpus=target.gpus, gpu_memory=target.gpu_memory, gives_way=target.gives_way,
    )  # fmt: skip
    return queue.submit(ws, work, actor=actor, origin=origin)


def start_gateway(
    ws: Workspace, port: int | None, *, host: str = "127.0.0.1", actor: str, origin: Origin
) -> Job:
    """Start the gateway unless it is alive; without a ``port`` on :data:`PORT`, or a free one where that is taken.

    ``host`` is the address it listens on: another than the loopback only where somebody else keeps strangers out.

    Raises:
        ConflictError: the port asked for is taken by another program, or the gateway is alive on another one.
    """
    if job := live(ws, GATEWAY, GATEWAY):
        alive = gateway_port(ws, job)
        if port not in (None, alive):
            raise errors.ConflictError(
                f"The gateway is alive on port {alive}.",
                fix="Use that, or stop it: snapml undeploy --gateway",
            )
        return job
    chosen = _free(port or PORT) or (None if port else _free(0))
    if chosen is None:
        raise errors.ConflictError(f"Port {port} is in use.", fix="Choose another --port, or give none.")
    spec = {"port": chosen, "host": host, "or_other": port is None}
    work = Work(GATEWAY, GATEWAY, queue.python("snapml_lab.gateway.app:run"), spec, cpus=0, service=True)
    return queue.submit(ws, work, actor=actor, origin=origin)


def _free(port: int) -> int | None:
    """Return the port if nothing listens on it (a free one for 0), else None."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


def gateway_port(ws: Workspace, job: Job) -> int:
    """Return the port of a gateway's job."""
    spec = read_json(JobFolder(ws.jobs / job.id).spec) or {}
    return int(spec.get("port", PORT))


def base_url(ws: Workspace) -> str:
    """Return where the gateway answers.

    Raises:
        ConflictError: it is not alive.
    """
    job = live(ws, GATEWAY, GATEWAY)
    if job is None:
        raise errors.ConflictError("No gateway is alive.", fix="Deploy a model: snapml deploy MODEL")
    return f"http://127.0.0.1:{gateway_port(ws, job)}"


def wait_ready(
    ws: Workspace, job: Job, *, timeout: float = 600.0, on_change: Callable[[Job], None] | None = None
) -> Job:
    """Wait until a service is ready, has ended without having been, or is seen to wait for room, which may take long.

    ``on_change`` is told of each new state or message.

    Raises:
        JobFailedError: it ended, fell over three times while waited for, or was not ready in time.
    """
    deadline = time.monotonic() + timeout
    before, patience = job.restarts, time.monotonic() + _ROOM_SECONDS
    while not job.ended and job.state is not State.RUNNING and job.restarts < before + _FALLS:
        if time.monotonic() > deadline:
            raise errors.JobFailedError(
                f"{job.name} was not ready after {timeout:g} s: {job.message}.",
                fix=f"See: snapml jobs logs {job.id[-6:]}",
            )
        if job.state is not State.QUEUED:
            patience = time.monotonic() + _ROOM_SECONDS
        elif job.waiting_for is not None and time.monotonic() > patience:
            return job
        time.sleep(0.1)
        before_now, job = job, queue.get(ws, job.id)
        if on_change and (job.state, job.message, job.restarts) != (
            before_now.state, before_now.message, before_now.restarts,
        ):  # fmt: skip
            on_change(job)
    if job.state is State.RUNNING:
        return job
    told = job.error_message or job.message
    if not job.ended:
        stop(ws, job)
        words = [
            line for line in logs.read(JobFolder(ws.jobs / job.id), -2000).text.splitlines() if line.strip()
        ]
        told = f"it ended again and again, at last with: {words[-1][:300] if words else told}"
    raise errors.JobFailedError(
        f"{job.name} did not get ready: {told}.", fix=f"See: snapml jobs logs {job.id[-6:]}"
    )


def stop(ws: Workspace, job: Job, *, grace: float = 5.0) -> Job:
    """Stop a service and wait until its processes are gone."""
    return queue.wait(ws, queue.cancel(ws, job.id, grace=grace), timeout=grace + 30)
