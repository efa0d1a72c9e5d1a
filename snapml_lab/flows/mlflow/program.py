"""The side of MLflow: run by an interpreter that has it, in an environment of its own. Standard library only, and mlflow.

``python program.py REQUEST.json``: what is asked is in that file. It answers in JSON, a line a thing, and waits for a line
on its input before the next, so that what it has laid out in ``folder`` can be taken away first. It knows nothing of our
package, so that any Python and any MLflow from 2.10 on will do.
"""

import json
import math
import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file, whose modules are not meant
_ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8") if __name__ == "__main__" else sys.stdout
WITHOUT = "That interpreter has no MLflow."
_PAGE = 100
_BATCH = 1000
_FEW = 100
_STATES = {"FINISHED": "FINISHED", "FAILED": "FAILED", "KILLED": "KILLED"}


def answer(said: dict[str, Any]) -> None:
    """Say something, and wait until it was heard."""
    _ANSWERS.write(json.dumps(said) + "\n")
    _ANSWERS.flush()
    if "error" not in said and not sys.stdin.readline():
        sys.exit(3)


class Trouble(Exception):  # noqa: N818 - it is told, not raised further
    """What the person is told: a sentence and the fix."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


# Reading -------------------------------------------------------------------------------------------------------------


def read_runs(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Lay out each run with all it has, parents before those nested in them."""
    client = _client(asked)
    for run, experiment in _chosen(client, asked):
        yield _laid_out(client, asked, run, experiment)


