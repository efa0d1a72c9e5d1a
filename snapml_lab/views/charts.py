"""Charts from one description in two forms: inline SVG (static, no scripts, no network) and a Plotly figure (live)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_WIDTH, _HEIGHT = 460, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 26, 40
_ROW = 24
_MOST = 1e300
"""What is greater is drawn at the edge: an axis beyond it could not be reckoned with."""
_INK = "var(--jp-ui-font-color1,#212121)"
_DIM = "var(--jp-ui-font-color2,#757575)"
_GRID = "var(--jp-border-color2,#e0e0e0)"
_ACCENT = "var(--jp-brand-color1,#1976d2)"
_PLOTLY_ACCENT = "#1976d2"
_PALETTE = ("#1f77b4", "#d95f02", "#1b9e77", "#9467bd", "#d6408a", "#8c6d31", "#5f8f1e", "#7f7f7f")
"""Hues that are told apart on white and on black, and by most people who see colours otherwise."""
_LIMIT = "var(--jp-warn-color1,#d95f02)"
_NAMED_LINES = 8
_LEAST = 1e-13
"""Below any amount of money: columns of nothing are drawn flat."""
_FAR = 3.0
"""A limit above so many times the tallest column is not drawn."""
_MOST_DOTS = 60


@dataclass(frozen=True)
class Curve:
    """Points in order of x; drawn as steps, each value holding until the next. What is no number is left out.

    Attributes:
        title: what is shown.
        x_label: with its unit.
        y_label: with its unit.
        x: positions.
        y: values, as many as ``x``.
        dots: values of everything tried at the same positions, drawn as faint dots; may be empty.
    """

    title: str
    x_label: str
    y_label: str
    x: Sequence[float]
    y: Sequence[float]
    dots: Sequence[float] = ()

    def svg(self) -> str:
        """Draw it."""
        points = _finite(self.x, self.y)
        if not points:
            return _empty(self.title, _WIDTH, _HEIGHT)
        xs, ys = [x for x, _ in points], [y for _, y in points]
        x_low, x_high = 0.0, _widen(0.0, max(xs))[1]
        y_low, y_high = _widen(*_span([*ys, *self.dots]))
        to_x = _scale(x_low, x_high, _LEFT, _WIDTH - _RIGHT)
        to_y = _scale(y_low, y_high, _HEIGHT - _BOTTOM, _TOP)
        parts = [
            _axes(
                self.title,
                self.x_label,
                self.y_label,
                _ticks(x_low, x_high),
                _ticks(y_low, y_high),
                to_x,
                to_y,
            )
        ]
        parts += [
            f'<circle cx="{to_x(x):.1f}" cy="{to_y(y):.1f}" r="3" fill="{_DIM}" fill-opacity=".6"/>'
            for x, y in _finite(self.x, self.dots)
        ]
        path = f"M{to_x(xs[0]):.1f} {to_y(ys[0]):.1f}"
        for x, y in zip(xs[1:], ys[1:], strict=True):
            path += f"H{to_x(x):.1f}V{to_y(y):.1f}"
        parts.append(f'<path d="{path}" fill="none" stroke="{_ACCENT}" stroke-width="2"/>')
        parts.append(f'<circle cx="{to_x(xs[-1]):.1f}" cy="{to_y(ys[-1]):.1f}" r="4" fill="{_ACCENT}"/>')
        return _svg(self.title, _WIDTH, _HEIGHT, parts)

    def plotly(self) -> dict[str, Any]:
        """Return the figure as Plotly's JSON."""
        return {
            "data": [
                {"type": "scatter", "mode": "markers", "x": list(self.x), "y": list(self.dots), "name": "trial",
                 "marker": {"color": "#9e9e9e", "size": 6}},
                {"type": "scatter", "mode": "lines", "x": list(self.x), "y": list(self.y), "name": "best so far",
                 "line": {"shape": "hv", "color": _PLOTLY_ACCENT, "width": 2}},
            ],
            "layout": _plotly_layout(self.title, self.x_label, self.y_label),
        }  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of a :class:`Lines` chart, points in order of x; a ``strong`` one is in front; ``hue`` is its colour's number."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    strong: bool = False
    hue: int | None = None

    def colour(self, accent: str, dim: str) -> str:
        """Return its colour: of the palette, else by whether it is in front."""
        return _PALETTE[self.hue % len(_PALETTE)] if self.hue is not None else accent if self.strong else dim


