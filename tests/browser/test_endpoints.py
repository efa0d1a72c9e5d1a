"""Endpoints and their cost in the sidebar: live, after a kill, stopped from there, and told in text that is only text."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Response, Route, expect

from browser.lab import NARROW, SECONDS, Lab, Server
from snapml_lab import clock, ids
from snapml_lab.costs import requests
from snapml_lab.engines import services
from snapml_lab.finetune import base
from snapml_lab.governance import keys
from snapml_lab.jobs import processes, queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Work
from snapml_lab.registry import deployments
from snapml_lab.store.files import read_json
from snapml_lab.tracking.record import Origin

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

MARKUP = "<img src=x onerror=\"alert('name')\"><b>bold</b>"
FLOWER = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}
KILLED = "ended with signal 9; starting again"
TOLD_SECONDS = 2.0
READY = 60 * SECONDS

_WATCH = """() => {
  window.told = [];
  const look = () => {
    for (const node of document.querySelectorAll('[data-testid=snapml-endpoint], [data-testid=snapml-gateway]')) {
      const words = [node.dataset.name ?? 'gateway', node.dataset.state, node.innerText];
      const last = window.told.findLast(entry => entry.words[0] === words[0]);
      if (String(last?.words) !== String(words)) window.told.push({ at: Date.now() / 1000, words });
    }
  };
  look();
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
}"""


@dataclass
class Serving:
    """The project's commands and its gateway."""

    server: Server
    port: int
    key: str

    def do(self, *words: str, cache: Path | None = None) -> str:
        """Run a command in the project; return what it printed."""
        env = {**os.environ, "SNAPML_WORKSPACE": str(self.server.project)}
        if cache is not None:
            env["XDG_CACHE_HOME"] = str(cache)
        done = subprocess.run(
            [sys.executable, "-m", "snapml_lab.cli", *words],
            cwd=self.server.project, env=env, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, path: str, body: dict[str, Any]) -> int:
        """Send a request to the gateway; return the answer's status, 0 where there is none."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.port}{path}"
        asked = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return 0

    def predict(self, name: str) -> int:
        """Ask a classic model about one flower."""
        return self.ask(f"/v2/models/{name}/infer", {"inputs": [FLOWER]})

    def chat(self, name: str) -> int:
        """Ask a chat model for a few streamed tokens."""
        messages = [{"role": "user", "content": "hello"}]
        return self.ask(
            "/v1/chat/completions", {"model": name, "messages": messages, "max_tokens": 12, "stream": True}
        )

    def pids(self, job: str) -> list[int]:
        """Return the living processes of a job's payload."""
        launch = read_json(JobFolder(self.server.ws.jobs / job).launch) or {}
        return processes.bearing(str(launch["nonce"]))

    def kill(self, kind: str, name: str) -> float:
        """End a service's payload as the kernel does where memory is short; return when."""
        job = services.live(self.server.ws, kind, name)
        assert job is not None
        pids = self.pids(job.id)
        assert pids
        at = time.time()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return at


@pytest.fixture(scope="module")
def serving(server: Server) -> Iterator[Serving]:
    """A project with a model and a key, and whatever it served stopped at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _, key = keys.create(server.ws, "tests")
    made = Serving(server, port, key)
    made.do("automl", "flowers.csv", "--target", "target", "--time", "4", "--name", "flowers")
    yield made
    for deployment in deployments.every(server.ws):
        made.do("undeploy", deployment.name)
    made.do("undeploy", "--gateway")


@pytest.fixture
def deploy(serving: Serving) -> Iterator[Callable[..., None]]:
    """Deploy a model behind the gateway; it is withdrawn at the end."""

    def do(model: str, name: str, *words: str, cache: Path | None = None) -> None:
        serving.do("deploy", model, "--name", name, "--port", str(serving.port), *words, cache=cache)

    yield do
    for deployment in deployments.every(serving.server.ws):
        serving.do("undeploy", deployment.name)


@pytest.fixture(scope="module")
def sample(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The cache with the sample model: this account's, else one of a few steps."""
    if (base.sample_folder() / "config.json").is_file():
        return None
    cache = tmp_path_factory.mktemp("cache")
    serving.do("sample", "llm", "--steps", "20", cache=cache)
    return cache


def endpoint(lab: Lab, name: str) -> Locator:
    return lab.page.locator(f'[data-testid="snapml-endpoint"][data-name="{name}"]')


def section_title(lab: Lab, name: str) -> Locator:
    return lab.page.locator(f'.snapml-Sidebar .lm-AccordionPanel-title[aria-label="{name} Section"]')


