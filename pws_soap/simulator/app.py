"""The ASGI program of one node: HTTP around `Simulator.answer`, as a gSOAP server behaves on it.

Breaking a connection takes the connection itself: `pws_soap.simulator.listener` puts it into the scope. Without it
(under another server) a reply that should break off simply does not come.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from pws_soap.simulator.cluster import Simulator
from pws_soap.simulator.contract import wsdl
from pws_soap.simulator.exchange import ConnectionAborted, NodeDown, SimReply

PATH = "/presence-service/soap"
_PIECES = 8

# ASGI's own shapes: mappings of whatever the event holds.
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ServedConnection(Protocol):
    """What the program can do with the connection under a request."""

    requests: int

    def reset(self) -> None:
        """Break it with a RST."""

    def finish(self) -> None:
        """Send what has been written, then close it."""

    def copy(self, *, together: bool) -> Callable[[], None]:
        """Keep a copy of the reply that is sent next; what is returned sends the copy.

        With `together` the reply itself waits for that, and both are sent as one.
        """


class NodeApp:
    """One node over HTTP."""

    def __init__(self, simulator: Simulator, node: str) -> None:
        self._simulator = simulator
        self._node = node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            raise NotImplementedError(f"no {scope['type']} here")
        connection: ServedConnection | None = scope.get("state", {}).get("connection")
        try:
            reply = await self._reply(scope, receive, send)
        except (ConnectionAborted, NodeDown):
            if connection is not None:
                connection.reset()
                await _gone(receive)
            return
        if reply is None:
            return
        limit = self._simulator.options.requests_per_connection
        close = reply.close or (connection is not None and limit is not None and connection.requests >= limit)
        again = None
        if reply.again is not None and reply.cut is None and connection is not None:
            again = connection.copy(together=not reply.again)
            close = False
        headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
        if close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if reply.cut is not None:
            await send({"type": "http.response.body", "body": reply.body[: reply.cut], "more_body": True})
            if connection is not None:
                connection.finish()
                await _gone(receive)
            return
        await self._send_body(reply, send)
        if again is not None:
            if reply.again:
                self._simulator.later(reply.again, again)
            else:
                again()

    async def _reply(self, scope: Scope, receive: Receive, send: Send) -> SimReply | None:
        if scope["path"] != PATH:
            return _plain(404, "There is nothing here.")
        if scope["method"] == "GET":
            if scope["query_string"].lower().split(b"&")[0].rstrip(b"=") != b"wsdl":
                return _plain(404, "Ask for ?wsdl, or POST a SOAP request.")
            return _with_length(200, "text/xml; charset=utf-8", wsdl())
        if scope["method"] != "POST":
            return _plain(405, "POST a SOAP request.")
        headers = {name.lower(): value for name, value in scope["headers"]}
        length = headers.get(b"content-length", b"")
        if b"transfer-encoding" in headers or not length.isdigit():
            return self._simulator.refuse(150)
        if int(length) > self._simulator.options.max_request_bytes:
            return self._simulator.refuse(150)
        body = await _read(receive)
        return None if body is None else await self._simulator.answer(self._node, body)

    async def _send_body(self, reply: SimReply, send: Send) -> None:
        if not reply.seconds or len(reply.body) < _PIECES:
            if reply.seconds:
                await self._simulator.sleep(reply.seconds)
            await send({"type": "http.response.body", "body": reply.body})
            return
        size = -(-len(reply.body) // _PIECES)
        for start in range(0, len(reply.body), size):
            await self._simulator.sleep(reply.seconds / _PIECES)
            piece = reply.body[start : start + size]
            await send({"type": "http.response.body", "body": piece, "more_body": start + size < len(reply.body)})


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


async def _gone(receive: Receive) -> None:
    """Wait until the server has noticed that the connection is gone, lest it complain about a missing reply."""
    message = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()


def _plain(status: int, text: str) -> SimReply:
    return _with_length(status, "text/plain; charset=utf-8", text.encode() + b"\n")


def _with_length(status: int, content_type: str, body: bytes) -> SimReply:
    return SimReply(status, {"Content-Type": content_type, "Content-Length": str(len(body))}, body)