@dataclass(frozen=True)
class Lines:
    """Lines over a common x, named at their ends."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]

    def svg(self) -> str:
        """Draw it."""
        drawn = [line for line in self.lines if line.x]
        if not drawn:
            return _empty(self.title, _WIDTH, _HEIGHT)
        x_low, x_high = _widen(*_span([value for line in drawn for value in line.x]))
        y_low, y_high = _widen(*_span([value for line in drawn for value in line.y]))
        to_x = _scale(x_low, x_high, _LEFT, _WIDTH - _RIGHT)
        to_y = _scale(y_low, y_high, _HEIGHT - _BOTTOM, _TOP)
        parts = [
            _axes(
                self.title,
                self.x_label,
                self.y_label,
                _ticks(x_low, x_high),
                _ticks(y_low, y_high),
                to_x,
                to_y,
            )
        ]
        for index, line in enumerate(sorted(drawn, key=lambda line: line.strong)):
            colour = line.colour(_ACCENT, _DIM)
            points = " ".join(f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in zip(line.x, line.y, strict=True))
            width = 2.5 if line.strong else 1.2 if line.hue is None else 1.6
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
            )
            if line.strong and len(line.x) <= _MOST_DOTS:
                parts += [
                    f'<circle cx="{to_x(x):.1f}" cy="{to_y(y):.1f}" r="2.5" fill="{colour}"/>'
                    for x, y in zip(line.x, line.y, strict=True)
                ]
            y = _TOP + 10 + 14 * index
            if line.hue is None:
                parts.append(_label(_WIDTH - _RIGHT, y, line.name, "end", colour))
            elif index < _NAMED_LINES:
                parts.append(_label(_WIDTH - _RIGHT - 16, y, _cut(line.name, 28), "end", _INK))
                at = _WIDTH - _RIGHT
                parts.append(f'<path d="M{at - 12} {y - 4}H{at}" stroke="{colour}" stroke-width="3"/>')
        return _svg(self.title, _WIDTH, _HEIGHT, parts)

    def plotly(self) -> dict[str, Any]:
        """Return the figure as Plotly's JSON."""
        data = [
            {"type": "scatter", "mode": "lines+markers" if line.strong else "lines", "x": list(line.x),
             "y": list(line.y), "name": line.name,
             "line": {"color": line.colour(_PLOTLY_ACCENT, "#9e9e9e"), "width": 2.5 if line.strong else 1.2}}
            for line in self.lines
        ]  # fmt: skip
        layout = {
            **_plotly_layout(self.title, self.x_label, self.y_label),
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1.15, "x": 0.4},
        }
        return {"data": data, "layout": layout}


@dataclass(frozen=True)
class Axis:
    """One axis of a :class:`Parallel` chart: a value for each line, None where it has none; numbers or words."""

    name: str
    values: Sequence[str | None]

    def places(self) -> tuple[list[float | None], list[tuple[float, str]]]:
        """Return where each value stands, from 0 (bottom) to 1, and the labels with their places."""
        numbers = [_as_number(value) for value in self.values]
        if all(
            number is not None
            for number, value in zip(numbers, self.values, strict=True)
            if value is not None
        ):
            known = [number for number in numbers if number is not None]
            low, high = _span(known)
            reach = (high - low) or 1.0
            labels = [(0.0, _number(low)), (1.0, _number(high))] if high > low else [(0.0, _number(low))]
            return [None if number is None else (number - low) / reach for number in numbers], labels
        words = list(dict.fromkeys(value for value in self.values if value is not None))
        step = 1 / max(len(words) - 1, 1)
        found = {word: index * step for index, word in enumerate(words)}
        labels = [(place, _cut(word, 14)) for word, place in found.items()]
        return [None if value is None else found[value] for value in self.values], labels


