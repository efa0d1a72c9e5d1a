"""One route for every command that REST has: ``POST snapml/api/<words of its name>`` with its parameters as JSON."""

import asyncio
import inspect
import json
import secrets
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import APIHandler
from tornado import web

from snapml_lab import errors

_LONGEST_BODY = 1 << 20
_RESOURCE = "snapml"


class CommandHandler(APIHandler):
    """Answers a command; a fault of ours is a 500 with an id that is in the log."""

    auth_resource = _RESOURCE

    def initialize(self, start: Path, identities: Any) -> None:
        """Take where the workspace is looked for, and who says who people are."""
        self.start = start
        self.identities = identities

    @web.authenticated
    async def post(self, path: str) -> None:
        """Run the command named by ``path``."""
        try:
            result = await self._answer(path.strip("/").replace("/", " "))
        except errors.SnapmlError as error:
            self.set_status(error.status)
            result = json.dumps(error.as_dict())
        except web.HTTPError:
            raise
        except Exception:
            fault = secrets.token_hex(4)
            self.log.exception("SnapML fault %s in %s", fault, path)
            self.set_status(500)
            message = f"A fault of ours, number {fault}."
            result = json.dumps(
                {"code": "fault", "message": message, "fix": "The server's log has it under that number."}
            )
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(result)

    def compute_etag(self) -> None:
        """Make none: an answer is never asked for again, and hashing a large one would keep the loop."""

    @web.authenticated
    def options(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Refuse a stranger here, too: the page is of this origin, so no browser has to ask before it asks."""
        super().options(*args, **kwargs)

    async def _answer(self, name: str) -> str:
        from snapml_lab.commands.core import find

        # The first time, this imports all commands.
        command = await asyncio.get_running_loop().run_in_executor(None, find, name)
        actor = self._actor()
        await self._authorise(name, str(command.effect), actor)
        arguments = self._arguments()
        from snapml_server.execution import in_child, in_thread

        if command.heavy:
            return await in_child(self.start, name, arguments, actor)
        return await asyncio.get_running_loop().run_in_executor(
            None, partial(in_thread, self.start, name, arguments, actor)
        )

    async def _authorise(self, name: str, effect: str, actor: str) -> None:
        """Ask Jupyter's own authorizer, naming the resource (``@authorized`` would cache another handler's).

        A refusal is in the audit, as our own are.
        """
        action = {"read": "read", "execute": "execute"}.get(effect, "write")
        allowed = self.authorizer.is_authorized(self, self.current_user, action, _RESOURCE)
        if inspect.isawaitable(allowed):
            allowed = await allowed
        if not allowed:
            from snapml_server.execution import refuse

            if effect != "read":
                await asyncio.get_running_loop().run_in_executor(None, refuse, self.start, name, actor)
            raise errors.NotAllowedError(
                f"The server does not allow you to {action} {_RESOURCE}.", fix="Ask its owner."
            )

    def _arguments(self) -> dict[str, Any]:
        if len(self.request.body) > _LONGEST_BODY:
            raise errors.InvalidInputError.of(
                "body", f"{len(self.request.body)} bytes", f"at most {_LONGEST_BODY}"
            )
        try:
            body = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError) as error:
            raise errors.InvalidInputError(
                f"body: not JSON: {error}.", fix="Send an object of named parameters."
            ) from error
        if not isinstance(body, dict):
            raise errors.InvalidInputError.of("body", type(body).__name__, "an object of named parameters")
        return body

    def _actor(self) -> str:
        """Return who asks: a person where identities are real, else the account that owns the server.

        Raises:
            NotAllowedError: the provider names nobody.
        """
        from snapml_lab.governance.roles import account, check_name

        if not named(self.identities):
            return account()
        try:
            return check_name(str(self.current_user.username))
        except errors.InvalidInputError as error:
            raise errors.NotAllowedError(
                f"The server's identity provider names nobody: {error.message}",
                fix="Log in again, or ask the server's owner.",
            ) from error


_NAMING = (
    "get_user", "_get_user", "get_user_token", "get_user_cookie", "user_from_cookie", "generate_anonymous_user",
    "process_login_form",
)  # fmt: skip
"""The methods of an identity provider by which a user gets a name."""


def named(identities: Any) -> bool:
    """Say whether a provider of identities names people.

    Jupyter's own, with a token or a password, makes up a name for each browser, which says nothing about who it is. One that
    has any of the methods a name comes from of its own says who people are; so does a login handler of the older kind.
    """
    from jupyter_server.auth.identity import (
        IdentityProvider,
        LegacyIdentityProvider,
        PasswordIdentityProvider,
    )
    from jupyter_server.auth.login import LegacyLoginHandler

    usual: dict[str, set[Any]] = {
        name: {getattr(cls, name, None) for cls in (IdentityProvider, PasswordIdentityProvider)}
        for name in _NAMING
    }
    if isinstance(identities, LegacyIdentityProvider):
        usual["get_user"].add(LegacyIdentityProvider.get_user)
        login = getattr(identities.login_handler_class, "get_user", None)
        if getattr(login, "__func__", None) is not getattr(LegacyLoginHandler.get_user, "__func__", None):
            return True
    return any(getattr(type(identities), name, None) not in usual[name] for name in _NAMING)
