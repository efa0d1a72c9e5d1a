"""Where model versions stand: the aliases on them, and what was asked and decided about them. Standard library only."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from snapml_lab.registry.versions import ModelVersion
from snapml_lab.store.ledger import Ledger

KIND = "model"
"""What promotions and aliases call a model version."""
REGISTERED = "registered"
"""The stage of a version nobody has asked to promote."""


@dataclass(frozen=True)
class Decision:
    """One person's word on a promotion. ``at``: seconds since the epoch."""

    actor: str
    role: str
    decision: str
    comment: str
    at: float


@dataclass(frozen=True)
class Promotion:
    """A wish to put an alias on a version, and what came of it. Times are seconds since the epoch."""

    id: str
    target: str
    state: str
    author: str
    actor: str
    comment: str
    at: float
    decided_at: float | None
    decisions: list[Decision] = field(default_factory=list)


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


def promotions(ledger: Ledger, model: ModelVersion) -> list[Promotion]:
    """Return what was asked about a version, oldest first, with the decisions on each."""
    names = [name for name in Promotion.__dataclass_fields__ if name != "decisions"]
    found = [
        Promotion(**{name: row[name] for name in names})
        for row in ledger.rows(
            "SELECT * FROM promotions WHERE kind = ? AND name = ? AND version = ? ORDER BY id",
            KIND, model.name, str(model.version),
        )
    ]  # fmt: skip
    for promotion in found:
        for row in ledger.rows("SELECT * FROM decisions WHERE promotion = ? ORDER BY at", promotion.id):
            promotion.decisions.append(
                Decision(**{name: row[name] for name in Decision.__dataclass_fields__})
            )
    return found


def _marks(models: Sequence[ModelVersion]) -> str:
    return ",".join("?" * len({model.name for model in models}))
