"""Admission: never more than there is, nobody overtakes, groups take turns, and each that waits is told why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapml_lab.jobs.leases import (
    Claim,
    Decision,
    Gpu,
    Processors,
    QueueState,
    Room,
    Share,
    Tenant,
    Turn,
    admit,
    capacity,
    memory_capacity,
    memory_used,
    ordered,
)

CARD = 40_000


def gpu(number: int, *tenants: Tenant, total: int = CARD) -> Gpu:
    return Gpu(f"GPU-{number}", number, total - sum(tenant.memory for tenant in tenants), tenants)


def room(
    cpus: float = 8, memory: int = 32_000, *gpus: Gpu, held: float = 0, unseen: str | None = None
) -> Room:
    return Room(cpus, memory, held, 0, gpus, unseen)


def by_job(decisions: list[Decision]) -> dict[str, Decision]:
    return {decision.job: decision for decision in decisions}


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Claim], Room]:
    gpus = tuple(
        gpu(number, *([Tenant("other", draw(st.integers(0, CARD)))] if draw(st.booleans()) else []))
        for number in range(draw(st.integers(0, 3)))
    )
    claims = [
        Claim(
            job=f"{number:04}",
            cpus=draw(st.sampled_from([0, 0.5, 1, 2, 4, 20])),
            memory=draw(st.sampled_from([0, 1_000, 20_000, 90_000])),
            gpus=draw(st.integers(0, 3)),
            gpu_memory=draw(st.sampled_from([None, 1_000, 15_000, CARD])),
            priority=draw(st.integers(-1, 1)),
            group=draw(st.sampled_from("abc")),
            last=draw(st.booleans()),
            queue=draw(st.sampled_from(["default", "slow"])),
        )
        for number in range(draw(st.integers(0, 12)))
    ]
    return claims, Room(4.0, 32_000, draw(st.sampled_from([0.0, 1.0, 4.0])), 0, gpus)


@given(scenes())
def test_no_more_is_leased_than_there_is(scene: tuple[list[Claim], Room]):
    claims, machine = scene
    decisions = by_job(admit(claims, machine, {"slow": QueueState(at_most=1)}))
    begun = [claim for claim in claims if decisions[claim.job].waiting_for is None]
    assert machine.cpus_held + sum(
        min(claim.cpus, machine.cpus) for claim in begun
    ) <= machine.cpus + 1e-6 or all(claim.cpus == 0 for claim in begun)
    assert sum(min(claim.memory, machine.memory) for claim in begun) <= machine.memory
    assert sum(claim.queue == "slow" for claim in begun) <= 1
    for device in machine.gpus:
        here = [claim for claim in begun if device.uuid in decisions[claim.job].devices]
        whole = [claim for claim in here if claim.gpu_memory is None]
        assert sum(claim.gpu_memory or 0 for claim in here) <= device.free or not here
        assert not whole or (len(here) == 1 and not device.tenants)
    for claim in begun:
        assert len(set(decisions[claim.job].devices)) == claim.gpus


@given(scenes())
def test_each_job_gets_one_decision_and_each_that_waits_is_told_why(scene: tuple[list[Claim], Room]):
    claims, machine = scene
    decisions = admit(claims, machine)
    assert sorted(decision.job for decision in decisions) == [claim.job for claim in claims]
    assert all(decision.waiting_for is None or len(decision.waiting_for) > 3 for decision in decisions)


@given(scenes())
def test_the_first_in_line_is_not_kept_waiting_by_those_behind_it(scene: tuple[list[Claim], Room]):
    """Whoever waits for room would wait just so without all that comes after it."""
    claims, machine = scene
    line = list(ordered(claims, {}))
    decisions = by_job(admit(claims, machine))
    for number, claim in enumerate(line):
        alone = by_job(admit(line[: number + 1], machine, turns={}))
        assert (alone[claim.job].waiting_for is None) == (decisions[claim.job].waiting_for is None) or [
            item.job for item in ordered(line[: number + 1], {})
        ] != [item.job for item in line[: number + 1]]


def test_small_work_does_not_overtake_large_work_that_waits_but_work_without_processors_does():
    claims = [Claim("1", cpus=3), Claim("2", cpus=1), Claim("3", cpus=0)]
    decisions = by_job(admit(claims, room(cpus=4, held=2)))
    assert decisions["1"].waiting_for == "3 of 4 CPUs (2 free)"
    assert decisions["2"].waiting_for is not None
    assert decisions["3"].waiting_for is None


def test_work_that_waits_for_a_gpu_does_not_hold_up_work_that_needs_none():
    busy = gpu(0, Tenant("train", CARD, "0"))
    decisions = by_job(admit([Claim("1", gpus=1), Claim("2"), Claim("3", gpus=1)], room(2, 100, busy)))
    assert decisions["1"].waiting_for == f"a whole GPU (GPU 0: 0 MiB free, train has {CARD:,})"
    assert decisions["2"].waiting_for is None
    assert "its turn for a GPU" in (decisions["3"].waiting_for or "")


def test_a_claim_larger_than_the_machine_is_taken_as_all_of_it():
    assert admit([Claim("1", cpus=99, memory=10**9)], room(cpus=2, memory=100)) == [Decision("1", None)]


def test_higher_priority_goes_first_and_what_gives_way_last():
    claims = [Claim("1", last=True), Claim("2"), Claim("3", priority=5), Claim("4")]
    assert [claim.job for claim in ordered(claims, {})] == ["3", "2", "4", "1"]


def test_notebooks_take_turns_and_who_has_less_running_goes_first():
    claims = [Claim(str(number), group="a") for number in range(1, 4)] + [
        Claim(str(number), group="b") for number in range(4, 6)
    ]
    assert [claim.job for claim in ordered(claims, {})] == ["1", "4", "2", "5", "3"]
    assert [claim.job for claim in ordered(claims, {"a": Turn(2)})] == ["4", "5", "1", "2", "3"]
    assert [claim.job for claim in ordered(claims, {"a": Turn(0, 100.0)})] == ["4", "1", "5", "2", "3"]


def test_a_shared_lease_takes_the_tightest_device_and_a_whole_one_an_empty_one():
    cards = (gpu(0), gpu(1, Tenant("chat", 20_000, "0")), gpu(2, Tenant("chat", 10_000, "0")))
    decisions = by_job(
        admit([Claim("1", gpus=1, gpu_memory=15_000), Claim("2", gpus=1)], room(8, 100, *cards))
    )
    assert decisions["1"].devices == ("GPU-1",)
    assert decisions["2"].devices == ("GPU-0",)


def test_two_that_fit_share_a_device_and_the_third_is_told_who_has_it():
    claims = [Claim(str(number), gpus=1, gpu_memory=18_000) for number in range(3)]
    decisions = by_job(admit(claims, room(8, 100, gpu(0))))
    assert [decisions[str(number)].devices for number in range(2)] == [("GPU-0",)] * 2
    assert (
        decisions["2"].waiting_for
        == "18,000 MiB of a GPU (GPU 0: 4,000 MiB free, 0 has 18,000, 1 has 18,000)"
    )


def test_several_gpus_are_several_devices():
    decisions = admit([Claim("1", gpus=2, gpu_memory=10)], room(8, 100, gpu(0), gpu(1)))
    assert sorted(decisions[0].devices) == ["GPU-0", "GPU-1"]
    refused = admit([Claim("1", gpus=2)], room(8, 100, gpu(0)))
    assert refused[0].waiting_for == "2 GPUs: this machine has 1"


def test_what_a_notebook_holds_is_not_given_away():
    kernel = Tenant("notebook a.ipynb", 30_000)
    decision = admit([Claim("1", gpus=1, gpu_memory=20_000)], room(8, 100, gpu(0, kernel)))[0]
    assert decision.waiting_for == "20,000 MiB of a GPU (GPU 0: 10,000 MiB free, notebook a.ipynb has 30,000)"
    assert decision.displaces == ()


def test_the_fewest_services_that_give_way_are_asked_to_and_only_if_that_helps():
    chat = Tenant("chat", 15_000, "c", gives_way=True)
    small = Tenant("small", 5_000, "s", gives_way=True)
    other = Tenant("train", 15_000, "t")
    card = gpu(0, chat, small, other)
    assert admit([Claim("9", gpus=1, gpu_memory=19_000)], room(8, 100, card))[0].displaces == ("c",)
    assert admit([Claim("9", gpus=1, gpu_memory=10_000)], room(8, 100, card))[0].displaces == ("s",)
    assert admit([Claim("9", gpus=1, gpu_memory=25_000)], room(8, 100, card))[0].displaces == ("s", "c")
    assert admit([Claim("9", gpus=1)], room(8, 100, card))[0].displaces == ()
    assert admit([Claim("9", gpus=1, gpu_memory=19_000, last=True)], room(8, 100, card))[0].displaces == ()


def test_a_paused_queue_rests_a_full_one_waits_and_neither_holds_up_others():
    claims = [Claim("1", queue="night"), Claim("2", queue="slow"), Claim("3", queue="slow"), Claim("4")]
    queues = {"night": QueueState(paused=True), "slow": QueueState(at_most=2, running=1)}
    decisions = by_job(admit(claims, room(), queues))
    assert decisions["1"].waiting_for == "queue 'night', which is paused"
    assert decisions["2"].waiting_for is None
    assert decisions["3"].waiting_for == "its turn in queue 'slow': 2 of 2 run"
    assert decisions["4"].waiting_for is None


def test_work_that_waits_for_other_work_keeps_nothing_back():
    claims = [Claim("1", cpus=8, held_back="train (abc) to succeed"), Claim("2", cpus=8)]
    decisions = by_job(admit(claims, room(cpus=8)))
    assert decisions["1"].waiting_for == "train (abc) to succeed"
    assert decisions["2"].waiting_for is None


def test_gpus_that_cannot_be_seen_are_waited_for():
    decision = admit([Claim("1", gpus=1)], room(8, 100, unseen="driver mismatch"))[0]
    assert decision.waiting_for == "GPUs that can be seen: driver mismatch"


def test_this_machine_has_something():
    assert capacity() >= 1
    assert 0 < memory_used() < memory_capacity() + 1_000_000


@pytest.mark.parametrize(
    ("live", "held"),
    [
        ([], 0), ([("a", 1, None)], 1), ([("a", 1, None), ("b", 1, "a")], 1), ([("a", 1, None), ("b", 2, "a")], 2),
        ([("a", 2, None), ("b", 1, "a"), ("c", 1, "a")], 2), ([("a", 1, None), ("b", 0, "a"), ("c", 1, "b")], 1),
        ([("b", 1, "gone")], 1), ([("a", 0, None), ("b", 1, "a"), ("c", 1, "a")], 2),
    ],
)  # fmt: skip
def test_a_job_lends_its_processors_to_those_it_submitted(live, held):
    assert Processors([Share(*share) for share in live]).held == held


def test_what_a_job_lends_is_lent_once():
    family = [Share("a", 2, None), Share("b", 1, "a")]
    assert Processors(family).lent("a") == 1
    assert Processors([*family, Share("c", 1, "a")]).lent("a") == 0
    assert Processors(family).lent("nobody") == 0
    assert Processors(family).lent(None) == 0
