"""Until when time alone changes nothing of what is said of a contact.

What is said follows from the record, the feed, the claim and the time. Of time it matters only whether a boundary has
come: the end of the bound or of the document's word, of somebody's dwell, wrap-up or time to idle. Answers are kept as
long as `unchanged_until` says; the event log, which keeps the moments of feeds apart, goes by the same parts of it. A
claim's end is a boundary of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final

from service.core.presence.availability import Rule
from service.core.presence.freshness import Freshness, Level
from service.core.presence.records import Feed, Record

SLACK: Final = 1e-3
"""Seconds around a boundary in which it is asked anew: sums and differences of times are rounded differently."""
_LIVE: Final = Level.LIVE


def unchanged_until(
    record: Record, freshness: Freshness, feed: Feed, rules: Iterable[Rule], bound: float, now: float
) -> float:
    """The monotonic moment of the next boundary after `now`. `rules` are the contact's, `bound` as for `freshness`."""
    level, as_of, _ = freshness
    if as_of is None:
        return inf
    if level is not _LIVE:
        # What is known for a moment that has not come yet becomes live then.
        return as_of.monotonic if as_of.monotonic > now else inf
    until = as_of.monotonic + shorter(bound, feed)
    if (lapses := record.holds_until) is not None:
        until = earlier(until, lapses, now)
    return earlier_by_rules(until, record, rules, now)


def earlier_by_rules(until: float, record: Record, rules: Iterable[Rule], now: float) -> float:
    """The earlier of `until` and the next moment at which a rule may decide otherwise about a live contact."""
    spans = record.spans
    if spans is not None:
        for rule in rules:
            if rule.dwell:
                until = earlier(until, spans.same + rule.dwell, now)
            if rule.wrap_up and spans.call_ended is not None:
                until = earlier(until, spans.call_ended + rule.wrap_up, now)
            if rule.max_idle is not None and spans.idle is not None:
                until = earlier(until, spans.idle + rule.max_idle, now)
    return until


def shorter(bound: float, feed: Feed) -> float:
    """Seconds that contacts of the feed count as live unconfirmed."""
    return bound if feed.bound is None else min(bound, feed.bound)


def earlier(until: float, at: float, now: float) -> float:
    """The earlier of the two, unless the new one is over."""
    return at if now - SLACK < at < until else until
