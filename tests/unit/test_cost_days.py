"""Days that are over are added up once, and the bill is the same as if they never were."""

import math
import random

import pytest

from snapml_lab import clock, ids
from snapml_lab.costs import days, requests
from snapml_lab.costs.requests import GROUPS, Request, Total
from snapml_lab.store.ledger import bump
from snapml_lab.workspace import Workspace

DAY = 86_400


def add(ws: Workspace, at: float, **fields: object) -> str:
    known: dict[str, object] = {
        "id": ids.new(), "at": at, "deployment": "d", "model": "m@1", "route": "/v1/chat/completions", "api_key": "k",
        "notebook": None, "cell_id": None, "streamed": 0, "status": 200, "ended": "complete", "input_tokens": 10, "cached_tokens": None,
        "output_tokens": 5, "usage": "metered", "first_token_ms": None, "duration_ms": 100.0, "cost_pico": 7, "price": "declared",
        **fields,
    }  # fmt: skip
    requests.add(ws.ledger, Request(**known))  # type: ignore[arg-type]
    return str(known["id"])


def plain(ws: Workspace, group: str, since: float) -> list[Total]:
    """The same from the requests themselves."""
    return requests.totals(ws.ledger, group, since=since, until=1e18)


def alike(ours: list[Total], theirs: list[Total]) -> bool:
    """Whether two bills are the same; sums of floats may differ in their last digits."""

    def close(a: object, b: object) -> bool:
        return math.isclose(a, b, rel_tol=1e-9) if isinstance(a, float) and isinstance(b, float) else a == b

    return len(ours) == len(theirs) and all(
        close(getattr(a, name), getattr(b, name))
        for a, b in zip(ours, theirs, strict=True)
        for name in Total.__dataclass_fields__
    )


@pytest.fixture
def month(ws: Workspace) -> Workspace:
    """A month of requests of all kinds."""
    chance = random.Random(3)
    now = clock.now()
    for _ in range(200):
        add(
            ws, now - chance.random() * 30 * DAY, model=chance.choice(["a@1", "b@1"]), api_key=chance.choice("kl"),
            notebook=chance.choice([None, "x.ipynb", "y.ipynb"]), cell_id=chance.choice([None, "c1", "c2"]),
            project=chance.choice([None, "p"]), ended=chance.choice(["complete", "failed"]), cached=chance.choice([0, 1]),
            input_tokens=chance.choice([None, 3, 50]), cached_tokens=chance.choice([None, 20]), output_tokens=chance.choice([None, 1, 40]),
            reasoning_tokens=chance.choice([None, 9]), first_token_ms=chance.choice([None, 30.0, 70.0]),
            machine_seconds=chance.choice([None, 0.5]), cost_pico=chance.choice([None, 0, 5, 10**13 + 1]),
            state=chance.choice(["settled", "settled", "open"]),
        )  # fmt: skip
    return ws


@pytest.mark.parametrize("group", GROUPS)
def test_the_bill_of_summed_days_is_that_of_their_requests(month: Workspace, group: str) -> None:
    now = clock.now()
    for back in (0.01, 1.0, 3.3, 20.0, 31.0):
        since = now - back * DAY
        ours = requests.totals(month.ledger, group, since=since)
        assert alike(ours, plain(month, group, since))
    assert sum(total.pico for total in ours) == sum(
        requests.by_day(month.ledger, since=now - 31 * DAY).values()
    )


def test_what_is_over_is_read_from_its_sums(month: Workspace) -> None:
    requests.totals(month.ledger, "model")
    with month.ledger.write() as connection:
        connection.execute(
            "UPDATE requests SET cost_pico = 10 * cost_pico"
        )  # behind the ledger's back: no revision
    midnight = clock.now() // DAY * DAY
    ours = requests.totals(month.ledger, "model", since=midnight - 20 * DAY)
    assert sum(total.pico for total in ours) < sum(
        total.pico for total in plain(month, "model", midnight - 20 * DAY)
    )
    assert alike(requests.totals(month.ledger, "model", since=midnight), plain(month, "model", midnight))


def test_a_request_settled_after_its_day_was_summed_is_in_the_bill(ws: Workspace) -> None:
    at = clock.now() - 5 * DAY
    add(ws, at - DAY)
    late = add(ws, at, state="open", cost_pico=None)
    assert sum(total.requests for total in requests.totals(ws.ledger, "model")) == 1
    with ws.ledger.write() as connection:
        connection.execute(
            "UPDATE requests SET state = 'settled', cost_pico = 9, revision = ? WHERE id = ?",
            (bump(connection), late),
        )
    (total,) = requests.totals(ws.ledger, "model")
    assert (total.requests, total.pico) == (2, 16)


def test_requests_that_are_merged_in_from_long_ago_are_in_the_bill(ws: Workspace) -> None:
    add(ws, clock.now() - 5 * DAY)
    assert requests.totals(ws.ledger, "model")[0].requests == 1
    add(ws, clock.now() - 100 * DAY)
    for _ in range(2):
        assert requests.totals(ws.ledger, "model")[0].requests == 2


def test_a_revision_from_elsewhere_does_not_go_round_for_ever(ws: Workspace) -> None:
    add(ws, clock.now() - 5 * DAY)
    requests.totals(ws.ledger, "model")
    with ws.ledger.write() as connection:
        connection.execute("UPDATE requests SET revision = 10000000")
    assert requests.totals(ws.ledger, "model")[0].requests == 1


def test_a_day_that_goes_by_is_summed_once_it_is_over(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def summed() -> int:
        row = ws.ledger.row("SELECT count(*) FROM request_days")
        assert row is not None
        return int(row[0])

    now = clock.now()
    add(ws, now)
    assert requests.totals(ws.ledger, "model")[0].requests == 1
    assert summed() == 0
    monkeypatch.setattr(clock, "now", lambda: now + DAY)
    assert requests.totals(ws.ledger, "model")[0].requests == 1
    assert summed() == 1
    monkeypatch.setattr(clock, "now", lambda: now + 3 * DAY)
    add(ws, now + 3 * DAY)
    assert requests.totals(ws.ledger, "model")[0].requests == 2


def test_a_ledger_without_requests_has_no_bill(ws: Workspace) -> None:
    assert requests.totals(ws.ledger, "model") == []
    assert requests.by_day(ws.ledger, since=0.0) == {}
    assert days.catch_up(ws.ledger) == clock.now() // DAY
