"""Sends replies that are damaged on their connection: cut off, slow, or sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

from pws_soap.server.http.app import Receive, Send, ServedConnection, response_start, wait_until_gone
from pws_soap.server.http.listener import HttpConnection
from pws_soap.server.http_reply import HttpReply
from pws_soap.simulator.faults.reply import SimReply
from pws_soap.simulator.faults.requests import Sleep

_PIECES: Final = 8
"""A slow reply is sent in 8 pieces."""


class FaultyConnection(HttpConnection):
    """A connection that can be closed in the middle of a reply, and can send a reply twice."""

    def finish(self) -> None:
        """Send what has been written, then close."""
        self.transport.close()

    def copy(self, *, together: bool) -> Callable[[], None]:
        """Keep a copy of the reply that is sent next; what is returned sends the copy.

        With `together` the reply itself waits for that, and both are sent as one.
        """
        copying = CopyingTransport(self.transport, together=together)
        self.cycle.transport = cast("asyncio.Transport", copying)  # of this one request
        return copying.send_copy


class CopyingTransport:
    """A transport that keeps a copy of what is written; with `together` nothing is sent before `send_copy`."""

    def __init__(self, transport: asyncio.Transport, *, together: bool) -> None:
        self._transport = transport
        self._together = together
        self._written: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # whatever a transport has
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send bytes, and keep them."""
        self._written.append(data)
        if not self._together:
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything has been sent; a copy that is sent together with the reply is sent before."""
        if self._together:
            self.send_copy()
        self._transport.close()

    def send_copy(self) -> None:
        """Send what was kept, once, unless the connection is gone."""
        data = b"".join(self._written)
        self._written.clear()
        if data and not self._transport.is_closing():
            self._transport.write(data * 2 if self._together else data)


class FaultySender:
    """Sends replies as `SimReply` says (`pws_soap.server.http.app.ReplySender`)."""

    def __init__(self, *, sleep: Sleep, later: Callable[[float, Callable[[], object]], None]) -> None:
        self._sleep = sleep
        self._later = later

    async def __call__(
        self, reply: HttpReply, connection: ServedConnection | None, receive: Receive, send: Send
    ) -> None:
        """Send a reply. Without a `FaultyConnection` it is not sent twice, and one that is cut off stays incomplete."""
        reply = SimReply.of(reply)
        faulty = connection if isinstance(connection, FaultyConnection) else None
        send_copy = None
        if reply.again is not None and reply.cut is None and faulty is not None:
            send_copy = faulty.copy(together=not reply.again)
            reply = replace(reply, close=False)
        await send(response_start(reply))
        if reply.cut is not None:
            await send({"type": "http.response.body", "body": reply.body[: reply.cut], "more_body": True})
            if faulty is not None:
                faulty.finish()
                await wait_until_gone(receive)
            return
        await self._send_body(reply, send)
        if send_copy is not None:
            if reply.again:
                self._later(reply.again, send_copy)
            else:
                send_copy()

    async def _send_body(self, reply: SimReply, send: Send) -> None:
        if not reply.seconds or len(reply.body) < _PIECES:
            if reply.seconds:
                await self._sleep(reply.seconds)
            await send({"type": "http.response.body", "body": reply.body})
            return
        size = -(-len(reply.body) // _PIECES)
        for start in range(0, len(reply.body), size):
            await self._sleep(reply.seconds / _PIECES)
            piece = reply.body[start : start + size]
            await send({"type": "http.response.body", "body": piece, "more_body": start + size < len(reply.body)})
