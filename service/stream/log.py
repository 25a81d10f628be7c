"""What happened, in order: the one list that streams, long polls, history and claims follow.

Contacts change in two ways. Their presence changes, and the store tells of it; and what is said of them changes with
time, a lost subscription or a claim, without any reading: live becomes stale, somebody's dwell is over. The log looks
for the second kind at every tick, so that whoever follows it and keeps the last event of each contact knows at most a
tick later what a query would answer now (`as_of` aside, which moves on with every confirmation).

Each event has a revision of its own, its id. Ids ascend; a follower's whole state is the id of the last event it took,
so that a slow one costs nothing but its own delay. The list is bounded: whoever is behind its beginning starts over.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from service.clock import Clock, Moment
from service.query import Reader, Told
from service.records import Change, ChangeKind
from service.store import Store

TICK: Final = 1.0
"""Seconds between two looks for what changed with time alone."""
DEFAULT_SIZE: Final = 10_000
_SLICE: Final = 500
"""Contacts looked at in one turn of the event loop."""

CHANGE: Final = "change"
REMOVED: Final = "removed"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `id` is its revision.

    `change`: `after` is the contact now, `before` as it was last told of (None: it is new). `removed`: `before` is all.
    Any other `name` is something beside the contacts: `data` tells of it, ready for JSON, and `keys` are the contacts
    it is about (None: everybody's business).
    """

    id: int
    name: str
    at: Moment
    key: str | None = None
    after: Told | None = None
    before: Told | None = None
    data: Mapping[str, object] = field(default_factory=dict)
    keys: frozenset[str] | None = None


Follower = Callable[[Sequence[Event]], None]
"""Takes events in their order, in the log's own turn. Must be quick and must not raise; it may `tell` and `touch`."""


class EventLog:
    """Follows the store. Make it before anything is watched; `run` looks for what changes with time.

    `size` events at least are kept.
    """

    def __init__(self, store: Store, reader: Reader, clock: Clock, size: int = DEFAULT_SIZE) -> None:
        self._store = store
        self._reader = reader
        self._clock = clock
        self._size = size
        self._events: list[Event] = []
        self._floor = store.revision
        self._last = store.revision
        self._told: dict[str, Told] = {}
        self._followers: list[Follower] = []
        self._pending: list[Event] = []
        self._handing = False
        self._news = asyncio.Event()
        self.closed = False
        self._touch([record.key for record in store.records()])
        store.changes.listen(self._changed)

    def __repr__(self) -> str:
        return f"<EventLog {len(self._events)} events up to {self._last}>"

    # --- reading

    @property
    def last(self) -> int:
        """The id of the newest event."""
        return self._last

    def since(self, after: int) -> list[Event] | None:
        """The events after the id `after`; None when some of them are kept no longer, or the id is none of ours."""
        if not self._floor <= after <= self._last:
            return None
        return self._events[bisect_right(self._events, after, key=lambda event: event.id) :]

    def told(self, key: str) -> Told | None:
        """The contact as last told of; None when it is not watched."""
        return self._told.get(key)

    def everybody(self) -> list[Told]:
        """All contacts as of the event `last`, after a look at what changed with time, in the order of their keys."""
        self.touch()
        return [self._told[key] for key in sorted(self._told)]

    async def news(self, after: int) -> None:
        """Wait until there is an event after `after`, or the log is closed."""
        while self._last <= after and not self.closed:
            await self._news.wait()

    # --- writing

    def tell(self, name: str, data: Mapping[str, object], keys: Iterable[str] | None = None) -> None:
        """Something happened beside the contacts. `data` must be fit for JSON and hold no secret."""
        about = None if keys is None else frozenset(keys)
        self._append([Event(self._store.stamp(), name, Moment.of(self._clock), data=data, keys=about)])

    def touch(self, keys: Iterable[str] | None = None) -> None:
        """Look at these contacts (all by default) now, and tell what changed about them without a reading."""
        self._touch(self._told if keys is None else keys)

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Hand over all events from now on; call what is returned to stop."""
        self._followers.append(follower)

        def stop() -> None:
            if follower in self._followers:
                self._followers.remove(follower)

        return stop

    async def run(self) -> None:
        """Look for what changes with time, for ever."""
        while True:
            await self._clock.sleep(TICK)
            keys = list(self._told)
            for start in range(0, len(keys), _SLICE):
                self._touch(keys[start : start + _SLICE])
                await asyncio.sleep(0)

    def close(self) -> None:
        """Nothing more will happen: let everybody who waits go."""
        self.closed = True
        self._news.set()

    # --- inside

    def _changed(self, changes: Sequence[Change]) -> None:
        events: list[Event] = []
        at = Moment.of(self._clock)
        for change in changes:
            key = change.record.key
            before = self._told.get(key)
            if change.kind is ChangeKind.REMOVED:
                self._told.pop(key, None)
                events.append(Event(change.revision, REMOVED, at, key, before=before))
            else:
                after = self._told[key] = self._reader.told(change.record)
                events.append(Event(change.revision, CHANGE, at, key, after, before))
        self._append(events)

    def _touch(self, keys: Iterable[str]) -> None:
        events: list[Event] = []
        at = Moment.of(self._clock)
        for key in keys:
            record, before = self._store.get(key), self._told.get(key)
            if record is None:
                continue
            after = self._reader.told(record)
            if before is not None and _says_the_same(before, after):
                continue
            self._told[key] = after
            events.append(Event(self._store.stamp(), CHANGE, at, key, after, before))
        self._append(events)

    def _append(self, events: Sequence[Event]) -> None:
        """Keep events and hand them over; what a follower tells of meanwhile comes after them."""
        if not events:
            return
        self._events.extend(events)
        self._last = events[-1].id
        if len(self._events) > 2 * self._size:
            gone = len(self._events) - self._size
            self._floor = self._events[gone - 1].id
            del self._events[:gone]
        self._news.set()
        self._news = asyncio.Event()
        self._pending.extend(events)
        if self._handing:
            return
        self._handing = True
        try:
            while self._pending:
                batch, self._pending = self._pending, []
                for follower in tuple(self._followers):
                    try:
                        follower(batch)
                    except Exception:  # noqa: BLE001  one broken follower must not cost the others an event
                        _log.exception("a follower of events failed")
        finally:
            self._handing = False


def _says_the_same(before: Told, after: Told) -> bool:
    """Whether a query would answer the same, `as_of` and `source` aside."""
    one, other = before.known, after.known
    return (
        one.record.revision == other.record.revision
        and one.freshness.level is other.freshness.level
        and one.verdict == other.verdict
        and one.claim == other.claim
        and before.opinions == after.opinions
    )
