"""Whether what was said of a contact still holds, without asking anew: most of it does, at every look.

What is said follows from the record, the feed, the claim and the time. A record or claim is the same as long as it is
the same object; a feed may be confirmed meanwhile, which only makes a live contact live for longer; and of time it
matters only whether a boundary has come: the end of the bound, of somebody's dwell, wrap-up or time to idle.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final, NamedTuple

from service.core.presence.availability import Rule
from service.core.presence.claim import Claim
from service.core.presence.freshness import Level, last_known
from service.core.presence.records import Feed, Record
from service.core.presence.snapshot import GroupedSnapshot

SLACK: Final = 1e-3
"""Seconds around a boundary in which it is asked anew: sums and differences of times are rounded differently."""


class CachedSnapshot(NamedTuple):
    """What was said, the feed it was said with, and the monotonic time until which time alone changes nothing."""

    snapshot: GroupedSnapshot
    feed: Feed
    until: float


def cached(snapshot: GroupedSnapshot, feed: Feed, rules: Iterable[Rule], bound: float, now: float) -> CachedSnapshot:
    """What was said just now, and for how long it lasts. `bound` as in `service.core.presence.freshness`."""
    record, (level, as_of, _), _, _ = snapshot.contact
    if as_of is None:
        return CachedSnapshot(snapshot, feed, inf)
    if level is not Level.LIVE:
        # What is known for a moment that has not come yet becomes live then.
        return CachedSnapshot(snapshot, feed, as_of.monotonic if as_of.monotonic > now else inf)
    until = as_of.monotonic + (bound if feed.bound is None else min(bound, feed.bound))
    if (lapses := record.holds_until) is not None:
        until = _earlier(until, lapses, now)
    spans = record.spans
    if spans is not None:
        for rule in rules:
            if rule.dwell:
                until = _earlier(until, spans.same + rule.dwell, now)
            if rule.wrap_up and spans.call_ended is not None:
                until = _earlier(until, spans.call_ended + rule.wrap_up, now)
            if rule.max_idle is not None and spans.idle is not None:
                until = _earlier(until, spans.idle + rule.max_idle, now)
    return CachedSnapshot(snapshot, feed, until)


def is_still_valid(cached: CachedSnapshot, record: Record, feed: Feed, claim: Claim | None, now: float) -> bool:
    """Whether the same would be said now. Never yes when it would not; no costs a closer look."""
    contact = cached.snapshot.contact
    if contact.record is not record or (contact.claim is not claim and contact.claim != claim):
        return False
    if record.reading is None or record.presence is None or record.doubt is not None:
        return True  # unknown or stale, whatever becomes of the feed
    live = contact.freshness.level is Level.LIVE
    if not live and feed.doubt is None and last_known(record, feed) != contact.freshness.as_of:
        return False  # it was stale by its age, and has been read again
    if feed is not cached.feed:
        if feed.bound != cached.feed.bound:
            return False
        if feed.doubt is not None:
            return not live
        if not (live and cached.feed.doubt is None and _was_confirmed(cached.feed, feed, now)):
            return False
    return now + SLACK < cached.until


def _was_confirmed(old: Feed, new: Feed, now: float) -> bool:
    if new.confirmed is None:
        return old.confirmed is None
    return (old.confirmed is None or old.confirmed <= new.confirmed) and new.confirmed.monotonic <= now


def _earlier(until: float, at: float, now: float) -> float:
    """The earlier of the two, unless the new one is over."""
    return at if now - SLACK < at < until else until
