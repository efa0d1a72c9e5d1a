"""Between a table and the JSON tensors of the Open Inference Protocol V2. Pure but for pandas.

A request holds one input a column (shape ``[n]`` or ``[n, 1]``), or one of shape ``[n, columns]`` in the model's order.
"""

from typing import TYPE_CHECKING, Any

from snapml_lab.errors import InvalidInputError
from snapml_lab.registry.signature import Signature

if TYPE_CHECKING:
    import pandas as pd

_NUMBERS = {
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
}


def table(body: Any, columns: list[str]) -> "pd.DataFrame":
    """Read a request's inputs as a table.

    Raises:
        InvalidInputError: naming the input and what is wrong with it.
    """
    import pandas as pd

    inputs = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise InvalidInputError.of("inputs", inputs, "a list of tensors, at least one")
    read = [_tensor(tensor) for tensor in inputs]
    wide = [name for name, shape, _ in read if shape[1:] not in ([], [1])]
    if wide and len(read) > 1:
        raise InvalidInputError.of(
            f"inputs: {wide[0]}", "several columns", "one column in each of several tensors"
        )
    if wide:
        name, (rows, width), data = read[0]
        if width != len(columns):
            raise InvalidInputError.of(
                f"inputs: {name}", f"{width} columns", f"{len(columns)}: {', '.join(columns[:12])}"
            )
        return pd.DataFrame([data[row * width : row * width + width] for row in range(rows)], columns=columns)
    lengths = {shape[0] for _, shape, _ in read}
    if len(lengths) != 1:
        raise InvalidInputError.of("inputs", f"tensors of {sorted(lengths)} rows", "as many rows in each")
    names = [name for name, _, _ in read]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InvalidInputError.of("inputs", f"{min(twice)!r} twice", "each column once")
    return pd.DataFrame({name: data for name, _, data in read})


def answer(
    name: str, identifier: Any, target: str, values: list[Any], probabilities: list[float] | None
) -> dict[str, Any]:
    """Write predictions as a response."""
    text = bool(values) and isinstance(values[0], str)
    outputs: list[dict[str, Any]] = [
        {"name": target, "shape": [len(values)], "datatype": "BYTES" if text else "FP64", "data": values}
    ]
    if probabilities is not None:
        outputs.append(
            {"name": "probability", "shape": [len(values)], "datatype": "FP64", "data": probabilities}
        )
    response: dict[str, Any] = {"model_name": name, "outputs": outputs}
    return {**response, "id": identifier} if identifier is not None else response


def metadata(name: str, signature: Signature) -> dict[str, Any]:
    """Describe a model as the protocol asks."""
    inputs = [
        {"name": column, "datatype": "FP64" if column in signature.numeric else "BYTES", "shape": [-1]}
        for column in signature.columns
    ]
    kind = "BYTES" if signature.classes else "FP64"
    outputs = [{"name": signature.target, "datatype": kind, "shape": [-1]}]
    if signature.classes:
        outputs.append({"name": "probability", "datatype": "FP64", "shape": [-1]})
    return {"name": name, "platform": "snapml_predict", "inputs": inputs, "outputs": outputs}


def _tensor(tensor: Any) -> tuple[str, list[int], list[Any]]:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise InvalidInputError.of("inputs", tensor, "tensors with a name, a shape, a datatype and data")
    name, shape, data = tensor["name"], tensor.get("shape"), tensor.get("data")
    where = f"inputs: {name}"
    if tensor.get("datatype") not in _NUMBERS | {"BYTES"}:
        raise InvalidInputError.of(
            where, tensor.get("datatype"), f"a datatype: BYTES, {', '.join(sorted(_NUMBERS))}"
        )
    if (
        not isinstance(shape, list)
        or len(shape) not in (1, 2)
        or not all(type(n) is int and n > 0 for n in shape)
    ):
        raise InvalidInputError.of(where, shape, "a shape of one or two positive whole numbers")
    if not isinstance(data, list):
        raise InvalidInputError.of(where, type(data).__name__, "data as a list")
    rows = [value if isinstance(value, list) else [value] for value in data]
    flat = [value for row in rows for value in row]
    if any(isinstance(value, list | dict) for value in flat):
        raise InvalidInputError.of(where, "lists or objects as values", "numbers, texts, true, false or null")
    size = shape[0] * (shape[1] if len(shape) == 2 else 1)
    if len(flat) != size:
        raise InvalidInputError.of(where, f"{len(flat)} values", f"{size}, as its shape says")
    return name, shape, flat
