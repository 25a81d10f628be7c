"""What was said last of each contact, and whether the same would be said now."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from service.core.clock import Clock
from service.core.events.agenda import Agenda
from service.core.events.validity import is_certainly_the_same, next_moment, says_the_same
from service.core.presence.boundaries import SLACK
from service.core.presence.freshness import Freshness, last_known
from service.core.presence.query import Reader
from service.core.presence.records import Feed, Record
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot
from service.core.presence.store import Store


class LastSaid:
    """Compares the `agenda`'s snapshots with what the reader says now. It makes no events."""

    def __init__(self, agenda: Agenda, store: Store, reader: Reader, clock: Clock) -> None:
        self._agenda = agenda
        self._store = store
        self._reader = reader
        self._clock = clock
        self._certain_of, self._certain_until = -1, 0.0

    def as_now(self, record: Record) -> GroupedSnapshot:
        """What would be said of a contact now, its claim left aside: as it was said last, where that is certain."""
        self._refresh()
        return self._agenda.certain(record.key) or self._reader.snapshot(record)

    def uncertain(self, among: Collection[str] | None = None) -> list[str]:
        """Those (of some contacts) of whom something else may be said now."""
        self._refresh()
        return self._agenda.suspected(among)

    @property
    def certain_until(self) -> float:
        """The monotonic moment up to which time alone makes nobody uncertain."""
        self._refresh()
        return self._certain_until

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

    def look(
        self, key: str, feeds: Mapping[str, Feed], now: float
    ) -> tuple[GroupedSnapshot | None, GroupedSnapshot] | None:
        """What was said of a contact and what is said now, where that differs; else None, and it is kept as it is."""
        record = self._store.get(key)
        if record is None:
            self._agenda.cleared(key)
            return None
        before = self._agenda.snapshot(record.key)
        if before is not None and is_certainly_the_same(before, record, self._reader.held(record.key)):
            self._agenda.cleared(record.key)
            return None
        snapshot = self._reader.snapshot(record)
        if before is not None and says_the_same(before, snapshot):
            self.keep(GroupedSnapshot(snapshot.contact, snapshot.opinions, before.marks), feeds, now)
            return None
        return before, snapshot

    def look_again(self, key: str, feeds: Mapping[str, Feed], now: float) -> None:
        """Find out whether the same is said as in the owner's last event. Where not, its next event will say so."""
        record, before = self._store.get(key), self._agenda.snapshot(key)
        if record is None:
            self._agenda.cleared(key)
        elif before is not None:
            snapshot = self._reader.snapshot(record)
            if says_the_same(before, snapshot):
                self.keep(GroupedSnapshot(snapshot.contact, snapshot.opinions, before.marks), feeds, now)

    def keep(self, snapshot: GroupedSnapshot, feeds: Mapping[str, Feed], now: float) -> GroupedSnapshot:
        """This is said of its contact from now on. Returns it."""
        record = snapshot.contact.record
        feed = feeds[record.feed]
        moment = next_moment(snapshot, feed, self._reader.rules(record.key), self._reader.bound, now)
        self._agenda.seen(record.key, snapshot, feed, moment, now)
        self._certain_until = min(self._certain_until, moment)
        return snapshot

    def _refresh(self) -> None:
        now = self._clock.monotonic()
        if self._store.version != self._certain_of or now + SLACK >= self._certain_until:
            self._agenda.refresh(now, self._store.feeds())
            self._certain_of, self._certain_until = self._store.version, self._agenda.next_moment
