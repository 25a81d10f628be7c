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
"""Seconds after which a client that takes nothing is given up."""
_LOOK: Final = 15.0
"""Seconds between two looks at it at most."""

_log = logging.getLogger("pws.stream")


class NotRead(OSError):
    """The client takes nothing. An OSError, as if it had gone: the server that runs us is to drop the connection."""


class EventStream(Response):
    """`slot` is held as long as the stream lasts, and may refuse before it begins."""

    def __init__(
        self, telling: Subscriber, slot: Callable[[], AbstractContextManager[None]], clock: Clock, keep_alive: float
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(wire_format.HEADERS)
        self._telling = telling
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
                for each in tasks:
                    each.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for each in tasks:
                if not each.cancelled() and (error := each.exception()) is not None:
                    raise error

    async def _write(self, send: Send) -> None:
        await self._send(send, {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._telling.frames()) as pieces:
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
                    _log.warning("%r: the client has read nothing for %.0f seconds; ended", self._telling, STALLED)
                    raise NotRead
            else:
                due = self._sent_at + self._keep_alive
                if now >= due:
                    self._telling.remind()
                    due = now + self._keep_alive
            await self._clock.sleep(min(due - now, _LOOK))
