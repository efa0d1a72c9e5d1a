"""Tuning what a deployment is served with: a measured sweep on one's own prompts."""

from dataclasses import asdict
from html import escape
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from snapml_lab.commands.core import Call, command
from snapml_lab.commands.serving import DeploymentName
from snapml_lab.commands.types import Duration, FilePath
from snapml_lab.data.tables import find_file
from snapml_lab.errors import ConflictError
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job, Work
from snapml_lab.jobs.view import JobView
from snapml_lab.registry import deployments, footprint
from snapml_lab.serving import plan as plans
from snapml_lab.serving import tuning
from snapml_lab.serving.candidates import Candidate, candidates, only
from snapml_lab.serving.quantization import offered
from snapml_lab.serving.tuning import KIND
from snapml_lab.store.files import read_json
from snapml_lab.tracking import provenance
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


class SettingView(View):
    """One setting and what it did; tokens a second, milliseconds, shares of answers; intervals of 95 %.

    ``gain`` and ``right_change`` are beside as it is. ``faster``: surely faster than that; ``alike``: its answers are not surely
    worse, or, where nobody said which are wanted, not surely others than the engine gives by itself.
    """

    name: str
    options: dict[str, Any]
    speed: float | None
    speed_interval: list[float] | None
    gain: float | None
    gain_interval: list[float] | None
    first_p50: float | None
    first_p50_interval: list[float] | None
    first_p95: float | None
    first_p95_interval: list[float] | None
    agreement: float | None
    agreement_interval: list[float] | None
    right: float | None
    right_interval: list[float] | None
    right_change: float | None
    right_change_interval: list[float] | None
    faster: bool
    alike: bool
    best: bool
    error: str | None

    def row(self) -> list[str]:
        """The cells of one line of a table."""
        if self.error is not None:
            return [self.name, *["–"] * (len(_HEADER) - 2), f"not measured: {self.error}"]
        worse = "answers differ" if self.right is None else "answers are worse"
        marks = [word for word, holds in (("best", self.best), (worse, not self.alike)) if holds]
        return [
            self.name, _figure(self.speed, self.speed_interval), _change(self.gain, self.gain_interval),
            _figure(self.first_p50, self.first_p50_interval), _figure(self.first_p95, self.first_p95_interval),
            _figure(self.agreement, self.agreement_interval, 100), _figure(self.right, self.right_interval, 100),
            _change(self.right_change, self.right_change_interval, 100), ", ".join(marks),
        ]  # fmt: skip


class Tuning(View):
    """A sweep: how far it is, and at its end each setting beside the others."""

    job: JobView
    deployment: str
    prompts: int
    settings: list[SettingView]
    applied: bool
    not_applied: str | None = None

    def text(self) -> str:
        """A table; while it runs, how far it is."""
        if not self.settings:
            return self.job.text()
        return "\n".join([self._headline(), text_table(_HEADER, [item.row() for item in self.settings])])

    def html(self) -> str:
        """A table; while it runs, how far it is."""
        if not self.settings:
            return self.job.html()
        lead = next((number for number, item in enumerate(self.settings) if item.best), None)
        table = html_table(_HEADER, [item.row() for item in self.settings], lead=lead)
        return framed(f"<div>{escape(self._headline())}</div>", table)

    def _headline(self) -> str:
        best = next((item for item in self.settings if item.best), None)
        if best is None:
            return f"{self.deployment}: nothing could be measured"
        verdict = (
            best.name if best.faster else "as it is; nothing else is surely faster with the same answers"
        )
        if best.faster and best.gain is not None:
            verdict += f", {_change(best.gain, best.gain_interval)} tokens/s"
        applied = ", applied" if self.applied else ""
        if self.not_applied is not None:
            applied = f", not applied: {self.not_applied}"
        return f"{self.deployment}, {self.prompts} prompts × {tuning.ROUNDS} rounds; best: {verdict}{applied}"


_HEADER = [
    "setting", "tokens/s", "change", "first token p50 ms", "p95 ms", "same answers %", "right answers %", "change", "",
]  # fmt: skip


def _figure(value: float | None, interval: list[float] | None, times: float = 1.0) -> str:
    if value is None:
        return "–"
    ends = f" ({interval[0] * times:.3g} to {interval[1] * times:.3g})" if interval else ""
    return f"{value * times:.3g}{ends}"


def _change(value: float | None, interval: list[float] | None, times: float = 1.0) -> str:
    if value is None:
        return "–"
    ends = f" ({interval[0] * times:+.3g} to {interval[1] * times:+.3g})" if interval else ""
    return f"{value * times:+.3g}{ends}"


def picture(ws: Workspace, job: Job) -> Tuning:
    """Return a sweep's view, at any moment."""
    spec = read_json(JobFolder(ws.jobs / job.id).spec) or {}
    result = queue.result(ws, job) or {}
    return Tuning(
        job=JobView.of(job), deployment=str(spec.get("deployment")), prompts=len(spec.get("prompts", ())),
        settings=[SettingView(**item) for item in result.get("found", ())], applied=bool(result.get("applied")),
        not_applied=result.get("not_applied"),
    )  # fmt: skip


