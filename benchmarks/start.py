"""What starting costs: our import beside the rivals', ``%load_ext snapml_lab`` over plain IPython, the server extension."""

import statistics
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

from measure import Entry, interleaved, process_ms
from rivals import MLFLOW, OURS, TRACKIO, Driver

_SHELL = "from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance()"
_SERVER = "import jupyter_server.serverapp, jupyter_server.base.handlers"


_IMPORTS = {OURS: "import snapml_lab", MLFLOW: "import mlflow", TRACKIO: "import trackio"}


def import_cost(repeats: int = 5) -> Entry:
    """Time a fresh interpreter that imports the package, beside the rivals', and ours until a first metric is logged."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        places = {name: Driver(name, Path(folder)) for name in _IMPORTS}

        def take(name: str, source: str) -> float:
            begun = time.perf_counter()
            done = subprocess.run(
                [places[name].python, "-c", source], cwd=places[name].folder, env=places[name].variables,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr.decode()[-1000:]
            return (time.perf_counter() - begun) * 1000

        acts = {name: partial(take, name, _IMPORTS[name]) for name in _IMPORTS}
        acts |= {f"{name}, bare": partial(take, name, "pass") for name in _IMPORTS}
        acts |= {f"{name}, first": partial(take, name, source) for name, source in _FIRST.items()}
        samples = interleaved(acts, repeats)
    bare = {name: statistics.median(samples[f"{name}, bare"]) for name in _IMPORTS}
    over = {name: statistics.median(samples[name]) - bare[name] for name in _IMPORTS}
    least, theirs = min(samples[OURS]), min(samples[MLFLOW])
    times = statistics.median(samples[MLFLOW]) / statistics.median(samples[OURS])
    first = {name: statistics.median(samples[f"{name}, first"]) for name in _FIRST}
    return Entry(
        "A fresh interpreter with `import snapml_lab`", samples[OURS], {name: samples[name] for name in (MLFLOW, TRACKIO)},
        f"10× less than MLflow; it is {times:.0f}×", times >= 10, "python benchmarks/run.py import_cost",
        notes=(
            "over the bare interpreter (" + ", ".join(f"{bare[name]:.0f}" for name in _IMPORTS) + " ms in each environment): " + ", ".join(f"{name} {over[name]:+.1f} ms" for name in _IMPORTS) + f"; the least of all {repeats}: ours {least:.0f}, MLflow {theirs:.0f} ms.",
            "ours loads a command when it is first used. Until the first metric of a new project's first run is logged and the process has ended: " + ", ".join(f"{name} {value:.0f} ms" for name, value in first.items()) + ".",
        ),
    )  # fmt: skip


_FIRST = {
    OURS: "import snapml_lab as snap, tempfile, os; os.environ['SNAPML_WORKSPACE'] = tempfile.mkdtemp(dir='.')\n"
    "with snap.run('first') as r: r.log(loss=0.5)",
    MLFLOW: "import tempfile, mlflow; mlflow.set_tracking_uri('sqlite:///' + tempfile.mkdtemp(dir='.') + '/mlflow.db')\n"
    "with mlflow.start_run(run_name='first'): mlflow.log_metric('loss', 0.5)",
    TRACKIO: "import os, tempfile; os.environ['TRACKIO_DIR'] = tempfile.mkdtemp(dir='.')\n"
    "import trackio; trackio.init('first', embed=False, auto_log_gpu=False, auto_log_cpu=False)\n"
    "trackio.log({'loss': 0.5}); trackio.finish()",
}  # fmt: skip


def load_ext(repeats: int = 15) -> Entry:
    """Time a fresh IPython with our extension beside one without."""
    samples = interleaved(
        {
            "ours": lambda: process_ms(f"{_SHELL}; s.run_line_magic('load_ext', 'snapml_lab')"),
            "plain IPython": lambda: process_ms(_SHELL),
        },
        repeats,
    )
    ours = samples.pop("ours")
    over = statistics.median(ours) - statistics.median(samples["plain IPython"])
    return Entry(
        "IPython with `%load_ext snapml_lab`", ours, samples, f"within 100 ms; it is {over:+.1f} ms",
        over <= 100, "python benchmarks/run.py load_ext",
    )  # fmt: skip


def server_import(repeats: int = 10) -> Entry:
    """Time a fresh interpreter with Jupyter Server and our extension's modules beside one without."""
    samples = interleaved(
        {
            "ours": lambda: process_ms(f"{_SERVER}; import snapml_server.extension"),
            "plain Jupyter Server": lambda: process_ms(_SERVER),
        },
        repeats,
    )
    ours = samples.pop("ours")
    over = statistics.median(ours) - statistics.median(samples["plain Jupyter Server"])
    return Entry(
        "Jupyter Server with `snapml_server` imported", ours, samples,
        f"within 100 ms; it is {over:+.1f} ms", over <= 100, "python benchmarks/run.py server_import",
    )  # fmt: skip
