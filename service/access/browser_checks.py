"""Protection of people who need no key from pages that their own browsers show.

Where no key is needed, everybody who reaches the service is trusted, and a browser reaches it for every page that it
shows. A page may give its own name our address (DNS rebinding), and then read all answers as its own: so a request must
name us by an address, as localhost, or by a name of the configuration. And a page may send what changes something,
without reading the answer (cross-site request forgery): so that must not come from a page of another origin.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from service.access import authority
from service.access.access_headers import AccessHeaders
from service.access.errors import HostNotAllowed, OriginNotAllowed

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


def check(method: str, headers: AccessHeaders, hosts: Collection[str], origins: Collection[str]) -> None:
    """Raises HostNotAllowed or OriginNotAllowed. `hosts` are our names, in lower case; `origins` may use the API."""
    named = headers.hosts
    # None at all is HTTP/1.0, which no browser speaks.
    if len(named) > 1 or not all(_is_ours(each, hosts) for each in named):
        raise HostNotAllowed(
            "Without a key this service answers to addresses, to localhost, and to the names in http.allowed_hosts: "
            "add the name that this request is for, or ask with a key"
        )
    if method in SAFE:
        return
    given = headers.origins
    sites = ",".join(headers.sites).lower().split(",")
    is_cross_site = "cross-site" in map(str.strip, sites)
    if not given and not is_cross_site:
        return
    if len(given) == 1 and (found := authority.origin(given[0])) is not None:
        if found in map(authority.origin, origins):
            return
        own = authority.origin(f"{found.scheme}://{named[0].removesuffix(':')}") if named else None
        if found == own and not is_cross_site:
            return
    raise OriginNotAllowed(
        "Without a key, pages of other origins may change nothing: add the origin to http.cors_origins, or ask "
        "with a key; a proxy in front has to pass the header Host on as it came"
    )


def _is_ours(host: str, hosts: Collection[str]) -> bool:
    """Whether only our pages can have such a host: an address, localhost, or a name of the configuration."""
    found = authority.read(host)
    if found is None:
        return False
    return found.is_address or found.host in hosts or f".{found.host}".endswith(".localhost")
