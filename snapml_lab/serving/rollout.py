"""Rolling a model out: a canary takes a share of the requests, a shadow a copy of each; then promoted, or taken back.

First come the steps as functions of what is declared, then what they do: the service that comes is ready before anything is
sent to it, and the one that goes is stopped only after what was sent to it has been answered.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from snapml_lab.engines import adapters, replicas, services
from snapml_lab.errors import ConflictError, InvalidInputError
from snapml_lab.jobs.model import Job
from snapml_lab.registry import deployments
from snapml_lab.registry.deployments import Course, Deployment, Target
from snapml_lab.tracking.record import Origin
from snapml_lab.workspace import Workspace

_SETTLE_SECONDS = 1.5
"""A gateway may have read the declaration just before it changed, and hold the request for so long before it is on record."""
_LOOK_SECONDS = 0.05

Heard = Callable[[Job], None]


# The steps, of what is declared.


def canary(now: Deployment) -> Target | None:
    """Return the model on trial that gets a share of the requests."""
    return next((target for target in now.targets[1:] if not target.shadow), None)


def shadow(now: Deployment) -> Target | None:
    """Return the model on trial that gets a copy of each request."""
    return next((target for target in now.targets[1:] if target.shadow), None)


def numbered(course: Course) -> str:
    """Return the id the next target gets: one that none before it had."""
    return f"r{course.last + 1}"


def with_canary(course: Course, target: Target, percent: int) -> Course:
    """Add a model that gets a share of the requests; the one that stands keeps the rest.

    Raises:
        ConflictError: there is one already, or it serves adapters of others.
    """
    if (known := canary(course.now)) is not None:
        raise ConflictError(
            f"{course.now.name} has a canary: {known.model}.",
            fix=f"Promote it or take it back first: snapml rollout promote|back {course.now.name}",
        )
    added = replace(target, id=numbered(course), shadow=False, share=percent)
    return shared(_with(course, added), percent)


def with_shadow(course: Course, target: Target) -> Course:
    """Add a model that gets a copy of each request, whose answer nobody sees.

    Raises:
        ConflictError: there is one already.
    """
    if (known := shadow(course.now)) is not None:
        raise ConflictError(
            f"{course.now.name} has a shadow: {known.model}.",
            fix=f"Take it back first: snapml rollout back {course.now.name}",
        )
    return _with(course, replace(target, id=numbered(course), shadow=True, share=0))


def shared(course: Course, percent: int) -> Course:
    """Give the canary a share of the requests; where there is none, the shadow becomes it.

    Raises:
        InvalidInputError: the share is none.
        ConflictError: nothing is on trial.
    """
    if not 1 <= percent <= 99:
        raise InvalidInputError.of("share", percent, "1 to 99 percent")
    trial = canary(course.now) or shadow(course.now)
    if trial is None:
        raise _nothing(course.now)
    changed = {trial.id: replace(trial, shadow=False, share=percent)}
    stands = course.now.target
    changed[stands.id] = replace(stands, share=100 - percent)
    return replace(course, now=_targets(course.now, [changed.get(it.id, it) for it in course.now.targets]))


def promoted(course: Course) -> Course:
    """Have the canary stand; what stood is remembered, a shadow stays.

    Raises:
        ConflictError: there is no canary.
    """
    trial = canary(course.now)
    if trial is None:
        raise _nothing(course.now)
    stood = _targets(course.now, [replace(course.now.target, share=100)])
    rest = [item for item in course.now.targets[1:] if item.shadow]
    now = _targets(course.now, [replace(trial, share=100), *rest])
    return replace(course, now=now, earlier=(stood, *course.earlier))


def without_trial(course: Course) -> tuple[Course, Target]:
    """Take the newest model on trial away; return what then is, and what was taken away.

    Raises:
        ConflictError: nothing is on trial.
    """
    trials = course.now.targets[1:]
    if not trials:
        raise _nothing(course.now)
    newest = max(trials, key=lambda target: int(target.id.removeprefix("r")))
    left = [item for item in course.now.targets if item.id != newest.id]
    if not newest.shadow:
        left[0] = replace(left[0], share=100)
    return replace(course, now=_targets(course.now, left)), newest


def turned_back(course: Course) -> Course:
    """Have what stood before the last promotion stand again; what is declared besides the models stays as it is.

    Raises:
        ConflictError: nothing stood before.
    """
    if not course.earlier:
        raise ConflictError(
            f"Nothing stood before {course.now.model} as {course.now.name}, and nothing is on trial.",
            fix=f"Deploy another model beside it: snapml deploy MODEL --name {course.now.name} --canary 10",
        )
    return replace(
        course, now=_targets(course.now, list(course.earlier[0].targets)), earlier=course.earlier[1:]
    )


def _with(course: Course, target: Target) -> Course:
    return replace(course, now=_targets(course.now, [*course.now.targets, target]), last=course.last + 1)


def _targets(now: Deployment, targets: list[Target]) -> Deployment:
    return replace(now, targets=tuple(targets))


def _nothing(now: Deployment) -> ConflictError:
    return ConflictError(
        f"{now.name} has no canary.", fix=f"Deploy one: snapml deploy MODEL --name {now.name} --canary 10"
    )


# What they do.


def begin(
    ws: Workspace, name: str, target: Target, percent: int | None, *, actor: str, origin: Origin, heard: Heard
) -> Deployment:
    """Start a model beside the one that stands, and send it requests once it is ready: a share, or (None) a copy of each.

    Raises:
        ConflictError: one is on trial already.
        JobFailedError: it did not get ready; nothing was sent to it.
    """

    def step(course: Course) -> Course:
        return with_shadow(course, target) if percent is None else with_canary(course, target, percent)

    planned = step(deployments.course(ws, name)).now
    added = max(planned.targets, key=lambda item: int(item.id.removeprefix("r")))
    _sweep(ws, name)
    try:
        _ready(ws, planned, added, actor=actor, origin=origin, heard=heard)
        now = deployments.change(ws, name, step).now
    except BaseException:
        replicas.stop(ws, planned, added)
        raise
    _load(ws, added)  # once more: an engine that fell just before it was declared did not know of it
    return now


def promote(ws: Workspace, name: str) -> Deployment:
    """Have the canary stand, and stop what stood once its requests are answered.

    Raises:
        ConflictError: there is no canary, or adapters are served by what stands.
    """
    before = deployments.course(ws, name).now
    promoted(deployments.course(ws, name))
    refuse_guests(ws, name)
    course = deployments.change(ws, name, promoted)
    _retire(ws, before, course.earlier[0].target)
    return course.now


def back(ws: Workspace, name: str, *, actor: str, origin: Origin, heard: Heard) -> Deployment:
    """Take the newest model on trial away; where none is, have what stood before the last promotion stand again.

    Raises:
        ConflictError: there is nothing to go back to.
        JobFailedError: what stood before does not get ready any more; what stands was left.
    """
    before = deployments.course(ws, name)
    if before.now.targets[1:]:
        course = deployments.change(ws, name, lambda now: without_trial(now)[0])
        kept = {target.id for target in course.now.targets}
        for target in before.now.targets:
            if target.id not in kept:
                _retire(ws, before.now, target)
        return course.now
    planned = turned_back(before).now
    refuse_guests(ws, name)
    try:
        _ready(ws, planned, planned.target, actor=actor, origin=origin, heard=heard)
        course = deployments.change(ws, name, turned_back)
    except BaseException:
        replicas.stop(ws, planned, planned.target)
        raise
    _retire(ws, before.now, before.now.target)
    return course.now


def share(ws: Workspace, name: str, percent: int) -> Deployment:
    """Give the canary another share of the requests.

    Raises:
        ConflictError: nothing is on trial.
    """
    return deployments.change(ws, name, lambda course: shared(course, percent)).now


def open_requests(ws: Workspace, name: str, target: Target) -> int:
    """Return how many requests a target has not answered yet."""
    row = ws.ledger.row(
        "SELECT count(*) AS number FROM requests WHERE state = 'open' AND deployment = ? AND target = ?",
        name, target.id,
    )  # fmt: skip
    return int(row["number"]) if row else 0


def drain(ws: Workspace, deployment: Deployment, target: Target) -> bool:
    """Wait until what was sent to a target is answered; say whether it all was.

    No longer than a request may take; where no gateway is alive, nobody waits for an answer any more.
    """
    deadline = time.monotonic() + deployment.timeout_seconds
    settled = time.monotonic() + _SETTLE_SECONDS
    while services.live(ws, services.GATEWAY, services.GATEWAY) is not None:
        if open_requests(ws, deployment.name, target):
            settled = max(settled, time.monotonic() + _LOOK_SECONDS)
        elif time.monotonic() >= settled:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _ready(
    ws: Workspace, deployment: Deployment, target: Target, *, actor: str, origin: Origin, heard: Heard
) -> None:
    for job in replicas.start(ws, deployment, target, actor=actor, origin=origin):
        services.wait_ready(ws, job, on_change=heard)
    _load(ws, target)


def _load(ws: Workspace, target: Target) -> None:
    if target.on is not None:
        adapters.load(ws, deployments.get(ws, target.on), target)


def _retire(ws: Workspace, deployment: Deployment, target: Target) -> None:
    """Stop a target that is not declared any more, once it has answered."""
    drain(ws, deployment, target)
    replicas.stop(ws, deployment, target)
    adapters.let_go(ws, target)


def _sweep(ws: Workspace, name: str) -> None:
    """Stop services that an attempt which was killed left behind."""
    declared = deployments.get(ws, name)
    known = {item for target in declared.targets for item in replicas.named(declared, target)}
    for job in replicas.every(ws, name):
        if job.name not in known and not job.name.startswith(f"{name}/t"):  # what is being tuned is not ours
            replicas.end(ws, job)


def refuse_guests(ws: Workspace, name: str) -> None:
    """See that the engine of a deployment serves no adapters of others.

    Raises:
        ConflictError: it does, and would take them with it.
    """
    guests = [
        item.name for item in deployments.every(ws) if any(target.on == name for target in item.targets)
    ]
    if guests:
        raise ConflictError(
            f"The engine that stands as {name} serves {', '.join(guests)}, too.",
            fix=f"First: snapml undeploy {guests[0]}",
        )
