"""A cell sent to the background outlives the tab, the kernel and the server, and its variables are there on return."""

import os
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.lab import Lab, serving
from snapml_lab.jobs import queue

pytestmark = pytest.mark.browser

CELL = """%%snapml run --name study
import time
for step in range(15):
    print("step", step, flush=True)
    time.sleep(1)
best = {"size": size * 2, "steps": step + 1}
curve = [1 / (i + 1) for i in range(size)]
"""
RETURN = "r = %snapml jobs result study\nprint(r.best, r.curve, list(r))"


def test_a_cell_outlives_tab_kernel_and_server_and_its_result_is_there_on_return(
    browser: Browser, tmp_path: Path
) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    with serving(tmp_path) as server:
        lab = Lab(context.new_page(), server)
        server.write(
            "study.ipynb", "%load_ext snapml_lab\nsize = 3", CELL, "%load_ext snapml_lab", RETURN, "r"
        )
        lab.open("study.ipynb")
        lab.run(0)
        lab.done(0)
        lab.run(1)
        job = lab.new_job(set())
        lab.done(1)
        expect(lab.cell(1).locator(".jp-OutputArea")).to_contain_text("cell study")
        lab.expect_state(job, "running")
        lab.shot("cell-job-running-light")
        lab.page.close()
        kernels = _kernels(tmp_path)
        assert kernels
        for pid in kernels:
            os.kill(pid, signal.SIGKILL)
        server.kill()
        assert not server.job(job).ended

        assert queue.wait(server.ws, server.job(job), timeout=60).state == "succeeded"
        server.start()
        lab = Lab(context.new_page(), server)
        lab.open("study.ipynb")
        lab.expect_state(job, "succeeded")
        lab.run(2)
        lab.done(2)
        lab.run(3)
        lab.done(3)
        said = "{'size': 6, 'steps': 15} [1.0, 0.5, 0.3333333333333333] ['step', 'best', 'curve']"
        expect(lab.cell(3).locator(".jp-OutputArea")).to_contain_text(said)
        lab.run(4)
        lab.done(4)
        table = lab.cell(4).locator(".jp-OutputArea table")
        expect(table).to_contain_text("best")
        expect(table).to_contain_text("2 items")
        lab.shot("cell-job-result-light")
        assert lab.complaints() == []
    context.close()


def _kernels(folder: Path) -> list[int]:
    """Return the kernels of this test's server: those whose connection file is in its folder."""
    mine = str(folder / "home" / "runtime").encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mine in line and b"kernel" in line:
                found.append(int(entry.name))
    return found
