"""Runs the benchmarks, or those named, and writes ``benchmarks/RESULTS.md`` when it runs them all."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from measure import Entry, machine, ratio, spread, versions
from start import load_ext, server_import
from submit import submit_to_payload

_ALL = {function.__name__: function for function in (load_ext, server_import, submit_to_payload)}
_RESULTS = Path(__file__).with_name("RESULTS.md")


def main(names: list[str]) -> int:
    """Measure and report; 1 if a goal was missed."""
    entries = [_ALL[name]() for name in names or _ALL]
    lines = [
        "# Measured", "",
        f"{machine()}; {versions('ipython', 'jupyter_server')}; {datetime.now(UTC):%Y-%m-%d}. Made by `make bench`.",
        "Medians with quartiles; ours and the rival in turns in the same run; the ratio of medians with its 95% bootstrap interval.",
        "", "| what | ours | rival | ratio | goal | command |", "|---|---|---|---|---|---|",
        *(_row(entry) for entry in entries), "",
    ]  # fmt: skip
    print("\n".join(lines))
    if not names:
        _RESULTS.write_text("\n".join(lines), "utf-8")
    return 0 if all(entry.met for entry in entries) else 1


def _row(entry: Entry) -> str:
    middle, low, high = ratio(entry.ours, entry.rival)
    return (
        f"| {entry.name} | {spread(entry.ours)} {entry.unit} | {spread(entry.rival)} {entry.unit} ({entry.rival_name}) "
        f"| {middle:.2f} [{low:.2f}, {high:.2f}] | {entry.goal}: {'met' if entry.met else 'missed'} | `{entry.command}` |"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
