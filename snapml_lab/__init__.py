"""SnapML Lab: MLOps and LLMOps in one place, inside Jupyter.

``%load_ext snapml_lab`` gives the magic; ``import snapml_lab as snap`` gives every command as a function
(``snap.jobs.list()``). Importing this costs next to nothing: commands are loaded when one is first used.
"""

import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"


def load_ipython_extension(shell: Any) -> None:
    """Register ``%snapml``: the one line a person types. The magics are a package of their own."""
    from snapml_magics import register

    register(shell)


FACE = (
    "approvals", "approve", "ask", "audit", "autolog", "automl", "budgets", "capture", "cost", "data", "deploy", "endpoints", "env", "eval", "evaluation", "finetune", "guardrails", "jobs", "keys", "leaderboard", "leases", "merge", "models", "pipeline", "policies", "predict", "prices", "promote", "providers", "queue", "reject", "requests", "roles", "rollout", "run", "runs", "sample", "status", "telemetry", "training", "tune_endpoint", "undeploy",
)  # fmt: skip
"""The first words of the commands Python has. A subpackage of the same name is imported as ever; what one sees as an
attribute is the command."""


class _Face(ModuleType):
    """This module with commands as attributes, found on first use."""

    def __dir__(self) -> list[str]:
        return [*FACE, "budget", "__version__", "load_ipython_extension"]


def _commanded(name: str) -> property:
    def get(_: _Face) -> Any:
        from snapml_lab.commands.python import attribute

        return attribute(name)

    def put(_: _Face, value: Any) -> None:
        """Let the import system note a subpackage of this name; ``sys.modules`` has it."""

    return property(get, put)


for _name in FACE:
    setattr(_Face, _name, _commanded(_name))


def budget(dollars: Any) -> Any:
    """Stop what a block spends at an amount of dollars: ``with snap.budget(0.50): …``."""
    from snapml_lab.commands.budgets import budget

    return budget(dollars)


sys.modules[__name__].__class__ = _Face

if "IPython" in sys.modules:  # in a kernel, keep from now on what it runs: a run made later has it
    from snapml_lab.tracking import shell as _shell

    _shell.found()
