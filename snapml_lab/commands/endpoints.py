"""Commands about one endpoint: how it is, how it does of late, and how to ask it."""

import math
from dataclasses import replace
from html import escape
from typing import Annotated

from pydantic import Field

from snapml_lab import clock, money
from snapml_lab.commands.core import command
from snapml_lab.commands.serving import DeploymentName
from snapml_lab.commands.types import Completes, Duration, Names, Patterns
from snapml_lab.costs import live
from snapml_lab.engines import base, services
from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.governance.roles import Effect
from snapml_lab.guardrails import policies
from snapml_lab.jobs import gpus, logs, processes
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job, State
from snapml_lab.jobs.terminal import collapse
from snapml_lab.registry import deployments, snippets
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.store.files import read_json
from snapml_lab.views.base import View
from snapml_lab.views.charts import Spark
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

Minutes = Annotated[int, Field(ge=1, le=1440)]
_MOST_BUCKETS = 60
_MOST_BROKEN = 10
_WORDS = 3
"""Lines a service's last words are at most."""
_WORD_BYTES = 4000
_LONGEST_LINE = 500
_HOUR = 3600.0
_STATES = ("running", "starting", "queued", "stopping", "stopped")
"""A service's states, the best one first."""


class Replica(View):
    """One service behind a target. Memory is in MiB (None: not known), of all its processes; ``last_words`` of its log."""

    name: str
    state: str
    message: str | None
    restarts: int
    job: str | None
    memory: int | None
    peak_memory: int | None
    gpu_memory: int | None
    last_words: list[str]


class Spread(View):
    """The median and the 95th percentile."""

    p50: float
    p95: float

    @classmethod
    def of(cls, found: live.Spread | None) -> "Spread | None":
        """Read a spread that was computed."""
        return None if found is None else cls(p50=found.p50, p95=found.p95)

    def words(self) -> str:
        """Both, of milliseconds."""
        return f"{clock.human(self.p50 / 1000)}, p95 {clock.human(self.p95 / 1000)}"


class Broke(View):
    """How many requests went wrong in one way; see ``costs.live.KINDS``."""

    kind: str
    words: str
    requests: int


class Doing(View):
    """What the requests of a window come to; see ``costs.live.Figures``. Rates are a second, times milliseconds.

    ``engine_cache`` is the share of the tokens read that the engine's cache had; ``answered_before`` counts answers from
    the gateway's cache. ``cost_pico`` is pico-dollars as text, as far as it is known; ``unknown`` requests have no known
    cost.
    """

    requests: int
    per_second: float
    failures: list[Broke]
    read_tokens: int
    written_tokens: int
    written_per_second: float
    tokens_per_second: float | None
    first_token_ms: Spread | None
    duration_ms: Spread | None
    engine_cache: float | None
    answered_before: int
    cost_pico: str
    unknown: int

    @classmethod
    def of(cls, found: live.Figures, seconds: float) -> "Doing":
        """Read figures of so many seconds."""
        return cls(
            requests=found.requests, per_second=found.requests / seconds,
            failures=[Broke(kind=kind, words=live.KINDS[kind], requests=many) for kind, many in found.failures.items()],
            read_tokens=found.read_tokens, written_tokens=found.written_tokens,
            written_per_second=found.written_tokens / seconds, tokens_per_second=found.tokens_per_second,
            first_token_ms=Spread.of(found.first_token_ms), duration_ms=Spread.of(found.duration_ms),
            engine_cache=found.engine_cache, answered_before=found.answered_before, cost_pico=str(found.pico),
            unknown=found.unknown,
        )  # fmt: skip

    @property
    def failed(self) -> int:
        """All that went wrong, the callers that left among them."""
        return sum(item.requests for item in self.failures)

    def cost(self) -> str:
        """What is known of the cost, and of how many requests it is not."""
        if self.requests and self.unknown == self.requests:
            return money.show(None)
        return money.show(int(self.cost_pico)) + (f" + {self.unknown} unknown" if self.unknown else "")


class Served(View):
    """One model behind the name: ``share`` is the percentage of requests it is meant to get, ``doing`` what it got."""

    id: str
    model: str
    engine: str
    share: int
    shadow: bool
    replicas: int
    on: str | None
    services: list[Replica]
    doing: Doing

    def cells(self) -> list[str]:
        """The cells of one line of a table."""
        part = "shadow" if self.shadow else f"{self.share}%"
        states = ", ".join(one.state for one in self.services) or (f"on {self.on}" if self.on else "remote")
        memory = [one.memory for one in self.services if one.memory is not None]
        first = self.doing.first_token_ms
        return [
            self.id, self.model, self.engine, part, states, f"{sum(memory):,} MiB" if memory else "",
            str(self.doing.requests), str(self.doing.failed), first.words() if first else "",
        ]  # fmt: skip


