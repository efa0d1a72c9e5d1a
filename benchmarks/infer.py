"""Inference of a scikit-learn model: ours by the Open Inference Protocol V2 through the gateway, MLflow's by its scoring server."""

import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests
from gateways import Gateway, bill, foreign, free_port, ours, process
from measure import Entry, high
from rivals import ASKER, OURS, Driver, mlflow_gateway_python
from surroundings import scratch, wait_until

_SCORING = "MLflow 3.18 scoring server, no key and no record"
_NAME = "classes"
_COLUMNS = [f"x{index}" for index in range(10)]
_ROW = [0.1 * index for index in range(10)]
_MODEL = f"""
import pandas
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
table, target = make_classification(2000, {len(_COLUMNS)}, random_state=0)
table = pandas.DataFrame(table, columns={_COLUMNS})
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, target)
"""
_SAVED = f"""
import sys
{_MODEL}
import mlflow
from mlflow.models import infer_signature
mlflow.sklearn.save_model(model, sys.argv[1], signature=infer_signature(table, model.predict(table)))
"""
_REGISTERED = f"""
{_MODEL}
from snapml_lab.flows import registering
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import open_workspace
wish = registering.Wish("{_NAME}", example=table.head())
registering.add(open_workspace(), model, wish, actor="bench", origin=Origin())
"""
_ENGINE = """
import json, sys
from pathlib import Path
from snapml_lab.engines import predict
from snapml_lab.jobs.events import Reporter
predict.run(json.loads(sys.argv[1]), Reporter(Path(sys.argv[2])))
"""


def v2_infer(rounds: int = 8, number: int = 600, alone: int = 200, at_once: int = 16) -> Entry:
    """Measure requests of one row: many at once, and one at a time."""
    a_second: dict[str, list[float]] = {OURS: [], _SCORING: []}
    a_core: dict[str, list[float]] = {OURS: [], _SCORING: []}
    single: dict[str, list[float]] = {OURS: [], _SCORING: []}
    chance = random.Random(0)
    with _both() as (asker, found, ws):
        for index in range(rounds + 1):
            for name in chance.sample(list(a_second), len(a_second)):
                gateway = found[name]
                before = gateway.cpu_seconds()
                told = _asked(asker, gateway, number=number, at_once=at_once)
                used = gateway.cpu_seconds() - before
                one = _asked(asker, gateway, number=alone)
                if index:  # the first is not counted
                    a_second[name].append(told["begun"] / told["seconds"])
                    a_core[name].append(told["begun"] / used)
                    single[name] += one["taken"]
        rows = bill(ws).rows
    assert rows >= (rounds + 1) * (number + alone), f"{rows} rows in the ledger"
    times = statistics.median(a_second[OURS]) / statistics.median(a_second[_SCORING])
    by_core = ", ".join(f"{name} {statistics.median(one):,.0f}" for name, one in a_core.items())
    by_one = ", ".join(
        f"{name} p50 {statistics.median(taken):.2f}, p95 {high(taken):.2f} ms"
        for name, taken in single.items()
    )
    return Entry(
        f"V2 infer of a scikit-learn model, one row, {at_once} at once (more is better)", a_second.pop(OURS), a_second,
        f"5× MLflow's scoring server; it is {times:.1f}×", times >= 5, "python benchmarks/run.py v2_infer", "requests/s",
        notes=(
            f"a scaler and a logistic regression over {len(_COLUMNS)} columns, the same data in both; ours answers with the class's probability, too, through the gateway with a key and a row in the ledger, the rival (`mlflow models serve --env-manager local`, one worker) with the class alone, asked directly. Requests by the clock; per second of the processor time of all its processes (ours: gateway and engine): {by_core}. One at a time: {by_one}.",
        ),
    )  # fmt: skip


def _asked(asker: Driver, gateway: Gateway, **asked: Any) -> dict[str, Any]:
    shape = {"port": gateway.port, "path": gateway.paths[""], "headers": gateway.headers}
    found: dict[str, Any] = asker.ask(
        "ask", **shape, body=_v2() if gateway.name == OURS else _split(), **asked
    )
    if found["broken"]:
        raise RuntimeError(f"{gateway.name}: {found['broken']} of {found['begun']} broken: {found['why']}")
    return found


