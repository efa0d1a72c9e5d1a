"""A judge that is a real model behind the gateway: what it says holds, who is judged pays, and where it cannot be asked nothing passes."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import openai
import pytest

from snapml_lab.costs import prices, requests
from snapml_lab.engines import services
from snapml_lab.gateway import judging
from snapml_lab.governance import keys
from snapml_lab.guardrails import policies
from snapml_lab.guardrails.policies import Action, Policy, Rule, Where
from snapml_lab.registry import deployments

from .conftest import ready
from .home import Lab, record, until, write
from .wire import HANG, NAME, Wire, completion, used, whole

JUDGED = "merged"
ANN, BOB = "ann has 7", "bob has 7"


def rule(judge: str = "judge", where: Where = Where.INPUT) -> Rule:
    """A judge that is shown the text alone."""
    options = {"deployment": judge, "rule": "Nobody speaks of ann.", "template": "{text}"}
    return Rule("judge", Action.BLOCK, where, options)


@pytest.fixture(scope="module")
def judge(lab: Lab) -> Iterator[Lab]:
    """A model that was tuned to say yes of ann and no of others, served."""
    said = [
        record(text, "yes" if name == "ann" else "no")
        for count in range(0, 60, 3)
        for name in ("ann", "bob", "carol")
        for text in (f"{name} has {count}", json.dumps({"name": name, "count": count}))
    ]
    write(lab.folder / "verdicts.jsonl", said)
    lab.do(
        "finetune", "sample", "verdicts.jsonl", "--name", "judge", "--rank", "8", "--lr", "0.005", "--epochs", "6",
        "--max-length", "64", "--rows", "2", "--checkpoint-steps", "1000",
    )  # fmt: skip
    ready(lab)
    lab.do("deploy", "judge")
    yield lab
    lab.do("endpoints", "set", JUDGED, "--clear", "guardrails")
    lab.do("undeploy", "judge")


@contextmanager
def under(lab: Lab, *rules: Rule, name: str = JUDGED) -> Iterator[None]:
    """Have a deployment under a policy."""
    policies.declare(lab.ws, Policy("judged", rules))
    lab.do("endpoints", "set", name, "--guardrails", "judged")
    try:
        yield
    finally:
        lab.do("endpoints", "set", name, "--clear", "guardrails")


@contextmanager
def client(lab: Lab, key: str = "") -> Iterator[openai.OpenAI]:
    headers = {"X-SnapML-Notebook": "judged.ipynb", "X-SnapML-Cell": "cell-7"}
    url, secret = f"{lab.url}/v1", key or lab.key
    with openai.OpenAI(
        base_url=url, api_key=secret, max_retries=0, timeout=120, default_headers=headers
    ) as made:
        yield made


def asking(text: str, model: str = JUDGED) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 16,
        "temperature": 0,
    }


def told(lab: Lab, text: str, *, key: str = "", model: str = JUDGED) -> str:
    with client(lab, key) as caller:
        return caller.chat.completions.create(**asking(text, model)).choices[0].message.content or ""


def noted(row: requests.Request) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(row.guard or "[]")
    return found


def test_what_a_judge_says_holds_and_who_is_judged_pays_for_it(judge: Lab) -> None:
    prices.set_tokens(judge.ws, "judge", {"input": Decimal(3), "output": Decimal(15)})
    terms = keys.Terms(project="verdicts", models=(JUDGED,), concurrency=1)
    key, text = keys.create(judge.ws, "judged", terms=terms)
    before = len(judge.rows())
    with under(judge, rule()):
        assert told(judge, BOB, key=text)
        with pytest.raises(openai.UnprocessableEntityError, match="judge") as blocked:
            told(judge, ANN, key=text)
    assert "failed" not in str(blocked.value)
    rows = until(lambda: (found := judge.rows()[before:]) and len(found) == 4 and found, what="four rows")
    passed, refused = (row for row in rows if row.deployment == JUDGED)
    assert (passed.ended, refused.ended, refused.status, refused.cost_pico) == ("complete", "failed", 422, 0)
    assert noted(refused)[1]["detector"] == "judge"
    for judged in (passed, refused):
        (by,) = (row for row in rows if row.deployment == "judge" and noted(row)[0] == {"judges": judged.id})
        assert noted(judged)[0]["judged_by"] == [by.id]
        assert (by.api_key, by.project, by.notebook, by.cell_id) == (
            key.id,
            "verdicts",
            "judged.ipynb",
            "cell-7",
        )
        assert (by.usage, by.ended) == ("metered", "complete")
        assert by.input_tokens
        assert by.output_tokens
        assert (
            by.cost_pico
            == (3 * (by.input_tokens + (by.cached_tokens or 0)) + 15 * by.output_tokens) * 1_000_000
        )
    with pytest.raises(openai.PermissionDeniedError):
        told(judge, BOB, key=text, model="judge")


def test_nothing_of_an_answer_is_streamed_before_the_judge_has_heard_all_of_it(judge: Lab) -> None:
    answers = {text: told(judge, text) for text in (ANN, BOB)}
    verdicts = {text: told(judge, answer, model="judge") for text, answer in answers.items()}
    assert set(verdicts.values()) == {"yes", "no"}, (answers, verdicts)
    with under(judge, rule(where=Where.OUTPUT)):
        for text, answer in answers.items():
            said, code = [], None
            with client(judge) as caller:
                try:
                    for chunk in caller.chat.completions.create(**asking(text), stream=True):
                        said += [choice.delta.content or "" for choice in chunk.choices]
                except openai.APIError as error:
                    code = error.code
            wanted = ("", "guardrail_blocked") if verdicts[text] == "yes" else (answer, None)
            assert ("".join(said), code) == wanted


def test_a_judge_that_is_down_lets_nothing_pass(judge: Lab) -> None:
    job = services.live(judge.ws, services.ENDPOINT, "judge")
    assert job is not None
    with under(judge, rule()):
        services.stop(judge.ws, job)
        with pytest.raises(openai.UnprocessableEntityError, match="judge, which failed"):
            told(judge, BOB)
    with under(judge, rule("nobody")), pytest.raises(openai.UnprocessableEntityError, match="which failed"):
        told(judge, BOB)


def test_a_deployment_is_not_put_under_a_policy_that_it_judges_itself(judge: Lab) -> None:
    policies.declare(judge.ws, Policy("own", (rule(JUDGED),)))
    assert "itself" in judge.refused("endpoints", "set", JUDGED, "--guardrails", "own")["message"]


# What no real engine does on demand.


@pytest.fixture
def judged(wire: Wire) -> Wire:
    """Another deployment, without an engine, that the scripted engine judges."""
    policies.declare(wire.ws, Policy("judged", (rule(NAME),)))
    other = deployments.single("other", "other@1", "transformers", "chat", "inner")
    deployments.declare(wire.ws, replace(other, guardrails="judged"))
    return wire


def asked(wire: Wire, name: str) -> tuple[int, str]:
    response = wire.begin({"model": name})
    content = response.read().decode()
    response.hang_up()  # type: ignore[attr-defined]
    return response.status, content


def test_a_judge_that_is_slow_lets_nothing_pass_in_bounded_time(
    judged: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "SECONDS", 3.0)
    judged.script = [HANG]
    status, said = asked(judged, "other")
    assert status == 422
    assert "judge, which failed" in said
    until(lambda: judged.open == 0, what="the judge to be left")
    rows = until(lambda: (found := judged.rows()) and len(found) == 2 and found, what="both rows")
    assert {row.deployment: row.ended for row in rows} == {NAME: "hung_up", "other": "failed"}


@pytest.mark.parametrize("verdict", ["maybe", "", "None", "nothing is wrong"])
def test_an_answer_that_is_neither_yes_nor_no_lets_nothing_pass(judged: Wire, verdict: str) -> None:
    judged.script = whole(completion(verdict, used(9, 1)))
    assert asked(judged, "other")[0] == 422
    assert judged.asked[-1]["body"]["max_tokens"] == 8


def test_a_judge_under_a_policy_of_its_own_asks_no_other_and_never_itself(judged: Wire) -> None:
    deployments.change(
        judged.ws, NAME, lambda course: replace(course, now=replace(course.now, guardrails="judged"))
    )
    judged.script = whole(completion("no", used(9, 1)))
    for name in ("other", NAME):
        status, said = asked(judged, name)
        assert (status, "judge, which failed" in said) == (422, True)
    rows = until(lambda: (found := judged.rows()) and len(found) == 4 and found, what="four rows")
    assert {row.status for row in rows} == {422}
    assert judged.asked == []


def test_the_secret_a_judge_comes_by_opens_nothing_once_it_was_used(judged: Wire) -> None:
    judged.script = whole(completion("yes", used(9, 1)))
    assert asked(judged, "other")[0] == 422
    for secret in ("", "judge", "x" * 32):
        judged.key = secret
        assert asked(judged, NAME)[0] == 401


def test_many_are_judged_at_once(judged: Wire) -> None:
    judged.script = whole(completion("yes", used(9, 1)))
    found: list[int] = []
    callers = [threading.Thread(target=lambda: found.append(asked(judged, "other")[0])) for _ in range(60)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [422] * 60
    until(lambda: len(judged.rows()) == 120, what="a row for each, and one for each judge's")