def _chosen(client: Any, asked: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    if asked.get("run"):
        yield from _with_nested(client, asked["run"])
        return
    if asked.get("experiment"):
        found = client.get_experiment_by_name(asked["experiment"]) or _experiment(client, asked["experiment"])
        if found is None:
            known = ", ".join(item.name for item in client.search_experiments(max_results=8))
            raise Trouble(f"There is no experiment {asked['experiment']!r}.", f"There are: {known}.")
        experiments = [found]
    else:
        experiments = list(_pages(lambda token: client.search_experiments(page_token=token)))
    for experiment in experiments:
        runs = list(_pages(lambda token, e=experiment: client.search_runs(
            [e.experiment_id], order_by=["attributes.start_time ASC"], max_results=_PAGE, page_token=token)))  # fmt: skip
        for run in _parents_first(runs):
            yield run, experiment


def _with_nested(client: Any, identifier: str) -> Iterator[tuple[Any, Any]]:
    try:
        top = client.get_run(identifier)
    except Exception as error:
        raise Trouble(f"There is no run {identifier!r} in that store: {_first(error)}") from error
    experiment = client.get_experiment(top.info.experiment_id)
    waiting = [top]
    while waiting:
        run = waiting.pop(0)
        yield run, experiment
        where = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
        waiting += _pages(lambda token, w=where: client.search_runs(
            [experiment.experiment_id], w, max_results=_PAGE, page_token=token, order_by=["attributes.start_time ASC"]))  # fmt: skip


def _experiment(client: Any, identifier: str) -> Any:
    try:
        return client.get_experiment(identifier)
    except Exception:
        return None


def _parents_first(runs: list[Any]) -> list[Any]:
    """Put each run after the one it is nested in; of a circle, in the order they come."""
    known = {run.info.run_id: run for run in runs}
    done: dict[str, Any] = {}

    def take(run: Any, above: frozenset[str]) -> None:
        parent = known.get(run.data.tags.get("mlflow.parentRunId", ""))
        if parent is not None and parent.info.run_id not in done and parent.info.run_id not in above:
            take(parent, above | {run.info.run_id})
        done.setdefault(run.info.run_id, run)

    for run in runs:
        take(run, frozenset({run.info.run_id}))
    return list(done.values())


def _laid_out(client: Any, asked: dict[str, Any], run: Any, experiment: Any) -> dict[str, Any]:
    info = run.info
    place = Path(asked["folder"]) / info.run_id
    place.mkdir()
    with (place / "metrics.jsonl").open("w", encoding="utf-8") as file:
        for key in run.data.metrics:
            for point in client.get_metric_history(info.run_id, key):
                file.write(
                    json.dumps([key, int(point.step), int(point.timestamp), _number(point.value)]) + "\n"
                )
    notes: list[str] = []
    files = place / "artifacts"
    _fetch(
        asked,
        info.artifact_uri,
        info.run_id,
        files,
        notes,
        lambda: client.download_artifacts(info.run_id, "", str(files)),
    )
    models = [
        _model(asked, model, place, notes) for model in _logged(client, info.experiment_id, info.run_id)
    ] + [
        _described(path.parent, {"name": path.parent.name, "folder": str(path.parent)}, notes)
        for path in sorted(files.rglob("MLmodel"))
    ]
    return {
        "run_id": info.run_id, "name": getattr(info, "run_name", "") or run.data.tags.get("mlflow.runName", ""),
        "status": str(info.status), "start": info.start_time, "end": info.end_time, "user": info.user_id,
        "experiment": experiment.name, "params": dict(run.data.params), "tags": dict(run.data.tags),
        "datasets": _datasets(run), "models": models, "notes": notes, "folder": str(place),
    }  # fmt: skip


def _datasets(run: Any) -> list[dict[str, Any]]:
    inputs = getattr(run, "inputs", None)
    return [
        {
            "name": item.dataset.name, "digest": item.dataset.digest, "source_type": item.dataset.source_type,
            "source": item.dataset.source, "schema": item.dataset.schema, "profile": item.dataset.profile,
            "tags": {tag.key: tag.value for tag in item.tags},
        }
        for item in (inputs.dataset_inputs if inputs is not None else [])
    ]  # fmt: skip


def _logged(client: Any, experiment: str, run: str) -> list[Any]:
    if not hasattr(client, "search_logged_models"):
        return []
    where = f"source_run_id = '{run}'"
    return list(
        _pages(lambda token: client.search_logged_models([experiment], filter_string=where, page_token=token))
    )


def _model(asked: dict[str, Any], model: Any, place: Path, notes: list[str]) -> dict[str, Any]:
    folder = place / "models" / model.model_id
    folder.parent.mkdir(exist_ok=True)

    def download() -> None:
        from mlflow.artifacts import download_artifacts

        folder.mkdir()
        download_artifacts(artifact_uri=model.artifact_location, dst_path=str(folder))

    _fetch(asked, model.artifact_location, model.model_id, folder, notes, download)
    only = list(folder.iterdir()) if folder.is_dir() else []
    if len(only) == 1 and only[0].is_dir() and (only[0] / "MLmodel").is_file():
        folder = only[0]
    told: dict[str, Any] = {
        "name": model.name,
        "model_id": model.model_id,
        "folder": str(folder),
        "tags": dict(model.tags or {}),
    }
    return _described(folder, told, notes)


def _described(folder: Path, told: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Add what the MLmodel file says."""
    from mlflow.models import Model

    try:
        described = Model.load(str(folder)).to_dict()
    except Exception as error:
        notes.append(f"The model {told['name']} has no MLmodel that can be read: {_first(error)}")
        return told
    signature = described.get("signature") or {}
    return {
        **told, "flavors": json.loads(json.dumps(described.get("flavors", {}), default=str)),
        "inputs": signature.get("inputs"), "example": (described.get("saved_input_example_info") or {}).get("artifact_path"),
        "run_id": described.get("run_id"),
    }  # fmt: skip


def _fetch(asked: dict[str, Any], uri: str, mark: str, target: Path, notes: list[str], download: Any) -> None:
    """Copy artifacts: those on this machine by ourselves, without following links; others by MLflow."""
    path = _local(uri)
    if path is None:
        target.mkdir(exist_ok=True)
        try:
            download()
        except Exception as error:
            notes.append(f"The artifacts of {mark} could not be fetched: {_first(error)}")
        return
    if mark not in path.parts:
        raise Trouble(f"The store says that the artifacts of {mark} are in {path}, which is no folder of its own.",
                      "It is not read: a store could name any folder.")  # fmt: skip
    if not path.is_dir():
        tail = path.parts[path.parts.index(mark) - 1 - (path.parts[path.parts.index(mark) - 1] == "models") :]
        near = [
            base / Path(*tail)
            for base in (
                Path(asked["home"]),
                Path(asked["home"]) / "mlruns",
                Path(asked["home"]) / "mlartifacts",
            )
        ]
        path = next((place for place in near if place.is_dir()), path)
    if not path.is_dir():
        target.mkdir(exist_ok=True)
        notes.append(f"The artifacts of {mark} are not at {path}.")
        return
    shutil.copytree(path, target, symlinks=True)
    for item in target.rglob("*"):
        if item.is_symlink():
            notes.append(f"{item.relative_to(target)} of {mark} is a link and was left out.")
            item.unlink()


def _local(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(uri).absolute() if parts.scheme == "" else None


def read_model(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Lay out a registered model's version."""
    from mlflow.artifacts import download_artifacts

    client = _client(asked)
    try:
        if asked.get("alias"):
            version = client.get_model_version_by_alias(asked["model"], asked["alias"])
        elif asked.get("version"):
            version = client.get_model_version(asked["model"], asked["version"])
        else:
            found = client.search_model_versions(f"name = '{asked['model']}'")
            version = max(found, key=lambda item: int(item.version))
    except Exception as error:
        known = ", ".join(item.name for item in client.search_registered_models(max_results=8))
        offer = f"There are: {known}." if known else "There is no registered model in that store."
        raise Trouble(
            f"There is no model {asked['model']!r} of that version in that store.", offer
        ) from error
    folder = Path(asked["folder"]) / "model"
    notes: list[str] = []
    told: dict[str, Any]
    uri = client.get_model_version_download_uri(version.name, str(version.version))
    model_id = getattr(version, "model_id", None)
    if str(uri).startswith("models:/m-"):
        model_id = str(uri).removeprefix("models:/")
    if model_id:
        logged = client.get_logged_model(model_id)
        told = _model(asked, logged, Path(asked["folder"]), notes)
    else:
        folder.mkdir()
        download_artifacts(artifact_uri=uri, dst_path=str(folder))
        inner = next(iter(sorted(folder.rglob("MLmodel"))), folder / "MLmodel").parent
        told = _described(inner, {"name": version.name, "folder": str(inner)}, notes)
    aliases = list(getattr(version, "aliases", []) or [])
    yield {
        **told, "registered": version.name, "version": str(version.version), "run_id": version.run_id or told.get("run_id"),
        "aliases": aliases, "description": version.description or "", "notes": notes,
    }  # fmt: skip


# Writing -------------------------------------------------------------------------------------------------------------


def write_runs(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Write runs, parents first; one that is there is left as it is."""
    client = _client(asked)
    written: dict[str, str] = {}
    for folder in asked["runs"]:
        place = Path(folder)
        run = json.loads((place / "run.json").read_text("utf-8"))
        known = _known(client, run["id"])
        if known is None:
            known = _write(client, asked, place, run, written.get(run.get("parent") or ""))
            new = True
        else:
            new = False
        written[run["id"]] = known
        yield {"id": run["id"], "run_id": known, "new": new}


def _known(client: Any, identifier: str) -> str | None:
    experiments = [
        item.experiment_id for item in _pages(lambda token: client.search_experiments(page_token=token))
    ]
    found = client.search_runs(
        experiments, f"tags.`snapml.run` = '{identifier}' and attributes.status != 'SCHEDULED'", max_results=1
    )
    return found[0].info.run_id if found else None


def _write(client: Any, asked: dict[str, Any], place: Path, run: dict[str, Any], parent: str | None) -> str:
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

    experiment = client.get_experiment_by_name(asked["experiment"])
    home = experiment.experiment_id if experiment else client.create_experiment(asked["experiment"])
    tags = {**run["tags"], **({"mlflow.parentRunId": parent} if parent else {})}
    few = {name: value for name, value in tags.items() if name.startswith("mlflow.")}
    # Until all is written it is marked as not whole, so that one that broke off is not taken for written.
    made = client.create_run(home, start_time=run["start"], tags=few, run_name=run["name"])
    identifier: str = made.info.run_id
    try:
        for some in _some([Param(name, value) for name, value in run["params"].items()], _FEW):
            client.log_batch(identifier, params=some)
        for some in _some(
            [RunTag(n, v) for n, v in tags.items() if n not in few and n != "snapml.run"], _FEW
        ):
            client.log_batch(identifier, tags=some)
        with (place / "metrics.jsonl").open(encoding="utf-8") as file:
            points = [
                Metric(name, _float(value), at, step) for name, step, at, value in map(json.loads, file)
            ]
        for some in _some(points, _BATCH):
            client.log_batch(identifier, metrics=some)
        if run["datasets"]:
            client.log_inputs(identifier, datasets=[
                DatasetInput(
                    Dataset(**{key: value for key, value in item.items() if key != "tags"}),
                    [InputTag(key, value) for key, value in item["tags"].items()],
                )
                for item in run["datasets"]
            ])  # fmt: skip
        if any((place / "artifacts").iterdir()):
            client.log_artifacts(identifier, str(place / "artifacts"))
        if run["status"] in _STATES:
            client.set_terminated(identifier, run["status"], run["end"])
        client.set_tag(identifier, "snapml.run", run["id"])
    except BaseException:
        client.delete_run(identifier)
        raise
    return identifier


def write_model(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Log a model in a run of the store and register it; one that is registered with the same content is left as it is."""
    import mlflow

    client = _client(asked)
    model = asked["model"]
    for item in _registered(client, model["name"]):
        if item.tags.get("snapml.model") == model["id"]:
            yield {"name": item.name, "version": str(item.version), "run_id": item.run_id, "new": False}
            return
    mlflow.set_tracking_uri(asked["uri"])
    run = _known(client, model["run"]) if model["run"] else None
    ours = run is None
    if run is None:
        found = client.get_experiment_by_name(asked["experiment"])
        home = found.experiment_id if found else client.create_experiment(asked["experiment"])
        run = client.create_run(home, run_name=model["name"]).info.run_id
    status = client.get_run(run).info
    with mlflow.start_run(run_id=run):
        logged = _LOGGING[model["kind"]](model)
    if not ours:  # start_run has it end now
        client.set_terminated(run, str(status.status), status.end_time)
    identifier = getattr(logged, "model_id", None)
    _put_exact(client, run, identifier, model)
    made = mlflow.register_model(
        logged.model_uri,
        model["name"],
        tags={"snapml.model": model["id"], "snapml.reference": model["reference"]},
    )
    if model["note"]:
        client.update_model_version(made.name, made.version, description=model["note"])
    yield {
        "name": made.name,
        "version": str(made.version),
        "run_id": run,
        "model_id": identifier,
        "new": True,
    }


def _put_exact(client: Any, run: str, identifier: str | None, model: dict[str, Any]) -> None:
    """Put our own file in the place of the one MLflow has written again, and what we know of the model beside it."""
    for local, inside in model["exact"].items():
        if identifier and hasattr(client, "log_model_artifact"):
            if "/" not in inside:
                client.log_model_artifact(identifier, local)
        else:
            client.log_artifact(run, local, str(Path("model") / Path(inside).parent))


def _log_sklearn(model: dict[str, Any]) -> Any:
    import mlflow
    import skops.io

    fitted = skops.io.load(model["file"], trusted=model["trusted"])
    example = _example(model)
    given: dict[str, Any] = {}
    if example is not None:
        given = {
            "input_example": example,
            "signature": mlflow.models.infer_signature(example, fitted.predict(example)),
        }
    return mlflow.sklearn.log_model(
        fitted,
        **_named(mlflow.sklearn.log_model),
        serialization_format="skops",
        skops_trusted_types=model["trusted"],
        **given,
    )


def _log_prepared(model: dict[str, Any]) -> Any:
    import mlflow

    example = _example(model)
    given = {} if example is None else {"input_example": example}
    return mlflow.pyfunc.log_model(
        **_named(mlflow.pyfunc.log_model), python_model=model["code"], artifacts={"model": model["file"], "about": model["about"]},
        pip_requirements=[f"mlflow=={mlflow.__version__}", *model["requirements"]], **given,
    )  # fmt: skip


def _log_onnx(model: dict[str, Any]) -> Any:
    import mlflow
    import onnx

    loaded = onnx.load(model["file"], load_external_data=False)
    return mlflow.onnx.log_model(loaded, **_named(mlflow.onnx.log_model))


_LOGGING = {"sklearn": _log_sklearn, "prepared": _log_prepared, "onnx": _log_onnx}


def _named(function: Any) -> dict[str, str]:
    """Return how a logging function takes the model's name: ``name`` since MLflow 3."""
    import inspect

    return {"name" if "name" in inspect.signature(function).parameters else "artifact_path": "model"}


def _example(model: dict[str, Any]) -> Any:
    if not model["example"]:
        return None
    import pandas as pd

    frame = pd.DataFrame(model["example"]["data"], columns=model["example"]["columns"])
    for name, kind in model["types"].items():
        frame[name] = frame[name].astype({"any": None, "str": "object"}.get(kind, kind) or frame[name].dtype)
    return frame.to_numpy() if model["array"] else frame


def _registered(client: Any, name: str) -> list[Any]:
    return list(
        _pages(
            lambda token: client.search_model_versions(
                f"name = '{name}'", max_results=_PAGE, page_token=token
            )
        )
    )


# Both ----------------------------------------------------------------------------------------------------------------


def _client(asked: dict[str, Any]) -> Any:
    import mlflow

    mlflow.set_tracking_uri(asked["uri"])
    mlflow.set_registry_uri(asked["uri"])
    return mlflow.MlflowClient(tracking_uri=asked["uri"], registry_uri=asked["uri"])


def _pages(ask: Any) -> Iterator[Any]:
    token = None
    while True:
        page = ask(token)
        yield from page
        token = getattr(page, "token", None)
        if not token:
            return


def _some(items: list[Any], number: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), number):
        yield items[start : start + number]


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _float(value: float | str | None) -> float:
    return math.nan if value is None else float(value)


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def main() -> None:
    """Do what is asked."""
    os.dup2(2, 1)  # what libraries print is no answer
    asked = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    try:
        import mlflow
    except ImportError:
        answer({"error": WITHOUT, "fix": ""})
        return
    answer({"mlflow": mlflow.__version__})
    actions = {
        "read_runs": read_runs, "read_model": read_model, "write_runs": write_runs, "write_model": write_model,
    }  # fmt: skip
    try:
        for said in actions[asked["action"]](asked):
            answer(said)
    except Trouble as trouble:
        answer({"error": str(trouble), "fix": trouble.fix})
    except ModuleNotFoundError as error:
        missing = f"That interpreter has no {error.name}."
        answer({"error": missing, "fix": f"Run: {sys.executable} -m pip install {error.name}"})
    except Exception as error:
        traceback.print_exc()
        answer({"error": f"MLflow could not do it: {type(error).__name__}: {_first(error)}", "fix": ""})
    else:
        answer({"done": True})


if __name__ == "__main__":
    main()