class TuningPlan(View):
    """What a sweep will do; memory in MiB, of one engine more. ``fits`` None: what it needs is not known."""

    deployment: str
    settings: list[str]
    prompts: int
    wanted: int
    requests: int
    seconds: float
    memory: int | None
    free: int
    fits: bool | None

    def text(self) -> str:
        """Some lines."""
        return "\n".join(["plan:", *(f"  {line}" for line in self.lines())])

    def html(self) -> str:
        """Some lines."""
        return framed(*(f"<div>{escape(line)}</div>" for line in self.lines()))

    def lines(self) -> list[str]:
        """What will be done, line by line."""
        need = "not known" if self.memory is None else f"about {self.memory:,} MiB"
        verdict = {True: ": fits", False: ": does not fit now", None: ""}[self.fits]
        quality = f"{self.wanted} with the answer that is wanted" if self.wanted else "compared with as it is"
        rounds = f"{self.prompts} prompts ({quality}) × {tuning.ROUNDS} rounds: {self.requests:,} requests"
        names = "; ".join(self.settings)
        return [
            f"{self.deployment}: {len(self.settings)} settings, one after the other, each served beside it: {names}",
            f"{rounds}, {self.seconds / 60:.3g} minutes at most",
            f"memory: {need} more, {self.free:,} MiB free{verdict}",
        ]  # fmt: skip


_SECONDS = 3600.0
Setting = Annotated[
    list[str] | None,
    Parameter(name=["--setting"]),
    Field(max_length=50, description="a setting as the plan names it"),
]
Limit = Annotated[int, Field(ge=tuning.LEAST, le=tuning.MOST)]
Concurrency = Annotated[int, Field(ge=1, le=64)]


def _planned(
    ws: Workspace, name: str, prompts: str, limit: int, concurrency: int, setting: list[str] | None, seconds: float | None
) -> tuple[TuningPlan, list[Candidate], list[tuning.Prompt]]:  # fmt: skip
    """Say what would be measured on what.

    Raises:
        ConflictError: there is nothing to vary, or another deployment's engine serves it.
        InvalidInputError: there is no such setting, or the prompts are none.
    """
    target = deployments.get(ws, name).target
    if target.on is not None:
        raise ConflictError(f"{name} is served by the engine of {target.on}.", fix=f"Tune that: {target.on}")
    here = plans.machine()
    cards = here.cards if target.gpus else ()
    modules = here.modules.get(target.engine, frozenset())
    names = [item.name for item in offered(target.engine, cards, modules=modules)]
    found = candidates(
        target.engine, target.options, names, on_gpu=bool(target.gpus), concurrency=concurrency
    )
    found = found if setting is None else only(found, setting)
    read = tuning.read(find_file(ws, prompts), limit)
    memory = (target.gpu_memory if target.gpus else None) or footprint.serving(target.source)
    free = max((card.free for card in cards), default=0) if target.gpus else here.free
    warm = min(2 * concurrency, len(read))
    return TuningPlan(
        deployment=name, settings=[item.name for item in found], prompts=len(read),
        wanted=sum(prompt.wanted is not None for prompt in read),
        requests=len(found) * (tuning.ROUNDS * len(read) + warm), seconds=seconds or _SECONDS, memory=memory, free=free,
        fits=None if memory is None else memory <= free,
    ), found, read  # fmt: skip


@command("tune-endpoint plan", effect=Effect.READ, python="tune_endpoint plan")
def plan_tuning(
    ws: Workspace, name: DeploymentName, *, prompts: FilePath, limit: Limit = 50, concurrency: Concurrency = 8,
    setting: Setting = None, time: Duration | None = None,
) -> TuningPlan:  # fmt: skip
    """Show what a sweep would measure, on how many requests, and what memory it takes beside the deployment.

    Args:
        name: the deployment.
        prompts: JSONL file of prompts, chat records or captured requests.
        limit: prompts at most, from the first.
        concurrency: requests at a time.
        setting: measure this alone beside what stands; may be given several times.
        time: how long it may take, as 30m; default: an hour.
    """
    return _planned(ws, name, prompts, limit, concurrency, setting, time)[0]


@command("tune-endpoint", effect=Effect.EXECUTE, python="tune_endpoint", picture=picture)
def tune_endpoint(
    ws: Workspace, name: DeploymentName, *, prompts: FilePath, limit: Limit = 50,
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = 128, concurrency: Concurrency = 8, setting: Setting = None,
    time: Duration | None = None, apply: bool = False, call: Call,
) -> JobView:  # fmt: skip
    """Measure what a deployment's engine could be set to, on your own prompts, and mark the best.

    Each setting is served beside the deployment, out of its traffic. Speed, time to the first token, and how many greedy
    answers are those wanted (the last turn of a record), or stay the same; with intervals.

    Args:
        name: the deployment.
        prompts: JSONL file of prompts, chat records or captured requests.
        limit: prompts at most, from the first.
        max_tokens: tokens of an answer at most.
        concurrency: requests at a time.
        setting: measure this alone beside what stands; may be given several times. Their names: tune-endpoint plan.
        time: how long it may take, as 30m; what is not measured until then is left out; default: an hour.
        apply: have the best stand at the end, without a request dropped.
    """
    plan, found, read = _planned(ws, name, prompts, limit, concurrency, setting, time)
    if apply:
        tuning.check_applicable(ws, name)
    call.tell(plan)
    target = deployments.get(ws, name).target
    spec = {
        "deployment": name, "model": target.model, "engine": target.engine,
        "candidates": [{"name": item.name, "options": item.options} for item in found],
        "prompts": [asdict(prompt) for prompt in read], "max_tokens": max_tokens, "concurrency": concurrency,
        "seconds": plan.seconds, "apply": apply, "actor": call.actor,
    }  # fmt: skip
    work = Work(KIND, name, queue.python("snapml_lab.serving.tuning:run"), spec, cpus=0)
    return JobView.of(queue.submit(ws, work, actor=call.actor, origin=provenance.complete(ws, call.origin)))
