"""What the tests have the real MLflow do, in its own interpreter: each function is run there, and answers in JSON."""

import json
import sys
import warnings

warnings.filterwarnings("ignore")


def train(uri):
    """A training as people do it: autologged, nested, with a file, a curve and odd figures."""
    import mlflow
    import numpy as np
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("real / ünïcode")
    mlflow.sklearn.autolog(log_datasets=True, log_input_examples=True, registered_model_name="cancer")
    rows, truth = load_breast_cancer(return_X_y=True, as_frame=True)
    with mlflow.start_run(run_name="outer") as outer:
        mlflow.set_tag("team", "Łódź <b>")
        mlflow.set_tag("mlflow.note.content", "a note")
        mlflow.log_params({"lr": 1e-3, "name/with slash": "x" * 400})
        for step in range(1200):
            mlflow.log_metric("train/loss", 1.0 / (step + 1), step=step)
        mlflow.log_metric("odd", float("nan"), step=0)
        mlflow.log_metric("odd", float("inf"), step=1)
        mlflow.log_metric("odd", -1e300, step=-2)
        mlflow.log_text("wörds", "notes/a b.txt")
        with mlflow.start_run(nested=True, run_name="inner") as inner:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(rows, truth)
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("cancer", "champion", 1)
    try:
        with mlflow.start_run(run_name="broken"):
            raise KeyError("on purpose")
    except KeyError:
        pass
    return {
        "outer": outer.info.run_id,
        "inner": inner.info.run_id,
        "predicted": model.predict(rows).tolist(),
        "probability": model.predict_proba(rows).max(axis=1).tolist(),
        "runs": dumped(uri),
        "nan": bool(np.isnan(client.get_metric_history(outer.info.run_id, "odd")[0].value)),
    }


def dumped(uri):
    """Everything of every run."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    found = {}
    for run in client.search_runs([item.experiment_id for item in client.search_experiments()]):
        history = {
            key: sorted(
                [p.step, p.timestamp, repr(p.value)] for p in client.get_metric_history(run.info.run_id, key)
            )
            for key in run.data.metrics
        }
        files = sorted(walked(client, run.info.run_id, None))
        found[run.info.run_id] = {
            "name": run.info.run_name,
            "status": run.info.status,
            "start": run.info.start_time,
            "end": run.info.end_time,
            "params": run.data.params,
            "tags": run.data.tags,
            "history": history,
            "files": files,
            "datasets": [item.dataset.to_dictionary() for item in run.inputs.dataset_inputs],
        }
    return found


def walked(client, run, path):
    for item in client.list_artifacts(run, path):
        if item.is_dir:
            yield from walked(client, run, item.path)
        else:
            yield item.path


def ask(uri, model, rows, array=False):
    """Open a model as pyfunc and predict."""
    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    frame = pd.DataFrame(rows["data"], columns=rows["columns"])
    answer = mlflow.pyfunc.load_model(model).predict(frame.to_numpy() if array else frame)
    return (
        answer.to_dict("list")
        if hasattr(answer, "to_dict")
        else [getattr(value, "item", lambda v=value: v)() for value in answer]
    )


def grow(uri, run):
    """Add to a run that was there."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    client.log_metric(run, "train/loss", 0.5, step=5000)
    client.log_param(run, "late", "yes")


def points(uri, run_name, number):
    """A run with only many points; still running."""
    import mlflow
    from mlflow.entities import Metric

    client = mlflow.MlflowClient(tracking_uri=uri)
    run = client.create_run(client.create_experiment(run_name), run_name=run_name)
    for start in range(0, number, 1000):
        client.log_batch(
            run.info.run_id,
            [Metric("m", float(i), 1_700_000_000_000 + i, i) for i in range(start, start + 1000)],
        )
    return run.info.run_id


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr
    json.dump(globals()[asked["do"]](**asked["with"]), out)
