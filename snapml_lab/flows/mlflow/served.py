"""A model of ours inside MLflow: prepares rows as at training, then asks. Saved as it is ("models from code"); needs pandas and skops.

It is kept with the model and must not know our package: the preparation is that of ``registry/signature.py``.
"""

import json
from typing import Any

import mlflow
import pandas as pd


class Model(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers a table with a column of predictions, and for classes their probability."""

    def load_context(self, context: Any) -> None:
        """Open the files."""
        import skops.io

        with open(context.artifacts["about"], encoding="utf-8") as file:
            self.about = json.load(file)
        self.model = skops.io.load(context.artifacts["model"], trusted=self.about["trusted"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002
        """Predict every row."""
        signature = self.about["signature"]
        rows = prepared(model_input, signature)
        if not signature["classes"]:
            return pd.DataFrame({signature["target"]: self.model.predict(rows)})
        probability = self.model.predict_proba(rows)
        chosen = probability.argmax(axis=1)
        return pd.DataFrame({
            signature["target"]: [str(self.model.classes_[i]) for i in chosen],
            "probability": [row[i] for row, i in zip(probability, chosen, strict=True)],
        })  # fmt: skip


def prepared(frame: pd.DataFrame, signature: dict[str, Any]) -> pd.DataFrame:
    """Bring a table into the form the model was trained on."""
    columns = {}
    for name in signature["numeric"]:
        values = pd.to_numeric(frame[name]).astype("float64")
        columns[name] = values.where(values.abs() != float("inf"))
    for name in signature["times"]:
        instants = pd.to_datetime(frame[name], utc=True)
        columns[name] = (instants - pd.Timestamp(0, tz="UTC")).dt.total_seconds() / 86_400.0
    for name in signature["categorical"]:
        columns[name] = frame[name].astype("object").where(frame[name].notna(), "(missing)").astype(str)
    return pd.DataFrame(columns, index=frame.index)


mlflow.models.set_model(Model())
