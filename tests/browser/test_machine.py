"""The machine in the sidebar and in the status bar: who holds its GPU, why jobs wait for it, and freeing it with one click."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.gpus import FakeGpus, training
from playwright.sync_api import Browser, Locator, expect

from browser.lab import DARK, LIGHT, SECONDS, Lab, Server, serving
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import Job, Work
from snapml_lab.tracking.record import Origin

pytestmark = pytest.mark.browser

TOTAL = 24_000
MARKUP = "<img src=x onerror=\"alert('name')\"><b>bold</b>"
TAKE = "import sys\nsys.path.insert(0, {folder!r})\nfrom pynvml import Memory\nmemory = Memory()\nmemory.take({mib})"


@pytest.fixture(scope="module")
def gpus(tmp_path_factory: pytest.TempPathFactory) -> FakeGpus:
    """One GPU."""
    return FakeGpus(tmp_path_factory.mktemp("gpus") / "gpus.json", TOTAL)


@pytest.fixture(scope="module")
def server(browser: Browser, gpus: FakeGpus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Jupyter server on a machine with that GPU."""
    with serving(tmp_path_factory.mktemp("machine"), gpus.environment) as running:
        yield running


@pytest.fixture(autouse=True)
def _alone(server: Server, gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test finds the machine empty, and sees what the server sees."""
    for name, value in gpus.environment.items():
        monkeypatch.setenv(name, value)
    yield
    for job in queue.latest(server.ws, limit=1000):
        if not job.ended:
            queue.wait(server.ws, queue.cancel(server.ws, job.id, grace=0.2), timeout=20)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of ours."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def submit(lab: Lab, name: str, mib: int, done: Path | None = None, **fields: object) -> Job:
    """Submit a training that holds ``mib`` until a file is there (or it is cancelled)."""
    argv = training(mib, 0, until=done or Path("/nowhere/done"))
    if fields.get("service"):
        argv.append("--ready")
    work = Work(
        **{"kind": "finetune", "name": name, "argv": argv, "cpus": 0, "gpus": 1, "gpu_memory": mib} | fields
    )  # type: ignore[arg-type]
    return queue.submit(lab.server.ws, work, actor="tester", origin=Origin())


def holder(lab: Lab, name: str) -> Locator:
    return lab.page.get_by_test_id("snapml-machine").get_by_test_id("snapml-holder").filter(has_text=name)


def test_two_trainings_and_an_endpoint_take_turns_and_say_why(
    lab: Lab, gpus: FakeGpus, tmp_path: Path
) -> None:
    lab.open()
    chat = submit(lab, "chat", 16_000, service=True, gives_way=True, kind="endpoint")
    lab.expect_state(chat.id, "running")
    first = submit(lab, "first", 14_000, tmp_path / "first")
    lab.expect_state(first.id, "running")
    second = submit(lab, "second", 20_000, tmp_path / "second")

    expect(lab.job(second.id)).to_contain_text(
        re.compile(r"Waiting for 20,000 MiB of a GPU .*first has 14,000")
    )
    expect(lab.job(chat.id)).to_have_attribute("data-state", "queued")
    expect(lab.job(chat.id)).to_contain_text("Gave way to first")
    expect(lab.job(chat.id)).to_contain_text(re.compile(r"Waiting for first .*to which it gives way"))
    rows = lab.jobs.get_by_test_id("snapml-job").evaluate_all("rows => rows.map(row => row.dataset.jobId)")
    assert rows[:3] == [first.id, second.id, chat.id]
    expect(holder(lab, "first")).to_contain_text("Asked for 14,000 MiB, uses 14,000 MiB")
    expect(lab.page.get_by_test_id("snapml-status")).to_contain_text(
        re.compile(r"GPU 58% · CPU 0/\d+ · 1 running · 2 queued"), timeout=30 * SECONDS
    )
    lab.portraits("turns")

    (tmp_path / "first").touch()
    lab.expect_state(second.id, "running")
    expect(lab.job(chat.id)).to_contain_text(
        re.compile(r"Waiting for 16,000 MiB of a GPU .*second has 20,000")
    )
    (tmp_path / "second").touch()
    lab.expect_state(second.id, "succeeded")
    lab.expect_state(chat.id, "running")
    expect(holder(lab, "chat")).to_contain_text("uses 16,000 MiB")
    expect(lab.job(first.id)).to_contain_text("GPU memory: at most 14,000 of 14,000 MiB used")
    assert lab.server.job(first.id).state == "succeeded"
    assert gpus.ooms == 0
    assert gpus.most() == 20_000


def test_each_holder_is_told_and_freed_with_one_click(
    lab: Lab, gpus: FakeGpus, stranger: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    folder = str(Path(gpus.environment["SNAPML_NVML"]).parent)
    lab.server.write("deep/analysis.ipynb", TAKE.format(folder=folder, mib=1200))
    lab.open("deep/analysis.ipynb")
    lab.run(0)
    lab.done(0)
    job = submit(lab, "train", 9_000)
    lab.expect_state(job.id, "running")
    left = submit(lab, "leaves something behind", 2_000, tmp_path / "left")
    lab.expect_state(left.id, "running")
    expect(holder(lab, "leaves something behind")).to_contain_text("uses 2,000 MiB")
    remains = subprocess.Popen(["sleep", "1000"], env={**os.environ, "SNAPML_JOB_ID": left.id})
    gpus.hold(remains.pid, 1500)
    gpus.hold(stranger.pid, 700)
    running = lab.server.job(job.id)
    (tmp_path / "left").touch()
    lab.expect_state(left.id, "succeeded")

    expect(holder(lab, "analysis.ipynb")).to_contain_text("Notebook")
    expect(holder(lab, "analysis.ipynb")).to_contain_text("Uses 1,200 MiB")
    expect(holder(lab, "sleep")).to_contain_text("Other process")
    expect(holder(lab, "leaves something behind")).to_contain_text(
        f"Its job has ended, but process {remains.pid} still holds the memory."
    )
    meter = lab.page.get_by_role("meter", name="Memory of GPU 0")
    expect(meter).to_have_attribute("aria-valuenow", str(9_000 + 1_500 + 700 + 1_200))
    expect(meter).to_have_attribute(
        "aria-valuetext", re.compile("12,400 of 24,000 MiB used, 11,000 leased, ")
    )
    lab.page.get_by_role("heading", name="Endpoints").click()
    lab.portraits("holders")

    # A click on the notebook's name opens it.
    lab.save()
    lab.execute("application:close-all")
    expect(lab.page.locator(".jp-NotebookPanel")).to_have_count(0)
    holder(lab, "analysis.ipynb").get_by_test_id("snapml-holder-open").click()
    expect(lab.cell(0)).to_contain_text("Memory")

    # Nothing happens to who is kept.
    dialog = lab.page.locator(".jp-Dialog")
    holder(lab, "train").get_by_test_id("snapml-holder-free").click()
    expect(dialog).to_contain_text("train holds 9,000 MiB. The job is cancelled")
    lab.shot("free-light")
    lab.theme(DARK)
    lab.shot("free-dark")
    lab.theme(LIGHT)
    dialog.get_by_role("button", name="Keep running").click()
    expect(dialog).to_have_count(0)
    assert lab.server.job(running.id).state == "running"

    def free(name: str, button: str, said: str) -> None:
        holder(lab, name).get_by_test_id("snapml-holder-free").click()
        expect(dialog).to_contain_text(said)
        dialog.get_by_role("button", name=button).click()
        expect(holder(lab, name)).to_have_count(0)

    free("train", "Cancel job", "what it has not saved is lost")
    lab.expect_state(job.id, "cancelled")
    free("analysis.ipynb", "Shut down kernel", "Its variables are lost")
    lab.until(lambda: lab.server.request("GET", "/api/kernels") == [])
    free("leaves something behind", "End process", f"process {remains.pid}, which the job left")
    assert remains.wait(5) != 0
    free("sleep", "End process", "neither a job nor a notebook")
    assert stranger.wait(5) != 0
    expect(lab.page.get_by_test_id("snapml-gpu")).to_contain_text("Nobody is on it.")
    assert gpus.used() == 0
    assert gpus.ooms == 0


def test_a_refusal_is_told(lab: Lab, gpus: FakeGpus, stranger: subprocess.Popen[bytes]) -> None:
    gpus.hold(stranger.pid, 700)
    lab.open()
    expect(holder(lab, "sleep")).to_be_visible()
    holder(lab, "sleep").get_by_test_id("snapml-holder-free").click()
    end = lab.page.locator(".jp-Dialog").get_by_role("button", name="End process")
    expect(end).to_be_visible()
    gpus.release(stranger.pid)
    end.click()
    expect(lab.page.get_by_text(re.compile("was not freed. Process .* holds no memory"))).to_be_visible()
    assert stranger.poll() is None


def test_a_name_is_text_and_the_keyboard_is_enough(lab: Lab, gpus: FakeGpus) -> None:
    job = submit(lab, MARKUP, 5_000)
    lab.open()
    lab.expect_state(job.id, "running")
    expect(holder(lab, MARKUP)).to_be_visible()
    lab.page.locator("body").evaluate("() => document.activeElement.blur()")
    lab.press_until(".snapml-Sidebar *")
    lab.press_until("[data-testid=snapml-holder-free]")
    lab.page.keyboard.press("Enter")
    dialog = lab.page.locator(".jp-Dialog")
    expect(dialog).to_contain_text(MARKUP)
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert lab.server.job(job.id).state == "running"
    lab.portraits("hostile-holder")
    expect(lab.page.locator("img[src=x], .snapml-Sidebar :is(img, b), .jp-Dialog :is(img, b)")).to_have_count(
        0
    )
    assert lab.dialogs == []


def test_a_gpu_that_cannot_be_seen_is_said_and_comes_back(lab: Lab, gpus: FakeGpus) -> None:
    lab.open()
    machine = lab.page.get_by_test_id("snapml-machine")
    expect(machine.get_by_test_id("snapml-gpu")).to_be_visible()
    gpus.fail(999)
    expect(machine).to_contain_text("The GPUs cannot be seen")
    expect(machine).to_contain_text("Unknown Error")
    lab.shot("unseen-light")
    gpus.fail(None)
    expect(machine.get_by_test_id("snapml-gpu")).to_be_visible()


def test_the_machine_is_asked_about_only_while_it_is_seen(lab: Lab) -> None:
    asked: list[float] = []
    lab.page.on(
        "request", lambda request: asked.append(time.monotonic()) if "/leases/show" in request.url else None
    )
    lab.open()
    lab.page.wait_for_timeout(8_000)
    assert len(asked) >= 3
    lab.page.get_by_role("tab", name=re.compile("File Browser")).click()
    expect(lab.jobs).to_be_hidden()
    lab.page.wait_for_timeout(1_500)
    asked.clear()
    lab.page.wait_for_timeout(8_000)
    assert asked == []


def test_the_status_bar_opens_the_sidebar(lab: Lab, gpus: FakeGpus) -> None:
    job = submit(lab, "train", 12_000)
    lab.open()
    lab.page.get_by_role("tab", name=re.compile("File Browser")).click()
    expect(lab.jobs).to_be_hidden()
    item = lab.page.get_by_test_id("snapml-status")
    expect(item).to_contain_text("GPU 50%", timeout=30 * SECONDS)
    expect(item).to_contain_text("1 running")
    expect(item).to_have_attribute(
        "title", re.compile("GPU 0: 12,000 of 24,000 MiB used, 12,000 free\nCPUs: 0 of")
    )
    for theme, name in ((LIGHT, "light"), (DARK, "dark")):
        lab.theme(theme)
        lab.shot(f"status-{name}")
        assert lab.complaints() == []
    item.focus()
    lab.page.keyboard.press("Enter")
    expect(lab.jobs).to_be_visible()
    queue.cancel(lab.server.ws, job.id, grace=0.2)
    expect(item).not_to_contain_text("running")
    expect(item).to_contain_text("GPU 0%", timeout=30 * SECONDS)
