"""uvicorn's connection, with a limit on how long a request may take, and with rules of HTTP that it does not keep.

A client, even one without a key, that sends half a request and then nothing would hold its connection for ever, and
their number is limited. How much one may send, and what becomes of `Upgrade`, is decided for every socket of this
project by `pws_soap.http_protocol`.

Rules for HTTP/1.0 (RFC 9112): an answer is never chunked, it ends with the connection; and no client is told to
continue. And one for a target with a host of its own, as proxies are sent it (`GET http://host/path`): that host
counts, and not the header's.

And an extension of ASGI, `service.api.sse.at_once`, for answers that last.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Callable
from typing import Final

from starlette.types import Message, Receive, Scope, Send
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from pws_soap.http_protocol import BoundedHttpProtocol
from service.access import authority
from service.api.sse import at_once

PATIENCE: Final = 60.0
"""Seconds that a whole request may take to arrive, body included."""

_UNKNOWN: Final = sys.maxsize
"""The length of a body that ends with the connection, as uvicorn counts it."""


class LimitedHttpConnection(BoundedHttpProtocol):
    """uvicorn's connection, with these limits and rules."""

    __slots__ = ("_deadline", "_is_whole", "when_gone")

    patience = PATIENCE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._is_whole = False
        self._deadline: asyncio.TimerHandle | None = None
        self.when_gone: Callable[[], object] | None = None
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)
        if self.when_gone is not None:
            self.when_gone()
            self.when_gone = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._is_whole:
            self._wait_no_more()
        else:
            self._wait()

    def on_message_begin(self) -> None:
        self._is_whole = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_whole = not self._request_parser.is_provisional

    def on_request(self) -> None:
        super().on_request()
        named = authority.of_target(self.url)
        # Without a header, or with two of them, it is malformed: so it is left.
        if named is not None and sum(name == b"host" for name, _ in self.headers) == 1:
            self.headers[:] = [(name, named if name == b"host" else value) for name, value in self.headers]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if cycle.scope["method"] == "GET":
            answer = _LastingAnswer(self, cycle)
            cycle.scope["extensions"] = {
                at_once.EXTENSION: {at_once.WRITE: answer.write, at_once.GONE: answer.call_when_gone}
            }
        is_old = cycle.scope["http_version"] in {"0.9", "1.0"}
        super()._start_asgi_task(cycle, _for_http_1_0(cycle, app) if is_old else app)

    def on_response_complete(self) -> None:
        self.when_gone = None
        super().on_response_complete()

    def _wait(self) -> None:
        """From the first byte that is missing to the last: what comes meanwhile gives no more time."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.patience, self.transport.close)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _LastingAnswer:
    """See `at_once`."""

    __slots__ = ("_connection", "_cycle")

    def __init__(self, connection: LimitedHttpConnection, cycle: RequestResponseCycle) -> None:
        # Weakly: a request that held itself would be left to the collection of garbage.
        self._connection = weakref.ref(connection)
        self._cycle = weakref.ref(cycle)

    def write(self, body: bytes) -> bool:
        """As uvicorn's `send` writes it, where that would not wait."""
        cycle = self._cycle()
        if cycle is None or not cycle.response_started or cycle.response_complete or not cycle.chunked_encoding:
            return False
        if cycle.disconnected or cycle.flow.write_paused:
            return False
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    def call_when_gone(self, callback: Callable[[], object]) -> bool:
        """Call it when the connection is lost; at once where it is."""
        connection, cycle = self._connection(), self._cycle()
        if connection is None or cycle is None or cycle.more_body or cycle.response_complete:
            return False
        if cycle.disconnected:
            callback()
        else:
            connection.when_gone = callback
        return True


def _for_http_1_0(cycle: RequestResponseCycle, app: ASGI3Application) -> ASGI3Application:
    """`app`, answering as HTTP/1.0 knows it: a body without a length ends where the connection does."""
    cycle.waiting_for_100_continue = cycle.keep_alive = False

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_open_ended = False

        async def send_unchunked(message: Message) -> None:
            nonlocal is_open_ended
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message.get("headers", ())}
                is_open_ended = not names & {b"content-length", b"transfer-encoding"}
                if is_open_ended:
                    cycle.chunked_encoding = False
            elif is_open_ended:
                # uvicorn counts down to nothing what it still expects.
                more = message.get("more_body", False)
                cycle.expected_content_length = _UNKNOWN if more else len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unchunked)  # type: ignore[arg-type]  # starlette's types of the same things

    return answer  # type: ignore[return-value]
