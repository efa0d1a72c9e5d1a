"""Commands about rolling a model out behind a name that answers already."""

from html import escape

from snapml_lab import money
from snapml_lab.commands.core import Call, command
from snapml_lab.commands.deploy import Share
from snapml_lab.commands.serving import DeploymentName
from snapml_lab.governance.roles import Effect
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Course
from snapml_lab.serving import record, rollout
from snapml_lab.serving.record import Beside, Measured
from snapml_lab.stats import Interval
from snapml_lab.store.files import locked
from snapml_lab.tracking import provenance
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


class FigureView(View):
    """A figure over ``count`` requests; ``low`` and ``high``: its 95 % interval. A share, milliseconds, or pico-dollars."""

    name: str
    count: int
    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, name: str, measured: Measured) -> "FigureView":
        """Read a figure."""
        low, high = measured.interval or (None, None)
        return cls(name=name, count=measured.count, value=measured.value, low=low, high=high)


class DifferenceView(View):
    """A figure of a model on trial less that of the one that stands; ``chance``: the difference could be chance."""

    target: str
    figure: str
    difference: float
    low: float
    high: float
    chance: bool

    @classmethod
    def of(cls, beside: Beside) -> "DifferenceView":
        """Read a comparison."""
        difference, interval, _ = beside.comparison
        return cls(
            target=beside.target, figure=beside.figure, difference=difference, low=interval.low,
            high=interval.high, chance=beside.chance,
        )  # fmt: skip

    def text(self) -> str:
        """One line."""
        shown = _with_interval(self.figure, self.difference, Interval(self.low, self.high), signed=True)
        verdict = "could be chance" if self.chance else "not by chance"
        return f"{self.target}: {self.figure} {shown} than what stands: {verdict}"


class TargetView(View):
    """One model behind a name; ``role``: stands, canary or shadow."""

    id: str
    role: str
    model: str
    engine: str
    share: int
    requests: int
    figures: list[FigureView]

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        share = "a copy" if self.role == "shadow" else f"{self.share} %"
        known = {item.name: _figure(item) for item in self.figures}
        figures = [known.get(name, "–") for name in record.FIGURES]
        return [self.id, self.role, self.model, self.engine, share, str(self.requests), *figures]


class Rollout(View):
    """The models behind a name beside each other, over the time in which all were asked; ``before``: what one goes back to."""

    name: str
    targets: list[TargetView]
    differences: list[DifferenceView]
    before: str | None

    def text(self) -> str:
        """A table, and each difference."""
        table = text_table(_HEADER, [item.row() for item in self.targets])
        return "\n".join([f"{self.name}:", table, *self._notes()])

    def html(self) -> str:
        """A table, and each difference."""
        notes = (f"<div>{escape(line)}</div>" for line in self._notes())
        return framed(
            f"<h4>{escape(self.name)}</h4>",
            html_table(_HEADER, [item.row() for item in self.targets]),
            *notes,
        )

    def _notes(self) -> list[str]:
        notes = [item.text() for item in self.differences]
        if len(self.targets) > 1 and not notes:
            notes = ["too few requests to compare"]
        return [*notes, f"one goes back to {self.before}"] if self.before else notes


_HEADER = ["", "", "model", "engine", "share", "requests", *record.FIGURES]


def _figure(item: FigureView) -> str:
    if item.value is None:
        return "–"
    interval = None if item.low is None or item.high is None else Interval(item.low, item.high)
    return _with_interval(item.name, item.value, interval)


def _with_interval(name: str, value: float, interval: Interval | None, *, signed: bool = False) -> str:
    """Write a figure and its interval, in its unit."""
    written = _number(name, value, signed=signed)
    if interval is None:
        return written
    ends = " to ".join(_number(name, end, signed=signed) for end in interval)
    return f"{written} ({ends})"


def _number(name: str, value: float, *, signed: bool) -> str:
    sign = ("+" if value >= 0 else "−") if signed else "−" if value < 0 else ""
    size = abs(value)
    if name == "failures":
        return f"{sign}{100 * size:.1f} {'points' if signed else '%'}"
    return f"{sign}{money.show(round(size))}" if name == "cost" else f"{sign}{size:.3g} ms"


@command("rollout show", effect=Effect.READ)
def show(ws: Workspace, name: DeploymentName) -> Rollout:
    """Show the models behind a name beside each other, and whether what differs could be chance.

    Args:
        name: the deployment.
    """
    return view(ws, deployments.course(ws, name))


@command("rollout promote", effect=Effect.EXECUTE, heavy=True)
def promote(ws: Workspace, name: DeploymentName) -> Rollout:
    """Have the canary stand for all requests; what stood stops once its requests are answered.

    Args:
        name: the deployment.
    """
    with locked(ws.root / "deploy.lock"):
        rollout.promote(ws, name)
    return view(ws, deployments.course(ws, name))


@command("rollout back", effect=Effect.EXECUTE, heavy=True)
def back(ws: Workspace, name: DeploymentName, *, call: Call) -> Rollout:
    """Take the model on trial away; where none is, have what stood before the last promotion stand again.

    Args:
        name: the deployment.
    """
    origin = provenance.complete(ws, call.origin)
    with locked(ws.root / "deploy.lock"):
        rollout.back(ws, name, actor=call.actor, origin=origin, heard=lambda _: None)
    return view(ws, deployments.course(ws, name))


@command("rollout share", effect=Effect.EXECUTE, heavy=True)
def share(ws: Workspace, name: DeploymentName, percent: Share) -> Rollout:
    """Give the canary another share of the requests; a shadow becomes the canary by it.

    Args:
        name: the deployment.
        percent: of the requests.
    """
    rollout.share(ws, name, percent)
    return view(ws, deployments.course(ws, name))


def view(ws: Workspace, course: Course) -> Rollout:
    """Return the models behind a name beside each other."""
    now = course.now
    targets = [
        TargetView(
            id=item.target.id, role=_role(course, item.target.id), model=item.target.model,
            engine=item.target.engine, share=item.target.share, requests=item.requests,
            figures=[FigureView.of(name, measured) for name, measured in item.figures.items()],
        )
        for item in record.records(ws.ledger, now)
    ]  # fmt: skip
    differences = [DifferenceView.of(item) for item in record.compared(ws.ledger, now)]
    before = course.earlier[0].model if course.earlier else None
    return Rollout(name=now.name, targets=targets, differences=differences, before=before)


def _role(course: Course, target: str) -> str:
    if course.now.target.id == target:
        return "stands"
    trial = rollout.shadow(course.now)
    return "shadow" if trial is not None and trial.id == target else "canary"
