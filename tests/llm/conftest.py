"""What tests of the LLM half share: a tiny base model made once, an adapter and its merged model, all served once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from snapml_lab.engines import services
from snapml_lab.governance import keys
from snapml_lab.jobs import queue
from snapml_lab.registry import versions

from .classic import register
from .home import Home, Lab, free_port, people, write
from .wire import Wire, wired


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with the sample model in it, of twenty steps."""
    folder = tmp_path_factory.mktemp("cache")
    home = Home(tmp_path_factory.mktemp("sample"), folder)
    home.do("sample", "llm", "--steps", "20")
    assert (folder / "snapml-lab").is_dir()
    return folder


@pytest.fixture
def home(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A project of its own, with the sample model at hand; current, and in this process's environment too."""
    made = Home(tmp_path / "project", cache)
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("SNAPML_WORKSPACE", str(made.folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    yield made
    made.stop()


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """A gateway before an engine that says what the test tells it to."""
    with wired(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Lab]:
    """An adapter learnt from sixty records, its merged model, and both served behind one gateway."""
    made = Lab(tmp_path_factory.mktemp("lab"), cache)
    write(made.folder / "people.jsonl", people(60))
    made.do(
        "finetune", "sample", "people.jsonl", "--name", "tuned", "--rank", "8", "--lr", "0.005", "--epochs", "8",
        "--max-length", "128", "--rows", "1", "--checkpoint-steps", "100",
    )  # fmt: skip
    made.do("models", "merge", "tuned", "--name", "merged")
    port = free_port()
    made.do("deploy", "tuned", "--port", str(port))
    made.do("deploy", "merged")
    made.url = f"http://127.0.0.1:{port}"
    _, made.key = keys.create(made.ws, "tests")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Lab]:
    """Two classic models, served behind a gateway: ``stays`` of two classes, ``worth`` of numbers."""
    made = Lab(tmp_path_factory.mktemp("shop"), cache)
    port = free_port()
    for name in ("stays", "worth"):
        register(made.ws, name, name, made.folder)
        made.do("deploy", name, "--port", str(port))
    made.url = f"http://127.0.0.1:{port}"
    _, made.key = keys.create(made.ws, "tests")
    yield made
    made.stop()


@pytest.fixture
def open_shop(shop: Lab) -> Lab:
    """The shop, with all its services ready."""
    return ready(shop)


@pytest.fixture
def alive(lab: Lab) -> Lab:
    """The lab, with all its services ready."""
    return ready(lab)


def ready(lab: Lab) -> Lab:
    """Wait until what a test before has killed is back."""
    for kind in ("endpoint", "gateway"):
        for job in queue.latest(lab.ws, limit=1000):
            if job.kind == kind and not job.ended:
                services.wait_ready(lab.ws, job)
    return lab


@pytest.fixture
def adapter(lab: Lab) -> versions.ModelVersion:
    return versions.find(lab.ws.ledger, "tuned")
