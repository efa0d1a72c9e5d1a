"""The model families that are tried: scikit-learn's own, cheap ones first. Needs scikit-learn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from snapml_lab.automl.task import Task

BASELINE = "baseline"
_MOST_ROWS_FOR_KERNELS = 5000


@dataclass(frozen=True)
class Family:
    """One kind of model.

    Attributes:
        name: what the leaderboard shows.
        make: takes hyperparameters, returns an untrained estimator.
        space: hyperparameter to the values a search draws from; empty if there is nothing to search.
    """

    name: str
    make: Callable[..., Any]
    space: dict[str, list[Any]]


def families(task: Task, rows: int) -> list[Family]:
    """Return the families for a task, the baseline (which looks at no column) first."""
    import sklearn.linear_model as linear
    from sklearn import dummy, ensemble, svm

    regression = task is Task.REGRESSION
    forest: dict[str, list[Any]] = {
        "n_estimators": [100, 200, 400],
        "max_features": ["sqrt", 0.3, 0.6, 1.0],
        "min_samples_leaf": [1, 2, 4, 8],
    }
    boosting: dict[str, list[Any]] = {
        "learning_rate": [0.02, 0.05, 0.1, 0.2],
        "max_leaf_nodes": [7, 15, 31, 63],
        "min_samples_leaf": [5, 10, 20, 40],
        "l2_regularization": [0.0, 0.1, 1.0, 10.0],
    }
    strengths: list[Any] = [10.0**power for power in range(-4, 5)]
    if regression:
        found = [
            Family(BASELINE, dummy.DummyRegressor, {}),
            Family("ridge", linear.Ridge, {"alpha": strengths}),
            Family("elastic_net", linear.ElasticNet, {"alpha": strengths[:6], "l1_ratio": [0.1, 0.5, 0.9]}),
            Family("svm", svm.SVR, {"C": [0.1, 1.0, 10.0, 100.0, 1000.0], "gamma": ["scale", 0.01, 0.1]}),
            Family("random_forest", _seeded(ensemble.RandomForestRegressor), forest),
            Family("extra_trees", _seeded(ensemble.ExtraTreesRegressor), forest),
            Family("gradient_boosting", _seeded(ensemble.HistGradientBoostingRegressor), boosting),
        ]
    else:
        found = [
            Family(BASELINE, dummy.DummyClassifier, {}),
            Family("logistic_regression", _converging(linear.LogisticRegression), {"C": strengths}),
            Family("random_forest", _seeded(ensemble.RandomForestClassifier), forest),
            Family("extra_trees", _seeded(ensemble.ExtraTreesClassifier), forest),
            Family("gradient_boosting", _seeded(ensemble.HistGradientBoostingClassifier), boosting),
        ]
    return [family for family in found if family.name != "svm" or rows <= _MOST_ROWS_FOR_KERNELS]


def _seeded(estimator: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **params: estimator(random_state=0, **params)


def _converging(estimator: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **params: estimator(max_iter=2000, **params)
