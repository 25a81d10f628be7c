"""Protection of people who need no key from pages that their own browsers show.

Where no key is needed, everybody who reaches the service is trusted, and a browser reaches it for every page that it
shows. A page may give its own name our address (DNS rebinding), and then read all answers as its own: so a request must
name us by an address, as localhost, or by a name of the configuration. And a page may send what changes something,
without reading the answer (cross-site request forgery): so that must not come from a page of another origin.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from service.access.errors import HostNotAllowed, OriginNotAllowed

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def check(method: str, headers: Headers, hosts: Collection[str], origins: Collection[str]) -> None:
    """Raises HostNotAllowed or OriginNotAllowed. `hosts` are our names, in lower case; `origins` may use the API."""
    named = headers.getlist("host")
    if len(named) > 1 or not all(_is_ours(each, hosts) for each in named):  # none at all: no browser
        raise HostNotAllowed(
            "Without a key this service answers to addresses, to localhost, and to the names in http.allowed_hosts: "
            "add the name that this request is for, or ask with a key"
        )
    if method in _SAFE:
        return
    origin = headers.get("origin", "").lower()
    if origin in origins:
        return
    own = not origin or (named and _netloc(origin) == named[0].lower())
    if not own or headers.get("sec-fetch-site", "").lower() == "cross-site":
        raise OriginNotAllowed(
            "Without a key, pages of other origins may change nothing: add the origin to http.cors_origins, or ask "
            "with a key; a proxy in front has to pass the header Host on as it came"
        )


def is_name_of_ours(host: str, hosts: Collection[str]) -> bool:
    """Whether only our pages can have such a host name: an address, localhost, or one of the configuration."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        name = host.lower().removesuffix(".")
        return name == "localhost" or name.endswith(".localhost") or name in hosts
    return True


def _is_ours(host: str, hosts: Collection[str]) -> bool:
    """The same for the header, which may have a port."""
    try:
        parts = urlsplit(f"//{host}")
        return parts.netloc == host and "@" not in host and is_name_of_ours(parts.hostname or "", hosts)
    except ValueError:
        return False


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
