"""The headers that decide whether a request may be made.

Whoever reads requests fills them in: the middleware from Starlette's headers, the hot lane from those it knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from starlette.datastructures import Headers


class AccessHeaders(NamedTuple):
    """All values of each: Host, X-API-Key, Authorization, Origin and Sec-Fetch-Site."""

    hosts: Sequence[str] = ()
    api_keys: Sequence[str] = ()
    authorizations: Sequence[str] = ()
    origins: Sequence[str] = ()
    sites: Sequence[str] = ()

    @classmethod
    def of(cls, headers: Headers) -> AccessHeaders:
        """Of a request with these headers."""
        return cls(*map(headers.getlist, ("host", "x-api-key", "authorization", "origin", "sec-fetch-site")))
