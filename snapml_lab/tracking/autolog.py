"""Recording trainings by themselves: scikit-learn's ``fit``, and the trainers of Hugging Face and Lightning.

A library that is imported already is attended at once, one that is imported later when it is; none is imported for this.
"""

import contextlib
import functools
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from snapml_lab.tracking import provenance, recorder
from snapml_lab.tracking.recorder import Recorder
from snapml_lab.workspace import Workspace

_LONGEST_PARAM = 500
_MOST_CANDIDATES = 200

_Undo = Callable[[], None]


class _Attended:
    """Whose trainings are recorded, and how to stop."""

    def __init__(self, ws: Workspace, actor: str) -> None:
        self.ws = ws
        self.actor = actor
        self.undo: list[_Undo] = []
        self.inside = threading.local()

    @contextlib.contextmanager
    def run(self, name: str) -> Iterator[Recorder]:
        """Give the run a training is recorded in: the open one for its first training, else one of its own."""
        outer = recorder.current()
        if outer is not None and not getattr(outer, "trained", False):
            outer.trained = True
            yield outer
            return
        origin = provenance.complete(self.ws, provenance.here())
        with recorder.start(self.ws, name, actor=self.actor, origin=origin, kind="fit") as opened:
            opened.trained = True
            yield opened

    @contextlib.contextmanager
    def outermost(self) -> Iterator[bool]:
        """Say whether this is a training a person asked for, not one of another's parts."""
        first = not getattr(self.inside, "now", False)
        self.inside.now = True
        try:
            yield first
        finally:
            if first:
                self.inside.now = False


_attended: _Attended | None = None


def begin(ws: Workspace, *, actor: str) -> list[str]:
    """Record trainings from now on; return the names of the libraries that are installed."""
    global _attended  # noqa: PLW0603 - one process has one state
    stop()
    _attended = _Attended(ws, actor)
    for module, attend in _ATTENDING.items():
        if module in sys.modules:
            attend(_attended, sys.modules[module])
    finder = _Finder(_attended)
    sys.meta_path.insert(0, finder)
    _attended.undo.append(functools.partial(_forget, finder))
    return [name for name, top in _LIBRARIES.items() if importlib.util.find_spec(top) is not None]


def stop() -> None:
    """Record nothing by itself any more."""
    global _attended  # noqa: PLW0603
    while _attended is not None and _attended.undo:
        _attended.undo.pop()()
    _attended = None


def _forget(finder: "_Finder") -> None:
    with contextlib.suppress(ValueError):
        sys.meta_path.remove(finder)


