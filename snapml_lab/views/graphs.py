"""A small graph as inline SVG: boxes in columns, arrows from left to right."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _EDGE = 168, 44, 56, 12, 8
_INK = "var(--jp-ui-font-color1,#212121)"
_DIM = "var(--jp-ui-font-color2,#757575)"
_LINE = "var(--jp-border-color1,#bdbdbd)"
_BOX = "var(--jp-layout-color2,#f5f5f5)"
_ACCENT = "var(--jp-brand-color1,#1976d2)"
_LABEL, _DETAIL = 22, 25


@dataclass(frozen=True)
class Box:
    """One node: its kind in small letters, a label, and a line of detail; a ``strong`` one is what it is all about."""

    id: str
    kind: str
    label: str
    detail: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Arrow:
    """From one box to another, by their ids."""

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True)
class Graph:
    """Boxes in columns, each right of all that lead to it. Arrows that close a circle do not count for that."""

    title: str
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]

    def columns(self) -> list[list[Box]]:
        """Return the boxes column by column; each is as far right as what comes before it asks for, and no farther."""
        known = {box.id for box in self.boxes}
        arrows = [arrow for arrow in self.arrows if {arrow.source, arrow.target} <= known]
        depth = dict.fromkeys(known, 0)
        for _ in self.boxes:
            moved = False
            for arrow in arrows:
                if depth[arrow.target] <= depth[arrow.source] < len(self.boxes):
                    depth[arrow.target], moved = depth[arrow.source] + 1, True
            if not moved:
                break
        for box in self.boxes:  # what only leads somewhere stands right before it
            after = [depth[arrow.target] for arrow in arrows if arrow.source == box.id]
            if after and not any(arrow.target == box.id for arrow in arrows):
                depth[box.id] = max(min(after) - 1, 0)
        found: dict[int, list[Box]] = {}
        for box in self.boxes:
            found.setdefault(depth[box.id], []).append(box)
        return [found[key] for key in sorted(found)]

    def svg(self) -> str:
        """Draw it."""
        columns = self.columns()
        tallest = max((len(column) for column in columns), default=1)
        width = max(len(columns), 1) * (_WIDTH + _GAP_X) - _GAP_X + 2 * _EDGE
        height = tallest * (_HEIGHT + _GAP_Y) - _GAP_Y + 2 * _EDGE
        place: dict[str, tuple[float, float]] = {}
        for x, column in enumerate(columns):
            top = (height - len(column) * (_HEIGHT + _GAP_Y) + _GAP_Y) / 2
            for y, box in enumerate(column):
                place[box.id] = (_EDGE + x * (_WIDTH + _GAP_X), top + y * (_HEIGHT + _GAP_Y))
        parts = [
            _arrow(place[a.source], place[a.target], a.label)
            for a in self.arrows
            if {a.source, a.target} <= set(place)
        ]
        parts += [_box(box, *place[box.id]) for box in self.boxes]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(self.title)}" width="{width}" '
            f'height="{height:.0f}" viewBox="0 0 {width} {height:.0f}" font-family="system-ui,sans-serif" font-size="11">'
            f"{''.join(parts)}</svg>"
        )


def _box(box: Box, x: float, y: float) -> str:
    edge, width = (_ACCENT, 2) if box.strong else (_LINE, 1)
    more = f"{box.kind} · {box.detail}" if box.detail else box.kind
    shape = f'<rect x="{x:.0f}" y="{y:.1f}" width="{_WIDTH}" height="{_HEIGHT}" rx="4" fill="{_BOX}" stroke="{edge}" stroke-width="{width}"/>'
    label = f'<text x="{x + 8:.0f}" y="{y + 18:.1f}" font-size="12" font-weight="600" fill="{_INK}">{escape(_cut(box.label, _LABEL))}</text>'
    detail = f'<text x="{x + 8:.0f}" y="{y + 34:.1f}" fill="{_DIM}">{escape(_cut(more, _DETAIL))}</text>'
    return f"<g><title>{escape(f'{box.kind} {box.label} {box.detail}'.strip())}</title>{shape}{label}{detail}</g>"


def _arrow(start: tuple[float, float], end: tuple[float, float], label: str) -> str:
    x, y = start[0] + _WIDTH, start[1] + _HEIGHT / 2
    to_x, to_y = end[0] - 6, end[1] + _HEIGHT / 2
    bend = max((to_x - x) / 2, 20)
    path = f"M{x:.1f} {y:.1f}C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
    head = f"M{to_x:.1f} {to_y - 4:.1f}L{to_x + 6:.1f} {to_y:.1f}L{to_x:.1f} {to_y + 4:.1f}Z"
    return (
        f'<g><title>{escape(label)}</title><path d="{path}" fill="none" stroke="{_LINE}" stroke-width="1.3"/>'
        f'<path d="{head}" fill="{_LINE}"/></g>'
    )


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
