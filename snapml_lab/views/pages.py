"""A whole HTML page around a view, to open in a browser: static, light and dark."""

from html import escape

_DARK = (
    "--jp-ui-font-color1:#e0e0e0;--jp-ui-font-color2:#9e9e9e;--jp-border-color1:#616161;--jp-border-color2:#424242;"
    "--jp-layout-color2:#2b2b2b;--jp-brand-color1:#64b5f6;--jp-error-color1:#ef9a9a"
)


def page(title: str, body: str) -> str:
    """Return a page.

    Args:
        title: as text.
        body: HTML that is safe, as views give it.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>:root{{color-scheme:light dark}}body{{margin:24px auto;max-width:900px;"
        f"padding:0 16px;background:#fff}}@media(prefers-color-scheme:dark){{:root{{{_DARK}}}body{{background:#111}}}}"
        f"</style></head><body>{body}</body></html>\n"
    )
