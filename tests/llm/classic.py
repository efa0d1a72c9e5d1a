"""Classic models small enough to fit at once: one of two classes over numbers and words, one of numbers."""

import csv
import json
import random
from pathlib import Path
from typing import Any

from snapml_lab import clock
from snapml_lab.registry import model_file, versions
from snapml_lab.registry.signature import Signature, matrix
from snapml_lab.workspace import Workspace

HEADER = ["age", "spent", "city", "stays", "worth"]


def rows(number: int, *, seed: int = 0) -> list[list[Any]]:
    chance = random.Random(seed)
    found = []
    for _ in range(number):
        age, spent, city = (
            chance.randint(18, 90),
            round(chance.uniform(0, 500), 2),
            chance.choice(["Rome", "Łódź", "Oslo"]),
        )
        stays = "yes" if age * 4 + spent + (200 if city == "Rome" else 0) > 550 else "no"
        found.append([age, spent, city, stays, round(spent * 2 + age, 3)])
    return found


def table(path: Path, number: int = 30, *, seed: int = 9) -> Path:
    """Write rows with what is to be predicted."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows(number, seed=seed)])
    return path


def register(ws: Workspace, name: str, target: str, folder: Path) -> Signature:
    """Fit a model for a target and keep it as a version, as a job would have."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = pd.DataFrame(rows(200), columns=HEADER)
    classes = sorted(frame[target].unique()) if target == "stays" else []
    signature = Signature(["age", "spent"], [], ["city"], {}, target, classes)
    prepared = make_column_transformer(
        (StandardScaler(), ["age", "spent"]), (OneHotEncoder(handle_unknown="ignore"), ["city"])
    )
    model = make_pipeline(prepared, LogisticRegression() if classes else LinearRegression())
    model.fit(matrix(frame, signature), frame[target])
    path = folder / f"{name}.skops"
    model_file.save(model, path)
    keep(ws, name, path, signature, "binary" if classes else "regression")
    return signature


def keep(ws: Workspace, name: str, path: Path, signature: Signature, task: str) -> None:
    """Keep a file as a version of a classic model, whatever is in it."""
    sha256, size = ws.blobs.put(path)
    with ws.ledger.write() as connection:
        versions.register(
            connection, name=name, run=None, blob=sha256, size=size, format="skops", task=task,
            signature=json.loads(json.dumps(signature.as_dict())), evidence={}, at=clock.now(),
        )  # fmt: skip
