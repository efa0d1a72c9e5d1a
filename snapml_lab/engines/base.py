"""What an engine is: the interface that ``transformers``, ``vllm``, ``predict`` and ``openai`` have in common."""

import functools
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from snapml_lab.errors import NotFoundError, SnapmlError
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.workspace import Workspace

NAMES = ("transformers", "vllm", "predict", "openai")
"""The engines there are; each is the module of that name."""

Body = dict[str, Any]


class UnsupportedError(SnapmlError):
    """A request asks for what the engine cannot honour; ``param`` is the field's name."""

    code = "unsupported_parameter"

    def __init__(self, engine: str, param: str, value: Any) -> None:
        super().__init__(
            f"{param}={json.dumps(value)[:80]} is not supported by the {engine} engine.", fix="Leave it out."
        )
        self.param = param


def plain_spec(_: Workspace, deployment: Deployment, target: Target) -> dict[str, Any]:
    """Return what every engine's payload is told: the name it serves under, the model's place, and its options."""
    return {"name": deployment.name, "source": target.source, "options": target.options}


@dataclass(frozen=True)
class Engine:
    """One engine.

    Attributes:
        name: as a deployment's target says it.
        local: whether it runs here, as a service job that listens on a Unix socket; a remote one has an address instead.
        translate: makes of a request (route, body, target) what this engine takes; raises UnsupportedError by field.
        spec: makes what the service's payload is told.
        env: variables of the service's payload.
        adapters: whether adapters can be loaded while it runs.
        context: the longest prompt and answer together, in tokens, where the target tells; else None.
    """

    name: str
    local: bool
    translate: Callable[[str, Body, Target], Body]
    spec: Callable[[Workspace, Deployment, Target], dict[str, Any]] = plain_spec
    env: dict[str, str] = field(default_factory=dict)
    adapters: bool = False
    context: Callable[[Target], int | None] = lambda _: None


@functools.cache
def of(name: str) -> Engine:
    """Return an engine by name; its module imports nothing heavy until it serves.

    Raises:
        NotFoundError: there is none.
    """
    if name not in NAMES:
        raise NotFoundError(f"There is no engine {name!r}.", fix=f"Engines: {', '.join(NAMES)}.")
    found: Engine = importlib.import_module(f"snapml_lab.engines.{name}").ENGINE
    return found
