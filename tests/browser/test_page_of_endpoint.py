"""The page of an endpoint and that of the keys: live, by keyboard alone, in both themes, and text where there is text."""

import dataclasses
import http.client
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from fakes import engine
from playwright.sync_api import Locator, expect

from browser.lab import DARK, LIGHT, NARROW, SECONDS, Lab, Server
from snapml_lab import clock, ids
from snapml_lab.costs import budgets, lines, prices, requests
from snapml_lab.engines import services
from snapml_lab.governance import keys
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Work
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.serving import rollout
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

NAME = "story"
MARKUP = "<img src=x onerror=\"alert('name')\"><b>bold</b>"
READY = 30.0
SIZES = {"wide": (1500, 1500), "narrow": (760, 2300)}


@dataclass
class Story:
    """A chat deployment with a scripted engine behind a real gateway."""

    server: Server
    port: int
    key: str

    def ask(self, content: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = {
            "model": NAME,
            "messages": [{"role": "user", "content": content}],
            "stream": True,
            "max_tokens": 50,
        }
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status


def forget_requests(ws: Workspace, deployment: str) -> None:
    """Each test counts its own, and the project is that of all."""
    with ws.ledger.write() as connection:
        connection.execute("DELETE FROM requests WHERE deployment = ?", (deployment,))


@pytest.fixture
def story(server: Server) -> Iterator[Story]:
    ws = server.ws
    deployments.declare(ws, deployments.single(NAME, "story@1", "transformers", "chat", "inner"))
    prices.set_tokens(ws, NAME, {"input": Decimal(3), "output": Decimal(15)})
    spec = {"socket": str(deployments.socket_path(ws, NAME))}
    work = Work(services.ENDPOINT, NAME, [sys.executable, engine.__file__], spec, cpus=0, service=True)
    jobs = [
        queue.submit(ws, work, actor="tester", origin=Origin()),
        services.start_gateway(ws, None, actor="tester", origin=Origin()),
    ]
    for job in jobs:
        services.wait_ready(ws, job, timeout=READY)
    _, key = keys.create(ws, "a caller")
    yield Story(server, services.gateway_port(ws, jobs[1]), key)
    for job in queue.latest(ws, limit=100):
        if job.service and not job.ended:
            services.stop(ws, job)
    if ws.catalog.find(deployments.KIND, NAME) is not None:
        deployments.withdraw(ws, NAME)
    forget_requests(ws, NAME)
    with ws.ledger.write() as connection:
        connection.execute("UPDATE api_keys SET revoked_at = ?", (clock.now(),))


def past(server: Server, minutes: int, target: str = "r1", model: str = "story@1", pace: float = 1.0) -> None:
    """Have the last minutes hold requests, so that there is something to draw."""
    now = clock.now()
    for minute in range(1, minutes + 1):
        for number in range(3 + (minute * 7) % 5):
            at = now - 60.0 * minute + 5.0 * number
            wrong = (minute, number) in ((4, 1), (5, 0), (9, 2))
            slow = pace * (1 + 0.3 * (minute % 4))
            requests.add(server.ws.ledger, requests.Request(
                id=ids.new(), at=at, deployment=NAME, target=target, model=model, route="/v1/chat/completions", api_key="tests",
                notebook=None, cell_id=None, streamed=1, status=429 if wrong else 200,
                ended="failed" if wrong else "complete", input_tokens=400, cached_tokens=100 + 40 * minute,
                output_tokens=None if wrong else 120, usage="metered", first_token_ms=None if wrong else 180.0 * slow,
                duration_ms=12.0 if wrong else 3000.0 * slow, cost_pico=0 if wrong else 3_000_000_000, price="declared",
            ))  # fmt: skip


def open_page(lab: Lab, name: str = NAME) -> Locator:
    """Open an endpoint's page from its row, by keyboard."""
    row = lab.page.locator(f'[data-testid="snapml-endpoint"] .snapml-Named[title={json.dumps(name)}]')
    row.focus()
    lab.page.keyboard.press("Enter")
    page = lab.page.get_by_test_id("snapml-endpoint-page")
    expect(page.locator("h1")).to_have_text(name)
    return page


def portraits(lab: Lab, name: str) -> None:
    """Take screenshots of the page in front in both themes, wide and narrow; fail on complaints in any of them."""
    complaints = []
    for looks, (width, height) in SIZES.items():
        lab.page.set_viewport_size({"width": width, "height": height})
        lab.page.wait_for_timeout(500)
        for theme, shade in ((LIGHT, "light"), (DARK, "dark")):
            lab.theme(theme)
            lab.shot(f"{name}-{shade}-{looks}")
            complaints += [f"{shade}, {looks}: {complaint}" for complaint in lab.complaints()]
    lab.theme(LIGHT)
    lab.page.set_viewport_size({"width": 1440, "height": 900})
    assert complaints == []


def figure(page: Locator, name: str) -> Locator:
    return page.get_by_test_id(f"snapml-figure-{name}").locator(".snapml-Small-value")


def test_the_page_of_an_endpoint_is_live(lab: Lab, story: Story) -> None:
    past(story.server, 13)
    lab.open(width=NARROW)
    lab.page.evaluate("window.notReloaded = true")
    page = open_page(lab)
    expect(page.get_by_test_id("snapml-endpoint-state")).to_have_text(re.compile("Running · chat"))
    expect(figure(page, "requests")).to_have_text(re.compile(r"^\d\.\d/min$"))
    expect(figure(page, "first-token")).to_have_text(re.compile(r"^\d+ ms$"))
    expect(figure(page, "memory")).to_have_text(re.compile(r"^\d+\.\d MiB$"))
    expect(figure(page, "money")).to_have_text(re.compile(r"^\$0\.\d+/h$"))
    expect(figure(page, "failures")).to_have_text("3")
    note = page.get_by_test_id("snapml-figure-requests").locator(".snapml-Small-note")
    before = int(re.findall(r"\d+", note.inner_text())[0])

    assert story.ask("hello") == 200
    story.ask("fail")
    expect(note).to_contain_text(f"{before + 2} requests", timeout=15 * SECONDS)
    expect(figure(page, "failures")).to_have_text("4")
    broken = page.get_by_test_id("snapml-endpoint-broken").get_by_role("row")
    expect(broken.nth(1)).to_contain_text("engine failed")
    expect(broken.nth(1)).to_contain_text("a caller")
    expect(broken.nth(2)).to_contain_text("over a rate limit")
    assert lab.page.evaluate("window.notReloaded")
    portraits(lab, "endpoint-page")


def test_figures_are_read_and_lines_copied_by_keyboard_alone(lab: Lab, story: Story) -> None:
    past(story.server, 5)
    lab.open(width=NARROW)
    page = open_page(lab)
    chart = page.get_by_test_id("snapml-figure-first-token")
    field = chart.get_by_role("group")
    field.focus()
    lab.page.keyboard.press("End")
    for _ in range(2):  # minutes are the clock's: the last full one may be without a request
        lab.page.keyboard.press("ArrowLeft")
    expect(chart.locator(".snapml-Small-note")).to_have_text(re.compile(r"\d\d:\d\d.*: \d+ ms"))
    lab.page.keyboard.press("Tab")
    expect(chart.locator(".snapml-Small-note")).to_have_text(re.compile("95% within"))

    hour = page.get_by_test_id("snapml-endpoint-back-60")
    hour.focus()
    lab.page.keyboard.press("Space")
    expect(hour).to_have_attribute("aria-pressed", "true")

    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=lab.server.url)
    for name in ("curl", "Python", "openai"):
        page.get_by_test_id(f"snapml-snippet-{name}").focus()
        lab.page.keyboard.press("Enter")
        code = page.get_by_test_id("snapml-code")
        expect(code).to_contain_text("SNAPML_API_KEY")
        page.get_by_test_id("snapml-snippet-copy").focus()
        lab.page.keyboard.press("Enter")
        expect(page.get_by_test_id("snapml-snippet-copy")).to_have_text("Copied")
        assert lab.page.evaluate("navigator.clipboard.readText()") == code.inner_text()
    assert f"127.0.0.1:{story.port}/v1" in code.inner_text()


