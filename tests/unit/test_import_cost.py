"""What an import brings in with it; how long it takes is the benchmarks' business."""

import subprocess
import sys

HEAVY = {
    "torch",
    "sklearn",
    "pandas",
    "numpy",
    "scipy",
    "pyarrow",
    "plotly",
    "cyclopts",
    "pydantic",
    "tinydb",
    "papermill",
}


def brought(program: str) -> set[str]:
    """The top-level modules in a fresh interpreter after ``program``, which sets ``before``."""
    answer = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\nprint(*{{name.partition('.')[0] for name in set(sys.modules) - before}})"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return set(answer.stdout.splitlines()[-1].split())


def test_loading_the_extension_brings_in_nothing_heavy():
    program = """
from traitlets.config import Config
from IPython.core.interactiveshell import InteractiveShell
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)
before = set(sys.modules)
shell.run_line_magic('load_ext', 'snapml_lab')
assert 'snapml' in shell.magics_manager.magics['line']
"""
    found = brought(program)
    assert "snapml_magics" in found
    assert found & (HEAVY | {"tornado", "ipykernel", "jupyter_server", "ipywidgets", "anywidget"}) == set()


def test_importing_the_server_extension_brings_in_nothing_heavy():
    found = brought("before = set(sys.modules)\nimport snapml_server")
    assert "snapml_server" in found
    assert found & HEAVY == set()


def test_importing_the_product_brings_in_only_itself_and_the_standard_library():
    found = brought("before = set(sys.modules)\nimport snapml_lab")
    assert found - set(sys.stdlib_module_names) == {"snapml_lab"}
