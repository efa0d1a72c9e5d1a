"""Models and approvals in the sidebar and on their pages: found, promoted, decided on, and led back to their cell."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from browser.lab import Lab, Server, serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A project of its own, in which nothing is recorded yet."""
    with serving(tmp_path_factory.mktemp("record")) as running:
        yield running


MARKUP = "<img src=x onerror=\"alert('comment')\"><b>bold</b>"
LOAD = "%load_ext snapml_lab"
SEARCH = "%snapml automl flowers.csv --target target --time 3 --name flowers"
POLICY = "%snapml policies set model --approvers 1 --need interval"
OWN = f"{POLICY} --own"


def section(lab: Lab, name: str) -> Locator:
    """Open a section of the sidebar, alone."""
    for title in lab.page.locator(".snapml-Sidebar .lm-AccordionPanel-title").all():
        wanted = (title.get_attribute("aria-label") or "").startswith(name)
        if wanted is (title.get_attribute("aria-expanded") == "false"):
            title.click()
    found = lab.page.get_by_test_id(f"snapml-{name.lower()}")
    expect(found).to_be_visible()
    return found


def test_a_model_is_promoted_and_decided_on(lab: Lab) -> None:
    lab.server.write("registry.ipynb", LOAD, SEARCH, SEARCH, POLICY, OWN)
    lab.open()
    expect(section(lab, "Approvals").get_by_test_id("snapml-approvals-none")).to_contain_text(
        "%snapml promote"
    )
    lab.shot("approvals-none-light")
    lab.open("registry.ipynb")
    for index in range(4):
        lab.run(index)
        lab.done(index)
    models = section(lab, "Models")
    rows = models.get_by_test_id("snapml-model")
    expect(rows.first).to_contain_text("flowers@2")
    models.get_by_role("button", name="1 more version of flowers").click()
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("accuracy")
    lab.portraits("models")
    models.get_by_test_id("snapml-models-search").fill("nothing")
    expect(models).to_contain_text("No model is called so.")
    models.get_by_test_id("snapml-models-search").fill("flow")
    models.get_by_role("button", name="1 more version of flowers").click()

    rows.last.get_by_test_id("snapml-model-open").click()
    page = lab.page.get_by_test_id("snapml-model-page")
    expect(page.get_by_role("heading", name="flowers@1", exact=True)).to_be_visible()
    expect(page.get_by_test_id("snapml-model-evidence")).to_contain_text("95% interval")
    expect(page.get_by_test_id("snapml-lineage")).to_contain_text("registry.ipynb")
    expect(page.get_by_test_id("snapml-model-card")).to_contain_text("Known limits")
    lab.portraits("model")

    page.get_by_test_id("snapml-model-promote").click()
    page.get_by_test_id("snapml-promote-comment").fill(MARKUP)
    lab.shot("model-promoting")
    page.get_by_test_id("snapml-promote-ask").click()
    request = lab.page.get_by_test_id("snapml-approval-page")
    expect(request.get_by_test_id("snapml-approval-state")).to_contain_text("Waits: 0 of 1 approved")
    expect(request).to_contain_text(MARKUP)

    approvals = section(lab, "Approvals")
    expect(approvals.get_by_test_id("snapml-approval")).to_contain_text("flowers@1 → champion")
    expect(
        lab.page.locator(".snapml-Sidebar .lm-AccordionPanel-title", has_text="Approvals (1)")
    ).to_be_visible()
    expect(request.get_by_test_id("snapml-approval-evidence")).to_contain_text("met: interval")
    expect(request.get_by_test_id("snapml-approval-barred")).to_contain_text("may not approve their own")
    expect(request.get_by_test_id("snapml-approve")).to_have_attribute("aria-disabled", "true")
    lab.portraits("approval-waiting")
    lab.page.get_by_role("tab", name="registry.ipynb").click()
    lab.run(4)
    lab.done(4)
    lab.page.get_by_role("tab", name="flowers@1 → champion").click()
    expect(request.get_by_test_id("snapml-approval-barred")).to_have_count(0)
    request.get_by_test_id("snapml-approval-comment").fill("measured on held-out rows")
    request.get_by_test_id("snapml-approve").click()
    expect(request.get_by_test_id("snapml-approval-state")).to_contain_text("Applied")
    expect(request.get_by_test_id("snapml-approval-decisions")).to_contain_text("measured on held-out rows")
    expect(approvals.get_by_test_id("snapml-approval")).to_contain_text("Applied")
    lab.shot("approval-applied-light")
    request.get_by_test_id("snapml-approval-model").click()
    expect(page.get_by_test_id("snapml-model-aliases")).to_have_text("champion")
    expect(page.get_by_test_id("snapml-model-promotions")).to_contain_text("champion")
    page.get_by_test_id("snapml-model-promote").click()
    page.get_by_test_id("snapml-promote-ask").click()
    expect(page.get_by_test_id("snapml-refusal")).to_contain_text("is champion already")
    lab.shot("model-refused")
    page.get_by_test_id("snapml-model-card").scroll_into_view_if_needed()
    lab.shot("model-card")

    page.get_by_test_id("snapml-go-to-cell").click()
    expect(lab.cell(1)).to_have_class(re.compile("jp-mod-active"))
    assert lab.dialogs == []
