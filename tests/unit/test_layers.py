"""The layers of the design, held by walking every import of the three packages."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPO = Path(__file__).resolve().parents[2]
ROOTS = {"snapml_lab": REPO, "snapml_magics": REPO / "magics", "snapml_server": REPO / "server_ext"}

LAYERS: list[set[str]] = [
    {"ids", "clock", "money", "errors", "stats"},
    {"workspace", "store", "envs", "views"},
    {"jobs", "tracking", "registry", "data", "costs", "governance", "guardrails", "engines"},
    {"automl", "finetune", "serving", "gateway", "prompts", "evals", "monitoring"},
    {"flows"},
    {"commands"},
    {"cli", "__init__"},
]
NO_SIBLINGS = 3
ALLOWED = {
    ("snapml_lab", "load_ipython_extension", "snapml_magics"),
    ("snapml_lab.views.base", "_ipython_display_", "IPython"),
    ("snapml_lab.flows.cell", "_shell", "IPython"),
}
"""The named edges out of the product, each taken only inside one function."""
FACES = {"snapml_magics", "snapml_server", "tornado", "jupyter_server", "IPython", "ipywidgets", "anywidget"}


class Arrow(NamedTuple):
    """One import: from a module, inside a function ("" at module level), to a dotted name."""

    source: str
    function: str
    target: str


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name."""
    root = ROOTS[package]
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def arrows(source: str, text: str, *, is_package: bool = False) -> Iterator[Arrow]:
    """Every import of a module: statements wherever they stand, and import_module with a name in plain sight."""

    def walk(node: ast.AST, function: str) -> Iterator[Arrow]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                function = node.name
            case ast.Import():
                yield from (Arrow(source, function, alias.name) for alias in node.names)
            case ast.ImportFrom():
                parts = source.split(".")
                up = node.level - is_package
                base = parts[: len(parts) - up] if node.level else []
                start = ".".join([*base, *([node.module] if node.module else [])])
                yield from (Arrow(source, function, f"{start}.{alias.name}") for alias in node.names)
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__")
            ):
                name = node.args[0]
                if isinstance(name, ast.Constant):
                    yield Arrow(source, function, str(name.value))
                elif isinstance(name, ast.JoinedStr) and isinstance(name.values[0], ast.Constant):
                    yield Arrow(source, function, str(name.values[0].value).rstrip("."))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, function)

    yield from walk(ast.parse(text), "")


def part(name: str) -> str:
    """The word of the layer list a dotted name of snapml_lab belongs to."""
    words = name.split(".")
    return words[1] if len(words) > 1 else "__init__"


def layer(word: str) -> int | None:
    return next((number for number, words in enumerate(LAYERS) if word in words), None)


def wrong(arrow: Arrow, known: set[str]) -> str | None:
    """Say what is wrong with an import of a module of snapml_lab, or None."""
    top = arrow.target.partition(".")[0]
    if top in FACES and (arrow.source, arrow.function, top) not in ALLOWED:
        return f"{arrow.source} imports a face: {arrow.target}"
    if top != "snapml_lab" or arrow.target == "snapml_lab.__version__":
        return None
    source = part(arrow.source)
    target = part(arrow.target) if part(arrow.target) in known else "__init__"
    above, below = layer(source), layer(target)
    if above is None or below is None:
        return f"{source if above is None else target} has no layer"
    if below > above:
        return f"{arrow.source} imports upwards: {arrow.target}"
    if above == below == NO_SIBLINGS and source != target:
        return f"{arrow.source} imports sideways: {arrow.target}"
    return None


def known_parts() -> set[str]:
    return {part(name) for name in modules("snapml_lab")}


def all_arrows(package: str) -> list[Arrow]:
    return [
        arrow
        for name, path in modules(package).items()
        for arrow in arrows(name, path.read_text("utf-8"), is_package=path.name == "__init__.py")
    ]


def test_every_part_of_the_product_has_a_layer():
    assert [name for name in known_parts() if layer(name) is None] == []


def test_no_part_is_in_two_layers():
    words = [word for words in LAYERS for word in words]
    assert len(words) == len(set(words))


def test_no_import_points_up_or_sideways_or_to_a_face():
    known = known_parts()
    assert [fault for arrow in all_arrows("snapml_lab") if (fault := wrong(arrow, known))] == []


