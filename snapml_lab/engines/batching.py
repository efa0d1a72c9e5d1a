"""Micro-batching for classic models: what waits while a batch is predicted is the next batch. Needs pandas.

No timer: one request alone is predicted at once. Most of a prediction's time is the same for one row as for a hundred, so
that many at once cost little more than one. Only tables of the same columns and types go together; a batch that fails is
predicted one by one, so that nobody gets another's error.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 4096

Predicted = tuple[list[Any], Any]
"""A value for each row, and what else the model says of each, in a list or an array; None where it says no more."""


@dataclass(frozen=True)
class _Waiting:
    frame: "pd.DataFrame"
    done: "asyncio.Future[Predicted]"
    loop: asyncio.AbstractEventLoop


class Batcher:
    """Predicts tables in a thread of its own.

    Args:
        predict: predicts every row of a table.
        together: whether tables may be put together.
    """

    def __init__(self, predict: "Callable[[pd.DataFrame], Predicted]", *, together: bool = True) -> None:
        self._predict = predict
        self._together = together
        self._waiting: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="predict", daemon=True).start()

    async def predict(self, frame: "pd.DataFrame") -> Predicted:
        """Return what the model says of a table; raises what it raises."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Predicted] = loop.create_future()
        self._waiting.put(_Waiting(frame, done, loop))
        return await done

    def _work(self) -> None:
        held: _Waiting | None = None
        while True:
            batch = [held or self._waiting.get()]
            held = None
            rows = len(batch[0].frame)
            while self._together and rows < _MOST_ROWS:
                try:
                    item = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if not item.frame.dtypes.equals(batch[0].frame.dtypes):
                    held = item
                    break
                batch.append(item)
                rows += len(item.frame)
            self._run(batch)

    def _run(self, batch: list[_Waiting]) -> None:
        import pandas as pd

        if len(batch) > 1:
            try:
                values, probabilities = self._predict(
                    pd.concat([item.frame for item in batch], ignore_index=True)
                )
            except Exception:  # of one of them: each is told its own
                for item in batch:
                    self._run([item])
                return
            start = 0
            for item in batch:
                end = start + len(item.frame)
                part = None if probabilities is None else probabilities[start:end]
                _tell(item, (values[start:end], part), None)
                start = end
            return
        try:
            _tell(batch[0], self._predict(batch[0].frame), None)
        except Exception as error:
            _tell(batch[0], None, error)


def _tell(item: _Waiting, found: Predicted | None, fault: Exception | None) -> None:
    def told() -> None:
        if item.done.done():
            return  # the caller has left
        if fault is not None:
            item.done.set_exception(fault)
        elif found is not None:
            item.done.set_result(found)

    item.loop.call_soon_threadsafe(told)