class Stretch(View):
    """What came in one stretch of the window, from ``at`` on; see :class:`Doing`. ``partial``: not all of it is in the window."""

    at: str
    partial: bool
    requests: int
    failed: int
    written_tokens: int
    tokens_per_second: float | None
    first_token_ms: float | None
    duration_ms: float | None
    engine_cache: float | None
    cost_pico: str
    unknown: int

    def dollars(self) -> float | None:
        """The known cost; None where there were requests and none of known cost."""
        known = self.requests == 0 or self.unknown < self.requests
        return int(self.cost_pico) / money.PICO if known else None


class Broken(View):
    """A request that went wrong, and how; ``guard`` is what the guardrails did, a JSON list."""

    id: str
    at: str
    target: str
    route: str
    key: str
    kind: str
    words: str
    status: int
    attempts: int
    duration_ms: float
    guard: str | None

    def cells(self) -> list[str]:
        """The cells of one line of a table."""
        took = clock.human(self.duration_ms / 1000)
        return [self.at[:19], self.words, str(self.status), self.target, self.key, took, self.route]


class Snippet(View):
    """Lines to ask the endpoint with; the key is read from the environment variable ``SNAPML_API_KEY``."""

    name: str
    language: str
    code: str


class EndpointView(View):
    """One deployment: what is behind it, how it does, what it costs, and how to ask it.

    ``state`` is the best of its services', ``stopped`` where it has none; ``url`` is where the gateway answers.
    ``since`` and ``until`` bound the window that ``doing`` and ``series`` are of, in stretches of ``step`` seconds;
    ``whole`` is false where the window had to begin later, for there were more requests than are looked at. ``open``
    requests are under way. ``spent_pico`` is what all its requests have cost, as far as it is known. ``before`` is the
    model that stood before the last promotion: what one goes back to.
    """

    name: str
    task: str
    state: str
    message: str | None
    url: str | None
    gateway: str
    guardrails: str | None
    fallbacks: list[str]
    cache_seconds: float | None
    idle_seconds: float | None
    timeout_seconds: float
    targets: list[Served]
    since: str
    until: str
    step: float
    whole: bool
    doing: Doing
    open: int
    spent_pico: str
    spent_requests: int
    spent_unknown: int
    series: list[Stretch]
    broken: list[Broken]
    snippets: list[Snippet]
    before: str | None

    def text(self) -> str:
        """A table of what is behind it, then a line a figure, then what went wrong, then how to ask it."""
        lines = [
            self._head(),
            "",
            text_table(_TARGETS, [item.cells() for item in self.targets], right=_RIGHT),
        ]
        lines += [f"  {one.name}: {line}" for one in self._ill() for line in one.last_words]
        lines += ["", f"{self._window()}:"]
        lines += [f"  {name:<14} {value}" for name, value in self._figures()]
        if self.broken:
            lines += ["", "Went wrong last:", text_table(_BROKEN, [item.cells() for item in self.broken])]
        for snippet in self.snippets[:1]:
            lines += ["", f"Ask it ({snippet.name}):", *(f"  {line}" for line in snippet.code.splitlines())]
        return "\n".join(lines)

    def html(self) -> str:
        """The same, with a small chart a figure."""
        words = "".join(
            f"<div class=bad>{escape(one.name)}: {escape(line)}</div>"
            for one in self._ill()
            for line in one.last_words
        )
        rows = [[name, value] for name, value in self._figures()]
        parts = [
            f"<h4>{escape(self._head())}</h4>",
            html_table(_TARGETS, [item.cells() for item in self.targets], right=_RIGHT),
            words,
            f"<div class=dim>{escape(self._window())}</div>",
            f"<div style='{_SPARKS}'>{''.join(spark.svg() for spark in self.sparks())}</div>",
            html_table(["", ""], rows),
        ]
        if self.broken:
            parts.append(
                "<h4>Went wrong last</h4>" + html_table(_BROKEN, [item.cells() for item in self.broken])
            )
        parts += [
            f"<details><summary>{escape(item.name)}</summary><pre>{escape(item.code)}</pre></details>"
            for item in self.snippets
        ]
        return framed(*parts)

    def sparks(self) -> list[Spark]:
        """Small charts over the window."""
        doing, series = self.doing, self.series
        speed, first, cache = doing.tokens_per_second, doing.first_token_ms, doing.engine_cache
        chat = self.task == "chat"
        took = doing.duration_ms
        found = [
            Spark("requests", [float(item.requests) for item in series], str(doing.requests)),
            Spark(
                "took (median)",
                [item.duration_ms for item in series],
                clock.human(took.p50 / 1000) if took else "–",
            ),
        ]
        if chat:
            found += [
                Spark("tokens/s", [item.tokens_per_second for item in series], "–" if speed is None else f"{speed:.0f}"),
                Spark("first token", [item.first_token_ms for item in series], clock.human(first.p50 / 1000) if first else "–"),
                Spark("engine cache", [item.engine_cache for item in series], "–" if cache is None else f"{cache:.0%}"),
            ]  # fmt: skip
        return [*found, Spark("cost", [item.dollars() for item in series], doing.cost())]

    def _head(self) -> str:
        where = f", at {self.url}" if self.url else f", gateway {self.gateway}"
        return f"{self.name}: {self.state}{where}" + (f" ({self.message})" if self.message else "")

    def _window(self) -> str:
        begun = "" if self.whole else f", its latest {self.doing.requests:,} requests only"
        return f"From {self.since[:19]} to {self.until[:19]}{begun}"

    def _ill(self) -> list[Replica]:
        return [one for item in self.targets for one in item.services if one.last_words]

    def _figures(self) -> list[tuple[str, str]]:
        doing = self.doing
        known = (
            ("requests", f"{doing.requests:,} ({_rate(doing.per_second)}/s), {self.open} under way"),
            ("went wrong", ", ".join(f"{item.requests} × {item.words}" for item in doing.failures) or "none"),
            ("first token", doing.first_token_ms and doing.first_token_ms.words()),
            ("took", doing.duration_ms and doing.duration_ms.words()),
            ("tokens/s", doing.tokens_per_second and f"{doing.tokens_per_second:.0f} in one answer, {_rate(doing.written_per_second)} in all"),
            ("tokens", f"{doing.read_tokens:,} read, {doing.written_tokens:,} written" if doing.read_tokens + doing.written_tokens else ""),
            ("engine cache", "" if doing.engine_cache is None else f"{doing.engine_cache:.0%} of the tokens read"),
            ("answered", f"{doing.answered_before:,} from the gateway's cache" if doing.answered_before else ""),
            ("cost", f"{doing.cost()}; {self._spent()} in all"),
            ("guardrails", self.guardrails or "none"),
        )  # fmt: skip
        return [(name, value) for name, value in known if value]

    def _spent(self) -> str:
        if self.spent_requests and self.spent_unknown == self.spent_requests:
            return money.show(None)
        return money.show(int(self.spent_pico)) + (
            f" + {self.spent_unknown} unknown" if self.spent_unknown else ""
        )


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


