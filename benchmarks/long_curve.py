"""A curve of a million points: from the ledger to a command, through REST, and drawn in a browser's page."""

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
from measure import Entry, high, interleaved
from rivals import MLFLOW, OURS, TRACKIO, Driver
from surroundings import wait_until

_METRIC = "loss"
_SERVED = "MLflow 3.18, SQLite: what its page asks its server, JSON"
_SHORT = "ours, 1,000 points"
_OPENED = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const shown = () => [...document.querySelectorAll('.snapml-Chart-line')].some(line => line.checkVisibility() && line.getAttribute('d'));
  const begun = performance.now();
  document.querySelector('[data-testid=snapml-run-open]').click();
  while (!shown()) {
    if (performance.now() - begun > 20000) return null;
    await frame();
  }
  await frame();
  await frame();
  return performance.now() - begun;
}"""
_CLOSE = "#jp-main-dock-panel .lm-TabBar-tab.lm-mod-current .lm-TabBar-tabCloseIcon"


def long_curve(repeats: int = 10, points: int = 1_000_000, rivals: int = 1) -> Entry:
    """Time the command, REST, and a person's click until the curve is painted; MLflow's and trackio's asked less often."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        drivers = {name: stack.enter_context(Driver(name, folder)) for name in (OURS, MLFLOW, TRACKIO)}
        for driver in drivers.values():
            driver.begin("fill_curve", name="long", number=points)
        run = {name: driver.answer() for name, driver in drivers.items()}[MLFLOW]
        drivers[OURS].ask("fill_curve", name="short", number=1000)
        url = stack.enter_context(_mlflow_server(drivers[MLFLOW]))
        others: dict[str, list[float]] = {_SERVED: [], TRACKIO: []}
        for _ in range(rivals):
            others[_SERVED].append(_served(url, run))
            others[TRACKIO].append(drivers[TRACKIO].ask("curve", name="long")[0])
        acts: dict[str, Callable[[], float]] = {
            "command": lambda: drivers[OURS].ask("curve", name="long")[0],
            "drawn": lambda: drivers[OURS].ask("curve", name="long")[1],
        }
        acts |= stack.enter_context(_page(drivers[OURS].kept))
        samples = interleaved(acts, repeats)
    middle = {name: statistics.median(found) for name, found in samples.items()}
    shown = samples["page"] if "page" in samples else samples["REST"]
    leg = (
        "clicked in the sidebar, painted on its page"
        if "page" in samples
        else "through REST, for want of a browser"
    )
    return Entry(
        f"A curve of {points:,} points, {leg}", shown,
        ({_SHORT: samples["short page"]} if "page" in samples else {}) | others,
        f"100 ms to the screen; it is {statistics.median(shown):.0f} ms, p95 {high(shown):.0f}", statistics.median(shown) <= 100,
        "python benchmarks/run.py long_curve",
        notes=(
            f"the command alone {middle['command']:.1f} ms, with its picture as SVG {middle['drawn']:.1f} ms, through REST {middle['REST']:.1f} ms. The page asks for all of the run, draws, and is timed until two frames after; what a run of 1,000 points takes is the page's own share.",
            f"MLflow's page asks for 320 points, which its server picks from all ({statistics.median(others[_SERVED]) / middle['REST']:.0f}× as long as ours through REST); trackio's for 3,000, timed at its store without HTTP. Neither was timed in a browser, which would come on top. MLflow's server runs without its job runners.",
        ),
    )  # fmt: skip


def _served(url: str, run: str) -> float:
    begun = time.perf_counter()
    answer = requests.get(
        f"{url}/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval",
        params={"run_ids": run, "metric_key": _METRIC, "max_results": "320"},
        timeout=300,
    )
    answer.raise_for_status()
    assert len(answer.json()["metrics"]) >= 300, answer.text[:300]
    return (time.perf_counter() - begun) * 1000


@contextlib.contextmanager
def _mlflow_server(driver: Driver) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with driver.log.open("ab") as log:
        process = subprocess.Popen(
            [
                driver.python, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{driver.kept}/mlflow.db",
                "--default-artifact-root", str(driver.kept / "artifacts"), "--host", "127.0.0.1", "--port", str(port),
                "--workers", "1",
            ],
            env={**driver.variables, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}, cwd=driver.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def up() -> bool:
        assert process.poll() is None, driver.log.read_text("utf-8", "replace")[-2000:]
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{url}/health", timeout=5).ok
        return False

    try:
        wait_until(up, "MLflow's server", 120, 0.2)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


@contextlib.contextmanager
def _page(workspace: Path) -> Iterator[dict[str, Callable[[], float]]]:
    """Serve a workspace's folder with JupyterLab; give a request through REST, and where there is a browser, its page."""
    root = str(Path(__file__).resolve().parents[1])
    sys.path[:0] = [root, f"{root}/tests"]
    from browser.lab import Lab, Server, chromium

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder), {"SNAPML_WORKSPACE": str(workspace)})
        server.start()
        session = requests.Session()
        session.headers["Authorization"] = f"token {server.token}"

        def rest() -> float:
            begun = time.perf_counter()
            body = {"metric": _METRIC, "run": ["long"]}
            answer = session.post(f"{server.url}/snapml/api/runs/curve", json=body, timeout=60)
            answer.raise_for_status()
            assert answer.json()["curves"][0]["number"] > 0
            return (time.perf_counter() - begun) * 1000

        acts: dict[str, Callable[[], float]] = {"REST": rest}
        try:
            path = chromium()
            if path is None:
                yield acts
                return
            from playwright.sync_api import sync_playwright

            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=path,
                    args=[
                        "--no-sandbox",
                        "--disable-gpu",
                        "--disable-background-networking",
                        "--no-first-run",
                    ],
                )
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                lab = Lab(page, server)
                lab.open()
                yield acts | {
                    "page": lambda: _clicked(lab, "long"),
                    "short page": lambda: _clicked(lab, "short"),
                }
                browser.close()
        finally:
            server.stop()


def _clicked(lab: Any, run: str) -> float:
    """Find a run in the sidebar, then time from the click on it until its curve is painted; its page is closed again."""
    title = lab.page.locator('.snapml-Sidebar .lm-AccordionPanel-title[aria-label="Runs Section"]')
    if title.get_attribute("aria-expanded") == "false":
        title.click()
    section = lab.page.get_by_test_id("snapml-runs")
    section.get_by_test_id("snapml-runs-search").fill(run)
    wait_until(lambda: section.get_by_test_id("snapml-run").count() == 1, f"the run {run} alone")
    wait_until(lambda: run in section.get_by_test_id("snapml-run").inner_text(), f"the run {run}")
    taken = lab.page.evaluate(_OPENED)
    assert taken is not None, "no curve was drawn"
    lab.page.locator(_CLOSE).click()
    wait_until(lambda: lab.page.get_by_test_id("snapml-run-page").count() == 0, "the page's end")
    return float(taken)
