"""What happened, in order: the one list that streams, long polls, history and claims follow.

Contacts change in two ways. Their presence changes, and the store publishes that; and what is said of them changes with
time, a lost subscription or a claim, without any reading: live becomes stale, somebody's dwell is over. The log looks
for the second kind at every tick, and at once when the store says that something is in doubt, or no longer; whom it has
to look at is decided by `agenda`. So a client that follows it and keeps the last event of each contact knows at most a
tick later what a query would answer now (`as_of` aside, which moves on with every confirmation).

Each event has a revision of its own, its id. Ids ascend; a follower's whole state is the id of the last event it took,
so that a slow one costs nothing but its own delay. The list is bounded: a client behind its beginning starts over.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from service.core.clock import Clock, Moment
from service.core.events.agenda import Agenda
from service.core.events.event import CHANGE, REMOVED, Event, EventData
from service.core.events.validity import is_certainly_the_same, next_moment, says_the_same
from service.core.presence.boundaries import SLACK
from service.core.presence.brief import marked
from service.core.presence.freshness import Freshness, last_known
from service.core.presence.query import Reader
from service.core.presence.records import Change, ChangeKind, Feed, Record
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot
from service.core.presence.store import Store
from service.core.wakeup import sleep_until_woken

TICK: Final = 1.0
"""Seconds between two looks for what changed with time alone."""
GAP: Final = 0.05
"""Seconds between two looks at least, however often the store has doubts."""
DEFAULT_SIZE: Final = 10_000
_SLICE: Final = 500  # contacts looked at closely in one turn of the event loop

_log = logging.getLogger("pws.events")

Follower = Callable[[Sequence[Event]], None]
"""Takes events in their order, in the log's own turn. Must be quick and must not raise; it may `tell` and `touch`."""
Bell = Callable[[], None]
"""Only hears that there is something. Must be quick, must not raise, and must not use the log."""


