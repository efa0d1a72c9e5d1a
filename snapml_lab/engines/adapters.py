"""Adapters that a running vLLM serves beside its own model: which are declared, loading them, letting go of them.

What is declared is the truth: whenever such an engine has started, by itself or after it was killed, its payload loads what is
declared for it before it says that it is ready. Deploying one more declares it first and loads it then; loading twice is no
error, so that it does not matter which of the two comes first.
"""

import sys
from pathlib import Path

from snapml_lab.engines import replicas, services, vllm
from snapml_lab.errors import ConflictError, SnapmlError
from snapml_lab.jobs.model import State
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.store.files import read_json
from snapml_lab.workspace import Workspace


def declared(ws: Workspace, host: str) -> list[Target]:
    """Return the adapters that a deployment's engine is to serve, each once."""
    found = {
        vllm.served_name(target): target
        for item in deployments.every(ws)
        for target in item.targets
        if target.on == host
    }
    return list(found.values())


def load_declared(ws: Workspace, host: str, socket: Path) -> list[str]:
    """Load what is declared for an engine that has just started; return the names of what could not be loaded.

    One that cannot be loaded does not keep the others, nor the engine's own model, from answering; the log says why.
    """
    failed = []
    for target in declared(ws, host):
        try:
            vllm.load_adapter(socket, vllm.served_name(target), target.source)
        except (SnapmlError, OSError) as error:
            print(f"adapter {target.model}: {error}", file=sys.stderr, flush=True)  # noqa: T201 - the service's log
            failed.append(vllm.served_name(target))
    return failed


def load(ws: Workspace, host: Deployment, target: Target) -> None:
    """Load an adapter into the services of a deployment that run; those that start later load it by themselves.

    Raises:
        ConflictError: the engine does not take it, or does not answer.
    """
    for job in replicas.alive(ws, host, host.target):
        services.wait_ready(ws, job)
        socket = deployments.socket_path(ws, job.name)
        try:
            vllm.load_adapter(socket, vllm.served_name(target), target.source)
        except OSError as error:
            raise ConflictError(
                f"{job.name} does not answer: {error}.", fix=f"See: snapml jobs logs {job.id[-6:]}"
            ) from error


def let_go(ws: Workspace, target: Target) -> None:
    """Take an adapter that is not declared any more out of its engine, unless another deployment has it there, too."""
    host = target.on
    if host is None or any(
        vllm.served_name(item) == vllm.served_name(target) for item in declared(ws, host)
    ):  # fmt: skip
        return
    deployment = deployments.get(ws, host)
    for job in replicas.alive(ws, deployment, deployment.target):
        if job.state is State.RUNNING:
            try:
                vllm.unload_adapter(deployments.socket_path(ws, job.name), vllm.served_name(target))
            except OSError:  # it is on its way out, and forgets it by itself
                continue


def host_for(ws: Workspace, source: str, named: str | None) -> Deployment | None:
    """Return the deployment whose running engine can serve an adapter: the one that is named, else one of its base.

    Args:
        ws: the workspace.
        source: the adapter's folder.
        named: a deployment's name; None looks for one.

    Raises:
        NotFoundError: there is none of that name.
        ConflictError: the one that is named takes no adapters, or is of another base.
    """
    base = base_of(source)
    if named is None:
        fitting = (item for item in deployments.every(ws) if _why_not(item, base) is None)
        return next(fitting, None) if base is not None else None
    host = deployments.get(ws, named)
    why = "is no adapter" if base is None else _why_not(host, base)
    if why is not None:
        raise ConflictError(
            f"{source if base is None else named} {why}.",
            fix="Deploy its base so that it takes adapters: snapml deploy BASE --engine vllm --adapters",
        )
    return host


def base_of(source: str) -> str | None:
    """Return what an adapter's folder says it was trained on; None where it is no adapter."""
    found = read_json(Path(source) / "adapter_config.json") if Path(source).is_dir() else None
    return str(found["base_model_name_or_path"]) if isinstance(found, dict) else None


def _why_not(host: Deployment, base: str | None) -> str | None:
    """Return in words why a deployment cannot serve adapters of a base."""
    if len(host.targets) > 1:
        return "has a model on trial"
    if host.engine != "vllm" or host.target.on is not None or not host.target.options.get("adapters"):
        return "takes no adapters while it runs"
    stands = base_of(host.target.source) or host.target.source
    if base is None or _real(stands) != _real(base):
        return f"serves {stands}, and the adapter is of {base}"
    return None


def _real(source: str) -> str:
    return str(Path(source).resolve()) if Path(source).exists() else source
