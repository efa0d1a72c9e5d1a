"""Providers of models elsewhere that speak OpenAI's protocol: their address, and where their key is found. In the catalog.

A key's text is never declared: only the name of an environment variable, or of a service in the keyring.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from snapml_lab.errors import ConflictError, InvalidInputError
from snapml_lab.registry import deployments, versions
from snapml_lab.workspace import Workspace

KIND = "providers"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_LONGEST = 500


@dataclass(frozen=True)
class Provider:
    """Somebody who serves models.

    Attributes:
        base_url: what ``/chat/completions`` is appended to, without a slash at the end.
        key_env: the environment variable of the gateway that holds the key.
        keyring: the service in the keyring that holds it.
        private: whether it may be an address of this machine or of its network.
    """

    name: str
    base_url: str
    key_env: str | None = None
    keyring: str | None = None
    private: bool = False


def declare(ws: Workspace, provider: Provider) -> Provider:
    """Add or replace a provider.

    Raises:
        InvalidInputError: its name, address or the place of its key cannot be one.
    """
    versions.check_name(provider.name)
    base_url = check_url(provider.base_url, private=provider.private)
    if provider.key_env is not None and provider.keyring is not None:
        raise InvalidInputError.of(
            "keyring", provider.keyring, "one place of the key: --key-env or --keyring"
        )
    if provider.key_env is not None and not _VARIABLE.fullmatch(provider.key_env):
        raise InvalidInputError.of(
            "key_env", "…", "the name of an environment variable, not the key itself",
            "Put the key into a variable, as PROVIDER_API_KEY, and name that.",
        )  # fmt: skip
    made = Provider(**{**asdict(provider), "base_url": base_url})
    ws.catalog.change(KIND, made.name, lambda _: _written(made))
    return made


def check_url(url: str, *, private: bool) -> str:
    """Return an address as it is kept.

    What a name resolves to is looked at when one connects, for that can change; here, only what is written.

    Raises:
        InvalidInputError: it is not https (http is for the loopback, and with ``private``), holds a password, a query or
            a fragment, or an address of this machine or network without ``private``.
    """
    shown = url if "@" not in url else "…"  # a password is not repeated
    try:
        found = urlsplit(url)
        host, _ = found.hostname or "", found.port
    except ValueError as error:
        raise InvalidInputError.of("base_url", shown, f"an https address ({error})") from error
    if len(url) > _LONGEST or any(c.isspace() or not c.isprintable() for c in url):
        raise InvalidInputError.of("base_url", shown, f"an address of at most {_LONGEST} visible characters")
    if found.username is not None or found.password is not None:
        raise InvalidInputError.of(
            "base_url",
            shown,
            "an address without a name or password in it",
            "Name the key's variable: --key-env",
        )
    if found.query or found.fragment or not host:
        raise InvalidInputError.of("base_url", shown, "an address as https://api.example.com/v1")
    near = _is_loopback(host)
    if found.scheme != "https" and not (found.scheme == "http" and near and private):
        raise InvalidInputError.of(
            "base_url", shown, "https; http only of this machine, and with --private", "Use https://…"
        )
    if not private and (near or _is_inside(host)):
        raise InvalidInputError.of(
            "base_url", shown, "an address in the open, unless --private says that this is meant",
            "Add --private if it is a server of your own.",
        )  # fmt: skip
    return url.rstrip("/")


def get(ws: Workspace, name: str) -> Provider:
    """Return a provider by name.

    Raises:
        NotFoundError: there is none.
    """
    return _of(name, ws.catalog.get(KIND, name))


def every(ws: Workspace) -> list[Provider]:
    """Return all providers by name."""
    return [_of(name, fields) for name, fields in sorted(ws.catalog.all(KIND).items())]


def remove(ws: Workspace, name: str) -> Provider:
    """Remove a provider.

    Raises:
        NotFoundError: there is none.
        ConflictError: a deployment uses it.
    """
    found = get(ws, name)
    users = [item.name for item in deployments.every(ws) if _uses(item, name)]
    if users:
        raise ConflictError(f"{name!r} serves {', '.join(users)}.", fix=f"First: snapml undeploy {users[0]}")
    ws.catalog.remove(KIND, name)
    return found


def _uses(deployment: deployments.Deployment, name: str) -> bool:
    return any(
        target.engine == "openai" and target.options.get("provider") == name for target in deployment.targets
    )


def _written(provider: Provider) -> dict[str, Any]:
    return {name: value for name, value in asdict(provider).items() if name != "name"}


def _of(name: str, fields: Mapping[str, Any]) -> Provider:
    return Provider(name, **fields)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_inside(host: str) -> bool:
    """Say whether an address that is written as numbers is of no network in the open, in whichever way it is written."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        # inet_aton(3) also reads 2130706433, 0x7f.1 and 127.1 as addresses
        return bool(re.fullmatch(r"(0x[0-9a-f]+|[0-9]+)(\.(0x[0-9a-f]+|[0-9]+)){0,3}", host.lower()))
