"""A short measured sweep over an engine's settings, on one's own prompts: a job's payload, and what it finds.

Each setting is served beside the deployment, out of its traffic, asked the same prompts in several rounds, and stopped again.
Answers are greedy. Where the prompts come with the answers that are wanted, the share that is word for word those is the figure
of quality; else how often they are those of the engine as it is. An engine need not repeat itself: its own second round is
the measure for the others.
"""

import http.client
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from snapml_lab import stats
from snapml_lab.engines import base, replicas, services
from snapml_lab.engines.socket_http import Connection
from snapml_lab.errors import InvalidInputError, JobFailedError, SnapmlError
from snapml_lab.jobs import queue
from snapml_lab.jobs.events import Reporter
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.serving import rollout
from snapml_lab.serving.candidates import AS_IT_IS, Candidate
from snapml_lab.stats import Interval, Sample
from snapml_lab.store.files import locked, read_json
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace, open_workspace

KIND = "tuning"
LEAST, MOST = 5, 500
ROUNDS = 3
_TIMEOUT_SECONDS = 600.0
_CONFIDENCE = 0.95
_LOOKED_AT = 50

Messages = list[dict[str, Any]]


class Ask(Protocol):
    """Asks one prompt in a round, by its number."""

    def __call__(self, messages: Messages, /, *, turn: int) -> "Answer":
        """Return the answer."""


@dataclass(frozen=True)
class Prompt:
    """What is asked, and the answer that is wanted, where that is known."""

    messages: Messages
    wanted: str | None = None


@dataclass(frozen=True)
class Answer:
    """One answer: its text, its tokens, milliseconds to the first piece and to the end."""

    text: str
    tokens: int
    first_ms: float
    ms: float


@dataclass(frozen=True)
class Round:
    """All prompts asked once: the answers in the prompts' order, and the seconds it took."""

    answers: list[Answer]
    seconds: float

    @property
    def speed(self) -> float:
        """Tokens a second, of all callers together."""
        return sum(answer.tokens for answer in self.answers) / self.seconds


@dataclass(frozen=True)
class Found:
    """What one setting did; intervals are of 95 %, each None where it cannot be known.

    Attributes:
        speed: tokens a second, its interval over the rounds.
        gain: tokens a second more than as it is.
        first_p50: milliseconds to the first token, the median; first_p95 the 95th percentile.
        agreement: share of answers that are those of the engine as it is, of the first round; of that engine itself: of its
            second round.
        right: share of the answers of the first round that are those wanted; ``right_change``: less that of the engine as it is.
        faster: how many times as fast as what is, where that is not chance.
        error: why it could not be measured.
    """

    name: str
    options: dict[str, Any]
    speed: float | None = None
    speed_interval: Interval | None = None
    gain: float | None = None
    gain_interval: Interval | None = None
    first_p50: float | None = None
    first_p50_interval: Interval | None = None
    first_p95: float | None = None
    first_p95_interval: Interval | None = None
    agreement: float | None = None
    agreement_interval: Interval | None = None
    right: float | None = None
    right_interval: Interval | None = None
    right_change: float | None = None
    right_change_interval: Interval | None = None
    faster: bool = False
    alike: bool = False
    best: bool = False
    error: str | None = None


def read(path: Path, limit: int = MOST) -> list[Prompt]:
    """Read prompts: JSON lines with ``messages`` or ``prompt``, or captured requests with these under ``request``.

    Where the last turn is an answer, it is the one that is wanted; of a prompt it is the ``completion``.

    Raises:
        InvalidInputError: naming the line that is none, or that there are too few.
    """
    found: list[Prompt] = []
    for number, line in enumerate(path.read_text("utf-8", "replace").split("\n"), 1):
        if line.strip() and len(found) < limit:
            found.append(_prompt(line, f"{path.name}, line {number}"))
    if len(found) < LEAST:
        raise InvalidInputError.of("prompts", f"{len(found)} in {path.name}", f"at least {LEAST}")
    return found


