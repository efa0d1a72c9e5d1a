"""The one door: authorise, validate, write the audit row, run. Every surface comes through here."""

import difflib
import functools
import inspect
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from snapml_lab.commands.core import Call, Command, find
from snapml_lab.errors import InvalidInputError, NotAllowedError, SnapmlError, UnknownCommandError
from snapml_lab.governance import audit
from snapml_lab.governance.roles import Effect, account, acting, authorise, role_of
from snapml_lab.jobs.view import JobView
from snapml_lab.tracking.shell import SCRATCH
from snapml_lab.views.base import View
from snapml_lab.workspace import Workspace

NOT_AGAIN = frozenset({
    "approvals rollback", "approvals withdraw", "approve", "audit adopt", "budgets remove", "budgets set", "capture off", "capture on", "data remove", "deploy", "deploy export",
    "guardrails measure", "guardrails remove", "guardrails set", "jobs cancel",
    "jobs priority", "jobs schedule", "jobs unschedule", "endpoints set", "keys create", "keys revoke", "keys rotate", "leases free", "models note",
    "policies remove", "policies set", "prices compute", "prices remove", "prices set", "promote", "providers remove", "providers set", "queue limit", "queue pause",
    "queue resume", "reject", "roles remove", "roles set", "rollout back", "rollout promote", "rollout share", "runs delete", "runs reproduce", "runs restore", "runs tag",
    "tune-endpoint", "undeploy", "up",
})  # fmt: skip
"""What a cell that runs again, for a run that is made again, must not do to the workspace a second time."""


class LeftOut(View):
    """The answer to a command that is not done a second time."""

    command: str

    def text(self) -> str:
        """One line."""
        return f"{self.command}: left out, for a run is made again here."


def dispatch(ws: Workspace, name: str, arguments: Mapping[str, Any], call: Call) -> Any:
    """Run a command and return its result.

    Args:
        ws: the workspace it works on.
        name: the command's name, words separated by spaces.
        arguments: its parameters by name.
        call: who asks, through which surface.

    Raises:
        SnapmlError: whatever a person can mend.
    """
    command = find(name)
    if call.surface not in command.surfaces:
        raise UnknownCommandError(
            f"{name!r} cannot be asked through {call.surface}.",
            fix=f"Use one of: {', '.join(sorted(command.surfaces))}.",
        )
    if call.actor == account():
        call = replace(call, actor=acting(ws))
    role = role_of(ws, call.actor)
    who: dict[str, Any] = {
        "actor": call.actor, "role": role, "surface": call.surface, "command": name,
    }  # fmt: skip
    try:
        authorise(role, command.effect, name)
    except NotAllowedError as error:
        audit.refused(ws, **who, arguments=dict(arguments), code=error.code)
        raise
    values = validated(command, arguments)
    if SCRATCH in os.environ and name in NOT_AGAIN:
        return LeftOut(command=name)
    extra = {command.call_parameter: call} if command.call_parameter else {}
    if command.effect is Effect.READ:
        return _of(ws, command.function(ws, **values, **extra))
    attempt = audit.begin(ws, **who, arguments=values)
    try:
        result = _of(ws, command.function(ws, **values, **extra))
    except SnapmlError as error:
        audit.end(ws, attempt, error.code)
        raise
    except BaseException:
        audit.end(ws, attempt, "fault")
        raise
    audit.end(ws, attempt, "done")
    return result


def _of(ws: Workspace, result: Any) -> Any:
    """Have a job's view remember its workspace, for it is a handle of the job."""
    return result.belongs(ws.root) if isinstance(result, JobView) else result


def validated(command: Command, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Check and convert arguments against a command's signature.

    Raises:
        InvalidInputError: naming the field, what came, and what was expected.
    """
    try:
        model = parameters_model(command)(**arguments)
    except ValidationError as error:
        raise _explained(command, error) from error
    return {field: getattr(model, field) for field in command.parameters}


@functools.cache
def parameters_model(command: Command) -> type[BaseModel]:
    """Return the pydantic model of a command's parameters."""
    fields: dict[str, Any] = {
        name: (item.annotation, ... if item.default is inspect.Parameter.empty else item.default)
        for name, item in command.parameters.items()
    }
    title = "".join(part.capitalize() for part in command.name.replace("-", " ").split()) + "Params"
    return create_model(title, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **fields)


def _explained(command: Command, error: ValidationError) -> InvalidInputError:
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else command.name
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, list(command.parameters), n=1)
        fix = (
            f"Did you mean {near[0]!r}?"
            if near
            else f"It takes: {', '.join(command.parameters) or 'nothing'}."
        )
        return InvalidInputError(f"{command.name}: it has no parameter {field!r}.", fix=fix)
    if first["type"] == "missing":
        return InvalidInputError(
            f"{command.name}: {field} is missing.", fix=f"See: snapml {command.name} --help"
        )
    expected = first["msg"][:1].lower() + first["msg"][1:]
    return InvalidInputError.of(
        field, first["input"], expected.removeprefix("input should be "), f"See: snapml {command.name} --help"
    )
