"""One stream as a sequence of pieces of bytes: a snapshot where one is needed, then events, in the client's own pace.

Its whole state is its place in the log. As long as the client keeps up it gets every event, of which what was written
for one stream is sent to all that are at the same place of the same view (`take`). Where the sending of
pieces was held up while many things happened, what it has not got yet is sent as the last event of each contact; where
even the log no longer goes back that far, a new snapshot begins. So a slow client costs as much memory as one piece,
and the list of contacts at most, and holds nobody up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

from service.api.models.event import SnapshotReason
from service.api.sse import wire_format
from service.api.sse.resume import StreamPosition, VisibleEvent, coalesce, one_by_one, replay
from service.api.sse.view import SubscriberView, ViewKey
from service.api.writers.compact import compact
from service.api.writers.event import SNAPSHOT
from service.core.events.commits import NotCommitted
from service.core.events.log import EventLog
from service.core.meter import NO_METER, Meter, SlowClient

PIECE: Final = 32 * 1024
"""Bytes after which a piece is sent. What waits in the connection is as much again as its own buffer, 64 KiB."""
TURN: Final = 50
"""Events or contacts that one stream looks at in one turn of the event loop."""
LAG: Final = 500
"""Events that may happen while sending is held up, before the client counts as slow."""


_NOTHING: Final[deque[VisibleEvent]] = deque(maxlen=0)
"""An empty list takes as much memory as all the rest of a stream that waits, so that all have the same one."""
Written = dict[int, tuple[bytes, int] | None]
"""What follows a place in the log, for one view: a piece and the place behind it; None: it is kept no longer."""
Sending = Callable[[], Awaitable[None]]


class Subscriber:
    """One client's stream. `last_event_id` is what it sent, None where it begins."""

    __slots__ = (
        "_coalesced_until",
        "_cuts",
        "_exact_until",
        "_held",
        "_log",
        "_meter",
        "_place",
        "_quiet",
        "_reason",
        "_rest",
        "_resumed",
        "_sending",
        "_view",
        "_waiting",
    )

    def __init__(
        self, log: EventLog, view: SubscriberView, last_event_id: str | None = None, meter: Meter = NO_METER
    ) -> None:
        self._log = log
        self._cuts = log.cuts
        self._meter = meter
        self._view = view
        self._resumed = None if last_event_id is None else StreamPosition.parse(last_event_id)
        self._place = None if self._resumed is None else self._resumed.revision
        self._reason = SnapshotReason.START if last_event_id is None else SnapshotReason.NOT_KEPT
        self._rest = _NOTHING
        """What comes next, as far as it is known already."""
        self._coalesced_until = 0
        """The revision as of which a client has everything once `_rest` is sent: the end of a coalesced range."""
        self._waiting: asyncio.Future[None] | None = None
        self._sending: Sending | None = None
        """What is left to be sent of what `take` gave, before anything else."""
        self._quiet = False
        self._held = 0
        self._exact_until = 0

    def __repr__(self) -> str:
        return f"<Telling at {self._place}>"

    def count_stall(self) -> None:
        """Its client has read nothing for so long that it ends."""
        self._meter.client_was_slow(SlowClient.ENDED)

    @property
    def view_key(self) -> ViewKey:
        """What decides what it is sent."""
        return self._view.key

    @property
    def is_waiting(self) -> bool:
        """Whether it was sent everything there is, and waits: for `take`, or to be woken."""
        return self._waiting is not None

    @property
    def is_behind(self) -> bool:
        """Whether there are events that it was not sent."""
        return self._place is None or self._place < self._log.last

    @property
    def is_over(self) -> bool:
        """Whether it is to end: the log is closed, was cut, or says nothing that counts."""
        return self._log.closed or self._log.cuts != self._cuts or self._log.is_silent

    def wake(self, sending: Sending | None = None) -> None:
        """Let `frames` go on, where it waits. `sending` is awaited first: what was taken is not sent yet."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            self._sending = sending
            waiting.set_result(None)

    def take(self, written: Written) -> bytes | None:
        """The next piece for a stream that waits, which may be empty; None: `frames` must find out what comes next.

        `written` is what was taken of the same view since the last turn of the event loop.
        """
        place = self._place
        assert place is not None  # noqa: S101  a stream that waits has one
        if place not in written:
            events = self._log.since(place, TURN)
            written[place] = None if events is None else self._written(deque(one_by_one(events)), place)
        found = written[place]
        if found is None:
            return None
        piece, self._place = found
        self._held = 0
        return piece

    def remind(self) -> None:
        """Nothing was sent for a while: say that the connection lives."""
        self._quiet = True
        self.wake()

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """What to send, piece by piece. It ends when the log is closed or cut."""
        yield wire_format.BEGINNING
        if self._resumed is not None and not await self._resumes(self._resumed):
            self._place = None
        # What was missed is sent exactly, however long that takes.
        self._exact_until = self._log.last
        while not self.is_over:
            if self._place is None:
                try:
                    async for piece in self._snapshot():
                        yield piece
                except NotCommitted:
                    return  # the client begins anew, at a replica that may tell it
                continue
            known, place = await self._refill(self._place), self._place
            if piece := self._piece():
                last = self._log.last
                yield piece
                if place >= self._exact_until:
                    self._held += self._log.last - last
                await asyncio.sleep(0)
            elif not known:
                self._place, self._reason = None, SnapshotReason.BEHIND
                self._meter.client_was_slow(SlowClient.RESTARTED)
            elif self._place != place:
                await asyncio.sleep(0)
            else:
                self._held = 0
                if self._quiet:
                    self._quiet = False
                    yield wire_format.KEEP_ALIVE
                elif not self.is_over:
                    await self._wait()

    # --- inside

    async def _wait(self) -> None:
        """Until `wake`; then until what was taken meanwhile is sent."""
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None
        sending, self._sending = self._sending, None
        if sending is not None:
            last = self._log.last
            await sending()
            self._held += self._log.last - last

    async def _resumes(self, position: StreamPosition) -> bool:
        """Whether the log has all that the client does not know. The rest of a coalesced range comes first."""
        await self._log.caught_up(position.newest)
        if self._log.since(position.newest, 0) is None:
            return False
        if position.range is None:
            return self._log.since(position.known, 0) is not None
        events = self._log.since(position.known)
        if events is None:
            return False
        self._rest = deque(await replay(events, position, self._view.visible))
        self._coalesced_until = position.newest
        return True

    async def _refill(self, place: int) -> bool:
        """Have something to tell, if anything happened; False when the log does not go back that far."""
        if self._rest:
            return True
        if self._held > LAG and (events := self._log.since(place)):
            self._held = 0
            self._meter.client_was_slow(SlowClient.COALESCED)
            self._rest = deque(await coalesce(events, place, self._view.visible))
            self._coalesced_until = events[-1].id
            return True
        found = self._log.since(place, TURN)
        self._rest = deque(one_by_one(found)) if found else _NOTHING
        return found is not None

    def _piece(self) -> bytes:
        """Some of what is to be sent, as bytes; the place moves on to the last of it."""
        if self._place is None:
            return b""
        piece, place = self._written(self._rest, self._place)
        self._place = place
        if not self._rest:
            self._rest, self._place = _NOTHING, max(place, self._coalesced_until)
        return piece

    def _written(self, steps: deque[VisibleEvent], place: int) -> tuple[bytes, int]:
        """The first of some events, which are taken out, as bytes, and the place behind them."""
        frames: list[bytes] = []
        size = 0
        while steps and size < PIECE and len(frames) < TURN:
            step = steps.popleft()
            place = step.event.id
            frames.append(self._view.event(step))
            size += len(frames[-1])
        return b"".join(frames), place

    async def _snapshot(self) -> AsyncGenerator[bytes, None]:
        """Everybody who passes, as of one id, however long the sending takes."""
        everybody, at = await self._view.everybody(self._log)
        yield wire_format.head(SNAPSHOT, str(at)) + b'{"contacts":['
        comma = b""
        for start in range(0, len(everybody), TURN):
            contacts = await self._view.contacts(self._log, everybody[start : start + TURN], start, at)
            if self.is_over:
                return
            if contacts:
                yield comma + contacts
                comma = b","
            await asyncio.sleep(0)
        self._place, self._held = at, 0
        yield b'],"revision":%d,"reason":%b}\n\n' % (at, compact(self._reason))
