"""Takes the README's pictures of JupyterLab: pytest tests/browser/pictures.py writes docs/images/lab.png and lab-dark.png."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sklearn.datasets import load_diabetes

from browser.lab import DARK, LIGHT, SECONDS, Lab

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
TITLE = "## How will the illness go on?\nTen measurements of 442 people; *progression* is how ill they were a year later."
MOST_BYTES = 300_000


def snapml(project: Path, *words: str) -> None:
    """Run a command in a project."""
    env = {**os.environ, "SNAPML_WORKSPACE": str(project)}
    subprocess.run(
        [sys.executable, "-m", "snapml_lab.cli", *words], cwd=project, env=env, check=True, timeout=200
    )


def test_pictures(lab: Lab) -> None:
    project = lab.server.project
    table = load_diabetes(as_frame=True, scaled=False).frame.rename(columns={"target": "progression"})
    table.to_csv(project / "diabetes.csv", index=False)
    path = lab.server.write(
        "diabetes.ipynb",
        TITLE,
        "%load_ext snapml_lab",
        "%snapml automl diabetes.csv --target progression --time 25",
    )
    content = json.loads(path.read_text())
    title = content["cells"][0]
    content["cells"][0] = {key: title[key] for key in ("id", "metadata", "source")} | {
        "cell_type": "markdown"
    }
    path.write_text(json.dumps(content))
    shutil.copytree(ROOT / "example_notebooks", project / "tour")
    snapml(project, "pipeline", "run", "tour/tour.yaml", "--param", "seconds=5")

    lab.open("diabetes.ipynb", width=330)
    lab.run(1)
    lab.done(1)
    lab.run(2)
    lab.done(2)
    snapml(project, "automl", "flowers.csv", "--target", "target", "--time", "30", "--background")
    live = lab.jobs.locator('[data-state="running"]')
    expect(live.get_by_role("progressbar")).to_be_visible(timeout=20 * SECONDS)
    lab.page.wait_for_function(
        "() => +document.querySelector('[data-state=running] [role=progressbar]')?.ariaValueNow >= 40",
        timeout=30_000,
    )
    lab.cell(0).scroll_into_view_if_needed()
    lab.page.mouse.move(720, 880)
    IMAGES.mkdir(parents=True, exist_ok=True)
    for theme, name in ((LIGHT, "lab.png"), (DARK, "lab-dark.png")):
        lab.theme(theme)
        lab.page.wait_for_timeout(500)
        lab.page.screenshot(path=IMAGES / name)
        assert (IMAGES / name).stat().st_size < MOST_BYTES
