"""One HTTP/1.1 connection to a target: one request at a time, and the head of its answer.

The status decides as soon as the head of the answer is there. Whatever comes behind it, a body of any length, one where
HTTP has none, bytes that are no HTTP, a reset, decides only whether the connection may carry another request. HTTP is
h11's business, asyncio carries the bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

import h11

MOST_READ: Final = 16 * 1024
"""Bytes of an answer's body that are read, so that its connection can be used again; a longer one is closed."""
_READ_FOR: Final = 1.0
"""Seconds for which they are read."""
_CLOSED: Final = "it closed the connection without an answer"
_MOST_INTERIM: Final = 64
"""Interim answers (1xx) before an answer; more are no answer of an honest server."""


class AnswerHead(NamedTuple):
    """What counts of an answer. `reason` is what stands behind the status, `retry_after` the header as it came."""

    status: int
    reason: str
    retry_after: str | None


class ClosedUnanswered(Exception):
    """The connection was closed before the head of an answer was there."""


class AnswerUnreadable(Exception):
    """What came is no answer of HTTP."""


class TargetConnection(asyncio.Protocol):
    """A connection. `idle_since` is the loop's time at which its last answer ended."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._arrived = asyncio.Event()
        self._is_asking = self._is_ended = False
        self._error: Exception | None = None
        self.closed = asyncio.Event()
        self.idle_since = 0.0

    def __repr__(self) -> str:
        return f"<TargetConnection {'open' if self.is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether it can carry another request, as far as is known."""
        return self._transport is not None and not self._transport.is_closing()

    async def post(self, path: bytes, headers: Mapping[str, str], body: bytes) -> AnswerHead:
        """Send a POST; the head of its answer, behind which `read_out` has to be called.

        Raises ClosedUnanswered, AnswerUnreadable, or the OSError that ended the connection, which is closed then.
        """
        self._is_asking = True
        try:
            given = [(name.encode(), value.encode()) for name, value in headers.items()]
            request = h11.Request(method=b"POST", target=path, headers=[*given, (b"content-length", b"%d" % len(body))])
            sent = [self._http.send(event) for event in (request, h11.Data(data=body), h11.EndOfMessage())]
            if self._transport is not None:  # else `_head` says why
                self._transport.write(b"".join(each or b"" for each in sent))
            return await self._head()
        except h11.RemoteProtocolError as error:
            self.abort()
            if self._is_ended:  # in the middle of a head, for h11
                raise ClosedUnanswered(_CLOSED) from None
            why = str(error).partition(":")[0].partition("(")[0].strip()[:80]  # without its bytes
            raise AnswerUnreadable(f"its answer is no HTTP: {why}") from None
        except BaseException:
            self.abort()
            raise

    async def read_out(self) -> None:
        """Read the rest of the answer, if it is short, and be ready for another request; else close the connection."""
        is_whole = False
        try:
            is_whole = await self._is_read_out()
        finally:
            self._is_asking = False
            if is_whole:
                self._http.start_next_cycle()
                self.idle_since = asyncio.get_running_loop().time()
            else:
                self.abort()

    def abort(self) -> None:
        """Close it at once; TLS says no farewell."""
        if self._transport is not None:
            self._transport.abort()

    # --- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # that of a stream, as a connection's is

    def data_received(self, data: bytes) -> None:
        if not self._is_asking:  # bytes that no request asked for
            self.abort()
            return
        self._http.receive_data(data)
        self._arrived.set()

    def eof_received(self) -> bool:
        self._is_ended = True
        if self._is_asking:
            self._http.receive_data(b"")
            self._arrived.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport, self._error = None, exc
        self._arrived.set()
        self.closed.set()

    # --- inside

    async def _head(self) -> AnswerHead:
        for _ in range(_MOST_INTERIM):
            event = await self._event()
            if isinstance(event, h11.Response):
                headers = dict(event.headers)
                asked = headers.get(b"retry-after")
                reason = event.reason.decode("latin-1")
                return AnswerHead(event.status_code, reason, None if asked is None else asked.decode("latin-1"))
        raise AnswerUnreadable("its answer is no HTTP: too many interim answers")

    async def _is_read_out(self) -> bool:
        read = 0
        try:
            async with asyncio.timeout(_READ_FOR):
                while not isinstance(event := await self._event(), h11.EndOfMessage):
                    read += len(event.data) if isinstance(event, h11.Data) else 0
                    if read > MOST_READ:
                        return False
        except (TimeoutError, OSError, ClosedUnanswered, h11.RemoteProtocolError):
            return False
        behind, _ = self._http.trailing_data
        return not behind and self._http.our_state is h11.DONE and self._http.their_state is h11.DONE and self.is_open

    async def _event(self) -> h11.Event:
        while True:
            self._arrived.clear()
            event = self._http.next_event()
            if isinstance(event, h11.ConnectionClosed):
                raise self._error or ClosedUnanswered(_CLOSED)
            if isinstance(event, h11.Event):
                return event
            if self._transport is None:
                raise self._error or ClosedUnanswered(_CLOSED)
            await self._arrived.wait()