_SPARKS = "display:flex;flex-wrap:wrap;gap:8px 20px;margin:8px 0"
_TARGETS = ["", "model", "engine", "share", "state", "memory", "requests", "failed", "first token"]
_BROKEN = ["at", "", "status", "target", "key", "after", "route"]
_RIGHT = frozenset({3, 5, 6, 7})


@command("endpoints show", effect=Effect.READ)
def show(ws: Workspace, name: DeploymentName, *, minutes: Minutes = 15) -> EndpointView:
    """Show all of one endpoint: its models and services, how it does of late, what it costs, and how to ask it.

    Args:
        name: the deployment.
        minutes: how far back the figures go.
    """
    course = deployments.course(ws, name)
    deployment = course.now
    now = clock.now()
    window = live.window(ws.ledger, name, now - minutes * 60.0, now)
    step = 60.0 * max(math.ceil(window.seconds / 60.0 / _MOST_BUCKETS), 1)
    doing = Doing.of(live.figures(window.rows), window.seconds)
    spent = live.spent(ws.ledger, name)
    gateway = services.live(ws, services.GATEWAY, services.GATEWAY)
    url = services.base_url(ws) if gateway else None
    targets = [_served(ws, deployment, target, window, doing) for target in deployment.targets]
    state = _state(targets, gateway)
    return EndpointView(
        name=deployment.name, task=deployment.task, state=state, message=_message(deployment, targets, state), url=url,
        gateway=gateway.state if gateway else "stopped", guardrails=deployment.guardrails,
        fallbacks=list(deployment.fallbacks), cache_seconds=deployment.cache_seconds,
        idle_seconds=deployment.idle_seconds, timeout_seconds=deployment.timeout_seconds, targets=targets,
        since=clock.iso(window.since), until=clock.iso(window.until), step=step, whole=window.whole,
        doing=doing, open=spent.open, spent_pico=str(spent.pico),
        spent_requests=spent.requests, spent_unknown=spent.unknown, series=_series(window, step),
        broken=[_broken(item) for item in live.broken(ws.ledger, name, _MOST_BROKEN)],
        before=course.earlier[0].model if course.earlier else None,
        snippets=[] if url is None else [
            Snippet(name=item.name, language=item.language, code=item.text)
            for item in snippets.of(ws, deployment, url)
        ],
    )  # fmt: skip


