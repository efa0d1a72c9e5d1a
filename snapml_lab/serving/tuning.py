"""A short measured sweep over an engine's settings, on one's own prompts: a job's payload, and what it finds.

Each setting is served beside the deployment, out of its traffic, asked the same prompts in several rounds, and stopped again.
Answers are greedy; how often they are, word for word, those of the engine as it is, is the figure of quality. An engine
need not repeat itself: its own second round is the measure for the others.
"""

import http.client
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from snapml_lab import stats
from snapml_lab.engines import base, replicas, services
from snapml_lab.engines.socket_http import Connection
from snapml_lab.errors import InvalidInputError, JobFailedError, SnapmlError
from snapml_lab.jobs.events import Reporter
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.serving import rollout
from snapml_lab.serving.candidates import AS_IT_IS, Candidate
from snapml_lab.stats import Interval, Sample
from snapml_lab.store.files import locked
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace, open_workspace

LEAST, MOST = 5, 500
ROUNDS = 3
_TIMEOUT_SECONDS = 600.0
_CONFIDENCE = 0.95

Messages = list[dict[str, Any]]


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
        first_p50: milliseconds to the first token, the median; first_p95 the 95th percentile.
        agreement: share of answers that are those of the engine as it is, of the first round; of that engine itself: of its
            second round.
        faster: how many times as fast as what is, where that is not chance.
        error: why it could not be measured.
    """

    name: str
    options: dict[str, Any]
    speed: float | None = None
    speed_interval: Interval | None = None
    first_p50: float | None = None
    first_p50_interval: Interval | None = None
    first_p95: float | None = None
    first_p95_interval: Interval | None = None
    agreement: float | None = None
    agreement_interval: Interval | None = None
    faster: bool = False
    alike: bool = False
    best: bool = False
    error: str | None = None


def read(path: Path, limit: int = MOST) -> list[Messages]:
    """Read prompts: JSON lines with ``messages`` or ``prompt``, or captured requests with these under ``request``.

    The last turn is left out where it is an answer.

    Raises:
        InvalidInputError: naming the line that is none, or that there are too few.
    """
    found = []
    for number, line in enumerate(path.read_text("utf-8", "replace").split("\n"), 1):
        if line.strip() and len(found) < limit:
            found.append(_messages(line, f"{path.name}, line {number}"))
    if len(found) < LEAST:
        raise InvalidInputError.of("prompts", f"{len(found)} in {path.name}", f"at least {LEAST}")
    return found


def _messages(line: str, where: str) -> Messages:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError.of("prompts", where, f"JSON ({error})") from error
    fields = fields.get("request", fields) if isinstance(fields, dict) else {}
    if isinstance(fields, dict) and isinstance(fields.get("prompt"), str):
        return [{"role": "user", "content": fields["prompt"]}]
    turns = fields.get("messages") if isinstance(fields, dict) else None
    if not isinstance(turns, list) or not all(isinstance(turn, dict) and "role" in turn for turn in turns):
        raise InvalidInputError.of("prompts", where, "an object with messages, or with a prompt")
    while turns and turns[-1]["role"] == "assistant":
        turns = turns[:-1]
    if not turns:
        raise InvalidInputError.of("prompts", where, "a turn of the user's")
    return turns


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Measure each of ``spec["candidates"]`` on the prompts in ``spec["prompts"]``; apply the best where that is asked for."""
    ws = open_workspace()
    deployment = deployments.get(ws, spec["deployment"])
    tried = [Candidate(**fields) for fields in spec["candidates"]]
    prompts = [list(item) for item in spec["prompts"]]
    measured: list[tuple[Candidate, list[Round] | str]] = []
    for number, candidate in enumerate(tried):
        report.progress(number / len(tried), candidate.name)
        measured.append((candidate, _measured(ws, deployment, candidate, number, prompts, spec)))
    found = judged(measured)
    applied = False
    best = next((item for item in found if item.best), None)
    if spec["apply"] and best is not None and best.name != AS_IT_IS:
        report.progress(1.0, f"applying: {best.name}")
        applied = _apply(ws, deployment, best, spec)
    for item in found:
        if item.speed is not None:
            report.metric(f"tokens per second: {item.name}", item.speed)
    return {"found": [asdict(item) for item in found], "applied": applied}


def _measured(
    ws: Workspace, deployment: Deployment, candidate: Candidate, number: int, prompts: list[Messages], spec: dict[str, Any]
) -> list[Round] | str:  # fmt: skip
    """Serve one setting beside the deployment and ask it; why not, where it cannot be served."""
    target = replace(
        deployment.target, id=f"t{number}", options=candidate.options, replicas=1, share=0, shadow=True, gives_way=False
    )  # fmt: skip
    try:
        for job in replicas.start(ws, deployment, target, actor=spec["actor"], origin=Origin()):
            if services.wait_ready(ws, job).waiting_for is not None:
                return f"no room: it waits for {job.waiting_for}"
        name = deployments.service_name(deployment.name, target)
        ask = _asking(deployments.socket_path(ws, name), target, int(spec["max_tokens"]))
        ask(prompts[0])  # warm
        return rounds(ask, prompts, concurrency=int(spec["concurrency"]), number=ROUNDS)
    except (SnapmlError, OSError) as error:
        return str(error)
    finally:
        replicas.stop(ws, deployment, target)


def rounds(
    ask: Callable[[Messages], Answer], prompts: Sequence[Messages], *, concurrency: int, number: int
) -> list[Round]:
    """Ask all prompts ``number`` times, so many at a time."""
    found = []
    with ThreadPoolExecutor(concurrency) as pool:
        for _ in range(number):
            begun = time.monotonic()
            answers = list(pool.map(ask, prompts))
            found.append(Round(answers, time.monotonic() - begun))
    return found


def _asking(socket: Path, target: Target, max_tokens: int) -> Callable[[Messages], Answer]:
    translate = base.of(target.engine).translate

    def ask(messages: Messages) -> Answer:
        body = {"messages": messages, "max_tokens": max_tokens, "temperature": 0, "stream": True,
                "stream_options": {"include_usage": True}}  # fmt: skip
        return _streamed(socket, translate("/v1/chat/completions", body, target))

    return ask


def _streamed(socket: Path, body: dict[str, Any]) -> Answer:
    """Ask one prompt and read its answer as it comes.

    Raises:
        JobFailedError: the engine refuses, or breaks off.
    """
    connection = Connection(socket, _TIMEOUT_SECONDS)
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


def judged(measured: Sequence[tuple[Candidate, list[Round] | str]]) -> list[Found]:
    """Return what each setting did, and which is the best.

    The best is the fastest of those that are not surely worse in quality than the engine is to itself, and that are surely
    faster than it (Welch over the rounds, corrected after Holm); where none is, the engine as it is.
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
        figures = _figures(candidate, told, hits, number)
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
        candidate.name, candidate.options, speeds.mean, stats.mean_interval(speeds), p50.value, p50.interval,
        p95.value, p95.interval, hits / number, stats.wilson(hits, number),
    )  # fmt: skip


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


def _apply(ws: Workspace, deployment: Deployment, best: Found, spec: dict[str, Any]) -> bool:
    """Have the best setting stand, as a canary that is promoted at once: no request is dropped."""
    target = replace(deployment.target, options=best.options)
    with locked(ws.root / "deploy.lock"):
        rollout.begin(
            ws, deployment.name, target, 50, actor=spec["actor"], origin=Origin(), heard=lambda _: None
        )
        rollout.promote(ws, deployment.name)
    return True
