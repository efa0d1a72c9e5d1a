"""Example inputs: a few rows of what a model reads, kept as JSON beside it. Needs pandas."""

import json
from typing import TYPE_CHECKING, Any

from snapml_lab.errors import InvalidInputError
from snapml_lab.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

ROWS = 5
"""How many rows are kept."""


def table(value: Any) -> "pd.DataFrame":
    """Return rows as a table; an array's columns are called ``x0``, ``x1`` and on.

    Raises:
        InvalidInputError: it is neither a table nor a two-dimensional array, or has no rows.
    """
    import numpy as np
    import pandas as pd

    if isinstance(value, np.ndarray):
        if value.ndim != 2:
            raise InvalidInputError.of("example", f"an array of {value.ndim} dimensions", "rows of columns")
        value = pd.DataFrame(value, columns=[f"x{i}" for i in range(value.shape[1])])
    if not isinstance(value, pd.DataFrame):
        raise InvalidInputError.of(
            "example", type(value).__name__, "a DataFrame, an array of rows, or a file"
        )
    if value.empty:
        raise InvalidInputError.of("example", "no rows", "at least one row")
    return value.rename(columns=str).reset_index(drop=True)


def keep(ws: Workspace, frame: "pd.DataFrame") -> str:
    """Keep the first rows among the blobs; return the SHA-256."""
    content = frame.head(ROWS).to_json(
        orient="split", index=False, date_format="iso", double_precision=15, force_ascii=False
    )
    return ws.blobs.put(str(content).encode())[0]


def read(ws: Workspace, sha256: str) -> "pd.DataFrame":
    """Return a kept example.

    Raises:
        StoreDamagedError: it is not what was kept.
    """
    import pandas as pd

    found = json.loads(ws.blobs.verified(sha256))
    return pd.DataFrame(found["data"], columns=found["columns"])
