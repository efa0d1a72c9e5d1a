"""Admission: never more than there is, first come first, and nobody overtakes."""

from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.jobs.leases import Decision, Request, admit, capacity

CLAIMS = st.lists(st.floats(min_value=0, max_value=20).map(lambda value: round(value, 2)), max_size=15)
AVAILABLE = st.integers(min_value=1, max_value=16).map(float)


def requests(claims: list[float]) -> list[Request]:
    return [Request(f"job-{number}", claim) for number, claim in enumerate(claims)]


def started(decisions: list[Decision]) -> set[str]:
    return {decision.job for decision in decisions if decision.waiting_for is None}


@given(CLAIMS, AVAILABLE, st.floats(min_value=0, max_value=1))
def test_no_more_is_leased_than_there_is(claims: list[float], available: float, share: float):
    queued, held = requests(claims), share * available
    begun = started(admit(queued, held, available))
    leased = held + sum(min(request.cpus, available) for request in queued if request.job in begun)
    assert leased <= available + 1e-6


@given(CLAIMS, AVAILABLE, st.floats(min_value=0, max_value=40))
def test_every_job_gets_one_decision_in_the_order_of_the_queue(
    claims: list[float], available: float, held: float
):
    queued = requests(claims)
    assert [decision.job for decision in admit(queued, held, available)] == [
        request.job for request in queued
    ]


@given(CLAIMS, AVAILABLE, st.floats(min_value=0, max_value=40))
def test_nobody_who_needs_processors_overtakes(claims: list[float], available: float, held: float):
    queued = requests(claims)
    begun = started(admit(queued, held, available))
    needy = [request.job in begun for request in queued if request.cpus]
    assert needy == sorted(needy, reverse=True)


@given(CLAIMS, AVAILABLE, st.floats(min_value=0, max_value=40))
def test_work_that_only_waits_for_other_work_always_starts(
    claims: list[float], available: float, held: float
):
    queued = requests(claims)
    begun = started(admit(queued, held, available))
    assert {request.job for request in queued if request.cpus == 0} <= begun


@given(CLAIMS, AVAILABLE)
def test_on_an_idle_machine_the_first_always_starts(claims: list[float], available: float):
    if claims:
        assert "job-0" in started(admit(requests(claims), 0, available))


def test_a_claim_larger_than_the_machine_waits_until_it_can_run_alone():
    queued = [Request("huge", 64), Request("small", 1)]
    assert started(admit(queued, 1, 4)) == set()
    assert started(admit(queued, 0, 4)) == {"huge"}


def test_a_job_that_waits_is_told_for_what():
    [decision] = admit([Request("a", 3)], 2, 4)
    assert decision.waiting_for == "3 of 4 CPUs (2 free)"


def test_processors_held_by_more_than_there_is_are_not_said_to_be_free():
    [decision] = admit([Request("a", 1)], 64, 4)
    assert decision.waiting_for == "1 of 4 CPUs (0 free)"


def test_thirds_add_up_to_a_whole():
    assert len(started(admit(requests([1 / 3] * 3), 0, 1))) == 3


def test_there_is_at_least_one_processor():
    assert capacity() >= 1
