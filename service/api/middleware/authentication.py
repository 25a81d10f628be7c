"""Authentication, browser checks and rate limits, before any route sees a request.

Below `/v1/`, and for the figures, every request has a principal, even where a route forgets to ask for one. What holds
no secret needs no key: the page, the description, `/v1` itself. The server's notifications and an orchestrator's probes
are never refused here: they come under any host name, and as often as they like.
"""

from __future__ import annotations

import contextlib
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.authentication import Authenticator
from service.access.errors import KeyRequired, RequestRefused
from service.api import paths, problems
from service.api.middleware.long_answers import AlreadyEnded
from service.core.callback_url import ROOT

_PROTECTED: Final = "/v1/"
_FREE: Final = frozenset({"/livez", "/readyz"})
_REVOKED: Final = KeyRequired("The key was revoked meanwhile")


def _is_protected(path: str) -> bool:
    return path.startswith((_PROTECTED, f"{paths.METRICS}/")) or path == paths.METRICS


class _Revoked(AlreadyEnded):
    """The key was revoked while its request went on."""


def _check_host(connection: HTTPConnection) -> None:
    """Refuse what HTTP/1.1 calls malformed (RFC 9112, 3.2): a request without the header `Host`, or with several."""
    if connection.scope["http_version"] == "1.1" and len(connection.headers.getlist("host")) != 1:
        raise RequestRefused("A request in HTTP/1.1 names one host, in one header Host", status=400)


class AuthenticationMiddleware:
    """Wraps an ASGI program, which sees no request that is refused."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, root = paths.asked(scope)
        if scope["type"] != "http" or path in _FREE or path.startswith(f"{ROOT}/"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        try:
            _check_host(connection)
            if _is_protected(path):
                self._authenticator.authenticate(connection, scope["method"])
            else:
                self._authenticator.check_browser(connection, scope["method"])
        except RequestRefused as refused:
            await problems.problem(refused, path, root)(scope, receive, send)
            return
        if not _is_protected(path):
            await self._app(scope, receive, send)
            return

        authenticator = self._authenticator
        rules = authenticator.rules  # by which it was let in

        async def watched(message: Message) -> None:
            """A request may wait for minutes, a stream lasts for days: is its key still valid?"""
            if authenticator.rules is rules:
                await send(message)
                return
            begins = message["type"] == "http.response.start"
            if (begins or message.get("more_body")) and not authenticator.is_still_in(connection):
                if begins:
                    await problems.problem(_REVOKED, path, root)(scope, receive, send)
                else:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                raise _Revoked
            await send(message)

        with contextlib.suppress(_Revoked):
            await self._app(scope, receive, watched)
