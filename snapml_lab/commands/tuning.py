"""Tuning what a deployment is served with: a measured sweep on one's own prompts."""

from html import escape
from typing import Annotated, Any

from pydantic import Field

from snapml_lab.commands.core import Call, command
from snapml_lab.commands.serving import DeploymentName
from snapml_lab.commands.types import FilePath
from snapml_lab.data.tables import find_file
from snapml_lab.errors import ConflictError
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job, Work
from snapml_lab.jobs.view import JobView
from snapml_lab.registry import deployments
from snapml_lab.serving import plan as plans
from snapml_lab.serving import tuning
from snapml_lab.serving.candidates import candidates
from snapml_lab.serving.quantization import offered
from snapml_lab.store.files import read_json
from snapml_lab.tracking import provenance
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

KIND = "tuning"


class SettingView(View):
    """One setting and what it did; tokens a second, milliseconds, a share of answers; intervals of 95 %.

    ``faster``: surely faster than as it is; ``alike``: its answers are not surely others than the engine gives by itself.
    """

    name: str
    options: dict[str, Any]
    speed: float | None
    speed_interval: list[float] | None
    first_p50: float | None
    first_p50_interval: list[float] | None
    first_p95: float | None
    first_p95_interval: list[float] | None
    agreement: float | None
    agreement_interval: list[float] | None
    faster: bool
    alike: bool
    best: bool
    error: str | None

    def row(self) -> list[str]:
        """The cells of one line of a table."""
        if self.error is not None:
            return [self.name, "–", "–", "–", "–", f"not measured: {self.error}"]
        marks = [word for word, holds in (("best", self.best), ("answers differ", not self.alike)) if holds]
        return [
            self.name, _figure(self.speed, self.speed_interval), _figure(self.first_p50, self.first_p50_interval),
            _figure(self.first_p95, self.first_p95_interval), _figure(self.agreement, self.agreement_interval, 100),
            ", ".join(marks),
        ]  # fmt: skip


class Tuning(View):
    """A sweep: how far it is, and at its end each setting beside the others."""

    job: JobView
    deployment: str
    prompts: int
    settings: list[SettingView]
    applied: bool

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
        applied = ", applied" if self.applied else ""
        return f"{self.deployment}, {self.prompts} prompts × {tuning.ROUNDS} rounds; best: {verdict}{applied}"


_HEADER = ["setting", "tokens/s", "first token p50 ms", "p95 ms", "same answers %", ""]


def _figure(value: float | None, interval: list[float] | None, times: float = 1.0) -> str:
    if value is None:
        return "–"
    ends = f" ({interval[0] * times:.3g} to {interval[1] * times:.3g})" if interval else ""
    return f"{value * times:.3g}{ends}"


def picture(ws: Workspace, job: Job) -> Tuning:
    """Return a sweep's view, at any moment."""
    spec = read_json(JobFolder(ws.jobs / job.id).spec) or {}
    result = queue.result(ws, job) or {}
    return Tuning(
        job=JobView.of(job), deployment=str(spec.get("deployment")), prompts=len(spec.get("prompts", ())),
        settings=[SettingView(**item) for item in result.get("found", ())], applied=bool(result.get("applied")),
    )  # fmt: skip


@command("tune-endpoint", effect=Effect.EXECUTE, python="tune_endpoint", picture=picture)
def tune_endpoint(
    ws: Workspace, name: DeploymentName, *, prompts: FilePath,
    limit: Annotated[int, Field(ge=tuning.LEAST, le=tuning.MOST)] = 50,
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = 128,
    concurrency: Annotated[int, Field(ge=1, le=64)] = 8, apply: bool = False, call: Call,
) -> JobView:  # fmt: skip
    """Measure what a deployment's engine could be set to, on your own prompts, and mark the best.

    Each setting is served beside the deployment, out of its traffic. Speed, time to the first token, and how many greedy
    answers stay the same, with intervals.

    Args:
        name: the deployment.
        prompts: JSONL file of prompts, chat records or captured requests.
        limit: prompts at most, from the first.
        max_tokens: tokens of an answer at most.
        concurrency: requests at a time.
        apply: have the best stand at the end, without a request dropped.
    """
    deployment = deployments.get(ws, name)
    target = deployment.target
    if target.on is not None:
        raise ConflictError(f"{name} is served by the engine of {target.on}.", fix=f"Tune that: {target.on}")
    here = plans.machine()
    cards = here.cards if target.gpus else ()
    modules = here.modules.get(target.engine, frozenset())
    names = [item.name for item in offered(target.engine, cards, modules=modules)]
    found = candidates(
        target.engine, target.options, names, on_gpu=bool(target.gpus), concurrency=concurrency
    )
    spec = {
        "deployment": name, "candidates": [{"name": item.name, "options": item.options} for item in found],
        "prompts": tuning.read(find_file(ws, prompts), limit), "max_tokens": max_tokens,
        "concurrency": concurrency, "apply": apply, "actor": call.actor,
    }  # fmt: skip
    work = Work(KIND, name, queue.python("snapml_lab.serving.tuning:run"), spec, cpus=0)
    return JobView.of(queue.submit(ws, work, actor=call.actor, origin=provenance.complete(ws, call.origin)))
