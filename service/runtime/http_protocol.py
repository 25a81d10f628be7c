"""uvicorn's connection, with limits on what a request may cost, and with three rules of HTTP that it does not keep.

Limits: bytes without progress, and seconds, before a request is complete. A client, even one without a key, that sends
a header without an end would fill the memory; one that sends half a request and then nothing would hold its connection
for ever, and their number is limited.

Rules (RFC 9110, 9112): a request to change the protocol (`Upgrade: h2c`, as Java's client sends it with every request)
is ignored, and the body behind it is read; an answer to HTTP/1.0 is never chunked, it ends with the connection; and
HTTP/1.0 is not told to continue.

And an extension of ASGI, `service.api.sse.at_once`: a part of a body without the steps that `send` takes.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Iterable
from functools import partial
from typing import Final, Protocol

import httptools
from starlette.types import Message, Receive, Scope, Send
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.api.sse import at_once

MAX_HEAD: Final = 65536
"""Bytes that may come without an end of the headers or a part of a body: browsers and proxies send far less."""
PATIENCE: Final = 60.0
"""Seconds that a whole request may take to arrive, body included."""

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"  # as bare as 400
)

_UNKNOWN: Final = sys.maxsize
"""The length of a body that ends with the connection, as uvicorn counts it."""


class _HeadReader(Protocol):
    """What the parser reports to."""

    url: bytes
    headers: list[tuple[bytes, bytes]]


class RequestParser:
    """httptools' parser, but one that reads the body of a request that asks for another protocol.

    httptools takes what follows such a head for that other protocol, and reports a request without a body. So the head
    is given to a new parser once more, without the headers that ask, and what follows behind it.
    """

    def __init__(self, reader: _HeadReader) -> None:
        self._reader = reader
        self._parser = self._made()

    def _made(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self._reader)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does, for pipelined requests
        return parser

    def set_dangerous_leniencies(self, **_leniencies: bool) -> None:
        """Done already, for every parser that is made."""

    @property
    def is_provisional(self) -> bool:
        """Whether what is reported now is reported once more, as the request that counts."""
        return self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT"

    def feed_data(self, data: bytes) -> None:
        """Parse `data`. Raises as httptools' parser does."""
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if not self.is_provisional:
                    raise
                data = self._head() + data[upgrade.args[0] :]
                self._parser = self._made()
            else:
                return

    def _head(self) -> bytes:
        """The head that was just read, as if the client had not asked for another protocol."""
        version = self._parser.get_http_version().encode()
        lines = [self._parser.get_method() + b" " + self._reader.url + b" HTTP/" + version]
        lines += [name + b": " + value for name, value in _without_upgrade(self._reader.headers)]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def get_http_version(self) -> str:
        """Such as 1.1."""
        return self._parser.get_http_version()

    def get_method(self) -> bytes:
        """Such as GET."""
        return self._parser.get_method()

    def should_keep_alive(self) -> bool:
        """Whether the client may send more requests."""
        return self._parser.should_keep_alive()

    def should_upgrade(self) -> bool:
        """Never: there is one protocol here."""
        return False


def _without_upgrade(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    for name, value in headers:
        if name == b"connection":
            options = [option for option in value.split(b",") if option.strip().lower() != b"upgrade"]
            if options:
                yield name, b",".join(options)
        elif name != b"upgrade":
            yield name, value


class LimitedHttpConnection(HttpToolsProtocol):
    """uvicorn's connection, with these limits and rules."""

    patience = PATIENCE

    _idle_bytes = 0
    _has_gone_on = False
    _is_whole = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self._request_parser = RequestParser(self)
        self.parser = self._request_parser  # type: ignore[assignment]  # it has what uvicorn calls
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._has_gone_on = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._idle_bytes = 0 if self._has_gone_on else self._idle_bytes + len(data)
        if self._idle_bytes > MAX_HEAD:
            self._refuse()
        elif self._is_whole:
            self._wait_no_more()
        else:
            self._wait()

    def on_message_begin(self) -> None:
        self._is_whole = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._has_gone_on = True
        if not self._request_parser.is_provisional:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._has_gone_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._request_parser.is_provisional:
            return
        self._has_gone_on = self._is_whole = True
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # Weakly: a request that held itself would be left to the collection of garbage.
        write = partial(_write_at_once, weakref.ref(cycle))
        cycle.scope["extensions"] = {at_once.EXTENSION: {at_once.WRITE: write}}
        is_old = cycle.scope["http_version"] in {"0.9", "1.0"}
        super()._start_asgi_task(cycle, _for_http_1_0(cycle, app) if is_old else app)

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:  # else it would end up inside a response
            self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _wait(self) -> None:
        """From the first byte that is missing to the last: what comes meanwhile gives no more time."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.patience, self.transport.close)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _write_at_once(known: weakref.ref[RequestResponseCycle], body: bytes) -> bool:
    """See `at_once`. As uvicorn's `send` writes it, where that would not wait."""
    cycle = known()
    if cycle is None or not cycle.response_started or cycle.response_complete or not cycle.chunked_encoding:
        return False
    if cycle.disconnected or cycle.flow.write_paused or cycle.scope["method"] == "HEAD":
        return False
    cycle.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
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