def _v2() -> dict[str, Any]:
    return {"inputs": [{"name": "rows", "shape": [1, len(_ROW)], "datatype": "FP64", "data": _ROW}]}


def _split() -> dict[str, Any]:
    return {"dataframe_split": {"columns": _COLUMNS, "data": [_ROW]}}


@contextlib.contextmanager
def _both() -> Iterator[tuple[Driver, dict[str, Gateway], Any]]:
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="snapml-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        scoring = stack.enter_context(_mlflow(folder))
        from snapml_lab.costs import prices

        ws = stack.enter_context(scratch())
        prices.set_compute(ws, Decimal("0.5"))  # the key has a limit, and machine time is what this costs
        mine = stack.enter_context(_engine(ws, folder))
        theirs, other = (_class(gateway) for gateway in (scoring, mine))
        assert theirs == other, (theirs, other)
        yield stack.enter_context(Driver(ASKER, folder)), {OURS: mine, _SCORING: scoring}, ws


def _class(gateway: Gateway) -> int:
    """Return the class a gateway gives the row."""
    body = _v2() if gateway.name == OURS else _split()
    url = f"http://127.0.0.1:{gateway.port}{gateway.paths['']}"
    answer = requests.post(url, json=body, headers=gateway.headers, timeout=30).json()
    found = answer["outputs"][0]["data"] if gateway.name == OURS else answer["predictions"]
    return int(found[0])


@contextlib.contextmanager
def _engine(ws: Any, folder: Path) -> Iterator[Gateway]:
    """Give our gateway with the model behind it; the engine's process counts to it."""
    from snapml_lab.engines import predict
    from snapml_lab.registry import deployments, versions

    variables = {**os.environ, "SNAPML_WORKSPACE": str(ws.project)}
    subprocess.run([sys.executable, "-c", _REGISTERED], env=variables, check=True, stdout=subprocess.DEVNULL)
    model = versions.find(ws.ledger, _NAME)
    source = str(ws.blobs.path(model.blob))
    deployment = deployments.single(_NAME, model.reference, predict.ENGINE.name, model.task, source)
    deployments.declare(ws, deployment)
    spec = predict.ENGINE.spec(ws, deployment, deployment.target)
    spec["socket"] = str(deployments.socket_path(ws, deployments.service_name(_NAME, deployment.target)))
    events = folder / "engine.jsonl"
    argv = [sys.executable, "-c", _ENGINE, json.dumps(spec), str(events)]
    with process(argv, variables, log=folder / "engine.log") as engine:
        wait_until(lambda: events.exists() and "ready" in events.read_text("utf-8"), "the engine")
        with ours(ws, folder) as gateway:
            found = replace(gateway, beside=(engine.pid,), paths={"": f"/v2/models/{_NAME}/infer"})
            wait_until(lambda: _class(found) in (0, 1), "an inference")
            yield found


@contextlib.contextmanager
def _mlflow(folder: Path) -> Iterator[Gateway]:
    python, port, model = mlflow_gateway_python(), free_port(), folder / "model"
    variables = foreign(folder)
    variables["PATH"] = os.pathsep.join([str(Path(python).parent), variables["PATH"]])
    subprocess.run(
        [python, "-c", _SAVED, str(model)], env=variables, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )  # fmt: skip
    argv = [
        python, "-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local", "-h", "127.0.0.1",
        "-p", str(port), "-w", "1",
    ]  # fmt: skip
    with process(argv, variables, log=folder / "scoring.log") as started:
        found = Gateway(_SCORING, port, started.pid, paths={"": "/invocations"})

        def answers() -> bool:
            with contextlib.suppress(requests.ConnectionError):
                return _class(found) in (0, 1)
            return False

        wait_until(answers, _SCORING, 180, 0.2)
        yield found
