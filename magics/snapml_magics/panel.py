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
  const stop = document.createElement('button');
  stop.textContent = 'Stop';
  stop.className = 'jp-mod-styled jp-mod-warn';
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
    stop.disabled = model.get('state') !== 'running' && model.get('state') !== 'queued';
  };
  model.on('change', draw);
  draw();
  box.append(bar, words, stop);
  el.append(box);
}
export default { render };
"""

_CSS = """
.snapml-panel { display: flex; align-items: center; gap: 12px; padding: 4px 0; font-size: 13px;
  color: var(--jp-ui-font-color1); font-variant-numeric: tabular-nums; }
.snapml-panel progress { width: 180px; accent-color: var(--jp-brand-color1); }
.snapml-panel span { flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
"""


class _Controls(anywidget.AnyWidget):
    _esm = _ESM
    _css = _CSS
    job = traitlets.Unicode().tag(sync=True)
    state = traitlets.Unicode().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    progress = traitlets.Float(-1.0).tag(sync=True)


class Panel:
    """Progress, stop, and the charts of a view that has them.

    Args:
        job: the id of the job to stop.
    """

    def __init__(self, job: str) -> None:
        self._controls = _Controls(job=job)
        self._box = ipywidgets.VBox([self._controls])
        self._figures: dict[str, Any] = {}
        self._handle = display(self._box, display_id=True)

    def show(self, view: View, job: Job) -> None:
        """Bring the panel up to date."""
        self._controls.state = str(job.state)
        self._controls.message = job.message or job.waiting_for or str(job.state)
        self._controls.progress = -1.0 if job.progress is None else job.progress
        curve = getattr(view, "curve", None)
        if curve is None:
            return
        chart = curve()
        if len(chart.x) < 2:
            return
        drawn = chart.plotly()
        if "curve" not in self._figures:
            self._figures["curve"] = go.FigureWidget(drawn)
            self._box.children = [self._controls, self._figures["curve"]]
            return
        figure = self._figures["curve"]
        with figure.batch_update():
            for trace, new in zip(figure.data, drawn["data"], strict=True):
                trace.x, trace.y = new["x"], new["y"]

    def close(self) -> None:
        """Take it away: what stays is the picture."""
        for figure in self._figures.values():
            figure.close()
        self._controls.close()
        self._box.close()
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)