def test_the_named_edges_are_still_there():
    seen = {
        (arrow.source, arrow.function, arrow.target.partition(".")[0]) for arrow in all_arrows("snapml_lab")
    }
    assert seen >= ALLOWED


@pytest.mark.parametrize(
    ("source", "text", "said"),
    [
        ("snapml_lab.store.catalog", "from snapml_lab.jobs import queue", "upwards"),
        ("snapml_lab.store.catalog", "def f():\n    from snapml_lab.jobs.queue import submit", "upwards"),
        ("snapml_lab.jobs.queue", "import snapml_lab.automl.search", "upwards"),
        ("snapml_lab.jobs.queue", "from ..automl import search", "upwards"),
        ("snapml_lab.jobs.queue", "from .. import flows", "upwards"),
        ("snapml_lab.jobs.queue", "import importlib\nimportlib.import_module('snapml_lab.flows.pipeline')", "upwards"),
        ("snapml_lab.errors", "class A:\n    if True:\n        import snapml_lab.workspace", "upwards"),
        ("snapml_lab.commands.status", "from snapml_lab import cli", "upwards"),
        ("snapml_lab.commands.status", "from snapml_lab import FACE", "upwards"),
        ("snapml_lab.automl.search", "from snapml_lab.serving import engine", "sideways"),
        ("snapml_lab.serving.engine", "def f():\n    from snapml_lab.gateway.keys import check", "sideways"),
        ("snapml_lab.helpers", "from snapml_lab import errors", "helpers has no layer"),
        ("snapml_lab.views.base", "from IPython.display import display", "a face"),
        ("snapml_lab.views.charts", "def _ipython_display_(self):\n    import IPython", "a face"),
        ("snapml_lab.commands.python", "def f():\n    import snapml_magics", "a face"),
        ("snapml_lab.gateway.app", "import tornado.web", "a face"),
    ],
)  # fmt: skip
def test_an_arrow_that_points_wrong_is_seen(source: str, text: str, said: str):
    known = known_parts() | {"serving", "gateway", "automl", "flows"}
    faults = [fault for arrow in arrows(source, text) if (fault := wrong(arrow, known))]
    assert len(faults) == 1
    assert said in faults[0]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("snapml_lab.jobs.queue", "from snapml_lab.store import files\nfrom snapml_lab import clock, ids"),
        ("snapml_lab.jobs.queue", "from snapml_lab.tracking import record"),
        ("snapml_lab.automl.search", "from snapml_lab.automl import features\nfrom . import task"),
        ("snapml_lab.flows.auto", "from snapml_lab.automl import search"),
        ("snapml_lab.commands.status", "from snapml_lab import __version__"),
        ("snapml_lab", "def load_ipython_extension(shell):\n    from snapml_magics import register"),
    ],
)
def test_an_arrow_that_points_down_is_let_through(source: str, text: str):
    known = known_parts() | {"automl", "flows"}
    assert [fault for arrow in arrows(source, text) if (fault := wrong(arrow, known))] == []


@pytest.mark.parametrize(
    ("package", "others"), [("snapml_magics", {"snapml_server"}), ("snapml_server", {"snapml_magics"})]
)
def test_a_face_knows_the_product_and_no_other_face(package: str, others: set[str]):
    found = all_arrows(package)
    assert [
        arrow for arrow in found if arrow.target.partition(".")[0] in {*others, "tests", "benchmarks"}
    ] == []
    assert any(arrow.target.startswith("snapml_lab.") for arrow in found)


def test_what_says_standard_library_only_imports_nothing_else():
    claiming = [
        name
        for name, path in modules("snapml_lab").items()
        if "standard library only" in (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").lower()
    ]
    assert {"snapml_lab.jobs.shim", "snapml_lab.jobs.tick", "snapml_lab.store.ledger"} <= set(claiming)
    program = f"""
import importlib, sys
sys.path.append({str(REPO)!r})
for name in {claiming!r}:
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(name, error)
tops = {{name.partition('.')[0] for name in sys.modules}} - set(sys.stdlib_module_names) - {{'__main__', 'snapml_lab'}}
print(*tops)
"""
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert bare.stdout.strip() == ""