def test_a_dead_engine_says_its_last_words_and_the_page_sees_it_come_back(lab: Lab, story: Story) -> None:
    lab.open(width=NARROW)
    page = open_page(lab)
    service = page.get_by_test_id("snapml-service")
    expect(service).to_have_attribute("data-state", "running")
    story.ask("die")
    expect(service).to_contain_text("Started again 1×", timeout=15 * SECONDS)
    expect(service).to_have_attribute("data-state", "running", timeout=15 * SECONDS)
    expect(page.get_by_test_id("snapml-endpoint-broken")).to_contain_text(re.compile("engine|broke"))
    service.get_by_test_id("snapml-service-log").focus()
    lab.page.keyboard.press("Enter")
    expect(service.get_by_role("log")).to_contain_text(engine.LAST_WORDS)


def test_an_endpoint_is_stopped_from_its_page_once_that_is_confirmed(lab: Lab, story: Story) -> None:
    lab.open(width=NARROW)
    page = open_page(lab)
    stop = page.get_by_test_id("snapml-endpoint-page-stop")
    stop.focus()
    lab.page.keyboard.press("Enter")
    dialog = lab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("story will no longer answer.")
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    job = services.live(story.server.ws, services.ENDPOINT, NAME)
    assert job is not None

    stop.focus()
    lab.page.keyboard.press("Enter")
    lab.press_until(".jp-Dialog-button.jp-mod-warn")
    lab.page.keyboard.press("Enter")
    expect(page.get_by_test_id("snapml-endpoint-page-problem")).to_contain_text(NAME, timeout=20 * SECONDS)
    assert queue.wait(story.server.ws, job, timeout=20).ended  # its name goes first


