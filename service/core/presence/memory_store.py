"""The store of one process, in memory. `service.core.presence.store` says what a store promises."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from pws_soap.models import Presence, same_contact
from service.core.clock import Clock, Moment
from service.core.presence.changes import ChangeBus, LocalBus
from service.core.presence.freshness import LAPSED, last_known
from service.core.presence.records import (
    Change,
    ChangeKind,
    Doubt,
    Feed,
    PutReport,
    ReadingStart,
    Record,
    Source,
    StoreSummary,
    spans_after,
)

NOT_SUBSCRIBED = "not subscribed yet"
NOT_READ = "not read since it is watched"
MOVED = "not read since it moved to another subscription"
MADE_ANEW = "not read since the subscription was made anew"
CONTESTED = "two readings at the same time disagreed"


class MemoryStore:
    """The store of one process and one event loop: no method waits, so none needs a lock."""

    def __init__(self, clock: Clock, changes: ChangeBus | None = None, revision: int = 0) -> None:
        """`revision` is where counting begins: higher at each start of a service, so that none ever comes twice."""
        self._clock = clock
        self._changes: ChangeBus = changes if changes is not None else LocalBus()
        self._revision = revision
        self._version = 0
        self._order = 0
        self._records: dict[str, Record] = {}
        self._keys: list[str] = []  # sorted
        self._feeds: dict[str, Feed] = {}
        self._unsettled: dict[str, set[str]] = {}  # keys by feed: asked for at every turn, and mostly empty
        self._lapsing: dict[str, float] = {}  # keys of those whose document says until when it holds: mostly empty
        self._replaced: list[str] = []  # keys whose record was replaced without a change, not told yet
        self._strangers = self._contested = self._unreadable = 0

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._records)} contacts, revision {self._revision}>"

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def version(self) -> int:
        return self._version

    def stamp(self) -> int:
        self._version += 1
        self._revision += 1
        return self._revision

    @property
    def changes(self) -> ChangeBus:
        return self._changes

    # --- what is watched

    def watch(self, contacts: Iterable[str], feed: str) -> list[Change]:
        self._feed(feed)
        changes: list[Change] = []
        for contact in contacts:
            key = same_contact(contact)
            record = self._records.get(key)
            if record is None:
                insort(self._keys, key)
                # The doubt makes that a reading which began before this moment does not count as the first.
                unread = Doubt(NOT_READ, Moment.of(self._clock), self._next())
                added = Record(key, _spelling(contact), feed, self._revision + 1, doubt=unread)
                changes.append(self._changed(ChangeKind.ADDED, added, None))
            elif record.feed != feed:
                doubt = self._new_doubt(record, MOVED, self._next())
                self._unsettled[record.feed].discard(key)
                self._replace(replace(record, feed=feed, doubt=doubt))
        self._publish(changes)
        return changes

    def unwatch(self, contacts: Iterable[str]) -> list[Change]:
        changes: list[Change] = []
        for key in map(same_contact, contacts):
            record = self._records.pop(key, None)
            if record is not None:
                del self._keys[bisect_left(self._keys, key)]
                self._unsettled[record.feed].discard(key)
                self._lapsing.pop(key, None)
                self._version += 1
                self._revision += 1
                changes.append(Change(self._revision, ChangeKind.REMOVED, record, record))
        self._publish(changes)
        return changes

    # --- what is read

    def begin(self) -> ReadingStart:
        return ReadingStart(self._next(), Moment.of(self._clock))

    def put(self, presences: Iterable[Presence], reading: ReadingStart, *, source: Source) -> PutReport:
        changes: list[Change] = []
        contested: list[str] = []
        unreadable: list[str] = []
        strangers = 0
        order = self._next()
        for key, presence in {same_contact(each.contact): each for each in presences}.items():
            record = self._records.get(key)
            if record is None:
                strangers += 1
            elif presence.problem is not None:
                reason = f"its document could not be read: {presence.problem}"
                doubt = self._new_doubt(record, reason, order)
                self._replace(replace(record, problem=presence.problem, doubt=doubt))
                unreadable.append(record.contact)
            else:
                change, agreed = self._take(record, presence, reading, source, order)
                if change is not None:
                    changes.append(change)
                if not agreed:
                    contested.append(record.contact)
        self._strangers += strangers
        self._contested += len(contested)
        self._unreadable += len(unreadable)
        self._publish(changes)
        return PutReport(tuple(changes), tuple(contested), tuple(unreadable), strangers)

    def _take(
        self, record: Record, presence: Presence, reading: ReadingStart, source: Source, order: int
    ) -> tuple[Change | None, bool]:
        """One readable presence: the change it makes, and whether it agrees with what was read at the same time."""
        known, last, held = record.presence, record.reading, record.doubt
        newer = last is None or reading.order >= last.order
        same = known is not None and _says_the_same(known, presence)
        agreed = same or known is None or reading.order >= record.settled
        if not agreed:
            held = self._new_doubt(record, CONTESTED, order)
            if not newer:
                self._replace(replace(record, settled=order, doubt=held))
                return None, False
        elif held is not None and held.order <= reading.order:
            held = None
        updated = Record(
            record.key,
            record.contact,
            record.feed,
            record.revision if same else self._revision + 1,
            presence if newer or not same else known,  # of the same, the newer: it tells more than is compared
            reading if newer else last,
            order,
            record.changed_at if same else reading.at,
            source if newer else record.source,
            held,
            None if held is None else record.problem,
            spans_after(record, presence, reading.at) if newer or not same else record.spans,
        )
        if same:
            self._replace(updated)
            return None, agreed
        return self._changed(ChangeKind.CHANGED, updated, record), agreed

    def confirm(self, feed: str, reading: ReadingStart) -> None:
        known = self._feed(feed)
        if known.confirmed is None or known.confirmed < reading.at:
            self._set_feed(replace(known, confirmed=reading.at))

    # --- what is doubted

    def doubt(self, feed: str, reason: str, since: Moment | None = None) -> None:
        known = self._feed(feed)
        since = since or Moment.of(self._clock)
        if known.doubt is not None:
            since = min(since, known.doubt.since)
        # What was confirmed while the feed was broken already is no confirmation.
        confirmed = known.confirmed if known.confirmed is not None and known.confirmed <= since else None
        self._set_feed(Feed(feed, confirmed, Doubt(reason, since, self._next()), known.bound))
        if known.doubt is None:
            self._changes.doubted()

    def trust(self, feed: str, *, anew: ReadingStart | None = None) -> None:
        known = self._feed(feed)
        if anew is not None:
            for record in self.records():
                if record.feed == feed and (record.reading is None or record.reading.order < anew.order):
                    self._replace(replace(record, doubt=self._new_doubt(record, MADE_ANEW, anew.order)))
        self._publish()
        self._set_feed(Feed(feed, known.confirmed, None, known.bound))
        if known.doubt is not None:
            self._changes.doubted()

    def doubt_contacts(self, contacts: Iterable[str], reason: str) -> None:
        order = self._next()
        for key in map(same_contact, contacts):
            record = self._records.get(key)
            if record is not None:
                self._replace(replace(record, doubt=self._new_doubt(record, reason, order)))
        self._publish()

    def limit(self, feed: str, bound: float | None) -> None:
        known = self._feed(feed)
        if known.bound != bound:
            self._set_feed(replace(known, bound=bound))
            self._changes.doubted()

    def lapse(self) -> float | None:
        now = self._clock.monotonic()
        over = [key for key, until in self._lapsing.items() if until <= now]
        if over:
            self.doubt_contacts([self._records[key].contact for key in over], LAPSED)
            for key in over:
                del self._lapsing[key]
        return min(self._lapsing.values(), default=None)

    # --- what is known

    def get(self, contact: str) -> Record | None:
        return self._records.get(same_contact(contact))

    def records(self, after: str = "") -> Sequence[Record]:
        keys = self._keys[bisect_right(self._keys, after) :] if after else self._keys
        return [self._records[key] for key in keys]

    def feeds(self) -> Mapping[str, Feed]:
        return MappingProxyType(self._feeds)

    def unsettled(self, feed: str | None = None) -> list[str]:
        found = [self._unsettled.get(feed, set())] if feed is not None else self._unsettled.values()
        return [self._records[key].contact for key in sorted(key for keys in found for key in keys)]

    def summary(self) -> StoreSummary:
        read = sum(record.presence is not None for record in self._records.values())
        odd = (self._strangers, self._contested, self._unreadable)
        return StoreSummary(len(self._records), read, self._revision, *odd)

    # --- inside

    def _next(self) -> int:
        self._order += 1
        return self._order

    def _feed(self, name: str) -> Feed:
        feed = self._feeds.get(name)
        if feed is None:
            feed = Feed(name, None, Doubt(NOT_SUBSCRIBED, Moment.of(self._clock), self._next()))
            self._set_feed(feed)
            self._unsettled[name] = set()
        return feed

    def _set_feed(self, feed: Feed) -> None:
        self._version += 1
        self._feeds[feed.name] = feed

    def _new_doubt(self, record: Record, reason: str, order: int) -> Doubt:
        """The doubt that `record` is in from now on: the one that is harder to settle of the old and the new."""
        held = record.doubt
        if held is not None and held.order > order:
            return held
        since = held.since if held is not None else Moment.of(self._clock)
        return Doubt(reason, since, order, last_known(record, self._feeds[record.feed]))

    def _publish(self, changes: Sequence[Change] = ()) -> None:
        """Hand out the changes, and tell whose record was replaced without one."""
        replaced, self._replaced = self._replaced, []
        self._changes.replaced(replaced)
        self._changes.publish(changes)

    def _replace(self, record: Record) -> None:
        """Keep a record that makes no change."""
        self._replaced.append(record.key)
        self._keep(record)

    def _changed(self, kind: ChangeKind, record: Record, before: Record | None) -> Change:
        self._revision = record.revision
        self._keep(record)
        return Change(record.revision, kind, record, before)

    def _keep(self, record: Record) -> None:
        before = self._records.get(record.key)
        self._version += 1
        self._records[record.key] = record
        if record.presence is not None and record.presence.valid_until is not None:
            if before is None or before.reading is not record.reading:
                self._lapsing[record.key] = record.holds_until or 0.0
        elif self._lapsing:
            self._lapsing.pop(record.key, None)
        if before is not None and (before.doubt is None) is not (record.doubt is None):
            self._changes.doubted()
        if record.presence is None or record.doubt is not None:
            self._unsettled[record.feed].add(record.key)
        else:
            self._unsettled[record.feed].discard(record.key)


def _spelling(contact: str) -> str:
    contact = contact.strip()
    return contact[4:] if contact[:4].lower() == "sip:" else contact


def _says_the_same(one: Presence, other: Presence) -> bool:
    """Whether a contact's answer is the same: spelling, type, document and what only `explain` tells are not in it."""
    return (
        one.state is other.state
        and one.activities == other.activities
        and one.on_the_phone == other.on_the_phone
        and one.devices == other.devices
        and one.display_name == other.display_name
        and one.note == other.note
        and one.idle == other.idle
    )
