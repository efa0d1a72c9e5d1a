"""The benchmarks of the record and of the gateway run, with little to measure: each finds its rivals and counts what it should."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
"""The first of them makes the rivals' environments, which takes minutes. Of the gateway's, whose rivals weigh most, the one that
counts what is dropped and unbilled runs without them."""

_FOLDER = Path(__file__).parents[2] / "benchmarks"
_SMALL = {
    "log_metric": "metrics.log_metric(repeats=3, ours=50, theirs=3)",
    "log_killed": "metrics.log_killed(repeats=1, seconds=0.5)",
    "eight_writers": "metrics.eight_writers(repeats=1, ours=800, theirs=16, batched=160)",
    "run_costs": "metrics.run_costs(repeats=2, number=200)",
    "import_cost": "start.import_cost(repeats=2)",
    "runs_search": "finding.runs_search(repeats=2, past=600)",
    "gateway_busy": "busy.gateway_busy(rounds=2, seconds=2)",
    "streams": "streams.streams(at_once=40, seconds=5, tokens=10, settled=2, rivals=False)",
    "long_curve": "long_curve.long_curve(repeats=2, points=3000, rivals=1)",
}
_KEPT = {
    "log_killed": "one.met", "eight_writers": "' 0 lost' in one.goal",
    "streams": "'0 dropped, 0 unbilled' in one.goal",
}  # fmt: skip
"""What holds on a machine however busy: nothing is lost. How fast it is, a test does not judge."""


@pytest.mark.parametrize("name", _SMALL)
def test_a_benchmark_measures(name: str, real_time: bool) -> None:
    if name == "gateway_busy" and not real_time:
        pytest.skip("it has the asker scheduled in real time, which this account may not")
    source = (
        f"import run, metrics, start, finding, busy, long_curve, streams\none = {_SMALL[name]}\n"
        f"assert run._ALL[{name!r}] and {_KEPT.get(name, 'True')}, one\n"
        "print('\\n'.join([run._row(one), *run._notes([one])] if isinstance(one, run.Entry) else run._table(one)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=_FOLDER, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "MLflow" in done.stdout or name in ("gateway_busy", "streams"), done.stdout