def test_traffic_that_is_split_is_told_target_by_target(lab: Lab, story: Story) -> None:
    ws = story.server.ws
    past(story.server, 6)
    split = Deployment(
        NAME, "chat",
        (
            Target("r1", "story@1", "transformers", "inner", share=90),
            Target("r2", "story@2", "transformers", "inner", share=10),
            Target("r3", "tuned@4", "vllm", "inner", share=0, shadow=True, on="base"),
        ),
        fallbacks=("backup",), guardrails="no-secrets", cache_seconds=300.0, idle_seconds=900.0,
    )  # fmt: skip
    deployments.declare(ws, split)
    dying = Work(
        services.ENDPOINT, deployments.service_name(NAME, split.targets[1]),
        [sys.executable, "-c", f"import sys; sys.exit({engine.LAST_WORDS!r})"], {}, cpus=0, service=True,
    )  # fmt: skip
    queue.submit(ws, dying, actor="tester", origin=Origin())
    lab.open(width=NARROW)
    page = open_page(lab)
    targets = page.get_by_test_id("snapml-target")
    expect(targets).to_have_count(3)
    expect(targets.nth(0)).to_contain_text("Share: 90%")
    expect(targets.nth(1)).to_contain_text(engine.LAST_WORDS, timeout=20 * SECONDS)
    expect(targets.nth(2)).to_contain_text("Shadow")
    expect(page.get_by_role("status").first).to_contain_text("1 of 2 services run")
    rules = page.get_by_test_id("snapml-endpoint-rules")
    for words in ("no-secrets", "5 min 0 s", "15 min 0 s", "backup"):
        expect(rules).to_contain_text(words)
    expect(page.locator(".snapml-Words b")).to_have_count(0)
    portraits(lab, "endpoint-page-split")


