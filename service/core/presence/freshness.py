"""Whether a state may be called true: `live`, `stale` or `unknown`, decided when it is read and never stored.

The first row that fits decides:

| what is so | answer | as of |
|---|---|---|
| never read, or never readable | unknown | - |
| the feed is in doubt (not subscribed, lost, failing) | stale | last known |
| the contact is in doubt (a lost or unreadable reply, readings that disagree) | stale | last known |
| its document holds until a moment that has come (an activity's `until` or `from`) | stale | last known |
| known for a moment that has not come yet (a foreign clock) | stale | last known |
| last known longer ago than the bound, or than that of its feed | stale | last known |
| otherwise | live | last known |

"Last known" is the later of the contact's own reading and its feed's last confirmation, each counted from the moment
the fetch BEGAN, since the server may have looked at any time after it. A confirmation says nothing about a contact in
doubt: the fetch named what changed since the one before, and that change may be the one that was lost.

Ages are differences of monotonic time, so that no change of the wall clock can keep a stale state live.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from math import inf
from typing import NamedTuple

from service.core.clock import Moment
from service.core.presence.records import Feed, Record


class Level(StrEnum):
    """How sure an answer is."""

    LIVE = "live"
    STALE = "stale"
    UNKNOWN = "unknown"


class Freshness(NamedTuple):
    """How sure, for which moment it was last known to be true, and why it is not live."""

    level: Level
    as_of: Moment | None = None
    reason: str | None = None


LAPSED = "an activity in its document has begun or ended since it was read"


def default_bound(safety_interval: float) -> float:
    """Seconds without confirmation after which a state is stale: one safety fetch may fail, a second may not."""
    return 2 * safety_interval + 60


def last_known(record: Record, feed: Feed) -> Moment | None:
    """The last moment for which the state is known to have been true, or None."""
    if record.presence is None or record.rests_on is None:
        return None
    own = record.rests_on.start.at
    other = feed.confirmed if record.doubt is None else record.doubt.as_of
    return own if other is None or own >= other else other


@lru_cache(maxsize=1024)
def _freshness(level: Level, as_of: Moment | None = None, reason: str | None = None) -> Freshness:
    """One for all of whom the same is so, as of those of one reply: there may be a hundred thousand."""
    return Freshness(level, as_of, reason)


def assess(record: Record, feed: Feed, monotonic: float, bound: float) -> Freshness:
    """The table above. `monotonic` is now, `bound` in seconds."""
    as_of = last_known(record, feed)
    if as_of is None:
        return _freshness(Level.UNKNOWN, None, record.problem or "not read yet")
    if feed.doubt is not None:
        return _freshness(Level.STALE, as_of, feed.doubt.reason)
    if record.doubt is not None:
        return _freshness(Level.STALE, as_of, record.doubt.reason)
    if record.presence is not None and record.presence.valid_until is not None:
        until = record.holds_until
        if until is not None and until <= monotonic:
            return _freshness(Level.STALE, as_of, LAPSED)
    if feed.bound is not None:
        bound = min(bound, feed.bound)
    age = monotonic - as_of.monotonic
    if 0 <= age <= bound:
        return _freshness(Level.LIVE, as_of)
    if age < 0:
        return _freshness(Level.STALE, as_of, "last known for a moment that has not come yet")
    if age == inf:  # what a replica has of an owner whose clock it does not know
        return _freshness(Level.STALE, as_of, "not confirmed since this replica follows")
    return _freshness(Level.STALE, as_of, f"not confirmed for {age:.0f} seconds")


def not_live_since(record: Record, feed: Feed, monotonic: float, bound: float) -> float:
    """Since when, on the monotonic clock, a state that is not live now has not been. `bound` as for `assess`."""
    moments = [doubt.since.monotonic for doubt in (record.doubt, feed.doubt) if doubt is not None]
    if (lapsed := record.holds_until) is not None:
        moments.append(lapsed)
    if (as_of := last_known(record, feed)) is not None:
        moments.append(as_of.monotonic + (bound if feed.bound is None else min(bound, feed.bound)))
    return min((moment for moment in moments if moment <= monotonic), default=monotonic)
