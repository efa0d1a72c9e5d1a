"""Tables as aligned text and as HTML; every value is text, whatever it looks like."""

import unicodedata
from collections.abc import Sequence
from html import escape

# JupyterLab's own rules for tables in outputs are as specific as two classes: hence the doubled class.
STYLE = (
    "<style>.snapml{font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;line-height:1.45;"
    "color:var(--jp-ui-font-color1,#212121);overflow-x:auto}"
    ".snapml table{border-collapse:collapse;margin:6px 0}"
    ".snapml.snapml th,.snapml.snapml td{padding:3px 8px;text-align:left;vertical-align:top;white-space:nowrap;"
    "border-bottom:1px solid var(--jp-border-color2,#e0e0e0);font-variant-numeric:tabular-nums}"
    ".snapml.snapml th.n,.snapml.snapml td.n{text-align:right}"
    ".snapml.snapml th{font-weight:600;color:var(--jp-ui-font-color2,#616161)}"
    ".snapml.snapml td.w{white-space:normal;overflow-wrap:anywhere;min-width:10em}"
    ".snapml tr.lead td{font-weight:600}"
    ".snapml h4{margin:4px 0;font-size:14px;font-weight:600;line-height:1.4}"
    ".snapml svg{max-width:100%;height:auto;display:block}"
    ".snapml .row{display:flex;flex-wrap:wrap;gap:8px 24px;align-items:flex-start;margin:8px 0}"
    ".snapml .row svg{flex:1 1 360px;min-width:0;max-width:460px}"
    ".snapml pre.wrap{white-space:pre-wrap;margin:4px 0;font-size:12px}"
    ".snapml .dim{color:var(--jp-ui-font-color2,#757575)}"
    ".snapml .bad{color:var(--jp-error-color1,#c62828)}</style>"
)

_WRAPPED = 28
"""Cells of more characters may be broken into lines in HTML."""


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()
) -> str:
    """Align columns with spaces; columns in ``right`` are set to the right. Wide characters count as two."""
    cleaned = [[_one_line(cell) for cell in row] for row in rows]
    widths = [
        max((_width(row[i]) for row in [list(header), *cleaned]), default=0) for i in range(len(header))
    ]

    def line(cells: Sequence[str]) -> str:
        padded = (
            " " * (widths[i] - _width(cell)) + cell if i in right else cell + " " * (widths[i] - _width(cell))
            for i, cell in enumerate(cells)
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(list(header)), line(["─" * width for width in widths]), *map(line, cleaned)])


def html_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: frozenset[int] = frozenset(),
    lead: int | None = None,
) -> str:
    """Make a table; ``lead`` is the index of a row to set in bold."""

    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if i in right else ' class=w' if len(value) > _WRAPPED else ''}>"
            f"{escape(_one_line(value))}</{tag}>"
            for i, value in enumerate(values)
        )

    body = "".join(
        f"<tr{' class=lead' if i == lead else ''}>{cells('td', row)}</tr>" for i, row in enumerate(rows)
    )
    return f"<table><thead><tr>{cells('th', header)}</tr></thead><tbody>{body}</tbody></table>"


def framed(*parts: str) -> str:
    """Put HTML parts into our frame with its style; dollars in it are money, which MathJax is told to leave alone."""
    return f'{STYLE}<div class="snapml tex2jax_ignore mathjax_ignore">{"".join(parts)}</div>'


def printable(text: str, *, keep: str = "\n\t") -> str:
    """Show control characters as �, instead of having a terminal obey them; those in ``keep`` stay."""
    return "".join(c if c in keep or unicodedata.category(c)[0] != "C" else "�" for c in text)


def _one_line(text: str) -> str:
    return printable(text.replace("\n", "⏎"), keep="")


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
