"""A stream as the answer to a request: it holds a slot, ends when the client goes, and when the client does not read.

Plain ASGI: only here can be seen whether what was sent goes out. Time is the injected clock's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.disconnect import wait_for_disconnect
from service.api.sse import wire_format
from service.api.sse.subscriber import Subscriber
from service.core.clock import Clock

STALLED: Final = 60.0
"""Seconds after which a client that reads nothing is disconnected."""
_CHECK_EVERY: Final = 15.0
"""Seconds between two checks of that, at most."""

_log = logging.getLogger("pws.stream")


class NotRead(OSError):
    """The client reads nothing. An OSError, as if it had gone: the HTTP server is to drop the connection."""


class EventStream(Response):
    """`slot` is held as long as the stream lasts, and may refuse before it begins."""

    def __init__(
        self, subscriber: Subscriber, slot: Callable[[], AbstractContextManager[None]], clock: Clock, keep_alive: float
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(wire_format.HEADERS)
        self._subscriber = subscriber
        self._slot = slot
        self._clock = clock
        self._keep_alive = keep_alive
        self._sent_at = clock.monotonic()
        self._blocked_since: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._slot():
            writing = asyncio.create_task(self._write(send), name="stream")
            watching = [asyncio.create_task(wait_for_disconnect(receive)), asyncio.create_task(self._watch())]
            tasks = [writing, *watching]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in tasks:
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error

    async def _write(self, send: Send) -> None:
        await self._send(send, {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._subscriber.frames()) as pieces:
            async for piece in pieces:
                await self._send(send, {"type": "http.response.body", "body": piece, "more_body": True})
        await self._send(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, message: dict[str, object]) -> None:
        self._blocked_since = self._clock.monotonic()
        await send(message)
        self._sent_at, self._blocked_since = self._clock.monotonic(), None

    async def _watch(self) -> None:
        """Remind of the connection when it is quiet; end when nothing could be sent for too long."""
        while True:
            now = self._clock.monotonic()
            if self._blocked_since is not None:
                due = self._blocked_since + STALLED
                if now >= due:
                    _log.warning("%r: the client has read nothing for %.0f seconds; ended", self._subscriber, STALLED)
                    raise NotRead
            else:
                due = self._sent_at + self._keep_alive
                if now >= due:
                    self._subscriber.remind()
                    due = now + self._keep_alive
            await self._clock.sleep(min(due - now, _CHECK_EVERY))
