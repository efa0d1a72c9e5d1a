"""Where model versions stand: the aliases on them, and what became of the newest wish to promote each. Standard library only."""

from collections.abc import Sequence

from snapml_lab.registry.versions import ModelVersion
from snapml_lab.store.ledger import Ledger

KIND = "model"
"""What promotions and aliases call a model version."""
REGISTERED = "registered"
"""The stage of a version nobody has asked to promote."""


def aliases(ledger: Ledger, models: Sequence[ModelVersion]) -> dict[tuple[str, int], list[str]]:
    """Return the aliases on each of some versions, by name and number."""
    found: dict[tuple[str, int], list[str]] = {}
    for row in ledger.rows(
        f"SELECT name, version, alias FROM aliases WHERE kind = ? AND name IN ({_marks(models)}) ORDER BY alias",
        KIND, *{model.name for model in models},
    ):  # fmt: skip
        found.setdefault((row["name"], int(row["version"])), []).append(row["alias"])
    return found


def stages(ledger: Ledger, models: Sequence[ModelVersion]) -> dict[tuple[str, int], str]:
    """Return the state of the newest promotion of each of some versions that has one, by name and number."""
    rows = ledger.rows(
        f"SELECT name, version, state FROM promotions WHERE kind = ? AND name IN ({_marks(models)}) ORDER BY id",
        KIND, *{model.name for model in models},
    )  # fmt: skip
    return {(row["name"], int(row["version"])): row["state"] for row in rows}


def _marks(models: Sequence[ModelVersion]) -> str:
    return ",".join("?" * len({model.name for model in models}))
