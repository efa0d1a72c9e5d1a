"""A real Jupyter server in a project of its own, and its JupyterLab as a person uses it."""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import Dialog, Locator, Page, Response, expect

from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Job
from snapml_lab.workspace import Workspace

SCREENSHOTS = Path(__file__).parent / "screenshots"
_LABEXTENSION = Path(__file__).parents[2] / "labextension" / "dist"
"""This checkout's own, whatever is installed."""
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
NARROW, USUAL, WIDE = 0, 260, 600
"""Widths of the sidebar in pixels; JupyterLab allows no less than a certain one."""
SECONDS = 1000.0
"""In Playwright's milliseconds."""
expect.set_options(timeout=40 * SECONDS)

_START_SECONDS = 60.0
_NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}

_COMPLAINTS = """() => {
  const complaints = [];
  const seen = node => node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const ours = document.querySelectorAll('.snapml-Sidebar, .snapml-Page, .snapml-Status, .snapml-panel, .jp-OutputArea .snapml, .snapml-curve');
  const all = selector => [...ours].flatMap(node => [...node.querySelectorAll(selector)]).filter(seen);

  for (const node of all('button, a, input, [role=button], [tabindex]')) {
    const labels = [...(node.labels || [])].map(label => label.textContent).join(' ').trim();
    const name = node.getAttribute('aria-label') || labels || node.textContent.trim();
    if (!name) complaints.push(`no name: ${node.outerHTML.slice(0, 120)}`);
  }
  for (const node of all('[role=progressbar], [role=meter]')) {
    const [low, value, high] = ['min', 'now', 'max'].map(word => node.getAttribute(`aria-value${word}`));
    const sound = low !== null && high !== null && value !== null && +low <= +value && +value <= +high;
    if (!sound || !node.getAttribute('aria-label')) complaints.push(`progressbar: ${node.outerHTML.slice(0, 120)}`);
  }
  for (const node of all('progress, svg[role=img]')) {
    if (!node.getAttribute('aria-label')) complaints.push(`no label: ${node.outerHTML.slice(0, 120)}`);
  }

  // Contrast of text with what is behind it, as WCAG computes it.
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const over = (layers) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const layer of layers) { canvas.fillStyle = layer; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = colour => {
    const [r, g, b] = colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = node => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
    return layers;
  };
  for (const node of all('*')) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!own || node.matches('style, [aria-disabled=true], :disabled, .snapml-heard')) continue;
    const style = getComputedStyle(node);
    const layers = behind(node);
    const ink = node.ownerSVGElement ? style.fill : style.color;
    const [a, b] = [light(over([...layers, ink])), light(over(layers))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.4) complaints.push(`contrast ${ratio.toFixed(2)}: ${node.textContent.trim().slice(0, 60)}`);
  }
  return [...new Set(complaints)];
}"""


