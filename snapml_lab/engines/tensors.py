"""Between a table and the JSON tensors of the Open Inference Protocol V2. Pure but for pandas.

A request holds one input a column (shape ``[n]`` or ``[n, 1]``), or one of shape ``[n, columns]`` in the model's order. The
content types of MLServer's clients are read as it reads them, and its names of outputs are answered in its shapes.
Source: https://mlserver.readthedocs.io/en/latest/user-guide/content-type.html.
"""

import base64
import json
import math
from collections.abc import Callable, Iterable
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
_FORMS = ("np", "str", "pd", "datetime", "base64", "pd_json")
"""Content types of inputs; the data are as they stand but for texts in base64, and for anything in JSON, ``pd_json``."""
PROBABILITY = "probability"
_PREDICT, _SHARES = "predict", "predict_proba"
"""How MLServer's runtime for scikit-learn calls its outputs."""


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
    if len(names) == len(columns) == 1 and _content_type(body, "the request") != "pd":
        names = (
            columns  # one tensor for the one column; it has a name of its own only where it is one of a table
        )
    if twice := {name for name in names if names.count(name) > 1}:
        raise InvalidInputError.of("inputs", f"{min(twice)!r} twice", "each column once")
    return pd.DataFrame(dict(zip(names, (data for _, _, data in read), strict=True)))


def identifier(body: Any) -> str | None:
    """Return the id a request has, if it has one.

    Raises:
        InvalidInputError: it is no text.
    """
    given = body.get("id") if isinstance(body, dict) else None
    if given is not None and not isinstance(given, str):
        raise InvalidInputError.of("id", given, "a text")
    return given


def outputs(
    body: Any, target: str, values: list[Any], shares: Any, kinds: Callable[[], Iterable[Any]]
) -> list[dict[str, Any]]:
    """Write predictions as the outputs a request asks for, or all.

    Args:
        body: the request.
        target: the name of what is predicted.
        values: what was predicted, one a row.
        shares: the probability of each class, a row of an array for each; None where the model knows none.
        kinds: tells the model's own classes: MLServer answers with them, ours are texts.

    Raises:
        InvalidInputError: an output there is not, or one in a form that it does not have.
    """
    asked = _asked(body)
    if not asked and _content_type(body, "the request") in ("np", "str"):
        asked = [(_PREDICT, None)]  # whoever writes one tensor so reads one, and fails at two
    asked = asked or [(name, None) for name in (target, PROBABILITY)[: 1 if shares is None else 2]]
    return [_output(name, form, target, values, shares, kinds) for name, form in asked]


def _output(
    name: str,
    form: str | None,
    target: str,
    values: list[Any],
    shares: Any,
    kinds: Callable[[], Iterable[Any]],
) -> dict[str, Any]:
    if name == PROBABILITY and shares is not None:
        data, shape = shares.max(axis=1).tolist(), [len(values)]
    elif name == _SHARES and shares is not None:
        data, shape = shares.ravel().tolist(), list(shares.shape)
    elif name == target:
        data, shape = values, [len(values)]
    elif name == _PREDICT:
        plain = {str(kind): kind.item() if hasattr(kind, "item") else kind for kind in kinds()}
        data, shape = [plain.get(value, value) for value in values], [len(values), 1]
    else:
        known = (target, _PREDICT) if shares is None else (target, PROBABILITY, _PREDICT, _SHARES)
        raise InvalidInputError.of("outputs", name, f"some of {', '.join(known)}")
    kind = _datatype(data)
    if form not in (None, "np") and not (form == "str" and kind == "BYTES"):
        raise InvalidInputError.of(f"outputs: {name}: content_type", form, "np, or str where it is texts")
    if kind == "FP64":
        data = [value if math.isfinite(value) else None for value in data]
    return {
        "name": name,
        "shape": shape,
        "datatype": kind,
        "parameters": {"content_type": form or "np"},
        "data": data,
    }


def _asked(body: Any) -> list[tuple[str, str | None]]:
    """Return the outputs a request names, each with the content type it is to have."""
    given = body.get("outputs") or []
    if not isinstance(given, list) or not all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in given
    ):
        raise InvalidInputError.of("outputs", given, "a list of outputs, each with a name")
    return [(item["name"], _content_type(item, f"outputs: {item['name']}")) for item in given]


def _datatype(data: list[Any]) -> str:
    match data[0] if data else 0.0:
        case bool():
            return "BOOL"
        case int():
            return "INT64"
        case float():
            return "FP64"
    return "BYTES"


def metadata(name: str, signature: Signature, version: str | None = None) -> dict[str, Any]:
    """Describe a model as the protocol asks."""
    inputs = [
        {"name": column, "datatype": signature.datatype(column), "shape": [-1]}
        for column in signature.columns
    ]
    kind = "BYTES" if signature.classes else "FP64"
    outputs = [{"name": signature.target, "datatype": kind, "shape": [-1]}]
    if signature.classes:
        outputs.append({"name": PROBABILITY, "datatype": "FP64", "shape": [-1]})
    described = {"name": name, "platform": "snapml_predict", "inputs": inputs, "outputs": outputs}
    return described if version is None else {**described, "versions": [version]}


def _tensor(tensor: Any) -> tuple[str, list[int], list[Any]]:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise InvalidInputError.of("inputs", tensor, "tensors with a name, a shape, a datatype and data")
    name, shape = tensor["name"], tensor.get("shape")
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
    form = _content_type(tensor, where)
    flat = _values(tensor, form, where)
    size = shape[0] * (shape[1] if len(shape) == 2 else 1)
    if len(flat) != size:
        if form == "str" and flat:  # its shape may tell the texts' lengths: MLServer does not look at it
            return name, [len(flat)], flat
        raise InvalidInputError.of(where, f"{len(flat)} values", f"{size}, as its shape says")
    return name, shape, flat


def _values(tensor: dict[str, Any], form: str | None, where: str) -> list[Any]:
    """Return a tensor's values, one after the other, as its content type means them."""
    data = tensor.get("data")
    if form is not None and form not in _FORMS:
        raise InvalidInputError.of(f"{where}: content_type", form, f"one of {', '.join(_FORMS)}")
    if isinstance(data, str) and tensor["datatype"] == "BYTES":
        data = [data]
    if not isinstance(data, list):
        raise InvalidInputError.of(where, type(data).__name__, "data as a list")
    flat = _flat(data)
    if any(isinstance(value, list | dict) for value in flat):
        raise InvalidInputError.of(where, "lists or objects as values", "numbers, texts, true, false or null")
    return [_decoded(value, form, where) for value in flat] if form in ("base64", "pd_json") else flat


def _flat(data: list[Any]) -> list[Any]:
    if not any(isinstance(value, list) for value in data):
        return data
    rows = [value if isinstance(value, list) else [value] for value in data]
    return [value for row in rows for value in row]


def _content_type(part: dict[str, Any], where: str) -> str | None:
    parameters = part.get("parameters")
    form = parameters.get("content_type") if isinstance(parameters, dict) else None
    if form is not None and not isinstance(form, str):
        raise InvalidInputError.of(f"{where}: content_type", form, "a text")
    return form


def _decoded(value: Any, form: str, where: str) -> Any:
    """Read a text in base64, or a value in JSON."""
    try:
        found = base64.b64decode(value, validate=True).decode() if form == "base64" else json.loads(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInputError.of(where, value, f"a value as {form} has it") from error
    if isinstance(found, list | dict):
        raise InvalidInputError.of(where, "lists or objects as values", "numbers, texts, true, false or null")
    return found
