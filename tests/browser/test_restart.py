"""The Jupyter server is killed in the middle of a search; the search is not."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.lab import SECONDS, Lab, serving
from snapml_lab.jobs.folder import JobFolder

pytestmark = pytest.mark.browser


def test_a_search_outlives_the_server_and_is_there_when_it_is_back(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    with serving(tmp_path) as server:
        lab = Lab(context.new_page(), server)
        search = "%snapml automl flowers.csv --target target --time 8 -b"
        server.write("search.ipynb", "%load_ext snapml_lab", search)
        lab.open("search.ipynb")
        expect(lab.page.get_by_test_id("snapml-welcome")).to_be_visible()
        lab.portraits("empty")
        lab.run(0)
        lab.done(0)
        lab.run(1)
        job = lab.new_job(set())
        lab.done(1)
        lab.expect_state(job, "running")
        server.kill()

        assert not server.job(job).ended
        expect(lab.page.get_by_test_id("snapml-notice")).to_contain_text(
            "Not connected", timeout=20 * SECONDS
        )
        lab.shot("server-gone-light")
        deadline = time.monotonic() + 60
        while not server.job(job).ended and time.monotonic() < deadline:
            time.sleep(0.2)
        assert server.job(job).state == "succeeded"
        trials = re.findall(r"#(\d+): accuracy", JobFolder(server.ws.jobs / job).stdout.read_text())
        assert [int(number) for number in trials] == list(range(1, len(trials) + 1))

        server.start()
        lab.reload()
        lab.sidebar()
        lab.expect_state(job, "succeeded")
        expect(lab.page.get_by_test_id("snapml-notice")).to_have_count(0)
        lab.job(job).get_by_test_id("snapml-job-log").click()
        expect(lab.page.get_by_role("log")).to_contain_text("best: ")
        lab.shot("server-back-light")
    context.close()
