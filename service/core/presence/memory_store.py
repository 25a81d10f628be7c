"""The store of one process, in memory. `service.core.presence.store` says what a store promises."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from pws_soap.models import Presence, same_contact
from service.core.clock import Clock, Moment
from service.core.presence.changes import ChangeBus, LocalBus
from service.core.presence.freshness import LAPSED, last_known
from service.core.presence.intake import Intake
from service.core.presence.known_contacts import KnownContacts
from service.core.presence.records import (
    Change,
    ChangeKind,
    Doubt,
    Feed,
    PutReport,
    ReadingStart,
    Record,
    Source,
)

NOT_SUBSCRIBED: Final = "not subscribed yet"
NOT_READ: Final = "not read since it is watched"
MOVED: Final = "not read since it moved to another subscription"
MADE_ANEW: Final = "not read since the subscription was made anew"
CONTESTED: Final = "two readings at the same time disagreed"
STEP: Final = 250
"""Records that one step of `put_in_steps` replaces: a few milliseconds, with all that listens."""


class MemoryStore(KnownContacts):
    """The store of one process and one event loop: no method waits, so none needs a lock."""

    def __init__(self, clock: Clock, changes: ChangeBus | None = None, revision: int = 0) -> None:
        """`revision` is where counting begins: higher at each start of a service, so that none ever comes twice."""
        super().__init__(clock, revision)
        self._changes: ChangeBus = changes if changes is not None else LocalBus()
        self._order = 0
        self._replaced: list[str] = []  # keys whose record was replaced without a change, not told yet
        self._doubted = False  # whether something is in doubt now, or no longer, that was not told yet

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
        added: dict[str, Record] = {}
        for contact in contacts:
            key = same_contact(contact)
            record = self._table.get(key)
            if record is None:
                if key not in added:
                    # The doubt makes that a reading which began before this moment does not count as the first.
                    unread = Doubt(NOT_READ, Moment.of(self._clock), self._next())
                    spelling = _spelling(contact)
                    self._revision += 1
                    # One text where both are the same, the caller's: there may be a hundred thousand.
                    key = spelling if spelling == key else key
                    added[key] = Record(key, spelling, feed, self._revision, doubt=unread)
            elif record.feed != feed:
                self._replace(self._doubted_anew(record, MOVED, self._next(), feed))
        records = list(added.values())
        if records:
            self._version += 1
            self._table.add(records)
        changes = [Change(record.revision, ChangeKind.ADDED, record) for record in records]
        self._publish(changes)
        return changes

    def unwatch(self, contacts: Iterable[str]) -> list[Change]:
        changes: list[Change] = []
        for record in self._table.remove(map(same_contact, contacts)):
            self._version += 1
            self._revision += 1
            self._read -= record.presence is not None
            changes.append(Change(self._revision, ChangeKind.REMOVED, record, record))
        self._publish(changes)
        return changes

    # --- what is read

    def begin(self) -> ReadingStart:
        return ReadingStart(self._next(), Moment.of(self._clock))

    def put(self, presences: Sequence[Presence], reading: ReadingStart, *, source: Source) -> PutReport:
        steps = self.put_in_steps(presences, reading, source=source)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                report: PutReport = done.value
                return report

    def put_in_steps(
        self, presences: Sequence[Presence], reading: ReadingStart, *, source: Source
    ) -> Generator[None, None, PutReport]:
        intake = Intake(self._table, presences, reading, source, self._clock.monotonic())
        order = self._next()
        if intake.moves_on(order):
            self._version += 1
            self._changes.reread()
        report = PutReport()
        is_long = len(intake.rest) > STEP  # looking through it was a step already
        for start in range(0, len(intake.rest), STEP):
            if is_long:
                yield
                order = self._next()
            step = self._take_all(intake, intake.rest[start : start + STEP], order)
            report = step if not start else _together(report, step)
        intake.end()
        return report

    def _take_all(self, intake: Intake, named: Sequence[tuple[str, Presence]], order: int) -> PutReport:
        """One step of a reply."""
        changes: list[Change] = []
        contested: list[str] = []
        unreadable: list[str] = []
        strangers = 0
        for key, presence in named:
            record = self._table.get(key)
            if record is None:
                strangers += 1
            elif presence.problem is not None:
                reason = f"its document could not be read: {presence.problem}"
                self._replace(replace(self._doubted_anew(record, reason, order), problem=presence.problem))
                unreadable.append(record.contact)
            else:
                change, agreed = self._take(intake, record, presence, order)
                if change is not None:
                    changes.append(change)
                if not agreed:
                    contested.append(record.contact)
        self._strangers += strangers
        self._contested += len(contested)
        self._unreadable += len(unreadable)
        self._publish(changes)
        return PutReport(tuple(changes), tuple(contested), tuple(unreadable), strangers)

    def _take(self, intake: Intake, record: Record, presence: Presence, order: int) -> tuple[Change | None, bool]:
        """One readable presence: the change it makes, and whether it agrees with what was read at the same time."""
        held = record.doubt
        agreed = intake.agrees(record, presence)
        if not agreed:
            held = self._new_doubt(record, CONTESTED, order)
        elif held is not None and held.order <= intake.reading.order:
            held = None
        updated = intake.after(record, presence, order, held, self._revision + 1)
        self._read += record.presence is None and updated.presence is not None
        if updated.revision == record.revision:
            self._replace(updated, read=True)
            return None, agreed
        self._revision = updated.revision
        self._keep(updated, read=True)
        return Change(updated.revision, ChangeKind.CHANGED, updated, record), agreed

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
        self._publish(doubted=known.doubt is None)

    def trust(self, feed: str, *, anew: ReadingStart | None = None) -> None:
        known = self._feed(feed)
        if anew is not None:
            for key in self._table.of_feed(feed):
                record = self._table.get(key)
                if record is not None and (record.reading is None or record.reading.order < anew.order):
                    self._replace(self._doubted_anew(record, MADE_ANEW, anew.order))
        self._set_feed(Feed(feed, known.confirmed, None, known.bound))
        self._publish(doubted=known.doubt is not None)

    def doubt_contacts(self, contacts: Iterable[str], reason: str) -> None:
        order = self._next()
        for key in map(same_contact, contacts):
            record = self._table.get(key)
            if record is not None:
                self._replace(self._doubted_anew(record, reason, order))
        self._publish()

    def limit(self, feed: str, bound: float | None) -> None:
        known = self._feed(feed)
        if known.bound != bound:
            self._set_feed(replace(known, bound=bound))
            self._publish(doubted=True)

    def lapse(self) -> float | None:
        now = self._clock.monotonic()
        over = [key for key, until in self._table.lapsing() if until <= now]
        if over:
            self.doubt_contacts(over, LAPSED)
            for key in over:
                self._table.lapsed(key)
        return min((until for _, until in self._table.lapsing()), default=None)

    # --- what another process knows, see `service.core.presence.mirror`

    def keep_as_it_is(self, records: Sequence[Record], revision: int) -> None:
        """Keep records as the process made them that reads from the server. `revision` is the newest of theirs."""
        changes: list[Change] = []
        added: list[Record] = []
        self._reach(revision)
        for record in records:
            before = self._table.get(record.key)
            self._feed(record.feed)
            self._read += (record.presence is not None) - (before is not None and before.presence is not None)
            if before is None:
                added.append(record)
                changes.append(Change(record.revision, ChangeKind.ADDED, record))
            elif before.revision == record.revision:
                self._replace(record, read=True)
            else:
                self._keep(record, read=True)
                changes.append(Change(record.revision, ChangeKind.CHANGED, record, before))
        if added:
            self._table.add(added)
            for record in added:
                self._keep(record, read=True)
        self._publish(changes)

    def forget_as_it_was(self, keys: Iterable[str], revision: int) -> None:
        """Forget contacts that the other process watches no longer."""
        self._reach(revision)
        changes: list[Change] = []
        for record in self._table.remove(keys):
            self._version += 1
            self._read -= record.presence is not None
            changes.append(Change(revision, ChangeKind.REMOVED, record, record))
        self._publish(changes)

    def keep_feeds(self, feeds: Iterable[Feed], revision: int) -> None:
        """Keep feeds as the other process has them."""
        self._reach(revision)
        doubted = False
        for feed in feeds:
            before = self._feeds.get(feed.name)
            if before == feed:
                continue
            doubted = doubted or before is None or before.bound != feed.bound
            doubted = doubted or (before is not None and (before.doubt is None) is not (feed.doubt is None))
            self._set_feed(feed)
        self._publish(doubted=doubted)

    def restart(self, begins: int, reason: str, kept: Collection[str] = ()) -> None:
        """Go on with what another process knew: what it kept true is in doubt, but for the feeds that are `kept`, and
        revisions go on behind `begins`.

        Its readings have the order 0, so that any reading from now on settles what it was in doubt of.
        """
        self._next()
        self._revision = max(self._revision, begins)
        for feed in tuple(self._feeds):
            if feed not in kept:
                self.doubt(feed, reason)

    # --- inside

    def _reach(self, revision: int) -> None:
        """What is answered from now on names this revision."""
        if revision > self._revision:
            self._version += 1
            self._revision = revision

    def _next(self) -> int:
        self._order += 1
        return self._order

    def _feed(self, name: str) -> Feed:
        feed = self._feeds.get(name)
        if feed is None:
            feed = Feed(name, None, Doubt(NOT_SUBSCRIBED, Moment.of(self._clock), self._next()))
            self._set_feed(feed)
        return feed

    def _set_feed(self, feed: Feed) -> None:
        self._version += 1
        self._feeds[feed.name] = feed

    def _doubted_anew(self, record: Record, reason: str, order: int, feed: str | None = None) -> Record:
        """The record in doubt. What it rests on does not move on with what is sure."""
        doubt, rests_on = self._new_doubt(record, reason, order), record.rests_on
        if record.doubt is None and rests_on is not None:
            rests_on = rests_on.at_rest()
        return replace(record, doubt=doubt, rests_on=rests_on, feed=feed or record.feed)

    def _new_doubt(self, record: Record, reason: str, order: int) -> Doubt:
        """The doubt that `record` is in from now on: the one that is harder to settle of the old and the new."""
        held = record.doubt
        if held is not None and held.order > order:
            return held
        since = held.since if held is not None else Moment.of(self._clock)
        return Doubt(reason, since, order, last_known(record, self._feeds[record.feed]))

    def _publish(self, changes: Sequence[Change] = (), *, doubted: bool = False) -> None:
        """Hand out the changes, and tell whose record was replaced without one, and whether doubts changed."""
        replaced, self._replaced = self._replaced, []
        doubted, self._doubted = doubted or self._doubted, False
        if replaced:
            self._changes.replaced(replaced)
        if doubted:
            self._changes.doubted()
        self._changes.publish(changes)

    def _replace(self, record: Record, *, read: bool = False) -> None:
        """Keep a record that makes no change."""
        self._replaced.append(record.key)
        self._keep(record, read=read)

    def _keep(self, record: Record, *, read: bool = False) -> None:
        self._version += 1
        before = self._table.keep(record, read=read)
        if before is not None and (before.doubt is None) is not (record.doubt is None):
            self._doubted = True


def _spelling(contact: str) -> str:
    contact = contact.strip()
    return contact[4:] if contact[:4].lower() == "sip:" else contact


def _together(one: PutReport, other: PutReport) -> PutReport:
    return PutReport(
        one.changes + other.changes,
        one.contested + other.contested,
        one.unreadable + other.unreadable,
        one.strangers + other.strangers,
    )