def test_a_rollout_is_steered_from_its_page_by_keyboard_alone(lab: Lab, story: Story) -> None:
    ws = story.server.ws
    canary = Target("r2", "story@2", "transformers", "inner")
    deployments.change(ws, NAME, lambda course: rollout.with_canary(course, canary, 10))
    name = deployments.service_name(NAME, canary)
    spec = {"socket": str(deployments.socket_path(ws, name))}
    work = Work(services.ENDPOINT, name, [sys.executable, engine.__file__], spec, cpus=0, service=True)
    job = queue.submit(ws, work, actor="tester", origin=Origin())
    past(story.server, 13)
    past(story.server, 7, "r2", "story@2", pace=1.5)
    services.wait_ready(ws, job, timeout=READY)
    lab.open(width=NARROW)
    page = open_page(lab)
    part = page.get_by_test_id("snapml-rollout")
    models = part.get_by_role("region", name="The models beside each other").get_by_role("row")
    expect(models.nth(1)).to_contain_text(re.compile(r"story@1stands90%\d+"))
    expect(models.nth(2)).to_contain_text(re.compile(r"story@2canary10%\d+\d\.\d%"))
    expect(part).to_contain_text("not by chance")

    share = part.get_by_test_id("snapml-rollout-share")
    expect(share).to_have_value("10")
    share.focus()
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.type("200")
    lab.page.keyboard.press("Enter")
    expect(part.get_by_test_id("snapml-rollout-share-fault")).to_have_text("1 to 99 percent.")
    expect(share).to_be_focused()
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.type("25")
    expect(part.get_by_test_id("snapml-rollout-shares")).to_have_text("story@2: 25%, story@1: 75%")
    lab.page.keyboard.press("Enter")
    expect(page.get_by_test_id("snapml-target").nth(1)).to_contain_text("Share: 25%", timeout=40 * SECONDS)
    assert [target.share for target in deployments.get(ws, NAME).targets] == [75, 25]
    expect(models.nth(2)).to_contain_text("25%")
    portraits(lab, "endpoint-page-rollout")

    promote = part.get_by_test_id("snapml-rollout-promote")
    promote.focus()
    lab.page.keyboard.press("Enter")
    dialog = lab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("story@2 answers all requests from now on. story@1 stops")
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert len(deployments.get(ws, NAME).targets) == 2

    promote.focus()
    lab.page.keyboard.press("Enter")
    lab.press_until(".jp-Dialog-button.jp-mod-warn")
    lab.page.keyboard.press("Enter")
    expect(part).to_contain_text("story@1 stood before.", timeout=60 * SECONDS)
    expect(page.get_by_test_id("snapml-target")).to_have_count(1)
    expect(page.get_by_test_id("snapml-target")).to_contain_text("story@2")
    back = part.get_by_test_id("snapml-rollout-back")
    expect(back).to_have_attribute("aria-disabled", "false", timeout=60 * SECONDS)
    assert services.live(ws, services.ENDPOINT, NAME) is None
    back.focus()
    lab.page.keyboard.press("Enter")
    expect(dialog).to_contain_text("story@1 is started, and answers all requests once it is ready.")
    lab.page.keyboard.press("Escape")
    assert deployments.get(ws, NAME).target.model == "story@2"


def test_a_budget_of_an_endpoint_is_set_warns_and_is_removed_on_its_page(lab: Lab, story: Story) -> None:
    ws = story.server.ws
    lab.open(width=NARROW)
    page = open_page(lab)
    part = page.get_by_test_id("snapml-budgets")
    part.get_by_test_id("snapml-budget-new").focus()
    lab.page.keyboard.press("Enter")
    expect(part.get_by_test_id("snapml-budget-name")).to_be_focused()
    lab.page.keyboard.type("ours")
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.type("a lot")
    lab.page.keyboard.press("Enter")
    expect(part.get_by_test_id("snapml-budget-dollars-fault")).to_contain_text("Dollars")
    expect(part.get_by_test_id("snapml-budget-dollars")).to_be_focused()
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.type("5")
    lab.page.keyboard.press("Enter")
    row = part.get_by_test_id("snapml-budget")
    expect(row).to_contain_text(f"requests to {NAME}")
    expect(row).to_contain_text("$0.00 of $5.00 spent")
    assert ws.catalog.get(budgets.KIND, "ours") == {"dollars": "5", "period": "month", "model": NAME}

    assert story.ask("hello") == 200
    expect(row).to_contain_text(re.compile(r"\$0\.000\d+ of \$5\.00 spent"), timeout=15 * SECONDS)
    [line] = lines.lines(ws)
    assert line.spent > 0
    part.get_by_test_id("snapml-budget-change").focus()
    lab.page.keyboard.press("Enter")
    dollars = part.get_by_test_id("snapml-budget-dollars")
    expect(dollars).to_be_focused()
    expect(dollars).to_have_value("5")
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.type(f"{Decimal(line.spent) * 100 / 85 / 10**12:.12f}")
    lab.page.keyboard.press("Enter")
    bar = part.get_by_test_id("snapml-spent")
    expect(bar).to_have_attribute("data-level", "near")
    expect(bar).to_contain_text(re.compile("8[45]% used"))
    budgets.declare(ws, "ours", Decimal(0), "month", {"model": NAME})
    expect(bar).to_have_attribute("data-level", "full", timeout=15 * SECONDS)
    expect(bar).to_contain_text("full")

    part.get_by_test_id("snapml-budget-remove").focus()
    lab.page.keyboard.press("Enter")
    expect(lab.page.get_by_role("dialog")).to_contain_text("ours will no longer hold anything back.")
    lab.press_until(".jp-Dialog-button.jp-mod-warn")
    lab.page.keyboard.press("Enter")
    expect(row).to_have_count(0)
    assert ws.catalog.find(budgets.KIND, "ours") is None