@dataclass(frozen=True)
class Parallel:
    """Parallel coordinates: an axis for each thing, a line for each named whole. Few lines have a colour each."""

    title: str
    axes: Sequence[Axis]
    names: Sequence[str]

    def svg(self) -> str:
        """Draw it."""
        if len(self.axes) < 2 or not self.names:
            return _empty(self.title, _WIDTH, _HEIGHT)
        width = max(_WIDTH, 110 * len(self.axes))
        top, bottom = _TOP + 26, _HEIGHT - 26
        xs = [60 + index * (width - 120) / (len(self.axes) - 1) for index in range(len(self.axes))]
        found = [axis.places() for axis in self.axes]
        parts = [_title(self.title)]
        for number, name in enumerate(self.names):
            points = [
                (x, bottom - place * (bottom - top))
                for x, (places, _) in zip(xs, found, strict=True)
                if (place := places[number]) is not None
            ]
            colour = _PALETTE[number % len(_PALETTE)]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            faint = 0.9 if len(self.names) <= _NAMED_LINES else 0.35
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-opacity="{faint}">'
                f"<title>{escape(name)}</title></polyline>"
            )
        for x, axis, (_, labels) in zip(xs, self.axes, found, strict=True):
            parts.append(f'<path d="M{x:.1f} {top}V{bottom}" stroke="{_DIM}"/>')
            parts.append(_label(x, top - 10, _cut(axis.name, 17), "middle", _INK))
            for place, label in labels[:_NAMED_LINES]:
                y = bottom - place * (bottom - top)
                parts.append(_label(x + 4, y + (14 if place == 0 else -2), label, "start"))
        return _svg(self.title, width, _HEIGHT, parts)

    def plotly(self) -> dict[str, Any]:
        """Return the figure as Plotly's JSON."""
        dimensions = []
        for axis in self.axes:
            places, labels = axis.places()
            dimensions.append({
                "label": escape(axis.name), "range": [0, 1], "values": [0.0 if place is None else place for place in places],
                "tickvals": [place for place, _ in labels], "ticktext": [escape(label) for _, label in labels],
            })  # fmt: skip
        line = {
            "color": list(range(len(self.names))),
            "colorscale": [[i / 7, hue] for i, hue in enumerate(_PALETTE)],
        }
        trace = {"type": "parcoords", "dimensions": dimensions, "line": line}
        return {
            "data": [trace],
            "layout": {**_plotly_layout(self.title, "", ""), "margin": {"l": 60, "r": 60, "t": 70, "b": 30}},
        }


def _as_number(value: str | None) -> float | None:
    try:
        number = None if value is None else float(value)
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None


@dataclass(frozen=True)
class Bar:
    """One row of an :class:`Intervals` chart."""

    label: str
    value: float
    low: float
    high: float
    strong: bool = False


