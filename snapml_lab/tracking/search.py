"""Finding runs by an expression over typed columns: ``metric.val_auc > 0.9 and param.lr < 1e-3``. Standard library only.

The expression is Python's own grammar, read by ``ast`` and never run. Each comparison is a look into an index. Where one
of those that must hold fits few runs, the search begins with those; else it walks the runs, newest first, only those of
one value where a comparison asks for it, and stops when it has enough.
"""

import ast
import difflib
import io
import math
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from snapml_lab.errors import InvalidInputError
from snapml_lab.store.ledger import Ledger
from snapml_lab.tracking.runs import STATE

_FEW = 2000
"""So many runs are quicker looked at one by one than found by walking."""
_LONGEST = 4000
_EXAMPLES = "metric.auc > 0.9 and param.lr < 1e-3, name == 'baseline', tag.team in ('a', 'b'), 'forest' in param.model"
_TABLES = {
    "metric": "metric", "metrics": "metric", "param": "param", "params": "param", "tag": "tag", "tags": "tag",
}  # fmt: skip
_COLUMNS = {
    "id": "runs.id", "name": "runs.name", "kind": "runs.kind", "state": STATE, "notebook": "runs.notebook", "script": "runs.script",
    "cell": "runs.cell_id", "commit": "runs.git_commit", "dataset": "runs.dataset", "environment": "runs.environment",
    "actor": "runs.actor", "job": "runs.job", "parent": "runs.parent", "note": "runs.note", "started": "runs.started_at",
    "ended": "runs.ended_at", "seconds": "(runs.ended_at - runs.started_at)", "out_of_order": "runs.out_of_order",
}  # fmt: skip
_TIMES = ("started", "ended")
_NUMBERS = ("seconds", "out_of_order")
_OF_METRIC = {"min": "low", "max": "high", "count": "number", "last": "value"}
_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "=", ast.NotEq: "<>", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "IN", ast.NotIn: "NOT IN",
    ast.Is: "=", ast.IsNot: "<>",
}  # fmt: skip
_INDEXED = {("latest_metrics", "value"), ("params", "text"), ("params", "number"), ("tags", "text")}
"""With the name before and the run behind: what has one value of it comes by the run's id."""
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}


@dataclass(frozen=True)
class _Field:
    """What is compared: a column of a run's own row, or of the row of that name in ``table``."""

    column: str
    table: str | None = None
    name: str = ""

    @property
    def numeric(self) -> bool:
        return self.table == "latest_metrics"


@dataclass(frozen=True)
class _Test:
    """A condition.

    Attributes:
        sql: says whether it holds for the run that ``{run}`` stands for; of a run's own fields, for the row of ``runs``.
        values: what it is asked with.
        driver: finds the runs that meet it through an index, where there is one.
        in_order: the driver finds them by their ids, which sort by time.
    """

    sql: str
    values: tuple[Any, ...]
    driver: str | None = None
    in_order: bool = False


def search(
    ledger: Ledger, expression: str, *, by: str | None = None, ascending: bool = False, limit: int = 100
) -> list[str]:
    """Return the ids of the runs that fit, newest first, or sorted by ``by``; deleted ones are left out.

    Args:
        ledger: the workspace's.
        expression: the condition; empty fits all.
        by: what to sort by, as ``metric.loss``; runs without it are left out. Default: when they began.
        ascending: least (or oldest) first.
        limit: how many at most.

    Raises:
        InvalidInputError: it is not such an expression; the message says where.
    """
    tests = _tests(expression)
    order = "ASC" if ascending else "DESC"
    if by is not None:
        sorted_by = _field(_parsed(by, "by"), "by")
        return _sorted(ledger, tests, sorted_by, order, limit)
    driver = _fewest(ledger, tests) or next((test for test in tests if test.in_order), None)
    if driver is None:
        run, source, where, values = "runs.id", "runs", *_all(tests, "runs.id")
    else:
        run, source = "found.run", _found(driver)
        where, values = _all([test for test in tests if test is not driver], run)
        values = [*driver.values, *values]
    rows = ledger.rows(
        f"SELECT {run} AS id FROM {source} WHERE {where} ORDER BY {run} {order} LIMIT ?", *values, limit
    )
    return [row["id"] for row in rows]