class _Finder(importlib.abc.MetaPathFinder):
    """Has a library attended just after it was imported."""

    def __init__(self, attended: _Attended) -> None:
        self._attended = attended
        self._busy = False

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        attend = _ATTENDING.get(name)
        if attend is None or self._busy:
            return None
        self._busy = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._busy = False
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                attend(self._attended, module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # of this one loader
        return spec


def _replace(attended: _Attended, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put what ``make`` makes of an attribute in its place, until the end."""
    before = owner.__dict__[name]
    setattr(owner, name, make(before))
    attended.undo.append(functools.partial(setattr, owner, name, before))


def _sklearn(attended: _Attended, module: ModuleType) -> None:
    """Attend every estimator there is, and those that are still to be defined."""
    base: Any = module.BaseEstimator
    waiting = [base]
    seen = set()
    while waiting:
        cls = waiting.pop()
        if cls not in seen:
            seen.add(cls)
            waiting += cls.__subclasses__()
            _attend_fit(attended, cls)
    inherited = base.__init_subclass__

    def init_subclass(cls: type, /, **options: Any) -> None:
        inherited.__func__(cls, **options)
        if attended is _attended:
            _attend_fit(attended, cls)

    own = "__init_subclass__" in base.__dict__
    before = base.__dict__.get("__init_subclass__")
    base.__init_subclass__ = classmethod(init_subclass)
    attended.undo.append(
        functools.partial(setattr, base, "__init_subclass__", before)
        if own
        else functools.partial(delattr, base, "__init_subclass__")
    )


def _attend_fit(attended: _Attended, cls: type) -> None:
    if not callable(cls.__dict__.get("fit")):
        return

    def make(fit: Any) -> Any:
        @functools.wraps(fit)
        def recorded(self: Any, X: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:  # noqa: N803 - scikit-learn's name
            given = () if y is None and not args else (y, *args)
            with attended.outermost() as first:
                if not first or attended is not _attended:
                    return fit(self, X, *given, **kwargs)
                with attended.run(type(self).__name__) as run:
                    begun = time.monotonic()
                    fitted = fit(self, X, *given, **kwargs)
                    _tell_fit(run, self, X, y, time.monotonic() - begun)
                    return fitted

        return recorded

    _replace(attended, cls, "fit", make)


def _tell_fit(run: Recorder, model: Any, rows: Any, truth: Any, seconds: float) -> None:
    """Record what a fitted estimator tells of itself."""
    run.tag("estimator", f"{type(model).__module__}.{type(model).__qualname__}")
    run.params(_settings(model.get_params()))
    shape = getattr(rows, "shape", None)
    if shape:
        run.params(rows=shape[0], columns=shape[1] if len(shape) > 1 else 1)
    figures = {"fit_seconds": seconds}
    if truth is not None and hasattr(model, "score"):
        with contextlib.suppress(Exception):  # a score is the estimator's own code, and only shown
            figures["training_score"] = float(model.score(rows, truth))
    found = getattr(model, "cv_results_", None)
    if isinstance(found, Mapping) and "params" in found:
        run.params({f"best_{name}": value for name, value in getattr(model, "best_params_", {}).items()})
        if hasattr(model, "best_score_"):
            figures["best_cv_score"] = float(model.best_score_)
        _tell_candidates(run, found)
    run.log(figures)


def _tell_candidates(run: Recorder, found: Mapping[str, Any]) -> None:
    """Record each candidate of a search as a nested run."""
    means, spreads = found.get("mean_test_score"), found.get("std_test_score")
    for index, params in enumerate(found["params"][:_MOST_CANDIDATES]):
        figures = {}
        if means is not None and spreads is not None:
            figures = {"mean_test_score": float(means[index]), "std_test_score": float(spreads[index])}
        run.nested(f"candidate {index + 1}", kind="trial", params=_settings(params), metrics=figures)


def _settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters that can be read: of parts that are estimators themselves, their own parameters stand beside."""
    return {
        name: value if isinstance(value, int | float | bool) else str(value)[:_LONGEST_PARAM]
        for name, value in params.items()
        if not hasattr(value, "get_params") and not isinstance(value, list | tuple)
    }


def _transformers(attended: _Attended, module: ModuleType) -> None:
    """Attend Hugging Face's Trainer."""

    def make(train: Any) -> Any:
        @functools.wraps(train)
        def recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
            if attended is not _attended:
                return train(self, *args, **kwargs)
            with attended.run(type(self.model).__name__) as run:
                told = _settings(self.args.to_sanitized_dict())
                run.params({name: value for name, value in told.items() if value not in ("None", "")})
                listener = _hugging_face_listener(run)
                self.add_callback(listener)
                try:
                    return train(self, *args, **kwargs)
                finally:
                    self.remove_callback(listener)

        return recorded

    _replace(attended, module.Trainer, "train", make)


def _hugging_face_listener(run: Recorder) -> Any:
    from transformers.trainer_callback import TrainerCallback

    class Listener(TrainerCallback):
        """Passes on what a Trainer logs."""

        def on_log(self, *given: Any, logs: Any = None, **_: Any) -> None:
            _pass_on(run, logs or {}, given[1].global_step)  # arguments, state, control

    return Listener()


def _lightning(attended: _Attended, module: ModuleType) -> None:
    """Attend Lightning's Trainer."""

    def make(fit: Any) -> Any:
        @functools.wraps(fit)
        def recorded(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            if attended is not _attended:
                return fit(self, model, *args, **kwargs)
            with attended.run(type(model).__name__) as run:
                run.params(_settings({"max_epochs": self.max_epochs, **dict(getattr(model, "hparams", {}))}))
                listener = _lightning_listener(run, module)
                self.callbacks.append(listener)
                try:
                    return fit(self, model, *args, **kwargs)
                finally:
                    self.callbacks.remove(listener)

        return recorded

    _replace(attended, module.Trainer, "fit", make)


def _lightning_listener(run: Recorder, module: ModuleType) -> Any:
    package = module.__name__.partition(".trainer")[0]
    callback: Any = importlib.import_module(f"{package}.callbacks").Callback

    class Listener(callback):  # type: ignore[misc]  # a class known at run time only
        """Passes on what a LightningModule logs."""

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step % trainer.log_every_n_steps == 0:
                _pass_on(run, trainer.callback_metrics, trainer.global_step)

        def on_train_epoch_end(self, trainer: Any, *_: Any) -> None:
            _pass_on(run, {"epoch": trainer.current_epoch, **trainer.callback_metrics}, trainer.global_step)

    return Listener()


def _pass_on(run: Recorder, logs: Mapping[str, Any], step: int) -> None:
    """Log what is a number."""
    figures = {}
    for name, value in logs.items():
        with contextlib.suppress(TypeError, ValueError, RuntimeError):
            figures[str(name)] = float(value)
    if figures:
        run.log(figures, step=step)


_ATTENDING: dict[str, Callable[[_Attended, ModuleType], None]] = {
    "sklearn.base": _sklearn,
    "transformers.trainer": _transformers,
    "lightning.pytorch.trainer.trainer": _lightning,
    "pytorch_lightning.trainer.trainer": _lightning,
}
_LIBRARIES = {
    "scikit-learn": "sklearn", "Hugging Face Trainer": "transformers", "Lightning": "lightning",
    "PyTorch Lightning": "pytorch_lightning",
}  # fmt: skip
