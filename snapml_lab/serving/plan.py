"""The plan of a deployment, made before anything costs: which engine, where, how much memory, and whether it fits."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from snapml_lab.engines import vllm
from snapml_lab.engines.vllm_options import Options
from snapml_lab.envs import engines as environments
from snapml_lab.errors import ConflictError, InvalidInputError, MissingExtraError, NotFoundError
from snapml_lab.jobs import gpus, leases
from snapml_lab.registry import deployments, footprint, providers, versions
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.serving.quantization import Card, chosen, offered
from snapml_lab.workspace import Workspace

CHAT = ("vllm", "transformers")
"""Engines of language models that run here, the one that is preferred where it can be used first."""
Place = Literal["GPU", "CPU", "remote", "shared"]
REPLICAS = 16


@dataclass(frozen=True)
class Wish:
    """What a person asks for; None leaves it to the plan.

    Attributes:
        provider: whose model it is, where it is remote.
        on: the deployment whose engine serves it, too, where it is an adapter.
        options: what the engine takes besides.
    """

    model: str
    name: str | None = None
    engine: str | None = None
    provider: str | None = None
    gpus: int | None = None
    gpu_memory: int | None = None
    quantization: str | None = None
    replicas: int = 1
    gives_way: bool = False
    on: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """What there is to serve with: GPUs, memory (MiB), and which packages each engine's environment has."""

    cards: Sequence[Card] = ()
    free: int = 0
    total: int = 0
    modules: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
        deployment: as it will be declared, with this model alone.
        because: why this engine.
        place: ``GPU``, ``CPU``, ``remote``, or ``shared``: by an engine that runs already.
        memory: what one replica is predicted to need, in MiB; None where it cannot be known.
        free: what is free of the place now, in MiB, of all its cards; None where it is remote.
        fits: whether all replicas do at once, now; None where it cannot be known.
        quantizations: those the engine can do here.
        notes: what a person should know.
    """

    deployment: Deployment
    because: str
    place: Place
    memory: int | None
    free: int | None
    fits: bool | None
    quantizations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def target(self) -> Target:
        """The one model of it."""
        return self.deployment.target


@dataclass(frozen=True)
class Found:
    """A model as it was found.

    Attributes:
        reference: what it is recorded as.
        source: folder, file or hub id.
        task: ``chat``, or what it predicts.
    """

    reference: str
    source: str
    task: str


def machine() -> Machine:
    """Look at this machine."""
    try:
        cards = [
            Card(item.name, item.total, item.total - item.used, gpus.capability(item.number))
            for item in gpus.devices()
        ]
    except gpus.Unseen:
        cards = []
    total = leases.memory_capacity()
    free = max(0, total - leases.memory_used())
    modules = {"transformers": frozenset(filter(_is_here, _MODULES)), "vllm": _beside_vllm(gpu=bool(cards))}
    return Machine(cards, free, total, modules)


def plan(name: str, found: Found, wish: Wish, here: Machine) -> Plan:
    """Decide how a model of ours is served under a name.

    Raises:
        InvalidInputError: a wish cannot be had; the fix names what can.
        ConflictError: it is larger than the machine.
        MissingExtraError: its engine is not installed.
    """
    engine, because = choose(wish.engine, found.task, here)
    return _placed(name, found, engine, because, wish, here)


def choose(engine: str | None, task: str, here: Machine) -> tuple[str, str]:
    """Return the engine for a task, and why.

    Raises:
        InvalidInputError: the engine asked for does not serve such models.
        MissingExtraError: it is not installed.
    """
    if task != "chat":
        if engine not in (None, "predict"):
            raise InvalidInputError.of("engine", engine, f"predict, which serves models of {task}")
        return "predict", "it is a model of rows"
    if engine == "predict":
        raise InvalidInputError.of("engine", engine, f"one for language models: {', '.join(CHAT)}")
    here_is = "vllm" in here.modules.get("vllm", ())
    if engine == "vllm":
        if not here_is:
            raise MissingExtraError(
                "The engine vllm is not installed.", fix="Make its environment: snapml env create vllm"
            )
        return "vllm", "it was asked for"
    if engine == "transformers":
        return "transformers", "it was asked for"
    if here_is and here.cards:
        return "vllm", "there is a GPU, and vLLM is installed"
    without = "vLLM is not installed" if here.cards else "there is no GPU"
    return "transformers", without


def _placed(name: str, found: Found, engine: str, because: str, wish: Wish, here: Machine) -> Plan:
    """Say where a model runs, what that takes, and whether it is there."""
    if not 1 <= wish.replicas <= REPLICAS:
        raise InvalidInputError.of("replicas", wish.replicas, f"1 to {REPLICAS}")
    count = int(engine != "predict" and bool(here.cards)) if wish.gpus is None else wish.gpus
    cards = list(here.cards) if count else []
    if count > len(cards):
        raise InvalidInputError.of("gpus", count, f"what this machine has: {len(cards)}")
    modules = here.modules.get(engine, frozenset())
    if engine == "predict" and wish.quantization not in (None, "none"):
        raise InvalidInputError.of("quantization", wish.quantization, "none, for a model of rows")
    quantization = chosen(wish.quantization, engine, cards, modules=modules)
    bits = quantization.bits if quantization else None
    memory = wish.gpu_memory if count and wish.gpu_memory else footprint.serving(found.source, bits)
    options = checked(engine, wish.options)
    if quantization is not None:
        options["quantization"] = quantization.name
    if engine == "vllm" and not count:
        vllm.check_for_cpu(found.reference, found.source, options)
    target = Target(
        deployments.FIRST, found.reference, engine, found.source, replicas=wish.replicas, gpus=count,
        gpu_memory=memory if count else None, gives_way=wish.gives_way, options=options,
    )  # fmt: skip
    fits, notes = _room(memory, count, wish.replicas, cards, here)
    return Plan(
        Deployment(name, found.task, (target,)), because, "GPU" if count else "CPU", memory,
        sum(card.free for card in cards) if count else here.free, fits,
        tuple(item.name for item in offered(engine, cards, modules=modules)), tuple(notes),
    )  # fmt: skip


def _room(
    memory: int | None, count: int, replicas: int, cards: Sequence[Card], here: Machine
) -> tuple[bool | None, list[str]]:
    """Say whether all replicas find room now, and what it means where they do not.

    Raises:
        ConflictError: not even one does, ever.
    """
    if memory is None:
        whole = "; it is given whole GPUs" if count else ""
        return None, [f"what it needs is not known before it is loaded{whole}"]
    if count:
        most = max(card.total for card in cards)
        if memory > most:
            raise ConflictError(
                f"It needs about {memory:,} MiB of a GPU, and the largest here has {most:,}.",
                fix="Quantize it (--quantization), or take a smaller model.",
            )
        slots = sum(card.free // memory for card in cards) // count
        if slots >= replicas:
            return True, []
        return False, [f"{replicas - slots} of {replicas} wait until there is room on a GPU"]
    if memory * replicas > here.total:
        raise ConflictError(
            f"It needs about {memory * replicas:,} MiB, and this machine has {here.total:,}.",
            fix="Take fewer replicas, or a smaller model.",
        )
    if memory * replicas <= here.free:
        return True, []
    return False, [f"less is free now ({here.free:,} MiB): the machine may run out of memory"]


def checked(engine: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options if the engine takes them.

    Raises:
        InvalidInputError: naming the one it does not take.
    """
    if engine == "vllm":
        Options.of(options)
    elif options:
        raise InvalidInputError.of("option", next(iter(options)), f"none: {engine} takes no options")
    return dict(options)