def _series(window: live.Window, step: float) -> list[Stretch]:
    found = []
    for at, rows in live.buckets(window, step):
        figures = live.figures(rows)
        first, took = figures.first_token_ms, figures.duration_ms
        found.append(
            Stretch(
                at=clock.iso(at), partial=at < window.since or at + step > window.until, requests=figures.requests,
                failed=sum(figures.failures.values()), written_tokens=figures.written_tokens,
                tokens_per_second=figures.tokens_per_second, first_token_ms=first and first.p50,
                duration_ms=took and took.p50, engine_cache=figures.engine_cache, cost_pico=str(figures.pico), unknown=figures.unknown,
            )
        )  # fmt: skip
    return found


def _broken(item: live.Broken) -> Broken:
    kind = item.kind or "engine"
    return Broken(
        id=item.id, at=clock.iso(item.at), target=item.target, route=item.route, key=item.key, kind=kind,
        words=live.KINDS[kind], status=item.status, attempts=item.attempts, duration_ms=item.duration_ms,
        guard=item.guard,
    )  # fmt: skip


def _served(
    ws: Workspace, deployment: Deployment, target: Target, window: live.Window, doing: Doing
) -> Served:
    """Look at one target; ``doing`` is the whole deployment's, and its own where nothing else answered."""
    local = target.on is None and _runs_here(target.engine)
    names = [
        deployments.service_name(deployment.name, target, n + 1)
        for n in range(target.replicas if local else 0)
    ]
    rows = [row for row in window.rows if row.target == target.id]
    if len(rows) < len(window.rows):
        doing = Doing.of(live.figures(rows), window.seconds)
    return Served(
        id=target.id, model=target.model, engine=target.engine, share=target.share, shadow=target.shadow,
        replicas=target.replicas, on=target.on, services=[_replica(ws, name) for name in names],
        doing=doing,
    )  # fmt: skip


def _runs_here(engine: str) -> bool:
    """Say whether an engine has services; one that a newer version declared may have, and is looked for."""
    try:
        return base.of(engine).local
    except (NotFoundError, ImportError):
        return True


def _replica(ws: Workspace, name: str) -> Replica:
    """Look at a service; the last one of its name tells where none lives."""
    row = ws.ledger.row(
        "SELECT * FROM jobs WHERE name = ? AND kind = ? ORDER BY id DESC LIMIT 1", name, services.ENDPOINT
    )
    if row is None:
        return Replica(
            name=name, state="stopped", message=None, restarts=0, job=None, memory=None, peak_memory=None,
            gpu_memory=None, last_words=[],
        )  # fmt: skip
    job = Job.of(row)
    pids = [] if job.ended else _pids(ws, job)
    ill = job.state is not State.RUNNING and job.state is not State.CANCELLED
    return Replica(
        name=name, state="stopped" if job.ended else job.state, message=_said(job), restarts=job.restarts, job=job.id,
        memory=processes.resident(pids) or None, peak_memory=job.peak_memory, gpu_memory=_gpu_memory(job, pids),
        last_words=_last_words(ws, job) if ill and (job.restarts or job.ended) else [],
    )  # fmt: skip


def _said(job: Job) -> str | None:
    if job.state is State.QUEUED and job.waiting_for:
        return f"waits for {job.waiting_for}"
    if job.state is State.CANCELLED:
        return None
    return job.error_message or job.reason if job.ended else job.message


def _pids(ws: Workspace, job: Job) -> list[int]:
    launch = read_json(JobFolder(ws.jobs / job.id).launch) or {}
    nonce = launch.get("nonce")
    return processes.bearing(str(nonce)) if nonce else []


def _gpu_memory(job: Job, pids: list[int]) -> int | None:
    """Return the MiB of all GPUs that processes hold; None where none was asked for, or NVML does not tell."""
    if not job.gpus or not pids:
        return None
    try:
        return (
            sum(held.memory for device in gpus.devices() for held in device.held if held.pid in pids) or None
        )
    except gpus.Unseen:
        return None