def _prompt(line: str, where: str) -> Prompt:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError.of("prompts", where, f"JSON ({error})") from error
    fields = fields.get("request", fields) if isinstance(fields, dict) else {}
    if isinstance(fields, dict) and isinstance(fields.get("prompt"), str):
        wanted = fields.get("completion")
        return Prompt(
            [{"role": "user", "content": fields["prompt"]}], wanted if isinstance(wanted, str) else None
        )
    turns = fields.get("messages") if isinstance(fields, dict) else None
    if not isinstance(turns, list) or not all(isinstance(turn, dict) and "role" in turn for turn in turns):
        raise InvalidInputError.of("prompts", where, "an object with messages, or with a prompt")
    wanted = None
    while turns and turns[-1]["role"] == "assistant":
        wanted, turns = turns[-1].get("content"), turns[:-1]
    if not turns:
        raise InvalidInputError.of("prompts", where, "a turn of the user's")
    return Prompt(turns, wanted if isinstance(wanted, str) else None)


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Measure each of ``spec["candidates"]`` on the prompts in ``spec["prompts"]``; apply the best where that is asked for.

    It is done within ``spec["seconds"]``: what was not measured until then is not.
    """
    ws = open_workspace()
    deployment = deployments.get(ws, spec["deployment"])
    tried = [Candidate(**fields) for fields in spec["candidates"]]
    prompts = [Prompt(**fields) for fields in spec["prompts"]]
    until = time.monotonic() + float(spec["seconds"])
    measured: list[tuple[Candidate, list[Round] | str]] = []
    for number, candidate in enumerate(tried):

        def heard(share: float, what: str, number: int = number, name: str = candidate.name) -> None:
            report.progress((number + share) / len(tried), f"{name}: {what}")

        measured.append(
            (candidate, _measured(ws, deployment, candidate, number, prompts, spec, until, heard))
        )
    found = judged(measured, [prompt.wanted for prompt in prompts])
    for item in found:
        if item.speed is not None:
            report.metric(f"tokens per second: {item.name}", item.speed)
    applied, why_not = False, None
    best = next((item for item in found if item.best), None)
    if spec["apply"] and best is not None and best.name != AS_IT_IS:
        report.progress(1.0, f"applying: {best.name}")
        try:
            _apply(ws, deployment, best, spec)
            applied = True
        except (SnapmlError, OSError) as error:
            why_not = str(error)  # what was measured holds all the same
    return {"found": [asdict(item) for item in found], "applied": applied, "not_applied": why_not}


def _measured(
    ws: Workspace, deployment: Deployment, candidate: Candidate, number: int, prompts: list[Prompt], spec: dict[str, Any],
    until: float, heard: Callable[[float, str], None],
) -> list[Round] | str:  # fmt: skip
    """Serve one setting beside the deployment and ask it; why not, where it cannot be served."""
    if (left := until - time.monotonic()) <= 0:
        return "the time was over"
    target = replace(
        deployment.target, id=f"t{number}", options=candidate.options, replicas=1, share=0, shadow=True, gives_way=False
    )  # fmt: skip
    heard(0.0, "starting")
    try:
        for job in replicas.start(ws, deployment, target, actor=spec["actor"], origin=Origin()):
            ready = services.wait_ready(ws, job, timeout=min(left, _TIMEOUT_SECONDS))
            if ready.waiting_for is not None:
                return f"no room: it waits for {ready.waiting_for}"
        name = deployments.service_name(deployment.name, target)
        ask = _asking(deployments.socket_path(ws, name), target, int(spec["max_tokens"]), until)
        asked, many = [prompt.messages for prompt in prompts], int(spec["concurrency"])
        heard(0.5, "warming up")
        rounds(ask, asked[: 2 * many], concurrency=many, number=1, first=-1)
        return rounds(
            ask, asked, concurrency=many, number=ROUNDS,
            heard=lambda turn: heard(0.6 + 0.4 * turn / ROUNDS, f"round {turn + 1} of {ROUNDS}"),
        )  # fmt: skip
    except (SnapmlError, OSError) as error:
        return str(error)
    finally:
        replicas.stop(ws, deployment, target)


def rounds(
    ask: Ask, prompts: Sequence[Messages], *, concurrency: int, number: int, first: int = 0,
    heard: Callable[[int], None] = lambda _: None,
) -> list[Round]:  # fmt: skip
    """Ask all prompts ``number`` times, so many at a time; ``ask`` is told the round's number, ``heard`` as it begins."""
    found = []
    with ThreadPoolExecutor(concurrency) as pool:
        for turn in range(first, first + number):
            heard(turn)
            begun = time.monotonic()
            answers = list(pool.map(partial(ask, turn=turn), prompts))
            found.append(Round(answers, time.monotonic() - begun))
    return found


