"""A model of ours inside MLflow: prepares rows as at training, then asks. Saved as it is ("models from code"); needs pandas and skops.

It is kept with the model and must not know our package: the preparation is that of ``registry/signature.py``.
"""

import json
from typing import Any

try:
    from mlflow.models import set_model
    from mlflow.pyfunc import PythonModel
except ImportError:  # on our side, where only the text of this file is wanted
    PythonModel, set_model = object, None


class Model(PythonModel):  # type: ignore[misc]
    """Answers a table with a column of predictions, and for classes their probability."""

    def load_context(self, context: Any) -> None:
        """Open the files."""
        import skops.io

        with open(context.artifacts["about"], encoding="utf-8") as file:
            self.about = json.load(file)
        self.model = skops.io.load(context.artifacts["model"], trusted=self.about["trusted"])

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002
        """Predict every row of a table."""
        import pandas as pd

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


def prepared(frame: Any, signature: dict[str, Any]) -> Any:
    """Bring a table into the form the model was trained on."""
    import pandas as pd

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


if set_model is not None:
    set_model(Model())