def _found(driver: _Test) -> str:
    return f"({driver.driver}) AS found CROSS JOIN runs ON runs.id = found.run"


def _all(tests: Sequence[_Test], run: str) -> tuple[str, list[Any]]:
    """Return what says that all hold for a run that is not deleted, and its values; ``run`` is the column of its id."""
    where = " AND ".join(["runs.deleted_at IS NULL", *(test.sql.format(run=run) for test in tests)])
    return where, [value for test in tests for value in test.values]


def _sorted(ledger: Ledger, tests: Sequence[_Test], field: _Field, order: str, limit: int) -> list[str]:
    if field.table is None:
        column = (
            "runs.id" if field.column == _COLUMNS["started"] else field.column
        )  # ids sort by time, and are indexed
        where, values = _all(tests, "runs.id")
        rows = ledger.rows(
            f"SELECT runs.id FROM runs WHERE {where} AND {column} IS NOT NULL"
            f" ORDER BY {column} {order}, runs.id DESC LIMIT ?",
            *values, limit,
        )  # fmt: skip
        return [row["id"] for row in rows]
    column = field.column
    if field.table == "params" and ledger.row(
        "SELECT 1 FROM params WHERE name = ? AND number IS NOT NULL LIMIT 1", field.name
    ):
        column = "number"
    driver = _fewest(ledger, tests)
    if driver is None:  # along the index, in order, until there are enough
        source = f"{field.table} AS sorted CROSS JOIN runs ON runs.id = sorted.run"
        first: tuple[Any, ...] = ()
    else:  # few: each is looked at, and then they are sorted
        source = f"{_found(driver)} CROSS JOIN {field.table} AS sorted ON sorted.run = runs.id"
        first = driver.values
    where, values = _all(tests, "sorted.run")
    rows = ledger.rows(
        f"SELECT runs.id FROM {source}"
        f" WHERE sorted.name = ? AND sorted.{column} IS NOT NULL AND {where} ORDER BY sorted.{column} {order} LIMIT ?",
        *first, field.name, *values, limit,
    )  # fmt: skip
    return [row["id"] for row in rows]


def _fewest(ledger: Ledger, tests: Sequence[_Test]) -> _Test | None:
    """Return the test that must hold and fits the fewest runs, where those are few."""
    best: tuple[int, _Test] | None = None
    for test in tests:
        if test.driver is None:
            continue
        row = ledger.row(f"SELECT count(*) AS number FROM ({test.driver} LIMIT {_FEW})", *test.values)
        number = row["number"] if row else 0
        if number < _FEW and (best is None or number < best[0]):
            best = number, test
    return best[1] if best else None


def _tests(expression: str) -> list[_Test]:
    """Read an expression as conditions that must all hold."""
    if not expression.strip():
        return []
    if len(expression) > _LONGEST:
        raise InvalidInputError.of("where", expression, f"at most {_LONGEST} characters")
    node = _parsed(expression, "where")
    parts = node.values if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And) else [node]
    return [_test(part) for part in parts]


def _parsed(expression: str, where: str) -> ast.expr:
    try:
        return ast.parse(_as_python(expression), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = getattr(error, "offset", None)
        place = f" at character {column}" if column else ""
        raise InvalidInputError(
            f"{where}: {expression!r} could not be read{place}.", fix=f"Write it as in {_EXAMPLES}."
        ) from error


def _as_python(expression: str) -> str:
    """Take ``=`` for ``==``, and AND, OR, NOT, IN in capitals, as other tools write them."""
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(expression.strip()).readline):
            text = token.string
            if token.type == tokenize.OP and text == "=":
                text = "=="
            elif token.type == tokenize.NAME and text in ("AND", "OR", "NOT", "IN"):
                text = text.lower()
            found.append((token.type, text))
    except (tokenize.TokenError, IndentationError) as error:
        raise SyntaxError(str(error)) from error
    return tokenize.untokenize(found).strip()


