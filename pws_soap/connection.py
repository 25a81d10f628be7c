"""One HTTP/1.1 connection to a node: one request at a time, and no bytes that no request asked for.

A reply proves something about a request only if it cannot be the reply to another one. So a connection on which
anything comes that nobody asked for, while it is idle or behind the end of a reply, is closed at once and never used
again. HTTP itself is h11's business, asyncio carries the bytes.
"""

from __future__ import annotations

import asyncio
import select
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

import h11

_MAX_INFORMATIONAL: Final = 16
"""Interim replies (1xx) that one reply may have before it; more are no reply of an honest server."""
_PIECES_PER_TURN: Final = 64
"""Chunks of a reply, or steps of a decompression, in one turn of the loop: about a millisecond."""
_INFLATED_AT_ONCE: Final = 64 * 1024
"""Bytes that one step of a decompression gives at most."""
_IN_THE_MIDDLE: Final = "closed in the middle of the reply"
_GZIP: Final = frozenset({b"gzip", b"x-gzip", b"deflate"})


class BrokenOff(Exception):
    """The connection ended, or was cut, before the reply was complete. `cause` is what the system raised, if it did."""

    def __init__(self, text: str, cause: Exception | None = None) -> None:
        self.cause = cause
        super().__init__(text)


class NotHttp(Exception):
    """The bytes received are not HTTP. The message says why and repeats none of them."""


class TooLarge(Exception):
    """The reply is larger than the cap; the rest was not read."""