def open_cost(lab: Lab) -> Locator:
    title = section_title(lab, "Cost")
    if title.get_attribute("aria-expanded") == "false":
        title.click()
    cost = lab.page.get_by_test_id("snapml-cost")
    expect(cost).to_be_visible()
    return cost


def told(lab: Lab, name: str, state: str, text: str) -> float:
    """Wait until the sidebar said that of a service, and return when it did first."""
    asked = "([name, state, text]) => window.told.find(({ words }) => words[0] === name && words[1] === state && words[2].includes(text))?.at"
    found = lab.page.wait_for_function(asked, arg=[name, state, text], timeout=20_000)
    return float(found.json_value())


def test_deploying_and_asking_show_live(
    lab: Lab, serving: Serving, deploy: Callable[..., None], sample: Path | None
) -> None:
    lab.open(width=NARROW)
    lab.page.evaluate("window.notReloaded = true")
    expect(lab.page.get_by_test_id("snapml-endpoints-none")).to_contain_text("%snapml deploy MODEL")

    deploy("flowers", "flowers", "--no-wait")
    row = endpoint(lab, "flowers")
    expect(row).to_have_attribute("data-state", re.compile("starting|running"), timeout=15 * SECONDS)
    expect(row).to_have_attribute("data-state", "running", timeout=READY)
    expect(lab.page.get_by_test_id("snapml-gateway")).to_have_text(re.compile("Gateway: Running"))
    expect(row).to_contain_text("flowers@1, by predict")

    address = f"http://127.0.0.1:{serving.port}/v2/models/flowers/infer"
    expect(row.locator("code")).to_have_text(address)
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=lab.server.url)
    row.get_by_role("button", name="Copy the address of flowers").click()
    expect(row.get_by_test_id("snapml-endpoint-copy")).to_have_text("Copied")
    assert lab.page.evaluate("navigator.clipboard.readText()") == address
    expect(row.get_by_test_id("snapml-endpoint-copy")).to_have_text("Copy")

    cost = open_cost(lab)
    expect(cost).to_contain_text("No requests in the last 30 days")
    assert serving.predict("flowers") == 200
    total = cost.get_by_test_id("snapml-cost-total")
    expect(total).to_have_text("unknown", timeout=15 * SECONDS)
    expect(cost).to_contain_text("%snapml prices compute DOLLARS")

    serving.do("prices", "compute", "0.5")
    deploy("sample", "storyteller", cache=sample)
    assert [serving.predict("flowers") for _ in range(3)] == [200] * 3
    assert [serving.chat("storyteller") for _ in range(3)] == [200] * 3
    latest = cost.get_by_test_id("snapml-request")
    expect(latest).to_have_count(7, timeout=15 * SECONDS)
    expect(latest.first).to_contain_text("storyteller")
    expect(latest.first).to_contain_text("Complete")
    expect(latest.first).to_contain_text(re.compile(r"\d+ \+ \d+ tokens, metered · .*s · \$0\.0"))
    expect(total).to_have_text(re.compile(r"^\$0\.0+[1-9]"))
    expect(cost).to_contain_text("7 requests, 1 of unknown cost")

    rows = cost.get_by_test_id("snapml-cost-row")
    expect(rows).to_have_count(2)
    expect(cost.locator('[data-group="flowers@1"]')).to_contain_text(
        re.compile(r"\$0\.0\d+\s.*1 of unknown cost", re.DOTALL)
    )
    expect(cost.locator('[data-group="sample"]')).to_contain_text(re.compile(r"first token after .*tokens/s"))
    lab.portraits("endpoints")
    for name in ("Jobs", "Endpoints"):
        section_title(lab, name).click()
    lab.portraits("cost")
    for name in ("Jobs", "Endpoints"):
        section_title(lab, name).click()
    for by, group in (("Notebook", "(none)"), ("Key", "tests"), ("Day", clock.iso(clock.now())[:10])):
        cost.get_by_role("button", name=by, exact=True).click()
        expect(rows).to_have_count(1)
        expect(rows.first).to_have_attribute("data-group", group)
        expect(rows.first).to_contain_text("7 requests")
    assert lab.page.evaluate("window.notReloaded")
    lab.page.set_viewport_size({"width": 1000, "height": 700})
    lab.widen(NARROW)
    lab.shot("endpoints-low-light")


