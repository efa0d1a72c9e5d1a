"""Opens a pickled model and writes it with skops: ``python conversion.py SOURCE TARGET``. Standard library only, to start with.

It is a program of its own, run by the interpreter that has what is in the pickle: see :mod:`snapml_lab.registry.limited`.
"""

import json
import pickle
import sys
from typing import Any


def convert(source: str, target: str) -> dict[str, Any]:
    """Read ``source``, write ``target``; return what was found."""
    import skops.io

    with open(source, "rb") as file:
        try:
            model = pickle.load(file)  # noqa: S301 - the person named it and asked for this
        except Exception:
            import joblib

            file.seek(0)
            model = joblib.load(file)
    if not hasattr(model, "predict"):
        raise TypeError(f"it holds a {type(model).__name__}, which predicts nothing")
    skops.io.dump(model, target)
    return {"type": f"{type(model).__module__}.{type(model).__qualname__}"}


if __name__ == "__main__":
    print(json.dumps(convert(sys.argv[1], sys.argv[2])))  # noqa: T201 - how it answers