def _asking(socket: Path, target: Target, max_tokens: int, until: float) -> Ask:
    translate = base.of(target.engine).translate

    def ask(messages: Messages, /, *, turn: int) -> Answer:
        if (left := until - time.monotonic()) <= 0:
            raise JobFailedError("the time was over")
        body = {"messages": messages, "max_tokens": max_tokens, "temperature": 0, "stream": True,
                "stream_options": {"include_usage": True}}  # fmt: skip
        body = translate("/v1/chat/completions", body, target)
        if target.engine == "vllm":
            # The same prompts come again each round; what a round left in the cache of prefixes must not serve the next.
            body["cache_salt"] = f"round {turn}"
        return _streamed(socket, body, min(left, _TIMEOUT_SECONDS))

    return ask


def _streamed(socket: Path, body: dict[str, Any], seconds: float = _TIMEOUT_SECONDS) -> Answer:
    """Ask one prompt and read its answer as it comes.

    Raises:
        JobFailedError: the engine refuses, or breaks off.
    """
    connection = Connection(socket, seconds)
    begun = time.monotonic()
    first, text, pieces, tokens = None, "", 0, None
    try:
        connection.request(
            "POST", "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        if answer.status != 200:
            raise JobFailedError(f"answered with {answer.status}: {answer.read()[:300]!r}")
        while line := answer.readline():
            if not line.startswith(b"data:") or b"[DONE]" in line:
                continue
            event = json.loads(line.removeprefix(b"data:"))
            said = "".join(
                (item.get("delta") or {}).get("content") or "" for item in event.get("choices") or ()
            )
            if said:
                first = time.monotonic() if first is None else first
                text, pieces = text + said, pieces + 1
            tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
    except (http.client.HTTPException, ValueError) as error:
        raise JobFailedError(f"broke off: {error}") from error
    finally:
        connection.close()
    ended = time.monotonic()
    return Answer(
        text, pieces if tokens is None else tokens, 1000 * ((first or ended) - begun), 1000 * (ended - begun)
    )


def judged(
    measured: Sequence[tuple[Candidate, list[Round] | str]], wanted: Sequence[str | None] = ()
) -> list[Found]:
    """Return what each setting did, and which is the best.

    The best is the fastest of those that are not surely worse in quality than the engine as it is, and that are surely
    faster than it (Welch over the rounds, corrected after Holm); where none is, the engine as it is. Quality is how many
    answers are right, on the same prompts, where ``wanted`` tells; else how many are those of the engine as it is,
    beside how many are when that is asked again.
    """
    stands = measured[0][1]
    if isinstance(stands, str):
        return [_unmeasured(candidate, told) for candidate, told in measured]
    own = _hits(stands[1], stands[0])
    tests = {
        candidate.name: stats.welch(_speeds(told), _speeds(stands))
        for candidate, told in measured[1:]
        if not isinstance(told, str)
    }
    adjusted = stats.holm([1.0 if test is None else test.p_value for test in tests.values()])
    surely = {
        name: test is not None and test.difference > 0 and p_value < 1 - _CONFIDENCE
        for (name, test), p_value in zip(tests.items(), adjusted, strict=True)
    }
    found = []
    for candidate, told in measured:
        if isinstance(told, str):
            found.append(_unmeasured(candidate, told))
            continue
        is_first = told is stands
        hits = own if is_first else _hits(told[0], stands[0])
        number = len(stands[0].answers)
        alike = is_first or stats.proportions(hits, number, own, number).interval.high >= 0
        figures = _right(_figures(candidate, told, hits, number), told[0], stands[0], wanted)
        if not is_first:
            if (change := figures.right_change_interval) is not None:
                alike = change.high >= 0
            if (test := tests[candidate.name]) is not None:
                figures = replace(figures, gain=test.difference, gain_interval=test.interval)
        found.append(replace(figures, faster=surely.get(candidate.name, False), alike=alike))
    able = [item for item in found if item.faster and item.alike]
    best = max(able, key=lambda item: item.speed or 0.0, default=found[0])
    return [replace(item, best=item is best) for item in found]


def _figures(candidate: Candidate, told: list[Round], hits: int, number: int) -> Found:
    import numpy as np

    firsts = np.array([answer.first_ms for turn in told for answer in turn.answers])
    p50, p95 = stats.bootstrap(
        lambda rows: [float(np.quantile(firsts[rows], 0.5)), float(np.quantile(firsts[rows], 0.95))],
        len(firsts),
    )
    speeds = _speeds(told)
    return Found(
        candidate.name, candidate.options, speed=speeds.mean, speed_interval=stats.mean_interval(speeds),
        first_p50=p50.value, first_p50_interval=p50.interval, first_p95=p95.value, first_p95_interval=p95.interval,
        agreement=hits / number, agreement_interval=stats.wilson(hits, number),
    )  # fmt: skip


def _right(figures: Found, told: Round, stands: Round, wanted: Sequence[str | None]) -> Found:
    """Add how many answers are right, and how many more than of the engine as it is."""
    known = [
        (said.text.strip() == text.strip(), before.text.strip() == text.strip())
        for said, before, text in zip(told.answers, stands.answers, wanted, strict=False)
        if text is not None
    ]
    if not known:
        return figures
    hits, number = sum(said for said, _ in known), len(known)
    made = replace(figures, right=hits / number, right_interval=stats.wilson(hits, number))
    if told is stands:
        return made
    change = stats.paired_proportions(known)
    return replace(made, right_change=change.difference, right_change_interval=change.interval)


def _unmeasured(candidate: Candidate, told: list[Round] | str) -> Found:
    said = told if isinstance(told, str) else "there is nothing to compare with"
    return Found(candidate.name, candidate.options, error=said)


def _hits(one: Round, other: Round) -> int:
    return sum(a.text == b.text for a, b in zip(one.answers, other.answers, strict=True))


def _speeds(told: Sequence[Round]) -> Sample:
    speeds = [turn.speed for turn in told]
    mean = sum(speeds) / len(speeds)
    spread = sum((speed - mean) ** 2 for speed in speeds) / max(len(speeds) - 1, 1)
    return Sample(len(speeds), mean, spread)


def _apply(ws: Workspace, deployment: Deployment, best: Found, spec: dict[str, Any]) -> None:
    """Have the best setting stand, as a canary that is promoted at once: no request is dropped."""
    how: dict[str, Any] = {"actor": spec["actor"], "origin": Origin(), "heard": lambda _: None}
    target = replace(deployment.target, options=best.options)
    with locked(ws.root / "deploy.lock"):
        check_applicable(ws, deployment.name)
        rollout.begin(ws, deployment.name, target, 50, **how)
        try:
            rollout.promote(ws, deployment.name)
        except BaseException:
            rollout.back(ws, deployment.name, **how)
            raise


def check_applicable(ws: Workspace, name: str) -> None:
    """See that a deployment can be given other settings.

    Raises:
        ConflictError: something is on trial beside it, or its engine serves adapters of others.
    """
    course = deployments.course(ws, name)
    rollout.with_canary(course, course.now.target, 50)
    rollout.refuse_guests(ws, name)


def before(ws: Workspace, model: str, engine: str) -> dict[str, tuple[str, float, Found]]:
    """Return what was last measured of a model by quantization: the deployment's name, when, and the figures."""
    rows = ws.ledger.rows(
        "SELECT * FROM jobs WHERE kind = ? AND state = 'succeeded' ORDER BY id DESC LIMIT ?", KIND, _LOOKED_AT
    )
    found: dict[str, tuple[str, float, Found]] = {}
    for job in map(Job.of, rows):
        spec = read_json(JobFolder(ws.jobs / job.id).spec) or {}
        if (spec.get("model"), spec.get("engine")) != (model, engine):
            continue
        for fields in (queue.result(ws, job) or {}).get("found", ()):
            item = Found(**fields)
            quantization = item.options.get("quantization")
            if quantization and item.error is None and item.name != AS_IT_IS:
                found.setdefault(quantization, (spec["deployment"], job.ended_at or 0.0, item))
    return found
