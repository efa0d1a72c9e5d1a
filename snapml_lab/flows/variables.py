"""Which variables a cell needs, makes and changes, as read from its source; nothing is run."""

import ast
import symtable
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from snapml_lab.errors import InvalidInputError

SHELL = frozenset({"get_ipython", "display"})
"""What a notebook has beyond Python: a cell that names one of them runs in IPython."""

_SCOPES = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp,
)  # fmt: skip


@dataclass
class Variables:
    """A cell's variables, each list in the order of first use.

    Attributes:
        reads: known outside, and read at the top level or in a function before the cell has surely assigned them.
        makes: assigned at the top level, functions and classes included, what is imported not.
        changes: changed in place, as far as one sees: ``a.b = …``, ``a[b] = …``, ``a.fit(…)`` on a line of its own.
        shell: whether it needs IPython, for magics or ``display``.
        open: whether it may make variables that its source does not name.
    """

    reads: list[str] = field(default_factory=list)
    makes: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    shell: bool = False
    open: bool = False


def variables(code: str, known: Container[str]) -> Variables:
    """Read a cell.

    Args:
        code: its source.
        known: the names there are outside; others, such as Python's own, are not told.

    Raises:
        InvalidInputError: it is empty, or is not Python; the message names the line.
    """
    if not code.strip():
        raise InvalidInputError(
            "cell: it is empty.", fix="Write the code to run below the line %%snapml run."
        )
    try:
        tree = ast.parse(code)
        compile(tree, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        raise InvalidInputError(
            f"cell{where}: it is not Python: {getattr(error, 'msg', error)}.", fix="Mend that line."
        ) from error
    reader = _Reader(known)
    reader.visit(tree)
    return reader.found


class _Reader(ast.NodeVisitor):
    """Walks the top level in the order it runs, keeping what is surely assigned by then."""

    def __init__(self, known: Container[str]) -> None:
        self.found = Variables()
        self._known = known
        self._bound: set[str] = set()

    def visit(self, node: ast.AST) -> None:
        """Visit a node; a scope of its own is asked what it takes from outside."""
        if isinstance(node, _SCOPES):
            self._scope(node)
        else:
            super().visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._bind(node.id)
        else:
            self._read(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._each([node.value, *node.targets])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._read(node.target.id)
        self._each([node.value, node.target])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._each([node.annotation, *filter(None, [node.value])])
        if node.value is not None or not isinstance(node.target, ast.Name):
            self.visit(node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._each([node.value, node.target])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._changed(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._changed(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and (root := _root(call.func)):
            self._change(root)
        self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in ("exec", "globals"):
            self.found.open = True
        for text in _lines_of_magic(node):
            self._spoken(text)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._bound.add((alias.asname or alias.name).partition(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.found.open = True
            else:
                self._bound.add(alias.asname or alias.name)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._perhaps([node.target, *node.body])
        self._perhaps(node.orelse)

    visit_AsyncFor = visit_For  # noqa: N815 - the visitor's own word

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._perhaps(node.body)
        self._perhaps(node.orelse)

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        both = self._perhaps(node.body) & self._perhaps(node.orelse)
        self._bound |= both

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self._perhaps([node.body])
        self._perhaps([node.orelse])

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        self._perhaps(node.values[1:])

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        ends = [self._perhaps([*node.body, *node.orelse])]
        for handler in node.handlers:
            raised = handler.body and isinstance(handler.body[-1], ast.Raise)
            end = self._perhaps([handler])
            ends += [] if raised else [end]
        self._bound |= set.intersection(*ends)
        self._each(node.finalbody)

    visit_TryStar = visit_Try  # noqa: N815 - the visitor's own word

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._each(filter(None, [node.type]))
        if node.name:
            self._bound.add(node.name)
        self._each(node.body)

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        for case in node.cases:
            self._perhaps([case])

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._each(filter(None, [node.pattern]))
        self._bind(node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self._bind(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self._each([*node.keys, *node.patterns])
        self._bind(node.rest)

    def _each(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def _perhaps(self, nodes: Iterable[ast.AST]) -> set[str]:
        """Visit what may not run; return what is bound where it did."""
        before = set(self._bound)
        for node in nodes:
            self.visit(node)
        after, self._bound = self._bound, before
        return after

    def _scope(self, node: ast.AST) -> None:
        name = getattr(node, "name", None)
        self._bind(name)
        inside = [item for item in ast.walk(node) if isinstance(item, ast.Global)]
        for declared in inside:
            for word in declared.names:
                _add(self.found.makes, word)
        for item in ast.walk(node):
            if isinstance(item, ast.NamedExpr) and not isinstance(node, ast.Lambda) and name is None:
                self._bind(item.target.id)
            if isinstance(item, ast.Call):
                for text in _lines_of_magic(item):
                    self._spoken(text)
        for word in _taken(node):
            self._read(word)

    def _changed(self, node: ast.Attribute | ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load) and (root := _root(node)):
            self._change(root)
        self.generic_visit(node)

    def _change(self, name: str) -> None:
        if name not in SHELL:
            _add(self.found.changes, name)

    def _read(self, name: str) -> None:
        if name in self._bound:
            return
        if name in SHELL:
            self.found.shell = self.found.open = True
        elif name in self._known:
            _add(self.found.reads, name)

    def _bind(self, name: str | None) -> None:
        if name is not None:
            self._bound.add(name)
            _add(self.found.makes, name)

    def _spoken(self, text: str) -> None:
        """Read what stands in a line with % or !: Python where it is some, else the names it may hold."""
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            for word in _held(text):
                self._read(word)
        else:
            self.visit(tree)


def _taken(node: ast.AST) -> list[str]:
    """Return the names a scope takes from the top level."""
    try:
        top = symtable.symtable(ast.unparse(node), "<cell>", "exec")
    except SyntaxError:  # awaits at the top level
        return [item.id for item in ast.walk(node) if isinstance(item, ast.Name)]
    tables, taken = [top], []
    for table in tables:
        tables += table.get_children()
        taken += [
            symbol.get_name() for symbol in table.get_symbols()
            if symbol.is_referenced() and (table is top or symbol.is_global())
        ]  # fmt: skip
    order = {
        item.id: index
        for index, item in reversed(list(enumerate(ast.walk(node))))
        if isinstance(item, ast.Name)
    }
    return sorted(set(taken), key=lambda name: (order.get(name, 0), name))


def _lines_of_magic(node: ast.Call) -> list[str]:
    """Return the text of a line with % or ! that a notebook has written as ``get_ipython().…(…)``."""
    asked = node.func.value if isinstance(node.func, ast.Attribute) else None
    if not (
        isinstance(asked, ast.Call) and isinstance(asked.func, ast.Name) and asked.func.id == "get_ipython"
    ):
        return []
    assert isinstance(node.func, ast.Attribute)
    texts = [
        item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str)
    ]
    if node.func.attr in ("run_line_magic", "run_cell_magic"):
        return texts[1:]
    return [" ".join(f"${name}" for name in _held(text)) for text in texts]


def _held(text: str) -> list[str]:
    """Return the names in ``$name`` and ``{expression}``."""
    found: list[str] = []
    for index, mark in enumerate(text):
        rest = text[index + 1 :]
        if mark == "$":
            length = next((at for at in range(len(rest), 0, -1) if rest[:at].isidentifier()), 0)
            found += [rest[:length]] if length else []
        elif mark == "{" and "}" in rest:
            try:
                inner = ast.parse(rest[: rest.index("}")], mode="eval")
            except (SyntaxError, ValueError):
                continue
            found += [item.id for item in ast.walk(inner) if isinstance(item, ast.Name)]
    return found


def _root(node: ast.expr) -> str | None:
    """Return the variable that ``a.b[c].d`` begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _add(names: list[str], name: str) -> None:
    if name not in names:
        names.append(name)
