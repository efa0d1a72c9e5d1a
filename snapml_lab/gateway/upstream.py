"""The ways to engines: connections kept alive to their sockets, to providers over TLS, and how busy each engine is.

A provider's name is resolved here and the address looked at when it is connected to: one inside this machine or its network is
refused unless the provider is declared private, whatever the name resolved to before. Redirections are never followed.
"""

import ipaddress
import os
import socket
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector, ThreadedResolver, TraceConfig, UnixConnector
from aiohttp.abc import ResolveResult

from snapml_lab.engines import base
from snapml_lab.errors import ConflictError
from snapml_lab.gateway.known import Known
from snapml_lab.registry import deployments, providers
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.registry.providers import Provider
from snapml_lab.workspace import Workspace

_CONNECT_SECONDS = 2.0
_REMOTE_CONNECT_SECONDS = 10.0
_KEEP_SECONDS = 60.0
_REMOTE_KEEP_SECONDS = 15.0
"""A provider closes what is idle sooner or later; asking again on a connection that was closed could be billed twice."""
_MOST_AT_ONCE = 1024


@dataclass
class Clock:
    """Time of an engine at work, shared among those it works for: each second goes to them in equal parts."""

    working: int = 0
    _shared: float = 0.0
    _at: float = field(default_factory=time.monotonic)

    def enter(self) -> float:
        """Begin to be worked for; return the mark that :meth:`since` needs."""
        self._move()
        self.working += 1
        return self._shared

    def leave(self, mark: float) -> float:
        """End; return the share in seconds."""
        self._move()
        self.working -= 1
        return self._shared - mark

    def since(self, mark: float) -> float:
        """Return the share so far in seconds."""
        self._move()
        return self._shared - mark

    def _move(self) -> None:
        now = time.monotonic()
        if self.working:
            self._shared += (now - self._at) / self.working
        self._at = now


@dataclass(frozen=True)
class Way:
    """A way to an engine: its service's or provider's name, a session, the URL that routes are put after, and headers."""

    name: str
    session: ClientSession
    url: str
    headers: dict[str, str]
    clock: Clock
    local: bool

    def at(self, route: str) -> str:
        """Return the address of a route; a provider's base URL holds the ``/v1`` already."""
        return self.url + (route if self.local else route.removeprefix("/v1"))


class Upstream:
    """The ways of one gateway."""

    def __init__(self, ws: Workspace, known: Known) -> None:
        self.ws = ws
        self.known = known
        self._sessions: dict[str, tuple[ClientSession, Any]] = {}
        self._clocks: dict[str, Clock] = {}
        self._trace = TraceConfig()
        self._trace.on_connection_reuseconn.append(_mark_reused)

    def way(self, deployment: Deployment, target: Target) -> Way:
        """Return the way to the least busy engine of a target.

        Raises:
            SnapmlError: it is a provider's, whose declaration or key is not there.
        """
        if not base.of(target.engine).local:
            return self._remote(self.known.provider(target))
        name = self._least_busy(deployment, target)
        session, _ = self._sessions.get(name, (None, None))
        if session is None or session.closed:
            path = str(deployments.socket_path(self.ws, name))
            connector = UnixConnector(path, limit=_MOST_AT_ONCE, keepalive_timeout=_KEEP_SECONDS)
            session = self._session(connector, _CONNECT_SECONDS, self._trace)
            self._sessions[name] = (session, None)
        return Way(name, session, "http://engine", {}, self.clock(name), local=True)

    def clock(self, name: str) -> Clock:
        """Return the clock of a service."""
        return self._clocks.setdefault(name, Clock())

    async def close(self) -> None:
        """Close all connections."""
        for session, _ in self._sessions.values():
            await session.close()

    def _least_busy(self, deployment: Deployment, target: Target) -> str:
        if target.on is not None:
            deployment = self.known.deployment(target.on)
            target = deployment.target
        names = [
            deployments.service_name(deployment.name, target, number)
            for number in range(1, target.replicas + 1)
        ]  # fmt: skip
        return min(names, key=lambda name: self.clock(name).working)

    def _remote(self, provider: Provider) -> Way:
        name = f"provider {provider.name}"
        session, made_for = self._sessions.get(name, (None, None))
        if session is None or session.closed or made_for != provider:
            providers.check_url(provider.base_url, private=provider.private)
            connector = TCPConnector(
                limit=_MOST_AT_ONCE, keepalive_timeout=_REMOTE_KEEP_SECONDS,
                resolver=None if provider.private else _OutsideResolver(),
            )  # fmt: skip
            session = self._session(connector, _REMOTE_CONNECT_SECONDS)
            self._sessions[name] = (session, provider)
        return Way(name, session, provider.base_url, _key(provider), self.clock(name), local=False)

    def _session(self, connector: Any, connect: float, *traces: TraceConfig) -> ClientSession:
        timeout = ClientTimeout(total=None, sock_connect=connect)
        return ClientSession(
            connector=connector, timeout=timeout, trace_configs=list(traces), trust_env=False, auto_decompress=True,
        )  # fmt: skip


class _OutsideResolver(ThreadedResolver):
    """Resolves names to addresses in the open only."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:  # fmt: skip
        found = await super().resolve(host, port, family)
        outside = [item for item in found if ipaddress.ip_address(item["host"].partition("%")[0]).is_global]
        if not outside:
            raise OSError(f"{host} is an address inside this machine or its network")
        return outside


def _key(provider: Provider) -> dict[str, str]:
    """Return the header with a provider's key, from where it is kept: read each time, held nowhere.

    Raises:
        ConflictError: it is not there.
    """
    if provider.key_env is not None:
        text = os.environ.get(provider.key_env)
        if not text:
            raise ConflictError(
                f"The gateway has no variable {provider.key_env}, where the key of {provider.name} is to be.",
                fix="Set it where Jupyter (or the terminal) is started, then: snapml undeploy --gateway, and deploy again",
            )
        return {"Authorization": f"Bearer {text}"}
    if provider.keyring is not None:
        import keyring

        text = keyring.get_password(provider.keyring, "api_key")
        if not text:
            raise ConflictError(
                f"The keyring has no key under {provider.keyring!r}.",
                fix=f"Put it there: keyring set {provider.keyring} api_key",
            )
        return {"Authorization": f"Bearer {text}"}
    return {}


async def _mark_reused(_session: ClientSession, context: SimpleNamespace, _params: Any) -> None:
    """Say whether a connection was used before: only then may it have been closed just as it was used again."""
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.reused = True