def test_hostile_names_models_and_keys_are_text_on_the_page(lab: Lab, story: Story) -> None:
    ws = story.server.ws
    deployments.declare(ws, deployments.single(MARKUP, MARKUP, "<i>engine</i>", "chat", "/nowhere"))
    trial = Target("r2", MARKUP + "@2", "<i>engine</i>", "/nowhere")
    deployments.change(ws, MARKUP, lambda course: rollout.with_canary(course, trial, 10))
    budgets.declare(ws, MARKUP, Decimal(1), "day", {"model": MARKUP})
    for ended, status in (("failed", 503), ("complete", 200)):
        requests.add(ws.ledger, requests.Request(
            id=ids.new(), at=clock.now(), deployment=MARKUP, model=MARKUP, route=f"/v1/{MARKUP}", api_key=MARKUP,
            notebook=MARKUP, cell_id=None, streamed=0, status=status, ended=ended, input_tokens=None, cached_tokens=None,
            output_tokens=None, usage="unknown", first_token_ms=None, duration_ms=1.0, cost_pico=None, price=MARKUP,
            guard=json.dumps([{"action": "block", "detector": MARKUP}]),
        ))  # fmt: skip
    try:
        lab.open(width=NARROW)
        page = open_page(lab, MARKUP)
        expect(page.get_by_test_id("snapml-target").first).to_contain_text(MARKUP)
        expect(page.get_by_test_id("snapml-rollout")).to_contain_text(f"Share of {MARKUP}@2")
        expect(page.get_by_test_id("snapml-budget")).to_contain_text(f"requests to {MARKUP}")
        for step in ("snapml-rollout-promote", "snapml-rollout-back", "snapml-budget-remove"):
            page.get_by_test_id(step).click()
            expect(lab.page.get_by_role("dialog")).to_contain_text(MARKUP)
            lab.page.keyboard.press("Escape")
            expect(lab.page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_test_id("snapml-endpoint-broken")).to_contain_text(MARKUP)
        expect(page.get_by_test_id("snapml-code")).to_contain_text("alert('name')")
        portraits(lab, "endpoint-page-hostile")
        expect(
            lab.page.locator("img[src=x], .snapml-Page :is(img, script, b, i), .lm-TabBar-tab :is(img, b)")
        ).to_have_count(0)
        assert lab.dialogs == []
    finally:
        deployments.withdraw(ws, MARKUP)
        budgets.remove(ws, MARKUP)
        forget_requests(ws, MARKUP)


def test_a_key_is_made_shown_once_and_revoked_by_keyboard_alone(lab: Lab, story: Story) -> None:
    ws = story.server.ws
    keys.create(ws, MARKUP)
    lab.open(width=NARROW)
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=lab.server.url)
    lab.page.get_by_test_id("snapml-gateway-keys").focus()
    lab.page.keyboard.press("Enter")
    page = lab.page.get_by_test_id("snapml-keys-page")
    expect(page.get_by_test_id("snapml-key").filter(has_text="a caller")).to_have_count(1)
    expect(page).to_contain_text(MARKUP)

    page.get_by_test_id("snapml-keys-new").focus()
    lab.page.keyboard.press("Enter")
    expect(page.get_by_test_id("snapml-key-name")).to_be_focused()
    lab.page.keyboard.type("the shop")
    lab.page.keyboard.press("Enter")
    flag = page.get_by_test_id("snapml-key-secret")
    expect(flag).to_contain_text("the shop")
    secret = flag.locator("code").inner_text()
    assert keys.find(ws, secret) is not None
    page.get_by_test_id("snapml-key-copy").focus()
    lab.page.keyboard.press("Enter")
    assert lab.page.evaluate("navigator.clipboard.readText()") == secret
    portraits(lab, "keys-page")
    page.get_by_test_id("snapml-key-kept").focus()
    lab.page.keyboard.press("Enter")
    expect(flag).to_have_count(0)
    assert secret not in lab.page.content()

    row = page.get_by_test_id("snapml-key").filter(has_text="the shop")
    row.get_by_test_id("snapml-key-revoke").focus()
    lab.page.keyboard.press("Enter")
    dialog = lab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("the shop")
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert keys.find(ws, secret) is not None
    row.get_by_test_id("snapml-key-revoke").focus()
    lab.page.keyboard.press("Enter")
    lab.press_until(".jp-Dialog-button.jp-mod-warn")
    lab.page.keyboard.press("Enter")
    expect(row).to_have_count(0)
    assert keys.find(ws, secret) is None
    page.get_by_test_id("snapml-keys-all").focus()
    lab.page.keyboard.press("Enter")
    expect(row).to_contain_text("revoked")
    expect(lab.page.locator(".snapml-Page :is(img, b), .jp-Dialog :is(img, b)")).to_have_count(0)
    assert lab.dialogs == []


