"""What the gateway knows without asking each time: keys and declarations, read again as soon as they have changed."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from snapml_lab.costs import budgets
from snapml_lab.costs.prices import Rate, rate
from snapml_lab.engines import base
from snapml_lab.governance import keys
from snapml_lab.governance.keys import Key
from snapml_lab.guardrails import capture, policies
from snapml_lab.guardrails.capture import Capturer
from snapml_lab.guardrails.guard import Guard
from snapml_lab.guardrails.whole import Ask
from snapml_lab.registry import deployments, providers
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.registry.providers import Provider
from snapml_lab.workspace import Workspace

_RATE_SECONDS = 60.0
"""A provider's price may depend on the time of day, a GPU's draw on its load."""

_TICK_NS = 100_000_000
"""Longer than the ticks in which file systems tell time: 4 ms (Linux, "multigrain timestamps"), and more over a network."""

_Stamp = tuple[int, int, int]
_NONE: _Stamp = (0, 0, 0)


class Known:
    """Keys, deployments, prices, budgets, policies and providers of a workspace. For one thread.

    A key is as the ledger has it, a declaration as its file is: a change holds from the next request on.

    Args:
        ws: the workspace.
        ask: asks a deployment for a guardrail's judge.
        changes: returns another number as soon as somebody else has written to the ledger.
    """

    def __init__(self, ws: Workspace, ask: Ask, changes: Callable[[], int]) -> None:
        self.ws = ws
        self._ask = ask
        self._changes = changes
        self._version = -1
        self._folder = ws.root / "catalog"
        self._looked: int | None = None
        self._keys: dict[str, Key] = {}
        self._paths = {
            kind: os.fspath(self._folder / f"{kind}.json")
            for kind in (
                deployments.KIND,
                "prices",
                budgets.KIND,
                policies.KIND,
                capture.KIND,
                providers.KIND,
            )
        }
        self._stamps: dict[str, _Stamp] = {}
        self._held: dict[str, dict[Any, Any]] = {kind: {} for kind in self._paths}

    def look(self) -> None:
        """Forget the declarations whose file has changed; once at the beginning of a request.

        A file is changed by putting another in its place, which changes the folder: only then are they looked at. A folder that
        has changed just now may change again without showing it, for its clock ticks.
        """
        try:
            at = os.stat(self._folder).st_mtime_ns
        except OSError:
            at = 0
        if at == self._looked:
            return
        for kind, path in self._paths.items():
            try:
                found = os.stat(path)
                stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            except OSError:
                stamp = _NONE
            if stamp != self._stamps.get(kind):
                self._stamps[kind] = stamp
                self._held[kind] = {}
        self._looked = at if time.time_ns() - at > _TICK_NS else None

    def key(self, text: str, now: float) -> Key | None:
        """Return the key a caller showed, if it is good at ``now``."""
        version = self._changes()
        if version != self._version:
            self._version = version
            self._keys.clear()
        key = self._keys.get(text)
        if key is None:
            key = keys.find(self.ws, text)
            if key is None:
                return None  # not remembered: who guesses must not fill the memory
            self._keys[text] = key
        return key if key.living(now) else None

    def deployment(self, name: str) -> Deployment:
        """Return a deployment by name.

        Raises:
            NotFoundError: there is none.
        """
        held = self._held[deployments.KIND]
        found: Deployment | None = held.get(name)
        if found is None:
            found = held[name] = deployments.get(self.ws, name)
        return found

    def rate(self, deployment: Deployment, target: Target) -> Rate:
        """Return what requests to a target cost."""
        held = self._held["prices"]
        what = (deployment.name, target)
        at, found = held.get(_rated(what), (0.0, None))
        if found is None or time.monotonic() - at > _RATE_SECONDS:
            local = base.of(target.engine).local
            provider = None if local else self.provider(target)
            found = rate(
                self.ws, deployment.name, None if local else target.source, local, target.gpus,
                api=None if provider is None else provider.base_url,
            )  # fmt: skip
            held[_rated(what)] = (time.monotonic(), found)
        made: Rate = found
        return made

    def budgets(self) -> Mapping[str, Mapping[str, Any]]:
        """Return all budgets by name."""
        held = self._held[budgets.KIND]
        if "all" not in held:
            held["all"] = self.ws.catalog.all(budgets.KIND)
        found: Mapping[str, Mapping[str, Any]] = held["all"]
        return found

    def guard(self, policy: str, *, judges: bool) -> Guard:
        """Return a policy at work; without ``judges`` a rule of theirs blocks.

        Raises:
            NotFoundError: there is none.
            InvalidInputError: it cannot be read.
        """
        held = self._held[policies.KIND]
        if (policy, judges) not in held:
            held[policy, judges] = Guard(policies.get(self.ws, policy), self._ask if judges else None)
        found: Guard = held[policy, judges]
        return found

    def capturer(self, deployment: str) -> Capturer | None:
        """Return what captures requests to a deployment; None where they are not captured."""
        held = self._held[capture.KIND]
        if deployment not in held:
            settings = capture.get(self.ws, deployment)
            held[deployment] = Capturer(self.ws, settings) if settings is not None and settings.on else None
        found: Capturer | None = held[deployment]
        return found

    def provider(self, target: Target) -> Provider:
        """Return who serves a remote target.

        Raises:
            NotFoundError: it is not declared.
        """
        held = self._held[providers.KIND]
        name = str(target.options.get("provider", ""))
        if name not in held:
            held[name] = providers.get(self.ws, name)
        found: Provider = held[name]
        return found


def _rated(what: tuple[str, Target]) -> tuple[str, str, str, int]:
    name, target = what
    return name, target.id, target.source, target.gpus