def _last_words(ws: Workspace, job: Job) -> list[str]:
    text = collapse(logs.read(JobFolder(ws.jobs / job.id), -_WORD_BYTES).text)
    lines = [line[:_LONGEST_LINE] for line in text.splitlines() if line.strip()]
    once = [line for line, before in zip(lines, [None, *lines], strict=False) if line != before]
    return once[-_WORDS:]


def _state(targets: list[Served], gateway: Job | None) -> str:
    """Return the best state of all services; what runs elsewhere answers where the gateway does."""
    found = {one.state for item in targets for one in item.services}
    if not found:
        return str(gateway.state) if gateway else "stopped"
    return next((state for state in _STATES if state in found), "stopped")


def _message(deployment: Deployment, targets: list[Served], state: str) -> str | None:
    """Say in a line what is the matter; None where nothing is."""
    all_services = [one for item in targets for one in item.services]
    running = sum(one.state == "running" for one in all_services)
    if state == "running":
        return None if running == len(all_services) else f"{running} of {len(all_services)} services run"
    told = next((one.message for one in all_services if one.message), None)
    if told is None and state == "stopped" and deployment.idle_seconds is not None:
        return "at rest; the next request starts it"
    return told


class Rules(View):
    """What the gateway does with requests to a deployment; times in seconds, None and empty: not done."""

    name: str
    guardrails: str | None
    cache: float | None
    fallbacks: list[str]
    timeout: float
    idle: float | None

    def text(self) -> str:
        """A line each."""
        told = {
            "guardrails": self.guardrails or "none",
            "the same request again": "asked anew"
            if self.cache is None
            else f"answered from memory for {clock.human(self.cache)}",
            "where it does not answer": f"ask {', '.join(self.fallbacks)}" if self.fallbacks else "an error",
            "an answer may take": clock.human(self.timeout),
            "without requests": "goes on" if self.idle is None else f"sleeps after {clock.human(self.idle)}",
        }
        return "\n".join([f"{self.name}:", *(f"  {what}: {value}" for what, value in told.items())])


@command("endpoints set", effect=Effect.EXECUTE)
def set_rules(
    ws: Workspace, name: DeploymentName, *, guardrails: Annotated[str, Completes("guardrails")] | None = None,
    cache: Duration | None = None, fallback: Patterns | None = None, timeout: Duration | None = None, idle: Duration | None = None,
    clear: Names | None = None,
) -> Rules:  # fmt: skip
    """Set what the gateway does with requests to a deployment; without options it shows that. It holds from the next request on.

    Args:
        name: the deployment.
        guardrails: the policy that requests and answers must pass.
        cache: how long the very same request is answered from memory, as 10m.
        fallback: deployments that are asked, in order, where it does not answer.
        timeout: how long an answer may take.
        idle: stop after so long without a request; the next one starts it again.
        clear: what is not done any more: guardrails, cache, fallback, idle.
    """
    found = deployments.get(ws, name)
    wrong = sorted(set(clear or ()) - {"guardrails", "cache", "fallback", "idle"})
    if wrong:
        raise InvalidInputError.of("clear", wrong, "some of guardrails, cache, fallback, idle")
    if guardrails is not None:
        judges = policies.judges(policies.get(ws, guardrails).rules)
        if name in {rule.options["deployment"] for rule in judges}:
            raise InvalidInputError.of("guardrails", guardrails, f"a policy whose judge is not {name} itself")
    for other in fallback or ():
        if other == name or deployments.get(ws, other).task != found.task:
            raise InvalidInputError.of("fallback", other, f"another deployment of a {found.task} model")
    if any(item is not None for item in (guardrails, cache, fallback, timeout, idle, clear)):
        gone = set(clear or ())
        deployments.change(
            ws, name,
            lambda course: replace(course, now=replace(
                course.now,
                guardrails=None if "guardrails" in gone else guardrails or course.now.guardrails,
                cache_seconds=None if "cache" in gone else cache or course.now.cache_seconds,
                fallbacks=() if "fallback" in gone else tuple(fallback or course.now.fallbacks),
                idle_seconds=None if "idle" in gone else idle or course.now.idle_seconds,
                timeout_seconds=timeout or course.now.timeout_seconds,
            )),
        )  # fmt: skip
        found = deployments.get(ws, name)
    return Rules(
        name=name, guardrails=found.guardrails, cache=found.cache_seconds, fallbacks=list(found.fallbacks),
        timeout=found.timeout_seconds, idle=found.idle_seconds,
    )  # fmt: skip
