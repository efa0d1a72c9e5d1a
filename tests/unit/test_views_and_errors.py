"""What people see: whole in text, safe in HTML; and errors that keep their three fields wherever they go."""

import enum
import importlib
import json
import math
import pkgutil
import re
import types
import typing
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

import snapml_lab
from snapml_lab import errors
from snapml_lab.errors import FAMILY, InvalidInputError, MissingExtraError, SnapmlError, from_dict
from snapml_lab.views.base import View
from snapml_lab.views.charts import Bar, Curve, Day, Days, Intervals, Limit, Spark
from snapml_lab.views.tables import html_table, text_table

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
ALLOWED_TAGS = {
    "style", "div", "pre", "table", "thead", "tbody", "tr", "th", "td", "h4", "span", "a", "b", "br", "p", "ul", "ol", "li", "code",
    "details", "summary", "svg", "path", "polyline", "u", "circle", "text", "g", "rect", "line", "title",
}  # fmt: skip


def views() -> list[type[View]]:
    """Every view class of the package."""
    for module in pkgutil.walk_packages(snapml_lab.__path__, "snapml_lab."):
        importlib.import_module(module.name)

    def below(kind: type[View]) -> list[type[View]]:
        return [found for sub in kind.__subclasses__() for found in (sub, *below(sub))]

    return [kind for kind in below(View) if kind.__module__.startswith("snapml_lab.")]


