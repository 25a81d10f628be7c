"""The ASGI program of one node: HTTP around `PresenceWebService.answer`, as a gSOAP server behaves on it.

Breaking a connection takes the connection itself: `pws_soap.server.http.listener` puts it into the scope. Under another
server no reply is sent where the connection should be reset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any, Final, Protocol

from pws_soap.server.http.service import PresenceWebService
from pws_soap.server.http_reply import HttpReply
from pws_soap.server.soap.contract import wsdl, wsdl_at

PATH: Final = "/presence-service/soap"
_DIGITS: Final = 18
"""Digits of a Content-Length that are worth reading as a number."""

# ASGI's own shapes: mappings of whatever the event holds.
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ServedConnection(Protocol):
    """What the program can do with the connection under a request."""

    requests: int

    def reset(self) -> None:
        """Break it with a RST."""


class ReplySender(Protocol):
    """Sends a reply over ASGI."""

    async def __call__(
        self, reply: HttpReply, connection: ServedConnection | None, receive: Receive, send: Send
    ) -> None:
        """Send it; `connection` is None under another server than `Listener`."""


_PIECE: Final = 65_536
"""Bytes of a long reply that are given to the connection at once."""


async def send_in_pieces(reply: HttpReply, connection: ServedConnection | None, receive: Receive, send: Send) -> None:
    """Send a reply so that neither its copying nor its encryption holds up others (`ReplySender`).

    Each piece waits until the client has taken those before it.
    """
    await send(response_start(reply))
    body = memoryview(reply.body)
    for start in range(0, max(1, len(body)), _PIECE):
        if start:
            await asyncio.sleep(0)
        more = start + _PIECE < len(body)
        await send({"type": "http.response.body", "body": bytes(body[start : start + _PIECE]), "more_body": more})


async def send_whole(reply: HttpReply, connection: ServedConnection | None, receive: Receive, send: Send) -> None:
    """Send a reply in one piece (`ReplySender`)."""
    await send(response_start(reply))
    await send({"type": "http.response.body", "body": reply.body})


def response_start(reply: HttpReply) -> dict[str, Any]:
    """The event that begins a reply (ASGI)."""
    headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
    if reply.close:
        headers.append((b"connection", b"close"))
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


class SoapApp:
    """One node over HTTP."""

    def __init__(
        self, service: PresenceWebService, *, send_reply: ReplySender = send_whole, address: str | None = None
    ) -> None:
        """`address`: base URL that the WSDL names; without it, the placeholder that the real server has there."""
        self._service = service
        self._send_reply = send_reply
        self._wsdl = wsdl() if address is None else wsdl_at(address + PATH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} is not served, only http")
        connection: ServedConnection | None = scope.get("state", {}).get("connection")
        try:
            reply = await self._reply(scope, receive)
        except ConnectionError:
            if connection is not None:
                connection.reset()
                await wait_until_gone(receive)
            return
        if reply is None:
            return
        limit = self._service.options.requests_per_connection
        if connection is not None and limit is not None and connection.requests >= limit:
            reply = replace(reply, close=True)
        await self._send_reply(reply, connection, receive, send)

    async def refuse(self, code: int, reason: str, receive: Receive, send: Send) -> None:
        """Refuse a request whose body is not read; the connection is closed."""
        await self._send_reply(self._service.refuse(code, reason), None, receive, send)

    async def _reply(self, scope: Scope, receive: Receive) -> HttpReply | None:
        """The reply to a request, or None when the client has gone."""
        if scope["path"].removesuffix("/") != PATH:
            return _plain(404, f"No such path; the service is at {PATH}.")
        if scope["method"] in ("GET", "HEAD"):
            if scope["query_string"].lower().split(b"&")[0].rstrip(b"=") != b"wsdl":
                return _plain(404, "Ask for ?wsdl, or POST a SOAP request.")
            await self._service.arrived()
            return HttpReply(200, "text/xml; charset=utf-8", self._wsdl)
        if scope["method"] != "POST":
            return _plain(405, "POST a SOAP request.")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        length = headers.get("content-length", "")
        if "transfer-encoding" in headers or not length.isascii() or not length.isdigit():
            return self._service.refuse(150, "It has no Content-Length, or is sent in chunks.")
        most = self._service.options.max_request_bytes
        if len(length) > _DIGITS or int(length) > most:
            return self._service.refuse(150, f"Its body has more than {most} bytes.")
        body = await _read(receive)
        if body is None:
            return None
        if len(body) != int(length):  # never carried out as if nothing had been announced
            return self._service.refuse(150, f"Its Content-Length is {int(length)}, and {len(body)} bytes were read.")
        return await self._service.answer(body, headers)


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or None when the client has gone."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def wait_until_gone(receive: Receive) -> None:
    """Wait until the server has noticed that the connection is closed, lest it report a missing reply."""
    message = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()


def _plain(status: int, text: str) -> HttpReply:
    return HttpReply(status, "text/plain; charset=utf-8", text.encode() + b"\n")