@dataclass(frozen=True)
class Intervals:
    """Values with their intervals, one row each, first row on top; an interval without an end reaches the frame."""

    title: str
    x_label: str
    bars: Sequence[Bar]

    def svg(self) -> str:
        """Draw it."""
        left, height = 170, _TOP + _BOTTOM + _ROW * max(len(self.bars), 1)
        if not self.bars:
            return _empty(self.title, _WIDTH, height)
        low, high = _widen(*_span([value for bar in self.bars for value in (bar.low, bar.high)]))
        to_x = _scale(low, high, left, _WIDTH - _RIGHT)
        bottom = height - _BOTTOM
        parts = [_title(self.title)]
        for tick in _ticks(low, high, 4):
            x = to_x(tick)
            parts.append(f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="{_GRID}"/>')
            parts.append(_label(x, bottom + 14, _number(tick), "middle"))
        parts.append(_label((left + _WIDTH - _RIGHT) / 2, height - 8, self.x_label, "middle"))
        for index, bar in enumerate(self.bars):
            y = _TOP + _ROW * (index + 0.5)
            colour = _ACCENT if bar.strong else _DIM
            parts.append(_label(left - 8, y + 4, _cut(bar.label, 25), "end", _INK))
            parts.append(
                f'<path d="M{to_x(bar.low):.1f} {y}H{to_x(bar.high):.1f}" stroke="{colour}" stroke-width="2"/>'
            )
            parts.append(f'<circle cx="{to_x(bar.value):.1f}" cy="{y}" r="4" fill="{colour}"/>')
        return _svg(self.title, _WIDTH, height, parts)

    def plotly(self) -> dict[str, Any]:
        """Return the figure as Plotly's JSON."""
        bars = list(reversed(self.bars))
        error = {
            "type": "data", "symmetric": False,
            "array": [bar.high - bar.value for bar in bars], "arrayminus": [bar.value - bar.low for bar in bars],
        }  # fmt: skip
        trace = {
            "type": "scatter", "mode": "markers", "x": [bar.value for bar in bars], "y": [bar.label for bar in bars],
            "error_x": error, "marker": {"size": 9, "color": [_PLOTLY_ACCENT if bar.strong else "#9e9e9e" for bar in bars]},
        }  # fmt: skip
        return {"data": [trace], "layout": _plotly_layout(self.title, self.x_label, "")}


@dataclass(frozen=True)
class Amount:
    """One bar of an :class:`Amounts` chart; ``shown`` is the value as a person reads it."""

    label: str
    value: float
    shown: str


@dataclass(frozen=True)
class Amounts:
    """Amounts as horizontal bars from zero, first on top."""

    title: str
    amounts: Sequence[Amount]

    def svg(self) -> str:
        """Draw it."""
        left, right, height = 150, 90, _TOP + 12 + _ROW * max(len(self.amounts), 1)
        if not self.amounts:
            return _empty(self.title, _WIDTH, height)
        most = max((item.value for item in self.amounts if math.isfinite(item.value)), default=0) or 1.0
        parts = [_title(self.title)]
        for index, item in enumerate(self.amounts):
            y = _TOP + _ROW * index
            width = (_WIDTH - left - right) * max(item.value, 0) / most
            parts.append(_label(left - 8, y + 16, _cut(item.label, 22), "end", _INK))
            parts.append(
                f'<rect x="{left}" y="{y + 5}" width="{width:.1f}" height="14" rx="2" fill="{_ACCENT}"/>'
            )
            parts.append(_label(left + width + 6, y + 16, item.shown, "start"))
        return _svg(self.title, _WIDTH, height, parts)

    def plotly(self) -> dict[str, Any]:
        """Return the figure as Plotly's JSON."""
        items = list(reversed(self.amounts))
        trace = {
            "type": "bar", "orientation": "h", "x": [item.value for item in items],
            "y": [escape(item.label) for item in items], "text": [item.shown for item in items],
            "marker": {"color": _PLOTLY_ACCENT},
        }  # fmt: skip
        return {"data": [trace], "layout": _plotly_layout(self.title, "", "")}


@dataclass(frozen=True)
class Spark:
    """A small line over time without axes, broken where there is no value; ``shown`` is the latest as a person reads it."""

    title: str
    values: Sequence[float | None]
    shown: str

    def svg(self) -> str:
        """Draw it, from zero up."""
        width, height, top = 190, 64, 24
        most = max(
            (value for value in self.values if value is not None and math.isfinite(value)), default=0.0
        )
        to_x = _scale(0.0, max(len(self.values) - 1, 1), 4, width - 6)
        to_y = _scale(0.0, min(most, _MOST) if most > 1 / _MOST else 1.0, height - 4, top)
        parts = [
            _label(4, 12, self.title, "start"),
            f'<text x="{width - 4}" y="12" text-anchor="end" font-weight="600" fill="{_INK}">{escape(self.shown)}</text>',
            f'<path d="M4 {height - 4}H{width - 6}" stroke="{_GRID}"/>',
        ]
        path, pen = "", "M"
        for index, value in enumerate(self.values):
            if value is None or not math.isfinite(value):
                pen = "M"
                continue
            path += f"{pen}{to_x(index):.1f} {to_y(value):.1f}" + ("h0" if pen == "M" else "")
            pen = "L"
        if path:
            parts.append(
                f'<path d="{path}" fill="none" stroke="{_ACCENT}" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/>'
            )
        return _svg(f"{self.title}: {self.shown}", width, height, parts)

    def plotly(self) -> dict[str, Any]:
        """Return the figure as Plotly's JSON."""
        trace = {
            "type": "scatter",
            "mode": "lines",
            "y": list(self.values),
            "line": {"color": _PLOTLY_ACCENT},
        }
        return {"data": [trace], "layout": _plotly_layout(self.title, "", "")}


@dataclass(frozen=True)
class Day:
    """One day of a :class:`Days` chart: amounts on top of each other, the first at the bottom."""

    label: str
    values: Sequence[float]


@dataclass(frozen=True)
class Limit:
    """A line across a :class:`Days` chart."""

    label: str
    value: float


@dataclass(frozen=True)
class Days:
    """Amounts by day as columns of parts, with what is expected of the days to come, and limits as lines.

    Attributes:
        title: what is shown.
        y_label: with its unit.
        parts: names of the parts of a column, from the bottom.
        days: the days that were, in order.
        ahead: labels of the days to come.
        expected: what each of those is expected to be; None where nothing is known.
        limits: lines across.
    """

    title: str
    y_label: str
    parts: Sequence[str]
    days: Sequence[Day]
    ahead: Sequence[str] = ()
    expected: float | None = None
    limits: Sequence[Limit] = ()

    def svg(self) -> str:
        """Draw it."""
        if not self.days:
            return _empty(self.title, _WIDTH, _HEIGHT)
        coming = self.ahead if self.expected is not None else ()
        labels = [*(day.label for day in self.days), *coming]
        most = max(sum(day.values) for day in self.days)
        most = max(most, self.expected or 0.0)
        # A limit far above all columns would flatten them.
        shown = [limit for limit in self.limits if limit.value <= most * _FAR]
        top = max([most, *(limit.value for limit in shown)]) * 1.08
        top = top if top > _LEAST else 1.0
        to_y = _scale(0.0, top, _HEIGHT - _BOTTOM, _TOP + 14)
        step = (_WIDTH - _RIGHT - _LEFT) / len(labels)
        parts = [_title(self.title)]
        for tick in _ticks(0.0, top):
            parts.append(f'<path d="M{_LEFT} {to_y(tick):.1f}H{_WIDTH - _RIGHT}" stroke="{_GRID}"/>')
            parts.append(_label(_LEFT - 6, to_y(tick) + 4, _number(tick), "end"))
        width = max(step - 2, 0.5)
        for index, day in enumerate(self.days):
            x, below = _LEFT + step * index + (step - width) / 2, 0.0
            for hue, value in enumerate(day.values):
                if value > 0:
                    y, foot = to_y(below + value), to_y(below)
                    parts.append(
                        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{foot - y:.1f}"'
                        f' fill="{_part(hue)}"><title>{escape(day.label)}</title></rect>'
                    )
                    below += value
        for index in range(len(coming)):
            x, y = _LEFT + step * (len(self.days) + index) + (step - width) / 2, to_y(self.expected or 0.0)
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{to_y(0.0) - y:.1f}" fill="none"'
                f' stroke="{_DIM}" stroke-dasharray="2 2"/>'
            )
        parts += [
            _label(_LEFT + step * (index + 0.5), _HEIGHT - _BOTTOM + 14, labels[index], "middle")
            for index in _spread(len(labels), 5)
        ]
        parts += self._limits(shown, to_y)
        parts += self._legend(bool(coming))
        middle = (_TOP + _HEIGHT - _BOTTOM) / 2
        parts.append(
            f'<text x="12" y="{middle}" text-anchor="middle" fill="{_DIM}" transform="rotate(-90 12 {middle})">'
            f"{escape(self.y_label)}</text>"
        )
        return _svg(self.title, _WIDTH, _HEIGHT, parts)

    def _limits(self, shown: Sequence[Limit], to_y: "_Scale") -> list[str]:
        drawn = []
        for limit in shown:
            y = to_y(limit.value)
            drawn.append(
                f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{_LIMIT}" stroke-dasharray="5 3"/>'
            )
            drawn.append(_label(_WIDTH - _RIGHT, y - 4, _cut(limit.label, 44), "end", _INK))
        return drawn

    def _legend(self, coming: bool) -> list[str]:
        names = [(_cut(name, 14), _part(hue)) for hue, name in enumerate(self.parts)]
        x, drawn = float(_LEFT), []
        for name, colour in names:
            drawn.append(f'<rect x="{x:.0f}" y="{_HEIGHT - 15}" width="9" height="9" fill="{colour}"/>')
            drawn.append(_label(x + 13, _HEIGHT - 7, name, "start"))
            x += 24 + 6.2 * len(name)
        if coming:
            drawn.append(
                f'<rect x="{x:.0f}" y="{_HEIGHT - 15}" width="9" height="9" fill="none" stroke="{_DIM}" stroke-dasharray="2 2"/>'
            )
            drawn.append(_label(x + 13, _HEIGHT - 7, "expected a day", "start"))
        return drawn

    def plotly(self) -> dict[str, Any]:
        """Return the figure as Plotly's JSON."""
        data: list[dict[str, Any]] = [
            {"type": "bar", "x": [day.label for day in self.days], "y": [day.values[index] for day in self.days],
             "name": escape(name), "marker": {"color": (_PLOTLY_ACCENT, *_PALETTE[2:])[index]}}
            for index, name in enumerate(self.parts)
        ]  # fmt: skip
        if self.ahead and self.expected is not None:
            data.append({
                "type": "bar", "x": list(self.ahead), "y": [self.expected] * len(self.ahead), "name": "expected a day",
                "marker": {"color": "rgba(128,128,128,.25)", "line": {"color": "#9e9e9e", "width": 1}},
            })  # fmt: skip
        labels = [*(day.label for day in self.days), *self.ahead]
        data += [
            {"type": "scatter", "mode": "lines", "x": labels, "y": [limit.value] * len(labels), "name": escape(limit.label),
             "line": {"color": "#d95f02", "dash": "dash", "width": 1.5}}
            for limit in self.limits
        ]  # fmt: skip
        layout = _plotly_layout(self.title, "", self.y_label)
        layout["xaxis"]["type"] = "category"  # "11-09" is a day, not September of 2011
        legend = {"orientation": "h", "y": -0.2}
        return {"data": data, "layout": {**layout, "barmode": "stack", "showlegend": True, "legend": legend}}


