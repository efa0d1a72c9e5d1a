"""A fine-tuning started from a cell: what is learnt is underlined, the loss is live, and the picture stays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.lab import Lab

pytestmark = pytest.mark.browser

LOAD = "%load_ext snapml_lab"
TUNE = "%snapml finetune {} orders.jsonl --name tuned --epochs 8 --lr 0.005 --max-length 256 --checkpoint-steps 10"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model of a few steps, in a folder of its own."""
    folder = tmp_path_factory.mktemp("base")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNAPML_", "JPY_"))}
    environment = {**clean, "XDG_CACHE_HOME": str(folder / "cache"), "SNAPML_WORKSPACE": str(folder)}
    words = [sys.executable, "-m", "snapml_lab.cli", "sample", "llm", "--steps", "20"]
    subprocess.run(words, env=environment, cwd=folder, check=True, timeout=300, capture_output=True)
    (made,) = (folder / "cache" / "snapml-lab").iterdir()
    return made


def test_a_training_shows_what_it_learns_and_its_loss_while_it_runs_and_after(lab: Lab, base: Path) -> None:
    records = [
        {"messages": [{"role": "user", "content": f"<b>order</b> {n}"}, {"role": "assistant", "content": json.dumps({"n": n})}]}
        for n in range(240)
    ]  # fmt: skip
    (lab.server.project / "orders.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    lab.server.write("tune.ipynb", LOAD, TUNE.format(base))
    lab.open("tune.ipynb")
    seen = lab.seen()
    lab.run(0)
    lab.done(0)
    lab.run(1)
    job, cell = lab.new_job(seen), lab.cell(1)
    picture = cell.locator(".snapml")
    learnt = picture.locator("pre u")
    expect(learnt.first).to_contain_text('{"n":', timeout=60_000)
    expect(picture.locator("pre b")).to_have_count(0)
    expect(picture.locator("svg polyline")).not_to_have_count(0, timeout=60_000)
    expect(cell.locator(".js-plotly-plot")).to_be_visible(timeout=60_000)
    lab.shot("finetune-running-light")
    lab.expect_state(job, "succeeded", timeout=180)
    lab.done(1, timeout=30)
    expect(picture).to_contain_text("tuned@1: held-out loss")
    expect(picture.locator("svg polyline")).to_have_count(2)
    expect(cell.locator(".snapml-panel, .js-plotly-plot")).to_have_count(0)
    cell.scroll_into_view_if_needed()
    lab.portraits("finetune-ended")
