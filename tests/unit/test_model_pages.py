"""What a model's pages say: the list, the card and the lineage, each from the record and nothing else."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.commands.core import Call, Surface
from snapml_lab.commands.dispatch import dispatch
from snapml_lab.errors import InvalidInputError, NotAllowedError
from snapml_lab.governance import roles
from snapml_lab.governance.roles import Role, account
from snapml_lab.registry import deployments, versions
from snapml_lab.registry.card_view import Card, Row, Section
from snapml_lab.tracking import record
from snapml_lab.tracking.record import Origin
from snapml_lab.views.graphs import Arrow, Box, Graph
from snapml_lab.workspace import Workspace

EVIDENCE = {
    "metric": "roc_auc", "rows": 40, "score": 0.93, "low": 0.9, "high": 0.95, "baseline": 0.5, "improvement": 0.43,
    "improvement_low": 0.4, "improvement_high": 0.46, "p_value": 0.001, "could_be_chance": False, "libraries": {"skops": "0.16"},
}  # fmt: skip
WHERE = Origin(
    notebook="a.ipynb", cell_id="c7", execution_count=3, git_commit="c0ffee12345-dirty", environment="e" * 64, dataset="d" * 64,
    out_of_order=True,
)  # fmt: skip


def ask(ws: Workspace, name: str, actor: str | None = None, /, **arguments: Any) -> Any:
    return dispatch(ws, name, arguments, Call(Surface.REST, actor or account()))


def register(
    ws: Workspace,
    name: str,
    *,
    run: str | None = None,
    origin: Origin = WHERE,
    parent: str | None = None,
    **fields: Any,
) -> str:
    with ws.ledger.write() as connection:
        if run is not None:
            record.create(
                connection, run, kind="fit", name=f"run of {name}", job=None, at=1.0, origin=origin, revision=0, actor="ann",
                state="succeeded", parent=parent,
            )  # fmt: skip
            record.log_param(connection, run, "C", 0.5)
        known = {"blob": f"{len(name):064x}", "size": 2048, "format": "skops", "task": "binary", "evidence": EVIDENCE,
                 "signature": {"numeric": ["age"], "target": "stays", "classes": ["no", "yes"]}, "actor": "ann"}  # fmt: skip
        versions.register(connection, name=name, run=run, at=1.0, **{**known, **fields})
    return versions.find(ws.ledger, name).reference


class Balanced(HTMLParser):
    """Counts what is opened and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in ("meta", "br", "rect", "path", "circle", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("rect", "path", "circle"):
            assert self.open.pop() == tag


def balanced(html: str) -> set[str]:
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    return parser.seen


def test_models_are_searched_by_name_task_and_alias(ws):
    register(ws, "flowers", run="r1")
    register(ws, "shop_1", run="r2", task="regression")
    register(ws, "shopX1", run="r3")
    assert [model.name for model in ask(ws, "models list", search="shop_").models] == ["shop_1"]
    assert [model.name for model in ask(ws, "models list", search="SHOP").models] == ["shopX1", "shop_1"]
    assert [model.name for model in ask(ws, "models list", task="regression").models] == ["shop_1"]
    ask(ws, "promote", what="flowers@1", comment="good")
    (found,) = ask(ws, "models list", alias="champion").models
    assert (found.name, found.aliases, found.stage) == ("flowers", ["champion"], "applied")
    assert ask(ws, "models list", alias="canary").models == []
    assert ask(ws, "models show", model="flowers@champion").id == found.id


def test_a_version_knows_the_cell_of_its_run(ws):
    register(ws, "flowers", run="r1")
    shown = ask(ws, "models show", model="flowers")
    assert (shown.run_name, shown.notebook, shown.cell_id, shown.stage) == (
        "run of flowers",
        "a.ipynb",
        "c7",
        "registered",
    )


def test_a_note_is_written_and_taken_back_and_a_viewer_may_not(ws):
    register(ws, "flowers")
    assert ask(ws, "models note", model="flowers", text=" for the shop ").note == "for the shop"
    assert "for the shop" in ask(ws, "models card", model="flowers").text()
    assert ask(ws, "models note", model="flowers").note is None
    roles.declare(ws, "vic", Role.VIEWER, by=account())
    for name, arguments in (("models note", {"text": "mine"}), ("models print", {"out": "card.md"})):
        with pytest.raises(NotAllowedError):
            ask(ws, name, "vic", model="flowers", **arguments)
    assert ask(ws, "models card", "vic", model="flowers").reference == "flowers@1"


def test_a_card_says_what_is_recorded(ws):
    register(ws, "flowers", run="r1")
    ask(ws, "promote", what="flowers@1", comment="good enough")
    card = ask(ws, "models card", model="flowers")
    text = card.text()
    for said in ("0.9300, 95% interval [0.9000, 0.9500] on 40 held-out rows", "0.5000 on the same rows", "a.ipynb", "c7", "c0ffee12345",
                 "champion", "good enough", "age", "no, yes", "skops 0.16", "by ann"):  # fmt: skip
        assert said in text, said
    assert {"svg", "table", "li"} <= balanced(card.html())


def test_a_card_says_what_speaks_against_it(ws):
    register(ws, "flowers", run="r1")
    limits = ask(ws, "models card", model="flowers").limits
    assert any("out of order" in limit for limit in limits)
    assert any("differed from the git commit" in limit for limit in limits)
    assert any("No example" in limit for limit in limits)
    register(ws, "sure", evidence={**EVIDENCE, "score": 1.0, "low": 1.0, "high": 1.0})
    assert any("no width" in limit for limit in ask(ws, "models card", model="sure").limits)
    register(ws, "bare", evidence={"could_be_chance": True})
    limits = ask(ws, "models card", model="bare").limits
    assert any("no evidence with an interval" in limit for limit in limits)
    assert any("could be chance" in limit for limit in limits)
    assert any("of no run" in limit for limit in limits)


def test_a_card_is_printed_as_a_page_as_markdown_and_as_text(ws, project):
    register(ws, "flowers", run="r1")
    for ending in ("html", "md", "txt"):
        ask(ws, "models print", model="flowers", out=f"card.{ending}")
    page = (project / "card.html").read_text()
    balanced(page)
    assert "prefers-color-scheme:dark" in page
    assert (project / "card.md").read_text().startswith("# flowers@1\n")
    assert (project / "card.txt").read_text().startswith("flowers@1\n")
    for out in ("card.pdf", "no/folder/card.md", "card"):
        with pytest.raises(InvalidInputError, match="out"):
            ask(ws, "models print", model="flowers", out=out)


NASTY = st.text(max_size=40)


@given(NASTY, NASTY, NASTY)
def test_whatever_names_and_notes_hold_is_text(name: str, value: str, note: str):
    card = Card(
        reference=name, summary=value, note=note or None, limits=[value], measured=None,
        sections=[Section(title=name or "t", rows=[Row(name=value, value=name)])],
    )  # fmt: skip
    assert balanced(card.html()) <= {
        "style",
        "div",
        "h4",
        "ul",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    summary = card.markdown().splitlines()[2]
    assert not set(re.sub(r"\\.", "", summary)) & set("<>|`*_[]#")


def test_a_lineage_goes_from_the_data_to_what_answers(ws):
    with ws.ledger.write() as connection:
        record.create(
            connection,
            "outer",
            kind="run",
            name="search",
            job=None,
            at=1.0,
            origin=Origin(),
            revision=0,
            actor="ann",
        )
    register(ws, "base", format="safetensors", task="chat")
    register(ws, "tuned", run="r1", parent="outer", base="base@1", format="peft", task="chat")
    register(ws, "merged", evidence={"merged_from": "tuned@1"}, format="safetensors", task="chat")
    deployments.declare(ws, deployments.single("desk", "tuned@1", "transformers", "chat", "/x"))
    deployments.declare(ws, deployments.single("other", "base@1", "transformers", "chat", "/x"))
    found = ask(ws, "models lineage", model="tuned")
    arrows = {(edge.source, edge.label, edge.target) for edge in found.edges}
    assert arrows == {
        ("run:r1", "made", "model:tuned@1"),
        ("run:outer", "part", "run:r1"),
        ("dataset:" + "d" * 64, "read", "run:r1"),
        ("code:a.ipynb#c7", "ran", "run:r1"),
        ("code:c0ffee12345-dirty", "at", "run:r1"),
        ("environment:" + "e" * 64, "in", "run:r1"),
        ("model:base@1", "adapted", "model:tuned@1"),
        ("model:tuned@1", "merged", "model:merged@1"),
        ("model:tuned@1", "serves as", "deployment:desk"),
    }
    assert "svg" in balanced(found.html())
    assert {node.id for node in found.nodes} == {
        end for edge in found.edges for end in (edge.source, edge.target)
    }


def test_a_run_that_is_not_here_is_said_to_be_so(ws):
    register(ws, "flowers")
    with ws.ledger.write() as connection:
        connection.execute("UPDATE model_versions SET run = 'gone'")
    (run,) = [node for node in ask(ws, "models lineage", model="flowers").nodes if node.kind == "run"]
    assert run.detail == "not in this workspace"


def columns(graph: Graph) -> list[list[str]]:
    return [[box.id for box in column] for column in graph.columns()]


def test_boxes_stand_right_of_what_leads_to_them():
    boxes = [Box(name, "k", name) for name in "abcde"]
    arrows = [
        Arrow("a", "b"),
        Arrow("b", "c"),
        Arrow("a", "c"),
        Arrow("d", "c"),
        Arrow("c", "e"),
        Arrow("a", "nobody"),
    ]
    assert columns(Graph("t", boxes, arrows)) == [["a"], ["b", "d"], ["c"], ["e"]]


def test_a_circle_of_arrows_is_drawn_as_well():
    boxes = [Box(name, "k", name) for name in "abc"]
    graph = Graph("t", boxes, [Arrow("a", "b"), Arrow("b", "c"), Arrow("c", "a")])
    assert sorted(name for column in columns(graph) for name in column) == ["a", "b", "c"]
    balanced(graph.svg())


@given(NASTY)
def test_labels_are_text_in_the_picture(text: str):
    graph = Graph(text, [Box("a", text, text, text)], [])
    assert balanced(graph.svg()) == {"svg", "g", "title", "rect", "text"}