def _part(hue: int) -> str:
    return _ACCENT if hue == 0 else _PALETTE[(hue + 1) % len(_PALETTE)]


def _spread(number: int, wanted: int) -> list[int]:
    """Return places of labels: first and last, and some between them that leave room."""
    if number <= wanted:
        return list(range(number))
    return [round(index * (number - 1) / (wanted - 1)) for index in range(wanted)]


def _plotly_layout(title: str, x_label: str, y_label: str) -> dict[str, Any]:
    axis = {"automargin": True, "gridcolor": "rgba(128,128,128,.25)", "zeroline": False}
    return {
        "title": {"text": escape(title), "font": {"size": 13}},
        "xaxis": {"title": {"text": escape(x_label)}, **axis},
        "yaxis": {"title": {"text": escape(y_label)}, **axis},
        "height": 300, "margin": {"l": 60, "r": 20, "t": 40, "b": 45}, "showlegend": False,
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "font": {"color": "#808080", "size": 11},
    }  # fmt: skip


def _svg(title: str, width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" font-family="system-ui,sans-serif" font-size="11">'
        f"{''.join(parts)}</svg>"
    )


def _empty(title: str, width: int, height: int) -> str:
    return _svg(title, width, height, [_title(title), _label(width / 2, height / 2, "nothing yet", "middle")])