@dataclass(frozen=True, slots=True)
class RawReply:
    """Status and body of a reply, and the headers in lower case."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = field(repr=False)


class RequestHead(NamedTuple):
    """The head of a request as h11 sees it, and its bytes."""

    event: h11.Request
    head: bytes

    @classmethod
    def of(cls, method: str, target: str, headers: list[tuple[str, str]]) -> RequestHead:
        """h11 checks the head and writes it."""
        event = h11.Request(method=method, target=target, headers=headers)
        return cls(event, h11.Connection(h11.CLIENT).send(event) or b"")


class Patience(NamedTuple):
    """How long a reply may take, in seconds: until its next bytes come, and in all."""

    piece: float
    whole: float


class Connection(asyncio.Protocol):
    """A connection. `ended` is called once when it is closed. `carried` names the operations of its replies so far."""

    def __init__(self, ended: Callable[[Connection], None]) -> None:
        self._ended = ended
        self._request: RequestHead
        self._sent = b""
        self._http: h11.Connection | None = None  # of the request under way, once its reply comes
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[RawReply] | None = None
        self._status = 0
        self._headers: tuple[tuple[bytes, bytes], ...] = ()
        self._body = bytearray()
        self._squeezed = b""
        self._cap = 0
        self._inflate: zlib._Decompress | None = None
        self._informational = 0
        self.pieces = 0
        """How often bytes of the reply under way have come."""
        self.replies = 0
        self.carried: set[str] = set()

    def __repr__(self) -> str:
        return f"<Connection {'open' if self.is_open else 'closed'}, {self.replies} replies>"

    # For the pool

    @property
    def is_open(self) -> bool:
        """Whether it can carry another request, as far as is known."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_silent(self) -> bool:
        """Whether nothing lies unread in the system's buffer: neither bytes nor the connection's end."""
        if self._transport is None:
            return False
        socket = self._transport.get_extra_info("socket")
        return socket is None or not _readable(socket.fileno())

    async def ask(self, request: RequestHead, body: bytes, cap: int, patience: Patience) -> RawReply:
        """Send a request and read its reply, of at most `cap` bytes.

        Raises BrokenOff, NotHttp or TooLarge, and TimeoutError where no bytes come for too long, or not all of them.
        """
        if self._transport is None or self._transport.is_closing() or self._waiter is not None:
            raise BrokenOff("closed by the server")
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[RawReply] = loop.create_future()
        self._waiter, self._request, self._sent, self._cap = waiter, request, body, cap
        self._http, self.pieces = None, 0
        self._body, self._squeezed, self._inflate, self._informational = bytearray(), b"", None, 0
        self._timer = loop.call_later(patience.piece, self._look, patience, loop.time() + patience.whole, 0)
        try:
            self._transport.write(request.head + body)
            return await waiter
        finally:
            self._timer.cancel()
            self._waiter = None
            if not waiter.done() or waiter.cancelled() or waiter.exception() is not None:
                self.abort()

    def _look(self, patience: Patience, until: float, before: int) -> None:
        """Give up if there are no more pieces than `before`, or the whole time is over."""
        loop = asyncio.get_running_loop()
        left = until - loop.time()
        if self.pieces == before or left <= 0:
            self._fail(TimeoutError())
        else:
            self._timer = loop.call_later(min(patience.piece, left), self._look, patience, until, self.pieces)

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # that of a stream, as a connection's is

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            self._reject()
            return
        self.pieces += 1
        self._feed(data)

    def eof_received(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._feed(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(BrokenOff(str(exc) if exc is not None and str(exc) else "closed by the server", exc))
        self._ended(self)

    # Inside

    def _feed(self, data: bytes) -> None:
        with self._told(data):
            self._parser().receive_data(data)
            self._read()

    def _parser(self) -> h11.Connection:
        """The parser of the reply under way, which needs to know what was asked."""
        if self._http is None:
            self._http = h11.Connection(h11.CLIENT)
            self._http.send(self._request.event)
            if self._sent:
                self._http.send(h11.Data(data=self._sent))
            self._http.send(h11.EndOfMessage())
        return self._http

    def _go_on(self) -> None:
        """Read on after a pause, unless the connection has ended meanwhile."""
        if self._waiter is None or self._waiter.done() or self._transport is None:
            return
        self._transport.resume_reading()
        with self._told(b"more"):
            self._read()

    def _read(self) -> None:
        """Take in what has come: so many pieces in one turn of the loop, and the rest in the next.

        A server can cut its reply into pieces of one byte, or compress megabytes into a few of them.
        """
        for _ in range(_PIECES_PER_TURN):
            if self._squeezed:
                self._inflate_some()
                continue
            event = self._parser().next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            if isinstance(event, h11.EndOfMessage):
                self._end()
                return
            self._take(event)
        if self._transport is not None:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)

    @contextmanager
    def _told(self, data: bytes) -> Iterator[None]:
        """Tells the caller that waits why a reply cannot be read, and ends the connection."""
        try:
            yield
        except h11.RemoteProtocolError as error:
            http = self._parser()
            begun, _ = http.trailing_data
            if not data and (not begun or begun.startswith(b"HTTP/")):
                middle = begun or self._body or http.their_state is not h11.SEND_RESPONSE
                self._fail(BrokenOff(_IN_THE_MIDDLE if middle else "closed without a reply"))
            else:
                self._fail(NotHttp(str(error).partition(":")[0].partition("(")[0].strip()[:80]))
            self.abort()
        except (zlib.error, NotHttp, TooLarge) as error:
            self._fail(NotHttp("compression that cannot be undone") if isinstance(error, zlib.error) else error)
            self.abort()

    def _take(self, event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]) -> None:
        if isinstance(event, h11.InformationalResponse):
            self._informational += 1
            if self._informational > _MAX_INFORMATIONAL:
                raise h11.RemoteProtocolError("too many interim replies")
        elif isinstance(event, h11.Response):
            self._status, self._headers = event.status_code, tuple(event.headers)
            coding = next((value.strip().lower() for name, value in self._headers if name == b"content-encoding"), b"")
            if coding in _GZIP:
                self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
            elif coding not in {b"", b"identity"}:
                raise h11.RemoteProtocolError("a compression that nobody asked for")
        elif isinstance(event, h11.Data):
            if self._inflate is not None:
                self._squeezed = bytes(event.data)
            else:
                self._keep(event.data)
        elif isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError(_IN_THE_MIDDLE)

    def _inflate_some(self) -> None:
        """Undo the next bit of a compression: so many bytes at a time, however small it was."""
        assert self._inflate is not None  # noqa: S101  # what is compressed has set it
        behind = self._inflate.eof  # zlib would keep all that comes behind the end, and copy it each time
        if not behind:
            self._keep(self._inflate.decompress(self._squeezed, _INFLATED_AT_ONCE))
            behind = bool(self._inflate.unused_data)
        if behind:
            self._squeezed = b""
            raise NotHttp("more bytes behind the end of the compression")
        self._squeezed = self._inflate.unconsumed_tail

    def _keep(self, data: bytes | bytearray) -> None:
        if len(self._body) + len(data) > self._cap:
            raise TooLarge
        self._body += data

    def _end(self) -> None:
        """h11 has found the end of the reply."""
        if self._inflate is not None and not self._inflate.eof:
            self._fail(BrokenOff("the compressed reply is incomplete"))
            self.abort()
            return
        http, body = self._parser(), bytes(self._body)
        self._body = bytearray()
        behind, _ = http.trailing_data
        lasts = http.their_state is h11.DONE and http.our_state is h11.DONE
        self._finish(RawReply(self._status, self._headers, body), behind=bool(behind), lasts=lasts)

    def _finish(self, reply: RawReply, *, behind: bool, lasts: bool) -> None:
        """The reply is whole; `behind`: bytes came behind it. `lasts`: the connection may carry another one."""
        self.replies += 1
        self._http = None
        if behind and self.replies > 1:  # the first of them may be an earlier reply that came twice
            self._fail(NotHttp("more than one reply came to one request"))
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(reply)
        if behind:
            self._reject()
        elif not lasts:
            self.abort()

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _reject(self) -> None:
        """Close after bytes that no request asked for: neither they nor later bytes can be attributed to a request."""
        if self.is_open:
            self.abort()


def _readable(number: int) -> bool:
    """Whether a descriptor has bytes to read, or its end."""
    if number < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([number], [], [], 0)[0])
