"""Pipelines: notebooks in order, each a job, sources untouched; a mistake is found before anything starts, a failed
cell is named."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

import snapml_lab as snap
from snapml_lab.errors import InvalidInputError, NotFoundError, SnapmlError, StepFailedError
from snapml_lab.jobs import queue
from snapml_lab.jobs.model import State

EXAMPLES = Path(__file__).parents[2] / "example_notebooks"
LOAD = "%load_ext snapml_lab"


@pytest.fixture
def flow(project, notebook):
    """Write a pipeline of two notebooks, one of which takes what the other puts out."""
    notebook(
        "make.ipynb", ("size: int = 3\nword = 'a'", ["parameters"]), LOAD, "made = word * size",
        "%snapml pipeline output made made", "%snapml pipeline output count size",
    )  # fmt: skip
    notebook(
        "take.ipynb", ("text: str = ''\nhow_many: int = 0", ["parameters"]),
        "open('taken.txt', 'w').write(f'{text} {how_many}')", "print('took', text)",
    )  # fmt: skip

    def write(**changes):
        steps = [
            {"name": "make", "notebook": "make.ipynb", "parameters": {"size": "${size}"}, "outputs": ["made", "count"]},
            {
                "name": "take", "notebook": "take.ipynb",
                "parameters": {"text": "<${make.made}>", "how_many": "${make.count}"},
            },
        ]  # fmt: skip
        pipeline = {"name": "flow", "parameters": {"size": 3}, "steps": steps, **changes}
        (project / "flow.yaml").write_text(json.dumps(pipeline))  # JSON is YAML
        return "flow.yaml"

    return write


class Fetches(HTMLParser):
    """Whatever a page would fetch when opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.found: list[str] = []
        self.feed(html)
        self.found += re.findall(r"@import[^;]*", html)
        self.found += re.findall(r"url\(\s*[\"']?(?:https?:)?//[^)]*\)", html)
        self.found += re.findall(r"(?:import|from)\s*\(?[\"'](?:https?:)?//[^\"']*", html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        for name in ("src", "srcset", "poster", "data", "background"):
            if values.get(name) and not values[name].startswith(("data:", "#")):
                self.found.append(f"{tag} {name}={values[name]}")
        if tag == "link" and values.get("href") and not values["href"].startswith("data:"):
            self.found.append(f"link href={values['href']}")


@pytest.mark.slow
def test_the_tour_learns_from_a_real_table_and_leaves_its_sources_as_they_were(project, snapml):
    shutil.copytree(EXAMPLES, project / "examples", ignore=shutil.ignore_patterns(".*"))
    tour = project / "examples" / "tour.yaml"
    tour.write_text(tour.read_text().partition("  - name: orders")[0])  # the half without a language model
    sources = {path.name: path.read_bytes() for path in (project / "examples").iterdir()}
    done = snapml("pipeline", "run", "examples/tour.yaml", "-p", "seconds=5")
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("tumours-diagnosis@1")]
    assert re.search(r"roc_auc 0\.9\d+ \[0\.\d+, [01]\.\d+\] .*\+0\.4.* no ", row), row
    assert {path.name: path.read_bytes() for path in (project / "examples").iterdir()} == sources
    out = project / "out" / "tour"
    names = {f"{step}.{kind}" for step in ("table", "learn", "use", "record") for kind in ("ipynb", "html")}
    assert {path.name for path in out.iterdir()} == names
    for name in names:
        if name.endswith(".html"):
            page = Fetches((out / name).read_text())
            assert page.found == [], name
    learn = Fetches((out / "learn.html").read_text())
    assert learn.tags.count("svg") >= 2
    for name in ("table", "learn", "use", "record"):
        cells = json.loads((out / f"{name}.ipynb").read_text())["cells"]
        assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code"), name
    made = [
        item
        for cell in json.loads((out / "learn.ipynb").read_text())["cells"]
        for item in cell.get("outputs", ())
    ]
    assert not [item for item in made if "widget" in json.dumps(list(item.get("data", {})))], (
        "no widget is left"
    )
    (search,) = json.loads(snapml("runs", "list", "--kind", "automl", "--json").stdout)["runs"]
    assert (search["notebook"], search["cell_id"]) == ("examples/02_learn.ipynb", "02-03")
    shown = json.loads(snapml("pipeline", "show", "--json").stdout)
    assert shown["outputs"]["learn"]["model"] == "tumours-diagnosis@1"
    assert shown["findings"][0]["chance"] == "no"
    _is_on_record(project, snapml)


