"""Secrets of an environment, and their removal from what is printed. Standard library only."""

import os
import re
from collections.abc import Mapping

_SHORTEST = 8
_NAMES = frozenset({
    "APIKEY", "BEARER", "CREDENTIAL", "CREDENTIALS", "KEY", "KEYS", "PASS", "PASSPHRASE", "PASSWD", "PASSWORD", "PAT", "PWD",
    "SECRET", "SECRETS", "TOKEN",
})  # fmt: skip
_LAST_NAMES = frozenset({"AUTH", "COOKIE", "DSN", "TOKENS"})
"""Secret only as the last word of a name: ``NPM_AUTH``, but not ``AUTH_MODE``."""
_ABOUT = frozenset({
    "ALGORITHM", "COUNT", "DIR", "DOMAIN", "ENDPOINT", "FILE", "FORMAT", "HOST", "LENGTH", "LIMIT", "MODE", "NAME", "PATH",
    "PORT", "PROVIDER", "REGION", "SIZE", "TTL", "TYPE", "URI", "URL", "VERSION",
})  # fmt: skip
"""As the last word of a name: it tells something about a secret."""
_HARMLESS = frozenset({"anonymous", "automatic", "disabled", "optional", "required", "undefined"})
_URL = re.compile(r"(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{0,31}://)([^\s/:@?#]*):([^\s/@]+)@", re.IGNORECASE)
_URL_TOKEN = re.compile(r"(?<![a-z0-9+.-])(https?://)([^\s/:@?#]{20,})@", re.IGNORECASE)


def secrets_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what must not be shown of an environment: name to value.

    Args:
        environment: a process's variables. Those count whose name has a word such as KEY or TOKEN between underscores
            and whose value has at least 8 characters and is no path; and the credentials inside of URLs.
    """
    found: dict[str, str] = {}
    for name, content in environment.items():
        value = content.strip()
        if len(value) < _SHORTEST:
            continue
        if _sounds_secret(name) and not _harmless(value):
            found[name] = value
        elif "://" in value:
            found |= _inside_urls(name, value)
    return found


def _sounds_secret(name: str) -> bool:
    words = [word for word in name.upper().split("_") if word]
    if not words or words[-1] in _ABOUT or name in ("PWD", "OLDPWD"):
        return False
    return words[-1] in _LAST_NAMES or not _NAMES.isdisjoint(words)


def _harmless(value: str) -> bool:
    if "://" in value and not _URL.search(value) and not _URL_TOKEN.search(value):
        return True
    return value.lower() in _HARMLESS or _is_path(value)


def _is_path(value: str) -> bool:
    """Say whether it names a place: Base64 may begin with a slash too, but not with a folder that is there."""
    if value.startswith(("~/", "./", "../")):
        return True
    top, slash, _ = value[1:].partition("/")
    return value.startswith("/") and (os.path.isdir(f"/{top}") if slash else os.path.lexists(value))


def _inside_urls(name: str, value: str) -> dict[str, str]:
    found = {}
    for number, match in enumerate(_URL.finditer(value)):
        suffix = f" {number + 1}" if number else ""
        found[f"{name}{suffix}"] = match[0]
        _, user, password = match.groups()
        if len(password) >= _SHORTEST:
            found[f"{name} password{suffix}"] = password
            if "%" in password and len(decoded := _unquoted(password)) >= _SHORTEST:
                found[f"{name} password{suffix}, decoded"] = decoded
        elif len(user) + len(password) + 1 >= _SHORTEST:
            found[f"{name} user{suffix}"] = f"{user}:{password}"
    for number, match in enumerate(_URL_TOKEN.finditer(value)):
        found[f"{name} token{number + 1 if number else ''}"] = match[2]
    return found


def _unquoted(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)


class Redactor:
    """Takes secrets out of one stream, also where they come in parts.

    Args:
        secrets: name to value; a value is replaced by ``[NAME redacted]``.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.held = b""
        self.since = 0.0
        named = {
            os.fsencode(value): f"[{name} redacted]".encode() for name, value in secrets.items() if value
        }
        self._named = named
        self._values = sorted(named, key=len, reverse=True)
        self._longest = len(self._values[0]) if named else 0
        self._pattern = re.compile(b"|".join(map(re.escape, self._values)))

    def feed(self, at: float, piece: bytes) -> bytes:
        """Return what can be shown by now; an end that may be the start of a secret is held back."""
        if not self._values:
            return piece
        buffer = self.held + piece
        begun = self.since if self.held else at
        shown, rest = self._replaced(buffer, len(buffer) - self._open_end(buffer))
        self.held = rest
        self.since = at if len(rest) <= len(piece) else begun
        return shown

    def flush(self) -> bytes:
        """Return what was held back, for nothing follows."""
        shown, rest = self._replaced(self.held, len(self.held))
        self.held = b""
        return shown + rest

    def _replaced(self, buffer: bytes, stop: int) -> tuple[bytes, bytes]:
        """Replace every secret that begins before ``stop``; return that part, and what is to be held back."""
        if not any(value in buffer for value in self._values):
            return buffer[:stop], buffer[stop:]
        parts = []
        done = 0
        for match in self._pattern.finditer(buffer):
            if match.start() >= stop:
                break
            parts += [buffer[done : match.start()], self._named[match[0]]]
            done = match.end()
            if done > stop:
                stop = len(buffer) - self._open_end(buffer[done:])
        return b"".join([*parts, buffer[done:stop]]), buffer[stop:]

    def _open_end(self, buffer: bytes) -> int:
        """Return the length of the longest end of it that a secret begins with."""
        tail = buffer[-(self._longest - 1) :] if self._longest > 1 else b""
        longest = 0
        for value in self._values:
            first = value[:1]
            at = tail.find(first, max(len(tail) - len(value) + 1, 0))
            while 0 <= at < len(tail) - longest:
                if value.startswith(tail[at:]):
                    longest = len(tail) - at
                    break
                at = tail.find(first, at + 1)
        return longest