class Server:
    """A ``jupyter lab`` process that serves a project folder; it can be killed and started again on its port.

    Args:
        folder: where the project and Jupyter's own files go.
        surroundings: variables of its environment.
    """

    def __init__(self, folder: Path, surroundings: Mapping[str, str] | None = None) -> None:
        self._surroundings = dict(surroundings or {})
        self.project = folder / "project"
        self.project.mkdir(parents=True)
        self.token = secrets.token_hex(16)
        self._home = folder / "home"
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        if (_LABEXTENSION / "package.json").is_file():
            extensions = self._home / "share" / "labextensions"
            extensions.mkdir(parents=True)
            (extensions / "snapml-lab").symlink_to(_LABEXTENSION)
        settings = self._home / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(_NO_NEWS))

    @property
    def ws(self) -> Workspace:
        """The project's workspace."""
        return Workspace(self.project / ".snapml")

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
                f"--port={self.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}",
                f"--ServerApp.root_dir={self.project}", "--LabApp.expose_app_in_browser=True",
            ],
            cwd=self.project, env=self._environment(), start_new_session=True,
            stdout=self._log.open("ab"), stderr=subprocess.STDOUT,
        )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"jupyter lab did not come up:\n{self.log()[-4000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End the server alone with SIGKILL, as the kernel does where memory is short."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """Stop it with its kernels, and the jobs it left."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for job in queue.latest(self.ws, limit=1000):
            if not job.ended:
                queue.wait(self.ws, queue.cancel(self.ws, job.id, grace=0.5), timeout=20)
        for pid in _kernels_of(self._home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def log(self) -> str:
        """Return what it has said."""
        return self._log.read_text("utf-8", "replace")

    def job(self, job: str) -> Job:
        """Return a job as the ledger has it."""
        return queue.get(self.ws, job)

    def request(self, method: str, path: str) -> Any:
        """Ask its REST API, as another client would."""
        headers = {"Authorization": f"token {self.token}"}
        asked = urllib.request.Request(f"{self.url}{path}", method=method, headers=headers)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def shut_kernels(self) -> None:
        """Shut all kernels down."""
        for session in self.request("GET", "/api/sessions"):
            self.request("DELETE", f"/api/sessions/{session['id']}")

    def write(self, path: str, *cells: str) -> Path:
        """Write a notebook whose cells have the ids cell-0, cell-1, …"""
        made = [
            {"cell_type": "code", "id": f"cell-{index}", "metadata": {}, "source": source,
             "execution_count": None, "outputs": []}
            for index, source in enumerate(cells)
        ]  # fmt: skip
        kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
        content = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        file = self.project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
        return file

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SNAPML_", "JPY_", "JUPYTER", "IPYTHON"))
        }
        own = {
            "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython",
            "JUPYTER_PATH": "share",
        }  # fmt: skip
        return {
            **kept,
            **{name: str(self._home / folder) for name, folder in own.items()},
            **self._surroundings,
        }

    def _answers(self) -> bool:
        try:
            self.request("GET", "/api/status")
        except (OSError, urllib.error.URLError):
            return False
        return True


class Lab:
    """JupyterLab in a page.

    Args:
        page: a page with nothing in it.
        server: what it shows.
    """

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.jobs = page.get_by_test_id("snapml-jobs")
        self.dialogs: list[str] = []
        page.on("dialog", self._on_dialog)

    def _on_dialog(self, dialog: Dialog) -> None:
        if dialog.type == "beforeunload":  # work that is not saved does not keep a test on the page
            dialog.accept()
            return
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def open(self, path: str = "", *, theme: str = LIGHT, width: int | None = None) -> None:
        """Load the page anew at a notebook, with the SnapML sidebar in front."""
        tree = f"/tree/{path}" if path else ""
        self.page.goto(f"{self.server.url}/lab{tree}?reset&token={self.server.token}")
        self.page.locator("#jp-main-dock-panel").wait_for()
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0, timeout=30 * SECONDS)
        if path:
            expect(self.cell(0)).to_be_visible(timeout=20 * SECONDS)
            self.idle()
        self.theme(theme)
        self.sidebar()
        if width is not None:
            self.widen(width)

    def reload(self) -> None:
        """Reload the page, as F5 does."""
        self.page.reload()
        self.page.locator("#jp-main-dock-panel").wait_for()
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0, timeout=30 * SECONDS)

    def execute(self, command: str, arguments: dict[str, Any] | None = None) -> None:
        """Execute one of JupyterLab's commands; for set-up, never for what a test is about."""
        self.page.evaluate(
            "([command, args]) => void window.jupyterapp.commands.execute(command, args)",
            [command, arguments or {}],
        )

    def theme(self, name: str) -> None:
        """Change the theme."""
        self.execute("apputils:change-theme", {"theme": name})
        body = self.page.locator("body")
        expect(body).to_have_attribute("data-jp-theme-name", name)
        # The sheet of the theme comes a moment after its name.
        dark = "false" if name == DARK else "true"
        expect(body).to_have_attribute("data-jp-theme-light", dark)
        self.page.wait_for_timeout(300)
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)

    def sidebar(self) -> None:
        """Bring the SnapML sidebar to the front."""
        if not self.jobs.is_visible():
            self.page.get_by_role("tab", name=re.compile("SnapML")).click()
        expect(self.jobs).to_be_visible()

    def widen(self, width: int) -> None:
        """Drag the sidebar's edge until it is that wide, or as narrow as JupyterLab allows."""
        stack = self.page.locator("#jp-left-stack")
        box = stack.bounding_box()
        assert box is not None
        edge, middle = box["x"] + box["width"] + 1, box["y"] + box["height"] / 2
        self.page.mouse.move(edge, middle)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + width, middle, steps=5)
        self.page.mouse.up()

    def cell(self, index: int) -> Locator:
        """Return a cell of the notebook in front."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell").nth(index)

    def run(self, index: int) -> None:
        """Run a cell with Shift+Enter."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")

    def idle(self) -> None:
        """Wait until the notebook's kernel is there and has nothing to do."""
        # The notebook's own indicator says "idle" before it is connected; the status bar does not.
        status = self.page.locator("#jp-bottom-panel").get_by_text(re.compile(r"\| Idle$"))
        expect(status).to_be_visible(timeout=30 * SECONDS)

    def done(self, index: int, timeout: float = 60) -> None:
        """Wait until a cell has run."""
        prompt = self.cell(index).locator(".jp-InputPrompt")
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=timeout * SECONDS)

    def job(self, job: str) -> Locator:
        """Return a job's row in the sidebar."""
        return self.jobs.locator(f'[data-testid="snapml-job"][data-job-id="{job}"]')

    def new_job(self, seen: set[str], timeout: float = 20) -> str:
        """Wait for a row that is not of a job ``seen`` before; return the job's id."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for row in self.jobs.get_by_test_id("snapml-job").all():
                job = row.get_attribute("data-job-id")
                if job is not None and job not in seen:
                    return job
            self.page.wait_for_timeout(100)
        raise AssertionError(f"no new job in the sidebar after {timeout} s")

    def until(self, fact: Callable[[], bool], timeout: float = 20) -> None:
        """Wait until something is so that is not on the page; the page goes on meanwhile."""
        deadline = time.monotonic() + timeout
        while not fact():
            assert time.monotonic() < deadline, "it was not to be"
            self.page.wait_for_timeout(100)

    def seen(self) -> set[str]:
        """Return the ids of all jobs there are."""
        return {job.id for job in queue.latest(self.server.ws, limit=1000)}

    def expect_state(self, job: str, state: str, timeout: float = 20) -> None:
        """Wait until the sidebar shows a job in a state."""
        expect(self.job(job)).to_have_attribute("data-state", state, timeout=timeout * SECONDS)

    def percent(self, job: str) -> int:
        """Return the progress the sidebar shows, or -1 where it shows none."""
        bar = self.job(job).get_by_role("progressbar")
        value = bar.get_attribute("aria-valuenow") if bar.count() else None
        return -1 if value is None else int(value)

    def press_until(self, inside: str, key: str = "Tab", most: int = 60) -> None:
        """Press a key until the focus is on an element that matches a selector."""
        for _ in range(most):
            self.page.keyboard.press(key)
            if self.focused(inside):
                return
        raise AssertionError(f"{most} × {key} did not reach {inside}")

    def focused(self, selector: str) -> bool:
        """Say whether the focus is on an element that matches a selector."""
        return bool(self.page.evaluate("at => document.activeElement.matches(at)", selector))

    def complaints(self) -> list[str]:
        """Return what a reader with a screen reader, or with tired eyes, would miss in what is ours on the page."""
        found: list[str] = self.page.evaluate(_COMPLAINTS)
        return found

    def save(self) -> None:
        """Save the notebook in front with Ctrl+S."""
        with self.page.expect_response(
            lambda answer: answer.request.method == "PUT" and "/api/contents/" in answer.url
        ):
            self.page.keyboard.press("Control+s")
        self.page.wait_for_timeout(300)

    @contextlib.contextmanager
    def keeps(self, kind: str) -> Iterator[None]:
        """Wait, after what is done within, until JupyterLab has saved that a page of a kind is open."""

        def kept(answer: Response) -> bool:
            request = answer.request
            of_workspace = request.method == "PUT" and "/api/workspaces/" in answer.url
            return of_workspace and f'"{kind}:' in (request.post_data or "")

        with self.page.expect_response(kept):
            yield

    def shot(self, name: str) -> None:
        """Take a screenshot."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def portraits(self, name: str) -> None:
        """Take screenshots in both themes, with a narrow and a wide sidebar; fail on complaints in any of them."""
        complaints = []
        for width, looks in ((NARROW, "narrow"), (WIDE, "wide")):
            self.widen(width)
            for theme, shade in ((LIGHT, "light"), (DARK, "dark")):
                self.theme(theme)
                self.shot(f"{name}-{shade}-{looks}")
                complaints += [f"{shade}, {looks}: {complaint}" for complaint in self.complaints()]
        self.theme(LIGHT)
        self.widen(USUAL)
        assert complaints == []


def chromium() -> str | None:
    """Return the browser to drive, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def serving(folder: Path, surroundings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Serve a project that holds the table ``flowers.csv``."""
    from sklearn.datasets import load_iris

    server = Server(folder, surroundings)
    load_iris(as_frame=True).frame.to_csv(server.project / "flowers.csv", index=False)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _kernels_of(home: Path) -> list[int]:
    """Return the kernels a killed server left: those whose connection file is its own."""
    mine = str(home / "runtime").encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if mine in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
    return found
