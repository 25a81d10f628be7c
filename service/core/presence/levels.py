"""How many contacts are live, stale or unknown, without asking of each: the same as `freshness.assess` of all of them.

Of contacts that were never read, and of those in doubt, the answer is the same for all of a feed. The others are live
together while their feed is confirmed; where it is not, and where a document says until when it holds, each is asked.
The rule itself is asked, of a stand-in for each of these groups.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from pws_soap.models import Presence, PresenceState
from service.core.clock import Moment
from service.core.presence.freshness import Level, assess
from service.core.presence.record_table import RecordTable
from service.core.presence.records import Doubt, Feed, ReadingStart, Record, SharedReading, Source

_LONG_AGO: Final = Moment(0.0, 0.0)
_READ: Final = Presence("", PresenceState.UNKNOWN)


def _stand_in(at: Moment, doubt: Doubt | None = None) -> Record:
    reading = SharedReading(ReadingStart(0, at), 0, Source.SUBSCRIBED)
    return Record("", "", "", 0, _READ, reading, doubt=doubt)


_UNREAD: Final = Record("", "", "", 0)
_DOUBTED: Final = _stand_in(_LONG_AGO, Doubt("", _LONG_AGO, 0))


def count_levels(table: RecordTable, feed: Feed, now: float, bound: float) -> Counter[Level]:
    """The contacts of a feed by level."""
    unread, unsettled = table.unread(feed.name), len(table.unsettled_of(feed.name))
    keys = table.of_feed(feed.name)
    found: Counter[Level] = Counter()
    found[assess(_UNREAD, feed, now, bound).level] += unread
    found[assess(_DOUBTED, feed, now, bound).level] += unsettled - unread
    if feed.doubt is None and (
        feed.confirmed is None or assess(_stand_in(feed.confirmed), feed, now, bound).level is not Level.LIVE
    ):
        settled = keys - table.unsettled_of(feed.name)
        found.update(assess(table[key], feed, now, bound).level for key in settled)
        return found
    lapsing = [
        record for key, _ in table.lapsing() if (record := table[key]).feed == feed.name and record.doubt is None
    ]
    together = _stand_in(feed.confirmed or _LONG_AGO)
    found[assess(together, feed, now, bound).level] += len(keys) - unsettled - len(lapsing)
    found.update(assess(record, feed, now, bound).level for record in lapsing)
    return found
