"""HEAD, answered as GET is: with all of its headers and without its body.

No route has to know of it, and the description of the API does not name everything twice. The callback's paths are
left alone: there, only GET means something. Plain ASGI, around everything else, so that errors are answered to HEAD as
they are to GET.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.paths import route_path
from service.core.callback_url import ROOT


class HeadMiddleware:
    """Wraps an ASGI program."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = route_path(scope)
        if scope["type"] != "http" or path == ROOT or path.startswith(f"{ROOT}/"):
            await self._app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await _without_body(self._app, {**scope, "method": "GET"}, receive, send)
        else:
            await self._app(scope, receive, _allowing(send))


def _allowing(send: Send) -> Send:
    """Where GET is allowed, HEAD is."""

    async def allowing(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 405:
            headers = MutableHeaders(scope=message)
            allowed = [method.strip() for method in headers.get("allow", "").split(",")]
            if "GET" in allowed and "HEAD" not in allowed:
                allowed.insert(allowed.index("GET") + 1, "HEAD")
                headers["Allow"] = ", ".join(allowed)
        await send(message)

    return allowing


class _Answered(OSError):
    """The answer to a HEAD request is complete: to the program, its client has gone away."""


async def _without_body(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Call the program, and end the answer where its body would begin. A stream, which has no end, ends there too."""
    done = asyncio.Event()

    async def headers_only(message: Message) -> None:
        if done.is_set():
            raise _Answered
        if message["type"] == "http.response.start":
            await send(message)
        elif message["type"] == "http.response.body":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            if message.get("more_body", False):
                done.set()

    async def until_done() -> Message:
        if done.is_set():
            return {"type": "http.disconnect"}
        got, ended = asyncio.ensure_future(receive()), asyncio.ensure_future(done.wait())
        try:
            await asyncio.wait({got, ended}, return_when=asyncio.FIRST_COMPLETED)
            return got.result() if got.done() else {"type": "http.disconnect"}
        finally:
            got.cancel()
            ended.cancel()

    try:
        await app(scope, until_done, headers_only)
    except (OSError, ClientDisconnect, ExceptionGroup):  # what a program makes of a client that has gone away
        if not done.is_set():
            raise
