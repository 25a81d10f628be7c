"""Why somebody is not let in, as exceptions: each knows its status, its type, and what the asker can do about it.

`detail` is shown to the asker and never holds a key, nor anything else that was sent in place of one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar


class AccessRefused(Exception):
    """Not let in. `kind` is the last part of the problem's type, `headers` go with the answer."""

    kind: ClassVar[str]
    status: ClassVar[int]

    def __init__(self, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.detail = detail
        self.headers = dict(headers or {})
        super().__init__(detail)


class KeyRequired(AccessRefused):
    """No key, something that is none, or one that nobody knows."""

    kind = "key-required"
    status = 401

    def __init__(self, detail: str) -> None:
        super().__init__(detail, {"WWW-Authenticate": 'Bearer realm="presence"'})


class NotAllowed(AccessRefused):
    """The key is good, and not for this: it lacks a scope, or the details asked for are hidden from it."""

    kind = "not-allowed"
    status = 403


class HostNotAllowed(AccessRefused):
    """A name that is none of ours, where no key is needed: perhaps a browser was led here by another page's name."""

    kind = "host-not-allowed"
    status = 421


class OriginNotAllowed(AccessRefused):
    """A page of another origin wants to change something, in the name of whoever looks at it."""

    kind = "origin-not-allowed"
    status = 403


class RateLimited(AccessRefused):
    """More requests than one asker may make. `seconds` until the next one may come."""

    kind = "too-many-requests"
    status = 429

    def __init__(self, detail: str, seconds: float) -> None:
        super().__init__(detail, {"Retry-After": str(max(1, math.ceil(seconds)))})