def test_a_killed_engine_is_told_within_two_seconds_and_comes_back(
    lab: Lab, serving: Serving, deploy: Callable[..., None]
) -> None:
    deploy("flowers", "flowers")
    lab.open()
    row = endpoint(lab, "flowers")
    expect(row).to_have_attribute("data-state", "running")
    cost = open_cost(lab)
    lab.page.evaluate(_WATCH)

    at = serving.kill(services.ENDPOINT, "flowers")
    assert serving.predict("flowers") == 503
    assert told(lab, "flowers", "starting", KILLED) - at < TOLD_SECONDS
    expect(cost.get_by_test_id("snapml-request").first).to_contain_text("Failed (503)")

    expect(row).to_have_attribute("data-state", "running", timeout=READY)
    expect(row).to_contain_text("Started again 1×")
    expect(row).not_to_contain_text("signal 9")
    assert serving.predict("flowers") == 200
    job = services.live(serving.server.ws, services.ENDPOINT, "flowers")
    assert job is not None
    expect(lab.job(job.id)).to_contain_text("Started again 1×")
    expect(lab.job(job.id).get_by_test_id("snapml-job-cancel")).to_have_text("Cancel")
    expect(lab.job(job.id).get_by_role("progressbar")).to_have_count(0)
    lab.shot("endpoints-again-light")


def test_a_killed_gateway_is_told_within_two_seconds_and_comes_back(
    lab: Lab, serving: Serving, deploy: Callable[..., None]
) -> None:
    deploy("flowers", "flowers")
    lab.open()
    gateway = lab.page.get_by_test_id("snapml-gateway")
    expect(gateway).to_have_attribute("data-state", "running")
    lab.page.evaluate(_WATCH)

    at = serving.kill(services.GATEWAY, services.GATEWAY)
    assert told(lab, "gateway", "starting", KILLED) - at < TOLD_SECONDS
    expect(gateway).to_have_attribute("data-state", "running", timeout=READY)
    expect(gateway).to_contain_text("Started again 1×")
    assert serving.predict("flowers") == 200


def test_an_endpoint_is_stopped_from_the_sidebar_with_the_keyboard_alone(
    lab: Lab, serving: Serving, deploy: Callable[..., None]
) -> None:
    deploy("flowers", "flowers")
    job = services.live(serving.server.ws, services.ENDPOINT, "flowers")
    assert job is not None
    lab.open()
    row = endpoint(lab, "flowers")
    expect(row).to_have_attribute("data-state", "running")
    row.get_by_test_id("snapml-endpoint-log").focus()
    lab.page.keyboard.press("Enter")
    expect(row.get_by_role("log", name="Log of flowers")).to_be_visible()

    dialog = lab.page.get_by_role("dialog")
    lab.press_until("[data-testid=snapml-endpoint-stop]", "Shift+Tab")
    lab.page.keyboard.press("Enter")
    expect(dialog).to_contain_text("flowers will no longer answer.")
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(row).to_have_attribute("data-state", "running")

    row.get_by_test_id("snapml-endpoint-stop").focus()
    lab.page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    lab.shot("endpoints-stop-light")
    lab.press_until(".jp-Dialog-button.jp-mod-warn")
    lab.page.keyboard.press("Enter")
    expect(row).to_have_count(0, timeout=15 * SECONDS)
    deadline = time.monotonic() + 15  # the name goes first, so that nobody is sent there any more
    while serving.pids(job.id) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert serving.pids(job.id) == []
    lab.expect_state(job.id, "cancelled")
    expect(lab.page.get_by_test_id("snapml-endpoints-none")).to_be_visible()


def test_an_endpoint_stopped_elsewhere_leaves_the_sidebar(
    lab: Lab, serving: Serving, deploy: Callable[..., None]
) -> None:
    deploy("flowers", "flowers")
    lab.open()
    expect(endpoint(lab, "flowers")).to_have_attribute("data-state", "running")
    serving.do("undeploy", "flowers")
    expect(endpoint(lab, "flowers")).to_have_count(0)