def _axes(
    title: str,
    x_label: str,
    y_label: str,
    x_ticks: list[float],
    y_ticks: list[float],
    to_x: "_Scale",
    to_y: "_Scale",
) -> str:
    bottom = _HEIGHT - _BOTTOM
    parts = [_title(title)]
    for tick in y_ticks:
        parts.append(f'<path d="M{_LEFT} {to_y(tick):.1f}H{_WIDTH - _RIGHT}" stroke="{_GRID}"/>')
        parts.append(_label(_LEFT - 6, to_y(tick) + 4, _number(tick), "end"))
    parts += [_label(to_x(tick), bottom + 14, _number(tick), "middle") for tick in x_ticks]
    parts.append(_label((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, x_label, "middle"))
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<text x="12" y="{middle}" text-anchor="middle" fill="{_DIM}" transform="rotate(-90 12 {middle})">'
        f"{escape(y_label)}</text>"
    )
    return "".join(parts)


def _title(text: str) -> str:
    return f'<text x="4" y="14" font-size="12" font-weight="600" fill="{_INK}">{escape(text)}</text>'


def _label(x: float, y: float, text: str, anchor: str, colour: str = _DIM) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


class _Scale:
    def __init__(self, low: float, high: float, start: float, stop: float) -> None:
        self.low, self.high, self.start, self.slope = low, high, start, (stop - start) / (high - low)

    def __call__(self, value: float) -> float:
        return self.start + (min(max(self.low, value), self.high) - self.low) * self.slope


_scale = _Scale


def _finite(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in zip(xs, ys, strict=False) if math.isfinite(x) and math.isfinite(y)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    finite = [min(max(value, -_MOST), _MOST) for value in values if math.isfinite(value)] or [0.0]
    return min(finite), max(finite)


def _widen(low: float, high: float) -> tuple[float, float]:
    """Give the data a little air; a single value gets a range around it."""
    if high - low < 1e-12 * max(abs(low), abs(high), 1e-9):
        reach = abs(high) * 0.05 if abs(high) > 1e-9 else 1.0
        return low - reach, high + reach
    return low - (high - low) * 0.06, high + (high - low) * 0.06


def _ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round numbers (1, 2 or 5 times a power of ten) inside a range."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:.10g}" if abs(value) < 1e-9 or 1e-4 <= abs(value) < 1e6 else f"{value:.2e}"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
