"""The short form: every kind of fault that this account may play, twice, and no promise broken."""

import os
from collections import Counter

import pytest

from . import report
from .run import possible, run, short, tell

_SEED = int(os.environ.get("CHAOS_SEED", "1"))
_MINUTES = 8


@pytest.mark.slow
@pytest.mark.timeout(60 * (_MINUTES + 4))
def test_no_promise_is_broken_by_any_kind_of_fault():
    kinds, left_out = possible()
    outcomes = run(short(_SEED), workers=3, seconds=60 * _MINUTES, tell=tell)
    summary = report.Summary(outcomes, _SEED, 0.0, 3, left_out).text()
    print(summary)
    assert not [breach for outcome in outcomes for breach in outcome.breaches], summary
    played = Counter(outcome.kind for outcome in outcomes)
    assert set(played) == set(kinds), summary
    assert min(played.values()) >= 2
    assert left_out or played.total() >= 60
    assert sum(bool(outcome.struck) for outcome in outcomes) > 0.8 * len(outcomes), "the faults met nothing"