def _test(node: ast.expr) -> _Test:
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return _together(parts, " AND ")
        case ast.BoolOp(op=ast.Or(), values=parts):
            return _together(parts, " OR ")
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _test(operand)
            return _Test(f"NOT coalesce({inner.sql}, 0)", inner.values)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _comparison(left, op, right)
        case ast.Compare(left=left, ops=ops, comparators=rights):
            firsts = [left, *rights[:-1]]
            pairs = [_comparison(a, op, b) for a, op, b in zip(firsts, ops, rights, strict=True)]
            return _Test(
                f"({' AND '.join(pair.sql for pair in pairs)})",
                tuple(v for pair in pairs for v in pair.values),
            )
        case ast.Attribute() | ast.Subscript() | ast.Name():
            return _exists(_field(node, "where"))
    raise _wrong(node, "a comparison")


def _together(parts: Sequence[ast.expr], word: str) -> _Test:
    tests = [_test(part) for part in parts]
    return _Test(
        f"({word.join(test.sql for test in tests)})", tuple(v for test in tests for v in test.values)
    )


def _comparison(left: ast.expr, op: ast.cmpop, right: ast.expr) -> _Test:
    sign = _OPERATORS[type(op)]
    if sign in ("IN", "NOT IN") and isinstance(left, ast.Constant) and isinstance(left.value, str):
        return _contains(_field(right, "where"), left.value, negated=sign == "NOT IN")
    if _is_value(left) and not _is_value(right) and sign in _TURNED:
        left, right, sign = right, left, _TURNED[sign]
    field = _field(left, "where")
    if isinstance(right, ast.Constant) and right.value is None and sign in ("=", "<>"):
        found = _exists(field)
        return found if sign == "<>" else _Test(f"NOT {found.sql}", found.values)
    if sign in ("IN", "NOT IN"):
        return _among(field, right, negated=sign == "NOT IN")
    value = _value(right, field)
    column = _compared(field, [value])
    if field.table is None:
        return _Test(f"{column} {sign} ?", (value,))
    in_order = sign == "=" and (field.table, column.removeprefix("kept.")) in _INDEXED
    return _of_row(field, f"{column} {sign} ?", (value,), in_order=in_order)


def _among(field: _Field, right: ast.expr, *, negated: bool) -> _Test:
    if not isinstance(right, ast.Tuple | ast.List | ast.Set) or not right.elts:
        raise _wrong(right, "values in brackets, as in ('a', 'b')")
    values = [_value(item, field) for item in right.elts]
    condition = f"{_compared(field, values)} {'NOT IN' if negated else 'IN'} ({', '.join('?' * len(values))})"
    return (
        _Test(condition, tuple(values)) if field.table is None else _of_row(field, condition, tuple(values))
    )


def _contains(field: _Field, text: str, *, negated: bool) -> _Test:
    if field.numeric:
        raise InvalidInputError.of("where", text, "a number to compare a metric with")
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    column = field.column if field.table is None else "kept.text"
    condition = f"{column} {'NOT LIKE' if negated else 'LIKE'} ? ESCAPE '\\'"
    if field.table is None:
        return _Test(condition, (pattern,))
    found = _of_row(field, condition, (pattern,))
    return _Test(found.sql, found.values)


def _exists(field: _Field) -> _Test:
    if field.table is None:
        return _Test(f"{field.column} IS NOT NULL", ())
    return _of_row(field, "1", ())