def test_a_key_gets_limits_tells_what_it_spent_and_is_rotated_by_keyboard_alone(
    lab: Lab, story: Story
) -> None:
    ws = story.server.ws
    lab.open(width=NARROW)
    lab.page.get_by_test_id("snapml-gateway-keys").focus()
    lab.page.keyboard.press("Enter")
    page = lab.page.get_by_test_id("snapml-keys-page")
    page.get_by_test_id("snapml-keys-new").focus()
    lab.page.keyboard.press("Enter")
    lab.page.keyboard.type(MARKUP)
    page.get_by_test_id("snapml-key-life").select_option("30d")
    page.get_by_test_id("snapml-key-more").focus()
    lab.page.keyboard.press("Enter")

    def fill(*typed: str) -> None:
        for words in typed:
            lab.page.keyboard.press("Tab")
            lab.page.keyboard.type(words)

    fill("story*, <b>x</b>", "/v1/" + "x" * 250, "600", "10,000", "two", "$1", "thesis")
    lab.page.keyboard.press("Enter")
    expect(page.get_by_test_id("snapml-key-concurrency-fault")).to_contain_text("A whole number")
    expect(page.get_by_test_id("snapml-key-concurrency")).to_be_focused()
    portraits(lab, "keys-page-form")
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.type("2")
    lab.page.keyboard.press("Enter")
    expect(page.get_by_test_id("snapml-key-routes-fault")).to_contain_text("at most 200 characters")
    expect(page.get_by_test_id("snapml-key-routes")).to_be_focused()
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.type("/v1/*")
    lab.page.keyboard.press("Enter")

    secret = page.get_by_test_id("snapml-key-secret").locator("code")
    expect(secret).to_be_focused()
    old = keys.find(ws, secret.inner_text())
    assert old is not None
    assert old.terms.expires_at == pytest.approx(clock.now() + 30 * 86_400, abs=300)
    assert dataclasses.replace(old.terms, expires_at=None) == keys.Terms(
        None, ("story*", "<b>x</b>"), ("/v1/*",), 600, 10_000, 2, 10**12, "thesis"
    )
    story.key = secret.inner_text()
    assert story.ask("hello") == 200
    row = page.get_by_test_id("snapml-key").filter(has_text="thesis")
    expect(row).to_contain_text("models story*, <b>x</b>; routes /v1/*")
    expect(row).to_contain_text("600 requests/min, 10,000 tokens/min, 2 at once, $1.00 in all")
    expect(row.get_by_test_id("snapml-spent")).to_contain_text(
        re.compile(r"\$0\.000\d+ of \$1\.00 spent"), timeout=15 * SECONDS
    )

    row.get_by_test_id("snapml-key-rotate").focus()
    lab.page.keyboard.press("Enter")
    overlap = page.get_by_test_id("snapml-key-overlap")
    expect(overlap).to_be_focused()
    overlap.select_option("1h")
    lab.press_until("[data-testid='snapml-key-rotate-make']")
    lab.page.keyboard.press("Enter")
    expect(secret).not_to_have_text(story.key)
    new = keys.find(ws, secret.inner_text())
    still = keys.find(ws, story.key)
    assert new is not None
    assert still is not None
    assert (new.replaces, new.terms.limit_pico) == (old.id, 10**12)
    assert still.terms.expires_at == pytest.approx(clock.now() + 3600, abs=300)
    expect(row).to_have_count(2)
    expect(page.locator("img, b:not(strong)")).to_have_count(0)
    assert lab.dialogs == []


def test_pages_come_back_after_a_reload(lab: Lab, story: Story) -> None:
    lab.open(width=NARROW)
    with lab.keeps("snapml-endpoint"):
        open_page(lab)
    lab.page.goto(f"{lab.server.url}/lab?token={lab.server.token}")
    page = lab.page.get_by_test_id("snapml-endpoint-page")
    expect(page.locator("h1")).to_have_text(NAME, timeout=30 * SECONDS)