def test_what_callers_and_models_are_called_is_text(lab: Lab, serving: Serving) -> None:
    ws = serving.server.ws
    tell = "import json, os, time\nwith open(os.environ['SNAPML_JOB_DIR'] + '/events.jsonl', 'a') as f:\n    f.write(json.dumps({'type': 'message', 'at': time.time(), 'text': %r}) + '\\n')\nprint(%r, flush=True)\ntime.sleep(60)\n"
    source = tell % (MARKUP, MARKUP)
    work = Work(services.ENDPOINT, MARKUP, [sys.executable, "-c", source], {}, cpus=0, service=True)
    job = queue.submit(ws, work, actor="tester", origin=Origin())
    deployments.declare(ws, deployments.single(MARKUP, MARKUP, "<i>engine</i>", "chat", "/nowhere"))
    requests.add(ws.ledger, requests.Request(
        id=ids.new(), at=clock.now(), deployment=MARKUP, model=MARKUP, route="/v1", api_key=MARKUP, notebook=MARKUP,
        cell_id=None, streamed=0, status=200, ended="<b>odd</b>", input_tokens=None, cached_tokens=None,
        output_tokens=None, usage="unknown", first_token_ms=None, duration_ms=1.0, cost_pico=None, price=MARKUP,
    ))  # fmt: skip
    try:
        lab.open()
        row = lab.page.get_by_test_id("snapml-endpoint")
        expect(row.locator(".snapml-Row-name")).to_have_text(MARKUP)
        expect(row.locator(".snapml-Row-message")).to_have_text(f"{MARKUP}, by <i>engine</i>")
        expect(row.locator(".snapml-Row-fault")).to_have_text(MARKUP)
        row.get_by_test_id("snapml-endpoint-log").click()
        expect(row.get_by_role("log")).to_contain_text(MARKUP)
        cost = open_cost(lab)
        for by in ("Notebook", "Key", "Model"):
            cost.get_by_role("button", name=by, exact=True).click()
            expect(cost.get_by_test_id("snapml-cost-row").filter(has_text="bold</b>")).to_have_count(1)
        latest = cost.get_by_test_id("snapml-request").first
        expect(latest).to_contain_text(MARKUP)
        expect(latest).to_contain_text("<b>odd</b>")
        expect(latest).to_contain_text("cost unknown")
        lab.portraits("endpoints-hostile")
        row.get_by_test_id("snapml-endpoint-stop").click()
        expect(lab.page.get_by_role("dialog")).to_contain_text(MARKUP)
        expect(
            lab.page.locator("img[src=x], .snapml-Sidebar :is(img, script, b, i), .jp-Dialog :is(img, b)")
        ).to_have_count(0)
        lab.page.get_by_role("button", name="Stop endpoint").click()
        expect(row).to_have_count(0, timeout=15 * SECONDS)
        assert lab.dialogs == []
    finally:
        queue.wait(ws, queue.cancel(ws, job.id, grace=0.5), timeout=20)


def _kept(response: Response) -> bool:
    """Say whether JupyterLab has saved a state in which Cost is open and Endpoints are not."""
    if response.request.method != "PUT" or "/api/workspaces/" not in response.url:
        return False
    sections = json.loads(response.request.post_data or "{}").get("data", {}).get("snapml-lab:sidebar", {})
    return sections.get("cost") is False and sections.get("endpoints") is True


def _stale(route: Route) -> None:
    """Answer as where JupyterLab's layout was last saved with every section otherwise than it is now."""
    if route.request.method != "GET":
        route.continue_()
        return
    answer = route.fetch()
    workspace = answer.json()
    sections = workspace["data"]["layout-restorer:data"]["left"]["widgetStates"]["snapml-sidebar"]
    sections["expansionStates"] = [not is_open for is_open in sections["expansionStates"]]
    route.fulfill(response=answer, json=workspace)


def test_sections_leave_room_for_the_jobs_and_stay_as_they_were_left(lab: Lab) -> None:
    lab.page.set_viewport_size({"width": 1000, "height": 700})
    lab.open(width=NARROW)
    box = lab.jobs.bounding_box()
    assert box is not None
    assert box["height"] >= 260
    titles = [section_title(lab, name) for name in ("Jobs", "Endpoints", "Cost")]
    left = [title.bounding_box() for title in titles]
    assert left == sorted(left, key=lambda box: box["y"] if box else 0)
    expect(titles[2]).to_have_attribute("aria-expanded", "false")

    with lab.page.expect_response(_kept, timeout=30_000):  # JupyterLab saves its state a moment later
        titles[1].press("Enter")
        titles[2].press("Enter")
        expect(titles[1]).to_have_attribute("aria-expanded", "false")
    cost = lab.page.get_by_test_id("snapml-cost")
    expect(cost).to_be_visible()
    shown = cost.bounding_box()
    assert shown is not None
    assert shown["height"] >= 150

    lab.page.route("**/api/workspaces/*", _stale)
    lab.reload()
    lab.sidebar()
    expect(titles[1]).to_have_attribute("aria-expanded", "false")
    expect(titles[2]).to_have_attribute("aria-expanded", "true")
    expect(cost).to_be_visible()
