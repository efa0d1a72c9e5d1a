"""Trained classic models on disk: scikit-learn's by skops, where only types we know are opened, and ONNX. No pickle."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapml_lab.errors import InvalidInputError, UnsafeFileError
from snapml_lab.registry import onnx_file
from snapml_lab.registry.signature import Signature, matrix

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("skops", "onnx")
"""What :func:`load` opens."""
_KNOWN = frozenset({
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
})  # fmt: skip
"""What scikit-learn's own estimators hold beside what skops trusts by itself."""


def save(model: Any, path: Path) -> None:
    """Write a fitted estimator."""
    import skops.io

    skops.io.dump(model, path)


def load(path: Path, format: str = "skops") -> Any:  # noqa: A002 - the field's own word
    """Open a model, to be asked with :func:`predict`.

    Raises:
        UnsafeFileError: it is no file of that format, or holds types that could run code.
        MissingExtraError: onnxruntime is not installed.
    """
    if format == "onnx":
        return onnx_file.load(path)
    import skops.io

    with _refusing(path):
        unknown = set(skops.io.get_untrusted_types(file=path)) - _KNOWN
    if unknown:
        raise UnsafeFileError(
            f"{path.name} holds types that could run code when opened: {', '.join(sorted(unknown))}.",
            fix="Use scikit-learn's own types alone, or bring the model as ONNX.",
        )
    with _refusing(path):
        return skops.io.load(path, trusted=trusted())


def trusted() -> list[str]:
    """Return the types a file may hold beside what skops trusts by itself."""
    return sorted(_KNOWN)


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Refuse a file that its reader stumbles over; one that is damaged or foreign can make it raise anything."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise UnsafeFileError(
            f"{path.name} is not a skops model: {error}.",
            fix="Write it with skops.io.dump, or add the fitted model itself.",
        ) from error


def libraries() -> dict[str, str]:
    """Return the versions a model file depends on."""
    import sklearn
    import skops

    return {"scikit-learn": sklearn.__version__, "skops": skops.__version__}


def predict(model: Any, frame: "pd.DataFrame", signature: Signature) -> tuple[list[Any], list[float] | None]:
    """Predict every row of a table.

    Returns:
        Labels as text (or values, where there are no classes), and for classes the probability of each label given;
        None where the model knows no probabilities.

    Raises:
        InvalidInputError: the table lacks a column, or one cannot be read.
    """
    values, shares = scores(model, frame, signature)
    return values, None if shares is None else shares.max(axis=1).tolist()


def scores(model: Any, frame: "pd.DataFrame", signature: Signature) -> tuple[list[Any], Any]:
    """Predict every row of a table as :func:`predict` does, with the probabilities of all classes, an array of a row each.

    Raises:
        InvalidInputError: the table lacks a column, or one cannot be read.
    """
    rows = matrix(frame, signature)
    given = rows.to_numpy() if signature.array else rows
    with _explaining():
        if signature.classes and hasattr(model, "predict_proba"):
            shares = model.predict_proba(given)
            # An ONNX model may tell only the classes it has just answered with.
            known = len(model.classes_) == shares.shape[1]
            kinds = [str(kind) for kind in (model.classes_ if known else signature.classes)]
            return [kinds[i] for i in shares.argmax(axis=1)], shares
        predicted = model.predict(given)
    if signature.classes:
        return [str(value) for value in predicted], None
    return [float(value) for value in predicted], None


@contextlib.contextmanager
def _explaining() -> Iterator[None]:
    """Turn what a model says of rows it cannot read into an error of the family."""
    try:
        yield
    except (ValueError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InvalidInputError(
            f"data: the model cannot read these rows: {reason}.", fix="Give rows like those it was fitted on."
        ) from error
