"""The base of every result a command returns: a small typed model with a text and an HTML form."""

from html import escape
from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr

from snapml_lab.views.tables import printable

_PLOTLY = "application/vnd.plotly.v1+json"


class View(BaseModel):
    """A result: JSON for programs, text for logs and terminals, HTML for notebooks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    _shown: bool = PrivateAttr(default=False)
    _figure: dict[str, Any] | None = PrivateAttr(default=None)

    def text(self) -> str:
        """Return the whole result as lines of plain text: a line a field, unless a view says better."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        width = max(map(len, fields), default=0)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in fields.items() if value is not None)

    def html(self) -> str:
        """Return static HTML that is safe whatever the data holds."""
        return f"<pre style='margin:0'>{escape(self.text())}</pre>"

    def plain(self) -> str:
        """Return the text with control characters shown, not obeyed: names and logs may come from anywhere."""
        return printable(self.text())

    def bundle(self) -> dict[str, str]:
        """Return both forms, as a notebook keeps them."""
        return {"text/plain": self.plain(), "text/html": self.html()}

    def shown(self) -> None:
        """Say that the result is on the screen, so that being a cell's last value does not show it again."""
        self._shown = True

    def enliven(self, figure: dict[str, Any] | None) -> None:
        """Have a chart for the pointer, as Plotly's JSON, shown below it: data, which a front end draws without a kernel."""
        self._figure = figure

    def __str__(self) -> str:
        return self.plain()

    def __repr__(self) -> str:
        return self.plain()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if self._shown:
            self._shown = False
            return
        bundle: dict[str, Any] = self.bundle()
        display(bundle, raw=True)
        if self._figure is not None:
            title = self._figure["layout"]["title"]["text"]
            display({_PLOTLY: self._figure, "text/plain": title}, raw=True)
