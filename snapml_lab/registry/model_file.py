"""Trained scikit-learn models on disk, by skops: no pickle, and only types we know are opened. Needs skops."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapml_lab.errors import UnsafeFileError
from snapml_lab.registry.signature import Signature, matrix

if TYPE_CHECKING:
    import pandas as pd

_KNOWN = frozenset({
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
})  # fmt: skip
"""What our own families hold beside what skops trusts by itself."""


def save(model: Any, path: Path) -> None:
    """Write a fitted pipeline."""
    import skops.io

    skops.io.dump(model, path)


def load(path: Path) -> Any:
    """Open a model.

    Raises:
        UnsafeFileError: it is no skops file, or holds types that could run code.
    """
    import skops.io

    with _refusing(path):
        unknown = set(skops.io.get_untrusted_types(file=path)) - _KNOWN
    if unknown:
        raise UnsafeFileError(
            f"{path.name} holds types that could run code when opened: {', '.join(sorted(unknown))}.",
            fix="Use a model made by automl, or retrain it here.",
        )
    with _refusing(path):
        return skops.io.load(path, trusted=sorted(_KNOWN))


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Refuse a file that its reader stumbles over; one that is damaged or foreign can make it raise anything."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise UnsafeFileError(
            f"{path.name} is not a skops model: {error}.", fix="Make the model again with automl."
        ) from error


def libraries() -> dict[str, str]:
    """Return the versions a model file depends on."""
    import sklearn
    import skops

    return {"scikit-learn": sklearn.__version__, "skops": skops.__version__}


def predict(model: Any, frame: "pd.DataFrame", signature: Signature) -> tuple[list[Any], list[float] | None]:
    """Predict every row of a table.

    Returns:
        Labels as text (or values, for regression), and for classes the probability of each label given.

    Raises:
        InvalidInputError: the table lacks a column, or one cannot be read.
    """
    rows = matrix(frame, signature)
    if not signature.classes:
        return [float(value) for value in model.predict(rows)], None
    probability = model.predict_proba(rows)
    chosen = probability.argmax(axis=1)
    return [str(model.classes_[i]) for i in chosen], [
        float(row[i]) for row, i in zip(probability, chosen, strict=True)
    ]
