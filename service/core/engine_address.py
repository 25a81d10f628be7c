"""Where the engine is: the text of `cluster.url`, read strictly, and never with a password in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
_SCHEMES: Final = {"redis": (False, False), "rediss": (True, False)}
_SCHEMES_WITH_SENTINEL: Final = {"redis+sentinel": (False, True), "rediss+sentinel": (True, True)}


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where the engine is. With `service`, `hosts` are sentinels, who know which of their servers is the primary."""

    hosts: tuple[tuple[str, int], ...]
    tls: bool = False
    service: str | None = None
    database: int = 0
    username: str | None = None

    def __str__(self) -> str:
        hosts = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return hosts if self.service is None else f"{self.service} (sentinels {hosts})"


def parse(url: str) -> EngineAddress:
    """Read `redis://host:port/0`, `rediss://` with TLS, or `redis+sentinel://one:26379,two:26379/service/0`.

    Raises ValueError, with what to write instead.
    """
    scheme, separator, rest = url.partition("://")
    schemes = _SCHEMES | _SCHEMES_WITH_SENTINEL
    if not separator or scheme.lower() not in schemes:
        raise ValueError(f"write one of {', '.join(f'{each}://' for each in schemes)} before the host")
    tls, has_sentinels = schemes[scheme.lower()]
    place, _, path = rest.partition("/")
    user, at, places = place.rpartition("@")
    if ":" in user:
        raise ValueError("a password does not belong into the URL, which is shown and logged: use password_file")
    if at and not user:
        raise ValueError("an empty name of a user before @")
    if any(mark in rest for mark in "?#"):
        raise ValueError("nothing may follow the database: options have keys of their own")
    hosts = tuple(_host(each, SENTINEL_PORT if has_sentinels else PORT) for each in places.split(","))
    parts = [part for part in path.split("/") if part]
    service = parts.pop(0) if has_sentinels and parts else None
    if has_sentinels and service is None:
        raise ValueError("name the service that the sentinels watch behind their hosts, as in /mymaster")
    if not has_sentinels and len(hosts) > 1:
        raise ValueError(f"several hosts are sentinels: write {'rediss' if tls else 'redis'}+sentinel://")
    if len(parts) > 1 or any(not part.isdecimal() or len(part) > 5 for part in parts):
        raise ValueError("the database is a number, as in /0")
    return EngineAddress(hosts, tls, service, int(parts[0]) if parts else 0, unquote(user) or None)


def _host(text: str, default: int) -> tuple[str, int]:
    try:
        split = urlsplit(f"//{text}")
        host, port = split.hostname, split.port
    except ValueError:
        raise ValueError(f"{text!r} is no host and port") from None
    if not host or split.path or "@" in text or any(mark.isspace() for mark in text) or port == 0:
        raise ValueError(f"{text!r} is no host and port")
    return host, default if port is None else port
