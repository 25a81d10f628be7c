"""When what is said of a contact can change merely because time passes, or because of its feed.

What is said follows from the record, the claim, the feed and the time. The log hears of a record that is replaced and
of a claim that is made or ended. Of time only the next boundary matters: the end of the bound, of somebody's dwell,
wrap-up or time to idle, of a claim, of what a document says. Of a feed only its phase matters: a confirmation that
follows another makes live contacts live for longer, and says nothing new of any of them.

So a contact has a moment of its own (`next_moment`), and what its feed's confirmation keeps live has the feed's
(`feed_outlook`): thousands of contacts, one moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from math import inf
from typing import NamedTuple

from service.core.presence.availability import Rule
from service.core.presence.boundaries import earlier, earlier_by_rules, shorter
from service.core.presence.claim import Claim, is_told_alike
from service.core.presence.freshness import Level
from service.core.presence.records import Feed, Record
from service.core.presence.snapshot import GroupedSnapshot


class FeedPhase(Enum):
    """What a feed says of its contacts, as far as it is the same for all of them."""

    DOUBTED = auto()
    """None of them is live."""
    UNCONFIRMED = auto()
    """Each is live by its own reading."""
    EARLY = auto()
    """It was confirmed at a moment that has not come yet."""
    LIVE = auto()
    """All that are not in doubt themselves are live."""
    LAPSED = auto()
    """Its confirmation is too old: each is live by its own later reading."""


class FeedOutlook(NamedTuple):
    """The phase, and the monotonic moment until which it stays the same by time alone."""

    phase: FeedPhase
    until: float


def feed_outlook(feed: Feed, bound: float, now: float) -> FeedOutlook:
    """What the feed says now, and for how long. `bound` as in `service.core.presence.freshness`."""
    if feed.doubt is not None:
        return FeedOutlook(FeedPhase.DOUBTED, inf)
    if feed.confirmed is None:
        return FeedOutlook(FeedPhase.UNCONFIRMED, inf)
    begins = feed.confirmed.monotonic
    ends = begins + shorter(bound, feed)
    if now < begins:
        return FeedOutlook(FeedPhase.EARLY, begins)
    return FeedOutlook(FeedPhase.LIVE if now <= ends else FeedPhase.LAPSED, earlier(inf, ends, now))


def next_moment(snapshot: GroupedSnapshot, feed: Feed, rules: Iterable[Rule], bound: float, now: float) -> float:
    """Until when time alone changes nothing about what was said just now, the feed's own phase left aside."""
    contact = snapshot.contact
    record, claim = contact.record, contact.claim
    until = inf if claim is None else earlier(inf, claim.expires.monotonic, now)
    if depends_on_doubt_alone(record) or record.reading is None or feed.doubt is not None:
        return until
    own, confirmed = record.reading.at.monotonic, feed.confirmed
    if own > now:
        return min(until, own)
    if confirmed is None or own > confirmed.monotonic:
        until = earlier(until, own + shorter(bound, feed), now)
    if (lapses := record.holds_until) is not None:
        until = earlier(until, lapses, now)
    if contact.freshness.level is Level.LIVE:
        until = earlier_by_rules(until, record, rules, now)
    return until


def is_aged(snapshot: GroupedSnapshot, feed: Feed) -> bool:
    """Whether nothing but a confirmation of its feed is missing for the contact to be live."""
    contact = snapshot.contact
    return contact.freshness.level is Level.STALE and contact.record.doubt is None and feed.doubt is None


def depends_on_doubt_alone(record: Record) -> bool:
    """Whether it is unknown or stale by itself, whatever the time is and whatever becomes of its feed."""
    return record.reading is None or record.presence is None or record.doubt is not None


def is_certainly_the_same(snapshot: GroupedSnapshot, record: Record, claim: Claim | None) -> bool:
    """Whether the same would be said now, by a look at the record and the claim alone; no costs a closer look."""
    contact = snapshot.contact
    if claim is not None or contact.claim is not None:
        return False  # a claim ends, and its moment has to be entered anew
    return contact.record is record and depends_on_doubt_alone(record)


def says_the_same(before: GroupedSnapshot, after: GroupedSnapshot) -> bool:
    """Whether a query would answer the same, `as_of` and `source` aside."""
    one, other = before.contact, after.contact
    return (
        one.record.revision == other.record.revision
        and one.freshness.level is other.freshness.level
        and one.verdict == other.verdict
        and is_told_alike(one.claim, other.claim)
        and before.opinions == after.opinions
    )
