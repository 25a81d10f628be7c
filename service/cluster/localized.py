"""The owner's values with their moments on our clock.

| moment | on our clock | since |
|---|---|---|
| of a reading, a confirmation, a doubt, idle since | not later than it was | what is known must not look younger |
| since when so, the end of a call | not earlier, and not after now | dwell and wrap-up must not be cut short |
| the end of a claim | not earlier; its beginning is as long before it as it was | it was promised for so long |

Without a mapping, as of moments in an earlier tenure, the first are infinitely long ago, the second are now, and a
claim gets its whole length again. Wall times stay as they are: they are for people.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace as replaced

from msgspec.structs import replace

from service.cluster.clock_mapping import ClockMapping
from service.core.claims.model import ClaimEvent, Lease
from service.core.clock import Moment
from service.core.events.event import Event
from service.core.presence.claim import Claim
from service.core.presence.records import Doubt, Feed, ReadingStart, Record, SharedReading, Spans
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot

_LONG_AGO = -math.inf


class Localizer:
    """Makes values ours, at the moment `now` of our clock. `mapping` is that of the tenure in which they were written.

    `end_of` says when a claim ends that is known already: one that is told of twice has one end.
    """

    def __init__(self, mapping: ClockMapping | None, now: float, end_of: Callable[[str], Moment | None]) -> None:
        self._mapping = mapping if mapping is not None and mapping.is_known else None
        self._now = now
        self._end_of = end_of

    # --- moments

    def past(self, moment: Moment) -> Moment:
        """Not later than it was."""
        return Moment(self._past(moment.monotonic), moment.wall)

    def _past(self, monotonic: float) -> float:
        if self._mapping is None or monotonic == _LONG_AGO:
            return _LONG_AGO
        return self._mapping.not_later(monotonic)

    def _recent(self, monotonic: float) -> float:
        return self._now if self._mapping is None else min(self._now, self._mapping.not_earlier(monotonic))

    def _end(self, claim: str, made: Moment, expires: Moment) -> Moment:
        known = self._end_of(claim)
        if known is not None and known.wall == expires.wall:
            return known
        if self._mapping is None:
            return Moment(self._now + max(0.0, expires.monotonic - made.monotonic), expires.wall)
        return Moment(self._mapping.not_earlier(expires.monotonic), expires.wall)

    # --- values

    def record(self, record: Record) -> Record:
        """A record."""
        rests_on, spans = record.rests_on, record.spans
        if rests_on is not None:
            start = ReadingStart(rests_on.start.order, self.past(rests_on.start.at))
            rests_on = SharedReading(start, rests_on.settled, rests_on.source)
        if spans is not None:
            idle = None if spans.idle is None else self._past(spans.idle)
            ended = None if spans.call_ended is None else self._recent(spans.call_ended)
            spans = Spans(self._recent(spans.same), idle, ended)
        return replace(
            record,
            contact=record.key if record.key == record.contact else record.contact,  # one text for both
            rests_on=rests_on,
            changed_at=None if record.changed_at is None else self.past(record.changed_at),
            doubt=self._doubt(record.doubt),
            spans=spans,
        )

    def feed(self, feed: Feed) -> Feed:
        """A feed."""
        confirmed = None if feed.confirmed is None else self.past(feed.confirmed)
        return Feed(feed.name, confirmed, self._doubt(feed.doubt), feed.bound)

    def _doubt(self, doubt: Doubt | None) -> Doubt | None:
        if doubt is None:
            return None
        as_of = None if doubt.as_of is None else self.past(doubt.as_of)
        return Doubt(doubt.reason, self.past(doubt.since), doubt.order, as_of)

    def lease(self, lease: Lease) -> Lease:
        """A lease of people."""
        made, expires = self._span(lease.id, lease.made, lease.expires)
        return replaced(lease, made=made, expires=expires)

    def _claim(self, claim: Claim) -> Claim:
        made, expires = self._span(claim.id, claim.made, claim.expires)
        return replaced(claim, made=made, expires=expires)

    def _span(self, claim: str, made: Moment, expires: Moment) -> tuple[Moment, Moment]:
        """Beginning and end of a claim. It is as long as it was: the one that owns next tells its length to others, and
        what is told of it twice is the same."""
        end = self._end(claim, made, expires)
        return Moment(end.monotonic - max(0.0, expires.monotonic - made.monotonic), made.wall), end

    def snapshot(self, snapshot: GroupedSnapshot, record: Record | None = None) -> GroupedSnapshot:
        """A contact as the owner's log has it. `record` is its record, where that is ours already."""
        contact = snapshot.contact
        freshness = contact.freshness
        if freshness.as_of is not None:
            freshness = freshness._replace(as_of=self.past(freshness.as_of))
        claim = None if contact.claim is None else self._claim(contact.claim)
        ours = self.record(contact.record) if record is None else record
        return GroupedSnapshot(
            ContactSnapshot(ours, freshness, contact.verdict, claim), snapshot.opinions, snapshot.marks
        )

    def event(self, event: Event) -> Event:
        """An event."""
        data = event.data
        if isinstance(data, ClaimEvent):
            contacts = tuple(map(self.snapshot, data.contacts))
            data = replaced(data, lease=self.lease(data.lease), contacts=contacts)
        return replace(
            event,
            at=self.past(event.at),
            after=None if event.after is None else self.snapshot(event.after),
            before=None if event.before is None else self.snapshot(event.before),
            data=data,
        )
