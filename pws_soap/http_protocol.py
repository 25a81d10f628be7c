"""uvicorn's connection with two rules that it does not keep, for every listening socket of this project.

A request to change the protocol (`Upgrade: h2c`, as Java's client sends it with every request) is ignored, and the body
behind it is read (RFC 9110, 7.8). And the head of a request is bounded: a client that sends a header without an end
would fill the memory, and the parser copies an unfinished header with every piece of it that arrives.

It stands by itself, so that the service's listener does not load the server's side of the protocol with it, which takes
a third as long as FastAPI.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD: Final = 65536
"""Bytes of a request's head, and bytes that may come without a part of a body: browsers and proxies send far less."""

_LINE_END: Final = 4
"""Bytes of one header beside its name and value: a colon, a space and the end of the line."""
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"  # as bare as 400
)


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


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's connection: it reads the body behind an Upgrade, and answers 431 to a head of more than `MAX_HEAD`.

    Slots, since an object of more than thirty attributes in its dictionary has one of its own, of 1600 bytes.
    """

    __slots__ = ("_has_gone_on", "_head_bytes", "_idle_bytes", "_request_parser")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected (asyncio)."""
        self._idle_bytes = self._head_bytes = 0
        self._has_gone_on = False
        super().connection_made(cast("asyncio.Transport", transport))  # uvicorn's signature is narrower than asyncio's
        self._request_parser = RequestParser(self)
        self.parser = self._request_parser  # type: ignore[assignment]  # it has what uvicorn calls

    def data_received(self, data: bytes) -> None:
        """Bytes have come (asyncio)."""
        self._has_gone_on = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._idle_bytes = 0 if self._has_gone_on else self._idle_bytes + len(data)
        if self._idle_bytes > MAX_HEAD or self._head_bytes > MAX_HEAD:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """A request begins (httptools)."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the URL (httptools)."""
        self._head_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header (httptools)."""
        self._head_bytes += len(name) + len(value) + _LINE_END
        if self._head_bytes <= MAX_HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole (httptools)."""
        self._has_gone_on = True
        if self._counts:
            self.on_request()
            super().on_headers_complete()

    def on_request(self) -> None:
        """The head of a request that will be answered has been read, and counts."""

    def on_body(self, body: bytes) -> None:
        """A part of the body (httptools)."""
        self._has_gone_on = True
        if self._counts:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole (httptools)."""
        if self._counts:
            self._has_gone_on = True
            super().on_message_complete()

    @property
    def _counts(self) -> bool:
        """Whether the request that is being read is answered: not when it is reported once more, or is refused."""
        return not self._request_parser.is_provisional and self._head_bytes <= MAX_HEAD

    def _refuse_head(self) -> None:
        if self.cycle is None or self.cycle.response_complete:  # else it would end up inside a response
            self.transport.write(_TOO_LARGE)
        self.transport.close()
