"""What is said of contacts at one moment, however long it takes to say it.

Records and feeds are values. So code that takes them, claims and time once, can go through thousands of contacts
with pauses between, and everything that it finds is true for that one moment. One thing may move on meanwhile: a
reading that records share. That is counted, and such a look is not believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf

from service.core.presence.availability import Availability
from service.core.presence.boundaries import unchanged_until
from service.core.presence.claim import Claim
from service.core.presence.freshness import Freshness, assess
from service.core.presence.records import Feed, Record
from service.core.presence.steps import SLICE, slices
from service.core.presence.store import Store

Held = Callable[[str], Claim | None]
"""The claim on a contact, by its key."""


class Look:
    """A moment. `held` says who was held then; `bound` as in `service.core.presence.freshness`.

    `revision` is the store's at that moment. `until` is the monotonic moment up to which time alone changes nothing of
    what was said of the contacts so far.
    """

    def __init__(
        self, store: Store, availability: Availability, held: Held, bound: float, now: float, moves: Callable[[], int]
    ) -> None:
        """`moves` counts how often shared readings have moved on."""
        self._store = store
        self._version = store.version
        self._feeds = dict(store.feeds())
        self._availability = availability
        self._held = held
        self._bound = bound
        self._moves, self._moved = moves, moves()
        self._records: list[Record] = []
        self._after = ""
        self.now = now
        self.revision = store.revision
        self.until = inf

    def records(self) -> list[Record]:
        """All contacts of that moment; to be asked for in the turn in which the look begins."""
        self._records = list(self._store.records())
        return self._records

    def parts(self, after: str = "") -> Iterator[Sequence[Record]]:
        """The contacts beyond the key `after` in parts. The second is to be asked for before the first pause."""
        self._after = after
        records = self._store.records(after)
        first = records[:SLICE]
        yield first
        if len(records) > SLICE:
            self._records = list(records)
            yield from slices(self._records[SLICE:])

    def assessed(self, records: Iterable[Record]) -> Iterator[tuple[Record, Freshness]]:
        """How sure the state of each is."""
        feeds, now, bound, rules = self._feeds, self.now, self._bound, self._availability.rules
        for record in records:
            feed = feeds[record.feed]
            freshness = assess(record, feed, now, bound)
            until = unchanged_until(record, freshness, feed, rules(record.key), bound, now)
            if until < self.until:
                self.until = until
            yield record, freshness

    def held(self, key: str) -> Claim | None:
        """The claim on a contact, by its key."""
        claim = self._held(key)
        if claim is None:
            return None
        ends = claim.expires.monotonic
        if ends <= self.now:
            return None
        if ends < self.until:
            self.until = ends
        return claim

    def is_refuted(self) -> bool:
        """Whether something that may have been called live is in doubt by now."""
        if self._store.version == self._version:
            return False
        if self._moves() != self._moved:
            return True
        feeds = self._store.feeds()
        if any(_is_less_sure(feeds[name], feed) for name, feed in self._feeds.items()):
            return True
        known = set(map(id, self._records))
        return any(record.doubt is not None and id(record) not in known for record in self._store.records(self._after))


def _is_less_sure(feed: Feed, before: Feed) -> bool:
    if feed is before:
        return False
    return (feed.doubt is not None and before.doubt is None) or feed.bound != before.bound