def _is_on_record(project: Path, snapml) -> None:
    """Check what the notebook of the record claims: compared, promoted with evidence, verified, and made again."""
    cells = json.loads((project / "out" / "tour" / "record.ipynb").read_text())["cells"]
    said = {
        cell["id"]: "".join(
            "".join(item.get("data", {}).get("text/plain", item.get("text", ""))) for item in cell["outputs"]
        )
        for cell in cells
        if cell["cell_type"] == "code"
    }
    assert said[cells[-1]["id"]] in ("'same'", "'same within tolerance'")
    (champion,) = json.loads(snapml("models", "list", "--alias", "champion", "--json").stdout)["models"]
    assert (champion["name"], champion["version"]) == ("malignant", 1)
    assert champion["evidence"]["low"] <= champion["evidence"]["score"] <= champion["evidence"]["high"]
    (asked,) = json.loads(snapml("approvals", "list", "--json").stdout)["promotions"]
    assert (asked["state"], [found["ok"] for found in asked["evidence"]]) == ("applied", [True, True])
    found = json.loads(snapml("runs", "search", "tag.reproduces", "--json").stdout)["runs"]
    assert {run["name"] for run in found} == {"linear", "linear again"}
    assert snapml("audit", "verify").returncode == 0


def test_what_one_step_puts_out_goes_into_the_next_with_its_type(ws, flow, project):
    sources = {path: path.read_bytes() for path in project.glob("*.ipynb")}
    view = snap.pipeline.run(flow(), param=["size=2"])
    assert [(step.name, step.state) for step in view.steps] == [("make", "succeeded"), ("take", "succeeded")]
    assert view.outputs == {"make": {"made": "aa", "count": 2}, "take": {}}
    assert (project / "taken.txt").read_text() == "<aa> 2"
    assert {path: path.read_bytes() for path in project.glob("*.ipynb")} == sources
    jobs = {job.name: job for job in queue.latest(ws)}
    assert jobs["make"].parent == jobs["take"].parent == jobs["flow"].id
    assert jobs["make"].notebook == "make.ipynb"
    for name in ("make", "take"):
        assert Fetches((project / "out" / "flow" / f"{name}.html").read_text()).found == []
    # And again: the outputs are replaced, the record keeps both.
    again = snap.pipeline.run("flow.yaml", param=["size=4"], out="out")
    assert again.outputs["make"]["made"] == "aaaa"
    assert (project / "taken.txt").read_text() == "<aaaa> 4"
    assert queue.count(ws) == 6


def _step(name="make", notebook="make.ipynb", **more):
    return {"name": name, "notebook": notebook, **more}


