"""Runs one of our own payloads: ``python -m snapml_lab.jobs.payload module:function``.

The function takes the spec and a :class:`Reporter` and returns something JSON can hold. An error of the family becomes
the job's error; any other is a fault, its traceback is in the job's log.
"""

import contextlib
import faulthandler
import importlib
import json
import sys
from collections.abc import Iterator

from snapml_lab.errors import SnapmlError
from snapml_lab.jobs.events import Reporter
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.queue import payload_folder
from snapml_lab.store.files import read_json, replace_json
from snapml_lab.tracking.system import Sampling


def main(target: str) -> int:
    """Run ``target`` and leave ``result.json``; return the exit code."""
    faulthandler.enable()
    folder = payload_folder()
    module, _, name = target.partition(":")
    spec = json.loads(folder.spec.read_bytes())
    with contextlib.closing(Reporter(folder.events)) as report, _measured(folder, report):
        try:
            value = getattr(importlib.import_module(module), name)(spec, report)
        except SnapmlError as error:
            replace_json(folder.result, {"error": error.as_dict()})
            print(f"{error.code}: {error}", file=sys.stderr)
            return 2
    replace_json(folder.result, {"value": value})
    return 0


@contextlib.contextmanager
def _measured(folder: JobFolder, report: Reporter) -> Iterator[None]:
    """Record what the work takes of the machine; of a service nobody wants a curve without end."""
    if (read_json(folder.launch) or {}).get("service"):
        yield
        return
    sampling = Sampling(lambda values, number: report.metrics(values, step=number))
    sampling.start()
    try:
        yield
    finally:
        sampling.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
