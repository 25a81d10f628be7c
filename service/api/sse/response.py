"""A stream as the answer to a request: it holds a slot, ends when the client goes, and when the client does not read.

Plain ASGI: only here can be seen whether what was sent goes out. Time is the injected clock's. The route only begins
it: it goes on outside of the framework (`service.api.middleware.long_answers`), which would keep all that it made of
the request for as long as the stream lasts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.access.authentication import Authenticator
from service.api.disconnect import wait_for_disconnect
from service.api.middleware.long_answers import continue_with
from service.api.sse import at_once, wire_format
from service.api.sse.at_once import CallWhenGone, WriteAtOnce
from service.api.sse.broadcast import Broadcast
from service.api.sse.send_now import Unfinished, begin
from service.api.sse.subscriber import Subscriber, Written
from service.api.sse.view import ViewKey
from service.core.clock import Clock

STALLED: Final = 60.0
"""Seconds after which a client that reads nothing is disconnected."""
_CHECK_EVERY: Final = 15.0
"""Seconds between two checks of that, at most."""

_HEADERS: Final = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in wire_format.HEADERS.items()]

_log = logging.getLogger("pws.stream")


class NotRead(OSError):
    """The client reads nothing. An OSError, as if it had gone: the HTTP server is to drop the connection."""


class EventStream(Response):
    """`slot` is held as long as the stream lasts, and may refuse before it begins."""

    def __init__(
        self,
        subscriber: Subscriber,
        slot: Callable[[], AbstractContextManager[None]],
        broadcast: Broadcast,
        authenticator: Authenticator,
        clock: Clock,
        keep_alive: float,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.raw_headers = _HEADERS
        self._subscriber = subscriber
        self._slot = slot
        self._broadcast = broadcast
        self._authenticator = authenticator
        self._clock = clock
        self._keep_alive = keep_alive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = StreamConnection(
            self._subscriber,
            self._broadcast,
            self._authenticator,
            *at_once.taken_from(scope),
            self._clock,
            self._keep_alive,
        )
        start = {"type": "http.response.start", "status": self.status_code, "headers": list(_HEADERS)}
        continue_with(scope, start, connection.run, self._slot())


class StreamConnection:
    """The stream on its connection."""

    __slots__ = (
        "_authenticator",
        "_blocked_since",
        "_broadcast",
        "_call_when_gone",
        "_clock",
        "_has_gone",
        "_has_stalled",
        "_keep_alive",
        "_lifetime",
        "_rules",
        "_send",
        "_sent_at",
        "_subscriber",
        "_unfinished",
        "_write_at_once",
    )

    def __init__(
        self,
        subscriber: Subscriber,
        broadcast: Broadcast,
        authenticator: Authenticator,
        write_at_once: WriteAtOnce,
        call_when_gone: CallWhenGone,
        clock: Clock,
        keep_alive: float,
    ) -> None:
        self._subscriber = subscriber
        self._broadcast = broadcast
        self._authenticator = authenticator
        self._rules = authenticator.rules
        self._write_at_once = write_at_once
        self._call_when_gone = call_when_gone
        self._clock = clock
        self._keep_alive = keep_alive
        self._sent_at = clock.monotonic()
        self._blocked_since: float | None = None
        self._has_stalled = self._has_gone = False
        self._unfinished: Unfinished | None = None
        self._send: Send
        self._lifetime: asyncio.Timeout | None = None

    async def run(self, receive: Receive, send: Send) -> None:
        """Send the body until the log is closed or the client goes. Raises NotRead."""
        self._send = send
        gone: asyncio.Task[None] | None = None
        frames = self._subscriber.frames()
        self._broadcast.join(self)
        try:
            async with asyncio.timeout(None) as self._lifetime:
                if not self._call_when_gone(self._gone):
                    gone = asyncio.create_task(wait_for_disconnect(receive))
                    gone.add_done_callback(self._gone)
                del receive, self._call_when_gone
                async for piece in frames:
                    await self._send_waiting(_body(piece))
                await self._send_waiting({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            if self._has_stalled:
                raise NotRead from None
            if not self._has_gone:
                raise
            if gone is not None:
                gone.result()
        finally:
            self._broadcast.leave(self)
            self._lifetime = None
            if self._unfinished is not None:
                self._unfinished.close()
            await frames.aclose()
            if gone is not None:
                gone.cancel()
                await asyncio.gather(gone, return_exceptions=True)

    async def _send_waiting(self, message: dict[str, object]) -> None:
        self._blocked_since = self._clock.monotonic()
        await self._send(message)
        self._sent_at, self._blocked_since = self._clock.monotonic(), None

    def _gone(self, _task: object = None) -> None:
        """The client has."""
        self._has_gone = True
        self._end()

    def _end(self) -> None:
        """Break off whatever is waited for."""
        if self._lifetime is not None and not self._lifetime.expired():
            self._lifetime.reschedule(asyncio.get_running_loop().time())

    # --- as the broadcast sees it

    @property
    def view_key(self) -> ViewKey:
        """See broadcast.ServedStream."""
        return self._subscriber.view_key

    def wake(self) -> None:
        """See broadcast.ServedStream."""
        self._subscriber.wake()

    def serve(self, written: Written, now: float) -> bool:
        """See broadcast.ServedStream."""
        subscriber = self._subscriber
        if not subscriber.is_waiting:
            return False
        try:
            piece = subscriber.take(written)
            if piece and not self._is_written(piece):
                self._unfinished = begin(self._send(_body(piece)))
        except Exception as error:  # noqa: BLE001  it ends this stream, in its own task, and no other
            subscriber.wake(partial(_fail, error))
            return False
        if piece is None:
            subscriber.wake()
            return False
        if self._unfinished is not None:
            self._blocked_since = now
            subscriber.wake(self._finish)
            return False
        if piece:
            self._sent_at = now
        return subscriber.is_behind

    def _is_written(self, piece: bytes) -> bool:
        """As long as the rules are those that let it in, nothing that wraps `send` has a say about a piece."""
        return self._authenticator.rules is self._rules and self._write_at_once(piece)

    async def _finish(self) -> None:
        """Wait until what was begun is sent."""
        unfinished = self._unfinished
        if unfinished is not None:
            await unfinished
        self._unfinished = None
        self._sent_at, self._blocked_since = self._clock.monotonic(), None

    def check(self) -> float:
        """See broadcast.ServedStream."""
        now = self._clock.monotonic()
        if self._blocked_since is not None:
            due = self._blocked_since + STALLED
            if now >= due:
                if not self._has_stalled:
                    _log.warning(
                        "%(stream)r: the client has read nothing for %(seconds).0f seconds; ended",
                        {"stream": self._subscriber, "seconds": STALLED},
                        extra={"event": "stream.stalled"},
                    )
                    self._subscriber.count_stall()
                self._has_stalled = True
                self._end()
                return now + _CHECK_EVERY
        else:
            due = self._sent_at + self._keep_alive
            if now >= due:
                self._subscriber.remind()
                due = now + self._keep_alive
        return min(due, now + min(self._keep_alive, _CHECK_EVERY))


def _body(piece: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": piece, "more_body": True}


async def _fail(error: Exception) -> None:
    raise error
