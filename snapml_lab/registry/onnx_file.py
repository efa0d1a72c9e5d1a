"""ONNX models, by onnxruntime: what one reads, and a face like that of a scikit-learn estimator."""

from pathlib import Path
from typing import Any

from snapml_lab.errors import InvalidInputError, MissingExtraError, UnsafeFileError
from snapml_lab.registry.signature import Signature

_TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(int64)": "int64",
    "tensor(int32)": "int32", "tensor(int16)": "int16", "tensor(int8)": "int8", "tensor(uint8)": "uint8",
    "tensor(bool)": "bool", "tensor(string)": "object",
}  # fmt: skip


class OnnxModel:
    """A loaded model. ``predict`` takes a table or an array of rows and returns the first output.

    Classifiers as skl2onnx writes them (a label, then probabilities as an array or as maps) have ``predict_proba`` and
    ``classes_``, too.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._inputs = session.get_inputs()
        self._outputs = session.get_outputs()
        if len(self._outputs) > 1 and self._outputs[0].name.endswith("label"):
            self.predict_proba = self._probabilities
            self.classes_: list[Any] = []

    def predict(self, rows: Any) -> Any:
        """Return the first output, one value a row."""
        found = self._run(rows)[0]
        return found.reshape(len(found), -1)[:, 0] if getattr(found, "ndim", 1) > 1 else found

    def _probabilities(self, rows: Any) -> Any:
        import numpy as np

        labels, found = self._run(rows)[:2]
        if isinstance(found, list):
            self.classes_ = list(found[0]) if found else []
            return np.asarray([[row[kind] for kind in self.classes_] for row in found])
        self.classes_ = self.classes_ or sorted(set(labels))
        return np.asarray(found)

    def _run(self, rows: Any) -> Any:
        import numpy as np

        if len(self._inputs) == 1:
            only = self._inputs[0]
            values = rows.to_numpy() if hasattr(rows, "to_numpy") else np.asarray(rows)
            given = {only.name: values.astype(_TYPES.get(only.type, "float32"))}
        else:
            given = {
                item.name: rows[item.name].to_numpy().astype(_TYPES.get(item.type, "object")).reshape(-1, 1)
                for item in self._inputs
            }
        return self._session.run(None, given)


def load(path: Path) -> OnnxModel:
    """Open a model.

    Raises:
        UnsafeFileError: it is no ONNX model, or names files beside it.
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError.of("onnxruntime", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        # From its bytes: a model cannot then name a file beside it.
        session = onnxruntime.InferenceSession(
            path.read_bytes(), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except OSError:
        raise
    except Exception as error:
        raise UnsafeFileError(
            f"{path.name} is not an ONNX model that can be opened: {str(error).strip().partition(chr(10))[0]}.",
            fix="Write it in one file, with skl2onnx or torch.onnx.export.",
        ) from error
    return OnnxModel(session)


def libraries() -> dict[str, str]:
    """Return the versions a model file depends on."""
    import onnxruntime

    return {"onnxruntime": str(onnxruntime.__version__)}


def sign(model: OnnxModel, names: list[str] | None, target: str) -> Signature:
    """Say what a model reads.

    Args:
        model: as loaded.
        names: the columns of its one input, in order; default: ``x0``, ``x1`` and on. Several inputs have names of their own.
        target: what to call what it predicts.

    Raises:
        InvalidInputError: the names do not fit, or an input is no row of columns.
    """
    inputs = model._inputs  # noqa: SLF001 - this module's own
    strange = [item for item in inputs if item.type not in _TYPES or len(item.shape) != 2]
    if strange:
        raise InvalidInputError.of(
            "model",
            f"the input {strange[0].name!r} of {strange[0].type} {strange[0].shape}",
            "rows of columns",
        )
    if len(inputs) > 1:
        types = {item.name: _TYPES[item.type] for item in inputs}
    else:
        width = inputs[0].shape[1]
        if not isinstance(width, int):
            width = len(names or [])
        if not width or (names is not None and len(names) != width):
            raise InvalidInputError.of(
                "example", names, f"{width or 'its'} columns, as the model's input has"
            )
        types = dict.fromkeys(names or [f"x{i}" for i in range(width)], _TYPES[inputs[0].type])
    numeric = [name for name, kind in types.items() if kind != "object"]
    words = [name for name, kind in types.items() if kind == "object"]
    return Signature(numeric, [], words, {}, target, [], list(types), types)
