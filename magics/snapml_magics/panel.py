"""The live panel: progress, a stop button and interactive charts while a cell waits.

While it waits the kernel is busy and widget events do not arrive, so the button asks the server, not the kernel.
Needs ipywidgets, anywidget and plotly.
"""

from typing import Any

import anywidget
import ipywidgets
import plotly.graph_objects as go
import traitlets
from IPython.display import display

from snapml_lab.jobs.model import Job
from snapml_lab.views.base import View

_ESM = """
function render({ model, el }) {
  const box = document.createElement('div');
  box.className = 'snapml-panel';
  const bar = document.createElement('progress');
  bar.max = 1;
  bar.setAttribute('aria-label', 'progress');
  const words = document.createElement('span');
  words.dir = 'auto';
  const stop = document.createElement('button');
  stop.textContent = 'Stop';
  stop.addEventListener('click', async () => {
    stop.disabled = true;
    words.textContent = 'stopping…';
    const page = JSON.parse(document.getElementById('jupyter-config-data')?.textContent || '{}');
    const cookie = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/);
    const headers = { 'Content-Type': 'application/json' };
    if (cookie) headers['X-XSRFToken'] = decodeURIComponent(cookie[1]);
    if (page.token) headers['Authorization'] = 'token ' + page.token;
    const answer = await fetch((page.baseUrl || '/') + 'snapml/api/jobs/cancel', {
      method: 'POST', credentials: 'same-origin', headers, body: JSON.stringify({ job: model.get('job') })
    }).catch(() => null);
    if (!answer || !answer.ok) {
      stop.disabled = false;
      words.textContent = 'could not stop it from here: interrupt the cell, then %snapml jobs cancel';
    }
  });
  const draw = () => {
    const value = model.get('progress');
    if (value < 0) bar.removeAttribute('value'); else bar.value = value;
    words.textContent = model.get('message');
    stop.disabled = !['queued', 'starting', 'running'].includes(model.get('state'));
  };
  model.on('change', draw);
  draw();
  box.append(bar, stop, words);
  el.append(box);
}
export default { render };
"""

_CSS = """
.snapml-panel { display: flex; align-items: center; gap: 10px; padding: 2px 0 4px; font-size: 13px;
  color: var(--jp-ui-font-color1); font-variant-numeric: tabular-nums; }
.snapml-panel progress { flex: none; width: 200px; accent-color: var(--jp-brand-color1); }
.snapml-panel button { flex: none; padding: 2px 12px; font: inherit; cursor: pointer; border-radius: 3px;
  color: var(--jp-ui-font-color1); background: var(--jp-layout-color1); border: 1px solid var(--jp-border-color0); }
.snapml-panel button:hover { background: var(--jp-layout-color2); }
.snapml-panel button:disabled { color: var(--jp-ui-font-color3); cursor: default; }
.snapml-panel button:focus-visible { outline: 2px solid var(--jp-brand-color1); outline-offset: 1px; }
.snapml-panel span { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.snapml-curve text { fill: var(--jp-ui-font-color1) !important; font-family: var(--jp-ui-font-family) !important; }
.snapml-curve .gridlayer path { stroke: var(--jp-border-color2) !important; }
"""


class _Controls(anywidget.AnyWidget):
    _esm = _ESM
    _css = _CSS
    job = traitlets.Unicode().tag(sync=True)
    state = traitlets.Unicode().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    progress = traitlets.Float(-1.0).tag(sync=True)


class Panel:
    """Progress and stop above the picture, and below it the curve of a view that has one.

    Args:
        job: the id of the job to stop.
    """

    def __init__(self, job: str) -> None:
        self._controls = _Controls(job=job)
        self._curve: Any = None
        self._outputs = [_Output(self._controls)]

    def show(self, view: View, job: Job) -> None:
        """Bring the panel up to date."""
        self._controls.state = str(job.state)
        self._controls.message = job.message or job.waiting_for or str(job.state)
        self._controls.progress = -1.0 if job.progress is None else job.progress
        curve = getattr(view, "curve", None)
        if curve is None:
            return
        chart = curve()
        drawn = chart.plotly()
        if max((len(trace["x"]) for trace in drawn["data"]), default=0) < 2:
            return
        if self._curve is None:
            self._curve = go.FigureWidget(drawn)
            self._outputs.append(_Output(ipywidgets.VBox([self._curve]).add_class("snapml-curve")))
            return
        with self._curve.batch_update():
            for trace, new in zip(self._curve.data, drawn["data"], strict=True):
                trace.x, trace.y = new["x"], new["y"]

    def close(self) -> None:
        """Take it away: what stays is the picture."""
        if self._curve is not None:
            self._curve.close()
        for output in self._outputs:
            output.close()


class _Output:
    """A widget in an output of its own, which is empty once the widget is gone."""

    def __init__(self, widget: Any) -> None:
        self._widget = widget
        self._handle = display(widget, display_id=True)

    def close(self) -> None:
        self._widget.close()
        if self._handle is not None:
            self._handle.update({"text/plain": "", "text/html": ""}, raw=True)
