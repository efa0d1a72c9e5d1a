"""Micro-batching gives each caller what it would have had alone, and the way through numbers alone is the way through columns."""

import asyncio
import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest

from snapml_lab.engines.batching import Batcher
from snapml_lab.registry import signature as signatures
from snapml_lab.registry.signature import Signature, matrix


def test_what_waits_is_predicted_together_and_each_gets_its_own() -> None:
    sizes: list[int] = []
    first, begun = threading.Event(), threading.Event()

    def predict(frame: pd.DataFrame) -> tuple[list[Any], list[float] | None]:
        sizes.append(len(frame))
        begun.set()
        first.wait(10)
        return frame["a"].tolist(), (frame["a"] / 10).tolist()

    async def ask() -> list[Any]:
        batcher = Batcher(predict)
        frames = [pd.DataFrame({"a": [float(10 * item), float(10 * item + 1)]}) for item in range(20)]
        tasks = [asyncio.create_task(batcher.predict(frame)) for frame in frames]
        await asyncio.to_thread(begun.wait, 10)
        await asyncio.sleep(0.05)
        first.set()
        return await asyncio.gather(*tasks)

    answers = asyncio.run(ask())
    assert answers == [([10.0 * i, 10.0 * i + 1], [1.0 * i, (10 * i + 1) / 10]) for i in range(20)]
    assert len(sizes) < 20
    assert sum(sizes) == 40


def test_one_bad_table_is_the_error_of_its_caller_alone() -> None:
    def predict(frame: pd.DataFrame) -> tuple[list[Any], list[float] | None]:
        if (frame["a"] < 0).any():
            raise ValueError("negative")
        return frame["a"].tolist(), None

    async def ask() -> list[Any]:
        batcher = Batcher(predict)
        tables = [pd.DataFrame({"a": [value]}) for value in (1.0, -1.0, 2.0)]
        tables.append(pd.DataFrame({"a": [3]}))  # of another type: not put together
        return await asyncio.gather(*map(batcher.predict, tables), return_exceptions=True)

    for _ in range(10):
        one, bad, two, three = asyncio.run(ask())
        assert (one, two, three) == (([1.0], None), ([2.0], None), ([3], None))
        assert isinstance(bad, ValueError)


@pytest.mark.parametrize(
    "signature",
    [
        Signature(["a", "b"], [], [], {}, "y", []),
        Signature([], [], [], {}, "y", [], order=["b", "a"], types={"a": "float64", "b": "float64"}),
    ],
)
def test_numbers_alone_are_read_in_one_step_as_column_by_column(
    signature: Signature, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame({"b": [1, 2, 3], "a": [0.5, np.inf, np.nan], "c": ["x", "y", "z"]}, index=[5, 6, 7])
    quick = matrix(frame, signature)
    monkeypatch.setattr(signatures, "_plain", lambda *_: None)
    pd.testing.assert_frame_equal(quick, matrix(frame, signature))
    assert list(quick.columns) == signature.columns