MISTAKES = {
    "text for a whole number": ({}, ["size=two"], InvalidInputError, "size.*'two'.*int"),
    "a parameter nobody takes": ({}, ["sise=2"], InvalidInputError, "no parameter 'sise'"),
    "no value": ({}, ["size"], InvalidInputError, "NAME=VALUE"),
    "a notebook that does not exist": ({"steps": [_step(notebook="no.ipynb")]}, [], NotFoundError, "no.ipynb"),
    "a notebook that is a folder": ({"steps": [_step(notebook=".")]}, [], NotFoundError, "notebook"),
    "a notebook that is none": ({"steps": [_step(notebook="flow.yaml")]}, [], InvalidInputError, "not a notebook"),
    "a step's parameter of the wrong type": (
        {"steps": [_step(parameters={"size": "large"})]}, [], InvalidInputError, "step 'make'.*size.*'large'"),
    "a step's parameter it has not": (
        {"steps": [_step(parameters={"sise": 1})]}, [], InvalidInputError, "make.ipynb has no parameter 'sise'"),
    "an output of a later step": (
        {"steps": [_step("take", "take.ipynb", parameters={"text": "${make.made}"}), _step(outputs=["made"])]}, [],
        InvalidInputError, "no step before it"),
    "an output nobody promised": (
        {"steps": [_step(), _step("take", "take.ipynb", parameters={"text": "${make.made}"})]}, [],
        InvalidInputError, "make.made"),
    "a parameter that is unknown": (
        {"steps": [_step(parameters={"size": "${length}"})]}, [], InvalidInputError, "length"),
    "two steps of a name": ({"steps": [_step(), _step()]}, [], InvalidInputError, "two steps"),
    "no steps": ({"steps": []}, [], InvalidInputError, "steps"),
    "a word it does not know": ({"retries": 3}, [], InvalidInputError, "retries"),
    "a name that is a path": ({"name": "../../x"}, [], InvalidInputError, "name"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_before_anything_starts(ws, flow, project, mistake):
    changes, given, kind, words = mistake
    with pytest.raises(kind, match=words):
        snap.pipeline.run(flow(**changes), param=given)
    assert queue.count(ws) == 0
    assert not (project / "out").exists()


@pytest.mark.parametrize("content", [b"", b"- 1", b"name: [", b"\xff\xfe\x00", b"x: y"], ids=range(5))
def test_a_file_that_is_no_pipeline_is_told(ws, project, content):
    (project / "odd.yaml").write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"odd\.yaml|In odd"):
        snap.pipeline.run("odd.yaml")
    with pytest.raises(NotFoundError, match="absent"):
        snap.pipeline.run("absent.yaml")
    assert queue.count(ws) == 0


def test_a_failed_cell_fails_the_pipeline_and_is_named_and_nothing_runs_after_it(
    ws, flow, notebook, project, snapml
):
    same = "if tries.append(1) or len(tries) == 2:\n    raise ValueError('the jar is empty')"
    notebook(
        "make.ipynb",
        ("size: int = 3", ["parameters"]),
        "tries = []",
        same,
        "# a comment\n\n" + same,
        "never = 1",
    )
    done = snapml(
        "pipeline", "run", flow(steps=[_step(), _step("take", "take.ipynb")]), "-p", "size=1", "--json"
    )
    assert done.returncode == 2
    error = json.loads(done.stderr)
    assert error["code"] == "step_failed"
    assert "Step 'make'" in error["message"]
    # The second of two cells of one source; the cell papermill adds for the parameters is not counted.
    assert "Cell 4 of make.ipynb" in error["message"]
    assert "id cell-3" in error["message"]
    assert "ValueError: the jar is empty" in error["message"]
    assert str(project / "out" / "flow" / "make.ipynb") in error["fix"]
    assert [job.name for job in queue.latest(ws)] == ["make", "flow"]
    assert {job.state for job in queue.latest(ws)} == {State.FAILED}
    assert "the jar is empty" in (project / "out" / "flow" / "make.html").read_text()
    assert not (project / "out" / "flow" / "take.ipynb").exists()
    view = snap.pipeline.show()
    assert [step.state for step in view.steps] == ["failed", "waiting"]
    # Mended, it runs.
    notebook("make.ipynb", ("size: int = 3", ["parameters"]), "fine = 1")
    assert snap.pipeline.run("flow.yaml").state == "succeeded"


def test_a_cell_that_ends_its_kernel_is_named_too(ws, flow, notebook):
    notebook("make.ipynb", "x = 1", "import os\nos._exit(3)", "y = 2")
    with pytest.raises(StepFailedError, match=r"Cell 2 of make\.ipynb.*cell-1.*kernel"):
        snap.pipeline.run(flow(steps=[_step()]))


def test_a_promised_output_that_does_not_come_fails_the_pipeline(ws, flow):
    with pytest.raises(SnapmlError, match="'make' did not put out 'weight'"):
        snap.pipeline.run(flow(steps=[_step(outputs=["made", "weight"]), _step("take", "take.ipynb")]))
    assert [job.name for job in queue.latest(ws)] == ["make", "flow"]
    assert queue.get(ws, "flow").state is State.FAILED


def test_an_output_of_the_wrong_type_fails_the_step_that_takes_it(ws, flow):
    steps = [_step(outputs=["made"]), _step("take", "take.ipynb", parameters={"how_many": "${make.made}"})]
    with pytest.raises(SnapmlError, match=r"step 'take'.*how_many.*'aaa'.*int"):
        snap.pipeline.run(flow(steps=steps))


def test_cancelling_a_pipeline_ends_its_running_step_and_the_search_it_started(
    ws, flow, flowers, notebook, until, project
):
    notebook(
        "make.ipynb", LOAD, f"%snapml automl {flowers.name} --target target --time 120", "open('after', 'w')"
    )
    job = snap.pipeline.run(flow(steps=[_step(), _step("take", "take.ipynb")]), background=True)
    until(lambda: [item for item in queue.latest(ws) if item.kind == "automl" and item.state == "running"])
    snap.jobs.cancel(job.id, grace=1)
    ended = {item.kind: queue.wait(ws, item, timeout=60).state for item in queue.latest(ws)}
    assert ended == dict.fromkeys(("pipeline", "notebook", "automl"), State.CANCELLED)
    assert not (project / "after").exists()
    assert snap.pipeline.show(job.id).state == "cancelled"
    assert [step.state for step in snap.pipeline.show(job.id).steps] == ["cancelled", "waiting"]


def test_outside_a_pipeline_an_output_is_only_shown(ws):
    shown = snap.pipeline.output("made", "[1, 2]")
    assert (shown.value, shown.kept) == ([1, 2], False)
