"""Exact match on held-out chat records: a job's payload, and the figures it leaves."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from snapml_lab.errors import SnapmlError
from snapml_lab.governance import keys
from snapml_lab.jobs.events import Reporter
from snapml_lab.jobs.queue import payload_folder
from snapml_lab.registry.asking import Client
from snapml_lab.stats import share
from snapml_lab.store.files import read_json, replace_json
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import open_workspace

CASES = "cases.json"


def sign_test(better: int, worse: int) -> float:
    """Return the two-sided exact p-value of "as often better as worse" over the cases that differ.

    Source: McNemar, Psychometrika 12 (1947), in its exact binomial form.
    """
    number = better + worse
    ways = total = 1
    for k in range(min(better, worse)):
        ways = ways * (number - k) // (k + 1)
        total += ways
    return min(1.0, total / 2 ** (number - 1)) if number else 1.0


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Ask every record of ``spec["data"]`` of the deployment and score the answers.

    A record that was not answered is no miss: it is counted as an error, and left out of the share.
    """
    ws = open_workspace()
    origin = Origin(notebook=spec.get("notebook"), cell_id=spec.get("cell_id"))
    client = Client(spec["url"], keys.notebook_key(ws), origin)
    records = [json.loads(line) for line in Path(spec["data"]).read_text("utf-8").split("\n") if line.strip()]
    records = records[: int(spec["limit"])]
    report.param("deployment", spec["deployment"])
    report.param("model", spec.get("model", "unknown"))
    report.param("data", spec["name"])
    report.param("records", len(records))

    def ask(record: dict[str, Any]) -> dict[str, Any]:
        *before, wanted = record["messages"]
        try:
            body = {
                "model": spec["deployment"], "messages": before, "max_tokens": int(spec["max_tokens"]), "temperature": 0,
            }  # fmt: skip
            _, answer = client.chat(body)
            said = answer["choices"][0]["message"]["content"] or ""
        except SnapmlError as error:
            return {
                "asked": before[-1]["content"],
                "wanted": wanted["content"],
                "said": "",
                "error": str(error),
                "hit": False,
            }
        hit = said.strip() == wanted["content"].strip()
        return {
            "asked": before[-1]["content"],
            "wanted": wanted["content"],
            "said": said,
            "error": None,
            "hit": hit,
        }

    cases: list[dict[str, Any]] = []
    with ThreadPoolExecutor(int(spec["concurrency"])) as pool:
        for case in pool.map(ask, records):
            cases.append(case)
            hits, answered = sum(item["hit"] for item in cases), sum(not item["error"] for item in cases)
            lost = f", {len(cases) - answered} not answered" if answered < len(cases) else ""
            report.progress(len(cases) / len(records), f"{hits} of {answered} exact{lost}")
    if answered == 0:
        raise SnapmlError(f"No record was answered: {cases[0]['error']}", fix="See: snapml endpoints list")
    found = share(hits, answered)
    for name, value in found._asdict().items():
        report.metric("exact_match" if name == "value" else f"exact_match_{name}", value)
    report.metric("errors", len(cases) - answered)
    replace_json(payload_folder().path / CASES, cases)
    return {"errors": len(cases) - answered}


def cases(folder: Path) -> list[dict[str, Any]]:
    """Return the cases an evaluation left; none where it has not ended."""
    return read_json(folder / CASES) or []
