"""Hands events to all streams that wait for them: one bell for all, an event's bytes once for all that see the same.

A stream whose client keeps up is served here, in the publisher's turn. One that begins, lags or whose connection is
full is left to its own task (`service.api.sse.response`) until it waits again. One task looks after all of them when
nothing happens.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from service.api.sse.subscriber import Written
from service.api.sse.view import ViewKey
from service.core.clock import Clock
from service.core.events.log import EventLog

_SLICE: Final = 500
"""Streams that are served in one turn of the event loop."""


class ServedStream(Protocol):
    """What is served."""

    @property
    def view_key(self) -> ViewKey:
        """Streams with the same key are sent the same bytes."""
        ...

    def serve(self, written: Written, now: float) -> bool:
        """Send the next events, if it waits for some; whether there are more. `written` are those of its key in this
        round, `now` is monotonic."""
        ...

    def wake(self) -> None:
        """Go on in its own task."""
        ...

    def check(self) -> float:
        """Send a sign of life, or end it, where that is due. The monotonic moment of the next check."""
        ...


class Broadcast:
    """All streams of one log."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._cuts = log.cuts
        self._clock = clock
        self._streams: dict[ViewKey, dict[ServedStream, None]] = {}
        self._round: deque[tuple[ServedStream, Written]] = deque()
        """Who is to be served in this round, with what was written for its view in it."""
        self._has_more = False
        self._is_called = False
        self._checks: list[tuple[float, int, ServedStream]] = []
        self._numbers = itertools.count()
        self._checking: asyncio.Task[None] | None = None
        self._stop: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<Broadcast to {len(self)} streams>"

    def __len__(self) -> int:
        return sum(map(len, self._streams.values()))

    def shared(self, view_key: ViewKey) -> ViewKey:
        """An equal key, that of the streams that are served already where there are some: a filter may be long."""
        group = self._streams.get(view_key)
        return view_key if group is None else next(iter(group)).view_key

    def join(self, stream: ServedStream) -> None:
        """Serve it from now on, and check on it, first at once."""
        if self._stop is None:
            self._stop = self._log.ring(self._rung)
            self._checking = asyncio.create_task(self._check(), name="streams")
        self._streams.setdefault(stream.view_key, {})[stream] = None
        self._plan(stream)

    def leave(self, stream: ServedStream) -> None:
        """It has ended."""
        group = self._streams[stream.view_key]
        del group[stream]
        if not group:
            del self._streams[stream.view_key]
        if not self._streams and self._stop is not None and self._checking is not None:
            self._stop()
            self._checking.cancel()
            self._stop = self._checking = None
            self._checks.clear()

    # --- events

    def _rung(self) -> None:
        if not self._is_called:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        """A slice of a round, in which every stream that waits is served once."""
        self._is_called = False
        if self._log.closed or self._log.cuts != self._cuts:
            self._cuts = self._log.cuts
            for group in self._streams.values():
                for stream in group:
                    stream.wake()
            return
        if not self._round:
            self._has_more = False
            self._round.extend(self._all())
        now = self._clock.monotonic()
        for _ in range(min(len(self._round), _SLICE)):
            stream, written = self._round.popleft()
            if stream.serve(written, now):
                self._has_more = True
        if self._round or self._has_more:
            self._rung()

    def _all(self) -> Iterator[tuple[ServedStream, Written]]:
        for group in self._streams.values():
            written: Written = {}
            for stream in group:
                yield stream, written

    # --- when nothing happens

    async def _check(self) -> None:
        while True:
            now = self._clock.monotonic()
            while self._checks[0][0] <= now:
                _, _, stream = heapq.heappop(self._checks)
                if stream in self._streams.get(stream.view_key, ()):
                    self._plan(stream)
            await self._clock.sleep(self._checks[0][0] - now)

    def _plan(self, stream: ServedStream) -> None:
        heapq.heappush(self._checks, (stream.check(), next(self._numbers), stream))
