"""One Chromium and one Jupyter server for all browser tests; a fresh page for each."""

import os
from collections.abc import Generator, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from browser.lab import Lab, Server, chromium, serving

_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
_MISSING = "no Chromium was found; install one: apt-get install chromium"
_FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium."""
    path = chromium()
    if path is None:
        (pytest.fail if os.environ.get("SNAPML_REQUIRE_BROWSER") else pytest.skip)(_MISSING)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Jupyter server that the tests share."""
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def lab(browser: Browser, server: Server, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """JupyterLab in a page of its own; no kernel of it is left behind."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    shown = Lab(context.new_page(), server)
    yield shown
    if request.node.stash.get(_FAILED, False):
        shown.shot(f"failure-{request.node.name}")
    context.close()
    server.shut_kernels()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed: what the page looked like then is kept beside the other screenshots."""
    report = yield
    item.stash[_FAILED] = report.failed
    return report
