"""Commands about providers: who serves models elsewhere, and where the key for them is found."""

import importlib.util
from typing import Annotated

from pydantic import Field

from snapml_lab.commands.core import command
from snapml_lab.commands.deploy import ProviderName
from snapml_lab.errors import MissingExtraError
from snapml_lab.governance.roles import Effect
from snapml_lab.registry import providers
from snapml_lab.registry.providers import Provider
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


class ProviderView(View):
    """A provider: ``key_env`` or ``keyring`` name the place of its key; the key itself is never here."""

    name: str
    base_url: str
    key_env: str | None
    keyring: str | None
    private: bool

    @classmethod
    def of(cls, provider: Provider) -> "ProviderView":
        """Read a provider."""
        return cls(
            name=provider.name, base_url=provider.base_url, key_env=provider.key_env, keyring=provider.keyring,
            private=provider.private,
        )  # fmt: skip

    def text(self) -> str:
        """One line."""
        return "  ".join(cell for cell in self.row() if cell)

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        key = f"${self.key_env}" if self.key_env else f"keyring: {self.keyring}" if self.keyring else "no key"
        return [self.name, self.base_url, key, "private" if self.private else ""]


class ProviderList(View):
    """All providers."""

    providers: list[ProviderView]

    def text(self) -> str:
        """A table."""
        if not self.providers:
            return "No provider is declared: snapml providers set NAME URL --key-env VARIABLE"
        return text_table(_HEADER, [item.row() for item in self.providers])

    def html(self) -> str:
        """A table."""
        if not self.providers:
            return super().html()
        return framed(html_table(_HEADER, [item.row() for item in self.providers]))


_HEADER = ["name", "address", "key", ""]


@command("providers list", effect=Effect.READ)
def list_providers(ws: Workspace) -> ProviderList:
    """List who serves models elsewhere."""
    return ProviderList(providers=[ProviderView.of(item) for item in providers.every(ws)])


@command("providers set", effect=Effect.ADMIN)
def set_provider(
    ws: Workspace,
    name: Annotated[str, Field(min_length=1, max_length=100)],
    base_url: Annotated[str, Field(min_length=1, max_length=500)],
    *,
    key_env: str | None = None,
    keyring: str | None = None,
    private: bool = False,
) -> ProviderView:
    """Declare who serves models elsewhere by OpenAI's protocol; deploy one with --provider NAME.

    Args:
        name: what to call it.
        base_url: its address, as https://api.example.com/v1.
        key_env: the environment variable that holds the key, where the gateway is started.
        keyring: the service of the keyring that holds the key.
        private: it is a server of this machine or network.
    """
    if keyring is not None and importlib.util.find_spec("keyring") is None:
        raise MissingExtraError(
            "The package keyring is not installed.", fix="Install it, or name a variable: --key-env VARIABLE"
        )
    made = Provider(name, base_url, key_env=key_env, keyring=keyring, private=private)
    return ProviderView.of(providers.declare(ws, made))


@command("providers remove", effect=Effect.ADMIN)
def remove(ws: Workspace, name: ProviderName) -> ProviderView:
    """Remove a provider that no deployment uses.

    Args:
        name: the provider.
    """
    return ProviderView.of(providers.remove(ws, name))
