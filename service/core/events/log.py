"""What happened, in order: the one list that streams, long polls, history and claims follow.

Contacts change in two ways. Their presence changes, and the store publishes that; and what is said of them changes with
time, a lost subscription or a claim, without any reading: live becomes stale, somebody's dwell is over. The log looks
for the second kind at every tick, and at once when the store says that something is in doubt, or no longer; whom it has
to look at is decided by `agenda`. So a client that follows it and keeps the last event of each contact knows at most a
tick later what a query would answer now (`as_of` aside, which moves on with every confirmation).

Each event has a revision of its own, its id. Ids ascend; a follower's whole state is the id of the last event it took,
so that a slow one costs nothing but its own delay. The list is bounded: a client behind its beginning starts over.

An event is appended when it happens, and told when it is accepted (`commits`): at once in a service of one process.
What is appended and not told yet is seen by those alone that decide or count (`follow`, `immediate`); the ids that
clients see end with the last event that was told.

In a replica that follows another one (`follows`) nothing happens by itself: what the other one's log told comes with
its ids (`mirror`), and a look only finds out of whom the same is still said.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from typing import Final

from service.core.clock import Clock, Moment
from service.core.events.agenda import Agenda
from service.core.events.commits import IMMEDIATE, Commits
from service.core.events.event import CHANGE, REMOVED, Event, EventData
from service.core.events.followers import Bell, Follower, Followers
from service.core.events.last_said import LastSaid
from service.core.events.validity import says_the_same
from service.core.presence.brief import marked
from service.core.presence.query import Reader
from service.core.presence.records import Change, ChangeKind, Record
from service.core.presence.snapshot import GroupedSnapshot
from service.core.presence.store import Store
from service.core.wakeup import sleep_until_woken

TICK: Final = 1.0
"""Seconds between two looks for what changed with time alone."""
GAP: Final = 0.05
"""Seconds between two looks at least, however often the store has doubts."""
CATCH_UP: Final = 1.0
"""Seconds that a client may be ahead of a replica that follows."""
DEFAULT_SIZE: Final = 10_000
_SLICE: Final = 500  # contacts looked at closely in one turn of the event loop

_log = logging.getLogger("pws.events")


class EventLog:
    """Follows the store. Make it before anything else listens to it; `run` looks for what changes with time.

    `size` events at least are kept. `commits` accepts what is to be told.
    """

    def __init__(
        self, store: Store, reader: Reader, clock: Clock, size: int = DEFAULT_SIZE, commits: Commits = IMMEDIATE
    ) -> None:
        self._store = store
        self._reader = reader
        self._clock = clock
        self._size = size
        self._events: list[Event] = []
        self._weight = 0  # of those that were told
        self._about: frozenset[str] | None = None
        self._floor = store.revision
        self._last = self._newest = self._told = self._used = store.revision
        self._commits = commits
        self._tells_at_once = commits.is_immediate
        self._agenda = Agenda(reader.bound, store.keys)
        self._said = LastSaid(self._agenda, store, reader, clock)
        self._followers = Followers()
        self._pending: list[Event] = []
        self._handed = 0
        """Who follows events here has heard of all up to this id, whatever their ids were."""
        self._handing = False
        self._doubted = asyncio.Event()
        self.closed = False
        self.follows = False
        self._is_lost: Callable[[int], bool] | None = None
        self.cuts = 0
        """Grows when all streams and long polls are to end, see `cut`."""
        self.is_silent = False
        """Whether no stream may begin, since nothing that it would say counts."""
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
        """The id of the newest event that was told."""
        return self._last

    @property
    def newest(self) -> int:
        """The id of the newest event, told or not."""
        return self._newest

    @property
    def newest_entry(self) -> int:
        """The newest id that was taken, by an event or another entry."""
        return self._used

    @property
    def floor(self) -> int:
        """The id of the newest event that is kept no longer: from there on one can resume."""
        return self._floor

    def since(self, after: int, limit: int | None = None) -> list[Event] | None:
        """The events after the id `after` that were told, the first `limit` of them; None when some of them are kept no
        longer, or the id is none of ours."""
        if not self._floor <= after <= self._told or (self._is_lost is not None and self._is_lost(after)):
            return None
        start = bisect_right(self._events, after, key=_id)
        end = len(self._events) if self._last == self._newest else bisect_right(self._events, self._last, key=_id)
        return self._events[start:end] if limit is None else self._events[start : min(end, start + limit)]

    def snapshot(self, key: str) -> GroupedSnapshot | None:
        """The contact as of its last event; None when it is not watched."""
        return self._agenda.snapshot(key)

    def as_now(self, record: Record) -> GroupedSnapshot:
        """What would be said of a contact now, its claim left aside: as of its last event, where that is certain."""
        return self._said.as_now(record)

    def uncertain(self, among: Collection[str] | None = None) -> list[str]:
        """Those (of some contacts) of whom something else may be said now than in their last event."""
        return self._said.uncertain(among)

    @property
    def certain_until(self) -> float:
        """The monotonic moment up to which time alone makes nobody uncertain."""
        return self._said.certain_until

    def everybody(self) -> list[GroupedSnapshot]:
        """All contacts as of the event `newest`, after a look at what changed with time, in the order of their keys."""
        self.touch()
        return list(self._agenda.snapshots(self._store.ordered_keys()))

    def confirmed(self, snapshot: GroupedSnapshot) -> GroupedSnapshot:
        """The same, known to be true until later where it was confirmed since."""
        return self._said.confirmed(snapshot)

    async def wait_for_event(self, after: int) -> None:
        """Wait until an event after `after` is told, or the log is closed or cut."""
        cuts = self.cuts
        while self._last <= after and not self.closed and self.cuts == cuts:
            await self._followers.arrived.wait()

    async def caught_up(self, id: int) -> None:  # noqa: A002  # as in Event
        """Wait until this replica knows what another one has told up to `id`, for `CATCH_UP` seconds at most: a client
        may have heard it there a moment ago. The process that tells knows it already."""
        if not self.follows:
            return
        end = self._clock.monotonic() + CATCH_UP
        while self.follows and not self.closed and self._told < id and self._clock.monotonic() < end:
            await self._clock.sleep(CATCH_UP / 50)

    async def accepted(self, id: int) -> None:  # noqa: A002  # as in Event
        """Wait until the event `id` may be told. Raises NotCommitted."""
        if id > self._told:
            await self._commits.reached(id)

    # --- writing

    def tell(
        self, name: str, data: EventData | None = None, keys: Iterable[str] | None = None, *, weight: int = 1
    ) -> None:
        """Append an event beside the contacts; see `Event` for `data` and `keys`. RuntimeError: another replica tells.

        `weight`: how many contacts `data` holds. Such an event takes the room of as many events.
        """
        if self.follows:
            raise RuntimeError(f"{name}: only the owner tells what happens")
        about = None if keys is None else frozenset(keys)
        self._about = self._about if about == self._about else about  # of a feed of thousands one set for all events
        event = Event(self.stamp(), name, Moment.of(self._clock), data=data, keys=self._about, weight=max(1, weight))
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

    def stamp(self) -> int:
        """Take the next id, for an event or another entry: later ones are above it."""
        self._used = self._store.stamp()
        return self._used

    def told(self, up_to: int) -> None:
        """All entries up to this id were accepted: hand the events among them on."""
        start = bisect_right(self._events, self._last, key=_id)
        end = bisect_right(self._events, up_to, key=_id)
        self._told = max(self._told, up_to)
        if start >= end:
            return
        events = self._events[start:end]
        self._may_be_told(events)
        self._followers.hand([event for event in events if event.id > self._handed], self._followers.told)

    def follow(self, follower: Follower, *, immediate: bool = False) -> Callable[[], None]:
        """Hand over all events from now on, when they are told; call what is returned to stop.

        `immediate`: as soon as they are appended, for what decides or counts and tells nobody.
        """
        return self._followers.add(follower, immediate=immediate)

    def ring(self, bell: Bell) -> Callable[[], None]:
        """Ring when there are events, and when the log is closed; call what is returned to stop."""
        return self._followers.add_bell(bell)

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

    # --- replicas

    def follow_owner(self, is_lost: Callable[[int], bool]) -> None:
        """Have nothing happen by itself any more. `is_lost` says which ids nobody can resume, here and later.

        What was appended and not told never will be: the owner that follows gives other ids.
        """
        self.follows, self._is_lost = True, is_lost
        self.forget_untold()

    def forget_untold(self) -> None:
        """What was appended and is not told yet never will be."""
        del self._events[bisect_right(self._events, self._last, key=_id) :]
        self._pending.clear()
        self._newest = self._last

    def lead(self, begins: int) -> None:
        """Have things happen again, with ids above `begins`."""
        self.follows = self.is_silent = False
        self._used = self._told = begins

    def tell_difference(self, after: int, known: Mapping[str, GroupedSnapshot]) -> None:
        """Nobody else has what happened behind the id `after`: tell those who know that much, and of the contacts
        `known`, what is another now. To be called once the log leads. In one turn, since nothing may come in between.

        What was told here with ids behind `after` is forgotten: nobody resumes there. Who follows events here knows it.
        """
        del self._events[0 if after < self._floor else bisect_right(self._events, after, key=_id) :]
        self._floor = min(self._floor, after)
        self._weight = sum(event.weight for event in self._events)
        self._last = self._newest = self._events[-1].id if self._events else self._floor
        at = Moment.of(self._clock)
        found: list[Event] = []
        for key in dict.fromkeys((*known, *self._agenda.seen_keys())):
            before, now = known.get(key), self.snapshot(key)
            if now is None:
                found.append(Event(self.stamp(), REMOVED, at, key, before=before))
            elif before is None or not says_the_same(before, now) or before.marks != now.marks:
                found.append(Event(self.stamp(), CHANGE, at, key, now, before))
        if found:
            self._events += found
            self._newest = self._handed = found[-1].id
            self._commits.offer(found)

    def mirror(self, events: Sequence[Event], up_to: int) -> None:
        """These happened at the owner, whose newest entry is `up_to`. The store knows of it already."""
        feeds, now = self._store.feeds(), self._clock.monotonic()
        for event in events:
            if event.name == REMOVED and event.key is not None:
                self._agenda.forget(event.key)
            elif event.name == CHANGE and event.after is not None:
                self._said.keep(event.after, feeds, now)
        self._used = self._told = max(self._told, up_to)
        if events:
            self._events.extend(events)
            self._newest = events[-1].id
            self._followers.hand(events, self._followers.immediate)
            self._may_be_told(events)
            self._followers.hand(events, self._followers.told)

    def load(
        self, snapshots: Mapping[str, GroupedSnapshot], events: Sequence[Event], floor: int, up_to: int
    ) -> Generator[None, None, None]:
        """Begin anew with what the owner's log said last of each contact, and its events behind the id `floor`.

        In steps, between which anything else may be done. Followers hear what is another now than it was here.
        """
        self._events, self._weight = list(events), sum(event.weight for event in events)
        self._floor, self._used, self._told = floor, up_to, up_to
        self._newest = self._last = events[-1].id if events else floor
        self._trim()
        gone = [key for key in self._agenda.seen_keys() if key not in snapshots]
        for start in range(0, len(gone), _SLICE):
            self._learn([(key, None) for key in gone[start : start + _SLICE]])
            yield
        known = list(snapshots.items())
        for start in range(0, len(known), _SLICE):
            self._learn(known[start : start + _SLICE])
            yield

    def cut(self) -> None:
        """End all streams and long polls; those that begin later begin anew."""
        self.cuts += 1
        self._followers.wake()

    def silence(self) -> None:
        """Nothing counts any more that was told: end all streams, and let none begin until `heard`."""
        self.is_silent = True
        self.cut()

    def heard(self) -> None:
        """What was told counts again."""
        if self.is_silent:
            self.is_silent = False
            self.cut()

    def close(self) -> None:
        """Nothing more will happen: let everybody who waits go."""
        self.closed = True
        self._followers.wake()

    # --- inside

    def _look_at(self, keys: Iterable[str]) -> None:
        events: list[Event] = []
        at, feeds = Moment.of(self._clock), self._store.feeds()
        if self.follows:
            for key in () if self.is_silent else keys:
                self._said.look_again(key, feeds, at.monotonic)
            return
        look, now = self._said.look, at.monotonic
        try:
            for key in keys:
                found = look(key, feeds, now)
                if found is not None:  # it changed without a reading
                    before, snapshot = found
                    id = self.stamp()  # noqa: A001  # as in Event
                    after = self._said.keep(marked(before, snapshot, id), feeds, now)
                    events.append(Event(id, CHANGE, at, snapshot.contact.record.key, after, before))
        finally:
            self._append(events)

    def _learn(self, snapshots: Iterable[tuple[str, GroupedSnapshot | None]]) -> None:
        """What the owner's log said last of some contacts, None: they are watched no longer."""
        at, feeds = Moment.of(self._clock), self._store.feeds()
        events: list[Event] = []
        for key, after in snapshots:
            before = self.snapshot(key)
            if after is None:
                self._agenda.forget(key)
                events.append(Event(self._told, REMOVED, at, key, before=before))
            else:
                self._said.keep(after, feeds, at.monotonic)
                spans = after.contact.record.spans
                since = at if spans is None else Moment(spans.same, at.wall + spans.same - at.monotonic)
                events.append(Event(self._told, CHANGE, since, key, after, before))
        self._followers.hand(events, self._followers.immediate)
        self._followers.hand(events, self._followers.told)

    def _changed(self, changes: Sequence[Change]) -> None:
        if self.follows:
            return
        events: list[Event] = []
        at, feeds = Moment.of(self._clock), self._store.feeds()
        for change in changes:
            record = change.record
            # A listener that was called before this one may have added events: ids ascend all the same.
            id = change.revision if change.revision > self._used else self.stamp()  # noqa: A001  # as in Event
            self._used = id
            before = self.snapshot(record.key)
            if change.kind is ChangeKind.REMOVED:
                self._agenda.forget(record.key)
                events.append(Event(id, REMOVED, at, record.key, before=before))
            else:
                after = self._said.keep(marked(before, self._reader.snapshot(record), id), feeds, at.monotonic)
                events.append(Event(id, CHANGE, at, record.key, after, before))
        self._append(events)

    def _append(self, events: Sequence[Event]) -> None:
        """Keep events and hand them over; events that a follower adds meanwhile come after them."""
        if not events:
            return
        self._events.extend(events)
        self._newest = events[-1].id
        if self._tells_at_once:
            self._told = self._newest
            self._may_be_told(events)
        self._pending.extend(events)
        if self._handing:
            return
        self._handing = True
        followers = self._followers
        try:
            while self._pending:
                batch, self._pending = self._pending, []
                if self._tells_at_once:
                    followers.hand(batch, followers.all)
                else:
                    followers.hand(batch, followers.immediate)
                    self._commits.offer(batch)
        finally:
            self._handing = False

    def _may_be_told(self, events: Sequence[Event]) -> None:
        self._weight += sum(event.weight for event in events)
        self._last = events[-1].id
        if self._weight > self._size + self._size // 4:  # some at a time; not many, they are much to look after
            self._trim()
        self._followers.wake()

    def _trim(self) -> None:
        """Let go of the oldest that were told, until the rest of them takes no more room than it may; the newest stays
        in any case."""
        gone = 0
        while self._weight > self._size and self._events[gone].id < self._last:
            self._weight -= self._events[gone].weight
            gone += 1
        if gone:
            self._floor = self._events[gone - 1].id
            del self._events[:gone]


def _id(event: Event) -> int:
    return event.id