class EventLog:
    """Follows the store. Make it before anything else listens to it; `run` looks for what changes with time.

    `size` events at least are kept.
    """

    def __init__(self, store: Store, reader: Reader, clock: Clock, size: int = DEFAULT_SIZE) -> None:
        self._store = store
        self._reader = reader
        self._clock = clock
        self._size = size
        self._events: list[Event] = []
        self._weight = 0
        self._about: frozenset[str] | None = None
        self._floor = store.revision
        self._last = store.revision
        self._agenda = Agenda(reader.bound, store.keys)
        self._certain_of, self._certain_until = -1, 0.0
        self._followers: list[Follower] = []
        self._bells: dict[object, Bell] = {}
        self._pending: list[Event] = []
        self._handing = False
        self._arrived = asyncio.Event()
        self._doubted = asyncio.Event()
        self.closed = False
        self.touch(record.key for record in store.records())
        store.changes.listen(self._changed)
        store.changes.listen_for_doubts(self._doubted.set)
        store.changes.listen_for_replaced(self._agenda.suspect)
        store.changes.listen_for_reread(self._agenda.suspect_aged)

    def __repr__(self) -> str:
        return f"<EventLog {len(self._events)} events up to {self._last}>"

    # --- reading

    @property
    def last(self) -> int:
        """The id of the newest event."""
        return self._last

    @property
    def floor(self) -> int:
        """The id of the newest event that is kept no longer: from there on one can resume."""
        return self._floor

    def since(self, after: int, limit: int | None = None) -> list[Event] | None:
        """The events after the id `after`, the first `limit` of them; None when some of them are kept no longer, or the
        id is none of ours."""
        if not self._floor <= after <= self._last:
            return None
        start = bisect_right(self._events, after, key=lambda event: event.id)
        return self._events[start:] if limit is None else self._events[start : start + limit]

    def snapshot(self, key: str) -> GroupedSnapshot | None:
        """The contact as of its last event; None when it is not watched."""
        return self._agenda.snapshot(key)

    def as_now(self, record: Record) -> GroupedSnapshot:
        """What would be said of a contact now, its claim left aside: as of its last event, where that is certain."""
        self._refresh()
        return self._agenda.certain(record.key) or self._reader.snapshot(record)

    def uncertain(self, among: Collection[str] | None = None) -> list[str]:
        """Those (of some contacts) of whom something else may be said now than in their last event."""
        self._refresh()
        return self._agenda.suspected(among)

    @property
    def certain_until(self) -> float:
        """The monotonic moment up to which time alone makes nobody uncertain."""
        self._refresh()
        return self._certain_until

    def everybody(self) -> list[GroupedSnapshot]:
        """All contacts as of the event `last`, after a look at what changed with time, in the order of their keys."""
        self.touch()
        return list(self._agenda.snapshots(self._store.ordered_keys()))

    def confirmed(self, snapshot: GroupedSnapshot) -> GroupedSnapshot:
        """The same, known to be true until later where it was confirmed since."""
        contact, record, (level, as_of, reason) = snapshot.contact, snapshot.contact.record, snapshot.contact.freshness
        if self._store.get(record.key) is not record:
            return snapshot
        latest = last_known(record, self._store.feeds()[record.feed])
        if latest == as_of:
            return snapshot
        fresh = ContactSnapshot(record, Freshness(level, latest, reason), contact.verdict, contact.claim)
        return GroupedSnapshot(fresh, snapshot.opinions, snapshot.marks)

    async def wait_for_event(self, after: int) -> None:
        """Wait until there is an event after `after`, or the log is closed."""
        while self._last <= after and not self.closed:
            await self._arrived.wait()

    # --- writing

    def tell(
        self, name: str, data: EventData | None = None, keys: Iterable[str] | None = None, *, weight: int = 1
    ) -> None:
        """Append an event beside the contacts; see `Event` for `data` and `keys`.

        `weight`: how many contacts `data` holds. Such an event takes the room of as many events.
        """
        about = None if keys is None else frozenset(keys)
        self._about = self._about if about == self._about else about  # of a feed of thousands one set for all events
        event = Event(
            self._store.stamp(), name, Moment.of(self._clock), data=data, keys=self._about, weight=max(1, weight)
        )
        self._append([event])

    def touch(self, keys: Iterable[str] | None = None) -> None:
        """Look at these contacts (by default at all that may have changed), and tell what changed without a reading."""
        self._look_at(self._agenda.due(self._clock.monotonic(), self._store.feeds()) if keys is None else keys)

    def catch_up(self, among: Collection[str]) -> None:
        """The same of those of some contacts that may have changed."""
        self._look_at(self._agenda.due(self._clock.monotonic(), self._store.feeds(), among))

    async def settle(self) -> None:
        """Look at all that may have changed, and let others do their work in between."""
        due = self._agenda.due(self._clock.monotonic(), self._store.feeds())
        for start in range(0, len(due), _SLICE):
            self._look_at(due[start : start + _SLICE])
            await asyncio.sleep(0)

    def suspect(self, keys: Iterable[str]) -> None:
        """Have the next look ask about these: something beside their records, such as a claim, has changed."""
        self._agenda.suspect(keys)

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Hand over all events from now on; call what is returned to stop."""
        self._followers.append(follower)

        def stop() -> None:
            if follower in self._followers:
                self._followers.remove(follower)

        return stop

    def ring(self, bell: Bell) -> Callable[[], None]:
        """Ring when there are events, and when the log is closed; call what is returned to stop."""
        token = object()
        self._bells[token] = bell

        def stop() -> None:
            self._bells.pop(token, None)

        return stop

    async def run(self) -> None:
        """Look for what changes with time, for ever."""
        while True:
            await sleep_until_woken(self._doubted, self._clock, TICK - GAP)
            self._doubted.clear()
            try:
                await self.settle()
            except Exception:  # noqa: BLE001  a bug must not end the looking: nothing would become stale any more
                _log.exception("unexpected error, going on", extra={"event": "internal.error"})
            await self._clock.sleep(GAP)

    def close(self) -> None:
        """Nothing more will happen: let everybody who waits go."""
        self.closed = True
        self._wake()

    # --- inside

    def _refresh(self) -> None:
        now = self._clock.monotonic()
        if self._store.version != self._certain_of or now + SLACK >= self._certain_until:
            self._agenda.refresh(now, self._store.feeds())
            self._certain_of, self._certain_until = self._store.version, self._agenda.next_moment

    def _look_at(self, keys: Iterable[str]) -> None:
        events: list[Event] = []
        at, feeds = Moment.of(self._clock), self._store.feeds()
        try:
            for key in keys:
                event = self._look(key, at, feeds)
                if event is not None:
                    events.append(event)
        finally:
            self._append(events)

    def _look(self, key: str, at: Moment, feeds: Mapping[str, Feed]) -> Event | None:
        """What changed about a contact without a reading; None when nothing did."""
        record = self._store.get(key)
        if record is None:
            self._agenda.cleared(key)
            return None
        before = self.snapshot(record.key)
        if before is not None and is_certainly_the_same(before, record, self._reader.held(record.key)):
            self._agenda.cleared(record.key)
            return None
        snapshot = self._reader.snapshot(record)
        if before is not None and says_the_same(before, snapshot):
            self._keep(GroupedSnapshot(snapshot.contact, snapshot.opinions, before.marks), feeds, at.monotonic)
            return None
        id = self._store.stamp()  # noqa: A001  # as in Event
        after = self._keep(marked(before, snapshot, id), feeds, at.monotonic)
        return Event(id, CHANGE, at, record.key, after, before)

    def _keep(self, snapshot: GroupedSnapshot, feeds: Mapping[str, Feed], now: float) -> GroupedSnapshot:
        record = snapshot.contact.record
        feed = feeds[record.feed]
        moment = next_moment(snapshot, feed, self._reader.rules(record.key), self._reader.bound, now)
        self._agenda.seen(record.key, snapshot, feed, moment, now)
        self._certain_until = min(self._certain_until, moment)
        return snapshot

    def _changed(self, changes: Sequence[Change]) -> None:
        events: list[Event] = []
        at, feeds = Moment.of(self._clock), self._store.feeds()
        for change in changes:
            record = change.record
            # A listener that was called before this one may have added events: ids ascend all the same.
            id = change.revision if change.revision > self._last else self._store.stamp()  # noqa: A001  # as in Event
            before = self.snapshot(record.key)
            if change.kind is ChangeKind.REMOVED:
                self._agenda.forget(record.key)
                events.append(Event(id, REMOVED, at, record.key, before=before))
            else:
                after = self._keep(marked(before, self._reader.snapshot(record), id), feeds, at.monotonic)
                events.append(Event(id, CHANGE, at, record.key, after, before))
        self._append(events)

    def _append(self, events: Sequence[Event]) -> None:
        """Keep events and hand them over; events that a follower adds meanwhile come after them."""
        if not events:
            return
        self._events.extend(events)
        self._weight += sum(event.weight for event in events)
        self._last = events[-1].id
        if self._weight > self._size + self._size // 4:  # some at a time; not many, they are much to look after
            self._trim()
        self._wake()
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
                        _log.exception("a follower of events failed", extra={"event": "internal.error"})
        finally:
            self._handing = False

    def _trim(self) -> None:
        """Let go of the oldest, until the rest takes no more room than it may; the newest stays in any case."""
        gone = 0
        while self._weight > self._size and gone < len(self._events) - 1:
            self._weight -= self._events[gone].weight
            gone += 1
        if gone:
            self._floor = self._events[gone - 1].id
            del self._events[:gone]

    def _wake(self) -> None:
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()
        for bell in tuple(self._bells.values()):
            bell()
