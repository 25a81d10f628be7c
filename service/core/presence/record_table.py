"""The records of a store by key, and what is kept beside them so that nobody has to walk over all.

Beside each change of a record, its sorted place, its feed's contacts, who wants reading, and how many rest on a shared
reading are kept up to date. It decides nothing about presence.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Final, overload

from pws_soap.models import PresenceState
from service.core.presence.records import Record

_NOBODY: Final[Set[str]] = frozenset()


class SortedRecords(Sequence[Record]):
    """A view of the records in the order of their keys, from a place on. Valid until the store changes."""

    __slots__ = ("_keys", "_records", "_start")

    def __init__(self, records: dict[str, Record], keys: list[str], start: int) -> None:
        self._records = records
        self._keys = keys
        self._start = start

    def __len__(self) -> int:
        return len(self._keys) - self._start

    def __iter__(self) -> Iterator[Record]:
        if not self._start:
            return map(self._records.__getitem__, self._keys)
        return (self._records[self._keys[place]] for place in range(self._start, len(self._keys)))

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...
    def __getitem__(self, place: int | slice) -> Record | list[Record]:
        places = range(self._start, len(self._keys))[place]
        if isinstance(places, int):
            return self._records[self._keys[places]]
        return [self._records[self._keys[each]] for each in places]


class RecordTable:
    """The records. Code that changes one puts the new one here with `keep`."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._keys: list[str] = []  # sorted
        self._of_feed: dict[str, dict[str, None]] = {}  # a dict takes less memory than a set
        self._unsettled: dict[str, set[str]] = {}  # by feed: asked for at every turn, and mostly empty
        self._unknown: dict[str, set[str]] = {}  # by feed: those whose state was read as UNKNOWN
        self._unread: Counter[str] = Counter()  # by feed
        self._lapsing: dict[str, float] = {}  # those whose document says until when it holds: mostly empty

    def __len__(self) -> int:
        return len(self._records)

    # --- reading

    def __getitem__(self, key: str) -> Record:
        return self._records[key]

    def get(self, key: str) -> Record | None:
        """The record under a key."""
        return self._records.get(key)

    def ordered(self, after: str = "") -> SortedRecords:
        """All in the order of their keys, those beyond the key `after`."""
        return SortedRecords(self._records, self._keys, bisect_right(self._keys, after) if after else 0)

    @property
    def keys(self) -> Sequence[str]:
        """All keys in their order: a view."""
        return self._keys

    def of_feed(self, feed: str) -> Set[str]:
        """The keys of a feed's contacts, in no order."""
        keys = self._of_feed.get(feed)
        return _NOBODY if keys is None else keys.keys()

    def unsettled_of(self, feed: str) -> Set[str]:
        """The keys of a feed's contacts that want reading, in no order."""
        return self._unsettled.get(feed, _NOBODY)

    def unknown(self, feed: str) -> Set[str]:
        """The keys of a feed's contacts whose state was read as UNKNOWN, in no order."""
        return self._unknown.get(feed, _NOBODY)

    def unread(self, feed: str) -> int:
        """How many of a feed's contacts were never read."""
        return self._unread[feed]

    def unsettled(self, feed: str | None = None) -> list[str]:
        """The keys of contacts (of one feed) that want reading: never read, or in doubt. In no order."""
        if feed is not None:
            return list(self._unsettled.get(feed, ()))
        return [key for keys in self._unsettled.values() for key in keys]

    def lapsing(self) -> Iterable[tuple[str, float]]:
        """The keys of contacts whose document says until when it holds, and the monotonic moment."""
        return self._lapsing.items()

    # --- writing

    def add(self, records: Sequence[Record]) -> None:
        """Take in records of contacts that were not watched."""
        if len(records) == 1:
            insort(self._keys, records[0].key)
        else:
            self._keys.extend(record.key for record in records)
            self._keys.sort()
        for record in records:
            self.keep(record)

    def remove(self, keys: Iterable[str]) -> list[Record]:
        """Forget these; the records of those that were there."""
        gone = []
        for key in keys:
            record = self._records.pop(key, None)
            if record is not None:
                gone.append(record)
                self._leave_feed(record)
                self._lapsing.pop(key, None)
                _count(record, -1)
        if len(gone) == 1:
            del self._keys[bisect_left(self._keys, gone[0].key)]
        elif gone:
            self._keys = [key for key in self._keys if key in self._records]
        return gone

    def keep(self, record: Record, *, read: bool = False) -> Record | None:
        """Put a record in the place of the contact's older one, which is returned. `read`: it comes from a reading."""
        key = record.key
        before = self._records.get(key)
        self._records[key] = record
        if before is not None:
            _count(before, -1)
        _count(record, 1)
        if before is None or before.feed != record.feed:
            if before is not None:
                self._leave_feed(before)
            self._of_feed.setdefault(record.feed, {})[key] = None
            self._unread[record.feed] += record.presence is None
        elif before.presence is None and record.presence is not None:
            self._unread[record.feed] -= 1
        if read and (until := record.holds_until) is not None:
            self._lapsing[key] = until
        elif read and self._lapsing:
            self._lapsing.pop(key, None)
        if record.presence is None or record.doubt is not None:
            self._unsettled.setdefault(record.feed, set()).add(key)
        else:
            _discard(self._unsettled, record)
        if record.presence is not None and record.presence.state is PresenceState.UNKNOWN:
            self._unknown.setdefault(record.feed, set()).add(key)
        else:
            _discard(self._unknown, record)
        return before

    def moved(self) -> None:
        """A shared reading has moved on: documents that say until when they hold are counted from it."""
        for key in self._lapsing:
            self._lapsing[key] = self._records[key].holds_until or 0.0

    def lapsed(self, key: str) -> None:
        """The moment of a document has come."""
        self._lapsing.pop(key, None)

    def _leave_feed(self, record: Record) -> None:
        self._unread[record.feed] -= record.presence is None
        self._of_feed[record.feed].pop(record.key, None)
        _discard(self._unsettled, record)
        _discard(self._unknown, record)


def _discard(by_feed: dict[str, set[str]], record: Record) -> None:
    if keys := by_feed.get(record.feed):
        keys.discard(record.key)
        if not keys:  # an empty set keeps the room of all that it had
            del by_feed[record.feed]


def _count(record: Record, one: int) -> None:
    if record.rests_on is not None and record.doubt is None:
        record.rests_on.sure += one
