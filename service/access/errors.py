"""Requests that are refused, as exceptions: what kind of problem it is, and what the client can do about it.

`RequestRefused` is the base of all of them, those of the api included; `service.api.problems` has the table of kinds.
`detail` is shown to the client and never holds a key, nor anything else that was sent in place of one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping


class RequestRefused(Exception):
    """A request that is answered with a problem document.

    `kind` is the last part of the problem's type, which decides the status; it is empty where HTTP's own words say all,
    and then `status` is given. `headers` go with the answer, `members` into the document.
    """

    kind: str = ""

    def __init__(
        self,
        detail: str,
        headers: Mapping[str, str] | None = None,
        *,
        kind: str | None = None,
        status: int | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        if kind is not None:
            self.kind = kind
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = dict(members or {})
        super().__init__(detail)


class KeyRequired(RequestRefused):
    """No key, a malformed one, or an unknown one."""

    kind = "key-required"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, {"WWW-Authenticate": 'Bearer realm="presence"'})


class NotAllowed(RequestRefused):
    """The key is good, and not for this: it lacks a scope, or the details asked for are hidden from it."""

    kind = "not-allowed"


class HostNotAllowed(RequestRefused):
    """Another host name than ours, where no key is needed: a page may have given its own name our address."""

    kind = "host-not-allowed"


class OriginNotAllowed(RequestRefused):
    """A page of another origin wants to change something in the name of the person who looks at it."""

    kind = "origin-not-allowed"


class RateLimited(RequestRefused):
    """More requests than one client may make; the next one may come in `seconds`."""

    kind = "too-many-requests"

    def __init__(self, detail: str, seconds: float) -> None:
        super().__init__(detail, {"Retry-After": str(max(1, math.ceil(seconds)))})