def beside(name: str, found: Found, host: Deployment) -> Plan:
    """Plan an adapter that the running engine of another deployment serves, too: it costs no more than its own weights."""
    target = Target(deployments.FIRST, found.reference, host.engine, found.source, on=host.name)
    own = footprint.weights(Path(found.source)) if Path(found.source).is_dir() else None
    return Plan(
        Deployment(name, found.task, (target,)), f"{host.name} serves its base", "shared", own, None, None,
    )  # fmt: skip


def remote(ws: Workspace, wish: Wish) -> Plan:
    """Plan a model that a provider serves: nothing runs here for it.

    Raises:
        NotFoundError: the provider is not declared.
        InvalidInputError: something is asked for that a remote model does not have.
    """
    if wish.engine not in (None, "openai"):
        raise InvalidInputError.of("engine", wish.engine, "openai, for a provider's model")
    if wish.provider is None:
        known = ", ".join(item.name for item in providers.every(ws)) or "none yet: snapml providers set"
        raise InvalidInputError.of("provider", None, "whose model it is", f"Providers: {known}.")
    for field_, value, harmless in (
        ("quantization", wish.quantization, (None, "none")), ("gpus", wish.gpus, (None, 0)),
        ("replicas", wish.replicas, (1,)), ("gpu_memory", wish.gpu_memory, (None,)), ("on", wish.on, (None,)),
    ):  # fmt: skip
        if value not in harmless:
            raise InvalidInputError.of(field_, value, "nothing: a remote model runs elsewhere")
    provider = providers.get(ws, wish.provider)
    own = versions.check_name(wish.name or wish.model.rpartition("/")[2])
    options = {**checked("openai", wish.options), "provider": provider.name}
    target = Target(deployments.FIRST, wish.model, "openai", wish.model, options=options)
    notes = () if provider.key_env or provider.keyring else (f"{provider.name} is declared without a key",)
    return Plan(
        Deployment(own, "chat", (target,)),
        f"{provider.name} serves it",
        "remote",
        None,
        None,
        None,
        (),
        notes,
    )


_MODULES = ("vllm", "transformers", "bitsandbytes")


def _beside_vllm(*, gpu: bool) -> frozenset[str]:
    """Return what vLLM finds in the environment it would run in, itself among it; nothing where it is in none."""
    try:
        _, environment = environments.python_for("vllm", gpu=gpu)
    except NotFoundError:
        return frozenset()
    if environment is None:
        return frozenset(filter(_is_here, _MODULES))
    named = {package.partition("==")[0] for package in environments.packages(environment)}
    return frozenset({"vllm", *named.intersection(_MODULES)})


def _is_here(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
