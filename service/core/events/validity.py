"""Whether what was said of a contact still holds, without asking anew: most of it does, at every look.

What is said follows from the record, the feed, the claim and the time. A record or claim is the same as long as it is
the same object; a feed may be confirmed meanwhile, which only makes a live contact live for longer; and of time it
matters only whether a boundary has come, which `service.core.presence.boundaries` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from service.core.presence.availability import Rule
from service.core.presence.boundaries import SLACK, unchanged_until
from service.core.presence.claim import Claim
from service.core.presence.freshness import Level, last_known
from service.core.presence.records import Feed, Record
from service.core.presence.snapshot import GroupedSnapshot


class CachedSnapshot(NamedTuple):
    """What was said, the feed it was said with, and the monotonic time until which time alone changes nothing."""

    snapshot: GroupedSnapshot
    feed: Feed
    until: float


def cached(snapshot: GroupedSnapshot, feed: Feed, rules: Iterable[Rule], bound: float, now: float) -> CachedSnapshot:
    """What was said just now, and for how long it lasts. `bound` as in `service.core.presence.freshness`."""
    record, freshness, _, _ = snapshot.contact
    return CachedSnapshot(snapshot, feed, unchanged_until(record, freshness, feed, rules, bound, now))


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
