"""What starting costs: ``%load_ext snapml_lab`` over plain IPython, and the server extension over plain Jupyter Server."""

import statistics

from measure import Entry, interleaved, process_ms

_SHELL = "from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance()"
_SERVER = "import jupyter_server.serverapp, jupyter_server.base.handlers"


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
