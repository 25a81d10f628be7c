"""Reads the header `Host`, and the authority of an origin, strictly: what two programs may read differently is refused.

`host`, `host:port`, `192.0.2.1:port` or `[2001:db8::1]:port` (RFC 9110, 7.2), in upper or lower case, with at most one
dot behind a name. No user name, no IPv6 zone, no port that is none: browsers send none of these, and who does wants to
be taken for somebody else. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final, NamedTuple

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,254})(?::(?P<port>[1-9][0-9]{0,4}|))?")
_MOST: Final = 300
"""Characters that are looked at: more than an authority can have."""
_ORIGIN: Final = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#@]+)")
_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
_PORTS: Final = {"http": 80, "https": 443}
"""What a missing port means."""


class Authority(NamedTuple):
    """A host and a port. `host` is in lower case: an address in its usual form, or a name without a dot at its end.

    `is_address`: it can be no name that somebody registers. `port`: None where none is given.
    """

    host: str
    is_address: bool
    port: int | None


class Origin(NamedTuple):
    """Where a page comes from, as browsers compare it. `port` is given in any case."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """As browsers send it: without the scheme's own port."""
        return f"{self.scheme}://{self.host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


def read(text: str) -> Authority | None:
    """What `text` names; None where it is malformed."""
    return _read(text.lower()) if len(text) <= _MOST else None


@lru_cache(maxsize=1024)  # few names and addresses are ours, and each request is for one of them
def _read(text: str) -> Authority | None:
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return None
    host, digits = found["host"], found["port"]
    port = int(digits) if digits else None  # "localhost:" is allowed, and has none
    if port is not None and port > 65535:
        return None
    try:
        if host.startswith("["):
            return Authority(f"[{ipaddress.IPv6Address(host[1:-1])}]", True, port)
        return Authority(str(ipaddress.IPv4Address(host.removesuffix("."))), True, port)
    except ValueError:
        is_name = len(host) <= 253 and _NAME.fullmatch(host)
        return Authority(host.removesuffix("."), False, port) if is_name else None


def of_target(target: bytes) -> bytes | None:
    """The authority in a request's target, as it is sent to a proxy (RFC 9112, 3.2.2); None for any other target."""
    found = _ABSOLUTE.match(target)
    return found[1] if found is not None else None


def origin(text: str) -> Origin | None:
    """The origin that `text` names; None where it names none, as `null` does, or several."""
    found = _ORIGIN.fullmatch(text.lower())
    named = read(found["authority"]) if found is not None else None
    if found is None or named is None or found["authority"].endswith(":"):
        return None
    scheme = found["scheme"]
    # Browsers tell a name from the same with a dot at its end.
    dot = "." if not named.is_address and re.search(r"\.(:[0-9]+)?$", found["authority"]) else ""
    return Origin(scheme, named.host + dot, named.port or _PORTS[scheme])
