"""The headers that decide whether a request may be made.

They are filled in where requests are read: by the middleware from Starlette's headers, by the
hot lane from those it knows.
"""

from __future__ import annotations

from typing import NamedTuple

from starlette.datastructures import Headers


class AccessHeaders(NamedTuple):
    """All values of each: Host, X-API-Key, Authorization, Origin and Sec-Fetch-Site."""

    hosts: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    authorizations: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()

    @classmethod
    def of(cls, headers: Headers) -> AccessHeaders:
        """Of a request with these headers."""
        names = ("host", "x-api-key", "authorization", "origin", "sec-fetch-site")
        return cls(*(tuple(headers.getlist(name)) for name in names))
