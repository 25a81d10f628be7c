"""Limits what a connection may cost before its request is complete: bytes without progress, and seconds.

uvicorn limits neither. A client, even one without a key, that sends a header without an end would fill the memory; one
that sends half a request and then nothing would hold its connection for ever, and their number is limited.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD: Final = 65536
"""Bytes that may come without an end of the headers or a part of a body: browsers and proxies send far less."""
PATIENCE: Final = 60.0
"""Seconds that a whole request may take to arrive, body included."""

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"  # as bare as 400
)


class LimitedHttpConnection(HttpToolsProtocol):
    """uvicorn's connection, with these limits."""

    patience = PATIENCE

    _idle_bytes = 0
    _has_gone_on = False
    _is_whole = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
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
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._has_gone_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._has_gone_on = self._is_whole = True
        super().on_message_complete()

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
