"""For every request, whatever its route: a cap on its body, the headers of every answer, no error that escapes.

Plain ASGI, since Starlette's own base for middleware puts a queue and a task around each request.
"""

from __future__ import annotations

import logging
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.errors import RequestRefused
from service.api import paths, problems

MAX_BODY: Final = 1024 * 1024
"""Bytes of a request body: five thousand contacts of the longest kind would need more, of the usual kind a fifth."""

DOCS_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The viewer of the API's description is not ours: whatever it contains, it loads from nowhere else."""

_log = logging.getLogger("pws.http")


def complete(headers: MutableHeaders) -> None:
    """Add the headers that every answer has."""
    headers.setdefault("Cache-Control", "no-store")
    headers["X-Content-Type-Options"] = "nosniff"


class RequestLimits:
    """Wraps an ASGI program."""

    def __init__(self, app: ASGIApp, max_body: int = MAX_BODY) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, root = paths.asked(scope)  # now: a route may put what it has mounted into the scope
        begun = False
        taken = 0

        async def send_checked(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                complete(headers)
                if path == "/docs" and message["status"] == 200:
                    headers.setdefault("Content-Security-Policy", DOCS_POLICY)
            await send(message)

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_body:
                raise self._too_large()
            return message

        try:
            length = Headers(scope=scope).get("content-length", "")
            if length.isdigit() and int(length[:20]) > self._max_body:
                error = self._too_large()
                refused = RequestRefused(str(error.detail), error.headers, kind="body-too-large")
                await problems.problem(refused, path, root)(scope, receive, send_checked)
                return
            await self._app(scope, counted, send_checked)
        except Exception:
            if begun:  # too late for an answer: the server breaks the connection off, so that nobody takes it for whole
                raise
            _log.exception(
                "failed to answer %(method)s %(path)s",
                {"method": scope["method"], "path": problems.shown_path(path)},
                extra={"event": "request.failed"},
            )
            await problems.internal_error(path, root)(scope, receive, send_checked)

    def _too_large(self) -> HTTPException:
        # The rest of the body stays unread, hence the connection cannot be used again.
        return HTTPException(413, f"A body may have {self._max_body} bytes", {"Connection": "close"})