def hostile(hint: Any) -> Any:  # noqa: C901 - a case for each kind of type
    """A value of a type, with hostile text wherever there is text."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return hostile(parts[0])
    if origin in (typing.Union, types.UnionType):
        return hostile(next(part for part in parts if part is not type(None)))
    if origin is typing.Literal:
        return parts[0]
    if origin is list:
        return [hostile(parts[0])] * 2
    if origin is tuple:
        return tuple(hostile(part) for part in parts if part is not Ellipsis)
    if origin is dict:
        return {hostile(parts[0]): hostile(parts[1])}
    if isinstance(hint, type):
        if issubclass(hint, View):
            return made(hint)
        if issubclass(hint, enum.Enum):
            return next(iter(hint))
        if hint in (bool, int, float):
            return hint(1)
        if hasattr(hint, "model_fields"):
            return hint(**{name: hostile(field.annotation) for name, field in hint.model_fields.items()})
    return HOSTILE


def made(kind: type[View]) -> View:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {name: hostile(hints[name]) for name in kind.model_fields}
    return kind.model_construct(**{**fields, **FIXED.get(kind.__name__, {})})


_MONEY = {"cost_pico": "1"}
FIXED = {
    "Answer": _MONEY, "CostRow": _MONEY, "Doing": _MONEY, "EndpointView": {"spent_pico": "1"}, "RequestView": _MONEY,
    "Stretch": _MONEY, "KeyView": {"limit_pico": "2", "spent_pico": "1", "reserved_pico": "1"},
    "JobCost": _MONEY, "DaySpent": {"requests_pico": "1", "jobs_pico": "1"},
    "ForecastView": {**_MONEY, "low_pico": "1", "high_pico": "1", "daily_pico": "1"},
    "BudgetLine": {"limit_pico": "1", "spent_pico": "1", "reserved_pico": "1", "daily_pico": "1"},
}  # fmt: skip
"""Fields whose values are a closed set though their type does not say so."""


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.handlers: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.handlers |= {
            name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")
        }


def assert_safe(html: str) -> None:
    tags = _Tags()
    tags.feed(html)
    assert tags.tags <= ALLOWED_TAGS
    assert tags.handlers == set()


VIEWS = views()


@pytest.mark.parametrize("kind", VIEWS, ids=lambda kind: kind.__name__)
def test_a_view_shows_hostile_text_as_text(kind: type[View]):
    view = made(kind)
    assert_safe(view.html())


@pytest.mark.parametrize("kind", VIEWS, ids=lambda kind: kind.__name__)
def test_a_view_has_a_text_without_markup(kind: type[View]):
    text = made(kind).text()
    assert text.strip()
    assert "<div" not in text
    assert "<td" not in text


@pytest.mark.parametrize("kind", VIEWS, ids=lambda kind: kind.__name__)
def test_a_view_says_what_it_is(kind: type[View]):
    assert (kind.__doc__ or "").strip()
    assert kind.__doc__ != View.__doc__


def test_a_model_with_evidence_shows_hostile_evidence_as_text():
    from snapml_lab.commands.models import ModelList, ModelView

    evidence = {"score": 0.5, "low": 0.4, "high": 0.6, "metric": HOSTILE, HOSTILE: HOSTILE}
    view = made(ModelView).model_copy(update={"evidence": evidence})
    assert_safe(ModelList(models=[view]).html())  # type: ignore[list-item]


class Plain(View):
    """A view with no form of its own."""

    name: str
    nothing: int | None = None
    size: int


def test_a_view_without_a_text_of_its_own_has_a_line_for_each_field_it_knows():
    assert Plain(name="a", size=3).text() == "name     a\nsize     3"


def test_a_view_is_the_same_text_in_a_log_and_at_a_prompt():
    view = Plain(name="a", size=3)
    assert str(view) == repr(view) == view.text() == view.bundle()["text/plain"]


def test_a_view_cannot_be_changed_and_takes_no_field_it_has_not():
    with pytest.raises(ValueError, match="frozen"):
        Plain(name="a", size=3).name = "b"  # type: ignore[misc]
    with pytest.raises(ValueError, match="extra"):
        Plain(name="a", size=3, more=1)  # type: ignore[call-arg]


CELLS = st.text(max_size=15)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6))
def test_a_table_of_any_text_is_one_line_a_row_and_aligned(rows):
    lines = text_table(["a", "b", "c"], rows).split("\n")
    assert len(lines) == len(rows) + 2
    assert not any(ord(char) < 32 or ord(char) == 127 for line in lines for char in line)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=6))
def test_a_html_table_of_any_text_has_its_cells_and_no_other_tags(rows):
    tags = _Tags()
    html = html_table(["a", "b"], rows)
    tags.feed(html)
    assert tags.tags <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert html.count("<td") == 2 * len(rows)


def test_wide_characters_keep_columns_under_each_other():
    first, _, *rows = text_table(["name", "n"], [["日本", "1"], ["ab", "2"]]).split("\n")
    assert rows == ["日本  1", "ab    2"]
    assert first == "name  n"


def test_an_escape_sequence_is_shown_and_not_obeyed():
    assert "\x1b" not in text_table(["a"], [["\x1b[31mred"]])
    assert "\x1b" not in html_table(["a"], [["\x1b[31mred"]])


NUMBERS = st.floats(min_value=-1e9, max_value=1e9)


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=1e6), NUMBERS), max_size=20))
def test_a_curve_of_any_numbers_is_whole_svg_inside_its_frame(points):
    points = sorted(points)
    chart = Curve(
        HOSTILE, HOSTILE, HOSTILE, [x for x, _ in points], [y for _, y in points], [y for _, y in points]
    )
    root = ET.fromstring(chart.svg())
    assert root.get("aria-label") == HOSTILE
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for dot in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 <= float(dot.get("cx", -1)) <= width
        assert 0 <= float(dot.get("cy", -1)) <= height


@given(st.lists(st.tuples(NUMBERS, st.floats(min_value=0, max_value=1e6)), max_size=8))
def test_intervals_of_any_numbers_are_whole_svg_with_a_row_each(rows):
    chart = Intervals("t", "x", [Bar(HOSTILE, value, value - reach, value + reach) for value, reach in rows])
    root = ET.fromstring(chart.svg())
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == len(rows)


@given(
    st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), max_size=40), st.integers(0, 30), st.none() | st.floats(0, 1e9),
    st.lists(st.floats(0, 1e9), max_size=3),
)  # fmt: skip
def test_days_of_any_amounts_are_whole_svg_inside_of_its_frame(rows, ahead, expected, limits):
    chart = Days(
        HOSTILE, HOSTILE, [HOSTILE, "jobs"], [Day(HOSTILE, row) for row in rows], [HOSTILE] * ahead, expected,
        [Limit(HOSTILE, value) for value in limits],
    )  # fmt: skip
    root = ET.fromstring(chart.svg())
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for column in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert 0 <= float(column.get("x", -1)) <= width
        assert 0 <= float(column.get("y", -1)) <= height
        assert float(column.get("height", -1)) >= 0
    assert HOSTILE not in json.dumps([trace["name"] for trace in chart.plotly()["data"]])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_chart_of_what_is_no_number_is_still_a_chart(value: float):
    svg = Curve("t", "x", "y", [0, 1, 2], [1.0, value, 2.0], [1.0, value, 2.0]).svg()
    ET.fromstring(svg)
    assert not re.search(r"\b(nan|inf)\b", svg)
    svg = Intervals("t", "x", [Bar("a", 1.0, value, 2.0), Bar("b", 1.0, 0.0, 2.0)]).svg()
    ET.fromstring(svg)
    assert not re.search(r"\b(nan|inf)\b", svg)


@given(st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=20))
def test_a_small_line_of_anything_is_whole_svg_broken_where_nothing_is(values):
    root = ET.fromstring(Spark(HOSTILE, values, HOSTILE).svg())
    assert root.get("aria-label") == f"{HOSTILE}: {HOSTILE}"
    drawn = [path.get("d", "") for path in root.iter("{http://www.w3.org/2000/svg}path")][1:]
    known = [value is not None and math.isfinite(value) for value in values]
    pieces = sum(here and not before for here, before in zip(known, [False, *known], strict=False))
    assert "".join(drawn).count("M") == pieces
    assert not re.search(r"nan|inf", "".join(drawn))


def family() -> list[type[SnapmlError]]:
    def below(kind: type[SnapmlError]) -> list[type[SnapmlError]]:
        return [found for sub in kind.__subclasses__() for found in (sub, *below(sub))]

    return [SnapmlError, *(kind for kind in below(SnapmlError) if kind.__module__ == errors.__name__)]


def test_every_error_of_the_family_is_listed_under_a_code_of_its_own():
    kinds = family()
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert {kind.code: kind for kind in kinds} == FAMILY


@pytest.mark.parametrize("kind", family(), ids=lambda kind: kind.code)
def test_an_error_comes_back_from_its_three_fields(kind: type[SnapmlError]):
    error = kind("What happened.", fix="What to do.")
    back = from_dict(error.as_dict())
    assert type(back) is kind
    assert (
        back.as_dict()
        == error.as_dict()
        == {"code": kind.code, "message": "What happened.", "fix": "What to do."}
    )


@pytest.mark.parametrize("kind", family(), ids=lambda kind: kind.code)
def test_an_error_a_person_can_mend_is_never_a_fault_to_rest(kind: type[SnapmlError]):
    assert 400 <= kind.status < 500 or kind is errors.StorageError


def test_an_error_with_a_code_of_a_later_version_is_still_one_of_the_family():
    assert type(from_dict({"code": "from_the_future", "message": "m"})) is SnapmlError


def test_what_is_no_error_at_all_is_still_one_of_the_family():
    assert from_dict({}).message == "unknown error"


def test_an_error_reads_as_its_sentence_and_its_fix():
    assert str(SnapmlError("It broke.", fix="Mend it.")) == "It broke. Mend it."
    assert str(SnapmlError("It broke.")) == "It broke."


def test_bad_input_names_the_field_what_came_and_what_was_expected():
    error = InvalidInputError.of("limit", "many", "a whole number", "Write digits.")
    assert str(error) == "limit: got 'many', expected a whole number. Write digits."


def test_what_came_is_cut_where_it_is_long():
    assert len(InvalidInputError.of("limit", "x" * 10_000, "less").message) < 200


def test_a_missing_library_says_what_to_install():
    assert 'pip install "snapml-lab[automl]"' in MissingExtraError.of("pandas", "automl").fix


def test_a_notebook_shows_the_sentence_and_the_fix_instead_of_our_stack():
    lines = errors.NotFoundError("There is no job 'a'.", fix="See jobs list.")._render_traceback_()
    assert "There is no job 'a'." in lines[0]
    assert "not_found" in lines[0]
    assert "See jobs list." in lines[1]
