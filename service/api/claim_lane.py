"""The hot lane's entries for claims: made at once, and released.

What is asked and what is answered is decided by the same functions as behind the routes; a body is read by the same
model. Only a request that is plain in every way is answered here: with headers that are known to mean nothing more, and
a short body of JSON that the model takes. All others, and whatever will be refused for how it was asked, go on to the
framework as they came.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Mapping
from typing import Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.access import principal
from service.access.authentication import Authenticator
from service.access.errors import RequestRefused
from service.access.principal import Principal
from service.api.claim_endpoints import ClaimEndpoints
from service.api.etags import JSON
from service.api.hot_lane import Entries, access_of
from service.api.middleware.limits import complete
from service.api.middleware.root_path import scope_below
from service.api.parameters.claims import ClaimBody

MAX_BODY: Final = 8192
"""Bytes of a body that is read here; what the model takes has a tenth of them."""
_KNOWN: Final = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"authorization",
        b"connection",
        b"content-length",
        b"content-type",
        b"host",
        b"traceparent",
        b"tracestate",
        b"user-agent",
        b"via",
        b"x-api-key",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-request-id",
    }
)
"""Headers that a request may have: those that are read here, and those that mean nothing to any claim."""
_JSON: Final = JSON.encode()

_log = logging.getLogger("pws.http")


class ClaimLane:
    """The entries for claims."""

    def __init__(self, authenticator: Authenticator, endpoints: ClaimEndpoints, root_path: str = "") -> None:
        self._authenticator = authenticator
        self._endpoints = endpoints
        self._root_path = root_path

    def entries(self) -> Entries:
        """By method and path; none where an answer has to wait until what was decided is accepted."""
        if not self._endpoints.answers_at_once:
            return {}
        return {("POST", "/v1/claims"): self._claim, ("DELETE", "/v1/claims/"): self._release}

    def _claim(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[Receive | None] | None:
        headers = _headers(scope)
        if headers is None or headers.get(b"content-type") != _JSON or not _is_short(headers.get(b"content-length")):
            return None
        who = self._admit(scope, headers)
        return None if who is None else self._read(scope, receive, send, who)

    async def _read(self, scope: Scope, receive: Receive, send: Send, who: Principal) -> Receive | None:
        """Read the body, and claim what it asks for."""
        rules = self._authenticator.rules
        message = await receive()
        if self._authenticator.rules is not rules:
            self._authenticator.forget(scope)
            return _once_more(message, receive)
        try:
            response = self._claimed(scope, message, who)
        except Exception:  # noqa: BLE001  as in the hot lane
            _log.exception("the hot lane failed", extra={"event": "internal.error"})
            response = None
        if response is None:
            return _once_more(message, receive)
        await _send(response, scope, receive, send)
        return None

    def _claimed(self, scope: Scope, message: Message, who: Principal) -> Response | None:
        """The answer to a claim whose body came as one message; None where the framework is to give it."""
        if message["type"] != "http.request" or message.get("more_body", False):
            return None
        try:
            body = ClaimBody.model_validate(json.loads(message.get("body", b"")))
            claim_request = self._endpoints.requested(who, body)
        except (ValueError, RequestRefused):
            return None
        return self._endpoints.claim_at_once(scope_below(scope, self._root_path), who, claim_request)

    def _release(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None] | None:
        headers = _headers(scope)
        if headers is None or headers.get(b"content-length", b"0") != b"0":
            return None
        who = self._admit(scope, headers)
        if who is None:
            return None
        try:
            response = self._endpoints.release(scope, scope["path"].rpartition("/")[2], who)
        except RequestRefused:
            return None
        return None if response is None else _send(response, scope, receive, send)

    def _admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Principal | None:
        """Who asks, where it may claim."""
        who = self._authenticator.admit_early(scope, scope["method"], access_of(headers))
        return who if who is not None and principal.Scope.CLAIM in who.scopes else None


def _headers(scope: Scope) -> Mapping[bytes, bytes] | None:
    """The headers of a request, where it has no others than those known, each once, and no query."""
    raw: list[tuple[bytes, bytes]] = scope["headers"]
    headers = dict(raw)
    if len(headers) != len(raw) or b"host" not in headers or not headers.keys() <= _KNOWN or scope["query_string"]:
        return None
    return headers


def _is_short(length: bytes | None) -> bool:
    return length is not None and length.isdigit() and len(length) < 10 and int(length) <= MAX_BODY


def _once_more(message: Message, receive: Receive) -> Receive:
    """A `receive` that begins with a message that was read already."""
    read = [message]

    async def received() -> Message:
        return read.pop() if read else await receive()

    return received


async def _send(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    complete(response.headers)
    await response(scope, receive, send)