def _of_row(field: _Field, condition: str, values: tuple[Any, ...], *, in_order: bool = False) -> _Test:
    inside = f"FROM {field.table} AS kept WHERE kept.name = ? AND {condition}"
    return _Test(
        f"EXISTS (SELECT 1 FROM {field.table} AS kept WHERE kept.run = {{run}} AND kept.name = ? AND {condition})",
        (field.name, *values),
        f"SELECT kept.run AS run {inside}",
        in_order,
    )


def _compared(field: _Field, values: Sequence[Any]) -> str:
    """Return the column to compare: a parameter has two, for numbers and for text."""
    if field.table is None:
        return field.column
    if field.table == "params" and all(isinstance(value, int | float) for value in values):
        return "kept.number"
    return f"kept.{field.column}"


def _field(node: ast.expr, where: str) -> _Field:
    match node:
        case ast.Call(func=ast.Name(id=word), args=[inner], keywords=[]) if word in _OF_METRIC:
            field = _field(inner, where)
            if field.table != "latest_metrics":
                raise _wrong(node, f"{word} of a metric")
            return _Field(_OF_METRIC[word], field.table, field.name)
        case ast.Subscript(value=ast.Name(id=word), slice=ast.Constant(value=str(name))) if word in _TABLES:
            return _in_table(_TABLES[word], name)
        case ast.Attribute():
            names: list[str] = []
            at: ast.expr = node
            while isinstance(at, ast.Attribute):
                names.insert(0, at.attr)
                at = at.value
            if isinstance(at, ast.Name) and at.id in _TABLES:
                return _in_table(_TABLES[at.id], ".".join(names))
        case ast.Name(id=word) if word in _COLUMNS:
            return _Field(_COLUMNS[word])
        case ast.Name(id=word):
            near = difflib.get_close_matches(word, [*_COLUMNS, *_TABLES], n=2)
            raise InvalidInputError.of(
                where, word, "metric.NAME, param.NAME, tag.NAME, or a field of a run",
                f"Did you mean {' or '.join(near)}?" if near else f"Fields: {', '.join(_COLUMNS)}.",
            )  # fmt: skip
    raise _wrong(node, "metric.NAME, param.NAME, tag.NAME, or a field of a run")


def _in_table(word: str, name: str) -> _Field:
    match word:
        case "metric":
            return _Field("value", "latest_metrics", name)
        case "param":
            return _Field("text", "params", name)
    return _Field("text", "tags", name)


def _is_value(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant)
    )


def _value(node: ast.expr, field: _Field) -> str | int | float:
    found: str | int | float
    match node:
        case ast.Constant(value=bool(value)):
            found = int(value) if field.column in _NUMERIC_COLUMNS else str(value)
        case ast.Constant(value=str() | int() | float() as value):
            found = value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            found = -value
        case _:
            raise _wrong(node, "a number or a text in quotes")
    if isinstance(found, int) and not -(2**63) <= found < 2**63:
        found = float(found)
    if isinstance(found, float) and math.isnan(found):
        raise _wrong(node, "a number")
    if field.numeric and isinstance(found, str):
        raise InvalidInputError.of("where", found, f"a number to compare {field.name!r} with")
    if field.column in _TIME_COLUMNS:
        return _instant(found)
    if field.table == "tags" or (field.table is None and field.column not in _NUMERIC_COLUMNS):
        return str(found)
    return found


_NUMERIC_COLUMNS = frozenset(_COLUMNS[name] for name in (*_TIMES, *_NUMBERS))
_TIME_COLUMNS = frozenset(_COLUMNS[name] for name in _TIMES)


def _instant(value: str | float) -> float:
    """Read a time: seconds since the epoch, or ISO 8601, in UTC where it names no zone."""
    if not isinstance(value, str):
        return float(value)
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidInputError.of("where", value, "a time as 2026-11-22 or 2026-11-22T14:00") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _wrong(node: ast.expr, expected: str) -> InvalidInputError:
    return InvalidInputError.of("where", ast.unparse(node), expected, f"Write it as in {_EXAMPLES}.")
