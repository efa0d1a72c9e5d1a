"""Runs the benchmarks, those of a group, or those named; a whole group is written to its part of ``benchmarks/RESULTS.md``."""

import math
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from added import added_first_token, added_latency
from burst import notebooks_burst, tiny_jobs
from busy import gateway_busy
from faults import faults
from finding import runs_search
from idle import idle_cpu
from infer import v2_infer
from listing import jobs_list
from long_curve import long_curve
from loop import event_loop
from measure import Entry, Outcomes, machine, ratio, spread, versions
from metrics import eight_writers, log_killed, log_metric, run_costs
from start import import_cost, load_ext, server_import
from streams import streams
from submit import submit_beside_ray, submit_notebook, submit_to_payload
from throughput import requests_16, requests_64
from ticks import tick_live

_GROUPS: dict[str, tuple[str, list[Callable[[], Entry | Outcomes]]]] = {
    "record": (
        "The record, beside MLflow and trackio",
        [import_cost, log_metric, eight_writers, runs_search, long_curve, log_killed, run_costs],
    ),
    "jobs": (
        "Jobs, the start and the page, beside jupyter-scheduler and Ray Jobs",
        [
            load_ext, server_import, submit_to_payload, submit_beside_ray, submit_notebook, tiny_jobs, notebooks_burst,
            jobs_list, tick_live, idle_cpu, event_loop, faults,
        ],
    ),
    "gateway": (
        "The gateway, beside LiteLLM's proxy and MLflow",
        [added_latency, added_first_token, requests_16, requests_64, streams, gateway_busy, v2_infer],
    ),
}  # fmt: skip
_ALL = {function.__name__: function for _, functions in _GROUPS.values() for function in functions}
_RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = """# Measured

By `make bench`, or `python benchmarks/run.py GROUP`; a part a group, each with its machine and day. Medians with quartiles;
ours and the rivals in turns in the same run; the ratio of medians (ours over theirs) with its 95% bootstrap interval.
"""


def main(names: list[str]) -> int:
    """Measure and report; 1 if a goal was missed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended on the way out
    met = True
    for group in [name for name in names or _GROUPS if name in _GROUPS]:
        title, functions = _GROUPS[group]
        found = [one for function in functions if (one := _timed(function.__name__)) is not None]
        whole = len(found) == len(functions)
        met = met and whole and all(one.met for one in found)
        part = f"## {title}\n\nAlone: `python benchmarks/run.py {group}`.\n{_part(found)}"
        print(part)
        if whole:
            _write(title, part)
    alone = [name for name in names if name not in _GROUPS]
    if alone:
        found = [one for name in alone if (one := _timed(name)) is not None]
        met = met and len(found) == len(alone) and all(one.met for one in found)
        print(_part(found))
    return 0 if met else 1


def _part(found: Sequence[Entry | Outcomes]) -> str:
    entries = [one for one in found if isinstance(one, Entry)]
    lines = [f"{machine()}; {versions('ipython', 'jupyter_server')}; {datetime.now(UTC):%Y-%m-%d}.", ""]
    if entries:
        lines += ["| what | ours | rivals | goal | command |", "|---|---|---|---|---|"]
        lines += [*map(_row, entries), "", *_notes(entries)]
    for table in found:
        if isinstance(table, Outcomes):
            lines += ["", *_table(table)]
    return "\n".join(lines).rstrip() + "\n"


def _write(title: str, part: str) -> None:
    """Put a part in its place among the others."""
    text = _RESULTS.read_text("utf-8") if _RESULTS.exists() else ""
    parts = {piece.partition("\n")[0]: f"## {piece.rstrip()}\n" for piece in text.split("\n## ")[1:]}
    parts[title] = part
    order = [name for name, _ in _GROUPS.values()]
    _RESULTS.write_text("\n".join([_HEAD, *(parts[name] for name in order if name in parts)]), "utf-8")


def _timed(name: str) -> Entry | Outcomes | None:
    """Measure one; where that fails, say so and let the others be measured."""
    begun = time.monotonic()
    print(f"{name} ...", end=" ", flush=True, file=sys.stderr)
    try:
        found: Entry | Outcomes = _ALL[name]()
    except Exception:
        traceback.print_exc()
        return None
    print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)
    told = [_row(found), *_notes([found])] if isinstance(found, Entry) else _table(found)
    print(*told, sep="\n", file=sys.stderr, flush=True)  # a run that is cut short has said what it measured
    return found


def _row(entry: Entry) -> str:
    rivals = "<br>".join(
        f"{name}: {spread(samples)} {entry.unit}, ratio {_ratio(entry.ours, samples)}"
        for name, samples in entry.rivals.items()
    )
    return (
        f"| {entry.name} | {spread(entry.ours)} {entry.unit} | {rivals or '-'} "
        f"| {_verdict(entry)} | `{entry.command}` |"
    )


def _ratio(ours: list[float], rival: list[float]) -> str:
    middle, low, high = ratio(ours, rival)
    digits = 2 if middle >= 0.1 else max(3, 1 - math.floor(math.log10(middle)))
    interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if len(ours) > 1 and len(rival) > 1 else ""
    return f"{middle:.{digits}f}{interval}"


def _verdict(one: Entry | Outcomes) -> str:
    return f"{one.goal}: {'met' if one.met else 'missed'}"


def _notes(entries: list[Entry]) -> list[str]:
    return [f"- {entry.name}: {note}" for entry in entries for note in entry.notes]


def _table(table: Outcomes) -> list[str]:
    return [
        f"### {table.name}", "", f"{_verdict(table)}. Alone: `{table.command}`", "",
        f"| {' | '.join(table.header)} |", "|---" * len(table.header) + "|",
        *(f"| {' | '.join(row)} |" for row in table.rows), "",
        *(f"- {note}" for note in table.notes),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
